"""Both stages of the detector in this process, turn by turn: CPU seconds of what a real one does between two Kafkas."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlog import AGENT, Office

from contract.sealed import Record
from detector.admission import Trust
from detector.arrival import Arrived
from detector.cases import Cases
from detector.config import Config
from detector.partitions import LIVE, Counts
from detector.pins import Deployment
from detector.place import Place
from detector.schedule import CODE
from detector.stage import Moment, Stage
from detector.stage_one import One
from detector.stage_two import Two
from detector.stream import one, two
from detector.stream.plan import Plans
from detector.versions import Library, Store


class Clock:
    """CPU seconds of this process, all threads, by what they were spent on; what is inside of another counts for itself alone."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    @contextmanager
    def __call__(self, name: str, within: str | None = None) -> Iterator[None]:
        begin = time.process_time()
        yield
        took = time.process_time() - begin
        self.spent[name] += took
        if within is not None:
            self.spent[within] -= took


class Timed:
    """A core of the product whose `advance` is timed."""

    def __init__(self, core: Any, clock: Clock, name: str, within: str) -> None:
        self._core, self._clock, self._name, self._within = core, clock, name, within

    def advance(self, *given: Any) -> Any:
        """As the core's."""
        with self._clock(self._name, self._within):
            return self._core.advance(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


@dataclass(slots=True)
class Line:
    """One partition of one stage: the stage, what it knows, and the next offset of what it reads."""

    stage: Stage[Any, Any]
    state: Any = None
    next: int = 0
    came: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.stage.begin()

    def arrived(self, records: Sequence[Record]) -> list[Arrived]:
        """Records as Kafka gives them back."""
        first, self.next = self.next, self.next + len(records)
        return [
            Arrived(each.topic, each.partition, first + number, each.timestamp_ms, each.key, each.value, tuple(each.headers))
            for number, each in enumerate(records)
        ]  # fmt: skip


class Detector:
    """All partitions of both stages.

    Args:
        office: What is deployed.
        config: Topics and times.
        partitions: How many, of events and of what goes on to stage two.
        folder: For copies of what is deployed; made.
    """

    def __init__(self, office: Office, config: Config, partitions: int, folder: Path) -> None:
        self.clock = Clock()
        library = Library(Store(folder), None)
        deployment = Deployment(library, library.deploy(office.deployed))
        counts, topics, trust = Counts(partitions, partitions, 1), config.topics, Trust(frozenset({AGENT}))
        cases = Cases(config.kafka, topics.decisions, "stages")  # nobody decides anything here
        self._correlate = topics.correlate
        plans = Plans(LIVE)
        first = Timed(one.Core(plans), self.clock, "core one", "admit, hand on")
        second = Timed(two.Core(plans), self.clock, "core two", "receive")
        self.ones = [
            Line(One(first, config, deployment, Place(topics.events, number), counts, LIVE, CODE, trust, cases))
            for number in range(partitions)
        ]
        self.twos = [
            Line(Two(second, topics, deployment, Place(topics.correlate, number), counts, LIVE, CODE, cases))
            for number in range(partitions)
        ]

    def turn(self, records: Sequence[Sequence[Record]]) -> int:
        """One turn of each partition of stage one, with these records, then one of each of stage two; returns the records they send."""
        sent: list[Record] = []
        for line, came in zip(self.ones, records, strict=True):
            sent += self._turn(line, came, "read", "admit, hand on")
        for number, line in enumerate(self.twos):
            came = [each for each in sent if each.topic == self._correlate and each.partition == number]
            sent += self._turn(line, came, "receive", "receive")
        return len(sent)

    def _turn(self, line: Line, records: Sequence[Record], reading: str, working: str) -> Sequence[Record]:
        arrived = line.arrived(records)
        with self.clock(reading):
            prepared = line.stage.prepare(arrived)
        with self.clock(working):
            moment = Moment(arrived[-1].timestamp_ms if arrived else 0, False)
            line.state, sent = line.stage.advance(line.state, prepared, line.stage.decide(line.state, prepared, moment))
        return sent.records


def work_off(detector: Detector, records: Sequence[Record], most: int) -> dict[str, float]:
    """Give a detector a backlog, so many records a partition and turn; CPU seconds by part."""
    by_partition = [[each for each in records if each.partition == number] for number in range(len(detector.ones))]
    for start in range(0, max(map(len, by_partition)), most):
        detector.turn([part[start : start + most] for part in by_partition])
    return dict(detector.clock.spent)
