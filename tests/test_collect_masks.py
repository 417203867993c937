"""The agent as a process: a My Number that comes in by any door is found nowhere that it writes to."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registers.tokens import SiteKey
from tests.collector.receiver import free_port, spooled
from tests.command import sekimori
from tests.host import Host
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

NUMBER = "123456789018"
# Together, in groups, and as three of the parts spell them: what is looked for afterwards.
LOOKED_FOR = re.compile(rb"123456789018|1234-5678-9018|\\u0031234|1234%205678")
TITLES = "time.occurred,event.class,event.action,actor.id,subject.token,household.token,message\n"


def rows(first: int, count: int) -> str:
    """Lines of event-csv: the number as an id, in a text, and in a line that is refused."""
    good = "".join(
        f'2026-04-01 10:00:{second:02},access,read,u1,{NUMBER},{NUMBER},"{number} of 1234-5678-9018"\n'
        for second, number in enumerate([NUMBER, "\\u0031234 5678 9018", "1234%205678%209018"] * count, first)
    )
    return good + f"no time {NUMBER},access,read,u1,,,x\n"


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(), kafka.topic(1))
    made = sekimori(one.folder, "keys", "bundle", "--out", one.folder / "office.key")
    assert made.status == 0, made
    one.files = [("event-csv", "logs/*.csv")]
    (one.folder / "drop").mkdir()
    one.options = {"drop": {"folder": "drop", "keys": ["office.key.pub"], "source": "event-csv"}}
    one.syslog = [{"protocol": "tcp", "port": free_port(socket.SOCK_STREAM)}]
    one.configure()
    yield one
    one.close()


def bundled(host: Host) -> None:
    """A bundle whose own name and whose log's name are My Numbers, and one that is none."""
    carried = host.folder / "carried"
    carried.mkdir()
    (carried / f"{NUMBER}.csv").write_text(TITLES + rows(0, 2), encoding="utf-8")
    out = host.folder / "drop" / f"{NUMBER}.bundle"
    made = sekimori(host.folder, "bundle", "make", "--key", host.folder / "office.key", "--out", out, carried)
    assert made.status == 0, made
    (host.folder / "drop" / "1234-5678-9018.bundle").write_text(f"no bundle {NUMBER}")


def test_it_is_found_nowhere_that_the_agent_writes_to(host: Host):
    bundled(host)
    log = host.folder / "logs" / f"{NUMBER}.csv"
    log.write_text(TITLES + rows(0, 5), encoding="utf-8")
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    with socket.create_connection(("127.0.0.1", host.syslog[0]["port"])) as sender:
        for number in (NUMBER, "1234-5678-9018", "1234%205678%209018"):
            sender.sendall(f"<38>Mar  4 10:00:00 web1 app: looked at {number}\n".encode())
        sender.sendall(f"no syslog {NUMBER} \udcff\n".encode(errors="surrogateescape"))
    # 15 of the file, 6 of the bundle, 3 of syslog.
    host.until(lambda: sum(event["event.class"] != "heartbeat" for event in host.events()) == 24)
    host.until(lambda: "is refused" in host.said)
    asked = [host.get(path) for path in ("/metrics", "/health")]
    plain = spooled(host.folder / "state" / "spool", SiteKey(bytes.fromhex("5e" * 32)))
    assert host.end() == 0, host.said

    records = [*host.kafka.stored(host.topic), *host.kafka.stored(host.dead)]
    letters = [json.loads(text) for one in host.kafka.stored(host.dead) for text in one.value.splitlines()]
    written = {
        "Kafka": b"".join(part for one in records for part in (one.key or b"", one.value, str(one.headers).encode())),
        "the log": host.said.encode(),
        "metrics and health": json.dumps(asked).encode(),
        "spool": b"".join(plain.values()),
        "reasons": b"".join(path.read_bytes() for path in (host.folder / "drop").rglob("*.reason.txt")),
        "names": "\n".join(map(str, (host.folder / "drop").rglob("*"))).encode(),
    }
    state = {path: path.read_bytes() for path in (host.folder / "state").rglob("*") if path.is_file()}
    # Which file is followed has to be known as it is called; nothing else of the checkpoint may say it.
    written |= {str(path): data.replace(log.name.encode(), b"") for path, data in state.items()}
    assert {name: LOOKED_FOR.findall(data) for name, data in written.items() if LOOKED_FOR.search(data)} == {}
    assert plain
    assert len(letters) >= 3
    assert all("[個人番号]" in letter["line"] or "#####" in letter["line"] for letter in letters)
    beats = [json.loads(event["message"]) for event in host.events() if event["event.class"] == "heartbeat"]
    read = {name: lines for beat in beats for name, (lines, _) in beat.get("files", {}).items() if lines}
    assert any("[個人番号].csv" in name for name in read), read
    status, verdict = host.verify()
    assert status == 0, verdict
