"""Memory is kept while there is work and given back at rest: in a process of its own, for options of malloc stay."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

MEASURED = """
from pathlib import Path
from collector import memory

def mib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 >> 20

memory.keep()
before = mib()
records = [b"x" * 700_000 for _ in range(80)]
guard = b"y" * 100_000
del records
kept = mib()
memory.give_back()
print(kept - before, mib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such options")
def test_what_was_freed_is_kept_until_it_is_given_back():
    top = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], cwd=top, capture_output=True, text=True, timeout=60, check=True
    )
    kept, given_back = map(int, done.stdout.split())
    assert kept > 45
    assert given_back < 10
