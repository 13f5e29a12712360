"""Tensors and their memory; the tape's gradients are in test_gradients.py."""

import gc

import numpy as np
import pytest

from groundling.devices.base import Device
from groundling.engine import ops
from groundling.engine.tensor import Parameter, no_grad


def parameter(device: Device, array) -> Parameter:
    return Parameter(device.tensor(array), device.tensor(np.zeros(np.shape(array), np.float32)))


def mean_loss(device: Device, x) -> ops.Tensor:
    return ops.cross_entropy(x, device.tensor(np.zeros(x.shape[0], np.uint32)))


def test_a_tensor_holds_the_numbers_it_was_made_from(device: Device):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensor = device.tensor(array)
    assert (tensor.shape, tensor.dtype, tensor.size) == ((3, 4), "f32", 12)
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_unsigned_integers_stay_integers(device: Device):
    tensor = device.tensor(np.array([0, 7, 2**32 - 1], np.uint32))
    assert tensor.dtype == "u32"
    np.testing.assert_array_equal(tensor.numpy(), [0, 7, 2**32 - 1])


def test_a_tensor_of_one_number_gives_that_number(device: Device):
    assert device.tensor([2.5]).item() == 2.5


def test_what_is_read_is_a_copy(device: Device):
    tensor = device.tensor([1.0, 2.0])
    tensor.numpy()[:] = 0
    np.testing.assert_array_equal(tensor.numpy(), [1, 2])


def test_writing_a_wrong_number_of_numbers_is_refused(device: Device):
    for array in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="do not fit"):
            device.write(device.tensor([1.0, 2.0]), np.array(array))


def test_a_view_is_the_same_memory(device: Device):
    tensor = device.tensor(np.zeros(200, np.float32))
    view = tensor.view(2, 3, offset=64)
    device.run("fill", view, size=6, value=1.5)
    expected = np.zeros(200)
    expected[64:70] = 1.5
    np.testing.assert_array_equal(tensor.numpy(), expected)
    np.testing.assert_array_equal(view.view(3, offset=3).numpy(), [1.5] * 3)


def test_a_view_past_the_end_is_refused(device: Device):
    with pytest.raises(ValueError, match=r"\(3,\) at 2 .* shape \(4,\)"):
        device.tensor(np.zeros(4)).view(3, offset=2)


def test_a_freed_tensors_memory_serves_the_next_of_that_size(device: Device):
    first = device.empty(5, 8)
    buffer = first.storage.buffer
    view = first.view(8)
    del first
    assert device.empty(40).storage.buffer is not buffer  # the view still needs it
    del view
    assert device.empty(40).storage.buffer is buffer


def test_adding_tensors_of_two_shapes_is_refused(device: Device):
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        device.tensor(np.zeros((2, 3))) + device.tensor(np.zeros((3, 2)))


def test_backward_starts_at_a_single_number(device: Device):
    x = parameter(device, np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"single number, the loss; this has shape \(2, 3\)"):
        (x + x).backward()


def test_backward_runs_once(device: Device):
    loss = mean_loss(device, parameter(device, np.ones((2, 3))))
    loss.backward()
    with pytest.raises(RuntimeError, match="not on the tape"):
        loss.backward()


def test_nothing_is_recorded_under_no_grad_and_recording_goes_on_after(device: Device):
    x = parameter(device, np.ones((2, 3)))
    with pytest.raises(ZeroDivisionError), no_grad():
        loss = mean_loss(device, x)
        raise ZeroDivisionError
    with pytest.raises(RuntimeError, match="not on the tape"):
        loss.backward()
    mean_loss(device, x).backward()


def test_a_parameter_gets_a_gradient_only_where_the_loss_needs_it(device: Device):
    x, other = parameter(device, np.ones((2, 3))), parameter(device, np.ones((2, 3)))
    mean_loss(device, x).backward()
    assert (x.has_grad, other.has_grad) == (True, False)


def test_a_hook_gets_the_gradient_of_a_result_when_all_of_it_is_there(device: Device):
    x, seen = parameter(device, np.ones((2, 3))), []
    y = ops.gelu(x)
    y.register_hook(lambda dy: seen.append(dy.numpy()))
    x.register_hook(seen.append)  # no op's result
    mean_loss(device, y + y).backward()
    one = parameter(device, y.numpy())
    mean_loss(device, one + one).backward()
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], one.grad.numpy())


def test_a_backward_pass_frees_what_the_forward_pass_kept(device: Device):
    x = parameter(device, np.ones((50, 3)))
    loss = mean_loss(device, ops.gelu(ops.gelu(ops.gelu(x))))
    before = sum(map(len, device.pool.values()))
    loss.backward()
    assert sum(map(len, device.pool.values())) >= before + 3


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (ops.linear, [(2, 3), (4, 5)]),
        (ops.unembedding, [(2, 3), (5, 4)]),
        (ops.layernorm, [(2, 3), (3,), (4,)]),
        (ops.layernorm, [(2, 3), (4,), (3,)]),
        (ops.position_embedding, [(2, 5, 3), (4, 3)]),
        (lambda x: ops.causal_attention(x, 2), [(1, 2, 9)]),
        (lambda x: ops.causal_attention(x, 2), [(1, 2, 10)]),
    ],
)
def test_an_op_refuses_shapes_that_do_not_fit(device: Device, op, shapes: list):
    with pytest.raises(ValueError, match=r"\d"):
        op(*[device.tensor(np.zeros(shape)) for shape in shapes])


def test_memory_that_comes_back_from_a_reference_cycle_serves_again(device: Device):
    for _ in range(3):
        cycle = [device.tensor(np.ones(77, np.float32))]
        cycle.append(cycle)
        del cycle
        gc.collect()
    np.testing.assert_array_equal(device.tensor(np.ones(77, np.float32)).numpy(), np.ones(77))
