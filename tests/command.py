"""Run the real command as an operator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEADER = "time.occurred,event.class,event.action,actor.id,system.id,subject.token,op.code"

# A good log of 20 events.
GOOD = f"{HEADER}\n" + "".join(
    f"2026-04-01 10:{minute:02d}:00,access,read,100{minute % 3},welfare,00{minute:04d},WE110\n" for minute in range(20)
)


@dataclass(frozen=True)
class Ran:
    """What a run left behind.

    Attributes:
        status: Its exit status.
        out, err: What it printed.
        folder: Its --out.
    """

    status: int
    out: str
    err: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The object that --json prints; nothing else may stand there."""
        return dict(json.loads(self.out))

    def says(self, *parts: str) -> str:
        """The one line that holds all of these parts."""
        lines = [line for line in (self.out + self.err).splitlines() if all(part in line for part in parts)]
        assert len(lines) == 1, (parts, lines, self.out, self.err)
        return lines[0]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The objects of an NDJSON file it wrote."""
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]


# What the fixtures `run` and `sekimori` give: they take the command's arguments one by one.
Run = Callable[..., Ran]
Command = Callable[..., subprocess.CompletedProcess[str]]


def table(heading: str, values: Mapping[str, Any]) -> str:
    """A table of a configuration, such as `[kafka]`, in TOML."""
    return f"{heading}\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def environment(home: Path) -> dict[str, str]:
    """So that tests neither read nor write this user's own key."""
    return {**os.environ, "XDG_DATA_HOME": str(home), "PYTHONPATH": str(ROOT), "RUST_BACKTRACE": "1"}


def sekimori(home: Path, *arguments: object, out: Path | None = None, **more: Any) -> Ran:
    """Run `sekimori`; whatever it is given, it must end with a status of its own and without a traceback.

    Args:
        home: Where the key of this machine lies.
        arguments: Of the command.
        out: Its --out, if it takes one.
        more: Of `subprocess.run`.
    """
    line = [sys.executable, "-m", "sekimori", *map(str, arguments)]
    if out is not None:
        line += ["--out", str(out)]
    env: Mapping[str, str] = environment(home) | more.pop("env", {})
    done = subprocess.run(line, capture_output=True, cwd=home, env=env, timeout=300, check=False, **more)
    text, err = done.stdout.decode(), done.stderr.decode()
    for trace in ("Traceback", "panicked", "stack backtrace"):
        assert trace not in text + err, err
    assert done.returncode in (0, 1, 2), (done.returncode, err)
    return Ran(done.returncode, text, err, out or home)
