"""Everything that reads what others wrote, on damaged input: it is read whole, or refused.

500 cases of each kind of input, 100 in Pyodide; GROUNDLING_FUZZ=20000 makes it that many. Damage
that a file's own SHA-256 would catch is sealed again in half of the cases, so that it reaches what
lies behind.
"""

import base64
import hashlib
import io
import json
import os
import re
import struct
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.edits import project
from groundling.edits.fragment import base64url, pack, unpack
from groundling.labs import link
from groundling.labs.curve import Curve, read_log
from groundling.rng import Stream
from groundling.runs import checkpoint, configfile, interchange, statefile, texts
from groundling.runs.decoding import decode
from groundling.runs.run import Run
from groundling.train import train

CASES = int(os.environ.get("GROUNDLING_FUZZ", 100 if sys.platform == "emscripten" else 500))
TEXT = "To be, or not to be, that is the question:\n" * 3
TOKENS = (
    *('"', "{", "}", "[", "]", ",", ":", "-1", "0", "1e999", "2", "4294967296", "1e-400", "NaN"),
    *("null", "true", "[]", "{}", '""', "99999999999999999999999", "\\ud800", "é", "\0", "0.5"),
)


@dataclass
class Kind:
    """A kind of input: a good one, how it is read, and how what was read is written again."""

    good: bytes
    read: Callable[[bytes], object]
    write: Callable[[object], bytes]
    error: type[ValueError]
    text: int  # this many of its first bytes are JSON, or all of them a link
    seal: Callable[[bytes], bytes] = bytes
    least: float = 0.5  # of the damaged inputs this share is refused: of texts only some can be


def kinds() -> dict[str, Kind]:
    corpus = Corpus(TEXT)
    config = GPTConfig(corpus.vocab_size, block_size=2, n_layer=1, n_head=1, n_embd=2, d_ff=8)
    settings = TrainConfig(iters=9, batch_size=1, eval_interval=3, eval_batches=1)
    run = Run(settings, corpus, NumPyDevice(), config)
    for _ in train(run, 5):
        pass
    weights, whole = statefile.save_weights(run), statefile.save_state(run)
    ckpt = checkpoint.loads(weights)
    folder = interchange.to_gpt2(ckpt, corpus)
    tensors = interchange.to_safetensors(ckpt)
    fragment = link.dumps(link.claim(statefile.loads(whole))).encode()
    settings = TrainConfig(seed="b", iters=7, batch_size=2, lr=1e-3)
    small = project.Project("Mine", {"shaders/x.wgsl": "// é\n"}, settings)
    packed = project.to_zip(small)
    edited = link.dumps(replace(link.claim(statefile.loads(whole)), edits=small.files))
    start = 512 + json.loads(whole[:512])["metaBytes"]
    bad_file = checkpoint.CheckpointError

    def gpt2(data: bytes) -> checkpoint.Checkpoint:
        return interchange.from_gpt2(folder | {"config.json": data})

    def config_of(ckpt: checkpoint.Checkpoint) -> bytes:
        its_own = SimpleNamespace(**vars(corpus) | {"vocab_hash": ckpt.vocab_hash})
        return interchange.to_gpt2(ckpt, its_own)["config.json"]

    return {
        "bin": Kind(weights, checkpoint.loads, checkpoint.dumps, bad_file, 300),
        "state": Kind(whole, statefile.loads, statefile.dumps, bad_file, start, seal),
        "safetensors": Kind(
            tensors,
            interchange.from_safetensors,
            interchange.to_safetensors,
            bad_file,
            8 + int.from_bytes(tensors[:8], "little"),
        ),
        "gpt2": Kind(folder["config.json"], gpt2, config_of, bad_file, 10**9),
        "link": Kind(
            fragment,
            lambda data: link.loads(data.decode("latin-1")),
            lambda value: link.dumps(value).encode(),
            link.LinkError,
            10**9,
        ),
        "edited": Kind(  # what is in a link of a run whose code was edited
            unpack(edited, 10**6),
            lambda data: link.loads(pack(data)),
            lambda value: inside(link.dumps(value)),
            link.LinkError,
            10**9,
        ),
        "claim": Kind(  # what is in a link, so that damage is to the JSON and not its encoding
            base64.urlsafe_b64decode(fragment + b"=="),
            lambda data: link.loads(base64url(data)),
            lambda value: base64.urlsafe_b64decode(link.dumps(value) + "=="),
            link.LinkError,
            10**9,
        ),
        "zip": Kind(packed, project.from_zip, project.to_zip, project.ProjectError, 350, seal_zip),
        "code": Kind(
            project.to_link(small).encode(),
            lambda data: project.from_link(data.decode("latin-1")),
            lambda value: project.to_link(value).encode(),
            project.ProjectError,
            10**9,
        ),
        "project": Kind(  # what is in such a link
            unpack(project.to_link(small).removeprefix("code="), 10**6),
            lambda data: project.from_link("code=" + pack(data)),
            lambda value: unpack(project.to_link(value).removeprefix("code="), 10**6),
            project.ProjectError,
            10**9,
        ),
        "text": Kind(READABLE.encode("utf-8-sig"), decode, marked, ValueError, 10**9, least=0.2),
        "UTF-16 text": Kind(
            READABLE.encode("utf-16"), decode, marked_16, ValueError, 10**9, least=0.02
        ),
        "bytes": Kind(READABLE.encode("cp1252"), as_bytes, of_bytes, ValueError, 10**9, least=0),
        "config": Kind(
            configfile.dumps(configfile.Setup(name="größer")).encode(),
            configfile.loads,
            lambda setup: configfile.dumps(setup).encode(),
            ValueError,
            10**9,
        ),
        "log": Kind(json_lines(CURVE), read_log, json_lines, ValueError, 10**9),
        "CSV": Kind(csv(CURVE), read_log, csv, ValueError, 10**9, least=0.3),
    }


