"""Your own text and model: files read or refused, configs, presets, and files that need no text."""

import hashlib
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundling.cli import inputs, labs
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, CHARACTERS, Corpus, byte_vocabulary, known_vocabulary
from groundling.devices.limits import Limits
from groundling.devices.open import open_device
from groundling.model import parameter_shapes
from groundling.runs import checkpoint, configfile, cost, presets, statefile, texts
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.configfile import Setup
from groundling.runs.presets import PRESETS
from groundling.runs.run import Run
from groundling.runs.statefile import OtherOrigin
from groundling.runs.writer import generate
from groundling.train import train

RHYME = "Über den Wolken muß die Freiheit wohl grenzenlos sein — naïve café.\n" * 20
GUIDE_MODEL = {
    "model_name": "byte-tinygpt-v0",
    "vocab_size": 256,
    "context_length": 128,
    "n_layers": 4,
    "n_heads": 4,
    "d_model": 128,
    "d_mlp": 512,
    "dropout": 0.0,
    "tie_embeddings": True,
    "dtype": "float32",
}
GUIDE_TRAINING = {
    "batch_size": 16,
    "learning_rate": 0.0003,
    "optimizer": "adamw",
    "betas": [0.9, 0.95],
    "eps": 1e-8,
    "weight_decay": 0.1,
    "grad_clip": 1.0,
    "max_steps": 10000,
    "eval_interval": 100,
    "sample_interval": 500,
    "checkpoint_interval": 500,
    "seed": 42,
}
HERE = Limits(2**27, 65_535, 16_384, math.inf, 2**31, shared=False)  # the least, in a page
TINY = dict(block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=16)


def run_of(corpus: Corpus, iters: int = 3, **settings) -> Run:
    model = GPTConfig(corpus.vocab_size, **TINY)
    run = Run(
        TrainConfig(iters=iters, batch_size=2, **settings), corpus, open_device("numpy"), model
    )
    list(train(run))
    return run


# tokenizers


def test_bytes_are_their_own_tokens():
    corpus = Corpus("é\n👻", "mine.txt", BYTES)
    assert corpus.vocab_size == 256
    assert [*corpus.train.tolist(), *corpus.val.tolist()] == list("é\n👻".encode())
    assert corpus.decode(corpus.encode("naïve 👻")) == "naïve 👻"


def test_bytes_that_come_in_parts_are_read_as_a_whole():
    tokens = byte_vocabulary().encode("a👻é")
    assert "".join(byte_vocabulary().decoding(np.split(tokens, range(1, len(tokens))))) == "a👻é"
    assert byte_vocabulary().decode([0xC3, 0x41]) == "\ufffdA"
    assert byte_vocabulary().decode([0xC3]) == "\ufffd"


def test_a_text_by_token_has_one_character_for_each():
    shown = byte_vocabulary().by_token()
    assert shown.decode([0xC3, 0xA9]) == "Ã©"
    assert shown.encode("Ã©").tolist() == [0xC3, 0xA9]


# files


def test_several_files_are_joined_with_a_line_break_where_one_lacks_it():
    corpus = texts.read([("a/one.txt", b"one"), ("two.txt", b"two\n"), ("c", b"three")])
    assert corpus.decode(np.concatenate([corpus.train, corpus.val])) == "one\ntwo\nthree"
    assert corpus.name == "one.txt and 2 more"
    assert corpus.sha256 == hashlib.sha256(b"one\ntwo\nthree").hexdigest()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"plain\0binary", "mine.txt is not text: byte 5 is 0"),
        ("Grüße".encode("latin-1"), "mine.txt is not UTF-8 text: byte 2, 0xfc, cannot be read"),
        ("é".encode()[:1], "byte 0, 0xc3, cannot be read"),
        (b"", "The text 'mine.txt' is empty"),
    ],
)
def test_what_is_no_text_is_refused_with_the_byte(data: bytes, told: str):
    with pytest.raises(ValueError) as error:
        texts.read([("mine.txt", data)])
    assert told in str(error.value)


def test_too_much_text_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(texts, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="The text has 11 bytes; it may have 10 in all"):
        texts.read([("a", b"123456"), ("b", b"12345")])
    with pytest.raises(ValueError, match="no file"):
        texts.read([])


