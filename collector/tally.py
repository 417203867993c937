"""What the agent counts: once per batch, for Prometheus and for the next heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from collector.cut import Piece
from collector.follow.events import Gap, Lines, Ready
from collector.heartbeat import Tally
from collector.metrics import Metrics, Stage
from collector.parse import Parsed
from contract.sealed import Record

_log = logging.getLogger(__name__)


class Counter:
    """Counts into the metrics, and keeps what the next heartbeat says.

    Args:
        metrics: Where to count.
        clock: Monotonic seconds.
        now: UTC seconds.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._files: dict[str, tuple[int, int]] = {}
        self._rejects: dict[str, int] = {}
        self._gaps = self._rotations = 0

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time a stage of the main thread."""
        begun = self._clock()
        try:
            yield
        finally:
            self._metrics.busy.labels(name).inc(self._clock() - begun)

    def read(self, part: Lines | Ready, parsed: Parsed) -> int:
        """A piece was read and parsed, or messages that were parsed before; returns how many bytes they have."""
        source = part.source.id
        count, size = (part.lines, part.size) if isinstance(part, Ready) else _measure(part.piece)
        self._metrics.lines.labels(source).inc(count)
        self._metrics.read_bytes.labels(source).inc(size)
        self._metrics.events.labels(source).inc(parsed.events.height)
        for reason, number in parsed.rejected.group_by("reason").len().iter_rows():
            self._metrics.rejected.labels(source, reason).inc(number)
            self._rejects[reason] = self._rejects.get(reason, 0) + number
        lines_before, bytes_before = self._files.get(parsed.name, (0, 0))
        self._files[parsed.name] = lines_before + count, bytes_before + size
        if count:
            self._metrics.last_read.labels(source).set(self._now())
        return size

    def lost(self, gaps: Iterable[Gap]) -> None:
        """Bytes are missing."""
        for gap in gaps:
            _log.error("%s: %s: %s", gap.source_id, gap.reason, gap.detail)
            self._gaps += 1
            self._metrics.gaps.labels(gap.source_id, gap.reason).inc()
            if gap.last_byte is not None:
                self._metrics.gap_bytes.labels(gap.source_id).inc(gap.last_byte - gap.first_byte + 1)

    def rotated(self, source: str, times: int) -> None:
        """Files of a source were rotated."""
        self._rotations += times
        self._metrics.rotations.labels(source).inc(times)

    def sent(self, records: Iterable[Record]) -> None:
        """Records were handed to the publisher."""
        for record in records:
            if record.first >= 0:
                self._metrics.sealed.inc()
                self._metrics.sealed_bytes.inc(len(record.value))

    def arrived(self, records: Iterable[Record], now_ms: int) -> None:
        """Records were acknowledged."""
        for record in records:
            self._metrics.acknowledged.inc()
            self._metrics.acknowledged_events.inc(max(0, record.last - record.first + 1))
            self._metrics.latency.observe(max(0, now_ms - record.timestamp_ms) / 1000)

    def take(self) -> Tally:
        """What happened since the last time."""
        tally = Tally(dict(self._files), self._rotations, self._gaps, dict(self._rejects))
        self._files, self._rejects = {}, {}
        self._gaps = self._rotations = 0
        return tally


def _measure(piece: Piece) -> tuple[int, int]:
    """Lines of a piece, and bytes of them with their ends."""
    size = int(piece.lines.get_column("raw").bin.size().sum() or 0) + piece.lines.height
    size += int(piece.too_long.get_column("bytes").sum() or 0)
    return piece.lines.height + piece.too_long.height, size
