"""Charts as inline SVG: the same numbers give the same bytes, and no colour carries a meaning alone.

Every chart has a title and a description for those who do not see it; the numbers also stand in a table beside it.
Colours are custom properties of the page (`report.html.j2`), so that print and screen agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import Final, Literal

Mark = Literal["", "gap", "off", "absent"]

CELL: Final = 24
LABEL_WIDTH: Final = 156
TOTAL_WIDTH: Final = 72
LABEL_CHARS: Final = 22

LEVELS: Final = 5
# Side of the inner square per power of ten: size says what the shade says.
_SIDES: Final = (0, 7, 11, 14, 17, 20)


@dataclass(frozen=True, slots=True)
class Column:
    """One day (or month, or year) of a chart.

    Attributes:
        label: Number above the column.
        under: Small text below it, such as the weekday.
        quiet: A day off: drawn on a shaded ground.
    """

    label: str
    under: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One source on one day: how many lines, and what their absence means.

    Attributes:
        value: Lines.
        mark: "gap": some are missing; "off": silent, as it may be; "absent": not there yet, or no more.
        hint: In words.
    """

    value: int
    mark: Mark
    hint: str


@dataclass(frozen=True, slots=True)
class Row:
    """One source: its name, its cells in the order of the columns, and what stands at the end of the line."""

    label: str
    cells: Sequence[Cell]
    total: str


def level(value: int) -> int:
    """Shade of a cell: 0 for nothing, then one step per power of ten up to `LEVELS`."""
    return 0 if value <= 0 else min(LEVELS, int(log10(value)) + 1)


def heat(rows: Sequence[Row], columns: Sequence[Column], title: str, description: str, uid: str) -> str:
    """A calendar of which source spoke when.

    Args:
        rows, columns: What to draw.
        title, description: For those who do not see it.
        uid: Prefix of ids, unique in the page.
    """
    width = LABEL_WIDTH + len(columns) * CELL + TOTAL_WIDTH
    height = 40 + len(rows) * (CELL + 2) + 4
    out = [_open(width, height, title, description, uid)]
    for place, column in enumerate(columns):
        x = LABEL_WIDTH + place * CELL
        if column.quiet:
            out.append(f'<rect class="ground" x="{x}" y="34" width="{CELL}" height="{height - 36}"/>')
        middle = x + CELL / 2
        out.append(f'<text class="tick" x="{_n(middle)}" y="14">{escape(column.label)}</text>')
        out.append(f'<text class="tick faint" x="{_n(middle)}" y="27">{escape(column.under)}</text>')
    for line, row in enumerate(rows):
        y = 37 + line * (CELL + 2)
        out.append(f'<text class="name" x="{LABEL_WIDTH - 10}" y="{y + 15}">{escape(_cut(row.label))}</text>')
        for place, cell in enumerate(row.cells):
            out.append(_cell(cell, LABEL_WIDTH + place * CELL, y))
        end = LABEL_WIDTH + len(columns) * CELL + 10
        out.append(f'<text class="total" x="{end}" y="{y + 15}">{escape(row.total)}</text>')
    out.append("</svg>")
    return "".join(out)


def _cell(cell: Cell, x: int, y: int) -> str:
    hint = f"<title>{escape(cell.hint)}</title>"
    middle_x, middle_y = x + CELL / 2, y + CELL / 2
    if cell.mark == "gap":
        near, far = 6, CELL - 6
        return (
            f'<g>{hint}<rect class="gap" x="{x + 2}" y="{y + 2}" width="{CELL - 4}" height="{CELL - 4}"/>'
            f'<path class="cross" d="M{x + near} {y + near}L{x + far} {y + far}M{x + far} {y + near}L{x + near} {y + far}"/></g>'
        )
    step = level(cell.value)
    if not step:
        return f'<g>{hint}<circle class="off" cx="{_n(middle_x)}" cy="{_n(middle_y)}" r="1.6"/></g>'
    side = _SIDES[step]
    return (
        f'<g>{hint}<rect class="l{step}" x="{_n(middle_x - side / 2)}" y="{_n(middle_y - side / 2)}" '
        f'width="{side}" height="{side}"/></g>'
    )


def heat_key(labels: Sequence[str], gap: str, off: str) -> str:
    """Legend of `heat`: one sample per step, then a gap and a silent day off."""
    items = [(Cell(10 ** (step - 1), "", label), label) for step, label in enumerate(labels, start=1)]
    items += [(Cell(0, "gap", gap), gap), (Cell(0, "off", off), off)]
    samples = []
    for cell, label in items:
        samples.append(
            f'<span class="key"><svg width="{CELL}" height="{CELL}" viewBox="0 0 {CELL} {CELL}" aria-hidden="true">'
            f"{_cell(cell, 0, 0)}</svg>{escape(label)}</span>"
        )
    return f'<p class="keys">{"".join(samples)}</p>'


