"""A real Alertmanager, and since when each alert of a rule stands in it."""

from __future__ import annotations

import json
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.detector.channels.pagers import PROGRAM, Real
from tests.detector.channels.receivers import receiver

# What is told again changes the time that Alertmanager shows, a minute later; this is often enough to see the first.
_LOOK_S: Final = 0.5


class Standing(threading.Thread):
    """Asks an Alertmanager (v2 API) for the alerts of one rule, until told to stop.

    Args:
        url: Of the Alertmanager.
        analytic: The rule.
    """

    def __init__(self, url: str, analytic: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        wanted = [("filter", f'analytic="{analytic}"')]
        self._asked = f"{url}/api/v2/alerts?{urllib.parse.urlencode(wanted)}"
        self._since: dict[str, int] = {}
        self._over = threading.Event()

    def run(self) -> None:
        """Ask."""
        while not self._over.wait(_LOOK_S):
            with urllib.request.urlopen(self._asked, timeout=10) as answer:
                for alert in json.load(answer):
                    self._see(alert)

    def _see(self, alert: dict[str, Any]) -> None:
        at_ms = round(datetime.fromisoformat(alert["updatedAt"]).timestamp() * 1000)
        for uid in alert["annotations"]["findings"].split():
            self._since.setdefault(uid, at_ms)

    def stop(self) -> dict[str, int]:
        """UTC ms from which Alertmanager has had each alert, by the `finding_info.uid` of its findings."""
        self._over.set()
        self.join()
        return dict(self._since)


@contextmanager
def alertmanager(folder: Path, analytic: str) -> Iterator[Standing | None]:
    """An Alertmanager on this machine that is watched; None where none is installed."""
    if PROGRAM is None:
        yield None
        return
    folder.mkdir(parents=True)
    with receiver() as pager:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made = Real(folder, pager, port)
        made.start()
        try:
            watch = Standing(f"http://127.0.0.1:{port}", analytic)
            watch.start()
            yield watch
        finally:
            made.end()
