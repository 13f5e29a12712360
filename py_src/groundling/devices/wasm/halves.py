"""A captured step in two halves: first one half of the batch's sequences, then the other, and the
sums of both.

Most kernels compute each sequence by itself, so each half runs them on its own rows. Those that sum
over the batch, into the gradients, give two sums; the second is added to the first. So one core may
do the halves in turn or two cores at once, with the same bytes. What is not known to fit in, such
as an edited kernel, and whatever needs its results, runs on the whole batch, after the halves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...engine.fuse import JOINED, region, split
from ...engine.plan import Command, Plan
from ...engine.tensor import Storage, Tensor
from ..kernels import KERNELS
from ..numpy import NumPyDevice
from ..unedited import is_original

WORD = 4  # bytes of a number

# By kernel, its parameter that counts rows, its buffers that have a stretch for each row, and those
# that it sums over the rows into, where `by_rows` does not say it.
ROWS = {
    "embedding_position": ("rows", {"tokens", "y"}, set()),
    "position_embedding": ("size", {"x", "y"}, set()),
    "rmsnorm": ("rows", {"x", "y"}, set()),
    "rmsnorm_backward": ("rows", {"x", "dy", "dx"}, set()),
    "cross_entropy_backward": ("rows", {"logits", "targets", "lse", "dlogits"}, set()),
    "matmul_tn": ("k", {"a", "b"}, {"y"}),
    "embedding_backward": ("rows", {"tokens", "dy"}, {"dweight"}),
    "position_embedding_backward": ("size", {"dy"}, {"dweight"}),
    "layernorm_backward_params": ("rows", {"x", "stats", "dy"}, {"dweight", "dbias"}),
} | {
    name: (function.rows[0], function.rows[1], set())
    for name, function in KERNELS.items()
    if hasattr(function, "rows") and not function.rows[2]
}


@dataclass(frozen=True)
class Halves:
    """Where in a plan's commands each half begins, where the second ends and its sums are added."""

    first: int
    second: int
    end: int
    sums: int  # 0 where there are no gradients

    def exchanged(self, plan: Plan, writes: Callable) -> tuple[list[Tensor], list[Tensor]]:
        """What the second half needs of the memory before it, and what it leaves for later."""
        later = {t.storage for c in plan.commands[self.end :] for t in c.tensors} | plan.results()
        needs: list[Tensor] = []
        made: dict[tuple, Tensor] = {}
        for c in plan.commands[self.second : self.end]:
            adds = any(c.params[name] for name in c.params if name.startswith("accumulate"))
            used = list(zip(c.tensors, writes(c), strict=True))
            needs += [t for t, written in used if region(t) not in made and (adds or not written)]
            made |= {region(t): t for t, written in used if written}
        passing = plan.bytes.keys() - later
        return needs, [t for t in made.values() if t.storage not in passing]


def halve(plan: Plan, device: NumPyDevice) -> Halves | None:
    """Put a plan's commands in halves, before its memory is laid out; None, and the plan as it was,
    if that takes in less than half of them.
    """
    sorting = _Sorting(plan, device)
    if len(sorting.halved) <= len(sorting.before) + len(sorting.after):
        return None
    first, second, sums = sorting.halves()
    plan.commands = [*sorting.before, *first, *second, *sums, *sorting.after]
    start, each = len(sorting.before), len(first)
    return Halves(start, start + each, start + 2 * each, len(sums))


