"""All randomness: streams of numbers, each named by a string. The same name gives the same numbers.

A name is hashed to 128 bits (cyrb128), which seed a small fast generator (sfc32). Both are in the
public domain, from https://github.com/bryc/code/blob/master/jshash/PRNGs.md, and work on 32-bit
words, so JavaScript and Python agree to the bit. A run with seed S uses these streams:

    S           the initial weights, and (a second generator) the training batches
    S:val       the validation batches
    S:sample    sampled text
"""

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

MASK = 0xFFFFFFFF
State = tuple[int, int, int, int]  # four 32-bit words


def cyrb128(text: str) -> tuple[int, int, int, int]:
    """Hash text to four 32-bit words. Works on UTF-16 code units, as JavaScript strings do."""
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2").tolist()
    h1, h2, h3, h4 = 1779033703, 3144134277, 1013904242, 2773480762
    for unit in units:
        h1 = h2 ^ ((h1 ^ unit) * 597399067 & MASK)
        h2 = h3 ^ ((h2 ^ unit) * 2869860233 & MASK)
        h3 = h4 ^ ((h3 ^ unit) * 951274213 & MASK)
        h4 = h1 ^ ((h4 ^ unit) * 2716044179 & MASK)
    h1 = (h3 ^ h1 >> 18) * 597399067 & MASK
    h2 = (h4 ^ h2 >> 22) * 2869860233 & MASK
    h3 = (h1 ^ h3 >> 17) * 951274213 & MASK
    h4 = (h2 ^ h4 >> 19) * 2716044179 & MASK
    return h1 ^ h2 ^ h3 ^ h4, h2 ^ h1, h3 ^ h1, h4 ^ h1


def sfc32(state: State, n: int) -> tuple[Sequence[int], State]:
    """The next n draws, each a uniform 32-bit integer, and the state after them.

    In the page py_src/browser/main.py puts JavaScript in its place, which draws the same in a
    hundredth of the time.
    """
    a, b, c, counter = state
    out = [0] * n
    for i in range(n):
        out[i] = t = a + b + counter + i & MASK
        a = b ^ b >> 9
        b = c * 9 & MASK
        c = (c << 21) + (c >> 11) + t & MASK  # rotate left by 21, add
    return out, (a, b, c, counter + n & MASK)


def _of_each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of `math`, for each number: NumPy's own picks an implementation by the processor,
    and their last bits differ. In Pyodide it has but the one that `math` has.
    """
    if sys.platform == "emscripten":
        return getattr(np, function.__name__)
    return lambda x: np.fromiter(map(function, x.tolist()), np.float64, len(x))


log, cos, sin = map(_of_each, (math.log, math.cos, math.sin))


class Stream:
    """The stream of random numbers called `name`: sfc32, seeded with cyrb128(name).

    `state` is its whole position, four 32-bit words; setting it resumes exactly there.
    """

    def __init__(self, name: str):
        self.state = cyrb128(name)

    def words(self, n: int) -> list[int]:
        """The next n draws, each a uniform 32-bit integer."""
        return [int(word) for word in self._draw(n)]

    def uniform(self, n: int) -> np.ndarray:
        """The next n draws as floats in [0, 1): float64 (n,)."""
        return np.array(self._draw(n), dtype=np.float64) / 2**32

    def normal(self, n: int) -> np.ndarray:
        """n numbers from N(0, 1), float64 (n,), two draws for two of them (Box-Muller).

        When n is odd, the second of the last pair is dropped.
        """
        u1, u2 = self.uniform(n + n % 2).reshape(-1, 2).T
        radius = np.sqrt(-2 * log(np.maximum(u1, 1e-300)))
        angle = 2 * math.pi * u2
        out = np.empty((len(angle), 2))
        out[:, 0] = radius * cos(angle)
        out[:, 1] = radius * sin(angle)
        return out.reshape(-1)[:n]

    def _draw(self, n: int) -> Sequence[int]:
        words, self.state = sfc32(self.state, n)
        return words
