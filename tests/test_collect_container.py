"""The agent as a container runs it: process 1 of its namespace, which gets no signal that it does not ask for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import Host
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture
def host(tmp_path: Path, kafka: Cluster) -> Iterator[Host]:
    one = Host(tmp_path / "host", kafka, kafka.topic(), kafka.topic(1))
    yield one
    one.close()


def child_of(number: int) -> int:
    """The one process that a process started."""
    return int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])


def test_as_process_1_it_ends_when_it_is_told_to(host: Host):
    if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a namespace of processes")
    host.options["log"] = {"format": "json"}
    host.configure()
    host.write("access.log", 0, 50)
    host.start(within=ALONE)
    host.until(lambda: "metrics at port" in host.said)
    host.until(lambda: sum(host.arrived().values()) == 50)

    assert host.process is not None
    os.kill(child_of(host.process.pid), signal.SIGTERM)

    assert host.wait(30) == 0
    assert all(said.startswith("{") for said in host.said.splitlines())
