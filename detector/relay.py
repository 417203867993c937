"""What stage one hands on to stage two, as records of `sekimori-correlate`: who sent it, and which stretch of time it covers.

Whenever its watermark moves, a stage one sends to every partition, also if there is nothing to say: the record then is a mark
that its time has come so far. A stretch is (after, upto] in event time; it may come in several parts, and all of it may
come again after a crash. Who receives takes each part of each stretch once, in order.

Rows travel in columns, one JSON text per kind: nearly every event is a candidate of some correlation, and a text for
each row would cost more than all that is decided about it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import groupby
from typing import Any, Final

import polars as pl

from contract.event import MAX_TIME
from contract.partition import partitions_of
from contract.sealed import Record
from detector import correlate
from detector.arrival import Arrived
from detector.witness import summary

# Name and meaning, in the order of sending.
HEADERS: Final = {
    "run": "`live`, or the name of a re-run",
    "upstream": "Partition of the events' topic that it comes from",
    "upstreams": "How many partitions that topic has",
    "after": "Event time, UTC ms, up to which the sender has sent all before",
    "upto": "Event time up to which it has, with this stretch",
    "heard": "Event time up to which the sender heard anybody; less than `upto` only where the end of a re-run closes what is open",
    "part": "Number of this part of the stretch, from 1",
    "parts": "How many parts the stretch has for this partition",
    "idle": "1: nobody is to wait for the sender until it sends again; 2: it will not, as its re-run is over",
}
# Of a record, before compression; below what a broker takes by default.
MOST_BYTES: Final = 500_000
_SAMPLED: Final = 256
NEVER: Final = -1
IDLE: Final = 1
OVER: Final = 2


# What is handed on: by kind, the columns of its rows.
TABLES: Final[Mapping[str, Mapping[str, pl.DataType]]] = {"candidate": correlate.CANDIDATES, "note": summary.SUMMARY}
_TIMES: Final = frozenset(("time.occurred", "first", "last", "tick"))
# Beyond the last time that an event may have, as far as a re-run's end may go.
_MOST: Final = 2 * MAX_TIME


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind to hand on.

    Attributes:
        kind: One of `TABLES`.
        key: A text per row, which decides the partition.
        frame: As many rows; columns of that table, any of them, in any order.
    """

    kind: str
    key: pl.Series
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Sender:
    """Who hands on: the run, a partition of the events' topic, and of how many."""

    run: str
    upstream: int
    upstreams: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of event time, UTC ms.

    Attributes:
        after, upto: (after, upto]; from `NEVER` on.
        heard: Up to which the sender heard anybody; `NEVER` before the first. Less than `upto` only where the end of a
            re-run closes what is open by moving time on.
    """

    after: int
    upto: int
    heard: int


@dataclass(frozen=True, slots=True)
class Received:
    """A record, read.

    Attributes:
        sender: Who handed on.
        stretch: What it covers.
        part, parts: Which part of it this is.
        idle: `IDLE` or `OVER`: nobody is to wait for the sender; 0: it is waited for.
        rows: Kind and rows, in their order; the columns are those of `TABLES`, all of them.
    """

    sender: Sender
    stretch: Stretch
    part: int
    parts: int
    idle: int
    rows: tuple[tuple[str, pl.DataFrame], ...]


def records(
    rows: Iterable[Rows], sender: Sender, stretch: Stretch, topic: str, partitions: int, *, idle: int = 0
) -> list[Record]:
    """Hand a stretch on.

    Args:
        rows: In the order in which they are to arrive.
        sender: Who hands on.
        stretch: What it covers.
        topic: Where to.
        partitions: How many it has.
        idle: `IDLE`: nobody is to wait for the sender until it sends again. `OVER`: it will not.

    Returns:
        At least one record for each partition.
    """
    lines: list[list[bytes]] = [[] for _ in range(partitions)]
    for kind, alike in groupby(rows, lambda one: one.kind):
        together = list(alike)
        frame = pl.concat(one.frame.match_to_schema(TABLES[kind], missing_columns="insert") for one in together)
        places = partitions_of(pl.concat([one.key.cast(pl.String) for one in together]), "", partitions)
        for partition in range(partitions):
            lines[partition] += _lines(kind, frame.filter(places == partition))
    made = []
    for partition, told_there in enumerate(lines):
        packs = _packed(told_there)
        for number, value in enumerate(packs, 1):
            values = (
                sender.run, sender.upstream, sender.upstreams, stretch.after, stretch.upto, stretch.heard, number, len(packs),
                idle,
            )  # fmt: skip
            headers = [(name, str(said).encode()) for name, said in zip(HEADERS, values, strict=True)]
            made.append(Record(topic, partition, value, headers, 0))
    return made


def _lines(kind: str, frame: pl.DataFrame) -> list[bytes]:
    """Rows as texts of which none is too long, unless it is a single row."""
    if frame.height <= _SAMPLED:
        return _fitting(kind, frame)
    # Most pieces are cut right at once, for a second writing costs as much as the first.
    per_row = len(_line(kind, frame[:_SAMPLED])) / _SAMPLED
    rows = max(1, int(MOST_BYTES * 0.9 / per_row))
    return [line for part in frame.iter_slices(rows) for line in _fitting(kind, part)]


def _fitting(kind: str, frame: pl.DataFrame) -> list[bytes]:
    if frame.is_empty():
        return []
    line = _line(kind, frame)
    if len(line) <= MOST_BYTES or frame.height == 1:
        return [line]
    half = frame.height // 2
    return _fitting(kind, frame[:half]) + _fitting(kind, frame[half:])


def _line(kind: str, frame: pl.DataFrame) -> bytes:
    # What is null throughout need not be said; one column tells how many rows there are.
    said = [one.name for one in frame if one.null_count() < frame.height] or frame.columns[:1]
    text = frame.select(pl.struct(pl.col(said).implode()).struct.json_encode()).item()
    return f'{{"kind":"{kind}","columns":{text}}}\n'.encode()


def _packed(lines: Sequence[bytes]) -> list[bytes]:
    packs: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if packs[-1] and size + len(line) > MOST_BYTES:
            packs.append([])
            size = 0
        packs[-1].append(line)
        size += len(line)
    return [b"".join(pack) for pack in packs]


def read(record: Arrived) -> Received:
    """Read a record.

    Raises:
        ValueError: It is none of a stage one; the message says why.
    """
    said = {name: value.decode("ascii", "replace") for name, value in record.headers}
    try:
        numbers = {name: int(said[name]) for name in HEADERS if name != "run"}
        told = tuple(_rows(line) for line in record.value.splitlines())
        sender = Sender(said["run"], numbers["upstream"], numbers["upstreams"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"is no record of a stage one: {type(error).__name__} {error}") from None
    if not 0 <= sender.upstream < sender.upstreams or not 1 <= numbers["part"] <= numbers["parts"]:
        raise ValueError("is no record of a stage one: it counts itself where it cannot be")
    stretch = Stretch(numbers["after"], numbers["upto"], numbers["heard"])
    if not NEVER <= stretch.after < stretch.upto <= _MOST or not NEVER <= stretch.heard <= _MOST:
        raise ValueError("is no record of a stage one: it covers a time that cannot be")
    if numbers["idle"] not in (0, IDLE, OVER):
        raise ValueError(f"is no record of a stage one: idle is {numbers['idle']}")
    return Received(sender, stretch, numbers["part"], numbers["parts"], numbers["idle"], told)


def _rows(line: bytes) -> tuple[str, pl.DataFrame]:
    told = json.loads(line)
    kind, columns = told["kind"], told["columns"]
    table = TABLES.get(kind) if isinstance(kind, str) else None
    if table is None:
        raise ValueError(f"nothing of the kind {str(kind)[:50]!r} is known")
    if not isinstance(columns, dict):
        raise ValueError(f"the columns of a {kind} are no object")
    if unknown := sorted(set(columns) - set(table)):
        raise ValueError(f"a {kind} has no {unknown[0][:50]!r}")
    series = [_column(name, values, table[name]) for name, values in columns.items()]
    if len({len(one) for one in series}) > 1:
        raise ValueError(f"the columns of a {kind} are not of equal length")
    frame = pl.DataFrame(series)
    return kind, frame.match_to_schema(table, missing_columns="insert")


def _column(name: str, values: Any, dtype: pl.DataType) -> pl.Series:
    # Polars would take true for 1; all else that is not of the type it refuses.
    if not isinstance(values, list) or (dtype == pl.Int64 and bool in set(map(type, values))):
        raise ValueError(f"{name} is no list of {dtype}")
    try:
        series = pl.Series(name, values, dtype, strict=True)
    except (TypeError, OverflowError, UnicodeEncodeError):
        raise ValueError(f"{name} holds what is no {dtype}") from None
    if name in _TIMES and not series.is_between(0, MAX_TIME).all():
        raise ValueError(f"{name} holds a time that cannot be")
    return series


class Heard(Enum):
    """What a record is to who receives it."""

    NEW = "new"
    BEFORE = "before"
    AFTER_A_GAP = "after a gap"  # new, but something before it never came


@dataclass(frozen=True, slots=True)
class Upstream:
    """How far one stage one has come, as this partition has heard.

    Attributes:
        upto: End of the last whole stretch; `NEVER` before the first.
        parts: Parts of the next stretch that came.
        idle: `IDLE` or `OVER`: nobody waits for it.
        heard: Up to where it had heard anybody then.
    """

    upto: int = NEVER
    parts: int = 0
    idle: int = 0
    heard: int = NEVER


@dataclass(frozen=True, slots=True)
class Reach:
    """How far all of them have come.

    Attributes:
        upstreams: By partition; those that have said nothing yet are there too.
        reached: The greatest watermark that there was; `NEVER` before all have spoken.
        heard: The greatest time, UTC ms, up to which all who were waited for had heard anybody.
    """

    upstreams: Mapping[int, Upstream] = field(default_factory=dict)
    reached: int = NEVER
    heard: int = NEVER

    def accept(self, received: Received) -> tuple[Reach, Heard]:
        """Take a record, which may have come before.

        Returns:
            How far they have come with it, and what it is to us.
        """
        number, stretch = received.sender.upstream, received.stretch
        upstreams = {each: Upstream() for each in range(received.sender.upstreams)} | dict(self.upstreams)
        known = upstreams[number]
        if stretch.upto <= known.upto or (stretch.after == known.upto and received.part <= known.parts):
            return self, Heard.BEFORE
        follows = stretch.after == known.upto and received.part == known.parts + 1
        if received.part < received.parts:
            upstreams[number] = replace(known, parts=received.part)
        else:
            upstreams[number] = Upstream(stretch.upto, 0, received.idle, stretch.heard)
        reached, heard = _common(upstreams.values())
        after = Reach(upstreams, max(self.reached, reached), max(self.heard, heard))
        return after, Heard.NEW if follows else Heard.AFTER_A_GAP

    @property
    def is_over(self) -> bool:
        """Whether none of them will say anything any more."""
        return bool(self.upstreams) and all(one.idle == OVER for one in self.upstreams.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values for a state."""
        upstreams = sorted(self.upstreams.items())
        each = {str(number): [one.upto, one.parts, one.idle, one.heard] for number, one in upstreams}
        return {"upstreams": each, "reached": self.reached, "heard": self.heard}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reach:
        """The reverse of `as_json`."""
        upstreams = {int(number): Upstream(*one) for number, one in value["upstreams"].items()}
        return cls(upstreams, value["reached"], value["heard"])


def _common(upstreams: Collection[Upstream]) -> tuple[int, int]:
    """Up to where all who are waited for have come, and have heard anybody."""
    if all(one.idle == OVER for one in upstreams):
        # Nothing more can come: the end of each re-run counts, whoever comes to it last.
        return max(one.upto for one in upstreams), max(one.heard for one in upstreams)
    waited = [one for one in upstreams if not one.idle] or [one for one in upstreams if one.idle == IDLE]
    return min(one.upto for one in waited), min(one.heard for one in waited)
