"""Log Event Extended Format (QRadar), 1.0 and 2.0.

`LEEF:1.0|vendor|product|version|event|key=value<tab>key=value`; 2.0 may say after the event id what parts the pairs: one
character, or its code (`x5E`, `0x5E`). Nothing is escaped: a value goes to the next delimiter.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats.pairs import columns, judged, times, wanted_columns, whole
from collector.sources import Source

HEADER: Final = ("vendor", "product", "version", "eventId")
_TAB: Final = "\t"
_ONE: Final = "".join(rf"(?P<{name}1>[^|]*)\|" for name in HEADER)
_TWO: Final = "".join(rf"(?P<{name}2>[^|]*)\|" for name in HEADER)
_DELIMITER: Final = r"(?:(?P<delimiter>(?:0?[xX][0-9A-Fa-f]{2,4})|[^\sA-Za-z0-9=])?\|)?"
_LINE: Final = rf"(?s)^(?P<before>(?:.*?[^A-Za-z0-9])??)LEEF: ?(?:1\.0\|{_ONE}(?P<pairs1>.*)|2\.0\|{_TWO}{_DELIMITER}(?P<pairs2>.*))$"
# How rsyslog and syslog-ng write a tab when they relay a line.
_RELAYED_TABS: Final = "#011|<009>"


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """One String column per column that the source names: `HEADER`, `syslog.host`, or a key of the event."""
    frame = lines.to_frame("line").select(pl.col("line").str.extract_groups(_LINE).struct.unnest())
    frame = frame.select(
        "before",
        *(pl.coalesce(f"{name}1", f"{name}2").alias(name) for name in HEADER),
        pl.coalesce("pairs1", "pairs2").alias("pairs"),
        "delimiter",
    )
    # A header that is broken must not make room for one that somebody wrote into a value.
    twice_begun = frame.select(
        pl.any_horizontal(pl.col("before", *HEADER).str.contains("LEEF:", literal=True))
    ).to_series()
    bad = frame.get_column("pairs").is_null() | twice_begun
    wanted = [name for name in wanted_columns(source) if name not in HEADER]
    values, twice = columns(_pairs(frame), lines.len(), list(dict.fromkeys([*wanted, "devTime"])))
    at = times(frame.get_column("before"), values.get_column("devTime").replace("", None))
    return whole(source, frame.select(HEADER), values, at).with_columns(judged(bad, "LEEF", twice))


def _pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """`row`, `key`, `value` of every pair, each line cut by its own delimiter."""
    frame = frame.select("pairs", "delimiter").with_row_index("row").drop_nulls("pairs")
    relayed = pl.col("delimiter").is_null() & ~pl.col("pairs").str.contains(_TAB, literal=True)
    tabs = pl.col("pairs").str.replace_all(_RELAYED_TABS, _TAB)
    frame = frame.with_columns(pairs=pl.when(relayed).then(tabs).otherwise("pairs"))
    parts = []
    for (delimiter,), some in frame.partition_by("delimiter", as_dict=True, maintain_order=True).items():
        pair = some.select(pl.col("row").cast(pl.Int64), pair=pl.col("pairs").str.split(_character(delimiter)))
        parts.append(pair.explode("pair"))
    if not parts:
        return pl.DataFrame(schema={"row": pl.Int64, "key": pl.String, "value": pl.String})
    cells = pl.concat(parts).filter(pl.col("pair").str.contains("=", literal=True))
    halves = pl.col("pair").str.splitn("=", 2).struct
    return cells.select(
        "row", key=halves.field("field_0").str.strip_chars(), value=halves.field("field_1").str.strip_chars()
    )


def _character(delimiter: object) -> str:
    if not isinstance(delimiter, str):
        return _TAB
    return chr(int(delimiter.lower().partition("x")[2], 16)) if len(delimiter) > 1 else delimiter
