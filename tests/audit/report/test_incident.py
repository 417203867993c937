"""The report of a leak: what is known stands in it, what is not known reads so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from audit.cases import Action, Code, Entry
from audit.chains.verdict import GAP, Problem, Verdict
from audit.desk import NoSuchCase
from audit.report import html
from audit.report.incident import incident
from audit.report.model import Report, Tone, dumped
from audit.report.sources import Evidence, Sources
from tests.audit.office import DISASTER, VENDORS, WELFARE, Office, finding, good
from tests.audit.report.sample import HOSTILE
from tests.audit.report.sections.month import at, closed, entry, figures, gathered, rows, texts

FIRST, LAST = at("2026-03-10 20:00"), at("2026-03-10 21:00")
KNOWN = at("2026-03-12 10:00")
UID = "f-0000000000000003"
UNKNOWN = "不明・確認中"


def leaked(**more: object) -> Office:
    """Forty accesses in an evening by three people of two sections, of which some took data out."""
    office = good()
    ids = []
    for number in range(40):
        uid = office.event(
            FIRST + number * 60_000, (WELFARE[0], WELFARE[1], f"d.{DISASTER[0]}")[number % 3],
            "disaster" if number % 3 == 2 else "welfare", ("read", "print", "export", "update")[number % 4],
            subject_token=f"s_{number % 13:016x}", resource_class=("welfare", "mynumber", "health")[number % 3],
            outcome="denied" if number % 10 == 9 else "success", destination="share-3" if number % 8 == 2 else None,
        )  # fmt: skip
        ids.append(uid)
    office.findings.append(finding(3, events=ids, first=FIRST, last=LAST, **more))
    return office


def events(office: Office) -> list[dict]:
    [found] = [one for one in office.findings if one["finding_info"]["uid"] == UID]
    wanted = {one["uid"] for one in found["finding_info"]["related_events"]}
    return [one for one in office.events if one["event.id"] in wanted]


def gathered_case(folder: Path, office: Office, entries: list[Entry] | None = None) -> Sources:
    return gathered(folder, office, entries or [])


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    office = leaked()
    return office, gathered_case(tmp_path_factory.mktemp("incident"), office)


def section(report: Report, name: str):
    [found] = [one for one in report.sections if one.id == name]
    return found


def fields(report: Report) -> dict[tuple[str, str], tuple[str, str]]:
    said = rows(section(report, "fields"), "fields.all")
    return {(one["事項"], one["細目"]): (one["内容"], one["記入のもと"]) for one in said}


def situations(report: Report) -> dict[str, str]:
    return {one["事態"]: one["ログから言えること"] for one in rows(section(report, "reportable"), "reportable.all")}


def test_all_nine_matters_are_there_in_their_order(known):
    said = rows(section(incident(known[1], UID, KNOWN, version="0"), "fields"), "fields.all")

    matters = ["概要", "個人データの項目", "本人の数", "原因", "二次被害", "本人への対応", "公表", "再発防止", "その他"]
    assert list(dict.fromkeys(one["事項"] for one in said)) == matters
    assert [one["番号"] for one in said] == [matters.index(one["事項"]) + 1 for one in said]


def test_what_logs_say_is_what_a_plain_loop_counts(known):
    office, sources = known
    said = fields(incident(sources, UID, KNOWN, version="0"))
    done = [one for one in events(office) if one["event.outcome"] == "success"]
    classes = Counter(one["resource.class"] for one in done)
    actions = Counter(one["event.action"] for one in done)
    people = {one["subject.token"] for one in done}
    acted = {one["actor.id"] for one in events(office)}

    assert said["本人の数", "本人の数"] == (f"{len(people)}人", "ログ")
    assert len(people) == 13
    assert said["個人データの項目", "個人番号"][0] == f"含む（{classes['mynumber']} 件の記録）"
    words = {"welfare": "福祉", "mynumber": "個人番号", "health": "健康・医療"}
    assert set(said["個人データの項目", "情報の区分"][0].split("、")) == {
        f"{words[one]}（{n} 件）" for one, n in classes.items()
    }
    assert (
        said["二次被害", "持ち出し・出力の記録"][0]
        == f"出力 {actions['export']} 件、印刷 {actions['print']} 件、share-3"
    )
    sections = Counter("生活課" if one in WELFARE else "危機管理課" for one in acted)
    assert said["概要", "操作した者"][0] == f"危機管理課 {sections['危機管理課']}人、生活課 {sections['生活課']}人"
    assert said["概要", "システム"][0] == "被災者台帳システム、生活保護システム"
    assert said["概要", "発生日時"][0] == "令和8年3月10日（火） 20:00〜21:00"


def test_what_is_not_known_reads_so_and_is_counted(known):
    report = incident(known[1], UID, KNOWN, version="0")
    said = fields(report)

    for point in [
        ("概要", "漏えい・滅失・毀損の別"), ("個人データの項目", "項目（氏名、住所等）"), ("原因", "原因"), ("二次被害", "二次被害又はそのおそれ"),
        ("本人への対応", "本人への通知等"), ("公表", "公表の状況"), ("再発防止", "講じた措置"), ("その他", "証跡の検証"),
    ]:  # fmt: skip
        assert said[point] == (UNKNOWN, "－")
    n = sum(content == UNKNOWN for content, _ in said.values())
    assert report.draft == f"下書き：不明・確認中の項目 {n} 件"
    assert report.summary[2] == f"{len(said)} 項目のうち {n} 項目が不明・確認中です。"


def test_nobody_on_file_and_nobody_who_acted_is_named(tmp_path):
    office = leaked(actor=WELFARE[0], ja=f"職員{WELFARE[0]}（d.{DISASTER[0]}）が、1{WELFARE[0]}件を出力した。")
    report = incident(gathered_case(tmp_path, office), UID, KNOWN, version="0")

    assert fields(report)["概要", "事実の経過"][0] == f"職員（ID略）（（ID略））が、1{WELFARE[0]}件を出力した。"
    said = dumped(report).decode().replace(f"1{WELFARE[0]}件", "")

    names = {one["actor.id"] for one in events(office)} | {one["subject.token"] for one in events(office)}
    assert sorted(one for one in names if one in said) == []


def test_events_that_say_nobodys_name_make_the_number_a_least(tmp_path):
    office = leaked()
    uid = office.event(LAST, WELFARE[0], "welfare", "export", resource_count=700)
    office.event(LAST, WELFARE[0], "welfare", "logoff")
    office.findings[0]["finding_info"]["related_events"] += [{"uid": uid}, {"uid": office.events[-1]["event.id"]}]
    report = incident(gathered_case(tmp_path, office), UID, KNOWN, version="0")

    assert fields(report)["本人の数", "本人の数"][0] == "少なくとも13人（対象者の記録がない操作が 1 件ある）"
    assert fields(report)["本人の数", "出力等の件数"][0] == "700"
    assert "区分の記録がないもの（1 件）" in fields(report)["個人データの項目", "情報の区分"][0]
    assert situations(report)["本人の数が100人を超える"] == "不明"


@pytest.mark.parametrize(("people", "said"), [(100, "いいえ"), (101, "はい")])
def test_more_than_a_hundred_people_are_told(people, said, tmp_path):
    office = good()
    ids = [
        office.event(FIRST + n, WELFARE[0], "welfare", "read", subject_token=f"s_{n:016x}", resource_class="welfare")
        for n in range(people)
    ]
    office.findings.append(finding(3, events=ids, first=FIRST, last=LAST))

    report = incident(gathered_case(tmp_path, office), UID, KNOWN, version="0")

    assert situations(report) == {
        "特定個人情報（個人番号）を含む": "不明", "評価書のあるシステムの情報である": "はい", "不正の目的をもって行われたおそれがある": "不明",
        "本人の数が100人を超える": said, "要配慮個人情報を含む": "不明", "財産的被害のおそれがある": "不明",
    }  # fmt: skip


def test_what_has_no_assessment_holds_my_numbers_only_where_the_log_says_so(tmp_path):
    for number, (kind, said) in enumerate([("tax", "いいえ"), ("mynumber", "はい"), (None, "不明")]):
        office = good()
        ids = [office.event(FIRST, WELFARE[0], "tax", "read", subject_token="s_1", resource_class=kind)]
        office.findings.append(finding(3, events=ids, first=FIRST, last=LAST))
        folder = tmp_path / str(number)
        folder.mkdir()

        found = situations(incident(gathered_case(folder, office), UID, KNOWN, version="0"))

        assert found["特定個人情報（個人番号）を含む"] == said
        assert found["評価書のあるシステムの情報である"] == "不明"


def test_events_that_are_gone_leave_what_they_would_say_open(tmp_path):
    office = leaked()
    office.findings[0]["finding_info"]["related_events"].append({"uid": "ffffffffffffffff"})
    report = incident(gathered_case(tmp_path, office), UID, KNOWN, version="0")

    assert "検知が示す 1 件の記録が見つかりません。" in texts(section(report, "events"))
    assert fields(report)["二次被害", "持ち出し・出力の記録"][0] == UNKNOWN
    assert situations(report)["本人の数が100人を超える"] == "不明"


def test_deadlines_are_counted_in_calendar_days_from_knowing(known):
    said = section(incident(known[1], UID, KNOWN, version="0"), "deadlines")

    numbers = figures(said)
    assert numbers["deadlines.known_at"].value == KNOWN
    assert numbers["deadlines.first"].value == "2026-03-16"
    # The thirtieth day is Friday, 10 April; the report is made on 20 April.
    assert numbers["deadlines.full"].value == "2026-04-10"
    table = rows(said, "deadlines.table")
    assert [one["当たる日"] for one in table] == ["2026-03-14", "2026-03-16", "2026-04-10", "2026-05-10"]
    assert [one["期限"] for one in table] == ["2026-03-14", "2026-03-16", "2026-04-10", "2026-05-11"]
    assert [one["残りの日数"] for one in table] == [-37, -35, -10, 21]
    assert [one["適用"] for one in table] == ["目安", "目安", "この期限による", "不正の目的のおそれがある場合"]
    told = texts(said)
    assert "速報の期限（3月16日（月））" in told.replace("令和8年", "")
    assert "確報の期限（4月10日（金））" in told.replace("令和8年", "")
    assert "早い方の30日" in told


def test_knowing_late_in_the_evening_is_of_that_day_here_and_not_of_utc(known):
    for clock, day in (("00:30", "2026-03-16"), ("23:30", "2026-03-16")):
        said = section(incident(known[1], UID, at(f"2026-03-12 {clock}"), version="0"), "deadlines")
        assert figures(said)["deadlines.first"].value == day


@pytest.mark.parametrize(
    ("code", "given", "days"),
    [(Code.MISUSE, None, 60), (Code.MISTAKE, None, 30), (None, None, 30), (None, True, 60), (Code.MISUSE, False, 30)],
)
def test_wrongful_intent_gives_sixty_days(code, given, days, tmp_path):
    entries = closed(UID, 1, LAST + 1, code) if code else []
    report = incident(gathered_case(tmp_path, leaked(), entries), UID, KNOWN, version="0", wrongful=given)

    table = rows(section(report, "deadlines"), "deadlines.table")
    assert [one["数え方"] for one in table if one["適用"] == "この期限による"] == [f"知った日を1日目として{days}日目"]
    assert ("早い方の30日" in texts(section(report, "deadlines"))) is (code is None and given is None)


def test_a_closed_case_says_the_cause_and_a_proposal_does_not(tmp_path):
    proposed, confirmed = closed(UID, 1, LAST + 1, Code.MISUSE)
    for folder, entries, said in (
        (tmp_path / "a", [proposed], UNKNOWN),
        (tmp_path / "b", [proposed, confirmed], "不正な利用：確認した"),
    ):
        folder.mkdir()
        report = incident(gathered_case(folder, leaked(), entries), UID, KNOWN, version="0")
        assert fields(report)["原因", "原因"][0] == said


def test_notes_that_begin_with_the_name_of_a_matter_fill_it(tmp_path):
    entries = [
        entry(UID, 1, LAST + 1, Action.NOTE, text="公表：検討中"),
        entry(UID, 2, LAST + 2, Action.NOTE, text="公表: 3月13日に市のサイトで公表した"),
        entry(UID, 3, LAST + 3, Action.NOTE, text="本人の数：世帯員を含めて20人"),
        entry(UID, 4, LAST + 4, Action.NOTE, text="公表について相談した"),
        entry(UID, 5, LAST + 5, Action.NOTE, text="Prevention: ids were closed"),
    ]
    said = fields(incident(gathered_case(tmp_path, leaked(), entries), UID, KNOWN, version="0"))

    assert said["公表", "公表"] == ("3月13日に市のサイトで公表した", "案件の記録")
    assert said["本人の数", "補足"] == ("世帯員を含めて20人", "案件の記録")
    assert said["本人の数", "本人の数"][0] == "13人"
    assert said["再発防止", "再発防止"] == ("ids were closed", "案件の記録")
    assert ("公表", "公表の状況") not in said


def test_the_course_is_told_in_the_order_of_time(tmp_path):
    entries = [
        entry(UID, 1, LAST + 60_000, Action.CLAIM),
        entry(UID, 2, KNOWN + 60_000, Action.ASK, text="理由は", whom=WELFARE[0], due=KNOWN + 600_000),
    ]
    report = incident(gathered_case(tmp_path, leaked(), entries), UID, KNOWN, version="0")

    said = rows(section(report, "course"), "course.all")
    assert [one["内容"] for one in said] == [
        "関係する最初の操作", "関係する最後の操作", "検知", "担当となった", "知った時点（報告期限の起算）", "説明を求めた：理由は",
    ]  # fmt: skip
    assert [one["日時"] for one in said] == sorted(one["日時"] for one in said)


def test_each_event_is_listed(known):
    office, sources = known
    said = rows(section(incident(sources, UID, KNOWN, version="0"), "events"), "events.all")

    assert [one["記録番号"] for one in said] == [one["event.id"] for one in events(office)]
    assert [one["結果"] == "実行" for one in said] == [one["event.outcome"] == "success" for one in events(office)]


def test_contractors_are_named_as_companies(tmp_path):
    office = good()
    ids = [office.event(FIRST, VENDORS[0], "disaster", "export"), office.event(LAST, DISASTER[0], "disaster", "read")]
    office.findings.append(finding(3, events=ids, first=FIRST, last=LAST))

    said = fields(incident(gathered_case(tmp_path, office), UID, KNOWN, version="0"))

    assert said["概要", "委託先"][0] == "架空システム保守"
    assert said["概要", "操作した者"][0] == "危機管理課 1人"


def test_what_the_verifier_found_is_told(known):
    verdict = Verdict((Problem(GAP, "ag", "missing"),), ())
    sources = replace(known[1], evidence=Evidence(verdict, command="sekimori verify"))

    assert fields(incident(sources, UID, KNOWN, version="0"))["その他", "証跡の検証"] == ("欠落あり", "ログ")


def test_what_is_late_is_urgent_on_the_last_day_already(known):
    sources = replace(known[1], as_of=at("2026-03-16 09:00"))
    said = figures(section(incident(sources, UID, KNOWN, version="0"), "deadlines"))

    assert said["deadlines.first"].tone == Tone.URGENT
    assert said["deadlines.full"].tone == Tone.CHECK
    assert "過ぎています" not in texts(section(incident(sources, UID, KNOWN, version="0"), "deadlines"))


@pytest.mark.parametrize(("name", "said"), [("f-00", "is no finding"), ("f-1", "is no finding"), ("", "is no finding")])
def test_a_case_that_is_not_there_is_refused(name, said, known):
    with pytest.raises(NoSuchCase, match=said):
        incident(known[1], name if name != "f-00" else "f-0000000000000004", KNOWN, version="0")


def test_the_beginning_of_a_uid_is_enough_if_it_means_one(tmp_path):
    office = leaked()
    office.findings.append(finding(0x40000000, risk=10.0))
    sources = gathered_case(tmp_path, office)

    assert (
        incident(sources, "f-000000000", KNOWN, version="0").summary
        == incident(sources, UID, KNOWN, version="0").summary
    )
    with pytest.raises(NoSuchCase, match="may be any of several"):
        incident(sources, "f-000", KNOWN, version="0")


@pytest.mark.parametrize("moment", [FIRST - 1, at("2026-04-21 00:00")])
def test_nobody_knows_before_it_happens_or_after_now(moment, known):
    with pytest.raises(ValueError, match="between its first event and today"):
        incident(known[1], UID, moment, version="0")


def test_what_became_known_today_can_be_reported_today(known):
    said = section(incident(known[1], UID, at("2026-04-20 23:59"), version="0"), "deadlines")

    assert figures(said)["deadlines.first"].value == "2026-04-24"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_hostile_texts_make_a_page_in_both_languages(language, tmp_path):
    evil = HOSTILE[0]
    office = good()
    ids = [
        office.event(FIRST, evil, evil, "export", destination=evil, media_id=evil, resource_class=evil, actor_dept=evil)
    ]
    office.findings.append(
        finding(3, events=ids, first=FIRST, last=LAST, ja=evil, en=evil, title=evil, name=evil, rule=evil)
    )
    notes = [entry(UID, n, LAST + n, Action.NOTE, text=f"{evil} {text}") for n, text in enumerate(HOSTILE[:8], start=1)]

    report = incident(gathered(tmp_path, office, notes, language=language), UID, KNOWN, version="0", stage="final")

    page = html.render(report).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
