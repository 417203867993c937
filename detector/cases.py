"""Closed cases and exceptions from the topic of decisions, read beside the work: small, and read whole at each start.

A stage takes them into its recorded decision, with how far it has read, so that working it out again needs no second look.
"""

from __future__ import annotations

import bisect
import logging
import threading
from collections.abc import Mapping
from contextlib import closing
from typing import Final, NamedTuple, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from contract.decision import DecisionError, DecisionKind, from_json
from detector.allowed import Allowed
from service.producer import access
from service.settings import Kafka

_AGAIN_S: Final = 10.0
_CALL_MS: Final = 10_000
# Decisions kept of one partition; the oldest of more were taken long ago.
_MOST: Final = 50_000
_log = logging.getLogger(__name__)


class Case(NamedTuple):
    """A case that was closed: where it stands in its partition, of what (see `notices.Closed`), and when."""

    offset: int
    name: str
    time: int


class Exempted(NamedTuple):
    """An exception, and where it stands in its partition."""

    offset: int
    allowed: Allowed


_D = TypeVar("_D", Case, Exempted, Case | Exempted)


class Cases(threading.Thread):
    """Reads closed cases and exceptions until told to stop. `since` may be asked from any thread.

    Args:
        settings: How to reach Kafka.
        topic: Of the decisions. One that does not exist (yet) holds none.
        client_id: What Kafka knows us as.
    """

    def __init__(self, settings: Kafka, topic: str, client_id: str) -> None:
        super().__init__(name="cases", daemon=True)
        self._settings = settings
        self._topic = topic
        self._client_id = client_id
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._found: dict[int, list[Case | Exempted]] = {}
        self._exempted: dict[int, list[Exempted]] = {}
        self._upto: dict[int, int] = {}

    def since(self, taken: Mapping[int, int], most: int = 100) -> tuple[list[Case | Exempted], dict[int, int]]:
        """Cases and exceptions that were not taken yet.

        Args:
            taken: By partition, the offset up to which they were taken.
            most: Of them at once; they go into one record of the state log.

        Returns:
            The oldest of them by partition and offset, and `taken` with these.
        """
        with self._guard:
            return _since(self._found, taken, most)

    def exceptions_since(self, taken: Mapping[int, int], most: int = 100) -> tuple[list[Exempted], dict[int, int]]:
        """As `since`, of exceptions alone."""
        with self._guard:
            return _since(self._exempted, taken, most)

    def stop(self) -> None:
        """End soon; nobody has to wait for it."""
        self._stopping.set()

    def run(self) -> None:
        """Read, and begin again after a failure from where it was."""
        said = False
        while not self._stopping.is_set():
            try:
                self._read()
            except (KafkaError, OSError) as error:
                if not said:
                    _log.warning(
                        "%s: decisions cannot be read now (%s); trying again", self._topic, type(error).__name__
                    )
                said = True
            else:
                said = False
            self._stopping.wait(_AGAIN_S)

    def _read(self) -> None:
        arguments = access(self._settings) | {
            "client_id": self._client_id, "bootstrap_timeout_ms": _CALL_MS, "allow_auto_create_topics": False,
            "reconnect_backoff_max_ms": 2_000, "metrics_enabled": False,
        }  # fmt: skip
        with closing(KafkaConsumer(group_id=None, auto_offset_reset="earliest", **arguments)) as consumer:
            if self._topic not in consumer.topics():
                return
            places = [
                TopicPartition(self._topic, number)
                for number in sorted(consumer.partitions_for_topic(self._topic) or ())
            ]
            consumer.assign(places)
            for place in places:
                if place.partition in self._upto:
                    consumer.seek(place, self._upto[place.partition])
            while not self._stopping.is_set():
                for place, records in consumer.poll(timeout_ms=500).items():
                    for record in records:
                        self._take(place.partition, record.offset, record.value or b"")

    def _take(self, partition: int, offset: int, value: bytes) -> None:
        self._upto[partition] = offset + 1
        try:
            decision = from_json(value)
        except DecisionError as error:
            _log.error("%s/%d/%d: is no decision: %s", self._topic, partition, offset, error)
            return
        if decision["kind"] == DecisionKind.CASE:
            one: Case | Exempted = Case(offset, decision["finding"], decision["time"])
        else:
            one = Exempted(offset, Allowed.of(decision))
        with self._guard:
            _keep(self._found, partition, one)
            if isinstance(one, Exempted):
                _keep(self._exempted, partition, one)


def _since(known: Mapping[int, list[_D]], taken: Mapping[int, int], most: int) -> tuple[list[_D], dict[int, int]]:
    found: list[_D] = []
    upto = dict(taken)
    for partition, decided in sorted(known.items()):
        start = bisect.bisect_left(decided, taken.get(partition, 0), key=lambda one: one.offset)
        new = decided[start : start + most - len(found)]
        if new:
            found += new
            upto[partition] = new[-1].offset + 1
    return found, upto


def _keep(known: dict[int, list[_D]], partition: int, one: _D) -> None:
    decided = known.setdefault(partition, [])
    decided.append(one)
    del decided[:-_MOST]
