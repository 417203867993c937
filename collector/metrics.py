"""Every metric of the agent, for Prometheus; `docs/metrics.md` is made from this.

Labels are small closed sets: ids of declared sources, words from tables, never a person, a path or an address.
Counters begin at 0 with each start of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Info,
)

from collector.follow.events import GapReason
from contract.rejected import OF_LINES
from service.vocabulary import Vocabulary

Stage = Literal["read", "parse", "seal", "send", "checkpoint"]
Transport = Literal["udp", "tcp", "tls"]
Dropped = Literal["spool_full", "too_long", "receive_buffer"]
Bundle = Literal["imported", "refused"]

PREFIX: Final = "sekimori_collector"
# An alert has 60 s from the event; acknowledging takes milliseconds while Kafka is well and minutes while it is away.
_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

_SETS: Final[dict[str, tuple[str, ...]]] = {
    "gap": get_args(GapReason),
    "rejected": tuple(reason.value for reason in OF_LINES),
    "dropped": get_args(Dropped),
    "stage": get_args(Stage),
    "transport": get_args(Transport),
    "bundle": get_args(Bundle),
}


class Metrics(Vocabulary):
    """The agent's metrics in a registry of their own. The main loop counts, once per batch; anybody may read.

    Args:
        registry: Where they are registered; one `Metrics` per registry.
        sources: Ids of the sources that are configured; their series are there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry, sources: Iterable[str] = ()) -> None:
        super().__init__(registry, PREFIX, _SETS)
        self._read()
        self._arrive()
        self._send()
        self._run()
        self.declare(sources)

    def _read(self) -> None:
        self.lines = self._counter(
            "lines_total", "Complete lines read, headers and refused ones included.", source="source"
        )
        self.read_bytes = self._counter("read_bytes_total", "Bytes of these lines, uncompressed.", source="source")
        self.events = self._counter("events_total", "Events made from lines.", source="source")
        self.rejected = self._counter(
            "rejected_lines_total", "Lines that are no event of their source; they go to the dead letters.",
            source="source", reason="rejected",
        )  # fmt: skip
        self.gaps = self._counter(
            "gaps_total", "Places where lines are missing, each told by a signed record.", source="source", reason="gap"
        )
        self.gap_bytes = self._counter(
            "gap_bytes_total", "Bytes missing in gaps whose length is known.", source="source"
        )
        self.rotations = self._counter(
            "rotations_total", "Times a file was rotated, truncated or replaced.", source="source"
        )
        self.files = self._gauge("followed_files", "Files being followed.", source="source")
        self.lag_bytes = self._gauge("lag_bytes", "Bytes that are in the files and were not read yet.", source="source")
        self.lag = self._gauge("lag_seconds", "Time since everything that was there had been read.", source="source")
        self.last_read = self._gauge(
            "last_read_timestamp_seconds", "When a complete line was last read, 0 if never.", source="source"
        )

    def _arrive(self) -> None:
        self.syslog = self._counter("syslog_messages_total", "Syslog messages received.", transport="transport")
        self.syslog_dropped = self._counter(
            "syslog_dropped_messages_total", "Syslog messages lost or cut.", transport="transport", reason="dropped"
        )
        self.syslog_refused = self._counter(
            "syslog_refused_total", "Datagrams and connections of senders that may not send, or are too many.",
            transport="transport",
        )  # fmt: skip
        self.connections = self._gauge("syslog_connections", "Senders connected.", transport="transport")
        self.spool_bytes = self._gauge(
            "spool_bytes", "Syslog on disk that Kafka has not acknowledged.", source="source"
        )
        self.bundles = self._counter("bundles_total", "Bundles found in the drop folder.", result="bundle")
        self.vaulted = self._counter("vaulted_tokens_total", "New tokens put into the vault with their ids.")

    def _send(self) -> None:
        self.sealed = self._counter("sealed_records_total", "Records sealed.")
        self.sealed_bytes = self._counter("sealed_bytes_total", "Bytes of these records, uncompressed.")
        self.acknowledged = self._counter("acknowledged_records_total", "Records acknowledged by Kafka.")
        self.acknowledged_events = self._counter("acknowledged_events_total", "Events in these records.")
        self.in_flight_bytes = self._gauge("in_flight_bytes", "Bytes sent and not yet acknowledged.")
        self.oldest = self._gauge("oldest_unacknowledged_seconds", "Age of the oldest record in flight, 0 if none is.")
        self.latency = self._histogram(
            "send_latency_seconds", "From sending a record to its acknowledgement.", _LATENCY_S
        )
        self.rebuilds = self._counter("producer_rebuilds_total", "Producers given up for a new one, which sends again.")
        self.heartbeats = self._counter("heartbeats_total", "Heartbeats sealed, one per partition and turn.")

    def _run(self) -> None:
        self.busy = self._counter("busy_seconds_total", "Time the main thread spent in each stage.", stage="stage")
        self.checkpoint = self._gauge(
            "checkpoint_timestamp_seconds", "When the checkpoint was last written, 0 if never."
        )
        self.checkpoint_failures = self._counter("checkpoint_failures_total", "Checkpoints that could not be written.")
        self.problems = self._gauge("problems", "Lines that /health shows; 0 while all is well.")
        self.reloaded = self._gauge(
            "config_last_reload_successful", "1 if the configuration as last read is the one in use."
        )
        info = self._declare(
            "info",
            "_info",
            "Always 1; its labels are the agent's id, its version and the SHA-256 of its configuration.",
        )
        self._info = Info(PREFIX, info.text, registry=self.registry)

    def identify(self, agent_id: str, version: str, configuration: str) -> None:
        """Say which agent this is, and the SHA-256 (hex) of the configuration in use."""
        self._info.info({"agent": agent_id, "version": version, "configuration": configuration})

    def declare(self, sources: Iterable[str]) -> None:
        """Make every series whose labels are known in advance, so that a rate sees the first count too.

        After a reload the gauges of sources that are gone go as well; their counters stay, as a total does.
        """
        wanted = tuple(sorted(set(sources)))
        for declared, made in self._made:
            if not declared.labels:
                continue
            for values in product(*(values or wanted for values in declared.labels.values())):
                made.labels(*values)
            if isinstance(made, Gauge) and "source" in declared.labels:
                _forget(made, wanted)


def _forget(gauge: Gauge, wanted: Iterable[str]) -> None:
    known = {sample.labels["source"] for family in gauge.collect() for sample in family.samples}
    for source in known.difference(wanted):
        gauge.remove(source)
