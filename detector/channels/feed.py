"""The topic of notices as one channel reads it: a consumer group of its own, offsets committed after delivery.

The group's offset is all that is remembered of a channel, so a notice is delivered at least once: again after a crash between
delivery and commit, or when its partition moves to another process.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from detector.channels.courier import Arrived
from service.producer import access
from service.settings import Kafka

_BOOTSTRAP_MS: Final = 10_000
_CALL_MS: Final = 10_000
_FETCH_BYTES: Final = 1 << 20
# How long the partitions of a process that was killed wait for another one.
_SESSION_MS: Final = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What is read, and as whom.

    Attributes:
        settings: How to reach Kafka.
        topic: Of the notices.
        group: The channel's consumer group.
        client_id: What Kafka knows us as.
        since_ms: From where a channel of which the group knows nothing begins, by Kafka's time.
        stuck_after_s: A reader that is behind and got nothing for so long is given up for a new one.
    """

    settings: Kafka
    topic: str
    group: str
    client_id: str
    since_ms: int
    stuck_after_s: float = 60.0


class StuckError(KafkaError):  # type: ignore[misc]
    """The client fetches nothing although there is something (kafka-python issue 3131)."""


class Feed:
    """One reader. All methods belong to one thread.

    Args:
        place: What is read.
        clock: Seconds, never back.

    Attributes:
        lost: Notices that Kafka had deleted before they were read.

    Raises:
        KafkaError: Nobody could be reached, or let us in.
        OSError: A file of the settings cannot be read.
    """

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = 0
        self._place = place
        self._clock = clock
        self._moved = False
        self._heard_s = clock()
        self._skipped: dict[int, int] = {}
        self._arguments = access(place.settings) | {
            "client_id": place.client_id,
            "bootstrap_timeout_ms": _BOOTSTRAP_MS,
            "allow_auto_create_topics": False,
            "reconnect_backoff_max_ms": 2_000,
            "fetch_max_bytes": _FETCH_BYTES,
            "max_partition_fetch_bytes": _FETCH_BYTES,
            "metrics_enabled": False,
        }
        self._consumer = KafkaConsumer(
            group_id=place.group,
            enable_auto_commit=False,
            session_timeout_ms=_SESSION_MS,
            auto_offset_reset="none",  # never a jump that nobody hears of
            **self._arguments,
        )
        self._consumer.subscribe([place.topic], listener=_Listener(self))

    def poll(self, timeout_s: float, most: int) -> list[Arrived]:
        """Read on, and keep our place in the group.

        Args:
            timeout_s: Most to wait.
            most: Records to return at most; 0: none, only keep the place.

        Raises:
            KafkaError: Something is wrong that a new reader may cure.
        """
        mine = self._consumer.assignment()
        if most:
            self._consumer.resume(*self._consumer.paused())
        else:
            self._consumer.pause(*mine)
            self._heard_s = self._clock()
        try:
            batches = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max(most, 1))
        except NoOffsetForPartitionError:
            self._begin()
            return []
        except OffsetOutOfRangeError as error:
            self._skip(error)
            return []
        found = [
            Arrived(place.partition, record.offset, record.timestamp, record.value or b"")
            for place, records in batches.items()
            for record in records
        ]
        if found:
            self._heard_s = self._clock()
        elif self._clock() - self._heard_s > self._place.stuck_after_s:
            self._look()
        return found

    def moved(self) -> bool:
        """Whether partitions came or went since this was last asked; then reading begins again where the group stands.

        kafka-python keeps the place of a partition that stays ours, and what was read from there may be dropped by now.

        Raises:
            KafkaError: It cannot be found out where that is.
        """
        if not self._moved:
            return False
        self._moved = False
        for place in self._consumer.assignment():
            offset = self._consumer.committed(place, timeout_ms=_CALL_MS)
            if offset is None:
                self._begin()
            else:
                self._consumer.seek(place, offset)
        return True

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Say from where to go on, by partition.

        Raises:
            KafkaError: Kafka did not take it: then some notices are delivered again.
        """
        mine = self._consumer.assignment()
        places = {TopicPartition(self._place.topic, number): offset for number, offset in offsets.items()}
        given = {place: OffsetAndMetadata(offset, "", -1) for place, offset in places.items() if place in mine}
        if given:
            self._consumer.commit(given, timeout_ms=_CALL_MS)

    def history(self) -> Iterator[bytes]:
        """All there is of our partitions from the oldest on up to where we read on.

        Raises:
            KafkaError: It cannot be read.
        """
        ends = {place: self._consumer.position(place, timeout_ms=_CALL_MS) for place in self._consumer.assignment()}
        with contextlib.closing(
            KafkaConsumer(group_id=None, auto_offset_reset="earliest", **self._arguments)
        ) as reader:
            places = sorted(ends)
            reader.assign(places)
            starts = reader.beginning_offsets(places, timeout_ms=_CALL_MS)
            open_places = {place for place in places if starts[place] < (ends[place] or 0)}
            reader.pause(*(set(places) - open_places))
            while open_places:
                for place, records in reader.poll(timeout_ms=500).items():
                    yield from (record.value or b"" for record in records if record.offset < ends[place])
                finished = {
                    place for place in open_places if reader.position(place, timeout_ms=_CALL_MS) >= ends[place]
                }
                reader.pause(*finished)
                open_places -= finished

    def lag(self) -> int | None:
        """Notices that are there and were not read yet; None: not known now."""
        try:
            mine = list(self._consumer.assignment())
            ends = self._consumer.end_offsets(mine, timeout_ms=_CALL_MS)
            here = {place: self._consumer.position(place, timeout_ms=_CALL_MS) or 0 for place in mine}
            return sum(max(0, int(ends[place]) - int(here[place])) for place in mine)
        except KafkaError:
            return None

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False, timeout_ms=5_000)

    def _begin(self) -> None:
        """Where the group has no offset: a new channel tells what comes since it began; a new partition is told whole."""
        topic, consumer = self._place.topic, self._consumer
        every = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        known = {place: consumer.committed(place, timeout_ms=_CALL_MS) for place in every}
        new = [place for place in consumer.assignment() if known.get(place) is None]
        first_time = all(offset is None for offset in known.values())
        begins = self._since(new) if first_time else consumer.beginning_offsets(new, timeout_ms=_CALL_MS)
        for place, offset in begins.items():
            consumer.seek(place, offset)
            consumer.commit({place: OffsetAndMetadata(offset, "", -1)}, timeout_ms=_CALL_MS)
            said = "what comes from now on" if first_time else "all there is"
            _log.warning("%s: begins in partition %d of %s with %s", self._place.group, place.partition, topic, said)

    def _since(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """By partition, the first offset since this channel began; asked in this order, so that none is stepped over."""
        ends = self._consumer.end_offsets(places, timeout_ms=_CALL_MS)
        moment = self._place.since_ms
        found = self._consumer.offsets_for_times(dict.fromkeys(places, moment), timeout_ms=_CALL_MS)
        return {place: found[place].offset if found.get(place) else ends[place] for place in places}

    def _skip(self, error: OffsetOutOfRangeError) -> None:
        """Kafka deleted what we were to read next: go on from the oldest there is, and say so."""
        for place, offset in error.args[0].items():
            start = self._consumer.beginning_offsets([place], timeout_ms=_CALL_MS)[place]
            self._consumer.seek(place, start)
            self._consumer.commit({place: OffsetAndMetadata(start, "", -1)}, timeout_ms=_CALL_MS)
            gone = max(0, start - max(offset, self._skipped.get(place.partition, 0)))
            self._skipped[place.partition] = start  # what Kafka says of our commit may lag behind it
            self.lost += gone
            if gone:
                _log.error(
                    "%s: %d notices of partition %d were deleted before this channel was told them (offsets %d to %d): "
                    "look at the findings of that time, and raise retention.ms of %s",
                    self._place.group, gone, place.partition, offset, start, place.topic,
                )  # fmt: skip

    def _look(self) -> None:
        """Nothing came for long: see whether there is something."""
        self._heard_s = self._clock()
        if self.lag():
            raise StuckError(f"{self._place.group}: reads nothing although there is something")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only takes notes: kafka-python allows no call that waits in here."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def on_partitions_revoked(self, revoked: object) -> None:
        self._feed._moved = True

    def on_partitions_assigned(self, assigned: object) -> None:
        self._feed._moved = True
