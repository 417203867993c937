"""`sekimori report`: the report of a period, its signatures, and the events behind its figures."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from audit import runs
from audit.archive.verify import Terms
from audit.database.engine import DatabaseError
from audit.desk import NoSuchCase
from audit.report import explain, files, incident, make, resident, signing, sources
from audit.report.draft import Draft
from audit.report.model import Notice, Report, Tone
from audit.report.sources import Evidence, Period, Sources
from audit.tables import OutputError
from commands import ledger, verify, verify_archive
from commands.case import Office, login, masked
from commands.failure import Failure
from commands.say import say
from commands.show import Progress, terminal
from contract.topics import EVENTS
from registers.dates import moments
from service.printable import printable

DONE, INCOMPLETE = 0, 1
_DAY_MS: Final = 86_400_000
# A digest is written every hour; a few minutes later it must be there.
_DUE_MS: Final = 3_600_000 + 300_000
WIDE: Final = 200  # columns where the output goes to a file


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report that is asked for.

    Attributes:
        office: What it is made in.
        period: What it is about.
        as_of: UTC milliseconds.
        folder: Where its files are.
    """

    office: Office
    period: Period
    as_of: int
    folder: Path


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 done, 1 made but not complete, 2 not made."""
    office = Office(options.config)
    act = _act(options)
    try:
        return act(options, office)
    except (OutputError, files.NotThere) as error:
        raise Failure(str(error)) from error
    except DatabaseError as error:
        raise Failure(f"{options.config}: audit.database: {error}") from error


def _act(options: argparse.Namespace) -> Callable[[argparse.Namespace, Office], int]:
    if options.explain is not None:
        return _explain
    if options.sign is not None:
        return _sign
    if options.judge is not None:
        return _judge
    if options.resident is not None:
        return _resident
    if options.incident is not None:
        return _incident
    return _make


def _wanted(options: argparse.Namespace, office: Office) -> Wanted:
    """What is asked for, or all that is wrong with it."""
    zone = office.zone
    period = _period(options, zone)
    as_of = office.now if options.as_of is None else _moment(options.as_of, office, "--as-of")
    if as_of <= period.begin:
        raise Failure(f"--{'month' if options.month else 'period'}: {period.name} has not begun yet")
    for name in options.pia:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise Failure(f"--pia: {name!r} is no name of an assessment, such as kanagawa-9")
    name = "_".join([period.name, *sorted(options.pia)])
    return Wanted(office, Period(name, period.begin, period.end), as_of, _reports(options, office) / name)


def _reports(options: argparse.Namespace, office: Office) -> Path:
    return options.out or office.folder / office.config.report.folder


def _period(options: argparse.Namespace, zone: ZoneInfo) -> Period:
    if options.month and options.period:
        raise Failure("--period: a month is given already: leave one out")
    if options.month:
        found = re.fullmatch(r"(\d{4})-(\d{2})", options.month)
        if not found or not 1 <= int(found[2]) <= 12 or not 1970 <= int(found[1]) <= 9998:
            raise Failure(f"--month: {options.month!r} is no month: write 2026-03")
        first = date(int(found[1]), int(found[2]), 1)
        return Period(options.month, _ms(first, zone), _ms((first + timedelta(days=31)).replace(day=1), zone))
    if options.period:
        first, last = (_day(text) for text in options.period)
        if last < first:
            raise Failure(f"--period: {last} is before {first}")
        return Period(f"{first}_{last}", _ms(first, zone), _ms(last + timedelta(days=1), zone))
    raise Failure("--month: say which, such as --month 2026-03; or --period FROM TO")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Failure(f"--period: {text!r} is no day: write 2026-03-01") from None


def _ms(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _moment(text: str, office: Office, option: str) -> int:
    read: int | None = moments(pl.Series([text]), office.site.config.time_zone, end_of_day=True).item()
    if read is None:
        raise Failure(f"{option}: {text!r} is no day or moment: write 2026-04-10 or 2026-04-10 17:15")
    return read


def _make(options: argparse.Namespace, office: Office) -> int:
    wanted = _wanted(options, office)
    signers = _signers(wanted)
    if signers and not options.again:
        raise Failure(
            f"{wanted.folder}: is signed by {', '.join(signers)}: --again makes another, which has to be signed anew"
        )
    name, by = f"report {wanted.period.name} {office.now}", login()
    office.store.begin_run(
        name, runs.REPORT, office.now, {"by": by, "first": wanted.period.begin, "last": wanted.period.end - 1}
    )
    try:
        report = _made(options, wanted)
    except BaseException as error:
        office.store.end_run(name, runs.REPORT, _now(), {"failed": True, "result": ledger.why(error)})
        raise
    office.store.end_run(
        name, runs.REPORT, _now(),
        {"result": f"SHA-256 {signing.fingerprint(report)}", "versions": {"code": report.version}},
    )  # fmt: skip
    return _told(report, wanted)


def _signers(wanted: Wanted) -> list[str]:
    """Who signed the report that lies there."""
    rows = wanted.office.store.sign_offs(wanted.period.name)
    try:
        whole = signing.fingerprint(files.read(wanted.folder)) if rows else ""
    except files.NotThere:
        return []
    return list(dict.fromkeys(row["by"] for row in rows if row["sha256"] == whole))


def _made(options: argparse.Namespace, wanted: Wanted) -> Report:
    with Progress() as progress:
        progress.start("report", 1.0)
        report = make.make(gathered(options, wanted), Draft(), options.version, tell=progress.reach)
        report = signing.signed(report, wanted.office.store.sign_offs(wanted.period.name))
        _write(report, wanted.folder, options)
    return report


def _told(report: Report, wanted: Wanted) -> int:
    """Say what was made, and whether something could not be known."""
    for line in report.summary:
        say(printable(line))
    for path in sorted(wanted.folder.glob("report.*")):
        say(str(path))
    open_ends = [
        block.text
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Notice) and block.tone in (Tone.LACKING, Tone.URGENT)
    ]
    if report.draft is not None:
        open_ends.insert(0, report.draft)
    for text in open_ends:
        say(printable(text), sys.stderr)
    return INCOMPLETE if open_ends else DONE


def gathered(options: argparse.Namespace, wanted: Wanted) -> Sources:
    """What the report is written from."""
    office = wanted.office
    return sources.gather(
        office.config.audit.results, office.site, wanted.period, wanted.as_of, options.lang,
        store=office.store,
        limits=office.config.deadlines.limits,
        every_ms=office.config.report.analyse_every_days * _DAY_MS,
        evidence=_evidence(wanted),
        only=options.pia,
    )  # fmt: skip


def _evidence(wanted: Wanted) -> Evidence | None:
    """What the verifier says of the archive; it is asked each time."""
    config = wanted.office.config.report
    if config.archive is None:
        return None
    keys = config.archive_keys
    where = config.archive if "://" in config.archive else str(wanted.office.folder / config.archive)
    until = min(wanted.period.end, wanted.as_of - _DUE_MS)
    terms = Terms(EVENTS.name, until, wanted.period.begin)
    seal_keys = verify.seal_keys([path for path in keys if path.suffix != verify_archive.PUBLIC], for_archive=True)
    verdict = verify_archive.verdict(where, "report.archive_keys", keys, seal_keys, terms)
    named = " ".join(f"--key {path}" for path in keys)
    return Evidence(verdict, f"sekimori verify {where} {named}")


def _resident(options: argparse.Namespace, office: Office) -> int:
    """Who accessed one person's record."""
    if options.begin is None or options.end is None:
        raise Failure("--resident: say from which day to which: --from 2026-03-01 --to 2026-03-31")
    options.period, options.month = (options.begin, options.end), None
    wanted = _wanted(options, office)
    period, token = wanted.period, options.resident
    try:
        report = resident.resident(
            gathered(options, wanted), token, period.begin, period.end, options.audience, version=options.version
        )
    except ValueError as error:
        raise Failure(f"--resident: {error}") from error
    return _written(report, wanted.folder.parent / f"resident_{token}_{period.name}_{options.audience}", options)


