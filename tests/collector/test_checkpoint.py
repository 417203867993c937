from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from collector.checkpoint import NAME, PREVIOUS, CheckpointError, StateFolder

ONE, TWO = {"files": {"at": 1, "path": "/log/\udc80あ"}}, {"files": {"at": 2}}


@pytest.fixture
def state(tmp_path: Path):
    folder = StateFolder(tmp_path / "state")
    yield folder
    folder.close()


def again(state: StateFolder) -> tuple[dict, list[str], StateFolder]:
    """What the next start of the agent finds."""
    state.close()
    problems: list[str] = []
    state.__init__(state.folder)
    return state.load(problems), problems, state


def test_nothing_was_saved_yet(state: StateFolder):
    problems: list[str] = []

    assert state.load(problems) == {}
    assert problems == []
    assert not state.forgotten


def test_what_was_saved_last_is_loaded_and_the_one_before_is_kept(state: StateFolder):
    state.save(ONE)
    state.save(TWO)

    assert again(state)[:2] == (TWO, [])
    assert state.folder.stat().st_mode & 0o077 == 0
    assert (state.folder / PREVIOUS).exists()


@pytest.mark.parametrize("damage", ["", "cut", "flipped", "swapped", "binary", "list"])
def test_the_one_before_is_taken_when_the_newest_cannot_be_trusted(state: StateFolder, damage: str):
    state.save(ONE)
    state.save(TWO)
    path = state.folder / NAME
    whole = path.read_text()
    bad = {"cut": whole[:-9], "flipped": whole.replace('"at":2', '"at":3'), "binary": "\0\1", "list": "[]"}
    path.write_text(bad.get(damage, whole.replace('"version"', '"Version"') if damage else ""))

    positions, problems, _ = again(state)

    assert positions == ONE
    assert len(problems) == 1
    assert "\n" not in problems[0]
    assert str(path) in problems[0]
    assert not state.forgotten


def test_the_damaged_one_does_not_push_out_the_good_one_before(state: StateFolder):
    state.save(ONE)
    state.save(TWO)
    (state.folder / NAME).write_bytes(b"")
    _, _, state = again(state)

    state.save({"files": {"at": 3}})
    (state.folder / NAME).write_bytes(b"")

    assert again(state)[0] == ONE


def test_all_is_forgotten_when_nothing_can_be_trusted(state: StateFolder):
    state.save(ONE)
    state.save(TWO)
    (state.folder / NAME).write_bytes(b"{")
    (state.folder / PREVIOUS).write_bytes(b"")

    positions, problems, _ = again(state)

    assert positions == {}
    assert state.forgotten
    assert "everything is read again" in problems[0]


def test_a_newer_version_is_not_touched(state: StateFolder):
    state.save(ONE)
    path = state.folder / NAME
    path.write_text(path.read_text().replace('"version":1', '"version":2'))

    with pytest.raises(CheckpointError, match="is of version 2, this agent knows 1"):
        again(state)


def test_a_crash_between_two_steps_of_saving_loses_nothing(state: StateFolder):
    state.save(ONE)
    state.save(TWO)
    (state.folder / NAME).rename(state.folder / PREVIOUS)
    (state.folder / f"{NAME}.new").write_bytes(b"half of")

    assert again(state)[0] == TWO


def test_a_full_disk_leaves_what_was_saved_and_is_told_in_one_line(state: StateFolder):
    state.save(ONE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(CheckpointError, match="make room"):
            state.save({"files": "x" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert again(state)[0] == ONE
    state.save(TWO)
    assert again(state)[0] == TWO


def test_two_agents_cannot_use_one_folder(state: StateFolder):
    code = f"from pathlib import Path; from collector.checkpoint import StateFolder; StateFolder(Path({str(state.folder)!r}))"

    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert other.returncode == 1
    assert "another agent is using this folder" in other.stderr.splitlines()[-1]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CheckpointError, match="give the agent a folder that it may write to"):
        StateFolder(tmp_path / "file" / "state")


def test_what_did_not_change_is_not_written_again(state: StateFolder):
    state.save(ONE)
    before = os.stat(state.folder / NAME).st_ino

    state.save(ONE)

    assert os.stat(state.folder / NAME).st_ino == before
