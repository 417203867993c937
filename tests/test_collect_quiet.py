"""The agent as a process: what it says while nothing is written, and what only two people together can read."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import sekimori
from tests.host import Host
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

PARTITIONS = 3
TITLES = "time.occurred,event.class,event.action,actor.id,subject.token,household.token\n"


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(PARTITIONS), kafka.topic(1))
    yield one
    one.close()


def test_an_idle_agent_beats_into_every_partition_again_and_again(host: Host):
    host.options = {"agent": {"heartbeat_s": 1}}
    host.configure()
    host.start()

    def beats() -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for record in host.kafka.stored(host.topic):
            for text in record.value.splitlines():
                event = json.loads(text)
                assert event["event.class"] == "heartbeat"
                found[record.partition].append(event["time.occurred"])
        return found

    host.until(lambda: len(beats()) == PARTITIONS and min(map(len, beats().values())) >= 4)
    assert host.end() == 0
    for at_ms in beats().values():
        # The last is the good-bye, which waits for nothing.
        assert all(later - earlier >= 990 for earlier, later in itertools.pairwise(at_ms[:-1]))
    status, verdict = host.verify()
    assert status == 0, verdict


def test_new_tokens_go_into_the_vault_and_its_topic_and_only_both_holders_read_them(host: Host):
    names = ("first", "second")
    made = [sekimori(host.folder, "keys", "vault", "--out", host.folder / f"{name}.key") for name in names]
    recipients = [line.split(":")[0] for ran in made for line in ran.out.splitlines() if line.startswith("age1")]
    topic = host.kafka.topic(1)
    host.files = [("event-csv", "logs/*.csv")]
    host.options = {"vault": {"recipients": recipients, "topic": topic}}
    host.configure()
    rows = "".join(f"2026-04-01 10:00:{n:02},access,read,u1,P{n % 5},H{n % 2}\n" for n in range(20))
    (host.folder / "logs" / "a.csv").write_text(TITLES + rows, encoding="utf-8")
    assert host.once() == 0, host.said
    assert host.once() == 0, host.said  # what is in the vault is not put there again

    vault = host.folder / "state" / "vault"
    assert b"".join(record.value for record in host.kafka.stored(topic)) == vault.read_bytes()
    keys = [("--key", host.folder / f"{name}.key") for name in names]
    ran = sekimori(host.folder, "vault", "open", vault, *keys[0], *keys[1], "--out", host.folder / "ids.csv")
    assert ran.status == 0, ran
    ids = dict(line.split(",") for line in (host.folder / "ids.csv").read_text().splitlines()[1:])
    assert sorted(ids.values()) == ["H0", "H1", "P0", "P1", "P2", "P3", "P4"]
    seen = {event[key] for event in host.events() for key in ("subject.token", "household.token") if key in event}
    assert seen == set(ids)
    alone = sekimori(host.folder, "vault", "open", vault, *keys[0], "--out", host.folder / "alone.csv")
    assert "P1" not in (alone.out + alone.err)
