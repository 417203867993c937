"""Tables out of segments: events, findings, decisions and sessions by day, from what digests name; the same again whenever that is asked for."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from contract import decision as decided
from contract import topics
from contract.decision import DecisionError
from detector import admission
from detector.admission import Arrived, Trust
from detector.archive import digest, framing, session_days
from detector.archive.days import DECISIONS, EVENTS, FINDINGS, Days, Table
from detector.archive.digest import DigestError
from detector.archive.framing import FramingError, Segment
from detector.archive.segments import folder
from detector.archive.session_days import SessionDays
from detector.archive.store import Store

_MARK: Final = "derived.json"
_LOCK: Final = ".derived.lock"
_ADVICE: Final = "type sekimori verify to see what happened"
COLUMNS: Final = pl.Schema(
    {
        "uid": pl.String(), "time": pl.Int64(), "created": pl.Int64(), "first": pl.Int64(), "last": pl.Int64(),
        "rule": pl.String(), "severity": pl.Int64(), "risk": pl.Float64(), "queue": pl.String(), "is_alert": pl.Boolean(),
        "status": pl.Int64(), "run": pl.String(), "title_en": pl.String(), "title_ja": pl.String(), "finding": pl.String(),
    }
)  # fmt: skip

DECISION_COLUMNS: Final = pl.Schema(
    {
        "decision": pl.String(), "finding": pl.String(), "time": pl.Int64(), "kind": pl.String(), "outcome": pl.String(),
        "by": pl.String(), "approver": pl.String(), "reason": pl.String(), "analytic": pl.String(), "actor": pl.String(),
        "subject": pl.String(), "until": pl.Int64(),
    }
)  # fmt: skip


class DamagedError(ValueError):
    """A file of the archive cannot be used; the message says which, why, and what to do."""


class BusyError(ValueError):
    """Somebody else makes these tables now; the message says where."""


@dataclass(slots=True)
class Derived:
    """What was done.

    Attributes:
        segments: Segments read.
        rows: Rows found, by table; of sessions those of the days that were written.
        refused: Lines that are no row, by table; an agent's are in the topic of dead letters.
        days: Days whose file was written, by table, as YYYY-MM-DD.
    """

    segments: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    days: dict[str, list[str]] = field(default_factory=dict)


def events(segment: Segment) -> tuple[pl.DataFrame, int]:
    """The events in a segment, in `contract.event` columns and in the order of their coming; and how many lines are none.

    What counts as one is what the detector admits, but that any agent's events may come without a seal.
    """
    records = [
        Arrived(segment.topic, segment.partition, one.offset, one.timestamp_ms, one.key, one.value or b"", one.headers)
        for one in segment.records
    ]
    found = admission.read(records, Trust())
    return found.events, found.rejected.height


def findings(segment: Segment) -> tuple[pl.DataFrame, int]:
    """The findings in a segment; in the column `finding` as they came. And how many records are none."""
    rows = [_finding(one.value) for one in segment.records if one.value]
    found = [row for row in rows if row is not None]
    return pl.DataFrame(found, schema=COLUMNS), len(rows) - len(found)


def _finding(value: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(value)
        info, ours = said["finding_info"], said["unmapped"]
        title = ours.get("title", {})
        row = {
            "uid": info["uid"], "time": said["time"], "created": info["created_time"], "first": info["first_seen_time"],
            "last": info["last_seen_time"], "rule": info["analytic"]["uid"], "severity": said["severity_id"],
            "risk": float(said["risk_score"]), "queue": ours["queue"], "is_alert": said["is_alert"],
            "status": said["status_id"], "run": ours["run"], "title_en": title.get("en"), "title_ja": title.get("ja"),
            "finding": value.decode().rstrip("\n"),
        }  # fmt: skip
        pl.DataFrame([row], schema=COLUMNS)  # a value of another type is no finding either
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, pl.exceptions.PolarsError):
        return None
    return row


def decisions(segment: Segment) -> tuple[pl.DataFrame, int]:
    """What people decided, in a segment; and how many records are no decision."""
    rows, refused = [], 0
    for one in segment.records:
        try:
            said = decided.from_json(one.value or b"")
        except DecisionError:
            refused += 1
        else:
            rows.append({key: said.get(key) for key in DECISION_COLUMNS} | {"decision": decided.name(said)})
    return pl.DataFrame(rows, schema=DECISION_COLUMNS), refused


@dataclass(frozen=True, slots=True)
class Source:
    """A topic that a table is made from."""

    topic: str
    table: Table
    read: Callable[[Segment], tuple[pl.DataFrame, int]]


def sources_of(events_topic: str, findings_topic: str, decisions_topic: str) -> tuple[Source, ...]:
    """The tables that are made, from topics of these names."""
    return (
        Source(events_topic, EVENTS, events),
        Source(findings_topic, FINDINGS, findings),
        Source(decisions_topic, DECISIONS, decisions),
    )


SOURCES: Final = sources_of(topics.EVENTS.name, topics.FINDINGS.name, topics.DECISIONS.name)


def derive(
    store: Store, out: Path, zone: str, *, again: bool = False, sources: tuple[Source, ...] = SOURCES
) -> Derived:
    """Go on with the tables from where they stand; from the beginning if nothing is there.

    Args:
        store: The archive.
        out: Where the tables lie; local.
        zone: The site's time zone.
        again: Remove these tables first and make them from the beginning.
        sources: Which tables.

    Raises:
        DamagedError: A segment or digest is not as it was signed; what it holds is in no table, and the next call tries again.
        BusyError: Another process is at these tables.
        OSError: Something cannot be read or written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{out}: another sekimori archive tables is at work there: wait for it") from None
        return _derive(store, out, zone, again, sources)


