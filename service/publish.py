"""Sealed records to Kafka: each at least once, per partition in order, and none stepped over.

kafka-python's producer has no back-pressure, dies for good at the first batch that is refused, and can leave a future
undone for ever. So records wait here, in a queue bounded by bytes, until they are acknowledged; a producer that failed or
fell silent is replaced, and what it did not get acknowledged is sent again, the same bytes in the same order.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Final

from kafka.errors import KafkaError

from contract.sealed import Record
from service import trouble
from service.producer import Attempt, Client, Producer
from service.settings import Kafka

# What kafka-python holds at a time: it copies what it is given, and what it holds is sent twice if it fails.
WINDOW_BYTES: Final = 8 << 20
# What a record costs besides its bytes: a future, an entry, its headers.
OVERHEAD_BYTES: Final = 2048

_PATIENCE_S: Final = 5.0  # without an acknowledgement, before anything is said about it
_HOPE_S: Final = 2.0  # in an attempt to connect, that after a vague complaint a clear one comes
_FIRST_RETRY_S: Final = 0.25
_LAST_RETRY_S: Final = 30.0


class _Entry:
    """A record on its way."""

    __slots__ = ("acknowledged", "cost", "record", "since")

    def __init__(self, record: Record, since: float) -> None:
        self.record = record
        self.since = since
        self.cost = record.size_bytes + OVERHEAD_BYTES
        self.acknowledged = False


class Publisher:
    """Sends records and says which arrived. All methods belong to one thread, and none but `poll` and `close` waits.

    Attributes:
        rebuilds: Producers that were given up for a new one.
    """

    def __init__(
        self,
        settings: Kafka,
        topics: Iterable[str],
        *,
        client_id: str = "sekimori",
        stuck_after_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Begin to connect; `poll` goes on with it.

        Args:
            settings: Whom to send to, and how.
            topics: All that records may go to. Nothing is sent until Kafka knows each of them.
            client_id: What Kafka knows us as, in its logs and quotas.
            stuck_after_s: A producer from which nothing came for so long, although it has something to send, is replaced.
            clock: Seconds, never back.
            now_ms: UTC milliseconds. Kafka's time of a record is never later than this, as Kafka refuses times over an hour
                ahead: what was sealed under a wrong clock can go out once the clock is right.
        """
        self.rebuilds = 0
        self._settings = settings
        self._topics = tuple(dict.fromkeys(topics))
        self._stuck_after_s = stuck_after_s
        self._clock = clock
        self._now_ms = now_ms
        self._client_id = client_id
        # Names of threads tell whose lines those of kafka-python are, also while an old publisher is still ending.
        self._threads = f"{client_id} {secrets.token_hex(4)}"
        self._listener = trouble.Listener(settings, self._threads)
        self._limit = settings.in_flight_mib << 20
        self._queue: deque[_Entry] = deque()  # all that is not known to have arrived, nor all before it
        self._waiting: deque[_Entry] = deque()  # those of them that the producer does not have, in the same order
        self._bytes = self._given_bytes = 0
        self._outcomes: SimpleQueue[tuple[Producer | None, _Entry | None, BaseException | None]] = SimpleQueue()
        self._producer: Producer | None = None
        self._partitions: dict[str, int] = {}
        self._problem: str | None = None  # why we are not connected, where kafka-python's log does not say it
        self._refusal: tuple[_Entry, str] | None = None
        self._backoff_s = _FIRST_RETRY_S
        self._retry_at = self._progress_at = clock()
        self._attempt: Attempt | None = None
        self._attempt_at = clock()
        self._connect()

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, as of the last connection; None before the first.

        Raises:
            KeyError: The topic was not named at the start.
        """
        if topic not in self._topics:
            raise KeyError(topic)
        return self._partitions.get(topic)

    def room(self) -> int:
        """Bytes that `send` would still take, 0 or more; beyond that, read no more until `poll` has made room."""
        return max(0, self._limit - self._bytes)

    @property
    def in_flight_bytes(self) -> int:
        """Bytes given to `send` and not yet returned by `poll`, overhead included."""
        return self._bytes

    @property
    def oldest_age_s(self) -> float:
        """Seconds since the oldest record that `poll` has not returned was given to `send`; 0 if there is none."""
        return self._clock() - self._queue[0].since if self._queue else 0.0

    @property
    def trouble(self) -> str | None:
        """What keeps records from arriving and what to do about it, in one line; None while all is well."""
        if self._refusal is not None:
            return self._refusal[1]
        if self._producer is None:
            return self._problem or self._listener.cause(at_once=self._clock() - self._attempt_at > _HOPE_S)
        if self._given_bytes and self._clock() - self._progress_at > _PATIENCE_S:
            return self._listener.cause(at_once=True) or trouble.whose(self._settings, "does not answer: is it well?")
        return None

    def send(self, record: Record) -> None:
        """Take a record, to be sent until it arrives. Records of one partition arrive in the order in which they came here.

        `room` is advice, so that the last records of a tick, and heartbeats, always find a place.
        """
        if record.topic not in self._topics:
            raise KeyError(record.topic)
        entry = _Entry(record, self._clock())
        self._queue.append(entry)
        self._waiting.append(entry)
        self._bytes += entry.cost
        self._push()

    def poll(self, timeout_s: float = 0.0) -> list[Record]:
        """Go on with everything, and wait for news.

        Args:
            timeout_s: Most to wait; returns as soon as there is a record to return.

        Returns:
            Records that arrived and were not returned before, in the order of `send`, without a hole: every record sent
            before them was returned as well.
        """
        deadline = self._clock() + timeout_s
        while True:
            self._step()
            arrived = self._take()
            left = deadline - self._clock()
            if arrived or left <= 0:
                return arrived
            self._hear(min(left, 0.2))

    def close(self, timeout_s: float = 0.0) -> list[Record]:
        """Wait for what is on its way, then end; what did not arrive by then is given up.

        Returns:
            As `poll`.
        """
        deadline = self._clock() + timeout_s
        arrived: list[Record] = self.poll()
        while self._queue and (left := deadline - self._clock()) > 0:
            arrived += self.poll(left)
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
        if self._producer is not None:
            self._producer.end(wait_s=2.0)
            self._producer = None
        self._listener.close()
        return arrived

    def _connect(self) -> None:
        self._listener.next_attempt()
        self._attempt_at = self._clock()
        client = Client(self._settings, self._client_id, self._threads)
        self._attempt = Attempt(client, self._topics, lambda: self._outcomes.put((None, None, None)))

    def _step(self) -> None:
        """One turn: hear what came, connect if we are not, hand over what fits, and give up who fell silent."""
        self._hear(0)
        if self._attempt is not None and self._attempt.done:
            self._welcome(self._attempt)
        now = self._clock()
        if self._producer is None:
            if self._attempt is None and now >= self._retry_at:
                self._connect()
            return
        self._push()
        if self._given_bytes and now - self._progress_at > self._stuck_after_s:
            self._lose()

    def _welcome(self, attempt: Attempt) -> None:
        """Take what an attempt to connect brought: a producer, or the reason why there is none."""
        self._attempt = None
        self._problem = attempt.problem
        if attempt.producer is None:
            self._refusal = None  # Kafka may think better of it: we will hear
            self._postpone()
            return
        self._producer = attempt.producer
        self._partitions = attempt.partitions
        self._listener.forget()
        self._progress_at = self._clock()
        self._waiting = deque(entry for entry in self._queue if not entry.acknowledged)
        self._given_bytes = 0

    def _postpone(self) -> None:
        self._retry_at = self._clock() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, _LAST_RETRY_S)

    def _push(self) -> None:
        """Hand over as much of what waits as fits into the window, in order."""
        while self._producer is not None and self._waiting and self._given_bytes < WINDOW_BYTES:
            entry, producer = self._waiting[0], self._producer
            if not self._given_bytes:
                self._progress_at = self._clock()  # it had nothing to do before
            try:
                producer.send(entry.record, self._now_ms(), self._report(producer, entry))
            except (KafkaError, ValueError) as error:
                self._hear(0)  # if it ended for the sake of an earlier record, that is what counts
                if producer is self._producer:
                    self._refuse(entry, error)
                return
            self._waiting.popleft()
            self._given_bytes += entry.cost

    def _report(self, producer: Producer, entry: _Entry) -> Callable[[BaseException | None], None]:
        return lambda error: self._outcomes.put((producer, entry, error))

    def _hear(self, timeout_s: float) -> None:
        """Take in what the sender's thread reports, waiting for the first report if there is time."""
        try:
            while True:
                producer, entry, error = self._outcomes.get(timeout_s > 0, timeout_s or None)
                timeout_s = 0
                if entry is None or producer is not self._producer:
                    continue  # only to wake us up; or of a producer that was given up: its records were sent again
                if error is not None:
                    self._refuse(entry, error)
                    continue
                entry.acknowledged = True
                self._given_bytes -= entry.cost
                self._progress_at = self._clock()
                self._listener.forget()
                if self._refusal is not None and self._refusal[0] is entry:
                    self._refusal = None
                if self._refusal is None:
                    self._backoff_s = _FIRST_RETRY_S
        except Empty:
            return

    def _refuse(self, entry: _Entry, error: BaseException) -> None:
        """Kafka will not have a record: say so until it has, and begin again with a new producer."""
        record = entry.record
        said = trouble.refusal(self._settings, record.topic, record.partition, record.size_bytes, error)
        self._refusal = entry, said
        self._lose()

    def _lose(self) -> None:
        """Give the producer up; the next one gets all that did not arrive, from the oldest on."""
        if self._producer is not None:
            self._producer.end()
            self._producer = None
        self._given_bytes = 0
        self.rebuilds += 1
        self._postpone()

    def _take(self) -> list[Record]:
        arrived = []
        while self._queue and self._queue[0].acknowledged:
            entry = self._queue.popleft()
            self._bytes -= entry.cost
            arrived.append(entry.record)
        return arrived