def _incident(options: argparse.Namespace, office: Office) -> int:
    """The notification of a leak."""
    if options.known_at is None:
        raise Failure("--known-at: say when the office came to know of it: deadlines count from then")
    as_of = office.now if options.as_of is None else _moment(options.as_of, office, "--as-of")
    folder = _reports(options, office)
    # Findings and events of all times until now are looked at; of the period's own tables nothing is needed.
    wanted = Wanted(office, Period("incident", as_of - _DAY_MS, as_of + 1), as_of, folder)
    wrongful = None if options.wrongful is None else options.wrongful == "yes"
    try:
        report = incident.incident(
            gathered(options, wanted), options.incident, _moment(options.known_at, office, "--known-at"),
            version=options.version, stage="final" if options.final else "preliminary", wrongful=wrongful,
        )  # fmt: skip
    except (NoSuchCase, ValueError) as error:
        raise Failure(f"--incident: {error}") from error
    return _written(report, folder / f"incident_{options.incident}", options)


def _written(report: Report, folder: Path, options: argparse.Namespace) -> int:
    """Write a document that is no report of a month; returns the exit status."""
    _write(report, folder, options)
    for line in report.summary:
        say(printable(line))
    for path in sorted(folder.glob("report.*")):
        say(str(path))
    return DONE if report.draft is None else INCOMPLETE


