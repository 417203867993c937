"""What charts are drawn with: shapes and texts of SVG, with concrete colours and without ids, links or style sheets.

The same drawing stands in HTML and in a PDF. Nothing refers to anything by id, so that many charts stand in one page; hatches are
therefore drawn line by line. Lengths are units of the viewBox; `WIDTH` of them fill the width of an A4 page's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor
from typing import Final, Literal
from unicodedata import category, combining, east_asian_width

from audit.report.charts.wording import Language, say
from audit.report.writing import visible

WIDTH: Final = 720
SIZE: Final = 11

INK: Final = "#1d2730"
SOFT: Final = "#55626d"
LINE: Final = "#d5dbe0"
GROUND: Final = "#eef1f3"
PAPER: Final = "#ffffff"
ACCENT: Final = "#1f4e6b"
ALARM: Final = "#a3262a"
# One to five: the more, the darker.
LEVELS: Final = ("#a9c6d6", "#7fa9c0", "#5388a6", "#2f6788", "#17435f")

_FONTS: Final = "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,sans-serif"
_STEP: Final = 5

Anchor = Literal["start", "middle", "end"]
Hatch = Literal["", "/", "\\", "-"]


class Fill:
    """How an area looks: its ground, and lines over it that tell it from others without colour."""

    __slots__ = ("ground", "hatch", "line")

    def __init__(self, ground: str, hatch: Hatch = "", line: str = "") -> None:
        self.ground = ground
        self.hatch: Hatch = hatch
        self.line = line


# In this order neighbours differ in lightness and in hatch, also for those who see no red, and in a grey print.
FILLS: Final = (
    Fill(ALARM),
    Fill("#fbeccf", "/", "#b3690a"),
    Fill("#5388a6"),
    Fill("#e4eef3", "\\", "#2f6788"),
    Fill("#c9d2d9"),
    Fill(PAPER, "-", "#55626d"),
)


def svg(height: float, parts: Iterable[str]) -> str:
    """A drawing of `WIDTH` by `height` units. It is one picture: whoever shows it says in words what is in it."""
    tall = number(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{WIDTH}" height="{tall}" viewBox="0 0 {WIDTH} {tall}" '
        f'font-family="{_FONTS}" font-size="{SIZE}" fill="{INK}">{"".join(parts)}</svg>'
    )


def nothing(sentence: str) -> str:
    """A drawing that says only why there is none."""
    border = (
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="47" fill="{PAPER}" stroke="{SOFT}" stroke-dasharray="4 3"/>'
    )
    return svg(48, [border, text(WIDTH / 2, 28, sentence, anchor="middle", fill=SOFT)])


def number(value: float) -> str:
    """A coordinate with at most two decimals, the shortest way."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def text(
    x: float, y: float, words: str, *, anchor: Anchor = "start", size: float = SIZE, fill: str = INK, halo: str = ""
) -> str:
    """A line of text; `y` is its base line; `halo`: colour around the letters, where lines pass behind them."""
    marks = "" if anchor == "start" else f' text-anchor="{anchor}"'
    marks += "" if size == SIZE else f' font-size="{number(size)}"'
    marks += "" if fill == INK else f' fill="{fill}"'
    marks += f' stroke="{halo}" stroke-width="2.5" stroke-linejoin="round" paint-order="stroke"' if halo else ""
    return f'<text x="{number(x)}" y="{number(y)}"{marks}>{escape(visible(words))}</text>'


def wide(words: str, size: float = SIZE) -> float:
    """About how much room a text takes, a little more rather than less: a full-width character is as wide as it is high."""
    return sum(_room(sign) for sign in visible(words)) * size


def _room(sign: str) -> float:
    if combining(sign) or category(sign) in {"Mn", "Me", "Cf"}:
        return 0.0
    if east_asian_width(sign) in "WFA" or not sign.isascii():
        return 1.0
    return 0.95 if sign in "MW@%mw" else 0.77 if sign.isupper() or sign == "&" else 0.63


def cut(words: str, room: float, size: float = SIZE) -> str:
    """A label that fits; what is too long loses its middle, since names of one family differ at their ends."""
    words = visible(words)
    if wide(words, size) <= room:
        return words
    keep = room - size
    head, tail = _fitting(words, keep * 0.6, size), _fitting(words[::-1], keep * 0.4, size)
    # A mark without the character that it belongs to would join the sign for what is left out.
    while tail and not _room(words[-tail]):
        tail -= 1
    while head < len(words) and not _room(words[head]):
        head += 1
    return f"{words[:head]}…{words[len(words) - tail :]}"


