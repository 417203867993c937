"""Rotation by renaming: nothing is lost, nothing comes twice, whoever is slow and whoever is down."""

from __future__ import annotations

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


@pytest.mark.parametrize("zip_from", [None, 1, 2])
@pytest.mark.parametrize("patterns", [("app.log",), ("app.log*",)])
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
