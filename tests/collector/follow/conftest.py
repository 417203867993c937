from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.follow.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "log")
    yield rig
    rig.stop()
