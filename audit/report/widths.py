"""How wide the columns of a printed table are: what may not be broken fits, and the rest goes to who needs it, by weight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.report.glyphs import Font
from audit.report.model import Kind

# What is not broken: letters that are not Japanese, and signs before which no line may begin.
_UNBROKEN: Final = re.compile(
    "[^\\s\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+|[\u3001-\u303f\u30fc\uff00-\uffef]+"
)

PAGE: Final = 493.0  # of the text on A4, pt
# Up to so many columns: letters, and what is left and right of a cell together, pt.
_SIZES: Final = ((7, 8.0, 9.0), (9, 7.5, 9.0), (12, 6.7, 9.0), (16, 6.5, 5.0), (1_000, 6.0, 3.0))
# Kinds that break between their pieces only: half a number is another number.
_SOLID: Final = frozenset({"id", "integer", "decimal", "share", "moment", "day", "duration"})
_MOST: Final = 60.0  # em; more than that no column asks for
_HEAD: Final = 14.0  # em of a head in one line
_BOLD: Final = 1.06  # how much wider letters of heads are
_SIGN: Final = 0.62  # em of a Latin letter or digit, about
_SLACK: Final = 1.02  # letters are set a little wider than they are measured
_ROOMY: Final = 1.3  # a table that fits so easily keeps its natural width


@dataclass(frozen=True, slots=True)
class _Limits:
    """Up to how many em a column is made wide for a text that breaks anywhere, a long word, an id, and its head."""

    text: float
    word: float
    id: float
    head: float


# The second is for tables of so many columns that the first leaves no room.
_LIMITS: Final = (_Limits(5.0, 11.0, 20.0, 5.0), _Limits(3.3, 6.0, 11.0, 2.2))


@dataclass(frozen=True, slots=True)
class _Column:
    """Widths in em: of its head and the head's longest word; of its cells' longest piece, line and word."""

    head: float
    head_word: float
    piece: float
    line: float
    word: float
    kind: Kind

    def least(self, limits: _Limits) -> float:
        """Without which it cannot be read."""
        top = max(min(limits.head, self.head), min(limits.word, self.head_word))
        if self.kind == "text":
            return max(top, min(limits.text, self.line), min(limits.word, self.word), 2.0)
        return max(top, min(self.piece, limits.id if self.kind == "id" else _LIMITS[0].word), 2.0)

    def natural(self, least: float) -> float:
        """With which nothing is broken, if that is not too much."""
        return max(least, min(_HEAD, self.head), min(_MOST, self.line))


@dataclass(frozen=True, slots=True)
class Fit:
    """The columns of one table.

    Attributes:
        size: Of its letters, pt.
        padding: Left and right of a cell together, pt.
        widths: Of its columns with their padding, pt; together at most `PAGE`.
        solid: Whether its cells break between their pieces only.
    """

    size: float
    padding: float
    widths: tuple[float, ...]
    solid: tuple[bool, ...]

    def room(self, place: int) -> float:
        """Of a line in that column, em."""
        return (self.widths[place] - self.padding) / self.size

    def run(self, text: str, place: int, font: Font) -> int | None:
        """After how many signs a text of that column has to be broken somewhere; None: it has places to break."""
        room = self.room(place)
        return max(3, int(room / _SIGN)) if _word(text, font) > room else None

    def lines(self, text: str, place: int, font: Font) -> int:
        """About how many lines a text takes in that column, rather more than fewer."""
        room = max(1.0, self.room(place) - 1.0)
        return sum(1 + int(font.width(line) / room) for line in text.split("\n"))


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
    size: float | None = None,
) -> Fit:
    """Divide the page among columns.

    Args:
        heads, kinds, weights: Of the columns, at least one.
        rows: Cells as they are shown, in their `pieces`.
        font: To measure them with.
        size: Of letters, pt; None: by the number of columns.
    """
    usual, padding = next(sizes for most, *sizes in _SIZES if len(heads) <= most)
    size = size or usual
    columns = [
        _column(head, kind, [row[place] for row in rows], font)
        for place, (head, kind) in enumerate(zip(heads, kinds, strict=True))
    ]
    room = (PAGE - padding * len(heads)) / size
    leasts = ([column.least(limits) for column in columns] for limits in _LIMITS)
    least = next((tried for tried in leasts if sum(tried) < room), [column.least(_LIMITS[-1]) for column in columns])
    natural = [column.natural(low) for column, low in zip(columns, least, strict=True)]
    share = [0 if kind in _SOLID else weight for kind, weight in zip(kinds, weights, strict=True)]
    widths = _divided(least, natural, share, room)
    solid = tuple(
        column.kind in _SOLID and width >= column.piece for width, column in zip(widths, columns, strict=True)
    )
    return Fit(size, padding, tuple(round(padding + width * size, 2) for width in widths), solid)


def _column(head: str, kind: Kind, cells: Sequence[Sequence[str]], font: Font) -> _Column:
    return _Column(
        head=font.width(head) * _BOLD,
        head_word=_word(head, font) * _BOLD,
        piece=max((font.width(piece) for cell in cells for piece in cell), default=0.0),
        line=max((font.width(line) for cell in cells for line in " ".join(cell).split("\n")), default=0.0),
        word=max((_word(cell[0], font) for cell in cells), default=0.0) if kind == "text" else 0.0,
        kind=kind,
    )


def _word(text: str, font: Font) -> float:
    """The longest part that does not break by itself, such as a word in English, em."""
    return max((font.width(run) for run in _UNBROKEN.findall(text)), default=0.0)


def _divided(least: Sequence[float], natural: Sequence[float], weights: Sequence[int], room: float) -> list[float]:
    """Widths, em: all that is natural if there is room, else the least, and what is left to texts by weight, then to all."""
    if sum(least) >= room:
        return [low * room / sum(least) for low in least]
    if sum(natural) * _ROOMY <= room:
        return [full * _SLACK + 0.25 for full in natural]
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
