"""A consumer of kafka-python and what becomes of it: connected, failed, and made again."""

from __future__ import annotations

import contextlib
import gc
import secrets
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

from detector.config import Kafka
from service import trouble
from service.producer import access

# Whoever asks makes no turns meanwhile, and cannot be stopped.
_BOOTSTRAP_MS: Final = 3_000
_FIRST_RETRY_S: Final = 0.5
_LAST_RETRY_S: Final = 15.0


class Connection(ABC):
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


def made(**arguments: Any) -> KafkaConsumer:
    """A consumer that makes no topics: kafka-python (3.0.12) does not hand the option on to what asks Kafka for them."""
    consumer = KafkaConsumer(**arguments)
    consumer._cluster.config["allow_auto_create_topics"] = arguments["allow_auto_create_topics"]
    return consumer


def client_id(detector: str, part: str) -> str:
    """What Kafka knows one of our connections as; two processes of one name are told apart."""
    return f"sekimori-{detector}-{part}-{secrets.token_hex(3)}"
