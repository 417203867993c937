"""What scoring costs: scikit-learn's isolation forest beside the same forest as flat arrays.

    python benchmarks/forest.py [--quick] [--json]

100 trees on 10,000 rows × 40 log counts (seeded). CPU seconds for a call with 1, 100 and 10,000 rows: the median of
several runs, each of enough calls to last a while; the ratio says how many times cheaper the flat arrays are. Before
timing, scores are compared bit by bit: `identical` must be true.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from detector import forest

FEATURES, ROWS = 40, (1, 100, 10_000)


def cpu_seconds(call: Callable[[], object], least: float, runs: int) -> float:
    """Median CPU seconds of one call, over `runs` runs of at least `least` seconds each."""
    call()
    begin = time.process_time()
    call()
    calls = max(1, int(least / max(time.process_time() - begin, 1e-6)))
    seconds = []
    for _ in range(runs):
        begin = time.process_time()
        for _ in range(calls):
            call()
        seconds.append((time.process_time() - begin) / calls)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    args = parser.parse_args()
    least, runs = (0.02, 3) if args.quick else (0.3, 5)

    rng = np.random.default_rng(0)
    table = np.log1p(rng.poisson(rng.gamma(0.5, 4, (max(ROWS), FEATURES)))).astype(np.float32)
    fitted = forest.fit(table, seed=0)
    flat = forest.compile(fitted)
    identical = flat.score(table).tobytes() == fitted.score_samples(table).tobytes()

    print(f"{len(flat.roots)} trees, {len(flat.left):,} nodes, {FEATURES} features; identical scores: {identical}")
    print(f"{'rows':>7}  {'scikit-learn s':>14}  {'flat s':>10}  {'µs a row':>8}  {'ratio':>6}")
    results = []
    for rows in ROWS:
        part = table[:rows]
        slow = cpu_seconds(lambda part=part: fitted.score_samples(part), least, runs)
        fast = cpu_seconds(lambda part=part: flat.score(part), least, runs)
        results.append({"rows": rows, "sklearn_cpu_s": slow, "flat_cpu_s": fast, "ratio": slow / fast})
        print(f"{rows:>7,}  {slow:>14.6f}  {fast:>10.6f}  {fast / rows * 1e6:>8.2f}  {slow / fast:>6.1f}")
    if args.json:
        print(json.dumps({"benchmark": "forest", "features": FEATURES, "identical": identical, "results": results}))
    if not identical:
        raise SystemExit("forest: the flat scores differ from scikit-learn's; do not use these figures")


if __name__ == "__main__":
    main()
