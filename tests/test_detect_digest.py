"""`sekimori detect` moves to the digest what is allowed or over the budget: once, visibly, and the same after a kill."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from typing import Any

import pytest
from kafka import KafkaProducer

from contract import decision, finding
from contract.decision import DecisionKind
from tests.detector.desk import Desk
from tests.test_detect import close, desk, found, publish, told  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

AT = finding.example()["time"]


def item(number: int, who: str, **changes: Any) -> dict[str, Any]:
    one = found(number, **changes)
    del one["unmapped"]["exception"]
    one["evidences"][0]["actor"]["user"]["uid"] = who
    return one


def lines(*findings: dict[str, Any]) -> list[bytes]:
    return [finding.to_json(one).encode() for one in findings]


def updates(desk: Desk) -> list[bytes]:  # noqa: F811
    values = [one.value for one in desk.kafka.stored(desk.topics["findings"])]
    return [value for value in values if json.loads(value)["type_uid"] == 200402]


def excepted(desk: Desk) -> list[dict[str, Any]]:  # noqa: F811
    return [json.loads(value)["unmapped"].get("exception") for value in updates(desk)]


def test_what_is_allowed_goes_to_the_digest_and_is_counted_unless_it_is_critical(desk: Desk):  # noqa: F811
    desk.partitions = (1, 1, 1)
    desk.topics["findings"], desk.topics["decisions"] = desk.kafka.topic(1), desk.kafka.topic(1)
    publish(desk, *lines(item(1, "u1")))
    one = desk.start()
    one.until(lambda: len(told(desk)) == 1)
    exception = decision.example(DecisionKind.EXCEPTION) | {"actor": "u2", "time": AT - 1000, "until": AT + 1000}
    for name in ("subject", "analytic"):
        del exception[name]
    case = decision.example() | {"finding": f"f-{1:016x}"}
    close(desk, desk.topics["decisions"], *(decision.to_json(it).encode() for it in (exception, case)))
    one.until(lambda: len(told(desk)) == 2)  # the case behind the exception was taken

    critical = item(3, "u2") | {"severity_id": 5}
    publish(desk, *lines(item(2, "u2"), critical, item(4, "u1"), item(5, "u2")))
    one.until(lambda: len(told(desk)) == 4 and len(updates(desk)) == 2)

    assert [notice["finding"] for notice in told(desk)[2:]] == [f"f-{3:016x}", f"f-{4:016x}"]
    first = json.loads(updates(desk)[0])
    assert (first["finding_info"]["uid"], first["unmapped"]["queue"], first["is_alert"]) == (
        f"f-{2:016x}", "digest", False,
    )  # fmt: skip
    assert [(it["by"], it["until"], it["count"]) for it in excepted(desk)] == [
        (exception["by"], AT + 1000, 1), (exception["by"], AT + 1000, 2),
    ]  # fmt: skip
    one.until(lambda: 'notices_total{change="excepted"} 2.0' in one.get("/metrics")[1])
    before = {(value["fingerprint"], value["revision"]) for value in told(desk)}
    kept = updates(desk)
    one.send(signal.SIGKILL)
    one.process.wait()

    publish(desk, *lines(item(6, "u2")))
    assert desk.start("--once").process.wait(60) == 0

    assert {(value["fingerprint"], value["revision"]) for value in told(desk)} == before
    assert set(updates(desk)[:-1]) == set(kept)
    assert [it["count"] for it in excepted(desk)][-1] == 3


def failed(actor: str, start: int) -> bytes:
    """Events of an account whose log-on fails ten times, and of another one a good while later."""
    common = {
        "event.schema": 1, "event.class": "authentication", "event.action": "logon", "event.outcome": "failure",
        "source.id": "ops", "actor.id": actor, "system.id": "welfare",
    }  # fmt: skip
    rows = [common | {"time.occurred": start + number * 1000} for number in range(10)]
    rows += [common | {"time.occurred": start + 3_600_000, "actor.id": "late", "event.outcome": "success"}]
    named = [
        row | {"event.id": hashlib.sha256(f"{actor}{number}".encode()).hexdigest()[:16]}
        for number, row in enumerate(rows)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in named)


def test_a_finding_names_the_exceptions_that_were_in_force(desk: Desk):  # noqa: F811
    desk.topics["decisions"] = desk.kafka.topic(1)
    start = time.time_ns() // 1_000_000 - 86_400_000
    exception = decision.example(DecisionKind.EXCEPTION) | {"time": start, "until": start + 2 * 86_400_000}
    one = desk.start()
    send(desk, failed("u1", start))
    one.until(lambda: len(desk.found()) == 1)
    close(desk, desk.topics["decisions"], decision.to_json(exception).encode())

    for number in range(2, 30):  # it is read beside the work
        send(desk, failed(f"u{number}", start + number * 7_200_000))
        one.until(lambda number=number: len(desk.found()) >= number)
        if desk.found()[-1]["unmapped"]["versions"]["exceptions"] != "none":
            break

    names = [item["unmapped"]["versions"]["exceptions"] for item in desk.found()]
    digest = hashlib.sha256(f"{decision.name(exception)}\n".encode()).hexdigest()
    assert (names[0], names[-1]) == ("none", f"sha256:{digest}")
    assert one.end() == 0


def send(desk: Desk, value: bytes) -> None:  # noqa: F811
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    producer.send(desk.topics["events"], value=value, key=b"k")
    producer.flush()
    producer.close()


def test_review_items_over_the_budget_go_to_the_digest_once_and_bring_nothing_forth(desk: Desk):  # noqa: F811
    site = desk.folder / "site"
    site.mkdir()
    (site / "site.toml").write_text('name = "x"\ntime_zone = "Asia/Tokyo"\n')
    # One person a day is 0.016 review items, and a week of them are saved up: no whole one.
    (site / "staff.csv").write_text("actor_id,type,start\n100001,staff,2020-04-01\n")
    desk.options["detector"]["site"] = "site"
    publish(desk, *lines(*(item(n, f"u{n}", queue="review") | {"is_alert": False} for n in range(1, 4))))

    assert desk.start("--once").process.wait(60) == 0
    kept = updates(desk)
    assert sorted(json.loads(value)["finding_info"]["uid"] for value in kept) == [f"f-{n:016x}" for n in (1, 2, 3)]
    assert {(it["queue"], it["over_budget"]) for it in (json.loads(value)["unmapped"] for value in kept)} == {
        ("digest", True)
    }

    assert desk.start("--once").process.wait(60) == 0
    assert sorted(updates(desk)) == sorted(kept)
    assert told(desk) == []
    assert desk.kafka.stored(desk.topics["dead_letters"]) == []
