"""The model: how surprising is a session? Forest and peer surprise, calibrated and joined.

    features → forest score ─┐ calibrate ┐
             → peer score   ─┘ calibrate ┴→ smaller of both → calibrate → p, and which member it was

The forest sees combinations that are rare as a whole, the peers see single values that are rare in their group; one
misses what the other finds (docs/model.md). The members learn from one part of the sessions, the calibration from the
other: from the later one for a model that will score what comes next, from one scattered over the period in retrospective
use, where a week of emergency in the later part alone would make everything look ordinary. What an extreme session adds
to its own background is bounded by the allowance of `detector.survival`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import calibrate, forest, npz, surprise, survival
from detector.calibrate import Calibration
from detector.forest import FlatForest
from detector.surprise import Direction, PeerScore, PeerTails

Float64 = NDArray[np.float64]
HeldOut = Literal["later", "scattered"]

VERSION: Final = 1
MOST: Final = 50_000  # sessions learned from, and calibrated on, at most
LEAST_TO_SPLIT: Final = 200  # fewer sessions are learned from and calibrated on together
LEARNED: Final = 0.7  # share of the sessions that the members learn from

# Features that are not suspicious for being large. What is not named here is: counts, durations, shares of odd things.
DIRECTIONS: Final[Mapping[str, Direction]] = {
    "explained": "lower",
    "dwell_s": "lower",
    "hour.first": "both",
    "person.days_to_end": "lower",
}

SCORES: Final = {
    "p": pl.Float64,
    "member": pl.String,
    "feature": pl.String,
    "observed": pl.Float64,
    "usual": pl.Float64,
    "peers": pl.Float64,
    "peers_n": pl.Int64,
    "p_forest": pl.Float64,
    "p_peer": pl.Float64,
}


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model.

    Attributes:
        features: Columns of the sessions it reads, in order.
        group: Column that holds the peer group.
        seed: Seed of the forest.
        small: True if it learned and calibrated on the same sessions, because there were fewer than 200.
        held_out: How the sessions to calibrate on were chosen.
        rows: Sessions learned from, and calibrated on.
        fill: Stands in for an unknown value in the forest: 0 for features suspicious when large ("none happened"), else
            the median. The peers leave an unknown value out.
        flat, tails: The members.
        forest, peer, joint: Calibrations of the members' scores and of the smaller of their probabilities.
    """

    features: tuple[str, ...]
    group: str
    seed: int
    small: bool
    held_out: HeldOut
    rows: tuple[int, int]
    fill: Float64
    flat: FlatForest
    tails: PeerTails
    forest: Calibration
    peer: Calibration
    joint: Calibration

    def score(self, sessions: pl.DataFrame) -> pl.DataFrame:
        """Score sessions.

        Args:
            sessions: One row per session with the columns `features` and `group`; others are not read. Null is unknown.

        Returns:
            One row per session, in the same order, with `p` (0 to 1; how often an ordinary session is as odd; the lower
            the odder), `member` (`forest` or `peer`, whichever found it odder), the most surprising `feature` with its
            `observed` value, its `usual` one (median of all), that of the `peers` (median of the group; of all where
            the group has fewer than 10 sessions) and `peers_n` (sessions in that comparison), and `p_forest`,
            `p_peer`. Feature and values are null where no feature stands out. A row's score does not depend
            on the rows beside it.

        Raises:
            ValueError: Columns are missing, no numbers, or hold NaN or infinite values; all of them at once.
        """
        table, groups = _read(sessions, self.features, self.group)
        peers = self.tails.score(table, groups)
        log_forest, log_peer = self._members(table, groups, peers)
        joint = self.joint.log_p(-_union(log_forest, log_peer), groups)
        # A union cannot be rarer than its rarer member.
        p = np.exp(np.maximum(joint, np.minimum(log_forest, log_peer)))
        p_forest, p_peer = np.exp(log_forest), np.exp(log_peer)
        _, member = calibrate.union(p_forest, p_peer)
        names = pl.Series([None, *self.features], dtype=pl.String)  # −1 is the first: none
        columns = {
            "p": p,
            "member": pl.Series(member.tolist(), dtype=pl.String),
            "feature": names.gather(peers.feature + 1),
            "peers_n": peers.peers_n,
            "p_forest": p_forest,
            "p_peer": p_peer,
        }
        values = {"observed": peers.observed, "usual": peers.usual, "peers": peers.peers}
        columns |= {name: pl.Series(column, nan_to_null=True) for name, column in values.items()}
        return pl.DataFrame({name: columns[name] for name in SCORES})

    def _members(self, table: Float64, groups: Sequence[str], peers: PeerScore) -> tuple[Float64, Float64]:
        """ln p of the forest and of the peers."""
        by_forest = -self.flat.score(_forest_input(table, self.fill, self.tails))
        return self.forest.log_p(by_forest, groups), self.peer.log_p(peers.score, groups)

    def to_bytes(self) -> bytes:
        """Serialise; equal models give equal bytes."""
        header = {
            "features": self.features,
            "group": self.group,
            "seed": self.seed,
            "small": self.small,
            "held_out": self.held_out,
            "rows": self.rows,
        }
        parts = {name: getattr(self, name).to_bytes() for name in ("flat", "tails", "forest", "peer", "joint")}
        arrays: npz.Arrays = {name: np.frombuffer(data, dtype=np.uint8) for name, data in parts.items()}
        return npz.dumps("model", VERSION, header, arrays | {"fill": self.fill})

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Read what `to_bytes` wrote.

        Raises:
            detector.npz.StateError: Damaged, another kind, or an unknown version.
        """
        header, arrays = npz.loads(data, "model", VERSION)
        try:
            return cls._of(header, arrays)
        except npz.StateError:
            raise
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise npz.StateError(f"model: a part is missing or of another shape ({error}); train it again") from error

    @classmethod
    def _of(cls, header: Mapping[str, Any], arrays: npz.Arrays) -> Model:
        return cls(
            features=tuple(header["features"]),
            group=header["group"],
            seed=int(header["seed"]),
            small=bool(header["small"]),
            held_out=header["held_out"],
            rows=(int(header["rows"][0]), int(header["rows"][1])),
            fill=arrays["fill"],
            flat=FlatForest.from_bytes(arrays["flat"].tobytes()),
            tails=PeerTails.from_bytes(arrays["tails"].tobytes()),
            forest=Calibration.from_bytes(arrays["forest"].tobytes()),
            peer=Calibration.from_bytes(arrays["peer"].tobytes()),
            joint=Calibration.from_bytes(arrays["joint"].tobytes()),
        )

    @property
    def id(self) -> str:
        """Identity by content: 16 hex digits."""
        return npz.digest(self.to_bytes())

    def save(self, path: Path) -> None:
        """Write to a file.

        Raises:
            OSError: It cannot be written.
        """
        path.write_bytes(self.to_bytes())


def load(path: Path) -> Model:
    """Read a model from a file.

    Raises:
        detector.npz.StateError: It is no model, damaged, or of an unknown version; the message begins with the path.
        OSError: It cannot be read.
    """
    try:
        return Model.from_bytes(path.read_bytes())
    except npz.StateError as error:
        raise npz.StateError(f"{path}: {error}") from error


def fit(
    sessions: pl.DataFrame,
    features: Sequence[str],
    group: str,
    seed: int,
    directions: Mapping[str, Direction] = DIRECTIONS,
    allowance: float = survival.ALLOWANCE,
    held_out: HeldOut = "later",
) -> Model:
    """Fit a model.

    Args:
        sessions: One row per session, any order, with `session` (unique), `last` (sortable), `group`, and the features
            (numbers or booleans; null is unknown). At most 50,000 earlier and 50,000 later ones are used, picked
            by a hash of `session`.
        features: Columns to learn from.
        group: Column with the peer group, for example `person.dept`; null is a group of its own.
        seed: Of the forest; same sessions, same seed: same bytes.
        directions: Suspicious direction of a feature, by name; `upper` where none is given.
        allowance: Share of sessions that may be misuse without counting as usual.
        held_out: Which 30 % of the sessions to calibrate on: the `later` ones, which is honest about what comes next; or
            `scattered` ones, picked by a hash of `session`, for a model that scores the very period it learns from.

    Returns:
        The model: learned from 70 % of the sessions and calibrated on the rest; with fewer than 200, both on all of
        them (`small`).

    Raises:
        ValueError: There is no session or feature, or as `Model.score`.
    """
    missing = [name for name in ("session", "last") if name not in sessions.columns]
    if missing or not features:
        raise ValueError(f"model: sessions lack {', '.join(missing)}" if missing else "model: no feature given")
    if sessions.is_empty():
        raise ValueError("model: no session to learn from; give a longer period")
    small = sessions.height < LEAST_TO_SPLIT
    learned, calibrated = (_pick(part) for part in _split(sessions.sort("last", "session"), small, held_out))

    table, groups = _read(learned, features, group)
    fill = _fill(table, [directions.get(name, "upper") for name in features])
    tails = surprise.fit(table, groups, features, directions, allowance)
    flat = forest.compile(forest.fit(_forest_input(table, fill, tails), seed))

    held, peers = _read(calibrated, features, group)
    by_forest = calibrate.fit(-flat.score(_forest_input(held, fill, tails)), peers, allowance)
    surprises = tails.score(held, peers)
    by_peer = calibrate.fit(surprises.score, peers, allowance)
    nothing = calibrate.fit(np.empty(0), [], allowance)
    rows = (learned.height, calibrated.height)
    model = Model(tuple(features), group, seed, small, held_out, rows, fill, flat, tails, by_forest, by_peer, nothing)
    joined = _union(*model._members(held, peers, surprises))
    return replace(model, joint=calibrate.fit(-joined, peers, allowance))


def _union(log_forest: Float64, log_peer: Float64) -> Float64:
    """ln of `calibrate.union`, also where the probability is too small for a float."""
    return np.asarray(np.minimum(0.0, np.minimum(log_forest, log_peer) + np.log(2)))


def _split(sessions: pl.DataFrame, small: bool, held_out: HeldOut) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sessions to learn from and to calibrate on, each in the order given."""
    if small:
        return sessions, sessions
    cut = int(LEARNED * sessions.height)
    if held_out == "later":
        return sessions.head(cut), sessions.slice(cut)
    order = _by_hash(sessions, "split")
    return sessions[sorted(order[:cut])], sessions[sorted(order[cut:])]


