"""The training loop: what it computes, and that only its configuration changes the result."""

import gc
import math
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig, with_peak
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.engine import ops
from groundling.engine.tensor import Tensor
from groundling.optim import AdamW
from groundling.rng import Stream
from groundling.runs.records import Record
from groundling.runs.run import NonFiniteLoss, Run
from groundling.train import evaluate, learning_rate, train

TEXT = (
    "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 20
)
CONFIG = TrainConfig(
    **dict(seed="small", iters=13, batch_size=3, lr=1e-2, min_lr=1e-3, warmup=4),
    **dict(eval_interval=5, eval_batches=2),
)


def small_run(device: Device, config: TrainConfig = CONFIG, **shape: float) -> Run:
    """A run of odd sizes and with dropout, of some milliseconds a step."""
    corpus = Corpus(TEXT)
    sizes = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
    run = Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes | shape))
    run.sample_every = 0
    return run


def finish(run: Run, stop_at: int | None = None) -> list[Record]:
    return list(train(run, stop_at))


def weights_of(run: Run) -> bytes:
    return run.model.weights().tobytes()


@pytest.fixture(scope="module")
def finished() -> tuple[Run, list[Record]]:
    """A small run on NumPy, and its records."""
    run = small_run(NumPyDevice())
    return run, finish(run)


# What it computes


def test_the_default_run_follows_the_golden_trajectory(
    device: Device, corpus: Corpus, golden: dict
):
    """In full natively, on NumPy or a real GPU; where a step takes a second, its first steps."""
    last = 2 if sys.platform == "emscripten" else 39
    if device.name == "webgpu" and device.is_emulated:
        last = 5
    config = TrainConfig(iters=40, warmup=10, eval_interval=1000, eval_batches=1)
    records = []
    for record in train(Run(config, corpus, device)):
        records.append(record)
        if record.iter == last:
            break
    expected = {int(it): loss for it, loss in golden["twin"]["training loss by iter"].items()}
    norm = golden["twin"]["global gradient norm at iter 0, before clipping"]
    assert records[0].grad_norm == pytest.approx(norm, abs=2e-3)
    for it, loss in expected.items():
        if it <= last:
            assert records[it].train == pytest.approx(loss, abs=2e-3), f"iter {it}"


def test_a_tiny_repeated_text_is_learned_by_heart(device: Device):
    """What follows its a, o, u and spaces is in the context, but for those that begin a window."""
    config = TrainConfig(
        **dict(seed="quartz", iters=300, batch_size=8, lr=1e-2, min_lr=1e-3, warmup=10),
        **dict(weight_decay=0.0, eval_interval=1000, eval_batches=1),
    )
    corpus = Corpus("Sphinx of black quartz, judge my vow. " * 20)
    sizes = dict(block_size=48, n_layer=1, n_head=2, n_embd=24, d_ff=48)
    run = Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **sizes))
    records = finish(run)
    assert records[0].train == pytest.approx(math.log(corpus.vocab_size), abs=0.1)
    assert records[-1].train < 0.05
    assert run.val_loss < 0.05


def test_there_is_a_record_for_each_iteration_in_order(device: Device):
    records = finish(small_run(device))
    assert [r.iter for r in records] == list(range(13))
    assert [r.lr for r in records] == [learning_rate(it, CONFIG) for it in range(13)]
    assert [r.iter for r in records if r.val is not None] == [0, 5, 10, 12]


def test_the_learning_rate_warms_up_then_falls_as_half_a_cosine():
    config = TrainConfig()
    assert learning_rate(0, config) == pytest.approx(3e-6)
    assert learning_rate(49, config) == pytest.approx(1.5e-4)
    assert learning_rate(99, config) == learning_rate(100, config) == 3e-4
    assert learning_rate(1050, config) == pytest.approx((3e-4 + 3e-5) / 2)
    assert learning_rate(1999, config) == pytest.approx(3e-5, rel=1e-3)
    rates = [learning_rate(it, config) for it in range(100, 2000)]
    assert rates == sorted(rates, reverse=True)


