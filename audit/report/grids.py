"""Tables as the template of the PDF reads them: cells in words, columns with widths, rows side by side where they are narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from audit.report.glyphs import Font
from audit.report.model import Cell, Report, Table
from audit.report.widths import PAGE, Fit, fit, pieces
from audit.report.writing import shown

_RIGHT: Final = frozenset({"integer", "decimal", "share", "duration"})
_LONG: Final = 36  # lines of a row; more may break over pages
_WHOLE: Final = 16  # lines of a table; more may break between its rows
_GUTTER: Final = 14.0  # pt between parts of a table that stand side by side
_SIDE_ROWS: Final = 46  # rows one below the other that surely fit on a page
_SMALL: Final = 7.0  # pt of letters where that lets twice as many rows stand on a page
_FEW: Final = 8  # rows that do not stand side by side


def grid(table: Table, rows: Sequence[Sequence[Cell]], report: Report, font: Font) -> dict[str, Any]:
    """Some rows of a table.

    Args:
        table: Its columns.
        rows: The ones to show.
        report: Its language and time zone.
        font: To measure with.

    Returns:
        `groups` of parts that stand side by side, each with its rows, and how to draw them; sizes in pt. A cell is a text, a list of
        pieces between which it is broken, or a text with the number of signs after which it has to be broken somewhere.
    """
    kinds = [column.kind for column in table.columns]
    heads = [column.name for column in table.columns]
    weights = [column.weight for column in table.columns]
    texts = [[shown(cell, kind, report) for cell, kind in zip(row, kinds, strict=True)] for row in rows]
    cut = [[pieces(text, kind) for text, kind in zip(row, kinds, strict=True)] for row in texts]
    fitted = fit(heads, kinds, weights, cut, font)
    side = _side_by_side(fitted, len(rows))
    if side == 1 and _side_by_side(smaller := fit(heads, kinds, weights, cut, font, _SMALL), len(rows)) > 1:
        fitted, side = smaller, 2
    lines = [max(fitted.lines(text, place, font) for place, text in enumerate(row)) for row in texts]
    made = [
        {"cells": _cells(row, parts, fitted, font), "long": high > _LONG}
        for row, parts, high in zip(texts, cut, lines, strict=True)
    ]
    return {
        "heads": [_cell(head, [head], False, fitted, place, font) for place, head in enumerate(heads)],
        "right": [kind in _RIGHT for kind in kinds],
        "widths": list(fitted.widths),
        "size": fitted.size,
        "padding": fitted.padding,
        "whole": sum(lines) <= (_SIDE_ROWS * side if side > 1 else _WHOLE),
        "groups": _groups(made, side),
    }


def _cells(texts: Sequence[str], cut: Sequence[list[str]], fitted: Fit, font: Font) -> list[object]:
    return [
        _cell(text, parts, solid, fitted, place, font)
        for place, (text, parts, solid) in enumerate(zip(texts, cut, fitted.solid, strict=True))
    ]


def _cell(text: str, parts: list[str], solid: bool, fitted: Fit, place: int, font: Font) -> object:
    if solid:
        return parts
    run = fitted.run(text, place, font)
    return text if run is None else {"text": text, "run": run}


def _side_by_side(fitted: Fit, rows: int) -> int:
    """How many parts of a table stand side by side."""
    fitting = int((PAGE + _GUTTER) // (sum(fitted.widths) + _GUTTER))
    return max(1, fitting) if rows > _FEW else 1


def _groups(rows: Sequence[dict[str, Any]], side: int) -> list[list[Sequence[dict[str, Any]]]]:
    """Rows by page and part: down the first part of a page, then down the next."""
    if side == 1:
        return [[rows]]
    pages = [rows[at : at + side * _SIDE_ROWS] for at in range(0, len(rows), side * _SIDE_ROWS)]
    return [
        [page[at : at + high] for at in range(0, len(page), high)] for page in pages for high in [-(-len(page) // side)]
    ]
