"""The workbook is read back by openpyxl, which knows nothing of how it was written, and where that hides something as XML."""

import dataclasses
import itertools
import re
import unicodedata
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.worksheet.cell_range import CellRange

from audit.report import sheets
from audit.report.model import Cards, Cell, Chart, Column, Kind, Paragraph, Report, Section, Table
from audit.report.sheets import cells, layout
from tests.audit.report.sample import CELLS, HOSTILE, LONG_NAME, RARE, sample

JST = timezone(timedelta(hours=9))
DRAFT = "速報：対象期間が終わっていない"


@pytest.fixture(scope="module")
def report() -> Report:
    return sample()


@pytest.fixture(scope="module")
def workbook(report) -> bytes:
    return sheets.render(report)


@pytest.fixture(scope="module")
def book(workbook):
    return openpyxl.load_workbook(BytesIO(workbook))


def parts(workbook: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(workbook)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def of(*sections: Section, **changes: object) -> Report:
    return dataclasses.replace(sample(), sections=sections, **changes)


def table(rows: tuple[tuple[Cell, ...], ...], *columns: Column, id: str = "t.rows", title: str = "Rows") -> Table:
    return Table(id, title, columns or (Column("a"),), rows, "none")


def one(cell: Cell, kind: Kind = "text", **changes: object):
    """The cell that a cell of a report becomes."""
    report = of(Section("t", "T", (table(((cell,),), Column("a", kind)),)), **changes)
    [_, page] = openpyxl.load_workbook(BytesIO(sheets.render(report))).worksheets
    [found] = page.tables.values()
    return page[found.ref.partition(":")[2]]


def tables(book) -> dict[str, list[list[object]]]:
    """Rows of every table by its name, heads first."""
    return {
        found.name: [[cell.value for cell in row] for row in page[found.ref]]
        for page in book.worksheets
        for found in page.tables.values()
    }


def every_cell(book):
    return [cell for page in book.worksheets for row in page.iter_rows() for cell in row if cell.value is not None]


def test_one_sheet_per_section_after_a_cover(report, book):
    assert book.sheetnames[0] == "表紙"
    assert [name.partition(" ")[0] for name in book.sheetnames[1:]] == [str(n + 1) for n in range(len(report.sections))]
    assert book.sheetnames[2] == "2 分析の証明"


def test_the_cover_says_what_it_is(book):
    said = [cell.value for row in book["表紙"].iter_rows() for cell in row]

    for words in ("アクセスログ分析報告書", "架空市", DRAFT, "Asia/Tokyo", "0.1.0"):
        assert words in said
    assert datetime(2026, 4, 2, 9, 2, 5) in said
    assert "ログの途切れは延べ2日です。原因は確認中です。" in said


def test_the_cover_finds_every_table(book):
    contents = tables(book)["cover.contents"]
    places = {row[5]: (row[1], row[3], row[4]) for row in contents[1:] if row[5]}

    for page in book.worksheets[1:]:
        for found in page.tables.values():
            top, last = (int(row) for row in re.findall(r"\d+", found.ref))
            assert places.pop(found.name) == (page.title, found.ref, last - top)
    assert not places
    assert ["6. 何もない章", "6 何もない章", "空の表", None, 0, None] in contents


def test_every_row_of_the_report_is_there(report, book):
    found = tables(book)
    wanted = [block for section in report.sections for block in section.blocks if isinstance(block, Table | Chart)]
    for block in wanted:
        block = block.data if isinstance(block, Chart) else block
        if block.rows:
            assert len(found[block.id]) == len(block.rows) + 1, block.id
    assert len(found["findings.all"]) == 401
    assert [row[0] for row in found["findings.all"][1:]] == [f"f-{n:016x}" for n in range(400)]
    assert [row[1] for row in found["certificate.by_day_data"][1:]] == [(n * 7919) % 997 for n in range(31)]


def test_numbers_stay_numbers(book):
    found = {name: [row[1] for row in rows[1:]] for name, rows in tables(book).items() if name.startswith("kinds.")}

    assert found["kinds.integer"] == [0, 1, 10_000_000, -3, None]
    assert found["kinds.decimal"] == [0.0, 1.25, 12_345.678, -0.04, None]
    assert found["kinds.share"] == [0.0, 0.0004, 0.943, 0.9996, 1.0, None]
    assert found["kinds.duration"] == pytest.approx([0, 900 / 3_600_000, 59_999 / 3_600_000, 1.5, 240.0, None])
    assert found["kinds.id"] == ["f-0000000000000001", "s_6wq2m4k7aaaaaaaaaaaaaaaaaa", "0012345", "1e5", None]
    assert found["kinds.text"][:2] == [LONG_NAME, RARE]


def test_moments_are_on_the_sites_clocks_and_days_are_days(book):
    found = {name: [row[1] for row in rows[1:]] for name, rows in tables(book).items() if name.startswith("kinds.")}
    moments = [ms for kind, values in CELLS if kind == "moment" for ms in values if ms is not None]

    wanted = [datetime.fromtimestamp(ms // 1000, UTC).astimezone(JST).replace(tzinfo=None) for ms in moments]
    read = [at.replace(microsecond=0) for at in found["kinds.moment"][:-1]]
    assert [abs(one - other) <= timedelta(seconds=1) for one, other in zip(read, wanted, strict=True)] == [True, True]
    assert found["kinds.day"][:4] == [
        datetime(2026, 3, 1),
        datetime(2019, 4, 30),
        datetime(2019, 5, 1),
        datetime(1989, 1, 7),
    ]


@pytest.mark.parametrize(
    ("kind", "cell", "form"),
    [
        ("integer", 1_234, "#,##0"),
        ("share", 0.5, "0.00%"),
        ("day", "2026-03-01", "yyyy-mm-dd"),
        ("moment", 0, "yyyy-mm-dd hh:mm:ss"),
        ("duration", 60_000, "#,##0.00"),
        ("text", "x", "@"),
        ("id", "0012", "@"),
    ],
)
def test_cells_look_like_what_they_are(kind, cell, form):
    assert one(cell, kind).number_format.removesuffix("_)") == form


def test_the_last_moment_of_a_day_does_not_read_as_the_next():
    cell = one(1_773_155_999_999, "moment")

    assert cell.number_format.endswith("ss.000")
    assert cell.value.replace(microsecond=0) == datetime(2026, 3, 11, 0, 19, 59)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", 10**15, "1000000000000000"),  # Excel keeps 15 digits
        ("integer", -(10**15) + 1, -999_999_999_999_999),
        ("decimal", float("nan"), "nan"),
        ("decimal", float("inf"), "inf"),
        ("day", "1899-12-31", "1899-12-31"),
        ("day", "1900-02-28", "1900-02-28"),  # Excel's calendar has a 29 February 1900
        ("day", "1900-03-01", datetime(1900, 3, 1)),
        ("day", "soon", "soon"),
        ("moment", -(10**15) + 1, "'-999999999999999 ms"),
        ("moment", 10**15 - 1, "999999999999999 ms"),
        ("text", 12, "12"),
    ],
)
def test_what_excel_cannot_hold_is_text(kind, cell, value):
    assert one(cell, kind).value == value


def test_a_moment_follows_the_clocks_of_the_zone():
    summer, winter = 1_782_864_000_000, 1_767_225_600_000  # 2026-07-01 and 2026-01-01, 00:00 UTC

    assert one(summer, "moment", time_zone="Europe/Berlin").value == datetime(2026, 7, 1, 2)
    assert one(winter, "moment", time_zone="Europe/Berlin").value == datetime(2026, 1, 1, 1)


def test_no_text_is_a_formula_or_a_link(workbook, book):
    for cell in every_cell(book):
        assert cell.data_type in {"s", "n", "d"}, (cell.coordinate, cell.value)
        assert cell.hyperlink is None
    for name, content in parts(workbook).items():
        if name.startswith("xl/worksheets/sheet"):
            root = ElementTree.fromstring(content)
            tags = {element.tag.rpartition("}")[2] for element in root.iter()}
            assert not tags & {"f", "hyperlinks", "hyperlink"}
        assert not name.endswith("vbaProject.bin")
        assert "externalLink" not in name


def dangerous(words: str) -> bool:
    """What a spreadsheet may run when the sheet was saved as CSV and is opened again."""
    start = unicodedata.normalize("NFKC", words).lstrip()
    return len(start) > 1 and start[0] in "=+-@"


def test_no_text_becomes_a_formula_by_way_of_csv(book):
    assert any(dangerous(words) for words in HOSTILE)
    assert not [cell.value for cell in every_cell(book) if isinstance(cell.value, str) and dangerous(cell.value)]


@pytest.mark.parametrize("words", [words for words in HOSTILE if dangerous(words)])
def test_after_the_apostrophe_the_text_is_as_it_was(words):
    assert one(words).value == f"'{words}"


@pytest.mark.parametrize("words", ["﹦1+1", "\u200d=1+1", "\u00a0=1", "\r\n=1", "'=1", "＋８１", "--", "@x"])
def test_other_beginnings_of_a_formula(words):
    assert one(words).value == "'" + words.replace("\r\n", "\n")


STARTS = ("", " ", "　", "\t", "\n", "\r", "\u00a0", "\u200d", "\u202e", "\x00", "'", "\ufe0f", "\ufeff", "\u2028")
SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "a", "関", "<r>", "_x003D_")


