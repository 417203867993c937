"""Following: whose lines they are, how far it is read and how much is left; neither clocks nor a large file disturb it."""

from __future__ import annotations

import os

import pytest

from collector.follow import Progress
from collector.sources import shipped
from tests.collector.follow.rig import PLAIN, Rig


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
    assert "is of no known source" in rig.problems[0]
    assert rig.follower is not None
    rig.run(60)
    [lag] = rig.follower.lag(rig.now).values()
    assert lag.bytes == 10
    assert lag.seconds > 60

    rig.source = PLAIN
    rig.start()
    rig.run(3)

    assert rig.lines == [b"who knows"]


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
