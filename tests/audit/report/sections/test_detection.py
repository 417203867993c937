"""The detection itself: precision, rates, exceptions and versions, against counts in plain loops."""

from __future__ import annotations

from collections import Counter

import pytest
from scipy.stats import beta

from audit.cases import DAY_MS, Action, Code
from audit.database.store import Exemption
from audit.report.allowances import in_force
from audit.report.draft import Draft
from audit.report.model import Tone
from audit.report.sections.detection import section
from tests.audit.office import WELFARE, WORKING, at, finding, good
from tests.audit.report.sections.month import MADE, MARCH, closed, entry, figures, gathered, rows, texts
from tests.audit.report.sections.month import at as moment

RULES = ("after_last_day", "own_record", "bulk_export")
CODES = (Code.MISUSE, Code.PROPER, Code.MISTAKE, Code.TEST, Code.UNKNOWN)


def uid(one):
    return one["finding_info"]["uid"]


def busy():
    """Forty findings of three rules, some of two of them; some kept from people for each reason there is."""
    office = good()
    for number in range(40):
        one = finding(
            number, rule=RULES[number % 3], title=f"規則{number % 3}", queue=("alert", "review", "digest")[number % 3],
            first=at(WORKING[number % len(WORKING)]), status=3 if number % 10 == 9 else 1,
            events=[office.events[number]["event.id"]],
        )  # fmt: skip
        if number % 4 == 0:
            one["finding_info"]["related_analytics"] = [{"type_id": 1, "uid": "bulk_export", "name": "Bulk"}]
        for flag, every in (("learning", 5), ("over_budget", 7), ("repeated", 11)):
            one["unmapped"][flag] = number % every == 2
        office.findings.append(one)
    return office


