"""The page: what stands in it, that nothing in it can harm, and that it can be made again."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit import overview, tables, wording
from registers import site as sites
from tests.audit.breaches import BREACHES
from tests.audit.office import DAYS, DISASTER, WELFARE, WORKING, Office, at, finding, good

EVIL = "<script>alert('関')</script>&\"x"


class _Page(HTMLParser):
    """Collects what a page must not hold, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip() and self.open[-1] != "style":
            self.text.append(re.sub(r"[ \n]+", " ", data).strip(" "))


def page(office: Office, folder: Path, language: wording.Language = "ja") -> str:
    out, site = office.write(folder)
    return overview.write(out, site, language).read_text(encoding="utf-8")


def told(office: Office, folder: Path, language: wording.Language = "ja") -> str:
    return "\n".join(_Page(page(office, folder, language)).text)


def hostile() -> Office:
    """Every text of logs, findings and registers that reaches the page is hostile."""
    office = good()
    when = at(WORKING[0], "15:00:00")
    office.event(when, EVIL, EVIL, "read", source_id=EVIL, explained="unexplained", src_device=EVIL, op_code=EVIL)
    office.findings.append(
        finding(
            1,
            actor=EVIL,
            title=EVIL,
            name=EVIL,
            ja=EVIL,
            en=EVIL,
            check=EVIL,
            rule=EVIL,
            controls=[EVIL],
            shares=[(EVIL, 1.0, 3, 0, None, EVIL)],
            events=[office.events[-1]["event.id"]],
        )
    )
    office.rejected.append({"source.id": EVIL, "source.position": EVIL, "reason": EVIL, "detail": EVIL, "line": EVIL})
    office.runs[0] |= {"problems": [EVIL], "sources": [EVIL], "versions": {EVIL: EVIL}}
    office.runs[0]["not_run"] = [
        {"check": EVIL, "needs": [EVIL]},
        {"check": "a", "title": {"ja": EVIL, "en": EVIL}, "needs": []},
    ]
    office.toml = office.toml.replace('name = "架空市"', "name = '''" + EVIL + "'''")
    office.registers["staff"].append({"actor_id": EVIL, "type": "staff", "dept": EVIL})
    return office


EMERGENCY = """
[[emergencies]]
name = "地震対応 <第1号>"
from = "2026-03-21T03:40:00+09:00"
to = "2026-03-31T00:00:00+09:00"
systems = ["disaster"]
[[emergencies]]
name = "去年の訓練"
from = "2025-03-21T03:40:00+09:00"
to = "2025-03-31T00:00:00+09:00"
"""


def test_an_emergency_of_the_period_is_told_and_another_is_not(tmp_path):
    office = good()
    office.toml += EMERGENCY
    text = told(office, tmp_path)

    assert "地震対応 <第1号> 令和8年3月21日（土） 03:40〜令和8年3月31日（火） 00:00 (被災者台帳システム)" in text
    assert "去年の訓練" not in text


def test_a_card_names_the_person_behind_an_account(tmp_path):
    office = good()
    office.findings.append(finding(1, actor=f"d.{DISASTER[0]}"))

    assert "d.200101（200101 危機管理課）" in told(office, tmp_path)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_text_of_logs_and_registers_is_shown_and_never_run(language, tmp_path):
    text = page(hostile(), tmp_path, language)

    found = _Page(text)
    assert found.open == []
    assert "script" not in {tag for tag, _ in found.tags}
    assert "<script" not in text
    assert sum("<script>alert('関')</script>" in line for line in found.text) > 12


def test_the_page_needs_nothing_else(tmp_path):
    text = page(hostile(), tmp_path)

    for tag, attributes in _Page(text).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "form")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?://|url\((?!#)|@import", text)


def test_links_lead_somewhere_and_ids_are_unique(tmp_path):
    office = good()
    office.findings = [finding(n, controls=["kanagawa-9/P7"]) for n in range(40)]
    office.findings.append(finding(50, severity=3, queue="review", controls=["kanagawa-9/P8"]))
    tags = _Page(page(office, tmp_path)).tags

    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for _, attributes in tags if "href" in attributes} <= set(ids)


