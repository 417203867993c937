"""Sessions by day: what all events at once say, however they came, and each day only when it is closed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import event
from contract.event import MAX_TIME
from detector import sessionise
from detector.archive import sittings
from detector.archive.days import EVENTS, FINDINGS, Days
from detector.archive.session_days import SessionDays
from detector.sessionise import Limits
from tests.detector.archive.test_days import HOUR, MIDNIGHT

ZONE = "Asia/Tokyo"
MINUTE = 60_000
SHORT = Limits(events=4)


def events(*rows: dict[str, object]) -> pl.DataFrame:
    """Events; `at` says how many minutes after midnight, and `id` who they are."""
    wanted = event.schema()
    made = [
        {"event.schema": 1, "event.class": "access", "actor.id": "u1", "event.id": f"{row['id']:016x}"}
        | {"time.occurred": MIDNIGHT + int(row["at"] * MINUTE)}
        | {name: value for name, value in row.items() if name in wanted}
        for row in rows
    ]
    return pl.DataFrame(made, schema=wanted)


def local(at: int) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(ZONE)).date()


class Office:
    """Tables that grow."""

    def __init__(self, folder: Path, limits: Limits | None = None, piece_rows: int = 3) -> None:
        self.folder = folder
        self.days = SessionDays(folder, ZONE, limits, piece_rows)
        self.count = 0

    def hear(self, new: pl.DataFrame, findings: pl.DataFrame | None = None, until: float = 10**6) -> list[str]:
        """Take rows, and make what is closed so many minutes after midnight; returns the days that were made."""
        self.count += 1
        changed = []
        for table, rows in ((EVENTS, new), (FINDINGS, findings)):
            days = Days(self.folder, table, ZONE)
            if rows is not None:
                days.add(rows, f"{self.count:05}")
            changed.append(days.join())
        self.days.changed(*changed)
        return self.days.make(MIDNIGHT + int(until * MINUTE))[0]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "sessions").iterdir()}

    def day(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "sessions" / f"{name}.parquet")

    def rows(self) -> list[dict[str, object]]:
        return pl.concat([pl.read_parquet(path) for path in sorted(self.folder.glob("sessions/*.parquet"))]).to_dicts()


def about(
    unit: str, at: float, risk: float = 50.0, queue: str = "review", uid: str = "f-1", **said: object
) -> pl.DataFrame:
    """A finding about the session of an event, whose last event is so many minutes after midnight."""
    time = MIDNIGHT + int(at * MINUTE)
    text = json.dumps({"unmapped": {"kind": "session", "unit": unit, **said}})
    row = {
        "uid": uid,
        "time": time,
        "created": time,
        "first": time - HOUR,
        "queue": queue,
        "risk": risk,
        "finding": text,
    }
    return pl.DataFrame([row])


def test_a_session_is_told_in_numbers(tmp_path: Path):
    office = Office(tmp_path)
    one = {"system.id": "welfare", "src.device": "HO1", "session.id": "W1"}
    office.hear(
        events(
            one | {"at": 600, "id": 1, "event.action": "logon", "src.ip": "192.0.2.1"},
            one | {"at": 601, "id": 2, "event.action": "read", "subject.token": "s_1", "resource.count": 1},
            one | {"at": 602, "id": 3, "event.action": "export", "subject.token": "s_2", "resource.count": 40},
            one | {"at": 603, "id": 4, "event.action": "print", "subject.token": "s_2", "resource.count": 2},
            one | {"at": 604, "id": 5, "event.action": "send", "src.device": "HO2"},
            {"at": 605, "id": 6, "event.class": "heartbeat", "resource.count": 5, "actor.id": None},
        ),
        about("w-0000000000000001", 604, risk=83.1, queue="alert"),
    )
    assert office.day("2026-04-02").to_dicts() == [
        {
            "session": "w-0000000000000001", "actor.id": "u1", "system.id": "welfare", "src.device": "HO1",
            "src.ip": "192.0.2.1", "first": MIDNIGHT + 600 * MINUTE, "last": MIDNIGHT + 604 * MINUTE, "events": 5,
            "subjects": 2, "exports": 3, "rows.out": 42, "finding": "f-1", "queue": "alert", "risk": 83.1,
        }
    ]  # fmt: skip
    assert office.day("2026-04-02").schema == sittings.TABLE


def test_a_session_stands_in_the_day_of_its_last_event(tmp_path: Path):
    office = Office(tmp_path)
    made = office.hear(events({"at": -20, "id": 1}, {"at": -1, "id": 2}, {"at": 1, "id": 3}, {"at": 60, "id": 4}))
    assert made == ["2026-04-01", "2026-04-02"]
    assert office.day("2026-04-01").is_empty()
    assert office.day("2026-04-02").select("session", "events").rows() == [
        ("w-0000000000000001", 3), ("w-0000000000000004", 1)
    ]  # fmt: skip


def test_only_closed_days_are_made(tmp_path: Path):
    office = Office(tmp_path)
    rows = events({"at": 600, "id": 1}, {"at": 1500, "id": 2}, {"at": 9000, "id": 3})
    assert office.hear(rows, until=24 * 60 + 240 - 1) == []
    assert office.hear(rows, until=24 * 60 + 240) == ["2026-04-02"]
    assert office.hear(event.empty(), until=48 * 60 + 239) == []
    assert office.hear(event.empty(), until=9000) == ["2026-04-03"]


def test_late_events_amend_their_day_and_those_that_it_reaches(tmp_path: Path):
    office = Office(tmp_path)
    days = [events({"at": day * 1440 + 700, "id": day}) for day in range(5)]
    assert len(office.hear(pl.concat(days))) == 5
    before = office.files()
    assert office.hear(events({"at": 1440 + 710, "id": 90})) == ["2026-04-03"]
    assert {name for name, data in office.files().items() if before[name] != data} == {"2026-04-03.parquet"}
    # A session over midnight: the day after begins with what the day before left, which may go on in its first hours.
    assert office.hear(events({"at": 2880 - 1, "id": 91})) == ["2026-04-03", "2026-04-04"]
    assert [row["events"] for row in office.rows()] == [1, 2, 1, 1, 1, 1]
    assert office.hear(events({"at": 2880 + 1, "id": 92})) == ["2026-04-03", "2026-04-04"]
    assert [row["events"] for row in office.rows()] == [1, 2, 2, 1, 1, 1]
    assert office.hear(events({"at": 2880 + 1, "id": 92})) == ["2026-04-04"]
    assert office.hear(events({"at": 2880 - 2, "id": 93})) == ["2026-04-03", "2026-04-04"]
    assert office.hear(event.empty()) == []


def test_today_does_not_make_yesterday_again_every_hour(tmp_path: Path):
    office = Office(tmp_path)
    assert office.hear(events({"at": 700, "id": 1}, {"at": 1439, "id": 2}), until=1700) == ["2026-04-02"]
    assert office.hear(events({"at": 1440 + 300, "id": 3}), until=1800) == []
    assert office.hear(event.empty(), about("w-0000000000000003", 1440 + 300), until=1850) == []
    assert office.hear(event.empty(), about("w-0000000000000001", 1440 + 5, uid="f-2"), until=1850) == ["2026-04-02"]
    assert office.hear(events({"at": 1440 + 5, "id": 4}), until=1900) == ["2026-04-02"]
    assert [row["session"] for row in office.rows()] == ["w-0000000000000001"]


def test_a_finding_that_comes_later_or_changes_is_told_of_its_session(tmp_path: Path):
    office = Office(tmp_path)
    rows = events({"at": -30, "id": 1}, {"at": -1, "id": 2}, {"at": 20, "id": 3}, {"at": 800, "id": 4})
    assert len(office.hear(rows)) == 2
    assert [row["queue"] for row in office.rows()] == ["none", "none"]
    office.hear(event.empty(), about("w-0000000000000001", -1, risk=10.0, queue="digest"))
    assert [(row["queue"], row["risk"]) for row in office.rows()] == [("digest", 10.0), ("none", None)]
    office.hear(event.empty(), about("w-0000000000000001", 20, risk=90.0, queue="alert"))
    assert [(row["queue"], row["risk"]) for row in office.rows()] == [("alert", 90.0), ("none", None)]


def test_a_session_that_the_detector_knew_by_another_event_has_its_finding(tmp_path: Path):
    office = Office(tmp_path)
    office.hear(
        events({"at": 600, "id": 7}, {"at": 590, "id": 2}, {"at": 595, "id": 8}),
        pl.concat([about("w-0000000000000007", 600, 20.0), about("w-0000000000000008", 600, 70.0, uid="f-2")]),
    )
    [row] = office.rows()
    assert (row["session"], row["finding"], row["risk"]) == ("w-0000000000000002", "f-2", 70.0)


@pytest.mark.parametrize(
    "text", ['{"unmapped":{"kind":"day","unit":"w-0000000000000001"}}', "{", '{"unmapped":1}', "NaN"]
)
def test_what_is_not_about_a_session_is_about_none(tmp_path: Path, text: str):
    office = Office(tmp_path)
    office.hear(events({"at": 600, "id": 1}), about("", 600).with_columns(pl.lit(text).alias("finding")))
    assert [row["finding"] for row in office.rows()] == [None]


def test_a_time_that_lies_far_ahead_keeps_no_other_day_from_being_made(tmp_path: Path):
    office = Office(tmp_path)
    last = events({"at": 0, "id": 2}).with_columns(pl.lit(MAX_TIME).alias("time.occurred"))
    first = events({"at": 0, "id": 3}).with_columns(pl.lit(0, dtype=pl.Int64).alias("time.occurred"))
    assert office.hear(pl.concat([events({"at": 1, "id": 1}), last, first])) == ["1970-01-01", "2026-04-02"]


def test_what_a_crash_or_an_older_program_left_is_made_again(tmp_path: Path):
    office = Office(tmp_path)
    office.hear(events({"at": -1, "id": 1}, {"at": 1, "id": 2}))
    whole = office.files()
    (tmp_path / "sessions" / ".2026-04-01.open").write_bytes(b"of another version")
    (tmp_path / "sessions" / ".2026-04-02.tmp").write_bytes(b"half")
    (tmp_path / "sessions" / ".2026-04-02.open").unlink()
    assert office.hear(event.empty()) == ["2026-04-01", "2026-04-02"]
    assert office.files() == whole
    (tmp_path / "sessions" / "notes.txt").write_text("mine")
    office.days.clear()
    assert set(office.files()) == {"notes.txt"}


_ACTIONS = st.sampled_from([None, "read", "export", "logoff"])
_EVENT = st.fixed_dictionaries(
    {
        "at": st.integers(-40, 2940).map(lambda n: n * 2) | st.integers(1430, 1450) | st.integers(2870, 2890),
        "event.action": _ACTIONS,
        "actor.id": st.sampled_from(["u1", None]),
        "session.id": st.sampled_from([None, "W1"]),
        "event.class": st.sampled_from(["access", "access", "heartbeat"]),
        "src.device": st.sampled_from([None, "HO1"]),
        "subject.token": st.sampled_from([None, "s_1", "s_2"]),
    }
)


def at_once(rows: pl.DataFrame, limits: Limits) -> list[tuple[object, ...]]:
    """Session, day, first, last, events, subjects: all events together, without tails."""
    work = rows.filter(pl.col("event.class") != "heartbeat")
    placed, _ = sessionise.assign(sessionise.no_tails(), work, limits)
    found: dict[str, list[dict[str, object]]] = {}
    for row in placed.to_dicts():
        found.setdefault(row["session"], []).append(row)
    out = []
    for name, mine in found.items():
        times = [row["time.occurred"] for row in mine]
        subjects = {row["subject.token"] for row in mine} - {None}
        exports = sum(row["event.action"] == "export" for row in mine)
        out.append((local(max(times)).isoformat(), name, min(times), max(times), len(mine), len(subjects), exports))
    return sorted(out)


@settings(max_examples=40, deadline=None)
@given(
    made=st.lists(_EVENT, min_size=1, max_size=24),
    cuts=st.lists(st.integers(0, 24), max_size=3),
    piece_rows=st.integers(1, 6),
)
def test_however_events_come_the_days_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, object]], cuts: list[int], piece_rows: int
):
    whole = events(*({**one, "id": number} for number, one in enumerate(made)))
    grown = Office(tmp_path_factory.mktemp("grown"), SHORT, piece_rows)
    bounds = [0, *sorted(min(cut, whole.height) for cut in cuts), whole.height]
    for number, (start, end) in enumerate(pairwise(bounds)):
        grown.hear(whole.slice(start, end - start), until=1000 + number * 1200)
    grown.hear(event.empty())
    anew = Office(tmp_path_factory.mktemp("anew"), SHORT, 1000)
    anew.hear(whole)

    found = []
    for path in sorted(anew.folder.glob("sessions/*.parquet")):
        for row in pl.read_parquet(path).to_dicts():
            told = (row[name] for name in ("session", "first", "last", "events", "subjects", "exports"))
            found.append((path.stem, *told))
    assert sorted(found) == at_once(whole, SHORT)
    assert grown.files() == anew.files()
