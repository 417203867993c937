"""The report on paper: that it keeps the standards, says everything, hides nothing, and stays within its margins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typst

from audit.report import glyphs, pdf
from audit.report.glyphs import FontError
from audit.report.leaves import leaves
from audit.report.model import (
    Card,
    Cards,
    Chart,
    Column,
    Figure,
    Figures,
    Items,
    Notice,
    Paragraph,
    Promise,
    Promises,
    Report,
    Section,
    Signature,
    Signatures,
    Table,
    Tone,
)
from audit.report.pdf import PdfError
from tests.audit.report.sample import HOSTILE, JIS_X_0213, LONG_NAME, RARE, sample
from tests.verapdf.validate import PROFILES, broken

ROOT = Path(__file__).resolve().parents[3]
A4 = (595.276, 841.89)
MARGIN = 51.0


class Paper:
    """A PDF in a folder, and what poppler reads from it."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.path = folder / "report.pdf"
        self.path.write_bytes(data)
        self.data = data

    def ask(self, program: str, *options: str) -> str:
        line = [program, *options, str(self.path), *(["-"] if program == "pdftotext" else [])]
        return subprocess.run(line, capture_output=True, check=True).stdout.decode()

    @property
    def facts(self) -> dict[str, str]:
        lines = self.ask("pdfinfo").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def pages(self) -> list[str]:
        """The text of each page in the order in which it was written: a cell is never torn by its neighbours."""
        return self.ask("pdftotext", "-raw").split("\f")[:-1]

    @property
    def text(self) -> str:
        return _close("".join(self.pages))

    def words(self) -> list[np.ndarray]:
        """Boxes of the words of each page: left, top, right, bottom in pt."""
        # XML has no place for controls; none should be there, and a test above looks.
        root = ElementTree.fromstring(self.ask("pdftotext", "-bbox"))
        space = "{http://www.w3.org/1999/xhtml}"
        return [
            np.array([[float(word.get(side, "nan")) for side in ("xMin", "yMin", "xMax", "yMax")] for word in page])
            for page in root.iter(f"{space}page")
        ]


def _close(text: str) -> str:
    """Without blanks and line ends, which depend on where lines are broken."""
    return re.sub(r"\s+", "", text)


@pytest.fixture(scope="module")
def font() -> glyphs.Font:
    return glyphs.found()


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    return Paper(tmp_path_factory.mktemp("draft"), pdf.render(sample("ja", draft=True, rows=70, cards=14)))


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    return Paper(tmp_path_factory.mktemp("final"), pdf.render(sample("en", draft=False, rows=70, cards=14)))


@pytest.fixture
def paper(tmp_path: Path) -> Callable[[Report], Paper]:
    return lambda report: Paper(tmp_path, pdf.render(report))


def _with(*blocks: object, title: str = "章") -> Report:
    return replace(sample(), sections=(Section("one", title, blocks),))  # type: ignore[arg-type]


def test_the_validator_tells_what_is_wrong(tmp_path: Path):
    bad = Paper(tmp_path, typst.compile(b'#set page(width: 9cm)\n#set text(font: "Libertinus Serif")\n= A'))
    for standard in PROFILES:
        assert any("Identification" in said for said in broken(bad.path, standard))


@pytest.mark.parametrize("standard", PROFILES)
def test_it_keeps_the_standards_of_archives_and_of_accessibility(standard: str, draft: Paper, final: Paper):
    assert broken(draft.path, standard) == []
    assert broken(final.path, standard) == []


def test_it_says_what_it_is(draft: Paper, final: Paper):
    facts = draft.facts
    assert facts["Title"] == "アクセスログ分析報告書 令和8年（2026年）3月1日（日）〜3月31日（火）"
    assert facts["Author"] == "架空市"
    assert facts["Tagged"] == "yes"
    assert facts["Page size"].endswith("(A4)")
    assert facts["JavaScript"] == "no"
    assert "2026-04-02T00:02:05" in draft.ask("pdfinfo", "-isodates")  # when the report was made, not now
    assert "<dc:language><rdf:Bag><rdf:li>ja-JP<" in draft.ask("pdfinfo", "-meta")
    assert "<dc:language><rdf:Bag><rdf:li>en<" in final.ask("pdfinfo", "-meta")