def _write(report: Report, folder: Path, options: argparse.Namespace) -> None:
    try:
        files.write(report, folder, options.format)
    except files.FaceError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        where = error.filename or folder
        raise Failure(f"{where}: {error.strerror or error}: free space there, or check its permissions") from error


def _explain(options: argparse.Namespace, office: Office) -> int:
    wanted = _wanted(options, office)
    try:
        rows = explain.events(options.explain, gathered(options, wanted))
    except explain.Unexplained as error:
        raise Failure(f"--explain: {error}") from error
    if options.json:
        for row in rows.iter_rows(named=True):
            say(json.dumps({key: value for key, value in row.items() if value is not None}, ensure_ascii=False))
        return DONE
    shown = rows.head(options.most)
    if shown.height:
        terminal(WIDE).print(explain.table(shown, office.zone))
    more = f", {shown.height} shown: --most {rows.height} shows all" if shown.height < rows.height else ""
    say(f"{rows.height:,} events{more}")
    return DONE


def _sign(options: argparse.Namespace, office: Office) -> int:
    wanted = _wanted(options, office)
    by = office.by(options.by)
    report = files.read(wanted.folder)
    before = office.store.sign_offs(wanted.period.name)
    problems = signing.problems(report, options.sign, by, before)
    if problems:
        raise Failure("\n".join(problems))
    whole = signing.fingerprint(report)
    office.store.sign(wanted.period.name, whole, options.sign, by, login(), office.now)
    report = signing.signed(report, office.store.sign_offs(wanted.period.name))
    files.write(report, wanted.folder, files.faces_in(wanted.folder))
    say(f"{wanted.period.name}: signed by {by} ({options.sign}), SHA-256 {whole}")
    return DONE


def _judge(options: argparse.Namespace, office: Office) -> int:
    wanted = _wanted(options, office)
    if options.verdict is None:
        raise Failure("--verdict: say what it was: proper, improper or unknown")
    by = office.by(options.by)
    known = explain.events("explained.sample", gathered(options, wanted))
    if options.judge not in known["event.id"]:
        raise Failure(
            f"--judge: {options.judge!r} is not in the sample of {wanted.period.name}: --explain explained.sample lists it"
        )
    office.store.judge_sample(
        wanted.period.name, options.judge, options.verdict, masked(options.text), by, login(), office.now
    )
    judged = {row["event"] for row in office.store.sample_verdicts(wanted.period.name)}
    say(f"{options.judge}: {options.verdict}; {len(judged)} of {known.height} judged")
    return DONE


def _now() -> int:
    return time.time_ns() // 1_000_000
