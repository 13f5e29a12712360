"""Templates of `shaders/tiles/`: a kernel's text is made from one, and from the kernel's own file.

Each template says at its head what is put in.
"""

import re
from collections.abc import Iterator, Mapping

from ... import sources
from ..base import DeviceError
from . import wgsl

Lines = Iterator[tuple[int, str]]
"""Lines of a template with their numbers, from 1."""


class Filled(str):
    """A kernel's text that was made from a template."""

    lines: list[int]  # for each of its lines, from which line of the template it is


def declared(code: str, kinds: str, in_fours: str) -> str:
    """The declarations of a kernel's file that begin with one of `kinds` (a regular expression),
    with these buffers as arrays of vec4f.
    """
    kept = [part for part in wgsl.declarations(code).values() if re.match(kinds, part)]
    buffer = rf" ({in_fours}): array<f32>"
    return re.sub(buffer, r" \1: array<vec4f>", "\n".join(kept)) if in_fours else "\n".join(kept)


def fill(path: str, words: set[str], values: Mapping[str, str]) -> Filled:
    """A template with the values put in, and the lines kept that `words` say. DeviceError."""
    try:
        filled = list(_filled(enumerate(sources.text(path).split("\n"), 1), words, values))
    except ValueError as error:
        raise DeviceError(f"{path}, {error}.") from error
    text = Filled("\n".join(line for _, line in filled))
    text.lines = [number for number, line in filled for _ in line.split("\n")]
    return text


def _filled(lines: Lines, words: set[str], values: Mapping[str, str]) -> Lines:
    """The lines of a template with the values put in: see the templates. ValueError."""
    for number, line in lines:
        if line.startswith("//") and not line.startswith("// grid: "):
            continue
        line = re.sub(r"{(\w+)}", lambda found: values.get(found[1], found[0]), line)
        directive, _, rest = line.partition(" ")
        if directive == "#if":
            then, otherwise = _block(lines, number)
            yield from _filled(iter(then if words & {*rest.split()} else otherwise), words, values)
        elif directive == "#for":
            names, _, rounds = rest.partition(" in ")
            repeated, _ = _block(lines, number)
            for row in rounds.split(","):
                if len(row.split()) != len(names.split()):
                    raise ValueError(
                        f"line {number}: {line!r} needs a value for each of {names!r} at {row!r}"
                    )
                own = dict(zip(names.split(), row.split(), strict=True))
                yield from _filled(iter(repeated), words, {**values, **own})
        elif line.startswith("#"):
            raise ValueError(
                f"line {number}: {line!r} is not a directive, or has no #if or #for before it"
            )
        else:
            yield number, line


def _block(lines: Lines, start: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The lines up to the `#end` of the directive in line `start`: those before its `#else`, and
    those after.
    """
    parts, part, depth = ([], []), 0, 1
    for number, line in lines:
        depth += line.startswith(("#if ", "#for ")) - (line == "#end")
        if not depth:
            return parts
        if line == "#else" and depth == 1:
            part = 1
        else:
            parts[part].append((number, line))
    raise ValueError(f"line {start}: its #if or #for has no #end")
