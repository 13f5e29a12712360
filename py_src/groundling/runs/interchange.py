"""The weights in other programs' formats, and back, every bit as it was.

    safetensors   our names and layouts (linear weights [in, out]): one file, for anything
    nanogpt       a `ckpt.pt` as nanoGPT saves it: torch.nn.Linear's [out, in]. PyTorch reads it
    gpt2          a folder that Hugging Face's GPT2LMHeadModel loads: GPT-2's Conv1D is [in, out]

GPT-2 has biases in its linear layers and ours have none: they are zeros there, and must be zeros
to come back. Its activation is the tanh form of GELU, as ours; nanoGPT's own model.py now has the
exact one, `nn.GELU()`, so give it `approximate="tanh"` to have the same logits.

Every export has the header of our `.bin` in it, so that import gives back the very same file. What
was made elsewhere has none: `like` says whose header it takes. A CheckpointError says what a file
has that we cannot use.
"""

import io
import json
import math
import zipfile
from dataclasses import replace

import numpy as np

from ..config import MODEL_LIMITS, GPTConfig, check_number
from ..data import BYTES, Vocabulary
from ..engine.parameters import by_name
from ..model import parameter_shapes
from . import checkpoint, strict, torchfile
from .checkpoint import HEADER_BYTES, Checkpoint, CheckpointError
from .decoding import decode
from .modelcard import card
from .strict import check_keys, check_list

KINDS = "safetensors", "nanogpt", "gpt2"
MAX_HEADER = 2**24  # bytes of JSON in a safetensors file, or in a config.json
OUR_HEADER = "groundling"  # where an export keeps the header of the .bin


def tensors_of(ckpt: Checkpoint) -> dict[str, np.ndarray]:
    """Every parameter by name: float32 views of ckpt.weights."""
    return by_name(ckpt.weights, parameter_shapes(ckpt.config))


# safetensors: https://github.com/huggingface/safetensors#format


def to_safetensors(ckpt: Checkpoint) -> bytes:
    """The weights under our own names."""
    return write_safetensors(tensors_of(ckpt), {"format": "pt", OUR_HEADER: _header_of(ckpt)})


def from_safetensors(data: bytes, like: Checkpoint | None = None) -> Checkpoint:
    """Weights under our own names. CheckpointError."""
    parts, metadata = read_safetensors(data)
    return _assemble(parts, metadata.get(OUR_HEADER), like)


