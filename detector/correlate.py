"""Sigma correlations: what several events say together.

First `candidates` picks the few events that a correlation's plain rules match and keeps of them what is needed: group,
time, id, value. Then `advance` moves a window over them. Candidates are taken in the order of (time, event id), so
interleaving of inputs never matters, and what is carried from one batch to the next is the content of the windows only.
https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-correlation-rules-specification.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from detector import reach
from detector.correlation import CONDITIONS as CONDITIONS
from detector.correlation import SEPARATOR as SEPARATOR
from detector.correlation import SUBJECT
from detector.correlation import Base as Base
from detector.correlation import Correlation as Correlation
from detector.marks import Bools, Marks

CANDIDATES: Final[dict[str, pl.DataType]] = {
    "rule": pl.String(),
    "base": pl.String(),
    "group": pl.String(),
    "time.occurred": pl.Int64(),
    "event.id": pl.String(),
    "value": pl.String(),
    "actor.id": pl.String(),
    "subject": pl.String(),
}
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
# Events of an ordered correlation that a hit lists at most: the newest. Windows of months stay small that way.
MOST_SHOWN: Final = 20
HOUR_MS: Final = 3_600_000


class Item(NamedTuple):
    """A candidate inside a window."""

    time: int
    event: str
    base: str
    value: str | None
    actor: str | None
    subject: str | None = None


@dataclass(slots=True)
class Window:
    """What is remembered of one group.

    Attributes:
        items: The candidates of the trailing window.
        seen: How often each distinct value (`value_count`) or base (`temporal`) stands in the window.
        starts: For `temporal_ordered`, by length: the latest time at which a chain of so many bases, in order and
            ended before `moment`, began; −1 if there is none.
        moment: Time of the newest candidates.
        newest: Event ids of the candidates of that moment, by base.
        held: Whether the condition held at the newest candidate.
    """

    items: list[Item] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    moment: int = -1
    newest: dict[str, list[str]] = field(default_factory=dict)
    held: bool = False

    def pack(self) -> str:
        """The window at rest, as JSON: as objects they take four times the memory."""
        parts = [self.items, self.seen, self.starts, self.moment, self.newest, self.held]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def unpack(cls, packed: str) -> Window:
        """The inverse of `pack`."""
        items, *rest = json.loads(packed)
        return cls([Item(*item) for item in items], *rest)


# Windows of one correlation at rest: candidates that wait in a group which cannot hold yet, as they are; and for a group
# that was counted one row, at its newest candidate, with the window `folded` (`Window.pack`).
WINDOWS: Final[dict[str, pl.DataType]] = {
    **{name: CANDIDATES[name] for name in ("group", "time.occurred", "event.id", "base", "value", "actor.id", "subject")},
    "folded": pl.String(),
}  # fmt: skip
_ORDER: Final = ("time.occurred", "event.id", "base", "group")

Windows = pl.DataFrame
# By a name for each correlation.
State = Mapping[str, Windows]


_NO_WINDOWS: Final = pl.DataFrame(schema=WINDOWS)
_NO_HITS: Final = pl.DataFrame(schema=HITS)


def no_windows() -> Windows:
    """Nothing is remembered."""
    return _NO_WINDOWS


class _Pick(NamedTuple):
    """Events that one base of a correlation matches: which rows, and the columns of their group, value and subject."""

    rule: int
    base: str
    keys: tuple[str, ...]
    value: str | None
    subject: str | None
    rows: npt.NDArray[np.uint32]


def candidates(
    frame: pl.DataFrame | Marks, correlations: Mapping[str, Correlation], among: Bools | None = None
) -> pl.DataFrame:
    """Pick the events that correlations need, and keep what they need of them.

    Args:
        frame: Enriched events; as `Marks` where others ask about them too.
        correlations: What to pick for, by the name of the rule.
        among: Rows to pick from; all by default.

    Returns:
        Rows of `CANDIDATES`, rule by rule in the order given, those of a rule sorted by (time, event id, base). An event
        whose group-by is not known is left out: it belongs to nobody. An event may stand for several bases.
    """
    marks = frame if isinstance(frame, Marks) else Marks(frame)
    picks = [
        pick for rule, what in enumerate(correlations.values()) for pick in _picks(marks, rule, what, among)
    ]  # fmt: skip
    if not picks:
        return pl.DataFrame(schema=CANDIDATES)
    sizes, rows = [len(pick.rows) for pick in picks], np.concatenate([pick.rows for pick in picks])
    rules = np.repeat([pick.rule for pick in picks], sizes)
    names, ranks = np.unique([pick.base for pick in picks], return_inverse=True)
    bases = np.repeat(ranks, sizes)
    parts = _columns(marks.frame, picks) | {
        "rule": pl.Series(list(correlations))[_index(rules)],
        "base": pl.Series(names.tolist())[_index(bases)],
        "time.occurred": marks.frame["time.occurred"][_index(rows)],
        "event.id": marks.frame["event.id"][_index(rows)],
    }
    found = pl.DataFrame([parts[name].alias(name) for name in CANDIDATES])
    order = np.lexsort((bases, _places(marks.frame)[rows], rules))
    return found[_index(order)].drop_nulls("group")


def _picks(marks: Marks, rule: int, correlation: Correlation, among: Bools | None) -> Iterator[_Pick]:
    columns = marks.frame.columns
    # A base may be named several times: "five failures, then a log-on".
    for base in {base.name: base for base in correlation.bases}.values():
        keys = tuple(correlation.field_in(group, base.name) for group in correlation.group_by)
        if any(key not in columns for key in keys):
            continue
        where = marks.where(base.where)
        rows = np.flatnonzero(where if among is None else where & among)
        if len(rows):
            subject = None if correlation.tells_subject(base.name) else SUBJECT
            yield _Pick(rule, base.name, keys, correlation.field, subject, rows.astype(np.uint32))


def _columns(frame: pl.DataFrame, picks: Sequence[_Pick]) -> dict[str, pl.Series]:
    """`group`, `value`, `subject` and `actor.id` of all picks, one after the other."""
    # Several bases have the same group-by: texts are put together once.
    wanted: dict[str, Sequence[tuple[str | None, ...]]] = {
        "group": [pick.keys for pick in picks],
        "value": [(pick.value,) for pick in picks],
        "subject": [(pick.subject,) for pick in picks],
        "actor.id": [("actor.id",) for _ in picks],
    }
    made = {names: _joined(frame, names) for column in wanted.values() for names in column}
    rows = [pl.Series(pick.rows) for pick in picks]
    return {
        name: pl.concat([made[names][own].alias(name) for names, own in zip(column, rows, strict=True)])
        for name, column in wanted.items()
    }


def _joined(frame: pl.DataFrame, names: tuple[str | None, ...]) -> pl.Series:
    """Columns put together as one text; null where one of them is, or is not there."""
    present = [name for name in names if name in frame.columns]
    if len(present) < len(names):
        return pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    if len(names) == 1 and frame.schema[present[0]] == pl.String:
        return frame[present[0]]
    return frame.select(pl.concat_str(pl.col(present).cast(pl.String), separator=SEPARATOR)).to_series()


def _places(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Place of each row by (time, event id)."""
    times = frame["time.occurred"].to_numpy()
    order = np.argsort(times, kind="stable")
    same = times[order][1:] == times[order][:-1]
    tied = np.append(same, False) | np.append(False, same)
    if tied.any():
        # Few are of one millisecond: only these are held against each other by their ids.
        some = order[tied]
        keys = frame[["time.occurred", "event.id"]][_index(some)].with_row_index("at")
        order[tied] = some[keys.sort("time.occurred", "event.id", maintain_order=True)["at"].to_numpy()]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def _index(rows: npt.NDArray[Any]) -> pl.Series:
    # Polars takes rows by 32-bit numbers at an eighth of the cost.
    return pl.Series(rows.astype(np.uint32))


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
    """`advance` for several rules: candidates of all of them, in any order; the hits rule by rule."""
    by_rule = {str(rule): rows for (rule,), rows in found.partition_by("rule", as_dict=True).items()}
    after, hits = dict(windows), [_NO_HITS]
    for rule, correlation in correlations.items():
        name = windows_of(rule, correlation)
        if name not in after:
            after[name] = no_windows()
        if rule in by_rule:
            after[name], edges = advance(after[name], by_rule[rule], correlation)
            hits.append(edges)
    return after, pl.concat(hits)