def test_each_page_says_which_it_is_and_whether_it_is_a_draft(draft: Paper, final: Paper):
    pages = draft.pages
    assert len(pages) == int(draft.facts["Pages"]) > 8
    for number, page in enumerate(pages, start=1):
        assert f"{number}／{len(pages)}ページ" in page
        assert "速報：対象期間が終わっていない" in page
    pages = final.pages
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Draft" not in page


def test_the_first_page_has_western_and_japanese_years_and_who_signs(draft: Paper):
    first = _close(draft.pages[0])
    for text in (
        "2026年4月2日（令和8年）09:02",
        "令和8年（2026年）3月1日",
        "確認者",
        "承認者",
        f"総務課{LONG_NAME}",
        "未署名",
    ):
        assert text in first
    for sentence in sample().summary:
        assert sentence in first


def test_names_are_whole_in_the_text(draft: Paper):
    for name in (LONG_NAME, RARE, JIS_X_0213):
        assert name in draft.text


def test_a_variation_selector_chooses_its_glyph(paper: Callable[[Report], Paper]):
    pictures = []
    for name in ("葛", "葛\U000e0100", "葛\U000e0101"):
        made = paper(_with(Paragraph(name)))
        drawing = ["pdftoppm", "-r", "100", "-f", "2", "-gray", str(made.path)]
        pictures.append(subprocess.run(drawing, capture_output=True, check=True).stdout)
    plain, first, second = pictures
    assert first != second
    assert plain in (first, second)


def test_all_that_the_model_says_stands_on_paper(draft: Paper):
    report, text = sample("ja", draft=True, rows=70, cards=14), draft.text
    for section in report.sections:
        assert _close(section.title) in text
        for block in section.blocks:
            if isinstance(block, Table):
                for cell in {cell for row in block.rows for cell in row if isinstance(cell, str)} - set(HOSTILE):
                    if not re.fullmatch(r"\d{4}-\d\d-\d\d", cell):
                        assert _close(cell) in text
                for column in block.columns:
                    assert _close(column.name) in text
    for n in range(70):
        assert f"f-{n:016x}" in text
    for n in range(14):
        assert f"本人情報{n + 1}件が照会されました。" in text


def test_hostile_texts_stay_texts(draft: Paper, font: glyphs.Font):
    for hostile in HOSTILE:
        assert _close(glyphs.visible(hostile, font, Counter())) in draft.text
    assert draft.ask("pdfinfo", "-url").splitlines()[1:] == []
    assert b"/JavaScript" not in draft.data


def test_what_cannot_be_shown_is_told(draft: Paper, font: glyphs.Font):
    made = pdf.printed(sample("ja", rows=70, cards=14), font)
    assert made.data == draft.data
    assert {"\u202e", "\x00", "\u200b", "👩"} <= made.replaced.keys()
    last = _close(draft.pages[-1])
    for sign, n in made.replaced.items():
        assert f"<U+{ord(sign):04X}>{n}" in last
    assert not pdf.printed(_with(Paragraph("髙橋")), font).replaced


def test_half_a_surrogate_and_an_unknown_variant_are_told(font: glyphs.Font, paper: Callable[[Report], Paper]):
    made = pdf.printed(_with(Paragraph("a\ud800b 橋\U000e01ef")), font)
    assert made.replaced == {"\ud800": 1, "\U000e01ef": 1}
    assert "橋<U+E01EF>" in paper(_with(Paragraph("橋\U000e01ef"))).text


def test_a_chart_is_described(draft: Paper):
    chart = next(block for block in sample().sections[1].blocks if isinstance(block, Chart))
    described = [bytes.fromhex(found.decode()) for found in re.findall(rb"/Alt<([0-9A-F]+)>", draft.data)]
    assert chart.alt in [text.decode("utf-16") for text in described]


