"""Who of the group works on which partition, and how far the group is.

The group's member fetches nothing: it learns which partitions are ours, and its listener only writes that down, as
blocking calls are forbidden there. Records come by another consumer (detector/fetcher.py).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Final

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError
    from kafka.structs import OffsetAndMetadata

from detector.config import Kafka
from detector.connection import Connection, made
from detector.place import Place
from detector.sharing import ByTopic

log = logging.getLogger(__name__)

# A turn may work through again for long; who hangs longer loses the partitions.
_LONGEST_TURN_S: Final = 300.0
# kafka-python's `poll` gets nowhere without any time.
_POLL_S: Final = 0.2
_COMMIT_MS: Final = 2_000


class Member(Connection):
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
        missing: Iterable[str] = (),
    ) -> None:
        """Join.

        Args:
            settings: Whom to connect to; the group.
            topics: Whose partitions are to be shared.
            asked: Topics whose number of partitions is wanted.
            client_id: What Kafka knows us as.
            clock: Seconds, never back.
            missing: Of the topics, those that nobody waits for, as they may be made later.
        """
        super().__init__(settings, client_id, clock)
        self.assigned: frozenset[Place] = frozenset()
        self.generation = 0
        self.partitions: dict[str, int] = {}
        self._topics = sorted(topics)
        self._asked = sorted(asked)
        self._missing = frozenset(missing)
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
            except KafkaError as error:  # a rebalance, mostly
                log.debug("commit: %s", error)
                with self._guard:
                    self._reached = reached | self._reached

    def _count(self, consumer: KafkaConsumer) -> None:
        for topic in self._asked:
            if topic in self.partitions:
                continue
            # Of what may be missing only what is known anyway: else Kafka would be asked with every poll.
            known = consumer._cluster if topic in self._missing else consumer
            if found := known.partitions_for_topic(topic):
                self.partitions[topic] = len(found)

    def _made(self) -> KafkaConsumer:
        session_ms = self._settings.session_timeout_s * 1000
        consumer = made(
            **self._arguments(),
            group_id=self._settings.group,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 6),
            max_poll_interval_ms=int(_LONGEST_TURN_S * 1000),
            partition_assignment_strategy=(ByTopic,),
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
