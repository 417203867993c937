"""Kafka records of the input → events: what may come in, from whom it is, and what was seen before.

Nothing is passed over in silence. A line that is no event is refused alone; a record that is not what its headers say is
refused whole, for nobody knows what of it was altered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contract import rejected
from contract.event import SCHEMA_VERSION
from contract.rejected import Reason, Refusal
from detector import arrival
from detector.arrival import Arrived as Arrived
from detector.arrival import Batch, Refused, shown
from detector.claims import NEWER, Claim, claim, contradictory
from detector.seen import Seen as Seen
from detector.seen import admit as admit
from detector.watermark import Heard
from registers.mask import mask_my_numbers

# How far ahead of Kafka's time an event may move the clock of its input; brokers refuse records further ahead themselves.
AHEAD_MS: Final = 3_600_000
# An event that its agent read so soon after it occurred was not waiting to be caught up on.
NEAR_MS: Final = 60_000

_BEAT: Final = (pl.col("event.class") == "heartbeat").fill_null(False)
# Only the first of a start speaks of the starts before.
_BEGINS: Final = pl.col("message").str.contains('"previous":', literal=True).fill_null(False)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe what.

    Attributes:
        sealed: Agents that seal: what says to be theirs is refused unless it comes in a record that one of them sealed.
        max_bytes: Largest value of a record, decompressed, that is read.
    """

    sealed: frozenset[str] = frozenset()
    max_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class Read:
    """What records held.

    Attributes:
        events: In `contract.event` columns, in the order of (record, line).
        rejected: In `rejected.REJECTED_SCHEMA`, masked, in the same order; `source.position` is topic/partition/offset:byte.
        heard: What the events say of their inputs' clocks, in the same order, for `watermark.hear`.
        unknown: How often each key outside the contract occurred.
    """

    events: pl.DataFrame
    rejected: pl.DataFrame
    heard: tuple[Heard, ...]
    unknown: dict[str, int] = field(default_factory=dict)


def read(records: Sequence[Arrived], trust: Trust) -> Read:
    """Read records; what comes out is the same if they are read one by one.

    Args:
        records: In the order of offsets.
        trust: Whom to believe what.
    """
    claims: dict[int, Claim] = {}
    whole: dict[int, Refusal] = {}
    for number, record in enumerate(records):
        found = _unreadable(record, trust) or claim(record)
        if isinstance(found, Refusal):
            whole[number] = found
        elif found is not None:
            claims[number] = found
    batch = arrival.decode(records, [number for number in range(len(records)) if number not in whole])
    for number, detail in contradictory(batch, claims).items():
        whole[number] = Refusal(Reason.SEAL, detail, shown(records[number].value))
    rows, lines = _refused_events(batch, claims, trust)
    if whole:
        rows |= np.isin(batch.record, list(whole))
    events, record_of = batch.frame, batch.record
    if rows.any():
        events, record_of = events.filter(pl.Series(~rows)), record_of[~rows]
    letters = _letters(records, whole, batch.refused + lines)
    return Read(events, letters, _heard(events, record_of, records), batch.unknown)


def _unreadable(record: Arrived, trust: Trust) -> Refusal | None:
    if len(record.value) > trust.max_bytes:
        detail = f"the record has {len(record.value):,} bytes, at most {trust.max_bytes:,} are read"
        return Refusal(Reason.TOO_LARGE, detail, shown(record.value))
    if record.value:
        return None
    unread = [value for name, value in record.headers if name == rejected.UNREAD]
    if unread:
        return Refusal(Reason.TOO_LARGE, unread[0].decode(errors="replace"), "")
    return Refusal(Reason.FORMAT, "the record is empty", "")


