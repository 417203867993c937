"""Where files are: pipes, folders that come and go, files that may not be read, disks that fail, other agents."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.follow import Follower, Watched
from tests.collector.follow.rig import PLAIN, Rig


def test_an_unrelated_file_that_got_the_inode_of_a_log_is_not_read(rig: Rig):
    rig.write(5)
    rig.run()
    before = rig.log.stat().st_ino
    rig.stop()
    rig.log.unlink()
    for number in range(100):
        other = rig.folder / f"private{number}.txt"
        other.write_text("none of our business\n" * 100)
        if other.stat().st_ino == before:
            break
    rig.run(20)

    assert rig.torn() == []
    assert [gap.reason for gap in rig.gaps] in (["deleted"], ["truncated"])


def test_an_empty_new_log_is_read_as_soon_as_it_is_written_to(rig: Rig):
    rig.write(3)
    rig.run()
    rig.rotate()
    rig.log.touch()
    rig.run(5)
    time.sleep(1.1)  # so that the folder's time says that nothing was added lately
    rig.run(5)
    rig.write(3)
    rig.take(rig.poll())

    rig.check()


def test_a_disk_that_fails_costs_nothing_that_was_read(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    rig.write(5)
    rig.run()
    with rig.log.open("ab") as file:
        file.write(b"".join(b"%07d\n" % number for number in range(400_000)))
    rig.written += [b"%07d" % number for number in range(400_000)]
    real, calls = os.pread, []

    def fails_now_and_then(handle: int, count: int, offset: int) -> bytes:
        calls.append(count)
        if count > 100_000 and len(calls) % 3 == 0:
            raise OSError(5, "Input/output error")
        return real(handle, count, offset)

    monkeypatch.setattr(os, "pread", fails_now_and_then)
    told = set()
    for _ in range(30):
        rig.take(rig.poll())
        told |= set(rig.problems)
    rig.run()

    rig.check()
    assert any("cannot be read (Input/output error): check the disk" in line for line in told)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "loop"])
def test_what_is_no_file_is_not_opened(rig: Rig, kind: str):
    rig.patterns = (str(rig.folder / "*.log"),)
    odd = rig.folder / "odd.log"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "device":
        odd.symlink_to("/dev/zero")
    elif kind == "socket":
        subprocess.run(
            [sys.executable, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(odd)!r})"], check=True
        )
    elif kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(odd)
    rig.write(3)
    rig.run()

    rig.check()
    assert len(rig.problems) == (kind != "folder")


def test_the_folder_is_not_there_yet(rig: Rig):
    folder = rig.folder / "later" / "and" / "deeper"
    rig.patterns = (str(folder / "app.log"), str(rig.folder / "later" / "**" / "*.txt"))
    rig.run(3)
    rig.start()
    rig.run(3)
    folder.mkdir(parents=True)
    rig.write(5, to=folder / "app.log")
    rig.write(5, to=folder / "x.txt")
    (folder / "app.log").rename(folder / "app.log.1")
    rig.write(5, to=folder / "app.log")
    rig.run(3)

    rig.check()
    assert rig.problems == []


def test_a_folder_that_goes_and_comes_again_is_waited_for(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    away = rig.folder.with_name("away")
    rig.folder.rename(away)
    rig.run(20)
    assert "its folder is away" in rig.problems[0]
    away.rename(rig.folder)
    rig.run(20)

    rig.check()
    assert rig.problems == []


def test_a_folder_that_stays_away_is_a_gap(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    shutil.rmtree(rig.folder)
    rig.run(700)

    [gap] = rig.gaps
    assert (gap.reason, gap.last_byte) == ("deleted", None)


@pytest.mark.parametrize("locked", ["file", "folder"])
def test_what_may_not_be_read_is_told_and_read_later(locked: str):
    top = Path(os.path.realpath("/tmp")) / f"follow-{os.getpid()}-{time.monotonic_ns()}"
    code = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).resolve().parents[3])!r})
from tests.collector.follow.rig import Rig
if os.geteuid() == 0:  # root may read everything
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
top = Path({str(top)!r}); top.mkdir()
rig = Rig(top / "log")
rig.patterns = (str(rig.folder / "*.log"),)
rig.write(3)
locked = rig.folder if {locked == "folder"} else rig.log
locked.chmod(0)
rig.run(20)
print(len(rig.lines), rig.follower.problems)
locked.chmod(0o700)
rig.run(20)
rig.check()
print(len(rig.lines), rig.follower.problems)
"""
    try:
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        first, second = ran.stdout.splitlines()
    finally:
        shutil.rmtree(top, ignore_errors=True)

    assert first.startswith("0 [")
    assert "check its permissions" in first
    assert second == "3 []"


def test_two_agents_on_one_file_notice_each_other_and_lose_nothing(rig: Rig):
    rig.write(5)
    rig.run()
    other = Follower([Watched(rig.patterns, PLAIN)])
    given = [one for _ in range(2) for one in other.poll(rig.now + 1, 1 << 20)]

    assert sum(one.piece.lines.height for one in given) == 5
    assert "is followed by another agent too" in other.problems[0]
    assert rig.problems == []
    rig.stop()
    other.poll(rig.now + 5, 1 << 20)
    assert other.problems == []
    other.close()


def test_rotations_zipped_in_another_way_are_told(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    rig.log.unlink()
    (rig.folder / "app.log.1.xz").write_bytes(b"\xfd7zXZ\0and more")
    rig.run(20)

    assert "let logrotate use gzip" in rig.problems[0]
    assert [gap.reason for gap in rig.gaps] == ["deleted"]
