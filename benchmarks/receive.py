"""What receiving syslog costs, from the socket to the spool on the disk, by what messages look like.

    python benchmarks/receive.py [--lines N] [--json]

CPU seconds per million messages of the receiving process alone, over one TCP connection, best of three runs. Parsing is not
in it: `benchmarks/agent.py` measures that.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from collector.config import Syslog
from collector.listen import Listeners
from collector.sources import shipped
from registers.tokens import SiteKey

HEAD = "<13>Oct 11 22:14:15 gate app: "
PARTS = 5000  # different messages
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


def cost_s(messages: Sequence[bytes], count: int) -> float:
    """CPU seconds per million messages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = Syslog.model_validate({"protocol": "tcp", "port": port})
    with tempfile.TemporaryDirectory() as folder:
        listeners = Listeners([(options, SOURCE)], Path(folder), SiteKey(b"k" * 32), {})
        listeners.start()
        sender = multiprocessing.get_context("spawn").Process(target=send, args=(port, messages, count))
        start = time.process_time()
        sender.start()
        arrived = 0
        while arrived < count:
            time.sleep(0.1)
            arrived += sum(seen.counts.messages for seen in listeners.seen())
        spent = time.process_time() - start
        sender.join()
        listeners.close()
    return spent * 1e6 / count


def main() -> int:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000, help="messages a run, a multiple of 5000")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    costs = {name: min(cost_s(messages, asked.lines) for _ in range(3)) for name, messages in kinds().items()}
    if asked.json:
        print(json.dumps({"cpu_s_per_million": costs}))
        return 0
    for name, spent in costs.items():
        print(f"{name:<16} {spent:6.2f} CPU s per million messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