READABLE = "Ödipus: naïve — “so” cœur\r\n" * 5
CURVE = Curve(
    [0, 5, 7, 20], [4.2, 3.5, 3e-7, 2.0], [4.19, None, None, 2.25], [3e-6, 6e-6, 0.1, None]
)


def marked(text: str) -> bytes:
    return text.encode("utf-8-sig")


def marked_16(text: str) -> bytes:
    return text.encode("utf-16")


def as_bytes(data: bytes) -> bytes:
    """The text that a model of bytes is trained on, where the bytes are no text."""
    corpus = texts.read([("a", data)], "byte-v1")
    return bytes([*corpus.train.tolist(), *corpus.val.tolist()])


def of_bytes(data: bytes) -> bytes:
    return data if as_bytes(data) == data else b"\xef\xbb\xbf" + data


def rows(curve: Curve) -> list[dict]:
    names = "iter", "train", "val", "lr"
    columns = (getattr(curve, name) for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def json_lines(curve: Curve) -> bytes:
    found = [{name: x for name, x in row.items() if x is not None} for row in rows(curve)]
    return "".join(f"{json.dumps(row)}\n" for row in found).encode()


def csv(curve: Curve) -> bytes:
    lines = [["" if x is None else repr(x) for x in row.values()] for row in rows(curve)]
    return "\n".join(map(",".join, [["iter", "train", "val", "lr"], *lines])).encode()


def inside(fragment: str) -> bytes:
    """The JSON in a link, which is packed where it has edits."""
    raw = base64.urlsafe_b64decode(fragment + "==")
    return raw if raw[:1] == b"{" else unpack(fragment, 10**6)


def seal_zip(data: bytes) -> bytes:
    """A zip whose headers have the CRC-32 of what they stand for, if they can."""
    sealed = bytearray(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            entries, at = packed.infolist(), packed.start_dir
        for entry in entries:
            start = entry.header_offset
            names = struct.unpack_from("<HH", data, start + 26)
            begin = start + 30 + sum(names)
            crc = struct.pack("<I", zlib.crc32(data[begin : begin + entry.file_size]))
            sealed[start + 14 : start + 18] = sealed[at + 16 : at + 20] = crc
            at += 46 + sum(struct.unpack_from("<HHH", data, at + 28))
    except (*project.PROBLEMS, MemoryError):
        return data
    return bytes(sealed)


def seal(data: bytes) -> bytes:
    """A state whose header has the hash and the sizes of what follows it, if it still can."""
    body = data[512:]
    good = json.loads(SEALED["state"].good[:512])
    sizes = {name.encode(): good[name] for name in ("records", "sampleBytes", "floats")}
    rest = 40 * good["records"] + good["sampleBytes"] + 4 * good["floats"]
    sizes[b"metaBytes"] = len(body) - rest
    header = data[:512]
    for name, size in sizes.items():
        header = re.sub(rb'"%b":\d+' % name, b'"%b":%d' % (name, max(0, size)), header)
    digest = hashlib.sha256(body).hexdigest().encode()
    header = re.sub(rb'"sha256":"[^"]*"', b'"sha256":"' + digest + b'"', header)
    return header.rstrip()[:512].ljust(512) + body


SEALED = kinds()


def damage(kind: Kind, stream: Stream) -> bytes:
    """The good input with one to three changes, mostly in its text."""
    data = bytearray(kind.good)
    for word in stream.words(1 + stream.words(1)[0] % 3):
        where, what, byte = stream.words(3)
        end = len(data) if word % 8 == 0 else min(kind.text, len(data))
        at, byte = where % max(1, end), byte >> 24
        if what % 8 == 0:
            data[at : at + 1] = bytes([data[at] ^ 1 << byte % 8] if data else [])
        elif what % 8 == 1:
            data[at : at + 1] = bytes([byte])
        elif what % 8 == 2:
            del data[at : at + 1 + byte % 9]
        elif what % 8 == 3:
            data[at:at] = data[at // 2 : at // 2 + byte % 40]
        elif what % 8 == 4:
            data[at:at] = TOKENS[byte % len(TOKENS)].encode("latin-1")
        elif what % 8 == 5 and (numbers := list(re.finditer(rb"-?\d[\d.e+-]*", data[:end]))):
            number = numbers[where % len(numbers)]
            data[number.start() : number.end()] = TOKENS[byte % len(TOKENS)].encode("latin-1")
        elif what % 8 == 6 and (digits := list(re.finditer(rb"\d", data[:end]))):
            data[digits[where % len(digits)].start()] = 48 + byte % 10
        else:
            del data[len(data) - byte % 80 :]
    return bytes(data)


def same(a: object, b: object) -> bool:
    """Equal, bit for bit where there are numbers."""
    if isinstance(a, np.ndarray):
        return a.tobytes() == b.tobytes()
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and a != a:
        return b != b
    if hasattr(a, "__dataclass_fields__"):
        names = [name for name, field in a.__dataclass_fields__.items() if field.compare]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    return a == b


@pytest.mark.parametrize("name", SEALED)
def test_damaged_input_is_read_whole_or_refused_with_a_sentence(name: str):
    kind, refused = SEALED[name], 0
    stream = Stream(f"fuzz {name}")
    largest = 0
    tracemalloc.start()
    try:
        for case in range(CASES):
            data = damage(kind, stream)
            if case % 2:
                data = kind.seal(data)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                value = kind.read(data)
            except kind.error as error:
                refused += 1
                said = str(error)
                assert 10 < len(said) < 500, said
                if kind.error is not ValueError:  # else it goes on from the file's name
                    assert said[0].isupper() or said.startswith(("wte", "wpe", "h.", "ln", "conf"))
            else:
                again = kind.read(kind.write(value))
                assert same(again, value), case
            largest = max(largest, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    print(f"{name}: {refused:,} of {CASES:,} refused; at most {largest:,} bytes at once")
    assert refused >= kind.least * CASES
    assert largest < 2_000_000 + 100 * len(kind.good)


@pytest.mark.parametrize("name", [name for name, kind in SEALED.items() if kind.least >= 0.3])
def test_bytes_of_chance_are_refused(name: str):
    kind, stream = SEALED[name], Stream(f"noise {name}")
    for _ in range(CASES // 5):
        words = np.array(stream.words(1 + stream.words(1)[0] % 300), np.uint32)
        with pytest.raises(kind.error):
            kind.read(words.tobytes())


@pytest.mark.parametrize("name", SEALED)
def test_the_good_input_is_read_and_written_as_it_was(name: str):
    kind = SEALED[name]
    assert kind.write(kind.read(kind.good)) == kind.good
    assert kind.seal(kind.good) == kind.good
