"""Messages on their way to the page (py_src/browser/wire.py)."""

import json
import math

import numpy as np
import pytest
import wire


def crossed(**message: object) -> dict:
    """A message as the page gets it."""
    return json.loads(wire.text_of({"type": "any", **message}))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan"), np.inf])
def test_a_number_that_is_not_finite_crosses_as_null_wherever_it_is(number: float):
    assert crossed(value=number)["value"] is None
    found = crossed(rows=[{"loss": number, "iter": 3}, (1, number)], deep={"a": [[number]]})
    assert found["rows"] == [{"loss": None, "iter": 3}, [1, None]]
    assert found["deep"] == {"a": [[None]]}


def test_numpy_numbers_and_arrays_cross_as_numbers_and_lists():
    found = crossed(
        one=np.float32(0.5),
        many=np.array([[1.0, np.nan]]),
        count=np.int64(3),
        yes=np.bool_(True),
        zero=np.array(2.0),
    )
    assert found == {
        "type": "any",
        "one": 0.5,
        "many": [[1.0, None]],
        "count": 3,
        "yes": True,
        "zero": 2.0,
    }


def test_bytes_are_beside_the_text():
    assert crossed(bytes=b"\0\1", name="a") == {"type": "any", "name": "a"}


def test_what_is_plain_crosses_as_it_is():
    value = {"text": "né\ud800", "none": None, "yes": True, "big": 2**60, "tiny": 5e-324}
    assert crossed(value=value)["value"] == value


class Hostile(float):
    """A number of edited code whose methods raise."""

    def __float__(self):
        raise RuntimeError("no")

    __repr__ = __str__ = __float__


def circular() -> list:
    found: list = []
    found.append(found)
    return found


UNSENDABLE = {
    "an object": object(),
    "a set": {1, 2},
    "bytes within": [b"x"],
    "a list in itself": circular(),
    "a number that raises": Hostile(3),
    "a complex number": 1j,
    "a function": {"a": len},
}


@pytest.mark.parametrize("kind", UNSENDABLE)
def test_what_cannot_be_sent_is_told_in_a_notice_that_names_it(kind: str):
    found = crossed(value=UNSENDABLE[kind])
    if "value" not in found:  # C's encoder takes Hostile for the number that it is
        assert found["type"] == "notice" and "'any'" in found["message"]
    else:
        assert kind == "a number that raises" and found["value"] == 3


def test_what_is_no_message_is_told_too():
    assert json.loads(wire.text_of(["type"]))["type"] == "notice"