def write_safetensors(parts: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """A safetensors file: the header's length in 8 bytes, the header in JSON, the numbers."""
    header, at, body = {"__metadata__": metadata}, 0, []
    for name, part in parts.items():
        raw = np.ascontiguousarray(part, "<f4").tobytes()
        span = [at, at + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(part.shape), "data_offsets": span}
        at += len(raw)
        body.append(raw)
    text = strict.dumps(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(body)


def read_safetensors(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays (float32, views of data) and the metadata. CheckpointError."""
    length = int.from_bytes(data[:8], "little")
    start = 8 + length
    if len(data) < 8 or length > MAX_HEADER or start > len(data):
        raise CheckpointError(
            f"The file is no safetensors: its first 8 bytes say that a header of {length:,} bytes "
            f"follows, and it has {len(data):,} in all."
        )
    try:
        header = strict.parse_text(decode(bytes(data[8:start])))
        if not isinstance(header, dict):
            raise ValueError("it is not an object.")
        metadata = header.pop("__metadata__", {})
        check_keys("__metadata__", metadata, metadata)
        parts = {name: _read_array(name, entry, data, start) for name, entry in header.items()}
    except ValueError as error:
        raise CheckpointError(f"The safetensors file's header is wrong: {error}") from None
    at = 0
    for first, last, name in sorted(
        (*entry["data_offsets"], name) for name, entry in header.items()
    ):
        if first != at:
            raise CheckpointError(
                f"The safetensors file is wrong: {name} begins at byte {start + first:,}, where "
                f"the numbers before it end at {start + at:,}."
            )
        at = last
    if start + at != len(data):
        raise CheckpointError(
            f"The safetensors file has {len(data):,} bytes; its tensors end at {start + at:,}."
        )
    return parts, metadata


def _read_array(name: str, entry: object, data: bytes, start: int) -> np.ndarray:
    check_keys(name, entry, ("dtype", "shape", "data_offsets"))
    if entry["dtype"] != "F32":
        raise ValueError(f"{name} is of dtype {entry['dtype']!r:.20}; it must be 'F32'.")
    check_list(f"{name}.shape", entry["shape"])
    check_list(f"{name}.data_offsets", entry["data_offsets"], 2)
    for size in entry["shape"]:
        check_number(f"a size in {name}.shape", size, (0, 2**40))
    first, last = entry["data_offsets"]
    check_number(f"{name}.data_offsets[0]", first, (0, len(data) - start))
    check_number(f"{name}.data_offsets[1]", last, (first, len(data) - start))
    if last - first != 4 * math.prod(entry["shape"]):
        raise ValueError(
            f"{name} has {last - first:,} bytes; its shape makes {4 * math.prod(entry['shape']):,}."
        )
    part = np.frombuffer(data, "<f4", (last - first) // 4, offset=start + first)
    return part.reshape(entry["shape"])


# GPT-2's names, for both of the others


def to_gpt2_names(ckpt: Checkpoint, out_in: bool) -> dict[str, np.ndarray]:
    """The parameters as GPT-2 calls them, its biases too; linear weights [out, in] if so asked."""
    parts = {}
    for name, part in tensors_of(ckpt).items():
        if name.endswith((".weight", ".bias")):  # of a LayerNorm
            parts[f"transformer.{name}"] = part
        elif name in ("wte", "wpe"):
            parts[f"transformer.{name}.weight"] = part
        else:
            parts[f"transformer.{name}.weight"] = part.T if out_in else part
            parts[f"transformer.{name}.bias"] = np.zeros(part.shape[1], np.float32)
    return parts


def _from_gpt2_names(
    parts: dict[str, np.ndarray], config: GPTConfig, out_in: bool
) -> dict[str, np.ndarray]:
    """The reverse. CheckpointError for anything that our model has no place for."""
    left = {name.removeprefix("transformer."): part for name, part in parts.items()}
    ours = {}
    for name, shape in parameter_shapes(config).items():
        key = name if name.endswith((".weight", ".bias")) else f"{name}.weight"
        if key not in left and name.endswith(".bias"):
            ours[name] = np.zeros(shape, np.float32)  # a LayerNorm without one
            continue
        if key not in left:
            raise CheckpointError(f"The file has no {key}.")
        part = left.pop(key)
        linear = key != name and name not in ("wte", "wpe")
        ours[name] = part.T if linear and out_in else part
        bias = left.pop(f"{name}.bias", None) if linear else None
        if bias is not None and np.any(bias):
            raise CheckpointError(f"{name}.bias is not all zeros; our linear layers have no bias.")
    head = left.pop("lm_head.weight", ours["wte"])
    if not np.array_equal(head, ours["wte"]):
        raise CheckpointError("lm_head.weight is not wte.weight; our unembedding is the embedding.")
    for name in left:
        if not name.endswith((".attn.bias", ".attn.masked_bias")):  # causal masks, no parameters
            raise CheckpointError(f"The file has {name!r:.80}, which our model has no place for.")
    return ours


# nanoGPT: https://github.com/karpathy/nanoGPT


def to_nanogpt(ckpt: Checkpoint) -> bytes:
    """A ckpt.pt to sample from in nanoGPT; it has no optimizer to resume. CheckpointError."""
    return torchfile.dumps(nanogpt_checkpoint(ckpt))


def nanogpt_checkpoint(ckpt: Checkpoint) -> dict:
    """What such a ckpt.pt holds, with arrays for tensors. CheckpointError."""
    config = ckpt.config
    if config.d_ff != 4 * config.n_embd:
        raise CheckpointError(
            f"d_ff is {config.d_ff}; nanoGPT's is always 4 times n_embd, {4 * config.n_embd}."
        )
    names = "n_layer", "n_head", "n_embd", "block_size", "vocab_size", "dropout"
    model = to_gpt2_names(ckpt, out_in=True)
    model["lm_head.weight"] = model["transformer.wte.weight"]
    return {
        "model": model,
        "model_args": {name: getattr(config, name) for name in names} | {"bias": True},
        "iter_num": ckpt.iter,
        "best_val_loss": ckpt.val_loss,
        OUR_HEADER: _header_of(ckpt),
    }


def from_nanogpt(data: bytes, like: Checkpoint | None = None) -> Checkpoint:
    """A ckpt.pt of nanoGPT's. Read by torch.load(weights_only=True): no code in it ever runs."""
    torch = _torch()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
        if unpacked > len(data):
            raise ValueError(f"it would unpack to {unpacked:,} bytes.")
        saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        parts = {}
        for name, part in saved["model"].items():
            if part.dtype != torch.float32 or not part.is_contiguous():  # as a view of less is not
                raise ValueError(f"{name!r:.80} is not a whole float32 tensor.")
            parts[name.removeprefix("_orig_mod.")] = part.detach().numpy()  # of a compiled model
        config = _config(saved["model_args"], "model_args", d_ff=None)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a hostile file makes of its reader
        said = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise CheckpointError(f"The file is no ckpt.pt that can be read safely ({said})") from None
    ours = _from_gpt2_names(parts, config, out_in=True)
    return _assemble(ours, saved.get(OUR_HEADER), like, config)


def _torch():
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            "A ckpt.pt is read by PyTorch, which is not installed here: `pip install torch`."
        ) from None
    return torch


# Hugging Face: https://huggingface.co/docs/transformers/model_doc/gpt2

# What GPT2Config must say, or not say, for its model to be ours.
GPT2 = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


# Temperature as in `groundling sample`; top_k 0 is all tokens, where its default is 50.
GENERATION = {"do_sample": True, "temperature": 0.8, "top_k": 0}


def to_gpt2(ckpt: Checkpoint, corpus: Vocabulary) -> dict[str, bytes]:
    """The files of the folder, by name: the model, how to sample, a model card and, for bytes or
    where all characters of the text are ASCII, a tokenizer that has a token for each.
    CheckpointError when the text is not the model's.
    """
    if ckpt.vocab_hash != corpus.vocab_hash:
        raise CheckpointError(
            f"The weights belong to another text than {corpus.name!r}, whose characters they need."
        )
    config, dropout = ckpt.config, ckpt.config.dropout
    about = {
        "architectures": ["GPT2LMHeadModel"],
        **GPT2,
        "vocab_size": config.vocab_size,
        "n_positions": config.block_size,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.d_ff,
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
        OUR_HEADER: _header_of(ckpt),
    }
    parts = to_gpt2_names(ckpt, out_in=False)
    files = {
        "config.json": _pretty(about),
        "generation_config.json": _pretty(GENERATION | {"max_length": config.block_size}),
        "model.safetensors": write_safetensors(parts, {"format": "pt"}),
    }
    has_tokenizer = corpus.tokenizer == BYTES or corpus.vocab.isascii()
    files["README.md"] = card(ckpt, corpus, has_tokenizer).encode()
    if has_tokenizer:
        # GPT-2's tokenizer works on bytes, which it writes as printable characters.
        vocab = {_printable(c): token for token, c in enumerate(corpus.vocab)}
        files["vocab.json"] = _pretty(vocab)
        files["merges.txt"] = b"#version: 0.2\n"
        files["tokenizer_config.json"] = _pretty(
            {"tokenizer_class": "GPT2Tokenizer", "model_max_length": config.block_size}
        )
    return files


def from_gpt2(files: dict[str, bytes], like: Checkpoint | None = None) -> Checkpoint:
    """The folder's config.json and model.safetensors. CheckpointError."""
    for name in ("config.json", "model.safetensors"):
        if name not in files:
            raise CheckpointError(f"The folder has no {name}.")
    if len(files["config.json"]) > MAX_HEADER:
        raise CheckpointError(f"config.json has {len(files['config.json']):,} bytes.")
    try:
        about = strict.parse_text(decode(files["config.json"]))
    except ValueError as error:
        raise CheckpointError(f"config.json is wrong: {error}") from None
    if not isinstance(about, dict):
        raise CheckpointError("config.json is wrong: it is not an object.")
    for key, value in GPT2.items():
        if about.get(key, value) != value:
            raise CheckpointError(f"config.json: {key} is {about[key]!r:.60}; ours is {value!r}.")
    about = dict(about, block_size=about.get("n_positions"), dropout=about.get("resid_pdrop", 0.0))
    config = _config(about, "config.json", d_ff=about.get("n_inner"))
    parts, _ = read_safetensors(files["model.safetensors"])
    ours = _from_gpt2_names(parts, config, out_in=False)
    return _assemble(ours, about.get(OUR_HEADER), like, config)


def _printable(character: str) -> str:
    """A byte as GPT-2's tokenizer writes it: the n-th that does not print is U+0100 + n."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte = ord(character)
    return character if byte in plain else chr(256 + sum(b not in plain for b in range(byte)))


def _pretty(value: dict) -> bytes:
    return json.dumps(value, indent=2).encode("ascii") + b"\n"


# Both ways


def _header_of(ckpt: Checkpoint) -> str:
    """The header of the .bin, as text, and in a second line the vocabulary, if it carries one."""
    data = checkpoint.dumps(ckpt)
    after = data[len(data) - checkpoint.trailer_bytes(ckpt) :]
    lines = data[:HEADER_BYTES].decode("ascii").rstrip(), after.decode("ascii")
    return "\n".join(filter(None, lines))


def _config(said: object, where: str, d_ff: object) -> GPTConfig:
    """The model that a file describes; d_ff is 4 times its width where it says None."""
    names = "vocab_size", "block_size", "n_layer", "n_head", "n_embd"
    try:
        if not isinstance(said, dict):
            raise ValueError("it is not an object.")
        for name in names:
            check_number(name, said.get(name), MODEL_LIMITS[name])
        d_ff = 4 * said["n_embd"] if d_ff is None else d_ff
        return GPTConfig(**{name: said[name] for name in names}, d_ff=d_ff)
    except ValueError as error:
        raise CheckpointError(f"{where} is wrong: {error}") from None


def _assemble(
    parts: dict[str, np.ndarray],
    header: object,
    like: Checkpoint | None,
    config: GPTConfig | None = None,
) -> Checkpoint:
    """A checkpoint of parts under our names, with the header that came with them, or like's."""
    if like is None:
        header, _, vocab = header.partition("\n") if isinstance(header, str) else (None, "", "")
        if header is None or len(header) > HEADER_BYTES:
            raise CheckpointError(
                "The file does not say its seed, its iter and its vocabulary as ours do; "
                "--like FILE takes them from one of ours."
            )
        like = checkpoint.parse_header(header.encode("ascii", "replace").ljust(HEADER_BYTES))
        if vocab:
            like.vocab = checkpoint.read_trailer(vocab.encode("ascii", "replace"), like, 0)
    config = config or like.config
    if replace(like.config, dropout=config.dropout) != config:
        raise CheckpointError(f"The file's model is {config}, and its header says {like.config}.")
    shapes = parameter_shapes(config)
    for name in parts:
        if name not in shapes:
            raise CheckpointError(f"The file has {name!r:.80}, which our model has no place for.")
    for name, shape in shapes.items():
        if name not in parts:
            raise CheckpointError(f"The file has no {name}.")
        if parts[name].shape != shape:
            raise CheckpointError(f"{name} is of shape {parts[name].shape}; it must be {shape}.")
    weights = np.concatenate([parts[name].reshape(-1) for name in shapes], dtype=np.float32)
    checkpoint.check_finite(weights, shapes, "weights")
    return replace(like, config=config, weights=weights)
