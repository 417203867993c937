"""What the parts of `enrich` share: a register with its gaps, a batch of events, and columns that may be undecided."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl

from detector.enrich.intervals import BEGINNING, DAY_MS, FOREVER, Bools, Codes, Ints, ends, starts
from registers.site import Site


class Register:
    """One register of the site, with what is missing from it.

    Attributes:
        table: Its rows, possibly none.
        absent: The site has no such register: nothing can be said from it.
    """

    def __init__(self, site: Site, name: str) -> None:
        self.name = name
        self.table = site.tables[name]
        self.absent = name in site.missing
        self._site = site

    def lacks(self, *columns: str) -> bool:
        """Whether the register or any of these columns (by their names in the file) is missing."""
        return not self._site.has(self.name, *columns)

    def column(self, name: str) -> pl.Series:
        """A column of the table; all null if it is missing in the file."""
        return self.table[name]

    def start(self, own: str = "valid_from") -> Ints:
        """When each row begins to hold: its own time if it has one, else its validity (site.md)."""
        return starts(self.column(own).fill_null(self.column("valid_from")))

    def end(self, own: str = "valid_to") -> Ints:
        """When each row ends to hold."""
        return ends(self.column(own).fill_null(self.column("valid_to")))

    def flag(self, name: str) -> Bools:
        """A mark such as `protected` or `vip`: 1 or true."""
        return self.column(name).fill_null(False).to_numpy()


class Batch:
    """A batch of events on its way to being enriched.

    Attributes:
        events: The events, in their order.
        times: `time.occurred`.
        made: Columns made so far, in order; parts read what earlier parts made.
        days: Local calendar day, counted from 1970-01-01.
        person, system, subject: Codes of what the event names; −1 where no register speaks of it.
        span: Place of the person and time in `Staff.spans`.
        posts: Departments that the person acts for (`Posts.of`).
    """

    def __init__(self, events: pl.DataFrame) -> None:
        self.events = events
        self._names = frozenset(events.columns)
        self.times: Ints = events["time.occurred"].cast(pl.Int64).fill_null(0).to_numpy()
        self.made: dict[str, pl.Series] = {}
        self._present: dict[str, Bools] = {}
        nothing = np.full(events.height, -1, dtype=np.int64)
        self.days: Ints = nothing
        self.person: Ints = nothing
        self.system: Ints = nothing
        self.subject: Ints = nothing
        self.span: Ints = nothing
        self.posts: list[Ints] = []

    def __len__(self) -> int:
        return self.events.height

    def column(self, name: str) -> pl.Series:
        """A column made by an earlier part, else of the events; all null where the key is absent."""
        if name in self.made:
            return self.made[name]
        if name in self._names:
            return self.events.get_column(name)
        return nothing(pl.String, len(self))

    def present(self, *names: str) -> Bools:
        """Rows in which none of these columns is null."""
        result = self._is_present(names[0])
        for name in names[1:]:
            result = result & self._is_present(name)
        return result

    def _is_present(self, name: str) -> Bools:
        found = self._present.get(name)
        if found is None:
            found = self._present[name] = present(self.column(name))
        return found

    def add(self, name: str, values: pl.Series) -> None:
        self.made[name] = values.alias(name)

    def add_days_since(self, name: str, moments: Ints, known: Bools, time_zone: str, sign: int = 1) -> None:
        """Add the local days from moments to the events (with sign −1: to the moments), null where not known."""
        days = np.zeros(len(self), dtype=np.int64)
        asked = np.flatnonzero(known)
        days[asked] = sign * (self.days[asked] - local_days(moments[asked], time_zone))
        self.add(name, _masked(pl.Series("value", days), known))

    def add_null(self, dtype: pl.DataType | type[pl.DataType], *names: str) -> None:
        """Add columns about which nothing can be said."""
        for name in names:
            self.add(name, nothing(dtype, len(self)))


def present(column: pl.Series) -> Bools:
    """Rows in which a column is not null."""
    nulls = column.null_count()
    if nulls in (0, len(column)):
        return np.full(len(column), nulls == 0)
    return column.is_not_null().to_numpy()


def booleans(values: Bools, known: Bools | None = None) -> pl.Series:
    """Boolean series, null where not known."""
    series = pl.Series("value", np.ascontiguousarray(values, dtype=np.bool_))
    return series if known is None else _masked(series, known)


def take(values: pl.Series, rows: Ints) -> pl.Series:
    """The value of each row of a register; null for row −1."""
    known = rows >= 0
    if not known.any():
        return nothing(values.dtype, len(rows))
    return _masked(values[pl.Series(np.maximum(rows, 0).astype(np.uint32))], known)


def first_known(*columns: pl.Series) -> pl.Series:
    """The first value that is not null, of several series of the same length."""
    result = columns[0]
    for column in columns[1:]:
        if result.null_count() and column.null_count() < len(column):
            result = result.zip_with(pl.Series(present(result)), column)
    return result


def local_days(moments: Ints, time_zone: str) -> Ints:
    """Calendar days since 1970-01-01 in a time zone. Open ends stay far outside every calendar."""
    inside = np.minimum(np.maximum(moments, 0), 253_402_300_799_999 - 86_400_000)
    result = local_ms(inside, time_zone) // DAY_MS
    result[moments <= BEGINNING] = BEGINNING // 2
    result[moments >= FOREVER] = FOREVER // 2
    return result


def local_ms(moments: Ints, time_zone: str) -> Ints:
    """Milliseconds since 1970-01-01 on the clocks of a time zone."""
    return pl.Series("at", moments).to_frame().select(_local(time_zone)).to_series().to_numpy()


@lru_cache(maxsize=16)
def _local(time_zone: str) -> pl.Expr:
    stamps = pl.from_epoch(pl.col("at"), time_unit="ms").dt.replace_time_zone("UTC")
    return stamps.dt.convert_time_zone(time_zone).dt.replace_time_zone(None).dt.epoch("ms")


def departments(site: Site) -> dict[str, str]:
    """Words for a department (its code, its name) → its code: people write both in registers."""
    return {name: code for code, name in site.config.departments.items() if name not in site.config.departments}


def as_codes(texts: pl.Series, words: dict[str, str]) -> pl.Series:
    """Departments by code where a declared name was written."""
    if not words:
        return texts.cast(pl.String)
    return texts.cast(pl.String).replace(list(words), list(words.values()))


def encode_present(codes: Codes, texts: pl.Series) -> Ints:
    """Like `Codes.encode`, but without looking up what is null (most keys of most events)."""
    nulls = texts.null_count()
    if nulls * 4 < len(texts):
        return codes.encode(texts)
    result = np.full(len(texts), -1, dtype=np.int64)
    if nulls < len(texts):
        places = np.flatnonzero(present(texts))
        result[places] = codes.encode(texts[pl.Series(places.astype(np.uint32))])
    return result


def _masked(series: pl.Series, known: Bools) -> pl.Series:
    if known.all():
        return series
    if not known.any():
        return nothing(series.dtype, len(series))
    return series.zip_with(pl.Series(known), _null(series.dtype))


def nothing(dtype: pl.DataType | type[pl.DataType], length: int) -> pl.Series:
    """So many nulls."""
    return _null(dtype).new_from_index(0, length)


@lru_cache(maxsize=64)
def _null(dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=dtype)
