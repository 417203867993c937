"""The agent as a process, from files to a real Kafka: every line once, in order, under the ids that analyze gives."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests import crashing
from tests.command import sekimori
from tests.host import Host, line
from tests.kafka.broker import PASSWORDS, Broker, Door
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(), kafka.topic(1))
    yield one
    one.close()


def exactly(first: int, count: int) -> dict[int, int]:
    """Each of these lines once."""
    return dict.fromkeys(range(first, first + count), 1)


def test_every_line_arrives_once_and_a_second_run_sends_only_what_is_new(host: Host):
    host.write("access.log", 0, 3000)
    assert host.once() == 0, host.said
    assert host.arrived() == exactly(0, 3000)
    host.write("access.log", 3000, 10)
    assert host.once() == 0, host.said
    assert host.arrived() == exactly(0, 3010)
    status, verdict = host.verify()
    assert status == 0, verdict


def test_more_rotated_files_than_may_be_open_are_all_read_before_a_single_run_ends(host: Host):
    host.write("access.log", 0, 5)
    assert host.once() == 0
    count = 230  # 200 are open at most
    for number in range(count):
        (host.folder / "logs/access.log").rename(host.folder / f"logs/access.log.{number}")
        host.write("access.log", 5 + number, 1)
    assert host.once() == 0
    assert host.arrived() == Counter(range(5 + count))


def test_ids_and_contents_are_those_that_analyze_gives(host: Host, tmp_path: Path, kafka: Cluster):
    host.write("access.log", 0, 400)
    assert host.once() == 0, host.said
    site = tmp_path / "site"
    (site / "keys").mkdir(parents=True)
    (site / "keys" / "site.key").write_text("5e" * 32)
    (site / "site.toml").write_text('name = "x"\ntime_zone = "Asia/Tokyo"\n[keys]\nsite = "keys/site.key"\n')
    ran = sekimori(tmp_path, "analyze", host.folder / "logs", "--site", site, "--json", out=tmp_path / "out")
    offline = pl.read_parquet(sorted((ran.folder / "events").glob("*.parquet"))).sort("event.id")
    streamed = pl.DataFrame([e for e in host.events() if e["event.class"] != "heartbeat"], infer_schema_length=None)
    same = [name for name in streamed.columns if name not in ("agent.id", "agent.boot", "agent.seq", "time.received")]
    same.remove("source.position")  # names the path as the agent knows it
    assert streamed.sort("event.id").select(same).equals(offline.select(same).cast(dict(streamed.select(same).schema)))


def test_one_actor_is_in_one_partition_and_in_order(host: Host):
    host.write("access.log", 0, 5000)
    assert host.once() == 0, host.said
    places: dict[str, set[int]] = {}
    order: dict[str, list[int]] = {}
    for record in host.kafka.stored(host.topic):
        for text in record.value.splitlines():
            event = json.loads(text)
            if "actor.id" in event:
                places.setdefault(event["actor.id"], set()).add(record.partition)
                order.setdefault(event["actor.id"], []).append(int(event["resource.id"].rsplit("/", 1)[1]))
    assert len(places) == 7
    assert all(len(found) == 1 for found in places.values())
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_for_other_consumers_every_event_is_a_record_with_its_actor_as_the_key(host: Host):
    host.options = {"wire": {"format": "event"}}
    host.configure()
    host.write("access.log", 0, 30)
    assert host.once() == 0, host.said
    records = host.kafka.stored(host.topic)
    events = [json.loads(record.value) for record in records]
    assert [record.key for record in records] == [(e.get("actor.id") or e["agent.id"]).encode() for e in events]
    assert host.arrived() == exactly(0, 30)
    status, verdict = host.verify()
    assert status == 0, verdict


def test_a_bad_line_is_a_dead_letter_and_stops_nothing(host: Host):
    host.write("access.log", 0, 5)
    with (host.folder / "logs" / "access.log").open("a") as file:
        file.write("this is no line of an access log 123456789018\n")
    host.write("access.log", 5, 5)
    assert host.once() == 0, host.said
    assert host.arrived() == exactly(0, 10)
    [letter] = [json.loads(text) for record in host.kafka.stored(host.dead) for text in record.value.splitlines()]
    assert letter["agent.id"] == "ag-test"
    assert letter["reason"] == "format"
    assert "123456789018" not in json.dumps(letter)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("step", list(crashing.STEPS))
def test_killed_at_any_step_it_loses_nothing_and_leaves_no_false_gap(host: Host, step: str, times: int):
    host.write("access.log", 0, 1500)
    host.start("--once", crash=f"{step}:{times}")
    status = host.wait()
    assert status in (-signal.SIGKILL, 0), host.said
    host.write("access.log", 1500, 200)
    assert host.once() == 0, host.said
    arrived = host.arrived()
    assert set(arrived) == set(range(1700))
    ids: dict[int, set[str]] = {}
    for event in host.events():
        if "resource.id" in event:
            ids.setdefault(int(event["resource.id"].rsplit("/", 1)[1]), set()).add(event["event.id"])
    assert all(len(found) == 1 for found in ids.values())
    verdict = host.verify()
    assert verdict[0] == 0, verdict[1]


@pytest.mark.parametrize("step", ["read:2", "parsed:1", "sealed:2", "before-journal:1"])
def test_a_bug_that_ends_it_loses_nothing_either(host: Host, step: str):
    host.write("access.log", 0, 500)
    host.start("--once", crash=f"{step}:error")
    assert host.wait() == 1, host.said
    assert "RuntimeError: a bug, on purpose" in host.said
    assert host.once() == 0, host.said
    assert set(host.arrived()) == set(range(500))
    verdict = host.verify()
    assert verdict[0] == 0, verdict[1]


def test_stopped_by_systemd_it_says_good_bye_and_ends_with_0(host: Host):
    host.write("access.log", 0, 100)
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    host.until(lambda: host.metric("sekimori_collector_acknowledged_events_total") >= 104)
    assert host.get("/health") == (200, "ok\n")
    assert host.end() == 0
    beats = [json.loads(e["message"]) for e in host.events() if e["event.class"] == "heartbeat"]
    assert sum("stopping" in beat for beat in beats) == 4
    assert host.arrived() == exactly(0, 100)


def test_a_reload_takes_up_new_files_and_keeps_the_old_configuration_if_the_new_one_is_wrong(host: Host):
    host.write("access.log", 0, 10)
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    host.until(lambda: len(host.arrived()) == 10)
    (host.folder / "more").mkdir()
    (host.folder / "more" / "b.log").write_text("".join(line(number) for number in range(10, 20)))
    good = host.config.read_text()
    host.config.write_text(good.replace("[kafka]", "[kafak]"))
    host.send(signal.SIGHUP)
    host.until(lambda: "kafak" in host.said)
    host.until(lambda: "not reloaded" in host.get("/health")[1])
    host.files.append(("web-access", "more/*.log"))
    host.configure()
    host.send(signal.SIGHUP)
    host.until(lambda: len(host.arrived()) == 20)
    host.until(lambda: host.get("/health") == (200, "ok\n"))
    assert host.end() == 0
    assert host.arrived() == exactly(0, 20)
    status, verdict = host.verify()
    assert status == 0, verdict


def test_rotation_while_kafka_is_away_loses_nothing_even_if_the_old_file_is_deleted(tmp_path: Path, broker: Broker):
    host = Host(tmp_path / "host", broker, broker.topic(), broker.topic(1))
    try:
        host.write("access.log", 0, 100)
        host.start()
        host.until(lambda: len(host.arrived()) == 100)
        broker.pause()
        logs = host.folder / "logs"
        host.write("access.log", 100, 50)
        for generation in range(3):
            time.sleep(1.5)
            (logs / "access.log").rename(logs / f"access.{generation}")
            host.write("access.log", 150 + 50 * generation, 50)
        time.sleep(1.5)
        for generation in range(3):
            (logs / f"access.{generation}").unlink()
        broker.resume()
        host.until(lambda: len(host.arrived()) == 300)
        assert host.end() == 0
        assert host.verify()[0] == 0
    finally:
        host.close()


def test_kafka_killed_and_started_again_gets_everything(tmp_path: Path, broker: Broker):
    host = Host(tmp_path / "host", broker, broker.topic(), broker.topic(1))
    try:
        host.start()
        for round_ in range(3):
            host.write("access.log", 1000 * round_, 1000)
            if round_ == 1:
                broker.kill()
                time.sleep(1)
                broker.start()
        host.until(lambda: len(host.arrived()) == 3000, 90)
        assert host.end() == 0
        assert host.verify()[0] == 0
    finally:
        host.close()


def test_without_kafka_it_says_so_once_stays_small_and_catches_up(tmp_path: Path, broker: Broker):
    host = Host(tmp_path / "host", broker, broker.topic(), broker.topic(1), {"kafka": {"away_after_s": 5}})
    try:
        host.start()
        host.write("access.log", 0, 10)
        host.until(lambda: len(host.arrived()) == 10)
        broker.pause()
        # 40 MB, more than may be in flight.
        host.write("access.log", 10, 400_000)
        host.until(lambda: host.get("/health")[0] == 503)
        host.until(lambda: "no acknowledgement" in host.get("/health")[1])
        assert host.process is not None
        status = Path(f"/proc/{host.process.pid}/status").read_text()
        resident_kb = int(status.split("VmRSS:")[1].split()[0])
        assert resident_kb < 200 << 10
        broker.resume()
        host.until(lambda: host.metric("sekimori_collector_lag_bytes") == 0 and host.get("/health")[0] == 200, 180)
        assert host.end() == 0
        assert len(host.arrived()) == 400_010
    finally:
        host.close()


def test_what_is_wrong_with_the_configuration_is_said_at_once_without_a_traceback(host: Host):
    host.options = {"kafka": {"topc": "x"}, "agent": {"heartbeat_s": 0}}
    host.configure()
    host.start("--check")
    assert host.wait() == 2
    assert "kafka.topc: unknown key, did you mean" in host.said.replace("  ", " ") or "kafka.topc" in host.said
    assert "heartbeat_s" in host.said
    assert "Traceback" not in host.said


def test_a_second_agent_on_the_same_state_does_not_start(host: Host):
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    first = host.process
    host.start()
    assert host.wait() == 2
    assert "another agent is using this folder" in host.said
    host.process = first
    assert host.end() == 0


def test_a_wrong_password_is_one_line_and_the_right_one_needs_no_restart(tmp_path: Path, broker: Broker):
    host = Host(tmp_path / "host", broker, broker.topic(), broker.topic(1))
    password = host.folder / "password"
    password.touch(0o600)
    password.write_text("not it")
    host.options = {
        "kafka": {
            "bootstrap_servers": [broker.at(Door.SASL)], "security_protocol": "SASL_SSL",
            "ssl_cafile": str(broker.authority.cafile), "sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "alice",
            "sasl_password_file": str(password),
        }
    }  # fmt: skip
    host.configure()
    for name in (host.topic, host.dead):
        broker.allow("alice", name, "WRITE")
    try:
        host.write("access.log", 0, 10)
        host.start()
        host.until(lambda: "metrics at port" in host.said)
        host.until(lambda: "password" in host.get("/health")[1])
        assert len(host.get("/health")[1].splitlines()) == 1
        password.write_text(PASSWORDS["alice"])
        host.until(lambda: len(host.arrived()) == 10)
        assert "Traceback" not in host.said
        assert host.end() == 0
    finally:
        host.close()


def test_syslog_is_followed_like_a_file_and_survives_a_kill(host: Host):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host.files = []
    host.syslog = [{"protocol": "tcp", "port": port}]
    host.configure()
    host.start()
    host.until(lambda: "metrics at port" in host.said)

    def send(first: int, count: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sender:
            for number in range(first, first + count):
                text = f"<38>Mar  4 10:00:00 web1 sshd[{number}]: Failed password for root from 192.0.2.1 port 1 ssh2"
                sender.sendall(f"{len(text)} {text}".encode())

    send(0, 200)
    host.until(lambda: host.metric("sekimori_collector_syslog_messages_total") == 200)
    host.end(signal.SIGKILL)
    host.start()
    host.until(lambda: host.said.count("metrics at port") == 2)
    send(200, 200)
    host.until(
        lambda: len({event["event.id"] for event in host.events() if event["event.class"] != "heartbeat"}) == 400
    )
    assert host.end() == 0
    status, verdict = host.verify()
    assert status == 0, verdict


def test_what_comes_twice_after_a_crash_is_no_gap_to_the_detector(host: Host, tmp_path: Path):
    host.write("access.log", 0, 1500)
    assert host.once() == 0, host.said
    # As after a kill between the acknowledgement and the checkpoint, whenever that would have been.
    for checkpoint in (host.folder / "state").glob("checkpoint*"):
        checkpoint.unlink()
    host.write("access.log", 1500, 100)
    assert host.once() == 0, host.said
    records = host.kafka.stored(host.topic)
    events = [json.loads(text) for record in records for text in record.value.splitlines()]
    assert len(events) > len({event["event.id"] for event in events})
    (tmp_path / "topic.ndjson").write_bytes(b"".join(record.value for record in records))
    ran = sekimori(tmp_path, "analyze", tmp_path / "topic.ndjson", "--json", out=tmp_path / "out")
    assert ran.summary["events"] == len({event["event.id"] for event in events})
    found = {finding["finding_info"]["analytic"]["name"] for finding in ran.rows("findings.ndjson")}
    assert not [name for name in found if "gap" in name.lower()]