def test_chapters_and_tables_are_bookmarks(draft: Paper):
    outline = draft.ask("pdftohtml", "-xml", "-i", "-stdout")
    found = re.findall(r'<item page="\d+">(.*?)</item>', outline)
    assert [title for title in found if title[:2] in ("1　", "2　", "3　")] == [
        "1　約束と判定",
        "2　分析の証明",
        "3　検知事項",
    ]
    assert {"すべての検知", "付録", "付録3　すべての検知"} <= set(found)


def test_heads_stand_on_every_page_of_a_table(paper: Callable[[Report], Paper]):
    table = Table(
        "one.t",
        "表",
        (Column("番の頭", "integer"), Column("頭", "text")),
        tuple((n, f"行{n} {LONG_NAME * 5}") for n in range(150)),
        "-",
    )
    made = paper(_with(table))
    holding = [page for page in made.pages if re.search(r"行\d", page)]
    assert len(holding) >= 2
    assert all("番の頭" in page for page in holding)


def test_what_is_too_long_is_in_the_appendix_with_references_both_ways(draft: Paper):
    text = draft.text
    page = next(n for n, page in enumerate(draft.pages, start=1) if "付録3すべての検知本文" in _close(page))
    assert f"全70件のうち先頭の20件です。残りの50件は付録3（{page}ページ）にあります。" in text
    assert "本文第3章「検知事項」の続き21〜70件目（全70件）" in text
    assert text.index("f-0000000000000013") < text.index("付録3すべての検知") < text.index("f-0000000000000014")


def test_notices_of_one_tone_are_told_together(font: glyphs.Font):
    notices = (
        Notice("一", Tone.CHECK),
        Notice("二", Tone.CHECK),
        Notice("三", Tone.GOOD),
        Paragraph("四"),
        Notice("五", Tone.GOOD),
    )
    [section] = leaves(_with(*notices), font, Counter())["sections"]
    assert [block.get("texts") for block in section["blocks"]] == [["一", "二"], ["三"], None, ["五"]]


