"""A port for syslog, and what came out of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.config import Syslog
from collector.follow.events import Gap, Lines, Ready
from collector.listen import Listeners
from collector.reading import Reader
from collector.sources import Source, shipped
from collector.spool import batch, frame
from collector.vault import Vault
from registers.tokens import SiteKey, raw_macs

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
    """What lies in the spool, by file, for who has the key: decrypted and unpacked."""
    plain = {}
    for path in sorted(folder.rglob("*.spool")):
        first = frame.read_first_line(path)
        cipher = frame.cipher(key.derive("spool"), first)
        found = list(frame.unpack(path.read_bytes()[len(first) :], cipher, 0))
        assert len(first) + sum(one.size for one in found) == path.stat().st_size
        texts = [batch.body(one.text) if one.kind == frame.BATCH else one.text for one in found if one.text is not None]
        assert len(texts) == len(found)
        plain[f"{path.parent.name}/{path.stem}"] = first + b"".join(texts)
    return plain


class Receiver:
    """Listeners with one port, and what came out of them."""

    def __init__(
        self,
        folder: Path,
        key: SiteKey,
        chosen: Syslog,
        source: Source,
        positions: dict[str, Any],
        vault: Vault | None = None,
    ) -> None:
        self.port = chosen.port
        self.key = key
        reader = Reader(key, "Asia/Tokyo", keep_ids=vault is not None)
        self.listeners = Listeners([(chosen, source)], folder, reader, positions, vault=vault, clock=lambda: NOW)
        self.listeners.start()
        self.gaps: list[Gap] = []
        self.parts: list[Ready] = []
        self.former: list[Lines] = []
        self.lost: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many messages came out."""
        return sum(part.lines for part in self.parts)

    @property
    def refused(self) -> int:
        """How many of them could not be read."""
        return sum(part.parsed.rejected.height for part in self.parts)

    def values(self, key: str) -> list[Any]:
        """A column of all events."""
        return [value for part in self.parts for value in part.parsed.events.get_column(key).to_list()]

    def letters(self) -> list[str]:
        """The refused lines, as they may be shown."""
        return [line for part in self.parts for line in part.parsed.rejected.get_column("line").to_list()]

    def poll(self) -> None:
        for part in self.listeners.poll(1 << 20):
            if isinstance(part, Gap):
                self.gaps.append(part)
            elif isinstance(part, Ready):
                self.parts.append(part)
            else:
                self.former.append(part)
        for seen in self.listeners.seen():
            for reason, count in seen.counts.lost.items():
                self.lost[reason] = self.lost.get(reason, 0) + count

    def wait(self, done: Callable[[], bool]) -> None:
        """Read until something is so; a minute is far more than it takes."""
        end = time.monotonic() + 60
        while not done():
            assert time.monotonic() < end, (self.count, self.gaps, self.lost)
            time.sleep(0.01)
            self.poll()

    def expect(self, *lines: bytes) -> None:
        """These lines have become events, and no others: `raw.mac` is of every byte of a line."""
        self.wait(lambda: self.count >= len(lines))
        assert self.values("raw.mac") == raw_macs(list(lines), self.key).to_list()
        assert self.refused == 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)
