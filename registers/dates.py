"""Moments as Japanese systems write them: ISO, slashes, compact digits, wareki, clocks beyond midnight.

All shapes end in the same integer arithmetic on year, month, day and clock, so a date that is none (R8.13.1, 2026-02-30) is
refused in every shape alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import polars as pl

from registers import clocks
from registers.text import normalise

DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000

# Years before the first of an era, and the ordinal (yyyymmdd) of its first day. A date before that is refused; one after the
# era's end (平成32年3月31日) stands in forms printed before the change and can only mean one day, so it is read.
_ERAS: Final = {"R": 2018, "H": 1988, "S": 1925, "T": 1911, "M": 1867}
_ERA_STARTS: Final = {"R": 20190501, "H": 19890108, "S": 19261225, "T": 19120730, "M": 18680125}
_KANJI_ERAS: Final = {"令和": "R", "平成": "H", "昭和": "S", "大正": "T", "明治": "M"}
_FIRST_YEAR: Final = 1868
_LAST_YEAR: Final = 9999

_ZONE: Final = r"\s*(?P<zone>[Zz]|UTC|GMT|JST|[+-]\d\d(?::?\d\d)?)?"
_CLOCK: Final = (
    r"(?P<half>午前|午後|AM|PM)?\s*(?P<hour>\d{1,2})(?:"
    r":(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"|時(?:(?P<minute2>\d{1,2})分(?:(?P<second2>\d{1,2})秒)?)?)" + _ZONE
)
_COMPACT_CLOCK: Final = (
    r"(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})|(?P<fraction2>\d{3}(?:\d{3})?))?)?"
    + _ZONE
)
_WEEKDAY: Final = r"(?:\s*\([日月火水木金土]\))?"
_ERA: Final = r"(?P<era>令和|平成|昭和|大正|明治|[RHSTMrhstm])"
_AFTER: Final = rf"{_WEEKDAY}(?:(?:T|\s*)(?:{_CLOCK}))?"

# Tried in this order, each on what the ones before left over. A separator stays the same within a date.
_SHAPES: Final = tuple(
    # Rust's \\d would take the digits of all scripts; NFKC has turned the ones we want into ASCII.
    f"^(?:{shape})$".replace(r"\d", "[0-9]")
    for shape in (
        rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:(?:T|\s+)(?:{_CLOCK}))?",
        rf"(?P<year>\d{{4}})/(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}}){_WEEKDAY}(?:(?:T|\s+)(?:{_CLOCK}))?",
        rf"(?P<year>\d{{4}})\.(?P<month>\d{{1,2}})\.(?P<day>\d{{1,2}}){_WEEKDAY}(?:(?:T|\s+)(?:{_CLOCK}))?",
        rf"(?P<year>\d{{4}})年\s*(?P<month>\d{{1,2}})月\s*(?P<day>\d{{1,2}})日{_AFTER}",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)(?:(?:T|\s*)(?:{_COMPACT_CLOCK}))?",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)(?:T|\s+)(?:{_CLOCK})",
        rf"{_ERA}\s*(?P<year>\d{{1,2}}|元)年\s*(?P<month>\d{{1,2}})月\s*(?P<day>\d{{1,2}})日{_AFTER}",
        rf"{_ERA}\s*(?P<year>\d{{1,2}}|元)(?:\.\s*(?P<month>\d{{1,2}})\.\s*(?P<day>\d{{1,2}})"
        rf"|/(?P<month2>\d{{1,2}})/(?P<day2>\d{{1,2}})|-(?P<month3>\d{{1,2}})-(?P<day3>\d{{1,2}})){_WEEKDAY}(?:(?:T|\s+)(?:{_CLOCK}))?",
        rf"{_ERA}(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?:(?:T|\s*)(?:{_COMPACT_CLOCK}))?",
        rf"{_ERA}(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?:T|\s+)(?:{_CLOCK})",
    )
)
# The shape of most logs, found by a scan without groups and read by slices: five times faster than the groups above.
_PLAIN: Final = r"^(?:\d{4}-\d\d-\d\d[T ]|\d{4}/\d\d/\d\d )\d\d:\d\d:\d\d$".replace(r"\d", "[0-9]")
_PARTS: Final = ("era", "year", "month", "day", "half", "hour", "minute", "second", "fraction", "zone")
_ALIASES: Final = {
    "minute": ("minute2",),
    "second": ("second2",),
    "fraction": ("fraction2",),
    "month": ("month2", "month3"),
    "day": ("day2", "day3"),
}
_CLOCK_DIRECTIVE: Final = re.compile(r"%[-_0]?[HIklTRcrXs+]")
# Milliseconds per unit of a number.
_EPOCHS: Final = {"epoch": 1000.0, "epoch_ms": 1.0}

# By day and formats, its midnight in UTC milliseconds, None where it is no date.
_read_days: Final[dict[tuple[str, tuple[str, ...]], int | None]] = {}
_MOST_DAYS: Final = 10_000
_UNREAD: Final = -1  # no midnight

Reader = Callable[[pl.Series], pl.Series]


def moments(text: pl.Series, time_zone: str, formats: Sequence[str] = (), end_of_day: bool = False) -> pl.Series:
    """Read dates and moments.

    Args:
        text: String series.
        time_zone: IANA name of the zone of what names none itself.
        formats: strptime formats (chrono's, as in Polars; `epoch` and `epoch_ms` for numbers) tried first, in order; then the
            usual shapes: ISO 8601, 2026/3/1 8:05, 20260301083000, 令和6年10月18日, R6.10.18, R061018. Digits of any width; clocks
            24:00–29:59 are the next day's early hours; 午前12時 is midnight and 午後12時 noon, as clocks of systems write it.
        end_of_day: A date without a clock means its last millisecond rather than its first.

    Returns:
        Int64 series of the same name and length: UTC milliseconds, null where the text is null or no date. A wall-clock time that
        happens twice means the first; one that a change of clocks skips means an hour later.

    Raises:
        ValueError: No such time zone, or no such format.
    """
    check_time_zone(time_zone)
    for form in formats:
        check_format(form)
    return _moments(text, time_zone, tuple(formats), end_of_day)


def _moments(text: pl.Series, time_zone: str, formats: tuple[str, ...], end_of_day: bool) -> pl.Series:
    quick = clocks.by_clock(text.cast(pl.String), formats, _midnights)
    if quick is None:
        return _slowly(text, time_zone, formats, end_of_day)
    found = _to_utc(quick.ms, time_zone) if quick.is_wall else quick.ms
    if found.null_count() > text.null_count():
        rest = (found.is_null() & text.is_not_null()).arg_true()
        found = found.scatter(rest, _slowly(text.gather(rest), time_zone, formats, end_of_day))
    return found.alias(text.name)


def _midnights(days: tuple[str, ...], formats: tuple[str, ...]) -> pl.Series:
    """The midnight of each day. A log goes on in the day of the piece before, so what was read is kept, day by day."""
    known = {day: ms for day in days if (ms := _read_days.get((day, formats), _UNREAD)) != _UNREAD}
    new = [day for day in days if day not in known]
    if new:
        known |= zip(new, _slowly(pl.Series(new, dtype=pl.String), "UTC", formats, False).to_list(), strict=True)
        if len(_read_days) >= _MOST_DAYS:
            _read_days.clear()
        _read_days.update({(day, formats): known[day] for day in new})
    return pl.Series([known[day] for day in days], dtype=pl.Int64)


def _slowly(text: pl.Series, time_zone: str, formats: tuple[str, ...], end_of_day: bool) -> pl.Series:
    frame = text.cast(pl.String).to_frame("text").with_row_index("row")
    frame = frame.with_columns(text=normalise(pl.col("text"))) if not _is_plain_ascii(text) else frame
    left = frame.drop_nulls("text")
    if left.height > 1000 and left.get_column("text").n_unique() < left.height // 4:
        unique = left.get_column("text").unique().sort()
        read = _slowly(unique, time_zone, formats, end_of_day)
        found = frame.join(pl.DataFrame({"text": unique, "ms": read}), on="text", how="left", maintain_order="left")
        return found.get_column("ms").alias(text.name)
    done: list[pl.DataFrame] = []
    readers: list[Reader] = [_by_format(form, time_zone, end_of_day) for form in formats]
    readers += [_by_slices(time_zone), *(_by_shape(shape, time_zone, end_of_day) for shape in _SHAPES)]
    for reader in readers:
        if left.is_empty():
            break
        read_now = left.select("row", ms=reader(left.get_column("text"))).drop_nulls("ms")
        if read_now.height:
            done.append(read_now)
            left = left.join(read_now, on="row", how="anti", maintain_order="left")
    result = pl.concat(done) if done else pl.DataFrame(schema={"row": frame.schema["row"], "ms": pl.Int64})
    return frame.join(result, on="row", how="left", maintain_order="left").get_column("ms").alias(text.name)


@lru_cache(maxsize=64)
def check_time_zone(name: str) -> None:
    """Refuse a time zone that does not exist.

    Raises:
        ValueError: With the name in it.
    """
    try:
        pl.Series([0], dtype=pl.Datetime("ms")).dt.replace_time_zone(name)
    except pl.exceptions.PolarsError:
        raise ValueError(f"no time zone {name!r}: use an IANA name such as Asia/Tokyo") from None


@lru_cache(maxsize=64)
def check_format(form: str) -> None:
    """Refuse a format that can never read anything.

    Raises:
        ValueError: With the format and the reason in it.
    """
    if form in _EPOCHS:
        return
    try:
        _strptime(pl.Series(["2026-04-01"]), form)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid format string: ")
        raise ValueError(f"time format {form!r}: {reason}") from None


def _strptime(text: pl.Series, form: str) -> pl.Series:
    # Python's %f is microseconds after a dot, chrono's counts nanoseconds: people mean the former.
    return text.str.to_datetime(form.replace(".%f", "%.f"), time_unit="ms", strict=False, ambiguous="earliest")


def _is_plain_ascii(text: pl.Series) -> bool:
    """Whether normalising would change nothing: no row with other characters, none blank or with blanks at its ends."""
    return not text.cast(pl.String).str.contains(r"^$|^\s|\s$|[^ -~]").any()


def _by_format(form: str, time_zone: str, end_of_day: bool) -> Reader:
    if form in _EPOCHS:
        return lambda text: _by_epoch(text, _EPOCHS[form])

    def read(text: pl.Series) -> pl.Series:
        at = _strptime(text, form)
        aware = at.dtype == pl.Datetime("ms", "UTC")
        wall = at.dt.epoch("ms")
        bounded = wall.is_between(_day_ms(_FIRST_YEAR), _day_ms(_LAST_YEAR + 1) - 1)
        wall = wall.to_frame("wall").select(pl.when(bounded).then("wall")).to_series()
        if aware:
            return wall
        date_only = end_of_day and not _CLOCK_DIRECTIVE.search(form)
        return _to_utc(wall + DAY_MS, time_zone) - 1 if date_only else _to_utc(wall, time_zone)

    return read


def _by_epoch(text: pl.Series, unit_ms: float) -> pl.Series:
    # Digits only: a cast alone would read `1e9`, `inf` and `nan` too.
    number = text.to_frame("text").select(
        pl.when(pl.col("text").str.contains(r"^-?[0-9]{1,15}(?:\.[0-9]+)?$"))
        .then("text")
        .cast(pl.Float64, strict=False)
    )
    ms = (number.to_series() * unit_ms).round().cast(pl.Int64)
    return ms.to_frame("ms").select(pl.when(pl.col("ms") < _day_ms(_LAST_YEAR + 1)).then("ms")).to_series()


def _by_slices(time_zone: str) -> Reader:
    def read(text: pl.Series) -> pl.Series:
        plain = pl.col("text").str.contains(_PLAIN)
        places = {"year": (0, 4), "month": (5, 2), "day": (8, 2), "hour": (11, 2), "minute": (14, 2), "second": (17, 2)}
        numbers = text.to_frame("text").select(
            pl.when(plain).then(pl.col("text").str.slice(start, length)).cast(pl.Int64, strict=False).alias(name)
            for name, (start, length) in places.items()
        )
        return _to_utc(numbers.select(_wall_ms()).to_series(), time_zone)

    return read


def _by_shape(shape: str, time_zone: str, end_of_day: bool) -> Reader:
    def read(text: pl.Series) -> pl.Series:
        found = text.to_frame("text").filter(pl.col("text").str.contains(shape))
        if found.is_empty():
            return pl.Series("ms", [None] * len(text), dtype=pl.Int64)
        rows = text.to_frame("text").select(pl.col("text").str.extract_groups(shape)).unnest("text")
        return _from_parts(rows, time_zone, end_of_day)

    return read


def _from_parts(rows: pl.DataFrame, time_zone: str, end_of_day: bool) -> pl.Series:
    """Milliseconds from the texts of `_PARTS`, null where they make no moment."""
    absent = pl.lit(None, dtype=pl.String)
    parts = rows.select(
        pl.coalesce([pl.col(n) for n in (name, *_ALIASES.get(name, ())) if n in rows.columns] or [absent]).alias(name)
        for name in _PARTS
    )
    era = pl.col("era").replace(_KANJI_ERAS).str.to_uppercase()
    numbers = parts.with_columns(
        era=era,
        year=pl.col("year").replace("元", "1").cast(pl.Int64, strict=False),
        fraction=pl.col("fraction").str.pad_end(3, "0").str.slice(0, 3).cast(pl.Int64, strict=False),
        zone_ms=_zone_ms(),
        **{name: pl.col(name).cast(pl.Int64, strict=False) for name in ("month", "day", "hour", "minute", "second")},
    ).with_columns(
        # Year 0 of an era would be the last of the one before.
        year=pl.when(pl.col("era").is_null())
        .then("year")
        .when(pl.col("year") > 0)
        .then(pl.col("year") + pl.col("era").replace_strict(_ERAS, default=None, return_dtype=pl.Int64)),
        hour=_hour(),
    )
    ordinal = pl.col("year") * 10000 + pl.col("month") * 100 + pl.col("day")
    start = pl.col("era").replace_strict(_ERA_STARTS, default=0, return_dtype=pl.Int64)
    numbers = numbers.with_columns(
        wall=pl.when(ordinal >= start.fill_null(0)).then(_wall_ms(pl.col("fraction").fill_null(0))),
        date_only=parts.get_column("hour").is_null(),
    )
    local = _to_utc(numbers.get_column("wall"), time_zone)
    columns = numbers.with_columns(local=local)
    if end_of_day:
        columns = columns.with_columns(last=_to_utc(numbers.get_column("wall") + DAY_MS, time_zone) - 1)
    return columns.select(
        pl.when(pl.col("date_only"))
        .then("last" if end_of_day else "local")
        .when(pl.col("zone_ms").is_not_null())
        .then(pl.col("wall") - pl.col("zone_ms"))
        .otherwise("local")
    ).to_series()


def _hour() -> pl.Expr:
    """Hour of the day from hour and half of the day; null where they contradict (午後13時)."""
    hour, half = pl.col("hour"), pl.col("half")
    twelve = pl.when(hour <= 12).then(hour % 12 + pl.when(half.is_in(["午後", "PM"])).then(12).otherwise(0))
    return pl.when(pl.col("hour").is_null()).then(0).when(half.is_null()).then(hour).otherwise(twelve)


def _zone_ms() -> pl.Expr:
    """Offset of the zone in the text, east positive; null where none is given."""
    zone = pl.col("zone")
    digits = zone.str.replace_all(r"[^0-9]", "").str.pad_end(4, "0")
    offset = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * _HOUR_MS
    offset += digits.str.slice(2, 2).cast(pl.Int64, strict=False) * 60_000
    return (
        pl.when(zone.str.to_uppercase().is_in(["Z", "UTC", "GMT"]))
        .then(0)
        .when(zone == "JST")
        .then(9 * _HOUR_MS)
        .when(zone.is_not_null())
        .then(pl.when(zone.str.starts_with("-")).then(-offset).otherwise(offset))
    )


def _wall_ms(fraction: pl.Expr | int = 0) -> pl.Expr:
    """Wall-clock milliseconds since 1970 from columns year … second; null where there is no such moment."""
    year, month, day = pl.col("year"), pl.col("month"), pl.col("day")
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    length = pl.when(month == 2).then(28 + leap.cast(pl.Int64)).when(month.is_in([4, 6, 9, 11])).then(30).otherwise(31)
    hour, minute, second = (pl.col(name).fill_null(0) for name in ("hour", "minute", "second"))
    exists = (
        year.is_between(_FIRST_YEAR, _LAST_YEAR) & month.is_between(1, 12) & day.is_between(1, length)
        # Clocks of shift work run to 29:59; 60 is a leap second, which Unix time does not have.
        & pl.col("hour").is_not_null() & (hour <= 29) & (minute <= 59) & (second <= 60)
    )  # fmt: skip
    clock = hour * _HOUR_MS + minute * 60_000 + second * 1000
    return pl.when(exists).then(_days(year, month, day) * DAY_MS + clock + fraction)


def _days(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Days since 1970-01-01 in the Gregorian calendar (https://howardhinnant.github.io/date_algorithms.html#days_from_civil)."""
    shifted = year - (month <= 2).cast(pl.Int64)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468


def _day_ms(year: int) -> int:
    """Milliseconds of 1 January of a year."""
    before = year - 1
    return (before * 365 + before // 4 - before // 100 + before // 400 - 719_162) * DAY_MS


def _to_utc(wall: pl.Series, time_zone: str) -> pl.Series:
    """UTC milliseconds of wall-clock milliseconds."""
    offset = _only_offset(wall, time_zone)
    if offset is not None:
        return wall - offset
    utc = _zoned(wall, time_zone)
    if utc.null_count() > wall.null_count():
        later = _zoned(wall - _HOUR_MS, time_zone) + _HOUR_MS
        utc = utc.to_frame("utc").select(pl.coalesce("utc", later)).to_series()
    return utc


def _zoned(wall: pl.Series, time_zone: str) -> pl.Series:
    at = wall.cast(pl.Datetime("ms")).dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return at.dt.epoch("ms")


def _only_offset(wall: pl.Series, time_zone: str) -> int | None:
    """The zone's offset if it is one and the same at every full hour from the first moment to the last.

    No zone has changed its clocks twice within an hour since 1970, so it is the same in between, too.
    """
    first, last = wall.min(), wall.max()
    if not isinstance(first, int) or not isinstance(last, int) or first < 0:
        return None
    hours = range(first // _HOUR_MS, last // _HOUR_MS + 2)
    if len(hours) * 4 > wall.len():
        return None
    grid = pl.int_range(hours.start, hours.stop, eager=True) * _HOUR_MS
    offsets = grid - _zoned(grid, time_zone)
    if offsets.null_count() or offsets.min() != offsets.max():
        return None
    return int(offsets[0])
