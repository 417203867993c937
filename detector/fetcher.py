"""Records out of Kafka: of each partition from where its state ends.

The consumer belongs to no group, stands where it is put, and can be replaced at any time without anybody else noticing.
Which partitions are ours the group says (detector/member.py).
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError, OffsetOutOfRangeError

from detector.arrival import Arrived
from detector.config import Kafka
from detector.connection import Connection, made
from detector.place import Place

log = logging.getLogger(__name__)

# Whoever asks makes no turns meanwhile, and cannot be stopped.
_ASK_MS: Final = 2_000
# How often it is asked whether a partition from which nothing came has more.
_LOOK_S: Final = 5.0
# Who did not hear from Kafka for longer than this part of the time after which an agent counts as silent has not listened.
_BREAK: Final = 0.25
# A partition stands still for no longer than this between two looks at what came: who was busy elsewhere did not look.
_COUNTED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one partition.

    Attributes:
        records: In the order of their offsets, later than those taken before.
        next: Offset behind all that was looked at: later than the last record where Kafka keeps marks of its own there.
    """

    records: list[Arrived]
    next: int


@dataclass(slots=True)
class _Stand:
    """Where reading of one partition stands.

    Attributes:
        next: The first offset that was not taken.
        still_s: How long nothing came, though it was its turn.
        paused: Nothing is to come.
        end: Behind the last record in Kafka, as far as is known.
        lost: First offset that Kafka still has, where it deleted what was to be read next.
        heard_ms: When Kafka last said what there is, wall clock; −1 before it did.
        since_ms: Since when it has said so without a break, once all was taken; None while we read what was there before.
    """

    next: int
    still_s: float = 0.0
    paused: bool = False
    end: int | None = None
    lost: int | None = field(default=None)
    heard_ms: int = -1
    since_ms: int | None = None


