"""JSON that is exactly what it should be, or a sentence that says where it is not.

What comes in files and links was written by anyone. `parse` and the checks take nothing on trust:
no key twice, none missing, none too many, every number in its range. They raise a ValueError that
names the key or the byte. Files that programs write are ASCII; `parse_text` is for those that
people write, which may be of any characters.

`check` takes a rule: the limits of a number; a pattern of text, and what it is in words; a list of
rules, for a list of that length; a dictionary of rules, for an object with exactly those keys; or
a function of the name and the value, such as ANY, `or_none(rule)` and `each(rule)`.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from decimal import Decimal
from typing import Any

from ..config import check_number, shown
from ..data import TOKENIZERS

TEXT = "(?s).*", "text"
HASH = "[0-9a-f]{64}", "64 hexadecimal digits"
TOKENIZER = "|".join(TOKENIZERS), " or ".join(TOKENIZERS)
COUNT, WORD = (0, 2**53), (0, 2**32 - 1)
LOSS = 0.0, sys.float_info.max
TIME = (
    "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z",
    "a time like 2026-11-21T08:00:00.000Z",
)
MAX_DEPTH = 20  # ours are nested 4 deep; a config.json of others may be some deeper
BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[][{}]', re.DOTALL)  # and whole strings, to skip
FINITE = -sys.float_info.max, sys.float_info.max


class NotJSON(ValueError):
    """Not JSON: the first byte (or character) that shows it, its place in words, and why."""

    def __init__(
        self, at: int, problem: str = "is not what ASCII JSON has there.", where: str = ""
    ):
        self.at, self.problem, self.where = at, problem, where or f"byte {at}"
        super().__init__(f"{self.where} {problem}")


def parse(raw: bytes) -> Any:
    """The value of ASCII JSON. NotJSON, also for what is nested deeper than anything of ours, which
    in the page would end Python itself; ValueError for what only Python would take as JSON.
    """
    try:
        return _parse(raw.decode("ascii"))
    except UnicodeDecodeError as error:
        raise NotJSON(error.start) from None


def parse_text(text: str) -> Any:
    """The value of JSON that people write. A NotJSON names the line."""
    try:
        return _parse(text)
    except NotJSON as error:
        line, column = text.count("\n", 0, error.at) + 1, error.at - text.rfind("\n", 0, error.at)
        problem = error.problem.replace("ASCII ", "")
        where = f"line {line:,}, character {column:,}"
        raise NotJSON(error.at, problem, where) from None


def _parse(text: str) -> Any:
    depth = 0
    for bracket in BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        if depth > MAX_DEPTH:
            raise NotJSON(bracket.start(), f"opens more than {MAX_DEPTH} levels of brackets.")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        raise NotJSON(getattr(error, "pos", 0)) from None


def dumps(value: object) -> str:
    """Compact ASCII JSON, numbers as JavaScript's JSON.stringify prints them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dumps, value)) + "]"
    return _javascript(value) if isinstance(value, float) else json.dumps(value)


def check(name: str, value: object, rule: Any) -> None:
    """ValueError unless the value is as the rule says, with the name of what is not. The keys of
    an object that is called "it" stand for themselves.
    """
    if callable(rule):
        rule(name, value)
    elif isinstance(rule, dict):
        check_keys(name, value, rule)
        for key, one in rule.items():
            check(key if name == "it" else f"{name}.{key}", value[key], one)
    elif isinstance(rule, list):
        check_list(name, value, len(rule))
        for i, one in enumerate(rule):
            check(f"{name}[{i}]", value[i], one)
    elif isinstance(rule[0], str):
        check_text(name, value, *rule)
    else:
        check_number(name, value, rule)


def ANY(name: str, value: object) -> None:
    """The rule of a value that is checked elsewhere."""


def or_none(rule: Any) -> Callable[[str, object], None]:
    """The rule of a value that may be null."""
    return lambda name, value: None if value is None else check(name, value, rule)


def each(rule: Any, length: int | None = None) -> Callable[[str, object], None]:
    """The rule of a list, of any length unless one is given, whose values have this rule."""

    def check_each(name: str, value: object) -> None:
        check_list(name, value, length)
        for i, one in enumerate(value):
            check(f"{name}[{i}]", one, rule)

    return check_each


def check_keys(name: str, value: object, keys: Iterable[str]) -> None:
    """ValueError unless value is an object with exactly these keys."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {shown(value)}; it must be an object.")
    for key in keys:
        if key not in value:
            raise ValueError(f"{name} has no {key}.")
    for key in value:
        if key not in keys:
            raise ValueError(f"{name} has {shown(key)}, which does not belong there.")


def check_list(name: str, value: object, length: int | None = None) -> None:
    """ValueError unless value is a list, of that length if one is given."""
    if not isinstance(value, list):
        raise ValueError(f"{name} is {shown(value)}; it must be a list.")
    if length not in (None, len(value)):
        raise ValueError(f"{name} has {len(value):,} entries; it must have {length:,}.")


def check_text(name: str, value: object, pattern: str = TEXT[0], kind: str = TEXT[1]) -> None:
    """ValueError unless value is text that the pattern matches whole; kind says it in words."""
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{name} is {shown(value)}; it must be {kind}.")


def check_config(name: str, value: object, kind: type) -> Any:
    """A GPTConfig or TrainConfig from its fields by name. Raises ValueError."""
    if kind.__name__ == "TrainConfig" and isinstance(value, dict):
        value.setdefault("accumulate", 1)  # what was written before batches had parts lacks it
    check_keys(name, value, [field.name for field in fields(kind)])
    try:
        return kind(**value)
    except ValueError as error:
        raise ValueError(f"{name} is wrong: {error}") from None


class _Refused(Exception):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict:
    """A JSON object in which every key comes once."""
    value = {}
    for key, item in pairs:
        if key in value:
            raise _Refused(f"it has {shown(key)} twice.")
        value[key] = item
    return value


def _refuse(constant: str) -> None:
    raise _Refused(f"{constant} is not a JSON number.")


def _javascript(x: float) -> str:
    """2 for 2.0, 0.00001 for 1e-05, 1e-7 for 1e-07: the digits are Python's, their layout is not.

    https://tc39.es/ecma262/#sec-numeric-types-number-tostring
    """
    if not math.isfinite(x):
        return "null"
    if x == 0:
        return "0"
    if 1e-6 <= abs(x) < 1e21:
        digits = f"{Decimal(repr(x)):f}"
        return digits.removesuffix(".0")
    return re.sub(r"(\.0)?e([+-])0*", r"e\2", repr(x))
