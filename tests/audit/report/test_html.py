"""The page: that all of the report stands in it, that nothing in it can harm, and that everybody can read and print it."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from audit.report import html, make
from audit.report.draft import Draft
from audit.report.incident import incident
from audit.report.resident import resident
from audit.report.writing import visible
from tests.audit.office import finding, good
from tests.audit.report.sample import HOSTILE, JIS_X_0213, LONG_NAME, RARE, sample
from tests.audit.report.sections.month import MADE, MARCH, gathered

A_MINUTE_MS = 60_000


class _Tags(HTMLParser):
    """All tags of a page; what is opened has to be closed."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "col", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def opened(browser: Browser, tmp_path: Path):
    """Open a page of these bytes from a file; one that asks for anything else fails the test, unless it may."""
    contexts = []

    def open_it(data: bytes, width: int = 1200, may_ask: bool = False) -> Page:
        path = tmp_path / "page.html"
        path.write_bytes(data)
        contexts.append(browser.new_context(viewport={"width": width, "height": 1000}))
        page = contexts[-1].new_page()
        page.set_default_timeout(5 * A_MINUTE_MS)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.goto(path.as_uri())
        assert may_ask or {url.split(":")[0] for url in asked} <= {"file", "data"}
        return page

    yield open_it
    for context in contexts:
        context.close()


def printed(page: Page, folder: Path) -> list[str]:
    """The texts of its pages on paper."""
    path = folder / "page.pdf"
    page.pdf(path=path, prefer_css_page_size=True)
    facts = subprocess.run(["pdfinfo", path], capture_output=True, check=True).stdout.decode()
    assert re.search(r"Page size:.*\(A4\)", facts)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


def hrefs(data: bytes) -> list[str]:
    return [attributes["href"] or "" for tag, attributes in _Tags(data).tags if tag == "a"]


@pytest.mark.parametrize(("language", "draft"), [("ja", True), ("en", False)])
def test_axe_finds_nothing_to_object_to(language, draft, opened):
    found = Axe().run(opened(html.render(sample(language, draft=draft, rows=60, cards=20))))

    assert found.generate_snapshot() == ""


