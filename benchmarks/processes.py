"""Real detectors as processes beside a real Kafka: started, given records while they sleep, and measured from waking up to the end."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from backlog import Agent, Office, lines
from kafka import KafkaConsumer, TopicPartition
from usage import cpu_s, memory_mb

from contract.sealed import Record
from detector.config import Kafka
from service.publish import Publisher
from tests.detector.desk import Desk, Running
from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster

# Of how many detectors one run can make use.
PARTITIONS = 2
LATENESS_S = 60
KINDS = ("events", "correlate", "state", "findings", "notices", "dead_letters")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """KAFKA_BOOTSTRAP_SERVERS, or a broker of our own."""
    address = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if address:
        yield Cluster(address)
    else:
        with Broker(folder / "kafka") as broker:
            yield broker


def desk(kafka: Cluster, folder: Path, office: Office, partitions: int, lateness_s: int) -> Desk:
    """Topics of their own, and a configuration with the defaults that ship."""
    topics = {kind: kafka.topic(partitions if kind in KINDS[:3] else 1) for kind in KINDS}
    options = {
        "detector": office.options() | {"lateness_s": lateness_s},
        "kafka": {"session_timeout_s": 60},
        "limits": {"snapshot_s": 300, "stuck_after_s": 20},
    }
    return Desk(folder, kafka, module=("sekimori", "detect", "-c"), options=options, topics=topics)


class Post:
    """Sends records as an agent does: idempotent, zstd, acknowledged by all."""

    def __init__(self, kafka: Cluster, topic: str) -> None:
        self.publisher = Publisher(Kafka(bootstrap_servers=kafka.address.split(","), in_flight_mib=256), [topic])

    def send(self, records: Iterable[Record]) -> None:
        """Returns when all have arrived."""
        waiting, now_ms = 0, time.time_ns() // 1_000_000
        for record in records:
            self.publisher.send(replace(record, timestamp_ms=now_ms))
            waiting += 1
        while waiting:
            waiting -= len(self.publisher.poll(1.0))

    def close(self) -> None:
        """Take leave."""
        self.publisher.close(1.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """A detector's metrics at one moment: name with labels, value."""

    values: dict[str, float]

    @classmethod
    def of(cls, detectors: Sequence[Running]) -> Shown:
        """Summed over detectors."""
        found: Counter[str] = Counter()
        for one in detectors:
            for line in one.get("/metrics")[1].splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    found[name.removeprefix("sekimori_detector_")] += float(value)
        return cls(dict(found))

    def sum(self, name: str) -> float:
        """Over all labels."""
        return sum(value for each, value in self.values.items() if each.partition("{")[0] == name)

    def since(self, before: Shown) -> dict[str, float]:
        """What was added, by name and labels."""
        return {name: value - before.values.get(name, 0.0) for name, value in self.values.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run over a backlog.

    Attributes:
        events: Heartbeats included.
        start_cpu_s: CPU seconds of each detector from its start through its first turn, in which what decides is made ready.
        cpu_s: CPU seconds of each detector from waking up to the end.
        wall_s: From waking up to the last record that any detector sent.
        rss_mb: The most that each had resident.
        busy_s: Wall seconds by stage and step, of all detectors.
        turns: Turns by stage.
        findings: In the topic, each once.
    """

    events: int
    start_cpu_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    wall_s: float
    rss_mb: tuple[int, ...]
    busy_s: dict[str, float]
    turns: dict[str, float]
    findings: int


@dataclass(slots=True)
class Watch:
    """Called while detectors work on a backlog, with their process ids; for profilers."""

    begun: Callable[[list[int]], None] = field(default=lambda pids: None)


def backlog(
    kafka: Cluster, folder: Path, office: Office, count: int, events: int | None = None, watch: Watch | None = None
) -> tuple[Measured, Desk]:
    """Let `count` detectors work off what lies in two partitions.

    They are started on a topic with one heartbeat per partition, so that each has its partitions and has made ready what it
    decides with. While the backlog is written they sleep (SIGSTOP).
    """
    place = desk(kafka, folder, office, PARTITIONS, LATENESS_S)
    agent = Agent(folder / "agent", office, PARTITIONS, place.topics["events"])
    chosen = office.events[:events]
    first = agent.beat(int(chosen["time.occurred"][0]))
    records = agent.backlog(chosen)
    agent.close()
    post = Post(kafka, place.topics["events"])
    try:
        post.send(first)
        detectors = [place.start(name=f"det{number}") for number in range(count)]
        until(lambda: ready(detectors), detectors, 120)
        pids = [one.process.pid for one in detectors]
        before, start = Shown.of(detectors), tuple(cpu_s(pid) for pid in pids)
        for one in detectors:
            one.send(signal.SIGSTOP)
        post.send(records)
        (watch or Watch()).begun(pids)
        begun_ms = time.time_ns() // 1_000_000
        for one in detectors:
            one.send(signal.SIGCONT)
        after = _worked_off(detectors, before, lines(records))
        spent = tuple(cpu_s(pid) - already for pid, already in zip(pids, start, strict=True))
        rss = tuple(memory_mb(pid, "VmHWM") for pid in pids)
        measured = Measured(
            lines(records), start, spent, (_last_sent(place) - begun_ms) / 1000, rss, by_label(after, before, "busy_seconds_total"),
            by_label(after, before, "steps_total"), len({one["finding_info"]["uid"] for one in place.found()}),
        )  # fmt: skip
        for one in detectors:
            if one.end() != 0:
                raise SystemExit(f"a detector ended badly: {one.said[-500:]}")
        return measured, place
    finally:
        post.close()
        place.close()


def until(what: Callable[[], bool], detectors: Sequence[Running], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > deadline or not all(one.is_up for one in detectors):
            raise SystemExit("detectors do not get on: " + "\n".join(one.said[-1000:] for one in detectors))
        time.sleep(0.25)


def ready(detectors: Sequence[Running]) -> bool:
    """Whether each has its share of the partitions and has worked on the heartbeats."""
    if any(one.get("/readyz")[0] != 200 for one in detectors):
        return False
    shown = Shown.of(detectors)
    return shown.sum("events_total") >= PARTITIONS and _idle(shown) and all(_share(one) for one in detectors)


def _share(one: Running) -> bool:
    return Shown.of([one]).values.get('partitions{stage="one"}', 0) >= 1


def _idle(shown: Shown) -> bool:
    return shown.sum("lag_records") == 0 and shown.sum("in_flight_bytes") == 0


def _worked_off(detectors: Sequence[Running], begin: Shown, total: int) -> Shown:
    """Wait until all is worked off and published; returns the metrics then."""
    last = [Shown.of(detectors)]

    def over() -> bool:
        before, now = last[-1], Shown.of(detectors)
        last[:] = [now]
        same = before.sum("steps_total") == now.sum("steps_total")
        time.sleep(1.0)  # the gauges are set once a second
        return now.sum("events_total") - begin.sum("events_total") >= total and same and _idle(now)

    until(over, detectors, 1200)
    shown = last[-1]
    odd = {
        name: shown.sum(name)
        for name in ("rejected_total", "repeated_events_total", "lost_offsets_total", "late_events_total")
    }
    came = shown.sum("events_total") - begin.sum("events_total")
    if came != total or any(odd.values()):
        raise SystemExit(f"{came:.0f} of {total} events, {odd}; do not use these figures")
    return shown


def by_label(after: Shown, before: Shown, name: str) -> dict[str, float]:
    """What was added to a counter, by its labels' values."""
    found = {}
    for each, value in after.since(before).items():
        if each.partition("{")[0] == name and value:
            labels = [part.split("=")[1].strip('"') for part in each.partition("{")[2].rstrip("}").split(",")]
            found[" ".join(reversed(labels) if "step" in each else labels)] = value
    return found


def _last_sent(place: Desk) -> int:
    """Kafka's time, UTC ms, of the last record that any detector sent."""
    return max(
        one.timestamp_ms for kind in KINDS if kind not in ("events", "dead_letters")
        for one in place.kafka.stored(place.topics[kind])
    )  # fmt: skip


def bare(place: Desk) -> tuple[float, float]:
    """The limit: CPU seconds for getting the events' records out of Kafka, and for decoding them, and nothing else."""
    from contract import wire

    topic = place.topics["events"]
    reader = KafkaConsumer(
        bootstrap_servers=place.kafka.address.split(","), auto_offset_reset="earliest", metrics_enabled=False,
        max_partition_fetch_bytes=1 << 20, fetch_max_bytes=4 << 20,
    )  # fmt: skip
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    reader.assign(places)
    ends = reader.end_offsets(places)
    clock, polled, decoded = time.process_time, 0.0, 0.0
    while any(reader.position(each) < ends[each] for each in places):
        begin = clock()
        records = [record for part in reader.poll(timeout_ms=500, max_records=500).values() for record in part]
        polled += clock() - begin
        begin = clock()
        wire.decode(b"".join(record.value for record in records))
        decoded += clock() - begin
    reader.close()
    return polled, decoded
