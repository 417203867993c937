"""Who looked at one person's record: figures against plain loops, and that nobody else can be read out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest

from audit.cases import Action
from audit.report import html
from audit.report.model import Report, Table, dumped
from audit.report.resident import resident
from tests.audit.office import DAYS, DISASTER, VENDORS, WELFARE, WORKING, ZONE, Office, finding, good
from tests.audit.office import at as moment
from tests.audit.report.sample import HOSTILE
from tests.audit.report.sections.month import MADE, MARCH, Period, at, entry, figures, gathered, rows, texts

TOKEN = "s_00000000000000f1"
OTHER = "s_00000000000000f2"
RELATIVE = WELFARE[7]
BEGIN, END = at("2026-03-05"), at("2026-03-27")


def consulted() -> Office:
    """A record that many looked at, for many reasons, in a busy office."""
    office = good()
    words = ("explained", "to_check", "unexplained", None, "explained", "to_check", "explained")
    reasons = ("assignment", "duty", None, None, "basis", "family_assignment", "subject_basis")
    for number in range(140):
        day, clock = WORKING[number % len(WORKING)], f"{9 + number % 9:02}:{number % 60:02}:00"
        actor = (WELFARE[number % 9], f"d.{DISASTER[number % 5]}", VENDORS[number % 2])[number % 3]
        word = number % 7
        refused = number % 11 == 5
        office.event(
            moment(day, clock), RELATIVE if reasons[word] == "family_assignment" else actor,
            "welfare" if number % 3 == 0 else "disaster", ("read", "print", "update")[number % 3],
            subject_token=TOKEN, src_device=f"PC-SECRET-{number % 4}", src_ip="192.0.2.77", op_code=f"OP{number % 3}",
            outcome="denied" if refused else "success", explained=None if refused else words[word], explained_by=None if refused else reasons[word],
            basis_ref="SEI-7" if reasons[word] == "basis" else ("SEI-7", "SEI-OTHER")[number // 6 % 2] if number % 6 == 1 else None,
            purpose_code=("reception", "訪問調査", "佐藤花子様の件", None)[number % 4], basis_law="T42" if number % 10 == 0 else None,
        )  # fmt: skip
    for number in range(6):
        office.event(
            moment(WORKING[number], "12:00:00"), WELFARE[number], "welfare", "read",
            subject_token=f"s_{0xf2 + number:016x}", purpose_code="訪問調査", explained="explained",
        )  # fmt: skip
    office.event(moment(WORKING[8], "17:00:00"), WELFARE[0], "welfare", "export", resource_count=400)
    for row in office.registers["staff"]:
        row["role"] = "係長" if row["actor_id"] == WELFARE[0] else ""
    office.registers["bases"] += [
        {"basis_ref": "SEI-7", "kind": "application", "subject_id": TOKEN, "opened": "2026-01-05", "dept": "seikatsu"},
        {"basis_ref": "SEI-OTHER", "kind": "case", "subject_id": OTHER, "opened": "2026-01-05", "dept": "seikatsu"},
    ]
    office.registers["labels"].append({"code": "OP1", "system": "disaster", "ja": "台帳の帳票", "en": "ledger sheet"})
    return office


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    office = consulted()
    one, two = (event["event.id"] for event in list(mine(office))[40:42])
    office.findings += [
        finding(1, events=[one, two], first=BEGIN, last=END - 1),
        finding(2, severity=5, events=[two], first=BEGIN, last=END - 1),
    ]
    uid = office.findings[0]["finding_info"]["uid"]
    acted = [entry(uid, 1, END, Action.NOTE, text="本人の親族 佐藤花子")]
    sources = gathered(tmp_path_factory.mktemp("resident"), office, acted)
    return office, sources


def mine(office: Office, begin: int = BEGIN, end: int = END) -> Iterator[dict]:
    for one in office.events:
        if one.get("subject.token") == TOKEN and begin <= one["time.occurred"] < end:
            yield one


def done(office: Office) -> list[dict]:
    return [one for one in mine(office) if one["event.outcome"] == "success"]


def section(report: Report, name: str):
    [found] = [one for one in report.sections if one.id == name]
    return found


def everything(report: Report) -> str:
    return dumped(report).decode()


@pytest.mark.parametrize("audience", ["resident", "office"])
def test_counts_are_those_of_a_plain_loop(audience, known):
    office, sources = known

    said = figures(section(resident(sources, TOKEN, BEGIN, END, audience, version="0"), "accesses"))

    words = Counter(one.get("explained") for one in done(office))
    assert said["accesses.total"].value == len(done(office)) > 80
    assert said["accesses.refused"].value == len(list(mine(office))) - len(done(office)) > 5
    for name, word in (("explained", "explained"), ("to_check", "to_check"), ("unexplained", "unexplained"), ("unjudged", None)):  # fmt: skip
        assert said[f"accesses.{name}"].value == words[word] > 5
    assert said["accesses.first"].value == min(one["time.occurred"] for one in done(office))
    assert said["accesses.last"].value == max(one["time.occurred"] for one in done(office))


def test_each_access_has_a_row_in_the_order_of_time(known):
    office, sources = known

    said = rows(section(resident(sources, TOKEN, BEGIN, END, version="0"), "accesses"), "accesses.all")

    assert [one["日時"] for one in said] == sorted(one["time.occurred"] for one in mine(office))


def test_sections_are_counted_as_a_plain_loop_counts_them(known):
    office, sources = known
    expected = Counter()
    for one in done(office):
        person = one["actor.id"].removeprefix("d.")
        if person in VENDORS:
            expected["委託先（架空システム保守）"] += 1
        else:
            [dept] = {row["dept"] for row in office.registers["staff"] if row["actor_id"] == person}
            expected[{"seikatsu": "生活課", "kikikanri": "危機管理課"}[dept]] += 1

    said = rows(section(resident(sources, TOKEN, BEGIN, END, version="0"), "accesses"), "accesses.by_section")

    assert {one["部署・職"]: one["操作"] for one in said} == expected
    assert [one["操作"] for one in said] == sorted(expected.values(), reverse=True)
    for one in said:
        parts = ("理由あり", "理由を確認", "理由なし", "判定なし")
        assert one["操作"] == sum(one[part] for part in parts)


def test_the_resident_reads_nothing_of_anybody_else(known):
    office, sources = known
    report = resident(sources, TOKEN, BEGIN, END, version="0")

    said = everything(report)
    page = html.render(report).decode()

    secret = {one["actor.id"] for one in office.events} | {one.get("src.device") for one in office.events}
    secret |= {one.get("subject.token") for one in office.events} - {TOKEN}
    secret |= {row["actor_id"] for row in office.registers["staff"]} | {"192.0.2.77", "SEI-OTHER", "佐藤花子", "親族"}
    secret |= {one["finding_info"]["uid"] for one in office.findings} | {one["event.id"] for one in mine(office)}
    found = sorted(one for one in secret if one is not None and (one in said or one in page))
    assert found == []
    assert TOKEN in said


def test_the_office_reads_who_it_was_and_which_finding_it_belongs_to(known):
    office, sources = known
    report = resident(sources, TOKEN, BEGIN, END, "office", version="0")

    by_time = {one["time.occurred"]: one for one in mine(office)}
    for one in rows(section(report, "accesses"), "accesses.all"):
        assert one["利用者"].startswith(by_time[one["日時"]]["actor.id"])
        assert one["端末"] == by_time[one["日時"]]["src.device"]
    found = {one["日時"]: one["検知番号"] for one in rows(section(report, "accesses"), "accesses.all")}
    times = [one["time.occurred"] for one in list(mine(office))[40:42]]
    # The second event is in both findings; the worse one is named.
    assert [found[one] for one in times] == ["f-0000000000000001", "f-0000000000000002"]
    assert sum(one is not None for one in found.values()) == 2
    records = [one["記録番号"] for one in rows(section(report, "accesses"), "accesses.records")]
    assert sorted(records) == sorted(one["event.id"] for one in mine(office))
    others = {one.get("subject.token") for one in office.events} - {TOKEN, None}
    assert [one for one in others if one in everything(report)] == []


def test_a_purpose_in_free_words_is_shown_if_it_was_stated_for_five_people(known):
    office, sources = known
    by_time = {one["time.occurred"]: one.get("purpose.code") for one in mine(office)}

    for one in rows(section(resident(sources, TOKEN, BEGIN, END, version="0"), "accesses"), "accesses.all"):
        shown = {"reception": "窓口対応", "訪問調査": "訪問調査", None: "記録なし"}
        stated = by_time[one["日時"]]
        assert one["利用目的"] == shown.get(stated, "非開示（決まり3）")
    office_row = rows(section(resident(sources, TOKEN, BEGIN, END, "office", version="0"), "accesses"), "accesses.all")
    assert {one["利用目的"] for one in office_row} == {"窓口対応", "訪問調査", "記録なし", "佐藤花子様の件"}


@pytest.mark.parametrize("key", ["purpose_code", "actor_dept", "actor_role", "op_name"])
@pytest.mark.parametrize(("others", "shown"), [(3, False), (4, True)])
def test_the_fifth_person_makes_a_word_common(others, shown, key, tmp_path):
    office = good()
    for number in range(others + 1):
        token = TOKEN if number == 0 else f"s_{number:016x}"
        office.event(
            at("2026-03-10 10:00") + number, "nobody", "welfare", "read", subject_token=token, **{key: "特別調査"}
        )
    # Events that name nobody are not people.
    office.event(at("2026-03-10 11:00"), "nobody", "welfare", "list", **{key: "特別調査"})

    sources = gathered(tmp_path, office)

    assert ("特別調査" in everything(resident(sources, TOKEN, BEGIN, END, version="0"))) is shown
    assert "特別調査" in everything(resident(sources, TOKEN, BEGIN, END, "office", version="0"))


def test_a_reference_is_shown_where_it_is_this_persons_own(known):
    office, sources = known
    by_time = {one["time.occurred"]: one for one in mine(office)}

    seen = Counter()
    for one in rows(section(resident(sources, TOKEN, BEGIN, END, version="0"), "accesses"), "accesses.all"):
        event = by_time[one["日時"]]
        if event.get("explained.by") == "basis":
            assert "本人の手続きの記録、申請 SEI-7" in one["業務上の根拠"]
        elif event.get("basis.ref") == "SEI-7":
            assert one["業務上の根拠"].startswith(
                ("申請 SEI-7", "本人又は地区の担当、申請 SEI-7", "所属部署に本人の手続きがある、申請 SEI-7")
            )
        elif event.get("basis.ref"):
            assert "番号は非開示（決まり2）" in one["業務上の根拠"]
        assert ("法令上の根拠 T42" in one["業務上の根拠"]) is (event.get("basis.law") == "T42")
        seen[event.get("explained.by") == "basis", event.get("basis.ref")] += 1
    assert min(seen[True, "SEI-7"], seen[False, "SEI-7"], seen[False, "SEI-OTHER"]) > 3


def test_section_and_role_are_those_of_the_time(tmp_path):
    office = good()
    [row] = [one for one in office.registers["staff"] if one["actor_id"] == WELFARE[2]]
    moved = row | {"dept": "zeimu", "valid_from": "2026-03-12", "role": "主査"}
    row |= {"valid_to": "2026-03-11", "role": "主事"}
    office.registers["staff"].append(moved)
    for day in (10, 11, 12, 13):
        office.event(at(f"2026-03-{day} 10:00"), WELFARE[2], "welfare", "read", subject_token=TOKEN)

    report = resident(gathered(tmp_path, office), TOKEN, BEGIN, END, version="0")

    said = [one["部署・職"] for one in rows(section(report, "accesses"), "accesses.all")]
    assert said == ["生活課 主事", "生活課 主事", "税務課 主査", "税務課 主査"]


def test_what_names_nobody_and_silent_logs_are_told(known):
    office, sources = known
    limits = section(resident(sources, TOKEN, at("2026-03-02"), at("2026-04-01"), "office", version="0"), "limits")

    many = {"list", "search", "print", "export", "copy", "send", "provide", "import"}
    unnamed = [one for one in office.events if one["event.action"] in many and not one.get("subject.token")]
    assert figures(limits)["limits.unnamed"].value == len(unnamed) > 1
    # Days of the register's calendar without any line, log by log: the last two of March for all five, and what a log left out.
    silent = Counter()
    for source in ("welfare-ops", "welfare-auth", "disaster-ops", "disaster-media", "server-syslog"):
        spoken = {moment_day(one["time.occurred"]) for one in office.events if one["source.id"] == source}
        for day in (*WORKING, *(DAYS[-1].replace(day=n) for n in (30, 31))):
            silent[source] += str(day) not in spoken
    assert {one["ログ"]: one["記録のない開庁日（延べ）"] for one in rows(limits, "limits.by_source")} == silent
    assert f"延べ {sum(silent.values())} 日" in texts(limits)


def moment_day(ms: int) -> str:
    return str(datetime.fromtimestamp(ms / 1000, ZONE).date())


def test_nobody_looked(known):
    _, sources = known
    report = resident(sources, "s_00000000000000ee", BEGIN, END, version="0")

    assert figures(section(report, "accesses"))["accesses.total"].value == 0
    assert figures(section(report, "accesses"))["accesses.first"].value is None
    assert "操作の記録はありません" in report.summary[0]
    [table] = [one for one in section(report, "accesses").blocks if isinstance(one, Table) and one.id == "accesses.all"]
    assert table.rows == ()


@pytest.mark.parametrize(("missing", "told"), [("staff", "staff.csv"), ("bases", "業務理由（bases.csv）")])
def test_what_registers_are_missing_is_told(missing, told, tmp_path):
    office = consulted()
    del office.registers[missing]

    report = resident(gathered(tmp_path, office), TOKEN, BEGIN, END, version="0")

    assert told in texts(section(report, "limits"))


def test_a_period_that_is_not_over_makes_a_draft(tmp_path):
    sources = gathered(tmp_path, consulted(), as_of=at("2026-03-20"))

    assert resident(sources, TOKEN, BEGIN, at("2026-03-20"), version="0").draft is None
    report = resident(sources, TOKEN, BEGIN, at("2026-03-21"), version="0")
    assert report.draft == "速報：対象期間が終わっていない"
    assert "この後の操作は含みません" in texts(section(report, "limits"))


def test_before_the_first_record_nothing_is_known(tmp_path):
    sources = gathered(tmp_path, consulted(), period=Period("2026", at("2026-01-01"), MARCH.end), as_of=MADE)

    limits = section(resident(sources, TOKEN, at("2026-01-01"), END, version="0"), "limits")

    assert "令和8年3月2日（月） 08:50 より前の記録は分析していない" in texts(limits)


@pytest.mark.parametrize(
    ("token", "begin", "end", "said"),
    [
        ("SEI0001", BEGIN, END, "is no token"),
        ("s_/../../00000000", BEGIN, END, "is no token"),
        ("h_00000000000000f1", BEGIN, END, "is no token"),
        (f"{TOKEN}\n", BEGIN, END, "is no token"),
        (TOKEN, END, END, "must not be empty"),
        (TOKEN, BEGIN, MARCH.end + 1, "where the data ends"),
    ],
)
def test_what_cannot_be_asked_is_refused(token, begin, end, said, known):
    with pytest.raises(ValueError, match=said):
        resident(known[1], token, begin, end, version="0")


@pytest.mark.parametrize("audience", ["resident", "office"])
@pytest.mark.parametrize("language", ["ja", "en"])
def test_hostile_logs_make_a_page_in_both_languages(language, audience, tmp_path):
    office = good()
    for number, text in enumerate(text for text in HOSTILE if text.strip() and "\x00" not in text):
        office.event(
            at("2026-03-10 10:00") + number, text, text, "read", subject_token=TOKEN, op_code=text, op_name=text,
            purpose_code=text, basis_ref=text, basis_law=text, src_device=text, actor_dept=text, actor_role=text,
        )  # fmt: skip

    report = resident(gathered(tmp_path, office, language=language), TOKEN, BEGIN, END, audience, version="0")

    page = html.render(report).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert html.render(report).decode() == page