class Fetcher(Connection):
    """Records of the partitions that it is told, each from where it is told."""

    def __init__(
        self,
        settings: Kafka,
        client_id: str,
        *,
        turn_records: int = 500,
        stuck_after_s: float = 60.0,
        patience_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        super().__init__(settings, client_id, clock)
        self._break_ms = int(patience_s * _BREAK * 1000)
        self._now_ms = now_ms
        self._turn_records = turn_records
        self._stuck_after_s = stuck_after_s
        self._stands: dict[Place, _Stand] = {}
        self._looked_at = self._polled_at = clock()
        self._stuck: str | None = None

    @property
    def places(self) -> frozenset[Place]:
        """What is read."""
        return frozenset(self._stands)

    def read(self, place: Place, start: int) -> None:
        """Read a partition from an offset on, also if it is read from elsewhere."""
        self._stands[place] = _Stand(start)
        self._arrange()

    def leave(self, place: Place) -> None:
        """Read a partition no longer."""
        if self._stands.pop(place, None) is not None:
            self._arrange()

    def pause(self, place: Place, paused: bool) -> None:
        """Fetch no more of a partition for now, or again."""
        stand = self._stands.get(place)
        if stand is None or stand.paused == paused:
            return
        stand.paused = paused
        stand.still_s = 0.0
        if self._consumer is not None:
            (self._consumer.pause if paused else self._consumer.resume)(TopicPartition(*place))

    def lost(self, place: Place) -> int | None:
        """First offset that Kafka still has, if what should be read next is gone; it is for the caller to go on there."""
        return self._stands[place].lost

    def lag(self, place: Place) -> int:
        """Records that are in Kafka and were not taken, as far as is known."""
        stand = self._stands[place]
        return max(0, (stand.end or 0) - stand.next)

    def at_end(self, place: Place) -> bool:
        """Whether all that was there when it was last looked is taken."""
        stand = self._stands[place]
        return stand.end is not None and stand.next >= stand.end

    def listened_s(self, place: Place) -> float:
        """For how long whoever spoke here would have been heard: not while Kafka was away, or this process asleep.

        Infinite while a backlog is read that was there at first: that Kafka was away then is not known.
        """
        stand, now_ms = self._stands[place], self._now_ms()
        if stand.since_ms is None:
            return math.inf
        return 0.0 if now_ms - stand.heard_ms > self._break_ms else (now_ms - stand.since_ms) / 1000

    def take(self, timeout_s: float) -> dict[Place, Taken]:
        """What came, by partition; waits so long for something to come."""
        consumer = self._connected()
        if consumer is None:
            time.sleep(min(timeout_s, 0.2))
            return {}
        _unpark(consumer)
        try:
            raw = consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=self._turn_records)
            taken = self._taken(consumer, raw)
            self._wait(consumer, taken, sum(map(len, raw.values())) >= self._turn_records)
            self._look(consumer)
        except OffsetOutOfRangeError as error:
            self._out_of_range(consumer, error)
            return {}
        except (KafkaError, OSError) as error:
            self._failed(error)
            return {}
        self._well()
        return taken

    def ends(self, places: Iterable[Place]) -> dict[Place, int] | None:
        """Offset behind the last record of each partition; None if Kafka does not say."""
        return self._ask(lambda consumer, wanted: consumer.end_offsets(wanted, timeout_ms=_ASK_MS), places)

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int] | None:
        """Offset of the first record that each partition still has; None if Kafka does not say."""
        return self._ask(lambda consumer, wanted: consumer.beginning_offsets(wanted, timeout_ms=_ASK_MS), places)

    def at_time(self, places: Iterable[Place], time_ms: int) -> dict[Place, int] | None:
        """Offset of the first record at or after a time, its end where there is none; None if Kafka does not say."""

        def found(consumer: KafkaConsumer, wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
            ends = consumer.end_offsets(wanted, timeout_ms=_ASK_MS)
            by_time = consumer.offsets_for_times(dict.fromkeys(wanted, time_ms), timeout_ms=_ASK_MS)
            return {place: ends[place] if by_time.get(place) is None else by_time[place].offset for place in wanted}

        return self._ask(found, places)

    def _ask(
        self, question: Callable[[KafkaConsumer, list[TopicPartition]], Any], places: Iterable[Place]
    ) -> dict[Place, int] | None:
        consumer = self._connected()
        if consumer is None:
            return None
        wanted = [TopicPartition(*place) for place in places]
        try:
            return {Place(*place): int(offset) for place, offset in question(consumer, wanted).items()}
        except (KafkaError, OSError) as error:
            self._failed(error)
            return None

    def _made(self) -> KafkaConsumer:
        kib = self._settings.fetch_kib
        consumer = made(
            **self._arguments(),
            group_id=None,
            auto_offset_reset="none",
            max_partition_fetch_bytes=kib << 10,
            fetch_max_bytes=4 * kib << 10,
            fetch_max_wait_ms=200,
            check_crcs=True,
        )
        self._arrange(consumer)
        return consumer

    def _arrange(self, consumer: KafkaConsumer | None = None) -> None:
        """Put the consumer where reading stands."""
        consumer = consumer or self._consumer
        if consumer is None:
            return
        places = [TopicPartition(*place) for place in sorted(self._stands)]
        if not places:
            consumer.unsubscribe()
            return
        consumer.assign(places)
        for place, stand in self._stands.items():
            consumer.seek(TopicPartition(*place), stand.next)
            # Whoever stays assigned stays paused.
            (consumer.pause if stand.paused else consumer.resume)(TopicPartition(*place))

    def _taken(self, consumer: KafkaConsumer, raw: Mapping[TopicPartition, list[Any]]) -> dict[Place, Taken]:
        taken = {}
        for place, stand in self._stands.items():
            there = TopicPartition(*place)
            records = [_arrived(record) for record in raw.get(there, ())]
            behind = max(records[-1].offset + 1 if records else 0, _position(consumer, there))
            if behind > stand.next:
                taken[place] = Taken(records, behind)
                stand.next, stand.still_s = behind, 0.0
            highwater = consumer.highwater(there)
            if highwater is not None:
                stand.end = max(highwater, stand.next)
            if records or stand.since_ms is None:
                self._heard(stand)
        return taken

    def _heard(self, stand: _Stand) -> None:
        now_ms = self._now_ms()
        if stand.since_ms is None:
            stand.since_ms = now_ms if stand.end is not None and stand.next >= stand.end else None
        elif now_ms - stand.heard_ms > self._break_ms:
            stand.since_ms = now_ms
        stand.heard_ms = now_ms

    def _wait(self, consumer: KafkaConsumer, taken: Mapping[Place, Taken], full: bool) -> None:
        """Count how long partitions stand still; those that wait for others to be given out, since it was enough for once, do not."""
        now = self._clock()
        passed, self._polled_at = min(now - self._polled_at, _COUNTED_S), now
        waiting = _waiting(consumer) if full else frozenset()
        if waiting is None:
            return
        for place, stand in self._stands.items():
            if not stand.paused and place not in taken and TopicPartition(*place) not in waiting:
                stand.still_s += passed

    def _look(self, consumer: KafkaConsumer) -> None:
        """Now and then: is there more of a partition from which nothing comes (kafka-python #3131)?"""
        now = self._clock()
        quiet = [place for place, stand in self._stands.items() if not stand.paused and stand.still_s > _LOOK_S]
        if not quiet or now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        ends = consumer.end_offsets([TopicPartition(*place) for place in quiet], timeout_ms=_ASK_MS)
        for place in quiet:
            stand = self._stands[place]
            stand.end = int(ends[TopicPartition(*place)])
            self._heard(stand)
            if stand.end <= stand.next:
                stand.still_s = _LOOK_S  # there is nothing: it is not stuck
            elif stand.still_s > self._stuck_after_s:
                log.warning("%s: nothing came for %.0f s although there is more: reading anew", place, stand.still_s)
                for other in self._stands.values():
                    other.still_s = 0.0
                self._drop()
                return

    def _out_of_range(self, consumer: KafkaConsumer, error: OffsetOutOfRangeError) -> None:
        places = [Place(*place) for place in error.args[0]]
        first = self.beginnings(places)
        for place in places:
            stand = self._stands.get(place)
            if stand is not None and first is not None:
                stand.lost = first[place]
                stand.paused = True
                consumer.pause(TopicPartition(*place))


def _unpark(consumer: KafkaConsumer) -> None:
    """Let it give out again what it had of partitions that were paused.

    It looks for that only where it has nothing at hand at all, and counts what is used up as something (3.0.12): a partition that
    was paused while another one was read to its end would stand still for ever.
    """
    fetcher = consumer._fetcher
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None


def _waiting(consumer: KafkaConsumer) -> frozenset[TopicPartition] | None:
    """Partitions whose records are here and are given out later; None for all: as long as whole answers wait, Kafka is asked nothing."""
    fetcher = consumer._fetcher
    if fetcher._completed_fetches:
        return None
    current = fetcher._next_partition_records
    return frozenset([*fetcher._paused_partition_records, *([current.topic_partition] if current is not None else [])])


def _position(consumer: KafkaConsumer, place: TopicPartition) -> int:
    """Where the consumer stands, without asking Kafka; 0 if it does not know."""
    position = consumer._subscription.assignment[place].position
    return 0 if position is None else int(position.offset)


def _arrived(record: Any) -> Arrived:
    headers = tuple((name, value or b"") for name, value in record.headers)
    return Arrived(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value or b"", headers
    )
