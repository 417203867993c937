"""Files that are emptied, overwritten or made anew in place, and copytruncate: what is lost is told, and nothing else."""

from __future__ import annotations

import json
import os

import pytest

from tests.collector.follow.rig import Rig


def size(lines: list[bytes]) -> int:
    return sum(len(line) + 1 for line in lines)


def test_copytruncate_of_a_quiet_log_loses_nothing(rig: Rig):
    for _ in range(4):
        rig.write(50)
        rig.run(20)
        rig.copytruncate()
        rig.run(3)

    rig.run(100)
    rig.check()
    assert rig.follower is not None
    assert rig.follower.rotations == {"plain": 4}


def test_copytruncate_while_writing_tells_what_may_fall_between(rig: Rig):
    written: list[bytes] = []
    for number in range(4):
        rig.write(50)
        rig.run()
        written += rig.write(50)
        rig.copytruncate(f"app.log.{number}")
        rig.run(2)

    rig.run(100)
    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert {gap.reason for gap in rig.gaps} == {"copytruncate"}
    assert [gap.last_byte for gap in rig.gaps] == [None] * 4
    assert rig.gaps[0].first_byte == size(rig.written[:100])


@pytest.mark.parametrize("polled", [False, True])
def test_what_falls_between_the_copy_and_the_cut_is_within_the_gap(rig: Rig, polled: bool):
    rig.write(50)
    rig.run()
    rig.write(50)
    copy = rig.folder / "app.log.1"
    copy.write_bytes(rig.log.read_bytes())
    copied = size(rig.written)
    between = rig.write(5)
    if polled:
        rig.run()
    os.truncate(rig.log, 0)
    rig.write(50)
    rig.run(100)

    [gap] = rig.gaps
    assert rig.missing() == ([] if polled else between)
    assert (rig.double(), rig.torn()) == ([], [])
    assert (gap.reason, gap.last_byte) == ("copytruncate", None)
    assert gap.first_byte == (copied + size(between) if polled else copied)


def test_copytruncate_while_lagging(rig: Rig):
    rig.write(500)
    rig.take(rig.poll(budget_bytes=1000))
    rig.copytruncate()
    rig.write(50)
    rig.run(100, budget_bytes=1000)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert rig.lines == rig.written
    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("copytruncate", size(rig.written[:500]), None)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("regrown", [0, 1, 500])
def test_copytruncate_while_down(rig: Rig, regrown: int, zipped: bool):
    rig.write(50)
    rig.run()
    rig.stop()
    rig.write(50)
    rig.copytruncate()
    if zipped:
        rig.zip(rig.folder / "app.log.1")
    rig.write(regrown)
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("copytruncate", size(rig.written[:100]), None)


def test_copytruncate_twice_while_down(rig: Rig):
    rig.write(50)
    rig.run()
    rig.stop()
    for name in ("app.log.2", "app.log.1"):
        rig.write(50)
        rig.copytruncate(name)
    rig.write(5)
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    # The second copy is of a generation that was never seen otherwise; what came after it is as uncertain.
    ends = [size(rig.written[:100]), size(rig.written[100:150])]
    assert [(gap.reason, gap.first_byte) for gap in rig.gaps] == [("copytruncate", end) for end in ends]


def test_a_copy_that_takes_its_time(rig: Rig):
    rig.write(100)
    rig.run()
    data = rig.log.read_bytes()
    copy = rig.folder / "app.log.1"
    for share in (0, 10, 100, len(data) // 2, len(data)):
        copy.write_bytes(data[:share])
        rig.run(2)
    os.truncate(rig.log, 0)
    rig.run(20)
    rig.write(5)
    rig.run(100)

    rig.check()


def test_an_agent_killed_between_the_cut_and_the_end_of_the_copy(rig: Rig):
    rig.write(500)
    rig.take(rig.poll(budget_bytes=1000))
    rig.copytruncate()
    rig.write(50)
    for _ in range(12):
        rig.take(rig.poll(budget_bytes=2000))
        rig.start()
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert [gap.reason for gap in rig.gaps] == ["copytruncate"]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("regrown", [0, 1, 40, 50, 60, 500])
def test_truncated_without_a_copy(rig: Rig, regrown: int, down: bool):
    rig.write(50)
    rig.run()
    if down:
        rig.stop()
    lost = rig.write(3)
    os.truncate(rig.log, 0)
    rig.write(regrown)
    rig.run(20)

    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("truncated", size(rig.written[:50]), None)
    assert rig.missing() == lost
    assert (rig.double(), rig.torn()) == ([], [])


def test_truncated_with_bytes_seen_but_not_read_tells_which(rig: Rig):
    rig.write(500)
    rig.take(rig.poll(budget_bytes=1000))
    os.truncate(rig.log, 0)
    rig.write(5)
    rig.run(20)

    [gap] = rig.gaps
    given = rig.written.index(rig.missing()[0])
    first, end = size(rig.written[:given]), size(rig.written[:500])
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("truncated", first, end - 1)
    assert f"at least {end - first} bytes" in gap.detail
    assert rig.missing() == rig.written[given:500]
    assert (rig.double(), rig.torn()) == ([], [])


def test_half_a_line_that_is_cut_away_is_a_gap(rig: Rig):
    rig.write(5)
    with rig.log.open("ab") as file:
        file.write(b"half a li")
    rig.run(20)
    os.truncate(rig.log, 0)
    rig.write(5)
    rig.run(20)

    [gap] = rig.gaps
    end = size(rig.written[:5])
    assert (gap.first_byte, gap.last_byte) == (end, end + 8)
    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])