@dataclass(frozen=True, slots=True)
class Stack:
    """One day of a system: how many accesses were explained, are to be checked, are unexplained; a hint to show."""

    explained: int
    to_check: int
    unexplained: int
    hint: str

    @property
    def total(self) -> int:
        """All accesses of the day."""
        return self.explained + self.to_check + self.unexplained


STACK_HEIGHT: Final = 76


def stacks(days: Sequence[Stack], columns: Sequence[Column], title: str, description: str, uid: str) -> str:
    """Shares of explained accesses day by day, each day a full column; a day without accesses stays empty.

    Args:
        days, columns: What to draw, of the same length.
        title, description: For those who do not see it.
        uid: Prefix of ids, unique in the page.
    """
    left, bottom = 44, STACK_HEIGHT + 8
    wide = max(8, min(29, round(900 / max(1, len(columns)))))
    width, height = left + len(columns) * wide + 8, bottom + 32
    out = [_open(width, height, title, description, uid), _hatch(uid)]
    for share in (0, 50, 100):
        y = bottom - STACK_HEIGHT * share / 100
        out.append(f'<path class="grid" d="M{left} {_n(y)}H{width - 8}"/>')
        out.append(f'<text class="axis" x="{left - 6}" y="{_n(y + 4)}">{share}%</text>')
    for place, (day, column) in enumerate(zip(days, columns, strict=True)):
        x = left + place * wide
        out.append(_stack(day, x, wide, bottom, uid))
        if wide >= 16 or place % 5 == 0:
            out.append(f'<text class="tick" x="{_n(x + wide / 2)}" y="{bottom + 14}">{escape(column.label)}</text>')
            out.append(
                f'<text class="tick faint" x="{_n(x + wide / 2)}" y="{bottom + 26}">{escape(column.under)}</text>'
            )
    out.append("</svg>")
    return "".join(out)


def _stack(day: Stack, x: int, wide: int, bottom: int, uid: str) -> str:
    if not day.total:
        return ""
    parts, y = [f"<title>{escape(day.hint)}</title>"], float(bottom)
    fills = (("explained", day.explained), ("to-check", day.to_check), ("unexplained", day.unexplained))
    for name, count in fills:
        tall = STACK_HEIGHT * count / day.total
        if tall:
            y -= tall
            fill = f' fill="url(#{uid}-hatch)"' if name == "to-check" else ""
            parts.append(f'<rect class="{name}" x="{x + 2}" y="{_n(y)}" width="{wide - 4}" height="{_n(tall)}"{fill}/>')
    return f"<g>{''.join(parts)}</g>"


def stacks_key(explained: str, to_check: str, unexplained: str) -> str:
    """Legend of `stacks`."""
    samples = []
    for name, label in (("explained", explained), ("to-check", to_check), ("unexplained", unexplained)):
        fill = ' fill="url(#key-hatch)"' if name == "to-check" else ""
        inner = f'<rect class="{name}" x="1" y="4" width="18" height="13"{fill}/>'
        pattern = _hatch("key") if name == "to-check" else ""
        samples.append(
            f'<span class="key"><svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">{pattern}{inner}</svg>'
            f"{escape(label)}</span>"
        )
    return f'<p class="keys">{"".join(samples)}</p>'


def bar(share: float) -> str:
    """A horizontal bar of a share, 0 to 1; the number stands beside it as text."""
    full = 140
    filled = full * min(max(share, 0.0), 1.0)
    return (
        f'<svg class="bar" width="{full}" height="10" viewBox="0 0 {full} 10" aria-hidden="true">'
        f'<rect class="rail" width="{full}" height="10"/><rect class="fill" width="{_n(filled)}" height="10"/></svg>'
    )


def _open(width: int, height: int, title: str, description: str, uid: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{uid}-title {uid}-desc"><title id="{uid}-title">{escape(title)}</title>'
        f'<desc id="{uid}-desc">{escape(description)}</desc>'
    )


def _hatch(uid: str) -> str:
    return (
        f'<defs><pattern id="{uid}-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-ground" width="5" height="5"/><rect class="hatch-line" width="2" height="5"/></pattern></defs>'
    )


def _cut(text: str) -> str:
    """A label that fits; the whole of it stands in the table."""
    return text if len(text) <= LABEL_CHARS else f"{text[: LABEL_CHARS - 1]}…"


def _n(value: float) -> str:
    """A coordinate with at most two decimals, the shortest way."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
