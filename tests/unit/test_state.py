"""The state file: a run goes on from it to the bit, and what is not one is refused."""

import gc
import hashlib
import json
import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.rng import Stream
from groundling.runs import checkpoint, statefile
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.records import Log
from groundling.runs.run import Run
from groundling.runs.samples import Sample
from groundling.runs.statefile import OtherOrigin, Saved, load_state, loads, save_state
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 20
VERSION_1 = Path(__file__).with_name("version1.state").read_bytes()  # at 18 of 40 iterations
CONFIG = TrainConfig(
    **dict(seed="small", iters=40, batch_size=3, lr=1e-2, min_lr=1e-3, warmup=4),
    **dict(beta1=0.8, eval_interval=7, eval_batches=2),
)


def small_run(device: Device, config: TrainConfig = CONFIG) -> Run:
    """A run of odd sizes and with dropout, of some milliseconds a step."""
    corpus = Corpus(TEXT)
    shape = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
    return Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **shape))


def finish(run: Run, stop_at: int | None = None) -> None:
    for _ in train(run, stop_at):
        pass


def everything(run: Run) -> tuple:
    """All of a run's state, comparable, its numbers as hashes."""
    now = run.state()
    numbers = [hashlib.sha256(getattr(now, name).tobytes()).hexdigest() for name in ["m", "v"]]
    numbers.append(hashlib.sha256(now.weights.tobytes()).hexdigest())
    return replace(now, weights=None, m=None, v=None), numbers


@pytest.fixture(scope="module")
def data() -> bytes:
    """The state of a small run on NumPy, after 18 of its 40 iterations."""
    run = small_run(NumPyDevice())
    finish(run, 18)
    run.samples.append(Sample(18, 2.5, "Tö be\ud800"))
    return save_state(run)


@pytest.fixture
def saved(data: bytes) -> Saved:
    return loads(data)


def sealed(data: bytes, **meta: object) -> bytes:
    """The file with other facts, and a header that fits them; a dot in a name is a level down."""
    start = 512 + json.loads(data[:512])["metaBytes"]
    facts = json.loads(data[512:start])
    for name, value in meta.items():
        *path, last = name.split("__")
        place = facts
        for key in path:
            place = place[key]
        place[last] = value
    return with_meta(data, json.dumps(facts))


def with_meta(data: bytes, text: str) -> bytes:
    """The file with this text for its JSON, as it stands, and a header that fits it."""
    header = json.loads(data[:512])
    floats = data[512 + header["metaBytes"] :]
    return with_body(header | {"metaBytes": len(text)}, text.encode("latin-1") + floats)


def with_body(header: dict, body: bytes) -> bytes:
    header["sha256"] = hashlib.sha256(body).hexdigest()
    return json.dumps(header, separators=(",", ":")).encode().ljust(512) + body


def replace_floats(saved: Saved) -> tuple:
    """All of a saved state, comparable."""
    floats = (getattr(saved.state, name).tobytes() for name in ("weights", "m", "v"))
    return replace(saved, state=replace(saved.state, weights=None, m=None, v=None)), *floats


def refusal(data: bytes) -> str:
    with pytest.raises(CheckpointError) as error:
        loads(data)
    return str(error.value)


# It goes on to the bit


def test_stopping_saving_and_loading_elsewhere_change_nothing(device: Device):
    """200 straight against 100, save, load on another device of the kind, 100."""
    config = replace(CONFIG, iters=300)
    whole, half = small_run(device, config), small_run(device, config)
    finish(whole, 200)
    finish(half, 100)
    other = load_state(save_state(half), Corpus(TEXT), type(device)())
    del half
    finish(other, 200)
    assert everything(other) == everything(whole)
    assert other.train_loss == whole.train_loss
    assert [record.iter for record in other.log] == list(range(200))


def test_a_pause_a_save_and_a_setting_set_to_what_it_is_change_nothing(device: Device):
    whole, paused = small_run(device), small_run(device)
    finish(whole)
    for record in train(paused):
        if record.iter == 10:
            paused.pause()
    save_state(paused)
    paused.set_lr(paused.config.lr)
    finish(paused, 20)
    paused = load_state(save_state(paused), Corpus(TEXT), device)
    finish(paused)
    assert everything(paused) == everything(whole)


def test_a_changed_learning_rate_goes_on_too(device: Device):
    whole = small_run(device)
    finish(whole, 10)
    whole.set_lr(5e-3)
    finish(whole, 15)
    other = load_state(save_state(whole), Corpus(TEXT), device)
    finish(whole)
    finish(other)
    assert everything(other) == everything(whole)


