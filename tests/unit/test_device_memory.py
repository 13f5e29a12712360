"""What a device holds is what is used: nothing grows with the models, boundaries and shapes met."""

import gc

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.engine import ops
from groundling.engine.jit import MOST_SHAPES, jit
from groundling.engine.lru import LRU
from groundling.engine.tensor import Tensor, no_grad
from groundling.labs.lens import Lens
from groundling.runs.run import Run
from groundling.runs.writer import generate
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\n" * 20
CONFIG = TrainConfig(
    **dict(seed="memory", iters=1000, batch_size=2, lr=1e-3, warmup=4),
    **dict(eval_interval=10, eval_batches=1),
)


def run_of(device: Device, width: int = 12, config: TrainConfig = CONFIG) -> Run:
    corpus = Corpus(TEXT)
    sizes = dict(block_size=8, n_layer=1, n_head=2, n_embd=width, d_ff=20)
    run = Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes))
    run.sample_every = 0
    return run


def trained(run: Run, iters: int) -> Run:
    for _ in train(run, run.iter + iters):
        pass
    return run


def settled(device: Device) -> int:
    """The bytes that a device holds, once what nobody takes from the pool has gone."""
    gc.collect()
    for _ in range(2):
        device.one.numpy()
    return device.counts.memory


def test_a_hundred_boundaries_hold_what_one_does(device: Device):
    run = trained(run_of(device), 3)
    run.state()
    before = settled(device)
    for i in range(100):
        trained(run, 1)
        run.state()
        if i % 20 == 0:
            generate(run.model, run.corpus, "To", 3, "s")
    assert settled(device) - before <= settled_by_writing(device)


def settled_by_writing(device: Device) -> int:
    """What a model of that size is written with."""
    run = run_of(device)
    run.state()
    before = settled(device)
    generate(run.model, run.corpus, "To", 3, "s")
    return settled(device) - before


def test_ten_models_in_turn_leave_what_the_last_one_uses(device: Device):
    nothing = settled(device)
    for width in range(4, 24, 2):
        run = trained(run_of(device, width), 2)
        run.state()
        generate(run.model, run.corpus, "To", 3, "s")
        Lens(run.model).look(run.corpus.encode("To be"))
    used = settled(device) - nothing
    del run
    assert settled(device) == nothing
    again = trained(run_of(device, 22), 2)
    again.state()
    generate(again.model, again.corpus, "To", 3, "s")
    assert settled(device) - nothing == used


def test_a_finished_run_lets_the_memory_of_its_step_go(device: Device):
    run = run_of(device, config=TrainConfig(**vars(CONFIG) | {"iters": 4}))
    trained(run, 3)
    training = settled(device)
    trained(run, 1)
    assert settled(device) < training


def test_a_step_that_is_captured_anew_takes_the_place_of_the_old_one(device: Device):
    run, held = trained(run_of(device), 2), []
    for i in range(5):
        run.change(grad_clip=0.5 + i)
        trained(run, 1)
        held.append(settled(device))
    assert set(held) == {held[0]}


def test_a_result_outlives_its_plan_and_then_goes(device: Device):
    nothing = settled(device)
    double = jit(device)(no_grad()(lambda x: 2 * x))  # a tape would hold on to its input
    result = double(np.ones(1000, np.float32))
    del double
    assert settled(device) - nothing == 4000
    np.testing.assert_array_equal(result.numpy(), np.full(1000, 2))
    del result
    assert settled(device) == nothing


def test_a_constant_of_a_captured_function_goes_with_it(device: Device):
    nothing = settled(device)
    add = jit(device)(lambda x: x + device.tensor(np.arange(500)))
    add(np.ones(500, np.float32))
    del add
    assert settled(device) == nothing


def test_a_capture_that_fails_leaves_nothing(device: Device):
    nothing = settled(device)

    @jit(device)
    def fail(x: Tensor) -> Tensor:
        raise ZeroDivisionError(x + device.tensor(np.ones(300)))

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail(np.ones(300, np.float32))
    assert settled(device) == nothing


def test_many_shapes_hold_as_much_as_the_last_few(device: Device):
    double, held = jit(device)(lambda x: 2 * x), []
    for size in range(1, 200):
        result = double(np.ones(64 * size, np.float32))
        if size > 196:
            held.append(settled(device))
    assert held[-1] - held[-2] == held[-2] - held[-3] > 0  # they are longer, not more
    del result
    results = [double(np.ones(64 * size, np.float32)).numpy()[0] for size in (1, 199, 50)]
    assert results == [2, 2, 2] and MOST_SHAPES < 100


def test_eager_work_that_repeats_takes_no_new_memory(device: Device):
    def work() -> float:
        x = device.tensor(np.ones((4, 6), np.float32))
        return ops.gelu(x + x * x).numpy()[0, 0]

    for _ in range(3):
        work()
    before, allocated = device.counts.memory, []
    allocate = device._allocate
    device._allocate = lambda n: allocated.append(n) or allocate(n)
    try:
        for _ in range(5):
            work()
    finally:
        del device._allocate
    assert allocated == [] and device.counts.memory == before


def test_other_eager_work_takes_the_place_of_what_was_done_before(device: Device):
    def work(size: int) -> None:
        x = device.tensor(np.ones(size, np.float32))
        (x + x).numpy()

    work(50)
    before = settled(device)
    for size in range(1000, 3000, 64):
        work(size)
    work(50)
    assert settled(device) == before


def test_a_table_of_what_is_recent_keeps_the_last_ones_asked_for():
    table, made = LRU(2), []
    for key in "abacab":
        assert table.get_or(key, lambda key=key: made.append(key) or key.upper()) == key.upper()
    assert made == ["a", "b", "c", "b"] and list(table) == ["a", "b"]