def test_a_run_shorter_than_its_warmup_has_a_learning_rate():
    assert learning_rate(4, TrainConfig(iters=5, warmup=10)) == pytest.approx(1.5e-4)
    assert learning_rate(0, TrainConfig(iters=1, warmup=0)) == 3e-4


def test_the_shown_loss_is_a_running_average(device: Device):
    run = small_run(device)
    average = None
    for record in finish(run):
        average = record.train if average is None else 0.9 * average + 0.1 * record.train
    assert run.train_loss == pytest.approx(average)


def test_the_validation_loss_is_the_mean_of_the_next_batches_of_its_own_stream(device: Device):
    run = small_run(device)
    corpus, model = run.corpus, run.model
    stream = Stream("small:val")
    for _ in range(2):  # two evaluations: the stream goes on
        losses = []
        for _ in range(2):
            offsets = np.floor(stream.uniform(3) * (len(corpus.val) - 10)).astype(int)
            rows = np.stack([corpus.val[o : o + 10] for o in offsets])
            x, y = device.tensor(rows[:, :-1]), device.tensor(rows[:, 1:])
            losses.append(model.loss(x, y).item())
        assert evaluate(run) == pytest.approx(np.mean(losses), rel=1e-5)
    assert run.val_loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_dropout_slows_learning_and_leaves_evaluation_alone(device: Device):
    with_it, without = small_run(device, dropout=0.5), small_run(device, dropout=0.0)
    assert evaluate(with_it) == evaluate(without)
    assert [r.train for r in finish(with_it)] != [r.train for r in finish(without)]


def test_a_loss_that_is_no_number_ends_the_run_and_says_where(device: Device):
    run = small_run(device)
    run.model.load(np.full(run.model.weights().size, 1e30, np.float32))
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteLoss, match="at iter 0 is (nan|inf)") as error,
    ):
        finish(run)
    assert error.value.record.iter == 0


# Nothing else changes it


def test_two_runs_of_one_seed_end_with_the_same_bytes(device: Device):
    runs = small_run(device), small_run(device)
    first, second = (finish(run) for run in runs)
    assert first == second
    assert weights_of(runs[0]) == weights_of(runs[1])


def test_two_seeds_end_apart(device: Device):
    runs = small_run(device), small_run(device, replace(CONFIG, seed="smaller"))
    assert finish(runs[0]) != finish(runs[1])


def test_a_run_without_capture_ends_with_the_same_bytes(device: Device):
    captured, plain = small_run(device), small_run(device)
    records = finish(captured)
    device.capturing_enabled = False
    try:
        assert finish(plain) == records
    finally:
        device.capturing_enabled = True
    assert weights_of(plain) == weights_of(captured)


@pytest.mark.parametrize("pauses", [{0}, {4}, {11}, {2, 3, 8}, set(range(13))])
def test_a_paused_run_ends_with_the_same_bytes_and_records(device: Device, pauses: set):
    whole, paused = small_run(device), small_run(device)
    records = []
    while paused.iter < CONFIG.iters:
        for record in train(paused):
            records.append(record)
            if record.iter in pauses:
                paused.pause()
        assert len(records) == paused.iter  # all that was on its way has arrived
    assert records == finish(whole)
    assert weights_of(paused) == weights_of(whole)


def test_a_pause_before_the_first_iteration_is_obeyed_once(device: Device):
    whole, run = small_run(device), small_run(device)
    for _ in range(2):
        at, stream = run.iter, train(run)
        run.pause()
        assert list(stream) == [] and run.iter == at and run.pausing
        for record in train(run):
            if record.iter == 3:
                run.pause()
    finish(whole)
    assert run.iter == CONFIG.iters and weights_of(run) == weights_of(whole)


