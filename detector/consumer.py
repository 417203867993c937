"""Records out of Kafka: who of the group works on which partition, and the records of each from where its state ends.

Two consumers of kafka-python do this. One is the group's member and fetches nothing: it learns which partitions are ours,
and its listener only writes that down, as blocking calls are forbidden there. The other belongs to no group, stands where
it is put, and can be replaced at any time without anybody else noticing.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import secrets
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
    from kafka.errors import KafkaError, OffsetOutOfRangeError
    from kafka.structs import OffsetAndMetadata

from detector.arrival import Arrived
from detector.config import Kafka
from detector.place import Place
from service import trouble
from service.producer import access

log = logging.getLogger(__name__)

# Whoever asks makes no turns meanwhile, and cannot be stopped.
_BOOTSTRAP_MS: Final = 3_000
_ASK_MS: Final = 2_000
_FIRST_RETRY_S: Final = 0.5
_LAST_RETRY_S: Final = 15.0
# A turn may work through again for long; who hangs longer loses the partitions.
_LONGEST_TURN_S: Final = 300.0
# kafka-python's `poll` gets nowhere without any time.
_POLL_S: Final = 0.2
_COMMIT_MS: Final = 2_000
# How often it is asked whether a partition from which nothing came has more.
_LOOK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one partition.

    Attributes:
        records: In the order of their offsets, later than those taken before.
        next: Offset behind all that was looked at: later than the last record where Kafka keeps marks of its own there.
    """

    records: list[Arrived]
    next: int


