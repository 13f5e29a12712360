"""What went wrong, in words for the person at the page."""

from dataclasses import asdict
from typing import Any

import wgpu

import groundling.edits.errors
import groundling.sources
from groundling.devices.base import DeviceError, DeviceLost
from groundling.runs.checkpoint import CheckpointError
from groundling.runs.run import NonFiniteLoss

LOST = (DeviceLost, getattr(wgpu, "GPUDeviceLostError", DeviceLost))
"""What is raised when the GPU is gone; wgpu has a class for it in the page only."""


def explain(error: BaseException, files: dict[str, str] | None = None) -> dict[str, Any]:
    """An error as a panel: title, message, hint, detail, frames; see code_error. Never raises."""
    try:
        return _explained(error, files)
    except BaseException as another:  # of a class whose own methods raise, or for want of memory
        names = f"{type(error).__name__}, which could not be told: {type(another).__name__}"
        return panel(*UNKNOWN, names)


def panel(title: str, hint: str, message: str, detail: str = "") -> dict[str, Any]:
    """What went wrong as a panel, without lines of code."""
    return {"title": title, "message": message, "hint": hint, "detail": detail, "frames": []}


def _explained(error: BaseException, files: dict[str, str] | None) -> dict[str, Any]:
    edits = groundling.sources.overlay if files is None else files
    told = code_error(error, edits)
    known = isinstance(error, (NonFiniteLoss, CheckpointError, *LOST))
    asked = isinstance(error, (KeyboardInterrupt, SystemExit))
    title, hint = next((words for kind, *words in WORDS if isinstance(error, kind)), UNKNOWN)
    # What an edit breaks may raise in a file that is as it came.
    of_edits = any(frame["yours"] for frame in told["frames"]) or edits and title == UNKNOWN[0]
    if asked or not known and of_edits:
        return told
    detail = "" if known or isinstance(error, ValueError) else told["detail"]
    message = told["message"] if title == UNKNOWN[0] else str(error) or type(error).__name__
    return panel(title, hint, message, detail)


def code_error(error: BaseException, files: dict[str, str] | None = None) -> dict[str, Any]:
    """An error in edited code, as the page has it. files: the edits, by default those in force."""
    edits = groundling.sources.overlay if files is None else files
    told = asdict(groundling.edits.errors.describe(error, edits))
    for frame in told["frames"]:
        frame["endLine"], frame["endColumn"] = frame.pop("end_line"), frame.pop("end_column")
    return told


# The first class that fits the error has the words for it: title, hint.
WORDS = (
    (
        NonFiniteLoss,
        "The loss is no longer a number",
        "Updates that are too large do this. Reset, choose a lower peak learning rate, and begin "
        "again. Save weights or Save state gives the last good copy, if there was time for one.",
    ),
    (
        LOST,
        "The GPU went away",
        "The system may have put it to sleep, updated its driver, or given it to another program. "
        "Save weights or Save state gives the last copy that was read back; Reset opens the GPU "
        "again, and the run can go on from that copy.",
    ),
    (MemoryError, "Out of memory", "Close other tabs, or Reset and choose a smaller batch."),
    (
        CheckpointError,
        "This file was refused",
        "Nothing has changed. What can be loaded is a .bin or a .state that this page or the "
        "groundling command has written.",
    ),
    # also of limits.Refused, a DeviceError that says itself what to do
    (ValueError, "This cannot be", "Nothing has changed. Correct it and try again."),
    (
        DeviceError,
        "The device cannot do this",
        "The NumPy device can take over: Reset, and choose it beside the adapter's name.",
    ),
)
UNKNOWN = (
    "Python stopped",
    "Reset begins anew; the details say where it stopped. What was trained can still be saved.",
)
REFUSALS = "This file was refused", "This cannot be"
"""Titles of what says by itself what is wrong with what was asked for."""
