"""One producer of kafka-python, from the attempt to connect to its end, which may come at any moment.

What is odd about kafka-python 3.0.12 is kept in here.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaProducer
    from kafka.errors import KafkaError
    from kafka.record import default_records
from zstandard import ZstdCompressionParameters, ZstdCompressor

from contract.sealed import Record
from service import trouble
from service.settings import Kafka

_BOOTSTRAP_MS: Final = 10_000
# How long a call that needs the list of partitions may wait. They are known before the first record, so only a topic
# that was deleted meanwhile costs this.
_METADATA_MS: Final = 2_000
# A batch that is given up after it was once sent leaves the idempotent producer hanging, with its futures undone for ever:
# so none ever is. Ages are watched from outside.
_NEVER_MS: Final = 2**31 - 1
_REQUEST_BYTES: Final = 8 << 20
# Log lines repeat what stood a few lines before: looking only there, and only for long matches, takes 0.47 CPU seconds per
# million events and leaves a ninth. zstd's level 3 takes 0.79 and leaves a little more.
_COMPRESSION: Final = ZstdCompressionParameters.from_level(1, window_log=17, hash_log=13, min_match=7)


def _compressed(batch: bytes) -> bytes:
    return ZstdCompressor(compression_params=_COMPRESSION).compress(batch)


# kafka-python has no option for the level.
default_records.zstd_encode = _compressed


@dataclass(frozen=True, slots=True)
class Client:
    """Who connects to whom.

    Attributes:
        settings: Whom to connect to.
        id: What Kafka knows us as.
        threads: What the names of our threads begin with.
    """

    settings: Kafka
    id: str
    threads: str


class Producer:
    """An idempotent producer whose futures are reported one by one."""

    def __init__(self, client: Client) -> None:
        """Connect; takes up to 10 s.

        Raises:
            KafkaError: Nobody could be reached, or let us in.
            OSError: A file of the settings cannot be read.
            ValueError: The settings contradict each other.
        """
        self._threads = client.threads
        self._producer = KafkaProducer(**_arguments(client.settings, client.id))
        # The option of this name does not reach the place where it is looked at, and by default a broker makes any topic
        # that is asked for: a misspelt one would swallow everything.
        self._producer._metadata.config["allow_auto_create_topics"] = False
        # At exit it would wait for unfinished batches, then raise. Whoever made it ends it.
        self._producer._unregister_cleanup()
        self._producer._sender.name = f"{client.threads}-send"

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic.

        Raises:
            KafkaError: There is no such topic, or we may not know.
        """
        return len(self._producer.partitions_for(topic))

    def send(self, record: Record, now_ms: int, report: Callable[[BaseException | None], None]) -> None:
        """Hand over a record.

        Args:
            record: What to send.
            now_ms: Kafka's time of the record is not later than this.
            report: Is called once, in the sender's thread, with None when the record has arrived, else with the error.

        Raises:
            KafkaError, ValueError: It cannot be sent at all.
        """
        self._producer.send(
            record.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
            partition=record.partition,
            timestamp_ms=min(record.timestamp_ms, now_ms),
        ).add_callback(lambda _: report(None)).add_errback(lambda error: self._failed(error, report))

    def _failed(self, error: BaseException, report: Callable[[BaseException | None], None]) -> None:
        # This is the sender's thread. If it went on, later records of the partition could arrive before the one that
        # failed is sent again; so it ends before it takes the next batch.
        report(error)
        self._force()

    def end(self, wait_s: float = 0.0) -> None:
        """End without sending anything more; futures that are not done are reported as failed.

        Args:
            wait_s: Most to wait for the sender's thread; it ends soon also if nobody waits.
        """
        self._force()
        burial = threading.Thread(target=self._bury, name=f"{self._threads}-end", daemon=True)
        burial.start()
        burial.join(wait_s)

    def _force(self) -> None:
        # `close` is no way to end a producer with unfinished batches: it waits for each of them first, then raises and
        # leaves the thread running.
        self._producer._sender.force_close()

    def _bury(self) -> None:
        self._producer._sender.join(60)
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=0)  # else it does so when nobody refers to it any more, and waits


class Attempt:
    """One attempt to connect, in a thread of its own, so that nobody waits for it.

    Attributes:
        producer: What came of it, once it is `done`; None if nothing did.
        partitions: Number of partitions by topic, if it succeeded.
        problem: Why it failed, if more is known than kafka-python's log says.
        thread: In which it runs.
    """

    def __init__(self, client: Client, topics: Sequence[str], wake: Callable[[], None]) -> None:
        """Begin.

        Args:
            client: Who connects to whom.
            topics: What must be there.
            wake: Called when it is done, in the thread.
        """
        self.producer: Producer | None = None
        self.partitions: dict[str, int] = {}
        self.problem: str | None = None
        self._client = client
        self._topics = topics
        self._wake = wake
        self._abandoned = self._ended = False
        self._guard = threading.Lock()
        self.thread = threading.Thread(target=self._run, name=f"{client.threads}-connect", daemon=True)
        self.thread.start()

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self._ended

    def abandon(self) -> None:
        """Nobody wants the result any more."""
        with self._guard:
            self._abandoned = True
            if self.producer is not None:
                self.producer.end(wait_s=2.0)

    def _run(self) -> None:
        try:
            producer = self._connected()
            if producer is not None and not (self._known(producer) and self._handed_over(producer)):
                producer.end()
        finally:
            self._ended = True
            self._wake()

    def _handed_over(self, producer: Producer) -> bool:
        with self._guard:
            self.producer = None if self._abandoned else producer
            return not self._abandoned

    def _connected(self) -> Producer | None:
        self.problem = trouble.check_files(self._client.settings)
        if self.problem is not None:
            return None
        try:
            return Producer(self._client)
        except KafkaError:
            pass  # its log knows why
        except (OSError, ValueError) as error:
            self.problem = trouble.whose(self._client.settings, f"cannot be connected to: {error}")
        gc.collect()  # what failed to connect holds sockets, in cycles
        return None

    def _known(self, producer: Producer) -> bool:
        for topic in self._topics:
            try:
                self.partitions[topic] = producer.partitions(topic)
            except KafkaError as error:
                self.problem = trouble.refusal(self._client.settings, topic, 0, 0, error)
                return False
        return True


def _arguments(settings: Kafka, client_id: str) -> dict[str, Any]:
    batch = settings.batch_kib << 10
    return access(settings) | {
        "client_id": client_id,
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "zstd",
        "batch_size": batch,
        "linger_ms": 20,
        "max_request_size": max(_REQUEST_BYTES, 2 * batch),
        "delivery_timeout_ms": _NEVER_MS,
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
        "max_block_ms": _METADATA_MS,
        # By default it may wait 30 s before it looks whether a broker is back.
        "reconnect_backoff_max_ms": 2_000,
        "metrics_enabled": False,
    }


def access(settings: Kafka) -> dict[str, Any]:
    """Arguments of kafka-python for reaching the servers and being let in, the same for producers and consumers.

    Raises:
        OSError: The file of the password cannot be read.
    """
    given: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    for option in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        if (path := getattr(settings, option)) is not None:
            given[option] = str(path)
    if settings.sasl_mechanism is not None and settings.sasl_password_file is not None:
        password = settings.sasl_password_file.read_text(encoding="utf-8")
        given["sasl_mechanism"] = settings.sasl_mechanism
        given["sasl_plain_username"] = settings.sasl_username
        given["sasl_plain_password"] = password.removesuffix("\n").removesuffix("\r")
    return given
