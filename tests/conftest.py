"""What the tests of all parts share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests import command
from tests.command import GOOD, Command, Ran, Run

if TYPE_CHECKING:  # at run time only by tests with Kafka: it takes half a second
    from tests.kafka.broker import Broker
    from tests.kafka.cluster import Cluster

# A push is judged on the same examples every time; new ones are sought on developers' machines. How long an example takes
# says something of the machine, not of the code.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public logs and examples beside the project; tests that need it say where it should be."""
    place = Path(os.environ.get("SEKIMORI_SHARED", Path(__file__).resolve().parents[1] / ".." / "shared")).resolve()
    if not place.is_dir():
        pytest.skip(f"needs the folder of public logs: {place} is absent (set SEKIMORI_SHARED)")
    return place


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `sekimori analyze`, by default with --json, into a folder `out`."""
    home = tmp_path / "home"
    home.mkdir()

    def start(*arguments: object, json: bool = True, out: Path | None = None, **more: object) -> Ran:
        options = ["--json"] if json else []
        return command.sekimori(home, "analyze", *arguments, *options, out=out or tmp_path / "out", **more)

    return start


@pytest.fixture
def sekimori(tmp_path: Path) -> Command:
    """Run `sekimori` in a folder of the test's own; nothing may end in a traceback."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "sekimori", *map(str, arguments)]
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=command.environment(tmp_path),
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with one good log of 20 events."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "good.csv").write_text(GOOD, encoding="utf-8")
    return folder


ELSEWHERE = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The one Kafka that a test process starts; tests take `broker` or `kafka` instead."""
    from tests.kafka.broker import Broker

    with Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A real Kafka of our own with all its doors, which a test may pause, kill and stop; afterwards it serves again."""
    if ELSEWHERE:
        pytest.skip("starts, stops and locks a Kafka, which KAFKA_BOOTSTRAP_SERVERS keeps from being ours")
    running: Broker = request.getfixturevalue("node")
    yield running
    running.recover()


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Cluster:
    """A real Kafka that serves: `kafka.topic()` makes a topic, `kafka.stored(topic)` reads it. It is not to be stopped."""
    from tests.kafka.cluster import Cluster

    if ELSEWHERE:
        return Cluster(ELSEWHERE)
    running: Broker = request.getfixturevalue("node")
    return running


@pytest.fixture
def topic(kafka: Cluster) -> str:
    """A topic of the test's own with 4 partitions."""
    return kafka.topic()
