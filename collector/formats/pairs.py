"""What CEF and LEEF have in common: a syslog header before, key=value pairs behind, and the times of devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from collector.formats import DETAIL, REASON, STAMP, TIME
from collector.sources import Source

# The host that the syslog header names; columns of events never begin so.
HOST: Final = "syslog.host"

_STAMP: Final = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
_ISO: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]+(?:Z|[+-][0-9:]+)?"
_BEFORE: Final = rf"^(?:<[0-9]{{1,3}}>)?(?:1 )?(?:(?P<stamp>{_STAMP})|(?P<iso>{_ISO})|-)(?: +(?P<host>[^\s:]+):?(?: .*)?)?[\s\x{{feff}}]*$"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEVICE_TIME: Final = (
    r"^(?P<month>[A-Z][a-z]{2}) +(?P<day>[0-9]{1,2})(?: (?P<year>[0-9]{4}))? (?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?P<fraction>\.[0-9]{1,9})?(?: (?P<zone>.*))?$"
)
_EPOCH: Final = r"^(?:[0-9]{9,10}(?:\.[0-9]+)?|[0-9]{12,14})$"


def wanted_columns(source: Source) -> list[str]:
    """The columns that a source speaks of, each once."""
    return list(dict.fromkeys([*source.time, *source.received, *(c for cs in source.columns.values() for c in cs)]))


def columns(pairs: pl.DataFrame, height: int, wanted: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One String column per wanted key, and which row gave one of them twice.

    Args:
        pairs: `row`, `key`, `value`, in the order of the lines.
        height: Number of lines.
        wanted: Keys.

    Returns:
        The columns, null where a line has no such key; and `row`, `key` of each row's first key given twice: whoever can
        write into a value could else choose who acted.
    """
    pairs = pairs.filter(pl.col("key").is_in(list(wanted)))
    by_key = {str(name[0]): part for name, part in pairs.partition_by("key", as_dict=True).items()}
    none = pl.Series([None], dtype=pl.String).new_from_index(0, height)
    filled = [
        none.clone().scatter(by_key[name]["row"], by_key[name]["value"]).alias(name)
        if name in by_key
        else none.alias(name)
        for name in wanted
    ]
    twice = pairs.filter(pl.struct("row", "key").is_duplicated()).unique("row", keep="first", maintain_order=True)
    return pl.DataFrame(filled, height=height) if filled else pl.DataFrame(height=height), twice.select("row", "key")


def whole(source: Source, *parts: pl.DataFrame) -> pl.DataFrame:
    """The parts side by side; of a name that comes twice, the last. `STAMP` only where it is of use."""
    frame = pl.DataFrame({column.name: column for part in parts for column in part.get_columns()})
    return frame.drop(STAMP) if source.time or frame.get_column(STAMP).null_count() == frame.height else frame


def judged(bad: pl.Series, what: str, twice: pl.DataFrame) -> list[pl.Expr]:
    """`REASON` and `DETAIL`: no line of `what`, or a key given twice."""
    keys = pl.Series([None], dtype=pl.String).new_from_index(0, bad.len()).scatter(twice["row"], twice["key"])
    is_bad, key = pl.lit(bad), pl.lit(keys)
    reason = pl.when(is_bad).then(pl.lit("format")).when(key.is_not_null()).then(pl.lit("duplicate"))
    said = pl.when(is_bad).then(pl.lit(f"is no line of {what}")).otherwise(pl.format("{} is given twice", key))
    return [reason.alias(REASON), said.alias(DETAIL)]


def times(before: pl.Series, device: pl.Series) -> pl.DataFrame:
    """`TIME`, `STAMP` and `HOST`.

    Args:
        before: What stands before the message: a syslog header (RFC 3164, RFC 5424 or with an ISO stamp), or nothing.
        device: The device's own time, null where it gives none: then the header's counts.

    Returns:
        `TIME` as text that says its date, or `STAMP` where there is no year in it.
    """
    frame = pl.DataFrame({"before": before, "own": device})
    frame = frame.select(
        "own",
        pl.col("before").str.extract_groups(_BEFORE).alias("head"),
        pl.col("own").str.extract_groups(_DEVICE_TIME).struct.unnest(),
    )
    head = pl.col("head").struct
    missing = pl.col("own").is_null()
    # A zone without a year is left as it stands, and refused: to read it as local time would be a guess.
    yearless = pl.col("month").is_not_null() & pl.col("year").is_null() & pl.col("zone").is_null()
    stamp = pl.when(yearless).then(pl.format("{} {} {}", "month", pl.col("day").str.pad_start(2), "clock"))
    own = pl.when(~yearless).then(pl.coalesce(_dated(), _moment(), "own"))
    return frame.select(
        pl.when(missing).then(head.field("iso")).otherwise(own).alias(TIME),
        pl.when(missing).then(head.field("stamp")).otherwise(stamp).alias(STAMP),
        head.field("host").alias(HOST),
    )


def _dated() -> pl.Expr:
    """`Jan 28 2015 02:00:36.5 GMT+00:00` as `2015-01-28 02:00:36.5+00:00`; null where it has no year."""
    numbers = {name: f"{at:02}" for at, name in enumerate(_MONTHS, 1)}
    month = pl.col("month").replace_strict(numbers, default=None, return_dtype=pl.String)
    zone = pl.col("zone").fill_null("").str.replace("^(?:GMT|UTC)([+-])", "${1}")
    fraction = pl.col("fraction").fill_null("")
    return pl.format("{}-{}-{} {}{}{}", "year", month, pl.col("day").str.zfill(2), "clock", fraction, zone)


def _moment() -> pl.Expr:
    """A number as a moment: milliseconds since the epoch, or seconds where it is too small for them."""
    number = pl.when(pl.col("own").str.contains(_EPOCH)).then(pl.col("own")).cast(pl.Float64, strict=False)
    ms = pl.when(number < 1e11).then(number * 1000).otherwise(number).round().cast(pl.Int64)
    return ms.cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
