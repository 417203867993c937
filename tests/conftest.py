"""What the tests of all parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A push is judged on the same examples every time; new ones are sought on developers' machines.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public logs and examples beside the project; tests that need it say where it should be."""
    place = Path(os.environ.get("SEKIMORI_SHARED", Path(__file__).resolve().parents[1] / ".." / "shared")).resolve()
    if not place.is_dir():
        pytest.skip(f"needs the folder of public logs: {place} is absent (set SEKIMORI_SHARED)")
    return place
