"""Joined commands: fewer of them, the same numbers, and nothing that anyone could miss."""

from collections.abc import Callable

import numpy as np
import pytest

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.fused import digest, stamped
from groundling.engine import fuse, ops
from groundling.engine.jit import jit
from groundling.engine.plan import Plan
from groundling.engine.tensor import Parameter, Tensor, no_grad
from groundling.runs.run import Run
from groundling.train import train

TEXT = "It was the lark, the herald of the morn,\nNo nightingale.\n" * 20
ODD = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=22)  # none a multiple of a tile


def small_run(device: Device, **model: float) -> Run:
    corpus = Corpus(TEXT)
    config = TrainConfig(
        **dict(seed="fuse", iters=12, batch_size=3, lr=1e-2, warmup=2, eval_interval=5),
        eval_batches=1,
    )
    return Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **ODD | model))


def plans_of(device: Device, work: Callable, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that are replayed in the course of some work."""
    plans, replay = [], device.replay

    def watched(plan: Plan, *given: object, **how: object) -> None:
        plans.append(plan)
        replay(plan, *given, **how)

    monkeypatch.setattr(device, "replay", watched)
    work()
    return plans


def kernels_of(device: Device, work: Callable, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return [c.kernel for c in plans_of(device, work, monkeypatch)[-1].commands]


def unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "RULES", [])
    monkeypatch.setattr(fuse, "SIDE_BY_SIDE", ())


def outcome(run: Run) -> tuple:
    records = [(r.train, r.val, r.grad_norm) for r in train(run)]
    return records, run.model.weights().tobytes(), run.model.gather(run.model.flat_grad).tobytes()


@pytest.mark.parametrize(
    "model", [{}, {"dropout": 0.2}, {"n_embd": 15, "d_ff": 1, "block_size": 1}]
)
def test_a_run_is_the_same_to_the_bit_as_without(device: Device, monkeypatch, model: dict):
    fused = outcome(small_run(device, **model))
    unfused(monkeypatch)
    assert outcome(small_run(device, **model)) == fused


def test_a_step_of_four_layers_is_sixty_dispatches_at_most(device: Device, corpus: Corpus):
    run = Run(TrainConfig(batch_size=1, eval_interval=10**6, eval_batches=1), corpus, device)
    steps = train(run)
    for _ in range(2):
        next(steps)
    begun, before = run.iter, device.counts.dispatches
    while run.iter < begun + 2:
        next(steps)
    assert (device.counts.dispatches - before) / (run.iter - begun) <= 60


def test_the_commands_of_a_plan_run_one_by_one_do_what_it_does(device: Device, monkeypatch):
    run = small_run(device)
    plan = plans_of(device, lambda: list(train(run, stop_at=3)), monkeypatch)[-1]
    weights, grad = run.model.weights(), run.model.flat_grad[0]
    before = run.optimizer.m[0].numpy(), run.optimizer.v[0].numpy()

    def rewind() -> None:
        run.model.load(weights)
        device.write(run.optimizer.m[0], before[0])
        device.write(run.optimizer.v[0], before[1])

    device.replay(plan)
    expected = run.model.weights(), grad.numpy()
    rewind()
    for c in plan.commands:
        device.run(c.kernel, *c.tensors, **c.params)
    for found, number in zip((run.model.weights(), grad.numpy()), expected, strict=True):
        np.testing.assert_array_equal(found, number)


def test_the_residual_is_added_by_the_product_whichever_comes_first(device: Device, monkeypatch):
    w = device.tensor(np.arange(12.0).reshape(3, 4) - 5)
    x = np.ones((2, 3), np.float32), np.full((2, 4), 0.5, np.float32)
    expected = x[0] @ w.numpy() + x[1]
    for f in (lambda a, b: b + ops.linear(a, w), lambda a, b: ops.linear(a, w) + b):
        call, said = jit(device)(no_grad()(f)), []  # a tape would hold on to the product
        found = kernels_of(device, lambda call=call, said=said: said.append(call(*x)), monkeypatch)
        assert found == ["matmul_residual"]
        np.testing.assert_array_equal(said[0].numpy(), expected)


def test_a_product_that_is_needed_by_itself_is_stored(device: Device, monkeypatch):
    w, x = device.tensor(np.eye(3)), np.ones((2, 3), np.float32)

    def kept(x: Tensor) -> tuple:
        y = ops.linear(x, w)
        return y + x, y

    def used(x: Tensor) -> Tensor:
        y = ops.linear(x, w)
        return ops.gelu(y + x) + y

    def twice(x: Tensor) -> Tensor:
        y = ops.linear(x, w)
        return y + y

    for f in (kept, used, twice):
        call = jit(device)(f)
        found = kernels_of(device, lambda call=call: call(x), monkeypatch)
        assert found[:2] == ["matmul_nn", "add"]
    np.testing.assert_array_equal(jit(device)(kept)(x)[1].numpy(), x)


def test_what_comes_in_between_is_not_passed_over(device: Device, monkeypatch):
    """The residual is changed after the product is made, and the product's weight after that."""
    w = device.tensor(np.eye(2))

    @jit(device)
    def f(x: Tensor) -> Tensor:
        y = ops.linear(x, w)
        device.run("fill", x, size=4, value=10.0)
        device.run("fill", w, size=4, value=0.0)
        return y + x

    x = np.ones((2, 2), np.float32)
    found = kernels_of(
        device, lambda: np.testing.assert_array_equal(f(x).numpy(), x + 10), monkeypatch
    )
    assert found == ["matmul_nn", "fill", "fill", "add"]


def test_two_that_need_each_other_do_not_share_a_dispatch(device: Device, monkeypatch):
    sizes = dict(m=2, k=2, n=2, accumulate=0)

    @jit(device)
    def chain(a: Tensor, b: Tensor) -> Tensor:
        y, z = device.empty(2, 2), device.empty(2, 2)
        device.run("matmul_nt", a, b, y, **sizes)
        device.run("matmul_tn", a, y, z, **sizes)
        return z

    @jit(device)
    def pair(a: Tensor, b: Tensor) -> tuple:
        y, z = device.empty(2, 2), device.empty(2, 2)
        device.run("matmul_nt", a, b, y, **sizes)
        device.run("matmul_tn", a, b, z, **sizes)
        return y, z

    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.float32)
    results = []
    for f, expected in ((chain, ["matmul_nt", "matmul_tn"]), (pair, ["matmul_nt + matmul_tn"])):
        found = kernels_of(device, lambda f=f: results.append(f(a, b)), monkeypatch)
        assert found == expected
    np.testing.assert_array_equal(results[0].numpy(), a.T @ (a @ b.T))
    for found, expected in zip(results[1], (a @ b.T, a.T @ b), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("pair", fuse.SIDE_BY_SIDE)
def test_a_shared_dispatch_is_what_its_two_are(device: Device, pair: tuple[str, str]):
    """On odd sizes, and for pairs that share what they read."""
    rng, C, rows, V = np.random.default_rng(7), 13, 70, 9
    new = lambda *shape: device.tensor(rng.standard_normal(shape))  # noqa: E731
    dy, x, stats, w = new(rows, C), new(rows, C), new(rows, 2), new(C, C)
    tokens = device.tensor(rng.integers(0, V, rows, dtype=np.uint32))
    square = dict(m=rows, k=C, n=C)
    down = dict(m=C, k=rows, n=C)
    calls = {
        "matmul_nn": ([dy, w], [(rows, C)], square | {"accumulate": 1}),
        "matmul_nt": ([dy, w], [(rows, C)], square | {"accumulate": 0}),
        "matmul_tn": ([x, dy], [(C, C)], down | {"accumulate": 1}),
        "matmul_nt_gelu_backward": ([dy, w, x], [(rows, C)], square),
        "layernorm_backward": (
            [x, w.view(C), stats, dy],
            [(rows, C)],
            dict(rows=rows, n_embd=C, accumulate=1),
        ),
        "layernorm_backward_params": (
            [x, stats, dy],
            [(C,), (C,)],
            dict(rows=rows, n_embd=C, accumulate_weight=0, accumulate_bias=1),
        ),
        "position_embedding_backward": (
            [dy],
            [(11, C)],
            dict(size=rows * C, period=10 * C, total=11 * C, accumulate=0),
        ),
        "attention_backward": (
            [new(rows, 3 * C), x, new(rows), dy],
            [(rows, 3 * C)],
            dict(batch=2, time=35, n_head=1, head_size=C, accumulate=0),
        ),
        "embedding_backward": (
            [tokens, dy],
            [(V, C)],
            dict(rows=rows, n_embd=C, vocab_size=V, accumulate=1),
        ),
    }

    def run(together: bool) -> list[np.ndarray]:
        results, commands = [], []
        for name in pair:
            reads, shapes, params = calls[name]
            written = [device.tensor(np.full(shape, 0.5)) for shape in shapes]
            commands.append(fuse.Command(name, (*reads, *written), params))
            results += written
        for c in [fuse.side_by_side(*commands)] if together else commands:
            device.run(c.kernel, *c.tensors, **c.params)
        return [result.numpy() for result in results]

    for found, expected in zip(run(True), run(False), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_kernels_of_the_users_own_stay_as_they_are(device: Device, monkeypatch):
    if device.name != "webgpu":
        device.kernels["mine"] = device.kernels["copy"]
    else:
        monkeypatch.setitem(device.kernels, "mine", device.kernel("copy"))
        monkeypatch.setitem(sources.overlay, "shaders/mine.wgsl", sources.text("shaders/copy.wgsl"))
    w = device.tensor(np.eye(3))

    @jit(device)
    def f(x: Tensor) -> Tensor:
        y, z = ops.linear(x, w), device.empty(2, 3)
        device.run("mine", y, z, size=6, factor=2.0, accumulate=0)
        return z + x

    x = np.ones((2, 3), np.float32)
    found = kernels_of(
        device, lambda: np.testing.assert_array_equal(f(x).numpy(), 3 * x), monkeypatch
    )
    assert found == ["matmul_nn", "mine", "add"]


def test_an_edited_kernel_is_not_passed_over(device: Device, monkeypatch):
    """A GELU that is a ReLU now: the kernel that stands for it and its product does not know."""
    if device.name != "webgpu":
        relu = lambda x, y, *, size: np.maximum(x, 0, out=y)  # noqa: E731
        monkeypatch.setitem(device.kernels, "gelu", relu)
    else:
        code = device.kernel("gelu").code
        relu = code.replace("y[i] = 0.5", "y[i] = max(v, 0.0); _ = 0.5")
        monkeypatch.setitem(
            device.kernels, "gelu", type(device.kernel("gelu"))(device.wgpu, "gelu", relu)
        )
    w, ones, zeros = device.tensor(np.eye(3)), device.tensor(np.ones(3)), device.tensor(np.zeros(3))

    @jit(device)
    def f(x: Tensor) -> Tensor:
        return ops.gelu(ops.linear(ops.layernorm(x, ones, zeros), w))

    said = []
    x = np.array([[-1, 0, 1]], np.float32)
    found = kernels_of(device, lambda: said.append(f(x).numpy()), monkeypatch)
    assert found == ["layernorm_matmul", "gelu"]
    np.testing.assert_allclose(said[0], [[0, 0, 1.5**0.5]], atol=1e-4)


def test_an_edited_kernel_shares_no_dispatch(device: Device, monkeypatch):
    monkeypatch.setitem(
        sources.overlay,
        "shaders/matmul_tn.wgsl",
        sources.text("shaders/matmul_tn.wgsl") + "// mine\n",
    )
    w = Parameter(device.tensor(np.eye(2)), device.empty(2, 2))

    @jit(device)
    def f(x: Tensor) -> Tensor:
        w.has_grad = False
        y = ops.linear(2 * x, w)
        ops.cross_entropy(y, targets).backward()
        return w.grad

    targets = device.tensor(np.zeros(2, np.uint32))
    found = kernels_of(device, lambda: f(np.ones((2, 2), np.float32)), monkeypatch)
    assert "matmul_tn" in found


def test_what_stands_for_others_knows_them_as_they_are():
    """Where this fails: make the change in the kernel that stands for the one that was changed,
    then run `python -m groundling.devices.fused`.
    """
    for name in sources.kernels():
        text = sources.text(f"shaders/{name}.wgsl")
        assert stamped(text) == text, name


def test_a_digest_is_of_the_code_and_not_of_its_comments():
    text = sources.text("shaders/gelu.wgsl")
    assert digest(text) == digest("// mine\n" + text.replace("\n", "  // here\n"))
    assert digest(text) != digest(text.replace("0.5", "0.6"))
