"""From scores to probabilities: how often does an ordinary session score as high?

The probability of a score is the share of calibration sessions that reached it, in the row's peer group where that group
has enough sessions, continued by a fitted tail where counting ends (`detector.survival`): with 500 sessions a p of 1e-5 is
an extrapolation, monotone in the score and meant for ranking. Sessions that were alerted stay in the
calibration set: taking them out would teach the model that nothing ever happens, and raise the rate of alerts with
each round. Counting follows conformal prediction (Vovk et al.; Bates et al. 2023, https://doi.org/10.1214/22-AOS2244).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import npz, survival
from detector.survival import Survival

Float64 = NDArray[np.float64]
Member = Literal["forest", "peer"]

VERSION: Final = 1
LEAST: Final = 100  # calibration sessions a group needs to be judged by itself


@dataclass(frozen=True, eq=False)
class Calibration:
    """Survival functions of scores.

    Attributes:
        groups: Groups with a function of their own, sorted.
        tails: Blocks: everybody; all small groups together (everybody, if they are too few); each of `groups`.
    """

    groups: tuple[str, ...]
    tails: Survival

    def log_p(self, scores: ArrayLike, groups: Sequence[str]) -> Float64:
        """ln p of each score.

        Args:
            scores: The higher the odder.
            groups: Peer group of each; groups not kept are judged by the pool of small ones.

        Returns:
            ≤ 0, not increasing in the score.

        Raises:
            ValueError: Lengths differ, or a score is NaN.
        """
        values = _scores(scores, groups)
        number = {name: block for block, name in enumerate(self.groups, start=2)}
        blocks = np.fromiter(map(number.get, groups, itertools.repeat(1)), dtype=np.intp, count=len(groups))
        return self.tails.log_of(blocks, values)

    def p_value(self, scores: ArrayLike, groups: Sequence[str]) -> Float64:
        """Probability that an ordinary session scores as high; in (0, 1]. Arguments and errors as `log_p`."""
        return np.exp(self.log_p(scores, groups))

    def to_bytes(self) -> bytes:
        """Serialise; equal calibrations give equal bytes."""
        return npz.dumps("calibration", VERSION, {"groups": self.groups}, self.tails.arrays())

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """Read what `to_bytes` wrote.

        Raises:
            detector.npz.StateError: Damaged, another kind, or an unknown version.
        """
        header, arrays = npz.loads(data, "calibration", VERSION)
        return cls(tuple(header["groups"]), Survival(**arrays))


def fit(scores: ArrayLike, groups: Sequence[str], allowance: float = survival.ALLOWANCE) -> Calibration:
    """Learn how scores of ordinary sessions are distributed.

    Args:
        scores: The higher the odder; of sessions that the scorer was not fitted on, wherever possible. Any order.
        groups: Peer group of each.
        allowance: Share of the sessions that may be misuse without counting as ordinary.

    Returns:
        The calibration; with no session at all every p is 1.

    Raises:
        ValueError: Lengths differ, or a score is NaN.
    """
    values = _scores(scores, groups)
    labels = np.array(groups, dtype=object)
    names, counts = np.unique(labels.astype(str), return_counts=True)
    kept = tuple(str(name) for name, count in zip(names, counts, strict=True) if count >= LEAST)
    rest = values[~np.isin(labels.astype(str), kept)] if kept else values
    pools = [values, rest if len(rest) >= LEAST else values, *(values[labels == name] for name in kept)]
    return Calibration(kept, survival.fit(pools, allowance))


def union(p_forest: ArrayLike, p_peer: ArrayLike) -> tuple[Float64, NDArray[np.str_]]:
    """Join the two members so that the nominal rate still holds (Bonferroni).

    Args:
        p_forest, p_peer: Calibrated probabilities, equally long.

    Returns:
        min(1, 2 × the smaller), and which member it was: `forest` or `peer` (peer if equal: it can name a feature).
    """
    forest, peer = np.asarray(p_forest, dtype=np.float64), np.asarray(p_peer, dtype=np.float64)
    return np.minimum(1.0, 2 * np.minimum(forest, peer)), np.where(forest < peer, "forest", "peer")


def _scores(scores: ArrayLike, groups: Sequence[str]) -> Float64:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(groups),):
        raise ValueError(f"calibration: {len(groups)} groups for scores of shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError(f"calibration: score {int(np.argmax(np.isnan(values)))} is NaN")
    return values