def test_a_restored_state_goes_on_exactly_where_it_was_on_another_device(device: Device):
    run = small_run(device)
    for record in train(run):
        if record.iter == 6:
            run.pause()
    state = run.state()
    other = small_run(type(device)(), replace(CONFIG, seed="another", iters=1000))
    other.restore(state)
    assert finish(other) == finish(run)
    assert weights_of(other) == weights_of(run)
    assert (other.train_loss, other.val_loss) == (run.train_loss, run.val_loss)


def test_a_state_is_not_changed_by_going_on(device: Device):
    run = small_run(device)
    for record in train(run):
        if record.iter == 3:
            run.pause()
    state = run.state()
    records = finish(run)
    run.restore(state)
    assert finish(run) == records


# What is kept


class Counted:
    """How often the Python of a model's loss runs."""

    def __init__(self, run: Run):
        self.calls, loss = 0, run.model.loss

        def counting(*given: object) -> Tensor:
            self.calls += 1
            return loss(*given)

        run.model.loss = counting


def trained_to(run: Run, stop_at: int) -> tuple:
    records = finish(run, stop_at=stop_at)
    return records, weights_of(run)


def test_the_captured_step_is_kept_from_one_training_to_the_next(device: Device):
    run = small_run(device)
    counted = Counted(run)
    finish(run, stop_at=1)
    before = counted.calls, device.counts.bind_groups
    for at in range(2, 11):
        finish(run, stop_at=at)
        run.state()
    assert (counted.calls, device.counts.bind_groups) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda run: setattr(run.model.h[0], "mlp", lambda x: x),
        lambda run: setattr(run.model.h[1].attn.dropout, "rate", 0.3),
        lambda run: setattr(run.model, "wpe", run.model.wte),
        lambda run: setattr(run.optimizer, "weight_decay", 0.9),
        lambda run: setattr(run, "config", replace(run.config, grad_clip=1e-3)),
        lambda run: setattr(run, "train_tokens", run.device.tensor(run.corpus.train[::-1])),
        lambda run: setattr(run, "optimizer", AdamW(run.model, beta1=0.5)),
        lambda run: setattr(run, "optimizer", Halved(run.model)),
    ],
    ids=[
        "a method",
        "dropout",
        "a parameter",
        "a number",
        "the clip",
        "the text",
        "another optimizer",
        "another kind",
    ],
)
def test_a_training_follows_what_was_changed_since_the_one_before(device: Device, change):
    """A run that has trained before does what one does that is captured only now."""
    before, now = small_run(device), small_run(device)
    finish(before, stop_at=4)
    device.capturing_enabled = False
    finish(now, stop_at=4)
    change(before), change(now)
    expected = trained_to(now, 8)
    device.capturing_enabled = True
    records, weights = trained_to(before, 8)
    assert [(r.train, r.val) for r in records] == [(r.train, r.val) for r in expected[0]]
    assert weights == expected[1]


class Halved(AdamW):
    """An optimizer of a reader's."""

    def step(self, hyper: Tensor) -> None:
        for flat in self.model.flat:
            own = flat.view(flat.size)
            self.model.device.run("copy", own, self.m[0], size=own.size, factor=0.5, accumulate=0)
            self.model.device.run("copy", self.m[0], own, size=own.size, factor=1.0, accumulate=0)


def test_code_that_is_replaced_in_its_module_is_followed(device: Device, monkeypatch):
    run, other = small_run(device), small_run(device)
    for each in (run, other):
        finish(each, stop_at=3)
    assert weights_of(run) == weights_of(other)
    monkeypatch.setattr(sys.modules[type(run.model).__module__], "gelu", ops.relu)
    finish(run, stop_at=6)
    finish(other, stop_at=3)
    other.recapture()
    finish(other, stop_at=6)
    assert weights_of(run) == weights_of(other)
    monkeypatch.undo()
    third = small_run(device)
    finish(third, stop_at=6)
    assert weights_of(third) != weights_of(run)


