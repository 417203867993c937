"""The real agent that kills itself (SIGKILL) at a step: `python -m tests.crashing STEP:N collect -c FILE`.

STEP is one of `STEPS`, N how often it must be reached. The agent's code knows nothing of it.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import sekimori
from collector import checkpoint, publish, reading, seal
from collector.follow import follower

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


def die_at(step: str, times: int) -> None:
    """Wrap a step so that the process dies when it is reached for the n-th time."""
    owner, name, before = STEPS[step]
    original: Callable[..., Any] = getattr(owner, name)
    left = [times]

    @functools.wraps(original)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if before and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        found = original(*arguments, **more)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    chosen, _, count = sys.argv[1].partition(":")
    die_at(chosen, int(count))
    sys.exit(sekimori.main(sys.argv[2:]))
