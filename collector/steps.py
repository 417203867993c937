"""`subject.step`: how far the raw number of a person on file is from that of the one whom the same actor touched before.

Who reads the register number by number shows it here; afterwards tokens hide it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from collector.sources import Source
from registers.text import normalise_id

STEP: Final = 9
_KEY: Final = "subject.token"


def no_subjects() -> pl.DataFrame:
    """Nobody has touched anybody yet."""
    return pl.DataFrame(schema={"actor.id": pl.String, "last": pl.Int64})


def steps(frame: pl.DataFrame, source: Source, before: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add `subject.step` to events in line order.

    Args:
        frame: Events with raw ids, one row each.
        source: Whose they are.
        before: `actor.id` and `last`, the raw number of the subject whom the actor touched last in this source.

    Returns:
        The events, and `before` as the next piece needs it.
    """
    if _KEY not in frame.columns or "actor.id" not in frame.columns or _KEY in source.ids.tokens:
        return frame, before
    raw = frame.get_column(_KEY)
    numbers = numbers_of(raw)
    there = numbers.is_not_null() & frame.get_column("actor.id").is_not_null()
    steps = np.zeros(frame.height, dtype=np.int64)
    known = np.zeros(frame.height, dtype=np.bool_)
    rows = there.arg_true().to_numpy()
    if rows.size:
        actors = frame.get_column("actor.id").filter(there)
        steps[rows], known[rows], now = _differences(actors, numbers.filter(there).to_numpy(), before)
        before = pl.concat([before, now]).unique("actor.id", keep="last", maintain_order=True)
    stepped = pl.DataFrame({"known": known, "step": steps})
    found = stepped.select(pl.when("known").then("step").alias("subject.step"))
    return frame.hstack(found), before


def numbers_of(raw: pl.Series) -> pl.Series:
    """The number in each id, up to 18 digits after letters and hyphens; null where there is none."""
    digits = raw.str.contains("^[0-9]{1,18}$")
    plain = raw.to_frame("raw").select(pl.when(digits).then("raw").cast(pl.Int64, strict=False)).to_series()
    rest = (raw.is_not_null() & plain.is_null()).arg_true()
    if rest.is_empty():
        return plain
    number = normalise_id(pl.col("raw"), True).str.extract(r"^[A-Za-z-]*([0-9]{1,18})$").cast(pl.Int64)
    return plain.scatter(rest, raw.gather(rest).to_frame("raw").select(number).to_series())


def _differences(
    actors: pl.Series, numbers: np.ndarray, before: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """Difference to the same actor's number before, whether it counts as a step, and everybody's last number."""
    names = actors.unique(maintain_order=True)
    people = actors.cast(pl.Enum(names)).to_physical().to_numpy()
    order = np.argsort(people, kind="stable")
    person, number = people[order], numbers[order]
    first = np.flatnonzero(np.diff(person.astype(np.int64), prepend=-1))
    last = np.append(first[1:], person.size) - 1
    earlier = names.to_frame("actor.id").join(before, on="actor.id", how="left", maintain_order="left")
    is_known = earlier.get_column("last").is_not_null().to_numpy()
    previous = np.roll(number, 1)
    previous[first] = earlier.get_column("last").fill_null(0).to_numpy()
    known = np.ones(person.size, dtype=np.bool_)
    known[first] = is_known
    difference = number - previous
    known &= np.abs(difference) <= STEP
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return difference[back], known[back], pl.DataFrame({"actor.id": names, "last": number[last]})