class _Sorting:
    """The commands of a plan, sorted into those before the halves, in them and after them. Their
    order changes only where it does not matter.
    """

    def __init__(self, plan: Plan, device: NumPyDevice):
        self.plan, self.device = plan, device
        self.before: list[Command] = []
        self.halved: list[Command] = []
        self.after: list[Command] = []
        # What the halves use: by rows, always the same ones; as a whole; and to sum in.
        self.rows: dict[Storage, tuple] = {}
        self.shared: set[Storage] = set()
        self.sums: dict[Storage, dict] = {}  # and the regions of each, in order
        self.late: set[Storage] = set()  # what is used after them
        self.late_written: set[Storage] = set()
        for command in _pieces(plan.commands, device.n_buffers):
            self._sort(command)

    def _sort(self, command: Command) -> None:
        flags = zip(command.tensors, self.device.writes(command), strict=True)
        written = {t.storage for t, writes in flags if writes}
        touched = {t.storage for t in command.tensors}
        if touched & self.rows.keys() and self._enter(command, touched, written):
            return
        of_halves = self.rows.keys() | self.sums.keys() | self.late_written
        if touched & of_halves or written & (self.shared | self.late):
            self.after.append(command)
            self.late |= touched
            self.late_written |= written
            return
        self.before.append(command)
        if command.kernel == "gather_batch" and command.params["batch"] % 2 == 0:
            self.rows |= {t.storage: region(t) for t in command.tensors if t.storage in written}

    def _enter(self, command: Command, touched: set[Storage], written: set[Storage]) -> bool:
        """Enter a command into the halves, if it can be done in them."""
        kernel, params = command.kernel, command.params
        if kernel not in ROWS or not is_original(kernel, self.device.kernels[kernel]):
            return False
        count, in_rows, in_sums = ROWS[kernel]
        names = KERNELS[kernel].__code__.co_varnames
        rows, sums, shared = {}, [], set()
        for name, t in zip(names, command.tensors, strict=False):
            if name in in_rows:
                if t.size % 2 or (rows | self.rows).get(t.storage, region(t)) != region(t):
                    return False
                rows[t.storage] = region(t)
            elif name in in_sums:
                adds = params.get(f"accumulate_{name[1:]}", params.get("accumulate"))
                if adds and region(t) not in self.sums.get(t.storage, {}):
                    return False
                sums.append(t)
            else:
                shared.add(t.storage)
        summed = {t.storage for t in sums}
        half, width = params[count] // 2, params.get("n_embd", 1)
        is_cut = half * width % (params.get("period") or 1)  # amid what repeats
        if (
            params[count] % 2
            or is_cut
            or touched & self.late_written
            or written & (self.late | self.shared | shared)
            or (rows.keys() | shared) & (self.sums.keys() | summed)
            or (shared | summed) & (self.rows.keys() | rows.keys())
        ):
            return False
        self.rows |= rows
        self.shared |= shared
        for t in sums:
            self.sums.setdefault(t.storage, {})[region(t)] = t
        if kernel == "cross_entropy_backward":  # it divides by the number of rows
            logits, targets, lse, dloss, dlogits = command.tensors
            part = Tensor(dloss.device, self._storage(WORD), 0, (1,))
            scale = {"size": 1, "factor": 0.5, "accumulate": 0}
            self.before.append(Command("copy", (dloss, part), scale, command.line))
            self.shared.add(part.storage)
            command = replace(command, tensors=(logits, targets, lse, part, dlogits))
        self.halved.append(replace(command, params=params | {count: half}))
        return True

    def _storage(self, n_bytes: int) -> Storage:
        storage = Storage()
        self.plan.bytes[storage] = n_bytes
        return storage

    def halves(self) -> tuple[list[Command], list[Command], list[Command]]:
        """The commands of each half, and those that add the sums of the second to the first's."""
        own = self.rows.keys() & self.plan.bytes.keys() - self.plan.results()
        for c in self.before + self.after:
            own -= {t.storage for t in c.tensors}
        for c in self.halved:
            own -= {t.storage for t in c.tensors if WORD * t.size != self.plan.bytes.get(t.storage)}
        parts = {s: [self._storage(self.plan.bytes[s] // 2) for _ in (0, 1)] for s in own}
        sums = {
            s: self._storage(WORD * max(t.offset + t.size for t in regions.values()))
            for s, regions in self.sums.items()
        }

        def half(t: Tensor, which: int) -> Tensor:
            if t.storage in sums:
                storage = sums[t.storage] if which else t.storage
                return Tensor(t.device, storage, t.offset, t.shape, t.dtype)
            if t.storage not in self.rows:
                return t
            if t.storage in parts:
                return Tensor(t.device, parts[t.storage][which], 0, (t.size // 2,), t.dtype)
            at = t.offset + which * (t.size // 2)
            return Tensor(t.device, t.storage, at, (t.size // 2,), t.dtype)

        both = [
            [replace(c, tensors=tuple(half(t, which) for t in c.tensors)) for c in self.halved]
            for which in (0, 1)
        ]
        line = self.halved[-1].line
        additions = []
        for storage, regions in self.sums.items():
            some = next(iter(regions.values()))
            for at, end in stretches((t.offset, t.offset + t.size) for t in regions.values()):
                whole = Tensor(some.device, storage, at, (end - at,))
                more = {"size": end - at, "factor": 1.0, "accumulate": 1}
                additions.append(Command("copy", (half(whole, 1), whole), more, line))
        return *both, additions


def _pieces(commands: Sequence[Command], n_buffers: Callable[[str], int]) -> Iterator[Command]:
    """The commands, those that share a dispatch each by itself."""
    for c in commands:
        if JOINED not in c.kernel:
            yield c
            continue
        for kernel, tensors, params in split(c.kernel, c.tensors, c.params, n_buffers):
            yield Command(kernel, tuple(tensors), params, c.line)


def stretches(ranges: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places in the fewest ranges, each from a start to an end."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            start, before = found.pop()
            end = max(end, before)
        found.append((start, end))
    return found
