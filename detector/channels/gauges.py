"""The channels' metrics, read from how they stand when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from detector.channels.courier import Outcome, Parked
from detector.channels.run import State

# Name, kind, what it says, and the closed set of a second label beside `channel`, which takes the names of `detector.toml`.
METRICS: Final[tuple[tuple[str, str, str, dict[str, tuple[str, ...]]], ...]] = (
    ("delivered_notices_total", "counter", "Notices that a channel is done with.", {}),
    ("delivery_attempts_total", "counter", "Attempts to deliver, by what came of them.", {"outcome": get_args(Outcome)}),
    ("undelivered_notices_total", "counter", "Notices that went to the dead letters.", {"reason": get_args(Parked)}),
    ("lost_notices_total", "counter", "Notices that Kafka had deleted before a channel read them.", {}),
    ("waiting_notices", "gauge", "Notices that a channel has read and not delivered.", {}),
    ("oldest_waiting_notice_seconds", "gauge", "Age of the oldest of these, 0 if there is none.", {}),
    ("channel_up", "gauge", "1 if nothing keeps a channel from its work, else 0.", {}),
)  # fmt: skip


class Channels(Collector):
    """Shows how the channels stand.

    Args:
        prefix: Of every name.
        states: How they stand now.
    """

    def __init__(self, prefix: str, states: Callable[[], Sequence[State]]) -> None:
        self._prefix = prefix
        self._states = states

    def describe(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The families without series, so that registering asks nobody."""
        return [self._family(*one) for one in METRICS]

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """One series for each channel, and word where there is a second label."""
        families = [self._family(*one) for one in METRICS]
        for state in self._states():
            tally = state.tally
            plain = (tally.delivered, None, None, state.lost, state.waiting, state.oldest_s, not state.trouble)
            for family, value in zip(families, plain, strict=True):
                if value is not None:
                    family.add_metric([state.name], float(value))
            for family, counts in ((families[1], tally.attempts), (families[2], tally.parked)):
                for word, count in counts.items():
                    family.add_metric([state.name, str(word)], count)
        return families

    def _family(
        self, name: str, kind: str, text: str, sets: dict[str, tuple[str, ...]]
    ) -> CounterMetricFamily | GaugeMetricFamily:
        made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        return made(f"{self._prefix}_{name}", text, labels=["channel", *sets])
