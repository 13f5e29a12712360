"""Random programs of the public API do on a device what they do in plain NumPy, call by call.

Each is a few dozen calls in an order that nobody planned: kernels on views at any offset, captured
functions with other numbers each time, writes between them, results and scalars read late. The
numbers are small and whole, so every sum is exact and must be the same to the bit.
"""

from collections.abc import Callable

import numpy as np
import pytest

from groundling.devices.base import Device
from groundling.engine.jit import jit
from groundling.engine.tensor import Tensor, no_grad

SIZE, MOST = 200, 70  # of a tensor, and of what a call works on
KINDS = np.float32, np.float64, np.int64, np.int8, np.bool_


class Program:
    """Tensors on a device, and beside each what it should hold."""

    def __init__(self, device: Device, seed: int):
        self.device, self.rng = device, np.random.default_rng(seed)
        self.expected = [self.numbers(SIZE).astype(np.float32) for _ in range(4)]
        self.tensors = [device.tensor(numbers) for numbers in self.expected]
        self.results: dict[str, tuple[Tensor, np.ndarray]] = {}  # the last of each function
        self.ring, self.pushed = device.ring(), []
        self.functions = {"add_to": self.adding(1), "take_from": self.adding(-1)}
        self.functions |= {"both": self.both(), "constant": self.constant()}

    # What a program is made of

    def numbers(self, size: int, kind: type = np.int64) -> np.ndarray:
        return self.rng.integers(-9, 10, size).astype(kind)

    def pick(self, n: int) -> int:
        return int(self.rng.integers(n))

    def stretch(self, size: int) -> tuple[int, int]:
        """One of the tensors, and where in it `size` numbers begin."""
        return self.pick(len(self.tensors)), self.pick(SIZE - size + 1)

    def adding(self, sign: int) -> Callable:
        """A captured function that adds its input to the first tensor, and returns the double."""
        device, total = self.device, self.tensors[0]

        @jit(device)
        @no_grad()
        def add(x: Tensor) -> Tensor:
            sizes = dict(size=x.size, factor=float(sign), accumulate=1)
            device.run("copy", x, total.view(x.size, offset=3), **sizes)
            return 2 * x

        def call(size: int) -> None:
            given = self.numbers(size, KINDS[self.pick(len(KINDS))])
            self.results[f"add {sign} {size}"] = add(given), 2 * given.astype(np.float32)
            self.expected[0][3 : 3 + size] += sign * given.astype(np.float32)
            given[:] = 1  # it has been taken

        return call

    def both(self) -> Callable:
        """One of two inputs, the second of which it writes to."""
        device = self.device

        @jit(device)
        @no_grad()
        def add(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            device.run("copy", x, y, size=x.size, factor=1.0, accumulate=1)
            return y, x + y

        def call(size: int) -> None:
            x, y = (self.numbers(size, np.float32) for _ in range(2))
            found = add(x, y)
            for i, expected in enumerate((x + y, x + x + y)):
                self.results[f"both {i} {size}"] = found[i], expected

        return call

    def constant(self) -> Callable:
        """One that reads a stretch of another tensor, as it is at each call."""
        other = self.tensors[1]

        @jit(self.device)
        @no_grad()
        def add(x: Tensor) -> Tensor:
            return x + other.view(x.size, offset=5) + self.device.tensor(np.full(x.size, 7))

        def call(size: int) -> None:
            x = self.numbers(size, np.float32)
            expected = x + self.expected[1][5 : 5 + size] + 7
            self.results[f"constant {size}"] = add(x), expected

        return call

    # Its steps

    def call(self) -> None:
        names = list(self.functions)
        self.functions[names[self.pick(len(names))]]((1, 3, MOST)[self.pick(3)])

    def run(self) -> None:
        """A kernel from one stretch to another, which may be in the same tensor."""
        size, sign = 1 + self.pick(MOST), 1 - 2 * self.pick(2)
        (i, x), (j, y) = self.stretch(size), self.stretch(size)
        accumulate = self.pick(2)
        tensors = self.tensors[i].view(size, offset=x), self.tensors[j].view(size, offset=y)
        sizes = dict(size=size, factor=float(sign), accumulate=accumulate)
        self.device.run("copy", *tensors, **sizes)
        found = sign * self.expected[i][x : x + size].copy()
        self.expected[j][y : y + size] = found + accumulate * self.expected[j][y : y + size]

    def write(self) -> None:
        size = 1 + self.pick(MOST)
        i, at = self.stretch(size)
        given = self.numbers(size, KINDS[self.pick(len(KINDS))])
        self.device.write(self.tensors[i].view(size, offset=at), given)
        self.expected[i][at : at + size] = given
        given[:] = 1

    def push(self) -> None:
        """Scalars, to come back when they do."""
        i, at = self.stretch(1)
        j, other = self.stretch(1)
        scalars = self.tensors[i].view(1, offset=at), self.tensors[j].view(1, offset=other)
        self.pushed.append((len(self.pushed), self.expected[i][at], self.expected[j][other]))
        self.ring.push(len(self.pushed) - 1, *scalars)

    def submit(self) -> None:
        self.device.submit()

    def read(self) -> None:
        i = self.pick(len(self.tensors))
        np.testing.assert_array_equal(self.tensors[i].numpy(), self.expected[i])

    def read_result(self) -> None:
        if self.results:
            found, expected = list(self.results.values())[self.pick(len(self.results))]
            np.testing.assert_array_equal(found.numpy(), expected)

    def end(self) -> None:
        """All that it has come to."""
        for found, expected in self.results.values():
            np.testing.assert_array_equal(found.numpy(), expected)
        for tensor, expected in zip(self.tensors, self.expected, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), expected)
        self.ring.drain()
        assert list(self.ring.arrived) == self.pushed


STEPS = "call", "call", "call", "run", "run", "write", "push", "submit", "read", "read_result"


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program_does_what_it_does_in_numpy(device: Device, seed: int):
    program = Program(device, seed)
    for _ in range(60):
        getattr(program, STEPS[program.pick(len(STEPS))])()
    program.end()


def test_an_uncaptured_program_does_too(device: Device):
    device.capturing_enabled = False
    try:
        program = Program(device, 99)
        for _ in range(60):
            getattr(program, STEPS[program.pick(len(STEPS))])()
        program.results.clear()  # each call has tensors of its own
        program.end()
    finally:
        device.capturing_enabled = True
