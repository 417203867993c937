"""Some of the accesses that raised nothing, for people to look at: drawn by hash, so that anybody can draw the same again.

An access is drawn if the SHA-256 over `<seed>\\n<event.id>` (UTF-8) is among the smallest. So the sample depends on nothing but the
seed and on which accesses there are: not on their order, not on a library's generator, and nobody can choose it, because ids
are keyed hashes of log lines.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass
from typing import Final

import polars as pl

from contract.event import ACCESS_ACTIONS

SIZE: Final = 30
_DRAWN: Final = pl.Schema({"hash": pl.String(), "event.id": pl.String(), "n": pl.Int64()})

# Somebody's data was shown or taken, as `explained_share` counts it.
ACCESS: Final = pl.col("subject.token").is_not_null() & pl.col("event.action").is_in(ACCESS_ACTIONS)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn.

    Attributes:
        events: Ids, in the order in which they were drawn; whoever stops early has looked at a smaller sample of the same kind.
        population: How many there were to draw from.
    """

    events: tuple[str, ...]
    population: int


def draw(events: pl.LazyFrame, raised: pl.Series, seed: str, size: int = SIZE) -> Sample:
    """Draw from the accesses that raised nothing.

    Args:
        events: Any order; each once.
        raised: Ids of events that raised something.
        seed: Any text.
        size: How many at most.
    """
    known = pl.DataFrame({"event.id": raised}, schema={"event.id": pl.String}).unique()
    ids = events.filter(ACCESS).select("event.id").join(known.lazy(), on="event.id", how="anti")
    head = f"{seed}\n".encode()
    # The best of each piece are kept, so that all ids are never in memory at once.
    pieces = ids.map_batches(lambda piece: _best(piece, head, size), schema=_DRAWN, streamable=True)
    found = pieces.collect(engine="streaming")
    drawn = found.filter(pl.col("event.id").is_not_null()).sort("hash", "event.id").head(size)
    return Sample(tuple(drawn["event.id"]), int(found["n"].sum()))


def _best(piece: pl.DataFrame, head: bytes, size: int) -> pl.DataFrame:
    """The ids of a piece that come first, and in a row of its own how many there were."""
    hashed = ((hashlib.sha256(head + uid.encode()).hexdigest(), uid, 0) for uid in piece["event.id"].to_list())
    rows = [*heapq.nsmallest(size, hashed), (None, None, piece.height)]
    return pl.DataFrame(rows, schema=_DRAWN, orient="row")
