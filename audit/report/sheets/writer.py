"""Writing the workbook: sheets from above to below, each cell as what it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_range
from xlsxwriter.worksheet import Worksheet

from audit.report.model import Cell, Column, Kind, Report, Tone
from audit.report.sheets import cells, layout
from audit.report.sheets.layout import CONTENTS, NARROW, TOP, Sheet
from audit.report.sheets.pieces import Grid, Line, Typed, heads
from audit.report.sheets.wording import Language, say

_Look = str | int | bool

# A text of its own goes over as many columns as give it so much room, in half-width characters.
_BAND: Final = 120
# A line of text and the highest row, in points.
_ROW: Final = 16.0
_HIGHEST: Final = 409.0
# Sheets that are wider are printed on A3, so that they can be read.
_A4: Final = 170

_FONT: Final = {"font_name": "Yu Gothic", "font_size": 10}
_INK: Final = {
    Tone.GOOD: "#1f6b4a",
    Tone.PLAIN: "#1d2730",
    Tone.CHECK: "#8a4b00",
    Tone.LACKING: "#555f69",
    Tone.URGENT: "#a3262a",
}
_LEFT: Final = frozenset({"text", "id", "moment", "day"})
# After a number a little room, since a text may begin beside it.
_NUMBERS: Final[dict[Kind, str]] = {
    "text": "@",
    "id": "@",
    "integer": "#,##0_)",
    "decimal": "#,##0.00_)",
    "share": "0.00%_)",
    "moment": "yyyy-mm-dd hh:mm:ss",
    "day": "yyyy-mm-dd",
    "duration": "#,##0.00_)",
}


def render(report: Report) -> bytes:
    """The report as an Excel workbook (.xlsx); the same report gives the same bytes.

    Raises:
        TooLargeError: A table does not fit a sheet.
    """
    sheets = layout.laid_out(report)
    out = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "default_format_properties": dict(_FONT),  # a copy: the library adds to it
    }
    with Workbook(out, options) as book:
        author = cells.text(report.site, report.language)
        made = datetime.fromtimestamp(report.as_of // 1000, UTC).replace(tzinfo=None)
        title = cells.text(report.title, report.language)
        book.set_properties({"title": title, "author": author, "comments": report.version, "created": made})
        writer = _Writer(book, report)
        writer.cover(sheets)
        for sheet in sheets:
            writer.section(sheet)
    return out.getvalue()


class _Writer:
    """Writes sheets into a workbook, from above to below."""

    def __init__(self, book: Workbook, report: Report) -> None:
        self._book = book
        self._report = report
        self._language: Language = report.language
        self._formats: dict[tuple[tuple[str, _Look], ...], Format] = {}

    def cover(self, sheets: Sequence[Sheet]) -> None:
        """What the report is, what it says in a few sentences, how to read this file, and where each table stands."""
        report, language = self._report, self._language
        widths = (28, 28, 46, 14, 10, 36)
        page = self._open(say("cover", language), widths)
        page.freeze_panes(TOP, 0)
        row = TOP + 1
        facts: tuple[tuple[str, Cell, Kind], ...] = (
            ("site", report.site, "text"),
            ("period", report.period, "text"),
            ("state", report.draft or say("final", language), "text"),
            ("made", report.as_of, "moment"),
            ("zone", report.time_zone, "text"),
            ("version", report.version, "text"),
        )
        for key, value, kind in facts:
            self._put(page, row, 0, say(key, language), "text", bold=True)
            urgent = key == "state" and report.draft is not None
            colour = _INK[Tone.URGENT] if urgent else _INK[Tone.PLAIN]
            self._put(page, row, 1, value, kind, font_color=colour, bold=urgent, align="left", text_wrap=False)
            row += 1
        notes = (say("note_types", language), say("note_texts", language))
        for title, lines in ((say("summary", language), report.summary), (say("notes", language), notes)):
            self._line(page, row + 1, Line(title, "heading"), widths)
            for place, words in enumerate(lines):
                self._line(page, row + 2 + place, Line(words), widths)
            row += 2 + len(lines)
        self._grid(page, row + 1, layout.contents(sheets, language), CONTENTS, widths)

    def section(self, sheet: Sheet) -> None:
        """A section on its sheet."""
        page = self._open(sheet.name, sheet.widths, f"{sheet.number}. {sheet.section.title}")
        names = iter(sheet.names)
        for placed in sheet.placed:
            if isinstance(placed.piece, Line):
                self._line(page, placed.row, placed.piece, sheet.widths)
            else:
                self._grid(page, placed.row, placed.piece, next(names), sheet.widths)
        # Heads stay in sight where there is one table near the top; Excel itself keeps those of any table in sight.
        only = sheet.grids[0] if len(sheet.grids) == 1 else None
        frozen = only[0] + only[1].head + 1 if only else TOP
        page.freeze_panes(frozen if frozen <= 8 else TOP, 0)

    def _open(self, name: str, widths: Sequence[int], title: str = "") -> Worksheet:
        """A sheet with its title, and what stands on each printed page."""
        report = self._report
        page = self._book.add_worksheet(name)
        for place, width in enumerate(widths):
            page.set_column(place, place, width)
        title = cells.text(title or report.title, self._language)
        page.write_string(0, 0, title, self._format(bold=True, font_size=15))
        page.set_row(0, 26)
        under = f"{report.site}　{report.period}"
        colour = _INK[Tone.LACKING]
        if report.draft is not None:
            under, colour = f"{report.draft}　{under}", _INK[Tone.URGENT]
        page.write_string(
            1, 0, cells.text(under, self._language), self._format(font_color=colour, bold=bool(report.draft))
        )
        page.hide_gridlines(2)
        page.set_landscape()
        page.set_paper(8 if sum(widths) > _A4 else 9)
        page.fit_to_pages(1, 0)
        page.set_margins(left=0.5, right=0.5, top=0.8, bottom=0.7)
        page.repeat_rows(0, TOP)
        page.set_header(f"&L{_code(report.title)}&R{_code(report.draft or '')}")
        page.set_footer(f"&L{_code(report.site)}&C&P / &N")
        page.ignore_errors({"number_stored_as_text": xl_range(0, 0, layout.MOST_ROWS - 1, layout.MOST_COLUMNS - 1)})
        return page

    def _line(self, page: Worksheet, row: int, line: Line, widths: Sequence[int]) -> None:
        """A text over as many columns as it needs to be read."""
        words = cells.text(line.text, self._language)
        if line.style == "heading":
            page.write_string(row, 0, words, self._format(bold=True, font_size=12, num_format="@"))
            return
        last, room = _band(widths)
        look = self._format(
            text_wrap=True, valign="top", num_format="@", font_color=_INK[line.tone], bold=line.tone is Tone.URGENT
        )
        page.merge_range(row, 0, row, last, "", look)
        page.write_string(row, 0, words, look)
        page.set_row(row, min(_HIGHEST, _ROW * _lines(words, room)))

    def _grid(self, page: Worksheet, row: int, grid: Grid, name: str, widths: Sequence[int]) -> None:
        """A table: title, note, heads with filters, rows."""
        language = self._language
        page.write_string(
            row, 0, cells.text(grid.title, language), self._format(bold=True, font_size=12, num_format="@")
        )
        if grid.note:
            soft = self._format(font_color=_INK[Tone.LACKING], num_format="@")
            page.write_string(row + 1, 0, cells.text(grid.note, language), soft)
        top, last = row + grid.head, len(grid.columns) - 1
        named = [
            {"header": head, "header_format": self._head(place, column.kind)}
            for place, (head, column) in enumerate(zip(heads(grid.columns, language), grid.columns, strict=True))
        ]
        if not grid.rows:
            for place, head in enumerate(named):
                page.write_string(top, place, head["header"], head["header_format"])
            self._put(page, top + 1, 0, grid.empty, "text", text_wrap=False)
            return
        options = {"name": name, "columns": named, "style": None}
        if page.add_table(top, 0, top + len(grid.rows), last, options):
            raise ValueError(f"table {name!r} was refused by the writer of the file")
        for place, row_of_grid in enumerate(grid.rows, start=top + 1):
            self._row(page, place, row_of_grid, grid.columns, widths)

    def _head(self, place: int, kind: Kind) -> Format:
        """A head stands over its cells; at its right end is the button of the filter."""
        side: dict[str, _Look] = (
            {"align": "left", "indent": int(place > 0)} if kind in _LEFT else {"align": "right", "indent": 2}
        )
        return self._format(
            bold=True, text_wrap=True, valign="top", bg_color="#eef1f3", bottom=1, bottom_color="#55626d", **side
        )

    def _row(
        self, page: Worksheet, row: int, grid: Sequence[Cell | Typed], columns: Sequence[Column], widths: Sequence[int]
    ) -> None:
        lines = 1
        for place, (cell, column) in enumerate(zip(grid, columns, strict=True)):
            typed = cell if isinstance(cell, Typed) else Typed(cell, column.kind)
            written = self._put(page, row, place, typed.value, typed.kind, bottom=4, bottom_color="#d5dbe0")
            if isinstance(written, str):
                lines = max(lines, _lines(written, widths[place]))
        # Said in so many words: not every program makes a row as high as its text.
        if lines > 1:
            page.set_row(row, min(_HIGHEST, _ROW * lines))

    def _put(self, page: Worksheet, row: int, column: int, cell: Cell, kind: Kind, **look: _Look) -> cells.Value:
        """Write a cell as what it is; what was written."""
        value = cells.value(cell, kind, self._report.time_zone, self._language)
        left = kind in _LEFT
        usual: dict[str, _Look] = {"valign": "top", "text_wrap": left, "align": "left" if left else "right"}
        usual["indent"] = int(left and column > 0)
        number = _NUMBERS[kind]
        if isinstance(value, datetime) and value.microsecond:
            number += ".000"  # shown as it is: Excel would round 23:59:59.999 to the next day
        form = self._format(**{**usual, "num_format": number, **look})
        if value is None or value == "":  # an empty text would count as a value
            page.write_blank(row, column, None, form)
        elif isinstance(value, str):
            page.write_string(row, column, value, form)
        elif isinstance(value, date):
            page.write_datetime(row, column, value, form)
        else:
            page.write_number(row, column, value, form)
        return value

    def _format(self, **look: _Look) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(look)
        return self._formats[key]


def _lines(words: str, room: int) -> int:
    """How many lines a text takes in so much room, where lines break at any character."""
    return sum(max(1, -(-cells.wide(part) // (room - 2))) for part in words.split("\n"))


def _band(widths: Sequence[int]) -> tuple[int, int]:
    """The last of the columns that a text goes over, and how wide they are together; two at least, to be one cell."""
    room = 0
    # A column that is not set is nine wide.
    for place in range(20):
        room += widths[place] if place < len(widths) else NARROW
        if room >= _BAND and place:
            break
    return place, room


def _code(words: str) -> str:
    """A text in the head or foot of a printed page, where & begins a code; at most a part of the 255 signs that there is room for."""
    return cells.text(words, "en")[:80].replace("&", "&&").replace("\n", " ")