def _derive(store: Store, out: Path, zone: str, again: bool, sources: tuple[Source, ...]) -> Derived:
    done, sessions = Derived(), SessionDays(out, zone)
    if again:
        sessions.clear()
        (out / _MARK).unlink(missing_ok=True)
        for source in sources:
            Days(out, source.table, zone).clear()
    marks = _marks(out)
    for source in sources:
        days = Days(out, source.table, zone)
        for partition in range(_partitions(store, source.topic)):
            place = folder(source.topic, partition)
            for number, name in _named(store, place, marks.get(place, -1)):
                marks[place] = number
                if name is not None:
                    _add(done, source, days, _segment(store, *name), partition)
        done.days[source.table.name] = days.join()
    sessions.changed(done.days[EVENTS.name], done.days[FINDINGS.name])
    reached = min(_reached(store, source.topic) for source in sources if source.table is EVENTS)
    done.days[session_days.NAME], done.rows[session_days.NAME] = sessions.make(reached)
    unfinished = out / f".{_MARK}"
    unfinished.write_text(json.dumps(marks, sort_keys=True), encoding="utf-8")
    os.replace(unfinished, out / _MARK)
    return done


def _partitions(store: Store, topic: str) -> int:
    """As the newest digest of the first partition says; 0 where the topic is not archived, or nothing is signed yet."""
    return _newest(store, folder(topic, 0), digest.partitions, 0)


def _reached(store: Store, topic: str) -> int:
    """Up to when (UTC ms) every partition is signed; −1 where one is not at all."""
    places = [folder(topic, partition) for partition in range(_partitions(store, topic))]
    return min((_newest(store, place, lambda data: digest.decode(data).to_ms, -1) for place in places), default=-1)


def _newest(store: Store, place: str, asked: Callable[[bytes], int], otherwise: int) -> int:
    """What the newest digest of a partition says of something."""
    names = store.names(f"{place}/digests")
    if not names:
        return otherwise
    path = f"{place}/digests/{names[-1]}"
    try:
        return asked(store.read(path))
    except DigestError as error:
        raise DamagedError(f"{path}: {error}: {_ADVICE}") from None


def _add(done: Derived, source: Source, days: Days, segment: Segment, partition: int) -> None:
    rows, refused = source.read(segment)
    name = source.table.name
    done.segments += 1
    done.rows[name] = done.rows.get(name, 0) + rows.height
    done.refused[name] = done.refused.get(name, 0) + refused
    days.add(rows, f"{partition:05}-{segment.first:020}")


def _named(store: Store, place: str, mark: int) -> Iterator[tuple[int, tuple[str, str] | None]]:
    """Number of each digest behind the mark, with path and hash of each segment in it, or None if it has none."""
    for name in store.names(f"{place}/digests"):
        number = name.removesuffix(".json")
        if not number.isdigit() or int(number) <= mark:
            continue
        path = f"{place}/digests/{name}"
        try:
            listed = digest.segments(store.read(path))
        except DigestError as error:
            raise DamagedError(f"{path}: {error}: {_ADVICE}") from None
        yield int(number), None
        for one in listed:
            yield int(number), (f"{place}/segments/{one.name}", one.sha256)


def _segment(store: Store, path: str, sha256: str) -> Segment:
    data = store.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(f"{path}: was altered since it was signed: {_ADVICE}")
    try:
        return framing.read(data)
    except FramingError as error:
        raise DamagedError(f"{path}: {error}: {_ADVICE}") from None


def _marks(out: Path) -> dict[str, int]:
    try:
        return {str(place): int(number) for place, number in json.loads((out / _MARK).read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError):
        raise DamagedError(f"{out / _MARK}: cannot be read: make the tables again with --again") from None
