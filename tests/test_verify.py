"""`sekimori verify` and `sekimori keys`, run as an operator does, on a topic of a real Kafka."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition

from contract.sealed import Record
from contract.sealkey import SealKey
from tests.collector.sealing import beats, some, start
from tests.command import Command
from tests.kafka.broker import PASSWORDS, Broker, Door
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.fixture
def enrolled(tmp_path: Path, sekimori: Command) -> Path:
    """An agent with its key in place; the verifier's copy."""
    copy = tmp_path / "kept" / "ag-test.seal"
    copy.parent.mkdir()
    assert sekimori("keys", "seal", "--agent", "ag-test", "--out", copy).returncode == 0
    own = tmp_path / "seal.key"
    own.touch(0o600)
    own.write_bytes(copy.read_bytes())
    return copy


def send(kafka: Cluster, topic: str, records: Iterable[Record]) -> None:
    with closing(KafkaProducer(bootstrap_servers=kafka.address.split(","), acks="all")) as producer:
        for record in records:
            producer.send(topic, record.value, key=record.key, headers=record.headers, partition=record.partition).get(
                30
            )


def two_starts(folder: Path) -> list[Record]:
    """What an agent sealed that was killed once, now."""
    now = time.time_ns() // 1_000_000
    records: list[Record] = []
    for _ in range(2):
        sealer = start(folder)
        records += beats(sealer, now, 4) + some(sealer, 50, 4, now) + beats(sealer, now, 4, stopping=True)
        sealer.commit()
        sealer.acknowledged(records[-12:])
        sealer.commit()
    return records


def test_a_topic_is_verified_kept_and_verified_again_from_the_file(
    kafka: Cluster, topic: str, tmp_path: Path, enrolled: Path, sekimori: Command
):
    records = two_starts(tmp_path)
    send(kafka, topic, records + records[7:9])

    live = sekimori(
        "verify", "--kafka", kafka.address, "--topic", topic, "--key", enrolled.parent, "--save", "kept.cap"
    )
    again = sekimori("verify", "--capture", "kept.cap", "--key", enrolled, "--json")

    assert (live.returncode, live.stderr) == (0, "")
    assert "ag-test: 116 events in 24 records of 2 starts" in live.stdout
    assert "2 records came again" in live.stdout
    assert live.stdout.endswith("\nok\n")
    verdict = json.loads(again.stdout)
    assert (again.returncode, verdict["verdict"], verdict["problems"]) == (0, "ok", [])
    assert stat.S_IMODE((tmp_path / "kept.cap").stat().st_mode) == 0o600
    twice = sekimori("verify", "--kafka", kafka.address, "--topic", topic, "--key", enrolled, "--save", "kept.cap")
    assert twice.returncode == 3
    assert "kept.cap: exists already" in twice.stderr

    lines = (tmp_path / "kept.cap").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "altered.cap").write_text("".join(lines).replace("u1", "u2", 1), encoding="utf-8")
    (tmp_path / "thinned.cap").write_text("".join([*lines[:9], *lines[10:-1], '{"end":25}\n']), encoding="utf-8")
    (tmp_path / "cut.cap").write_text("".join(lines[:-1]), encoding="utf-8")
    for name, status, word in (("altered", 1, "tampered"), ("thinned", 2, "gap"), ("cut", 2, "gap")):
        found = sekimori("verify", "--capture", f"{name}.cap", "--key", enrolled)
        assert (found.returncode, found.stdout.splitlines()[-1]) == (status, word)


def test_a_missing_record_and_a_foreign_one_are_told(
    kafka: Cluster, topic: str, tmp_path: Path, enrolled: Path, sekimori: Command
):
    records = two_starts(tmp_path)
    send(kafka, topic, records[:5] + records[6:])
    gap = sekimori("verify", "--kafka", kafka.address, "--topic", topic, "--key", enrolled)
    assert gap.returncode == 2
    assert "gap: ag-test: start" in gap.stdout
    assert "13 events are missing: numbers 17–29" in gap.stdout

    with closing(KafkaProducer(bootstrap_servers=kafka.address.split(","))) as producer:
        producer.send(topic, b'{"event.id":"1","agent.id":"ag-test"}', partition=0).get(30)
    forged = sekimori("verify", "--kafka", kafka.address, "--topic", topic, "--key", enrolled, "--allow-unsealed")
    assert forged.returncode == 1
    assert "is not sealed, though ag-test seals what it sends" in forged.stdout


def test_what_the_topic_no_longer_keeps_is_no_gap_and_is_said(
    kafka: Cluster, topic: str, tmp_path: Path, enrolled: Path, sekimori: Command
):
    send(kafka, topic, two_starts(tmp_path))
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 1): 2, TopicPartition(topic, 3): 1})

    found = sekimori("verify", "--kafka", kafka.address, "--topic", topic, "--key", enrolled)

    assert found.returncode == 0, found.stdout
    assert "complete only from start" in found.stdout