def test_settings_that_were_changed_go_on_too_and_are_told(device: Device):
    whole = small_run(device)
    finish(whole, 10)
    whole.change(weight_decay=0.7, beta2=0.5, grad_clip=0.2, iters=whole.config.iters + 4)
    whole.sample_every = 6
    finish(whole, 15)
    other = load_state(save_state(whole), Corpus(TEXT), device)
    assert [(at, name) for at, name, *_ in other.changes] == [
        *((10, "weight_decay"), (10, "beta2"), (10, "grad_clip"), (10, "iters")),
    ]
    finish(whole)
    finish(other)
    assert everything(other) == everything(whole)
    assert [s.iter for s in other.samples] == [s.iter for s in whole.samples]


def test_what_cannot_change_on_the_way_is_refused(device: Device):
    run = small_run(device)
    finish(run, 10)
    before = run.config
    for settings, told in (
        (dict(batch_size=4), "batch_size cannot change while a run goes on"),
        (dict(seed="x"), "seed cannot change"),
        (dict(n_layer=4), "n_layer cannot change"),
        (dict(iters=9), "iters is 9, and the run is at iter 10"),
        (dict(beta1=1.0), "beta1 is 1.0"),
        (dict(lr=1e-9), "min_lr is"),
    ):
        with pytest.raises(ValueError, match=told):
            run.change(**settings)
    assert (run.config, run.changes) == (before, [])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([[3, "lr", 1, 0.01], [2, "lr", 0.01, 0.01]], "changes[1][0] is 2"),
        ([[3, "seed", 1, 2]], "changes[0] is of 'seed', which cannot change"),
        ([[3, "lr", 1, 2]], "changes do not end with config"),
        ([[3, "lr"]], "changes[0] is [3, 'lr']; it must be a list of 4"),
        ([3], "changes[0] is 3; it must be a list of 4"),
        ({"a": 1}, "changes is {'a': 1}; it must be a list"),
        ([[3, ["lr"], 1, 2]], "changes[0] is of ['lr']"),
        ([[99, "lr", 0.01, 0.01]], "changes[0][0] is 99"),
    ],
)
def test_changes_that_cannot_have_been_are_refused(device: Device, changes: list, told: str):
    run = small_run(device)
    finish(run, 4)
    saved = statefile.loads(save_state(run))
    with pytest.raises(CheckpointError) as error:
        saved.state.changes = changes
        statefile.dumps(saved)
    assert told in str(error.value)


def test_a_state_before_the_first_iteration_and_after_the_last(device: Device):
    run = small_run(device)
    other = load_state(save_state(run), Corpus(TEXT), device)
    finish(run)
    finish(other)
    assert everything(other) == everything(run)
    over = load_state(save_state(run), Corpus(TEXT), device)
    finish(over)
    assert everything(over) == everything(run)


def test_a_run_that_began_with_weights_from_a_file_is_kept_whole(device: Device):
    run = small_run(device)
    finish(run, 12)
    run.load(run.checkpoint())
    finish(run, 20)
    other = load_state(save_state(run), Corpus(TEXT), device)
    assert (other.first, [r.iter for r in other.log]) == (12, list(range(12, 20)))
    assert everything(other) == everything(run)


def test_a_run_may_stand_beyond_its_schedule(device: Device):
    run = small_run(device)
    run.load(replace(run.checkpoint(), iter=5000))
    assert load_state(save_state(run), Corpus(TEXT), device).iter == 5000


def test_a_state_takes_in_the_losses_that_are_on_their_way(device: Device):
    run, straight = small_run(device), small_run(device)
    for record in train(run):
        if record.iter == 3:
            break  # with steps in flight, on a GPU
    loaded = load_state(save_state(run), Corpus(TEXT), device)
    finish(straight, loaded.iter)
    assert [record.train for record in loaded.log] == [record.train for record in straight.log]


def test_a_run_left_in_the_middle_loses_no_record(device: Device):
    run = small_run(device)
    first = list(islice(train(run), 3))
    rest = list(train(run))
    assert [record.iter for record in first + rest] == list(range(run.config.iters))
    assert run.log == first + rest


def test_a_state_whose_log_does_not_reach_its_iter_is_refused(device: Device):
    run = small_run(device)
    finish(run, 5)
    run.iter += 1
    with pytest.raises(RuntimeError, match="do not end at iter 6"):
        save_state(run)


