"""The case of a finding: what people did about it, entry by entry, and what it comes to. Pure.

Nothing is ever taken back: a case is all its entries in order, and its state follows from them. A finding without an entry is a
case that nobody has looked at yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from contract.event import MAX_TIME

DAY_MS: Final = 86_400_000
LONGEST_TEXT: Final = 2000


class Action(StrEnum):
    """What somebody did."""

    CLAIM = "claim"
    NOTE = "note"
    ASK = "ask"
    ANSWER = "answer"
    CLOSE = "close"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    REOPEN = "reopen"


class Code(StrEnum):
    """Why a case was closed."""

    MISUSE = "misuse"
    MISTAKE = "mistake"
    PROPER = "proper"
    TEST = "test"
    UNKNOWN = "unknown"


class State(StrEnum):
    """How far a case has come."""

    NEW = "new"
    CLAIMED = "claimed"
    WAITING = "waiting"
    PROPOSED = "proposed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that somebody did.

    Attributes:
        finding: `finding_info.uid`.
        number: Which entry of its case, from 1 on.
        at: UTC milliseconds.
        by: Who, as the register of staff names people.
        login: As whom the operating system knew them.
        action: What.
        text: In their words; a question, an answer, or why a case was closed.
        code: Of a closing.
        reference: What shows that it was proper: a case, reception or ticket number.
        whom: Of whom an explanation was asked.
        due: Until when, UTC milliseconds.
    """

    finding: str
    number: int
    at: int
    by: str
    login: str
    action: Action
    text: str | None = None
    code: Code | None = None
    reference: str | None = None
    whom: str | None = None
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An explanation that was asked for.

    Attributes:
        number: Of the entry that asked.
        at, due: UTC milliseconds.
        by, whom: Who asked, and whom.
        text: What was asked.
        answered: When it was answered, UTC milliseconds; None while it was not.
    """

    number: int
    at: int
    due: int
    by: str
    whom: str
    text: str
    answered: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What all entries of a finding come to.

    Attributes:
        finding: `finding_info.uid`.
        state: How far it has come.
        owner: Who claimed it last.
        seen: When somebody did anything first, UTC milliseconds.
        closing: The entry that closed it, or proposes to.
        decided: When it was closed, UTC milliseconds; None while it is open.
        second: Who confirmed the closing, where a second person was needed.
        requests: Explanations asked for, in order.
        entries: All there are.
    """

    finding: str
    state: State = State.NEW
    owner: str | None = None
    seen: int | None = None
    closing: Entry | None = None
    decided: int | None = None
    second: str | None = None
    requests: tuple[Request, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to decide."""
        return self.state != State.CLOSED

    @property
    def waiting(self) -> tuple[Request, ...]:
        """Explanations that have not come yet."""
        return tuple(one for one in self.requests if one.answered is None)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How soon something has to be done.

    Attributes:
        look_ms: From a finding to the first entry, by queue.
        decide_ms: From a finding to its closing.
    """

    look_ms: dict[str, int] = field(default_factory=lambda: {"alert": DAY_MS, "review": 7 * DAY_MS})
    decide_ms: int = 30 * DAY_MS


def fold(finding: str, entries: Iterable[Entry], concerned: frozenset[str] = frozenset()) -> Case:
    """The case that entries make.

    Args:
        finding: `finding_info.uid`.
        entries: Its entries, in order.
        concerned: Whom the finding is about (`needs_second`).
    """
    case = Case(finding)
    for one in entries:
        case = _after(case, one, concerned)
    return case


def needs_second(entry: Entry, concerned: frozenset[str]) -> bool:
    """Whether a closing counts only once a second person has confirmed it: misuse, and whatever concerns oneself."""
    return entry.code == Code.MISUSE or entry.by in concerned


def problems(case: Case, entry: Entry, concerned: frozenset[str]) -> list[str]:
    """Why somebody cannot do this now, a line each that begins with the option; empty: they can.

    Args:
        case: As it is.
        entry: What is to be added.
        concerned: Whom the finding is about, by every id of theirs.
    """
    return [*_of_state(case, entry), *_of_words(entry), *_of_people(case, entry, concerned)]


def overdue(case: Case, queue: str, found: int, now: int, limits: Deadlines) -> tuple[str, int] | None:
    """What should have happened, and since when it is late (UTC milliseconds); None if nothing is late.

    Args:
        case: As it is.
        queue: Of the finding.
        found: When it was decided, UTC milliseconds.
        now: UTC milliseconds.
        limits: How soon.
    """
    if not case.is_open:
        return None
    late = [("answer", one.due) for one in case.waiting]
    if case.seen is None and queue in limits.look_ms:
        late.append(("look", found + limits.look_ms[queue]))
    late.append(("decide", found + limits.decide_ms))
    past = [one for one in late if one[1] < now]
    return min(past, key=lambda one: one[1], default=None)


def _after(case: Case, entry: Entry, concerned: frozenset[str]) -> Case:
    case = replace(case, entries=(*case.entries, entry), seen=entry.at if case.seen is None else case.seen)
    match entry.action:
        case Action.CLAIM:
            case = replace(case, owner=entry.by)
        case Action.ASK:
            asked = Request(entry.number, entry.at, entry.due or MAX_TIME, entry.by, entry.whom or "", entry.text or "")
            case = replace(case, owner=case.owner or entry.by, requests=(*case.requests, asked))
        case Action.ANSWER:
            case = replace(case, requests=_answered(case.requests, entry))
        case Action.CLOSE:
            done = not needs_second(entry, concerned)
            return replace(
                case,
                state=State.CLOSED if done else State.PROPOSED,
                owner=case.owner or entry.by,
                closing=entry,
                decided=entry.at if done else None,
                second=None,
            )
        case Action.CONFIRM:
            return replace(case, state=State.CLOSED, decided=entry.at, second=entry.by)
        case Action.REFUSE | Action.REOPEN:
            case = replace(case, closing=None, decided=None, second=None)
    if case.closing is not None:  # a note does not open a case again
        return case
    if case.waiting:
        return replace(case, state=State.WAITING)
    return replace(case, state=State.NEW if case.owner is None else State.CLAIMED)


def _answered(requests: Sequence[Request], entry: Entry) -> tuple[Request, ...]:
    """The oldest open request to the person is answered, or the oldest at all."""
    waiting = [one for one in requests if one.answered is None]
    mine = next((one for one in waiting if one.whom == entry.whom), waiting[0] if waiting else None)
    return tuple(replace(one, answered=entry.at) if one is mine else one for one in requests)


def _of_state(case: Case, entry: Entry) -> Iterator[str]:
    closed = case.state == State.CLOSED
    proposed = case.state == State.PROPOSED
    match entry.action:
        case Action.CLAIM | Action.ASK | Action.ANSWER | Action.CLOSE if closed:
            yield f"the case is closed ({_closing(case)}): reopen it first"
        case Action.CLOSE if proposed:
            yield f"a closing waits for a second person ({_closing(case)}): confirm or refuse that one"
        case Action.CONFIRM | Action.REFUSE if not proposed:
            yield "no closing waits for a second person"
        case Action.REOPEN if not closed:
            yield "the case is open"
        case Action.ANSWER if not case.waiting:
            yield "nobody was asked for an explanation that has not come: note it instead"
        case Action.CLAIM if case.owner == entry.by:
            yield f"{entry.by} has it already"
    if case.entries and entry.at < case.entries[-1].at:
        yield "the clock of this machine is before the case's last entry: set it right"


def _closing(case: Case) -> str:
    return f"{case.closing.code} by {case.closing.by}" if case.closing is not None else "-"


def _of_words(entry: Entry) -> Iterator[str]:
    text = (entry.text or "").strip()
    if entry.action != Action.CLAIM and entry.action != Action.CONFIRM and len(text) < 2:
        yield "--text: say it in a sentence; it is what the report and whoever comes after you will read"
    if len(text) > LONGEST_TEXT:
        yield f"--text: has {len(text)} characters, {LONGEST_TEXT} at most"
    if entry.action == Action.CLOSE and entry.code is None:
        yield f"--code: one of {', '.join(Code)} says why"
    if entry.code == Code.PROPER and not (entry.reference or "").strip():
        yield "--reference: proper use needs what shows it: a case, reception or ticket number"
    if entry.action == Action.ASK and not entry.whom:
        yield "--of: says who is asked"
    if entry.action == Action.ASK and entry.due is not None and entry.due < entry.at:
        yield "--due: lies in the past"


def _of_people(case: Case, entry: Entry, concerned: frozenset[str]) -> Iterator[str]:
    if entry.action in (Action.CONFIRM, Action.REFUSE):
        if case.closing is not None and entry.by == case.closing.by:
            yield f"--by: {entry.by} closed it: the second person has to be another"
        if entry.by in concerned:
            yield f"--by: the finding is about {entry.by}: the second person has to be somebody else"
    if entry.action == Action.CLAIM and entry.by in concerned:
        yield f"--by: the finding is about {entry.by}: somebody else has to look into it"
