"""Refused lines as records for the topic of dead letters: one JSON object each, masked where they were refused."""

from __future__ import annotations

import io
from typing import Final

import polars as pl

from contract.partition import partition_of
from contract.sealed import Record

# Far below what a topic takes; a dead letter is at most some kilobytes.
MOST_BYTES: Final = 256 << 10


def records(rejected: pl.DataFrame, agent: str | None, topic: str, partitions: int, at_ms: int) -> list[Record]:
    """Pack refused lines into records.

    Args:
        rejected: Rows in `contract.rejected.REJECTED_SCHEMA`, in the order of reading.
        agent: `agent.id`, added to every letter; None where no agent refused them.
        topic: Where they go.
        partitions: How many that topic has, at least 1.
        at_ms: Now, UTC ms.

    Returns:
        Records of newline-terminated JSON objects, keyed by source, in the order of the rows within a source.
    """
    out = []
    named = rejected if agent is None else rejected.with_columns(pl.lit(agent).alias("agent.id"))
    for (source,), rows in named.group_by(["source.id"], maintain_order=True):
        key = str(source or "")
        place = partition_of(key, partitions)
        for value in _packed(rows):
            out.append(Record(topic, place, value, [], at_ms, key.encode()))
    return out


def _packed(rows: pl.DataFrame) -> list[bytes]:
    text = io.BytesIO()
    rows.write_ndjson(text)
    packs: list[bytes] = []
    lines = text.getvalue().splitlines(keepends=True)
    pack: list[bytes] = []
    size = 0
    for line in lines:
        if pack and size + len(line) > MOST_BYTES:
            packs.append(b"".join(pack))
            pack, size = [], 0
        pack.append(line)
        size += len(line)
    return [*packs, b"".join(pack)] if pack else packs
