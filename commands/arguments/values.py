"""Values of options: each says what it takes, in the words that argparse prints behind the option's name."""

from __future__ import annotations

import argparse
import re
from datetime import datetime


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)


def name(text: str) -> str:
    """An id."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no id of letters, digits, dots, hyphens and underscores (100 at most)"
        )
    return text


def moment(text: str) -> int:
    """UTC milliseconds of an ISO 8601 time, which must say its zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with its zone, such as 2026-05-01T00:00+09:00")
    return int(moment.timestamp() * 1000)


def seed(text: str) -> int:
    """A whole number; NumPy takes none that is larger."""
    return _number(text, 0, 2**32 - 1)


def year(text: str) -> int:
    """A year."""
    return _number(text, 1970, 9998)


def count(text: str) -> int:
    """A whole number, at least one."""
    return _number(text, 1, 10**9)


def days(text: str) -> int:
    """Calendar days."""
    return _number(text, 3, 3660)


def staff(text: str) -> int:
    """People."""
    return _number(text, 30, 20_000)


def _decimal(text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most:g}")
    return value


def factor(text: str) -> float:
    """A number from 0 to 1000."""
    return _decimal(text, 1000)


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _decimal(text, 1)
