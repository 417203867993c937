"""What the workers do, into the metrics."""

from __future__ import annotations

from collections.abc import Mapping

from detector import metrics
from detector.metrics import Metrics


class Observed:
    """Counts for the workers of one stage.

    Args:
        metrics: Where to.
        stage: Whose.
    """

    def __init__(self, metrics: Metrics, stage: metrics.Stage) -> None:
        self._metrics = metrics
        self._stage = stage

    def step(self, name: str, seconds: float) -> None:
        """A step of a turn took so long."""
        self._metrics.busy.labels(self._stage, name).inc(seconds)

    def turn(self, records: int, read_bytes: int) -> None:
        """A turn was begun, with so many records."""
        self._metrics.steps.labels(self._stage).inc()
        self._metrics.records.labels(self._stage).inc(records)
        self._metrics.bytes.labels(self._stage).inc(read_bytes)
        self._metrics.turn.labels(self._stage).observe(records)

    def count(self, counts: Mapping[str, float]) -> None:
        """What a stage counted: the name of a counter, and behind a colon the values of its labels, with commas."""
        for name, value in counts.items():
            counter, _, labels = name.partition(":")
            made = getattr(self._metrics, counter)
            (made.labels(*labels.split(",")) if labels else made).inc(value)

    def replayed(self) -> None:
        """A step of the past was worked through again."""
        self._metrics.replayed.inc()

    def saved(self, size_bytes: int) -> None:
        """A state was written down whole."""
        self._metrics.snapshots.inc()
        self._metrics.snapshot_bytes.labels(self._stage).set(size_bytes)
