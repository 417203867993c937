"""Where files are: links, pipes, folders that come and go, files that may not be read, other agents."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.follow import Follower, Progress, Watched
from collector.follow.listing import Folders, family_name, matches
from collector.sources import shipped
from tests.collector.follow.rig import PLAIN, Rig


def problems(rig: Rig) -> list[str]:
    assert rig.follower is not None
    return rig.follower.problems


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
        told |= set(problems(rig))
    rig.run()

    rig.check()
    assert any("cannot be read (Input/output error): check the disk" in line for line in told)


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
    [line] = problems(rig)
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
    assert "not followed" in problems(rig)[0]


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
    assert len(problems(rig)) == (kind != "folder")


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
    assert problems(rig) == []


def test_a_folder_that_goes_and_comes_again_is_waited_for(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    away = rig.folder.with_name("away")
    rig.folder.rename(away)
    rig.run(20)
    assert "its folder is away" in problems(rig)[0]
    away.rename(rig.folder)
    rig.run(20)

    rig.check()
    assert problems(rig) == []


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
    assert problems(rig) == []
    rig.stop()
    other.poll(rig.now + 5, 1 << 20)
    assert other.problems == []
    other.close()


def test_the_source_is_recognised_by_content_and_stays(rig: Rig):
    rig.source, rig.sources = None, shipped()
    access = b'192.0.2.1 - u1 [10/Oct/2026:13:55:36 +0900] "GET /a HTTP/1.1" 200 5\n'
    rig.log.write_bytes(access)
    taken = rig.poll()
    rig.take(taken)
    rig.start()
    with rig.log.open("ab") as file:
        file.write(b"something else\n")
    more = rig.poll()

    assert [one.source.id for one in (*taken, *more)] == ["web-access", "web-access"]


def test_what_nobody_knows_is_told_and_read_once_its_source_is_known(rig: Rig):
    rig.source, rig.sources = None, shipped()
    rig.log.write_bytes(b"who knows\n")
    rig.run(3)
    assert rig.lines == []
    assert "is of no known source" in problems(rig)[0]
    assert rig.follower is not None
    rig.run(60)
    [lag] = rig.follower.lag(rig.now).values()
    assert lag.bytes == 10
    assert lag.seconds > 60

    rig.source = PLAIN
    rig.start()
    rig.run(3)

    assert rig.lines == [b"who knows"]


def test_rotations_zipped_in_another_way_are_told(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    rig.log.unlink()
    (rig.folder / "app.log.1.xz").write_bytes(b"\xfd7zXZ\0and more")
    rig.run(20)

    assert "let logrotate use gzip" in problems(rig)[0]
    assert [gap.reason for gap in rig.gaps] == ["deleted"]


def test_positions_of_what_is_not_followed_now_are_kept(rig: Rig):
    rig.write(5)
    rig.run()
    before = rig.saved
    patterns, rig.patterns = rig.patterns, (str(rig.folder / "other.log"),)
    rig.start()
    rig.run(20)
    rig.write(5)
    rig.patterns = patterns
    rig.start()
    rig.run(3)

    assert before is not None
    rig.check()


def test_the_clock_of_the_wall_does_not_matter(rig: Rig):
    for stamp in (1_000_000_000, 2_000_000_000, 0, 1_500_000_000):
        rig.write(5)
        os.utime(rig.log, (stamp, stamp))
        rig.run(2)
        rig.start()
        rig.rotate()
        rig.write(2)
        os.utime(rig.log, (stamp, stamp))
    rig.run(100)

    rig.check()


def test_lag_is_bytes_and_seconds(rig: Rig):
    rig.write(100)
    rig.take(rig.poll(budget_bytes=1000))
    assert rig.follower is not None
    rig.take(rig.poll(seconds=9, budget_bytes=1000))
    [lag] = rig.follower.lag(rig.now).values()
    assert (lag.source_id, lag.bytes, lag.seconds) == ("plain", rig.log.stat().st_size - 2000, 9)

    rig.run()
    [lag] = rig.follower.lag(rig.now).values()
    assert (lag.bytes, lag.seconds) == (0, 0)


def test_a_file_with_much_to_read_does_not_starve_the_others(rig: Rig):
    rig.patterns = (str(rig.folder / "*.log"),)
    with (rig.folder / "a.log").open("wb") as file:
        file.write(b"".join(b"%d\n" % number for number in range(2_000_000)))
    rig.write(3)
    for _ in range(3):
        rig.take(rig.poll(budget_bytes=1 << 20))

    assert rig.missing() == []


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("app.log", "app.log"),
        ("app.log.1", "app.log"),
        ("app.log.12.gz", "app.log"),
        ("app.log-20261123", "app.log"),
        ("app.log-20261123-14.gz", "app.log"),
        ("app.log.2026-11-23_0000.gz", "app.log"),
        ("app-20261123.log.gz", "app.log"),
        ("app.3.log", "app.log"),
        ("app-1.log", "app-1.log"),
        ("web1.log", "web1.log"),
        ("app.log.old", "app.log"),
        ("app.log.bak.gz", "app.log"),
        ("20261123.log", "20261123.log"),
        ("messages-20261123", "messages"),
        (".1", ".1"),
        ("1", "1"),
    ],
)
def test_the_name_without_what_rotation_added(name: str, family: str):
    assert family_name(name) == family


def test_globs(tmp_path: Path):
    for name in ("a/b/c/x.log", "a/y.log", "a/.hidden.log", "a/z.txt", "a/b/[1].log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(glob: str) -> list[str]:
        pattern = str(tmp_path / glob)
        paths = Folders().expand(pattern)
        assert all(matches(pattern, path) for path in paths)
        return [str(Path(path).relative_to(tmp_path)) for path in paths]

    assert found("a/*.log") == ["a/y.log"]
    assert found("a/**/*.log") == ["a/b/[1].log", "a/b/c/x.log", "a/y.log"]
    assert found("**/x.log") == ["a/b/c/x.log"]
    assert found("a/?.???") == ["a/y.log", "a/z.txt"]
    assert found("a/y.log") == ["a/y.log"]
    assert found("nothing/*/x") == []
    assert not matches("/a/*.log", "/a/b/c.log")


@pytest.mark.parametrize(
    "change",
    [
        {"offset": -1}, {"offset": "1"}, {"generation": "x"}, {"tail": ""}, {"seen_bytes": 0}, {"more": 1},
        {"finished": 1}, {"offset": 0},
    ],
)  # fmt: skip
def test_positions_that_make_no_sense_are_refused(rig: Rig, change: dict[str, object]):
    rig.write(5)
    rig.run()
    assert rig.follower is not None
    held = rig.follower.progress().to_json()
    held["positions"]["1"] |= change

    with pytest.raises(ValueError, match="position 1: "):
        Progress.from_json(held)
