"""Sort events by time on disk, so that input larger than memory is worked through in pieces.

Logs come file by file; the core wants stretches of time. Pieces are written as they are parsed, with the number of
events per ten minutes; then stretches of at most `most` events are read back in order. Ten minutes are the smallest stretch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from contract import event
from detector.archive import parquet

SLOT_MS: Final = 600_000
# Rows of one group in a piece: small enough that a stretch of time reads little else.
GROUP_ROWS: Final = 16_384
# What a repeated event has in common with itself, whether it comes from the archive or from a copy of its log.
NUMBER: Final = ("agent.id", "agent.boot", "agent.seq")
SAME: Final = ("time.occurred", "event.class", "event.action", "actor.id", "subject.token", "op.code", "message")


@dataclass(slots=True)
class Spool:
    """Events on their way from the parser to the core.

    Attributes:
        folder: Where pieces lie; the caller removes it.
        slots: Events per ten minutes since 1970.
        sources: Events per log source, repeated ones included.
        pieces: How many pieces were written.
        repeated: Events that `stretches` left out because their id had come before.
        conflicting: Those of them that differ from the event that was kept.
        renumbered: Those of them that an agent read and numbered again, after a crash; in `contract.event` columns. An event
            counts once, but each of its numbers was given.
    """

    folder: Path
    slots: Counter[int] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    pieces: int = 0
    repeated: int = 0
    conflicting: int = 0
    renumbered: list[pl.DataFrame] = field(default_factory=list)

    def add(self, events: pl.DataFrame) -> None:
        """Write one piece (`contract.event` columns, any order).

        Raises:
            OSError: The piece could not be written, for example for want of space.
        """
        if events.is_empty():
            return
        events = events.sort("time.occurred", "event.id")
        per_slot = events.group_by(pl.col("time.occurred") // SLOT_MS).len("n")
        self.slots.update(dict(per_slot.iter_rows()))
        self.sources.update(dict(events.group_by(pl.col("source.id").fill_null("?")).len("n").iter_rows()))
        # Columns without any value are left out: most systems fill a third of them.
        filled = [name for name in events.columns if events[name].null_count() < events.height]
        path = self.folder / f"piece-{self.pieces:06d}.parquet"
        parquet.write(events.select(filled), path, compression="lz4", row_group_size=GROUP_ROWS)
        self.pieces += 1

    def stretches(self, most: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Read the events back in order of time.

        Args:
            most: Events per stretch, unless ten minutes have more.

        Yields:
            (watermark, events): UTC ms of the last moment of the stretch, and its events, each id once.
        """
        files = [
            pl.scan_parquet(self.folder / f"piece-{number:06d}.parquet", glob=False) for number in range(self.pieces)
        ]
        for first, last in self._bounds(most):
            low, high = first * SLOT_MS, (last + 1) * SLOT_MS - 1
            inside = pl.col("time.occurred").is_between(low, high)
            parts = pl.collect_all([scan.filter(inside) for scan in files])
            found = [part for part in parts if part.height]
            if found:
                events = pl.concat([event.empty(), *found], how="diagonal").select(event.KEYS)
                yield high, self._once(events)

    def _once(self, events: pl.DataFrame) -> pl.DataFrame:
        once = events.unique("event.id", keep="first", maintain_order=True)
        if once.height < events.height:
            again = events.filter(pl.col("event.id").is_duplicated())
            self.repeated += events.height - once.height
            self.conflicting += again.n_unique(["event.id", *SAME]) - again["event.id"].n_unique()
            numbered = again.filter(pl.all_horizontal(pl.col(NUMBER).is_not_null())).unique(["event.id", *NUMBER])
            self.renumbered.append(numbered.join(once, on=["event.id", *NUMBER], how="anti"))
        return once

    def _bounds(self, most: int) -> Iterator[tuple[int, int]]:
        start, count, before = None, 0, 0
        for slot in sorted(self.slots):
            if start is not None and count + self.slots[slot] > most:
                yield start, before
                start, count = None, 0
            if start is None:
                start = slot
            count += self.slots[slot]
            before = slot
        if start is not None:
            yield start, before
