"""What runs have in common and where they differ: their settings, losses and curves.

one, two = (statefile.loads(data) for data in files)
differing([settings(one), settings(two)])      # the names of the settings that are not the same
thinned(one.state.log, 2_000)                   # its curve, as at most 2,000 points
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config import Change, GPTConfig, TrainConfig
    from ..runs.records import Log
    from ..runs.statefile import Saved

Points = list[tuple[int, float]]
"""Losses by iteration, in nats."""


def settings(saved: Saved) -> dict[str, str]:
    """All that a run's numbers depend on, by name: settings, model, text, code and device."""
    state = saved.state
    found = configured(state.config, state.model, state.changes)
    found["begun at"] = "its seed" if state.first == 0 else f"weights of iter {state.first}"
    name = saved.dataset.name if saved.dataset else "a text"
    found["text"] = f"{name} ({saved.corpus_hash[:12]})"
    found["code"] = saved.code_hash[:12]
    found["device"] = saved.device
    return found


def configured(config: TrainConfig, model: GPTConfig, changes: Sequence[Change]) -> dict[str, str]:
    """The settings of a run and its model, by name, and how those of the run were changed."""
    found = {name: exact(value) for name, value in (asdict(config) | asdict(model)).items()}
    told = (f"{name} {exact(new)} from iter {at}" for at, name, _, new in changes)
    return found | {"changed": ", ".join(told) or "nothing"}


def exact(value: object) -> str:
    """A setting as text, to the last digit."""
    return value if isinstance(value, str) else repr(value)


def differing(runs: Sequence[dict[str, str]]) -> list[str]:
    """The names of the settings that are not the same in all runs, in order."""
    names = dict.fromkeys(name for run in runs for name in run)
    return [name for name in names if len({run.get(name) for run in runs}) > 1]


def cell(loss: float | None, width: int) -> str:
    """A loss in a table, right-aligned; blank for None."""
    return f"{'' if loss is None else format(loss, '.4f'):>{width}}"


def thinned(log: Log, most: int, column: str = "smooth") -> Points:
    """A column of a log, at `most` iterations that are evenly spaced, the first and last included.
    Of `val` only the iterations with an evaluation count.
    """
    values = log.column(column)
    at = np.flatnonzero(np.isfinite(values))
    if len(at) > most:
        at = at[np.linspace(0, len(at) - 1, most).round().astype(int)]
    return [(log.first + int(i), float(values[i])) for i in at]


def best(log: Log) -> tuple[int, float] | None:
    """The iteration of the lowest validation loss, and that loss; None without one."""
    found = log.column("val")
    if not np.isfinite(found).any():
        return None
    at = int(np.argmin(np.where(np.isfinite(found), found, math.inf)))
    return log.first + at, float(found[at])
