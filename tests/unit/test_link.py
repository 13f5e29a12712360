"""A run as a link: what it claims, whether a replay bears it out, and what is no link at all."""

import base64
import hashlib
import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from groundling import sources
from groundling.config import MODEL_LIMITS, GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import Device
from groundling.devices.numpy import NumPyDevice
from groundling.edits import live
from groundling.edits.fragment import pack
from groundling.labs.link import Link, LinkError, Replay, claim, dumps, loads, recorded
from groundling.runs import statefile
from groundling.runs.run import Run
from groundling.runs.texts import read_as
from groundling.train import train

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 20
CONFIG = TrainConfig(
    **dict(seed="small", iters=20, batch_size=3, lr=1e-2, min_lr=1e-3, warmup=4),
    **dict(eval_interval=5, eval_batches=2),
)


def small_run(device: Device, config: TrainConfig = CONFIG) -> Run:
    corpus = Corpus(TEXT)
    shape = dict(block_size=9, n_layer=2, n_head=3, n_embd=12, d_ff=20, dropout=0.1)
    return Run(config, corpus, device, GPTConfig(vocab_size=corpus.vocab_size, **shape))


def link_of(device: Device, stop_at: int = 12) -> Link:
    run = small_run(device)
    for _ in train(run, stop_at):
        pass
    return claim(statefile.loads(statefile.save_state(run)))


@pytest.fixture(scope="module")
def on_numpy() -> Link:
    return link_of(NumPyDevice())


@pytest.fixture
def fragment(on_numpy: Link) -> str:
    return dumps(on_numpy)


def value_of(fragment: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(fragment + "=="))


