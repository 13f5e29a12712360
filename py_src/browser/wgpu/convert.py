"""Names, numbers and descriptors on their way from Python to JavaScript."""

import re
from collections.abc import Mapping
from operator import index
from typing import Any

from js import Object
from pyodide.ffi import JsProxy
from pyodide.ffi import to_js as pyodide_to_js


def camel_case(name: str) -> str:
    """entry_point -> entryPoint"""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def kebab_case(name: str) -> str:
    """maxTextureDimension1D, max_texture_dimension_1d -> max-texture-dimension-1d"""
    # A word begins at each capital, and 1D, 2D and 3D are words.
    words = re.sub(r"(?<=[^-_])(?=[123]D|[A-Z])(?!(?<=[123])D)", "-", name)
    return words.replace("_", "-").lower()


def unsigned(value: int) -> int:
    """`value` as a plain int; TypeError if it is not whole, OverflowError if it is negative."""
    value = index(value)
    if value < 0:
        raise OverflowError("can't convert negative number to unsigned")
    return value


def to_js(value: Any) -> Any:
    """Dicts become objects, lists arrays, GPU objects what they wrap. None is left out of dicts."""
    return pyodide_to_js(_unwrapped(value), dict_converter=Object.fromEntries)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {camel_case(k): _unwrapped(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_unwrapped(item) for item in value]
    return getattr(value, "_internal", value)


def verbatim(value: dict) -> JsProxy:
    """A JavaScript object whose keys keep their names."""
    return pyodide_to_js(value, dict_converter=Object.fromEntries)
