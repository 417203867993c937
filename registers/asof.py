"""As-of joins: what a register said at the time of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

_LEFT = "__left"
_RIGHT = "__right"


def as_of(
    left: pl.DataFrame,
    right: pl.DataFrame,
    left_on: Sequence[str],
    right_on: Sequence[str],
    time: str = "time.occurred",
    columns: Mapping[str, str] | None = None,
    *,
    start: str = "valid_from",
    end: str = "valid_to",
) -> pl.DataFrame:
    """Add to every row what the register said about its keys at its time.

    Args:
        left: Rows with the keys and a time; any order.
        right: A register: a row says something from `start` to `end`, both inclusive, Int64 UTC ms, null is open.
        left_on, right_on: Key columns, pairwise; null never matches.
        time: Column of `left`, Int64 UTC ms; a row without time matches nothing.
        columns: Column of `right` → name it gets in the result (an existing column of that name is replaced).
        start, end: Columns of `right` with the first and last moment; for `bases`, `presence` and `work_orders` name their own.

    Returns:
        `left`, same rows in the same order, with the columns. Where several rows are valid the latest `start` wins, then the
        one that stands later in the register; where none is, the columns are null.

    Raises:
        ValueError: `left_on` and `right_on` differ in length.
    """
    if len(left_on) != len(right_on):
        raise ValueError(f"{len(left_on)} left keys for {len(right_on)} right keys")
    wanted = dict(columns or {})
    names = {name: f"{_RIGHT}.{name}" for name in dict.fromkeys([*wanted, start, end])}
    keys = {name: f"{_RIGHT}.key{place}" for place, name in enumerate(right_on)}
    told = right.select(
        pl.int_range(pl.len()).alias(_RIGHT),
        *(pl.col(name).alias(alias) for name, alias in names.items()),
        *(pl.col(name).alias(alias) for name, alias in keys.items()),
    )
    asked = left.select(
        pl.int_range(pl.len()).alias(_LEFT),
        pl.col(time).alias(f"{_LEFT}.time"),
        *(pl.col(name).alias(f"{_LEFT}.key{place}") for place, name in enumerate(left_on)),
    )
    at, since, until = pl.col(f"{_LEFT}.time"), pl.col(names[start]), pl.col(names[end])
    valid = asked.join(
        told,
        left_on=[f"{_LEFT}.key{place}" for place in range(len(left_on))],
        right_on=list(keys.values()),
        how="inner",
    ).filter(at.is_not_null() & (since.is_null() | (since <= at)) & (until.is_null() | (at <= until)))
    chosen = (
        valid.sort(_LEFT, names[start], _RIGHT, nulls_last=False)
        .unique(_LEFT, keep="last", maintain_order=True)
        .select(_LEFT, *(pl.col(names[name]).alias(alias) for name, alias in wanted.items()))
    )
    return (
        left.drop([alias for alias in wanted.values() if alias in left.columns])
        .with_row_index(_LEFT)
        .with_columns(pl.col(_LEFT).cast(pl.Int64))
        .join(chosen, on=_LEFT, how="left", maintain_order="left")
        .drop(_LEFT)
    )
