"""The agent: one turn reads what is there, seals and sends it, and writes down how far everything has arrived.

All of this happens in one thread. The order within a turn is what makes the promise hold that nothing is lost: sealed
records are in the journal before they are sent, and a position goes into the checkpoint only after everything before it
was acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from collector import heartbeat
from collector.config import Config
from collector.follow.events import Gap, Lag, Lines, Ready
from collector.inputs import FILES, VAULT
from collector.journal import JournalError
from collector.metrics import Metrics
from collector.parse import Parsed
from collector.portion import Portion
from collector.reading import Reader
from collector.seal import Sealer
from collector.tally import Counter
from collector.ticks import Ticks
from contract.partition import partition_of, partitions_of
from contract.sealed import Record
from service import deadletters
from service.publish import Publisher

if TYPE_CHECKING:
    from collector.vault import Vault

_CHECKPOINT_S: Final = 1.0
_IDLE_S: Final = 0.25
_BUSY_S: Final = 2.0
# Lines in a turn from which the next one follows at once.
_MANY: Final = 1000


class Input(Protocol):
    """Where lines come from: files, syslog, the drop folder. Positions are values that JSON knows."""

    def poll(self, budget_bytes: int) -> Sequence[Lines | Ready | Gap]:
        """What is there and was not read yet, about so many bytes of it at most."""

    def positions(self) -> Any:
        """Up to where was read."""

    def forget(self, positions: Any) -> None:
        """These positions are in the checkpoint."""

    def lag(self) -> Sequence[Lag]:
        """How far behind reading is."""

    def held(self) -> bool:
        """Whether there is more, which waits for what is read now to have ended."""

    def troubles(self) -> Sequence[str]:
        """What needs a person, a line each."""

    def close(self) -> None:
        """Free what is held."""


class Store(Protocol):
    """Where positions are kept: `collector.checkpoint`."""

    def save(self, positions: Mapping[str, Any]) -> None:
        """Put them on the disk; raises OSError if that cannot be done now."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What tells the time.

    Attributes:
        utc: The wall clock, with zone.
        monotonic: Seconds, never back.
    """

    utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic

    @property
    def utc_ms(self) -> int:
        """The wall clock in ms."""
        return int(self.utc().timestamp() * 1000)


@dataclass(slots=True)
class Agent:
    """The main loop's parts and what it remembers.

    Attributes:
        config: The configuration in use.
        reader: Parses.
        sealer: Seals.
        publisher: Sends.
        inputs: By name, as they stand in the checkpoint.
        store: Keeps positions.
        metrics: Counted once per batch.
        clocks: What tells the time.
        vault: Takes new tokens with their ids; None without one.
        exhausted: The last turn could have read and found nothing.
        noted: Hears of every piece that was read, with the name of its input.
    """

    config: Config
    reader: Reader
    sealer: Sealer
    publisher: Publisher
    inputs: Mapping[str, Input]
    store: Store
    metrics: Metrics
    clocks: Clocks = field(default_factory=Clocks)
    vault: Vault | None = None
    noted: Callable[[str, Lines | Ready], None] = lambda name, lines: None
    counter: Counter = field(init=False)
    portion: Portion = field(init=False)
    exhausted: bool = False
    ticks: Ticks[dict[str, Any]] = field(default_factory=Ticks)
    _due: dict[str, Any] | None = None
    _torn: bool = False
    _checkpointed_s: float = 0.0
    _beaten_s: float | None = None
    _found: list[tuple[str, Lines | Ready | Gap]] = field(default_factory=list)
    _unsent: list[Record] = field(default_factory=list)
    _spent_s: float = 0.0
    _troubles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counter = Counter(self.metrics, self.clocks.monotonic, lambda: self.clocks.utc().timestamp())
        self.portion = Portion(self.config.source_ids)

    def turn(self, wait: bool = True) -> int:
        """Hear from Kafka, write the checkpoint, read, seal, send.

        Args:
            wait: If nothing was read, wait a moment for news.

        Returns:
            Lines read and gaps found.
        """
        begun = self.clocks.monotonic()
        self._torn = True
        self._hear(0.0)
        ready = self._ready()
        if ready:
            self._beat_if_due()
        # Also while nothing can be sent: files that are rotated and deleted meanwhile must be held open to be read later.
        budget = self._budget if ready else 0
        self._look(budget)
        done = self._take() if ready else 0
        self.exhausted = bool(budget) and not done and not any(one.held() for one in self.inputs.values())
        self._save_if_due()
        self._spent_s = self.clocks.monotonic() - begun
        if wait and not self._is_busy(done):
            # Parsing has a price per piece: few lines at a time from many files would keep a core busy.
            self._hear(min(max(_IDLE_S, 4 * self._spent_s if done else 0.0), _BUSY_S))
        self._torn = False
        return done

    def drain(self, timeout_s: float) -> bool:
        """Say good-bye, wait for what is on its way, and write down how far everything arrived.

        Returns:
            Whether all of it arrived.
        """
        if self._torn:
            # A turn ended in an error: positions are behind lines that were never sealed, so none is written down.
            return False
        if self._ready():
            self._take()
            self._beat(stopping=True)
        deadline = self.clocks.monotonic() + timeout_s
        while (self.ticks or self._unsent) and (left := deadline - self.clocks.monotonic()) > 0:
            self._send_unsent()
            self._hear(min(left, 0.2))
        self._save()
        return not self.ticks and not self._unsent

    def first_look(self, is_new: bool) -> None:
        """Look at the folders once before anything is read.

        Args:
            is_new: Something is followed that the checkpoint does not know. It must know which files were there already:
                what is read now and rotated before the next start would else be taken for one of them, and skipped.

        Raises:
            OSError: That cannot be written down.
        """
        self._look(0)
        if is_new and not self._found:
            self.store.save({name: one.positions() for name, one in self.inputs.items()})

    @property
    def idle(self) -> bool:
        """Whether everything that was read has arrived; `drain` writes it down."""
        return not (self.ticks or self._unsent)

    def troubles(self) -> tuple[str, ...]:
        """What stops or threatens the work now, one line each."""
        own = [text for _, text in sorted(self._troubles.items())]
        kafka = [self.publisher.trouble] if self.publisher.trouble else []
        return (*kafka, *own, *(line for one in self.inputs.values() for line in one.troubles()))

    def _ready(self) -> bool:
        """Whether Kafka has told us how many partitions there are: without them nothing can be sealed."""
        kafka = self.config.kafka
        return self.publisher.partitions(kafka.topic) is not None and self._send_unsent()

    @property
    def _budget(self) -> int:
        """Bytes to read in this turn; 0 while what they become would find no room."""
        most = self.portion.most_bytes(self.config.kafka.in_flight_mib << 20)
        return most if self.publisher.room() >= most * self.portion.growth else 0

    def _is_busy(self, done: int) -> bool:
        return done >= _MANY and self._budget > 0

    # --- what came back ---------------------------------------------------------------------------------------------

    def _hear(self, timeout_s: float) -> None:
        arrived = self.publisher.poll(timeout_s)
        if arrived:
            self.counter.arrived(arrived, self.clocks.utc_ms)
            self.sealer.acknowledged(record for record in arrived if record.first >= 0)
        # Also without news: a tick of lines that made no record waits for nothing.
        newest = self.ticks.arrived(arrived)
        self._due = self._due if newest is None else newest

    def _save_if_due(self) -> None:
        if self._due is not None and self.clocks.monotonic() - self._checkpointed_s >= _CHECKPOINT_S:
            self._save()

    def _save(self) -> None:
        if self._due is None:
            return
        with self.counter.stage("checkpoint"):
            self._checkpointed_s = self.clocks.monotonic()
            try:
                self.store.save(self._due)
            except OSError as error:
                # What is not written down is read and sent again: nothing is lost, so the work goes on.
                self.metrics.checkpoint_failures.inc()
                self._trouble("checkpoint", str(error))
                return
            self._trouble("checkpoint", None)
            self.metrics.checkpoint.set(self.clocks.utc().timestamp())
            saved, self._due = self._due, None
            for name, one in self.inputs.items():
                one.forget(saved[name])

    # --- what goes out ----------------------------------------------------------------------------------------------

    def _look(self, budget_bytes: int) -> None:
        """Read so much at most; without a budget only gaps are found."""
        # What waits in a spool or in the drop folder does not go away.
        names = [name for name in self.inputs if name == FILES or (budget_bytes and name != VAULT)]
        with self.counter.stage("read"):
            for name in names:
                self._found += [(name, part) for part in self.inputs[name].poll(budget_bytes // len(names))]

    def _take(self) -> int:
        """Seal and send what was found; returns lines and gaps."""
        found, self._found = self._found, []
        if not found:
            return 0
        partitions = self.publisher.partitions(self.config.kafka.topic) or 1
        with self.counter.stage("parse"):
            lost = [part for _, part in found if isinstance(part, Gap)]
            parsed = [self._parsed(name, part) for name, part in found if not isinstance(part, Gap)]
            events = [one.events for one in parsed if one.events.height]
        sealed = []
        if events:
            together = pl.concat(events)
            sealed = [(together, partitions_of(together.get_column("actor.id"), self.sealer.agent, partitions))]
        if lost:
            self.counter.lost(lost)
            own = partition_of(self.sealer.agent, partitions)
            sealed.append(heartbeat.gaps(self.sealer, self.reader.key, lost, own, self.clocks.utc_ms))
        self._publish(sealed, [one.rejected for one in parsed])
        return len(lost) + sum(_lines(part) for _, part in found if not isinstance(part, Gap))

    def _parsed(self, name: str, part: Lines | Ready) -> Parsed:
        parsed = part.parsed if isinstance(part, Ready) else self.reader.events(part, self.clocks.utc())
        size = self.counter.read(part, parsed)
        self.portion.read(part.source.id, size, parsed.events.height)
        self.noted(name, part)
        if self.vault is not None and isinstance(part, Ready):
            self.vault.take_entries(part.entries)
        elif self.vault is not None and parsed.ids is not None:
            self.vault.take(parsed.ids)
        return parsed

    def _publish(self, sealed: Sequence[tuple[pl.DataFrame, pl.Series]], letters: Sequence[pl.DataFrame] = ()) -> None:
        """Seal and send, as one tick with the positions of all inputs."""
        at_ms = self.clocks.utc_ms
        kafka = self.config.kafka
        with self.counter.stage("seal"):
            records = [record for events, places in sealed for record in self.sealer.seal(events, places, at_ms)]
            self.portion.sealed(sum(len(record.value) for record in records))
            refused = [letter for letter in letters if letter.height]
            if refused:
                count = self.publisher.partitions(kafka.dead_letter_topic) or 1
                topic = kafka.dead_letter_topic
                records += deadletters.records(pl.concat(refused), self.sealer.agent, topic, count, at_ms)
            if self.vault is not None:
                records += self.vault.records(*self._vault_topic(), at_ms)
        # A gap that was found and is not sealed yet lies before the positions: they do not count then.
        positions = None if self._found else {name: one.positions() for name, one in self.inputs.items()}
        self.ticks.add(records, positions)
        self._unsent += records
        self._send_unsent()

    def _send_unsent(self) -> bool:
        """Put what was sealed on the disk, then send it; while it cannot be written nothing goes out."""
        if not self._unsent:
            return True
        if self.vault is not None and not self.vault.write():
            self._hear(_BUSY_S)
            return False
        try:
            self.sealer.commit()
        except JournalError as error:
            self._trouble("journal", str(error))
            self._hear(_BUSY_S)
            return False
        self._trouble("journal", None)
        with self.counter.stage("send"):
            for record in self._unsent:
                self.publisher.send(record)
            self.counter.sent(self._unsent)
            self._unsent = []
        return True

    def _vault_topic(self) -> tuple[str, int]:
        topic = self.config.vault.topic if self.config.vault else ""
        return topic, self.publisher.partitions(topic) or 1

    def _beat_if_due(self) -> None:
        now = self.clocks.monotonic()
        if self._beaten_s is None or now - self._beaten_s >= self.config.agent.heartbeat_s:
            self._beat()

    def _beat(self, stopping: bool = False) -> None:
        self._beaten_s = self.clocks.monotonic()
        clock = heartbeat.Clock(self.clocks.utc_ms, int(self._beaten_s * 1000))
        partitions = self.publisher.partitions(self.config.kafka.topic) or 1
        digest = self.config.digest
        tally = self.counter.take()
        beats = heartbeat.heartbeats(
            self.sealer, self.reader.key, tally, clock, partitions, digest, stopping=stopping
        )  # fmt: skip
        self._publish([beats])
        self.metrics.heartbeats.inc(partitions)

    def _trouble(self, where: str, text: str | None) -> None:
        """Say of a part of the work what is wrong with it, or that all is well; health tells it, in the log too."""
        self._troubles.pop(where, None)
        if text is not None:
            self._troubles[where] = text


def _lines(part: Lines | Ready) -> int:
    return part.lines if isinstance(part, Ready) else part.piece.lines.height
