"""Sigma correlations: what several events say together.

First `candidates` picks the few events that a correlation's plain rules match and keeps of them what is needed: group,
time, id, value. Then `advance` moves a window over them. Candidates are taken in the order of (time, event id), so
interleaving of inputs never matters, and what is carried from one batch to the next is the content of the windows only.
https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-correlation-rules-specification.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl

from detector import reach
from detector.candidates import CANDIDATES as CANDIDATES
from detector.candidates import candidates as candidates
from detector.correlation import CONDITIONS as CONDITIONS
from detector.correlation import SEPARATOR as SEPARATOR
from detector.correlation import Base as Base
from detector.correlation import Correlation as Correlation
from detector.marks import index
from detector.reach import Ints, Rows
from detector.window import Item, Window, moved

HITS: Final[dict[str, pl.DataType]] = {
    "rule": pl.String(),
    "group": pl.String(),
    "time.occurred": pl.Int64(),
    "event.id": pl.String(),
    "first": pl.Int64(),
    "count": pl.Int64(),
    "related": pl.List(pl.String()),
    "actors": pl.List(pl.String()),
    "about": pl.List(pl.String()),
}
HOUR_MS: Final = 3_600_000

# Windows of one correlation at rest: candidates that wait in a group which cannot hold yet, as they are; and for a group
# that was counted one row, at its newest candidate, with the window `folded` (`Window.pack`).
WINDOWS: Final[dict[str, pl.DataType]] = {
    **{name: CANDIDATES[name] for name in ("group", "time.occurred", "event.id", "base", "value", "actor.id", "subject")},
    "folded": pl.String(),
}  # fmt: skip
_ORDER: Final = ("rule", "time.occurred", "event.id", "base", "group")

Windows = pl.DataFrame
# By a name for each correlation.
State = Mapping[str, Windows]


_NO_WINDOWS: Final = pl.DataFrame(schema=WINDOWS)
_NO_HITS: Final = pl.DataFrame(schema=HITS)


def no_windows() -> Windows:
    """Nothing is remembered."""
    return _NO_WINDOWS


def correlate(found: pl.DataFrame, correlation: Correlation) -> pl.DataFrame:
    """Find where a condition begins to hold.

    Args:
        found: Rows of `CANDIDATES` of one rule, any order.
        correlation: The condition.

    Returns:
        One row per rising edge, sorted by (time, event id, group): a candidate at which the condition holds over the
        trailing window, after one of the same group at which it did not (or none that long). `first` is the time of the oldest
        event in the window, `count` what was counted, `related` all event ids and `actors` all distinct actors in the
        window, in order, `about` the tokens of whom they were about, sorted; for `temporal_ordered` without what
        came before a first event.
    """
    return advance(no_windows(), found, correlation)[1]


def windows_of(rule: str, correlation: Correlation) -> str:
    """Name of a rule's windows: a rule that was changed begins anew, since old windows may mean something else."""
    return f"{rule}@{_digest(correlation)}"


@lru_cache(maxsize=4096)
def _digest(correlation: Correlation) -> str:
    return hashlib.sha256(repr(correlation).encode()).hexdigest()[:16]


def by_windows(correlations: Mapping[str, Correlation]) -> dict[str, Correlation]:
    """Correlations by the name of their windows."""
    return {windows_of(rule, correlation): correlation for rule, correlation in correlations.items()}


def advance_all(
    windows: State, found: pl.DataFrame, correlations: Mapping[str, Correlation]
) -> tuple[State, pl.DataFrame]:
    """`advance` for several rules: candidates of all of them, in any order; the hits rule by rule.

    Windows of rules without candidates are the same objects afterwards.
    """
    names = {rule: windows_of(rule, correlation) for rule, correlation in correlations.items()}
    after = {**windows, **{name: no_windows() for name in names.values() if name not in windows}}
    found, whose = _whose(found, list(correlations))
    if found.is_empty():
        return after, _NO_HITS
    # Only the rules that something came for.
    used = np.flatnonzero(np.bincount(whose))
    rules = [list(correlations)[place] for place in used]
    moved_on, hits = _advanced(
        [after[names[rule]] for rule in rules],
        found,
        np.searchsorted(used, whose),
        {rule: correlations[rule] for rule in rules},
    )
    return after | {names[rule]: one for rule, one in zip(rules, moved_on, strict=True)}, hits


def _whose(found: pl.DataFrame, rules: Sequence[str]) -> tuple[pl.DataFrame, Ints]:
    """Candidates of these rules, and the place of the rule of each."""
    runs, places = found["rule"].rle(), {rule: place for place, rule in enumerate(rules)}
    named = [places.get(rule, -1) for rule in runs.struct.field("value").to_list()]
    whose = np.repeat(np.array(named, dtype=np.int64), runs.struct.field("len").to_numpy())
    if -1 in named:
        found, whose = found[index(np.flatnonzero(whose >= 0))], whose[whose >= 0]
    return found, whose