def _pick(sessions: pl.DataFrame) -> pl.DataFrame:
    """At most `MOST` sessions, whatever else is there. Order is kept."""
    if sessions.height <= MOST:
        return sessions
    return sessions[sorted(_by_hash(sessions, "pick")[:MOST])]


def _by_hash(sessions: pl.DataFrame, purpose: str) -> list[int]:
    """Row numbers, ordered by a hash of the session's id (one hash per purpose, else the picks would depend)."""
    keys = [hashlib.sha256(f"{purpose} {name}".encode()).digest() for name in sessions["session"]]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _read(sessions: pl.DataFrame, features: Sequence[str], group: str) -> tuple[Float64, list[str]]:
    """Feature table (NaN where unknown) and peer groups of sessions; see `Model.score` for errors."""
    if not {group, *features} <= set(sessions.columns):
        raise _misfit(sessions, features, group)
    columns = sessions.select_seq(pl.col(list(features)))
    if not all(map(_is_number, set(columns.dtypes))):
        raise _misfit(sessions, features, group)
    numbers = columns.select_seq(pl.all().cast(pl.Float64))
    table = np.asarray(numbers.to_numpy(), dtype=np.float64, order="C")
    unknown = table.size - np.count_nonzero(np.isfinite(table))
    if unknown and unknown > sum(numbers.null_count().row(0)):
        raise _misfit(sessions, features, group)
    return table, sessions[group].cast(pl.String).fill_null("").to_list()


