"""Peer surprise: for each feature, how rare a session's value is among the sessions of its peers.

A plain forest hardly sees a session that is odd in one or two of forty features; this does, because it looks at them one
by one. Each feature has a direction in which it is suspicious. Values are compared on a logarithmic scale in units of the
feature's own typical size, so that the tail beyond the largest value seen (`detector.survival`) suits counts.

Small groups are drawn towards everybody: with n sessions in the group, ln p = w·ln p(group) + (1 − w)·ln p(all),
w = n / (n + 50); groups below 10 sessions, and unknown ones, are compared with everybody only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import npz, survival
from detector.survival import Survival

Float64 = NDArray[np.float64]
Direction = Literal["upper", "lower", "both"]

VERSION: Final = 1
LEAST: Final = 10  # sessions a group needs to be kept
HALF: Final = 50  # sessions at which a group counts as much as everybody
_WEIGHTS: Final = (1.0, 0.25)  # of the two most surprising features: one odd value must not drown


@dataclass(frozen=True, eq=False)
class PeerScore:
    """What the peers say about rows; every array has one entry a row.

    Attributes:
        score: ≥ 0, the higher the odder; −ln of the smallest tail probability plus a quarter of −ln of the second. No
            probability of the row yet: `detector.calibrate` makes it one.
        p: Smallest tail probability among the features, before any correction for their number.
        feature: Index of that feature (the first of equals); −1 if no feature is known or surprising at all.
        observed: Its value; NaN where `feature` is −1.
        usual: Its median over all sessions learned from.
        peers: Its median over the peer group (over all, where the group is small or unknown).
        peers_n: Number of sessions in that comparison.
    """

    score: Float64
    p: Float64
    feature: NDArray[np.int64]
    observed: Float64
    usual: Float64
    peers: Float64
    peers_n: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PeerTails:
    """Tails of every feature, for everybody and for each peer group.

    Attributes:
        names: Features, in the order of the columns.
        directions: Their suspicious directions.
        groups: Groups kept, sorted.
        unit: Typical size of each feature: median of its absolute values other than 0.
        tails: Blocks: sides (below) of everybody, then of each group.
        medians: (1 + groups) × features.
        n: Sessions learned from: everybody, then each group.
    """

    names: tuple[str, ...]
    directions: tuple[Direction, ...]
    groups: tuple[str, ...]
    unit: Float64
    tails: Survival
    medians: Float64
    n: NDArray[np.int64]

    def log_p(self, X: ArrayLike, groups: Sequence[str]) -> Float64:
        """ln of the tail probability of each value.

        Args:
            X: Rows × features; NaN means unknown and surprises nobody.
            groups: Peer group of each row.

        Returns:
            Rows × features, ≤ 0.

        Raises:
            ValueError: Shapes do not fit, or a value is infinite.
        """
        return self._logs(_table(X, groups, self.names), self._places(groups))

    def _logs(self, table: Float64, places: NDArray[np.intp]) -> Float64:
        # Most counts are 0, and what 0 says is known.
        out = self._of_zero.take(places, axis=0)
        rows, features = np.nonzero(table)
        out[rows, features] = self._cells(table[rows, features], features, places.take(rows))
        return out

    @cached_property
    def _of_zero(self) -> Float64:
        """What `log_p` says of 0: everybody and groups × features."""
        places, features = np.indices((len(self.groups) + 1, len(self.names)), dtype=np.intp).reshape(2, -1)
        return self._cells(np.zeros(len(places)), features, places).reshape(-1, len(self.names))

    def _cells(self, x: Float64, features: NDArray[np.intp], places: NDArray[np.intp]) -> Float64:
        """What `log_p` says of single values."""
        scaled = _scaled(x, self.unit.take(features))
        sides = _sides(self.directions)
        first = np.searchsorted([feature for feature, _ in sides], features)
        signs = np.array([sign for _, sign in sides])
        least = self._side(signs.take(first) * scaled, first, places)
        counts = np.bincount([feature for feature, _ in sides], minlength=len(self.names)).take(features)
        two = np.flatnonzero(counts == 2)
        if len(two):
            second = first[two] + 1
            least[two] = np.minimum(least[two], self._side(signs.take(second) * scaled[two], second, places[two]))
        # Two sides count as the smaller one, twice.
        return np.minimum(0.0, least + np.log(counts))

    def _side(self, x: Float64, sides: NDArray[np.intp], places: NDArray[np.intp]) -> Float64:
        """ln of the tail probability of values on given sides."""
        out = self.tails.log_of(sides, x)
        own = np.flatnonzero(places)
        place = places[own]
        n = self.n.take(place)
        weight = n / (n + HALF)
        width = len(_sides(self.directions))
        out[own] = weight * self.tails.log_of(place * width + sides[own], x[own]) + (1 - weight) * out[own]
        return out

    def score(self, X: ArrayLike, groups: Sequence[str]) -> PeerScore:
        """Score rows; see `PeerScore`. Arguments and errors as `log_p`."""
        table, places = _table(X, groups, self.names), self._places(groups)
        logs = self._logs(table, places)
        count, width = logs.shape
        rows = np.arange(count)
        worst = np.argmin(logs, axis=1)
        smallest = logs[rows, worst]
        top = np.partition(logs, min(len(_WEIGHTS), width) - 1, axis=1)
        known = smallest < 0
        return PeerScore(
            # Column by column: a matrix product may round differently with the number of rows.
            score=sum((weight * -top[:, i] for i, weight in enumerate(_WEIGHTS[:width])), np.zeros(count)),
            p=np.exp(smallest),
            feature=np.where(known, worst, -1).astype(np.int64),
            observed=np.where(known, table[rows, worst], np.nan),
            usual=np.where(known, self.medians[0, worst], np.nan),
            peers=np.where(known, self.medians[places, worst], np.nan),
            peers_n=self.n[places],
        )

    def _places(self, groups: Sequence[str]) -> NDArray[np.intp]:
        """Number of each row's group, from 1; 0 for everybody."""
        number = {name: place for place, name in enumerate(self.groups, start=1)}
        return np.fromiter(map(number.get, groups, itertools.repeat(0)), dtype=np.intp, count=len(groups))

    def to_bytes(self) -> bytes:
        """Serialise; equal tails give equal bytes."""
        header = {"names": self.names, "directions": self.directions, "groups": self.groups}
        own: npz.Arrays = {"unit": self.unit, "medians": self.medians, "sessions": self.n}
        tails = {f"tails.{name}": array for name, array in self.tails.arrays().items()}
        return npz.dumps("peer tails", VERSION, header, own | tails)

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerTails:
        """Read what `to_bytes` wrote.

        Raises:
            detector.npz.StateError: Damaged, another kind, or an unknown version.
        """
        header, arrays = npz.loads(data, "peer tails", VERSION)
        tails = {name.removeprefix("tails."): array for name, array in arrays.items() if name.startswith("tails.")}
        return cls(
            names=tuple(header["names"]),
            directions=tuple(header["directions"]),
            groups=tuple(header["groups"]),
            unit=arrays["unit"],
            tails=Survival(**tails),
            medians=arrays["medians"],
            n=arrays["sessions"],
        )


