"""Rotation by renaming: nothing is lost, nothing comes twice, whoever is slow and whoever is down."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from tests.collector.follow.rig import Rig


def test_lines_are_read_as_they_are_written(rig: Rig):
    for _ in range(5):
        rig.write(3)
        rig.run()

    rig.check()
    assert rig.lines == rig.written


def test_a_writer_stays_on_the_renamed_file_for_seconds(rig: Rig):
    rig.write(3)
    rig.run()
    with rig.log.open("ab", buffering=0) as old:
        rig.rotate()
        rig.write(2)
        rig.run()
        for _ in range(10):
            line = rig.line()
            rig.written.append(line)
            old.write(line[:10])
            rig.run(3)
            old.write(line[10:] + b"\n")
            rig.run(1)
        rig.write(2)
        rig.run()

    rig.check()
    assert rig.follower is not None
    assert rig.follower.rotations == {"plain": 1}


def test_a_writer_stays_on_the_renamed_file_for_longer_than_we_wait(rig: Rig):
    rig.write(3)
    rig.run()
    with rig.log.open("ab", buffering=0) as old:
        rig.rotate()
        rig.write(1)
        rig.run(200)
        line = rig.line()
        rig.written.append(line)
        old.write(line + b"\n")
        rig.run(2)

    rig.check()


def test_a_deleted_file_is_read_to_its_end(rig: Rig):
    rig.write(3)
    rig.run()
    with rig.log.open("ab", buffering=0) as old:
        rig.log.unlink()
        rig.write(1)
        rig.run(5)
        line = rig.line()
        rig.written.append(line)
        old.write(line + b"\n")
        rig.run(5)

    rig.check()


@pytest.mark.parametrize("zip_from", [None, 1, 2])
@pytest.mark.parametrize("patterns", [("app.log",), ("app.log*",), ("*.log",)])
def test_several_rotations_while_the_agent_is_down(rig: Rig, zip_from: int | None, patterns: tuple[str, ...]):
    rig.patterns = tuple(str(rig.folder / pattern) for pattern in patterns)
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    for _ in range(4):
        rig.rotate(zip_from=zip_from)
        rig.write(5)
    rig.run(70)

    rig.check()
    assert rig.lines == rig.written


@pytest.mark.parametrize("zip_from", [None, 1, 2])
def test_several_rotations_while_the_agent_lags(rig: Rig, zip_from: int | None):
    rig.write(200)
    rig.take(rig.poll(budget_bytes=100))
    for _ in range(4):
        rig.rotate(zip_from=zip_from, keep=3)  # the oldest is deleted before it is read
        rig.write(200)
        rig.take(rig.poll(budget_bytes=100))
    rig.run(70, budget_bytes=500)

    rig.check()
    assert rig.lines == rig.written


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ("app.log-20261122", "app.log-20261123"),
        ("app.log.2026-11-22", "app.log.2026-11-23"),
        ("app-20261122.log", "app-20261123.log"),
        ("app.log-20261123-1795392000", "app.log-20261123-1795395600"),
        ("app.2.log", "app.1.log"),
        ("app.log.old", "app.log.1"),
    ],
)
def test_names_that_rotation_gives(rig: Rig, names: tuple[str, str], zipped: bool, restart: bool):
    rig.write(5)
    rig.run()
    for name in names:
        if restart:
            rig.stop()
        rig.write(5)
        rig.log.rename(rig.folder / name)
        rig.write(5)
        if zipped:
            rig.zip(rig.folder / name)
    rig.run(70)
    rig.start()
    rig.run(70)

    rig.check()


def test_delaycompress_zips_what_was_read_long_ago(rig: Rig):
    for _ in range(4):
        rig.write(5)
        rig.run(100)
        rig.rotate(zip_from=2)
        rig.run(100)
        rig.start()

    rig.check()


def test_zipping_takes_its_time(rig: Rig):
    rig.write(500)
    rig.run()
    rig.write(500)
    rig.rotate()
    packed = rig.zip(rig.folder / "app.log.1")
    data = packed.read_bytes()
    rig.write(3)
    for share in (0, 10, len(data) // 2, len(data) - 3, len(data)):
        packed.write_bytes(data[:share])
        rig.start()
        rig.run(3)

    rig.run(70)
    rig.check()


def test_a_zip_that_stays_cut_off_is_read_as_far_as_it_goes_and_the_rest_is_a_gap(rig: Rig):
    rig.write(500)
    rig.run()
    rig.stop()
    rig.write(2000)
    rig.rotate()
    packed = rig.zip(rig.folder / "app.log.1")
    packed.write_bytes(packed.read_bytes()[:-2000])
    rig.write(3)
    rig.run(200)

    [gap] = rig.gaps
    torn = rig.torn()
    assert (gap.reason, gap.last_byte, rig.double(), len(torn)) == ("damaged", None, [], 1)
    assert sum(len(line) + 1 for line in rig.written[:2500]) > gap.first_byte
    size = sum(len(line) + 1 for line in rig.lines if line in set(rig.written[:2500]))
    assert gap.first_byte == size + len(torn[0])
    assert rig.missing()[-1] == rig.written[2499]


def test_rotated_to_another_folder_that_is_followed_too(rig: Rig):
    old = rig.folder / "old"
    old.mkdir()
    rig.patterns = (*rig.patterns, str(old / "app.log*"))
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    rig.log.rename(old / "app.log.1")
    rig.write(5)
    rig.run(70)

    rig.check()


def test_rotated_to_another_folder_while_we_are_at_work(rig: Rig):
    old = rig.folder / "old"
    old.mkdir()
    rig.write(5)
    rig.run()
    rig.write(5)
    rig.log.rename(old / "app.log.1")
    rig.write(5)
    rig.run(70)

    rig.check()


def test_renamed_to_whatever_in_the_same_folder_while_we_are_down(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    rig.log.rename(rig.folder / "saved by hand")
    rig.write(5)
    rig.run(70)

    rig.check()


def test_old_generations_from_before_the_agent_are_left_alone_also_once_zipped(rig: Rig):
    old = rig.write(5)
    rig.rotate()
    old += rig.write(5)
    rig.rotate(zip_from=2)
    rig.write(5)
    rig.run(70)
    rig.rotate(zip_from=2)
    rig.write(5)
    rig.run(70)
    rig.start()
    rig.run(70)

    assert rig.missing() == old
    rig.written = rig.written[len(old) :]
    rig.check()


def test_old_generations_that_match_are_read_once(rig: Rig):
    rig.patterns = (str(rig.folder / "app.log*"),)
    for _ in range(3):
        rig.write(5)
        rig.rotate(zip_from=2)
    rig.write(5)
    rig.run(70)
    rig.start()
    rig.run(70)

    rig.check()
    assert rig.lines == rig.written


def test_a_rotation_deleted_while_we_were_down_is_a_gap(rig: Rig):
    rig.write(5)
    rig.run()
    rig.stop()
    rig.write(5)
    rig.rotate()
    (rig.folder / "app.log.1").unlink()
    rig.write(5)
    rig.run(70)

    [gap] = rig.gaps
    read = sum(len(line) + 1 for line in rig.written[:5])
    assert gap.reason in ("deleted", "truncated")  # the same where the file system does not tell uses of an inode apart
    assert (gap.first_byte, gap.last_byte) == (read, None)
    assert rig.missing() == rig.written[5:10]
    assert (rig.double(), rig.torn()) == ([], [])


def test_what_was_read_to_its_end_and_rotated_may_be_deleted(rig: Rig):
    rig.write(5)
    rig.run()
    rig.rotate()
    rig.write(5)
    rig.run(70)
    rig.stop()
    (rig.folder / "app.log.1").unlink()
    rig.run(70)

    rig.check()
    assert rig.follower is not None
    assert len(rig.follower.progress().positions) == 1


def test_the_last_line_of_a_rotated_file_needs_no_line_end(rig: Rig):
    rig.write(2)
    rig.run()
    last = rig.line()
    rig.written.append(last)
    with rig.log.open("ab") as file:
        file.write(last)
    rig.run(70)
    assert last not in rig.lines  # it may still be being written
    rig.rotate()
    rig.write(1)
    rig.run(70)

    rig.check()


def held_open(folder: Path) -> list[str]:
    """Files below a folder that this process has open."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return [link for link in links if link.startswith(f"{folder}/")]


def test_positions_stay_few_however_often_is_rotated(rig: Rig):
    for _ in range(12):
        rig.write(2)
        rig.run(70)
        rig.rotate(keep=3, zip_from=2)
    rig.write(1)
    rig.run(70)

    rig.check()
    assert rig.follower is not None
    assert len(rig.follower.progress().positions) == 4
    assert len(held_open(rig.folder)) < 10


def test_a_folder_full_of_old_rotations_does_not_hold_them_all_open(rig: Rig):
    rig.patterns = (str(rig.folder / "app.log*"),)
    for number in range(400):
        rig.write(1, to=rig.folder / f"app.log-{20250000 + number}")
    rig.write(1)
    most = 0
    for _ in range(60):
        rig.take(rig.poll())
        most = max(most, len(held_open(rig.folder)))
    rig.start()
    rig.run(3)

    rig.check()
    assert 0 < most <= 200
