"""The types of messages (py_src/browser/messages), and how a message is not of its type."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import messages

PLAIN = {str: str, int: int, float: (int, float), bool: bool, NoneType: NoneType}
PLAIN |= {bytes: (bytes, memoryview)}
hints = cache(get_type_hints)


def declared(kind: str) -> dict[str, type]:
    """The types of all commands or reports, by the "type" of the messages."""
    found = {}
    for module in pkgutil.iter_modules(messages.__path__, "messages."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if messages.type_of(name)[1] == kind:
                found[messages.type_of(name)[0]] = value
    return found


COMMANDS, REPORTS = declared("Command"), declared("Report")


def faults(value: object, kind: object, at: str) -> Iterator[str]:
    """How a value, as it is in JSON, is not of a type; and where."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        found = [list(faults(value, one, at)) for one in inner]
        yield from [] if [] in found else max(found, key=lambda one: len(one[0]))
    elif (is_typeddict(kind) or is_dataclass(kind)) and isinstance(value, dict):
        required = getattr(kind, "__required_keys__", hints(kind).keys())
        yield from (f"{at} has no {name}" for name in required - value.keys())
        yield from (f"{at} may not have {name}" for name in value.keys() - hints(kind).keys())
        for name in value.keys() & hints(kind).keys():
            yield from faults(value[name], hints(kind)[name], f"{at}.{name}")
    elif origin is dict and isinstance(value, dict):
        for name, one in value.items():
            yield from faults(one, inner[1], f"{at}.{name}")
    elif origin is list and isinstance(value, list):
        for i, one in enumerate(value):
            yield from faults(one, inner[0], f"{at}[{i}]")
    elif origin is tuple and isinstance(value, list) and len(value) == len(inner):
        for i, (one, of) in enumerate(zip(value, inner, strict=True)):
            yield from faults(one, of, f"{at}[{i}]")
    elif origin is Literal:
        if value not in inner:
            yield f"{at} is {value!r:.40}"
    elif not isinstance(value, PLAIN.get(kind, ())) or (isinstance(value, bool) > (kind is bool)):
        yield f"{at} is {value!r:.40}, which is no {kind}"
