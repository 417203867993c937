"""Stages one and two around small cores: time, duplicates, versions, what is lost, and any cut of the input."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract import decision, finding
from contract.decision import DecisionKind
from contract.sealed import Record
from detector import relay
from detector.admission import Trust
from detector.arrival import Arrived
from detector.cases import Cases
from detector.config import parse
from detector.inputs import Cores, inputs
from detector.partitions import Counts
from detector.pins import Deployment
from detector.place import Place
from detector.stage import Moment
from detector.stage_one import One, Schedule
from detector.stage_two import Rows, Two
from detector.watermark import STEP_MS
from tests.detector.small import CountActors, CountEverybody, Effects

MINUTE = 60_000
START = 1_775_000_000_000 // MINUTE * MINUTE
COUNTS = Counts(2, 3, 2)
CONFIG = parse(
    '[detector]\nid = "d"\nstate_dir = "s"\nlateness_s = 60\nheartbeat_s = 600\n[kafka]\nbootstrap_servers = ["k:1"]\n',
    Path("/"),
)
ONE, TWO = {"rules": "1" * 64}, {"rules": "2" * 64}


class Versions:
    """A library that holds what it is asked for; nothing is decided by it here."""

    def load(self, hashes: Mapping[str, str]) -> Any:
        return SimpleNamespace(hashes=dict(hashes))


def deployment(hashes: Mapping[str, str] = ONE) -> Deployment:
    library: Any = Versions()
    current: Any = SimpleNamespace(hashes=hashes)
    return Deployment(library, current)


class Decided(Cases):
    """Decisions that were read, without a Kafka."""

    def __init__(self, *values: dict[str, Any]) -> None:
        super().__init__(CONFIG.kafka, "decisions", "test")
        for offset, value in enumerate(values):
            self._take(0, offset, decision.to_json(value).encode())


def one(
    partition: int = 0, deployed: Deployment | None = None, counts: Counts = COUNTS, cases: Cases | None = None
) -> One[dict[str, Any]]:
    place, cases = Place("access-events", partition), cases or Decided()
    return One(CountActors(), CONFIG, deployed or deployment(), place, counts, "live", "0.1.0", Trust(), cases)


def two(partition: int, cases: Cases | None = None, core: Any = None) -> Two[dict[str, Any]]:
    place, core, cases = Place("sekimori-correlate", partition), core or CountEverybody(), cases or Decided()
    return Two(core, CONFIG.topics, deployment(), place, COUNTS, "live", "0.1.0", cases)


def event(number: int, at: int, actor: str = "a1", agent: str = "ag") -> dict[str, Any]:
    return {
        "event.id": f"{number:016x}", "event.schema": 1, "event.class": "access", "time.occurred": at, "actor.id": actor,
        "agent.id": agent, "source.id": "web",
    }  # fmt: skip


def records(events: Sequence[dict[str, Any]], partition: int = 0, start: int = 0) -> list[Arrived]:
    return [
        Arrived(
            "access-events", partition, start + number, one["time.occurred"] + 500, None,
            json.dumps(one).encode() + b"\n", (),
        )
        for number, one in enumerate(events)
    ]  # fmt: skip


class Turns:
    """Turns of a stage, one after another, as a worker makes them; and the state through bytes now and then."""

    def __init__(self, stage: Any, draw: random.Random | None = None) -> None:
        self.stage, self.state, self.draw = stage, stage.begin(), draw
        self.sent: list[Record] = []
        self.decisions: list[tuple[list[Arrived], dict[str, Any]]] = []

    def take(self, arrived: Sequence[Arrived], **moment: Any) -> list[Record]:
        told = Moment(**({"now_ms": START, "at_end": False} | moment))
        prepared = self.stage.prepare(arrived)
        decision = json.loads(json.dumps(self.stage.decide(self.state, prepared, told)))
        self.decisions.append((list(arrived), decision))
        self.state, sent = self.stage.advance(self.state, prepared, decision)
        self.sent += sent.records
        if self.draw is not None and self.draw.random() < 0.3:
            self.state = self.stage.load(self.stage.dump(self.state))
        return list(sent.records)

    def found(self) -> dict[str, dict[str, Any]]:
        """Findings by their names."""
        made = [json.loads(record.value) for record in self.sent if record.topic == CONFIG.topics.findings]
        for item in made:
            assert finding.validate(item) == []
        return {item["finding_info"]["uid"]: item for item in made}

    def texts(self) -> list[str]:
        return [item["unmapped"]["text"]["en"] for _, item in sorted(self.found().items())]


def month(seed: int = 1) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    times = sorted(START + draw.randrange(30 * MINUTE) for _ in range(300))
    return [event(number, at, f"a{draw.randrange(4)}") for number, at in enumerate(times)]


@pytest.mark.parametrize("seed", range(4))
def test_however_the_input_is_cut_the_same_is_found_and_handed_on(seed: int):
    events = month()
    whole, pieces = Turns(one()), Turns(one(), random.Random(seed))
    whole.take(records(events))
    cuts = sorted(random.Random(seed).sample(range(1, 300), 20))
    for start, end in zip([0, *cuts], [*cuts, 300], strict=True):
        pieces.take(records(events[start:end], start=start))

    assert pieces.found() == whole.found()
    assert len(whole.found()) > 20
    assert rows(pieces) == rows(whole)


def rows(turns: Turns) -> list[tuple[int, str, dict[str, Any]]]:
    """What was handed on, by partition and in its order."""
    relayed = arrive([record for record in turns.sent if record.topic == CONFIG.topics.correlate])
    told = [(one.partition, kind, frame) for one in relayed for kind, frame in relay.read(one).rows]
    return [
        (partition, kind, row)
        for partition, kind, frame in sorted(told, key=lambda each: each[0])
        for row in frame.to_dicts()
    ]


def arrive(sent: Sequence[Record]) -> list[Arrived]:
    """Records as Kafka gives them back."""
    return [
        Arrived(one.topic, one.partition, offset, 0, None, one.value, tuple(one.headers))
        for offset, one in enumerate(sent)
    ]


def test_working_it_out_again_with_the_recorded_decisions_gives_the_same_bytes():
    events = month()
    first = Turns(one(deployed=deployment(ONE)))
    for start in range(0, 300, 37):
        first.take(records(events[start : start + 37], start=start), now_ms=START + start, at_end=start == 222)
    # Whoever works it out again has other versions deployed and another clock.
    stage = one(deployed=deployment(TWO))
    state, again = stage.begin(), []
    for arrived, recorded in first.decisions:
        state, sent = stage.advance(state, stage.prepare(arrived), recorded)
        again += sent.records

    assert [(r.topic, r.partition, r.key, r.value, r.headers) for r in again] == [
        (r.topic, r.partition, r.key, r.value, r.headers) for r in first.sent
    ]
    assert stage.dump(state) == first.stage.dump(first.state)


def test_what_comes_again_counts_once():
    events = month()
    plain, twice = Turns(one()), Turns(one())
    plain.take(records(events))
    twice.take(records([*events[:200], *events[100:]]))

    assert twice.found() == plain.found()


def test_lines_out_of_order_are_all_new_although_one_turn_takes_hours_of_them():
    draw = random.Random(3)
    events = [event(n, START + n * MINUTE // 10) | {"source.position": f"a.log:{n * 50}"} for n in range(3000)]
    events.sort(key=lambda each: each["time.occurred"] + draw.randrange(MINUTE))
    stage = one()
    state, counted = stage.begin(), 0.0
    for start, end in ((0, 505), (505, 3000)):
        prepared = stage.prepare(records(events[start:end], start=start))
        decision = stage.decide(state, prepared, Moment(START, False))
        state, sent = stage.advance(state, prepared, decision)
        counted += sent.counts["events"]
    assert counted == 3000


def test_an_agent_that_fell_silent_is_waited_for_no_longer_and_stage_two_is_told():
    turns = Turns(one())
    turns.take(records([event(1, START, agent="x"), event(2, START + 5 * MINUTE, agent="y")]))
    assert turns.texts() == []

    turns.take([], now_ms=START + 12 * MINUTE, at_end=True)

    assert [decision for _, decision in turns.decisions][-1] == {"left": ["x"]}
    assert turns.texts() == ['{"a1": 1}']
    assert dict(turns.sent[-1].headers)["idle"] == b"0"

    turns.take([], now_ms=START + 40 * MINUTE, at_end=True)
    assert dict(turns.sent[-1].headers)["idle"] == b"1"


def test_in_a_backlog_nobody_seems_silent_by_the_clock_on_the_wall():
    turns = Turns(one())
    turns.take(records([event(1, START, agent="x"), event(2, START + 5 * MINUTE, agent="y")]), now_ms=START + 10**9)

    assert "left" not in turns.decisions[-1][1]


def test_after_kafka_was_away_everybody_has_time_to_bring_what_was_held_up():
    turns = Turns(one())
    turns.take(records([event(1, START, agent="x"), event(2, START, agent="y")]), at_end=True)
    over, held_up = START + 20 * MINUTE, [START + n * MINUTE for n in range(1, 20)]
    turns.take([], now_ms=over, at_end=True, listened_s=0)
    # One has brought everything before the other has begun, with Kafka's time of when it was written.
    first = [event(100 + n, at, "a1", "x") for n, at in enumerate(held_up)]
    turns.take(records(first, start=2), now_ms=over + 2_000, at_end=True, listened_s=2)
    assert turns.texts() == []

    second = [event(200 + n, at, "a1", "y") for n, at in enumerate(held_up)]
    turns.take(records(second, start=21), now_ms=over + 8_000, at_end=True, listened_s=8)

    assert [left for _, decision in turns.decisions if (left := decision.get("left"))] == []
    assert turns.texts() == ['{"a1": 2}'] * 17  # a minute is allowed for what is late
    # Who says nothing now that it could is waited for no longer.
    late = records([event(300, START + 31 * MINUTE, agent="x")], start=40)
    turns.take(late, now_ms=over + 11 * MINUTE, at_end=True, listened_s=660)
    assert [decision for _, decision in turns.decisions][-1] == {"left": ["y"]}


def test_a_partition_in_which_nobody_ever_spoke_holds_nobody_up():
    turns = Turns(one())

    told = turns.take([], at_end=True)

    assert len(told) == COUNTS.correlate
    assert {dict(record.headers)["idle"] for record in told} == {b"1"}
    assert turns.take([], at_end=True) == []


def test_new_versions_decide_from_the_next_minute_on():
    deployed = deployment(ONE)
    turns = Turns(one(deployed=deployed))
    turns.take(records([event(1, START), event(2, START + 3 * MINUTE + 1)]))
    deployed.current = SimpleNamespace(hashes=TWO)  # type: ignore[assignment]
    turns.take(records([event(3, START + 10 * MINUTE)], start=2))

    versions = {item["time"]: item["unmapped"]["versions"] for item in turns.found().values()}
    assert versions == {START + MINUTE: ONE, START + 4 * MINUTE: TWO}


def exception(start: int, end: int, **changes: Any) -> dict[str, Any]:
    return decision.example(DecisionKind.EXCEPTION) | {"time": start, "until": end} | changes


def in_force(*decided: dict[str, Any]) -> str:
    names = sorted(decision.name(value) for value in decided)
    return "sha256:" + hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def named(turns: Turns) -> dict[int, str | None]:
    return {item["time"]: item["unmapped"]["versions"].get("exceptions") for item in turns.found().values()}


@pytest.mark.parametrize("seed", range(3))
def test_every_finding_names_the_exceptions_in_force_at_its_time_as_recorded(seed: int):
    first, second = exception(START, START + 6 * MINUTE, actor="a1"), exception(START + 4 * MINUTE, START + MINUTE * 60)
    case = decision.example() | {"time": START}
    turns = Turns(one(cases=Decided(first, case, second)), random.Random(seed))
    for number in range(4):
        turns.take(records([event(number, START + 3 * number * MINUTE)], start=number))

    wanted = {
        START + MINUTE: in_force(first),
        START + 4 * MINUTE: in_force(first, second),
        START + 7 * MINUTE: in_force(second),
    }
    assert named(turns) == wanted
    again, known_nothing = Turns(one()), one()
    for arrived, recorded in turns.decisions:
        again.state, sent = known_nothing.advance(again.state, known_nothing.prepare(arrived), recorded)
        again.sent += sent.records
    assert [record.value for record in again.sent] == [record.value for record in turns.sent]
    assert [list(recorded.get("decisions", ())) for _, recorded in turns.decisions] == [[[0, 3]], [], [], []]


def test_an_exception_that_is_decided_later_is_named_from_then_on_and_a_withdrawn_one_no_longer():
    given = exception(START, START + 60 * MINUTE)
    gone = given | {"time": START + 1, "until": 0}
    cases = Decided()
    turns = Turns(one(cases=cases))
    for number in range(6):
        if number in (2, 4):
            cases._take(0, number, decision.to_json(given if number == 2 else gone).encode())
        turns.take(records([event(number, START + 3 * number * MINUTE)], start=number))

    kept = in_force(given)
    assert list(named(turns).values()) == [None, kept, kept, "none", "none"]


def test_what_groups_find_names_them_too():
    given = exception(START, START + 60 * MINUTE)
    relayed = []
    for number in range(COUNTS.events):
        turns = Turns(one(number))
        turns.take(records([event(at, START + at * MINUTE) for at in range(10)], number))
        relayed += [record for record in turns.sent if record.topic == CONFIG.topics.correlate]
    stages = [Turns(two(number, Decided(given)), random.Random(number)) for number in range(COUNTS.correlate)]
    for each in arrive(relayed):
        stages[each.partition].take([each])

    assert {value for turns in stages for value in named(turns).values()} == {in_force(given)}


def test_what_kafka_deleted_is_a_finding_that_pages():
    turns = Turns(one())
    turns.take(records([event(1, START)]))

    turns.take([], lost=(1, 500))

    [item] = turns.found().values()
    assert item["is_alert"]
    assert item["unmapped"]["kind"] == "evidence"
    assert item["unmapped"]["text"]["en"] == (
        "In partition 0 of access-events Kafka deleted 499 records (offsets 1 to 499) before they were analysed."
    )


def test_what_cannot_be_read_goes_to_the_dead_letters_and_holds_nobody_up():
    turns = Turns(one())
    bad = Arrived("access-events", 0, 1, START, None, b"{no json\n", ())
    turns.take([*records([event(1, START)]), bad, *records([event(2, START + 5 * MINUTE)], start=2)])

    [letter] = [json.loads(record.value) for record in turns.sent if record.topic == CONFIG.topics.dead_letters]
    assert letter["source.position"] == "access-events/0/1:0"
    assert turns.texts() == ['{"a1": 1}']


def test_who_is_configured_to_seal_is_believed_under_a_seal_only():
    detector = CONFIG.detector.model_copy(update={"sealed_agents": ["ag"]})
    config = CONFIG.model_copy(update={"detector": detector})
    [first, *_] = inputs(config, deployment(), "live", Decided(), Cores(CountActors(), CountEverybody(), "0.1.0"))
    turns = Turns(first.make(Place("access-events", 0), COUNTS))

    turns.take(records([event(1, START), event(2, START, agent="other"), event(3, START + 5 * MINUTE, agent="other")]))

    assert turns.texts() == ['{"a1": 1}']
    [letter] = [json.loads(record.value) for record in turns.sent if record.topic == CONFIG.topics.dead_letters]
    assert letter["reason"] == "seal"
    assert "not who it says" in letter["detail"]


def test_a_state_of_another_number_of_partitions_is_refused_with_what_to_do():
    turns = Turns(one())
    turns.take(records([event(1, START)]))

    with pytest.raises(
        ValueError, match=r"changed since this state was made \(events 2 → 4\): it changes by a re-run only"
    ):
        one(counts=Counts(4, 3, 2)).load(turns.stage.dump(turns.state))


def test_a_rerun_closes_what_is_open_at_its_end():
    turns = Turns(one())
    turns.take(records([event(1, START)]))
    turns.take([], at_end=True, ending=True)
    turns.take([], at_end=True, ending=True)

    assert turns.texts() == ['{"a1": 1}']
    assert dict(turns.sent[-1].headers)["idle"] == b"2"
    assert turns.decisions[-1][1] == {}
    assert turns.stage.is_over(turns.state)


def test_time_moves_in_steps():
    turns, marks = Turns(one()), []
    for number in range(60):
        turns.take(records([event(number, START + number * 50)], start=number))
        marks.append(turns.state.core["mark"])

    assert sorted(set(marks)) == [START - MINUTE + number * STEP_MS - 1 for number in range(60 * 50 // STEP_MS)]


class Listening(CountEverybody):
    """Notes how far time had come, and up to where silence may be judged."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def advance(
        self, state: dict[str, Any], rows: Rows, watermark: int, heard: int, schedule: Schedule
    ) -> tuple[dict[str, Any], Effects]:
        self.told.append((watermark, heard))
        return super().advance(state, rows, watermark, heard, schedule)


