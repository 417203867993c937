"""Reading and adding rows of the audit database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.cases import Action, Code, Entry
from audit.database import schema
from audit.database.engine import DatabaseError, reason, shown

_ENTRY: Final = tuple(name for name in Entry.__dataclass_fields__)


class Conflict(Exception):
    """Somebody else added something to the same case at the same moment."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exception: what pages nobody until a moment.

    Attributes:
        finding: The finding for which it was decided.
        at, until: UTC milliseconds; one whose `until` lies before `at` withdraws an earlier one of the same scope.
        by, login, approver: Who stands for it, as whom the operating system knew them, and who approved it.
        reason: Why.
        analytic, actor, subject: What is allowed; all that are named have to fit.
    """

    finding: str
    at: int
    by: str
    login: str
    reason: str
    until: int
    approver: str | None = None
    analytic: str | None = None
    actor: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Unsent:
    """A decision of which the detectors have not been told: the row it stands in, and what it says."""

    table: str
    id: int
    decision: Entry | Exemption


class Store:
    """The audit database.

    Args:
        engine: Opened (`audit.database.engine.opened`).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(self, findings: Iterable[str] | None = None) -> dict[str, list[Entry]]:
        """Entries by finding, in order; of all findings unless some are named."""
        table = schema.case_entries
        query = select(table).order_by(table.c.finding, table.c.number)
        if findings is not None:
            query = query.where(table.c.finding.in_(list(findings)))
        found: dict[str, list[Entry]] = {}
        for row in self._rows(query):
            found.setdefault(row["finding"], []).append(_entry(row))
        return found

    def add(self, entry: Entry) -> int:
        """Add an entry; returns its id.

        Raises:
            Conflict: Its case has an entry of this number by now.
        """
        with self._connection() as connection:
            try:
                done = connection.execute(insert(schema.case_entries).values(asdict(entry)))
            except IntegrityError:
                raise Conflict(f"{entry.finding}: somebody else did something at the same moment: look again") from None
            return int(done.inserted_primary_key[0])  # type: ignore[index]

    def exemptions(self) -> list[Exemption]:
        """All exceptions, in the order in which they were decided."""
        return [_exemption(row) for row in self._rows(select(schema.exceptions).order_by(schema.exceptions.c.id))]

    def allow(self, exemption: Exemption) -> int:
        """Add an exception; returns its id."""
        with self._connection() as connection:
            done = connection.execute(insert(schema.exceptions).values(asdict(exemption)))
            return int(done.inserted_primary_key[0])  # type: ignore[index]

    def unsent(self) -> Iterator[Unsent]:
        """Closings and exceptions that were not sent, in the order in which they were decided.

        Closings that wait for a second person come along: only who knows the case can tell (`audit.cases.fold`).
        """
        entries, exceptions, sent = schema.case_entries, schema.exceptions, schema.sent
        closings = (
            select(entries)
            .outerjoin(sent, sent.c.entry == entries.c.id)
            .where(entries.c.action.in_([Action.CLOSE, Action.CONFIRM]), sent.c.id.is_(None))
        )
        allowed = select(exceptions).outerjoin(sent, sent.c.exception == exceptions.c.id).where(sent.c.id.is_(None))
        rows = [Unsent("entry", row["id"], _entry(row)) for row in self._rows(closings)]
        rows += [Unsent("exception", row["id"], _exemption(row)) for row in self._rows(allowed)]
        yield from sorted(rows, key=lambda one: (one.decision.at, one.table, one.id))

    def mark_sent(self, what: Unsent, at: int) -> None:
        """Remember that the detectors were told."""
        with self._connection() as connection:
            connection.execute(insert(schema.sent).values({what.table: what.id, "at": at}))

    def begin_run(self, run: str, kind: str, at: int, what: Mapping[str, Any]) -> None:
        """Remember that a run began: before it does anything, so that one that crashes is seen."""
        self._run(run, kind, at, "begin", what)

    def end_run(self, run: str, kind: str, at: int, what: Mapping[str, Any]) -> None:
        """Remember how a run ended."""
        self._run(run, kind, at, "end", what)

    def runs(self) -> list[dict[str, Any]]:
        """All rows of runs: `run`, `kind`, `at`, `step` (`begin`, `end`) and `what`, in order."""
        table = schema.run_entries
        return [dict(row) for row in self._rows(select(table).order_by(table.c.id))]

    def sign(self, report: str, sha256: str, role: str, by: str, login: str, at: int) -> None:
        """Remember who signed which report."""
        with self._connection() as connection:
            values = {"report": report, "sha256": sha256, "role": role, "by": by, "login": login, "at": at}
            connection.execute(insert(schema.sign_offs).values(values))

    def sign_offs(self, report: str) -> list[dict[str, Any]]:
        """Who signed a report, in order."""
        table = schema.sign_offs
        return [dict(row) for row in self._rows(select(table).where(table.c.report == report).order_by(table.c.id))]

    def judge_sample(
        self, report: str, event: str, verdict: str, text: str | None, by: str, login: str, at: int
    ) -> None:
        """Remember what somebody found when they looked at an access of a sample: `proper`, `improper` or `unknown`."""
        with self._connection() as connection:
            values = {
                "report": report,
                "event": event,
                "verdict": verdict,
                "text": text,
                "by": by,
                "login": login,
                "at": at,
            }
            connection.execute(insert(schema.sample_verdicts).values(values))

    def sample_verdicts(self, report: str) -> list[dict[str, Any]]:
        """What people found in the sample of a report, in order; of several about one event the last counts."""
        table = schema.sample_verdicts
        query = select(table).where(table.c.report == report).order_by(table.c.id)
        return [dict(row) for row in self._rows(query)]

    def _run(self, run: str, kind: str, at: int, step: str, what: Mapping[str, Any]) -> None:
        with self._connection() as connection:
            values = {"run": run, "at": at, "step": step, "kind": kind, "what": dict(what)}
            connection.execute(insert(schema.run_entries).values(values))

    def _rows(self, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
        with self._connection() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise DatabaseError(f"{shown(self._engine)}: {reason(error)}") from None


def _entry(row: Mapping[str, Any]) -> Entry:
    values = {name: row[name] for name in _ENTRY}
    code = values["code"]
    return Entry(**values | {"action": Action(values["action"]), "code": None if code is None else Code(code)})


def _exemption(row: Mapping[str, Any]) -> Exemption:
    return Exemption(**{name: value for name, value in row.items() if name != "id"})