def fit(
    X: ArrayLike,
    groups: Sequence[str],
    names: Sequence[str],
    directions: Mapping[str, Direction] | None = None,
    allowance: float = survival.ALLOWANCE,
) -> PeerTails:
    """Learn what is usual among peers.

    Args:
        X: Rows × features, any order of rows; NaN means unknown.
        groups: Peer group of each row.
        names: Name of each feature.
        directions: Suspicious direction by name; `upper` (more is worse) where none is given.
        allowance: Share of the rows that may be misuse without counting as usual.

    Returns:
        Tails for everybody and for each group of at least 10 rows.

    Raises:
        ValueError: Shapes do not fit, there is no feature, a value is infinite, or a direction is unknown.
    """
    table = _table(X, groups, names)
    if not names:
        raise ValueError("peer tails: no feature given")
    ways = tuple((directions or {}).get(name, "upper") for name in names)
    if wrong := sorted({way for way in ways if way not in ("upper", "lower", "both")}):
        raise ValueError(f"peer tails: direction {wrong[0]!r} is none of upper, lower, both")
    labels = np.array(groups, dtype=object)
    kept = tuple(name for name, rows in sorted(_counts(groups).items()) if rows >= LEAST)
    members = [np.arange(len(table)), *(np.flatnonzero(labels == name) for name in kept)]
    unit = np.array([_unit(table[:, column]) for column in range(table.shape[1])])
    scaled = _scaled(table, unit)
    sides = _sides(ways)
    columns = [[sign * scaled[rows, feature] for feature, sign in sides] for rows in members]
    everybody = survival.fit(columns[0], allowance)
    # A group's tail is drawn to everybody's: what a few dozen values say about their far end is mostly noise.
    own = [survival.fit(group, allowance, everybody.scale) for group in columns[1:]]
    medians = [[_median(table[rows, feature]) for feature in range(table.shape[1])] for rows in members]
    return PeerTails(
        names=tuple(names),
        directions=ways,
        groups=kept,
        unit=unit,
        tails=survival.concat([everybody, *own]),
        medians=np.array(medians).reshape(len(members), table.shape[1]),
        n=np.array([len(rows) for rows in members], dtype=np.int64),
    )


def _table(X: ArrayLike, groups: Sequence[str], names: Sequence[str]) -> Float64:
    table = np.asarray(X, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(names):
        raise ValueError(f"peer tails: expected rows × {len(names)} features, got an array of shape {table.shape}")
    if len(groups) != len(table):
        raise ValueError(f"peer tails: {len(table)} rows but {len(groups)} groups")
    if np.isinf(table).any():
        row, column = (int(i) for i in np.argwhere(np.isinf(table))[0])
        raise ValueError(f"peer tails: {names[column]} is infinite in row {row}; leave it unknown (NaN) instead")
    return table


def _counts(groups: Sequence[str]) -> dict[str, int]:
    return {name: len(list(same)) for name, same in itertools.groupby(sorted(groups))}


def _sides(directions: Sequence[Direction]) -> list[tuple[int, float]]:
    """The tails to look at: (feature, +1 for the upper or −1 for the lower one)."""
    signs: dict[str, tuple[float, ...]] = {"upper": (1.0,), "lower": (-1.0,), "both": (1.0, -1.0)}
    return [(feature, sign) for feature, way in enumerate(directions) for sign in signs[way]]


def _unit(column: Float64) -> float:
    sizes = np.abs(column[~np.isnan(column) & (column != 0)])
    return _median(sizes) if len(sizes) else 1.0


def _median(column: Float64) -> float:
    """The lower median, so that a count's median is a count; NaN is left out, 0 without values."""
    known = np.sort(column[~np.isnan(column)])
    return float(known[(len(known) - 1) // 2]) if len(known) else 0.0


def _scaled(table: Float64, unit: Float64) -> Float64:
    return np.asarray(np.sign(table) * np.log1p(np.abs(table) / unit))