def advance(windows: Windows, found: pl.DataFrame, correlation: Correlation) -> tuple[Windows, pl.DataFrame]:
    """As `correlate`, going on from these windows; returns the windows moved forward, and the hits.

    Candidates must not be older than those of earlier calls. Cutting a stream of candidates differently gives the
    same hits, as long as candidates of one millisecond stay together.
    """
    if found.is_empty():
        return windows, _NO_HITS
    known = windows["group"].is_in(found["group"].unique().implode())
    new = found.select(
        pl.col(name) if name in CANDIDATES else pl.lit(None, dtype).alias(name) for name, dtype in WINDOWS.items()
    )
    rows = pl.concat([windows.filter(known), new])
    asked, waits = reach.sifted(rows, correlation)
    waiting, rows = rows.filter(waits), rows.filter(asked)
    near, needed = reach.parted(rows, correlation)
    folded, hits = _counted(rows.filter(near & needed), str(found["rule"][0]), correlation)
    after = pl.concat([windows.filter(~known), waiting, rows.filter(~near & needed), folded], rechunk=True)
    return after, hits.sort("time.occurred", "event.id", "group", maintain_order=True)


def _counted(rows: pl.DataFrame, rule: str, correlation: Correlation) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Go through candidates one by one: their groups' windows, folded, and the hits."""
    if rows.is_empty():
        return no_windows(), _NO_HITS
    hits: list[tuple[object, ...]] = []
    touched: dict[str, Window] = {}
    for group, time, event, base, value, actor, subject, folded in rows.sort(_ORDER).iter_rows():
        if folded is not None:
            touched[group] = Window.unpack(folded)
            continue
        item = Item(time, event, base, value, actor, subject)
        number = _moved(touched, group, item, correlation)
        window = touched[group]
        holds = number is not None and correlation.holds(number)
        if holds and not window.held:
            events = tuple(dict.fromkeys(item.event for item in window.items))
            actors = tuple(dict.fromkeys(item.actor for item in window.items if item.actor is not None))
            about = sorted(
                {
                    token
                    for item in window.items
                    if (token := correlation.subject_of(item.base, group, item.value, item.subject))
                }
            )
            hits.append((rule, group, time, event, window.items[0].time, number, events, actors, about))
        window.held = holds
    first = correlation.bases[0].name
    folded_rows = [
        (group, window.items[-1].time, window.items[-1].event, first, None, None, None, window.pack())
        for group, window in touched.items()
        if window.items
    ]
    return (
        pl.DataFrame(folded_rows, schema=WINDOWS, orient="row"),
        pl.DataFrame(hits, schema=HITS, orient="row"),
    )


