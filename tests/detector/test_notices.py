"""Who is told what, once: merging, rises, the budget, what is withdrawn or closed, and that a replay says the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import finding as contract
from contract import notice
from detector.delivery import Budget
from detector.ledger import DAY_MS, Ledger, Policy
from detector.notices import Closed, Effects, advance, decode

HOUR_MS = 3_600_000
T0 = 1775091600000  # 2026-04-02 10:00 in Tokyo
FREE = Policy("Asia/Tokyo")
# 1,000 staff and one alert a day; nothing is saved up but the one.
TIGHT = Policy("Asia/Tokyo", ((date(2026, 1, 1), 1000),), Budget(alerts=1, reviews=2, carry_days=1, start_days=1))


def found(
    uid: str, at: int = T0, *, who: str = "100231", analytic: str = "bulk_read", severity: int = 4, queue: str = "alert",
    kind: str = "session", unit: str = "W-1", family: str = "volume", run: str = "live", **unmapped: Any,
) -> dict[str, Any]:  # fmt: skip
    """A valid finding."""
    made: Any = copy.deepcopy(contract.example())
    made |= {"time": at, "severity_id": severity, "is_alert": queue == "alert"}
    made["finding_info"] |= {"uid": f"f-{uid}", "first_seen_time": at, "last_seen_time": at}
    made["finding_info"]["analytic"] = {"type_id": 1, "uid": analytic, "name": analytic}
    made["evidences"][0]["actor"]["user"]["uid"] = who
    made["unmapped"]["shares"][0]["family"] = family
    made["unmapped"] |= {"queue": queue, "kind": kind, "unit": unit, "run": run} | unmapped
    assert contract.validate(made) == []
    return dict(made)


def told(*findings: dict[str, Any], policy: Policy = FREE, closed: Iterable[Closed] = ()) -> Effects:
    """What follows from findings, the closed cases coming after them."""
    ledger, effects = advance(Ledger(), findings, (), policy)
    _, later = advance(ledger, (), tuple(closed), policy)
    effects = Effects(effects.notices + later.notices, effects.updates + later.updates, effects.counts)
    for item in effects.notices:
        assert notice.validate(item) == []
    for item in effects.updates:
        assert contract.validate(item) == []
    return effects


def changes(effects: Effects) -> list[tuple[str, int, int]]:
    """Change, count and severity of each notice."""
    return [(item["change"], item["count"], item["severity_id"]) for item in effects.notices]


def test_a_finding_that_pages_opens_an_alert_with_its_words():
    item = found("1")
    [only] = told(item).notices
    assert only["fingerprint"] == notice.fingerprint("live", "f-1")
    assert (only["change"], only["revision"], only["count"], only["opened"]) == ("opened", 1, 1, T0)
    assert only["text"] == item["unmapped"]["text"]
    assert only["findings"] == ["f-1"]


@pytest.mark.parametrize("queue", ["review", "digest", "none"])
def test_what_pages_nobody_is_no_notice(queue: str):
    assert told(found("1", queue=queue)).notices == ()


def test_findings_of_a_rerun_tell_nobody():
    assert told(found("1", run="april-again")).notices == ()


def test_the_same_person_and_analytic_within_a_day_is_one_alert_with_a_count():
    effects = told(found("1"), found("2", T0 + 23 * HOUR_MS), found("3", T0 + DAY_MS + 1))
    assert changes(effects) == [("opened", 1, 4), ("updated", 2, 4), ("opened", 1, 4)]
    first, second, third = effects.notices
    assert first["fingerprint"] == second["fingerprint"] != third["fingerprint"]
    assert (second["findings"], second["revision"]) == (["f-1", "f-2"], 2)


@pytest.mark.parametrize("other", [{"who": "100232"}, {"analytic": "night"}])
def test_another_person_or_analytic_is_another_alert(other: dict[str, Any]):
    assert changes(told(found("1"), found("2", T0 + 1, **other))) == [("opened", 1, 4)] * 2


def test_a_group_is_known_by_its_values_whoever_is_in_it_and_whichever_event_filled_it():
    groups = [("1", "100231", "g\x1fcrowd\x1fs_91\x1faa"), ("2", "100232", "g\x1fcrowd\x1fs_91\x1fbb"),
              ("3", "100231", "g\x1fcrowd\x1fs_92\x1faa")]  # fmt: skip
    items = [found(uid, kind="group", analytic="crowd", who=who, unit=unit) for uid, who, unit in groups]
    assert changes(told(*items)) == [("opened", 1, 4), ("updated", 2, 4), ("opened", 1, 4)]


def test_a_rise_in_severity_breaks_through_and_a_fall_does_not():
    effects = told(found("1", severity=3), found("2", T0 + 1, severity=5), found("3", T0 + 2, severity=4))
    assert changes(effects) == [("opened", 1, 3), ("raised", 2, 5), ("updated", 3, 5)]
    assert effects.notices[1]["finding"] == "f-2"


def test_an_update_that_raises_its_own_finding_breaks_through():
    effects = told(found("1"), found("1", T0 + 1, severity=5))
    assert changes(effects) == [("opened", 1, 4), ("raised", 1, 5)]


def test_an_update_with_other_words_changes_the_notice_and_pages_nobody():
    later = found("1", T0 + 1, text={"ja": "2件", "en": "two"})
    effects = told(found("1"), later)
    assert changes(effects) == [("opened", 1, 4), ("updated", 1, 4)]
    assert effects.notices[1]["text"]["en"] == "two"


def test_a_finding_that_comes_again_changes_nothing_also_after_its_update():
    items = [found("1"), found("2", T0 + 1), found("1", T0 + 2, queue="digest"), found("1", T0 + 3, severity=5)]
    once, _ = advance(Ledger(), items, (), FREE)
    twice, effects = advance(once, items, (), FREE)
    assert effects.notices == effects.updates == ()
    assert effects.counts == {"again": 4}
    assert twice == once


def test_an_alert_whose_findings_page_no_more_is_resolved():
    ends = [found("1", T0 + 2, queue="digest"), found("2", T0 + 3, queue="review")]
    effects = told(found("1"), found("2", T0 + 1), *ends)
    assert [item["change"] for item in effects.notices] == ["opened", "updated", "resolved"]
    assert effects.notices[-1]["ending"] == "withdrawn"


def test_what_was_withdrawn_and_pages_again_pages_and_goes_on_counting():
    effects = told(found("1"), found("1", T0 + 1, queue="digest"), found("1", T0 + 2))
    assert [(item["change"], item["revision"]) for item in effects.notices] == [
        ("opened", 1),
        ("resolved", 2),
        ("opened", 3),
    ]
    assert len({item["fingerprint"] for item in effects.notices}) == 1


@pytest.mark.parametrize("names", [["f-1", "f-2"], [notice.fingerprint("live", "f-1")]], ids=["findings", "alert"])
def test_an_alert_is_resolved_when_its_cases_are_closed(names: list[str]):
    effects = told(found("1"), found("2", T0 + 1), closed=[Closed(name, T0 + 2) for name in names])
    assert [item["change"] for item in effects.notices] == ["opened", "updated", "resolved"]
    assert effects.notices[-1]["ending"] == "closed"


def test_one_closed_case_of_two_leaves_the_alert_open():
    effects = told(found("1"), found("2", T0 + 1), closed=[Closed("f-1", T0 + 2)])
    assert [item["change"] for item in effects.notices] == ["opened", "updated"]


def test_a_closed_finding_stays_closed_unless_it_gets_worse():
    ledger, _ = advance(Ledger(), [found("1")], (), FREE)
    ledger, _ = advance(ledger, (), [Closed("f-1", T0)], FREE)
    ledger, same = advance(ledger, [found("1", T0 + 1)], (), FREE)
    _, worse = advance(ledger, [found("1", T0 + 2, severity=5)], (), FREE)
    assert same.notices == ()
    assert changes(worse) == [("opened", 1, 5)]
    assert worse.notices[0]["revision"] == 3


def test_a_case_closed_before_its_finding_was_read_pages_nobody():
    ledger, _ = advance(Ledger(), (), [Closed("f-1", T0)], FREE)
    _, effects = advance(ledger, [found("1")], (), FREE)
    assert effects.notices == ()


def test_a_case_of_an_alert_that_nobody_knows_changes_nothing():
    ledger, effects = advance(Ledger(), (), [Closed("n-0123456789abcdef", T0)], FREE)
    assert ledger == Ledger()
    assert effects.notices == ()


def test_after_a_case_was_closed_the_next_one_of_its_kind_pages():
    ledger, _ = advance(Ledger(), [found("1")], (), FREE)
    _, effects = advance(ledger, [found("2", T0 + 1)], [Closed("f-1", T0)], FREE)
    assert [item["change"] for item in effects.notices] == ["resolved", "opened"]


def test_what_is_over_the_budget_becomes_an_update_to_the_digest():
    effects = told(found("1", who="a"), found("2", who="b"), found("3", T0 + DAY_MS, who="c"), policy=TIGHT)
    assert [item["finding"] for item in effects.notices] == ["f-1", "f-3"]
    [update] = effects.updates
    assert update["finding_info"]["uid"] == "f-2"
    assert (update["type_uid"], update["is_alert"], update["time"]) == (200402, False, T0)
    assert (update["unmapped"]["queue"], update["unmapped"]["over_budget"]) == ("digest", True)
    assert effects.counts == {"opened": 2, "over_budget": 1}


@pytest.mark.parametrize(
    "item",
    [{"severity": 5}, {"kind": "evidence"}, {"family": "evidence"}],
    ids=["critical", "evidence", "evidence-rule"],
)
def test_evidence_and_what_is_critical_is_never_cut_and_spends_nothing(item: dict[str, Any]):
    effects = told(*(found(str(n), who=f"p{n}", **item) for n in range(5)), found("9", who="z"), policy=TIGHT)
    assert [change for change, _, _ in changes(effects)] == ["opened"] * 6
    assert effects.updates == ()


def test_duplicates_and_rises_of_an_open_alert_spend_nothing():
    effects = told(found("1"), found("2", T0 + 1), found("1", T0 + 2, severity=5), policy=TIGHT)
    assert [change for change, _, _ in changes(effects)] == ["opened", "updated", "raised"]


def test_the_update_that_comes_back_through_the_topic_changes_nothing():
    ledger, effects = advance(Ledger(), [found("1", who="a"), found("2", who="b")], (), TIGHT)
    back = [decode(value) for _, value in effects.records()[1]]
    after, again = advance(ledger, back, (), TIGHT)
    assert (again.notices, again.updates, after) == ((), (), ledger)


def test_a_finding_over_the_budget_stays_there_unless_it_gets_worse():
    ledger, _ = advance(Ledger(), [found("1", who="a"), found("2", who="b")], (), TIGHT)
    ledger, same = advance(ledger, [found("2", T0 + DAY_MS, who="b")], (), TIGHT)
    _, worse = advance(ledger, [found("2", T0 + DAY_MS + 1, who="b", severity=5)], (), TIGHT)
    assert (same.notices, [item["unmapped"]["queue"] for item in same.updates]) == ((), ["digest"])
    assert changes(worse) == [("opened", 1, 5)]


def test_fractions_are_saved_up_and_partitions_share_the_budget():
    small = replace(TIGHT, budget=Budget(alerts=0.5, carry_days=4, start_days=0))
    items = [found(str(day), T0 + day * DAY_MS, who=f"p{day}") for day in range(8)]
    # Nothing at first, then half an alert a day.
    assert [item["finding"] for item in told(*items, policy=small).notices] == ["f-2", "f-4", "f-6"]
    assert [item["finding"] for item in told(*items, policy=replace(small, partitions=2)).notices] == ["f-4"]


def test_as_many_staff_count_as_were_there_on_the_day():
    grown = replace(TIGHT, staff=((date(2026, 1, 1), 0), (date(2026, 4, 4), 2000)), budget=Budget(1, 0, 1, 0))
    items = [found(f"{day}{n}", T0 + day * DAY_MS, who=f"p{day}{n}") for day in range(3) for n in range(3)]
    assert [item["finding"] for item in told(*items, policy=grown).notices] == ["f-20", "f-21"]


def test_one_event_under_a_wrong_clock_ends_nothing_and_spends_no_budget():
    now = T0 + HOUR_MS
    ledger, _ = advance(Ledger(), [found("1", who="a")], (), TIGHT, now)
    ledger, wrong = advance(ledger, [found("2", T0 + 9999 * DAY_MS, who="b", severity=5)], (), TIGHT, now)
    _, later = advance(ledger, [found("3", T0 + DAY_MS, who="c")], (), TIGHT, now + DAY_MS)
    assert [(item["change"], item["opened"]) for item in wrong.notices] == [("opened", now)]
    assert [item["change"] for item in later.notices] == ["opened"]
    assert notice.fingerprint("live", "f-1") in ledger.alerts


def test_an_alert_that_nobody_closes_expires():
    effects = told(found("1"), found("2", T0 + 14 * DAY_MS + 1, who="b"))
    assert [(item["change"], item["ending"]) for item in effects.notices] == [
        ("opened", None), ("resolved", "expired"), ("opened", None),
    ]  # fmt: skip


def test_the_last_count_is_told_when_the_merging_hours_are_over():
    items = [found(str(n), T0 + n, who="a") for n in range(13)]
    effects = told(*items, found("x", T0 + DAY_MS + 1, who="b"), found("y", T0 + DAY_MS + 2, who="b"))
    counts = [item["count"] for item in effects.notices if item["fingerprint"] == notice.fingerprint("live", "f-0")]
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13]


def test_a_flood_of_one_kind_is_a_few_notices_and_a_small_ledger():
    ledger, effects = advance(Ledger(), (found(str(n), T0 + n) for n in range(3_000)), (), FREE)
    assert [item["count"] for item in effects.notices][-8:] == [10, 20, 50, 100, 200, 500, 1000, 2000]
    assert ledger.alerts[effects.notices[0]["fingerprint"]].count == 3_000
    assert len(ledger.dump()) < 200_000


def test_a_flood_of_many_kinds_stays_bounded():
    small = replace(FREE, most_open=50, most_known=100, most_seen=100)
    ledger = Ledger()
    for start in range(0, 1_000, 100):
        batch = (found(str(n), T0 + n, who=f"p{n}") for n in range(start, start + 100))
        ledger, effects = advance(ledger, batch, (), small)
    assert (len(ledger.alerts), len(ledger.newest)) == (50, 50)
    assert len(ledger.known) <= 100
    assert len(ledger.recent) + len(ledger.older) <= 200
    assert effects.counts["resolved"] == 100  # nothing left in silence


def test_the_ledger_is_read_back_as_it_was():
    items = [found(str(n), T0 + n * HOUR_MS, who=f"p{n % 5}") for n in range(20)]
    ledger, _ = advance(Ledger(), items, [Closed("f-77", T0)], TIGHT)
    again = Ledger.load(ledger.dump())
    assert again.dump() == ledger.dump()
    assert replace(again, due=ledger.due) == ledger


@pytest.mark.parametrize(
    ("change", "said"),
    [({"version": 4}, "version 4.*newer program"), ({"format": "x"}, "is no sekimori-notices-ledger")],
)
def test_a_ledger_of_another_kind_is_refused(change: dict[str, Any], said: str):
    data = json.dumps(json.loads(Ledger().dump()) | change).encode()
    with pytest.raises(ValueError, match=said):
        Ledger.load(data)


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_a_record_that_is_no_finding_is_refused(value: bytes):
    with pytest.raises(ValueError, match=r"no JSON|missing|should be"):
        decode(value)


def test_a_finding_of_a_newer_program_is_read():
    later = found("1") | {"mood": "odd"}
    assert decode(json.dumps(later).encode()) == later
    assert told(later).notices[0]["finding"] == "f-1"


def test_words_are_cut_to_what_a_notice_may_have():
    huge = {"ja": "\x01長" * 50_000, "en": "\u2028y" * 50_000}
    [only] = told(found("1", text=huge, check_first=huge, title=huge, controls=["k/P1"] * 100)).notices
    assert notice.from_json(notice.to_json(only).encode()) == only


def test_a_finding_without_a_person_is_known_by_its_unit():
    def nobody(uid: str, unit: str) -> dict[str, Any]:
        made = found(uid, unit=unit)
        made["evidences"] = [{"actor": {}}]
        return made

    assert [item["change"] for item in told(nobody("1", "W-1"), nobody("2", "W-2")).notices] == ["opened", "opened"]


def changed(uid: str, begun: int, at: int, **options: Any) -> dict[str, Any]:
    """A finding about something that began a while ago; published again where that is not the moment."""
    item = found(uid, at, **options)
    item["finding_info"]["first_seen_time"] = begun
    return item if at == begun else item | {"activity_id": 2, "type_uid": 200402}


def test_a_forgotten_finding_that_pages_again_is_told_under_numbers_of_its_own():
    ledger, first = advance(Ledger(), [found("1"), found("2", T0 + 14 * DAY_MS + 1)], (), FREE)
    assert changes(first)[:2] == [("opened", 1, 4), ("resolved", 1, 4)]

    ledger, again = advance(ledger, [changed("1", T0, T0 + 16 * DAY_MS)], (), FREE)
    _, later = advance(ledger, [changed("1", T0, T0 + 31 * DAY_MS), changed("1", T0, T0 + 48 * DAY_MS)], (), FREE)

    mine = [item for item in (*first.notices, *again.notices, *later.notices) if item["finding"] == "f-1"]
    assert {item["fingerprint"] for item in mine} == {notice.fingerprint("live", "f-1")}
    assert [item["change"] for item in mine] == ["opened", "resolved"] * 2 + ["opened"]
    revisions = [item["revision"] for item in mine]
    assert revisions[:2] == [1, 2]
    assert revisions == sorted(set(revisions))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 24 * 80), st.integers(3, 5), st.booleans()), max_size=40))
def test_no_two_notices_have_one_number(steps: list[tuple[int, int, int, bool]]):
    begun: dict[int, int] = {}
    ledger, seen = Ledger(), set()
    for uid, hour, severity, pages in sorted(steps, key=lambda step: step[1]):
        at = T0 + hour * HOUR_MS
        queue = "alert" if pages else "digest"
        item = changed(str(uid), begun.setdefault(uid, at), at, severity=severity, queue=queue, who=str(uid))
        ledger, effects = advance(ledger, [item], (), FREE)
        for one in effects.notices:
            assert notice.identity(one) not in seen
            seen.add(notice.identity(one))


ANY_FINDING = st.builds(
    lambda uid, hour, who, severity, queue: found(str(uid), T0 + hour * HOUR_MS, who=who, severity=severity, queue=queue),
    st.integers(0, 5), st.integers(0, 500), st.sampled_from("ab"), st.integers(3, 5), st.sampled_from(["alert", "review", "digest"]),
)  # fmt: skip


@given(st.lists(ANY_FINDING, max_size=30), st.lists(st.integers(0, 30), max_size=4), st.booleans())
def test_where_batches_are_cut_and_a_restart_between_them_change_nothing(
    items: list[Any], cuts: list[int], tight: bool
):
    policy = TIGHT if tight else FREE
    whole, effects = advance(Ledger(), items, (), policy)
    ledger, notices, updates = Ledger(), [], []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(items)], strict=True):
        ledger, part = advance(Ledger.load(ledger.dump()), items[start:end], (), policy)
        notices += part.notices
        updates += part.updates
    assert (notices, updates) == (list(effects.notices), list(effects.updates))
    assert ledger.dump() == whole.dump()
    times = [item["time"] for item in items]
    if times and max(times) - min(times) > policy.known_ms:
        return  # what is forgotten begins anew
    for fingerprint in {item["fingerprint"] for item in notices}:
        revisions = [item["revision"] for item in notices if item["fingerprint"] == fingerprint]
        assert revisions == list(range(1, len(revisions) + 1))
