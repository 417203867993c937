"""What Prometheus is shown of the channels, and that the page of metrics says the same."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from detector.channels.courier import Tally
from detector.channels.run import State
from detector.metrics import Metrics


def lines(*states: State) -> list[str]:
    metrics = Metrics(CollectorRegistry())
    metrics.show_channels(lambda: states)
    return generate_latest(metrics.registry).decode().splitlines()


def test_every_channel_shows_what_it_did_and_how_it_stands():
    tally = Tally(delivered=7)
    tally.attempts["later"] = 3
    tally.parked["refused"] = 2
    shown = lines(State("mail", tally, 5, 12.5, 4, "away"), State("soc", Tally(), 0, 0.0, 0, ""))
    for line in (
        'delivered_notices_total{channel="mail"} 7.0', 'delivery_attempts_total{channel="mail",outcome="later"} 3.0',
        'undelivered_notices_total{channel="mail",reason="refused"} 2.0', 'lost_notices_total{channel="mail"} 4.0',
        'waiting_notices{channel="mail"} 5.0', 'oldest_waiting_notice_seconds{channel="mail"} 12.5',
        'channel_up{channel="mail"} 0.0', 'channel_up{channel="soc"} 1.0',
        'undelivered_notices_total{channel="soc",reason="too_old"} 0.0',
    ):  # fmt: skip
        assert f"sekimori_detector_{line}" in shown


def test_what_is_shown_is_what_the_page_declares():
    declared = {one.name: set(one.labels) for one in Metrics(CollectorRegistry()).declared if "channel" in one.labels}
    shown: dict[str, set[str]] = {}
    for line in lines(State("mail", Tally(), 0, 0.0, 0, "")):
        if 'channel="' in line:
            name, _, labels = line.partition("{")
            shown[name] = {label.split("=")[0] for label in labels.split("}")[0].split(",")}
    assert shown == declared
