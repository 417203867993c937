"""The ledger of runs: what was done, what failed, what crashed, and what was never made."""

from __future__ import annotations

from typing import Any

from audit import runs
from audit.cases import DAY_MS
from audit.runs import ANALYSIS, LONGEST_MS, REPORT, How

DAY = DAY_MS


def begin(run: str, at: int, kind: str = ANALYSIS, **what: Any) -> dict[str, Any]:
    return {"run": run, "kind": kind, "at": at, "step": "begin", "what": what}


def end(run: str, at: int, kind: str = ANALYSIS, **what: Any) -> dict[str, Any]:
    return {"run": run, "kind": kind, "at": at, "step": "end", "what": what}


def test_a_run_is_what_its_beginning_and_its_end_say():
    [one] = runs.fold([begin("a", 5, by="100101", inputs={"x": "00"}), end("a", 9, first=1, last=4, events=7)], 100)
    assert (one.run, one.began, one.ended, one.how) == ("a", 5, 9, How.DONE)
    assert (one.by, one.inputs, one.first, one.last, one.events, one.findings) == ("100101", {"x": "00"}, 1, 4, 7, None)


def test_one_that_failed_one_that_crashed_and_one_that_still_runs_are_told_apart():
    rows = [begin("failed", 1), end("failed", 2, failed=True, result="disk full"), begin("crashed", 3)]
    rows.append(begin("running", LONGEST_MS))
    found = {one.run: one for one in runs.fold(rows, LONGEST_MS + 10)}
    assert {name: one.how for name, one in found.items()} == {
        "failed": How.FAILED, "crashed": How.CRASHED, "running": How.RUNNING,
    }  # fmt: skip
    assert found["failed"].result == "disk full"


def test_what_happened_later_is_not_looked_at():
    rows = [begin("a", 1), end("a", 50), begin("b", 60)]
    [one] = runs.fold(rows, 40)
    assert (one.ended, one.how) == (None, How.RUNNING)


def made(*ends: int, kind: str = ANALYSIS) -> list[runs.Run]:
    rows = [row for at in ends for row in (begin(f"{kind}{at}", at - 1, kind), end(f"{kind}{at}", at, kind))]
    return runs.fold(rows, 10**15)


def test_a_stretch_longer_than_they_may_be_apart_is_missed_from_when_it_was_due():
    found = runs.missed(made(10 * DAY, 25 * DAY), ANALYSIS, 0, 31 * DAY, 31 * DAY, 7 * DAY)
    assert found == [(7 * DAY, 10 * DAY), (17 * DAY, 25 * DAY)]


def test_what_is_not_due_yet_is_not_missed_and_what_is_waits_until_now():
    assert runs.missed(made(10 * DAY), ANALYSIS, 4 * DAY, 31 * DAY, 17 * DAY, 7 * DAY) == []
    assert runs.missed(made(10 * DAY), ANALYSIS, 4 * DAY, 31 * DAY, 20 * DAY, 7 * DAY) == [(17 * DAY, 20 * DAY)]


def test_only_those_that_were_done_count_and_only_of_their_kind():
    rows = [begin("x", 9 * DAY), end("x", 10 * DAY, failed=True)]
    known = [*made(1 * DAY), *runs.fold(rows, 10**15), *made(12 * DAY, kind=REPORT)]
    assert runs.missed(known, ANALYSIS, 0, 14 * DAY, 14 * DAY, 7 * DAY) == [(8 * DAY, 14 * DAY)]


def test_a_run_of_before_counts_and_what_was_missed_before_the_period_does_not():
    known = made(1 * DAY, 20 * DAY, 30 * DAY)
    assert runs.missed(known, ANALYSIS, 22 * DAY, 31 * DAY, 31 * DAY, 10 * DAY) == []
    assert runs.missed(made(1 * DAY), ANALYSIS, 22 * DAY, 31 * DAY, 31 * DAY, 10 * DAY) == [(11 * DAY, 31 * DAY)]
