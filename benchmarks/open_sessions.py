"""What a stage one weighs in memory that has a million sessions open, and what a quiet second costs it then.

    python benchmarks/open_sessions.py [--quick] [--json] [--sessions COUNT]

Look-ups of the fictional office are told of as many accounts as there are to be sessions, two events to each (`--quick`
50,000 sessions), and sent through `detector.step` in pieces of 50,000: everybody's first event, then everybody's second,
all within two hours, so that nothing closes. The register of accounts says whose they are: the office's own people.
Resident memory (Linux) is what the whole process holds, program, registers and rules included; per session it is what was
added since before the first piece. The greatest there was on the way is told beside it. Then 20 seconds pass in which
100 events come: CPU ms of `step` each.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import rules
from collector import ingest, sources
from detector import rulebook
from detector.step import Context, State, step
from registers import site as sites
from registers.site import Site
from simulator import office

PIECE = 50_000
WITHIN_MS = 2 * 3_600_000
SECONDS = 20
IN_A_SECOND = 100


def resident_mb() -> float:
    """Memory that the process holds now, what it could give back not counted."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    # The allocator of Polars gives back what it does not need a little later, and not all at once.
    before, pages = -1, 0
    while pages != before:
        before = pages
        time.sleep(1)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def account(number: pl.Expr) -> pl.Expr:
    """Names in an order that is not that of their making."""
    return pl.format("u-{}", (number * 2_654_435_761 % 2**32).cast(pl.String).str.zfill(10))


def with_accounts(site: Site, looks: pl.DataFrame, sessions: int) -> Site:
    """The office, and who uses the accounts."""
    number = pl.int_range(sessions)
    own = pl.select(account(number).alias("account"), number.alias("row")).select(
        "account", pl.lit(looks["actor.id"]).gather(pl.col("row") % looks.height).alias("actor_id")
    )
    accounts = pl.concat([site.tables["accounts"], own], how="diagonal")
    return replace(site, tables={**site.tables, "accounts": accounts})


def piece(looks: pl.DataFrame, first: int, count: int, start_ms: int, spread_ms: int, sessions: int) -> pl.DataFrame:
    """Events number `first` and following, in the order of time, spread evenly."""
    number = pl.int_range(first, first + count)
    who = number % sessions
    rows = looks.select(pl.all().gather(pl.int_range(first, first + count) % sessions % pl.len()))
    return rows.with_columns(
        # Texts of their own, as decoding gives them.
        *(pl.concat_str(name, pl.lit("")).alias(name) for name, kind in looks.schema.items() if kind == pl.String)
    ).with_columns(
        (start_ms + (number - first) * spread_ms // count).alias("time.occurred"),
        account(who).alias("actor.id"),
        pl.format("S-{}", (who * 2_654_435_761 % 2**32).cast(pl.String).str.zfill(10)).alias("session.id"),
        pl.format("{}", (number * 11_400_714_819_323 % 10**16).cast(pl.String).str.zfill(16)).alias("event.id"),
    )


def measure(folder: Path, sessions: int) -> dict[str, float | int]:
    """Open so many sessions, then let some seconds pass."""
    office.simulate(folder, seed=1, days=3, volume=4.0)
    site = sites.load(folder / "site")
    parsed = ingest.ingest([folder / "logs"], list(sources.shipped()), site.key, "Asia/Tokyo", problems=[])
    shows = pl.col("event.action").is_in(["read", "search", "update"]) & pl.col("system.id").is_not_null()
    staff = pl.col("actor.id").is_in(site.tables["staff"]["actor_id"].implode())
    looks = pl.concat([part.events.filter(shows & staff) for part in parsed])
    site = with_accounts(site, looks, sessions)
    context = Context(site, rulebook.load(Path(rules.__file__).parent))
    start = looks["time.occurred"].sort()[looks.height // 6]  # about noon of the first of three days
    state, before, begin = State(), resident_mb(), time.process_time()
    pieces = -(-2 * sessions // PIECE)
    for at in range(pieces):
        first = at * PIECE
        count, spread = min(PIECE, 2 * sessions - first), WITHIN_MS // pieces
        new = piece(looks, first, count, start + at * spread, spread, sessions)
        state, _ = step(state, new, start + (at + 1) * spread - 1, context)
    spent, after = time.process_time() - begin, resident_mb()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = time.process_time()
    for second in range(SECONDS):
        at_ms = start + WITHIN_MS + second * 1000
        new = piece(looks, 2 * sessions + second * IN_A_SECOND, IN_A_SECOND, at_ms, 1000, sessions)
        state, _ = step(state, new, at_ms + 999, context)
    return {
        "open_sessions": state.tails.height,
        "resident_before_mb": before,
        "resident_mb": after,
        "peak_mb": peak,
        "bytes_per_open_session": (after - before) * 2**20 / state.tails.height,
        "cpu_s_per_million_events": spent / (2 * sessions) * 1e6,
        "cpu_ms_per_quiet_second": (time.process_time() - begin) / SECONDS * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50,000 sessions instead of a million")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--sessions", type=int, default=1_000_000, help="how many")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), 50_000 if args.quick else args.sessions)
    for name, value in figures.items():
        print(f"{name:<28} {value:>12,.2f}" if isinstance(value, float) else f"{name:<28} {value:>12,}")
    if args.json:
        print(json.dumps({"benchmark": "open_sessions"} | figures))


if __name__ == "__main__":
    main()
