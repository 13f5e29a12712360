"""`compute_with_buffers`: a compute shader as a function of arrays."""

import ctypes
from math import prod
from typing import Any, NamedTuple

from ..flags import BufferUsage, ShaderStage
from .device import get_default_device

__all__ = ["compute_with_buffers"]

FORMAT_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "e": 2, "f": 4}


class Output(NamedTuple):
    """What an output is to be: bytes of a format and shape, or a ctypes array."""

    nbytes: int
    length: int
    format: str
    shape: tuple[int, ...]
    array: type[ctypes.Array] | None = None

    def of(self, data: memoryview) -> Any:
        if self.array is not None:
            return self.array.from_buffer(data)
        return data.cast(self.format, shape=self.shape)


def compute_with_buffers(
    input_arrays: dict[int, Any],
    output_arrays: dict[int, Any],
    shader: str,
    constants: dict | None = None,
    n: int | tuple[int, int, int] | None = None,
) -> dict[int, Any]:
    """Run the shader's `main` on the default device, and return the outputs by their bindings.

    Both dicts go by bindings of group 0; one that is in both is read and written. An input is
    anything with the buffer protocol. An output is its size in bytes, a shape and a format such as
    (3, 4, "f") or "3x4xf", or a ctypes array type. `n` are the workgroups, by default as many as
    the first output is long. What is in no output is read-only in the shader.
    """
    if not isinstance(input_arrays, dict):
        raise TypeError("input_arrays must be a dict.")
    for key, array in input_arrays.items():
        check_key("input_arrays", key)
        memoryview(array)  # raises TypeError for what has no buffer protocol
    if not isinstance(output_arrays, dict) or not output_arrays:
        raise TypeError("output_arrays must be a nonempty dict.")
    outputs = {key: described(key, what) for key, what in output_arrays.items()}
    counts = workgroups(n, next(iter(outputs.values())).length)

    device = get_default_device()
    module = device.create_shader_module(code=shader)
    storage, copied = BufferUsage.STORAGE, BufferUsage.STORAGE | BufferUsage.COPY_SRC
    buffers = {
        key: device.create_buffer_with_data(data=array, usage=copied if key in outputs else storage)
        for key, array in input_arrays.items()
    }
    for key, output in outputs.items():
        if key not in buffers:
            buffers[key] = device.create_buffer(size=output.nbytes, usage=copied)
    layout = device.create_bind_group_layout(
        entries=[
            {
                "binding": key,
                "visibility": ShaderStage.COMPUTE,
                "buffer": {"type": "storage" if key in outputs else "read-only-storage"},
            }
            for key in buffers
        ]
    )
    group = device.create_bind_group(
        layout=layout,
        entries=[{"binding": key, "resource": buffer} for key, buffer in buffers.items()],
    )
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        compute={"module": module, "entry_point": "main", "constants": constants},
    )
    encoder = device.create_command_encoder()
    compute_pass = encoder.begin_compute_pass()
    compute_pass.set_pipeline(pipeline)
    compute_pass.set_bind_group(0, group)
    compute_pass.dispatch_workgroups(*counts)
    compute_pass.end()
    device.queue.submit([encoder.finish()])
    return {
        key: output.of(device.queue.read_buffer(buffers[key])) for key, output in outputs.items()
    }


def check_key(name: str, key: Any) -> None:
    if not isinstance(key, int):
        raise TypeError(f"keys of {name} must be int.")


def described(key: Any, what: Any) -> Output:
    """What output `key` is to be; TypeError or ValueError if it cannot."""
    check_key("output_arrays", key)
    if isinstance(what, str) and "x" in what:
        what = tuple(what.split("x"))
    if isinstance(what, int):
        return Output(what, what, "B", (what,))
    if isinstance(what, tuple):
        *sizes, format = what
        if format not in FORMAT_SIZES:
            raise ValueError(f"Invalid format for output array {key}: {format}")
        shape = tuple(map(int, sizes))
        if not shape or min(shape) <= 0:
            raise ValueError(f"Invalid shape for output array {key}: {shape}")
        return Output(prod(shape) * FORMAT_SIZES[format], shape[0], format, shape)
    if isinstance(what, type) and issubclass(what, ctypes.Array):
        return Output(ctypes.sizeof(what), what._length_, "B", (), what)
    raise TypeError(f"Invalid value for output array description: {what}")


def workgroups(n: Any, length: int) -> tuple[int, int, int]:
    """How many there are along x, y and z."""
    if n is None or isinstance(n, int):
        counts = (length if n is None else n, 1, 1)
    elif isinstance(n, tuple) and len(n) == 3:
        counts = tuple(map(int, n))
    else:
        raise TypeError("compute_with_buffers: n must be None, an int, or 3-int tuple.")
    if min(counts) < 1:
        raise ValueError("compute_with_buffers: n value(s) must be >= 1.")
    return counts