class _Connection(ABC):
    """A consumer of kafka-python that is made again, ever more rarely, after it failed."""

    def __init__(self, settings: Kafka, client_id: str, clock: Callable[[], float]) -> None:
        self.rebuilds = 0
        self._settings = settings
        self._client_id = client_id
        self._clock = clock
        self._consumer: KafkaConsumer | None = None
        self._problem: str | None = None
        self._backoff_s = _FIRST_RETRY_S
        self._retry_at = clock()
        # The main thread makes the consumers; the thread in which kafka-python works is its own and is not told apart.
        self._listener = trouble.Listener(settings, "")

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming, in one line; None while all is well."""
        return self._problem

    def _connected(self) -> KafkaConsumer | None:
        if self._consumer is not None or self._clock() < self._retry_at:
            return self._consumer
        self._listener.next_attempt()
        problem = trouble.check_files(self._settings)
        if problem is not None:
            self._problem = problem
        else:
            try:
                self._consumer = self._made()
                return self._consumer
            except KafkaError as error:
                self._problem = self._listener.cause(at_once=True) or self._said(error)
            except (OSError, ValueError) as error:
                self._problem = trouble.whose(self._settings, f"cannot be connected to: {error}")
        self._postpone()
        return None

    @abstractmethod
    def _made(self) -> KafkaConsumer:
        """A new consumer, ready to be polled."""

    def _arguments(self) -> dict[str, Any]:
        return access(self._settings) | {
            "client_id": self._client_id,
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "bootstrap_timeout_ms": _BOOTSTRAP_MS,
            "reconnect_backoff_max_ms": 2_000,
            "metrics_enabled": False,
        }

    def _said(self, error: BaseException) -> str:
        return trouble.whose(self._settings, f"fails: {' '.join(str(error).split()) or type(error).__name__}")

    def _failed(self, error: BaseException) -> None:
        self._problem = self._listener.cause(at_once=True) or self._said(error)
        self._drop()

    def _well(self) -> None:
        self._problem = None
        self._backoff_s = _FIRST_RETRY_S

    def _drop(self) -> None:
        if self._consumer is not None:
            self.rebuilds += 1
            consumer, self._consumer = self._consumer, None
            with contextlib.suppress(KafkaError, OSError, RuntimeError):
                consumer.close(autocommit=False, timeout_ms=1_000)
            gc.collect()  # what failed holds sockets, in cycles
        self._postpone()

    def _postpone(self) -> None:
        self._retry_at = self._clock() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, _LAST_RETRY_S)

    def close(self, wait_s: float = 3.0) -> None:
        """End it; waits so long at most."""
        if self._consumer is not None:
            with contextlib.suppress(KafkaError, OSError, RuntimeError):
                self._consumer.close(autocommit=False, timeout_ms=int(wait_s * 1000))
            self._consumer = None
        self._listener.close()


class Member(_Connection):
    """A member of the group: which partitions are ours, and how far the group is, for the tools that show lag.

    It works in a thread of its own, so that a long turn costs us no partition; but only as long as turns are made.

    Attributes:
        assigned: Ours now. Read it after `generation`.
        generation: Grows with every assignment.
        partitions: How many partitions each topic has that was asked for, as far as is known.
    """

    def __init__(
        self,
        settings: Kafka,
        topics: Iterable[str],
        asked: Iterable[str],
        client_id: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join.

        Args:
            settings: Whom to connect to; the group.
            topics: Whose partitions are to be shared.
            asked: Topics whose number of partitions is wanted.
            client_id: What Kafka knows us as.
            clock: Seconds, never back.
        """
        super().__init__(settings, client_id, clock)
        self.assigned: frozenset[Place] = frozenset()
        self.generation = 0
        self.partitions: dict[str, int] = {}
        self._topics = sorted(topics)
        self._asked = sorted(asked)
        self._guard = threading.Lock()
        self._reached: dict[Place, int] = {}
        self._turned_at = clock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._stay, name=client_id, daemon=True)
        self._thread.start()

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Show how far the partitions are worked through, soon."""
        with self._guard:
            self._reached |= offsets

    def turned(self) -> None:
        """The main loop lives: who hangs must lose the partitions to others."""
        self._turned_at = self._clock()

    def close(self, wait_s: float = 4.0) -> None:
        """Leave the group, after what was to be committed; waits so long at most."""
        self._end.set()
        self._thread.join(wait_s)
        self._listener.close()

    def _stay(self) -> None:
        while not self._end.is_set():
            if self._clock() - self._turned_at > _LONGEST_TURN_S:
                time.sleep(_POLL_S)  # kafka-python leaves the group by itself
                continue
            self._poll()
        self._poll()
        if self._consumer is not None:
            with contextlib.suppress(KafkaError, OSError, RuntimeError):
                self._consumer.close(autocommit=False, timeout_ms=2_000)

    def _poll(self) -> None:
        consumer = self._connected()
        if consumer is None:
            self._end.wait(_POLL_S)
            return
        try:
            consumer.poll(timeout_ms=int(_POLL_S * 1000))
            coordinator = consumer._coordinator
            if coordinator.rejoining and not coordinator.need_rejoin():
                # Its poll ran out of time in the middle of a join that new metadata had asked for, and never asks again.
                coordinator.request_rejoin()
            self._commit(consumer)
            self._count(consumer)
            self._well()
        except (KafkaError, OSError) as error:
            self._failed(error)

    def _commit(self, consumer: KafkaConsumer) -> None:
        with self._guard:
            reached, self._reached = self._reached, {}
        whole = {
            TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in reached.items()
            if place in self.assigned
        }
        if whole:
            try:
                consumer.commit(whole, timeout_ms=_COMMIT_MS)
            except KafkaError as error:  # a rebalance, mostly; the next one says the same
                log.debug("commit: %s", error)

    def _count(self, consumer: KafkaConsumer) -> None:
        for topic in self._asked:
            if topic not in self.partitions and (found := consumer.partitions_for_topic(topic)):
                self.partitions[topic] = len(found)

    def _made(self) -> KafkaConsumer:
        session_ms = self._settings.session_timeout_s * 1000
        consumer = KafkaConsumer(
            **self._arguments(),
            group_id=self._settings.group,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 6),
            max_poll_interval_ms=int(_LONGEST_TURN_S * 1000),
            partition_assignment_strategy=(StickyPartitionAssignor,),
            metadata_max_age_ms=30_000,
        )
        for topic in self._topics:
            consumer.partitions_for_topic(topic)  # else the first to join shares out nothing
        consumer.subscribe(self._topics, listener=_Assignment(self, consumer))
        return consumer

    def _hear(self, places: Iterable[TopicPartition]) -> None:
        self.assigned = frozenset(Place(*place) for place in places)
        self.generation += 1


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Writes down what is ours. The member itself is to fetch nothing: everything is paused where nothing is."""

    def __init__(self, member: Member, consumer: KafkaConsumer) -> None:
        self._member = member
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """What was ours stays ours until others claim it in the state log: nothing to do."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take the new list."""
        places = list(self._consumer.assignment())
        for place in places:
            self._consumer.seek(place, 0)  # no position is asked for that nobody needs
        self._consumer.pause(*places)
        self._member._hear(places)


