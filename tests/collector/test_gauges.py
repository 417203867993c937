"""Gauges show what is, not what was."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from collector.follow.events import Lag
from collector.gauges import Gauges
from collector.listen import Seen
from collector.metrics import PREFIX, Metrics
from collector.receive import Counts


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), ["welfare", "syslog"])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"{PREFIX}_{name}", labels)


def test_the_lag_of_a_source_is_the_sum_of_its_bytes_and_its_oldest(metrics: Metrics) -> None:
    Gauges(metrics).lag([Lag("welfare", 100, 5.0), Lag("syslog", 7, 1.0), Lag("welfare", 20, 9.0)])

    assert value(metrics, "lag_bytes", source="welfare") == 120
    assert value(metrics, "lag_seconds", source="welfare") == 9
    assert value(metrics, "followed_files", source="welfare") == 2
    assert value(metrics, "lag_bytes", source="syslog") == 7


def test_a_source_of_which_nothing_is_followed_any_more_has_no_lag(metrics: Metrics) -> None:
    gauges = Gauges(metrics)
    gauges.lag([Lag("welfare", 100, 5.0)])
    gauges.lag([])

    assert value(metrics, "lag_bytes", source="welfare") == 0
    assert value(metrics, "lag_seconds", source="welfare") == 0
    assert value(metrics, "followed_files", source="welfare") == 0


def test_ports_of_one_source_and_transport_add_up(metrics: Metrics) -> None:
    gauges = Gauges(metrics)
    counts = Counts(messages=10, lost=Counter(too_long=2), refused=3)
    gauges.ports([Seen("syslog", "tcp", counts, 4, 1000), Seen("syslog", "tcp", Counts(messages=1), 1, 24)])

    assert value(metrics, "syslog_messages_total", transport="tcp") == 11
    assert value(metrics, "syslog_dropped_messages_total", transport="tcp", reason="too_long") == 2
    assert value(metrics, "syslog_refused_total", transport="tcp") == 3
    assert value(metrics, "syslog_connections", transport="tcp") == 5
    assert value(metrics, "spool_bytes", source="syslog") == 1024

    gauges.ports([])
    assert value(metrics, "syslog_connections", transport="tcp") == 0
    assert value(metrics, "syslog_messages_total", transport="tcp") == 11


def test_producers_given_up_are_counted_over_publishers_too(metrics: Metrics) -> None:
    gauges = Gauges(metrics)
    for times in (0, 2, 2, 3, 0, 1):  # after a reload the publisher is a new one
        gauges.rebuilt(times)

    assert value(metrics, "producer_rebuilds_total") == 4
