"""The `.bin` file: its exact bytes, and every file that is refused, with what is said of it."""

import dataclasses
import hashlib
import json
import struct
from datetime import datetime

import numpy as np
import pytest

from groundling.config import MAX_SEED, MODEL_LIMITS, TRAIN_LIMITS, GPTConfig, TrainConfig
from groundling.model import initial_weights
from groundling.rng import Stream
from groundling.runs import checkpoint
from groundling.runs.checkpoint import Checkpoint, CheckpointError, dumps, file_name, loads

VOCAB_HASH = "a2b8d01246933c0923ea2a7b46a1056f40c18710360097851369cdf7958fee95"
TINY = GPTConfig(vocab_size=3, block_size=2, n_layer=1, n_head=1, n_embd=2, d_ff=1)
TINY_WEIGHTS = 42  # wte 6, wpe 4, the block 2 2 12 4 2 2 2 2, ln_f 2 2


@pytest.fixture
def ckpt() -> Checkpoint:
    return Checkpoint(
        config=TINY,
        seed="hamlet",
        iter=200,
        val_loss=2.81,
        vocab_hash=VOCAB_HASH,
        created_at="2026-11-21T08:00:00.005Z",
        weights=np.arange(TINY_WEIGHTS, dtype=np.float32),
    )


def header_of(data: bytes) -> dict:
    return json.loads(data[:512])


def with_header(data: bytes, header: dict | str) -> bytes:
    """The file with another header, written as it comes."""
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    return text.encode("latin-1").ljust(512) + data[512:]


def refusal(data: bytes, vocab_hash: str | None = None) -> str:
    with pytest.raises(CheckpointError) as error:
        loads(data, vocab_hash)
    return str(error.value)


# What is written


def test_the_file_of_the_default_model_is_laid_out_as_golden_json_says(ckpt, golden):
    ckpt.config, ckpt.iter, ckpt.val_loss = GPTConfig(), 0, None
    ckpt.weights = initial_weights(ckpt.config, ckpt.seed)
    data = dumps(ckpt)
    facts = golden["bin"]
    assert len(data) == facts["total_bytes"]
    weights = data[facts["header_bytes"] :]
    expected = golden["init"]["sha256 of the 824064 weight bytes at iter 0"]["hamlet"]
    assert hashlib.sha256(weights).hexdigest() == expected
    gain = facts["float_offsets"]["ln_f.weight"][0]
    assert struct.unpack_from("<64f", weights, 4 * gain) == (1.0,) * 64


def test_the_header_is_these_bytes_and_the_weights_follow_in_little_endian(ckpt):
    data = dumps(ckpt)
    header = (
        '{"format":"tinker-m18-v1","config":{"vocabSize":3,"contextLen":2,"dModel":2,"nHead":1,'
        '"nLayer":1,"dFF":1},"seed":"hamlet","vocabHash":"' + VOCAB_HASH + '","iter":200,'
        '"valLoss":2.81,"createdAt":"2026-11-21T08:00:00.005Z"}'
    )
    assert data[:512] == header.encode() + b" " * (512 - len(header))
    assert data[512:] == struct.pack(f"<{TINY_WEIGHTS}f", *range(TINY_WEIGHTS))


