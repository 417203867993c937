"""A count against the limits between bands, such as handlers against the bands of a threshold judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from audit.report.charts import drawing
from audit.report.charts.drawing import ACCENT, ALARM, GROUND, LINE, PAPER, SOFT, WIDTH, Fill
from audit.report.charts.wording import Language, say

Points = Sequence[tuple[date, int]]

_LEFT: Final = 62
_RIGHT: Final = WIDTH - 8
_TOP: Final = 12
_BOTTOM: Final = 182
# Every so many months a name.
_EVERY: Final = (1, 2, 3, 4, 6, 12, 24, 60, 120)


@dataclass(frozen=True, slots=True)
class Band:
    """Counts from `least` to under `below` (None: no end), by the name of the band, and whether it is the declared one."""

    label: str
    least: int
    below: int | None
    declared: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """Days and counts to places."""

    first: date
    last: date
    most: int

    def x(self, day: date) -> float:
        days = max(1, (self.last - self.first).days)
        return _LEFT + (_RIGHT - _LEFT) * (day - self.first).days / days

    def y(self, count: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * count / self.most


def against_threshold(
    points: Points,
    bands: Sequence[Band],
    language: Language,
    projected: Points = (),
    crossings: Points = (),
) -> str:
    """A count over time against the bands that it can fall into.

    Args:
        points: Day and count, days ascending; a count holds until the next.
        bands: Ascending; the declared one is shaded. Bands above the next limit are not drawn, so that the count can be read.
        language: Of the legend.
        projected: Day and count at the present trend, days ascending; drawn as straight, broken lines.
        crossings: Day and limit: when a limit was or would be crossed.
    """
    if not points:
        return drawing.nothing(say("nothing", language))
    scale = _scale(points, bands, [*projected, *crossings])
    out = [*_bands(bands, scale), *_axes(scale, language), _steps(points, scale)]
    if projected:
        joints = " ".join(f"{drawing.number(scale.x(day))} {drawing.number(scale.y(n))}" for day, n in projected)
        out.append(drawing.line(f"M{joints}", ACCENT, 2, "5 4"))
    out += _names(bands, scale)
    out += [_crossing(day, limit, scale) for day, limit in crossings]
    below = _BOTTOM + 36
    legend, deep = drawing.key(below, _samples(bands, projected, crossings, language))
    return drawing.svg(below + deep, [*out, legend])


def _scale(points: Points, bands: Sequence[Band], later: Points) -> _Scale:
    """From the first day to the last, and up to a little more than the next limit above all counts."""
    counts = [count for _, count in (*points, *later)]
    limits = [band.least for band in bands if band.least > max(counts)]
    most = max(1, *counts, *limits[:1])
    days = [day for day, _ in (*points, *later)]
    first, last = min(days), max(days)
    return _Scale(first, max(last, first + timedelta(days=1)), -(-most * 115 // 100))


def _bands(bands: Sequence[Band], scale: _Scale) -> list[str]:
    """Bands from below, each above its limit; a number only where there is room for it."""
    out, numbered = [], float(_BOTTOM)
    for band in bands:
        if band.least >= scale.most:
            break
        top = scale.y(min(scale.most, band.below or scale.most))
        bottom = scale.y(band.least)
        if band.declared:
            out.append(drawing.rect(_LEFT, top, _RIGHT - _LEFT, bottom - top, Fill(GROUND)))
        if band.least:
            out.append(drawing.line(f"M{_LEFT} {drawing.number(bottom)}H{_RIGHT}", ALARM, 1, "1.5 2.5"))
            if numbered - bottom >= 11:
                out.append(drawing.text(_LEFT - 6, bottom + 3.5, f"{band.least:,}", anchor="end", size=9.5))
                numbered = bottom
    return out


def _names(bands: Sequence[Band], scale: _Scale) -> list[str]:
    """Names of bands in their lower left corners, over what is drawn there, where there is room for them."""
    out = []
    for band in bands:
        bottom = scale.y(band.least)
        if bottom - scale.y(min(scale.most, band.below or scale.most)) >= 14:
            ground = GROUND if band.declared else PAPER
            out.append(drawing.text(_LEFT + 6, bottom - 5, band.label, size=9.5, fill=SOFT, halo=ground))
    return out


def _axes(scale: _Scale, language: Language) -> list[str]:
    out = [drawing.line(f"M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}", SOFT)]
    out.append(drawing.text(_LEFT - 6, _BOTTOM + 3.5, "0", anchor="end", size=9.5, fill=SOFT))
    months = _months(scale.first, scale.last)
    names = [f"{day.year}-{day.month:02}" if language == "en" else f"{day.year}年{day.month}月" for day in months]
    room = max(drawing.wide(name, 9.5) for name in names) + 8
    every = next((n for n in _EVERY if (_RIGHT - _LEFT) * n / len(months) >= room), _EVERY[-1])
    for place in range(0, len(months), every):
        x = scale.x(months[place])
        out.append(drawing.line(f"M{drawing.number(x)} {_BOTTOM}v5", SOFT))
        if x + room - 8 <= WIDTH:
            out.append(drawing.text(x, _BOTTOM + 17, names[place], size=9.5, fill=SOFT))
    return out


def _months(first: date, last: date) -> list[date]:
    """The first day, and each first of a month after it."""
    out, month = [first], first.replace(day=1)
    while (month := (month + timedelta(days=32)).replace(day=1)) <= last:
        out.append(month)
    return out


def _steps(points: Points, scale: _Scale) -> str:
    """Counts as steps, with the last as a dot and a number."""
    parts = [f"M{drawing.number(scale.x(points[0][0]))} {drawing.number(scale.y(points[0][1]))}"]
    parts += [f"H{drawing.number(scale.x(day))}V{drawing.number(scale.y(count))}" for day, count in points[1:]]
    day, count = points[-1]
    x, y, words = scale.x(day), scale.y(count), f"{count:,}"
    room = drawing.wide(words)
    left = x - room - 6 if x + room + 10 > WIDTH else x + 8
    base = y + 16 if y + 20 < _BOTTOM else y - 20  # above the name of the lowest band, not on it
    return (
        drawing.line("".join(parts), ACCENT, 2)
        + f'<circle cx="{drawing.number(x)}" cy="{drawing.number(y)}" r="3.6" fill="{ACCENT}"/>'
        + drawing.rect(left - 2, base - 10, room + 2, 13, Fill(PAPER))
        + drawing.text(left, base, words)
    )


def _crossing(day: date, limit: int, scale: _Scale) -> str:
    """A diamond on the limit, and its day."""
    x, y, words = scale.x(day), scale.y(limit), day.isoformat()
    room = drawing.wide(words, 9.5)
    left = min(max(_LEFT + 4, x - room / 2), WIDTH - room)
    diamond = f'<path d="M{drawing.number(x)} {drawing.number(y - 6)}l6 6l-6 6l-6 -6z" fill="{PAPER}" stroke="{ALARM}" stroke-width="1.6"/>'
    return (
        drawing.line(f"M{drawing.number(x)} {drawing.number(y)}V{_BOTTOM}", LINE)
        + diamond
        + drawing.rect(left - 2, y - 22, room + 2, 13, Fill(PAPER))
        + drawing.text(left, y - 12, words, size=9.5)
    )


def _samples(bands: Sequence[Band], projected: Points, crossings: Points, language: Language) -> list[tuple[str, str]]:
    samples = [(drawing.line("M0 7H14", ACCENT, 2), say("actual", language))]
    if projected:
        samples.append((drawing.line("M0 7H14", ACCENT, 2, "5 4"), say("projected", language)))
    if any(band.declared for band in bands):
        samples.append((drawing.rect(0, 1, 14, 12, Fill(GROUND), LINE), say("declared_band", language)))
    if crossings:
        diamond = f'<path d="M7 1l6 6l-6 6l-6 -6z" fill="{PAPER}" stroke="{ALARM}" stroke-width="1.6"/>'
        samples.append((diamond, say("crossing", language)))
    return samples
