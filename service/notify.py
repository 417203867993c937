"""Messages to systemd, sd_notify(3): that the process is ready, reloads, stops, and is still alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notify:
    """The service manager's socket; without one (no systemd, a container) every message goes nowhere.

    Args:
        environment: Where `NOTIFY_SOCKET` stands.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # `@` stands for the NUL of an abstract address; other addresses (vsock) are not for services on this machine.
        self._address = "\0" + address[1:] if address[:1] == "@" else address if address[:1] == "/" else ""

    def ready(self, status: str) -> None:
        """The process, just started or reloaded, does its work."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is read anew; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The process drains and will end."""
        self._send("STOPPING=1")

    def alive(self, status: str) -> None:
        """A sign of life, and one line for `systemctl status`; main loops say it every second, however long systemd waits."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(" ".join(line.split()) for line in lines)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            try:
                to.sendto(message.encode(), self._address)
            except OSError:
                return  # nobody listens or is too busy: the next sign of life says the same
