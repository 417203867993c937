"""The real agent that kills itself (SIGKILL) at a step: `python -m tests.crashing STEP:N collect -c FILE`.

STEP is one of `STEPS`, N how often it must be reached. With `STEP:N:error` it raises there, as a bug would. The agent's
code knows nothing of it.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import sekimori
from collector import checkpoint, reading, seal
from collector.follow import follower
from service import publish

# Step: what is wrapped, and whether to die before or after it.
STEPS: dict[str, tuple[Any, str, bool]] = {
    "read": (follower.Follower, "poll", False),
    "parsed": (reading.Reader, "events", False),
    "sealed": (seal.Sealer, "seal", False),
    "before-journal": (seal.Sealer, "commit", True),
    "journal": (seal.Sealer, "commit", False),
    "sent": (publish.Publisher, "send", False),
    "acknowledged": (seal.Sealer, "acknowledged", True),
    "noted": (seal.Sealer, "acknowledged", False),
    "before-checkpoint": (checkpoint.StateFolder, "save", True),
    "checkpoint": (checkpoint.StateFolder, "save", False),
    "half-checkpoint": (os, "replace", True),
}


def die_at(step: str, times: int, die: Callable[[], None]) -> None:
    """Wrap a step so that the process dies when it is reached for the n-th time."""
    owner, name, before = STEPS[step]
    original: Callable[..., Any] = getattr(owner, name)
    left = [times]

    @functools.wraps(original)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if before and not left[0]:
            die()
        found = original(*arguments, **more)
        if not left[0]:
            die()
        return found

    setattr(owner, name, wrapped)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail() -> None:
    raise RuntimeError("a bug, on purpose")


if __name__ == "__main__":
    chosen, count, *how = sys.argv[1].split(":")
    die_at(chosen, int(count), _fail if how else _kill)
    sys.exit(sekimori.main(sys.argv[2:]))
