"""`sekimori demo` and `sekimori simulate`: a month in a fictional office."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any, Final

from commands import disk, show, truth
from commands.analyze import MOST_REFUSED, Job, analyze
from commands.failure import Failure
from simulator import office

TRUTH: Final = "truth.ndjson"
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
