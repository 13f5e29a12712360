"""What a loss curve shows: a diagnosis, with what gives it away and what to change.

The losses decide. The learning rates, where a log has them, only put numbers to the advice.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ..config import TrainConfig
from .curve import Curve

GOOD_LR = TrainConfig.lr  # of the page's own run
HIGHEST_LR = 1e-3  # that is advised
ENOUGH = 20  # records before anything but a blow-up is told

TITLES = {
    "early": "Too early to tell",
    "clean": "Clean fit",
    "fork": "Overfitting fork",
    "plateau": "Plateau",
    "divergence": "Divergence",
    "dead": "Dead",
    "slow": "Too slow",
    "spike": "Spike",
}


@dataclass(frozen=True)
class Verdict:
    """What a curve shows: one of TITLES, and a sentence. `evidence` is pairs of what was measured
    and the result; `fix` is settings of a TrainConfig to use instead; `at` is the iteration where
    it shows.
    """

    kind: str
    says: str
    evidence: tuple[tuple[str, str], ...] = ()
    change: str = ""
    fix: dict[str, float] = field(default_factory=dict)
    at: int | None = None

    @property
    def title(self) -> str:
        """The kind, for people."""
        return TITLES[self.kind]

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to change."""
        return self.kind in ("clean", "early")


def diagnose(curve: Curve, uniform: float | None = None) -> Verdict:
    """The diagnosis of a curve. `uniform`, ln V, is the start of one that begins later."""
    if not curve:
        return Verdict("early", "There is no record yet.")
    seen = _Seen(curve, uniform)
    first = _not_a_number(seen) or _divergence(seen) or _too_early(seen) or _fork(seen)
    return first or _spike(seen) or _dead(seen) or _plateau(seen) or _slow(seen) or _clean(seen)


class _Seen:
    """Measurements of a curve. Levels and noise are medians, so that no single record decides."""

    def __init__(self, curve: Curve, uniform: float | None):
        it, x = np.array(curve.iter), np.array(curve.train, np.float64)
        finite = np.isfinite(x)
        self.bad_train = it[~finite]
        self.it, self.x, self.n = it[finite], x[finite], int(finite.sum())
        v = np.array([math.nan if val is None else val for val in curve.val], np.float64)
        missing = np.array([val is None for val in curve.val], bool)
        self.bad_val = it[~missing & ~np.isfinite(v)]
        self.val_it, self.v = it[np.isfinite(v)], v[np.isfinite(v)]
        rates = [lr for lr in curve.lr if lr is not None]
        begins = bool(curve.iter) and curve.iter[0] < 20
        # Of a log that begins later the peak may have been before it, unless it is seen to rise.
        self.peak_lr = max(rates) if rates and (begins or max(rates) > rates[0]) else None
        self.decayed = self.peak_lr is not None and rates[-1] < self.peak_lr / 2
        self.warm = self.peak_lr is not None and rates[0] < self.peak_lr / 2
        if not self.n:
            return
        self.fresh = self.it[0] < 20 or uniform is not None  # it shows how the run began
        first = self.x[0]
        if len(self.v) and self.val_it[0] == self.it[0]:
            first = (first + self.v[0]) / 2
        self.start = max(float(first if self.it[0] < 20 or uniform is None else uniform), 1e-9)
        self.end = self.level(-max(3, self.n // 10), None)
        quarters = np.array_split(self.x, 4) if self.n >= ENOUGH else [self.x]
        self.noise = min(_noise(part) for part in quarters)
        self.share = (self.start - self.end) / self.start
        self.peak = int(self.x.argmax())

    @property
    def iters(self) -> int:
        """From the first record to the last; a log may have one of every tenth iteration."""
        return int(self.it[-1] - self.it[0]) + 1

    def count(self, n: int) -> str:
        """So many records, as iterations where the log has each of them."""
        what = "iteration" if self.iters == self.n else "record"
        return f"{n:,} {what}{'' if n == 1 else 's'}"

    def level(self, begin: int | None, end: int | None) -> float:
        """The median of the training losses from one record to another."""
        return float(np.median(self.x[begin:end]))

    def error(self, records: int) -> float:
        """Of the difference of two levels, each of so many records: one standard deviation."""
        return 1.25 * self.noise * math.sqrt(2 / max(records, 1))  # 1.25: they are medians


def _noise(x: np.ndarray) -> float:
    """The standard deviation of what is random in a stretch of a curve, its trend left out."""
    if len(x) < 4:
        return 0.0
    steps = np.diff(x)
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2))


