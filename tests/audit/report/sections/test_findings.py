"""What was found and what was done about it, against counts in plain loops."""

from __future__ import annotations

from collections import Counter
from datetime import date
from statistics import median

import pytest

from audit.cases import DAY_MS, Action, Code
from audit.report.draft import Draft
from audit.report.model import Tone
from audit.report.sections.findings import section
from audit.wording import FAMILIES, SEVERITIES
from tests.audit.office import DISASTER, VENDORS, WELFARE, WORKING, at, finding, good
from tests.audit.report.sections.month import MADE, block, closed, entry, figures, gathered, rows, texts
from tests.audit.report.sections.month import at as moment

FAMILY = ("permission", "export", "relation")


def busy():
    """Sixty findings of all severities, queues and families, of seven people; and what was held back."""
    office = good()
    for number in range(60):
        day = WORKING[number * 7 % len(WORKING)]
        first = at(day, f"{8 + number % 10:02}:10:00")
        office.findings.append(
            finding(
                number, severity=1 + number % 5, queue=("alert", "review", "digest")[number % 3], first=first,
                actor=WELFARE[number % 7], risk=30.0 + number, status=3 if number % 20 == 19 else 1,
                shares=[(FAMILY[number % 3], 1.0, 3, 0, None, "events")],
                events=[office.events[number]["event.id"], office.events[number + 60]["event.id"]],
            )
        )  # fmt: skip
    return office


