"""A stretch of time on the site's clocks, in words."""

from __future__ import annotations

from datetime import date

from audit.wording import Words


def day(of: date, words: Words) -> str:
    """令和8年（2026年）3月1日（日）, or 2026-03-01 (Sun)."""
    if words.language == "en":
        return words.day(of)
    era = words.era(of)
    western = f"（{of.year}年）" if not era.startswith(str(of.year)) else ""
    return f"{era}{western}{words.day(of, year=False)}"


def days(begin: int, end: int, words: Words) -> str:
    """From the first day to the last.

    Args:
        begin, end: UTC milliseconds, `end` excluded and later than `begin`.
        words: The language and the clocks.
    """
    first, last = words.local(begin).date(), words.local(end - 1).date()
    if first == last:
        return day(first, words)
    # An era may begin within a year, and a year within an era.
    same_year = words.language == "ja" and words.era(first) == words.era(last)
    until = words.day(last, year=False) if same_year else day(last, words)
    return f"{day(first, words)}{words['dash']}{until}"
