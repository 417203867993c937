"""Which bundles were taken: a file that only grows, so that none is imported twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


class Ledger:
    """A file with a line for each thing that happened to a bundle: what, when, its digest, its name.

    A last line that a power cut tore off is dropped: what it said is said again.

    Args:
        path: The file; made when the first bundle is taken.
        clock: The time with zone.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._clock = clock
        self._accepted: dict[str, tuple[str, str]] = {}  # digest: day, name; in order
        self._done: set[str] = set()
        data = path.read_bytes() if path.exists() else b""
        self._torn = len(data) - (data.rfind(b"\n") + 1)
        for line in data[: len(data) - self._torn].decode("utf-8", "surrogateescape").split("\n")[:-1]:
            word, at, digest, name = [*line.split(" ", 3), "", "", ""][:4]
            if word == "accepted":
                self._accepted.setdefault(digest, (at[:10], name))
            elif word == "done":
                self._done.add(digest)

    def date(self, digest: str) -> str | None:
        """The day on which a bundle was accepted; None if it never was."""
        found = self._accepted.get(digest)
        return found[0] if found else None

    @property
    def names(self) -> frozenset[str]:
        """Names under which bundles were kept."""
        return frozenset(name for _, name in self._accepted.values())

    def accept(self, digest: str, name: str) -> None:
        """Write down that a bundle is taken from now on, and under which name it is kept (without a line end in it).

        Raises:
            OSError: It cannot be written; then it is not taken.
        """
        at = self._write("accepted", digest, name)
        self._accepted[digest] = (at[:10], name)

    def done(self, digest: str, ended: bool) -> None:
        """Write down that the bundles before one were read to their end and arrived, and that one too if it `ended`."""
        for other in list(self._accepted):
            if other == digest and not ended:
                return
            if other not in self._done:
                self._write("done", other, "")
                self._done.add(other)
            if other == digest:
                return

    def unread(self, current: str | None) -> list[tuple[str, str]]:
        """Bundles that were accepted and not read to their end: digest and name, in order.

        Args:
            current: The one that the checkpoint speaks of; those before it have been read.
        """
        order = list(self._accepted)
        start = order.index(current) if current in self._accepted else 0
        return [(digest, self._accepted[digest][1]) for digest in order[start:] if digest not in self._done]

    def _write(self, word: str, digest: str, name: str) -> str:
        at = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            if self._torn:
                os.ftruncate(handle, size - self._torn)
                size, self._torn = size - self._torn, 0
            line = f"{word} {at} {digest} {name}\n".encode("utf-8", "surrogateescape")
            try:
                if os.write(handle, line) < len(line):
                    raise OSError(28, os.strerror(28), str(self._path))
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        return at
