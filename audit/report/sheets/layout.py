"""What stands where in the workbook, before anything is written: names of sheets and tables, rows, widths of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xlsxwriter.utility import xl_range

from audit.report.model import Cell, Column, Kind, Report, Section
from audit.report.sheets import cells, pieces
from audit.report.sheets.pieces import Grid, Line, Piece, Typed
from audit.report.sheets.wording import Language, say

MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384

# A sheet's first rows stay in sight: its title, and whose report of which period it is, or why it is not final.
TOP: Final = 2
CONTENTS: Final = "cover.contents"

# Columns are between a least and a most width, measured by so many rows; one that is not set is as narrow as the least.
NARROW: Final = 9
_WIDE: Final = 48
_SAMPLE: Final = 2_000
_MOMENT: Final = 22


class TooLargeError(ValueError):
    """A table has more rows or columns than a sheet of Excel; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece, and the row (from 0) at which it begins."""

    row: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Sheet:
    """A section as it will be written.

    Attributes:
        number: Of the section, from 1.
        name: Of the sheet.
        names: Of its tables, in order of the grids.
        widths: Of its columns, in half-width characters.
    """

    number: int
    name: str
    section: Section
    placed: tuple[Placed, ...]
    names: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def grids(self) -> list[tuple[int, Grid, str]]:
        """Row, grid and name of each table."""
        found = [(placed.row, placed.piece) for placed in self.placed if isinstance(placed.piece, Grid)]
        return [(row, grid, name) for (row, grid), name in zip(found, self.names, strict=True)]


def laid_out(report: Report) -> list[Sheet]:
    """The sheets of all sections.

    Raises:
        TooLargeError: A table does not fit a sheet.
    """
    taken, names = {say("cover", report.language).lower(), "history"}, {CONTENTS}
    return [_sheet(number, section, report, taken, names) for number, section in enumerate(report.sections, start=1)]


def _sheet(number: int, section: Section, report: Report, taken: set[str], names: set[str]) -> Sheet:
    """What stands where; nothing is written yet."""
    placed: list[Placed] = []
    row = TOP + 1
    for piece in pieces.pieces(section, report.language):
        after_text = bool(placed) and isinstance(placed[-1].piece, Line)
        row += after_text and (isinstance(piece, Grid) or piece.style == "heading")
        placed.append(Placed(row, piece))
        # Above the heads, heads, rows (or what is said instead of them), and an empty row.
        row += 1 if isinstance(piece, Line) else piece.head + 2 + max(1, len(piece.rows))
        if isinstance(piece, Grid):
            _fits(piece, row - 1, section, report.language)
    tables = [place.piece for place in placed if isinstance(place.piece, Grid)]
    return Sheet(
        number,
        _sheet_name(f"{number} {section.title}", taken),
        section,
        tuple(placed),
        tuple(pieces.name(grid.id, names) for grid in tables),
        _widths(tables, report.language),
    )


def _fits(grid: Grid, last: int, section: Section, language: Language) -> None:
    told = {"section": cells.text(section.title, language), "table": cells.text(grid.title, language)}
    if last > MOST_ROWS:
        raise TooLargeError(say("too_long", language).format(**told, most=f"{MOST_ROWS:,}", last=f"{last:,}"))
    if len(grid.columns) > MOST_COLUMNS:
        raise TooLargeError(say("too_wide", language).format(**told, most=f"{MOST_COLUMNS:,}"))


def _sheet_name(title: str, taken: set[str]) -> str:
    """A name that Excel takes: at most 31 UTF-16 units, none of []:*?/\\, no apostrophe at an end, none like another."""
    clean = "".join("_" if sign in "[]:*?/\\'" else sign for sign in " ".join(cells.text(title, "en").split()))
    count, ending = 1, ""
    while True:
        base = clean.encode("utf-16-le")[: (31 - len(ending)) * 2].decode("utf-16-le", errors="ignore")
        name = base.rstrip() + ending
        if name.lower() not in taken:
            taken.add(name.lower())
            return name
        count += 1
        ending = f" ({count})"


def _widths(tables: Sequence[Grid], language: Language) -> tuple[int, ...]:
    """Room for the widest cell of each column in the first rows of all tables, between a least and a most."""
    widths = [NARROW] * max((len(grid.columns) for grid in tables), default=0)
    for grid in tables:
        for place, (column, head) in enumerate(zip(grid.columns, pieces.heads(grid.columns, language), strict=True)):
            # Beside a head stands the sign of its filter.
            needs = [min(cells.wide(head) + 5, 24)]
            needs += [_needs(row[place], column.kind) for row in grid.rows[:_SAMPLE]]
            widths[place] = min(_WIDE, max(widths[place], *needs))
    return tuple(widths)


def _needs(cell: Cell | Typed, kind: Kind) -> int:
    """Room for a cell; what is too narrow for a moment or a number is shown as ###."""
    if isinstance(cell, Typed):
        return _needs(cell.value, cell.kind)
    if cell is None:
        return 0
    if kind == "moment" and isinstance(cell, int):
        return _MOMENT + (4 if cell % 1_000 else 0)
    return (cells.wide(cell) if isinstance(cell, str) else len(f"{cell:,.2f}")) + 3


def contents(sheets: Sequence[Sheet], language: Language) -> Grid:
    """Where each table stands."""
    rows: list[tuple[Cell, ...]] = []
    for sheet in sheets:
        title = f"{sheet.number}. {sheet.section.title}"
        if not sheet.grids:
            rows.append((title, sheet.name, None, None, None, None))
        for row, grid, name in sheet.grids:
            top, count = row + grid.head, len(grid.rows)
            place = xl_range(top, 0, top + count, len(grid.columns) - 1) if count else None
            rows.append((title, sheet.name, grid.title, place, count, name if count else None))
    columns = tuple(
        Column(say(key, language), "integer" if key == "rows" else "text")
        for key in ("section", "sheet", "table", "range", "rows", "name")
    )
    return Grid(CONTENTS, say("contents", language), columns, rows, "-")
