"""A line to whoever runs the command. Alone, so that the agent need not load what draws tables."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, on standard output if nothing else is said, whether or not anybody still listens."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        stop(stream)


def stop(stream: TextIO) -> None:
    """Say no more on a stream that cannot be written: Python would try once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
