"""Which source a file is of, by its content."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import polars as pl

from collector.encoding import decode_lines
from collector.formats import delimited
from collector.records import join_lines
from collector.sources import Source

LINES = 50


def first_lines(head: bytes) -> list[str]:
    """The first lines of a file that are not blank, at most 50; a last one that was cut off is left out."""
    raws = [raw.removesuffix(b"\r") for raw in head.split(b"\n")]
    if len(raws) > 1:
        raws.pop()
    raws = raws[: 4 * LINES]
    lines, _ = decode_lines(b"\n".join(raws), pl.Series(raws, dtype=pl.Binary), "auto")
    return [line.removeprefix("\ufeff") for line in lines.drop_nulls().to_list() if line.strip()][:LINES]


def recognise(head: bytes, name: str, sources: Sequence[Source]) -> Source | None:
    """The source that a file is of.

    A header says more than a pattern, and more names of columns say more than fewer; among patterns the one that
    matches most lines wins. The order of `sources` does not matter.

    Args:
        head: First bytes of the file, uncompressed, some dozen lines.
        name: Name of the file, for sources that declare globs.
        sources: Candidates.

    Returns:
        The best source, or None if no source's declaration fits.
    """
    lines = first_lines(head)
    if not lines:
        return None
    scored = [(_score(lines, name, source), source) for source in sorted(sources, key=lambda source: source.id)]
    best = max((pair for pair in scored if pair[0] is not None), key=lambda pair: pair[0] or (), default=None)
    return best[1] if best else None


def _score(lines: list[str], name: str, source: Source) -> tuple[int, int, float] | None:
    """How well a source fits: names matched by glob, columns found, share of lines matched; None if it does not."""
    rule = source.recognise
    if not (rule.header or rule.pattern):
        return None
    if rule.name and not any(fnmatchcase(name.rsplit("/", 1)[-1], glob) for glob in rule.name):
        return None
    if rule.header and not _has_columns(lines, source):
        return None
    share = 1.0
    if rule.pattern:
        records = _records(lines, source)
        share = float(records.str.contains(rule.pattern).sum() / records.len())
        if share < 0.5:
            return None
    return (len(rule.name) > 0, len(rule.header), share)


def _records(lines: list[str], source: Source) -> pl.Series:
    """The lines as records: only the line with which one begins looks like the source. The last may be cut off."""
    raws = pl.Series([line.encode() for line in lines], dtype=pl.Binary)
    frame = pl.DataFrame({"raw": raws, "line": lines, "offset": pl.arange(0, len(lines), eager=True)})
    records, _ = join_lines(frame, source, len(lines) + 1, last=False)
    return (records if records.height else frame.head(1)).get_column("line")


def _has_columns(lines: list[str], source: Source) -> bool:
    if source.format == "delimited":
        columns = {column.strip() for column in delimited.split(lines[0], source)}
        return columns.issuperset(source.recognise.header)
    signs = [
        f'"{key}"' if source.format in ("json", "event") else f"{key}{source.assign}" for key in source.recognise.header
    ]
    fitting = sum(all(sign in line for sign in signs) for line in lines)
    return 2 * fitting >= len(lines)