def test_many_numbers_of_a_chart_stand_in_the_appendix_and_few_under_it(font: glyphs.Font):
    def chart(rows: int) -> Chart:
        data = Table("one.d", "図", (Column("数", "integer"),), tuple((n,) for n in range(rows)), "-")
        return Chart("one.c", "図", "図", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>', data)

    few, many = leaves(_with(chart(5), chart(40)), font, Counter())["sections"][0]["blocks"]
    assert few["data"]["title"] == ""
    assert few["more"] is None
    assert many["data"] is None
    assert many["more"]["before"] == "40件の数値は"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_nothing_leaves_the_page_or_lies_over_something_else(language: str, draft: Paper, final: Paper):
    for boxes in (draft if language == "ja" else final).words():
        left, top, right, bottom = boxes.T
        assert left.min() >= MARGIN - 1
        # At the end of a line a bracket or full stop gives up the empty half of its square, which is no ink.
        assert right.max() <= A4[0] - MARGIN + 6
        assert top.min() >= 10
        assert bottom.max() <= A4[1] - 10
        wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        # Boxes are as high as lines of the font, which may touch: only more than half a line lies over another.
        high = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
        over = (wide > 5) & (high > 0.6 * np.minimum((bottom - top)[:, None], bottom - top))
        np.fill_diagonal(over, False)
        assert not over.any(), boxes[np.argwhere(over)[0]]


def test_no_text_is_too_long_for_paper(paper: Callable[[Report], Paper]):
    # Twice a page in the widest column; a block that is held together would run off its page and lose its end.
    long = "関" * 4000 + "終"
    lines = "行\n" * 150 + "終"
    columns = (
        Column("番号", "integer"),
        Column("内容", "text", 2),
        Column("番号", "id"),
        *(Column(f"{n}") for n in range(6)),
    )
    cells = (1, long, lines, *"abcdef")
    promise = Promise(
        "a/P1", long, long, lines, True, "要確認", Tone.CHECK, 1, "件", long, "0", lines, (long,), (lines,)
    )
    card = Card("f-1", long, lines, Tone.URGENT, ("高",), ((long, lines), ("a", "b")), (("c", long),))
    blocks = (
        *(Paragraph(long), Notice(long, Tone.CHECK), Notice(lines, Tone.CHECK), Items((long, lines), "題")),
        Figures((Figure("one.a", long, lines, "text", note=long), Figure("one.b", "b", long, "id"))),
        Table("one.t", "表", columns, (cells, cells), "-", note=long),
        Promises("one.p", "約束", (promise,)),
        Cards("one.k", "検知", (card, card), "-", head_cards=1),
        Signatures("決裁", (Signature("確認者", "関" * 100 + "終", 0, "a" * 64),), long),
    )
    made = paper(replace(_with(*blocks), summary=(long,), draft=long))
    # The name of who signed stands on the first page as well; the reason of a draft at the top of each page is cut.
    assert made.text.count("終") == 1 + 1 + 3 + 2 + 4 + 2 * 2 + 1 + 7 + 2 * 5 + 2 + 1
    for boxes in made.words():
        assert boxes[:, 3].max() <= A4[1] - 10
        assert boxes[:, 2].max() <= A4[0] - MARGIN + 6


def test_the_same_report_gives_the_same_bytes(draft: Paper, tmp_path: Path):
    code = (
        "import sys; from audit.report import pdf; from tests.audit.report.sample import sample;"
        "sys.stdout.buffer.write(pdf.render(sample('ja', draft=True, rows=70, cards=14)))"
    )
    there = {**os.environ, "TZ": "America/New_York", "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    again = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=there, capture_output=True, check=True)
    assert again.stdout == draft.data


def test_a_report_of_nothing_is_a_report(paper: Callable[[Report], Paper]):
    made = paper(replace(sample(), sections=(), summary=(), draft=None, site="市"))
    assert made.facts["Pages"] == "1"
    assert broken(made.path, "PDF/UA-1") == []


def test_without_the_font_the_package_to_install_is_named(tmp_path: Path):
    with pytest.raises(FontError, match="fonts-noto-cjk"):
        glyphs.found(system=False, folders=(tmp_path,))


def test_what_a_chart_cannot_show_is_told_and_does_not_break_it(font: glyphs.Font, paper: Callable[[Report], Paper]):
    words = "&#x202e;葛󠄀👩&lt;&#60;&#38;"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 90000"><text y="900">{words}</text></svg>'
    chart = Chart("one.c", "図", "", svg, Table("one.d", "", (Column("a"),), (), "-"))
    assert pdf.printed(_with(chart), font).replaced == {"\u202e": 1, "👩": 1}
    assert "<U+202E>葛󠄀<U+1F469><<&" in paper(_with(chart)).text


def test_empty_texts_are_no_fault(paper: Callable[[Report], Paper]):
    blocks = (
        *(
            Paragraph(""),
            Notice("", Tone.PLAIN),
            Items(("",)),
            Items(()),
            Figures(()),
            Figures((Figure("a.b", "", ""),)),
        ),
        *(Table("one.t", "", (Column(""),), (("",),), ""), Promises("one.p", "", ()), Signatures("", ())),
        Cards("one.k", "", (Card("", "", "", Tone.PLAIN, (), ()),), ""),
    )
    made = paper(replace(_with(*blocks), title="", site="", period="", version="", summary=("",), draft=""))
    assert broken(made.path, "PDF/UA-1") == []


def test_a_chart_that_is_none_is_told(font: glyphs.Font):
    bad = Chart("one.c", "図", "図", "<svg", Table("one.d", "", (Column("a"),), (), "-"))
    with pytest.raises(PdfError, match="the PDF cannot be made"):
        pdf.printed(_with(bad), font)
