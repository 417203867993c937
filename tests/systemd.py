"""Units of systemd that ship, read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def settings(unit: Path) -> dict[str, list[str]]:
    """Settings of a unit, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def imported(modules: str, unit: dict[str, list[str]], folder: Path) -> subprocess.CompletedProcess[str]:
    """Import modules where memory that was written cannot be run, in the environment of a unit; prints `ok`."""
    environment = dict(value.split("=", 1) for value in unit["Environment"])
    # PR_SET_MDWE, from Linux 6.3 on; on an older kernel this only shows that the environment of the unit does no harm.
    code = f"import ctypes; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); import {modules}; print('ok')"
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False,
        cwd=folder, timeout=60,
    )  # fmt: skip