def test_the_end_of_a_rerun_is_no_silence():
    relayed = []
    for number in range(COUNTS.events):
        turns = Turns(one(number))
        turns.take(records([event(1, START), event(2, START + 5 * MINUTE)], number))
        turns.take([], at_end=True, ending=True)
        relayed += [record for record in turns.sent if record.topic == CONFIG.topics.correlate and not record.partition]
    core = Listening()
    turns = Turns(two(0, core=core))

    for one_record in arrive(relayed):
        turns.take([one_record])

    (reached, heard), (closed, silent) = core.told[-2], core.told[-1]
    assert reached == heard == START + 4 * MINUTE - 1
    assert closed > START + 3 * 86_400_000 - 1000
    assert silent == START + 5 * MINUTE


@pytest.mark.parametrize("seed", range(4))
def test_stage_two_finds_the_same_however_the_stage_ones_work_and_die(seed: int):
    draw = random.Random(seed)
    events = month()
    parts = [[item for item in events if item["actor.id"] in own] for own in (("a0", "a1"), ("a2", "a3"))]
    relayed: list[list[Record]] = [[], []]
    for number, mine in enumerate(parts):
        turns = Turns(one(number))
        start = 0
        while start < len(mine):
            end = start + draw.randrange(1, 40)
            turns.take(records(mine[start:end], number, start))
            start = end
        turns.take([], at_end=True, ending=True)
        relayed[number] = [record for record in turns.sent if record.topic == CONFIG.topics.correlate]

    texts: dict[str, int] = {}
    for partition in range(COUNTS.correlate):
        queues = [[record for record in sent if record.partition == partition] for sent in relayed]
        log = mixed(queues, draw)
        turns = Turns(two(partition), draw)
        at = 0
        while at < len(log):
            step = draw.randrange(1, 9)
            turns.take(log[at : at + step])
            at += step
        for item in turns.found().values():
            minute = item["time"] // MINUTE
            texts |= {f"{minute}/{actor}": n for actor, n in json.loads(item["unmapped"]["text"]["en"]).items()}
    wanted: dict[str, int] = {}
    for item in events:
        name = f"{item['time.occurred'] // MINUTE + 1}/{item['actor.id']}"
        wanted[name] = wanted.get(name, 0) + 1
    assert texts == wanted


def mixed(queues: list[list[Record]], draw: random.Random) -> list[Arrived]:
    """Several senders' records in one partition: each in its order, and some way back now and then."""
    places, log = [0] * len(queues), []
    while any(place < len(queue) for place, queue in zip(places, queues, strict=True)):
        which = draw.choice([n for n, queue in enumerate(queues) if places[n] < len(queue)])
        record = queues[which][places[which]]
        log.append(Arrived(record.topic, record.partition, len(log), 0, None, record.value, tuple(record.headers)))
        places[which] = max(0, places[which] - draw.randrange(4)) if draw.random() < 0.1 else places[which] + 1
    return log