def encoded(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def refusal(text: str) -> str:
    with pytest.raises(LinkError) as error:
        loads(text)
    return str(error.value)


def replayed(link: Link, device: Device) -> Replay:
    replay = Replay(link, Corpus(TEXT), device)
    for _ in replay.train():
        pass
    return replay


# What it says


def test_a_link_says_what_the_run_was(on_numpy, fragment):
    assert loads(fragment) == on_numpy
    value = value_of(fragment)
    keys = "v config model iter val_loss edits corpus code device weights trajectory losses"
    assert list(value) == keys.split()
    assert value["config"]["seed"] == "small"
    assert (value["v"], value["iter"], value["edits"]) == (1, 12, [])
    assert len(on_numpy.losses) == 12


@pytest.mark.parametrize("before", ["#", "https://example.org/groundling/#", "https://x.org/?a=b#"])
def test_a_whole_address_will_do(on_numpy, fragment, before):
    assert loads(f"  {before}{fragment}\n") == on_numpy


@pytest.mark.parametrize("iters", [0, 1, 2, 63, 64, 65, 2000, 10_000_000])
def test_at_most_64_losses_are_recorded_evenly_with_the_first_and_the_last(iters):
    places = recorded(iters)
    assert len(places) == len(set(places)) == min(iters, 64)
    assert places == sorted(places)
    if iters:
        assert (places[0], places[-1]) == (0, iters - 1)
        assert len(set(np.diff(places))) <= 2


def test_the_longest_link_is_short(on_numpy):
    config = replace(CONFIG, seed="é" * 33, iters=10_000_000)
    losses = dict.fromkeys(recorded(9_999_999), 1.2345678)
    losses = {it: float(np.float32(loss)) for it, loss in losses.items()}
    longest = replace(on_numpy, config=config, iter=9_999_999, losses=losses, device="x" * 200)
    assert loads(dumps(longest)) == longest
    assert len(dumps(longest)) < 2500


def test_a_device_with_other_characters_in_its_name(on_numpy):
    run = small_run(NumPyDevice())
    run.device.description = "Arc™ A770 (Vulkan)"
    assert claim(statefile.loads(statefile.save_state(run))).device == "numpy: Arc? A770 (Vulkan)"


def test_a_run_that_began_with_weights_from_a_file_is_no_link():
    run = small_run(NumPyDevice())
    run.load(replace(run.checkpoint(), iter=3))
    with pytest.raises(LinkError, match="began at iter 3 with weights from a file"):
        claim(statefile.loads(statefile.save_state(run)))


def test_a_learning_rate_that_its_settings_do_not_make_is_no_link():
    """As in state files from before changes were recorded."""
    run = small_run(NumPyDevice())
    for _ in train(run, 6):
        pass
    run.config = replace(run.config, lr=5e-3)
    for _ in train(run, 8):
        pass
    with pytest.raises(LinkError, match="learning rate was changed .* at iter 0 it is not"):
        claim(statefile.loads(statefile.save_state(run)))


# Whether it is so


def test_settings_that_were_changed_on_the_way_are_changed_so_in_the_replay(device: Device):
    run = small_run(device)
    for _ in train(run, 3):
        pass
    run.change(weight_decay=0.5, grad_clip=0.3)
    for _ in train(run, 6):
        pass
    run.set_lr(1e-6)  # below the last rate, which goes with it
    run.change(beta1=0.5, eval_interval=2, iters=run.config.iters + 5)
    for _ in train(run, 9):
        pass
    saved = statefile.loads(statefile.save_state(run))
    link = loads(dumps(claim(saved)))
    assert link.config == small_run(device).config
    assert [(at, name) for at, name, *_ in link.changes] == [
        *((3, "weight_decay"), (3, "grad_clip"), (6, "lr"), (6, "min_lr")),
        *((6, "beta1"), (6, "eval_interval"), (6, "iters")),
    ]
    replay = Replay(link, Corpus(TEXT), type(device)())
    for record, _ in replay.train():
        if record.iter == 4:
            replay.run.pause()
    assert replay.run.iter < 9
    for _ in replay.train():
        pass
    assert replay.verdict().kind == "identical"


def test_a_replay_on_the_same_device_is_bit_identical(device: Device):
    link = link_of(device)
    replay = Replay(loads(dumps(link)), Corpus(TEXT), type(device)())
    pairs = list(replay.train())
    assert [(record.iter, claimed) for record, claimed in pairs] == list(link.losses.items())
    assert all(record.train == claimed for record, claimed in pairs)
    assert replay.verdict().kind == "identical"
    told = "Bit-identical: all 12 losses and all weights are those of the link. Both ran on"
    everywhere = " That has the same bytes on every machine." * (device.name == "wasm")
    assert str(replay.verdict()) == f"{told} {link.device}.{everywhere}"


@pytest.mark.parametrize("tokenizer", ["char-v1", "byte-v1"])
def test_a_text_of_just_256_characters_is_replayed_as_it_was_read(tokenizer: str, device: Device):
    corpus = Corpus("".join(map(chr, range(0x100, 0x200))) * 2, "all.txt", tokenizer)
    model = GPTConfig(256, block_size=4, n_layer=1, n_head=1, n_embd=4, d_ff=4)
    run = Run(replace(CONFIG, iters=3), corpus, device, model)
    list(train(run))
    fragment = dumps(claim(statefile.loads(statefile.save_state(run))))
    assert ("tokenizer" in value_of(fragment)) == (tokenizer == "char-v1")
    for given in (corpus, read_as(corpus, "char-v1"), read_as(corpus, "byte-v1")):
        replay = Replay(loads(fragment), given, device)
        list(replay.train())
        assert replay.verdict().kind == "identical"


def test_a_link_of_iter_0_claims_the_initial_weights():
    link = link_of(NumPyDevice(), 0)
    assert replayed(link, NumPyDevice()).verdict().kind == "identical"
    other = replace(link, weights="0" * 32)
    assert replayed(other, NumPyDevice()).verdict().kind == "close"


def test_losses_a_little_off_are_within_tolerance_and_both_devices_are_named(on_numpy):
    losses = {it: loss + (1e-3 if it > 4 else 0) for it, loss in on_numpy.losses.items()}
    link = replace(on_numpy, losses=losses, device="webgpu: a GPU", trajectory="0" * 32)
    verdict = replayed(link, NumPyDevice()).verdict()
    assert verdict.kind == "close"
    assert "not to the bit (from iter 5 on): no recorded loss is more than 0.001 nats" in str(
        verdict
    )
    assert "The link's run was on webgpu: a GPU; this one on numpy: NumPy" in str(verdict)


@pytest.mark.parametrize("change", [{"weights": "0" * 32}, {"trajectory": "0" * 32}])
def test_a_digest_that_does_not_fit_is_not_bit_identical(on_numpy, change):
    verdict = replayed(replace(on_numpy, **change), NumPyDevice()).verdict()
    assert verdict.kind == "close"
    assert "the recorded losses agree" in str(verdict)


def test_a_replay_ends_where_the_losses_are_too_far_apart(on_numpy):
    losses = on_numpy.losses | {7: on_numpy.losses[7] - 1}
    replay = replayed(replace(on_numpy, losses=losses), NumPyDevice())
    assert [record.iter for record in replay.run.log] == list(range(8))
    verdict = replay.verdict()
    assert verdict.kind == "different"
    assert str(verdict).startswith("Different: from iter 7 on the losses are not the recorded ones")


def test_a_validation_loss_that_was_made_up_is_found_out(on_numpy):
    verdict = replayed(replace(on_numpy, val_loss=1.0), NumPyDevice()).verdict()
    assert verdict.kind == "different"
    assert "and 1.0 in the link, though the training losses agree" in str(verdict)


def test_another_seed_is_another_run(on_numpy):
    link = replace(on_numpy, config=replace(CONFIG, seed="smaller"))
    assert replayed(link, NumPyDevice()).failed == 0


def test_a_paused_replay_is_unfinished_and_goes_on(on_numpy):
    replay = Replay(on_numpy, Corpus(TEXT), NumPyDevice())
    for record, _ in replay.train():
        if record.iter == 4:
            replay.run.pause()
    assert str(replay.verdict()) == "Unfinished: iter 5 of 12."
    for _ in replay.train():
        pass
    assert replay.verdict().kind == "identical"


def test_other_code_is_said(on_numpy):
    replay = replayed(replace(on_numpy, code_hash="0" * 64), NumPyDevice())
    assert replay.other_code
    assert str(replay.verdict()).endswith("The code is other code.")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"corpus_hash": "0" * 64}, "was trained on another text"),
        ({"model": GPTConfig(vocab_size=3)}, "The link's model has 3 characters"),
    ],
)
def test_a_link_of_another_text_cannot_be_replayed(on_numpy, change, told):
    with pytest.raises(LinkError, match=told):
        Replay(replace(on_numpy, **change), Corpus(TEXT), NumPyDevice())


