"""What receiving syslog costs, by what messages look like: from the socket to the spool, and on until events are sealed.

    python benchmarks/receive.py [--lines N] [--json]

CPU seconds per million messages of the receiving process alone, one thread of Polars as for the agent, best of three runs. Over one
TCP connection as fast as it takes; `to the spool`: received, parsed, masked, tokenised, encrypted, on the disk. `whole road`: read
from there as well, as events that only have to be sealed (`benchmarks/agent.py` measures that). And over UDP at some messages a
second, as most senders are: there a batch of a moment is small, and parsing has a price per batch.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before Polars is loaded
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from collector.config import Syslog
from collector.follow.events import Ready
from collector.listen import Listeners
from collector.reading import Reader
from collector.sources import shipped
from registers.tokens import SiteKey

HEAD = "<13>Oct 11 22:14:15 gate app: "
PARTS = 5000  # different messages
RATES = (10, 100, 1000, 5000)
RATE_S = 5.0
TURN_S, TURN_BYTES = 0.25, 2 << 20  # as the agent reads
SOURCE = next(source for source in shipped() if source.id == "syslog")


def kinds() -> dict[str, list[bytes]]:
    """Messages as systems send them: ASCII, Japanese in UTF-8 and CP932, requests with escapes, numbers of twelve digits."""
    draw = random.Random(1)
    query = quote("生活保護 照会")
    ssh = [
        f"Accepted password for {at % 300} from 192.0.2.{at % 250} port {draw.randrange(1024, 65536)} ssh2"
        for at in range(PARTS)
    ]
    japanese = [
        f"職員{at % 300}がケース記録{draw.randrange(10**7)}を照会 2026-04-01 08:{at % 60:02}" for at in range(PARTS)
    ]
    requests = [f"GET /case/{draw.randrange(10**6)}?q={query}&d=2026%2F04%2F01 HTTP/1.1" for at in range(PARTS)]
    numbers = [f"document {draw.randrange(10**12):012} opened" for at in range(PARTS)]
    return {
        "ascii": [(HEAD + text).encode() for text in ssh],
        "utf-8": [(HEAD + text).encode() for text in japanese],
        "cp932": [(HEAD + text).encode("cp932") for text in japanese],
        "requests": [(HEAD + text).encode() for text in requests],
        "twelve digits": [(HEAD + text).encode() for text in numbers],
    }


def send(port: int, messages: Sequence[bytes], count: int) -> None:
    """Send `count` messages, with a newline behind each, as fast as they are taken."""
    block = b"".join(message + b"\n" for message in messages)
    with socket.create_connection(("127.0.0.1", port)) as sender:
        for _ in range(count // len(messages)):
            sender.sendall(block)


def send_at(port: int, messages: Sequence[bytes], rate: int) -> None:
    """Send so many datagrams a second, for `RATE_S`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        begun, sent = time.monotonic(), 0
        while (passed_s := time.monotonic() - begun) < RATE_S:
            while sent < rate * passed_s:
                sender.sendto(messages[sent % len(messages)], ("127.0.0.1", port))
                sent += 1
            time.sleep(0.005)


def free_port(kind: int) -> int:
    """A port that nobody has."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def opened(folder: str, protocol: str) -> tuple[Listeners, int]:
    """A listener and its port."""
    port = free_port(socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
    options = Syslog.model_validate({"protocol": protocol, "port": port})
    listeners = Listeners([(options, SOURCE)], Path(folder), Reader(SiteKey(b"k" * 32), "Asia/Tokyo"), {})
    listeners.start()
    return listeners, port


def arrived(listeners: Listeners, reads: bool) -> int:
    """How many messages came since the last call: into the spool, or out of it."""
    if reads:
        return sum(part.lines for part in listeners.poll(TURN_BYTES) if isinstance(part, Ready))
    return sum(seen.counts.messages for seen in listeners.seen())


def cost_s(messages: Sequence[bytes], count: int, reads: bool) -> float:
    """CPU seconds per million messages over TCP."""
    with tempfile.TemporaryDirectory() as folder:
        listeners, port = opened(folder, "tcp")
        sender = multiprocessing.get_context("spawn").Process(target=send, args=(port, messages, count))
        start = time.process_time()
        sender.start()
        done = 0
        while done < count:
            time.sleep(0.05)
            done += arrived(listeners, reads)
        spent = time.process_time() - start
        sender.join()
        listeners.close()
    return spent * 1e6 / count


def steady(messages: Sequence[bytes], rate: int) -> tuple[float, float]:
    """Share of a core over UDP at so many messages a second, whole road; and bytes in the spool per message."""
    with tempfile.TemporaryDirectory() as folder:
        listeners, port = opened(folder, "udp")
        sender = multiprocessing.get_context("spawn").Process(target=send_at, args=(port, messages, rate))
        sender.start()
        done, spent, begun_s = 0, 0.0, time.monotonic()
        while sender.is_alive():
            time.sleep(TURN_S)
            done += arrived(listeners, True)
            if done and not spent:  # from the first message on
                spent, begun_s, done = time.process_time(), time.monotonic(), 1
        share = (time.process_time() - spent) / (time.monotonic() - begun_s)
        size = sum(seen.spool_bytes for seen in listeners.seen())
        listeners.close()
    return share, size / done


def main() -> int:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000, help="messages a run, a multiple of 5000")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    costs = {
        name: [min(cost_s(messages, asked.lines, reads) for _ in range(3)) for reads in (False, True)]
        for name, messages in kinds().items()
    }
    rates = {rate: steady(kinds()["ascii"], rate) for rate in RATES}
    if asked.json:
        shares = {rate: {"core": share, "spool_bytes": size} for rate, (share, size) in rates.items()}
        print(json.dumps({"cpu_s_per_million": costs, "steady": shares}))
        return 0
    print(f"{'CPU s per million messages':<30}{'to the spool':>14}{'whole road':>14}")
    for name, (spool, road) in costs.items():
        print(f"{name:<30}{spool:14.2f}{road:14.2f}")
    for rate, (share, size) in rates.items():
        print(f"{rate:>5} messages a second: {share:6.1%} of a core, {size:4.0f} bytes in the spool each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
