"""What people decided is kept like all else: archived as it came, verified, and made into a table, whoever is killed meanwhile."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import polars as pl
import pytest

from contract import decision
from contract.decision import DecisionKind
from tests.command import sekimori
from tests.detector.desk import Desk
from tests.kafka.cluster import Cluster
from tests.test_detect import close as decide
from tests.test_detect import desk as desk
from tests.test_detect import make_key

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.fixture
def kept(desk: Desk) -> Path:
    """A desk's archive, whose segments last a second; its topic of decisions has a name and is not there yet."""
    make_key(desk)
    desk.options["archive"] = {"folder": "kept", "key": "archive.key", "segment_s": 1}
    desk.topics["decisions"] = f"decided-{desk.topics['events']}"
    return desk.folder / "kept"


def case(number: int) -> bytes:
    return decision.to_json(decision.example() | {"finding": f"f-{number:016x}"}).encode()


def test_decisions_are_archived_verified_and_become_a_table(desk: Desk, kept: Path, kafka: Cluster):
    topic = desk.topics["decisions"]
    one = desk.start()
    one.until_it_has(6)  # all but what is not there
    assert one.get("/readyz")[0] == 200
    kafka.topic(1, topic)
    one.until_it_has(7, 90)
    allowed = decision.to_json(decision.example(DecisionKind.EXCEPTION)).encode()
    decide(desk, topic, case(1), b"no decision", allowed)
    one.until(lambda: one.metric("sekimori_detector_rejected_total") == 1)
    one.send(signal.SIGKILL)
    one.process.wait()
    decide(desk, topic, case(2), case(2))
    other = desk.start(name="other")
    other.until_it_has(7)
    decide(desk, topic, case(3))
    other.until(lambda: other.metric("sekimori_detector_records_total") >= 1)
    assert other.end() == 0
    assert desk.start("--once").process.wait(60) == 0

    key = desk.folder / "archive.key.pub"
    options = ["--topic", topic, "--key", key, "--without-agents", "--until", "2026-01-01T00:00+09:00"]
    verdict = sekimori(desk.folder, "verify", kept, *options)
    tables = sekimori(
        desk.folder, "archive", "tables", kept, "--topic", desk.topics["events"], "--decisions-topic", topic
    )

    assert verdict.status == 0, verdict.out + verdict.err
    verdict.says(f"records/{topic}/00000: 6 records")
    assert tables.status == 1
    tables.says("decisions: 5 rows of 1 days, 1 lines are none")
    rows = pl.concat([pl.read_parquet(path) for path in (kept / "decisions").glob("*.parquet")])
    assert sorted(rows["finding"]) == [*(f"f-{number:016x}" for number in (1, 2, 3)), decision.example()["finding"]]
    assert rows.filter(pl.col("kind") == "exception")["until"].to_list() == [json.loads(allowed)["until"]]
    [told] = [json.loads(line) for line in kafka.stored(desk.topics["dead_letters"])[0].value.splitlines()]
    assert (told["source.position"], told["reason"]) == (f"{topic}/0/1:0", "format")

    segment = next((kept / "records" / topic / "00000" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    assert sekimori(desk.folder, "verify", kept, *options).status == 1


def test_nobody_waits_for_a_topic_of_decisions_that_is_not_there(desk: Desk, kept: Path):
    desk.options["kafka"] = {"session_timeout_s": 300}

    assert desk.start("--once").process.wait(60) == 0

    assert not (kept / "records" / desk.topics["decisions"]).exists()
