"""Oracle unified audit as `UNIFIED_AUDIT_SYSTEMLOG` writes it to syslog: `… Oracle Unified Audit[pid]: LENGTH: '161' TYPE:"4" …`.

Exports of `UNIFIED_AUDIT_TRAIL` (SQL*Plus, SQLcl) are delimited text with a header and need no format of their own.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats.pairs import columns, judged, times, wanted_columns, whole
from collector.sources import Source

_LINE: Final = r"(?s)^(?P<before>.*?)Oracle Unified Audit\[[0-9]+\]: *LENGTH: ?'?[0-9]+'? (?P<pairs>.*)$"
_PAIR: Final = r'[A-Z_]+:"[^"]*"'
_WELL: Final = rf"^\s*(?:{_PAIR}\s*)+$"


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """One String column per column that the source names: `syslog.host`, or a key of the record."""
    frame = lines.to_frame("line").select(pl.col("line").str.extract_groups(_LINE).struct.unnest())
    text = frame.get_column("pairs")
    bad = ~text.str.contains(_WELL).fill_null(False)
    pairs = pl.DataFrame({"row": pl.arange(0, lines.len(), eager=True), "pair": text.str.extract_all(_PAIR)})
    parts = pl.col("pair").str.splitn(":", 2).struct
    pairs = pairs.explode("pair").drop_nulls("pair")
    pairs = pairs.select("row", key=parts.field("field_0"), value=parts.field("field_1").str.strip_chars('"'))
    values, twice = columns(pairs, lines.len(), wanted_columns(source))
    none = pl.Series([None], dtype=pl.String).new_from_index(0, lines.len())
    at = times(frame.get_column("before"), none)
    return whole(source, values, at).with_columns(judged(bad, "Oracle's unified audit", twice))
