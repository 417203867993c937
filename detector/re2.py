r"""Regular expressions of RE2, written so that Polars' engine (Rust's regex crate) means the same by them.

Both are automata without look-around and back-references, but the dialects differ: Rust's `\d \w \s \b` are Unicode, its
character classes nest and know set operations, `\<` is a word boundary, and a brace that starts no repetition is an error.
https://github.com/google/re2/wiki/Syntax and https://docs.rs/regex/latest/regex/#syntax
"""

from __future__ import annotations

import re
from typing import Final

_ASCII: Final = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": "[\\t\\n\\f\\r ]",
    "S": "[^\\t\\n\\f\\r ]",
    "b": "(?-u:\\b)",
    # Rust forbids a byte-wise \B in text because it may cut a character in two; RE2 allows it.
    "B": "\\B",
}
_REPEAT: Final = re.compile(r"\{\d+(,\d*)?\}")
_POSIX: Final = re.compile(r"\[:\^?[a-z]+:\]")


def to_rust(pattern: str) -> str:
    """Translate one pattern.

    Raises:
        ValueError: for what Rust's engine has no equal of (`\\C`, octal escapes).
    """
    out: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        piece, at, inside = _next(pattern, at, inside)
        out.append(piece)
    return "".join(out)


def _next(pattern: str, at: int, inside: bool) -> tuple[str, int, bool]:
    char = pattern[at]
    if char == "\\":
        piece, at = _escape(pattern, at, inside)
        return piece, at, inside
    if inside:
        piece, at, inside = _in_class(pattern, at)
        return piece, at, inside
    if char == "[":
        head = re.compile(r"\[\^?\]?").match(pattern, at)
        assert head is not None
        # A bracket right after the opening one stands for itself in both dialects.
        return head.group().replace("]", "\\]"), head.end(), True
    if char == "{" and not _REPEAT.match(pattern, at):
        return "\\{", at + 1, False
    return char, at + 1, False


def _in_class(pattern: str, at: int) -> tuple[str, int, bool]:
    char = pattern[at]
    if char == "]":
        return char, at + 1, False
    if char == "[":
        posix = _POSIX.match(pattern, at)
        return (posix.group(), posix.end(), True) if posix else ("\\[", at + 1, True)
    # && and ~~ are set operations in Rust; -- is one too, but then the second dash ends a range or stands last.
    if char in "&~":
        return "\\" + char, at + 1, True
    if pattern.startswith("--", at):
        return "\\-\\-" if pattern.startswith("--]", at) else "\\--", at + 2, True
    return char, at + 1, True


def _escape(pattern: str, at: int, inside: bool) -> tuple[str, int]:
    if at + 1 == len(pattern):
        raise ValueError("it ends in a backslash")
    char = pattern[at + 1]
    if char == "Q":
        end = pattern.find("\\E", at + 2)
        stop = len(pattern) if end < 0 else end
        return re.sub(r"([^0-9A-Za-z_\s<>])", r"\\\1", pattern[at + 2 : stop]), stop + (2 if end >= 0 else 0)
    if char in "C01234567":
        raise ValueError(f"\\{char} is not supported: write the character itself or \\x..")
    if char in "<>":
        return char, at + 2
    if char in "bB" and inside:
        raise ValueError(f"\\{char} has no meaning in a character class")
    return _ASCII.get(char, "\\" + char), at + 2
