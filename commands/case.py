"""`sekimori case`: findings as cases, for people at a terminal."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from rich.table import Table
from rich.text import Text

from audit import cases, config, findings, outbox, runs
from audit.cases import Action, Code, Entry
from audit.config import Config
from audit.database import engine
from audit.database.store import Conflict, Exemption, Store
from audit.desk import Desk, NoSuchCase, Row, exempted
from commands.failure import Failure
from commands.process import configured
from commands.say import say
from commands.show import SEVERITIES, terminal
from contract import decision
from registers import site as sites
from registers.dates import moments
from registers.mask import mask_my_numbers
from registers.tokens import SiteKey
from service.printable import printable

REFUSED: Final = 1
_HOUR_MS: Final = 3_600_000
WIDE: Final = 200  # columns where the output goes to a file
_LATE: Final = {"look": "nobody looked", "decide": "not decided", "answer": "no explanation came"}


class Office:
    """What every word of `sekimori case` works with.

    Args:
        path: The `audit.toml`.

    Raises:
        Failure: Something of it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.config: Config = configured(path, config.load)
        self.folder = path.absolute().parent
        key = SiteKey.read(self.config.audit.site_key) if self.config.audit.site_key else None
        try:
            self.site = sites.load(self.config.audit.site, key)
            self.store = Store(engine.opened(self.config.audit.database))
        except sites.SiteError as error:
            raise Failure("\n".join(f"{path}: audit.site: {one}" for one in error.problems)) from error
        except engine.DatabaseError as error:
            raise Failure(f"{path}: audit.database: {error}") from error
        found = findings.read(self.config.audit.results)
        self.zone = ZoneInfo(self.site.config.time_zone)
        self.desk = Desk(self.site, found, self.store, self.config.deadlines.limits)
        self.now = time.time_ns() // 1_000_000

    def row(self, name: str) -> Row:
        """The case that is meant."""
        try:
            return self.desk.row(name, self.now)
        except NoSuchCase as error:
            raise Failure(str(error)) from error

    def day(self, at: int | None) -> str:
        """A moment as the site's clocks show it."""
        return "" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone):%Y-%m-%d %H:%M}"

    def by(self, given: str | None) -> str:
        """Who acts."""
        who = given or os.environ.get("SEKIMORI_USER") or login()
        if (problem := self.desk.unknown(who)) is not None:
            raise Failure(problem)
        return who

    def tell(self) -> None:
        """Send decisions to the detectors, if they are said to listen."""
        if self.config.kafka is None:
            return
        problem = outbox.send(self.config.kafka, self.config.topics.decisions, self.desk.unsent(), self.store, self.now)
        if problem is not None:
            say(f"kept, but the detectors do not know it yet: {problem}; sekimori case send tries again")


