"""Tables as the template of the PDF reads them: cells in words, columns with widths, rows side by side where they are narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from audit.report.glyphs import Font
from audit.report.model import Cell, Report, Table
from audit.report.widths import PAGE, fit, pieces
from audit.report.writing import shown

_RIGHT: Final = frozenset({"integer", "decimal", "share", "duration"})
_LONG: Final = 700  # signs of a cell whose row may break over pages
_GUTTER: Final = 14.0  # pt between parts of a table that stand side by side
_FOLD_ROWS: Final = 36
_FEW: Final = 8  # rows that do not stand side by side, and stay on one page


def grid(table: Table, rows: Sequence[Sequence[Cell]], report: Report, font: Font) -> dict[str, Any]:
    """Some rows of a table.

    Args:
        table: Its columns.
        rows: The ones to show.
        report: Its language and time zone.
        font: To measure with.
    """
    kinds = [column.kind for column in table.columns]
    texts = [[shown(cell, kind, report) for cell, kind in zip(row, kinds, strict=True)] for row in rows]
    heads = [column.name for column in table.columns]
    cut = [[pieces(text, kind) for text, kind in zip(row, kinds, strict=True)] for row in texts]
    fitted = fit(heads, kinds, [column.weight for column in table.columns], cut, font)
    side = _side_by_side(sum(fitted.widths), len(texts))
    height = -(-len(texts) // side) if texts else 0
    return {
        "heads": heads,
        "right": [kind in _RIGHT for kind in kinds],
        "widths": list(fitted.widths),
        "size": fitted.size,
        "run": fitted.run,
        "whole": len(texts) <= _FEW and not any(len(cell) > _LONG for row in texts for cell in row),
        "parts": [
            [_row(texts[n], cut[n], fitted.solid) for n in range(at, min(at + height, len(texts)))]
            for at in range(0, len(texts), height or 1)
        ],
    }


def _row(texts: Sequence[str], cut: Sequence[Sequence[str]], solid: Sequence[bool]) -> dict[str, Any]:
    cells = [parts if whole else text for text, parts, whole in zip(texts, cut, solid, strict=True)]
    return {"cells": cells, "long": any(len(text) > _LONG for text in texts)}


def _side_by_side(width: float, rows: int) -> int:
    """Into how many parts a table is divided: as many as fit on the page, if that page holds them all."""
    most = int((PAGE + _GUTTER) // (width + _GUTTER))
    return most if most > 1 and _FEW < rows <= most * _FOLD_ROWS else 1