@lru_cache(maxsize=64)
def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


def _misfit(sessions: pl.DataFrame, features: Sequence[str], group: str) -> ValueError:
    """All that is wrong with the columns."""
    problems = [f"{name}: no such column" for name in (*features, group) if name not in sessions.columns]
    for name in features:
        if name not in sessions.columns:
            continue
        column = sessions[name]
        if not _is_number(column.dtype):
            problems.append(f"{name}: expected numbers, got {column.dtype}")
        elif column.dtype.is_float() and (bad := int((~column.is_finite()).sum())):
            problems.append(f"{name}: {bad} of {len(column)} values are NaN or infinite; leave them null instead")
    return ValueError("model: the sessions do not fit\n  " + "\n  ".join(problems))


def _fill(table: Float64, directions: Sequence[Direction]) -> Float64:
    known = [column[~np.isnan(column)] for column in table.T]
    return np.array(
        [
            0.0 if way == "upper" or not len(column) else float(np.sort(column)[(len(column) - 1) // 2])
            for column, way in zip(known, directions, strict=True)
        ]
    )


def _forest_input(table: Float64, fill: Float64, tails: PeerTails) -> NDArray[np.float32]:
    """Filled; and what is suspicious when large, mostly counts, on a logarithmic scale.

    A tree cuts evenly between the extremes, so that on the plain scale of a heavy-tailed count most cuts fall into
    the void. Other features are left as they are: on labelled sets of measurements the logarithm did harm.
    """
    filled = np.where(np.isnan(table), fill, table)
    counts = np.array([way == "upper" for way in tails.directions])
    return np.where(counts, np.sign(filled) * np.log1p(np.abs(filled)), filled).astype(np.float32)
