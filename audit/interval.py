"""How sure a counted share is.

Clopper and Pearson's interval, and not Wilson's: it holds the true share at least as often as it promises, also where nothing
or almost nothing was found among a few dozen, which is what samples of accesses look like. Wilson's is narrower and holds it less
often than promised near 0 and 1; a report that somebody signs must not promise more than it keeps. See Clopper and Pearson,
Biometrika 26 (1934), and Brown, Cai and DasGupta, Statistical Science 16 (2001), https://doi.org/10.1214/ss/1009213286.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Final

LEVEL: Final = 0.95

_STEPS: Final = 200  # halvings; far more than a float can tell apart
_TERMS: Final = 10_000
_CLOSE: Final = 1e-14
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Share:
    """A share and between which limits the true one lies.

    Attributes:
        share: Counted, 0 to 1.
        low, high: Limits, 0 to 1.
    """

    share: float
    low: float
    high: float


def share(hits: int, of: int, level: float = LEVEL) -> Share | None:
    """A counted share with its interval; None where nothing was counted.

    Args:
        hits: How many have what is looked for.
        of: How many were looked at.
        level: How often such an interval holds the true share at least, 0 to 1.

    Raises:
        ValueError: `hits` is not between 0 and `of`.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share")
    if not of:
        return None
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _quantile(tail, hits, of - hits + 1)
    high = 1.0 if hits == of else _quantile(1 - tail, hits + 1, of - hits)
    return Share(hits / of, low, high)


def _quantile(p: float, a: float, b: float) -> float:
    """Where the distribution function of Beta(a, b) reaches p."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _beta(middle, a, b) < p else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function for 0 < x < 1, by its continued fraction (https://dlmf.nist.gov/8.17#v)."""
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly, and its mirror image fast
        return 1 - _beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    value, c, d = 1.0, 1.0, 0.0
    for place in range(_TERMS):
        half = place // 2
        if place == 0:
            term = 1.0
        elif place % 2:
            term = -(a + half) * (a + b + half) * x / ((a + place - 1) * (a + place))
        else:
            term = half * (b - half) * x / ((a + place - 1) * (a + place))
        d = 1 / _kept(1 + term * d)
        c = _kept(1 + term / c)
        value *= c * d
        if place and abs(1 - c * d) < _CLOSE:
            break
    return front * (value - 1)


def _kept(value: float) -> float:
    """Away from 0, by which nothing can be divided (Lentz)."""
    return value if abs(value) > _TINY else _TINY
