"""What happened day by day: which source spoke when, and counts over time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from audit.charts import Cell, Row, level
from audit.report.charts import drawing
from audit.report.charts.drawing import FILLS, GROUND, LEVELS, LINE, PAPER, SOFT, WIDTH, Fill
from audit.report.charts.periods import AXIS, Span, axis, grounds, spans, unit
from audit.report.charts.wording import Language, say

# More would not fit a page of A4.
MOST_ROWS: Final = 45

_NAME: Final = 184
_TOTAL: Final = 70
_STEPS: Final = ("1–9", "10–99", "100–999", "1,000–9,999", "10,000–")
_LEFT: Final = 44
_TALL: Final = 150


def calendar(rows: Sequence[Row], days: Sequence[date], language: Language, off: Collection[date] = ()) -> str:
    """Which source spoke when, day by source.

    Args:
        rows: One per source, cells in the order of `days`; of a cell `value` is a count of lines and `mark` is "gap" (records are
            missing; with a value: for part of the day), "off" (silent, as it may be), "absent" (the source was not there yet, or
            no more) or "". Rows beyond `MOST_ROWS` are left out, those without a gap first, and the chart says so.
        days: Ascending. More than 46 are drawn by week, more than a year by month; a gap in one of them marks the whole.
        language: Of the legend.
        off: Days off: a shaded ground.

    Raises:
        ValueError: A row has not as many cells as there are days.
    """
    if not rows or not days:
        return drawing.nothing(say("nothing", language))
    for row in rows:
        if len(row.cells) != len(days):
            raise ValueError(f"row {row.label!r} has {len(row.cells)} cells for {len(days)} days")
    columns, kept = spans(days, language, off), _most(rows)
    column, tall = min(34.0, (WIDTH - _NAME - _TOTAL) / len(columns)), 18
    height = len(kept) * tall
    out = [
        axis(columns, _NAME, column, 0),
        drawing.text(WIDTH, 25, say("sum", language), anchor="end", size=9.5, fill=SOFT),
        grounds(columns, _NAME, column, AXIS, height),
    ]
    out += [_source(row, columns, AXIS + line * tall + tall / 2, column) for line, row in enumerate(kept)]
    more, below = drawing.more(AXIS + height + 8, len(rows) - len(kept), language)
    legend, deep = drawing.key(below, _calendar_key(kept, columns, language))
    return drawing.svg(below + deep, [*out, more, legend])


def _most(rows: Sequence[Row]) -> Sequence[Row]:
    """As many rows as fit, in their order; of too many those with gaps stay."""
    if len(rows) <= MOST_ROWS:
        return rows
    gaps = [any(cell.mark == "gap" for cell in row.cells) for row in rows]
    first = sorted(range(len(rows)), key=lambda place: (not gaps[place], place))[:MOST_ROWS]
    return [rows[place] for place in sorted(first)]


def _source(row: Row, columns: Sequence[Span], y: float, column: float) -> str:
    """A line around its middle."""
    out = [drawing.text(_NAME - 8, y + 4, drawing.cut(row.label, _NAME - 8), anchor="end")]
    for place, span in enumerate(columns):
        cells = row.cells[span.begin : span.end]
        lines = sum(cell.value for cell in cells)
        each = max(1, lines // len(cells)) if lines else 0
        out.append(_day(each, _mark(cells), _NAME + (place + 0.5) * column, y, column))
    out.append(drawing.text(WIDTH, y + 4, row.total, anchor="end", size=10, fill=SOFT))
    return f"<g>{''.join(out)}</g>"


def _mark(cells: Sequence[Cell]) -> str:
    marks = {cell.mark for cell in cells}
    if "gap" in marks:
        return "part" if any(cell.value for cell in cells) else "gap"
    return "absent" if marks == {"absent"} else ""


def _day(value: int, mark: str, x: float, y: float, column: float) -> str:
    """A cell around its middle: size and shade say how many lines; a sign, what is missing."""
    room = min(14.0, column - 1)
    if mark == "gap":
        return drawing.cross(x - room / 2 + 0.5, y - room / 2 + 0.5, room - 1)
    if mark == "absent":
        return drawing.line(
            f"M{drawing.number(x - room / 4)} {drawing.number(y)}h{drawing.number(room / 2)}", "#9aa5ae"
        )
    step = level(value)
    if not step:
        return f'<circle cx="{drawing.number(x)}" cy="{drawing.number(y)}" r="1.3" fill="#7b8790"/>'
    side = room * (0.3 + 0.14 * step)
    out = drawing.rect(x - side / 2, y - side / 2, side, side, Fill(LEVELS[step - 1]))
    if mark == "part":
        sign = min(7.0, room * 0.6)
        out += drawing.rect(x - sign / 2 - 1, y - sign / 2 - 1, sign + 2, sign + 2, Fill(PAPER))
        out += drawing.triangle(x - sign / 2, y + sign / 2, sign)
    return out


def _calendar_key(rows: Sequence[Row], columns: Sequence[Span], language: Language) -> list[tuple[str, str]]:
    lines = "lines_a_day" if any(span.end - span.begin > 1 for span in columns) else "lines"
    samples = [
        (_day(10**step, "", 7, 7, 15), meaning if step else say(lines, language) + meaning)
        for step, meaning in enumerate(_STEPS)
    ]
    samples += [
        (_day(0, "gap", 7, 7, 15), say("gap", language)),
        (_day(10**4, "part", 7, 7, 15), say("part", language)),
        (_day(0, "", 7, 7, 15), say("off", language)),
    ]
    if any(cell.mark == "absent" for row in rows for cell in row.cells):
        samples.append((_day(0, "absent", 7, 7, 15), say("absent", language)))
    return samples + _ground_key(columns, language)


def _ground_key(columns: Sequence[Span], language: Language) -> list[tuple[str, str]]:
    if any(span.off for span in columns):
        return [(drawing.rect(0, 0, 14, 14, Fill(GROUND), LINE), say("day_off", language))]
    words = unit(columns, language)
    return [(drawing.line("M1 13V2M1 13H13", SOFT), words)] if words else []


@dataclass(frozen=True, slots=True)
class Series:
    """What is stacked: a name and one count per day; None: not known, such as a day that was not analysed."""

    label: str
    counts: Sequence[int | None]


def over_time(days: Sequence[date], series: Sequence[Series], language: Language, off: Collection[date] = ()) -> str:
    """Counts day by day, stacked.

    Args:
        days: Ascending. More than 46 are summed by week, more than a year by month; one unknown day makes its column unknown.
        series: One to six, the most pressing first: it stands at the bottom. Counts in the order of `days`.
        language: Of the legend.
        off: Days off: a shaded ground.

    Raises:
        ValueError: More than six series, or one whose counts are not as many as the days.
    """
    if len(series) > len(FILLS):
        raise ValueError(f"{len(series)} series cannot be told apart; at most {len(FILLS)}")
    for one in series:
        if len(one.counts) != len(days):
            raise ValueError(f"series {one.label!r} has {len(one.counts)} counts for {len(days)} days")
    known = any(count for one in series for count in one.counts)
    if not days or (not known and not any(None in one.counts for one in series)):
        return drawing.nothing(say("nothing", language))
    columns = spans(days, language, off)
    counts = [[_summed(one.counts[span.begin : span.end]) for one in series] for span in columns]
    marks = drawing.ticks(max((sum(n or 0 for n in column) for column in counts), default=0))
    top, bottom = 10, 10 + _TALL
    column = min(40.0, (WIDTH - _LEFT) / len(columns))
    right = drawing.number(_LEFT + column * len(columns))
    out = [grounds(columns, _LEFT, column, top, _TALL)]
    for mark in marks:
        y = bottom - _TALL * mark / marks[-1]
        out.append(drawing.line(f"M{_LEFT} {drawing.number(y)}H{right}", LINE if mark else SOFT))
        out.append(drawing.text(_LEFT - 6, y + 3.5, f"{mark:,}", anchor="end", size=9.5, fill=SOFT))
    for place, parts in enumerate(counts):
        out.append(_stack(parts, _LEFT + place * column, column, bottom, _TALL / marks[-1]))
    out.append(axis(columns, _LEFT, column, bottom + 4))
    samples = [(drawing.rect(0, 1, 14, 12, FILLS[place], SOFT), one.label) for place, one in enumerate(series)]
    if any(None in parts for parts in counts):
        samples.append((drawing.cross(1, 1, 12), say("unknown", language)))
    legend, deep = drawing.key(bottom + AXIS + 12, samples + _ground_key(columns, language))
    return drawing.svg(bottom + AXIS + 12 + deep, [*out, legend])


def _summed(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _stack(counts: Sequence[int | None], x: float, column: float, bottom: float, scale: float) -> str:
    """One column: parts one above the other; where one of them is not known, only the sign."""
    if None in counts:
        side = min(12.0, column - 2)
        return drawing.cross(x + (column - side) / 2, bottom - side - 2, side)
    gap, y, out = min(2.0, column * 0.12), bottom, []
    for place, count in enumerate(counts):
        if count:
            # One alert beside a thousand other findings must be seen.
            tall = max(1.5, count * scale)
            y -= tall
            out.append(drawing.rect(x + gap, y, column - 2 * gap, tall - (0.8 if tall > 4 else 0), FILLS[place]))
    return "".join(out)
