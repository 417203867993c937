"""A day with very many events is summed up over several turns: time is held meanwhile, and all is said as in one turn."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from contract import event, wire
from contract.sealed import Record
from detector.admission import Trust
from detector.arrival import Arrived
from detector.baseline import Baseline
from detector.cases import Cases
from detector.config import parse
from detector.partitions import Counts
from detector.pins import Deployment
from detector.place import Place
from detector.stage import Moment
from detector.stage_one import One
from detector.stream import one
from detector.stream.plan import Plans
from tests.detector.month import month, office, rules
from tests.detector.offices import at
from tests.detector.rows import book, rule
from tests.detector.stream.streamed import Versions

DAY_MS = 86_400_000
MIDNIGHT = at("2026-04-16 00:00")
MANY = rule("many", category="actor_day", where="n.read|gte: 3", level="high", precision=0.9)
VERSIONS = Versions.of(office(), (0, book(MANY), None, Baseline())).loaded
CONFIG = parse(
    '[detector]\nid = "d"\nstate_dir = "s"\nlateness_s = 60\nheartbeat_s = 86400\n[kafka]\nbootstrap_servers = ["k:1"]\n',
    Path("/"),
)


def read(number: int, before_ms: int, actor: str) -> dict[str, Any]:
    """Somebody reads so many ms before midnight."""
    return {
        "event.id": f"{number:016x}", "event.action": "read", "time.occurred": MIDNIGHT - before_ms, "actor.id": actor,
        "src.device": "PC-1", "event.class": "access", "agent.id": "ag-1",
    }  # fmt: skip


def rows(*events: dict[str, Any]) -> pl.DataFrame:
    schema = {name: dtype for name, dtype in event.schema().items() if name in events[0]}
    return pl.DataFrame(events, schema=schema).match_to_schema(event.schema(), missing_columns="insert")


def of_days(findings: Any) -> list[tuple[str, list[str]]]:
    return [
        (found["unmapped"]["unit"], [item["uid"][-2:] for item in found["finding_info"]["related_events"]])
        for found in findings
        if found["unmapped"]["kind"] == "day"
    ]


def test_time_is_held_until_everybody_is_summed_up_and_what_comes_late_meanwhile_waits():
    core = one.Core(Plans("live"), most_rows=1)
    people = ("100101", "100102", "100103")
    day = [read(10 * n + m, 3_000 - m, who) for n, who in enumerate(people) for m in range(3)]
    last = read(77, 1, people[0])  # in the last millisecond of the day
    state, _ = core.advance(core.begin(), rows(*day), event.empty(), MIDNIGHT - 2_000, VERSIONS)
    goal, marks, found, late = MIDNIGHT + 60_000, [], [], 0.0
    new = rows(last)
    while not marks or marks[-1] < goal:
        marks.append(core.reaches(state, goal, VERSIONS))
        state, effects = core.advance(state, new, event.empty(), marks[-1], VERSIONS)
        state = core.load(core.dump(state))
        found += of_days(effects.findings)
        late += effects.counts["late"]
        # One that comes late, of the very day, while time is held.
        new = rows(read(99, 5_000, people[1])) if len(marks) == 1 else event.empty()

    held = marks.count(MIDNIGHT - 2)
    assert held > 1
    assert marks == [*[MIDNIGHT - 2] * held, MIDNIGHT - 1, goal]
    assert late == 1
    assert sorted(found) == [
        ("d-2026-04-15-100101", ["00", "01", "02", "4d"]),
        ("d-2026-04-15-100102", ["0a", "0b", "0c"]),
        ("d-2026-04-15-100103", ["14", "15", "16"]),
    ]


def test_no_more_is_taken_while_very_much_waits_for_the_day_to_end(monkeypatch: Any):
    monkeypatch.setattr(one, "_MOST_WAITING", 2)
    core = one.Core(Plans("live"), most_rows=1)
    day = [read(n, 3_000 - n, "100101") for n in range(3)]
    state, _ = core.advance(core.begin(), rows(*day), event.empty(), MIDNIGHT - 2_000, VERSIONS)
    after = [read(10 + n, -n, "100101") for n in range(3)]
    state, _ = core.advance(state, rows(*after), event.empty(), MIDNIGHT - 2, VERSIONS)
    assert not core.is_full(state)  # these do not wait for the day, but for the watermark

    state, _ = core.advance(state, event.empty(), event.empty(), MIDNIGHT - 2, VERSIONS)
    assert core.is_full(state)

    state, _ = core.advance(state, event.empty(), event.empty(), MIDNIGHT - 1, VERSIONS)
    assert not core.is_full(state)


class Kept:
    """A library with one version."""

    def __init__(self, loaded: Any) -> None:
        self.loaded = loaded

    def load(self, hashes: Any) -> Any:
        return self.loaded


@dataclass
class Line:
    """Stage one as a worker drives it: turns with records, and without any as long as it asks for them."""

    most_rows: int
    state: Any = None
    sent: list[Record] = field(default_factory=list)
    steps: list[tuple[list[Arrived], dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        loaded = Versions.of(office(), (0, rules(), None, Baseline())).loaded[0][1]
        library: Any = Kept(loaded)
        deployed = Deployment(library, loaded)
        place, counts = Place("access-events", 0), Counts(1, 1, 1)
        core = one.Core(Plans("live"), self.most_rows)
        nobody = Cases(CONFIG.kafka, "decisions", "test")
        self.stage = One(core, CONFIG, deployed, place, counts, "live", "0.1.0", Trust(), nobody)
        self.state = self.stage.begin()

    def turn(self, records: list[Arrived], ending: bool = False) -> bool:
        """One turn; returns whether there was anything to do."""
        prepared = self.stage.prepare(records)
        decision = json.loads(json.dumps(self.stage.decide(self.state, prepared, Moment(0, False, None, ending))))
        if not records and not decision:
            return False
        self.advance(records, decision)
        return True

    def advance(self, records: list[Arrived], decision: dict[str, Any]) -> None:
        self.steps.append((records, decision))
        self.state, sent = self.stage.advance(self.state, self.stage.prepare(records), decision)
        self.sent += sent.records

    def last(self) -> dict[str, Any]:
        """The last state of each finding."""
        found = [json.loads(one.value) for one in self.sent if one.topic == CONFIG.topics.findings]
        return {one["finding_info"]["uid"]: one | {"activity_id": 0, "type_uid": 0} for one in found}


def arrived() -> list[Arrived]:
    """Eight days, as an agent sends them, in pieces."""
    events = month(1).unique("event.id").sort("time.occurred", "event.id")
    return [
        Arrived("access-events", 0, n, int(part["time.occurred"][-1]), None, wire.joined(wire.encode_lines(part)), ())
        for n, part in enumerate(events.iter_slices(40))
    ]


def driven(most_rows: int, reload_every: int = 0) -> Line:
    line = Line(most_rows)
    records = arrived()
    while records or line.turn([], ending=True):
        if records:
            line.turn([records.pop(0)])
        if reload_every and len(line.steps) % reload_every == 0:
            line.state = line.stage.load(line.stage.dump(line.state))
    return line


def test_a_stage_goes_on_by_itself_until_the_day_is_over_and_a_rerun_until_all_is_closed():
    whole, parted = driven(1_000_000), driven(20)

    assert sum("on" in decision for _, decision in parted.steps) > 16
    assert not any("on" in decision for _, decision in whole.steps)
    assert parted.state.closed
    assert not parted.state.is_held
    assert parted.last() == whole.last()
    assert len(whole.last()) > 20


def test_working_the_turns_out_again_gives_the_same_bytes_from_wherever_the_state_was_written_down():
    first = driven(20)
    again, told = Line(20), []
    for number, (records, decision) in enumerate(first.steps):
        if number % 3 == 0:
            again.state = again.stage.load(again.stage.dump(again.state))
        again.advance(records, decision)
        told.append(again.state.watermark)

    assert [(r.topic, r.key, r.value, r.headers) for r in again.sent] == [
        (r.topic, r.key, r.value, r.headers) for r in first.sent
    ]
    assert again.stage.dump(again.state) == first.stage.dump(first.state)
    assert told == sorted(told)
