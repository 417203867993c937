"""Bytes to text, line by line: one broken line costs that line, not its file."""

from __future__ import annotations

from typing import Final

import polars as pl

from registers import text

SAMPLE_LINES: Final = 2_000
_ASCII: Final = ""  # not decided yet: nothing but ASCII so far


def decode_lines(data: bytes, raws: pl.Series, encoding: str) -> tuple[pl.Series, str]:
    """Decode the lines of a chunk.

    Args:
        data: The chunk; `raws` joined by newlines, or with one more at the end.
        raws: Its lines without newline (Binary).
        encoding: `auto`, or what the file's earlier chunks were found to be.

    Returns:
        String series, null where a line is not of the encoding, and the encoding; `auto` while all was ASCII.
    """
    if data.isascii():
        return raws.cast(pl.String), encoding
    if encoding == "auto":
        encoding = guess(raws.to_list())
    if encoding == "utf-8":
        try:
            return raws.cast(pl.String), encoding
        except pl.exceptions.ComputeError:
            pass
    try:
        # By way of UTF-8, which Polars takes as it is: a list of as many strings would cost half as much again.
        lines = text.decode(data, encoding)[0].encode().split(b"\n")
        if len(lines) == len(raws) + data.endswith(b"\n"):
            return pl.Series(lines[: len(raws)], dtype=pl.Binary).cast(pl.String), encoding
    except UnicodeDecodeError:
        pass
    return pl.Series([decode(raw, encoding) for raw in raws.to_list()], dtype=pl.String), encoding


def decode(raw: bytes, encoding: str) -> str | None:
    """One line as text; None where it is not of the encoding."""
    try:
        return text.decode(raw, encoding)[0]
    except UnicodeDecodeError:
        return None


def guess(raws: list[bytes]) -> str:
    """The encoding of a file by a majority of its first lines that are not ASCII, so that one broken line decides nothing."""
    sample = [raw for raw in raws if not raw.isascii()][:SAMPLE_LINES]
    not_utf8 = [raw for raw in sample if decode(raw, "utf-8") is None]
    if 2 * len(not_utf8) <= len(sample):
        return "utf-8"
    counts = {code: sum(decode(raw, code) is not None for raw in not_utf8) for code in ("cp932", "euc_jp")}
    if counts["cp932"] == counts["euc_jp"]:
        both = [raw for raw in not_utf8 if decode(raw, "cp932") is not None and decode(raw, "euc_jp") is not None]
        return text.decode(b"\n".join(both))[1] if both else "utf-8"
    return max(counts, key=lambda code: counts[code])


def reconsider(raws: list[bytes], before: str) -> str:
    """The encoding of a file that was taken from too few lines, now that there is one that is not of it.

    Args:
        raws: The file's lines so far that are not ASCII.
        before: What it was taken for.

    Returns:
        The encoding that most of the lines are of, rather the one before. UTF-8 stays UTF-8 if a line has a character of
        three bytes: that is no accident, so the odd line is a broken one.
    """
    texts = [decode(raw, "utf-8") for raw in raws]
    if before == "utf-8" and any(text and max(text) >= "\u0800" for text in texts):
        return before
    codes = [before, "utf-8", "cp932", "euc_jp"]
    return max(codes, key=lambda code: sum(decode(raw, code) is not None for raw in raws))
