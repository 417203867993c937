"""Random sequences of writing, rotating, truncating, killing and starting again, against a simple oracle.

The model knows the bytes of every generation that ever was. At the end every line of them was given once and whole, or lies
in a gap, or its generation was gone before the agent had seen any of it.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from collector.follow import Follower, Gap, Progress, Watched
from tests.collector.follow.rig import PLAIN


@dataclass(eq=False)
class Generation:
    """What was written since the log began anew.

    Attributes:
        data: Every byte, whether it is still anywhere or not.
        excused: Ranges of bytes that were lost before the agent remembered any of it.
    """

    data: bytearray = field(default_factory=bytearray)
    excused: list[tuple[int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return hashlib.sha256(bytes(self.data).split(b"\n")[0]).hexdigest()

    def lines(self) -> dict[int, bytes]:
        starts = [0, *itertools.accumulate(len(line) + 1 for line in bytes(self.data).split(b"\n"))]
        return {at: line for at, line in zip(starts, bytes(self.data).split(b"\n"), strict=False) if line}


class Log(RuleBasedStateMachine):
    """A log, its writer, logrotate and the agent."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="follow"))
        self.log = self.folder / "app.log"
        self.numbers = itertools.count()
        self.stamps = itertools.count(20260101)
        self.now = 1000.0
        self.saved: str | None = None
        self.unsafe: list[tuple[str, int, bytes]] = []
        self.unsafe_gaps: list[Gap] = []
        self.given: list[tuple[str, int, bytes]] = []
        self.gaps: list[Gap] = []
        self.follower: Follower | None = None
        self.generations = [Generation()]
        self.files: dict[Path, Generation] = {self.log: self.generations[0]}
        self.writer = self.log.open("ab", buffering=0)
        self.written_to = self.generations[0]
        self.half = False
        # Files that were emptied, which the agent has not noticed and remembered: were they to go now, nothing would
        # tell that they ever had been.
        self.emptied: set[Path] = set()
        self.noticed = False

    @initialize(glob=st.sampled_from(["app.log", "app.log*"]))
    def follow(self, glob: str) -> None:
        self.patterns = (str(self.folder / glob),)
        self.start()

    # --- the writer

    def _append(self, data: bytes) -> None:
        self.writer.write(data)
        self.written_to.data += data

    def _end_half(self) -> None:
        if self.half:
            self._append(b"\n")
            self.half = False

    @rule(count=st.integers(1, 40))
    def write(self, count: int) -> None:
        self._end_half()
        lines = [b"%d %x" % (number, number * 2654435761 % 2**32) for number in itertools.islice(self.numbers, count)]
        self._append(b"\n".join(lines) + b"\n")

    @rule()
    def write_half_a_line(self) -> None:
        self._append(b"%d half" % next(self.numbers))
        self.half = True

    @rule()
    def reopen(self) -> None:
        self._end_half()
        self.writer.close()
        if self.log not in self.files:
            self.files[self.log] = Generation()
            self.generations.append(self.files[self.log])
        self.written_to = self.files[self.log]
        self.writer = self.log.open("ab", buffering=0)

    # --- logrotate

    @precondition(lambda self: self.log in self.files)
    @rule(create=st.booleans())
    def rotate(self, create: bool) -> None:
        to = self.folder / f"app.log-{next(self.stamps)}"
        self.log.rename(to)
        self.files[to] = self.files.pop(self.log)
        if self.log in self.emptied:
            self.emptied = (self.emptied - {self.log}) | {to}
        if create:
            self.reopen()

    @precondition(lambda self: self.log in self.files)
    @rule(late=st.integers(0, 2))
    def copytruncate(self, late: int) -> None:
        to = self.folder / f"app.log-{next(self.stamps)}"
        if late:  # in the moment of copying, where nobody sees it; a writer that was idle before does not do that
            self.write(1)
        shutil.copyfile(self.log, to)
        self.files[to] = self.files[self.log]
        for _ in range(late):
            self.write(1)
        self._empty()

    @precondition(lambda self: self.log in self.files)
    @rule()
    def truncate(self) -> None:
        self._empty()

    def _empty(self) -> None:
        # Half a line before it and the other half after it would be two lines that nobody wrote.
        if self.written_to is self.files[self.log]:
            self._end_half()
        gone = self._forget(self.log)
        self.emptied.add(self.log)
        self.noticed = False
        os.truncate(self.log, 0)
        fresh = Generation()
        self.generations.append(fresh)
        if self.written_to is gone:
            self.written_to = fresh
        self.files[self.log] = fresh

    def _there(self, generation: Generation) -> int:
        paths = [path for path, held in self.files.items() if held is generation]
        return max((len(gzip_or_plain(path)) for path in paths), default=0)

    def _forget(self, path: Path) -> Generation:
        """A file goes. What it alone held must be told, if the agent remembers the generation."""
        generation, before = self.files[path], self._there(self.files[path])
        del self.files[path]
        positions = Progress.from_json(json.loads(self.saved)).positions.values() if self.saved else ()
        if not any(one.generation == generation.name for one in positions):
            generation.excused.append((self._there(generation), before))
        return generation

    def _rotated(self) -> list[Path]:
        busy = {self.written_to} if self.half else set()
        kept = self.emptied | {self.log}
        return sorted(path for path in self.files if path not in kept and self.files[path] not in busy)

    @precondition(lambda self: any(path.suffix != ".gz" for path in self._rotated()))
    @rule(data=st.data())
    def zip(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from([path for path in self._rotated() if path.suffix != ".gz"]))
        if self.files[path] is self.written_to:
            self.reopen()
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        os.utime(packed, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        path.unlink()
        self.files[packed] = self.files.pop(path)

    @precondition(lambda self: self._rotated())
    @rule()
    def delete_the_oldest(self) -> None:
        path = self._rotated()[0]
        if self.files[path] is self.written_to:
            self.reopen()
        self._forget(path)
        path.unlink()

    # --- the agent

    def start(self) -> None:
        if self.follower:
            self.follower.close()
        progress = (
            Progress.from_json(json.loads(self.saved)) if self.saved else Progress(patterns=frozenset(self.patterns))
        )
        self.follower = Follower([Watched(self.patterns, PLAIN)], progress)

    @rule(budget=st.sampled_from([50, 500, 1 << 20]), seconds=st.sampled_from([0.3, 1.0, 8.0]))
    def poll(self, budget: int, seconds: float) -> None:
        self.now += seconds
        assert self.follower is not None
        self.noticed = self.noticed or seconds >= 1.0
        for one in self.follower.poll(self.now, budget):
            if isinstance(one, Gap):
                self.unsafe_gaps.append(one)
            else:
                rows = one.piece.lines.select("offset", "raw").iter_rows()
                self.unsafe += [(one.piece.generation, offset, raw) for offset, raw in rows]

    @rule()
    def save(self) -> None:
        assert self.follower is not None
        self.saved = json.dumps(self.follower.progress().to_json())
        if self.noticed:
            self.emptied.clear()
        self.given += self.unsafe
        self.gaps += self.unsafe_gaps
        self.unsafe, self.unsafe_gaps = [], []

    @rule()
    def kill(self) -> None:
        self.unsafe, self.unsafe_gaps, self.noticed = [], [], False
        self.start()

    @precondition(lambda self: not self.half)
    @rule()
    def wait(self) -> None:
        self.now += 70
        self.poll(1 << 20, 1.0)
        self.poll(1 << 20, 70.0)

    # --- the oracle

    @invariant()
    def what_is_given_was_written(self) -> None:
        by_name = {generation.name: generation for generation in self.generations if generation.data}
        for name, offset, raw in self.unsafe:
            data = bytes(by_name[name].data)
            assert data[offset : offset + len(raw)] == raw
            assert offset == 0 or data[offset - 1 : offset] == b"\n"
            assert data[offset + len(raw) : offset + len(raw) + 1] in (b"\n", b"")

    def teardown(self) -> None:
        try:
            self._end_half()
            self.kill()
            for _ in range(12):
                self.poll(1 << 20, 1.0)
            for _ in range(4):
                self.poll(1 << 20, 70.0)
            self.save()
            self._judge()
        finally:
            self.writer.close()
            if self.follower:
                self.follower.close()
            shutil.rmtree(self.folder)

    def _judge(self) -> None:
        given = {(name, offset) for name, offset, _ in self.given}
        double = [
            place for place, count in Counter((name, offset) for name, offset, _ in self.given).items() if count > 1
        ]
        # Where one line alone was read, nobody can tell whose it is: it may come twice.
        assert [place for place in double if place[1] > 0] == []
        for generation in self.generations:
            name = generation.name
            for offset, line in generation.lines().items():
                told = any(gap.generation == name and gap.first_byte <= offset for gap in self.gaps)
                unknown = any(first < offset + len(line) and offset < end for first, end in generation.excused)
                assert (name, offset) in given or told or unknown, f"{line!r} is missing"


def gzip_or_plain(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def run(examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Log,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=checks,
            print_blob=True,
        ),
    )


def test_random_sequences_lose_nothing_unsaid() -> None:
    run(examples=150, steps=40)


@pytest.mark.slow
def test_many_random_sequences_lose_nothing_unsaid() -> None:
    run(examples=1000, steps=60)