@pytest.mark.parametrize("capturing", [True, False])
def test_outside_of_a_step_nothing_is_dropped(device: Device, capturing: bool):
    run, tokens = small_run(device, dropout=0.5), device.tensor(np.zeros((1, 4), np.uint32))
    device.capturing_enabled = capturing
    finish(run, stop_at=2)
    device.capturing_enabled = True
    found = run.model.forward(tokens).numpy()
    for module in run.model.modules():
        module.rate = 0.0
    np.testing.assert_array_equal(found, run.model.forward(tokens).numpy())


# What can be changed


@pytest.mark.parametrize(
    "settings",
    [
        dict(weight_decay=0.9),
        dict(beta1=0.2),
        dict(beta2=0.5),
        dict(eps=1e-2),
        dict(grad_clip=1e-3),
        dict(eval_interval=3),
        dict(eval_batches=3),
        dict(warmup=9, lr=5e-2),
        dict(iters=11),
        dict(iters=30, grad_clip=0.1, beta1=0.5),
    ],
    ids=str,
)
def test_settings_that_change_within_a_training_hold_wholly_from_the_next_iteration(
    device: Device, settings: dict
):
    """As in a run that was stopped there, changed, and captured anew."""
    run, stopped = small_run(device), small_run(device)
    records, at = [], None
    for record in train(run):
        records.append(record)
        if record.iter == 1:  # a device is soon far ahead of what has arrived
            at = run.iter
            run.change(**settings)
    expected = finish(stopped, stop_at=at)
    stopped.change(**settings)
    assert stopped.changes == run.changes and {change[0] for change in run.changes} == {at}
    stopped.recapture()
    expected += finish(stopped)
    assert records == expected and run.iter == run.config.iters
    assert weights_of(run) == weights_of(stopped)


def test_what_is_settled_cannot_change_within_a_training(device: Device):
    run = small_run(device)
    next(train(run))
    for name, value in dict(batch_size=8, accumulate=2, seed="b").items():
        with pytest.raises(ValueError, match=f"{name} cannot change while a run goes on"):
            run.change(**{name: value})
    assert run.config == CONFIG and run.changes == []


def test_a_new_peak_learning_rate_holds_from_exactly_the_next_iteration(device: Device):
    run, records, changed_at = small_run(device, replace(CONFIG, iters=40)), [], None
    for record in train(run):
        records.append(record)
        if record.iter == 5:
            changed_at = run.iter
            run.set_lr(2e-2)
    before, after = replace(CONFIG, iters=40), run.config
    assert after.lr == 2e-2
    for record in records:
        config = before if record.iter < changed_at else after
        assert record.lr == learning_rate(record.iter, config), record.iter


def test_a_learning_rate_out_of_range_is_refused_and_nothing_changes(device: Device):
    run = small_run(device)
    for lr in (-1.0, math.nan, 1e9):
        with pytest.raises(ValueError, match="lr is"):
            run.set_lr(lr)
    assert run.config == CONFIG


@pytest.mark.parametrize(
    ("lr", "min_lr", "peak", "last"),
    [
        (3e-4, 3e-5, 1e-3, 3e-5),
        (3e-4, 3e-5, 1e-5, 1e-5),
        (3e-4, 3e-4, 1e-3, 1e-3),
        (1.0, 0.1, 0, 0),
    ],
)
def test_the_last_learning_rate_is_never_above_the_peak_and_a_constant_one_stays_so(
    lr: float, min_lr: float, peak: float, last: float
):
    config = with_peak(TrainConfig(lr=lr, min_lr=min_lr), peak)
    assert (config.lr, config.min_lr) == (peak, last)