def test_weights_are_saved_and_loaded_in_the_same_words(device: Device):
    run, other = small_run(device), small_run(device, replace(CONFIG, seed="other"))
    finish(run, 5)
    ckpt = checkpoint.loads(statefile.save_weights(run))
    other.load(ckpt)
    assert (other.iter, other.config.seed, ckpt.iter) == (5, "small", 5)
    np.testing.assert_array_equal(other.model.weights(), run.model.weights())
    assert other.optimizer.t == 0


# What is written


def test_the_file_is_a_header_facts_and_three_numbers_for_each_parameter(data, saved):
    header = json.loads(data[:512])
    keys = "format iter metaBytes records sampleBytes floats sha256 createdAt"
    assert list(header) == keys.split()
    assert (header["format"], header["iter"]) == ("groundling-state-v2", 18)
    rows = 512 + header["metaBytes"]
    samples = rows + 40 * 18
    start = samples + header["sampleBytes"]
    assert rows % 8 == start % 8 == 0
    count = saved.state.weights.size
    assert len(data) == start + 12 * count
    assert header["sha256"] == hashlib.sha256(data[512:]).hexdigest()
    floats = np.frombuffer(data, "<f4", offset=start).reshape(3, count)
    for row, name in zip(floats, ("weights", "m", "v"), strict=True):
        np.testing.assert_array_equal(row, getattr(saved.state, name))
    facts = json.loads(data[512:rows])
    assert facts["config"]["seed"] == "small"
    assert facts["model"]["dropout"] == 0.1
    log = np.frombuffer(data, "<f8", 5 * 18, rows).reshape(18, 5)
    expected = [(r.train, r.smooth, r.lr, r.grad_norm) for r in saved.state.log]
    np.testing.assert_array_equal(log[:, :4], expected)
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(log[:, 4])), [0, 7, 14])
    lines = data[samples:start].splitlines()
    assert json.loads(lines[1]) == [18, 2.5, "T\u00f6 be\ud800"]


def test_what_is_read_is_what_was_written(data, saved):
    assert statefile.dumps(saved) == data
    assert saved.state.samples[1:] == [Sample(18, 2.5, "Tö be\ud800")]
    assert saved.corpus_hash == hashlib.sha256(TEXT.encode()).hexdigest()
    assert saved.vocab_hash == Corpus(TEXT).vocab_hash
    assert saved.code_hash == sources.code_hash()
    assert saved.device.startswith("numpy: NumPy ")
    assert isinstance(saved.state.config.grad_clip, float)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_bytes_will_do(data, saved, kind):
    assert statefile.dumps(loads(kind(data))) == data


def test_its_weights_are_those_of_the_bin(device: Device):
    run = small_run(device)
    finish(run, 8)
    mine, theirs = run.checkpoint(), statefile.weights_of(loads(save_state(run)))
    theirs.created_at, theirs.config = mine.created_at, replace(theirs.config, dropout=0.1)
    assert checkpoint.dumps(theirs) == checkpoint.dumps(mine)


def test_a_gradient_that_overflowed_is_kept_as_such(saved):
    records = list(saved.state.log)
    records[3] = replace(records[3], grad_norm=float("inf"))
    saved.state.log = records
    assert loads(statefile.dumps(saved)).state.log[3].grad_norm == float("inf")


@pytest.mark.parametrize("name", ["weights", "m", "v"])
def test_nothing_is_written_that_could_not_be_read(saved, name):
    setattr(saved.state, name, np.full_like(saved.state.weights, np.nan))
    with pytest.raises(CheckpointError, match="are not finite"):
        statefile.dumps(saved)


# Other code, another text


def test_the_code_hash_is_of_what_decides_the_numbers(monkeypatch):
    here = sources.code_hash()
    assert len(here) == 64 and sources.code_hash.__wrapped__() == here

    def changed(path: str) -> bool:
        text = "" if path.endswith("mine.py") else sources.text(path)
        with monkeypatch.context() as edit:
            edit.setitem(sources.overlay, path, text + "\n")
            return sources.code_hash.__wrapped__() != here

    assert changed("py_src/groundling/model.py") and changed("py_src/groundling/devices/numpy.py")
    assert changed("shaders/gelu.wgsl") and changed("py_src/groundling/mine.py")
    assert not changed("py_src/groundling/cli/main.py")


