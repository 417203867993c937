"""Sentences with numbers, from templates.

A template is plain text with placeholders: `{field}` shows a column of the row, `{date(field)}` its day and `{time(field)}`
its clock time (both of a moment in UTC ms, in the site's zone), `{percent(field)}` a share. Numbers are grouped by
thousands; what is not known reads 不明 or "unknown", so that a sentence never breaks for want of a register.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

Language = Literal["ja", "en"]

FUNCTIONS: Final = ("date", "time", "percent")
_PLACEHOLDER: Final = re.compile(r"\{(?:([a-z]+)\(([a-z_0-9.]+)\)|([a-z_0-9.]+))\}")
_UNKNOWN: Final = {"ja": "不明", "en": "unknown"}
# First year of each era, https://www.ndl.go.jp/jp/data/era.html; only the ones that a log can hold.
_ERAS: Final = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))


def placeholders(template: str) -> tuple[tuple[str, str], ...]:
    """Placeholders of a template as (function or empty, field), in order.

    Raises:
        ValueError: a brace that is none, or a function that does not exist.
    """
    found = [(match[1] or "", match[2] or match[3]) for match in _PLACEHOLDER.finditer(template)]
    for function, _ in found:
        if function and function not in FUNCTIONS:
            raise ValueError(f"the function {function}() does not exist: {', '.join(FUNCTIONS)}")
    rest = _PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError("a brace belongs to no placeholder: write {field} or {date(field)}")
    return tuple(found)


def fill(
    template: str,
    row: Mapping[str, object],
    language: Language,
    zone: str = "Asia/Tokyo",
    names: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Put the values of a row into a template.

    Args:
        template: Text with placeholders.
        row: Values by column; what is absent or None reads as unknown.
        language: `ja` (dates as wareki) or `en` (ISO dates).
        zone: The site's time zone.
        names: What to show instead of a value, by field: `{"system.id": {"welfare": "生活保護システム"}}`.
    """

    def show(match: re.Match[str]) -> str:
        function, field = match[1] or "", match[2] or match[3]
        value = row.get(field)
        if value is None:
            return _UNKNOWN[language]
        if function in ("date", "time"):
            return _moment(value, function, language, zone)
        if function == "percent" and isinstance(value, int | float):
            return f"{value * 100:.0f}%"
        known = (names or {}).get(field, {})
        return known.get(str(value)) or _plain(value, language)

    return _PLACEHOLDER.sub(show, template)


def _plain(value: object, language: Language) -> str:
    if isinstance(value, bool):
        return {"ja": ("いいえ", "はい"), "en": ("no", "yes")}[language][value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"
    if isinstance(value, date):
        return _day(value, language)
    if isinstance(value, list | tuple):
        return ("、" if language == "ja" else ", ").join(_plain(item, language) for item in value)
    return str(value)


def _moment(value: object, function: str, language: Language, zone: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        at = datetime.fromtimestamp(value / 1000, UTC).astimezone(ZoneInfo(zone))
        return _day(at.date(), language) if function == "date" else f"{at:%H:%M}"
    return _plain(value, language)


def _day(day: date, language: Language) -> str:
    if language == "en":
        return day.isoformat()
    for first, era in _ERAS:
        if day >= first:
            year = day.year - first.year + 1
            return f"{era}{'元' if year == 1 else year}年{day.month}月{day.day}日"
    return f"{day.year}年{day.month}月{day.day}日"
