"""Windows' component servicing log (CBS.log): says what was installed, names no person."""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats import TIME, by_pattern
from collector.sources import Source

_LINE: Final = r"^(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}), (?P<level>[A-Za-z]+) +(?:(?P<part>[A-Z]{2,8}) +)?(?P<message>.*?)\s*$"


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """Keys of the event: class log, component as op.code, message."""
    frame = by_pattern(lines, _LINE, "time", "the component servicing log")
    return frame.select(
        "!reason", "!detail", pl.col("time").alias(TIME), pl.lit("log").alias("event.class"),
        pl.col("part").alias("op.code"), "message",
    )  # fmt: skip