def test_a_checkpoint_says_what_the_weights_are(device: Device):
    run = small_run(device)
    finish(run)
    ckpt = run.checkpoint()
    assert (ckpt.seed, ckpt.iter, ckpt.val_loss) == ("small", 13, run.val_loss)
    assert (ckpt.config, ckpt.vocab_hash) == (run.model.config, run.corpus.vocab_hash)
    assert ckpt.weights.tobytes() == weights_of(run)


def test_loaded_weights_restart_adamw_and_the_streams_and_keep_the_schedule(
    device: Device, finished: tuple
):
    ckpt = replace(finished[0].checkpoint(), seed="theirs", iter=8, val_loss=1.25)
    run = small_run(device)
    finish(run)
    run.load(ckpt)
    assert (run.config.seed, run.iter, run.train_loss, run.val_loss) == ("theirs", 8, None, 1.25)
    assert weights_of(run) == ckpt.weights.tobytes()
    assert run.optimizer.t == 0
    assert not run.optimizer.m[0].numpy().any()
    assert not run.optimizer.v[0].numpy().any()
    assert run.batches.state == Stream("theirs").state
    assert run.validation.state == Stream("theirs:val").state
    records = finish(run)
    assert [r.iter for r in records] == list(range(8, 13))
    assert records[0].lr == learning_rate(8, CONFIG)


def test_a_run_goes_on_from_loaded_weights_as_a_new_one_does(device: Device, finished: tuple):
    ckpt = replace(finished[0].checkpoint(), iter=8)
    used, new = small_run(device), small_run(device)
    finish(used)
    for run in (used, new):
        run.load(ckpt)
    assert finish(used) == finish(new)
    assert weights_of(used) == weights_of(new)


@pytest.mark.parametrize("change", [{"n_layer": 1}, {"block_size": 8}, {"n_head": 2}])
def test_weights_of_another_model_are_refused_and_nothing_changes(
    device: Device, finished: tuple, change: dict
):
    run = small_run(device, **change)
    before = weights_of(run)
    with pytest.raises(ValueError, match="another model"):
        run.load(finished[0].checkpoint())
    assert weights_of(run) == before
    assert run.config == CONFIG


def test_weights_of_another_vocabulary_are_refused_and_nothing_changes(
    device: Device, finished: tuple
):
    run = small_run(device)
    before = weights_of(run)
    with pytest.raises(ValueError, match="other characters"):
        run.load(replace(finished[0].checkpoint(), vocab_hash="0" * 64))
    assert weights_of(run) == before
    assert run.iter == 0


def test_a_file_says_nothing_of_dropout_and_loads_whatever_it_is(device: Device, finished: tuple):
    ckpt = finished[0].checkpoint()
    ckpt.config = replace(ckpt.config, dropout=0.0)
    run = small_run(device, dropout=0.1)
    run.load(ckpt)
    assert weights_of(run) == ckpt.weights.tobytes()
    assert run.model.config.dropout == 0.1


def test_zero_iterations_train_nothing(device: Device):
    run = small_run(device, replace(CONFIG, iters=0))
    assert finish(run) == []
    assert run.checkpoint().iter == 0


def test_a_text_shorter_than_a_context_is_refused(device: Device):
    with pytest.raises(ValueError, match="too short"):
        Run(CONFIG, Corpus(TEXT[:80]), device)


# What it costs


def test_a_step_of_the_default_model_takes_at_most_120_kernels(device: Device, corpus: Corpus):
    config = TrainConfig(iters=6, batch_size=1, eval_interval=1000, eval_batches=1)
    run = Run(config, corpus, device)
    finish(run, stop_at=2)
    before, began = device.counts.dispatches, run.iter
    finish(run, stop_at=4)
    assert (device.counts.dispatches - before) / (run.iter - began) <= 120


def test_a_run_is_freed_when_it_is_let_go(device: Device):
    run = small_run(device)
    finish(run)
    weak = weakref.ref(run)
    gc.disable()
    try:
        del run
        assert weak() is None
    finally:
        gc.enable()
