"""Flags: integer bit masks, also accepted as strings such as "STORAGE|COPY_DST"."""

from functools import lru_cache

from .enums import BaseEnum

__all__ = ["BufferUsage", "MapMode", "ShaderStage"]


class Flags(BaseEnum):
    """Base of the flags."""


class BufferUsage(Flags):
    MAP_READ = 1
    MAP_WRITE = 2
    COPY_SRC = 4
    COPY_DST = 8
    INDEX = 16
    VERTEX = 32
    UNIFORM = 64
    STORAGE = 128
    INDIRECT = 256
    QUERY_RESOLVE = 512


class MapMode(Flags):
    READ = 1
    WRITE = 2


class ShaderStage(Flags):
    VERTEX = 1
    FRAGMENT = 2
    COMPUTE = 4


@lru_cache
def flag_value(flag: type[Flags], value: int | str) -> int:
    """The integer that `value` means in `flag`; ValueError for a name that is not there."""
    if not isinstance(value, str):
        return int(value)
    names = [name.strip().upper() for name in value.split("|") if name.strip()]
    unknown = [name for name in names if name not in flag.__members__]
    if unknown or not names:
        raise ValueError(f"Invalid flag value for {flag!r}: {value!r}")
    bits = 0
    for name in names:
        bits |= flag[name]
    return bits