def _refused_events(batch: Batch, claims: Mapping[int, Claim], trust: Trust) -> tuple[NDArray[np.bool_], list[Refused]]:
    """Events of a later version, and those that name an agent that seals in a record that none of them sealed.

    One may be relayed by another, whose seal the record has then; the seal of a stranger is none.
    """
    newer = (batch.frame.get_column("event.schema") > SCHEMA_VERSION).to_numpy(writable=True)
    refused = []
    for row in np.flatnonzero(newer).tolist():
        detail = f"event.schema: {batch.frame['event.schema'][row]}; {NEWER}"
        refused.append(batch.refuse(row, Reason.SCHEMA, detail))
    known = [number for number, one in claims.items() if one.agent in trust.sealed]
    if not trust.sealed or len(known) == len(batch.lines):
        return newer, refused
    plain = np.ones(len(batch.lines), np.bool_)
    plain[known] = False
    names = batch.frame.get_column("agent.id").is_in(sorted(trust.sealed)).fill_null(False).to_numpy()
    posing = names & plain[batch.record] & ~newer
    for row in np.flatnonzero(posing).tolist():
        sealer = claims.get(int(batch.record[row]))
        what = (
            "the record is not sealed, and what this agent sends always is"
            if sealer is None
            else f"the record is sealed by {rejected.cut(sealer.agent, 60)}, which is none of detector.sealed_agents"
        )
        detail = f"agent.id: {what}: who sent it is not who it says"
        refused.append(batch.refuse(row, Reason.SEAL, detail))
    return newer | posing, refused


def _letters(records: Sequence[Arrived], whole: Mapping[int, Refusal], lines: Sequence[Refused]) -> pl.DataFrame:
    """Dead letters, in the order of (record, byte); of a record that is refused whole just one."""
    told = [Refused(number, 0, refusal) for number, refusal in whole.items()]
    told += [one for one in lines if one.record not in whole]
    if not told:
        return rejected.empty()
    told.sort(key=lambda one: (one.record, one.byte))
    positions = [f"{(at := records[one.record]).topic}/{at.partition}/{at.offset}:{one.byte}" for one in told]
    letters = rejected.frame([one.refusal for one in told], positions)
    return letters.with_columns(mask_my_numbers(letters.get_column(name)) for name in ("detail", "line"))


def _heard(events: pl.DataFrame, record_of: NDArray[np.int64], records: Sequence[Arrived]) -> tuple[Heard, ...]:
    if events.is_empty():
        return ()
    name = pl.col("agent.id")
    if events.get_column("agent.id").null_count():  # a text for each row costs more than all else
        name = pl.coalesce(name, pl.concat_str(pl.lit("source:"), "source.id"), pl.lit("?"))
    told = events.select(
        pl.lit(pl.Series(record_of)).alias("record"),
        name.alias("input"),
        pl.col("time.occurred").alias("newest"),
        (pl.col("time.received") - pl.col("time.occurred") <= NEAR_MS).fill_null(True).alias("near"),
        _BEAT.alias("beat"),
        pl.int_range(pl.len()).alias("row"),
    )
    beats = told.filter("beat")
    if beats.height:
        begins = events.filter(_BEAT).select(_BEGINS.alias("begins")).to_series()
        beats = beats.with_columns(pl.when(begins).then(-1).otherwise("newest").alias("newest"))
    found = _by_input(told if beats.is_empty() else told.filter(~pl.col("beat")))
    if beats.height:
        # Beside events of the same input a heartbeat says nothing more.
        alone = _by_input(beats).join(found, on=["record", "input"], how="anti", maintain_order="left")
        found = pl.concat([found, alone]).sort("row")
    heard = []
    for number, name, newest, near, beat, _ in found.iter_rows():
        at = records[number]
        heard.append(
            Heard(name, min(newest, at.timestamp_ms + AHEAD_MS), at.timestamp_ms, at.offset, beat, near or beat)
        )
    return tuple(heard)


def _by_input(told: pl.DataFrame) -> pl.DataFrame:
    return told.group_by("record", "input", maintain_order=True).agg(
        pl.col("newest").max(), pl.col("near").last(), pl.col("beat").first(), pl.col("row").first()
    )
