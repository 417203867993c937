"""Files of which nothing was read yet, because an older one is still being read or looked for, when they are emptied."""

from __future__ import annotations

import os

import pytest

from collector.cut import DEFAULT_LIMITS
from collector.follow.disk import see
from collector.follow.position import Position
from collector.follow.stream import NOTHING, Stream
from tests.collector.follow.rig import PLAIN, Rig
from tests.collector.follow.test_emptied import size


def lag(rig: Rig, header: bytes = b"") -> list[bytes]:
    """Let the log wait behind its older copy; returns the lines of which none was read."""
    rig.run()  # what is rotated before the first look is none of the agent's business
    rig.write(50)
    rig.copytruncate("app.log.2")
    rig.log.write_bytes(header)
    waiting = rig.write(10)
    rig.take(rig.poll(budget_bytes=100))
    assert rig.lines == rig.written[: len(rig.lines)]
    assert len(rig.lines) < 50
    return waiting


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("regrown", [0, 1, 9, 10, 11, 200])
def test_a_log_that_waits_is_copied_and_emptied(rig: Rig, regrown: int, zipped: bool):
    waiting = lag(rig)
    rig.copytruncate()
    rig.write(regrown)
    if zipped:
        rig.take(rig.poll())
        rig.zip(rig.folder / "app.log.1")
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert rig.lines == rig.written
    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("copytruncate", size(waiting), None)


def test_a_log_that_waited_and_is_copied_and_emptied_twice_tells_both_times_where(rig: Rig):
    first = lag(rig)
    rig.copytruncate("app.log.1")
    second = rig.write(2)
    rig.run(3)
    rig.start()
    second += rig.write(1)
    rig.copytruncate("app.log.0")
    rig.run(100)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [])
    assert [(gap.reason, gap.first_byte) for gap in rig.gaps] == [
        ("copytruncate", size(first)),
        ("copytruncate", size(second)),
    ]


def test_a_log_that_waited_is_not_read_twice_where_half_a_line_came_after_it(rig: Rig):
    lag(rig)
    rig.copytruncate("app.log.1")
    half = rig.line()
    rig.log.write_bytes(half)
    rig.take(rig.poll())
    rig.zip(rig.folder / "app.log.1")
    rig.copytruncate("app.log.0")
    rig.run(200)

    assert (rig.missing(), rig.double(), rig.torn()) == ([], [], [half])
    assert rig.lines == [*rig.written, half]


@pytest.mark.parametrize("header", [b"", b"time,user,action\n"])
@pytest.mark.parametrize("regrown", [0, 1, 9, 10, 11, 200])
def test_a_log_that_waits_is_emptied_without_a_copy(rig: Rig, regrown: int, header: bytes):
    waiting = lag(rig, header)
    rig.log.write_bytes(header)
    rig.write(regrown)
    rig.run(100)

    assert rig.missing() == waiting
    assert (rig.double(), [line for line in rig.torn() if line + b"\n" != header]) == ([], [])
    [gap] = rig.gaps
    assert (gap.reason, gap.first_byte, gap.last_byte) == ("truncated", 0, len(header) + size(waiting) - 1)


def test_a_log_emptied_again_while_the_lost_one_is_looked_for_is_told_as_well(rig: Rig):
    rig.write(5)
    rig.run()
    os.truncate(rig.log, 0)
    waiting = rig.write(4)
    for _ in range(2):
        assert rig.poll() == []
    os.truncate(rig.log, 0)
    rig.write(6)
    rig.run(30)

    assert rig.missing() == waiting
    assert (rig.double(), rig.torn()) == ([], [])
    end = size(rig.written[:5])
    told = [(gap.reason, gap.first_byte, gap.last_byte) for gap in rig.gaps]
    assert told == [("truncated", end, None), ("truncated", 0, size(waiting) - 1)]


def test_a_log_that_waits_and_had_to_be_closed_is_known_again_by_its_first_line(rig: Rig):
    waiting = lag(rig)
    assert rig.follower is not None
    [group] = rig.follower._groups
    [stream] = [one for one in group.streams.values() if one.live]
    stream.detach()  # as where the disk fails
    os.truncate(rig.log, 0)
    rig.write(20)
    rig.run(100)

    assert rig.missing() == waiting
    assert (rig.double(), rig.torn()) == ([], [])
    assert [(gap.reason, gap.first_byte) for gap in rig.gaps] == [("truncated", 0)]


def test_a_file_that_changed_since_it_was_looked_at_is_not_read_as_what_it_was(rig: Rig):
    rig.write(5)
    seen = see(str(rig.log), str(rig.log), True, str(rig.folder), [])
    assert seen is not None
    position = Position(
        path=seen.path, name=seen.path, family=seen.path, source="plain", dev=seen.dev, ino=seen.ino, version=0,
        disk_bytes=seen.size, mtime_ns=seen.mtime_ns, generation="0" * 64, offset=0, tail=NOTHING, encoding="auto",
        seen_bytes=0,
    )  # fmt: skip
    stream = Stream(1, position, PLAIN, DEFAULT_LIMITS)
    with pytest.raises(FileNotFoundError):
        stream.attach(seen)
    assert stream.handle is None