def test_nothing_to_verify_no_topic_no_key_and_another_key_are_failures(
    kafka: Cluster, topic: str, tmp_path: Path, enrolled: Path, sekimori: Command
):
    place = ("verify", "--kafka", kafka.address, "--topic", topic)

    assert sekimori(*place, "--key", enrolled).returncode == 3
    assert "nothing to verify" in sekimori(*place).stdout
    absent = sekimori("verify", "--kafka", kafka.address, "--topic", "no-such", "--key", enrolled)
    assert (absent.returncode, absent.stdout) == (3, "")
    assert "has no topic no-such" in absent.stderr
    send(kafka, topic, two_starts(tmp_path))
    other = tmp_path / "other.seal"
    other.touch(0o600)
    other.write_text(SealKey.enrol("ag-test", b"?" * 32).text(), encoding="utf-8")
    wrong = sekimori(*place, "--key", other)
    assert wrong.returncode == 3
    assert "cannot verify: ag-test: the key is not the one" in wrong.stdout


def test_how_to_reach_kafka_may_stand_in_a_file_like_the_agents(
    kafka: Cluster, topic: str, tmp_path: Path, enrolled: Path, sekimori: Command
):
    send(kafka, topic, two_starts(tmp_path))
    servers = json.dumps(kafka.address.split(","))
    (tmp_path / "collector.toml").write_text(
        f'[agent]\nid = "x"\n[kafka]\nbootstrap_servers = {servers}\ntopic = "{topic}"\n'
    )

    assert sekimori("verify", "-c", "collector.toml", "--key", enrolled).returncode == 0


def test_a_reader_logs_in_as_the_agent_does_and_is_told_what_it_may_not(
    broker: Broker, tmp_path: Path, enrolled: Path, sekimori: Command
):
    topic = broker.topic()
    send(broker, topic, two_starts(tmp_path))
    password = tmp_path / "password"
    password.touch(0o600)
    servers = json.dumps([broker.at(Door.SASL)])
    (tmp_path / "reader.toml").write_text(
        f"""[kafka]
bootstrap_servers = {servers}
topic = "{topic}"
security_protocol = "SASL_SSL"
ssl_cafile = "{broker.authority.cafile}"
sasl_mechanism = "SCRAM-SHA-256"
sasl_username = "bob"
sasl_password_file = "password"
"""
    )
    found = []
    for secret, rights in (
        ("wrong", ()),
        (PASSWORDS["bob"], ()),
        (PASSWORDS["bob"], ("DESCRIBE",)),
        (PASSWORDS["bob"], ("READ",)),
    ):
        password.write_text(secret)
        if rights:
            broker.allow("bob", topic, *rights)
        found.append(sekimori("verify", "-c", "reader.toml", "--key", enrolled))

    assert [one.returncode for one in found] == [3, 3, 3, 0]
    refused = [one.stderr for one in found[:3]]
    assert [text.count("\n") for text in refused] == [1, 1, 1]
    # A broker that is busy hangs up before it has said why.
    assert "refuses to log in user 'bob'" in refused[0] or "kafka.sasl_username" in refused[0]
    assert f"has no topic {topic}, or does not let 'bob' read it" in refused[1]
    assert f"does not let 'bob' read topic {topic}" in refused[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--capture", "missing.cap"], "missing.cap: No such file or directory"),
        (["--capture", "text"], "text: is no capture"),
        (["--capture", "text", "--save", "x"], "--save: a capture is saved already"),
        (["--capture", "text", "--key", "text"], "text: everybody may read it"),
        (["--capture", "text", "--key", "empty"], "empty: holds no *.seal file"),
        (["--kafka", "127.0.0.1:1"], "refuses connections"),
        (["--kafka", "nonsense"], "--kafka: kafka.bootstrap_servers"),
        (["-c", "text"], "text: cannot be read"),
        ([], "one of the arguments DIR --kafka -c/--config --capture is required"),
    ],
)
def test_whoever_cannot_verify_is_told_in_a_line_and_never_that_all_is_well(
    tmp_path: Path, sekimori: Command, arguments: list[str], said: str
):
    (tmp_path / "text").write_text("no capture, no TOML\n")
    (tmp_path / "text").chmod(0o644)
    (tmp_path / "empty").mkdir()

    found = sekimori("verify", *arguments)

    assert (found.returncode, found.stdout) == (3, "")
    assert said in found.stderr


def test_a_seal_key_is_for_its_owner_only_and_never_written_over(tmp_path: Path, enrolled: Path, sekimori: Command):
    assert stat.S_IMODE(enrolled.stat().st_mode) == 0o600
    before = enrolled.read_bytes()

    again = sekimori("keys", "seal", "--agent", "ag-test", "--out", enrolled)

    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert enrolled.read_bytes() == before
    assert before not in again.stdout.encode()
    assert sekimori("keys", "seal", "--agent", "no name").returncode == 2
