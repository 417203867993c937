"""Links to logs: those that move on, those that several names share, and those that others planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.collector.follow.rig import Rig


def test_two_names_of_one_file_are_read_once(rig: Rig):
    rig.patterns = (str(rig.folder / "*.log"),)
    rig.write(5)
    os.link(rig.log, rig.folder / "hard.log")
    os.symlink(rig.log, rig.folder / "soft.log")
    rig.run()
    rig.write(5)
    rig.run()

    rig.check()


@pytest.mark.parametrize("restart", [False, True])
def test_a_link_that_moves_on_to_the_next_file(rig: Rig, restart: bool):
    current = rig.folder / "current.log"
    rig.patterns = (str(current),)
    for day in ("20261121", "20261122", "20261123"):
        target = rig.folder / "dated" / f"app-{day}.log"
        target.parent.mkdir(exist_ok=True)
        rig.write(3, to=target)
        current.unlink(missing_ok=True)
        current.symlink_to(target)
        rig.run()
        rig.write(3, to=target)
        if restart:
            rig.stop()
    rig.run(70)

    rig.check()


def test_files_between_that_a_link_pointed_to_while_we_were_down(rig: Rig):
    current = rig.folder / "current.log"
    rig.patterns = (str(current),)
    for number in (1, 2, 3):
        target = rig.folder / f"app-{number}.log"
        rig.write(3, to=target)
        current.unlink(missing_ok=True)
        current.symlink_to(target)
        if number == 1:
            rig.run()
            rig.stop()
    rig.run(70)

    rig.check()
    assert rig.lines == rig.written


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", ["app.log", "current.log"])
def test_a_log_behind_a_link_is_rotated_where_it_is(rig: Rig, name: str, zipped: bool):
    real = rig.folder / "real"
    real.mkdir()
    link = rig.folder / name
    link.symlink_to(real / "app.log")
    rig.patterns = (str(link),)
    rig.write(3, to=real / "app.log")
    rig.run()
    for _ in range(2):
        rig.stop()
        rig.write(3, to=real / "app.log")
        if (real / "app.log.1").exists():
            (real / "app.log.1").rename(real / "app.log.2")
        (real / "app.log").rename(real / "app.log.1")
        rig.write(3, to=real / "app.log")
        if zipped:
            rig.zip(real / "app.log.1").rename(real / "app.log.1")
    rig.run(70)

    rig.check()
    assert rig.lines == rig.written


def test_a_link_to_another_folder_while_we_were_down(rig: Rig):
    link = rig.folder / "app.log"
    for day in ("21", "22"):
        target = rig.folder.parent / day / "app.log"
        target.parent.mkdir()
        rig.write(3, to=target)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        if day == "21":
            rig.run()
            rig.stop()
            rig.write(3, to=target)
    rig.run(70)

    rig.check()


def plant(link: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of another user to a file of ours."""
    link.symlink_to(target)
    if os.geteuid() == 0:
        os.chown(link, 65534, 65534, follow_symlinks=False)
        os.chown(target, 0, 0)
    else:  # then the agent is the other user, and the file is one of root's
        link.unlink()
        link.symlink_to("/etc/passwd")
        monkeypatch.setattr(os, "geteuid", lambda: 65534)


def test_a_planted_link_is_not_followed(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    secret = rig.folder.parent / "secret"
    rig.write(3, to=secret)
    plant(rig.log, secret, monkeypatch)
    rig.run()

    assert rig.lines == []
    [line] = rig.problems
    assert "is a link of user" in line
    assert "\n" not in line


def test_a_planted_link_in_place_of_a_rotated_file_is_not_followed(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    rig.write(3)
    rig.run()
    secret = rig.folder.parent / "secret"
    secret.write_text("secret\n")
    plant(rig.folder / "app.log.1", secret, monkeypatch)
    rig.run()

    rig.check()
    assert "not followed" in rig.problems[0]
