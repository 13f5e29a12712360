"""Kernel fusion: two kernels of a captured step become one that does the work of both.

A step is captured as a list of commands, each a kernel, its tensors and its parameters, one for
each op and each op's gradients. On a small model most of a step is the time between dispatches, so
`fuse` rewrites that list by these rules before its memory is allocated:

* A `@rule` names two kernels, and one that does both in one pass over the numbers: for instance a
  matrix product that adds the residual before it stores. The intermediate result is then not
  stored. The fused kernel's file lists the kernels that it stands for, each with a digest, so that
  an edited kernel is never replaced by a fused one without the edit.
* `SIDE_BY_SIDE` names independent pairs, which can share a dispatch: "matmul_nt + matmul_tn" is
  both kernels unchanged, each on some of the workgroups.

Two commands are joined only if no command in between and no later use could give another result.
To add a rule: write the kernel and its NumPy reference, list what it stands for (see
devices/fused.py), and map the tensors here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .plan import Command
from .tensor import Storage, Tensor

JOINED = " + "  # between the names of kernels that share a dispatch
MOST_BUFFERS = 8  # of one dispatch, on every WebGPU adapter
WIDEST_NORM = 128  # channels: a longer row does not fit an invocation's memory


Join = Callable[[Command, Command], Command | None]
Writes = Callable[[Command], Sequence[bool]]
"""For each tensor of a command, whether its kernel writes to it."""
Stands = Callable[[str], bool]
"""Whether a kernel may stand for those that it was made from: they were not edited since."""
RULES: list[tuple[str, str, Join]] = []


def rule(first: str, second: str) -> Callable[[Join], Join]:
    """Register a rule: a function that returns the command for both, or None if they do not fit."""
    return lambda join: RULES.append((first, second, join)) or join


@rule("embedding", "position_embedding")
def _(rows: Command, positions: Command) -> Command | None:
    (tokens, wte, x), (embedded, wpe, y) = rows.tensors, positions.tensors
    if not same(x, embedded):
        return None
    params = rows.params | {"period": positions.params["period"]}
    return Command("embedding_position", (tokens, wte, wpe, y), params)


@rule("matmul_nn", "add")
def _(product: Command, total: Command) -> Command | None:
    (a, b, y), (left, right, z) = product.tensors, total.tensors
    if product.params["accumulate"] or same(left, y) == same(right, y):
        return None
    x = left if same(right, y) else right
    return Command("matmul_residual", (a, b, x, z), sizes(product))


@rule("layernorm", "matmul_nn")
def _(norm: Command, product: Command) -> Command | None:
    (x, weight, bias, h, stats), (a, b, y) = norm.tensors, product.tensors
    width = norm.params["n_embd"]
    if not same(h, a) or width != product.params["k"] or width > WIDEST_NORM:
        return None
    if product.params["accumulate"]:
        return None
    params = norm.params | {"n": product.params["n"]}
    return Command("layernorm_matmul", (x, weight, bias, b, h, stats, y), params)


@rule("layernorm_matmul", "gelu")
def _(product: Command, gelu: Command) -> Command | None:
    u, (x, y) = product.tensors[-1], gelu.tensors
    if not same(u, x):
        return None
    return Command("layernorm_matmul_gelu", (*product.tensors, y), product.params)


@rule("matmul_nt", "gelu_backward")
def _(product: Command, gelu: Command) -> Command | None:
    (a, b, y), (x, dy, dx) = product.tensors, gelu.tensors
    if not same(y, dy) or product.params["accumulate"] or gelu.params["accumulate"]:
        return None
    return Command("matmul_nt_gelu_backward", (a, b, x, dx), sizes(product))


@rule("clip", "adamw")
def _(clip: Command, step: Command) -> Command | None:
    (partial, grad, norm), (hyper, g, w, m, v) = clip.tensors, step.tensors
    if not same(grad, g):
        return None
    tensors = partial, hyper, g, w, m, v, norm
    return Command("clip_adamw", tensors, clip.params | step.params)


SIDE_BY_SIDE = (
    ("matmul_nt_gelu_backward", "matmul_tn"),  # the gradients of a linear layer, by x and by weight
    ("matmul_nt", "matmul_tn"),
    ("matmul_nn", "matmul_tn"),  # and of the unembedding
    ("position_embedding_backward", "attention_backward"),  # where it adds up parts of a sum
    ("layernorm_backward_params", "layernorm_backward"),
    ("position_embedding_backward", "embedding_backward"),
)


def fuse(
    commands: list[Command], writes: Writes, stands: Stands, results: set[Storage]
) -> list[Command]:
    """The same work in fewer commands. `results` are the storages that are used afterwards."""
    rules = [*RULES, *((a, b, side_by_side) for a, b in SIDE_BY_SIDE)]
    for first, second, join in rules:
        i = 0
        while i < len(commands):
            if commands[i].kernel == first:
                commands = _join(commands, i, second, join, writes, stands, results)
            i += 1
    return commands


def side_by_side(first: Command, second: Command) -> Command:
    """Both in one dispatch, with the parameters of each as `a_size` and `b_size`."""
    params = {
        f"{letter}_{name}": value
        for letter, command in (("a", first), ("b", second))
        for name, value in command.params.items()
    }
    name = first.kernel + JOINED + second.kernel
    return Command(name, first.tensors + second.tensors, params)


def split(
    kernel: str, tensors: Sequence, params: dict[str, float], count: Callable[[str], int]
) -> Iterator[tuple[str, list[Any], dict[str, float]]]:
    """The parts of a shared dispatch: kernel, tensors (as many as `count` says), parameters."""
    at = 0
    for letter, name in zip("ab", kernel.split(JOINED), strict=True):
        own = {key[2:]: value for key, value in params.items() if key[:2] == f"{letter}_"}
        yield name, list(tensors[at : at + count(name)]), own
        at += count(name)


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same part of the same memory."""
    return region(a) == region(b)


