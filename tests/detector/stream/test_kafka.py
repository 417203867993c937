"""What comes through a real Kafka is found as `analyze` finds it in files, whatever the partitions, detectors and order."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from kafka import KafkaProducer

from detector import admission, rulebook
from detector import model as models
from detector.admission import Arrived, Trust
from detector.baseline import Baseline
from detector.watermark import in_steps
from tests import command
from tests.detector.desk import Desk
from tests.detector.month import RULES
from tests.detector.stream import sent
from tests.detector.stream.sent import Agents, Month
from tests.detector.stream.streamed import Finding, Versions, analysed, comparable, differences, last, plain
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.mark.parametrize(("partitions", "disorder_ms"), [(1, 0), (2, sent.DISORDER_MS), (4, sent.DISORDER_MS)])
def test_a_month_through_kafka_with_a_baseline_that_changes_in_the_middle_is_found_as_analyze_finds_it(
    desk_of: Callable[..., Desk], kafka: Cluster, month: Month, partitions: int, disorder_ms: int
):
    desk = desk_of(kafka, month, partitions)
    agents = Agents(desk.folder / "agents", month, desk.kafka.address, desk.topics["events"], partitions, disorder_ms)
    running = [desk.start(name=f"d{number}") for number in range(partitions)]
    until_decided(desk, agents.first_half())
    shutil.copy(month.later, desk.folder / "usual.json")
    for one in running:
        one.send(signal.SIGHUP)
    running[0].until(lambda: all("reloaded" in one.said for one in running))
    until_decided(desk, agents.second_half())
    since = changes(desk)
    assert [one.metric("sekimori_detector_late_events_total") for one in running] == [0] * partitions
    assert [one.end() for one in running] == [0] * partitions

    wanted = reference(desk, month, since)

    found = last(desk.found())
    assert {one["finding_info"]["analytic"]["uid"] for one in found.values()} >= sent.TOGETHER
    assert {one["unmapped"]["kind"] for one in found.values()} == {"event", "session", "day", "group", "evidence"}
    assert {one["unmapped"]["versions"]["baseline"] for one in found.values()} == {usual.id for usual in usuals(month)}
    assert not differences(found, wanted)


def test_a_month_through_kafka_live_and_worked_through_again_is_what_the_command_analyze_finds_in_the_files(
    desk_of: Callable[..., Desk], kafka: Cluster, month: Month, tmp_path: Path
):
    desk = desk_of(kafka, month, 2)
    desk.options["kafka"] = {"decoded_mib": 4}
    begun = datetime.now(UTC)
    send_what_cannot_be_read(desk)
    agents = Agents(desk.folder / "agents", month, desk.kafka.address, desk.topics["events"], 2, sent.DISORDER_MS)
    agents.first_half()
    send_what_cannot_be_read(desk)
    heard = agents.second_half()
    running = [desk.start(name=name) for name in ("a", "b")]
    until_decided(desk, heard)
    assert [one.end() for one in running] == [0, 0]
    lines = b"".join(one.value for one in desk.kafka.stored(desk.topics["dead_letters"])).splitlines()
    letters = [json.loads(line) for line in set(lines)]  # what was seen to by one may be told again by another
    assert Counter(one["reason"] for one in letters) == dict.fromkeys(
        ("json", "schema", "seal", "format", "too_large"), 2
    )

    span = begun.isoformat(), (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    again = [desk.start("--replay", *span, name=name) for name in ("c", "d")]
    again[0].until(lambda: "taken over" in again[0].said)
    again[0].end(signal.SIGKILL)
    again[0] = desk.start("--replay", *span, name="c")
    assert [one.process.wait(120) for one in again] == [0, 0], [one.said for one in again]

    assert all("taken over" in one.said for one in again)

    options = ["--site", month.folder / "site", "--model", month.model, "--json"]
    ran = command.sekimori(tmp_path, "analyze", month.folder / "logs", *options, out=tmp_path / "out")
    assert ran.status == 0, ran.err
    found = (tmp_path / "out" / "findings.ndjson").read_text().splitlines()
    live, rerun = last(desk.found()), last(desk.found(), lambda run: run != "live")
    assert not differences(*comparable(live, {one["finding_info"]["uid"]: one for one in map(json.loads, found)}))
    assert {uid: one | {"unmapped": one["unmapped"] | {"run": "live"}} for uid, one in rerun.items()} == live


def send_what_cannot_be_read(desk: Desk) -> None:
    """A line that is none, an event of the future, one in an agent's name, a seal that is none, and a bomb."""
    event = {"event.id": "e" * 16, "event.schema": 1, "event.class": "access", "time.occurred": 1}
    topic, producer = desk.topics["events"], {"bootstrap_servers": desk.kafka.address.split(",")}
    sealed = [(name, b"1") for name in ("fmt", "n", "schema", "agent", "boot", "first", "last", "prev", "mac")]
    with closing(KafkaProducer(**producer)) as plain_one:
        plain_one.send(topic, b"{not json\n", partition=0)
        for changes in ({"event.schema": 99}, {"agent.id": sent.AGENTS[0]}):
            plain_one.send(topic, json.dumps(event | changes).encode() + b"\n", partition=1)
        plain_one.send(topic, json.dumps(event).encode() + b"\n", headers=sealed, partition=0)
    with closing(KafkaProducer(**producer, compression_type="zstd", max_request_size=16 << 20)) as packed:
        packed.send(topic, b"0" * (8 << 20), partition=1)