def _moved(touched: dict[str, Window], group: str, item: Item, correlation: Correlation) -> int | None:
    """Move the window of a group to a candidate; returns what is counted, None where no chain has begun."""
    window = touched.setdefault(group, Window())
    if window.items and window.items[-1].time + correlation.timespan_ms <= item.time:
        # Nothing of it is left, and whether it was forgotten in between must not matter.
        window = touched[group] = Window()
    if correlation.kind == "temporal_ordered" and not _begun(window, item, correlation):
        _note(window, item)
        return None
    _push(window, item, correlation)
    return _number(window, correlation)


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
        if before // every != watermark // every:
            after[rule] = windows.filter(pl.col("time.occurred").max().over("group") + span > watermark)
    return after


def _begun(window: Window, item: Item, correlation: Correlation) -> bool:
    """Whether a chain is under way, or begins here. What comes before its first event need not be kept."""
    first = correlation.bases[0].name
    latest = window.moment if first in window.newest else max(window.starts, default=-1)
    return item.base == first or latest > max(item.time - correlation.timespan_ms, -1) or correlation.holds(0)


def _note(window: Window, item: Item) -> None:
    """Keep only what a first event of the same moment could still need."""
    if item.time != window.moment:
        window.items.clear()
        window.seen.clear()
        window.starts, window.moment, window.newest = [], item.time, {}
    window.newest.setdefault(item.base, []).append(item.event)


def _push(window: Window, item: Item, correlation: Correlation) -> None:
    window.items.append(item)
    edge = item.time - correlation.timespan_ms
    old = next(place for place, kept in enumerate(window.items) if kept.time > edge)
    if correlation.kind in ("value_count", "temporal"):
        by_value = correlation.kind == "value_count"
        counted = item.value if by_value else item.base
        if counted is not None:
            window.seen[counted] = window.seen.get(counted, 0) + 1
        for kept in window.items[:old]:
            gone = kept.value if by_value else kept.base
            if gone is not None:
                window.seen[gone] -= 1
                if not window.seen[gone]:
                    del window.seen[gone]
    elif correlation.kind == "temporal_ordered":
        # Chains are followed in `starts`; the items only say which events to show.
        old = max(old, len(window.items) - MOST_SHOWN)
    del window.items[:old]


def _number(window: Window, correlation: Correlation) -> int:
    match correlation.kind:
        case "event_count":
            return len(window.items)
        case "value_count" | "temporal":
            return len(window.seen)
        case _:
            return _in_order(window, window.items[-1], correlation)


def _in_order(window: Window, item: Item, correlation: Correlation) -> int:
    """How many of the bases happened one after the other inside the window, from the first on.

    Each is an event of its own. Events of one moment count in either order: the clock does not tell which came first.
    Only the latest start of a chain of each length is kept, so the work per candidate does not grow with the window.
    """
    bases = [base.name for base in correlation.bases]
    if item.time != window.moment:
        window.starts = _longest(window, bases)
        window.moment, window.newest = item.time, {}
    window.newest.setdefault(item.base, []).append(item.event)
    edge = item.time - correlation.timespan_ms
    return sum(start > max(edge, -1) for start in _longest(window, bases))


def _longest(window: Window, bases: list[str]) -> list[int]:
    """Latest starts by length of chain, with the candidates of the newest moment taken in."""
    before = window.starts or [-1] * len(bases)
    # (start, events of this moment used so far): what chains of the length before can be continued from.
    options: list[tuple[int, frozenset[str]]] = [(window.moment, frozenset())]
    out = []
    for base, start in zip(bases, before, strict=True):
        longer: dict[int, frozenset[str]] = {}
        for begun, used in options:
            event = next((event for event in window.newest.get(base, ()) if event not in used), None)
            if event is not None:
                longer.setdefault(begun, used | {event})
        if start >= 0:
            # Complete before this moment, such a chain leaves all events of the moment to the bases that follow.
            longer[start] = frozenset()
        options = list(longer.items())
        out.append(max(longer, default=-1))
    return out