def test_charts_and_tables_speak_to_those_who_do_not_see_them(tmp_path):
    text = page(good(), tmp_path)
    drawn = [attributes for tag, attributes in _Page(text).tags if tag == "svg"]

    assert drawn
    for attributes in drawn:
        assert attributes.get("aria-hidden") == "true" or (
            attributes["role"] == "img" and attributes["aria-labelledby"]
        )
    for head in re.findall(r"<thead>.*?</thead>", text, re.DOTALL):
        assert head.count("<th ") == head.count('scope="col"')
    assert '<html lang="ja">' in text


def test_the_same_output_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        page(hostile(), tmp_path / name)

    assert (tmp_path / "one/out/report.html").read_bytes() == (tmp_path / "two/out/report.html").read_bytes()


def test_the_verdicts_come_first_with_quote_number_and_evidence(tmp_path):
    office = good()
    BREACHES["kanagawa-9/P9"](office)
    text = told(office, tmp_path)

    assert text.index("評価書の約束ごとの判定") < text.index("次に行うこと") < text.index("ログの網羅")
    assert "評価書の約束 25 件のうち、適合 24 件、要確認 1 件、証跡不足 0 件です。" in text
    assert "情報提供ネットワークによる照会は、表の42の項及び43の項に定める事務に限って行う。" in text
    assert "2 件の照会のうち 1 件の根拠が一覧にない" in text
    assert "△ 要確認" in text


def test_without_a_site_the_page_says_that_no_assessment_is_declared(tmp_path):
    out, _ = good().write(tmp_path)
    text = overview.write(out, sites.Site.none()).read_text(encoding="utf-8")

    assert "評価書が申告されていません" in text
    assert "堺市 特定個人情報保護評価書 第48号" in text
    assert 'class="badge met">○ 適合 ' not in text


def test_an_assessment_without_controls_is_named(tmp_path):
    office = good()
    office.toml = office.toml.replace('pia = "sakai-48"', 'pia = "osaka-3"')

    assert "osaka-3 の管理策（rules/controls/osaka-3.yml）がありません" in told(office, tmp_path)


def test_a_card_says_who_when_why_and_what_to_check_first(tmp_path):
    office = good()
    office.findings.append(
        finding(
            1,
            severity=5,
            risk=96.3,
            actor=WELFARE[2],
            first=at(WORKING[0], "20:15:00"),
            title="退職後のIDによる閲覧",
            ja="退職した職員のIDが31人の記録を閲覧しました。",
            check="退職処理の日付を確認してください。",
            subjects=31,
            shares=[("leaver", 0.86, 1, 0, 0, "days"), ("peer_surprise", 0.14, 31, 14.2, 13.0, "subjects")],
            controls=["kanagawa-9/P4"],
            events=[f"{n:016x}" for n in range(34)],
        )
    )
    text = told(office, tmp_path)

    for part in (
        "緊急", "退職後のIDによる閲覧", "退職した職員のIDが31人の記録を閲覧しました。", "100103（生活課）",
        "令和8年3月2日（月） 20:15〜20:36", "w-000001", "HO0103", "34 件（関係する本人 31 人）", "退職・異動後の利用", "86%", "14.2",
        "退職処理の日付を確認してください。", "kanagawa-9/P4　権限のない者（退職者等）に使わせない（最優先のリスク）", "生活保護システム",
    ):  # fmt: skip
        assert part in text


def test_more_findings_than_fit_are_counted(tmp_path):
    office = good()
    office.findings = [finding(n, queue="review", severity=3) for n in range(35)]

    text = told(office, tmp_path)

    assert "ほか 5 件は下の一覧と findings.ndjson にあります（重大な順に 30 件を掲載）。" in text
    assert "要確認の検知 35 件を確認する。" in text


def test_a_later_line_of_a_finding_replaces_the_earlier(tmp_path):
    office = good()
    office.findings = [finding(1, queue="review", severity=3, ja="はじめ。"), finding(1, queue="alert", ja="あとで。")]
    out, site = office.write(tmp_path)

    found = tables.read(out, site).findings

    assert found.table.select("uid", "queue").rows() == [("f-0000000000000001", "alert")]
    assert "あとで。" in overview.write(out, site).read_text(encoding="utf-8")


def test_a_line_that_is_no_finding_is_told(tmp_path):
    office = good()
    office.findings = [finding(1)]
    out, site = office.write(tmp_path)
    with (out / "findings.ndjson").open("a") as file:
        file.write('{"class_uid": 2004}\nnonsense\n')

    text = overview.write(out, site).read_text(encoding="utf-8")

    assert "findings.ndjson: line 2: is no finding, left out" in text
    assert "findings.ndjson: line 3: is no finding, left out" in text


