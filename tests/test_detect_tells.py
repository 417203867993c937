"""`sekimori detect` tells whom its configuration names: a finding in Kafka becomes an alert and a signed POST, and both end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

import rules as shipped
from contract import decision, finding
from tests.detector.channels.conftest import real as alertmanager  # noqa: F401 - a fixture
from tests.detector.channels.pagers import Real
from tests.detector.channels.receivers import Receiver, receiver
from tests.detector.desk import Desk
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, kafka: Cluster, hook: Receiver, alertmanager: Real) -> Iterator[Desk]:  # noqa: F811
    """A detector with one rule, an Alertmanager and a webhook."""
    folder = tmp_path / "desk"
    shutil.copytree(Path(shipped.__file__).parent / "auth/guessing", folder / "rules" / "auth" / "guessing")
    for name, text in (("hook.url", f"http://127.0.0.1:{hook.port}/very-secret"), ("hook.key", "k" * 32)):
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    options: dict[str, dict[str, Any]] = {
        "detector": {"rules": "rules"},
        "alertmanager": {"urls": [f"http://127.0.0.1:{alertmanager.port}"]},
        "[webhooks]": {
            "name": f"soc-{tmp_path.name}", "url_file": "hook.url", "hosts": ["127.0.0.1"], "secret_file": "hook.key",
            "allow_networks": ["127.0.0.0/8"],
        },
    }  # fmt: skip
    one = Desk(folder, kafka, (1, 1, 1), module=("sekimori", "detect", "-c"), options=options)
    one.topics["decisions"] = kafka.topic(1)
    yield one
    one.close()


def publish(desk: Desk, topic: str, value: str) -> None:
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    producer.send(desk.topics[topic], value=value.encode(), key=b"k")
    producer.flush()
    producer.close()


def test_a_finding_pages_and_its_closed_case_ends_it(desk: Desk, hook: Receiver, alertmanager: Real):  # noqa: F811
    publish(desk, "findings", finding.to_json(finding.example()))
    one = desk.start()
    one.until(lambda: bool(hook.got and alertmanager.alerts()))
    publish(desk, "decisions", decision.to_json(decision.example()))
    one.until(lambda: len(hook.got) == 2 and not alertmanager.alerts())

    assert [json.loads(request.body)["change"] for request in hook.got] == ["opened", "resolved"]
    assert one.metric("sekimori_detector_delivered_notices_total") == 4
    assert one.get("/healthz") == (200, "ok\n")
    assert one.end() == 0
    assert "very-secret" not in one.said


def test_a_channel_that_is_away_is_named_by_health_and_told_later(desk: Desk, hook: Receiver):
    hook.answer = (503, {}, b"")
    publish(desk, "findings", finding.to_json(finding.example()))
    one = desk.start()
    one.until(lambda: "answers 503" in one.get("/healthz")[1])
    assert one.get("/healthz")[0] == 503
    hook.answer = (200, {}, b"")
    one.until(lambda: one.get("/healthz") == (200, "ok\n"), 90)
    assert one.end() == 0
    assert {request.headers["webhook-id"] for request in hook.got} == {hook.got[0].headers["webhook-id"]}
