"""Detectors as processes that can be killed, frozen and joined by others; and what they found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from tests import asking
from tests.command import ROOT, environment, table
from tests.kafka.cluster import Cluster


@dataclass(slots=True)
class Running:
    """A detector's process and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """What it wrote to standard error."""
        return self.log.read_text(errors="replace")

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60) -> int:
        """Stop or kill it; returns its status."""
        self.send(number)
        return self.process.wait(timeout_s)

    def until(self, what: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, self.said
            assert self.is_up, self.said
            time.sleep(0.1)

    def until_it_has(self, partitions: int, timeout_s: float = 60) -> None:
        """Wait until it works on so many partitions."""
        self.until(lambda: self.metric("sekimori_detector_partitions") == partitions, timeout_s)

    def get(self, path: str) -> tuple[int, str]:
        """Ask its port."""
        self.until(lambda: "metrics at port" in self.said)
        return asking.get(self.said, path)

    def metric(self, name: str) -> float:
        """Sum over the series of a metric."""
        return asking.metric(self.get("/metrics")[1], name)


@dataclass(slots=True)
class Desk:
    """Topics of its own, a configuration, and detectors.

    Attributes:
        folder: Configuration and logs lie here.
        kafka: Where the topics are.
        partitions: Of events, correlate and findings.
        module: What is started, with the configuration's path as its argument.
        options: More of the configuration, by table.
    """

    folder: Path
    kafka: Cluster
    partitions: tuple[int, int, int] = (2, 2, 2)
    module: tuple[str, ...] = ("tests.detector.counting",)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    topics: dict[str, str] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.topics:
            events, correlate, findings = self.partitions
            wanted = {"events": events, "correlate": correlate, "findings": findings}
            for name in ("state", "notices", "dead_letters"):
                wanted[name] = 2 if name == "state" else 1
            self.topics = {name: self.kafka.topic(count) for name, count in wanted.items()}

    @property
    def group(self) -> str:
        """The group of its detectors, but for re-runs."""
        return f"g-{self.topics['events']}"

    def configure(self, name: str = "det") -> Path:
        """Write the configuration of a detector of that name."""
        tables: dict[str, dict[str, Any]] = {
            "detector": {"id": name, "state_dir": f"state-{name}"},
            "kafka": {
                "bootstrap_servers": [self.kafka.address], "group": self.group, "session_timeout_s": 3,
            },
            "topics": self.topics,
            "limits": {"snapshot_s": 2, "stuck_after_s": 5},
            "metrics": {"port": 0},
        }  # fmt: skip
        for section, values in self.options.items():
            tables.setdefault(section, {}).update(values)
        path = self.folder / f"{name}.toml"
        path.write_text("".join(table(f"[{section}]", values) for section, values in tables.items()))
        return path

    def start(self, *arguments: str, name: str = "det") -> Running:
        """Start a detector."""
        path = self.configure(name)
        log = self.folder / f"{name}-{len(self.running)}.log"
        command = [sys.executable, "-W", "ignore", "-m", *self.module, str(path), *arguments]
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment(self.folder), stdout=file, stderr=file, stdin=subprocess.DEVNULL
            )
        self.running.append(Running(process, log))
        return self.running[-1]

    def send(self, keys: Iterable[str], partition: int | None = None) -> None:
        """Send a numbered record under each key."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.address.split(","), linger_ms=5)
        for key in keys:
            producer.send(self.topics["events"], key=key.encode(), value=b"%d" % self.sent, partition=partition)
            self.sent += 1
        producer.flush()
        producer.close()

    def found(self) -> list[dict[str, Any]]:
        """Every finding as it stands in the topic, duplicates included."""
        return [json.loads(one.value) for one in self.kafka.stored(self.topics["findings"])]

    def close(self) -> None:
        """End what runs."""
        for one in self.running:
            if one.is_up:
                os.kill(one.process.pid, signal.SIGKILL)
                one.process.wait()
