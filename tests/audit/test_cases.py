"""A case is all its entries in order; what may be added follows from them, and from whom the finding is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import cases
from audit.cases import DAY_MS, Action, Case, Code, Deadlines, Entry, State

ABOUT = frozenset({"100231", "ds-00231"})


def entry(number: int, action: Action, by: str = "100007", **more: Any) -> Entry:
    given: dict[str, Any] = {"text": "調べた"} if action not in (Action.CLAIM, Action.CONFIRM) else {}
    if action == Action.ASK:
        given |= {"whom": "100231", "due": 1_000 + 10 * DAY_MS}
    if action == Action.CLOSE:
        given |= {"code": Code.MISTAKE}
    return Entry("f-1", number, 1_000 + number, by, by, action, **given | more)


def case(*entries: Entry) -> Case:
    return cases.fold("f-1", entries, ABOUT)


def of(*actions: Action | Entry) -> Case:
    return case(*(one if isinstance(one, Entry) else entry(n, one) for n, one in enumerate(actions, 1)))


def refused(before: Case, action: Action, **more: Any) -> list[str]:
    return cases.problems(before, entry(len(before.entries) + 1, action, **more), ABOUT)


def test_nobody_has_looked_at_a_case_without_entries():
    assert of().state == State.NEW
    assert of().seen is None
    assert of().is_open


def test_who_claims_a_case_has_it_until_somebody_else_does():
    taken = of(Action.CLAIM)
    assert (taken.state, taken.owner, taken.seen) == (State.CLAIMED, "100007", 1_001)
    assert refused(taken, Action.CLAIM) == ["100007 has it already"]
    assert of(Action.CLAIM, entry(2, Action.CLAIM, by="100008")).owner == "100008"


def test_a_case_waits_until_every_explanation_has_come():
    asked = of(Action.ASK, entry(2, Action.ASK, whom="100300"))
    assert (asked.state, [one.whom for one in asked.waiting]) == (State.WAITING, ["100231", "100300"])
    later = of(*asked.entries, entry(3, Action.ANSWER, whom="100300"))
    assert (later.state, [one.whom for one in later.waiting]) == (State.WAITING, ["100231"])
    assert of(*later.entries, entry(4, Action.ANSWER)).state == State.CLAIMED


def test_a_mistake_is_closed_by_one_person_and_misuse_by_two():
    done = of(Action.CLOSE)
    assert (done.state, done.decided, done.second) == (State.CLOSED, 1_001, None)
    proposed = of(entry(1, Action.CLOSE, code=Code.MISUSE))
    assert (proposed.state, proposed.decided) == (State.PROPOSED, None)
    confirmed = of(*proposed.entries, entry(2, Action.CONFIRM, by="100003"))
    assert (confirmed.state, confirmed.decided, confirmed.second) == (State.CLOSED, 1_002, "100003")


def test_what_concerns_oneself_needs_a_second_person_whatever_the_code():
    own = of(entry(1, Action.CLOSE, by="100231"))
    assert own.state == State.PROPOSED
    assert of(*own.entries, entry(2, Action.CONFIRM, by="100003")).state == State.CLOSED


def test_the_second_person_is_another_one_who_is_not_concerned():
    proposed = of(entry(1, Action.CLOSE, code=Code.MISUSE))
    assert refused(proposed, Action.CONFIRM) == ["--by: 100007 closed it: the second person has to be another"]
    [line] = refused(proposed, Action.CONFIRM, by="ds-00231")
    assert "the finding is about ds-00231" in line
    assert refused(proposed, Action.CONFIRM, by="100003") == []
    assert refused(of(), Action.CONFIRM, by="100003") == ["no closing waits for a second person"]


def test_who_a_finding_is_about_does_not_look_into_it():
    [line] = refused(of(), Action.CLAIM, by="100231")
    assert "the finding is about 100231" in line


def test_a_closing_that_was_refused_is_none_and_the_case_goes_on():
    refusal = of(entry(1, Action.CLOSE, code=Code.MISUSE), entry(2, Action.REFUSE, by="100003"))
    assert (refusal.state, refusal.closing) == (State.CLAIMED, None)


def test_a_closed_case_takes_notes_and_stays_closed_until_it_is_reopened():
    noted = of(Action.CLOSE, Action.NOTE)
    assert (noted.state, noted.decided) == (State.CLOSED, 1_001)
    for action in (Action.CLAIM, Action.ASK, Action.ANSWER, Action.CLOSE):
        assert any("reopen it first" in line for line in refused(noted, action))
    again = of(*noted.entries, entry(3, Action.REOPEN))
    assert (again.state, again.decided, again.closing) == (State.CLAIMED, None, None)
    assert refused(again, Action.REOPEN) == ["the case is open"]


@pytest.mark.parametrize(
    ("action", "more", "said"),
    [
        (Action.NOTE, {"text": " "}, "--text"),
        (Action.NOTE, {"text": "x" * 2001}, "2000 at most"),
        (Action.CLOSE, {"code": None}, "--code"),
        (Action.CLOSE, {"code": Code.PROPER}, "--reference"),
        (Action.ASK, {"whom": None}, "--of"),
        (Action.ASK, {"due": 1}, "--due"),
    ],
)
def test_what_lacks_words_is_refused(action: Action, more: dict[str, Any], said: str):
    [line] = refused(of(), action, **more)
    assert said in line


def test_all_that_is_wrong_is_said_at_once():
    assert len(refused(of(Action.CLOSE), Action.CLOSE, code=Code.PROPER, text="")) == 3


def test_a_clock_that_went_back_is_told():
    before = of(Action.NOTE)
    late = replace(entry(2, Action.NOTE), at=5)
    assert any("clock" in line for line in cases.problems(before, late, ABOUT))


@pytest.mark.parametrize(
    ("entries", "now", "late"),
    [
        ((), 1 + DAY_MS, None),
        ((), 2 + DAY_MS, ("look", 1 + DAY_MS)),
        ((Action.CLAIM,), 2 + DAY_MS, None),
        ((Action.CLAIM,), 2 + 30 * DAY_MS, ("decide", 1 + 30 * DAY_MS)),
        ((Action.ASK,), 1_001 + 10 * DAY_MS, ("answer", 1_000 + 10 * DAY_MS)),
        ((Action.ASK, Action.ANSWER), 1_001 + 10 * DAY_MS, None),
        ((Action.CLOSE,), 400 * DAY_MS, None),
    ],
)
def test_what_should_have_happened_is_late_from_its_moment_on(
    entries: tuple[Action, ...], now: int, late: tuple[str, int] | None
):
    assert cases.overdue(of(*entries), "alert", 1, now, Deadlines()) == late


def test_what_waits_for_review_may_wait_longer_than_an_alert_and_a_digest_for_ever():
    assert cases.overdue(of(), "review", 0, 7 * DAY_MS + 1, Deadlines()) == ("look", 7 * DAY_MS)
    assert cases.overdue(of(), "digest", 0, 7 * DAY_MS + 1, Deadlines()) is None


@given(st.lists(st.tuples(st.sampled_from(Action), st.sampled_from(["a", "b", "100231"]), st.sampled_from(Code))))
def test_whatever_people_try_a_case_is_closed_by_those_who_may(tries: list[tuple[Action, str, Code]]):
    entries: list[Entry] = []
    for action, by, code in tries:
        more = {"code": code, "reference": "K-1"} if action == Action.CLOSE else {}
        new = entry(len(entries) + 1, action, by=by, **more)
        if not cases.problems(case(*entries), new, ABOUT):
            entries.append(new)
        now = case(*entries)
        assert (now.decided is None) == now.is_open
        if not now.is_open:
            assert now.closing is not None
            alone = now.closing.code != Code.MISUSE and now.closing.by not in ABOUT
            assert alone or (now.second not in (None, now.closing.by) and now.second not in ABOUT)
