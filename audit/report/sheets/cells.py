"""What a cell of a spreadsheet holds: a text that stays a text, a number, or a day or moment on the site's clocks."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from unicodedata import category, east_asian_width, normalize
from zoneinfo import ZoneInfo

from audit.report.model import Cell, Kind
from audit.report.writing import visible

# Excel's own limits, in UTF-16 units and line ends.
MOST_UNITS: Final = 32_767
MOST_LINES: Final = 253

Value = str | int | float | date | datetime | None

_MORE: Final = {"ja": "…（以下略。全{n}文字）", "en": "… (cut; {n} characters in all)"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS: Final = 3_600_000
# Before this day Excel's count of days is not that of the calendar.
_FIRST: Final = date(1900, 3, 1)
# What may stand before a sign without keeping a spreadsheet from reading the rest as a formula.
_LEADING: Final = re.compile("[\\s\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef']*")


def text(words: str, language: str) -> str:
    """A text that no spreadsheet takes for anything else, also after somebody saved it as CSV and opened that.

    What nobody would see is shown by its number. An apostrophe stands before what would begin a formula (`docs/decisions/sheets.md`),
    and before what the writer of the file would take for markup of its own. What Excel refuses for its length is cut and says so.
    """
    words = visible(words).replace("\r\n", "\n").replace("\r", "\n")
    if words.count("\n") > MOST_LINES:
        words = words.replace("\n", " ⏎ ")
    if _begins_formula(words) or (words.startswith("<r>") and words.endswith("</r>")):
        words = f"'{words}"
    return words if units(words) <= MOST_UNITS else _cut(words, language)


def _begins_formula(words: str) -> bool:
    """Whether it begins with = + - or @, full-width or not, before anything else; a lone sign is a dash and computes nothing."""
    start = _LEADING.match(words)
    rest = words[start.end() :] if start else words
    return len(rest) > 1 and normalize("NFKC", rest[0])[:1] in {"=", "+", "-", "@"}


def _cut(words: str, language: str) -> str:
    note = _MORE[language].format(n=f"{len(words):,}")
    kept = words.encode("utf-16-le")[: (MOST_UNITS - units(note)) * 2].decode("utf-16-le", errors="ignore")
    return kept + note


def units(words: str) -> int:
    """Length as Excel counts it."""
    return len(words) if words.isascii() else len(words.encode("utf-16-le")) // 2


def value(cell: Cell, kind: Kind, time_zone: str, language: str) -> Value:
    """A cell of the report as a spreadsheet holds it.

    Args:
        cell: Of the report; None stays empty.
        kind: What it holds.
        time_zone: Of moments; they lose their zone, which the cover names.
        language: For what has to be said about a text that is too long.

    Returns:
        A duration in hours; a moment as a time of day without a zone; what Excel cannot hold as such (more than 15 digits, days before
        March 1900) as text.
    """
    if cell is None:
        return None
    if isinstance(cell, str):
        day = _day(cell) if kind == "day" else None
        return text(cell, language) if day is None else day
    if not math.isfinite(cell) or abs(cell) >= 10**15 or kind in {"text", "id", "day"}:
        return text(str(cell), language)
    if kind == "moment":
        return _moment(int(cell), time_zone) or text(f"{cell} ms", language)
    return cell / _HOUR_MS if kind == "duration" else cell


def _day(iso: str) -> date | None:
    try:
        day = date.fromisoformat(iso)
    except ValueError:
        return None
    return day if day >= _FIRST else None


def _moment(ms: int, time_zone: str) -> datetime | None:
    try:
        at = (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
    except OverflowError:
        return None
    return at if at.date() >= _FIRST else None


def wide(words: str) -> int:
    """Room that the widest line takes, in half-width characters: a full-width character counts two."""
    if words.isascii():
        return max(map(len, words.split("\n")))
    return max(sum(map(_room, line)) for line in words.split("\n"))


def _room(sign: str) -> int:
    if category(sign) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(sign) in "WFA" else 1
