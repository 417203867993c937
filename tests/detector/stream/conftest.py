"""What tests of the real cores behind a real Kafka share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.detector.desk import Desk
from tests.detector.month import RULES
from tests.detector.stream import sent
from tests.detector.stream.sent import Month
from tests.kafka.cluster import Cluster


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """A month of a small office."""
    return sent.simulated(tmp_path_factory.mktemp("month"))


@pytest.fixture
def desk_of(tmp_path: Path) -> Iterator[Callable[[Cluster, Month, int], Desk]]:
    """Makes a desk at a Kafka, for a month, with so many partitions; with its site, the shipped rules, its model and baseline."""
    desks = []

    def make(kafka: Cluster, month: Month, partitions: int) -> Desk:
        folder = tmp_path / "desk"
        folder.mkdir()
        shutil.copy(month.model, folder / "model.npz")
        shutil.copy(sent.beside(month.model), folder / "usual.json")
        options: dict[str, dict[str, Any]] = {
            "detector": {
                "site": str(month.folder / "site"), "rules": str(RULES), "model": "model.npz", "baseline": "usual.json",
                "lateness_s": sent.LATENESS_S, "heartbeat_s": 86_400, "sealed_agents": list(sent.AGENTS),
            },
            "limits": {"snapshot_s": 3600, "turn_records": 50},
        }  # fmt: skip
        module = ("sekimori", "detect", "-c")
        desks.append(Desk(folder, kafka, (partitions, sent.CORRELATE, sent.FINDINGS), module, options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()
