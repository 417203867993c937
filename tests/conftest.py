"""What the tests of all parts share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests import command
from tests.command import GOOD, Ran

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


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ran]:
    """Run `sekimori analyze`, by default with --json, into a folder `out`."""
    home = tmp_path / "home"
    home.mkdir()

    def start(*arguments: object, json: bool = True, out: Path | None = None, **more: object) -> Ran:
        options = ["--json"] if json else []
        return command.sekimori(home, "analyze", *arguments, *options, out=out or tmp_path / "out", **more)

    return start


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with one good log of 20 events."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "good.csv").write_text(GOOD, encoding="utf-8")
    return folder
