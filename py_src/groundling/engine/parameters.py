"""Modules, the parts that a model is made of, and the memory of all parameters."""

import math
from collections.abc import Iterator

import numpy as np

from .tensor import Device, Parameter, Tensor

PIECE = 2**20  # numbers that are read from the device at a time
ALIGN = 64  # floats: each parameter starts at a multiple of 256 bytes, where WebGPU can bind it

Shapes = dict[str, tuple[int, ...]]


class Module:
    """A part of a model. Its weights and submodules are attributes; calling it runs `forward`."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.forward(*inputs)

    def modules(self) -> Iterator["Module"]:
        """This module and all of its submodules."""
        yield self
        for value in vars(self).values():
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Module):
                    yield from part.modules()


class Model(Module):
    """A module that owns all parameters: `parameters`, by name, in checkpoint order.

    `flat` and `flat_grad` hold all parameters and all gradients in one tensor each, so that saving
    is one read, AdamW one dispatch and the gradient norm one sum. Both are lists, of more than one
    tensor only where the device's largest tensor is too small.
    """

    def __init__(self, device: Device, shapes: Shapes):
        self.device, self.shapes = device, shapes
        self.places, self.sizes = {}, [0]  # of each parameter: which tensor, and where in it
        for name, shape in shapes.items():
            size = -(-math.prod(shape) // ALIGN) * ALIGN
            if 4 * (self.sizes[-1] + size) > device.largest_tensor and self.sizes[-1]:
                self.sizes.append(0)
            self.places[name] = len(self.sizes) - 1, self.sizes[-1]
            self.sizes[-1] += size
        self.flat = [device.empty(size) for size in self.sizes]
        self.flat_grad = self.zeros()
        self.parameters = {
            name: Parameter(self.own(self.flat, name), self.own(self.flat_grad, name))
            for name in shapes
        }

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for parameter in self.parameters.values():
            parameter.has_grad = False

    def weights(self) -> np.ndarray:
        """All weights, float32 (parameters,), in checkpoint order."""
        return self.gather(self.flat)

    def load(self, weights: np.ndarray) -> None:
        """Replace all weights: float32 (parameters,), in checkpoint order."""
        self.scatter(weights, self.flat)

    def own(self, flat: list[Tensor], name: str) -> Tensor:
        """A parameter's view, in its shape, of tensors that are laid out as `flat`."""
        i, at = self.places[name]
        return flat[i].view(*self.shapes[name], offset=at)

    def zeros(self) -> list[Tensor]:
        """Zeros, laid out as `flat`."""
        return [self.device.tensor(np.zeros(size, np.float32)) for size in self.sizes]

    def gather(self, flat: list[Tensor]) -> np.ndarray:
        """Tensors laid out as `flat` as one array, in checkpoint order, without padding."""
        numbers, at = None, 0
        for piece in self.pieces(flat):
            if numbers is None:
                numbers = np.empty(parameter_count(self.shapes), piece.dtype)
            numbers[at : at + piece.size] = piece
            at += piece.size
        return numbers

    def pieces(self, flat: list[Tensor]) -> Iterator[np.ndarray]:
        """The same in pieces of at most PIECE numbers, so that it need not fit in memory."""
        spans = [[] for _ in flat]  # of each tensor, from where to where its parameters are
        for name, shape in self.shapes.items():
            i, at = self.places[name]
            spans[i].append((at, at + math.prod(shape)))
        for tensor, inner in zip(flat, spans, strict=True):
            for start in range(0, tensor.size, PIECE):
                end = min(start + PIECE, tensor.size)
                numbers = tensor.view(end - start, offset=start).numpy()
                parts = [
                    numbers[max(a, start) - start : min(b, end) - start]
                    for a, b in inner
                    if a < end and b > start
                ]
                yield parts[0] if len(parts) == 1 else np.concatenate(parts)

    def scatter(self, numbers: np.ndarray, flat: list[Tensor]) -> None:
        """The reverse of gather. ValueError for another number of parameters than the model's."""
        if numbers.size != (expected := parameter_count(self.shapes)):
            raise ValueError(
                f"The model has {expected:,} parameters; got {numbers.size:,} numbers."
            )
        padded, start = [np.zeros(size, numbers.dtype) for size in self.sizes], 0
        for shape, (i, at) in zip(self.shapes.values(), self.places.values(), strict=True):
            n = math.prod(shape)
            padded[i][at : at + n] = numbers[start : start + n]
            start += n
        for tensor, values in zip(flat, padded, strict=True):
            self.device.write(tensor, values)


def parameter_count(shapes: Shapes) -> int:
    """The number of parameters in these shapes."""
    return sum(map(math.prod, shapes.values()))


def by_name(numbers: np.ndarray, shapes: Shapes) -> dict[str, np.ndarray]:
    """Views of the parameters, each in its shape, in an array of all, in checkpoint order."""
    found, at = {}, 0
    for name, shape in shapes.items():
        found[name] = numbers[at : at + math.prod(shape)].reshape(shape)
        at += math.prod(shape)
    return found


def within(parameters: dict[str, Parameter], part: str) -> dict[str, Parameter]:
    """The parameters of a submodule, `h.0` for instance, by their names within it."""
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): parameter
        for name, parameter in parameters.items()
        if name.startswith(prefix)
    }