def _fitting(words: str, room: float, size: float) -> int:
    """How many characters from the front fit."""
    for count, sign in enumerate(words):
        room -= _room(sign) * size
        if room < 0:
            return count
    return len(words)


def rect(x: float, y: float, width: float, height: float, fill: Fill, edge: str = "") -> str:
    """An area; `edge`: colour of a line around it."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    stroke = f' stroke="{edge}"' if edge else ""
    lines = _lines(x, y, width, height, fill.hatch)
    over = line(lines, fill.line, 1.3) if lines else ""
    return f'<rect {place} fill="{fill.ground}"{stroke}/>{over}'


def frame(x: float, y: float, width: float, height: float, edge: str, thick: float = 1.8) -> str:
    """A line around what is there already."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {place} fill="none" stroke="{edge}" stroke-width="{number(thick)}"/>'


def line(path: str, stroke: str, width: float = 1, dash: str = "") -> str:
    """A path that is not filled."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{number(width)}"{dashes}/>'


def _lines(x: float, y: float, width: float, height: float, hatch: Hatch) -> str:
    """Lines across an area, at the same places wherever it is, so that areas side by side look like one."""
    right, bottom = x + width, y + height
    if hatch == "-":
        return "".join(f"M{number(x)} {number(at)}H{number(right)}" for at in _every(y, bottom))
    out = []
    if hatch == "/":
        for at in _every(x + y, right + bottom):
            near, far = max(x, at - bottom), min(right, at - y)
            out.append(f"M{number(near)} {number(at - near)}L{number(far)} {number(at - far)}")
    elif hatch == "\\":
        for at in _every(x - bottom, right - y):
            near, far = max(x, at + y), min(right, at + bottom)
            out.append(f"M{number(near)} {number(near - at)}L{number(far)} {number(far - at)}")
    return "".join(out)


def _every(low: float, high: float) -> Sequence[int]:
    return range((floor(low / _STEP) + 1) * _STEP, ceil(high), _STEP)


def cross(x: float, y: float, side: float) -> str:
    """The sign for what is missing: a framed cross."""
    inner = side * 0.26
    near_x, near_y, far_x, far_y = (number(at) for at in (x + inner, y + inner, x + side - inner, y + side - inner))
    return rect(x, y, side, side, Fill(PAPER), ALARM) + line(
        f"M{near_x} {near_y}L{far_x} {far_y}M{far_x} {near_y}L{near_x} {far_y}", ALARM, 1.5
    )


def triangle(x: float, y: float, side: float, fill: str = ALARM) -> str:
    """A sign that points up; `x`, `y`: its lower left corner."""
    return f'<path d="M{number(x)} {number(y)}h{number(side)}l{number(-side / 2)} {number(-side)}z" fill="{fill}"/>'


def key(y: float, samples: Sequence[tuple[str, str]], left: float = 0) -> tuple[str, float]:
    """A legend.

    Args:
        y: Where it begins.
        samples: Each a sample drawn in a square of 14 units at 0, 0, and what it means.
        left: Where its lines begin.

    Returns:
        The drawing, and how high it is.
    """
    x, top, out = left, y, []
    for drawing, meaning in samples:
        room = 20 + wide(meaning, 10.5)
        if x > left and x + room > WIDTH:
            x, top = left, top + 20
        out.append(f'<g transform="translate({number(x)} {number(top)})">{drawing}</g>')
        out.append(text(x + 19, top + 11, meaning, size=10.5, fill=SOFT))
        x += room + 14
    return "".join(out), top + 20 - y if samples else 0


def more(y: float, left_out: int, language: Language) -> tuple[str, float]:
    """A line on rows that are not drawn, and where what follows begins."""
    if not left_out:
        return "", y
    return text(0, y + 10, say("more", language).format(n=left_out), size=10.5, fill=SOFT), y + 18


def ticks(most: float, count: int = 4) -> list[int]:
    """Whole numbers from 0, evenly spaced by 1, 2 or 5 times a power of ten; the last is `most` or more, and 4 at least."""
    step, most = 1, max(most, count)
    while step * count < most:
        step = _next(step)
    return list(range(0, ceil(most / step) * step + 1, step))


def _next(step: int) -> int:
    lead = int(str(step)[0])
    return step // lead * {1: 2, 2: 5, 5: 10}[lead]