@given(
    st.lists(st.sampled_from(STARTS), max_size=4),
    st.sampled_from(SIGNS),
    st.text(st.characters(codec=None), max_size=9),
)
def test_any_text_stays_a_text(before, sign, rest):
    written = cells.text("".join(before) + sign + rest, "ja")

    assert not dangerous(written)
    assert not (written.startswith("<r>") and written.endswith("</r>"))
    assert not {unicodedata.category(one) for one in written if one not in "\n\t"} & {"Cc", "Cs"}
    # A mark without width does not hide a sign from those who strip it.
    assert not dangerous(written.lstrip("\u200c\u200d\ufe0f"))


@pytest.mark.parametrize("words", ["-", "－", "a=1", "1-2", "(-1)", "・-1", "", "   ", "'quoted'"])
def test_texts_that_begin_no_formula_are_left_alone(words):
    assert one(words).value == (words or None)


@pytest.mark.parametrize(
    "words",
    [
        "<r><t>x</t></r>",
        "<r></si></r>",
        "<r>&</r>",
        "<r><rPr><b/></rPr><t>forged</t></r>",
    ],
)
def test_a_text_is_no_markup_of_the_file(words):
    assert one(words).value == f"'{words}"


@pytest.mark.parametrize("words", ["_x0041_", "_x000D_", "&amp;", "&#65;", "]]>", "<t>x</t>"])
def test_codes_of_the_file_are_texts_as_well(words):
    assert one(words).value == words


