"""Real file systems that are small, so that a test fills them in no time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system at a folder that is made for it; where that cannot be done, the test is skipped and says why.

    Args:
        place: The folder, which is not there yet.
        size: In the words of tmpfs, such as `400k`.
    """
    place.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the program mount")
    if done.returncode:
        pytest.skip(f"needs to mount a small file system, which only root may: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], capture_output=True, check=False)
