"""Capture and replay: a jitted function is the function, run without its Python."""

import numpy as np
import pytest

from groundling.devices.base import Device
from groundling.engine import ops
from groundling.engine.jit import jit
from groundling.engine.tensor import Parameter, Tensor


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_a_replay_computes_with_the_new_numbers(device: Device):
    @jit(device)
    def double(x: Tensor) -> Tensor:
        return 2 * x

    for numbers in ([1, 2], [3, -4], [0.5, 0.25]):
        np.testing.assert_array_equal(double(f32(*numbers)).numpy(), 2 * f32(*numbers))


def test_the_python_runs_once_for_each_set_of_shapes(device: Device):
    seen = []

    @jit(device)
    def double(x: Tensor) -> Tensor:
        seen.append(x.shape)
        return 2 * x

    for size in (2, 3, 2, 3, 2):
        np.testing.assert_array_equal(double(np.ones(size, np.float32)).numpy(), np.full(size, 2))
    assert seen == [(2,), (3,)]


def test_a_replay_runs_the_same_kernels(device: Device):
    @jit(device)
    def chain(x: Tensor) -> Tensor:
        return ops.gelu(x + x)

    spent = []
    for _ in range(3):
        before = device.counts.dispatches
        chain(f32(1, 2))
        spent.append(device.counts.dispatches - before)
    assert spent == [2, 2, 2]


def test_a_replay_gives_the_same_tensors(device: Device):
    double = jit(device)(lambda x: (2 * x, 3 * x))
    assert double(f32(1)) is double(f32(2))


def test_replays_change_what_lies_outside(device: Device):
    total = device.tensor(np.zeros(2, np.float32))

    @jit(device)
    def add_to_total(x: Tensor) -> None:
        device.run("copy", x, total, size=2, factor=1.0, accumulate=1)

    for _ in range(4):
        add_to_total(f32(1, 10))
    np.testing.assert_array_equal(total.numpy(), [4, 40])


def test_each_of_several_calls_in_a_row_computes_with_its_own_numbers(device: Device):
    total = device.tensor(np.zeros(2, np.float32))

    @jit(device)
    def add_to_total(x: Tensor) -> None:
        device.run("copy", x, total, size=2, factor=1.0, accumulate=1)

    for i in range(1, 6):
        add_to_total(f32(i, 10 * i))
    np.testing.assert_array_equal(total.numpy(), [15, 150])


def test_an_array_that_is_changed_after_a_call_changes_nothing_in_it(device: Device):
    total, numbers = device.tensor(np.zeros(2, np.float32)), f32(1, 2)

    @jit(device)
    def add_to_total(x: Tensor) -> None:
        device.run("copy", x, total, size=2, factor=1.0, accumulate=1)

    for _ in range(3):
        add_to_total(numbers)
        numbers += 1
    np.testing.assert_array_equal(total.numpy(), [1 + 2 + 3, 2 + 3 + 4])


@pytest.mark.parametrize(
    "given",
    [
        *(0.001, [1, -2], (True, False), np.array([1, -2], np.int64), np.array([0.5, 1e-3])),
        np.arange(6)[::3],
    ],
    ids=["a number", "a list", "booleans", "integers", "float64", "strided"],
)
def test_numbers_of_any_kind_but_unsigned_are_floats(device: Device, given):
    double = jit(device)(lambda x: 2 * x)
    for _ in range(2):  # captured, and replayed
        np.testing.assert_array_equal(double(given).numpy(), 2 * np.float32(given))


def test_a_function_of_no_arrays_goes_on_when_memory_is_needed_for_others(device: Device):
    total = device.tensor(f32(0, 0))
    ones = device.tensor(f32(1, 1))

    @jit(device)
    def add_one() -> None:
        device.run("add", total, ones, total, size=2)

    for _ in range(4):
        add_one()
    np.testing.assert_array_equal(total.numpy(), [4, 4])


def test_a_failed_call_of_a_captured_function_leaves_the_next_one_right(device: Device):
    double = jit(device)(lambda x: 2 * x)
    double([1.0])
    with pytest.raises((ValueError, TypeError)):
        double(["no number"])
    np.testing.assert_array_equal(double([3.0]).numpy(), [6])


def test_memory_made_in_a_capture_is_the_plans_own(device: Device):
    @jit(device)
    def f(x: Tensor) -> Tensor:
        return ops.gelu(ops.gelu(x + x))

    first = f(f32(0.5, 1)).numpy()
    others = [device.tensor(f32(7, 7)) for _ in range(10)]
    np.testing.assert_array_equal(f(f32(0.5, 1)).numpy(), first)
    for other in others:
        np.testing.assert_array_equal(other.numpy(), [7, 7])


def test_a_constant_made_in_a_captured_function_keeps_its_numbers(device: Device):
    @jit(device)
    def f(x: Tensor) -> Tensor:
        ops.gelu(x)  # leaves memory of the same size free
        y = x + device.tensor(f32(10, 20))
        return ops.gelu(ops.gelu(y)) + y  # and uses as much again

    first = f(f32(1, 2)).numpy()
    np.testing.assert_array_equal(f(f32(1, 2)).numpy(), first)


def test_a_tensor_met_in_a_capture_stays_as_it_was_when_others_let_it_go(device: Device):
    outer = [device.tensor(f32(10, 20))]
    add_outer = jit(device)(lambda x: x + outer[0])
    add_outer(f32(1, 2))
    outer.clear()
    others = [device.tensor(f32(7, 7)) for _ in range(3)]
    np.testing.assert_array_equal(add_outer(f32(1, 2)).numpy(), [11, 22])
    assert all((other.numpy() == 7).all() for other in others)


def test_a_loss_over_one_token_has_the_same_gradient_in_a_replay(device: Device):
    """Its losses, its mean and the gradient that backward() starts from are all of one number."""
    weight = Parameter(device.tensor(f32(1, 2, 3).reshape(1, 3)), device.empty(1, 3))
    target = device.tensor(np.array([1], np.uint32))

    @jit(device)
    def step() -> Tensor:
        weight.has_grad = False
        ops.cross_entropy(ops.gelu(weight), target).backward()
        return weight.grad

    first = step().numpy()
    np.testing.assert_array_equal(step().numpy(), first)


def test_a_captured_function_cannot_call_another(device: Device):
    inner = jit(device)(lambda x: 2 * x)
    outer = jit(device)(lambda x: inner(np.ones(1, np.float32)))
    for _ in range(2):  # inner is captured the second time
        with pytest.raises(RuntimeError, match="capture the outer one only"):
            outer(f32(1))
        np.testing.assert_array_equal(inner(f32(4)).numpy(), [8])


def test_a_failed_capture_leaves_the_device_as_it_was(device: Device):
    @jit(device)
    def fail(x: Tensor) -> Tensor:
        y = 2 * x
        raise ZeroDivisionError(y)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail(f32(1))
    np.testing.assert_array_equal(jit(device)(lambda x: 3 * x)(f32(2)).numpy(), [6])


def test_without_capturing_the_python_runs_each_time(device: Device):
    seen = []

    @jit(device)
    def double(x: Tensor) -> Tensor:
        seen.append(x.shape)
        return 2 * x

    device.capturing_enabled = False
    try:
        for number in (1, 2, 3):
            np.testing.assert_array_equal(double(f32(number)).numpy(), [2 * number])
    finally:
        device.capturing_enabled = True
    assert len(seen) == 3
