"""What a device cannot do is refused in a sentence, before it is asked, on every way to a model."""

import re
from dataclasses import replace

import pytest

from groundling import sources
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError
from groundling.devices.limits import MOST_HEAD_SIZE, Refused, limits, refusal
from groundling.devices.numpy import NumPyDevice
from groundling.labs.link import Replay, claim
from groundling.labs.twin import Twin
from groundling.model import GPT
from groundling.runs import checkpoint, cost, statefile
from groundling.runs.configfile import Setup
from groundling.runs.run import Run
from groundling.train import train

TEXT = Corpus("the quick brown fox jumps over the lazy dog " * 40)
MODEL = GPTConfig(TEXT.vocab_size, 8, 1, 1, 16, 8)
CONFIG = TrainConfig(seed="s", iters=3, batch_size=2, eval_interval=2, eval_batches=1)


class SmallDevice(NumPyDevice):
    """One that ends loops early, as lavapipe does."""

    most_turns = 40


@pytest.fixture
def trained() -> Run:
    run = Run(CONFIG, TEXT, NumPyDevice(), MODEL)
    list(train(run))
    return run


def ways(run: Run) -> dict:
    """All that make a model on a device, of a run that another device has trained."""
    saved = statefile.loads(statefile.save_state(run))
    weights = checkpoint.loads(statefile.save_weights(run))
    return {
        "a new run": lambda device: Run(CONFIG, TEXT, device, MODEL),
        "weights": lambda device: Run(CONFIG, TEXT, device, MODEL, run.model.weights()),
        "a state": lambda device: statefile.resume(saved, TEXT, device),
        "writing": lambda device: GPT(weights.config, device, weights.weights),
        "a link": lambda device: Replay(claim(saved), TEXT, device),
        "twins": lambda device: Twin(("a", "b"), TEXT, device, 3, CONFIG, MODEL),
    }


def test_every_way_to_a_model_that_is_too_much_is_refused_before_anything_is_done(trained: Run):
    for name, make in ways(trained).items():
        device = SmallDevice()
        with pytest.raises(Refused, match="A norm of 16 channels turns its loops 48 times"):
            make(device)
        assert device.counts.memory == device.counts.dispatches == 0, name


def test_a_model_with_fewer_tokens_than_its_text_is_refused_before_a_kernel_reads_past_its_rows():
    device = NumPyDevice()
    with pytest.raises(Refused, match="vocab_size is 9, and the text .* has 27 different tokens"):
        Run(CONFIG, TEXT, device, replace(MODEL, vocab_size=9))
    assert device.counts.memory == 0


def test_what_is_refused_is_both_an_error_of_the_device_and_a_value_that_cannot_be():
    assert issubclass(Refused, DeviceError) and issubclass(Refused, ValueError)


def test_a_batch_whose_embedding_s_gradient_lavapipe_would_cut_short_is_refused_there():
    """Its loop walks all tokens of a batch: 1,024 texts of 64 are 65,536, and 65,535 is the end."""
    here = replace(limits(NumPyDevice()), turns=65_535, host=1e12)
    setup = Setup(train=TrainConfig(batch_size=1024))
    assert "over the 65,536 tokens of a batch, turns its loops 65,552 times" in cost.refusal(
        setup, here
    )
    halved = replace(setup, train=replace(setup.train, accumulate=2))
    assert cost.refusal(halved, here) == ""


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (dict(vocab_size=2048), "Drawing from a vocabulary of 2,048"),
        (dict(n_embd=22_000, n_head=200), "A norm of 22,000 channels"),
        (dict(n_embd=1024, block_size=1024, n_head=16), "Attention over 1,024 tokens"),
    ],
)
def test_other_loops_that_lavapipe_would_cut_short_are_refused_there(sizes, told):
    there = replace(limits(NumPyDevice()), turns=65_535)
    assert refusal(GPTConfig(**sizes), there).startswith(told)
    assert refusal(GPTConfig(**sizes), replace(there, turns=1e9)) == ""


def bytes_of(kind: str, head_size: int) -> int:
    """How large a WGSL type is."""
    if found := re.fullmatch(r"array<(\w+), (\w+)>", kind):
        length = head_size if found[2] == "HEAD_SIZE" else int(found[2].rstrip("u"))
        return length * bytes_of(found[1], head_size)
    return {"f32": 4, "u32": 4, "vec2f": 8, "vec4u": 16, "vec4f": 16}[kind]


@pytest.mark.parametrize("name", ["attention", "attention_backward", "attention_at"])
def test_attention_s_variables_fit_what_every_browser_gives_a_function(name: str):
    """8,192 bytes, which WebKit insists on; and as many of all private ones together."""
    code = re.sub(r"//.*", "", sources.text(f"shaders/{name}.wgsl"))
    private = re.findall(r"^var<private> \w+: (array<\w+, \w+>|\w+);", code, re.M)
    assert sum(bytes_of(kind, MOST_HEAD_SIZE) for kind in private) <= 8192
    for function in re.split(r"^fn |^@compute", code, flags=re.M)[1:]:
        kinds = dict(re.findall(r"\bvar (\w+): (array<\w+, \w+>|\w+)", function))
        for new, value in re.findall(r"\bvar (\w+) = ([^;]+);", function):
            kinds[new] = kinds.get(value) or next(
                (k for k in ("vec4f", "vec4u", "vec2f") if value.startswith(k)), "f32"
            )
        assert sum(bytes_of(kind, MOST_HEAD_SIZE) for kind in kinds.values()) <= 8192, function[:30]


def test_a_model_of_the_widest_heads_is_taken():
    model = GPTConfig(n_head=2, n_embd=2 * MOST_HEAD_SIZE)
    here = replace(limits(NumPyDevice()), workgroups=65_535)
    assert refusal(model, here) == ""
    wider = replace(model, n_head=1)
    assert "wide, and attention's kernel takes 128" in refusal(wider, here)