def test_what_nobody_would_see_is_shown():
    assert one("a\x00b\u202ec\ud800").value == "a<U+0000>b<U+202E>c<U+D800>"


def test_names_of_14_kanji_and_rare_signs_stay_whole(workbook):
    strings = parts(workbook)["xl/sharedStrings.xml"].decode()

    assert LONG_NAME in strings
    assert RARE in strings


@pytest.mark.parametrize("sign", ["x", "関", "𠮷"])
def test_a_text_that_is_too_long_is_cut_and_says_so(sign):
    read = one(sign * 40_000).value

    assert len(read.encode("utf-16-le")) // 2 <= 32_767
    assert read.endswith("…（以下略。全40,000文字）")
    assert set(read.partition("…")[0]) == {sign}
    assert one(sign * 16_000).value == sign * 16_000


def test_more_line_ends_than_a_cell_holds():
    assert one("a\n" * 253).value == "a\n" * 253
    assert "\n" not in one("a\n" * 254).value


def test_heads_are_frozen_and_filters_are_there(book):
    for page in book.worksheets:
        assert page.freeze_panes is not None
        for found in page.tables.values():
            assert found.autoFilter.ref == found.ref
            assert [column.name for column in found.tableColumns] == [
                # The file escapes signs of its own in names of columns as it does in cells.
                cell.value
                for cell in page[found.ref][0]
            ]
    assert book["3 検知事項"].freeze_panes == "A3"


def test_nothing_lies_over_anything_else(book):
    for page in book.worksheets:
        spans = [CellRange(found.ref) for found in page.tables.values()] + list(page.merged_cells.ranges)
        taken = sorted((span.min_row, span.max_row) for span in spans)
        for (_, end), (begin, _) in itertools.pairwise(taken):
            assert end < begin, page.title
        # A title stands above each table, and an empty row below it.
        for found in page.tables.values():
            span = CellRange(found.ref)
            assert page.cell(span.min_row - 1, 1).value
            assert all(page.cell(span.max_row + 1, column).value is None for column in range(1, span.max_col + 1))


