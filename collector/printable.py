"""Text from outside on one line of a terminal or a log."""

from __future__ import annotations

import re
from typing import Final

# Line ends would tear a message, other control characters could write over it on a terminal, U+202E turn it round.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with each character that would not stay on its line spelled as Python does (`\\n`, `\\x1b`, `\\u202e`)."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
