"""Every metric of the detector, for Prometheus; `docs/metrics-detector.md` is made from this.

Labels are small closed sets: stages, steps, words of the contract, names of rules; never a person, a path or an address.
Counters begin at 0 with each start of the detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Info

from contract.finding import Queue, Severity
from contract.rejected import Reason
from detector.channels import gauges
from detector.channels.run import State
from service.vocabulary import Declared, Vocabulary

Stage = Literal["one", "two", "notices", "decisions"]
Step = Literal["fetch", "prepare", "decide", "log", "advance", "publish", "archive", "commit", "snapshot", "recover"]

PREFIX: Final = "sekimori_detector"
_BATCH: Final = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_SETS: Final[dict[str, tuple[str, ...]]] = {
    "stage": get_args(Stage),
    "step": get_args(Step),
    "kept": ("site", "rules", "model", "baseline"),
    "severity": tuple(severity.name.lower() for severity in Severity),
    "reason": tuple(reason.value for reason in Reason),
    "change": (
        "opened",
        "raised",
        "updated",
        "merged",
        "over_budget",
        "resolved",
        "excepted",
        "review",
        "unreviewed",
        "again",
    ),
    "state": ("deployed", "enabled"),
    "queue": tuple(queue.value for queue in Queue),
    "memory": ("sessions", "actors", "pairs", "windows"),
}


class Metrics(Vocabulary):
    """The detector's metrics in a registry of their own. The main loop counts, once per turn; anybody may read.

    Args:
        registry: Where they are registered; one `Metrics` per registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, PREFIX, _SETS)
        self._read()
        self._decide()
        self._run()
        self._tell()
        for declared, made in self._made:
            # So that a rate sees the first count too; what only operation knows (rules, partitions) comes as it comes.
            if declared.labels and all(declared.labels.values()):
                for values in _product(declared.labels):
                    made.labels(**values)

    def _read(self) -> None:
        self.records = self._counter("records_total", "Records taken from Kafka.", stage="stage")
        self.bytes = self._counter("read_bytes_total", "Bytes of these records, uncompressed.", stage="stage")
        self.events = self._counter("events_total", "Events that were new, heartbeats included.")
        self.repeated = self._counter("repeated_events_total", "Events that came again and count once.")
        self.late = self._counter("late_events_total", "Events behind the watermark, which amend what was closed.")
        self.late_candidates = self._counter(
            "late_candidates_total",
            "Events for a correlation of stage two that came behind its watermark, as nobody waited for their partition.",
        )
        self.capped = self._counter(
            "capped_total", "Closed or forgotten before its time, because there was too much of it.", memory="memory"
        )
        self.rejected = self._counter(
            "rejected_total", "Lines and records that are no events; they go to the dead letters.", reason="reason"
        )
        self.lost = self._counter(
            "lost_offsets_total", "Offsets that Kafka had deleted before they were read; each range is a finding."
        )
        self.gaps = self._counter(
            "relay_gaps_total",
            "Stretches from a stage one that followed one that never came; look at lost_offsets_total.",
        )
        self.lag = self._gauge("lag_records", "Records in Kafka that were not taken yet.", stage="stage")
        self.turn = self._histogram("turn_records", "Records in a turn.", _BATCH, stage="stage")
        self.seconds = self._histogram("turn_seconds", "Time of a turn.", _SECONDS, stage="stage")
        self.busy = self._counter("busy_seconds_total", "Time spent in each step.", stage="stage", step="step")

    def _decide(self) -> None:
        self.watermark = self._gauge(
            "watermark_timestamp_seconds", "Event time up to which all is decided, of the partition furthest behind.",
            stage="stage",
        )  # fmt: skip
        self.silent = self._gauge("silent_agents", "Agents that are not waited for, because they fell silent.")
        self.open_sessions = self._gauge("open_sessions", "Sessions that may go on.")
        self.hits = self._counter("hits_total", "Hits, by rule.", rule="rule")
        self.findings = self._counter(
            "findings_total", "Findings published, by severity and queue.", severity="severity", queue="queue"
        )
        self.notices = self._counter(
            "notices_total", "What became of findings that page or are for review.", change="change"
        )

    def _run(self) -> None:
        self.partitions = self._gauge("partitions", "Partitions that this detector works on.", stage="stage")
        self.replayed = self._counter("replayed_steps_total", "Steps of the state log that were worked through again.")
        self.steps = self._counter("steps_total", "Steps written to the state log.", stage="stage")
        self.fenced = self._counter("fenced_total", "Times another detector had taken a partition over.")
        self.snapshots = self._counter("snapshots_total", "States written down whole.")
        self.snapshot_bytes = self._gauge(
            "snapshot_bytes", "Bytes of the last state written down whole.", stage="stage"
        )
        self.consumers = self._counter("consumer_rebuilds_total", "Consumers given up for a new one.")
        self.producers = self._counter(
            "producer_rebuilds_total", "Producers given up for a new one, which sends again."
        )
        self.in_flight_bytes = self._gauge("in_flight_bytes", "Bytes sent and not yet acknowledged.")
        self.oldest = self._gauge("oldest_unacknowledged_seconds", "Age of the oldest record in flight, 0 if none is.")
        self.problems = self._gauge("problems", "Lines that /health shows; 0 while all is well.")
        self.reloaded = self._gauge("config_last_reload_successful", "1 if what was last read is what is in use.")
        self.rules = self._gauge(
            "rules", "Rules in the folder (`deployed`) and those that loaded (`enabled`).", state="rules"
        )
        self.loaded = self._gauge(
            "loaded_version", "1 for each version that is loaded, by its hash.", what="kept", hash="hash"
        )
        info = self._declare(
            "info",
            "_info",
            "Always 1; its labels are the detector's id, its version and the SHA-256 of its configuration.",
        )
        self._info = Info(PREFIX, info.text, registry=self.registry)

    def _tell(self) -> None:
        for name, kind, text, sets in gauges.METRICS:
            labels: dict[str, tuple[str, ...]] = {"channel": ()}
            self.declared.append(Declared(f"{PREFIX}_{name}", kind, text, labels | sets))

    def show_channels(self, states: Callable[[], Sequence[State]]) -> None:
        """Show from now on how the channels stand whenever somebody asks."""
        self.registry.register(gauges.Channels(PREFIX, states))

    def identify(self, detector_id: str, version: str, configuration: str) -> None:
        """Say which detector this is, and the SHA-256 (hex) of the configuration in use."""
        self._info.info({"detector": detector_id, "version": version, "configuration": configuration})

    def show_versions(self, hashes: Mapping[str, str], deployed: int, enabled: int) -> None:
        """Say what is loaded, by kind; what was loaded before is shown no longer."""
        self.loaded.clear()
        for what, digest in hashes.items():
            self.loaded.labels(what, digest).set(1)
        self.rules.labels("deployed").set(deployed)
        self.rules.labels("enabled").set(enabled)


def _product(labels: Mapping[str, tuple[str, ...]]) -> Iterable[dict[str, str]]:
    found: list[dict[str, str]] = [{}]
    for label, values in labels.items():
        found = [{**one, label: value} for one in found for value in values]
    return found
