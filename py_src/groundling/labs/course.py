"""The course's verdicts: whether what a lesson asks for is there, computed from the reader's work.

    check(seen, "trained", {"iters": 50})              a Finding: done, and a sentence
    answer(seen, "even_guess", {"within": 0.01}, 4.17)

The lessons, in site/lessons, name these functions and give them their parameters.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..data import Vocabulary
from ..runs.inspector import Contents
from ..runs.run import Run
from .diagnosis import Verdict as Diagnosis
from .entropy import levels
from .evidence import Evidence
from .twin import Verdict as Twins


class Text(Protocol):
    """A text that a model wrote."""

    corpus: Vocabulary
    settings: Mapping[str, float]  # temperature, top_k, top_p
    prompt: str
    written: str
    logits: list[np.ndarray | None]  # that each character was chosen from, (vocab_size,)


@dataclass(frozen=True)
class Seen:
    """What the reader has made so far: the latest of each kind."""

    run: Run | None = None
    twins: Twins | None = None
    cases: Mapping[str, Diagnosis] = field(default_factory=dict)  # of the doctor, by name
    files: Mapping[str, Contents] = field(default_factory=dict)  # that are open in the inspector
    text: Text | None = None


@dataclass(frozen=True)
class Finding:
    """Whether it is done, or right, and a sentence about it."""

    done: bool
    says: str


class NotYet(Exception):
    """What a lesson asks for is not there; the message says what to do."""


def check(seen: Seen, name: str, given: Mapping[str, float | str]) -> Finding:
    """Check that a task is done. ValueError if there is no check of that name."""
    try:
        return Finding(True, _found(CHECKS, name)(seen, **given))
    except NotYet as missing:
        return Finding(False, str(missing))


def answer(seen: Seen, name: str, given: Mapping[str, float | str], value: float) -> Finding:
    """Compare an answer with the number that it should be, which may be off by `within`. ValueError
    if there is no number of that name.
    """
    given = dict(given)
    within = given.pop("within", 0)
    try:
        right, says = _found(ANSWERS, name)(seen, **given)
    except NotYet as missing:
        return Finding(False, str(missing))
    if abs(value - right) <= within * (1 + 1e-9):
        return Finding(True, says)
    return Finding(False, f"It is {'more' if value < right else 'less'} than {value:,.12g}.")


def _found(known: Mapping[str, Callable], name: str) -> Callable:
    if name not in known:
        raise ValueError(f"The course has no {name!r}; it has {', '.join(known)}.")
    return known[name]


def _run(seen: Seen) -> Run:
    if seen.run is None:
        raise NotYet("There is no run yet: press Start.")
    return seen.run


# ---- tasks: each returns a sentence about what it found, or raises NotYet ------------------------


def trained(seen: Seen, iters: int) -> str:
    """A run that has made so many updates."""
    log = _run(seen).log
    if len(log) < iters:
        raise NotYet(f"Your run has made {len(log):,} of {iters:,} updates. Let it train.")
    return (
        f"Your run has made {len(log):,} updates. Its training loss began at {log[0].train:.2f} "
        f"nats and is at {log[-1].smooth:.2f} now."
    )


def sampled(seen: Seen, times: int) -> str:
    """A run that has written so many samples."""
    run = _run(seen)
    if len(run.samples) < times:
        raise NotYet(
            f"Your run has written {len(run.samples)} of {times} samples. It writes one every "
            f"{run.sample_every:,} iterations: let it train."
        )
    evidence, first, last = Evidence(run.corpus), run.samples[0], run.samples[-1]
    before, after = evidence.of(first.text), evidence.of(last.text)
    return (
        f"From iteration {first.iter:,} to {last.iter:,} the distance of its characters from the "
        f"text's went from {before.unigram_kl:.2f} to {after.unigram_kl:.2f} nats, and that of its "
        f"pairs from {before.bigram_kl:.2f} to {after.bigram_kl:.2f}."
    )


def twin(seen: Seen) -> str:
    """A twin of one seed, whose files are the same bytes."""
    twins = _twins(seen)
    a, b = twins.seeds
    if a != b:
        raise NotYet(f"Your last twin had two seeds, {a!r} and {b!r}. Give both the same one.")
    if not twins.identical:
        raise NotYet(f"{twins} This device adds in another order each time.")
    return f"{twins} Both have the SHA-256 {twins.files[0][:16]}…"


def _twins(seen: Seen) -> Twins:
    if seen.twins is None:
        raise NotYet("No twin has come to its end yet: press Run twin in the tab Twin.")
    return seen.twins


def files(seen: Seen) -> str:
    """Weights and a state of one moment of a run, both open in the inspector."""
    weights = next((one for one in seen.files.values() if not one.saved), None)
    state = next((one for one in seen.files.values() if one.saved), None)
    if weights is None:
        raise NotYet("No weights are open in the Inspector: press The current run there.")
    if state is None:
        raise NotYet("No state is open in the Inspector: save one, and choose it to compare with.")
    a, b = weights.ckpt, state.ckpt
    if (a.seed, a.iter) != (b.seed, b.iter) or a.weights.tobytes() != b.weights.tobytes():
        raise NotYet(
            f"The weights are of {a.seed!r} at iteration {a.iter:,}, the state of {b.seed!r} at "
            f"{b.iter:,}. Pause the run, then open both."
        )
    return (
        f"The weights are {len(weights.data):,} bytes. The state has the same {weights.floats:,} "
        f"numbers, bit for bit, and {state.floats - weights.floats:,} more: AdamW's two averages."
    )


def greedy(seen: Seen, length: int) -> str:
    """A text of so many characters, each of which was the likeliest."""
    text = seen.text
    if text is None or not text.written:
        raise NotYet("Nothing has been written yet: press Write in the tab Talk.")
    if (top_k := text.settings["top_k"]) != 1:
        raise NotYet(f"Your last text was drawn with top-k {top_k}. Set it to 1, and write again.")
    if (n := len(text.written)) < length:
        raise NotYet(f"Your text has {n} of {length} characters so far.")
    logits = text.logits[len(text.prompt) :][:n]
    top = [text.corpus.vocab[int(np.argmax(row))] for row in logits]
    likeliest = sum(a == b for a, b in zip(top, text.written, strict=True))
    if likeliest < n:
        raise NotYet(f"Only {likeliest} of its {n} characters were the likeliest.")
    return (
        f"Each of the {n} characters was the likeliest at its place, so nothing was left to chance."
    )


CHECKS = {each.__name__: each for each in (trained, sampled, twin, files, greedy)}


# ---- answers: each returns the number, and a sentence about it, or raises NotYet -----------------


def even_guess(seen: Seen) -> tuple[float, str]:
    """The loss of an even guess among the run's characters."""
    run = _run(seen)
    V = run.model.config.vocab_size
    return math.log(V), (
        f"ln {V} = {math.log(V):.4f}. The first loss of your run was {run.log[0].train:.4f}."
        if run.log
        else f"ln {V} = {math.log(V):.4f}."
    )