def test_other_code_is_said_and_can_be_confirmed(saved, data):
    saved.code_hash = "0" * 64
    with pytest.raises(OtherOrigin, match="The code is other code: .* 000000000000…"):
        statefile.resume(saved, Corpus(TEXT), NumPyDevice())
    run = statefile.resume(saved, Corpus(TEXT), NumPyDevice(), anyway=True)
    assert everything(run) == everything(load_state(data, Corpus(TEXT), NumPyDevice()))


def test_another_text_of_the_same_characters_is_said_and_can_be_confirmed(data):
    other = Corpus(TEXT[::-1], name="reversed")
    with pytest.raises(OtherOrigin, match="The text is another one: .* 'reversed'") as error:
        load_state(data, other, NumPyDevice())
    assert len(error.value.differences) == 1
    run = load_state(data, other, NumPyDevice(), anyway=True)
    finish(run, 20)
    assert run.iter == 20


def test_a_text_of_other_characters_cannot_be_confirmed(data):
    with pytest.raises(CheckpointError, match="vocabulary is not that of 'other'"):
        load_state(data, Corpus("otherwise " * 90, name="other"), NumPyDevice(), anyway=True)


def test_a_state_of_another_model_is_not_restored(device: Device, saved):
    run = small_run(device)
    before = everything(run)
    saved.state.model = replace(saved.state.model, dropout=0.2)
    with pytest.raises(ValueError, match="another model"):
        run.restore(saved.state)
    assert everything(run) == before


# What is refused


@pytest.mark.parametrize("length", [0, 511])
def test_a_file_shorter_than_a_header(data, length):
    assert f"has {length} bytes, fewer than the 512" in refusal(data[:length])


@pytest.mark.parametrize(("change", "told"), [(-1, "1 are missing"), (-9000, "9,000 are missing")])
def test_a_file_cut_short(data, change, told):
    assert told in refusal(data[:change])


def test_a_file_with_more_after_its_floats(data):
    assert "4 are too many" in refusal(data + b"\0" * 4)


@pytest.mark.parametrize("at", [512, 600, 3000, -1])
def test_a_byte_that_changed(data, at):
    damaged = bytearray(data)
    damaged[at] ^= 1
    assert "The file is damaged: from byte 512 on its SHA-256 is" in refusal(bytes(damaged))


def test_weights_are_no_state_and_a_state_is_no_weights(data):
    run = small_run(NumPyDevice())
    assert "only 'groundling-state-v2' can be read" in refusal(statefile.save_weights(run))
    with pytest.raises(CheckpointError, match="only 'tinker-m18-v1' can be read"):
        checkpoint.loads(data)
    assert statefile.is_state(data)
    assert not statefile.is_state(statefile.save_weights(run))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("format", "groundling-state-v3", "The file's format is 'groundling-state-v3'"),
        ("iter", -1, "iter is -1; it must be a whole number"),
        ("iter", 19, "iter is 19, and 18 at byte 512"),
        ("metaBytes", 2**40, "are missing; it was cut short"),
        ("records", 2**54, "records is 18014398509481984; it must be a whole number from 0"),
        ("sampleBytes", 2**40, "are missing; it was cut short"),
        ("metaBytes", 4, "are too many"),
        ("metaBytes", "4", "metaBytes is '4'"),
        ("floats", 10**15, "are missing; it was cut short"),
        ("floats", 2**60, "floats is 1152921504606846976; it must be"),
        ("sha256", "0" * 63, "it must be 64 hexadecimal digits"),
        ("createdAt", "now", "createdAt is 'now'; it must be a time"),
    ],
)
def test_a_header_that_is_not_what_it_should_be(data, key, value, told):
    header = json.loads(data[:512]) | {key: value}
    assert told in refusal(json.dumps(header).encode().ljust(512) + data[512:])


