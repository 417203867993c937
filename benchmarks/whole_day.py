"""What a stage one weighs in memory through a whole local day, what the end of the day costs, and what a snapshot costs then.

    python benchmarks/whole_day.py [--quick] [--json] [--events COUNT] [--waiting COUNT]

The busiest day of the fictional office happens many times over, each time to accounts, sessions and event ids of their own, until
it has so many events (`--quick` 200,000, otherwise three million). They go through `detector.stream.one`, model and 50 rules included,
in turns of 20,000; events wait for `lateness_s` 300. An hour before midnight the sessions are closed, and the state is measured and
dumped; then the day ends, in turns as the detector makes them. Memory is resident, of the whole process (Linux); `before` is with program, registers and
model, before the first event.

Apart from that, in the same process: so many events (1.5 million: 300 s of 5,000 a second; `--quick` 100,000) come within 300 s and all
wait, as a state is that is dumped then.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import backlog
from open_sessions import resident_mb
from usage import memory_mb

from contract import event
from detector.partitions import LIVE
from detector.stream.one import Core, State
from detector.stream.plan import Plans
from detector.versions import Library, Loaded, Store
from registers.calendar import day_end
from registers.site import Site

TURN = 20_000
LATENESS_MS = 300_000
HOUR_MS = 3_600_000
ZONE = "Asia/Tokyo"


def busiest(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The events of the local day with most of them, and its last ms (UTC)."""
    local = pl.from_epoch("time.occurred", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    days = events.select(local.dt.date().alias("day"))["day"]
    day = days.value_counts().sort("count", "day")["day"][-1]
    assert isinstance(day, date)
    return events.filter(days == day), int(pl.select(day_end(pl.lit(day), ZONE)).item())


def other(name: str, copy: pl.Expr) -> pl.Expr:
    return pl.format("{}~{}", name, copy)


def with_accounts(site: Site, events: pl.DataFrame, copies: int) -> Site:
    """The office, and who uses the accounts of each time."""
    known = site.tables["accounts"]
    strangers = events.select("actor.id").drop_nulls().unique().filter(
        ~pl.col("actor.id").is_in(known["account"].implode())
    )  # fmt: skip
    every = pl.concat([known, strangers.select(account="actor.id", actor_id="actor.id")], how="diagonal")
    times = pl.DataFrame({"copy": np.arange(copies)})
    own = every.join(times, how="cross").with_columns(other("account", pl.col("copy"))).drop("copy")
    return replace(site, tables={**site.tables, "accounts": pl.concat([known, own])})


def turns(events: pl.DataFrame, copies: int) -> Iterator[pl.DataFrame]:
    """The day as it happens so many times over, in pieces of about `TURN` events in the order of time."""
    size = max(TURN // copies, 1)
    for first in range(0, events.height, size):
        rows = events[first : first + size]
        copy = np.tile(np.arange(copies), rows.height)
        rows = rows[np.repeat(np.arange(rows.height), copies)]
        number = (np.arange(rows.height, dtype=np.uint64) + np.uint64(first * copies)) * np.uint64(0x9E3779B97F4A7C15)
        ids = pl.Series(number.astype(">u8").tobytes().hex(" ", 8).split())
        texts = [name for name, kind in rows.schema.items() if kind == pl.String]
        yield rows.with_columns(
            # Texts of their own, as decoding gives them.
            *(pl.concat_str(name, pl.lit("")).alias(name) for name in texts),
        ).with_columns(
            other("actor.id", pl.lit(pl.Series(copy))), other("session.id", pl.lit(pl.Series(copy))),
            ids.alias("event.id"), pl.col("time.occurred") + pl.lit(pl.Series(copy % 1000)),
        ).sort("time.occurred", "event.id")  # fmt: skip


class Driven:
    """A core of stage one that is given events, and how much CPU that took."""

    def __init__(self, loaded: Loaded) -> None:
        self.core, self.state, self.cpu_s, self.found = Core(Plans(LIVE)), State(), 0.0, 0
        self._schedule, self._none = ((0, loaded),), event.empty()

    def take(self, new: pl.DataFrame, watermark: int) -> list[float]:
        """Turns until time has come so far, the first with these events; returns the CPU seconds of each."""
        spent: list[float] = []
        while not spent or self.state.core.watermark < watermark:
            begin = time.process_time()
            mark = self.core.reaches(self.state, watermark, self._schedule)
            self.state, effects = self.core.advance(self.state, new, self._none, mark, self._schedule)
            self.found += len(effects.findings)
            spent.append(time.process_time() - begin)
            new = self._none
        self.cpu_s += sum(spent)
        return spent

    def dumped(self, name: str) -> dict[str, float]:
        """What a snapshot weighs, and what it costs to write and to read."""
        begin = time.process_time()
        data = self.core.dump(self.state)
        written = time.process_time()
        self.core.load(data)
        read = time.process_time()
        return {f"{name}_mb": len(data) / 2**20, f"{name}_write_s": written - begin, f"{name}_read_s": read - written}


def greatest_mb(reset: bool = False) -> int:
    """The most that was resident since it was reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return memory_mb(os.getpid(), "VmHWM")


def day(loaded: Loaded, events: pl.DataFrame, end: int, copies: int) -> dict[str, float]:
    """A day, and its end."""
    driven, before, count = Driven(loaded), resident_mb(), 0
    greatest_mb(reset=True)
    for new in turns(events, copies):
        if int(new["time.occurred"][0]) > end - HOUR_MS:
            break
        driven.take(new, int(new["time.occurred"][-1]) - LATENESS_MS)
        count += new.height
    driven.take(event.empty(), end - HOUR_MS)
    core, through, spent = driven.state.core, greatest_mb(), driven.cpu_s
    rows = core.rows.height + sum(one.rows for one in core.stowed)
    held = resident_mb()
    told: dict[str, float] = {
        "events": count, "resident_before_mb": before, "resident_at_night_mb": held, "peak_through_the_day_mb": through,
        "open_sessions_at_night": core.tails.height, "events_remembered": rows,
        "packed_bytes_per_event": sum(len(one.data) for one in core.stowed) / max(sum(one.rows for one in core.stowed), 1),
        "resident_bytes_per_event": (held - before) * 2**20 / count,
        "cpu_s_per_million_events": spent / count * 1e6,
    }  # fmt: skip
    told |= driven.dumped("snapshot_at_night")
    resident_mb()
    greatest_mb(reset=True)
    took = driven.take(event.empty(), end + 1)
    return told | {
        "day_end_cpu_s": sum(took), "day_end_cpu_s_per_million_events": sum(took) / count * 1e6, "day_end_turns": len(took),
        "day_end_longest_turn_cpu_s": max(took), "day_end_last_turn_cpu_s": took[-1], "day_end_peak_mb": greatest_mb(),
        "resident_after_mb": resident_mb(), "findings": driven.found,
    }  # fmt: skip


def waiting(loaded: Loaded, events: pl.DataFrame, copies: int, count: int) -> dict[str, float]:
    """So many events that all wait."""
    driven, before, came = Driven(loaded), resident_mb(), 0
    start = int(events["time.occurred"][0])
    for new in turns(events, copies):
        new = new.head(count - came)
        at = start + (came + pl.int_range(new.height)) * LATENESS_MS // count
        driven.take(new.with_columns(at.alias("time.occurred")), start - 1)
        came += new.height
        if came == count:
            break
    held = resident_mb()
    told = {"waiting_events": float(came), "waiting_bytes_per_event": (held - before) * 2**20 / came}
    return told | driven.dumped("snapshot_with_waiting")


def measure(folder: Path, count: int, wait: int) -> dict[str, float]:
    """A day of so many events, and so many events that wait."""
    office = backlog.made(folder / "office", 12, 50)
    events, end = busiest(office.events)
    copies = max(count, wait) // events.height + 1
    library = Library(Store(folder / "versions"), None)
    loaded = library.deploy(office.deployed)
    loaded = replace(loaded, site=with_accounts(loaded.site, events, copies))
    found = {f"{name}": value for name, value in waiting(loaded, events, copies, wait).items()}
    return day(loaded, events, end, count // events.height + 1) | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200,000 events, 100,000 of them waiting")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--events", type=int, default=3_000_000, help="of the day, about")
    parser.add_argument("--waiting", type=int, default=1_500_000, help="how many wait")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = (200_000, 100_000) if args.quick else (args.events, args.waiting)
        figures: dict[str, Any] = measure(Path(folder), *sizes)
    for name, value in figures.items():
        print(f"{name:<34} {value:>14,.2f}" if isinstance(value, float) else f"{name:<34} {value:>14,}")
    if args.json:
        print(json.dumps({"benchmark": "whole_day"} | figures))


if __name__ == "__main__":
    main()