def letter_counts(seen: Seen) -> tuple[float, str]:
    """The entropy of the text's characters, each by itself."""
    nats = {level.name: level.nats for level in levels(_run(seen).corpus)}
    return nats["unigram"], (
        f"The characters of your text have an entropy of {nats['unigram']:.4f} nats. With the one "
        f"before known it is {nats['bigram']:.4f}: to get there a model has to use its context."
    )


def parted(seen: Seen) -> tuple[float, str]:
    """The first iteration at which the runs of two seeds differ."""
    twins = _twins(seen)
    a, b = twins.seeds
    if a == b:
        raise NotYet(f"Both seeds of your last twin were {a!r}. Change one, and run it again.")
    if twins.parted is None:
        raise NotYet(str(twins))
    return twins.parted, (
        f"{twins} The seed draws the first weights and the first batch, so no loss is shared."
    )


def state_bytes(seen: Seen) -> tuple[float, str]:
    """The bytes that the numbers of the state in the inspector take."""
    state = next((one for one in seen.files.values() if one.saved), None)
    if state is None:
        raise NotYet("No state is open in the Inspector.")
    n = 4 * state.floats
    return n, f"3 x {state.floats // 3:,} numbers of 4 bytes: {n:,}. The rest is text and records."


ANSWERS = {each.__name__: each for each in (even_guess, letter_counts, parted, state_bytes)}