def test_what_could_not_run_and_what_was_refused_is_told(tmp_path):
    office = good()
    office.runs[0]["not_run"] = [
        {"check": "absent", "title": {"ja": "不在時の利用", "en": "absent"}, "needs": ["presence"]}
    ]
    office.rejected = [
        {"source.id": "welfare-ops", "source.position": f"a:{n}", "reason": reason, "detail": "", "line": ""}
        for n, reason in enumerate(["time", "time", "format"])
    ]
    text = told(office, tmp_path)

    assert "不在時の利用" in text
    assert "presence.csv を用意すると、実施できなかった（又は一部だけ実施した）検査 1 件が動く。" in text
    assert "3　形式 1、日時 2" in text


def test_departments_with_few_people_are_merged(tmp_path):
    office = good()
    for number, actor in enumerate(DISASTER[:8]):
        row = next(row for row in office.registers["staff"] if row["actor_id"] == actor)
        row["dept"] = "zeimu" if number == 0 else "shimin"

    text = told(office, tmp_path)

    people = text[text.index("利用者の内訳") : text.index("報告の根拠となったファイル")]
    assert "税務課" not in people
    assert "5人未満" in people
    assert "市民課\n7" in people


def test_small_departments_that_together_are_many_show_their_sum(tmp_path):
    office = good()
    for number, actor in enumerate(DISASTER[:8]):
        row = next(row for row in office.registers["staff"] if row["actor_id"] == actor)
        row["dept"] = ["shimin", "zeimu"][number % 2]

    text = told(office, tmp_path)

    assert "その他（5人未満の部署）\n8" in text


def test_the_report_comes_in_english(tmp_path):
    office = good()
    office.findings.append(finding(1))
    text = told(office, tmp_path, "en")

    assert "Verdicts, promise by promise" in text
    assert "2026-03-02 (Mon) – 2026-03-29 (Sun)" in text
    assert "used a function without right three times." in text
    assert "（" not in text.replace("架空市", "")


def test_an_empty_analysis_still_gives_a_page(tmp_path):
    office = Office()
    office.toml = good().toml
    text = told(office, tmp_path)

    assert "分析された記録がない" in text
    assert "検知はありませんでした。" in text
    assert "○ 適合 0" in text


def test_an_output_of_one_file_still_gives_a_page(tmp_path):
    (tmp_path / "findings.ndjson").write_text("")

    assert overview.write(tmp_path, sites.Site.none()).exists()


def test_a_year_is_drawn_by_day_and_decades_by_month(tmp_path):
    office = Office()
    office.event(at(date(2006, 1, 5)), "a", "x", "read")
    office.event(at(date(2026, 1, 5)), "a", "x", "read")
    text = told(office, tmp_path)

    assert "期間が長いため、月ごとにまとめました。" in text


def test_a_stray_year_does_not_make_a_million_days(tmp_path):
    office = Office()
    office.event(at(date(2026, 1, 5)), "a", "x", "read")
    office.event(at(date(9999, 1, 5)), "a", "x", "read")
    out, site = office.write(tmp_path)

    assert tables.read(out, site).frames["coverage"].collect().height < 100
    assert overview.write(out, site).exists()


def test_the_explained_share_is_of_accesses_to_a_subject(tmp_path):
    office = good()
    office.events = [event | {"explained": None} for event in office.events]
    for place, word in enumerate(["explained", "explained", "to_check", "unexplained"]):
        office.event(at(DAYS[0], "11:00:00") + place, WELFARE[0], "welfare", "read", explained=word)

    text = told(office, tmp_path)

    assert "生活保護システム　50%" in text
    assert "本人情報への操作のうち 50% に業務理由の記録があります。" in text


@pytest.mark.parametrize("name", ["sessions.parquet", "events/2026-03-02.parquet"])
def test_a_damaged_file_is_told_in_one_line(name, tmp_path):
    out, site = good().write(tmp_path)
    (out / name).write_bytes(b"PAR1 nonsense")

    with pytest.raises(tables.OutputError, match=r"a file of it cannot be read \(.*\): analyse the logs again"):
        overview.write(out, site)

    assert not (out / "report.html").exists()
