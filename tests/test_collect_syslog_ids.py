"""The agent as a process: ids of people that come by syslog are tokens wherever it writes, and the vault has them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from registers.tokens import SiteKey
from tests.collector.receiver import free_port, spooled
from tests.collector.test_listen_ids import LINES, SHORT, TOML, TWELVE
from tests.command import sekimori
from tests.host import Host
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

GOOD = [line for line in LINES if "no time" not in line]
REFUSED = [line for line in LINES if "no time" in line]


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(), kafka.topic(1))
    (one.folder / "own").mkdir()
    (one.folder / "own" / "welfare.toml").write_text(TOML)
    made = [sekimori(one.folder, "keys", "vault", "--out", one.folder / f"{name}.key") for name in ("a", "b")]
    recipients = [line.split(":")[0] for ran in made for line in ran.out.splitlines() if line.startswith("age1")]
    one.options = {"agent": {"sources": "own"}, "vault": {"recipients": recipients, "topic": kafka.topic(1)}}
    one.files = [("welfare", "logs/*.log")]
    one.syslog = [{"protocol": "tcp", "port": free_port(socket.SOCK_STREAM), "source": "welfare"}]
    one.configure()
    yield one
    one.close()


def accessed(host: Host) -> dict[str, dict[str, str]]:
    """Events by id, without heartbeats; what came twice is the same."""
    found: dict[str, dict[str, str]] = {}
    for event in host.events():
        if event["event.class"] == "access":
            shown = {key: value for key, value in event.items() if not key.startswith("agent.")}
            assert found.setdefault(event["event.id"], shown) == shown
    return found


def test_killed_while_events_wait_in_the_spool_it_sends_tokens_and_keeps_ids_in_the_vault_alone(host: Host):
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    with socket.create_connection(("127.0.0.1", host.syslog[0]["port"])) as sender:
        sender.sendall("".join(f"{line}\n" for line in LINES).encode())
    spool = host.folder / "state" / "spool"
    host.until(lambda: sum(path.stat().st_size for path in spool.rglob("*.spool")) > 1000)
    host.end(signal.SIGKILL)
    plain = b"".join(spooled(spool, SiteKey(bytes.fromhex("5e" * 32))).values())
    (host.folder / "logs" / "same.log").write_text("".join(f"{line}\n" for line in LINES))
    host.start()
    host.until(lambda: len(accessed(host)) == 2 * len(GOOD))
    assert host.end() == 0, host.said

    by_way: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for event in accessed(host).values():
        assert event["source.id"] == "welfare"
        by_way["00000001:" in event["source.position"]].append((event["raw.mac"], event["subject.token"]))
    assert sorted(by_way[True]) == sorted(by_way[False])
    assert len({token for _, token in by_way[True]}) == len(TWELVE) + len(SHORT)

    state = {path: path.read_bytes() for path in (host.folder / "state").rglob("*") if path.is_file()}
    stored = [record.value for topic in (host.topic, host.dead) for record in host.kafka.stored(topic)]
    written = [plain, *state.values(), *stored, host.said.encode()]
    assert [one for one in (*TWELVE, *SHORT) if any(one.encode() in data for data in written)] == []
    letters = [letter for record in host.kafka.stored(host.dead) for letter in record.value.splitlines()]
    assert len(letters) >= 2 * len(REFUSED)
    keys = [part for name in ("a", "b") for part in ("--key", host.folder / f"{name}.key")]
    vault = host.folder / "state" / "vault"
    ran = sekimori(host.folder, "vault", "open", vault, *keys, "--out", host.folder / "ids.csv")
    assert ran.status == 0, ran
    opened = dict(pl.read_csv(host.folder / "ids.csv", infer_schema=False).rows())
    assert {opened[token] for _, token in by_way[True]} == {*TWELVE, *SHORT}
    status, verdict = host.verify()
    assert status == 0, verdict