# What JSON.stringify gives in Node 20.
@pytest.mark.parametrize(
    ("value", "javascript"),
    [
        (2.0, "2"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (4.174387269895637, "4.174387269895637"),
        (1e-5, "0.00001"),
        (1.25e-6, "0.00000125"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (2.5e30, "2.5e+30"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (float("nan"), "null"),
        (None, "null"),
    ],
)
def test_a_validation_loss_prints_as_in_javascript(ckpt, value, javascript):
    ckpt.val_loss = value
    data = dumps(ckpt)
    assert f'"valLoss":{javascript},"createdAt"'.encode() in data
    assert loads(data).val_loss == (None if javascript == "null" else value)


def test_a_seed_with_other_characters_is_escaped_to_ascii(ckpt):
    ckpt.seed = 'é👻"\\\n\ud800'
    data = dumps(ckpt)
    assert rb'"seed":"\u00e9\ud83d\udc7b\"\\\n\ud800"' in data
    assert loads(data).seed == ckpt.seed


def test_a_header_that_does_not_fit_is_refused(ckpt):
    spare = 512 - len(dumps(ckpt)[:512].rstrip()) + len(ckpt.seed)
    ckpt.seed = "x" * spare
    assert loads(dumps(ckpt)).seed == ckpt.seed
    ckpt.seed += "x"
    with pytest.raises(CheckpointError, match="513 bytes .* room for 512.* too long by 1"):
        dumps(ckpt)


def test_every_seed_that_can_be_trained_fits_the_largest_header(ckpt):
    seed = TrainConfig(seed="x" * MAX_SEED).seed
    largest = {name: limits[1] for name, limits in MODEL_LIMITS.items() if name != "dropout"}
    keys = {key: largest[name] for key, name in checkpoint.CONFIG_KEYS.items()}
    header = header_of(dumps(ckpt)) | {"config": keys, "seed": seed}
    header |= {"iter": TRAIN_LIMITS["iters"][1], "valLoss": 1.7976931348623157e308}
    assert len(json.dumps(header, separators=(",", ":"))) <= 512


def test_nothing_is_written_that_could_not_be_read(ckpt):
    for change in (
        {"weights": ckpt.weights[:-1]},
        {"weights": np.full_like(ckpt.weights, np.nan)},
        {"iter": -1},
        {"vocab_hash": ""},
        {"created_at": "yesterday"},
    ):
        with pytest.raises(CheckpointError):
            dumps(dataclasses.replace(ckpt, **change))


@pytest.mark.parametrize(
    ("seed", "name"),
    [
        ("hamlet", "tinker-shakespeare-hamlet-iter200.bin"),
        ("to be/or_not-2B!", "tinker-shakespeare-to_be_or_not-2B_-iter200.bin"),
        ("../../é", "tinker-shakespeare-_______-iter200.bin"),
        ("x" * 40, f"tinker-shakespeare-{'x' * 32}-iter200.bin"),
        ("", "tinker-shakespeare--iter200.bin"),
    ],
)
def test_the_file_is_named_after_the_seed_and_the_iter(seed, name):
    assert file_name(seed, 200) == name


def test_now_is_written_as_javascript_writes_it():
    text = checkpoint.now()
    assert len(text) == len("2026-11-21T08:00:00.005Z")
    assert text.endswith("Z")
    apart = datetime.now().astimezone() - datetime.fromisoformat(text)
    assert abs(apart.total_seconds()) < 60


# What is read


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_read_is_what_was_written(ckpt, kind):
    read = loads(kind(dumps(ckpt)), VOCAB_HASH)
    for field in ("config", "seed", "iter", "val_loss", "vocab_hash", "created_at"):
        assert getattr(read, field) == getattr(ckpt, field)
    assert read.weights.dtype == np.float32
    np.testing.assert_array_equal(read.weights, ckpt.weights)
    assert dumps(read) == dumps(ckpt)


def test_the_weights_that_were_read_can_be_changed(ckpt):
    data = dumps(ckpt)
    loads(data).weights[:] = 7
    assert loads(data).weights[0] == 0


def test_a_validation_loss_may_be_a_whole_number(ckpt):
    read = loads(with_header(dumps(ckpt), header_of(dumps(ckpt)) | {"valLoss": 2})).val_loss
    assert read == 2.0
    assert isinstance(read, float)


# What is refused


@pytest.mark.parametrize("length", [0, 1, 511])
def test_a_file_shorter_than_a_header(ckpt, length):
    assert f"has {length} bytes, fewer than the 512" in refusal(dumps(ckpt)[:length])


@pytest.mark.parametrize(("change", "told"), [(-1, "1 are missing"), (-168, "168 are missing")])
def test_a_file_cut_short(ckpt, change, told):
    said = refusal(dumps(ckpt)[:change])
    assert f"The file has {680 + change} bytes; its header says 42 weights, which make 680" in said
    assert told in said


@pytest.mark.parametrize("extra", [1, 4])
def test_a_file_with_more_after_its_weights(ckpt, extra):
    assert f"{extra} are too many" in refusal(dumps(ckpt) + b"\0" * extra)


def test_a_file_of_another_vocabulary(ckpt):
    data = dumps(ckpt)
    assert "belongs to another text" in refusal(data, "0" * 64)


@pytest.mark.parametrize(
    ("index", "value", "told"),
    [
        (0, np.nan, "wte[0, 0] is nan: 1 of the 42 weights"),
        (5, np.inf, "wte[2, 1] is inf"),
        (6, -np.inf, "wpe[0, 0] is -inf"),
        (13, np.nan, "h.0.ln_1.bias[1] is nan"),
        (16, np.nan, "h.0.attn.c_attn[0, 2] is nan"),
        (41, np.nan, "ln_f.bias[1] is nan"),
    ],
)
def test_a_weight_that_is_not_finite_is_named(ckpt, index, value, told):
    data = bytearray(dumps(ckpt))
    struct.pack_into("<f", data, 512 + 4 * index, value)
    assert told in refusal(bytes(data))


@pytest.mark.parametrize(
    ("header", "byte"),
    [
        ("PK\x03\x04", 0),
        ("", 512),
        ('{"format":"tinker-m18-v1"', 512),
        ('{"format":"tinker-m18-v1"}}', 26),
        ('{"format":"tinker-m18-v1"}\0', 26),
        ('{"format":"tinker-m18-v1","seed":"é"}', 34),
        ('{"seed":"a\nb"}', 10),
    ],
)
def test_a_header_that_is_not_ascii_json(ckpt, header, byte):
    said = refusal(with_header(dumps(ckpt), header))
    assert f"byte {byte} is not what ASCII JSON has there" in said
    assert "Is it the right file?" in said


@pytest.mark.parametrize("nested", ["[" * 512, '{"a":' * 102, "[" * 256 + "]" * 256])
def test_a_header_nested_deep(ckpt, nested):
    assert "Is it the right file?" in refusal(with_header(dumps(ckpt), nested))


@pytest.mark.parametrize("header", ["[]", "null", "7", '"tinker-m18-v1"', "{}"])
def test_a_header_without_a_format(ckpt, header):
    assert "does not say its format" in refusal(with_header(dumps(ckpt), header))


@pytest.mark.parametrize("format", ["tinker-m18-v2", "", None, 1, ["tinker-m18-v1"]])
def test_an_unknown_format(ckpt, format):
    header = header_of(dumps(ckpt)) | {"format": format}
    said = refusal(with_header(dumps(ckpt), header))
    assert f"The file's format is {format!r}; only 'tinker-m18-v1' can be read." == said


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_json_does_not_have(ckpt, constant):
    text = json.dumps(header_of(dumps(ckpt))).replace("2.81", constant)
    assert f"{constant} is not a JSON number" in refusal(with_header(dumps(ckpt), text))


@pytest.mark.parametrize(
    ("twice", "told"),
    [('"iter":200', '"iter":200,"iter":200'), ('"nHead":1', '"nHead":1,"nHead":1')],
)
def test_a_key_that_comes_twice(ckpt, twice, told):
    text = json.dumps(header_of(dumps(ckpt)), separators=(",", ":")).replace(twice, told)
    key = twice.split('"')[1]
    assert f"it has '{key}' twice" in refusal(with_header(dumps(ckpt), text))


@pytest.mark.parametrize("key", ["config", "seed", "vocabHash", "iter", "valLoss", "createdAt"])
def test_a_key_that_is_missing(ckpt, key):
    header = header_of(dumps(ckpt))
    del header[key]
    assert f"it has no {key}." in refusal(with_header(dumps(ckpt), header))


@pytest.mark.parametrize("key", checkpoint.CONFIG_KEYS)
def test_a_config_key_that_is_missing(ckpt, key):
    header = header_of(dumps(ckpt))
    del header["config"][key]
    assert f"config has no {key}." in refusal(with_header(dumps(ckpt), header))


def test_a_key_too_many(ckpt):
    data = dumps(ckpt)
    header = header_of(data)
    assert "it has 'dropout', which" in refusal(with_header(data, header | {"dropout": 0}))
    header["config"]["bias"] = True
    assert "config has 'bias', which does not belong" in refusal(with_header(data, header))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("config", [], "config is []; it must be an object."),
        ("config", None, "config is None; it must be an object."),
        ("seed", 7, "seed is 7; it must be text."),
        ("seed", None, "seed is None; it must be text."),
        ("vocabHash", VOCAB_HASH[1:], "; it must be 64 hexadecimal digits."),
        ("vocabHash", VOCAB_HASH.upper(), "; it must be 64 hexadecimal digits."),
        ("vocabHash", VOCAB_HASH + "\n", "; it must be 64 hexadecimal digits."),
        ("iter", -1, "iter is -1; it must be a whole number from 0"),
        ("iter", 2.5, "iter is 2.5; it must be a whole number"),
        ("iter", True, "iter is True; it must be a whole number"),
        ("iter", "200", "iter is '200'; it must be a whole number"),
        ("iter", None, "iter is None; it must be a whole number"),
        ("iter", 10**90, "; it must be a whole number"),
        ("valLoss", "2.81", "valLoss is '2.81'; it must be a number from 0"),
        ("valLoss", -1, "valLoss is -1; it must be a number from 0"),
        ("valLoss", True, "valLoss is True; it must be a number from 0"),
        ("valLoss", [2.81], "valLoss is [2.81]; it must be a number from 0"),
        ("createdAt", 0, "createdAt is 0; it must be a time like 2026-"),
        ("createdAt", "2026-11-21", "createdAt is '2026-11-21'; it must be a time"),
        ("createdAt", "2026-11-21T08:00:00Z", "; it must be a time"),
        ("createdAt", "٢٠٢٦-11-21T08:00:00.005Z", "; it must be a time"),
    ],
)
def test_a_header_value_that_is_not_what_it_should_be(ckpt, key, value, told):
    header = header_of(dumps(ckpt)) | {key: value}
    said = refusal(with_header(dumps(ckpt), header))
    assert said.startswith(f"The file's header is wrong: {key} is ")
    assert told in said


def test_a_validation_loss_beyond_a_float(ckpt):
    text = json.dumps(header_of(dumps(ckpt))).replace("2.81", "1e999")
    assert "valLoss is inf; it must be a number" in refusal(with_header(dumps(ckpt), text))


@pytest.mark.parametrize("key", checkpoint.CONFIG_KEYS)
@pytest.mark.parametrize("value", [0, -4, 2.0, True, "4", None, 2**31, 10**20])
def test_a_config_value_out_of_range(ckpt, key, value):
    header = header_of(dumps(ckpt))
    header["config"][key] = value
    said = refusal(with_header(dumps(ckpt), header))
    assert said.startswith(f"The file's header is wrong: config.{key} is ")
    assert "it must be a whole number from 1 to" in said


def test_a_width_that_the_heads_cannot_share(ckpt):
    header = header_of(dumps(ckpt))
    header["config"]["nHead"] = 3
    assert "must divide evenly" in refusal(with_header(dumps(ckpt), header))


def test_a_header_that_promises_terabytes_is_refused_by_its_size_alone(ckpt):
    header = header_of(dumps(ckpt))
    for key, name in checkpoint.CONFIG_KEYS.items():
        header["config"][key] = MODEL_LIMITS[name][1]
    assert "are missing; it was cut short" in refusal(with_header(dumps(ckpt), header))


def test_a_damaged_file_is_read_or_refused_but_never_anything_else(ckpt):
    data = dumps(ckpt)
    length = len(data[:512].rstrip())
    stream, refused = Stream("fuzz"), 0
    for _ in range(2000):
        damaged = bytearray(data)
        for word in stream.words(1 + stream.words(1)[0] % 3):
            at, byte = word % length, word >> 24
            kind = word >> 16 & 3
            if kind == 0:
                damaged[at] = byte
            elif kind == 1:
                damaged[at] = b'"{}[],:0123456789eE+-.\\unft '[byte % 27]
            elif kind == 2:
                del damaged[at : at + byte % 9]
            else:
                damaged[at:at] = damaged[at // 2 : at // 2 + byte % 9]
        damaged[512:] = data[512:] if byte % 2 else damaged[512:]
        try:
            loads(bytes(damaged))
        except CheckpointError as error:
            refused += 1
            assert 10 < len(str(error)) < 300
    assert refused > 1000
