"""From findings to people: the ledger, Kafka and every kind of channel together, and channels that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract import notice
from detector.channels.message import Message
from detector.ledger import Ledger
from detector.notices import Closed, advance
from tests.command import ROOT, environment
from tests.detector.channels.pagers import Mailbox, Real
from tests.detector.channels.receivers import Receiver, receiver, until
from tests.detector.channels.test_alertmanager import channel
from tests.detector.channels.test_run import items, put, running, unique, web
from tests.detector.test_notices import FREE, T0, found

if TYPE_CHECKING:
    from tests.kafka.cluster import Cluster

KILLS = int(os.environ.get("SEKIMORI_KILLS", "3"))


def test_a_finding_reaches_everybody_once_and_its_closed_case_too(
    kafka: Cluster,
    real: Real,
    mailbox: tuple[Mailbox, str],
    dead: str,
):
    topic, (box, url) = kafka.topic(1), mailbox
    findings = [
        found("1"),
        found("2", T0 + 1),
        found("1"),
        found("3", T0 + 2, severity=5),
        found("4", T0, queue="digest"),
    ]
    ledger, effects = advance(Ledger(), findings, (), FREE)
    manager = channel(real.port)
    manager.name = unique()
    with receiver() as hook:
        channels = (manager, web(hook, unique()), Message(unique(), f"{url}&format=text", language="en"))
        with running(kafka, topic, dead, *channels) as runner:
            while not all(state.tally.delivered for state in runner.states()):
                put(kafka, topic, items(1 << 40, (1 << 40) + 1, change="updated"))
                time.sleep(0.5)
            until(lambda: not any(state.waiting for state in runner.states()))
            hook.got.clear()
            put(kafka, topic, effects.notices)
            until(lambda: len(hook.got) >= 3 and len(box.got) >= 2)
            until(
                lambda: (
                    [one["labels"]["severity"] for one in real.alerts() if one["annotations"]["count"] == "3"]
                    == ["critical"]
                )
            )
            _, closing = advance(ledger, (), [Closed(name, T0) for name in ("f-1", "f-2", "f-3")], FREE)
            put(kafka, topic, closing.notices)
            until(lambda: len(hook.got) >= 4 and len(box.got) >= 3)
            mine = notice.fingerprint("live", "f-1")
            until(lambda: not any(one["labels"]["fingerprint"] == mine for one in real.alerts()))
    assert [json.loads(request.body)["change"] for request in hook.got] == ["opened", "updated", "raised", "resolved"]
    assert [message["Subject"].split()[1:3] for _, message in box.got] == [
        ["high", "opened"], ["critical", "raised"], ["critical", "resolved"],
    ]  # fmt: skip


class Hooked:
    """Processes with one webhook channel of one name, a topic of two partitions, and the receiver."""

    def __init__(self, kafka: Cluster, dead: str, folder: Path, server: Receiver) -> None:
        self.topic = kafka.topic(2)
        self.server = server
        self._kafka, self._folder = kafka, folder
        url = f"http://127.0.0.1:{server.port}/"
        module = [sys.executable, "-W", "ignore", "-m", "tests.detector.channels.hooked"]
        self._command = [*module, kafka.address, self.topic, dead, url, unique()]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, cwd=ROOT, env=environment(self._folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def warm(self) -> None:
        """Write until something arrives."""
        number = 1 << 40
        while not self.server.got:
            put(self._kafka, self.topic, items(number, number + 10))
            number += 10
            time.sleep(0.3)

    def until_all_of(self, count: int) -> None:
        """Wait until each of the first so many notices has arrived; what arrived twice did so with equal bytes."""
        wanted = {one["fingerprint"] for one in items(0, count)}
        until(lambda: {json.loads(request.body)["fingerprint"] for request in self.server.got[:]} >= wanted, 120)
        sent = defaultdict(set)
        for request in self.server.got[:]:
            sent[request.headers["webhook-id"]].add(request.body)
        assert all(len(bodies) == 1 for bodies in sent.values())


def end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def test_a_channel_that_is_killed_again_and_again_leaves_nothing_untold(kafka: Cluster, dead: str, tmp_path: Path):
    chance, count = random.Random(5), 500 + 300 * KILLS
    with receiver() as server:
        hooked = Hooked(kafka, dead, tmp_path, server)
        process = hooked.start()
        hooked.warm()
        put(kafka, hooked.topic, items(0, count))
        for _ in range(KILLS):
            before = len(server.got)
            until(lambda before=before: len(server.got) > before + 50, 90)  # type: ignore[misc]
            time.sleep(chance.random() * 0.2)
            end(process)
            process = hooked.start()
        hooked.until_all_of(count)
        end(process)
    assert kafka.stored(dead) == []


@pytest.mark.slow
def test_a_channel_that_slept_while_another_took_over_leaves_nothing_untold(kafka: Cluster, dead: str, tmp_path: Path):
    with receiver() as server:
        hooked = Hooked(kafka, dead, tmp_path, server)
        sleeper = hooked.start()
        hooked.warm()
        put(kafka, hooked.topic, items(0, 1_000))
        before = len(server.got)
        until(lambda: len(server.got) > before + 50)
        sleeper.send_signal(signal.SIGSTOP)
        other = hooked.start()
        hooked.until_all_of(1_000)  # by the other alone, once the sleeper's session is over
        sleeper.send_signal(signal.SIGCONT)
        put(kafka, hooked.topic, items(1_000, 1_500))
        hooked.until_all_of(1_500)
        end(sleeper, other)
    assert kafka.stored(dead) == []