def test_one_table_keeps_its_heads_in_sight():
    page = openpyxl.load_workbook(BytesIO(sheets.render(of(Section("t", "T", (table((("x",),)),)))))).worksheets[1]

    [found] = page.tables.values()
    top = int(re.findall(r"\d+", found.ref)[0])
    assert page.freeze_panes == f"A{top + 1}"


def test_names_of_tables_are_unique_and_taken_by_excel():
    ids = ("a1.b", "A1.B", "1.2", "r1c1", "x y-z", "x_y.z", "x-y.z", "", "表", "a" * 300)
    section = Section("t", "T", tuple(table((("x",),), id=id) for id in ids))

    book = openpyxl.load_workbook(BytesIO(sheets.render(of(section))))

    names = [name for page in book.worksheets for name in page.tables]
    assert len(names) == len(ids) + 1  # and the contents
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name)
        assert not re.fullmatch(r"[A-Za-z]{1,3}\d+|[Rr]\d*[Cc]\d*", name)
        assert len(name) <= 255


def test_heads_are_unique_and_not_empty():
    columns = tuple(Column(name) for name in ("a", "A", "", "", "a\nb", "a b", "=1+1", "x" * 600, "x" * 601, "_x0041_"))
    section = Section("t", "T", (table((("1",) * len(columns),), *columns),))

    [heads, _] = tables(openpyxl.load_workbook(BytesIO(sheets.render(of(section)))))["t.rows"]

    assert len({head.lower() for head in heads}) == len(columns)
    assert all(0 < len(head) <= 255 and "\n" not in head for head in heads)
    assert heads[6] == "'=1+1"


def test_a_duration_says_that_it_is_in_hours():
    section = Section("t", "T", (table(((3_600_000,),), Column("経過", "duration")),))

    found = tables(openpyxl.load_workbook(BytesIO(sheets.render(of(section)))))["t.rows"]

    assert found == [["経過（時間）"], [1]]


@pytest.mark.parametrize(
    "title",
    ["[a]:*?/\\b", "'quoted'", "𠮷" * 40, "葛\U000e0100" * 20, "History", "", "表紙", "a\nb\x00", "</sheet>"],
)
def test_names_of_sheets_are_taken_by_excel(title):
    body = (Paragraph("x"),)
    report = of(Section("a", title, body), Section("b", title, body), Section("c", title.upper(), body))

    names = openpyxl.load_workbook(BytesIO(sheets.render(report))).sheetnames

    assert len({name.lower() for name in names}) == 4
    for name in names:
        assert 0 < len(name.encode("utf-16-le")) // 2 <= 31
        assert not set(name) & set("[]:*?/\\")
        assert name.strip("'") == name


def test_widths_count_full_width_characters_twice():
    def width(words):
        section = Section("t", "T", (table(((words,),)),))
        return openpyxl.load_workbook(BytesIO(sheets.render(of(section)))).worksheets[1].column_dimensions["A"].width

    assert width(LONG_NAME) - width("x" * 14) == pytest.approx(14, abs=0.1)
    assert width("x" * 1_000) < 60
    assert width("") >= 8


def test_moments_and_numbers_have_room():
    columns = (Column("a", "moment"), Column("b", "integer"), Column("c", "decimal"), Column("d", "day"))
    section = Section("t", "T", (table(((1_773_155_999_999, 10**14, -1234.5, "2026-03-01"),), *columns),))

    page = openpyxl.load_workbook(BytesIO(sheets.render(of(section)))).worksheets[1]

    widths = [page.column_dimensions[name].width for name in "ABCD"]
    for width, words in zip(
        widths, ("2026-03-11 00:19:59.999", "100,000,000,000,000", "-1,234.50", "2026-03-01"), strict=True
    ):
        assert width >= len(words) + 1


def test_a_row_is_as_high_as_its_text():
    section = Section("t", "T", (table((("関" * 90,), ("x",))),))

    page = openpyxl.load_workbook(BytesIO(sheets.render(of(section)))).worksheets[1]

    [found] = page.tables.values()
    last = int(re.findall(r"\d+", found.ref)[1])
    assert page.row_dimensions[last - 1].height >= 4 * 14
    assert page.row_dimensions[last].height is None


