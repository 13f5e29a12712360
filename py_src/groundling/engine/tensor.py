"""Tensors on a device, and the tape that computes their gradients.

An op (`+` and `*` below, and those in ops.py) puts its result on the tape with `record(result,
inputs, backward)`. `loss.backward()` walks from the loss to the inputs, newest op first, and calls
each `backward(dy, into)`: `dy` is the gradient of that op's result, and `into(x)` returns the
tensor for the gradient of an input and whether to accumulate in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

_count = itertools.count()
_recording = True


class Device(Protocol):
    """The part of devices.base.Device that tensors, the tape and a model's parameters use."""

    name: str
    largest_tensor: int  # bytes
    noting_lines: bool  # whether the line of Python that runs a kernel is noted
    one: Tensor  # the number 1
    line_of_gradient: str  # in backward(): the line whose gradient is being computed

    def tensor(self, numbers: np.ndarray) -> Tensor: ...
    def empty(self, *shape: int, dtype: str = "f32") -> Tensor: ...
    def write(self, tensor: Tensor, numbers: np.ndarray) -> None: ...
    def run(self, kernel: str, *tensors: Tensor, **params: float) -> None: ...
    def read(self, tensor: Tensor) -> np.ndarray: ...
    def asking_line(self) -> str: ...


class Storage:
    """A device buffer, which is passed to `release` when the last tensor on it is gone. In a
    capture it has none at first, and then shares another storage's.
    """

    __slots__ = ("__weakref__", "buffer", "owner", "release")

    def __init__(self, buffer: Any = None, release: Callable[[Any], None] | None = None):
        self.buffer, self.release = buffer, release
        self.owner: Storage | None = None

    def share(self, owner: Storage) -> None:
        """Use the buffer of another storage, and keep that storage."""
        self.buffer, self.owner = owner.buffer, owner

    def __del__(self):
        if self.release:
            self.release(self.buffer)


class Tensor:
    """An array on a device: shape and dtype ("f32" or "u32"), row-major, within a storage."""

    def __init__(
        self,
        device: Device,
        storage: Storage,
        offset: int,
        shape: tuple[int, ...],
        dtype: str = "f32",
    ):
        self.device, self.storage, self.offset = device, storage, offset  # offset in elements
        self.shape, self.dtype = tuple(shape), dtype
        self.size = math.prod(shape)
        self.index = next(_count)  # so a result has a larger one than its inputs
        self._inputs: tuple[Tensor, ...] = ()
        self._backward: Callable | None = None
        self._line = ""  # of Python that made it; only where the device notes lines

    def numpy(self) -> np.ndarray:
        """A copy of the numbers. Waits for the device. RuntimeError inside a jitted function."""
        return self.device.read(self)

    def item(self) -> float:
        """The number in a tensor of one element. Waits for it."""
        return self.numpy().item()

    def view(self, *shape: int, offset: int = 0) -> Tensor:
        """The memory from element `offset` on in another shape, off the tape. ValueError."""
        if offset + math.prod(shape) > self.size:
            raise ValueError(
                f"A view of shape {shape} at {offset} does not fit a tensor of shape {self.shape}."
            )
        return Tensor(self.device, self.storage, self.offset + offset, shape, self.dtype)

    def detach(self) -> Tensor:
        """The same numbers, off the tape."""
        return self.view(*self.shape)

    def __add__(self, other: Tensor) -> Tensor:
        """Elementwise sum of two tensors of one shape."""
        if self.shape != other.shape:
            raise ValueError(f"Cannot add tensors of shapes {self.shape} and {other.shape}.")
        z = self.device.empty(*self.shape)
        self.device.run("add", self, other, z, size=z.size)

        def backward(dz, into):
            into.pass_on(self)
            into.pass_on(other)

        return record(z, (self, other), backward)

    def __mul__(self, other: Tensor | float) -> Tensor:
        """Product with a number, or elementwise with a tensor of the same shape."""
        if not isinstance(other, Tensor):
            return self._scaled(other)
        if self.shape != other.shape:
            raise ValueError(f"Cannot multiply tensors of shapes {self.shape} and {other.shape}.")
        z = self.device.empty(*self.shape)
        self.device.run("multiply", self, other, z, size=z.size, accumulate=0)

        def backward(dz, into):
            for x, y in ((self, other), (other, self)):
                dx, accumulate = into(x)
                dz.device.run("multiply", dz, y, dx, size=dz.size, accumulate=accumulate)

        return record(z, (self, other), backward)

    def _scaled(self, factor: float) -> Tensor:
        y = self.device.empty(*self.shape)
        self.device.run("copy", self, y, size=y.size, factor=factor, accumulate=0)

        def backward(dy, into):
            dx, accumulate = into(self)
            dy.device.run("copy", dy, dx, size=dy.size, factor=factor, accumulate=accumulate)

        return record(y, (self,), backward)

    __rmul__ = __mul__

    def __repr__(self):
        return f"Tensor({self.dtype}{list(self.shape)} on {self.device.name})"

    def backward(self) -> None:
        """Add this scalar's gradient to every Parameter's `grad`. Frees the tape."""
        if self.size != 1:
            raise ValueError(
                f"backward() starts at a single number, the loss; this has shape {self.shape}."
            )
        if not self._backward:
            raise RuntimeError("This tensor is not on the tape; backward() may have run already.")
        _walk(self, {self.index: self.device.one})

    def register_hook(self, hook: Callable[[Tensor], None]) -> None:
        """Call `hook` with the gradient of this tensor, an op's result, once the backward pass has
        all of it. Unlike in PyTorch it may be off the tape: then the hook is never called.
        """
        if (inner := self._backward) is None:
            return

        def backward(dy, into):
            hook(dy)
            inner(dy, into)

        self._backward = backward


