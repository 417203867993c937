"""The ledger of runs: each analysis, report and check, from what it wrote when it began and when it ended. Pure.

A run that began and never ended crashed, and one that should have been and was not is missed: both show here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from audit.cases import DAY_MS

ANALYSIS: Final = "analysis"
REPORT: Final = "report"
VERIFICATION: Final = "verification"
TOKEN: Final = "token"  # somebody turned an id into its token

# A run that has not ended after so long crashed, whatever is still said of it.
LONGEST_MS: Final = DAY_MS


class How(StrEnum):
    """How a run went."""

    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        run: Its name, unique.
        kind: `analysis`, `report`, `verification` or `token`.
        began, ended: UTC milliseconds; `ended` is None where it crashed or still runs.
        how: How it went.
        first, last: What it was over, UTC milliseconds; None: not said.
        by: Who started it.
        events, findings: Counts; None: not said.
        inputs: What it read: name → SHA-256.
        versions: Of code, rules, model, registers.
        result: In a sentence: what came of it, or why it failed.
    """

    run: str
    kind: str
    began: int
    ended: int | None
    how: How
    first: int | None
    last: int | None
    by: str
    events: int | None
    findings: int | None
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    result: str


def fold(rows: Iterable[Mapping[str, Any]], now: int) -> list[Run]:
    """Runs from the rows of the ledger, in the order in which they began.

    Args:
        rows: `run`, `kind`, `at`, `step` (`begin`, `end`) and `what`, in order.
        now: UTC milliseconds; what happened later is not looked at.
    """
    begun: dict[str, Mapping[str, Any]] = {}
    ended: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["at"] <= now:
            (begun if row["step"] == "begin" else ended)[row["run"]] = row
    return [_run(row, ended.get(name), now) for name, row in begun.items()]


def missed(runs: Sequence[Run], kind: str, begin: int, end: int, now: int, every_ms: int) -> list[tuple[int, int]]:
    """Stretches that are longer than runs may be apart and in which none of a kind was done.

    Args:
        runs: As `fold` gives them.
        kind: Which are looked at.
        begin, end: The period, UTC milliseconds; a stretch that touches it counts.
        now: UTC milliseconds: nothing is missed that is not due yet.
        every_ms: How far apart they may be at most.

    Returns:
        From when it was due until when it was done at last, or `now`, in order.
    """
    done = sorted(one.ended for one in runs if one.kind == kind and one.how == How.DONE and one.ended is not None)
    marks = [*done, now]
    before = min([begin, *done[:1]])
    out = []
    for at in marks:
        due = before + every_ms
        if at > due and due < end and at > begin:
            out.append((due, at))
        before = max(before, at)
    return out


def _run(begin: Mapping[str, Any], end: Mapping[str, Any] | None, now: int) -> Run:
    said = {**begin["what"], **({} if end is None else end["what"])}
    if end is None:
        how = How.CRASHED if now - begin["at"] > LONGEST_MS else How.RUNNING
    else:
        how = How.FAILED if said.get("failed") else How.DONE
    return Run(
        run=begin["run"],
        kind=begin["kind"],
        began=begin["at"],
        ended=None if end is None else end["at"],
        how=how,
        first=said.get("first"),
        last=said.get("last"),
        by=said.get("by", ""),
        events=said.get("events"),
        findings=said.get("findings"),
        inputs=said.get("inputs", {}),
        versions=said.get("versions", {}),
        result=said.get("result", ""),
    )