def _not_a_number(seen: _Seen) -> Verdict | None:
    if not len(seen.bad_train) and not len(seen.bad_val):
        return None
    which, bad, it, x = "training", seen.bad_train, seen.it, seen.x
    if not len(bad):
        which, bad, it, x = "validation", seen.bad_val, seen.val_it, seen.v
    at = int(bad[0])
    evidence = [("Not a number", f"the {which} loss at iter {at:,}")]
    for what, part in (("Before that", x[it < at][-1:]), ("After that", x[it > at][-1:])):
        if len(part):
            evidence.append((what, _loss(float(part[0]))))
    says = f"The {which} loss is no longer a number: the model's own numbers overflow."
    if len(it) and it[-1] > at:
        says = f"The {which} loss was no number at iter {at:,}: the model's own numbers overflowed."
    change, fix = _lower(seen)
    change += " Go on from a copy that was made before, or begin again."
    return Verdict("divergence", says, tuple(evidence), change, fix, at)


def _divergence(seen: _Seen) -> Verdict | None:
    x, n = seen.x, seen.n
    rise = _rise(seen)
    above = x > seen.start + rise
    count, peak = int(above.sum()), float(x[seen.peak])
    gross = seen.fresh and count >= 2 and np.sort(x)[-2] > 2 * seen.start + 1
    first = int(seen.it[above.argmax()]) if count else int(seen.it[0])
    evidence = [
        ("Start", _loss(seen.start)),
        ("Peak", f"{_loss(peak)} at iter {seen.it[seen.peak]:,}, {peak / seen.start:.1f} × start"),
        ("Above the start", f"{count:,} of {seen.count(n)}"),
        ("Now", _loss(seen.end)),
    ]
    if gross and n < ENOUGH or seen.fresh and count > max(10, n / 10):
        says = (
            "The loss climbed far above its start: each update threw the weights further than the "
            "gradient can tell."
            if peak > 2 * seen.start
            else "The loss is above its start: the updates make the model worse than no training."
        )
        if seen.end < seen.start:
            says += " It came back as the schedule let the rate fall." if seen.decayed else ""
        return Verdict("divergence", says, tuple(evidence), *_lower(seen), first)
    if n < ENOUGH:
        return None
    best, at = _best(seen)
    lost = seen.end - best
    margin = max(0.25 * (seen.start - best), 0.1 * seen.start, 6 * seen.noise)
    if lost > margin:
        evidence[2:] = [
            ("Best", f"{_loss(best)} near iter {at:,}"),
            ("Now", f"{_loss(seen.end)}, {lost:.2f} worse"),
        ]
        says = "The training loss has gone up again and stays there: what was learned is lost."
        return Verdict("divergence", says, tuple(evidence), *_lower(seen), at)
    return None


def _rise(seen: _Seen) -> float:
    """How far above its start a loss must be to count as above it."""
    return min(max(6 * seen.noise, 0.1 * seen.start), seen.start)


