"""A table of what was made and asked for last, so that it does not grow without end."""

from collections.abc import Callable, Hashable
from typing import Any


class Recent(dict):
    """Values by their keys, `most` of them: the one asked for the longest ago makes room."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def get_or(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, which `make` makes where there is none."""
        value = self.pop(key) if key in self else make()
        self[key] = value  # the newest is last
        if len(self) > self.most:
            del self[next(iter(self))]
        return value