def test_cards_are_rows_with_every_fact(report, book):
    rows = tables(book)["findings.cards"]
    [cards] = [
        block
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Cards) and block.id == "findings.cards"
    ]

    assert len(rows) == 61
    heads = rows[0]
    for card, row in zip(cards.cards, rows[1:], strict=True):
        named = dict(zip(heads, row, strict=True))
        assert row[0] == card.id
        assert named["内容"] == card.text
        for label, words in card.facts:
            assert named[label] == words
        for label, words in card.done:
            assert named[f"対応：{label}"] == words
        if not card.done:
            assert named["対応：期限"] is None


def test_promises_are_rows_and_what_is_not_known_is_not_zero(book):
    [heads, *rows] = tables(book)["promises.kanagawa_9"]

    values = [row[heads.index("値")] for row in rows]
    assert values == [0, 12_345, "不明"]
    assert [row[heads.index("判定")] for row in rows] == ["適合", "要確認", "証跡不足"]
    assert [row[heads.index("引用か")] for row in rows] == ["原文の引用", "原文の引用", "要約（原文の引用ではない）"]


def test_figures_keep_their_kinds(book):
    rows = {row[5]: row for row in tables(book)["certificate.figures"][1:]}

    assert rows["certificate.events"][1:3] == [158_113, "件"]
    assert rows["certificate.share"][1] == 0.943
    assert rows["certificate.lag"][1:3] == [1.5, "時間"]
    assert rows["certificate.first"][1] == datetime(2026, 3, 1)
    assert rows["certificate.missed"][1:5] == ["不明", None, "実行の記録（runs.ndjson）がない", "不足・不明"]


def test_an_empty_table_says_so(book):
    page = book["6 何もない章"]

    assert not page.tables
    assert "ありません。" in [cell.value for row in page.iter_rows() for cell in row]


def test_a_draft_says_so_on_every_sheet_and_page(book):
    for page in book.worksheets:
        assert DRAFT in page["A2"].value
        assert page.oddHeader.right.text == DRAFT
        assert page.print_title_rows == "$1:$3"


def test_a_final_report_says_that_it_is_one():
    book = openpyxl.load_workbook(BytesIO(sheets.render(sample(draft=False))))

    assert "確定" in [cell.value for row in book["表紙"].iter_rows() for cell in row]
    assert not [cell.value for cell in every_cell(book) if "速報" in str(cell.value)]


def test_english_has_no_japanese_of_its_own():
    report = sample("en")
    plain = dataclasses.replace(report, sections=(Section("t", "T", (table(()),)),), site="X", draft="Draft")

    for cell in every_cell(openpyxl.load_workbook(BytesIO(sheets.render(plain)))):
        assert not re.search("[ぁ-んァ-ヶ一-龠]", str(cell.value)), cell.value


def test_a_sign_in_a_title_is_no_code_of_the_page():
    report = of(Section("t", "T", ()), title='A&D &P &"x" ' + "長" * 300)

    page = openpyxl.load_workbook(BytesIO(sheets.render(report))).worksheets[0]

    content = parts(sheets.render(report))["xl/worksheets/sheet1.xml"].decode()
    header = ElementTree.fromstring(content).findtext(
        ".//{http://schemas.openxmlformats.org/spreadsheetml/2006/main}oddHeader"
    )
    assert header.startswith('&LA&&D &&P &&"x" ')
    assert len(header) <= 255
    assert page.oddFooter.center.text == "&P / &N"


def test_the_same_report_gives_the_same_bytes(report, workbook):
    assert sheets.render(sample()) == workbook
    with zipfile.ZipFile(BytesIO(workbook)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    core = parts(workbook)["docProps/core.xml"].decode()
    assert core.count("2026-04-02T00:02:05Z") == 2  # created and modified


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch):
    monkeypatch.setattr(layout, "MOST_ROWS", 50)
    section = Section("t", "検知事項", (table(tuple(("x",) for _ in range(45)), title="すべて"),))
    assert sheets.render(of(section))

    longer = Section("t", "検知事項", (table(tuple(("x",) for _ in range(46)), title="すべて"),))
    with pytest.raises(sheets.TooLargeError, match=r"章「検知事項」の表「すべて」.*50行.*51行目.*期間を短く"):
        sheets.render(of(longer))


def test_more_columns_than_a_sheet_holds_are_refused():
    columns = tuple(Column(f"c{n}") for n in range(16_385))

    with pytest.raises(sheets.TooLargeError, match="16,384列"):
        sheets.render(of(Section("t", "T", (table((("x",) * 16_385,), *columns),))))