@pytest.fixture
def library(tmp_path, monkeypatch) -> None:
    """A current folder with some texts in a folder `lib`."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.md", "sub/C.TXT", "skip.pdf", ".hidden.txt", ".git/x.txt"):
        path = Path("lib", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


@pytest.mark.native
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["lib"], "a.md b.txt sub/C.TXT"),
        (["lib/sub", "lib/skip.pdf"], "sub/C.TXT skip.pdf"),  # what is named is taken
        (["lib/*.*"], "a.md b.txt skip.pdf"),
        (["lib/**/*.TXT"], "sub/C.TXT"),
        (["lib/b.txt", "lib/[ab].*"], "b.txt a.md b.txt"),
    ],
)
def test_texts_are_taken_from_folders_and_patterns_in_the_order_of_paths(arguments, found, library):
    assert [name for name, _ in texts.gather(arguments)] == [f"lib/{one}" for one in found.split()]
    text = "".join(f"{one}\n" for one in found.split())
    assert texts.read(texts.gather(arguments)).sha256 == Corpus(text).sha256


@pytest.mark.native
def test_a_text_is_taken_from_standard_input(library, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("naïve".encode("utf-16"))))
    corpus = texts.read(texts.gather(["-", "lib/b.txt"]))
    assert corpus.name == "standard input and 1 more"
    assert corpus.sha256 == Corpus("naïve\nb.txt\n").sha256


@pytest.mark.native
@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("lib/sub/deeper", "No such file"),
        ("lib/*.csv", "lib/*.csv: there is no such file."),
        ("none", "none: there is no .txt or .md file."),
    ],
)
def test_where_there_is_no_text_the_argument_is_named(argument, told, library):
    Path("none").mkdir()
    with pytest.raises((ValueError, OSError)) as error:
        texts.read(texts.gather([argument]))
    assert told in str(error.value) and argument in str(error.value)


@pytest.mark.native
def test_a_file_with_the_characters_of_a_pattern_in_its_name_is_itself(library):
    Path("lib/[1].txt").write_text("one")
    Path("lib/1.txt").write_text("other")
    assert list(texts.gather(["lib/[1].txt"])) == [("lib/[1].txt", b"one")]


@pytest.mark.native
def test_a_file_that_is_too_long_for_a_text_is_not_read(library, monkeypatch):
    monkeypatch.setattr(texts, "MAX_BYTES", 5)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="lib/b.txt has 6 bytes; a text may have 5"):
        texts.read(texts.gather(["lib/b.txt"]))


def test_unusual_characters_are_named_and_counted():
    text = "\ufeff" + "plain text\n" * 1000 + "a\xa0b\u200bc \x07\ufffd é"
    found = {one.character: (one.count, one.why) for one in texts.survey(Corpus(text)).unusual}
    assert found["\ufeff"] == (1, "a byte order mark")
    assert found["\xa0"] == (1, "a space, but another one")
    assert found["\u200b"][1] == found["\x07"][1] == "does not show"
    assert found["é"] == (1, "rare")
    assert "p" not in found and "\n" not in found
    survey = texts.survey(Corpus("one two\nthree", tokenizer=BYTES))
    assert (survey.characters, survey.words, survey.lines) == (13, 3, 2)
    assert texts.survey(Corpus("one two\nthree\n")).lines == 2  # the last one is ended


def test_advice_is_by_tokens_for_each_parameter():
    corpus = Corpus("x" * 1000)  # 900 to train on
    assert "too little text" in texts.advice(corpus, 901)[1]
    assert texts.advice(corpus, 900)[0] == 1 and "will do" in texts.advice(corpus, 900)[1]
    assert "plenty" in texts.advice(corpus, 45)[1]


# what files say of it


def test_a_state_has_the_manifest_and_refuses_another_text_by_its_facts():
    corpus = Corpus(RHYME, "rhyme.txt", BYTES)
    saved = statefile.loads(statefile.save_state(run_of(corpus, seed="s")))
    raw = RHYME.encode()
    assert vars(saved.dataset) == {
        "dataset_id": hashlib.sha256(raw).hexdigest(),
        "name": "rhyme.txt",
        "raw_bytes": len(raw),
        "token_count": len(raw),
        "tokenizer": "byte-v1",
        "train_split": 0.9,
        "val_split": 0.1,
        "seed": "s",
    }
    assert saved.vocab is None  # everyone knows the bytes
    other = Corpus(RHYME + "more", "other.txt", BYTES)
    with pytest.raises(OtherOrigin, match=f"'rhyme.txt': raw_bytes was {len(raw)}, and is"):
        statefile.resume(saved, other, open_device("numpy"))
    with pytest.raises(CheckpointError, match="vocabulary is not that of"):
        statefile.resume(saved, Corpus(RHYME), open_device("numpy"))


def test_a_state_from_before_there_were_manifests_still_loads():
    data = Path(__file__).with_name("version1.state").read_bytes()
    saved, head = statefile.loads(data), json.loads(data[:512])
    meta = json.loads(data[512 : 512 + head["metaBytes"]])
    del meta["dataset"], meta["vocab"], meta["config"]["accumulate"]
    text = json.dumps(meta, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = text + data[512 + head["metaBytes"] :]
    head |= {"metaBytes": len(text), "sha256": hashlib.sha256(body).hexdigest()}
    old = statefile.loads(json.dumps(head, separators=(",", ":")).encode().ljust(512) + body)
    assert old.dataset is None and old.state.config == saved.state.config


@pytest.mark.parametrize("tokenizer", [CHARACTERS, BYTES])
def test_weights_carry_their_vocabulary_so_that_they_write_without_a_text(tokenizer: str):
    corpus = Corpus(RHYME, "rhyme.txt", tokenizer)
    run = run_of(corpus)
    data = statefile.save_weights(run)
    ckpt = checkpoint.loads(data)
    vocabulary = checkpoint.vocabulary(ckpt)
    assert vocabulary.vocab == corpus.vocab
    assert checkpoint.dumps(ckpt) == data
    assert checkpoint.trailer_bytes(ckpt) == (
        0 if tokenizer == BYTES else len(data) - 512 - weights_bytes(ckpt)
    )
    assert generate(run.model, vocabulary, "Ü", 9, "s") == generate(run.model, corpus, "Ü", 9, "s")


def weights_bytes(ckpt) -> int:
    return 4 * sum(math.prod(shape) for shape in parameter_shapes(ckpt.config).values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t[:-1], "is no vocabulary: byte"),
        (lambda t: t.replace(b"vocab", b"words"), "it has no vocab"),
        (lambda t: t.replace(b"F", b"G"), "is not the one of vocabHash"),
        (lambda t: t.replace(b"hi", b"ih"), "different characters in order"),
        (lambda t: t + b"{}", "is no vocabulary: byte"),
    ],
)
def test_a_damaged_vocabulary_is_refused_with_its_place(change, told):
    data = statefile.save_weights(run_of(Corpus(RHYME)))
    at = data.index(b'{"vocab"')
    with pytest.raises(CheckpointError) as error:
        checkpoint.loads(data[:at] + change(data[at:]))
    assert str(error.value).startswith(f"What follows the weights at byte {at:,}")
    assert told in str(error.value)


def test_weights_of_a_text_that_is_gone_and_that_say_no_vocabulary_ask_for_it():
    ckpt = checkpoint.loads(statefile.save_weights(run_of(Corpus(RHYME))))
    bare = checkpoint.loads(checkpoint.dumps(replace(ckpt, vocab=None)))
    with pytest.raises(CheckpointError, match="it needs the text it was trained on"):
        checkpoint.vocabulary(bare)


def test_a_files_name_says_the_shape_unless_it_is_the_default():
    assert checkpoint.file_name("a b", 3) == "tinker-shakespeare-a_b-iter3.bin"
    medium = PRESETS["medium"].model
    name = "tinker-l4h4d128f512t96v256-42-iter7"
    assert checkpoint.file_name("42", 7, medium) == f"{name}.bin"
    assert statefile.file_name("42", 7, medium) == f"{name}.state"


# configs and presets


def test_the_guides_files_are_the_preset_byte_v0():
    setup = configfile.loads(json.dumps(GUIDE_MODEL).encode())
    setup = configfile.loads(json.dumps(GUIDE_TRAINING).encode(), setup)
    preset = PRESETS["byte-v0"]
    assert (setup.model, setup.train, setup.tokenizer) == (preset.model, preset.train, BYTES)
    assert (setup.sample_interval, setup.checkpoint_interval) == (500, 500)
    told = configfile.as_json(setup)
    assert GUIDE_MODEL.items() <= told["model"].items()
    assert GUIDE_TRAINING.items() <= told["training"].items()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_written_as_a_config_is_read_as_it_was(name: str):
    setup = PRESETS[name]
    assert configfile.loads(configfile.dumps(setup).encode()) == setup


def test_the_presets_have_the_parameters_that_they_are_named_for():
    found = {row["name"]: row["parameters"] for row in presets.table()}
    assert found["shakespeare"] == 206_016
    assert found["byte-v0"] == 837_888  # the guide: roughly 0.8 million
    assert found["small"] == 363_840  # about 360 k
    assert found["behemoth"] == 472_967_680  # about 470 M
    ladder = list(found.values())[2:]
    assert len(ladder) == 9 and ladder == sorted(ladder)
    for name, setup in PRESETS.items():
        count = sum(math.prod(shape) for shape in parameter_shapes(setup.model).values())
        assert cost.cost(setup).parameters == count, name


@pytest.mark.native
def test_the_readme_has_the_presets_as_they_are():
    lines = ["| preset | layers/heads/width/context | parameters | memory | GFLOP a step |"]
    lines += ["|---|---|---|---|---|"]
    for row in presets.table():
        shape = "/".join(str(row[name]) for name in ("layers", "heads", "width", "context"))
        memory = 2 * row["weights"] + row["moments"] + row["activations"]
        told = f"{memory / 1e6:,.0f} MB{', made again' if row['recomputed'] else ''}"
        told = f"| `{row['name']}` | {shape} | {row['parameters']:,} | {told} | "
        lines.append(told + f"{row['flops'] / 1e9:,.1f} |")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = "\n".join(lines)
    assert table in readme, f"README.md should have:\n{table}"


def model(**changes) -> dict:
    return {"model": GUIDE_MODEL | changes}


def training(**changes) -> dict:
    return {"training": GUIDE_TRAINING | changes}


def without(value: dict, key: str) -> dict:
    return {k: v for k, v in value.items() if k != key}


FITS = Corpus("All that is needed to train a little. " * 500, "fits.txt", BYTES)
IMPOSSIBLE = [
    ([], "It is []; it must be an object."),
    ({"model": 3}, "model is 3; it must be an object."),
    ({**model(), "extra": 1}, "it has 'extra', which does not belong there."),
    ({"model": without(GUIDE_MODEL, "d_model")}, "model has no d_model."),
    ({"training": without(GUIDE_TRAINING, "seed")}, "training has no seed."),
    (model(layers=3), "model has 'layers', which does not belong there."),
    (training(momentum=0.9), "training has 'momentum', which does not belong there."),
    (model(n_layers=0), "n_layers is 0; it must be a whole number from 1 to 256."),
    (model(n_layers=257), "n_layers is 257; it must be a whole number from 1 to 256."),
    (model(n_layers=4.5), "n_layers is 4.5; it must be a whole number"),
    (model(n_layers="4"), "n_layers is '4'; it must be a whole number"),
    (model(n_heads=3), "d_model is 128 and n_heads is 3; the width must divide evenly"),
    (model(n_heads=0), "n_heads is 0; it must be a whole number from 1 to 256."),
    (model(d_model=-128), "d_model is -128; it must be a whole number from 1 to 65,536."),
    (model(d_mlp=10**9), "d_mlp is 1000000000; it must be a whole number from 1 to 262,144."),
    (model(context_length=0), "context_length is 0; it must be a whole number from 1 to 65,536."),
    (model(vocab_size=0), "vocab_size is 0; it must be a whole number from 1 to 2,097,152."),
    (model(vocab_size=255, tokenizer="byte-v1"), "vocab_size is 255; there are 256 bytes."),
    (model(tokenizer="bpe"), "tokenizer is 'bpe'; it must be 'char-v1' or 'byte-v1'."),
    (model(dropout=1), "dropout is 1; it must be a number from 0 to 0.99."),
    (model(dropout=-0.1), "dropout is -0.1; it must be a number from 0 to 0.99."),
    (model(tie_embeddings=False), "tie_embeddings is false; it can only be true."),
    (model(dtype="float16"), 'dtype is "float16"; it can only be "float32".'),
    (model(model_name=""), "model_name is ''; it must be a name of 1 to 60 characters."),
    (training(batch_size=0), "batch_size is 0; it must be a whole number from 1 to 4,096."),
    (training(batch_size=16, accumulate=5), "batch_size is 16 and accumulate is 5; the batch must"),
    (training(learning_rate=-1), "learning_rate is -1; it must be a number from 0 to 1000."),
    (training(min_learning_rate=1), "min_learning_rate is 1, above learning_rate, which is 0.0003"),
    (training(optimizer="sgd"), 'optimizer is "sgd"; it can only be "adamw".'),
    (training(betas=[0.9]), "betas has 1 entries; it must have 2."),
    (training(betas=[0.9, 1.0]), "betas[1] is 1.0; it must be a number from 0 to 0.999999."),
    (training(eps=0), "eps is 0; it must be a number from 1e-30 to 1."),
    (training(grad_clip=0), "grad_clip is 0; it must be a number from 1e-06 to 1e+06."),
    (training(max_steps=1.5), "max_steps is 1.5; it must be a whole number from 0 to 10,000,000."),
    (training(eval_interval=0), "eval_interval is 0; it must be a whole number from 1"),
    (training(sample_interval=0), "sample_interval is 0; it must be a whole number from 1"),
    (training(seed=None), "seed is None; it must be text or a number."),
    # what no adapter of the least limits can do, or no text of this length
    (model(context_length=2048), "The text 'fits.txt' is too short"),
    (
        model(n_layers=1, d_model=4096, d_mlp=4096, n_heads=32),
        "H.0.attn.c_attn: 201,326,592 bytes, and one",
    ),
    (
        model(d_model=1024, d_mlp=4096, n_heads=4),
        "Each of the 4 heads is 256 wide, and attention's",
    ),
    (
        {**model(n_layers=4, context_length=4096), **training(batch_size=4096)},
        "An MLP's hidden layer: 34,359,738,368 bytes, and one tensor may have 134,217,728 here.",
    ),
    (
        model(n_layers=256, d_model=1024, n_heads=16, d_mlp=4096),
        "Its 3,222,",
    ),
    (
        model(vocab_size=5000, tokenizer="char-v1"),
        "A vocabulary of 5,000 takes 40,000 bytes to draw from, and this adapter's workgroups",
    ),
]


@pytest.mark.parametrize(("value", "told"), IMPOSSIBLE)
def test_an_impossible_config_is_refused_with_its_reason(value, told):
    assert len(IMPOSSIBLE) >= 40
    try:
        setup = configfile.loads(json.dumps(value).encode(), PRESETS["byte-v0"])
        found = cost.refusal(setup, HERE, FITS)
    except ValueError as error:
        found = str(error)
    assert found.startswith(told)


def test_what_every_adapter_can_do_is_not_refused():
    for name in ("shakespeare", "byte-v0", "tiny", "small", "medium", "large", "xl", "huge"):
        assert cost.refusal(PRESETS[name], HERE) == "", name
    assert "parameters take about" in cost.refusal(PRESETS["behemoth"], HERE)


def test_attention_that_lavapipe_would_silently_cut_short_is_refused_there():
    """It ends an invocation's loops after 65,535 turns: at 512 tokens and heads of 64, the rows
    from about 416 on were garbage.
    """
    there = replace(HERE, turns=65_535)
    wide = replace(PRESETS["mega"], model=GPTConfig(256, 512, 1, 6, 384, 1536))
    assert "turns its loops 98,816 times" in cost.refusal(wide, there)
    assert cost.refusal(wide, HERE) == ""
    assert cost.refusal(PRESETS["mega"], there) == ""  # 512 tokens, heads of 32


def test_a_refused_config_never_reaches_the_device(monkeypatch, tmp_path, capsys):
    """A text too short: no tensor is made, no kernel runs."""
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("short text " * 20)
    device = open_device("numpy")
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": device)
    assert cli.main(["train", "--preset", "byte-v0", "--text", "short.txt"]) == 2
    assert "The text 'short.txt' is too short" in capsys.readouterr().err
    assert device.counts.dispatches == 0 and not device.pool


# the command line


@pytest.mark.native
def test_the_command_line_trains_a_config_on_own_text_and_samples_from_the_file(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))
    Path("a.txt").write_text(RHYME)
    Path("b.txt").write_text(RHYME.upper())
    small = GUIDE_MODEL | dict(context_length=8, n_layers=1, n_heads=2, d_model=8, d_mlp=8)
    Path("m.json").write_text(json.dumps(small))
    Path("t.json").write_text(json.dumps(GUIDE_TRAINING | dict(max_steps=2, batch_size=2)))
    options = ["--config", "m.json", "t.json", "--text", "a.txt", "b.txt"]
    assert cli.main(["train", *options]) == 0
    said = capsys.readouterr()
    assert "a.txt and 1 more: 2,960 bytes, 2,960 tokens of 256 kinds." in said.err
    name = "tinker-l1h2d8f8t8v256-42-iter2.bin"
    assert said.out.endswith(f"saved {name} and {name.replace('.bin', '.state')}\n")
    Path("a.txt").unlink()
    assert cli.main(["sample", name, "--prompt", "ü", "--length", "5"]) == 0
    assert capsys.readouterr().out.startswith("ü")
    assert known_vocabulary(checkpoint.loads(Path(name).read_bytes()).vocab_hash).tokenizer == BYTES


def test_the_presets_are_listed_with_what_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(presets, "rate", lambda device: 1e9)
    monkeypatch.setattr(labs, "limits", lambda device: HERE)
    assert cli.main(["presets", "--device", "numpy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.split() and line.split()[0] in PRESETS] == [
        *PRESETS
    ]
    assert "cannot be trained here: Its 472,967,680 parameters" in "\n".join(lines)


def test_a_setup_is_on_a_text_of_its_tokenizer_only():
    with pytest.raises(ValueError, match="tokenizer is 'char-v1', and 'fits.txt' is read as 'byte"):
        Setup().on(FITS)