@pytest.mark.parametrize("written", [0, 5])
def test_emptied_without_a_copy_is_told_however_quiet_it_was(rig: Rig, written: int):
    rig.write(50)
    rig.run(20)
    rig.write(written)
    os.truncate(rig.log, 0)
    rig.run(20)
    rig.write(5)
    rig.run(20)

    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("truncated", size(rig.written[:50]), None)
    assert rig.missing() == rig.written[50 : 50 + written]


def test_a_copied_log_that_was_not_looked_at_for_a_while_may_have_been_written_to(rig: Rig):
    rig.write(50)
    rig.run(20)
    rig.now += 60
    rig.copytruncate()
    rig.run(100)

    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("copytruncate", size(rig.written[:50]), None)


@pytest.mark.parametrize("down", [False, True])
def test_rewritten_with_the_same_first_kilobyte(rig: Rig, down: bool):
    first = rig.write(100)
    rig.run(20)
    if down:
        rig.stop()
    again = b"".join(line + b"\n" for line in first[:40])
    rig.log.write_bytes(again)
    rig.write(100)
    rig.run(20)

    # What is the same gets the same event ids: generation and offset agree.
    assert (rig.missing(), rig.torn()) == ([], [])
    assert rig.double() == first[:40]
    places = {(generation, offset, raw) for _, generation, offset, raw in rig.given}
    assert len(places) == len(rig.written)
    assert [gap.reason for gap in rig.gaps] == ["truncated"]


@pytest.mark.parametrize("down", [False, True])
def test_deleted_and_made_anew_with_the_same_inode(rig: Rig, down: bool):
    rig.write(50)
    rig.run(20)
    before = rig.log.stat().st_ino
    if down:
        rig.stop()
    rig.log.unlink()
    for number in range(100):  # file systems give a free inode again soon
        rig.log.touch()
        if rig.log.stat().st_ino == before:
            break
        rig.log.rename(rig.folder / f"other{number}")
    rig.write(100)
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert len(rig.gaps) == down
    assert {gap.first_byte for gap in rig.gaps} <= {size(rig.written[:50])}


def test_stale_checkpoint_after_long_downtime(rig: Rig):
    rig.write(50)
    rig.run()
    stale = rig.saved
    for _ in range(6):
        rig.write(50)
        rig.run()
        rig.rotate(keep=2, zip_from=2)
        rig.write(1)
    rig.stop()
    rig.saved = stale
    del rig.given[50:]
    kept = b"".join(path.read_bytes() for path in rig.folder.glob("app.log*") if path.suffix != ".gz")
    rig.run(100)

    [gap] = rig.gaps
    assert gap.first_byte == size(rig.written[:50])
    assert (rig.double(), rig.torn()) == ([], [])
    assert not [line for line in rig.missing() if line in kept]


def test_forgotten_progress_reads_everything_again_rotated_files_too(rig: Rig):

    for _ in range(3):
        rig.write(5)
        rig.rotate(zip_from=2)
    rig.write(5)
    rig.saved = json.dumps({"patterns": list(rig.patterns), "positions": {}})
    rig.run(70)

    rig.check()


@pytest.mark.parametrize("text", [b"", b"x", b"x\n", b"\n", b"a\nb\n"])
def test_files_shorter_than_any_fingerprint(rig: Rig, text: bytes):
    for _ in range(3):
        with rig.log.open("ab") as file:
            file.write(text)
        rig.run()
        rig.start()
        rig.run(3)
    rig.run(20)
    whole = (text * 3).split(b"\n")[:-1]
    assert (rig.lines, rig.gaps) == (whole, [])

    rig.rotate()
    with rig.log.open("ab") as file:
        file.write(text)
    rig.run(100)
    assert rig.gaps == []


def test_generations_that_begin_with_the_same_header(rig: Rig):
    header = b"time,user,action\n"
    for number in range(4):
        rig.log.write_bytes(header)
        rig.run(2)
        rig.start()
        rig.write(3)
        if number % 2:
            rig.run(2)
        rig.rotate(zip_from=2)
    rig.run(100)

    # Where the header alone was read, the rest might be anybody's: it is read from its start.
    headers = [line for line in rig.lines if line + b"\n" == header]
    assert len(headers) <= 8
    rig.given = [one for one in rig.given if one[3] + b"\n" != header]
    rig.check()