def login() -> str:
    """As whom the operating system knows who types."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def list_(options: argparse.Namespace) -> int:
    """`case list`; returns the exit status."""
    office = Office(options.config)
    rows = [one for one in office.desk.rows(office.now) if _is_wanted(one, options)]
    if options.json:
        say(json.dumps([_plain(one) for one in rows], ensure_ascii=False))
        return 0
    if rows:
        terminal(WIDE).print(_table(rows, office, options.lang))
    late = sum(one.late is not None for one in rows)
    say(f"{len(rows)} cases" + (f", {late} late" if late else ""))
    for since in _overdue(office):
        say(f"an analysis was due on {office.day(since)} and was not made: sekimori analyze --audit {options.config}")
    return 0


def _overdue(office: Office) -> list[int]:
    """Since when an analysis is overdue (UTC milliseconds), if the ledger of runs knows of any at all."""
    made = runs.fold(office.store.runs(), office.now)
    if not any(one.kind == runs.ANALYSIS for one in made):
        return []
    every_ms = office.config.report.analyse_every_days * cases.DAY_MS
    late = runs.missed(made, runs.ANALYSIS, made[0].began, office.now, office.now, every_ms)
    return [since for since, until in late if until == office.now]


def _table(rows: Sequence[Row], office: Office, language: str) -> Table:
    """A line a case. A narrow terminal cuts the title, and nothing that one has to type."""
    lines: list[tuple[str, ...]] = [
        (
            one.found["uid"],
            SEVERITIES[one.found["severity"]],
            office.day(one.found["time"]),
            _state(one),
            _late(one, office.now),
            printable(office.desk.person(one.found["actor"])),
            printable(one.found[f"title_{language}"]),
        )
        for one in rows
    ]
    table = Table(box=None, pad_edge=False)
    names = ("case", "severity", "decided", "state", "late", "who")
    for place, name in enumerate(names):
        table.add_column(name, no_wrap=True, min_width=max(len(name), *(len(line[place]) for line in lines)))
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    for line in lines:
        table.add_row(*map(Text, line))
    return table


def _is_wanted(row: Row, options: argparse.Namespace) -> bool:
    if options.late and row.late is None:
        return False
    if options.owner is not None and row.case.owner != options.owner:
        return False
    return options.all or row.case.is_open


def _state(row: Row) -> str:
    case = row.case
    closing = f" {case.closing.code}" if case.closing is not None else ""
    owner = f" ({case.owner})" if case.owner and case.is_open else ""
    return f"{case.state}{closing}{owner}"


def _late(row: Row, now: int) -> str:
    if row.late is None:
        return ""
    what, since = row.late
    days, hours = divmod((now - since) // _HOUR_MS, 24)
    return f"{_LATE[what]}, {days} d" if days else f"{_LATE[what]}, {hours} h"


def _plain(row: Row) -> dict[str, Any]:
    case, found = row.case, row.found
    return {
        "case": found["uid"], "severity": found["severity"], "risk": found["risk"], "queue": found["queue"], "time": found["time"],
        "actors": found["actors"], "rule": found["rule"], "title_ja": found["title_ja"], "title_en": found["title_en"],
        "state": str(case.state), "owner": case.owner, "seen": case.seen, "decided": case.decided,
        "code": None if case.closing is None else str(case.closing.code), "second": case.second,
        "waiting": [{"of": one.whom, "due": one.due} for one in case.waiting],
        "late": None if row.late is None else {"what": row.late[0], "since": row.late[1]},
    }  # fmt: skip


def show(options: argparse.Namespace) -> int:
    """`case show`; returns the exit status."""
    office = Office(options.config)
    row = office.row(options.case)
    finding = office.desk.in_full(row.found["uid"])
    if options.json:
        entries = [_entry(one) for one in row.case.entries]
        say(json.dumps(_plain(row) | {"entries": entries, "finding": finding}, ensure_ascii=False))
        return 0
    ours, found = finding["unmapped"], row.found
    lines = [
        f"{found['uid']}  {SEVERITIES[found['severity']]}, risk {found['risk']:.1f}, {found['queue']}",
        ours["text"][options.lang],
        "",
        f"decided     {office.day(found['time'])}",
        f"events      {found['events']}, {office.day(found['first'])} to {office.day(found['last'])}",
        f"who         {_who(office, found)}",
        f"rule        {found['rule']}" + (f", {len(found['rules']) - 1} more" if len(found["rules"]) > 1 else ""),
        f"explained   {found['explained']}",
        f"promises    {', '.join(found['controls']) or '-'}",
        *(f"share       {_share(one)}" for one in ours["shares"]),
        f"state       {_state(row)}" + (f"; late: {_late(row, office.now)}" if row.late else ""),
        *(
            f"waits for   {one.whom}, until {office.day(one.due)}: {one.text}"
            for one in (row.case.waiting if row.case.is_open else ())
        ),
        "" if row.case.entries else "nobody has done anything about it yet: sekimori case claim",
        *(_told(office, one) for one in row.case.entries),
    ]
    for line in lines:
        say(printable(line))
    return 0


def _who(office: Office, found: Mapping[str, Any]) -> str:
    names = [
        actor if (person := office.desk.person(actor)) == actor else f"{person} as {actor}" for actor in found["actors"]
    ]
    return (", ".join(names) or "-") + (f" at {found['device']}" if found["device"] else "")


def _share(one: Mapping[str, Any]) -> str:
    usual = f", usually {one['usual']}" if one.get("usual") is not None else ""
    return f"{one['family']} {one['share']:.0%}: {one['observed']} {one['unit']}{usual}"


def _told(office: Office, one: Entry) -> str:
    about = [str(one.code) if one.code else "", f"of {one.whom}" if one.whom else "", one.text or ""]
    about += [f"reference {one.reference}" if one.reference else "", f"until {office.day(one.due)}" if one.due else ""]
    typed = f" (typed by {one.login})" if one.login != one.by else ""
    return f"{office.day(one.at)}  {one.by}{typed} {one.action}: {'; '.join(part for part in about if part)}".rstrip(
        ": "
    )


def _entry(one: Entry) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Entry.__dataclass_fields__ if name != "finding"}


def act(options: argparse.Namespace) -> int:
    """`case claim`, `note`, `ask`, `answer`, `close`, `confirm`, `refuse` and `reopen`; returns the exit status."""
    office = Office(options.config)
    row = office.row(options.case)
    case, uid = row.case, row.found["uid"]
    action = Action(options.action)
    asked_of, due = getattr(options, "of", None), getattr(options, "due", None)
    if action == Action.ASK:
        asked_of = asked_of or office.desk.person(row.found["actor"])
        due = _until(due, office) or office.now + office.config.deadlines.explanation_days * cases.DAY_MS
    code = getattr(options, "code", None)
    entry = Entry(
        uid, len(case.entries) + 1, office.now, office.by(options.by), login(), action, masked(getattr(options, "text", None)),
        Code(code) if code else None, masked(getattr(options, "reference", None)), asked_of, due,
    )  # fmt: skip
    concerned = office.desk.concerned(uid)
    problems = cases.problems(case, entry, concerned)
    if problems:
        raise Failure("\n".join(f"{uid}: {one}" for one in problems))
    try:
        office.store.add(entry)
    except Conflict as error:
        raise Failure(str(error)) from error
    except engine.DatabaseError as error:
        raise Failure(str(error)) from error
    after = office.row(uid)
    say(f"{uid}: {_state(after)}")
    if after.case.state == cases.State.PROPOSED:
        why = "misuse" if entry.code == Code.MISUSE else "what concerns oneself"
        say(f"{why} needs a second person: sekimori case confirm {uid} --by ANOTHER")
    if action in (Action.CLOSE, Action.CONFIRM):
        office.tell()
    return 0


def allow(options: argparse.Namespace) -> int:
    """`case allow`; returns the exit status."""
    office = Office(options.config)
    row = office.row(options.case)
    by, found = office.by(options.by), row.found
    until = _until(options.until, office)
    assert until is not None
    one = Exemption(
        found["uid"], office.now, by, login(), masked(options.text) or "", until, options.approver,
        found["rule"] if options.analytic is True else options.analytic, found["actor"] if options.actor is True else options.actor,
        options.subject,
    )  # fmt: skip
    problems = decision.validate(exempted(one))
    if by in office.desk.concerned(found["uid"]):
        problems.append(f"--by: the finding is about {by}: somebody else has to stand for the exception")
    if options.approver and (unknown := office.desk.unknown(options.approver)):
        problems.append(unknown.replace("--by", "--approver"))
    if problems:
        raise Failure("\n".join(f"{found['uid']}: {one}" for one in problems))
    office.store.allow(one)
    say(f"{found['uid']}: allowed until {office.day(until)}: {_scope(one)}")
    office.tell()
    return 0


def exceptions(options: argparse.Namespace) -> int:
    """`case exceptions`; returns the exit status."""
    office = Office(options.config)
    known: dict[tuple[str | None, ...], Exemption] = {}
    for one in office.store.exemptions():
        known[one.analytic, one.actor, one.subject] = one
    inforce = [one for one in known.values() if one.until >= office.now]
    for one in inforce:
        approved = f", approved by {one.approver}" if one.approver else ""
        say(
            printable(f"{_scope(one)}: until {office.day(one.until)}; {one.by}{approved}: {one.reason} ({one.finding})")
        )
    say(f"{len(inforce)} exceptions in force")
    return 0


def send(options: argparse.Namespace) -> int:
    """`case send`; returns the exit status."""
    office = Office(options.config)
    if office.config.kafka is None:
        raise Failure(f"{options.config}: has no [kafka]: say there where the detectors read decisions")
    waiting = office.desk.unsent()
    problem = outbox.send(office.config.kafka, office.config.topics.decisions, waiting, office.store, office.now)
    left = len(office.desk.unsent())
    say(f"{len(waiting) - left} sent, {left} left" + (f": {problem}" if problem else ""))
    return REFUSED if problem else 0


def _scope(one: Exemption) -> str:
    named = [("rule", one.analytic), ("who", one.actor), ("about", one.subject)]
    return ", ".join(f"{what} {value}" for what, value in named if value)


def _until(text: str | None, office: Office) -> int | None:
    """A day (to its end) or a moment, in the site's time unless it says another."""
    if text is None:
        return None
    read: int | None = moments(pl.Series([text]), office.site.config.time_zone, end_of_day=True).item()
    if read is None:
        raise Failure(f"{text!r} is no day or moment: write 2026-12-31, R8.12.31 or 2026-12-31 17:15")
    return read


def masked(text: str | None) -> str | None:
    """What somebody typed, without My Numbers: it is kept for years and printed."""
    if text is None:
        return None
    clean: str = mask_my_numbers(pl.Series([text.strip()])).item()
    if clean != text.strip():
        say("a My Number in the text was masked: write of people by their tokens")
    return clean