def test_axe_does_look(opened):
    data = html.render(sample(rows=1, cards=1)).replace(b'lang="ja"', b"").replace(b"<figure><img", b"<figure><img x").replace(b" alt=", b" y=")  # fmt: skip

    found = Axe().run(opened(data)).generate_snapshot()

    assert "html-has-lang" in found
    assert "image-alt" in found


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_page_needs_nothing_else_and_holds_no_script(language):
    data = html.render(sample(language))

    found = _Tags(data)
    assert found.open == []
    for tag, attributes in found.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "form", "svg")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("src", "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
    assert not re.search(rb"url\(|@import", data)


def test_a_script_that_got_in_would_not_run(opened):
    data = html.render(sample(rows=1, cards=1))
    smuggled = b"<script>document.title='run'</script><img src='http://127.0.0.1:9/' onerror=\"document.title='run'\">"

    page = data.replace(b"</main>", smuggled + b"</main>")

    assert opened(page, may_ask=True).title() != "run"
    assert opened(page.replace(b"Content-Security-Policy", b"x"), may_ask=True).title() == "run"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_hostile_texts_read_as_they_are_written(language, opened):
    page = opened(html.render(sample(language, rows=1, cards=1)))

    cells = page.locator('table[aria-labelledby="hostile.texts"] tbody th').all_text_contents()
    blank = ("（空白）", "(blank)")[language == "en"]
    assert cells == [visible(text) if text.strip() else blank for text in HOSTILE]
    assert page.locator("main").inner_text().count(HOSTILE[0]) > 20


def test_a_draft_that_is_hostile_stays_a_text(opened, tmp_path):
    evil = "速報\"; } body { display: none } </style><script>document.title='run'</script> \\"
    page = opened(html.render(dataclasses.replace(sample(rows=1, cards=1), draft=evil, site=evil, title=evil)))

    assert page.title() != "run"
    assert page.locator("h1").inner_text() == evil.strip()
    assert all("body { display: none }" in text for text in printed(page, tmp_path))


def test_names_and_rare_characters_are_whole(opened):
    page = opened(html.render(sample(rows=3, cards=1)))

    cells = page.locator('table[aria-labelledby="kinds.text"] tbody td').all_text_contents()
    assert cells == [LONG_NAME, RARE, JIS_X_0213, "（空白）", "－"]


def test_none_reads_otherwise_than_nothing(opened):
    page = opened(html.render(sample(rows=3, cards=1)))

    cells = page.locator('table[aria-labelledby="kinds.integer"] tbody td').all_text_contents()
    assert cells == ["0", "1", "10,000,000", "-3", "－"]
    figures = page.locator(".figures > div").all_inner_texts()
    assert [part for part in re.split(r"\s+", figures[10]) if part in ("－", "不明", "0")] == ["－", "不明"]


def test_ids_are_unique_and_links_lead_somewhere():
    data = html.render(sample())

    ids = Counter(attributes["id"] for _, attributes in _Tags(data).tags if "id" in attributes)
    assert set(ids.values()) == {1}
    assert {href.removeprefix("#") for href in hrefs(data)} <= set(ids)
    named = {attributes["aria-labelledby"] for _, attributes in _Tags(data).tags if "aria-labelledby" in attributes}
    assert named <= set(ids)


def test_what_does_not_stand_in_its_section_stands_in_the_appendix_and_both_name_each_other(opened):
    page = opened(html.render(sample(rows=400, cards=60)))

    section = page.locator('table[aria-labelledby="findings.all"] tbody tr')
    rest = page.locator('table[aria-labelledby="appendix.findings.all"] tbody tr')
    seen = [*section.locator("th").all_text_contents(), *rest.locator("th").all_text_contents()]
    assert section.count() == 20
    assert seen == [f"f-{n:016x}" for n in range(400)]
    assert page.locator("article.card h4[id^='f-0000000000000']").count() == 60 + 1
    assert page.get_by_text("全400行のうち最初の20行です。続きは付録3にあります。").count() == 1
    back = page.locator("p", has_text="全400行のうち21〜400行目").locator("a")
    assert back.get_attribute("href") == "#findings.all"


def test_a_finding_in_a_table_leads_to_its_card():
    links = Counter(hrefs(html.render(sample(rows=25, cards=12))))

    # Two promises name it, and three tables.
    assert links["#f-0000000000000001"] == 5
    # Rows beyond the cards lead nowhere.
    assert "#f-0000000000000014" not in links


def test_ids_are_shown_where_they_lead_to_events():
    report = sample(rows=3, cards=1)

    assert html.render(report).count(b'class="code"') > 20
    untraced = html.render(dataclasses.replace(report, traced=False))
    assert b'class="code"' not in untraced
    assert "--explain" not in untraced.decode()


def test_five_thousand_findings_stay_readable():
    data = html.render(sample(rows=5000, cards=5000))

    main, appendix = data.split(b'<h2 id="appendix">')
    assert main.count(b"<article") == 10 + 1
    assert main.count(b"<tr>") < 200
    assert appendix.count(b"<article") == 4990
    assert appendix.count(b"<tr>") == 4980 + 31 + 2


def test_the_same_report_gives_the_same_bytes():
    assert html.render(sample("en")) == html.render(sample("en"))


@pytest.mark.parametrize("draft", [True, False])
def test_on_paper_each_page_says_its_number_and_whether_it_is_a_draft(draft, opened, tmp_path):
    pages = printed(opened(html.render(sample(draft=draft, rows=100, cards=15))), tmp_path)

    assert len(pages) > 10
    for number, text in enumerate(pages, start=1):
        assert f"{number} / {len(pages)}" in text
        assert ("速報：対象期間が終わっていない" in text) is draft
        assert "アクセスログ分析報告書" in text


def test_on_paper_the_heads_of_a_long_table_stand_on_each_of_its_pages(opened, tmp_path):
    pages = printed(opened(html.render(sample(rows=200, cards=1))), tmp_path)

    with_rows = [text for text in pages if re.search(r"f-00000000000000[2-9a-f].*夜間に担当外", text)]
    assert len(with_rows) > 4
    assert all("検知番号" in text and "判断まで" in text for text in with_rows)


def test_a_narrow_screen_needs_no_scrolling_sideways(opened):
    """WCAG 2.2, 1.4.10: 320 CSS pixels; what is wider, such as a table, scrolls in a frame of its own."""
    page = opened(html.render(sample(rows=30, cards=15)), width=320)

    assert page.evaluate("document.scrollingElement.scrollWidth") == 320


@pytest.mark.parametrize("language", ["ja", "en"])
def test_axe_finds_nothing_in_reports_of_a_real_month(language, opened, tmp_path):
    office = good()
    office.findings += [finding(n, controls=["kanagawa-9/P4"], severity=1 + n % 5) for n in range(30)]
    sources = gathered(tmp_path, office, language=language)
    uid = office.findings[0]["finding_info"]["uid"]
    reports = [
        make.make(sources, Draft(), "0"),
        resident(sources, "s_00000000000000aa", MARCH.begin, MARCH.end, "office", version="0"),
        incident(sources, uid, MADE, version="0"),
    ]

    for report in reports:
        assert Axe().run(opened(html.render(report))).generate_snapshot() == "", report.title