@dataclass(slots=True)
class _Stand:
    """Where reading of one partition stands."""

    next: int
    moved_at: float
    paused: bool = False
    end: int | None = None
    lost: int | None = field(default=None)


class Fetcher(_Connection):
    """Records of the partitions that it is told, each from where it is told."""

    def __init__(
        self,
        settings: Kafka,
        client_id: str,
        *,
        turn_records: int = 500,
        stuck_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings, client_id, clock)
        self._turn_records = turn_records
        self._stuck_after_s = stuck_after_s
        self._stands: dict[Place, _Stand] = {}
        self._looked_at = clock()
        self._stuck: str | None = None

    @property
    def places(self) -> frozenset[Place]:
        """What is read."""
        return frozenset(self._stands)

    def read(self, place: Place, start: int) -> None:
        """Read a partition from an offset on, also if it is read from elsewhere."""
        self._stands[place] = _Stand(start, self._clock())
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
        stand.moved_at = self._clock()
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
        consumer = KafkaConsumer(
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
        now = self._clock()
        taken = {}
        for place, stand in self._stands.items():
            there = TopicPartition(*place)
            records = [_arrived(record) for record in raw.get(there, ())]
            behind = max(records[-1].offset + 1 if records else 0, _position(consumer, there))
            if behind > stand.next:
                taken[place] = Taken(records, behind)
                stand.next, stand.moved_at = behind, now
            highwater = consumer.highwater(there)
            if highwater is not None:
                stand.end = max(highwater, stand.next)
        return taken

    def _look(self, consumer: KafkaConsumer) -> None:
        """Now and then: is there more of a partition from which nothing comes (kafka-python #3131)?"""
        now = self._clock()
        quiet = [place for place, stand in self._stands.items() if not stand.paused and now - stand.moved_at > _LOOK_S]
        if not quiet or now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        ends = consumer.end_offsets([TopicPartition(*place) for place in quiet], timeout_ms=_ASK_MS)
        for place in quiet:
            stand = self._stands[place]
            stand.end = int(ends[TopicPartition(*place)])
            if stand.end <= stand.next:
                stand.moved_at = now - _LOOK_S  # there is nothing: it is not stuck
            elif now - stand.moved_at > self._stuck_after_s:
                log.warning(
                    "%s: nothing came for %.0f s although there is more: reading anew", place, now - stand.moved_at
                )
                stand.moved_at = now
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


def _position(consumer: KafkaConsumer, place: TopicPartition) -> int:
    """Where the consumer stands, without asking Kafka; 0 if it does not know."""
    position = consumer._subscription.assignment[place].position
    return 0 if position is None else int(position.offset)


def _arrived(record: Any) -> Arrived:
    headers = tuple((name, value or b"") for name, value in record.headers)
    return Arrived(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value or b"", headers
    )


def client_id(detector: str, part: str) -> str:
    """What Kafka knows one of our connections as; two processes of one name are told apart."""
    return f"sekimori-{detector}-{part}-{secrets.token_hex(3)}"
