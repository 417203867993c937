"""How rare is a value this large? Survival functions learned from a sample, for many columns at once.

Up to a high quantile the answer is counted: the share of the sample that reached the value (ties included, so the many
zeros of a count are not surprising). Beyond it counting ends at 1/n, so an exponential tail continues: the excess over a
high threshold is, for a large class of distributions, close to a generalised Pareto distribution (Pickands 1975), and
its exponential case is the conservative one for tails that are bounded or fall like a normal. Callers whose values have
heavy tails take logarithms first, which turns a Pareto tail into an exponential one.

Conservative, and robust at once, since the sample may hold the very misuse that is looked for:

- counts are inclusive and one higher than seen; the mean excess is raised by its standard error;
- the largest quarter of the excesses counts as "at least this much" only (type II censoring), so that one huge
  session does not stretch the tail and hide the next one;
- beyond the threshold the tail is believed against the count only while no more than `allowance` of the sample got so
  far. What is more frequent than that is ordinary, whatever the fitted tail says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

ALLOWANCE: Final = 0.003
_LEVELS: Final = 65  # counted points kept: neighbours differ by at most 1/5 in frequency at 50,000 values
_TAIL_SHARE, _TAIL_MOST, _TAIL_LEAST = 0.02, 1000, 10  # values beyond the threshold that the tail is fitted to
_CENSORED: Final = 0.25
_SPARED: Final = 2  # values that are spared even if `allowance` is less than that: a misuse seldom comes alone
_PRIOR: Final = 2.0  # weight of the spread of the sample against its excesses, in values
_KNOWN: Final = 30.0  # weight of a mean excess that the caller expects


@dataclass(frozen=True, eq=False)
class Survival:
    """Survival functions of several columns ("blocks"); row b of each array belongs to block b.

    Attributes:
        values: Counted points, ascending, filled up with +∞.
        logs: ln of the share that reached each point; −∞ where the tail alone decides.
        above: ln of the share that went beyond each point, likewise: for values between it and the next one.
        start: Threshold from which the tail is fitted.
        log_start: ln of the share beyond the threshold.
        scale: Mean excess of the tail, > 0.
        n: Size of the sample; 0 for an empty block, where nothing is rare.
    """

    values: Float64
    logs: Float64
    above: Float64
    start: Float64
    log_start: Float64
    scale: Float64
    n: NDArray[np.int64]

    def log_of(self, block: int | NDArray[np.intp], x: Float64) -> Float64:
        """ln P(X ≥ x).

        Args:
            block: Index of the column, or of each value's own.
            x: Values; NaN means unknown.

        Returns:
            Between −700 and 0, not increasing in x; 0 for NaN and in an empty block.
        """
        blocks = np.broadcast_to(np.asarray(block, dtype=np.intp), x.shape)
        width = self.values.shape[1]
        first, points = blocks * width, self.values.ravel()
        rank = _rank(points, first, width, x)
        at = first + np.maximum(rank - 1, 0)
        reached = np.where(points.take(at) == x, self.logs.ravel().take(at), self.above.ravel().take(at))
        counted = np.where(rank > 0, reached, 0.0)
        start = self.start.take(blocks)
        beyond = x > start  # False for NaN
        excess = np.where(beyond, x, start) - start
        tail = self.log_start.take(blocks) - excess / self.scale.take(blocks)
        logs = np.where(beyond, np.maximum(counted, tail), counted)
        nothing_rare = np.isnan(x) | (self.n.take(blocks) == 0)
        return np.where(nothing_rare, 0.0, np.clip(logs, -700.0, 0.0))

    def arrays(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """The arrays by name, for serialisation; `Survival(**arrays)` is the same again."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def _rank(points: Float64, first: NDArray[np.intp], width: int, x: Float64) -> NDArray[np.intp]:
    """How many of the points of its block each value reaches; `width` ascending points begin at `first`."""
    rank = np.zeros(x.shape, dtype=np.intp)
    step = 1 << (width.bit_length() - 1) if width else 0
    while step:
        # A binary search for all values together: each halves what is left of its own block.
        further = np.minimum(rank + step, width)
        rank = np.where(points.take(first + further - 1) <= x, further, rank)
        step >>= 1
    return rank


