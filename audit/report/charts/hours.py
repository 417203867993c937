"""Hour by weekday, against declared hours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from audit.report.charts import drawing
from audit.report.charts.drawing import INK, PAPER, SOFT, WIDTH, Fill
from audit.report.charts.wording import Language, say

_WEEKDAYS: Final = {"ja": "月火水木金土日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
# Numbers are read on the first three in dark ink and on the others in white, with a contrast of 4.5 or more.
_SHADES: Final = ("#dbe7ee", "#b5cfdd", "#7fa9c0", "#2f6788", "#17435f")
_DARK: Final = 3
_LEFT: Final = 34
_TOP: Final = 18
_COLUMN: Final = 26.2
_TALL: Final = 24

# Declared hours of a weekday: minutes from midnight, the second excluded and later; None: none, such as on a Sunday.
Hours = tuple[int, int] | None


def heat(matrix: Sequence[Sequence[int | None]], declared: Sequence[Hours], language: Language) -> str:
    """Hour by weekday: how many, against the declared hours.

    Args:
        matrix: Seven weekdays from Monday, each with 24 counts by hour; None: not known, or not shown.
        declared: Declared hours of the seven weekdays.
        language: Of labels and legend.

    Raises:
        ValueError: It is not 7 by 24, or `declared` not seven.
    """
    if len(matrix) != 7 or any(len(row) != 24 for row in matrix) or len(declared) != 7:
        raise ValueError("a heat map needs 7 weekdays of 24 hours, and 7 declared hours")
    most = max((count or 0 for row in matrix for count in row), default=0)
    if not most and not any(None in row for row in matrix):
        return drawing.nothing(say("nothing", language))
    out = [drawing.text(WIDTH, 11, say("sum", language), anchor="end", size=9.5, fill=SOFT)]
    for hour in range(0, 25, 3):
        out.append(drawing.text(_LEFT + hour * _COLUMN, 11, f"{hour}", anchor="middle", size=9.5, fill=SOFT))
    cells = [(count, weekday, hour) for weekday, row in enumerate(matrix) for hour, count in enumerate(row)]
    out += [_shade(count, most, weekday, hour) for count, weekday, hour in cells]
    for hours, run in groupby(range(7), key=declared.__getitem__):
        weekdays = list(run)
        if hours is not None:
            out.append(_frame(hours, weekdays[0], len(weekdays)))
    out += [_number(count, most, day, hour, _outside(hour, declared[day])) for count, day, hour in cells if count != 0]
    for weekday, row in enumerate(matrix):
        base, total = _TOP + weekday * _TALL + 16, sum(count or 0 for count in row)
        out.append(drawing.text(_LEFT - 8, base, _WEEKDAYS[language][weekday], anchor="end"))
        out.append(drawing.text(WIDTH, base, f"{total:,}", anchor="end", size=10, fill=SOFT))
    below = _TOP + 7 * _TALL + 10
    legend, deep = drawing.key(below, _samples(matrix, declared, language))
    return drawing.svg(below + deep, [*out, legend])


def _outside(hour: int, hours: Hours) -> bool:
    """Whether no minute of the hour is declared."""
    return hours is None or hour * 60 + 60 <= hours[0] or hour * 60 >= hours[1]


def _step(count: int, most: int) -> int:
    """0 to 4, by the square root: a few accesses in the night must be seen beside thousands in the day."""
    return min(4, int((count / most) ** 0.5 * 5))


def _shade(count: int | None, most: int, weekday: int, hour: int) -> str:
    x, y = _LEFT + hour * _COLUMN, _TOP + weekday * _TALL
    ground = _SHADES[_step(count, most)] if count else "#f5f7f8"
    return drawing.rect(x + 0.5, y + 0.5, _COLUMN - 1, _TALL - 1, Fill(ground))


def _number(count: int | None, most: int, weekday: int, hour: int, outside: bool) -> str:
    x, y = _LEFT + hour * _COLUMN, _TOP + weekday * _TALL
    middle, base = x + _COLUMN / 2, y + _TALL / 2 + 3.5
    if count is None:
        return drawing.text(middle, base, "–", anchor="middle", size=9.5, fill=SOFT)
    step = _step(count, most)
    ink, base = PAPER if step >= _DARK else INK, base + (2.5 if outside else 0)
    out = drawing.text(middle, base, _short(count), anchor="middle", size=8.5, fill=ink, halo=_SHADES[step])
    if outside:
        out += drawing.rect(x + _COLUMN - 9, y + 1, 8.5, 8.5, Fill(PAPER))
        out += drawing.triangle(x + _COLUMN - 8, y + 8, 6)
    return out


def _short(count: int) -> str:
    """A count in at most five signs."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size * 10:
            return f"{count // size}{unit}"
    return str(count)


def _frame(hours: tuple[int, int], weekday: int, count: int) -> str:
    begin, end = (_LEFT + minute / 60 * _COLUMN for minute in hours)
    place = (begin, _TOP + weekday * _TALL, end - begin, count * _TALL)
    return drawing.frame(*place, PAPER, 4.4) + drawing.frame(*place, INK)


def _samples(
    matrix: Sequence[Sequence[int | None]], declared: Sequence[Hours], language: Language
) -> list[tuple[str, str]]:
    samples = []
    if any(declared):
        samples.append((drawing.frame(1, 1, 12, 12, INK), say("declared", language)))
    samples.append((drawing.triangle(3, 11, 8), say("outside", language)))
    if any(None in row for row in matrix):
        samples.append((drawing.text(7, 11, "–", anchor="middle"), say("hidden", language)))
    return samples
