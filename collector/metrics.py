"""Every metric of the agent, for Prometheus; `docs/metrics.md` is made from this.

Labels are small closed sets: ids of declared sources, reasons from tables, never a person, a path or an address.
Counters begin at 0 with each start of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from contract.rejected import Reason

Stage = Literal["read", "parse", "seal", "send", "checkpoint"]
Transport = Literal["udp", "tcp", "tls"]
Dropped = Literal["spool_full", "too_long", "not_allowed"]
Bundle = Literal["imported", "altered", "unsigned", "again", "unreadable"]

# An alert has 60 s from the event; acknowledging takes milliseconds while Kafka is well and minutes while it is away.
_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PREFIX: Final = "sekimori_collector"


class Metrics:
    """The agent's metrics in a registry of their own. The main loop counts, once per batch; anybody may read.

    Args:
        registry: Where they are registered; one `Metrics` per registry.
        sources: Ids of the sources that are configured; their series are there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry, sources: Iterable[str] = ()) -> None:
        # `_created` doubles the number of series and Prometheus makes no use of them in the text format.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._read()
        self._arrive()
        self._send()
        self._run()
        self.declare(sources)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _read(self) -> None:
        self.lines = self._counter("lines_total", "Complete lines read, headers and refused ones included.", "source")
        self.read_bytes = self._counter("read_bytes_total", "Bytes of these lines, uncompressed.", "source")
        self.events = self._counter("events_total", "Events made from lines.", "source")
        self.rejected = self._counter(
            "rejected_lines_total", "Lines that are no event of their source; they go to the dead letters.", "source", "reason"
        )  # fmt: skip
        self.gaps = self._counter(
            "gaps_total", "Places where lines are missing, each with a signed record.", "source", "reason"
        )
        self.gap_bytes = self._counter("gap_bytes_total", "Bytes missing in gaps whose length is known.", "source")
        self.rotations = self._counter("rotations_total", "Times a file was rotated, truncated or replaced.", "source")
        self.files = self._gauge("followed_files", "Files being followed.", "source")
        self.lag_bytes = self._gauge(
            "lag_bytes", "Bytes written by the source and not yet acknowledged by Kafka.", "source"
        )
        self.lag = self._gauge("lag_seconds", "Age of the oldest byte that is not yet acknowledged by Kafka.", "source")
        self.last_read = self._gauge(
            "last_read_timestamp_seconds", "When a complete line was last read, 0 if never.", "source"
        )

    def _arrive(self) -> None:
        self.syslog = self._counter("syslog_messages_total", "Syslog messages received.", "source", "transport")
        self.syslog_dropped = self._counter(
            "syslog_dropped_messages_total", "Syslog messages lost or cut, each told by a signed record.", "transport", "reason"
        )  # fmt: skip
        self.connections = self._gauge("syslog_connections", "Senders connected.", "transport")
        self.spool_bytes = self._gauge("spool_bytes", "Syslog on disk that Kafka has not acknowledged.", "source")
        self.bundles = self._counter("bundles_total", "Bundles found in the drop folder.", "result")
        self.vaulted = self._counter("vaulted_tokens_total", "New tokens put into the vault with their ids.")

    def _send(self) -> None:
        self.sealed = self._counter("sealed_records_total", "Records sealed.")
        self.sealed_bytes = self._counter("sealed_bytes_total", "Bytes of these records, uncompressed.")
        self.acknowledged = self._counter("acknowledged_records_total", "Records acknowledged by Kafka.")
        self.acknowledged_events = self._counter("acknowledged_events_total", "Events in these records.")
        self.in_flight_bytes = self._gauge("in_flight_bytes", "Bytes sent and not yet acknowledged.")
        self.oldest = self._gauge("oldest_unacknowledged_seconds", "Age of the oldest record in flight, 0 if none is.")
        self.latency = Histogram(
            f"{_PREFIX}_send_latency_seconds", "From sealing a record to its acknowledgement.",
            buckets=_LATENCY_S, registry=self.registry,
        )  # fmt: skip
        self.rebuilds = self._counter("producer_rebuilds_total", "Producers given up for a new one, which sends again.")
        self.heartbeats = self._counter("heartbeats_total", "Heartbeats sealed, one per partition and turn.")

    def _run(self) -> None:
        self.busy = self._counter("busy_seconds_total", "Time the main thread spent in each stage.", "stage")
        self.checkpoint = self._gauge(
            "checkpoint_timestamp_seconds", "When the checkpoint was last written, 0 if never."
        )
        self.checkpoint_failures = self._counter("checkpoint_failures_total", "Checkpoints that could not be written.")
        self.problems = self._gauge("problems", "Lines that /health shows; 0 while all is well.")
        self.reloaded = self._gauge(
            "config_last_reload_successful", "1 if the configuration on disk is the one in use."
        )
        self.info = Info(
            _PREFIX, "Which agent runs, its version and the SHA-256 of its configuration.", registry=self.registry
        )

    def declare(self, sources: Iterable[str]) -> None:
        """Make every series whose labels are known in advance, so that a rate sees the first count too.

        After a reload the gauges of sources that are gone go as well; their counters stay, as a total does.
        """
        wanted = set(sources)
        for gauge in (self.files, self.lag_bytes, self.lag, self.last_read):
            known = {sample.labels["source"] for family in gauge.collect() for sample in family.samples}
            for source in known - wanted:
                gauge.remove(source)
        for source in sorted(wanted):
            for metric in (self.lines, self.read_bytes, self.events, self.gap_bytes, self.rotations):
                metric.labels(source)
            for gauge in (self.files, self.lag_bytes, self.lag, self.last_read):
                gauge.labels(source)
            for reason in Reason:
                self.rejected.labels(source, reason.value)
        for stage in get_args(Stage):
            self.busy.labels(stage)
        for result in get_args(Bundle):
            self.bundles.labels(result)
        for transport in get_args(Transport):
            self.connections.labels(transport)
            for dropped in get_args(Dropped):
                self.syslog_dropped.labels(transport, dropped)
