"""Runs that began with the same weights, and trained apart, become one: the outer step of DiLoCo
(Douillard et al. 2023, "DiLoCo: Distributed Low-Communication Training of Language Models").

    one = average([a, b])                                   the mean of their weights
    one, momentum = outer_step([a, b], start, momentum)     Nesterov's momentum from round to round
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

import numpy as np

from ..model import initial_weights
from . import checkpoint
from .checkpoint import Checkpoint, CheckpointError
from .records import Log
from .run import Origin
from .statefile import Saved

OUTER_LR, OUTER_MOMENTUM = 0.7, 0.9  # the paper's, in section 3


def average(states: Sequence[Saved]) -> Saved:
    """The run with the mean of all weights and of AdamW's averages; all else is the first one's,
    and its log begins there. CheckpointError, before anything is computed, for fewer than two, or
    for runs that differ in their model, settings, vocabulary, iteration or first weights.
    """
    _check(states)
    means = (_mean(getattr(one.state, name) for one in states) for name in ("weights", "m", "v"))
    weights, m, v = means
    return _with(states[0], weights, m, v)


def outer_step(
    states: Sequence[Saved],
    start: Checkpoint,
    momentum: np.ndarray | None = None,
    lr: float = OUTER_LR,
    beta: float = OUTER_MOMENTUM,
) -> tuple[Saved, np.ndarray]:
    """As `average`, with the weights that a step of SGD with Nesterov momentum makes of `start`,
    with which all runs began; its gradient is `start` less the mean. `momentum` is what the round
    before returned. Returns the new run and the momentum, float32 (parameters,). CheckpointError,
    also for another start.
    """
    one = average(states)
    if checkpoint.digest(start.weights) != _start(states[0])[0]:
        raise CheckpointError(
            f"The runs did not begin with the weights of seed {start.seed!r}, iter {start.iter:,}, "
            "from which the step is to be taken."
        )
    gradient = start.weights - one.state.weights
    momentum = gradient if momentum is None else np.float32(beta) * momentum + gradient
    step = np.float32(lr) * (gradient + np.float32(beta) * momentum)
    return _with(one, start.weights - step, one.state.m, one.state.v), momentum


def _with(first: Saved, weights: np.ndarray, m: np.ndarray, v: np.ndarray) -> Saved:
    state = first.state
    state = replace(
        state,
        first=state.iter,
        log=Log(state.iter),
        samples=[],
        edits=[],
        val_loss=None,
        origin=Origin(checkpoint.digest(weights), state.config.seed, state.iter, ""),
        weights=weights,
        m=m,
        v=v,
    )
    return replace(first, state=state, created_at=checkpoint.now())


def _mean(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The mean of float32 arrays, summed in float64."""
    total, n = 0.0, 0
    for array in arrays:
        total, n = total + array.astype(np.float64), n + 1
    return (total / n).astype(np.float32)


def _check(states: Sequence[Saved]) -> None:
    if len(states) < 2:
        raise CheckpointError("There is one run; an average is of two or more.")
    first = states[0].state
    for i, saved in enumerate(states[1:], 2):
        state = saved.state
        for was, now in ((first.model, state.model), (first.config, state.config)):
            pairs = zip(asdict(was).items(), asdict(now).values(), strict=True)
            for (name, one), other in pairs:
                if one != other and name != "seed":
                    raise CheckpointError(f"{name} is {one} in run 1, and {other} in run {i}.")
        if first.iter != state.iter:
            raise CheckpointError(
                f"Run 1 is at iter {first.iter:,}, and run {i} at iter {state.iter:,}."
            )
        if states[0].vocab_hash != saved.vocab_hash:
            raise CheckpointError(f"Run {i} has another vocabulary than run 1.")
        if _start(states[0]) != _start(saved):
            raise CheckpointError(
                f"Run {i} did not begin with the weights that run 1 began with. Let all of them "
                "begin with one file: train --init-from FILE."
            )
        if np.array_equal(first.weights, state.weights):
            raise CheckpointError(
                f"Runs 1 and {i} have the same weights. Train each with a seed or a text of its "
                "own."
            )


def _start(saved: Saved) -> tuple[str, ...]:
    """Which weights a run began with: their SHA-256, and how their missing rows were drawn."""
    state = saved.state
    if origin := state.origin:
        return origin.weights, origin.drawn, state.config.seed if origin.drawn else ""
    if state.first:
        raise CheckpointError(
            f"The run of seed {state.config.seed!r} began at iter {state.first:,}, and its state "
            "does not name the weights that it began with."
        )
    return checkpoint.digest(initial_weights(state.model, state.config.seed)), "", ""
