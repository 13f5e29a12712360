"""What a captured call does: its kernels in order, and the memory that they need."""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from .tensor import Storage, Tensor


@dataclass(frozen=True)
class Command:
    """One dispatch, as a device was told it: `device.run(c.kernel, *c.tensors, **c.params)`."""

    kernel: str
    tensors: tuple[Tensor, ...]
    params: dict[str, float]
    line: str = ""  # of the Python that asked for it: "model.py:73", and "back" for its gradient


class Plan:
    """The commands of one captured call, joined where that pays (see fuse.py), and their memory.

    A tensor that is made in a capture has no memory yet: its storage is an empty one, for which the
    plan's commands have a shadow, so that the plan sees by the empty one which results Python still
    holds when the capture ends. Only then memory is given out, to each storage for as
    long as the commands need it, to a result for good.
    """

    def __init__(self):
        self.commands: list[Command] = []
        self.shadows: WeakKeyDictionary[Storage, Storage] = WeakKeyDictionary()
        self.bytes: dict[Storage, int] = {}  # of each shadow
        self.prepared: list = []  # each command as the device has it
        self.compiled = None  # all of them as it has them

    def storage(self, n_bytes: int) -> Storage:
        """A storage for Python to hold."""
        storage, shadow = Storage(), Storage()
        self.shadows[storage], self.bytes[shadow] = shadow, n_bytes
        return storage

    def add(
        self, kernel: str, tensors: tuple[Tensor, ...], params: dict[str, float], line: str
    ) -> None:
        """Note a dispatch. It holds the memory that it uses, lest another tensor gets it."""
        held = [
            Tensor(t.device, self.shadows.get(t.storage, t.storage), t.offset, t.shape, t.dtype)
            for t in tensors
        ]
        self.commands.append(Command(kernel, tuple(held), params, line))

    def results(self) -> set[Storage]:
        """The shadows of the storages that Python still holds."""
        return set(self.shadows.values())

    def lay_out(self, allocate: Callable[[int], Storage]) -> None:
        """Give memory to all that has none, from the first to the last command that uses it."""
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
        free.clear()  # what no command uses may be used later on, and none shall write to it
        for storage, shadow in self.shadows.items():
            if shadow.buffer is None:
                give(shadow)
            storage.share(shadow.owner)  # so a result outlives the plan