def handled(office):
    """Every second one looked at after some hours, every fourth closed, with every code in turn."""
    out = []
    for number, one in enumerate(office.findings):
        uid, found = one["finding_info"]["uid"], one["time"]
        if number % 2 == 0:
            out.append(entry(uid, 1, found + (number + 1) * 3_600_000, Action.CLAIM))
        if number % 4 == 0:
            out += closed(uid, 2, found + 3 * DAY_MS + number * DAY_MS // 2, list(Code)[number // 4 % 5])
    return out


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    office = busy()
    sources = gathered(tmp_path_factory.mktemp("month"), office, handled(office))
    draft = Draft()
    return office, sources, section(sources, draft), draft


def seen(office):
    return [one for one in office.findings if one["status_id"] != 3]


def for_people(office):
    return [one for one in seen(office) if one["unmapped"]["queue"] in ("alert", "review")]


def uid(one):
    return one["finding_info"]["uid"]


def test_counts_are_those_of_a_plain_loop(month):
    office, _, said, _ = month
    queues = Counter(one["unmapped"]["queue"] for one in seen(office))
    found = figures(said)

    assert found["findings.total"].value == len(seen(office)) == 57
    assert {name: found[f"findings.{name}"].value for name in ("alert", "review", "digest")} == queues
    assert found["findings.suppressed"].value == 3


def test_the_matrix_adds_up_in_both_directions(month):
    office, _, said, _ = month
    expected = Counter((one["unmapped"]["shares"][0]["family"], one["severity_id"]) for one in seen(office))

    *lines, sums = rows(said, "findings.matrix")

    for family in FAMILY:
        [line] = [one for one in lines if one["類型"] == FAMILIES[family][0]]
        assert [line[SEVERITIES[n][0]] for n in (5, 4, 3, 2, 1)] == [expected[family, n] for n in (5, 4, 3, 2, 1)]
        assert line["計"] == sum(n for (one, _), n in expected.items() if one == family)
    assert sums["計"] == 57
    assert [sums[SEVERITIES[n][0]] for n in (5, 4, 3, 2, 1)] == [
        sum(n for (_, level), n in expected.items() if level == wanted) for wanted in (5, 4, 3, 2, 1)
    ]


def test_findings_stand_on_their_days(month):
    office, _, said, _ = month
    counts = Counter()
    for one in seen(office):
        day = date.fromtimestamp((one["time"] + 9 * 3_600_000) // 1000)
        counts[str(day), one["unmapped"]["queue"]] += 1

    table = rows(said, "findings.over_time")

    assert [one["日"] for one in table] == [f"2026-03-{day:02}" for day in range(1, 32)]
    for one in table:
        expected = [counts[one["日"], queue] for queue in ("alert", "review", "digest")]
        got = [one["警報"], one["要確認"], one["参考"]]
        # Nothing was recorded on the last two days, which were office days.
        assert got == ([None] * 3 if one["日"] in ("2026-03-30", "2026-03-31") else expected), one


def test_serious_ones_are_told_worst_first_and_with_what_was_done(month):
    office, sources, said, _ = month
    grave = [one for one in for_people(office) if one["is_alert"] or one["severity_id"] >= 4]
    grave.sort(key=lambda one: (-one["severity_id"], -one["risk_score"]))

    cards = block(said, "findings.cards").cards

    assert [card.id for card in cards] == [uid(one) for one in grave]
    by_uid = {row.found["uid"]: row for row in sources.rows}
    for card, one in zip(cards, grave, strict=True):
        assert card.text == one["unmapped"]["text"]["ja"]
        facts = dict(card.facts)
        assert facts["利用者"] == f"{one['evidences'][0]['actor']['user']['uid']}（生活課）"
        assert facts["関係する記録"] == "2件（本人 1人）"
        done = dict(card.done)
        case = by_uid[card.id].case
        assert ("100007が担当となった" in done.values()) == (case.seen is not None)
        assert ("期限" in done) == case.is_open
        assert card.tone == (
            Tone.PLAIN if not case.is_open else Tone.URGENT if by_uid[card.id].late or one["severity_id"] == 5 else Tone.CHECK
        )  # fmt: skip


def test_waiting_times_are_those_of_a_plain_loop(month):
    office, sources, said, _ = month
    by_uid = {one.found["uid"]: one.case for one in sources.rows}
    looks = {"alert": DAY_MS, "review": 7 * DAY_MS}
    table = {(one["区分"], one["段階"]): one for one in rows(said, "findings.times")}

    for queue, name in (("alert", "警報"), ("review", "要確認")):
        mine = [one for one in for_people(office) if one["unmapped"]["queue"] == queue]
        took = [by_uid[uid(one)].seen - one["time"] for one in mine if by_uid[uid(one)].seen is not None]
        line = table[name, "最初の確認"]
        assert (line["済"], line["未"]) == (len(took), len(mine) - len(took))
        assert (line["中央値"], line["最長"]) == (round(median(took)), max(took))
        due = len(took) + sum(by_uid[uid(one)].seen is None and MADE - one["time"] > looks[queue] for one in mine)
        assert line["期限内の割合"] == sum(one <= looks[queue] for one in took) / due
        decided = [by_uid[uid(one)].decided - one["time"] for one in mine if by_uid[uid(one)].decided is not None]
        assert table[name, "判断"]["済"] == len(decided)
        assert table[name, "判断"]["中央値"] == round(median(decided))


def test_each_length_of_time_holds_what_took_so_long(month):
    office, sources, said, _ = month
    by_uid = {one.found["uid"]: one.case for one in sources.rows}
    edges = [1, 3, 7, 14, 30, 10_000]
    done, waits = [0] * 6, [0] * 6
    for one in for_people(office):
        decided = by_uid[uid(one)].decided
        took = (MADE if decided is None else decided) - one["time"]
        place = next(place for place, edge in enumerate(edges) if took <= edge * DAY_MS)
        (waits if decided is None else done)[place] += 1

    table = rows(said, "findings.waiting")

    assert [one["判断済み"] for one in table] == done
    assert [one["判断待ち"] for one in table] == waits


def test_what_is_open_is_listed_the_latest_first(month):
    _, sources, said, _ = month
    opened = [
        one for one in sources.rows if one.case.is_open and one.found["queue"] != "digest" and one.found["status"] != 3
    ]

    table = rows(said, "findings.open_cases")

    assert {one["検知番号"] for one in table} == {one.found["uid"] for one in opened}
    assert figures(said)["findings.open"].value == len(opened)
    since = [one["期限"] for one in table if one["遅れ"]]
    assert since == sorted(since)
    assert len(since) == figures(said)["findings.overdue"].value == sum(one.late is not None for one in opened)
    assert not any(one["遅れ"] for one in table[len(since) :])


def test_repeated_ones_are_counted_by_person_without_what_was_proper(month):
    office, sources, said, _ = month
    by_uid = {one.found["uid"]: one.case for one in sources.rows}
    counts, dropped, sure = Counter(), Counter(), Counter()
    for one in for_people(office):
        who, case = one["evidences"][0]["actor"]["user"]["uid"], by_uid[uid(one)]
        code = None if case.is_open else case.closing.code
        dropped[who] += code in ("proper", "test")
        counts[who] += code not in ("proper", "test")
        sure[who] += code in ("misuse", "mistake")

    table = rows(said, "findings.repeats")

    assert {one["利用者"]: (one["対象期間"], one["365日間"], one["不正・誤り"], one["正当"]) for one in table} == {
        f"{who}（生活課）": (n, n, sure[who], dropped[who]) for who, n in counts.items() if n >= 2
    }


def test_findings_of_earlier_months_count_in_longer_spans_only(tmp_path):
    office = good()
    for number, day in enumerate((date(2025, 5, 1), date(2026, 1, 15), WORKING[0], WORKING[1])):
        office.findings.append(finding(number, actor=WELFARE[2], first=at(day), controls=["kanagawa-9/P4"]))
        office.event(at(day), WELFARE[2], "welfare", "read")
    # Older than a year: counts nowhere.
    office.findings.append(finding(9, actor=WELFARE[2], first=at(date(2025, 3, 30))))

    said = section(gathered(tmp_path, office), Draft())

    [line] = rows(said, "findings.repeats")
    assert (line["対象期間"], line["90日間"], line["365日間"]) == (2, 3, 4)
    assert figures(said)["findings.total"].value == 2
    assert figures(said)["findings.open"].value == 5
    assert "3 件" in figures(said)["findings.open"].note


def test_two_accounts_of_one_person_are_one_person(tmp_path):
    office = good()
    office.registers["accounts"].append({"account": "w.1", "system": "welfare", "actor_id": WELFARE[3]})
    first, second = (office.event(at(WORKING[n]), who, "welfare", "read") for n, who in ((0, "w.1"), (1, WELFARE[3])))
    office.findings += [finding(0, actor="w.1", events=[first]), finding(1, actor=WELFARE[3], events=[second])]

    [line] = rows(section(gathered(tmp_path, office), Draft()), "findings.repeats")

    assert line["利用者"] == f"{WELFARE[3]}、w.1（{WELFARE[3]} 生活課）"
    assert line["365日間"] == 2


def test_an_account_of_one_system_is_known_where_the_system_is_not(tmp_path):
    office = good()
    for number, day in enumerate((date(2025, 11, 4), date(2026, 1, 15))):  # their events are not in the period's tables
        office.findings.append(finding(number, actor=f"d.{DISASTER[0]}", first=at(day)))

    [line] = rows(section(gathered(tmp_path, office), Draft()), "findings.repeats")

    assert line["利用者"] == f"d.{DISASTER[0]}（{DISASTER[0]} 危機管理課）"


def test_an_account_that_is_two_peoples_in_two_systems_is_nobodys_where_the_system_is_not_known(tmp_path):
    office = good()
    for system, actor in (("welfare", WELFARE[0]), ("disaster", DISASTER[0])):
        office.registers["accounts"].append({"account": "shared", "system": system, "actor_id": actor})
    office.findings += [finding(number, actor="shared", first=at(date(2026, 1, 15))) for number in range(2)]

    [line] = rows(section(gathered(tmp_path, office), Draft()), "findings.repeats")

    assert line["利用者"] == "shared"


def test_a_transfer_after_the_finding_does_not_change_the_department(tmp_path):
    office = good()
    person = office.registers["staff"][0]
    person["valid_to"] = "2026-03-10"
    office.registers["staff"].append(person | {"dept": "zeimu", "valid_from": "2026-03-11", "valid_to": ""})
    office.findings.append(finding(0, actor=WELFARE[0], first=at(WORKING[1])))

    [card] = block(section(gathered(tmp_path, office), Draft()), "findings.cards").cards

    assert dict(card.facts)["利用者"] == f"{WELFARE[0]}（生活課）"


def test_evidence_names_a_log_and_nobody(tmp_path):
    office = good()
    for number in range(3):
        one = finding(number, actor="welfare-ops", severity=5)
        one["unmapped"]["kind"] = "evidence"
        office.findings.append(one)

    said = section(gathered(tmp_path, office), Draft())

    assert dict(block(said, "findings.cards").cards[0].facts)["対象"] == "welfare-ops"
    assert rows(said, "findings.repeats") == []


def test_without_a_database_nothing_is_known_of_what_people_did(tmp_path):
    office = busy()

    said = section(gathered(tmp_path, office, None), Draft())

    found = figures(said)
    for name in ("looked", "decided", "open", "overdue"):
        assert found[f"findings.{name}"].value is None
        assert found[f"findings.{name}"].tone is Tone.LACKING
    assert found["findings.total"].value == 57
    assert "audit.database" in texts(said)
    assert all(one["判断待ち"] is None for one in rows(said, "findings.repeats"))
    assert all("不明" in dict(card.done)["状態"] for card in block(said, "findings.cards").cards)
    assert not any(
        getattr(one, "id", "") in ("findings.waiting", "findings.times", "findings.open_cases") for one in said.blocks
    )


def test_without_staff_and_accounts_an_account_stands_for_itself(tmp_path):
    office = busy()
    del office.registers["staff"], office.registers["accounts"]

    said = section(gathered(tmp_path, office), Draft())

    assert {one["利用者"] for one in rows(said, "findings.repeats")} == set(WELFARE[:7])


def test_a_month_with_nothing_in_it(tmp_path):
    office = good()
    office.events.clear()
    office.sessions.clear()

    said = section(gathered(tmp_path, office), Draft())

    found = figures(said)
    assert [found[f"findings.{name}"].value for name in ("total", "alert", "suppressed")] == [None] * 3
    assert [found[f"findings.{name}"].value for name in ("open", "overdue")] == [0, 0]
    assert "対象期間の記録が1件もありません" in texts(said)
    assert found["findings.look_median"].value is None
    assert rows(said, "findings.matrix") == rows(said, "findings.open_cases") == []
    assert "分析した記録が1件もない" in texts(said)
    # On office days without any record nobody knows what would have been found.
    assert all((one["警報"] is None) == (date.fromisoformat(one["日"]) in {*WORKING, date(2026, 3, 30), date(2026, 3, 31)})
               for one in rows(said, "findings.over_time"))  # fmt: skip


def test_a_month_of_work_in_which_nothing_was_found(tmp_path):
    said = section(gathered(tmp_path, good()), Draft())

    assert [figures(said)[f"findings.{name}"].value for name in ("total", "alert", "open")] == [0, 0, 0]
    assert "記録が1件も" not in texts(said)


def test_days_to_come_are_not_drawn(tmp_path):
    office, now = busy(), moment("2026-03-18 12:00")
    office.findings = [one for one in office.findings if one["time"] <= now]

    said = section(gathered(tmp_path, office, as_of=now), Draft())

    assert rows(said, "findings.over_time")[-1]["日"] == "2026-03-18"


def test_events_behind_what_is_said_are_those_of_its_findings(month):
    office, sources, said, draft = month
    by_uid = {one.found["uid"]: one for one in sources.rows}

    def behind(name):
        return set(draft.remembered[name].collect()["event.id"])

    def of(some):
        return {each["uid"] for one in some for each in one["finding_info"]["related_events"]}

    assert behind("findings.total") == of(seen(office))
    assert behind("findings.alert") == of(one for one in seen(office) if one["is_alert"])
    assert behind("findings.open_cases") == of(one for one in for_people(office) if by_uid[uid(one)].case.is_open)
    first = block(said, "findings.cards").cards[0].id
    assert behind(first) == of(one for one in office.findings if uid(one) == first)


def test_hostile_texts_stay_what_they_are(tmp_path):
    office = good()
    hostile = "=cmd|'/c calc'!A0<script>alert(1)</script>\u202e"
    office.findings.append(finding(0, actor=hostile, ja=hostile, title=hostile))
    done = [entry(uid(office.findings[0]), 1, at(WORKING[8]), Action.NOTE, text=hostile)]

    said = section(gathered(tmp_path, office, done), Draft())

    [card] = block(said, "findings.cards").cards
    assert (card.title, card.text, dict(card.facts)["利用者"]) == (hostile, hostile, hostile)
    assert any(hostile in value for _, value in card.done)


def test_both_languages_say_the_same(tmp_path):
    office = busy()
    made = {
        language: section(gathered(tmp_path / language, office, handled(office), language=language), Draft())
        for language in ("ja", "en")
    }

    numbers = {name: [(one.id, one.value) for one in figures(said).values()] for name, said in made.items()}
    assert numbers["ja"] == numbers["en"]
    assert [one.block for one in made["ja"].blocks] == [one.block for one in made["en"].blocks]
    assert not any("\u3040" < sign < "\u30ff" for sign in texts(made["en"]))


def test_the_same_is_said_twice(month):
    _, sources, said, _ = month

    assert section(sources, Draft()) == said


def test_what_people_did_after_the_report_was_made_is_not_in_it(tmp_path):
    office = good()
    office.findings.append(finding(0))
    late = [entry(uid(office.findings[0]), 1, MADE + 1, Action.CLAIM)]

    found = figures(section(gathered(tmp_path, office, late), Draft()))

    assert found["findings.looked"].value == 0
    assert found["findings.overdue"].value == 1


def test_beyond_the_most_cards_the_report_says_how_many_there_are(tmp_path):
    office = good()
    office.findings += [finding(number, risk=50.0, actor=VENDORS[0]) for number in range(301)]

    said = section(gathered(tmp_path, office), Draft())

    assert len(block(said, "findings.cards").cards) == 300
    assert "301 件" in texts(said)
    assert len(rows(said, "findings.open_cases")) == 301
