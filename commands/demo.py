"""`sekimori demo` and `sekimori simulate`: a month in a fictional office."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from audit.database import engine
from audit.database.store import Store
from audit.report import files, make
from audit.report.draft import Draft
from audit.report.sources import Period, gather
from commands import disk, ledger, show, truth
from commands.analyze import MOST_REFUSED, Done, Job, analyze, told
from commands.failure import Failure
from registers import site as sites
from simulator import office

TRUTH: Final = "truth.ndjson"
_SETTINGS: Final = """\
# Made by `sekimori demo`: try `sekimori case list -c FILE`, and `sekimori report -c FILE --month 2026-03`.
[audit]
site = "office/site"
results = "."
"""
PARTS: Final = ("logs", "site", TRUTH, "lookalikes.ndjson")


def simulate(options: argparse.Namespace) -> int:
    """Run `sekimori simulate`."""
    with show.Progress() as progress:
        _simulate(options, options.out, progress)
    show.say(f"logs: {options.out / 'logs'}\nsite: {options.out / 'site'}\ntruth: {options.out / TRUTH}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run `sekimori demo`: simulate, analyse, compare with the truth."""
    started = time.monotonic()
    out: Path = options.out
    office_folder = out / "office"
    disk.check(out, [])
    with show.Progress(quiet=options.json) as progress:
        _simulate(options, office_folder, progress)
        job = Job(paths=[office_folder / "logs"], site=office_folder / "site", out=out, language=options.lang)
        done = analyze(job, progress)
        _report(out, office_folder / "site", done, options, progress)
    found = truth.compare(
        done.result.findings,
        truth.read(office_folder / TRUTH),
        truth.read(office_folder / "lookalikes.ndjson"),
    )
    staff_days = max(1, done.result.staff_days) / 1000
    done.summary |= _measures(found, staff_days) | {"seconds": round(time.monotonic() - started, 1)}
    try:
        (out / "summary.json").write_text(json.dumps(done.summary, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise disk.failure(error, out) from error
    if options.json:
        show.aside(done)
        show.say(json.dumps(done.summary, ensure_ascii=False))
    else:
        show.summary(done, out)
        show.comparison(found, found.false_alerts / staff_days, done.summary["review_items"] / staff_days)
    return done.status(MOST_REFUSED)


def _report(out: Path, site: Path, done: Done, options: argparse.Namespace, progress: show.Progress) -> None:
    """The report over all that was analysed, as it was when that ended; with what is needed to go on from there."""
    declared = sites.load(site)
    period = _days(done.result.first, done.result.last, ZoneInfo(declared.config.time_zone))
    if period is None:
        return
    try:
        (out / "audit.toml").write_text(_SETTINGS, encoding="utf-8")
        store = Store(engine.opened(f"sqlite:///{(out / 'audit.db').absolute()}"))
        if not store.runs():
            with ledger.recorded(store, period.end, lambda: period.end, {"by": "demo"}) as came:
                came |= told(done)
        found = gather(out, declared, period, period.end, options.lang, store=store)
        done.notes += files.write_all(make.make(found, Draft(), options.version, tell=progress.reach), out)
    except OSError as error:
        raise disk.failure(error, out) from error
    except engine.DatabaseError as error:
        raise Failure(f"{error}: remove it, or choose another --out") from error


def _days(first: int | None, last: int | None, zone: ZoneInfo) -> Period | None:
    """The whole days of a stretch of time; None if there is none."""
    if first is None or last is None:
        return None
    begin, end = (datetime.fromtimestamp(ms / 1000, zone).date() for ms in (first, last))
    days = (begin, end + timedelta(days=1))
    since, until = (int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000) for day in days)
    return Period(f"{begin}_{end}", since, until)


def _measures(found: truth.Comparison, staff_days: float) -> dict[str, Any]:
    return {
        "injected": found.injected,
        "found": found.found,
        "found_by_scenario": {str(number): list(pair) for number, pair in found.by_scenario.items()},
        "false_alerts_per_1000_staff_day": round(found.false_alerts / staff_days, 2),
    }


def _simulate(options: argparse.Namespace, out: Path, progress: show.Progress) -> None:
    progress.start("simulate", 1.0)
    try:
        _clear(out)
        office.simulate(
            out,
            seed=options.seed,
            days=options.days,
            staff=options.staff,
            misuse=options.misuse,
            volume=options.volume,
            progress=progress.reach,
        )
    except OSError as error:
        raise disk.failure(error, out) from error


def _clear(out: Path) -> None:
    """Make the folder and remove an earlier simulation; somebody's own logs or site are none."""
    disk.check(out, [])
    out.mkdir(parents=True, exist_ok=True)
    there = [name for name in PARTS if (out / name).exists()]
    if there and not (out / TRUTH).exists():
        raise Failure(f"{out / there[0]}: is there and no simulation wrote it; choose another --out")
    # First, so that a simulation that is stopped can be told from somebody's own files as well.
    (out / TRUTH).write_bytes(b"")
    for name in PARTS:
        old = out / name
        if old.is_dir():
            shutil.rmtree(old)
        elif name != TRUTH:
            old.unlink(missing_ok=True)
