"""What the report of a large office's month costs, by section and face, beside counting the same the plain way.

    python benchmarks/report.py [--quick] [--json] [--findings TIMES] [--keep FOLDER]

The month is the fictional office's (seed 1, analysed as `sekimori demo` does), 64 times over: 10 million events (`--quick` 7 times:
1.1 million). Actors, cards, devices and registers are those of seven offices, 1,100 of type staff; every time has event ids, sessions
and subjects of its own. That is no real office of that size: the same days repeat, subjects of further times are in no register
(why an access was right is in the events already), and what is found is what seven offices have (`--findings`: so many).

`sekimori report` runs as a process with all faces; then a second process makes the same and times each part. Peak is resident memory, of
the whole process. The plain way is a Python loop over rows, registers looked up in dicts: events by source and day, uses by person and
day, reasons by system and department. It gets the rows of the fullest days until it has 200,000 (`--quick`: 50,000), reading them not counted, and is
scaled up to all events; ours is what the report takes for the same from opening the files on, over the month. Sums over those days must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import large_month

from audit import tables, usage
from audit.database import engine
from audit.database.store import Store
from audit.report import files, make
from audit.report.draft import Draft
from audit.report.sections import explained
from audit.report.sources import Period, gather
from commands.report import DONE, INCOMPLETE
from registers import site as sites
from registers.site import Site

PARTS = "--parts"
NEEDED = ("time.occurred", "event.class", "source.id", "actor.id", "system.id", "explained")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1.1 million events instead of 10")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument(
        "--findings", type=int, default=large_month.PEOPLE, help="how many times over, at most 255 (default 7)"
    )
    parser.add_argument("--keep", type=Path, help="leave month and report there")
    parser.add_argument(PARTS, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.parts:
        print(json.dumps(parts(args.parts)))
        return
    with _folder(args.keep) as folder:
        figures = measure(folder, 7 if args.quick else 64, args.findings, 50_000 if args.quick else 200_000)
    for name, value in figures.items():
        print(f"{name:<34} {value:>12,.2f}" if isinstance(value, float) else f"{name:<34} {value:>12,}")
    if args.json:
        print(json.dumps({"benchmark": "report"} | figures))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def measure(folder: Path, copies: int, findings: int, rows: int) -> dict[str, float | int]:
    """Make the month and the report.

    Args:
        folder: For both.
        copies, findings: How many times over.
        rows: How many the plain way gets, at least.
    """
    large_month.small(folder / "small")
    month = folder / "month"
    events = large_month.made(folder / "small", month, copies, findings)
    said = [
        "report", "-c", str(month / "audit.toml"), "--period", large_month.FIRST, large_month.LAST,
        "--out", str(folder / "report"),
    ]  # fmt: skip
    whole = _run(["-m", "sekimori", *said], (DONE, INCOMPLETE), folder / "said.txt")
    [made] = (folder / "report").iterdir()
    _run([__file__, PARTS, str(month)], (DONE,), folder / "parts.json")
    return {
        "events": events,
        "report_cpu_s": whole[0],
        "report_wall_s": whole[1],
        "report_peak_rss_mb": whole[2],
        **json.loads((folder / "parts.json").read_text()),
        **{f"{face}_mb": round((made / f"report.{face}").stat().st_size / 1e6, 2) for face in files.FACES},
        **compared(month, rows),
    }


def _run(said: list[str], good: tuple[int, ...], out: Path) -> tuple[float, float, int]:
    """CPU s, wall s and peak MB of a process that ends by itself."""
    begin = time.monotonic()
    with out.open("wb") as file:
        process = subprocess.Popen([sys.executable, *said], env=large_month.environment(), stdout=file)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in good:
        raise SystemExit(f"{said} ended with status {process.returncode}; do not use these figures")
    return used.ru_utime + used.ru_stime, time.monotonic() - begin, used.ru_maxrss // 1024


def _period(site: Site) -> Period:
    zone = ZoneInfo(site.config.time_zone)
    begin, end = (datetime.fromisoformat(day).replace(tzinfo=zone) for day in (large_month.FIRST, large_month.LAST))
    return Period("month", int(begin.timestamp() * 1000), int(end.timestamp() * 1000) + usage.DAY_MS)


class _Clock:
    """CPU seconds and peak memory after each step, by its name."""

    def __init__(self) -> None:
        self.figures: dict[str, float | int] = {}
        self._last = time.process_time()

    def __call__(self, name: str) -> None:
        now = time.process_time()
        self.figures[f"{name}_cpu_s"] = round(now - self._last, 3)
        self.figures[f"{name}_peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self._last = now


def parts(month: Path) -> dict[str, float | int]:
    """Make the report in this process and time what it is made of."""
    clock = _Clock()
    site = sites.load(month / "office" / "site")
    clock("registers")
    store = Store(engine.opened(f"sqlite:///{(month / 'audit.db').absolute()}"))
    found = gather(month, site, period := _period(site), period.end, "ja", store=store)
    clock("gather")
    names = iter(make.SECTIONS)
    report = make.make(found, Draft(), "benchmark", tell=lambda share: clock(next(names)))
    for face, render in files.FACES.items():
        render(report)
        clock(face)
    return clock.figures


# --- beside the plain way -------------------------------------------------------------------------------------------


def compared(month: Path, rows: int) -> dict[str, float | int]:
    """The same figures both ways, CPU seconds for the whole month."""
    site = sites.load(month / "office" / "site")
    period = _period(site)
    begin = time.process_time()
    found = gather(month, site, period, period.end, "ja")
    explained.counted(found)
    ours = time.process_time() - begin

    days = _days(month, rows)
    some = pl.read_parquet(days, columns=list(NEEDED), glob=False)
    total = tables.history(month, site).select(pl.len()).collect(engine="streaming").item()
    begin = time.process_time()
    theirs = plain(some.iter_rows(), site)
    looped = (time.process_time() - begin) * total / some.height
    _agree(some, theirs, site)
    return {
        "plain_rows": some.height,
        "core_figures_cpu_s": round(ours, 3),
        "core_figures_plain_cpu_s": round(looped, 3),
        "core_figures_ratio": round(looped / ours, 2),
    }


def _days(month: Path, rows: int) -> list[Path]:
    out: list[Path] = []
    there = 0
    for path in sorted((month / "events").glob("*.parquet"), key=lambda path: (-path.stat().st_size, path.name)):
        if there < rows:
            out.append(path)
            there += pl.scan_parquet(path).select(pl.len()).collect().item()
    return out


def _agree(some: pl.DataFrame, theirs: tuple[Counter[Any], ...], site: Site) -> None:
    """Whether both ways count the same over the same rows."""
    events = some.lazy().filter(pl.col("event.class") != usage.HEARTBEAT)
    for counts, keys in zip(
        theirs, (("source.id",), ("actor.id", "system.id"), ("system.id", "explained")), strict=True
    ):
        wanted = events.filter(pl.col("explained").is_not_null()) if "explained" in keys else events
        ours = {row[:-1]: row[-1] for row in wanted.group_by(keys).len().collect().iter_rows()}
        summed: Counter[Any] = Counter()
        for key, n in counts.items():
            summed[key[: len(keys)]] += n
        if summed != ours:
            raise SystemExit(f"report: {keys} are counted differently; do not use these figures")


def plain(rows: Iterator[tuple[Any, ...]], site: Site) -> tuple[Counter[Any], ...]:
    """Count row by row; returns by source and day, by account, system, person and day, by system, reason and department."""
    zone = ZoneInfo(site.config.time_zone)
    person, dept = _lookups(site)
    sources: Counter[Any] = Counter()
    uses: Counter[Any] = Counter()
    reasons: Counter[Any] = Counter()
    for at, kind, source, actor, system, reason in rows:
        if kind == usage.HEARTBEAT:
            continue
        day = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date()
        sources[source, day] += 1
        who = person(actor, system, at)
        uses[actor, system, who, day] += 1
        if reason is not None:
            reasons[system, reason, dept(who, at)] += 1
    return sources, uses, reasons


def _lookups(site: Site) -> tuple[Callable[[str, str, int], str], Callable[[str, int], str | None]]:
    """Who is behind an account, and whose department it is, at a moment."""
    accounts = _versions(site.tables["accounts"], ("account", "system"), "actor_id")
    staff = _versions(site.tables["staff"], ("actor_id",), "dept")

    def known(table: dict[Any, tuple[list[int], list[Any]]], key: Any, at: int) -> Any:
        since, values = table.get(key, ([], []))
        place = bisect_right(since, at)
        return values[place - 1] if place else None

    return (
        lambda actor, system, at: known(accounts, (actor, system), at) or known(accounts, (actor, None), at) or actor,
        lambda who, at: known(staff, (who,), at),
    )


def _versions(table: pl.DataFrame, keys: tuple[str, ...], value: str) -> dict[Any, tuple[list[int], list[Any]]]:
    out: dict[Any, tuple[list[int], list[Any]]] = {}
    for *key, since, what in table.sort("valid_from", nulls_last=False).select(*keys, "valid_from", value).iter_rows():
        known = out.setdefault(tuple(key), ([], []))
        known[0].append(since or 0)
        known[1].append(what)
    return out


if __name__ == "__main__":
    main()
