"""Random kills of the agent while its log is written and rotated: nothing lost, nothing torn, and the seal holds.

A few in every run; `make chaos` makes a hundred.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import Host
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

KILLS = int(os.environ.get("SEKIMORI_KILLS", "4"))
SEED = int(os.environ.get("SEKIMORI_SEED", "1"))


class Writer:
    """A program that writes numbered lines and has its log rotated now and then, while agents come and go."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self.written = 0
        self._draw = random.Random(seed)
        self._generations = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        logs = self.host.folder / "logs"
        while not self._end.is_set():
            count = self._draw.randrange(1, 200)
            self.host.write("access.log", self.written, count)
            self.written += count
            if self._draw.random() < 0.02:
                (logs / "access.log").rename(logs / f"access.log.{self._generations}")
                self._generations += 1
            time.sleep(self._draw.random() * 0.05)

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(), kafka.topic(1))
    yield one
    one.close()


def test_agents_killed_at_random_lose_nothing(host: Host):
    draw = random.Random(SEED)
    host.start()
    # What was rotated before the first agent ever looked is none of its business.
    host.until(lambda: "metrics at port" in host.said)
    writer = Writer(host, SEED)
    try:
        for _ in range(KILLS):
            time.sleep(1 + 3 * draw.random())
            host.end(signal.SIGKILL)
            host.start()
        host.end(signal.SIGKILL)
    finally:
        writer.stop()
    assert host.once() == 0, host.said
    arrived = host.arrived()
    missing = set(range(writer.written)) - set(arrived)
    assert not missing, f"{len(missing)} of {writer.written} lines missing, first {min(missing)}"
    assert set(arrived) == set(range(writer.written))
    torn = [event for event in host.events() if event["event.class"] == "access" and "resource.id" not in event]
    assert not torn
    assert not host.kafka.stored(host.dead)
    assert not [event for event in host.events() if event.get("event.outcome") == "failure"]
    status, verdict = host.verify()
    assert status == 0, verdict
    print(f"{KILLS} kills, {writer.written} lines, {sum(arrived.values()) - writer.written} sent again")
