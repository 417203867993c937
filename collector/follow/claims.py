"""Noticing that another agent on this host follows the same file: nothing is lost then, but all is sent twice."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Collection


class Claims:
    """The files that this process follows, in a way that others can see and that ends with the process.

    A lock on the file could stop its writer, and a file that says so would outlive a crash. An abstract socket does
    neither; agents in other network namespaces (containers) do not see it.
    """

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def keep(self, paths: Collection[str]) -> list[str]:
        """Claim these files and let go of all others.

        Args:
            paths: Real paths.

        Returns:
            Those that another process has claimed.
        """
        for path in self._held.keys() - set(paths):
            self._held.pop(path).close()
        return [path for path in paths if path not in self._held and not self._claim(path)]

    def _claim(self, path: str) -> bool:
        name = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0sekimori-follows-{name}")
        except OSError:
            claim.close()
            return False
        self._held[path] = claim
        return True
