"""Structs: the dicts that descriptors nest, with their fields checked by name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .base import explain

__all__ = [
    "BindGroupEntry",
    "BindGroupLayoutEntry",
    "BufferBinding",
    "BufferBindingLayout",
    "ComputePassTimestampWrites",
    "ProgrammableStage",
]


class Struct(Mapping):
    """A dataclass that reads like a dict."""

    def __getitem__(self, key: str) -> Any:
        return vars(self)[key]

    def __iter__(self):
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))


@dataclass(kw_only=True)
class BufferBinding(Struct):
    buffer: Any
    offset: int = 0
    size: int | None = None


@dataclass(kw_only=True)
class BindGroupEntry(Struct):
    binding: int
    resource: Any


@dataclass(kw_only=True)
class BufferBindingLayout(Struct):
    type: str = "uniform"
    has_dynamic_offset: bool = False
    min_binding_size: int = 0


@dataclass(kw_only=True)
class BindGroupLayoutEntry(Struct):
    binding: int
    visibility: int | str
    buffer: BufferBindingLayout | dict | None = None


@dataclass(kw_only=True)
class ProgrammableStage(Struct):
    module: Any
    entry_point: str | None = None
    constants: dict[str, float] | None = None


@dataclass(kw_only=True)
class ComputePassTimestampWrites(Struct):
    query_set: Any
    beginning_of_pass_write_index: int | None = None
    end_of_pass_write_index: int | None = None


def checked(struct: type[Struct], value: Struct | dict) -> Struct:
    """`value` as that struct; ValueError for a key it has not, TypeError for another type."""
    if isinstance(value, struct):
        return value
    if not isinstance(value, dict):
        raise TypeError(f"Expecting {struct.__name__} or dict, but got {value!r}")
    unknown = value.keys() - {field.name for field in fields(struct)}
    if unknown:
        text = f"Invalid keys in {struct.__name__}: {unknown}"
        raise ValueError(text + explain(" ".join(map(str, unknown))))
    return struct(**value)