def concat(parts: Sequence[Survival]) -> Survival:
    """The blocks of all parts, in order."""
    return Survival(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].arrays()})


def fit(
    columns: Sequence[Float64], allowance: float = ALLOWANCE, scales: Sequence[float] | Float64 | None = None
) -> Survival:
    """Learn survival functions.

    Args:
        columns: One sample per block, any order; NaN is left out.
        allowance: Share of a sample that may be extreme without counting as ordinary.
        scales: Mean excess to expect of each block, if something is known; else the spread of the sample says.

    Returns:
        One block per sample, in their order.
    """
    priors = [None] * len(columns) if scales is None else scales
    samples = (np.sort(column[~np.isnan(column)]) for column in columns)
    blocks = [_fit_one(sample, allowance, prior) for sample, prior in zip(samples, priors, strict=True)]
    values = np.full((len(blocks), _LEVELS), np.inf)
    logs, above = np.zeros(values.shape), np.zeros(values.shape)
    for row, (points, reached, beyond, *_) in enumerate(blocks):
        values[row, : len(points)] = points
        logs[row, : len(points)] = reached
        above[row, : len(points)] = beyond
    start, log_start, scale, n = np.array([block[3:] for block in blocks], dtype=np.float64).reshape(-1, 4).T
    return Survival(values, logs, above, start, log_start, scale, n.astype(np.int64))


def _fit_one(
    x: Float64, allowance: float, prior: float | None
) -> tuple[Float64, Float64, Float64, float, float, float, int]:
    """(points, ln share reached, ln share above, threshold, ln share beyond it, mean excess, n) of a sorted x."""
    n = len(x)
    if not n:
        return np.empty(0), np.empty(0), np.empty(0), 0.0, 0.0, 1.0, 0
    reach = max(min(_TAIL_LEAST, n // 2), min(int(_TAIL_SHARE * n), _TAIL_MOST))
    start = float(x[n - 1 - reach]) if reach else float(x[-1])
    excess = x[x > start] - start

    # Positions from the end, evenly spaced in the logarithm: the interest is in the far end.
    ends = np.unique(np.geomspace(1, n, _LEVELS - 1).round().astype(np.intp))
    points = np.unique(np.append(x[n - ends], start))
    spare = max(_SPARED, int(allowance * n))
    reached = n - np.searchsorted(x, points, side="left") - np.where(points > start, spare, -1)
    above = n - np.searchsorted(x, points, side="right") - np.where(points >= start, spare, -1)
    with np.errstate(divide="ignore"):
        logs, beyond = (np.log(np.maximum(count, 0) / (n + 1)) for count in (reached, above))
    log_start = float(np.log((len(excess) + 1) / (n + 1)))
    return points, logs, beyond, start, log_start, _mean_excess(x, excess, prior), n


def _mean_excess(x: Float64, excess: Float64, prior: float | None) -> float:
    """Scale of the exponential tail: censored mean excess, drawn to what was expected, plus a standard error."""
    m = len(excess)
    weight, spread = (_PRIOR, _spread(x)) if prior is None else (_KNOWN, prior)
    cut = int(_CENSORED * m)
    kept = excess[: m - cut]
    total = float(kept.sum()) + (cut * float(kept[-1]) if cut else 0.0)
    scale = (total + weight * spread) / (len(kept) + weight)
    return float(scale * (1 + 1 / np.sqrt(len(kept) + weight)))


def _spread(x: Float64) -> float:
    """The mean excess that the middle of a sample suggests."""
    n = len(x)
    spread = float(x[n - 1 - n // 10] - x[(n - 1) // 2]) / np.log(5)  # = scale, if all of the sample were exponential
    if spread <= 0:
        spread = float(x[-1] - x[0]) / max(1.0, np.log(n))
    return spread if spread > 0 else 0.35  # a constant: half the step that a doubling makes on a logarithmic scale
