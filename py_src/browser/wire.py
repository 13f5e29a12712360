"""Messages on their way to the page: JSON text, and bytes beside it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

Message = dict[str, Any]


def text_of(message: Message) -> str:
    """A message as JSON, without its `bytes`. One that cannot be sent becomes a notice."""
    try:
        facts = {name: value for name, value in message.items() if name != "bytes"}
        try:
            return json.dumps(facts, allow_nan=False)
        except (TypeError, ValueError):  # most messages are plain already, which C finds out faster
            return json.dumps(plain(facts), allow_nan=False)
    except Exception as error:
        return json.dumps(unsent(message, error))


def plain(value: object) -> Any:
    """A value in JSON's types, also NumPy's; None for a number that is not finite. TypeError."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def unsent(message: Message, error: BaseException) -> Message:
    """The notice in place of a message that cannot be sent."""
    kind = message.get("type") if isinstance(message, dict) else None
    text = (
        f"The page could not be told of {kind!r:.40}: {type(error).__name__}. The run is as it was."
    )
    return {"type": "notice", "message": text}
