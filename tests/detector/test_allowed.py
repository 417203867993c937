"""What an exception keeps from paging, what it never does, and that nothing is lost by it."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import decision, notice
from contract import finding as contract
from contract.decision import LONGEST_MS, DecisionKind
from detector import allowed
from detector.allowed import Allowed
from detector.ledger import DAY_MS, Ledger
from detector.notices import Closed, Effects, advance, decode
from tests.detector.test_notices import FREE, T0, TIGHT, changes
from tests.detector.test_notices import found as finding

ANY = Allowed(
    "bulk_read", None, None, T0, T0 + 30 * DAY_MS, "f-0", by="100007", approver="100003", reason="応援業務の届出あり"
)


def found(uid: str, at: int = T0 + 1, *, also: str | None = None, type_id: int = 1, **options: Any) -> dict[str, Any]:
    """A finding of one rule, or of another one too."""
    made = finding(uid, at, **options)
    made["unmapped"].pop("exception", None)
    other = {"type_id": type_id, "uid": also, "name": also}
    made["finding_info"]["related_analytics"] = [other] if also else []
    return made


def told(*findings: dict[str, Any], exceptions: tuple[Allowed, ...] = (ANY,), policy: Any = FREE) -> Effects:
    _, effects = advance(Ledger(), findings, (), policy, exceptions=exceptions)
    for item in effects.updates:
        assert contract.validate(item) == []
    return effects


def test_what_is_allowed_pages_nobody_and_says_in_the_digest_who_allowed_it_and_how_often_it_came():
    effects = told(found("1"), found("2", T0 + 2, who="100232"))

    assert effects.notices == ()
    assert effects.counts == {"excepted": 2}
    first, second = effects.updates
    assert (first["type_uid"], first["is_alert"], first["time"]) == (200402, False, T0 + 1)
    assert first["unmapped"]["queue"] == "digest"
    assert first["unmapped"]["exception"] == {
        "finding": "f-0", "by": "100007", "approver": "100003", "reason": "応援業務の届出あり", "time": T0,
        "until": T0 + 30 * DAY_MS, "count": 1,
    }  # fmt: skip
    assert second["unmapped"]["exception"]["count"] == 2


@pytest.mark.parametrize(
    "item",
    [found("1", T0), found("1", ANY.until), found("1", also="peer_surprise", type_id=4)],
    ids=["from the moment", "to the moment", "with the model's consent"],
)
def test_what_an_exception_covers(item: dict[str, Any]):
    assert told(item).notices == ()


@pytest.mark.parametrize(
    "item",
    [found("1", T0 - 1), found("1", ANY.until + 1), found("1", analytic="night"), found("1", also="night")],
    ids=["before", "after", "another rule", "another rule as well"],
)
def test_what_an_exception_does_not_cover_pages(item: dict[str, Any]):
    effects = told(item)
    assert [change for change, _, _ in changes(effects)] == ["opened"]
    assert effects.updates == ()


def test_the_model_is_covered_by_an_exception_of_its_own_only():
    surprise = found("1", analytic="peer_surprise", also="bulk_read")
    own = replace(ANY, analytic="peer_surprise")
    assert len(told(surprise).notices) == len(told(surprise, exceptions=(ANY, own)).notices) == 1
    assert told(found("1", analytic="peer_surprise"), exceptions=(own,)).notices == ()


def test_an_exception_of_a_person_covers_what_that_person_alone_did():
    one = replace(ANY, analytic=None, actor="100231")
    both, nobody = found("2"), found("3")
    both["evidences"] = [{"actor": {"user": {"uid": who}}} for who in ("100231", "100232")]
    nobody["evidences"] = [{"actor": {}}]
    assert told(found("1", analytic="night"), exceptions=(one,)).notices == ()
    for item in (both, nobody, found("4", who="100232")):
        assert len(told(item, exceptions=(one,)).notices) == 1


def test_an_exception_of_a_subject_covers_what_concerns_them():
    one = replace(ANY, analytic=None, subject="s_1")
    item, other = found("1"), found("2")
    item["resources"] = [{"uid": token, "type": "subject"} for token in ("s_0", "s_1")]
    other["resources"] = []
    assert told(item, exceptions=(one,)).notices == ()
    assert len(told(other, exceptions=(one,)).notices) == 1


def test_all_that_an_exception_names_has_to_fit():
    one = replace(ANY, actor="100231")
    assert told(found("1"), exceptions=(one,)).notices == ()
    assert len(told(found("1", who="x"), found("2", analytic="night"), exceptions=(one,)).notices) == 2


@pytest.mark.parametrize(
    "item", [{"severity": 5}, {"kind": "evidence"}, {"family": "evidence"}], ids=["critical", "evidence", "its rules"]
)
def test_evidence_and_what_is_critical_is_never_excepted(item: dict[str, Any]):
    assert [change for change, _, _ in changes(told(found("1", **item)))] == ["opened"]


def test_what_is_excepted_pages_when_it_gets_critical_and_stays_where_it_is_until_then():
    effects = told(found("1", severity=3), found("1", T0 + 2, severity=4), found("1", T0 + 3, severity=5))
    assert changes(effects) == [("opened", 1, 5)]
    assert [item["unmapped"]["exception"]["count"] for item in effects.updates] == [1, 1]
    assert effects.counts["excepted"] == 1


def test_an_exception_spends_nothing_of_the_budget():
    items = [found(str(n), who=f"p{n}") for n in range(5)]
    assert len(told(*items, found("9", analytic="night"), policy=TIGHT).notices) == 1


def test_an_open_alert_goes_on_without_what_is_allowed_now():
    ledger, _ = advance(Ledger(), [found("1", T0 - 2), found("2", T0 - 1)], (), FREE)
    ledger, first = advance(ledger, [found("1", T0 + 1)], (), FREE, exceptions=(ANY,))
    _, second = advance(ledger, [found("2", T0 + 2), found("3", T0 + 3)], (), FREE)
    assert (first.notices, len(first.updates)) == ((), 1)
    assert [item["ending"] for item in second.notices] == ["withdrawn"]


def test_a_closed_case_stays_closed_under_an_exception():
    ledger, _ = advance(Ledger(), [found("1")], (), FREE)
    ledger, _ = advance(ledger, (), [Closed("f-1", T0)], FREE, exceptions=(ANY,))
    _, effects = advance(ledger, [found("1", T0 + 2)], (), FREE)
    assert (effects.notices, effects.updates) == ((), ())


def test_a_withdrawn_exception_allows_nothing_also_if_it_is_read_once_more():
    gone = replace(ANY, time=T0 + 5, until=0)
    for exceptions in ((ANY, gone), (gone, ANY), (ANY, gone, ANY)):
        assert len(told(found("1", T0 + 6), exceptions=exceptions).notices) == 1
    ledger, first = advance(Ledger(), [found("1")], (), FREE, exceptions=(ANY,))
    _, after = advance(ledger, [found("1", T0 + 2), found("2", T0 + 2)], (), FREE, exceptions=(gone,))
    assert len(first.updates) == 1
    assert [change for change, _, _ in changes(after)] == ["opened", "updated"]


def test_of_two_decided_in_the_same_moment_the_one_that_was_written_last_holds():
    assert len(told(found("1"), exceptions=(ANY, replace(ANY, until=0))).notices) == 1
    assert told(found("1"), exceptions=(replace(ANY, until=0), ANY)).notices == ()


def test_an_exception_that_is_read_twice_goes_on_counting():
    ledger, _ = advance(Ledger(), [found("1")], (), FREE, exceptions=(ANY,))
    _, effects = advance(ledger, [found("2")], (), FREE, exceptions=(ANY,))
    assert [item["unmapped"]["exception"]["count"] for item in effects.updates] == [2]


def test_a_renewed_exception_begins_its_count_anew():
    later = replace(ANY, time=T0 + 5, until=ANY.until + 1, by="100008")
    ledger, _ = advance(Ledger(), [found("1"), found("2")], (), FREE, exceptions=(ANY,))
    _, effects = advance(ledger, [found("2", T0 + 6), found("3", T0 + 7)], (), FREE, exceptions=(later, later))
    said = [item["unmapped"]["exception"] for item in effects.updates]
    assert [(one["by"], one["count"]) for one in said] == [("100008", 1), ("100008", 2)]


def test_what_moves_to_the_digest_names_the_exceptions_in_force_and_a_ledger_keeps_their_names():
    value = decision.example(DecisionKind.EXCEPTION) | {"time": T0, "until": T0 + 9, "analytic": "bulk_read"}
    for scope in ("actor", "subject"):
        del value[scope]
    ledger, first = advance(Ledger(), [found("1")], (), FREE, exceptions=(Allowed.of(value),))
    _, second = advance(Ledger.load(ledger.dump()), [found("2")], (), FREE)
    digest = hashlib.sha256(f"{decision.name(value)}\n".encode()).hexdigest()
    for effects in (first, second):
        assert [one["unmapped"]["versions"]["exceptions"] for one in effects.updates] == [f"sha256:{digest}"]


def test_the_newest_of_several_is_named():
    older = replace(ANY, analytic=None, actor="100231", time=T0 - 1, by="a")
    [update] = told(found("1"), exceptions=(ANY, older)).updates
    assert update["unmapped"]["exception"]["by"] == "100007"


def test_the_update_that_comes_back_through_the_topic_changes_nothing():
    ledger, effects = advance(Ledger(), [found("1")], (), FREE, exceptions=(ANY,))
    back = [decode(value) for _, value in effects.records()[1]]
    after, again = advance(ledger, back, (), FREE)
    assert (again.notices, again.updates, after) == ((), (), ledger)
    forgotten = replace(after, recent=set(), older=set())
    assert advance(forgotten, back, (), FREE)[1].updates == ()


def test_an_exception_is_forgotten_when_nothing_can_fall_under_it_any_more():
    last = T0 + LONGEST_MS + FREE.known_ms
    ledger, _ = advance(Ledger(), [found("1", last, severity=5)], (), FREE, exceptions=(ANY,))
    assert ledger.allowed == (ANY,)
    ledger, _ = advance(ledger, [found("2", last + 1, severity=5)], (), FREE)
    assert ledger.allowed == ()


def test_long_words_of_people_are_cut_before_they_go_into_every_finding():
    one = Allowed.of(decision.example(DecisionKind.EXCEPTION) | {"reason": "長" * 2_000, "by": "x" * 2_000})
    said = one.said()
    assert (len(said["reason"]), len(said["by"])) == (200, 200)
    assert one.actor == decision.example(DecisionKind.EXCEPTION)["actor"]


EXCEPTIONS = st.builds(
    lambda analytic, actor, time, length, by: Allowed(
        analytic, actor if analytic else actor or "a", None, T0 + time, T0 + time + length, "f-0", by
    ),
    st.sampled_from([None, "bulk_read"]), st.sampled_from([None, "a", "b"]), st.integers(0, 9), st.integers(-3, 9),
    st.sampled_from("xy"),
)  # fmt: skip
FINDINGS = st.builds(
    lambda uid, at, who, severity, queue: found(str(uid), T0 + at, who=who, severity=severity, queue=queue),
    st.integers(0, 5), st.integers(0, 20), st.sampled_from("ab"), st.integers(3, 5),
    st.sampled_from(["alert", "review", "digest"]),
)  # fmt: skip


@given(st.lists(st.one_of(EXCEPTIONS, FINDINGS), max_size=30), st.integers(0, 999), st.booleans())
def test_where_turns_are_cut_and_a_restart_between_them_change_nothing(items: list[Any], seed: int, tight: bool):
    policy = TIGHT if tight else FREE
    one_by_one, in_turns = Ledger(), Ledger()
    out: tuple[list[Any], list[Any]] = ([], [])
    for item in items:
        new, more = ([], [item]) if isinstance(item, Allowed) else ([item], [])
        one_by_one, effects = advance(one_by_one, new, (), policy, exceptions=more)
        out[0].extend([*effects.notices, *effects.updates])
    draw, waiting = random.Random(seed), list(items)
    while waiting:
        exceptions, findings = [], []
        while waiting and isinstance(waiting[0], Allowed):
            exceptions.append(waiting.pop(0))
        while waiting and not isinstance(waiting[0], Allowed) and draw.random() < 0.7:
            findings.append(waiting.pop(0))
        in_turns, effects = advance(Ledger.load(in_turns.dump()), findings, (), policy, exceptions=exceptions)
        out[1].extend([*effects.notices, *effects.updates])
    assert in_turns.dump() == one_by_one.dump()
    assert sorted(map(str, out[0])) == sorted(map(str, out[1]))
    assert all(contract.validate(one) == [] for one in out[0] if "finding_info" in one)
    assert all(notice.validate(one) == [] for one in out[0] if "finding_info" not in one)


@given(st.lists(EXCEPTIONS, max_size=8), st.integers(0, 8))
def test_exceptions_come_to_the_same_however_they_are_cut(items: list[Allowed], cut: int):
    assert allowed.taken(allowed.taken((), items[:cut]), items[cut:]) == allowed.taken((), items)


def test_exceptions_of_a_ledger_that_knew_no_names_go_on():
    ledger, _ = advance(Ledger(), [found("1")], (), FREE, exceptions=(ANY,))
    whole = json.loads(ledger.dump())
    whole |= {"version": 2, "allowed": [values[:-1] for values in whole["allowed"]]}
    _, effects = advance(Ledger.load(json.dumps(whole).encode()), [found("2")], (), FREE)
    assert [item["unmapped"]["exception"]["count"] for item in effects.updates] == [2]
