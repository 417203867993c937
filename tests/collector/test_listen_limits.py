"""Full spools, lost datagrams, kill -9: what a listener does when something does not fit."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.collector.receiver import options

ROOT = Path(__file__).resolve().parents[2]
# Letters that do not pack well, for spools pack what they hold; digits could be a My Number.
LONG = random.Random(1).randbytes(8 << 20).hex().translate(str.maketrans("0123456789", "ghijklmnop")).encode()


def fill(sender: socket.socket) -> int:
    """Send as much as is taken, and say how many messages that was."""
    body = b"<13>Oct 11 22:14:15 gate app: %08d %b\n"
    sent = 0
    sender.settimeout(2)
    try:
        while True:
            sender.sendall(b"".join(body % (sent + at, LONG[1000 * at : 1000 * at + 1000]) for at in range(100)))
            sent += 100
    except TimeoutError:
        return sent


def test_a_full_spool_makes_tcp_senders_wait_and_loses_nothing(listen):
    receiver = listen(options("tcp", max_spool_mib=8))
    with receiver.connect() as sender:
        sent = fill(sender)
        assert any("max_spool_mib" in trouble for trouble in receiver.listeners.troubles())

        def whole() -> bool:
            receiver.listeners.forget(receiver.listeners.positions())
            return receiver.count >= sent

        receiver.wait(whole)
        numbers = [int(text.split()[0]) for text in receiver.values("message")]
    assert sent > 5000
    assert numbers == list(range(len(numbers)))
    assert receiver.gaps == []


def test_datagrams_that_a_full_spool_does_not_take_are_counted_in_a_gap(listen):
    receiver = listen(options("udp", max_spool_mib=8))
    body = b"<13>Oct 11 22:14:15 gate app: "
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not receiver.listeners.troubles():
            at = sent % 2000 * 8000
            sender.sendto(body + LONG[at : at + 8000], ("127.0.0.1", receiver.port))
            sent += 1
            if sent % 50 == 0:
                time.sleep(0.02)
            assert sent < 50_000
        for _ in range(100):
            sender.sendto(body, ("127.0.0.1", receiver.port))
            sent += 1
        # The kernel tells what it threw away with the next datagram, so one comes after a while.
        time.sleep(0.5)
        sender.sendto(body, ("127.0.0.1", receiver.port))
        sent += 1

    receiver.wait(lambda: receiver.count + sum(int(gap.detail.split()[0]) for gap in receiver.gaps) >= sent)

    told = {gap.reason: 0 for gap in receiver.gaps}
    for gap in receiver.gaps:
        told[gap.reason] += int(gap.detail.split()[0])
    assert receiver.count + sum(told.values()) == sent
    assert told["spool_full"] >= 1
    assert told == receiver.lost


def test_what_the_kernel_throws_away_is_counted(listen, monkeypatch):
    monkeypatch.setattr("collector.receive._RECEIVE_BUFFER_BYTES", 4096)
    receiver = listen(options("udp"))
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        end = time.monotonic() + 30
        while not receiver.lost.get("receive_buffer") and time.monotonic() < end:
            for _ in range(500):
                sender.sendto(b"<13>Oct 11 22:14:15 gate app: x", ("127.0.0.1", receiver.port))
            sent += 500
            time.sleep(0.2)
            sender.sendto(b"<13>Oct 11 22:14:15 gate app: x", ("127.0.0.1", receiver.port))
            sent += 1
            receiver.poll()

    receiver.wait(lambda: receiver.count + sum(int(gap.detail.split()[0]) for gap in receiver.gaps) >= sent)
    assert {gap.reason for gap in receiver.gaps} == {"receive_buffer"}


CHILD = """
import sys
from pathlib import Path
from collector.config import Syslog
from collector.listen import Listeners
from collector.reading import Reader
from collector.sources import shipped
from registers.tokens import SiteKey

source = next(one for one in shipped() if one.id == "syslog")
port = Syslog(protocol="tcp", port=int(sys.argv[2]))
reader = Reader(SiteKey(b"k" * 32), "Asia/Tokyo")
listeners = Listeners([(port, source)], Path(sys.argv[1]), reader, {}, file_bytes=50_000)
listeners.start()
print("ready", flush=True)
while True:
    for part in listeners.poll(1 << 20):
        for row in part.parsed.events.select("message", "event.id").rows():
            print(*row, flush=True)
"""


@pytest.mark.parametrize("kill_after", [1, 3_000, 9_000])
def test_kill_9_tears_no_message_and_takes_none_that_was_read(listen, tmp_path: Path, kill_after: int):
    chosen = options("tcp")
    line = [sys.executable, "-c", CHILD, str(tmp_path / "spool"), str(chosen.port)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        with socket.create_connection(("127.0.0.1", chosen.port), timeout=30) as sender:
            seen: list[str] = []
            for start in range(0, 20_000, 500):
                bodies = [b"<13>Oct 11 22:14:15 gate app: %06d\n" % number for number in range(start, start + 500)]
                sender.sendall(b"".join(bodies))
                if start >= kill_after:
                    seen.append(child.stdout.readline())
                    child.kill()
                    break
        seen += child.stdout.read().splitlines(keepends=True)

    again = listen(chosen)
    again.wait(lambda: again.count >= len(seen))
    found = list(zip(map(int, again.values("message")), again.values("event.id"), strict=True))

    assert [number for number, _ in found] == list(range(len(found)))
    # What is torn is the last line of what the child said.
    assert [f"{number:06d} {name}\n" for number, name in found[: len(seen) - 1]] == seen[:-1]
    assert {gap.reason for gap in again.gaps} <= {"spool_damaged"}