# What is no link


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The link is empty"),
        ("https://example.org/#", "The link is empty"),
        ("A" * 16_385, "The link has 16,385 characters"),
        ("<script>", "The link has '<' at character 0"),
        ("e30=", "The link has '=' at character 3"),
        ("A", "The link is cut short or damaged"),
        ("AAAA", "cut short or damaged: byte 0"),
        (encoded("{"), "cut short or damaged: byte 1"),
        (encoded("[" * 4000), "cut short or damaged"),
        (encoded('{"v":1,"v":1}'), "it has 'v' twice"),
        (encoded("[]"), "does not say its version"),
        (encoded("{}"), "does not say its version"),
        (encoded({"v": 2}), "The link's version is 2; only 1 can be replayed."),
        (encoded({"v": "1"}), "The link's version is '1'; only 1"),
        (encoded({"v": True}), "The link's version is True; only 1"),
        (encoded({"v": 1}), "it has no config."),
    ],
)
def test_what_is_no_link(text, told):
    assert told in refusal(text)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"code_to_run": "import os"}, "it has 'code_to_run', which does not belong there."),
        ({"config": None}, "config is None; it must be an object."),
        ({"iter": 21}, "iter is 21; it must be a whole number from 0 to 20."),
        ({"val_loss": -1}, "val_loss is -1"),
        ({"edits": [{"path": "model.py"}]}, "files are not an object"),
        ({"corpus": "x"}, "corpus is 'x'"),
        ({"device": "a\nb"}, "device is 'a\\nb'; it must be a line of text."),
        ({"weights": "abc"}, "weights is 'abc'; it must be 32 hexadecimal digits."),
        ({"losses": "AAAA"}, "losses has 3 bytes; 12 iters have 48."),
        ({"losses": "!"}, "losses is '!'; it must be base64."),
        ({"losses": "AAAAA"}, "The link is wrong: "),
        ({"losses": base64.urlsafe_b64encode(b"\xff" * 48).decode()}, "not a finite number"),
    ],
)
def test_a_claim_that_is_not_what_it_should_be(fragment, change, told):
    said = refusal(encoded(value_of(fragment) | change))
    assert said.startswith("The link is wrong: ")
    assert told in said


