"""Who acts: the person behind an account, and what the staff register says about that person on that day."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, booleans, encode_present, first_known, take
from detector.enrich.intervals import BEGINNING, FOREVER, Bools, Codes, Index, Ints, Timeline, last, pack
from registers.site import Site

_ANY: Final = 0  # place of "every system" among an account's systems


class Accounts:
    """The register of accounts: one person under several ids, per system."""

    def __init__(self, site: Site) -> None:
        register = Register(site, "accounts")
        self.absent = register.absent
        self._actor = register.column("actor_id")
        self._names = Codes(register.column("account"))
        self._systems = Codes(register.column("system"))
        start, end = register.start(), register.end()
        account = self._names.encode(register.column("account"))
        # A row without a system is about the account wherever it is used.
        self._keys = pack(
            (account, len(self._names)), (self._systems.encode(register.column("system")) + 1, self._size)
        )
        self._valid = Timeline(self._keys, start, end)
        # An account that outlives its row still leads to whom it was given last; the leaver's rules need the person.
        self._ended = last(self._keys, end + 1)
        sole = _sole(account, self._actor)
        self._sole, self._sole_ended = Timeline(sole, start, end), last(sole, end + 1)
        self._first = _first_start(self._keys, self._actor, start)

    @property
    def _size(self) -> int:
        return len(self._systems) + 1

    def rows(self, batch: Batch, accounts: pl.Series) -> Ints:
        """Row of the register for each account, on the event's system at the event's time; −1 if there is none."""
        result = np.full(len(batch), -1, dtype=np.int64)
        account = encode_present(self._names, accounts)
        asked = np.flatnonzero(account >= 0)
        if not len(asked):
            return result
        account, times = account[asked], batch.times[asked]
        system = encode_present(self._systems, batch.column("system.id"))[asked]
        unsaid = ~batch.present("system.id")[asked]
        named = np.where(system >= 0, account * self._size + system + 1, -1)
        everywhere = account * self._size + _ANY
        # Without a system the account still tells who it is if only one person ever had an account of that name.
        alone = np.where(unsaid, account, -1)
        found = np.full(len(asked), -1, dtype=np.int64)
        for timeline, keys in (
            (self._valid, named), (self._valid, everywhere), (self._sole, alone),
            (self._ended, named), (self._ended, everywhere), (self._sole_ended, alone),
        ):  # fmt: skip
            open_ = np.flatnonzero(found < 0)
            found[open_] = timeline.row(keys[open_], times[open_])
        result[asked] = found
        return result

    def persons(self, batch: Batch, accounts: pl.Series) -> pl.Series:
        """The person behind each account, else the account itself."""
        if not len(self._actor):
            return accounts.cast(pl.String)
        return first_known(take(self._actor, self.rows(batch, accounts)), accounts.cast(pl.String))

    def add(self, batch: Batch, time_zone: str) -> None:
        """Make `person.id` and `account.age_days`."""
        actor = batch.column("actor.id")
        rows = self.rows(batch, actor)
        batch.add("person.id", first_known(take(self._actor.cast(pl.String), rows), actor.cast(pl.String)))
        first = self._first[np.maximum(rows, 0)] if len(self._first) else np.full(len(batch), BEGINNING)
        known = (rows >= 0) & (first > BEGINNING)
        batch.add_days_since("account.age_days", first, known, time_zone)


def _sole(account: Ints, actor: pl.Series) -> Ints:
    frame = pl.DataFrame({"account": account, "actor": actor.cast(pl.String)})
    people = frame.select(pl.col("actor").n_unique().over("account"))["actor"].to_numpy() if len(frame) else account
    return np.where(people == 1, account, -1)


def _first_start(keys: Ints, actor: pl.Series, start: Ints) -> Ints:
    # Renewals are rows of their own: age counts from the first one of this account and person.
    frame = pl.DataFrame({"key": keys, "actor": actor.cast(pl.String), "start": start})
    return frame.select(pl.col("start").min().over("key", "actor"))["start"].to_numpy()


class Staff:
    """The staff register, cut into spans of time in which nothing about a person changes."""

    def __init__(self, site: Site, persons: Codes, time_zone: str) -> None:
        self.register = Register(site, "staff")
        self._no_end = self.register.lacks("end")
        self._persons = persons
        self._zone = time_zone
        rows = _rows(self.register, persons)
        self._attributes = rows
        self.spans = _spans(rows, self._no_end)
        self._index = Index(self.spans["person"].to_numpy(), self.spans["at"].to_numpy())
        self.spans = self.spans[pl.Series(self._index.order).cast(pl.UInt32)] if self.spans.height else self.spans

    def span(self, person: Ints, times: Ints) -> Ints:
        """Place in `spans` of each person at each time; −1 for people who are not in the register."""
        return self._index.before(person, times)

    def dept(self, person: Ints, times: Ints) -> pl.Series:
        """Department of each person at each time, else the nearest known one before."""
        return take(self._attributes["dept"], self._pick("nearest", self.span(person, times)))

    def known(self, person: Ints) -> Bools:
        """Whether each person stands in the register at any time."""
        return self._index.has(person)

    def add(self, batch: Batch) -> None:
        """Make `person.*`; leaves the departments that a person acts for in `batch.posts`."""
        span = self.span(batch.person, batch.times)
        batch.span = span
        row, nearest = self._pick("row", span), self._pick("nearest", span)
        actor = batch.present("person.id")
        absent = self.register.absent
        batch.add("person.known", booleans(span >= 0, actor & (not absent)))
        logged = batch.column("actor.type").cast(pl.String)
        batch.add("person.type", first_known(take(self._attributes["type"], nearest), logged))
        for name in ("dept", "role", "company", "area"):
            batch.add(f"person.{name}", take(self._attributes[name], row))
        self._add_employment(batch, span)
        self._add_transfer(batch, span)

    def _add_employment(self, batch: Batch, span: Ints) -> None:
        employed = take(self.spans["employed"], span)
        batch.add("person.employed", employed)
        ended, ending = self._pick("ended", span), self._pick("ending", span)
        gone = (employed == False).fill_null(False).to_numpy() & (ended > BEGINNING)  # noqa: E712 - a series
        here = employed.fill_null(False).to_numpy() & (ending < FOREVER) & (span >= 0)
        batch.add_days_since("person.days_after_end", ended, gone, self._zone)
        batch.add_days_since("person.days_to_end", ending, here, self._zone, sign=-1)

    def _add_transfer(self, batch: Batch, span: Ints) -> None:
        since = self._pick("since", span)
        moved = (span >= 0) & (since > BEGINNING)
        batch.add_days_since("person.days_since_transfer", since, moved, self._zone)
        batch.add("person.previous_dept", take(self.spans["previous"], np.where(moved, span, -1)))

    def _pick(self, name: str, span: Ints) -> Ints:
        if not self.spans.height:
            return np.full(len(span), -1, dtype=np.int64)
        return np.where(span >= 0, self.spans[name].to_numpy()[np.maximum(span, 0)], -1)


def _rows(register: Register, persons: Codes) -> pl.DataFrame:
    """Rows of staff.csv with open ends as numbers; what a later row leaves out stays as it was."""
    text = {name: register.column(name).cast(pl.String) for name in ("type", "company", "dept", "role", "area")}
    frame = pl.DataFrame({"person": persons.encode(register.column("actor_id"))} | text).with_columns(
        pl.Series("from", register.start()),
        pl.Series("to", register.end()),
        register.column("start").cast(pl.Int64).alias("start"),
        register.column("end").cast(pl.Int64).alias("end"),
    )
    kept = frame.filter(pl.col("person") >= 0).sort("person", "from", maintain_order=True)
    stays = [pl.col(name).forward_fill().over("person") for name in ("type", "company", "area")]
    return kept.with_columns(stays).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))


_AT: Final = ("person", "at")


def _spans(rows: pl.DataFrame, no_end: bool) -> pl.DataFrame:
    """One row per person and span: winning row, nearest row, employment, transfer, departments.

    People have few rows, so every row is looked at for every span of its person. `row` is −1 where none is valid.
    """
    cuts = pl.concat(
        [rows.select("person", pl.lit(BEGINNING, dtype=pl.Int64).alias("at"))]
        + [rows.select("person", pl.col(name).alias("at")) for name in ("from", "start")]
        + [rows.select("person", (pl.col(name) + 1).alias("at")) for name in ("to", "end")]
    )
    cuts = cuts.drop_nulls().filter(pl.col("at").is_between(BEGINNING, FOREVER)).unique().sort(*_AT)
    pairs = cuts.join(rows, on="person", how="left", maintain_order="left")
    valid = pl.col("from").le(pl.col("at")) & pl.col("to").ge(pl.col("at"))
    pairs = pairs.with_columns(
        pl.when(valid).then(2).when(pl.col("to") < pl.col("at")).then(1).otherwise(0).alias("rank")
    ).with_columns(
        pl.when(pl.col("rank") == 2)
        .then("from")
        .when(pl.col("rank") == 1)
        .then("to")
        .otherwise(-pl.col("from"))
        .alias("near"),
        pl.col("rank").max().over(*_AT).alias("best"),
    )
    speaking = pairs.filter(pl.col("rank") == pl.col("best"))
    speaking = speaking.filter(pl.col("near") == pl.col("near").max().over(*_AT))
    spans = speaking.group_by(*_AT, maintain_order=True).agg(
        pl.when(pl.col("best") == 2).then("row").otherwise(-1).max().alias("row"),
        pl.col("row").max().alias("nearest"),
        _employed(no_end).any(ignore_nulls=False).alias("employed"),
        pl.col("end").fill_null(FOREVER).max().alias("ending"),
    )
    spans = spans.join(_ended(pairs), on=_AT, how="left").with_columns(pl.col("ended").fill_null(BEGINNING))
    spans = spans.join(_posts(pairs), on=_AT, how="left").sort(*_AT)
    return _with_transfers(spans, rows)


def _employed(no_end: bool) -> pl.Expr:
    """Whether a row that speaks for a span says employed (null: cannot say)."""
    begun = pl.col("start").is_null() | (pl.col("start") <= pl.col("at"))
    open_end = pl.lit(None, dtype=pl.Boolean) if no_end else pl.lit(True)
    going = pl.when(pl.col("end").is_null()).then(open_end).otherwise(pl.col("at") <= pl.col("end"))
    return (
        pl.when(pl.col("best") == 2)
        .then(begun & going)
        # Out of the register with no day of leaving given: the register's own last day is the last day.
        .when(pl.col("best") == 1)
        .then(begun & pl.col("end").is_not_null() & (pl.col("at") <= pl.col("end")))
        # Before the register begins to speak of the person only an explicit first day tells.
        .otherwise((pl.col("start") <= pl.col("at")) & going)
    )


def _ended(pairs: pl.DataFrame) -> pl.DataFrame:
    gone = pl.when(pl.col("end").is_null() & (pl.col("best") == 1)).then("to").otherwise("end")
    return (
        pairs.with_columns(gone.alias("ended"))
        .filter(pl.col("ended") < pl.col("at"))
        .group_by(*_AT)
        .agg(pl.col("ended").max())
    )


def _posts(pairs: pl.DataFrame) -> pl.DataFrame:
    """Departments held at once. An older row left open is a transfer, one with an end of its own a second post."""
    valid = pairs.filter((pl.col("rank") == 2) & pl.col("dept").is_not_null())
    held = valid.filter((pl.col("to") < FOREVER) | (pl.col("from") == pl.col("from").max().over(*_AT)))
    return held.group_by(*_AT).agg(pl.col("dept").unique().sort().alias("posts"))


def _with_transfers(spans: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Add `since` (begin of the time in the present department, if there was another before) and `previous`."""
    depts = rows.select(pl.col("row"), pl.col("dept"))
    spans = spans.join(depts, on="row", how="left", maintain_order="left")
    placed = spans.filter(pl.col("dept").is_not_null()).with_columns(
        pl.col("dept").shift(1).over("person").alias("before")
    )
    moved = pl.col("before").is_not_null() & (pl.col("dept") != pl.col("before"))
    placed = placed.with_columns(
        pl.when(moved).then("at").forward_fill().over("person").alias("since"),
        pl.when(moved).then("before").forward_fill().over("person").alias("previous"),
    ).select(*_AT, "since", "previous")
    spans = spans.join(placed, on=_AT, how="left").sort(*_AT)
    return spans.with_columns(pl.col("since").fill_null(BEGINNING))
