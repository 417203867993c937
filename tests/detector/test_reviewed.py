"""Review items: so many a day, the rest visibly in the digest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contract import finding as contract
from detector.ledger import DAY_MS, Ledger
from detector.notices import Closed, Effects, advance, decode
from tests.detector.test_notices import FREE, T0, TIGHT, changes, found

# 1,000 staff, one alert and two review items a day; nothing is saved up but the day's.
TWO = TIGHT


def item(uid: str, at: int = T0, severity: int = 3, **options: Any) -> dict[str, Any]:
    return found(uid, at, severity=severity, who=f"p{uid}", **({"queue": "review"} | options))


def told(*findings: dict[str, Any], policy: Any = TWO) -> Effects:
    _, effects = advance(Ledger(), findings, (), policy)
    for update in effects.updates:
        assert contract.validate(update) == []
    return effects


def moved(effects: Effects) -> list[str]:
    return [update["finding_info"]["uid"] for update in effects.updates]


def test_what_is_over_the_days_review_items_becomes_an_update_to_the_digest():
    effects = told(*(item(str(n)) for n in range(4)), item("9", T0 + DAY_MS))

    assert moved(effects) == ["f-2", "f-3"]
    update = effects.updates[0]
    assert (update["type_uid"], update["is_alert"], update["time"]) == (200402, False, T0)
    assert (update["unmapped"]["queue"], update["unmapped"]["over_budget"]) == ("digest", True)
    assert effects.counts == {"review": 3, "unreviewed": 2}
    assert effects.notices == ()


def test_alerts_and_review_items_do_not_spend_of_one_another():
    effects = told(item("1"), item("2"), item("3", queue="alert"), item("4", queue="alert"), item("5"))
    assert moved(effects) == ["f-4", "f-5"]
    assert len(effects.notices) == 1


def test_without_a_staff_register_nothing_is_cut():
    assert moved(told(*(item(str(n)) for n in range(50)), policy=FREE)) == []


@pytest.mark.parametrize("options", [{"severity": 5}, {"kind": "evidence"}, {"family": "evidence"}])
def test_evidence_and_what_is_critical_is_never_cut_and_spends_nothing(options: dict[str, Any]):
    assert moved(told(*(item(str(n), **options) for n in range(5)), item("8"), item("9"))) == []


def test_an_item_that_comes_again_spends_once_and_one_that_was_moved_stays_moved():
    effects = told(item("1"), item("1", T0 + 1), item("2"), item("3"), item("3", T0 + DAY_MS))
    assert moved(effects) == ["f-3", "f-3"]
    assert effects.counts == {"review": 2, "unreviewed": 1}


def test_an_item_that_was_moved_and_gets_worse_is_looked_at_again():
    later = item("3", T0 + DAY_MS, severity=4)
    assert moved(told(item("1"), item("2"), item("3"), later)) == ["f-3"]


def test_an_item_that_comes_to_page_pages_whether_it_was_moved_or_not():
    first = [item(str(n)) for n in range(3)]
    effects = told(*first, item("0", T0 + 1, severity=4, queue="alert"))
    assert changes(effects) == [("opened", 1, 4)]
    effects = told(*first, item("2", T0 + 1, queue="alert"))
    assert changes(effects) == [("opened", 1, 3)]


def test_an_alert_that_becomes_a_review_item_spends_nothing():
    alert = item("0", queue="alert")
    effects = told(alert, item("0", T0 + 1), item("1"), item("2"))
    assert [notice["change"] for notice in effects.notices] == ["opened", "resolved"]
    assert moved(effects) == []


def test_a_closed_review_item_spends_nothing_more():
    ledger, _ = advance(Ledger(), [item("1"), item("2"), item("3")], (), TWO)
    _, effects = advance(ledger, [item("3", T0 + 1)], [Closed("f-3", T0)], TWO)
    assert effects.updates == ()


def test_the_update_that_comes_back_through_the_topic_changes_nothing():
    ledger, effects = advance(Ledger(), [item("1"), item("2"), item("3")], (), TWO)
    back = [decode(value) for _, value in effects.records()[1]]
    after, again = advance(Ledger.load(ledger.dump()), back, (), TWO)
    assert (len(back), again.updates, again.counts) == (1, (), {"again": 1})
    assert after.dump() == ledger.dump()


def test_a_ledger_of_the_version_before_is_gone_on_with():
    ledger, _ = advance(Ledger(), [item("1", queue="alert")], (), TWO)
    now = json.loads(ledger.dump())
    [[queue, day, saved]] = now["saved"]
    assert queue == "alert"
    del now["allowed"]
    before = Ledger.load(json.dumps(now | {"version": 1, "day": day, "saved": saved}).encode())
    assert replace(before, due=ledger.due) == ledger
    _, effects = advance(before, [item("2", queue="alert"), item("3"), item("4"), item("5")], (), TWO)
    assert moved(effects) == ["f-2", "f-5"]
