"""How a cell reads on screen and on paper: the same in every face."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from audit.report.model import Cell, Kind, Report
from audit.wording import Words, number, percent

UNKNOWN: Final = {"ja": "不明", "en": "not known"}
NOTHING: Final = "－"

# What nobody sees, or what changes how its neighbours read: controls, marks of direction, blanks without width, tags, surrogates and
# places where there is no character. Joiners and variation selectors stay: they belong to a name or a sign.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = {"ja": ("日", "時間", "分", "秒"), "en": (" d", " h", " min", " s")}


def shown(value: Cell, kind: Kind, report: Report) -> str:
    """A cell in words.

    Args:
        value: None reads as a dash: in a table what is not there needs no words. For a figure see `figure`.
        kind: What it holds.
        report: Its language and time zone.
    """
    if value is None:
        return NOTHING
    words = Words(report.language, report.time_zone)
    match kind:
        case "moment" if isinstance(value, int):
            return words.moment(value)
        case "day" if isinstance(value, str):
            return words.day(date.fromisoformat(value))
        case "share" if isinstance(value, int | float):
            return percent(float(value))
        case "duration" if isinstance(value, int | float):
            return duration(int(value), report)
        case "integer" if isinstance(value, int):
            return f"{value:,}"
        case "decimal" if isinstance(value, int | float):
            return number(float(value))
    return str(value)


def visible(text: str) -> str:
    """A text from elsewhere in which nothing hides: what nobody would see stands as its number, such as `<U+202E>`."""
    return _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def figure(value: Cell, kind: Kind, unit: str, report: Report) -> str:
    """A number that stands out, with its unit; one that is not known says so."""
    return UNKNOWN[report.language] if value is None else f"{shown(value, kind, report)}{unit}"


def duration(ms: int, report: Report) -> str:
    """The two largest units: 3日4時間, 12 min 5 s; less than a second is 0 seconds."""
    names = _UNITS[report.language]
    sizes = (_DAY, _HOUR, _MINUTE, _SECOND)
    left = abs(ms)
    parts: list[str] = []
    for size, name in zip(sizes, names, strict=True):
        n, left = divmod(left, size)
        if n or parts:
            parts.append(f"{n}{name}")
        if len(parts) == 2:
            break
    parts = [part for part in parts if not part.startswith("0")] or [f"0{names[-1]}"]
    sign = "-" if ms < 0 and parts[0][0] != "0" else ""
    return sign + ("" if report.language == "ja" else " ").join(parts)