def decisions(office):
    out = []
    for number, one in enumerate(office.findings):
        if one["unmapped"]["queue"] != "digest" and one["status_id"] == 1 and number % 3 != 1:
            out += closed(uid(one), 1, one["time"] + DAY_MS, CODES[number // 3 % 5])
    return out


def of_rules(one):
    info = one["finding_info"]
    return {info["analytic"]["uid"], *(each["uid"] for each in info["related_analytics"])}


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    office = busy()
    done = decisions(office)
    # Decided in January: counts for precision, and is no hit of March.
    office.findings.append(finding(60, rule="own_record", first=moment("2026-01-15 10:00")))
    done += closed(uid(office.findings[-1]), 1, moment("2026-01-20"), Code.MISTAKE)
    sources = gathered(tmp_path_factory.mktemp("month"), office, done)
    draft = Draft()
    return office, sources, section(sources, draft), draft


def test_hits_and_precision_are_those_of_a_plain_loop(month):
    office, sources, said, _ = month
    codes = {one.found["uid"]: one.case.closing.code for one in sources.rows if not one.case.is_open}
    table = {one["規則"].rpartition("（")[2].rstrip("）"): one for one in rows(said, "detection.by_rule")}
    assert set(table) == set(RULES)
    for rule in RULES:
        mine = [one for one in office.findings if rule in of_rules(one) and one["status_id"] != 3]
        hits = [one for one in mine if one["time"] >= MARCH.begin]
        right = sum(codes.get(uid(one)) in (Code.MISUSE, Code.MISTAKE) for one in mine)
        wrong = sum(codes.get(uid(one)) in (Code.PROPER, Code.TEST) for one in mine)
        line = table[rule]
        assert line["件数"] == len(hits)
        assert line["警報"] == sum(one["is_alert"] for one in hits)
        assert (line["不正・誤り"], line["正当・試験"]) == (right, wrong)
        assert line["判断できない"] == sum(codes.get(uid(one)) == Code.UNKNOWN for one in mine)
        if not right + wrong:
            assert line["適中率"] is None
            continue
        assert line["適中率"] == right / (right + wrong)
        assert line["下限"] == pytest.approx(beta.ppf(0.025, right, wrong + 1) if right else 0)
        assert line["上限"] == pytest.approx(beta.ppf(0.975, right + 1, wrong) if wrong else 1)


def test_totals_count_each_finding_once(month):
    _, sources, said, draft = month
    counts = Counter(str(one.case.closing.code) for one in sources.rows if not one.case.is_open)
    found = figures(said)

    assert found["detection.confirmed"].value == counts["misuse"] + counts["mistake"] > 1
    assert found["detection.dismissed"].value == counts["proper"] + counts["test"] > 1
    assert found["detection.decided"].value == sum(counts.values())
    either = found["detection.confirmed"].value + found["detection.dismissed"].value
    assert found["detection.precision"].value == found["detection.confirmed"].value / either
    assert draft.remembered["detection.by_rule"].collect().height == sum(
        one["status_id"] != 3 and one["time"] >= MARCH.begin for one in month[0].findings
    )


def test_what_was_kept_from_people_is_counted_by_why(month):
    office, _, said, _ = month
    found, ours = figures(said), [one for one in office.findings if one["time"] >= MARCH.begin]

    for flag in ("learning", "over_budget", "repeated"):
        assert found[f"detection.{flag}"].value == sum(one["unmapped"][flag] for one in ours) > 0
    assert found["detection.suppressed"].value == sum(one["status_id"] == 3 for one in ours)
    assert found["detection.excepted"].value == 0
    expected = Counter(one["finding_info"]["analytic"]["uid"] for one in ours if one["status_id"] == 3)
    assert {one["規則"]: one["件数"] for one in rows(said, "detection.held_back")} == {
        f"規則{RULES.index(rule)}": n for rule, n in expected.items()
    }


def test_a_rule_of_which_no_finding_says_the_title_is_called_as_it_ships(tmp_path):
    office = good()
    one = finding(0, rule="own_record", title="自分")
    one["finding_info"]["related_analytics"] = [
        {"type_id": 1, "uid": "after_last_day", "name": "After"}, {"type_id": 1, "uid": "of_the_office", "name": "Ours"},
    ]  # fmt: skip
    office.findings.append(one)

    said = section(gathered(tmp_path, office), Draft())

    names = {one["規則"] for one in rows(said, "detection.by_rule")}
    assert names == {"自分（own_record）", "退職後のIDによる操作（after_last_day）", "of_the_office（of_the_office）"}


def test_checks_that_could_not_run_are_told_with_what_they_need(tmp_path):
    office = good()
    title = {"ja": "退職後", "en": "After"}
    office.runs[0]["not_run"] = [{"check": "after_last_day", "title": title, "needs": ["staff.end", "accounts"]}]

    said = section(gathered(tmp_path, office), Draft())

    [line] = rows(said, "detection.not_run")
    assert line == {"規則": "退職後", "番号": "after_last_day", "必要なもの": "accounts.csv、staff.csv の end 列"}


def test_without_a_run_it_is_not_known_what_could_not_run(tmp_path):
    office = good()
    office.runs.clear()

    said = section(gathered(tmp_path, office), Draft())

    assert "runs.ndjson" in texts(said)
    assert not any(getattr(one, "id", "") == "detection.not_run" for one in said.blocks)


def test_rates_of_the_model_are_those_of_a_plain_loop(tmp_path):
    office = good()
    for number, one in enumerate(office.sessions):
        one["p"] = ((number * 37) % 1000 + 0.5) / 1000 if number % 10 else None
    scored = [one["p"] for one in office.sessions if one["p"] is not None]

    said = section(gathered(tmp_path, office), Draft())

    assert figures(said)["detection.scored"].value == len(scored)
    table = rows(said, "detection.rates")
    assert [one["名目"] for one in table] == [0.05, 0.01, 0.001]
    for one in table:
        hits = sum(p <= one["名目"] for p in scored)
        assert one["実際の件数"] == hits
        assert one["名目どおりの件数"] == pytest.approx(one["名目"] * len(scored))
        assert one["実際÷名目"] == pytest.approx(hits / len(scored) / one["名目"])
        assert one["下限"] <= one["実際÷名目"] <= one["上限"]


def test_a_model_that_calls_everything_odd_reads_more_than_nominal(tmp_path):
    office = good()
    for one in office.sessions:
        one["p"] = 0.0001

    assert {one["読み方"] for one in rows(section(gathered(tmp_path, office), Draft()), "detection.rates")} == {
        "名目より多い"
    }


@pytest.mark.parametrize(("mode", "why"), [("retrospective", "p 列"), ("rules", "規則だけ")])
def test_without_scores_the_rates_are_not_known(tmp_path, mode, why):
    office = good()
    office.runs[0]["mode"] = mode
    for one in office.sessions:
        one["p"] = None

    said = section(gathered(tmp_path, office), Draft())

    assert figures(said)["detection.scored"].value is None
    assert why in texts(said)
    assert not any(getattr(one, "id", "") == "detection.rates" for one in said.blocks)


def allowed(finding_uid, since, until, **more):
    return Exemption(finding_uid, since, "100007", "100007", "応援業務", until, **more)


def test_exceptions_name_who_stands_for_them_and_what_they_hid(tmp_path):
    office = busy()
    first, since, until = office.findings[0], moment("2026-03-05"), moment("2026-05-01")
    elsewhere = {
        "finding": "f-00000000000000ff",
        "by": "100009",
        "time": moment("2026-02-01"),
        "until": until,
        "reason": "別",
    }
    for one in office.findings[1:4]:
        one["unmapped"]["exception"] = {
            "finding": uid(first),
            "by": "100007",
            "time": since,
            "until": until,
            "count": 1,
        }
    office.findings[5]["unmapped"]["exception"] = elsewhere
    known = [
        allowed(uid(first), since, until, analytic="after_last_day", actor=WELFARE[0], approver="100003"),
        allowed("f-1", moment("2025-06-01"), moment("2026-02-01"), actor="x"),
    ]

    said = section(gathered(tmp_path, office, exemptions=known), Draft())

    one, other = rows(said, "detection.exceptions")
    assert (one["責任者"], one["期限"], one["控えた検知"]) == ("100007（承認 100003）", until, 3)
    assert one["許した範囲"] == f"規則 規則0、利用者 {WELFARE[0]}"
    assert (other["責任者"], other["控えた検知"], other["もとの検知"]) == ("100009", 1, "f-00000000000000ff")
    assert figures(said)["detection.excepted"].value == 4


def test_an_exception_that_was_withdrawn_says_when(tmp_path):
    known = [
        allowed("f-1", moment("2026-03-02"), moment("2026-05-01"), actor="x"),
        allowed("f-1", moment("2026-03-09"), moment("2026-03-08"), actor="x"),
    ]

    [line] = rows(section(gathered(tmp_path, good(), exemptions=known), Draft()), "detection.exceptions")

    assert line["理由"] == "応援業務（令和8年3月9日（月） 00:00 に取消・変更）"


def test_only_exceptions_in_force_in_the_period_count():
    begin, end = 100, 200

    def spans(*known):
        return [(one.at, ended) for one, ended in in_force(known, begin, end)]

    assert spans(allowed("f", 10, 99, actor="a")) == []
    assert spans(allowed("f", 10, 100, actor="a")) == [(10, None)]
    assert spans(allowed("f", 200, 300, actor="a")) == []
    # Withdrawn before, and within: `until` before `at` only withdraws.
    assert spans(allowed("f", 10, 300, actor="a"), allowed("f", 50, 49, actor="a")) == []
    assert spans(allowed("f", 10, 300, actor="a"), allowed("f", 150, 149, actor="a")) == [(10, 150)]
    assert spans(allowed("f", 10, 300, actor="a"), allowed("f", 100, 99, actor="a")) == []
    # Replaced by one of the same scope, not by one of another.
    assert spans(allowed("f", 10, 300, actor="a"), allowed("f", 150, 400, actor="a")) == [(10, 150), (150, None)]
    assert spans(allowed("f", 10, 300, actor="a"), allowed("f", 150, 400, actor="b")) == [(10, None), (150, None)]


def test_what_changed_between_findings_is_told(tmp_path):
    office = busy()
    for one in office.findings:
        late = one["time"] >= moment("2026-03-15")
        one["unmapped"]["versions"] = {
            "code": "0.1.0",
            "rules": "sha256:" + ("b" if late else "a") * 64,
            "exceptions": "none",
        }
    office.runs.clear()

    said = section(gathered(tmp_path, office), Draft())

    assert "対象期間に変わったもの：規則。" in texts(said)
    table = rows(said, "detection.versions")
    assert [(one["種類"], one["版"]) for one in table] == [("本体", "0.1.0"), ("規則", "a" * 16), ("規則", "b" * 16)]
    early = [one for one in office.findings if one["time"] < moment("2026-03-15")]
    assert table[1]["検知"] == len(early)
    assert table[1]["最後の検知"] == max(one["time"] for one in early)


def test_what_changed_since_the_analysis_before_is_told(tmp_path):
    office = good()
    runs = [
        ("a-1", moment("2026-03-01"), {"first": moment("2026-02-01"), "last": moment("2026-02-28"), "versions": {"code": "0.1.0", "rules": "r1"}}),
        ("a-2", moment("2026-04-01"), {"first": MARCH.begin, "last": MARCH.end - 1, "versions": {"code": "0.1.0", "rules": "r2"}}),
    ]  # fmt: skip

    said = section(gathered(tmp_path, office, runs=runs), Draft())

    assert "から変わったもの：規則。" in texts(said)
    assert "対象期間に、規則・モデルなどの変更はありませんでした。" in texts(said)
    assert {(one["種類"], one["版"], one["分析"]) for one in rows(said, "detection.versions")} == {
        ("本体", "0.1.0", 1),
        ("規則", "r2", 1),
    }


def test_without_versions_nothing_is_known_of_changes(tmp_path):
    office = good()
    office.runs.clear()

    said = section(gathered(tmp_path, office), Draft())

    assert "何が変わったかは分かりません" in texts(said)
    assert not any(one.block == "notice" and one.tone is Tone.GOOD for one in said.blocks)


def test_without_a_database_precision_is_not_known(tmp_path):
    said = section(gathered(tmp_path, busy(), None), Draft())

    found = figures(said)
    for name in ("decided", "confirmed", "dismissed", "precision"):
        assert (found[f"detection.{name}"].value, found[f"detection.{name}"].tone) == (None, Tone.LACKING)
    assert all(one["不正・誤り"] is None and one["件数"] for one in rows(said, "detection.by_rule"))
    assert texts(said).count("audit.database") == 2


def test_what_waits_for_a_second_person_is_no_decision(tmp_path):
    office = good()
    office.findings.append(finding(0))
    done = [entry(uid(office.findings[0]), 1, at(WORKING[3]), Action.CLOSE, text="不正", code=Code.MISUSE)]

    assert figures(section(gathered(tmp_path, office, done), Draft()))["detection.confirmed"].value == 0


def test_a_month_without_a_record_proves_nothing(tmp_path):
    office = good()
    office.events.clear()
    office.sessions.clear()

    said = section(gathered(tmp_path, office), Draft())

    assert "記録が1件もない" in texts(said)
    assert figures(said)["detection.scored"].value is None
    assert rows(said, "detection.by_rule") == []


def test_hostile_texts_stay_what_they_are(tmp_path):
    office = good()
    hostile = "=1+1<i>\u202e"
    office.findings.append(finding(0, title=hostile))
    known = [Exemption(uid(office.findings[0]), at(WORKING[0]), hostile, hostile, hostile, MADE, actor=hostile)]

    said = section(gathered(tmp_path, office, exemptions=known), Draft())

    [line] = rows(said, "detection.exceptions")
    assert (line["責任者"], line["理由"], line["許した範囲"]) == (hostile, hostile, f"利用者 {hostile}")
    assert rows(said, "detection.by_rule")[0]["規則"].startswith(hostile)


def test_both_languages_say_the_same(tmp_path):
    made = {}
    for language in ("ja", "en"):
        office = busy()
        made[language] = section(gathered(tmp_path / language, office, decisions(office), language=language), Draft())

    numbers = [[(one.id, one.value) for one in figures(said).values()] for said in made.values()]
    assert numbers[0] == numbers[1]
    assert [one.block for one in made["ja"].blocks] == [one.block for one in made["en"].blocks]
    assert not any("\u3040" < sign < "\u30ff" for sign in texts(made["en"]))


def test_the_same_is_said_twice(month):
    _, sources, said, _ = month

    assert section(sources, Draft()) == said
