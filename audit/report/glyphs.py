"""The font of the paper: where it is, how wide its characters are, and which it cannot draw.

A character without a glyph would be an empty box on paper, a control character or a mark of direction nothing at all or a text
in another order: both are written as `<U+202E>`, where a reader sees them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import typst
from fontTools.ttLib import TTFont

FAMILY: Final = "Noto Sans CJK JP"
PACKAGE: Final = "fonts-noto-cjk"
_REGULAR, _BOLD = 400, 700
_UVS: Final = 14  # a cmap of this format holds variation sequences
# Controls, marks of direction and other formats, private use, not assigned, separators of lines and paragraphs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})


class FontError(Exception):
    """The font is not on this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Font:
    """What is known of the font.

    Attributes:
        folders: With its files.
        widths: Character to its advance, in em of the regular face; what is not in it has no glyph in one of both faces.
        variants: Pairs of a character and the variation selector after it that choose a glyph.
    """

    folders: tuple[Path, ...]
    widths: dict[str, float]
    variants: frozenset[str]

    def width(self, text: str) -> float:
        """How wide a text is in one line, in em."""
        widths = self.widths
        return sum([widths.get(sign, 1.0) for sign in text])


def found(system: bool = True, folders: tuple[Path, ...] = ()) -> Font:
    """The font, wherever the system has it.

    Args:
        system: Whether to look where the system keeps fonts.
        folders: Where to look besides.

    Raises:
        FontError: It is not there in regular and bold.
    """
    fonts = typst.Fonts(system, False, [str(folder) for folder in folders]).fonts()
    faces = {font.weight: font for font in fonts if font.family == FAMILY and font.style == "normal" and font.path}
    if not {_REGULAR, _BOLD} <= faces.keys():
        raise FontError(
            f'the font "{FAMILY}" (regular and bold) is not on this machine, and the PDF needs it: '
            f"install Debian's package {PACKAGE} (apt-get install {PACKAGE})"
        )
    places = tuple((Path(faces[weight].path or ""), faces[weight].index) for weight in (_REGULAR, _BOLD))
    return _read(places)


@lru_cache(maxsize=2)
def _read(places: tuple[tuple[Path, int], ...]) -> Font:
    """What regular and bold face have in common; reading them takes a tenth of a second."""
    faces = [TTFont(path, fontNumber=index, lazy=True) for path, index in places]
    glyphs = [face.getBestCmap() for face in faces]
    advances, em = faces[0]["hmtx"].metrics, faces[0]["head"].unitsPerEm
    widths = {
        chr(code): advances[name][0] / em
        for code, name in glyphs[0].items()
        if code in glyphs[1] and unicodedata.category(chr(code)) not in _UNSEEN
    }
    variants = frozenset.intersection(*(_variants(face) for face in faces))
    for face in faces:
        face.close()
    return Font(tuple(sorted({path.parent for path, _ in places})), widths, variants)


def _variants(face: TTFont) -> frozenset[str]:
    tables = [table for table in face["cmap"].tables if table.format == _UVS]
    return frozenset(
        chr(base) + chr(selector) for table in tables for selector, pairs in table.uvsDict.items() for base, _ in pairs
    )


def code(sign: str) -> str:
    """A character by its number."""
    return f"<U+{ord(sign):04X}>"


def visible(text: str, font: Font, replaced: Counter[str], form: Callable[[str], str] = code) -> str:
    """A text that paper can show: what has no glyph is written as `<U+0007>`, in the same form as on the screen.

    Line ends stay, a tabulator becomes a blank, and a variation selector stays where the font has a glyph for it and the character
    before it.

    Args:
        text: Any.
        font: To draw it.
        replaced: Counts what was written so, by character.
        form: How a character is written that cannot be shown.
    """
    if font.widths.keys() >= set(text) - {"\n"}:
        return text
    text = text.replace("\r\n", "\n").replace("\t", " ")
    out: list[str] = []
    for place, sign in enumerate(text):
        if sign == "\n" or sign in font.widths or (place and text[place - 1] + sign in font.variants):
            out.append(sign)
        else:
            replaced[sign] += 1
            out.append(form(sign))
    return "".join(out)
