"""Links: a run as a link, and what a link claims."""

from typing import Literal

from .base import Command, LinkText, Report, Settings, WithText


class Facts(Settings):
    """What a link claims of a run. Anyone may have written it."""

    iter: int
    others: str  # the settings without a field on the page that are not the usual ones, or empty
    model: str
    valLoss: float | None
    losses: list[tuple[int, float]]  # that were recorded, by iteration
    device: str
    sameCode: bool
    diff: str  # how the run's code was edited, as a unified diff, or empty
    sameText: bool
    problem: str  # why it cannot be replayed here, or empty


class ClaimReport(Report):
    """What a link claims, or what is wrong with it."""

    id: str
    text: str
    problem: str
    facts: Facts | None


class ReplayReport(Report):
    """How far a link's replay is."""

    id: str  # of its claim
    phase: Literal["running", "done", "stopped", "failed"]
    verdict: Literal["", "identical", "close", "different"]  # of one that is done
    message: str
    iter: int
    iters: int
    losses: list[tuple[int, float]]  # its own, where the link has recorded one


ShareCommand = Command  # Asks for the run as a link.
ClaimCommand = WithText  # Asks what a link claims.
ReplayCommand = WithText  # Trains a link's run again, beside the page's own, and checks it.
UnreplayCommand = Command  # Stops that.
LinkReport = LinkText  # The run as a link, or why it cannot be one.