class Parameter(Tensor):
    """A tensor that is trained. Its gradient adds up in `grad` until `zero_grad`, as in PyTorch.

    `has_grad` is False until a backward pass reaches it. That pass overwrites `grad`, which is
    therefore never filled with zeros.
    """

    def __init__(self, data: Tensor, grad: Tensor):
        super().__init__(data.device, data.storage, data.offset, data.shape)
        self.grad = grad
        self.has_grad = False


def record(result: Tensor, inputs: tuple[Tensor, ...], backward: Callable) -> Tensor:
    """Put an op on the tape. `backward` must not refer to `result` itself, but to
    `result.detach()`: a cycle would keep both in memory.
    """
    if _recording:
        result._inputs, result._backward = inputs, backward
        if result.device.noting_lines:
            result._line = result.device.asking_line()
    return result


def recompute(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x) without keeping its activations: the backward pass computes them again (Chen et
    al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    """
    with no_grad():
        y = function(x.detach())

    def backward(dy, into):
        again = x.detach()
        into.back_through(function(again), again, x)

    return record(y, (x,), backward)


@contextmanager
def no_grad():
    """Record nothing in the block, so that memory is freed as soon as it is not needed."""
    global _recording
    with tape_as_before():
        _recording = False
        yield


@contextmanager
def tape_as_before():
    """After the block, also after an error, the tape records if it did before."""
    global _recording
    before = _recording
    try:
        yield
    finally:
        _recording = before


def _walk(end: Tensor, pending: dict[int, Tensor]) -> None:
    """Compute the gradients of all that `end` was made from, given its own in `pending`."""
    for node in _tape(end):
        dy = pending.pop(node.index, None)
        if dy is not None:
            node.device.line_of_gradient = node._line and f"{node._line} back"
            try:
                node._backward(dy, _Gradients(pending, dy))
            finally:
                node.device.line_of_gradient = ""
        node._backward, node._inputs = None, ()  # frees the op's activations


def _tape(loss: Tensor) -> list[Tensor]:
    """Every recorded tensor that the loss was made from, newest first: each before its inputs."""
    found, todo = {}, [loss]
    while todo:
        node = todo.pop()
        if node._backward and node.index not in found:
            found[node.index] = node
            todo.extend(node._inputs)
    return [found[index] for index in sorted(found, reverse=True)]


class _Gradients:
    """Where an op's `backward` puts the gradients of its inputs."""

    def __init__(self, pending: dict[int, Tensor], dy: Tensor):
        self._pending, self._dy = pending, dy

    def __call__(self, x: Tensor) -> tuple[Tensor, int]:
        """The tensor for the gradient of x, and 1 if it must be added to what is there, else 0."""
        if isinstance(x, Parameter):
            accumulate, x.has_grad = x.has_grad, True
            return x.grad, int(accumulate)
        grad = self._pending.get(x.index)
        if grad is None:
            grad = self._pending[x.index] = x.device.empty(*x.shape)
            return grad, 0
        if self._is_shared(grad):
            own = x.device.empty(*x.shape)
            x.device.run("copy", grad, own, size=x.size, factor=1.0, accumulate=0)
            grad = self._pending[x.index] = own
        return grad, 1

    def pass_on(self, x: Tensor) -> None:
        """The gradient of x is dy itself: pass it on if x has none yet, else add it."""
        self._hand_over(self._dy, x)

    def back_through(self, y: Tensor, end: Tensor, x: Tensor) -> None:
        """dy is also the gradient of `y`: compute that of `end`, which is also that of x."""
        self._pending[y.index] = self._dy
        _walk(y, self._pending)
        if (dx := self._pending.pop(end.index, None)) is not None:
            self._hand_over(dx, x)

    def _hand_over(self, dx: Tensor, x: Tensor) -> None:
        if not isinstance(x, Parameter) and x.index not in self._pending:
            self._pending[x.index] = dx
            return
        grad, accumulate = self(x)
        x.device.run("copy", dx, grad, size=x.size, factor=1.0, accumulate=accumulate)

    def _is_shared(self, grad: Tensor) -> bool:
        """Whether another op's `backward` will read this memory."""
        holders = [g for g in self._pending.values() if g.storage is grad.storage]
        return len(holders) > 1 or grad.storage in (self._dy.storage, grad.device.one.storage)
