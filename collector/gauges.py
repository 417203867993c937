"""What the inputs say of themselves, into the metrics: once per pulse, not per turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from collector.follow.events import Lag
from collector.metrics import Metrics

if TYPE_CHECKING:
    from collector.listen import Seen


class Gauges:
    """Sets gauges, and back to 0 what is not spoken of any more, so that no old value stays.

    Args:
        metrics: Where to.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._rebuilds = 0
        self._set: dict[int, set[str]] = {}

    def rebuilt(self, times: int) -> None:
        """How often a publisher gave its producer up so far; less than before: it is a new publisher."""
        self._metrics.rebuilds.inc(times - self._rebuilds if times >= self._rebuilds else times)
        self._rebuilds = times

    def lag(self, lags: Iterable[Lag]) -> None:
        """How far behind reading is: a row per file or port; of a source the sum of bytes and the oldest."""
        rows = list(lags)
        size: Counter[str] = Counter()
        age: dict[str, float] = {}
        for row in rows:
            size[row.source_id] += row.bytes
            age[row.source_id] = max(age.get(row.source_id, 0.0), row.seconds)
        self._show(self._metrics.files, Counter(row.source_id for row in rows))
        self._show(self._metrics.lag_bytes, size)
        self._show(self._metrics.lag, age)

    def ports(self, ports: Iterable[Seen]) -> None:
        """What the syslog ports saw since the last time: a row per port; several may share a source or a transport."""
        metrics = self._metrics
        connections: Counter[str] = Counter()
        spooled: Counter[str] = Counter()
        for port in ports:
            metrics.syslog.labels(port.transport).inc(port.counts.messages)
            for reason, count in port.counts.lost.items():
                metrics.syslog_dropped.labels(port.transport, reason).inc(count)
            metrics.syslog_refused.labels(port.transport).inc(port.counts.refused)
            connections[port.transport] += port.connections
            spooled[port.source] += port.spool_bytes
        self._show(metrics.connections, connections)
        self._show(metrics.spool_bytes, spooled)

    def _show(self, gauge: Gauge, values: Counter[str] | dict[str, float]) -> None:
        before = self._set.get(id(gauge), set())
        for label in before - values.keys():
            gauge.labels(label).set(0)
        for label, value in values.items():
            gauge.labels(label).set(value)
        self._set[id(gauge)] = set(values)