def advance(windows: Windows, found: pl.DataFrame, correlation: Correlation) -> tuple[Windows, pl.DataFrame]:
    """As `correlate`, going on from these windows; returns the windows moved forward, and the hits.

    Candidates must not be older than those of earlier calls. Cutting a stream of candidates differently gives the
    same hits, as long as candidates of one millisecond stay together.
    """
    if found.is_empty():
        return windows, _NO_HITS
    rule = {str(found["rule"][0]): correlation}
    [after], hits = _advanced([windows], found, np.zeros(found.height, dtype=np.int64), rule)
    return after, hits


def _advanced(
    windows: Sequence[Windows], found: pl.DataFrame, whose: Ints, correlations: Mapping[str, Correlation]
) -> tuple[list[Windows], pl.DataFrame]:
    """Windows and hits of some rules, by the place of the rule of each candidate."""
    new = pl.DataFrame([*found[list(WINDOWS)[:-1]].get_columns(), _nothing_folded(found.height)])
    rows = pl.concat([*windows, new])
    rule = np.concatenate([np.repeat(np.arange(len(windows)), [one.height for one in windows]), whose])
    groups = reach.numbered(rows["group"])
    told = Rows(
        rule, rule * (int(groups.max()) + 1) + groups, rows["time.occurred"].to_numpy(),
        rows["folded"].is_not_null().to_numpy(), np.arange(rows.height), rows["base"].rechunk(), rows["value"].rechunk(),
    )  # fmt: skip
    kept, close = reach.sift(told, found.height, list(correlations.values()))
    folded, hits = _counted(rows[index(close)], rule[close], correlations)
    if len(folded):
        packed = pl.DataFrame([row for _, row in folded], schema=WINDOWS, orient="row")
        kept = np.concatenate([kept, rows.height + np.arange(len(folded))])
        rows, rule = pl.concat([rows, packed]), np.append(rule, [place for place, _ in folded])
        kept = kept[np.argsort(rule[kept], kind="stable")]
    after, ends = rows[index(kept)], np.cumsum(np.bincount(rule[kept], minlength=len(windows))).tolist()
    return [
        after[start:end] if end > start else no_windows() for start, end in zip([0, *ends], ends, strict=False)
    ], hits


def _nothing_folded(height: int) -> pl.Series:
    return pl.Series("folded", [None], dtype=pl.String).new_from_index(0, height)


def _counted(
    rows: pl.DataFrame, whose: Ints, correlations: Mapping[str, Correlation]
) -> tuple[list[tuple[int, tuple[Any, ...]]], pl.DataFrame]:
    """Go through candidates one by one: their groups' windows, folded, each with the place of its rule, and the hits."""
    if rows.is_empty():
        return [], _NO_HITS
    hits: list[tuple[int, tuple[Any, ...]]] = []
    touched: dict[tuple[int, str], Window] = {}
    rules = list(correlations.items())
    ordered = rows.with_columns(pl.Series("rule", whose)).sort(_ORDER)
    for group, time, event, base, value, actor, subject, folded, place in ordered.iter_rows():
        key = place, group
        if folded is not None:
            touched[key] = Window.unpack(folded)
            continue
        rule, correlation = rules[place]
        window, number = moved(touched.get(key), Item(time, event, base, value, actor, subject), correlation)
        touched[key] = window
        holds = number is not None and correlation.holds(number)
        if holds and not window.held:
            told = window.items[0].time, number, *window.told(group, correlation)
            hits.append((place, (rule, group, time, event, *told)))
        window.held = holds
    packed = [
        (place, (group, *window.items[-1][:2], rules[place][1].bases[0].name, None, None, None, window.pack()))
        for (place, group), window in touched.items()
        if window.items
    ]
    return packed, pl.DataFrame([hit for _, hit in sorted(hits, key=_by_time)], schema=HITS, orient="row")


def _by_time(hit: tuple[int, tuple[Any, ...]]) -> tuple[Any, ...]:
    place, (_, group, time, event, *_) = hit
    return place, time, event, group


def forget(state: State, before: int, watermark: int, correlations: Mapping[str, Correlation]) -> State:
    """The windows that can still matter once every event up to the watermark has been seen.

    Args:
        state: All windows.
        before, watermark: UTC ms: where the watermark was, and where it is now. Looking at all windows takes time, so it
            is done when the watermark has come on by a quarter of the timespan, or an hour.
        correlations: By the same names; windows of others are let go.
    """
    after = {name: windows for name, windows in state.items() if name in correlations}
    for rule, windows in after.items():
        span = correlations[rule].timespan_ms
        every = max(span // 4, HOUR_MS)
        oldest = windows["time.occurred"].min() if before // every != watermark // every else None
        if isinstance(oldest, int) and oldest + span <= watermark:
            after[rule] = windows.filter(pl.col("time.occurred").max().over("group") + span > watermark)
    return after