def test_floats_that_are_not_three_for_each_parameter(data):
    header = json.loads(data[:512])
    body = data[512:-12]
    said = refusal(with_body(header | {"floats": header["floats"] - 3}, body))
    assert "its weights, m and v" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": []}, "model is []; it must be an object."),
        ({"model__n_embd": 13}, "model is wrong: n_embd is 13 and n_head is 3"),
        ({"model__dropout": "0"}, "model is wrong: dropout is '0'"),
        ({"model__bias": True}, "model has 'bias', which does not belong there."),
        ({"config__lr": 10**400}, "config is wrong: lr is 1000"),
        ({"config__seed": None}, "config is wrong: seed is None"),
        ({"config__beta1": 1.0}, "config is wrong: beta1 is 1.0"),
        ({"first": 19}, "first is 19; it must be a whole number from 0 to 18."),
        ({"step": -1}, "step is -1"),
        ({"val_loss": "low"}, "val_loss is 'low'"),
        ({"streams": {}}, "streams has no batches."),
        ({"streams__batches": [1, 2, 3]}, "streams.batches has 3 entries; it must have 4."),
        ({"streams__batches": [1, 2, 3, 2**32]}, "streams.batches[3] is 4294967296"),
        ({"streams__validation": [1, 2, 3, 0.5]}, "streams.validation[3] is 0.5"),
        ({"corpus_hash": "x"}, "corpus_hash is 'x'"),
        ({"device": 7}, "device is 7; it must be text."),
        ({"streams__sampling": None}, "streams.sampling is None; it must be a list."),
        ({"more": 1}, "it has 'more', which does not belong there."),
    ],
)
def test_a_fact_that_is_not_what_it_should_be(data, change, told):
    said = refusal(sealed(data, **change))
    assert said.startswith("The file's state is wrong: ")
    assert told in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"iter": 17}, "log.train has 18 entries; it must have 17."),
        ({"samples": [[1]]}, "samples[0] has 1 entries; it must have 3."),
        ({"samples": [[1, "low", ""]]}, "samples[0][1] is 'low'"),
        ({"samples": [[1, 2, 3]]}, "samples[0][2] is 3; it must be text."),
        ({"log": None}, "log is None; it must be an object."),
        ({"log__train": [1.0]}, "log.train has 1 entries; it must have 18."),
        ({"log__train": [None] * 18}, "log.train[0] is None"),
        ({"log__val": [[18, 1.0]]}, "log.val[0][0] is 18"),
        ({"log__val": [[3, 1.0], [3, 1.0]]}, "log.val[1][0] is 3"),
        ({"log__val": [[3, None]]}, "log.val[0][1] is None"),
    ],
)
def test_a_log_or_samples_of_the_first_version_that_are_not_what_they_should_be(change, told):
    said = refusal(sealed(VERSION_1, **change))
    assert said.startswith("The file's state is wrong: ")
    assert told in said


@pytest.mark.parametrize(
    ("column", "it", "value", "told"),
    [
        (0, 3, np.nan, "The log is wrong: train of iter 3 is nan."),
        (1, 17, np.inf, "The log is wrong: smooth of iter 17 is inf."),
        (2, 0, -np.inf, "The log is wrong: lr of iter 0 is -inf."),
        (3, 1, -1.0, "The log is wrong: grad_norm of iter 1 is -1.0."),
        (3, 1, np.nan, "The log is wrong: grad_norm of iter 1 is nan."),
        (4, 7, -0.5, "The log is wrong: val of iter 7 is -0.5."),
    ],
)
def test_a_record_that_cannot_have_been_is_named(data, column, it, value, told):
    header, body = json.loads(data[:512]), bytearray(data[512:])
    at = header["metaBytes"] + 40 * it + 8 * column
    body[at : at + 8] = np.float64(value).tobytes()
    assert refusal(with_body(header, bytes(body))) == told


def test_a_log_that_does_not_reach_its_iter_is_refused(data):
    assert "The log has 18 records; from iter 0 to 17 there must be 17." in refusal(
        sealed(data, iter=17)
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[1]", "samples[0] has 1 entries; it must have 3."),
        ('[1,"low",""]', "samples[0][1] is 'low'"),
        ("[1,2,3]", "samples[0][2] is 3; it must be text."),
        ("[1,2", "is not what ASCII JSON has there."),
    ],
)
def test_samples_that_cannot_have_been_are_refused(data, line, told):
    header, body = json.loads(data[:512]), data[512:]
    at = header["metaBytes"] + 40 * header["records"]
    lines = line.encode().ljust(header["sampleBytes"])
    body = body[:at] + lines + body[at + len(lines) :]
    assert told in refusal(with_body(header, body))


