"""What a worker asks of the stage that it feeds: pure functions of state, records and a recorded decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from contract.sealed import Record
from detector.arrival import Arrived
from detector.relay import Rows

S = TypeVar("S")
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision may look at besides state and records. Nothing else of the outside reaches it.

    Attributes:
        now_ms: The wall clock, UTC.
        at_end: All that Kafka has was taken.
        lost: Stretch of offsets (first, behind the last) that Kafka deleted before they were read; else None.
        ending: A re-run has read its last record: everything that is open is to be closed.
        listened_s: For how long whoever spoke would have been heard (`Fetcher.listened_s`).
    """

    now_ms: int
    at_end: bool
    lost: tuple[int, int] | None = None
    ending: bool = False
    listened_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Sent:
    """What one turn brings forth.

    Attributes:
        records: To be published, in this order; equal whenever the turn is repeated.
        counts: For the metrics, by name.
    """

    records: Sequence[Record] = ()
    counts: Mapping[str, float] = field(default_factory=dict)


class Effects(Protocol):
    """What the core decided about a stretch of event time.

    `findings` are OCSF objects, `relays` what goes on to stage two, `counts` is for the metrics (`hits:rule`).
    """

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def relays(self) -> Sequence[Rows]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...


class Stage(Protocol[S, P]):
    """What is done with the records of a partition. All of it is pure; the worker keeps the state."""

    def begin(self) -> S:
        """The state before the first record."""

    def prepare(self, records: Sequence[Arrived]) -> P:
        """Read records, which may be none."""

    def decide(self, state: S, prepared: P, moment: Moment) -> dict[str, Any]:
        """What is to be written to the log about them: JSON values; empty if all follows from the records."""

    def advance(self, state: S, prepared: P, decision: Mapping[str, Any]) -> tuple[S, Sent]:
        """Work the records out."""

    def dump(self, state: S) -> bytes:
        """The state as bytes; equal states give equal bytes."""

    def load(self, data: bytes) -> S:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, or of a version that is not known; the message says which and how to go on.
        """

    def is_over(self, state: S) -> bool:
        """Of a re-run: whether nothing can come any more."""

    def show(self, state: S) -> Mapping[str, float]:
        """What the metrics show of a state: `watermark` (UTC ms, absent before the first), `open_sessions`, `silent`."""