def meet(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have memory in common."""
    return a.storage is b.storage and a.offset < b.offset + b.size and b.offset < a.offset + a.size


def region(t: Tensor) -> tuple[Storage, int, int, str]:
    """A tensor's place in memory, to compare."""
    return t.storage, t.offset, t.size, t.dtype


def sizes(product: Command) -> dict[str, float]:
    """A matrix product's m, k and n."""
    return {name: product.params[name] for name in "mkn"}


def _join(
    commands: list[Command],
    i: int,
    second: str,
    join: Join,
    writes: Writes,
    stands: Stands,
    results: set[Storage],
) -> list[Command]:
    """The commands with the i-th joined to the next of kernel `second` that it can be joined to."""
    first = commands[i]
    for j in range(i + 1, len(commands)):
        if commands[j].kernel != second or not (joined := join(first, commands[j])):
            continue
        both = f"{first.line}, {commands[j].line}".split(", ")
        lines = dict.fromkeys(line for line in both if line)
        joined = replace(joined, line=", ".join(lines))
        between = commands[i + 1 : j]
        others = commands[:i] + between + commands[j + 1 :]
        if not _is_possible(first, commands[j], joined, others, writes, stands, results):
            continue
        if not any(_depend(commands[j], c, writes) for c in between):
            return [*commands[:i], joined, *between, *commands[j + 1 :]]
        if not any(_depend(first, c, writes) for c in between):
            return [*commands[:i], *between, joined, *commands[j + 1 :]]
    return commands


def _is_possible(
    first: Command,
    second: Command,
    joined: Command,
    others: list[Command],
    writes: Writes,
    stands: Stands,
    results: set[Storage],
) -> bool:
    """Whether a command may replace two: it can run, and what it does not store is unused."""
    if JOINED in joined.kernel and _depend(first, second, writes):
        return False
    if not stands(joined.kernel) or len({region(t) for t in joined.tensors}) > MOST_BUFFERS:
        return False
    used = list(zip(joined.tensors, writes(joined), strict=True))
    read = {t.storage for t, written in used if not written}
    if any(written and t.storage in read for t, written in used):
        return False  # WebGPU forbids one dispatch to read and write two parts of one buffer
    stored = {region(t) for t in joined.tensors}
    dropped = {
        t.storage
        for t in _written(first, writes) + _written(second, writes)
        if region(t) not in stored
    }
    seen = {t.storage for command in others for t in command.tensors} | results
    return not any(storage.buffer is not None or storage in seen for storage in dropped)


def _depend(a: Command, b: Command, writes: Writes) -> bool:
    """Whether the order of two commands matters: one writes what the other reads or writes."""
    return _overlap(_written(a, writes), b.tensors) or _overlap(_written(b, writes), a.tensors)


def _written(command: Command, writes: Writes) -> list[Tensor]:
    return [t for t, w in zip(command.tensors, writes(command), strict=True) if w]


def _overlap(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return any(meet(a, b) for a in some for b in others)