def test_a_file_of_the_first_version_goes_on_as_it_would_have(saved):
    old = loads(VERSION_1)
    assert (old.state.iter, len(old.state.log), old.state.log[14].iter) == (18, 18, 14)
    assert [r.iter for r in old.state.log if r.val is not None] == [0, 7, 14]
    assert old.state.samples[-1] == Sample(18, 2.5, "Tö be\ud800")
    again = loads(statefile.dumps(old))
    assert again.state.log == old.state.log
    assert replace_floats(again) == replace_floats(old)
    run = statefile.resume(old, Corpus(TEXT), NumPyDevice(), anyway=True)
    finish(run, 19)
    assert (run.iter, run.log[18].iter) == (19, 18)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "byte 512 is not what ASCII JSON has there"),
        ('{"iter":é}', "byte 520 is not"),
        ('{"iter":1,"iter":1}', "it has 'iter' twice."),
        ('{"iter":NaN}', "NaN is not a JSON number."),
        ("[" * 100_000, "byte 532 opens more than 20 levels of brackets."),
        ('{"a[[[[\\"[[[[[[[[[[[[[[[[[[[[[[": ' * 21, "opens more than 20 levels of brackets."),
        ('["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]', "it is ["),
        ("7", "it is 7; it must be an object."),
    ],
)
def test_facts_that_are_not_strict_json(data, text, told):
    assert told in refusal(with_meta(data, text))


def test_a_number_that_is_not_finite_is_named_and_a_square_below_zero_too(data):
    header = json.loads(data[:512])
    count = header["floats"] // 3
    start = len(data) - 12 * count
    for at, value, told in (
        (0, "nan", "wte[0, 0] is nan: 1 of the"),
        (count + 1, "inf", "wte[0, 1] is inf: 1 of the"),
        (2 * count + 2, "-1", "Float 2 of v is -1.0"),
    ):
        body = bytearray(data[512:])
        place = start - 512 + 4 * at
        body[place : place + 4] = np.float32(value).tobytes()
        assert told in refusal(with_body(header, bytes(body)))


@pytest.mark.native
def test_a_huge_declared_size_allocates_nothing(data):
    header = json.loads(data[:512])
    largest = {"vocab_size": 2**21, "n_embd": 2**16, "n_head": 1, "n_layer": 256, "d_ff": 2**18}
    hostile = [
        json.dumps(header | {"floats": 2**53, "metaBytes": 2**27}).encode().ljust(512) + data[512:],
        sealed(data, **{f"model__{name}": size for name, size in largest.items()}),
    ]
    for file in hostile:
        gc.collect()
        tracemalloc.start()
        refusal(file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000 + 10 * len(data)


# what the run writes


def test_a_resumed_run_writes_what_it_would_have_written():
    """All of it, a third of it, and half of it: one stream of characters runs through every one."""
    runs = []
    for cuts in ((), (14,), (10, 20)):
        run = small_run(NumPyDevice())
        run.sample_every = 5
        for cut in cuts:
            finish(run, cut)
            run = load_state(save_state(run), run.corpus, NumPyDevice())
            run.sample_every = 5
        finish(run)
        runs.append(run)
    assert [sample.iter for sample in runs[0].samples] == list(range(0, 41, 5))
    assert len({sample.text for sample in runs[0].samples}) == 9
    assert runs[0].samples == runs[1].samples == runs[2].samples
    assert runs[0].sampling.state == runs[1].sampling.state == runs[2].sampling.state


def test_a_file_from_before_runs_had_samples_begins_their_stream():
    start = 512 + json.loads(VERSION_1[:512])["metaBytes"]
    facts = json.loads(VERSION_1[512:start])
    del facts["streams"]["sampling"]
    facts["samples"] = []
    old = loads(with_meta(VERSION_1, json.dumps(facts)))
    assert old.state.sampling == Stream("small:sample").state


# a long run


@pytest.mark.native
def test_a_run_of_a_million_iterations_is_saved_read_and_gone_on_with():
    n = 1_000_000
    run = small_run(NumPyDevice(), replace(CONFIG, iters=2 * n))
    finish(run, 8)
    rows = np.random.default_rng(0).uniform(1.0, 4.0, (n, 5))
    rows[np.arange(n) % 50 != 0, 4] = np.nan
    run.log, run.iter = Log.of_rows(0, rows), n
    run.samples += [Sample(it, 2.5, "Tö be " * 13) for it in range(0, n, 200)]
    data = save_state(run)
    assert len(data) < 512 + 40 * n + 300 * len(run.samples) + 100_000
    other = load_state(data, Corpus(TEXT), NumPyDevice())
    assert everything(other) == everything(run)
    for each in (run, other):
        finish(each, n + 3)
    assert everything(other) == everything(run)
    assert [record.iter for record in other.log[-4:]] == [n - 1, n, n + 1, n + 2]
