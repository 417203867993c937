"""Events in which the agent speaks of itself: heartbeats, and gaps in what it could read.

Both are of class `heartbeat`, so they are numbered, chained and signed like every event. `Sealer.seal` gives them
`agent.*` and `resource.count`, the number of the agent's events since the one before; all else stands in the message, as
compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from collector.follow.events import Gap
from collector.seal import Sealer
from contract.event import SCHEMA_VERSION, schema
from registers.mask import mask_my_numbers
from registers.tokens import SiteKey, event_ids

# A drop folder may bring thousands of files within a minute; the message names the first and sums up the others.
MOST_FILES: Final = 200
OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class Tally:
    """What the agent did since its last heartbeat.

    Attributes:
        files: Lines and bytes read, by name of the file or listener.
        rotations: Rotations seen.
        gaps: Gaps reported.
        rejects: Refused lines by reason.
    """

    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rotations: int = 0
    gaps: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clocks show: together they tell that the first was set.

    Attributes:
        utc_ms: The wall clock.
        monotonic_ms: The one that nobody can set.
    """

    utc_ms: int
    monotonic_ms: int


def heartbeats(
    sealer: Sealer,
    key: SiteKey,
    tally: Tally,
    clock: Clock,
    partitions: int,
    config: str,
    *,
    stopping: bool = False,
) -> tuple[pl.DataFrame, pl.Series]:
    """One heartbeat for every partition.

    Args:
        sealer: Says what was sealed and acknowledged, and before its first record how the starts before ended.
        key: The site's key, for event ids.
        tally: Since the last heartbeat.
        clock: Now.
        partitions: How many the topic has.
        config: Digest of the configuration.
        stopping: The agent stops in order, so silence after this is none.

    Returns:
        Events in the contract's columns and their partitions, for `sealer.seal`.
    """
    message: dict[str, Any] = {
        "sealed": sealer.next_seq - 1,
        "acknowledged": sealer.acknowledged_through,
        "files": _files(tally.files),
        "rotations": tally.rotations,
        "gaps": tally.gaps,
        "rejects": dict(sorted(tally.rejects.items())),
        "clock": {"utc_ms": clock.utc_ms, "monotonic_ms": clock.monotonic_ms},
        "config": config,
    }
    if not sealer.begun:
        message["previous"] = [one.as_json() for one in sealer.previous]
    if stopping:
        message["stopping"] = True
    row = {"event.outcome": "success", "message": _compact(message)}
    places = pl.Series("partition", range(partitions), dtype=pl.Int32)
    return _events(sealer, key, [row] * partitions, places, clock.utc_ms), places


def gaps(
    sealer: Sealer, key: SiteKey, lost: Sequence[Gap], partition: int, at_ms: int
) -> tuple[pl.DataFrame, pl.Series]:
    """One event for every gap: which bytes of which file are missing, and why.

    Args:
        sealer: Of this start.
        key: The site's key, for event ids.
        lost: The gaps.
        partition: The agent's own, `partition_of(agent.id)`.
        at_ms: Now, UTC ms.

    Returns:
        As `heartbeats`; `event.outcome` is failure, `source.position` name:first-last (last `?` where nobody can know).
    """
    rows = [
        {
            "event.outcome": "failure",
            "event.reason": one.reason,
            "source.id": one.source_id,
            "source.position": f"{_masked(one.name)}:{one.first_byte}-{'?' if one.last_byte is None else one.last_byte}",
            "message": _compact(
                {
                    "gap": {
                        "generation": one.generation,
                        "first_byte": one.first_byte,
                        "last_byte": one.last_byte,
                        "detail": _masked(one.detail),
                    }
                }
            ),
        }
        for one in lost
    ]
    places = pl.repeat(partition, len(rows), eager=True, dtype=pl.Int32).alias("partition")
    return _events(sealer, key, rows, places, at_ms), places


def _events(
    sealer: Sealer, key: SiteKey, rows: Sequence[Mapping[str, str]], partitions: pl.Series, at_ms: int
) -> pl.DataFrame:
    common = {
        "event.schema": SCHEMA_VERSION,
        "event.class": "heartbeat",
        "time.occurred": at_ms,
        "time.received": at_ms,
    }
    frame = pl.DataFrame([{**common, **row} for row in rows], schema=schema())
    # The numbers they will get if they are sealed next; what is sealed between changes nothing about them being unique.
    offsets = pl.Series(range(sealer.next_seq, sealer.next_seq + len(rows)), dtype=pl.Int64)
    told = frame.select(
        pl.format("{} {} {}", partitions, pl.col("source.position").fill_null(""), "message")
    ).to_series()
    return frame.with_columns(event_ids(sealer.agent, sealer.boot, offsets, told, key).alias("event.id"))


def _files(files: Mapping[str, tuple[int, int]]) -> dict[str, list[int]]:
    shown: dict[str, list[int]] = {}
    for place, name in enumerate(sorted(files)):
        called = _masked(name) if place < MOST_FILES else OTHERS
        before = shown.get(called, [0, 0])  # several names may be one once they are masked
        shown[called] = [count + more for count, more in zip(before, files[name], strict=True)]
    return shown


def _masked(text: str) -> str:
    return str(mask_my_numbers(pl.Series([text])).item())


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
