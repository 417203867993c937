"""How wide the columns of a printed table are: what may not be broken fits, and the rest goes to who needs it, by weight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.report.glyphs import Font
from audit.report.model import Kind

_UNBROKEN: Final = re.compile("[^\\s\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")

PAGE: Final = 493.0  # of the text on A4, pt
PADDING: Final = 9.0  # left and right of a cell together, pt
# Kinds that break between their pieces only: half a number is another number.
_SOLID: Final = frozenset({"id", "integer", "decimal", "share", "moment", "day", "duration"})
_LEAST: Final = 5.0  # em of a text, which breaks anywhere
_WORD: Final = 11.0  # em of the longest word that a column of texts makes room for
_ID: Final = 20.0  # em of the longest id that stays in one line
_MOST: Final = 60.0  # em; more than that no column asks for
_HEAD: Final = 8.0  # em of a head in one line
_SIGN: Final = 0.62  # em of a Latin letter or digit, about
_ROOMY: Final = 1.3  # a table that fits so easily keeps its natural width


@dataclass(frozen=True, slots=True)
class Fit:
    """The columns of one table.

    Attributes:
        size: Of its letters, pt.
        widths: Of its columns with their padding, pt; together at most `PAGE`.
        solid: Whether its cells break between their pieces only.
        run: How many signs without a place to break fit into the narrowest of the other columns.
    """

    size: float
    widths: tuple[float, ...]
    solid: tuple[bool, ...]
    run: int


def pieces(text: str, kind: Kind) -> list[str]:
    """A cell in the parts between which it may be broken, if it is of a kind that is not broken elsewhere."""
    if kind == "moment":
        return text.rsplit(" ", 1)
    return text.split(" ") if kind == "id" else [text]


def fit(
    heads: Sequence[str],
    kinds: Sequence[Kind],
    weights: Sequence[int],
    rows: Sequence[Sequence[Sequence[str]]],
    font: Font,
) -> Fit:
    """Divide the page among columns.

    Args:
        heads, kinds, weights: Of the columns, at least one.
        rows: Cells as they are shown, in their `pieces`.
        font: To measure them with.
    """
    size = 8.0 if len(heads) <= 7 else 7.5 if len(heads) <= 9 else 6.5
    columns = [[row[place] for row in rows] for place in range(len(heads))]
    least = [_least(*column, font) for column in zip(heads, kinds, columns, strict=True)]
    natural = [
        max(low, min(_HEAD, font.width(head)), min(_MOST, max((_line(cell, font) for cell in cells), default=0.0)))
        for head, low, cells in zip(heads, least, columns, strict=True)
    ]
    room = (PAGE - PADDING * len(heads)) / size
    widths = _divided(
        least, natural, [0 if kind in _SOLID else weight for kind, weight in zip(kinds, weights, strict=True)], room
    )
    solid = tuple(
        kind in _SOLID and width >= max((_piece(cell, font) for cell in cells), default=0.0)
        for kind, width, cells in zip(kinds, widths, columns, strict=True)
    )
    narrowest = min((width for width, whole in zip(widths, solid, strict=True) if not whole), default=room)
    return Fit(size, tuple(round(PADDING + width * size, 2) for width in widths), solid, max(3, int(narrowest / _SIGN)))


def _least(head: str, kind: Kind, cells: Sequence[Sequence[str]], font: Font) -> float:
    """Without which a column cannot be read, em."""
    top = max(min(_LEAST, font.width(head)), min(_WORD, _run(head, font)))
    if kind == "text":
        words = max((_run(cell[0], font) for cell in cells), default=0.0)
        lines = max((_line(cell, font) for cell in cells), default=0.0)
        return max(top, min(_LEAST, lines), min(_WORD, words), 2.0)
    longest = max((_piece(cell, font) for cell in cells), default=0.0)
    return max(top, min(longest, _ID if kind == "id" else _WORD), 2.0)


def _divided(least: Sequence[float], natural: Sequence[float], weights: Sequence[int], room: float) -> list[float]:
    """Widths, em: all that is natural if there is room, else the least, and what is left to texts by weight, then to all."""
    if sum(least) >= room:
        return [low * room / sum(least) for low in least]
    if sum(natural) * _ROOMY <= room:
        return [full * 1.05 + 0.5 for full in natural]
    texts = [place for place, weight in enumerate(weights) if weight]
    widths = _grown(least, natural, weights, texts, room)
    widths = _grown(widths, natural, [1] * len(widths), range(len(widths)), room)
    left = (room - sum(widths)) / len(widths)
    return [width + left for width in widths]


def _grown(
    widths: Sequence[float], most: Sequence[float], weights: Sequence[int], places: Sequence[int], room: float
) -> list[float]:
    """Widths of which some have grown by weight, none over its most and all together not over the room."""
    grown = list(widths)
    while growing := [place for place in places if grown[place] < most[place] - 0.01]:
        left, whole = room - sum(grown), sum(weights[place] for place in growing)
        if left < 0.01:
            break
        for place in growing:
            grown[place] = min(grown[place] + left * weights[place] / whole, most[place])
    return grown


def _line(cell: Sequence[str], font: Font) -> float:
    """Its longest line if it is broken at line ends only."""
    return max(font.width(line) for line in " ".join(cell).split("\n"))


def _run(text: str, font: Font) -> float:
    """The longest part of letters that do not break, such as a word in English."""
    return max((font.width(run) for run in _UNBROKEN.findall(text)), default=0.0)


def _piece(cell: Sequence[str], font: Font) -> float:
    return max(font.width(piece) for piece in cell)
