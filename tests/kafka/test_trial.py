"""What `make kafka`, `make agent` and `make consume` run, one after the other, as the README shows it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, environment

NINE = 9  # lines in the logs of the trial


@pytest.fixture
def address(tmp_path: Path):
    """The Kafka of `make kafka`, at another port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.kafka", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as kafka:
        assert kafka.stdout is not None
        assert f"at 127.0.0.1:{port} with access-events" in kafka.stdout.readline()
        yield f"127.0.0.1:{port}"
        kafka.terminate()
        kafka.wait(60)


def test_from_the_agent_through_kafka_to_the_console(address: str, tmp_path: Path):
    def run(*arguments: object) -> str:
        command = [sys.executable, "-W", "ignore", "-m", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = tmp_path / "try"
    run("tests.kafka.trial", folder)
    config = folder / "collector.toml"
    config.write_text(config.read_text().replace("127.0.0.1:9092", address))
    run("sekimori", "collect", "-c", config, "--once")
    printed = run("tests.kafka.consume", "access-events", "--bootstrap-servers", address)

    events = [json.loads(line) for line in printed.splitlines() if line]
    read = [event for event in events if event["event.class"] != "heartbeat"]
    assert len(read) == NINE
    assert {event["agent.id"] for event in events} == {"try-01"}
