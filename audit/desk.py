"""Where people work on findings: what was found, what was done about each, and who it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from audit import cases
from audit.cases import Case, Deadlines, Entry
from audit.database.store import Exemption, Store, Unsent
from audit.findings import SUPPRESSED, Findings
from contract.decision import VERSION, DecisionKind
from registers.site import Site
from registers.text import did_you_mean

_QUEUES: Final = ("alert", "review")
_SHORTEST: Final = 4  # characters of a uid that name it


class NoSuchCase(ValueError):
    """No finding is meant, or several may be; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Row:
    """A finding with its case.

    Attributes:
        found: Its row in `audit.findings.SCHEMA`.
        case: What people did about it.
        late: What should have happened and since when (UTC ms), if something is late.
    """

    found: Mapping[str, Any]
    case: Case
    late: tuple[str, int] | None


class Desk:
    """Findings, cases and people of one site.

    Args:
        site: Its registers.
        findings: What was found.
        store: What was done about it; None: nothing is known of that.
        limits: How soon something has to be done.
    """

    def __init__(self, site: Site, findings: Findings, store: Store | None, limits: Deadlines) -> None:
        self._site, self._findings, self._limits = site, findings, limits
        self._given = store
        accounts = site.tables["accounts"]
        self._person = dict(accounts.select("account", "actor_id").drop_nulls().iter_rows())
        staff = site.tables["staff"]
        self._staff = frozenset(staff["actor_id"].drop_nulls().to_list())
        mine = staff.select("subject.token", "actor_id").drop_nulls()
        self._of_subject: dict[str, set[str]] = {}
        for token, actor in mine.iter_rows():
            self._of_subject.setdefault(token, set()).add(actor)

    def rows(self, now: int) -> list[Row]:
        """Findings for people, and all others somebody did something about; the worst first.

        Args:
            now: UTC milliseconds.
        """
        entries = self._entries(None, now)
        table = self._findings.table
        for_people = pl.col("queue").is_in(_QUEUES) & (pl.col("status") != SUPPRESSED)
        wanted = table.filter(for_people | pl.col("uid").is_in(list(entries)))
        concerned = self._concerned(list(entries))
        return [
            self._row(found, entries.get(found["uid"], ()), concerned, now) for found in wanted.iter_rows(named=True)
        ]

    def row(self, name: str, now: int) -> Row:
        """The finding of a uid, or of its beginning.

        Raises:
            NoSuchCase: None is meant, or several may be.
        """
        found = self._named(name)
        uid = found["uid"]
        return self._row(found, self._entries([uid], now).get(uid, ()), self._concerned([uid]), now)

    def in_full(self, uid: str) -> Mapping[str, Any]:
        """A finding as it was published."""
        return self._findings.in_full([uid])[0]

    def concerned(self, uid: str) -> frozenset[str]:
        """Whom a finding is about: who acted, under every id, and whose own data it was."""
        return self._concerned([uid])[uid]

    def _concerned(self, uids: Sequence[str]) -> dict[str, frozenset[str]]:
        """The same of several findings, which are read in one go; of one that is not there it is nobody."""
        out = dict.fromkeys(uids, frozenset[str]())
        for finding in self._findings.in_full(uids):
            seen = [one.get("actor", {}) for one in finding["evidences"]]
            actors = {who["user"]["uid"] for who in seen if "user" in who}
            persons = {self._person[one] for one in actors if one in self._person}
            subjects = [self._of_subject.get(one["uid"], set()) for one in finding["resources"]]
            out[finding["finding_info"]["uid"]] = frozenset(actors | persons).union(*subjects)
        return out

    def person(self, actor: str | None) -> str:
        """Whom an account belongs to, as the register of accounts says; else the account itself."""
        return "" if actor is None else self._person.get(actor, actor)

    def unknown(self, person: str) -> str | None:
        """Why somebody cannot act here, in a line; None if they can."""
        if not self._site.has("staff") or person in self._staff:
            return None
        hint = did_you_mean(person, sorted(self._staff)) or ": enter them there"
        return f"--by: {person!r} is in no row of staff.csv{hint}"

    def unsent(self) -> list[tuple[Unsent, dict[str, Any]]]:
        """Decisions of which the detectors were not told: in the order in which they were taken, as `contract.decision` has them.

        A closing that a second person still has to confirm is none.
        """
        out = []
        for one in self._store.unsent():
            said = one.decision
            if isinstance(said, Exemption):
                out.append((one, exempted(said)))
            elif (closing := self._closing(said)) is not None:
                out.append((one, closing))
        return out

    def _closing(self, entry: Entry) -> dict[str, Any] | None:
        """The decision that an entry made, if the case was closed by it."""
        upto = [one for one in self._store.entries([entry.finding])[entry.finding] if one.number <= entry.number]
        case = cases.fold(entry.finding, upto, self.concerned(entry.finding))
        return None if case.is_open else closed(case)

    @property
    def _store(self) -> Store:
        assert self._given is not None, "what was done is asked for, and nobody said where it is kept"
        return self._given

    def _entries(self, uids: Sequence[str] | None, now: int) -> dict[str, list[Entry]]:
        """What was done until now, by finding."""
        if self._given is None:
            return {}
        found = {uid: [one for one in some if one.at <= now] for uid, some in self._given.entries(uids).items()}
        return {uid: some for uid, some in found.items() if some}

    def _row(
        self, found: Mapping[str, Any], entries: Iterable[Entry], concerned: Mapping[str, frozenset[str]], now: int
    ) -> Row:
        case = cases.fold(found["uid"], entries, concerned.get(found["uid"], frozenset()))
        return Row(found, case, cases.overdue(case, found["queue"], found["time"], now, self._limits))

    def _named(self, name: str) -> Mapping[str, Any]:
        uids = self._findings.table["uid"]
        fitting = uids.filter(uids.str.starts_with(name))
        if name in uids:
            fitting = pl.Series([name])
        if len(fitting) == 1 and len(name) >= _SHORTEST:
            return self._findings.table.row(by_predicate=pl.col("uid") == fitting[0], named=True)
        if len(fitting) > 1:
            raise NoSuchCase(f"{name!r} may be any of {_listed(fitting.sort().to_list())}: write more of it")
        raise NoSuchCase(f"{name!r} is no finding of these results: sekimori case list --all shows them")


def closed(case: Case) -> dict[str, Any]:
    """What the detectors are told of a closed case."""
    assert case.closing is not None
    assert case.decided is not None
    said = {
        "version": VERSION, "kind": str(DecisionKind.CASE), "finding": case.finding, "time": case.decided, "outcome": str(case.closing.code),
        "by": case.closing.by, "approver": case.second, "reason": case.closing.text,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value is not None}


def exempted(one: Exemption) -> dict[str, Any]:
    """What the detectors are told of an exception."""
    said = {
        "version": VERSION, "kind": str(DecisionKind.EXCEPTION), "finding": one.finding, "time": one.at, "outcome": "allowed", "by": one.by,
        "approver": one.approver, "reason": one.reason, "analytic": one.analytic, "actor": one.actor, "subject": one.subject,
        "until": one.until,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value is not None}


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