def until_decided(desk: Desk, heard: int) -> None:
    """Wait until both stages of all partitions have decided all that is older than the lateness, and it is published.

    What a detector shows of a partition from which nothing was read yet is neither lag nor a watermark, and what stage one has
    not published yet is no lag of stage two: the group's offsets count, stage by stage.
    """
    mark = in_steps(heard - sent.LATENESS_S * 1000) / 1000
    count = {"one": desk.partitions[0], "two": sent.CORRELATE}
    lags: list[int] = []
    deadline = time.monotonic() + 240
    while True:
        pages = [one.get("/metrics")[1] for one in desk.running]
        stands = {(name, stage): stand(page, stage) for name, page in enumerate(pages) for stage in count}
        ready = all(one.get("/readyz")[0] == 200 for one in desk.running)
        if ready and all(
            sum(stands[name, stage].partitions for name in range(len(pages))) == wanted
            and all(one.mark in (0, mark) for (_, of), one in stands.items() if of == stage)
            for stage, wanted in count.items()
        ):
            lags = [desk.kafka.lag(desk.group, desk.topics[name]) for name in ("events", "correlate")]
            if not any(lags):
                return
        assert time.monotonic() < deadline, "\n".join(
            [f"{mark}: {stands}, {lags}", *(one.said for one in desk.running)]
        )
        time.sleep(0.5)


class Stand(NamedTuple):
    """Of a stage of a detector: its partitions, and what it has decided up to; 0 where it has decided nothing."""

    partitions: float
    mark: float


def stand(page: str, stage: str) -> Stand:
    names = ("partitions", "watermark_timestamp_seconds")
    return Stand(*(number(page, f'sekimori_detector_{name}{{stage="{stage}"}}') for name in names))


def number(page: str, name: str) -> float:
    """The value of a series, 0 if it is not there."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name + " "))


def changes(desk: Desk) -> int:
    """The moment of event time from which the later baseline decides; it is the same in all partitions of both stages."""
    found = set()
    for record in desk.kafka.stored(desk.topics["state"]):
        body = json.loads(record.value.split(b"\n")[0])
        pin = body.get("decision", {}).get("pin")
        stage = (record.key or b"").decode().split("/")[1]
        if pin and pin["since"] >= 0 and stage in (desk.topics["events"], desk.topics["correlate"]):
            found.add((record.key, pin["since"]))
    assert len(found) == desk.partitions[0] + sent.CORRELATE
    [since] = {moment for _, moment in found}
    return int(since)


def usuals(month: Month) -> list[Baseline]:
    return [Baseline.read(sent.beside(month.model)), Baseline.read(month.later)]


def arrived(desk: Desk) -> pl.DataFrame:
    """The events in the topic, each once."""
    topic = desk.topics["events"]
    records = [
        Arrived(topic, one.partition, one.offset, one.timestamp_ms, one.key, one.value, tuple(one.headers))
        for one in desk.kafka.stored(topic)
    ]
    read = admission.read(records, Trust(frozenset(sent.AGENTS)))
    assert read.rejected.is_empty()
    return read.events.unique("event.id", maintain_order=True).sort("time.occurred", "event.id")


def reference(desk: Desk, month: Month, since: int) -> dict[str, Finding]:
    """What `Analysis` says of the same events, with the later baseline from a moment on."""
    book, model = rulebook.load(RULES), models.load(month.model)
    before, after = usuals(month)
    versions = Versions.of(month.site, (0, book, model, before), (since, book, model, after))
    return plain(analysed(arrived(desk), versions))
