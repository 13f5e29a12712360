"""A cache of limited size: the least recently used is evicted."""

from collections.abc import Callable, Hashable
from typing import Any


class LRU(dict):
    """A cache of at most `most` values: the least recently used is evicted."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def get_or(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, from `make` if it is not cached."""
        value = self.pop(key) if key in self else make()
        self[key] = value  # the newest is last
        if len(self) > self.most:
            del self[next(iter(self))]
        return value
