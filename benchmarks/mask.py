"""What looking for My Numbers costs, by what rows look like.

    python benchmarks/mask.py [--json]

CPU nanoseconds per row, best of five runs over 100,000 rows, beside one regular expression in Python that finds
twelve ASCII digits, together or 4-4-4, and checks the check digit: what a hand-written agent would do.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from registers.mask import MASK, is_my_number, mask_my_numbers

ROWS = 100_000
SIMPLE = re.compile(r"(?<!\d)\d{4}[- ]?\d{4}[- ]?\d{4}(?!\d)")


def kinds() -> dict[str, pl.Series]:
    """Rows as logs have them: short codes, messages, requests with escapes, ids of twelve digits."""
    draw = random.Random(1)
    query = quote("生活保護 照会")
    rows = {
        "codes": [f"WE{at % 900:03}" for at in range(ROWS)],
        "messages": [
            f"職員{at % 300}がケース記録{draw.randrange(10**7)}を照会 2026-04-01 08:{at % 60:02}" for at in range(ROWS)
        ],
        "requests": [f"GET /case/{draw.randrange(10**6)}?q={query}&d=2026%2F04%2F01 HTTP/1.1" for at in range(ROWS)],
        "twelve-digit ids": [f"document {draw.randrange(10**12):012} opened" for at in range(ROWS)],
    }
    return {name: pl.Series(lines) for name, lines in rows.items()}


def simple(rows: pl.Series) -> pl.Series:
    """The plain way."""

    def mask(found: re.Match[str]) -> str:
        return MASK if is_my_number(re.sub("[- ]", "", found[0])) else found[0]

    return pl.Series([SIMPLE.sub(mask, row) for row in rows.to_list()])


def cost_ns(work: Callable[[pl.Series], pl.Series], rows: pl.Series) -> float:
    """CPU nanoseconds per row, of the best of five runs."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time_ns()
        work(rows)
        best = min(best, time.process_time_ns() - start)
    return best / rows.len()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    arguments = parser.parse_args()
    result = {}
    for name, rows in kinds().items():
        if not mask_my_numbers(rows).equals(simple(rows)):
            raise SystemExit(f"{name}: the two ways find different numbers")
        ours, plain = cost_ns(mask_my_numbers, rows), cost_ns(simple, rows)
        result[name] = {"ns_per_row": round(ours), "plain_ns_per_row": round(plain)}
        print(f"{name:18} {ours:6.0f} ns a row, plainly {plain:6.0f} ({ours / plain:.2f})")
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