def test_a_link_may_not_ask_for_the_world(fragment):
    value = value_of(fragment)
    value["model"] |= {name: MODEL_LIMITS[name][1] for name in ("n_embd", "d_ff", "n_layer")}
    value["model"]["n_head"] = 1
    assert "parameters; a link may ask for 20,000,000." in refusal(encoded(value))
    value = value_of(fragment)
    value["model"]["block_size"] = 2**16
    value["config"]["batch_size"] = 4096
    assert "activations; a link may ask for 268,435,456." in refusal(encoded(value))


@pytest.mark.parametrize("length", [10, 100, 700, -1])
def test_a_link_cut_short(fragment, length):
    assert refusal(fragment[:length])


# ---- edited code ---------------------------------------------------------------------------------

OPTIM = "py_src/groundling/optim.py"
TWICE = sources.text(OPTIM).replace("np.array([lr,", "np.array([2 * lr,")


@pytest.fixture
def edited() -> Iterator[None]:
    """An optimizer that takes steps of twice the size."""
    before = live.load({OPTIM: TWICE})
    yield
    live.restore(before)


def module(name: str) -> ModuleType:
    """A module of the library as it is now, edited or not."""
    return importlib.import_module(f"groundling.{name}")


def edited_link() -> str:
    """The link of a run from its beginning on by the code in force."""
    corpus, shape = Corpus(TEXT), dict(block_size=9, n_layer=1, n_head=1, n_embd=4, d_ff=8)
    model = module("config").GPTConfig(vocab_size=corpus.vocab_size, **shape)
    train = module("train")
    run = train.Run(module("config").TrainConfig(**vars(CONFIG)), corpus, NumPyDevice(), model)
    for _ in train.train(run, 6):
        pass
    saved = module("runs.statefile").loads(module("runs.statefile").save_state(run))
    return module("labs.link").dumps(module("labs.link").claim(saved))


def test_a_link_of_edited_code_holds_the_edits_and_replays_under_them_to_the_bit(edited):
    text = edited_link()
    claimed = module("labs.link").loads(text)
    assert claimed.edits == {OPTIM: TWICE}
    replay = module("labs.link").Replay(claimed, Corpus(TEXT), NumPyDevice())
    assert not replay.other_code
    assert len(list(replay.train())) == 6
    assert replay.verdict().kind == "identical"


def test_a_link_of_edited_code_is_not_borne_out_by_other_code():
    before = live.load({OPTIM: TWICE})
    text = edited_link()
    live.restore(before)
    claimed = loads(text)
    replay = Replay(claimed, Corpus(TEXT), NumPyDevice())
    assert replay.other_code
    list(replay.train())
    assert replay.verdict().kind == "different"


def test_reading_a_link_of_edited_code_runs_nothing(on_numpy, monkeypatch):
    loud = {OPTIM: "raise SystemExit('run')", "shaders/x.wgsl": "<script>alert(1)</script>"}
    text = dumps(replace(on_numpy, edits=loud))
    assert loads(text).edits == loud
    assert sources.overlay == {}


def test_edits_that_are_too_long_for_a_link_are_sent_elsewhere(on_numpy):
    noise = "".join(f"# {hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(400))
    with pytest.raises(LinkError, match=r"room for 16,384. Save state, and share that file"):
        dumps(replace(on_numpy, edits={OPTIM: noise}))


def test_a_run_whose_code_changed_on_the_way_is_no_link():
    run = small_run(NumPyDevice())
    for _ in train(run, 4):
        pass
    run.edits.append((2, "--- a"))
    with pytest.raises(LinkError, match="The code was changed at iter 2"):
        claim(statefile.loads(statefile.save_state(run)))


def test_an_edit_of_a_file_that_has_moved_is_one_of_where_it_is_now(fragment):
    old = {"py_src/groundling/ops.py": "x = 1\n"}
    link = loads(encoded(value_of(fragment) | {"edits": old}))
    assert link.edits == {"py_src/groundling/engine/ops.py": "x = 1\n"}


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ({"../x.py": ""}, "cannot be edited"),
        ({"py_src/groundling/edits/live.py": ""}, "part of what makes edits work"),
        ({OPTIM: 3}, "which is no text"),
        ({OPTIM: "\0"}, "a NUL"),
        ("import os", "not an object"),
    ],
)
def test_edits_that_cannot_be_are_refused(fragment, edits, why):
    assert why in refusal(encoded(value_of(fragment) | {"edits": edits}))


def test_a_bomb_in_a_link_is_refused():
    assert "unpacks to more than" in refusal(pack(b" " * 3_000_000))
