"""The vocabulary of metrics, by the rules that `promtool check metrics` has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from collector.follow.events import GapReason
from collector.metrics import PREFIX, Metrics
from contract.rejected import OF_LINES
from service.vocabulary import Declared

COLLECTOR = Path(__file__).parents[2] / "collector"
# Words that no name may hold: kinds of metric, and units that are not base units (https://prometheus.io/docs/practices/naming).
KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}
ODD_UNITS = {
    "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "ms", "s", "sec", "kib", "mib", "kilobytes",
    "megabytes", "kb", "mb", "bits", "percent", "b",
}  # fmt: skip


def made(*sources: str) -> Metrics:
    return Metrics(CollectorRegistry(), sources)


def series(metrics: Metrics) -> dict[str, Metric]:
    return {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }


@pytest.mark.parametrize("one", made().declared, ids=lambda one: one.name)
def test_a_name_follows_the_rules_of_prometheus(one: Declared) -> None:
    words = one.name.split("_")

    assert re.fullmatch(rf"{PREFIX}(_[a-z]+)+", one.name)
    assert (words[-1] == "total") == (one.kind == "counter")
    assert (words[-1] == "info") == (one.kind == "info")
    assert words[-1] not in ("count", "sum", "bucket", "created")
    assert not KINDS.union(ODD_UNITS).intersection(words)
    assert "seconds" not in words or words[words.index("seconds") + 1 :] in ([], ["total"])
    assert "bytes" not in words or words[words.index("bytes") + 1 :] in ([], ["total"])


@pytest.mark.parametrize("one", made().declared, ids=lambda one: one.name)
def test_a_metric_says_what_it_means_in_a_sentence(one: Declared) -> None:
    assert re.fullmatch(r"[A-Z0-9].{10,}\.", one.text)


def test_every_attribute_is_declared_registered_and_shown() -> None:
    metrics = made("welfare")
    metrics.identify("a", "1", "0" * 64)
    names = [one.name for one in metrics.declared]
    shown = series(metrics)

    assert len(set(names)) == len(names)
    own = {name for name in shown if name.startswith(PREFIX)}
    assert own == {name.removesuffix("_total") for name in names}
    assert "process_resident_memory_bytes" in shown
    assert not any(name.endswith("_created") for name in shown)


@pytest.mark.parametrize(
    "name", sorted(name for name, one in vars(made()).items() if isinstance(one, MetricWrapperBase) and name[0] != "_")
)
def test_no_metric_is_declared_in_vain(name: str) -> None:
    files = [path for path in COLLECTOR.rglob("*.py") if path.name != "metrics.py"]

    assert any(re.search(rf"metrics\.{name}\b", path.read_text(encoding="utf-8")) for path in files)


def test_labels_come_from_closed_sets_and_hold_no_reserved_one() -> None:
    metrics = made("welfare", "web")
    shown = series(metrics)

    for one in metrics.declared:
        for sample in shown[one.name.removesuffix("_total")].samples if one.kind != "info" else ():
            labels = {name: value for name, value in sample.labels.items() if one.kind != "histogram" or name != "le"}
            assert labels.keys() == one.labels.keys()
            for label, value in labels.items():
                assert value in (one.labels[label] or ("welfare", "web"))
    assert not {"le", "quantile", "instance", "job"} & {label for one in metrics.declared for label in one.labels}


def test_every_reason_for_a_refusal_or_a_gap_has_its_series_from_the_start() -> None:
    shown = series(made("welfare"))

    refused = {sample.labels["reason"] for sample in shown[f"{PREFIX}_rejected_lines"].samples}
    gaps = {sample.labels["reason"] for sample in shown[f"{PREFIX}_gaps"].samples}
    assert refused == {str(reason) for reason in OF_LINES}
    assert gaps == set(get_args(GapReason))
    assert {sample.value for sample in shown[f"{PREFIX}_gaps"].samples} == {0}


def test_a_source_that_a_reload_removed_keeps_its_totals_and_loses_its_gauges() -> None:
    metrics = made("welfare", "web")
    metrics.lines.labels("web").inc(5)
    metrics.lag_bytes.labels("web").set(9)
    metrics.declare(["welfare", "new"])
    shown = series(metrics)

    def of(name: str) -> dict[str, float]:
        return {sample.labels["source"]: sample.value for sample in shown[f"{PREFIX}_{name}"].samples}

    assert of("lines") == {"welfare": 0, "web": 5, "new": 0}
    assert of("lag_bytes") == {"welfare": 0, "new": 0}


def test_the_buckets_of_the_latency_part_the_objective_of_an_alert_in_time() -> None:
    metrics = made()
    metrics.latency.observe(59)
    metrics.latency.observe(61)
    counts = {
        sample.labels["le"]: sample.value
        for sample in series(metrics)[f"{PREFIX}_send_latency_seconds"].samples
        if sample.name.endswith("_bucket")
    }

    assert (counts["30.0"], counts["60.0"], counts["300.0"], counts["+Inf"]) == (0, 1, 2, 2)
