"""Common Event Format (ArcSight): `CEF:0|vendor|product|version|class|name|severity|key=value key=value`.

A pipe or backslash of the header is escaped by a backslash, in the extension an equals sign, a backslash and line breaks
(`\\n`, `\\r`). A value goes on, blanks and all, until the next key.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats.pairs import columns, judged, times, wanted_columns, whole
from collector.sources import Source

HEADER: Final = ("deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity")
# When it happened, by the device: the first that is given counts.
_TIMES: Final = ("rt", "end", "start")
_FIELD: Final = r"(?:[^|\\]|\\.)*"
_FIELDS: Final = "".join(rf"(?P<{name}>{_FIELD})\|" for name in HEADER)
_LINE: Final = rf"(?s)^(?P<before>(?:.*?[^A-Za-z0-9])??)CEF: ?[0-9.]+\|{_FIELDS}(?P<extension>.*)$"
# No line holds these two once they are taken out: they part pairs, and keys from values.
_PAIR: Final = "\x1e"
_VALUE: Final = "\x1f"
_ESCAPES: Final = {"\\\\": "\\", "\\=": "=", "\\|": "|", "\\n": "\n", "\\r": "\r"}


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """One String column per column that the source names: `HEADER`, `syslog.host`, or a key of the extension.

    A custom field is found by its key (`cs1`) and by its label (`label:Policy` where the line says `cs1Label=Policy`).
    """
    bare = lines.str.replace_all(f"[{_PAIR}{_VALUE}]", " ")
    frame = bare.to_frame("line").select(pl.col("line").str.extract_groups(_LINE).struct.unnest())
    # A header that is broken must not make room for one that somebody wrote into a value.
    twice_begun = frame.select(
        pl.any_horizontal(pl.col("before", *HEADER).str.contains("CEF:", literal=True))
    ).to_series()
    bad = frame.get_column("extension").is_null() | twice_begun
    wanted = [name for name in wanted_columns(source) if name not in HEADER]
    pairs = _pairs(frame.get_column("extension"))
    if any(name.startswith("label:") for name in wanted):
        pairs = pl.concat([pairs, _labelled(pairs)])
    values, twice = columns(pairs, lines.len(), list(dict.fromkeys([*wanted, *_TIMES])))
    own = values.select(pl.coalesce(pl.col(_TIMES).replace("", None)).alias("own")).to_series()
    heads = frame.select(_unescaped(pl.col(name)) for name in HEADER)
    return whole(source, heads, values, times(frame.get_column("before"), own)).with_columns(judged(bad, "CEF", twice))


def _pairs(extension: pl.Series) -> pl.DataFrame:
    """`row`, `key`, `value` of every pair."""
    marked = extension.str.replace_all(r"(?:^|\s+)([A-Za-z0-9_.\-\[\]]+)=", f"{_PAIR}${{1}}{_VALUE}")
    frame = pl.DataFrame({"row": pl.arange(0, extension.len(), eager=True), "pair": marked.str.split(_PAIR)})
    # What stands before the first key is no pair.
    frame = frame.with_columns(pl.col("pair").list.slice(1)).explode("pair").drop_nulls("pair")
    parts = pl.col("pair").str.split_exact(_VALUE, 1).struct
    return frame.select("row", key=parts.field("field_0"), value=_unescaped(parts.field("field_1").str.strip_chars()))


def _unescaped(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()), leftmost=True)


def _labelled(pairs: pl.DataFrame) -> pl.DataFrame:
    """The values of custom fields, under their labels."""
    labels = pairs.filter(pl.col("key").str.ends_with("Label"))
    labels = labels.select("row", pl.col("key").str.strip_suffix("Label"), label=pl.format("label:{}", "value"))
    return labels.join(pairs, on=["row", "key"], maintain_order="left").select("row", key="label", value="value")
