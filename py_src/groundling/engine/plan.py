"""A captured call: its kernels in order, and their memory."""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from .tensor import Storage, Tensor


@dataclass(frozen=True)
class Command:
    """One dispatch: the arguments of `device.run(c.kernel, *c.tensors, **c.params)`."""

    kernel: str
    tensors: tuple[Tensor, ...]
    params: dict[str, float]
    line: str = ""  # of Python that ran it: "model.py:73", or "model.py:73 back" for its gradient


class Plan:
    """The commands of one captured call, fused where possible (see fuse.py), and their memory.

    A tensor that is made in a capture has an empty storage. The plan's commands use another storage
    in its place, its shadow, so that the empty one lives only as long as Python holds the tensor:
    those left at the end of the capture are the results. Memory is allocated then: to a result for
    good, to any other storage from the first command that uses it to the last.
    """

    def __init__(self):
        self.commands: list[Command] = []
        self.shadows: WeakKeyDictionary[Storage, Storage] = WeakKeyDictionary()
        self.bytes: dict[Storage, int] = {}  # of each shadow
        self.prepared: list = []  # each command, prepared by the device
        self.compiled = None  # all of them, prepared by the device

    def storage(self, n_bytes: int) -> Storage:
        """An empty storage for a tensor of so many bytes."""
        storage, shadow = Storage(), Storage()
        self.shadows[storage], self.bytes[shadow] = shadow, n_bytes
        return storage

    def add(
        self, kernel: str, tensors: tuple[Tensor, ...], params: dict[str, float], line: str
    ) -> None:
        """Record a dispatch. It keeps the storages that it uses."""
        held = [
            Tensor(t.device, self.shadows.get(t.storage, t.storage), t.offset, t.shape, t.dtype)
            for t in tensors
        ]
        self.commands.append(Command(kernel, tuple(held), params, line))

    def results(self) -> set[Storage]:
        """The shadows of the results."""
        return set(self.shadows.values())

    def lay_out(self, allocate: Callable[[int], Storage]) -> None:
        """Allocate memory to each storage; those that are not in use at the same time share it."""
        last = {t.storage: i for i, c in enumerate(self.commands) for t in c.tensors}
        free: dict[int, list[Storage]] = {}
        results = self.results()

        def give(storage: Storage) -> None:
            n_bytes = self.bytes[storage]
            storage.share(free[n_bytes].pop() if free.get(n_bytes) else allocate(n_bytes))

        for i, command in enumerate(self.commands):
            storages = dict.fromkeys(t.storage for t in command.tensors if t.storage in self.bytes)
            for storage in storages:
                if storage.buffer is None:
                    give(storage)
            for storage in storages:
                if last[storage] == i and storage not in results:
                    free.setdefault(self.bytes[storage], []).append(storage.owner)
        free.clear()  # a result that no command uses gets memory of its own
        for storage, shadow in self.shadows.items():
            if shadow.buffer is None:
                give(shadow)
            storage.share(shadow.owner)  # so a result outlives the plan