def _best(seen: _Seen) -> tuple[float, int]:
    """The lowest level that held for a while, and the iteration in its middle."""
    length = max(5, seen.n // 20)
    blocks = [(i, seen.x[i : i + length]) for i in range(0, seen.n - length + 1, length)]
    levels = [float(np.median(block)) for _, block in blocks]
    lowest = int(np.argmin(levels))
    return levels[lowest], int(seen.it[blocks[lowest][0] + length // 2])


def _too_early(seen: _Seen) -> Verdict | None:
    if seen.n >= ENOUGH:
        return None
    records = "is 1 record" if seen.n == 1 else f"are {seen.n} records"
    return Verdict(
        "early",
        f"There {records}. From {ENOUGH} on there is a curve to read.",
        (("Start", _loss(seen.start)), ("Now", _loss(seen.end))),
    )


def _fork(seen: _Seen) -> Verdict | None:
    v = seen.v
    if len(v) < 5:
        return None
    smooth = (v[1:] + v[:-1]) / 2
    lowest = int(smooth.argmin())
    rise, gap = float(smooth[-1] - smooth[lowest]), float(smooth[-1] - seen.end)
    at = int(seen.val_it[lowest])
    then = seen.x[seen.it <= at]
    fell = float(np.median(then[-max(3, seen.n // 20) :])) - seen.end if len(then) else 0.0
    noise = _noise(v) if len(v) >= 8 else 0.0
    apart = rise > max(0.02 * seen.start, 3 * noise) and len(v) - lowest > 2
    if not apart or gap < 0.1 * seen.start or fell < 0.02 * seen.start:
        return None
    iters = max(1, at)
    return Verdict(
        "fork",
        "The two losses part: training goes on falling, and validation has turned and rises. From "
        "the fork on the model learns its text by heart.",
        (
            ("The fork", f"iter {at:,}, validation {_loss(float(smooth[lowest]))}"),
            ("Validation since", f"up {rise:.2f} to {_loss(float(smooth[-1]))}"),
            ("Training since", f"down {fell:.2f} to {_loss(seen.end)}"),
            ("Gap", f"{gap:.2f} nats"),
        ),
        f"Stop near iter {iters:,}, where validation was lowest; or give it more text, dropout, or "
        "a smaller model.",
        {"iters": iters},
        at,
    )


def _spike(seen: _Seen) -> Verdict | None:
    """Above its start for a few iterations, or above what it had reached, and down again."""
    x, n = seen.x, seen.n
    above = np.flatnonzero(x > seen.start + _rise(seen)) if seen.fresh else np.array([], int)
    early = len(above) > 0 and above[0] < max(10, n // 8)
    if not early:
        above = _jumps(seen)
        if not len(above):
            return None
        above = above[above <= above[0] + max(10, n // 10)]
    top = int(above[x[above].argmax()])
    from_ = seen.start if early else float(np.median(x[max(0, above[0] - 15) : above[0]]))
    evidence = (
        ("Before", _loss(from_)),
        ("Top", f"{_loss(float(x[top]))} at iter {seen.it[top]:,}"),
        ("Above", seen.count(len(above))),
        ("Now", _loss(seen.end)),
    )
    change, fix = _lower(seen)
    if early:
        says = "The loss jumped above its start in the first iterations, then came down."
        if not seen.warm:
            says += (
                " AdamW's averages have only a gradient or two to go by at first: each weight "
                "moves by about the full rate, right or wrong."
            )
            known = "" if seen.peak_lr is not None else ", if it does not"
            change = (
                f"Warm up: let the rate rise over the first {TrainConfig.warmup} iterations, as "
                f"the default run does{known}. {change}"
            )
            fix = {"warmup": TrainConfig.warmup, **fix}
        return Verdict("spike", says, evidence, change, fix, int(seen.it[above[0]]))
    says = "The loss jumped and came down again, as it does when an update is too large."
    change = "One such spike is no harm. If more come, lower the learning rate or clip harder."
    return Verdict("spike", says, evidence, change, fix, int(seen.it[above[0]]))


def _jumps(seen: _Seen) -> np.ndarray:
    """Which records are far above the 15 before them, where a neighbour is too."""
    x, width = seen.x, 15
    if seen.n <= width + 2:
        return np.array([], int)
    before = np.median(np.lib.stride_tricks.sliding_window_view(x[:-1], width), axis=1)
    high = x[width:] > before + max(0.12 * seen.start, 8 * seen.noise)
    both = high & (np.append(high[1:], False) | np.insert(high[:-1], 0, False))
    return np.flatnonzero(both) + width


def _dead(seen: _Seen) -> Verdict | None:
    n, some = seen.n, max(5, seen.n // 5)
    if not seen.fresh:
        return None
    first, last = seen.level(None, some), seen.level(-some, None)
    flat = 0.01 * seen.start + 2 * seen.error(some)
    if abs(first - last) >= flat or abs(seen.start - first) >= flat + 3 * seen.noise:
        return None
    spread = float(seen.x.max() - seen.x.min())
    evidence = (
        ("Start", _loss(seen.start)),
        ("Now", f"{_loss(seen.end)} after {seen.iters:,} iterations"),
        ("All losses within", f"{spread:.3f} nats"),
    )
    if n < 50:
        return Verdict("early", "Nothing has moved so far. A warm-up may still end.", evidence)
    return Verdict(
        "dead",
        "The loss has not moved from where it began. The updates are too small to matter, or do "
        "not reach the weights.",
        evidence,
        *_higher(seen, GOOD_LR, "see whether the gradients reach every weight"),
    )


def _plateau(seen: _Seen) -> Verdict | None:
    n = seen.n
    if n < 120:
        return None
    quarter = n // 4
    two, three, four = (seen.level(i * quarter, (i + 1) * quarter) for i in (1, 2, 3))
    drop = seen.start - four if seen.fresh else 0.0
    flat = 0.005 * seen.start + seen.error(quarter)
    if seen.fresh:
        flat = min(flat, 0.1 * drop)  # or a slow fall would pass for none
    if two - four > 0.25 * drop + flat or three - four > 0.1 * drop + flat:
        return None
    if seen.fresh and (seen.share > 0.33 or drop < 0.01 * seen.start):
        return None
    evidence = (
        ("Start", _loss(seen.start)),
        ("Second quarter", _loss(two)),
        ("Last quarter", f"{_loss(four)}, {two - four:.3f} lower"),
    )
    says = (
        f"The loss fell to {_loss(four)} early and stays there: more iterations of the same bring "
        "nothing."
        if seen.fresh
        else f"The loss stays at {_loss(four)} over the whole of this log."
    )
    if seen.peak_lr is not None and seen.peak_lr > 3e-3:
        return Verdict("plateau", says, evidence, *_lower(seen))
    change = "Change the learning rate by a factor of 3, up or down, or enlarge the model."
    fix = {"lr": min(3 * seen.peak_lr, HIGHEST_LR)} if seen.peak_lr is not None else {}
    return Verdict("plateau", says, evidence, change, fix)


def _slow(seen: _Seen) -> Verdict | None:
    if not seen.fresh or seen.n < 150 or seen.share > 0.12:
        return None
    rate = (seen.start - seen.end) / seen.iters * 1000
    return Verdict(
        "slow",
        "The loss falls steadily, but so slowly that the run would take far longer than it needs.",
        (
            ("Start", _loss(seen.start)),
            ("Now", f"{_loss(seen.end)} after {seen.iters:,} iterations"),
            ("Pace", f"{rate:.2g} nats in 1,000 iterations"),
        ),
        *_higher(seen, HIGHEST_LR, "take a larger model, or more iterations"),
    )


def _clean(seen: _Seen) -> Verdict:
    quarter = max(seen.n // 4, 5)
    gain = seen.level(-2 * quarter, -quarter) - seen.level(-quarter, None)
    falling = gain > 0.01 * seen.start + 2 * seen.error(quarter)
    evidence = [("Start", _loss(seen.start)), ("Now", _loss(seen.end))]
    if seen.fresh:
        evidence.append(("Fallen by", f"{100 * seen.share:.0f}%"))
    if len(seen.v):
        gap = float(seen.v[-1]) - seen.end
        apart = f"{abs(gap):.2f} {'above' if gap > 0 else 'below'}"
        where = apart if round(gap, 2) else "level with"
        evidence.append(("Validation", f"{_loss(float(seen.v[-1]))}, {where} training"))
    else:
        evidence.append(("Validation", "none in this log: overfitting would not show"))
    way = "lower" if gain >= 0 else "higher"
    evidence.append(("Last quarter", f"{abs(gain):.3f} {way} than the one before"))
    says = "The loss falls" if falling else "The loss has fallen"
    if not seen.fresh:
        says = "What there is of the curve falls" if falling else "Nothing in this curve is wrong"
    else:
        half = seen.level(seen.n // 2 - 2, seen.n // 2 + 3)
        if seen.start - half > 2 * (half - seen.end):
            says = "A steep fall, then a bend"
    if len(seen.v) and abs(float(seen.v[-3:].mean()) - seen.end) < 0.1 * seen.start:
        says += ", and validation is close beside"
    if seen.fresh:
        says += ": the model is learning"
    change = (
        "Nothing. It is still falling: more iterations would bring more."
        if falling
        else "Nothing. It has nearly levelled off."
    )
    return Verdict("clean", f"{says}.", tuple(evidence), change)


def _lower(seen: _Seen) -> tuple[str, dict[str, float]]:
    """The advice to lower the rate, and the rate."""
    if seen.peak_lr is None:
        return "Lower the peak learning rate; the log does not say what it was.", {}
    better = min(GOOD_LR, seen.peak_lr / 10)
    return f"Lower the peak learning rate from {seen.peak_lr:g} to {better:g}.", {"lr": better}


def _higher(seen: _Seen, enough: float, other: str) -> tuple[str, dict[str, float]]:
    """To raise the rate, where it is below what is enough, or else the other thing to do."""
    if seen.peak_lr is None:
        told = f"Raise the peak learning rate if it was below {enough:g}, which the log does not"
        return f"{told} say; or {other}.", {}
    if seen.peak_lr >= enough:
        return f"The rate is not the cause: {other}.", {}
    better = max(GOOD_LR, min(10 * seen.peak_lr, HIGHEST_LR))
    return f"Raise the peak learning rate from {seen.peak_lr:g} to {better:g}.", {"lr": better}


def _loss(nats: float) -> str:
    return f"{nats:.2f}" if nats < 1000 else f"{nats:,.0f}"
