"""What reads files and links, on input that Hypothesis makes: it is read whole, or refused.

tests/unit/test_fuzz.py damages bytes by chance. Here the damage is shrunk to the least that fails,
and there are other values in the place of those in the JSON, and whole zips of anything. 250 cases
of each; GROUNDLING_FUZZ=20000 makes it that many. It is a folder of its own since Hypothesis is not
inside Pyodide.
"""

import io
import json
import os
import tracemalloc
import zipfile

import pytest
import test_fuzz as fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("GROUNDLING_FUZZ", 250))
KINDS = fuzz.SEALED
IN_JSON = "bin", "state", "safetensors", "gpt2", "claim", "edited", "project", "config"
often = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=CASES == 250,  # the suite's cases are the same each time
    suppress_health_check=list(HealthCheck),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def check(kind, data: bytes) -> None:
    """It is read, and what was read is read again from what is written of it; or a sentence says
    why not. Neither takes much memory.
    """
    tracemalloc.start()
    try:
        value = kind.read(data)
    except kind.error as error:
        said = str(error)
        assert 10 < len(said) < 500, said
    else:
        assert fuzz.same(kind.read(kind.write(value)), value)
    finally:
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert largest < 2_000_000 + 100 * len(data)


def places(value: object) -> list[tuple]:
    """Where a JSON value has values, each by its keys and indices."""
    items = ()
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    return [(), *((key, *rest) for key, inner in items for rest in places(inner))]


def replaced(value: object, place: tuple, new: object) -> object:
    """The value with another one in that place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(copy[place[0]], place[1:], new)
    return copy


def documents(name: str) -> list:
    """The JSON in a good input, each with what makes an input of such a JSON."""
    good = KINDS[name].good
    if name == "bin":
        return [(good[:512], lambda text: text.ljust(512) + good[512:])]
    if name == "state":
        meta = json.loads(good[:512])["metaBytes"]
        body, rest = good[512 : 512 + meta], good[512 + meta :]
        return [
            (good[:512], lambda text: text.ljust(512) + good[512:]),
            (body, lambda text: KINDS[name].seal(good[:512] + text + rest)),
        ]
    if name == "safetensors":
        end = 8 + int.from_bytes(good[:8], "little")

        def header(text: bytes) -> bytes:
            return len(text).to_bytes(8, "little") + text + good[end:]

        return [(good[8:end], header)]
    return [(good, lambda text: text)]


@pytest.mark.parametrize("name", KINDS)
def test_changed_bytes(name: str):
    kind = KINDS[name]
    end, text = len(kind.good), min(kind.text, len(kind.good))
    where = st.integers(0, text) | st.integers(0, end)
    change = st.tuples(where, st.integers(0, 12), st.binary(max_size=12))

    @often
    @given(st.lists(change, min_size=1, max_size=4), st.booleans())
    def changed(changes: list, sealed: bool):
        data = bytearray(kind.good)
        for at, cut, new in changes:
            data[at : at + cut] = new
        check(kind, kind.seal(bytes(data)) if sealed else bytes(data))

    changed()


@pytest.mark.parametrize("name", IN_JSON)
def test_other_values_in_the_json(name: str):
    kind, found = KINDS[name], documents(name)
    choices = [
        (value, place, make)
        for text, make in found
        for value in [json.loads(text)]
        for place in places(value)
    ]

    @often
    @given(st.lists(st.tuples(st.integers(0, len(choices) - 1), values), min_size=1, max_size=2))
    def other(changes: list):
        (value, place, make), new = choices[changes[0][0]], changes[0][1]
        value = replaced(value, place, new)
        for at, more in changes[1:]:
            if choices[at][2] is make and choices[at][1] in places(value):
                value = replaced(value, choices[at][1], more)
        check(kind, make(json.dumps(value).encode()))

    other()


names = st.sampled_from(
    ["project.json", "README.txt", "shaders/gelu.wgsl", "py_src/groundling/train.py", "../x.py"]
) | st.text(max_size=30)


@often
@given(st.lists(st.tuples(names, st.binary(max_size=200)), max_size=6), st.booleans())
def test_zips_of_anything(entries: list, with_project: bool):
    kind, packed = KINDS["zip"], io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(kind.good)) as good, zipfile.ZipFile(packed, "w") as made:
        if with_project:
            made.writestr("project.json", good.read("project.json"))
        for name, data in entries:
            try:
                made.writestr(name, data, zipfile.ZIP_DEFLATED)
            except (ValueError, IndexError):
                continue  # zipfile itself cannot write such a name
    check(kind, packed.getvalue())


@pytest.mark.parametrize("name", KINDS)
def test_bytes_of_any_kind(name: str):
    @often
    @given(st.binary(max_size=700))
    def any_bytes(data: bytes):
        check(KINDS[name], data)

    any_bytes()
