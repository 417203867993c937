"""Seal: number events, encode them, chain and sign the records (design §5, `contract.sealed`).

Everything but the encoding is done per record, not per event.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from collector import enrol
from collector.journal import Journal
from contract import sealed, wire
from contract.event import FIELDS
from contract.sealed import EPOCH, EVENT, MAX_BYTES, MAX_EVENTS, NDJSON, NO_RECORD, Predecessor, Record, Seal
from contract.topics import EVENTS

FOLDER: Final = "seal"
_log = logging.getLogger(__name__)
# Of an event that alone is too large for a record no text keeps more characters; `raw.mac` still vouches for its line.
KEPT_CHARS: Final = 1000
CUT: Final = "… [cut]"


class Sealer:
    """One start of the agent, from its first record to its last.

    Args:
        state_folder: The agent's state folder; the seal keeps a folder of its own in it.
        agent: `agent.id`.
        key_file: The enrolment's key; needed at the first start only, and erased then.
        topic: Where records go.
        fmt: `ndjson`, or `event` for one event a record with the actor as Kafka's key.

    Attributes:
        agent, boot: Names of the agent and of this start.
        previous: What the first record must say of the starts before (`collector.heartbeat` puts it there).
        notes: What the operator should know, a line each.
        shortened: Events so large that their texts were cut to fit a record.

    Raises:
        collector.enrol.EnrolmentError: There is no key that this agent may use.
        collector.journal.JournalError: The journal cannot be read or written.
    """

    def __init__(
        self, state_folder: Path, agent: str, key_file: Path | None, *, topic: str = EVENTS.name, fmt: str = NDJSON
    ) -> None:
        self.agent = agent
        self.shortened = 0
        self._folder, self._key_file = state_folder / FOLDER, key_file
        self._topic, self._fmt = topic, fmt
        self._begin()

    def _begin(self) -> None:
        start = enrol.begin(self._folder, self.agent, self._key_file)
        self.boot = sealed.boot_name(start.key.secret)
        self._epoch = -1
        self._epoch_secret = sealed.first_epoch_secret(start.key.secret, self.agent)  # of epoch `_epoch` + 1
        self._key = b""
        self._journal = Journal(self._folder, self.boot, start.key.start)
        self.previous: tuple[Predecessor, ...] = self._journal.ledger.previous
        self.notes = start.notes + self._journal.notes
        self._prev = self.previous[-1].hash if self.previous else NO_RECORD
        self._next = 0
        self._unbeaten = 0  # own events since the newest heartbeat
        self._begun = False

    def restart(self) -> None:
        """Go on as a new start, which says of the records that were never acknowledged that they may not have arrived.

        For when records that were sealed are dropped and their lines read again, without the process ending.

        Raises:
            collector.enrol.EnrolmentError, collector.journal.JournalError: As at the beginning.
        """
        self.close()
        self._begin()

    @property
    def begun(self) -> bool:
        """Whether the first record of this start was sealed."""
        return self._begun

    @property
    def next_seq(self) -> int:
        """The number that the next event gets."""
        return self._next

    @property
    def acknowledged_through(self) -> int:
        """The newest number up to which everything was acknowledged, −1 if nothing was."""
        waiting = self._journal.ledger.waiting
        return min(waiting, default=self._next) - 1

    def seal(self, events: pl.DataFrame, partitions: pl.Series, at_ms: int) -> list[Record]:
        """Number, encode, chain and sign.

        Events of another agent (`agent.id` given, and not this one's) are relayed: they keep their agent, boot and number.
        All others become this agent's. Its heartbeats get the number of its events since the heartbeat before as
        `resource.count`. The first record of a start must begin with one.

        Args:
            events: Rows in `contract.event.schema()`, in the order of reading.
            partitions: Integer series, one per row.
            at_ms: Now, UTC ms; becomes `time.received` where there is none.

        Returns:
            Records by partition, and in each in the order of the rows; the order of their numbers. None may be sent
            before `commit`.
        """
        if events.is_empty():
            return []
        order = np.argsort(partitions.to_numpy(), kind="stable")
        own = self._own(events)
        # How many of this agent's numbers are given before each place in the order of sealing, and after the last.
        given = np.concatenate(([0], np.cumsum(own[order]))) if own is not None else np.arange(len(order) + 1)
        numbered, unbeaten = self._numbered(events, order, given, own, at_ms)
        lines = self._short(wire.encode_lines(numbered), numbered)[order]
        keys = self._keys(numbered, order)
        records = []
        for first, last in self._cuts(partitions.to_numpy()[order], lines):
            key = keys[first] if keys is not None else None
            span = int(self._next + given[first]), int(self._next + given[last]) - 1
            records.append(self._record(int(partitions[int(order[first])]), key, lines[first:last], span, at_ms))
        self._next += int(given[-1])
        self._unbeaten = unbeaten
        self._begun = True
        return records

    def commit(self) -> None:
        """Put on the disk what was sealed; then it may be sent.

        Raises:
            collector.journal.JournalError: It cannot be written now; nothing may be sent, and it may be tried again.
        """
        self._journal.commit()

    def acknowledged(self, records: Iterable[Record]) -> None:
        """Sealed records of this start arrived; each is told once."""
        for record in records:
            self._journal.acknowledged(record.first, record.last)

    def close(self) -> None:
        """Write down what was acknowledged and forget the key."""
        self._key = self._epoch_secret = b""
        self._journal.close()

    def _own(self, events: pl.DataFrame) -> np.ndarray | None:
        """Which rows are this agent's; None if all are."""
        agents = events.get_column("agent.id")
        if agents.null_count() == len(agents):
            return None
        own = (agents.is_null() | (agents == self.agent).fill_null(True)).to_numpy()
        return None if own.all() else own

    def _numbered(
        self, events: pl.DataFrame, order: np.ndarray, given: np.ndarray, own: np.ndarray | None, at_ms: int
    ) -> tuple[pl.DataFrame, int]:
        """The rows with agent, boot, number, time of receipt and heartbeat counts; own events since the last heartbeat."""
        seq = np.empty(len(order), np.int64)
        seq[order] = self._next + given[:-1]
        mine = pl.Series(own) if own is not None else pl.lit(True)
        columns = [
            pl.when(mine).then(value).otherwise(pl.col(name)).alias(name)
            if own is not None
            else (value if isinstance(value, pl.Expr) else pl.lit(value)).alias(name)
            for name, value in (
                ("agent.id", pl.lit(self.agent)),
                ("agent.boot", pl.lit(self.boot)),
                ("agent.seq", pl.lit(pl.Series(seq))),
            )
        ]
        columns.append(pl.col("time.received").fill_null(at_ms))
        beats = (events.get_column("event.class") == "heartbeat").fill_null(False).to_numpy()
        if own is not None:
            beats = beats & own
        if not self._begun and not beats[order[0]]:
            raise ValueError("the first record of a start begins with a heartbeat, which tells of the start before")
        unbeaten = self._unbeaten + int(given[-1])
        if beats.any():
            places = np.sort(seq[beats])
            counts = np.diff(places, prepend=self._next - self._unbeaten - 1) - 1
            count = np.zeros(len(order), np.int64)
            count[beats] = counts[np.searchsorted(places, seq[beats])]
            counted = pl.when(pl.Series(beats)).then(pl.lit(pl.Series(count))).otherwise(pl.col("resource.count"))
            columns.append(counted.alias("resource.count"))
            unbeaten = int(self._next + given[-1] - 1 - places[-1])
        return events.with_columns(columns), unbeaten

    def _short(self, lines: pl.Series, events: pl.DataFrame) -> pl.Series:
        """The lines; those that fit no record with their texts cut."""
        large = lines.str.len_bytes() > MAX_BYTES
        if not large.any():
            return lines
        texts = pl.col([known.key for known in FIELDS if known.kind == "str"])
        cut = events.filter(large).with_columns(
            pl.when(texts.str.len_chars() > KEPT_CHARS).then(texts.str.slice(0, KEPT_CHARS) + CUT).otherwise(texts)
        )
        self.shortened += cut.height
        _log.warning(
            "%d events were too large for a record: their long texts were cut, raw.mac vouches for the line", cut.height
        )
        return lines.scatter(large.arg_true(), wire.encode_lines(cut))

    def _keys(self, events: pl.DataFrame, order: np.ndarray) -> list[bytes] | None:
        """Kafka's key of each line in the order of sealing, where each line is a record."""
        if self._fmt != EVENT:
            return None
        actors = events.select(pl.coalesce("actor.id", "agent.id")).to_series()[order].to_list()
        return [actor.encode() for actor in actors]

    def _cuts(self, partitions: np.ndarray, lines: pl.Series) -> list[tuple[int, int]]:
        """First and last place (exclusive) of each record; no record is over its limits or in two partitions."""
        most = 1 if self._fmt == EVENT else MAX_EVENTS
        ends = np.cumsum(lines.str.len_bytes().to_numpy().astype(np.int64))
        borders = [*(np.flatnonzero(np.diff(partitions)) + 1).tolist(), len(partitions)]
        cuts = []
        first = 0
        for border in borders:
            while first < border:
                before = int(ends[first - 1]) if first else 0
                fits = int(np.searchsorted(ends, before + MAX_BYTES, side="right"))
                last = max(first + 1, min(border, first + most, fits))
                cuts.append((first, last))
                first = last
        return cuts

    def _record(self, partition: int, key: bytes | None, lines: pl.Series, span: tuple[int, int], at_ms: int) -> Record:
        """Chain and sign one record; the key moves on."""
        value = wire.joined(lines)
        seal = Seal(self._fmt, len(lines), self.agent, self.boot, *span, self._prev)
        headers = seal.headers()
        digest = sealed.record_hash(partition, key, headers, value)
        headers.append(("mac", sealed.mac(self._key_of(span[0]), digest)))
        self._key = sealed.next_record_key(self._key)
        self._prev = digest.hex()
        self._journal.sealed(*span, self._prev)
        return Record(self._topic, partition, value, headers, at_ms, key, *span)

    def _key_of(self, first: int) -> bytes:
        """The key of the next record, which begins with this number."""
        while self._epoch < first // EPOCH:
            self._key = sealed.first_record_key(self._epoch_secret)
            self._epoch_secret = sealed.next_epoch_secret(self._epoch_secret)
            self._epoch += 1
        return self._key
