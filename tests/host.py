"""A host with logs and the real agent on it, as a process that can be killed; and what arrived in Kafka."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.sealkey import SealKey
from tests import asking
from tests.command import ROOT, environment, table
from tests.kafka.cluster import Cluster

# A line of which no two are the same, in the combined format.
LINE = '192.0.2.{} - u{} [05/Mar/2026:10:{:02d}:{:02d} +0900] "GET /case/{} HTTP/1.1" 200 512 "-" "-"\n'


def line(number: int) -> str:
    """The line of that number; its path gives the number back."""
    return LINE.format(number % 250, number % 7, number // 60 % 60, number % 60, number)


@dataclass(slots=True)
class Host:
    """Folders, keys and a configuration, and at most one agent.

    Attributes:
        folder: All of it lies here; logs in `logs/`.
        kafka: Where it sends.
        topic, dead: Topics.
        options: More of the configuration, by table.
        files: `[[files]]` entries: source and globs below the folder.
        syslog: `[[syslog]]` entries.
    """

    folder: Path
    kafka: Cluster
    topic: str
    dead: str
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=lambda: [("web-access", "logs/*.log")])
    syslog: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.folder / "logs").mkdir(parents=True)
        key = SealKey.enrol("ag-test", b"s" * 32).text()
        for name, text in (("site.key", "5e" * 32), ("seal.key", key), ("kept.seal", key)):
            (self.folder / name).touch(0o600)
            (self.folder / name).write_text(text)
        self.configure()

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.folder / "collector.toml"

    def configure(self) -> None:
        """Write the configuration as `options` and `files` say."""
        tables: dict[str, dict[str, Any]] = {
            "agent": {"id": "ag-test", "state_dir": "state", "site_key": "site.key", "seal_key": "seal.key"},
            "kafka": {
                "bootstrap_servers": [self.kafka.address],
                "topic": self.topic,
                "dead_letter_topic": self.dead,
            },
            "metrics": {"port": 0},
        }
        for name, values in self.options.items():
            tables.setdefault(name, {}).update(values)
        text = "".join(table(f"[{name}]", values) for name, values in tables.items())
        text += "".join(table("[[syslog]]", port) for port in self.syslog)
        text += "".join(f'[[files]]\nsource = "{source}"\npaths = ["{glob}"]\n' for source, glob in self.files)
        self.config.write_text(text)

    def write(self, name: str, first: int, count: int) -> None:
        """Append lines to a log."""
        with (self.folder / "logs" / name).open("a") as file:
            file.write("".join(line(number) for number in range(first, first + count)))

    def start(self, *arguments: str, crash: str = "", within: Sequence[str] = ()) -> None:
        """Start the agent; with `crash` it kills itself there (see tests/crashing.py); `within` a command that runs it."""
        module = ["-m", "tests.crashing", crash] if crash else ["-m", "sekimori"]
        command = [*within, sys.executable, "-W", "ignore", *module, "collect", "-c", str(self.config), *arguments]
        log = (self.folder / "agent.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(self.folder), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait(self, timeout_s: float = 120) -> int:
        """Wait for the agent's end; returns its status."""
        assert self.process is not None
        status = self.process.wait(timeout_s)
        self.process = None
        return status

    def once(self) -> int:
        """Let the agent read all there is, and end."""
        self.start("--once")
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send the agent a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the agent, or kill it; returns its status."""
        self.send(number)
        return self.wait()

    @property
    def said(self) -> str:
        """What all agents of this host wrote to standard error."""
        path = self.folder / "agent.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def until(self, what: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, self.said
            assert self.process is None or self.process.poll() is None, self.said
            time.sleep(0.1)

    def get(self, path: str) -> tuple[int, str]:
        """Ask the agent's port."""
        return asking.get(self.said, path)

    def metric(self, name: str) -> float:
        """Sum over the series of a metric."""
        return asking.metric(self.get("/metrics")[1], name)

    def events(self) -> Iterator[dict[str, Any]]:
        """What arrived, by partition and offset, heartbeats included."""
        for record in self.kafka.stored(self.topic):
            for text in record.value.splitlines():
                yield json.loads(text)

    def arrived(self) -> Counter[int]:
        """How often each numbered line arrived."""
        return Counter(int(event["resource.id"].rsplit("/", 1)[1]) for event in self.events() if "resource.id" in event)

    def verify(self) -> tuple[int, str]:
        """The verifier's exit status and words on the topic."""
        command = [sys.executable, "-W", "ignore", "-m", "sekimori", "verify", "--kafka", self.kafka.address]
        command += ["--topic", self.topic, "--key", str(self.folder / "kept.seal")]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(self.folder), capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def close(self) -> None:
        """End what runs."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
