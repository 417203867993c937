"""A port for syslog, and what came out of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.config import Syslog
from collector.follow.events import Gap, Lines
from collector.listen import Listeners
from collector.sources import Source, shipped
from collector.spool import frame
from registers.tokens import SiteKey

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
SYSLOG = next(source for source in shipped() if source.id == "syslog")


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def options(protocol: str, **more: Any) -> Syslog:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    return Syslog.model_validate({"protocol": protocol, "port": free_port(kind), **more})


def spooled(folder: Path, key: SiteKey) -> dict[str, bytes]:
    """What lies in the spool, by file, for who has the key; offsets count in it."""
    plain = {}
    for path in sorted(folder.rglob("*.spool")):
        first = frame.read_first_line(path)
        cipher = frame.cipher(key.derive("spool"), first)
        found = list(frame.unpack(path.read_bytes()[len(first) :], cipher, 0))
        assert len(first) + sum(one.size for one in found) == path.stat().st_size
        plain[f"{path.parent.name}/{path.stem}"] = first + b"".join(one.text or b"" for one in found)
    return plain


class Receiver:
    """Listeners with one port, and what came out of them."""

    def __init__(self, folder: Path, key: SiteKey, chosen: Syslog, source: Source, positions: dict[str, Any]) -> None:
        self.port = chosen.port
        self.listeners = Listeners([(chosen, source)], folder, key, positions, clock=lambda: NOW)
        self.listeners.start()
        self.gaps: list[Gap] = []
        self.pieces: list[Lines] = []
        self.lines: list[bytes] = []
        self.lost: dict[str, int] = {}

    def poll(self) -> None:
        for part in self.listeners.poll(1 << 20):
            if isinstance(part, Gap):
                self.gaps.append(part)
            else:
                self.pieces.append(part)
                self.lines += part.piece.lines.get_column("raw").to_list()
        for seen in self.listeners.seen():
            for reason, count in seen.counts.lost.items():
                self.lost[reason] = self.lost.get(reason, 0) + count

    def wait(self, done: Callable[[], bool]) -> None:
        """Read until something is so; a minute is far more than it takes."""
        end = time.monotonic() + 60
        while not done():
            assert time.monotonic() < end, (len(self.lines), self.gaps, self.lost)
            time.sleep(0.01)
            self.poll()

    def expect(self, *lines: bytes) -> None:
        self.wait(lambda: len(self.lines) >= len(lines))
        assert self.lines == list(lines)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)
