"""One partition of the state topic: read from any offset to any other, written record by record, by one thread.

What is odd about kafka-python 3.0.12 is kept in here, and in `service.producer`.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from service.producer import access
from service.settings import Kafka

_ATTEMPT_S: Final = 5.0
_REQUEST_BYTES: Final = 4 << 20


class Found(NamedTuple):
    """A record as it lies in the partition."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class StatePartition:
    """A partition, and our connections to it, made when they are needed. All methods belong to one thread.

    Attributes:
        topic, number: Which.
    """

    def __init__(self, settings: Kafka, topic: str, number: int, client_id: str, clock: Callable[[], float]) -> None:
        """Connect to nothing yet.

        Args:
            settings: Whom to connect to.
            topic, number: Which partition.
            client_id: What Kafka knows us as.
            clock: Seconds, never back; deadlines are moments of it.
        """
        self.topic, self.number = topic, number
        self._settings, self._client_id, self._clock = settings, client_id, clock
        self._place = TopicPartition(topic, number)
        self._consumer: KafkaConsumer | None = None
        self._producer: KafkaProducer | None = None
        self._at = -1  # offset that the consumer would give next

    def left_s(self, deadline: float) -> float:
        """Seconds up to a deadline.

        Raises:
            KafkaTimeoutError: There are none.
        """
        left = deadline - self._clock()
        if left <= 0:
            raise KafkaTimeoutError
        return left

    def first(self, deadline: float) -> int:
        """Offset of the oldest record.

        Raises:
            KafkaError, OSError: As every method here, when Kafka does not answer, or refuses.
        """
        return int(self._reader().beginning_offsets([self._place], timeout_ms=self._left_ms(deadline))[self._place])

    def count(self) -> int:
        """How many partitions the topic has."""
        return len(self._reader().partitions_for_topic(self.topic) or ())

    def end(self, deadline: float) -> int:
        """Offset of the record that will be written next."""
        return int(self._reader().end_offsets([self._place], timeout_ms=self._left_ms(deadline))[self._place])

    def records(self, first: int, upto: int, patience_s: float) -> Iterator[Found]:
        """All records from `first` on and before `upto`, in their order.

        Args:
            first, upto: Which.
            patience_s: How long to wait for the next ones; a long log may take longer as long as it comes.

        Raises:
            OffsetOutOfRangeError: Records from `first` on were deleted.
        """
        consumer = self._reader()
        if self._at != first and first < upto:
            consumer.seek(self._place, first)
        at, deadline = first, self._clock() + patience_s
        while at < upto:
            # Not known until all that was polled was given out: the caller may stop before.
            self._at = -1
            polled = consumer.poll(timeout_ms=min(500, self._left_ms(deadline))).get(self._place, ())
            for record in polled:
                if record.offset < upto:
                    yield Found(record.offset, record.timestamp, record.key, record.value)
            deadline = self._clock() + patience_s if polled else deadline
            # Marks of transactions hold offsets and are not given out.
            at = polled[-1].offset + 1 if polled else max(at, consumer.position(self._place, timeout_ms=1000) or 0)
            self._at = at

    def write(self, key: str, value: bytes, deadline: float) -> Found:
        """Write a record once. If this fails, the record may have been written, or be so later."""
        left_s = min(_ATTEMPT_S, self.left_s(deadline))
        try:
            if self._producer is None:
                self._producer = self._writer()
            sent = self._producer.send(self.topic, key=key.encode(), value=value, partition=self.number)
            told = sent.get(timeout=left_s)
            return Found(told.offset, told.timestamp, key.encode(), value)
        except KafkaError:
            self.drop()
            raise

    def drop(self) -> None:
        """Let what was not written be sent no more."""
        if self._producer is not None:
            self._producer._sender.force_close()
            threading.Thread(target=_bury, args=(self._producer,), name="state-end", daemon=True).start()
            self._producer = None

    def delete_before(self, offset: int) -> None:
        """Delete all records before an offset."""
        admin = KafkaAdminClient(**access(self._settings), client_id=self._client_id, **_patience())
        with contextlib.closing(admin):
            admin.delete_records({self._place: offset}, timeout_ms=int(_ATTEMPT_S * 1000))

    def close(self) -> None:
        """Disconnect."""
        self.drop()
        if self._consumer is not None:
            with contextlib.suppress(KafkaError):
                self._consumer.close(autocommit=False, timeout_ms=2000)
            self._consumer = None

    def _left_ms(self, deadline: float) -> int:
        return max(1, int(self.left_s(deadline) * 1000))

    def _reader(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **access(self._settings),
                client_id=self._client_id,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **_patience(),
            )
            if self.number not in (self._consumer.partitions_for_topic(self.topic) or ()):
                self.close()
                raise UnknownTopicOrPartitionError
            self._consumer.assign([self._place])
            self._at = -1
        return self._consumer

    def _writer(self) -> KafkaProducer:
        producer = KafkaProducer(
            **access(self._settings),
            client_id=self._client_id,
            acks="all",
            # A state record that comes twice counts once, and an idempotent producer is dead after the first refusal.
            enable_idempotence=False,
            retries=0,
            max_in_flight_requests_per_connection=1,
            compression_type="zstd",
            max_request_size=_REQUEST_BYTES,
            max_block_ms=int(_ATTEMPT_S * 1000),
            metrics_enabled=False,
            **_patience(),
        )
        # As in `service.producer`: the option of this name does not reach the place where it is looked at, and at exit it
        # would wait for what is unfinished.
        producer._metadata.config["allow_auto_create_topics"] = False
        producer._unregister_cleanup()
        return producer


def _patience() -> dict[str, Any]:
    return {
        "bootstrap_timeout_ms": int(_ATTEMPT_S * 1000),
        "reconnect_backoff_max_ms": 2_000,  # by default it may wait 30 s before it looks whether a broker is back
    }


def _bury(producer: KafkaProducer) -> None:
    producer._sender.join(60)
    with contextlib.suppress(KafkaError):
        producer.close(timeout=0)
