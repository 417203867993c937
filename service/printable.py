"""Text from outside on one line of a terminal or a log."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from registers.mask import mask_my_numbers

# Line ends would tear a message, other control characters could write over it on a terminal, U+202E turn it round.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with each character that would not stay on its line spelled as Python does (`\\n`, `\\x1b`, `\\u202e`)."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def safe_line(text: str) -> str:
    """The text as it may leave the process: on one line, with My Numbers masked."""
    # Halves of surrogate pairs, as in names of files that are no UTF-8, are spelled out: Polars takes none.
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    masked: str = mask_my_numbers(pl.Series([whole])).item()
    return printable(masked)
