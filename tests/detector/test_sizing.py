"""The page on sizing holds what its script prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def test_the_table_is_what_the_script_prints():
    page = (ROOT / "docs" / "operations" / "sizing.md").read_text(encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "sizing.py")], capture_output=True, text=True, check=True
    )

    assert done.stdout.count("\n") > 5
    assert f"\n{done.stdout}\n" in page
