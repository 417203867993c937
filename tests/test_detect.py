"""`sekimori detect` as an operator has it: checked, started, reloaded, and telling what it found."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

import rules as shipped
from contract import decision, finding
from tests.command import ROOT, environment
from tests.detector.desk import Desk
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

RULES = Path(shipped.__file__).parent


@pytest.fixture
def desk(tmp_path: Path, kafka: Cluster) -> Iterator[Desk]:
    """Detectors with a rule book of one rule."""
    folder = tmp_path / "desk"
    shutil.copytree(RULES / "auth/guessing", folder / "rules" / "auth" / "guessing")
    one = Desk(folder, kafka, module=("sekimori", "detect", "-c"), options={"detector": {"rules": "rules"}})
    yield one
    one.close()


def checked(path: Path) -> tuple[int, str]:
    command = [sys.executable, "-W", "ignore", "-m", "sekimori", "detect", "-c", str(path), "--check"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(path.parent), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def found(number: int, **changes: Any) -> dict[str, Any]:
    """A finding of its own, that pages."""
    one = finding.example()
    one["finding_info"]["uid"] = f"f-{number:016x}"
    one["unmapped"]["unit"] = f"W-{number}"
    one["evidences"][0]["actor"]["user"]["uid"] = f"u{number}"
    one["unmapped"] |= changes
    return one


def publish(desk: Desk, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    for value in values:
        producer.send(desk.topics["findings"], value=value, key=b"k")
    producer.flush()
    producer.close()


def told(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(one.value) for one in desk.kafka.stored(desk.topics["notices"])]


def test_a_good_configuration_is_said_to_be_one(desk: Desk):
    path = desk.configure()

    assert checked(path) == (0, f"{path}: ok\n")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path):
    path = tmp_path / "detector.toml"
    path.write_text('[detector]\nid = "d"\nstate_dri = "x"\n[kafka]\nbootstrap_servers = ["nowhere"]\n')

    status, text = checked(path)

    assert status == 2
    assert "3 problems" in text
    assert 'did you mean "state_dir"' in text
    assert "Traceback" not in text


def test_a_bad_rule_is_told_with_file_and_line_by_a_check(desk: Desk):
    bad_rule(desk)

    status, text = checked(desk.configure())

    assert status == 1
    assert "rules: refused, the others are in use: auth/bad/rule.yml:" in text


def bad_rule(desk: Desk) -> None:
    folder = desk.folder / "rules" / "auth" / "bad"
    folder.mkdir()
    (folder / "rule.yml").write_text("title: x\ndetection:\n  selection: {no.such: 1}\n")


def test_findings_that_page_become_notices_once_whatever_happens_in_between(desk: Desk):
    publish(desk, *(finding.to_json(found(number)).encode() for number in range(5)), b"no finding")
    assert desk.start("--once").process.wait(60) == 0
    first = told(desk)
    assert len(first) == 5
    assert {one["fingerprint"] for one in first} == {one["fingerprint"] for one in told(desk)}

    publish(desk, *(finding.to_json(found(number)).encode() for number in range(3, 7)))
    publish(desk, finding.to_json(found(99, run="2026-04")).encode())
    assert desk.start("--once").process.wait(60) == 0

    assert len(told(desk)) == 7
    [letter] = desk.kafka.stored(desk.topics["dead_letters"])
    assert json.loads(letter.value)["detail"] == "is no JSON"


def test_a_closed_case_resolves_its_alert_once_also_over_a_restart(desk: Desk):
    decided = desk.topics["decisions"] = desk.kafka.topic(2)
    publish(desk, finding.to_json(found(1)).encode(), finding.to_json(found(2)).encode())
    one = desk.start()
    one.until(lambda: len(told(desk)) == 2)
    close(desk, decided, b"no decision", decision.to_json(decision.example() | {"finding": f"f-{1:016x}"}).encode())
    one.until(lambda: len(told(desk)) == 3)
    [resolved] = [notice for notice in told(desk) if notice["change"] == "resolved"]
    assert (resolved["ending"], resolved["finding"]) == ("closed", f"f-{1:016x}")
    one.send(signal.SIGKILL)
    one.process.wait()

    two = desk.start()
    close(desk, decided, decision.to_json(decision.example() | {"finding": f"f-{2:016x}"}).encode())
    two.until(lambda: len({notice["fingerprint"] for notice in told(desk) if notice["change"] == "resolved"}) == 2)
    assert two.end() == 0
    assert {(notice["fingerprint"], notice["revision"]) for notice in told(desk)} == {
        (alert, revision) for alert in {notice["fingerprint"] for notice in told(desk)} for revision in (1, 2)
    }


def close(desk: Desk, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    for value in values:
        producer.send(topic, value=value, key=b"k")
    producer.flush()
    producer.close()


def test_a_reload_is_told_by_hash_and_a_bad_rule_leaves_the_others_in_use(desk: Desk):
    one = desk.start()
    one.until(lambda: one.get("/readyz") == (200, "ok\n"))
    before = loaded(one.get("/metrics")[1])
    shutil.copytree(RULES / "admin/right_granted_to_oneself", desk.folder / "rules/admin/right_granted_to_oneself")
    bad_rule(desk)

    one.send(signal.SIGHUP)

    one.until(lambda: "reloaded" in one.said)
    one.until(lambda: "auth/bad/rule.yml" in one.get("/healthz")[1])
    page = one.get("/metrics")[1]
    assert loaded(page) != before
    assert 'sekimori_detector_rules{state="deployed"} 3.0' in page
    assert 'sekimori_detector_rules{state="enabled"} 2.0' in page
    assert one.end() == 0


def test_a_reload_that_cannot_be_used_leaves_the_former_one_in_use(desk: Desk):
    one = desk.start()
    one.until(lambda: one.get("/readyz") == (200, "ok\n"))
    before = loaded(one.get("/metrics")[1])
    shutil.rmtree(desk.folder / "rules" / "auth")

    one.send(signal.SIGHUP)

    one.until(lambda: "the former one stays in use" in one.get("/healthz")[1])
    assert loaded(one.get("/metrics")[1]) == before
    assert one.end() == 0


def test_who_takes_over_without_the_versions_that_decided_before_refuses_and_says_where_to_get_them(desk: Desk):
    publish(desk, finding.to_json(found(1)).encode())
    assert desk.start("--once", name="old").process.wait(60) == 0
    shutil.rmtree(desk.folder / "rules" / "auth")
    shutil.copytree(RULES / "admin/right_granted_to_oneself", desk.folder / "rules/admin/right_granted_to_oneself")
    publish(desk, finding.to_json(found(2)).encode())

    other = desk.start("--once", name="new")

    assert other.process.wait(60) == 1
    assert "which is not kept here: copy the folder of that name from the detector that made the state" in other.said
    assert "Traceback" not in other.said
    [kept] = (desk.folder / "state-old" / "versions").iterdir()
    shutil.copytree(kept, desk.folder / "state-new" / "versions" / kept.name)
    assert desk.start("--once", name="new").process.wait(60) == 0
    assert len(told(desk)) == 2


def loaded(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("sekimori_detector_loaded_version{")]


def test_an_archive_that_cannot_be_written_stops_the_work_turns_health_red_and_is_got_over(desk: Desk):
    make_key(desk)
    full = desk.folder / "archive"
    full.write_text("a file stands where the folder should be")
    desk.options["archive"] = {"folder": "archive", "key": "archive.key"}
    publish(desk, *(finding.to_json(found(number)).encode() for number in range(3)))
    one = desk.start()
    one.until(lambda: one.get("/healthz")[0] == 503 and "archive" in one.get("/healthz")[1])
    assert one.metric("sekimori_detector_records_total") == 0

    full.unlink()

    one.until(lambda: len(told(desk)) == 3)
    one.until(lambda: one.get("/healthz") == (200, "ok\n"))
    assert one.end() == 0
    kept = [path.name for path in (full / "records" / desk.topics["findings"]).rglob("digests/*.json")]
    assert kept


def make_key(desk: Desk) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "sekimori",
        "keys",
        "archive",
        "--out",
        str(desk.folder / "archive.key"),
    ]
    subprocess.run(command, cwd=ROOT, env=environment(desk.folder), check=True, capture_output=True, timeout=60)
