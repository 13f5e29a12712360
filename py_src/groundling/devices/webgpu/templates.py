"""Templates of `shaders/tiles/`: a kernel's text is made from one, and from the kernel's own file.

Each template says at its head what is put in.
"""

import re
from collections.abc import Iterator, Mapping

from ... import sources
from ..base import DeviceError
from . import wgsl


def declared(code: str, kinds: str, in_fours: str) -> str:
    """The declarations of a kernel's file that begin with one of `kinds` (a regular expression),
    with these buffers as arrays of vec4f.
    """
    kept = [part for part in wgsl.declarations(code).values() if re.match(kinds, part)]
    buffer = rf" ({in_fours}): array<f32>"
    return re.sub(buffer, r" \1: array<vec4f>", "\n".join(kept)) if in_fours else "\n".join(kept)


def fill(path: str, words: set[str], values: Mapping[str, str]) -> str:
    """A template with the values put in, and the lines kept that `words` say. DeviceError."""
    try:
        return "\n".join(_filled(iter(sources.text(path).split("\n")), words, values))
    except ValueError as error:
        raise DeviceError(f"{path}: {error}.") from error


def _filled(lines: Iterator[str], words: set[str], values: Mapping[str, str]) -> Iterator[str]:
    """The lines of a template with the values put in: see the templates. ValueError."""
    for line in lines:
        if line.startswith("//") and not line.startswith("// grid: "):
            continue
        line = re.sub(r"{(\w+)}", lambda found: values.get(found[1], found[0]), line)
        directive, _, rest = line.partition(" ")
        if directive == "#if":
            then, otherwise = _block(lines)
            yield from _filled(iter(then if words & {*rest.split()} else otherwise), words, values)
        elif directive == "#for":
            names, _, rounds = rest.partition(" in ")
            repeated, _ = _block(lines)
            for row in rounds.split(","):
                if len(row.split()) != len(names.split()):
                    raise ValueError(f"{line!r} needs a value for each of {names!r} at {row!r}")
                own = dict(zip(names.split(), row.split(), strict=True))
                yield from _filled(iter(repeated), words, {**values, **own})
        elif line.startswith("#"):
            raise ValueError(f"{line!r} is not a directive, or has no #if or #for before it")
        else:
            yield line


def _block(lines: Iterator[str]) -> tuple[list[str], list[str]]:
    """The lines up to a directive's `#end`: those before its `#else`, and those after."""
    parts, part, depth = ([], []), 0, 1
    for line in lines:
        depth += line.startswith(("#if ", "#for ")) - (line == "#end")
        if not depth:
            return parts
        if line == "#else" and depth == 1:
            part = 1
        else:
            parts[part].append(line)
    raise ValueError("an #if or #for has no #end")
