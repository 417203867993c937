"""A real process that follows, delivers and checkpoints, killed with SIGKILL wherever it is, while a writer writes and rotates."""

from __future__ import annotations

import itertools
import json
import random
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.collector.follow.rig import Rig

TOP = Path(__file__).resolve().parents[3]
# Delivers every line to a file, and lets the checkpoint follow. The order is the agent's: deliver, then remember.
AGENT = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from collector.checkpoint import StateFolder
from collector.follow import Follower, Gap, Patience, Progress, Watched
from tests.collector.follow.rig import PLAIN
folder, state, sink = Path(sys.argv[2]), StateFolder(Path(sys.argv[3])), open(sys.argv[4], "ab", buffering=0)
held = state.load([])
pattern = str(folder / "app.log")
# The first start: rotations that are there already are of interest too.
progress = Progress.from_json(held["files"]) if held else Progress(patterns=frozenset([pattern]))
follower = Follower([Watched((pattern,), PLAIN)], progress, patience=Patience(lost_s=1.0))
while True:
    found = follower.poll(time.monotonic(), 20_000)
    for one in found:
        if isinstance(one, Gap):
            sink.write(json.dumps(["gap", one.detail]).encode() + b"\\n")
            continue
        rows = one.piece.lines.select("raw", "offset").rows()
        sink.write(b"".join(json.dumps([raw.decode(), one.piece.generation, offset]).encode() + b"\\n" for raw, offset in rows))
    if found:
        os.fsync(sink.fileno())
        state.save({"files": follower.progress().to_json()})
    else:
        if not any(lag.bytes for lag in follower.lag(time.monotonic()).values()):
            print("idle", flush=True)
        time.sleep(0.02)
"""


@dataclass
class Writer(threading.Thread):
    """Writes and rotates without pause until it is told to stop."""

    rig: Rig
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        chance = random.Random(5)
        stamps, rotated = itertools.count(1_795_000_000), list[Path]()
        while not self.stopped.is_set():
            self.rig.write(chance.randrange(1, 60))
            if chance.random() < 0.03:
                rotated.append(self.rig.folder / f"app.log-{next(stamps)}")
                self.rig.log.rename(rotated[-1])
                self.rig.write(1)
                if chance.random() < 0.5:  # all but the newest, as delaycompress does
                    for path in rotated[:-1]:
                        self.rig.zip(path)
                    del rotated[:-1]
            time.sleep(0.005)


def start(rig: Rig, top: Path) -> subprocess.Popen[str]:
    arguments = [str(TOP), str(rig.folder), str(top / "state"), str(top / "sink")]
    return subprocess.Popen([sys.executable, "-c", AGENT, *arguments], stdout=subprocess.PIPE, text=True)


def kill_and_count(rig: Rig, top: Path, kills: int) -> None:
    chance = random.Random(9)
    writer = Writer(rig)
    writer.start()
    for _ in range(kills):
        agent = start(rig, top)
        assert agent.stdout is not None
        if chance.random() < 0.8:  # else it is killed while it starts
            select.select([agent.stdout], [], [], 5)  # it has caught up, or cannot that fast
        time.sleep(chance.random() * 0.3)
        agent.kill()
        agent.wait()
        agent.stdout.close()
    writer.stopped.set()
    writer.join()
    agent = start(rig, top)
    assert agent.stdout is not None
    for _ in range(100):  # idle for two seconds
        agent.stdout.readline()
    agent.kill()
    agent.wait()
    agent.stdout.close()

    rows = [json.loads(line) for line in (top / "sink").read_bytes().split(b"\n")[:-1] if line.endswith(b"]")]
    assert [row for row in rows if row[0] == "gap"] == []
    given = {tuple(row) for row in rows}
    lines = Counter(line for line, _, _ in given)
    written = [line.decode() for line in rig.written]
    assert [line for line in written if line not in lines] == []
    # A line that was delivered and not remembered comes again, but under the same generation and offset.
    assert [line for line, count in lines.items() if count > 1] == []
    assert set(lines) - set(written) == set()


def test_killed_again_and_again_nothing_is_missing_and_nothing_torn(rig: Rig, tmp_path: Path):
    kill_and_count(rig, tmp_path, kills=4)


@pytest.mark.slow
def test_killed_a_hundred_times(rig: Rig, tmp_path: Path):
    kill_and_count(rig, tmp_path, kills=100)
