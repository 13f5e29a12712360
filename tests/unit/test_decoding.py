"""Bytes of a file as text: the encodings that editors write, and sentences for the rest."""

import codecs
import json

import pytest

from groundling.data import BYTES, Corpus
from groundling.runs import configfile, interchange, presets, texts
from groundling.runs.decoding import decode
from groundling.runs.texts import read_as

LINES = "Ödipus, naïve — “quoted”\r\n東京 👻\n"
ENCODED = {
    "UTF-8": LINES.encode(),
    "UTF-8 with a mark": LINES.encode("utf-8-sig"),
    "UTF-16 of Windows": codecs.BOM_UTF16_LE + LINES.encode("utf-16-le"),
    "UTF-16, the other way round": codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"),
    "UTF-32": codecs.BOM_UTF32_LE + LINES.encode("utf-32-le"),
    "UTF-32, the other way round": codecs.BOM_UTF32_BE + LINES.encode("utf-32-be"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_the_encodings_of_editors_all_give_the_same_text(name: str):
    assert decode(ENCODED[name]) == LINES


@pytest.mark.parametrize("tokenizer", ["char-v1", BYTES])
def test_a_text_is_the_same_text_in_whatever_encoding_it_was_saved(tokenizer: str):
    found = [texts.read([("a.txt", data)], tokenizer) for data in ENCODED.values()]
    assert {corpus.sha256 for corpus in found} == {Corpus(LINES).sha256}
    assert {corpus.vocab for corpus in found} == {Corpus(LINES, tokenizer=tokenizer).vocab}


def test_a_mark_at_the_head_of_any_of_several_files_is_no_token():
    corpus = texts.read([("a", "one".encode("utf-8-sig")), ("b", "two".encode("utf-16"))])
    assert corpus.vocab == "".join(sorted(set("one\ntwo")))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            "naïve café".encode("cp1252"),
            "is not UTF-8 text: byte 2, 0xef, cannot be read. It looks",
        ),
        (
            "“or so”, he said".encode("cp1252"),
            "byte 0, 0x93, cannot be read. It looks like W",
        ),
        ("Тихо в лесу".encode("koi8-r"), "byte 0, 0xf4, cannot be read. Save it as UTF-8"),
        ("text, plain".encode("utf-16-le"), "byte 1 is 0, which no text has. It looks like UTF-16"),
        ("text, plain".encode("utf-16-be"), "byte 0 is 0, which no text has. It looks like UTF-16"),
        (b"PK\3\4\0\0\0", "byte 4 is 0, which no text has. Is it the right file?"),
        ("caf\u00e9".encode()[:-1], "byte 3, 0xc3, cannot be read. It ends within a character"),
        ("text".encode("utf-16")[:-1], "is not UTF-16 text: byte 8, 0x74, cannot be read. It ends"),
        ("a\0b".encode("utf-16"), "byte 4 is 0, which no text has"),
    ],
)
def test_what_is_no_text_is_refused_with_the_byte_and_what_it_looks_like(data: bytes, told: str):
    with pytest.raises(ValueError) as error:
        decode(data, "mine.txt")
    assert str(error.value).startswith("mine.txt is not ") and told in str(error.value)
    assert len(str(error.value)) < 250


def test_a_model_of_bytes_learns_files_of_any_kind():
    data = [b"\x00\xff\xfe binary \xe9", "naïve".encode("cp1252"), "ok".encode("utf-8-sig")]
    corpus = texts.read([(str(i), one) for i, one in enumerate(data)], BYTES)
    whole = b"\n".join([data[0], data[1], b"ok"])
    assert bytes([*corpus.train.tolist(), *corpus.val.tolist()]) == whole
    assert corpus.raw_bytes == len(whole)
    with pytest.raises(ValueError, match="'?0 and 2 more'? is not UTF-8 text: byte 1, 0xff"):
        read_as(corpus, "char-v1")
    assert read_as(corpus, BYTES) is corpus


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_config_is_read_as_any_editor_writes_it(coding: str):
    value = configfile.as_json(presets.PRESETS["tiny"])
    value["training"]["seed"] = "Gödel"
    value["model"]["model_name"] = "Größe"
    raw = json.dumps(value, ensure_ascii=False, indent=1).encode(coding)
    setup = configfile.loads(raw)
    assert (setup.train.seed, setup.name) == ("Gödel", "Größe")


def test_a_slip_in_a_config_is_named_by_its_line():
    with pytest.raises(ValueError, match="It is no config: line 2, character 8 is not what JSON"):
        configfile.loads('{"seed":\n  "ö", oh}'.encode())
    with pytest.raises(ValueError, match="looks like Windows-1252"):
        configfile.loads('{"seed": "Gödel"}'.encode("cp1252"))


def test_metadata_of_a_safetensors_file_may_be_of_any_characters():
    header = '{"__metadata__": {"author": "Gödel"}}'.encode()
    parts, metadata = interchange.read_safetensors(len(header).to_bytes(8, "little") + header)
    assert (parts, metadata) == ({}, {"author": "Gödel"})


def test_a_config_says_as_little_as_it_may():
    said = {"context_length": 8, "n_layers": 1, "n_heads": 1, "d_model": 8, "d_mlp": 8}
    said |= {"dropout": 0, "tie_embeddings": True, "dtype": "float32"}
    setup = configfile.loads(json.dumps(said).encode())
    assert (setup.name, setup.tokenizer, setup.vocab_given) == ("custom", "char-v1", None)
    assert setup.on(Corpus("abc" * 9)).model.vocab_size == 3
    setup = configfile.loads(json.dumps(said | {"tokenizer": BYTES}).encode())
    assert setup.model.vocab_size == 256
    setup = configfile.loads(json.dumps(said).encode(), presets.PRESETS["tiny"])
    assert (setup.tokenizer, setup.model.vocab_size) == (BYTES, 256)
    assert configfile.loads(json.dumps(said | {"vocab_size": 65}).encode()).vocab_given == 65
