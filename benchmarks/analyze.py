"""What an analysis costs, stage by stage, beside the plain way of doing the first stage.

    python benchmarks/analyze.py [--quick] [--json]

A month of the fictional office (seed 1, four times the usual work; `--quick` a week) is simulated, parsed, sent through the core and judged. CPU
seconds per million events for each stage. The alternative is parsing one and the same file, the welfare system's
(CP932, wareki, full-width digits), with a Python loop over `csv.DictReader` that does the same work per line: decode,
find the time, look the codes up, tokenise, mask, identify, authenticate. Both must find the same events.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import hmac
import io
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import rules
from collector import ingest, sources
from detector import core, rulebook
from registers import mask
from registers import site as sites
from simulator import office

STRETCH = 50_000


def plain(paths: list[Path], source: sources.Source, secret: bytes) -> int:
    """Read the welfare logs line by line; returns the number of events."""
    count = 0
    codes = {key: dict(table) for key, table in source.codes.items()}
    for path in paths:
        text = path.read_bytes().decode("cp932")
        for row in csv.DictReader(io.StringIO(text)):
            stamp = " ".join(row[column] or "" for column in source.time)
            event: dict[str, object] = {"time.occurred": _moment(stamp)}
            for key, columns in source.columns.items():
                value = next((row[column] for column in columns if row.get(column)), None)
                if value is not None:
                    event[key] = codes[key].get(value, value) if key in codes else value
            for key in ("subject.token", "household.token"):
                if key in event:
                    event[key] = hmac.new(secret, str(event[key]).encode(), hashlib.sha256).hexdigest()[:16]
            if "message" in event:
                event["message"] = mask.mask_my_numbers(pl.Series([str(event["message"])]))[0]
            raw = ",".join(value or "" for value in row.values()).encode()
            event["event.id"] = hmac.new(secret, raw, hashlib.sha256).hexdigest()[:16]
            event["raw.mac"] = hmac.new(secret, b"mac" + raw, hashlib.sha256).hexdigest()
            count += 1
    return count


def _moment(stamp: str) -> int:
    """A wareki stamp as the welfare system writes it (`R8.3.9 8:31:05`), the plain way."""
    day, _, clock = stamp.partition(" ")
    digits = day.translate(str.maketrans("０１２３４５６７８９", "0123456789")).lstrip("R令和")
    year, month, date = (int(part) for part in digits.replace("年", ".").replace("月", ".").rstrip("日").split("."))
    hour, minute, second = (int(part) for part in clock.split(":"))
    return int(time.mktime((2018 + year, month, date, hour, minute, second, 0, 0, 0))) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a week instead of a month")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), days=7 if args.quick else 30)
    for name, value in figures.items():
        print(f"{name:<34} {value:>12,.2f}" if isinstance(value, float) else f"{name:<34} {value:>12,}")
    if args.json:
        print(json.dumps({"benchmark": "analyze"} | figures))


def measure(folder: Path, days: int) -> dict[str, float | int]:
    """Run every stage once on an office of so many days."""
    clock = time.process_time
    begin = clock()
    office.simulate(folder, seed=1, days=days, volume=4.0)
    simulated = clock() - begin

    site = sites.load(folder / "site")
    known = list(sources.shipped())
    problems: list[str] = []
    begin = clock()
    parsed = list(ingest.ingest([folder / "logs"], known, site.key, "Asia/Tokyo", problems=problems))
    events = pl.concat([part.events for part in parsed]).unique("event.id").sort("time.occurred", "event.id")
    read = clock() - begin

    welfare = next(source for source in known if source.id == "welfare-ops")
    begin = clock()
    ours = sum(part.events.height for part in ingest.ingest([folder / "logs" / "welfare"], known, site.key, "Asia/Tokyo", problems=problems))  # fmt: skip
    vectorised = clock() - begin
    begin = clock()
    theirs = plain(sorted((folder / "logs" / "welfare").iterdir()), welfare, b"secret")
    looped = clock() - begin
    if ours != theirs:
        raise SystemExit(f"analyze: {ours} events against {theirs}; do not use these figures")

    analysis = core.Analysis(site, rulebook.load(Path(rules.__file__).parent))
    rows = []
    begin = clock()
    for start in range(0, events.height, STRETCH):
        part = events.slice(start, STRETCH)
        rows.append(analysis.feed(part, int(part["time.occurred"].max())))  # type: ignore[arg-type]
    fed = clock() - begin
    begin = clock()
    result = analysis.finish(core.in_memory(rows))
    decided = clock() - begin
    million = events.height / 1e6
    return {
        "events": events.height,
        "findings": len(result.findings),
        "simulate_cpu_s_per_million": simulated / million,
        "parse_cpu_s_per_million": read / million,
        "core_cpu_s_per_million": fed / million,
        "decide_cpu_s": decided,
        "welfare_lines": ours,
        "welfare_vectorised_cpu_s_per_million": vectorised / ours * 1e6,
        "welfare_loop_cpu_s_per_million": looped / ours * 1e6,
        "welfare_ratio": looped / vectorised,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
