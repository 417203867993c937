"""`subject.step`: how far the raw number of a person on file is from that of the one whom the same actor touched before.

Who reads the register number by number shows it here; afterwards tokens hide it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from collector.sources import Source
from registers.text import normalise_id

STEP: Final = 9
_KEY: Final = "subject.token"


def steps(frame: pl.DataFrame, source: Source, before: Mapping[str, int]) -> tuple[pl.DataFrame, Mapping[str, int]]:
    """Add `subject.step` to events in line order.

    Args:
        frame: Events with raw ids, one row each.
        source: Whose they are.
        before: By actor, the raw number of the subject whom the actor touched last in this source.

    Returns:
        The events, and `before` as the next piece needs it.
    """
    if _KEY not in frame.columns or "actor.id" not in frame.columns or _KEY in source.ids.tokens:
        return frame, before
    raw, actor = frame.get_column(_KEY), frame.get_column("actor.id")
    if raw.null_count() == raw.len():
        return frame, before
    numbers = numbers_of(raw)
    there = (numbers.is_not_null() & actor.is_not_null()).to_numpy()
    rows = np.flatnonzero(there)
    if rows.size == 0:
        return frame, before
    difference, known, now = _differences(actor.gather(rows), numbers.gather(rows).to_numpy(), before)
    found = pl.Series("subject.step", [None], dtype=pl.Int64).new_from_index(0, frame.height)
    return frame.hstack([found.scatter(rows[known], difference[known])]), {**before, **now}


def numbers_of(raw: pl.Series) -> pl.Series:
    """The number in each id, up to 18 digits after letters and hyphens; null where there is none."""
    digits = pl.col("raw").str.contains("^[0-9]{1,18}$")
    plain = raw.to_frame("raw").select(pl.when(digits).then("raw").cast(pl.Int64)).to_series()
    if plain.null_count() == raw.null_count():
        return plain
    rest = (raw.is_not_null() & plain.is_null()).arg_true()
    number = normalise_id(pl.col("raw"), True).str.extract(r"^[A-Za-z-]*([0-9]{1,18})$").cast(pl.Int64)
    return plain.scatter(rest, raw.gather(rest).to_frame("raw").select(number).to_series())


def _differences(
    actors: pl.Series, numbers: np.ndarray, before: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Difference to the same actor's number before, whether it counts as a step, and everybody's last number."""
    names = actors.unique(maintain_order=True)
    people = actors.cast(pl.Enum(names)).to_physical().to_numpy()
    order = np.argsort(people, kind="stable")
    person, number = people[order], numbers[order]
    first = np.flatnonzero(np.diff(person.astype(np.int64), prepend=-1))
    last = np.append(first[1:], person.size) - 1
    everybody = names.to_list()
    previous = np.roll(number, 1)
    previous[first] = [before.get(name, 0) for name in everybody]
    known = np.ones(person.size, dtype=np.bool_)
    known[first] = [name in before for name in everybody]
    difference = number - previous
    known &= np.abs(difference) <= STEP
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return difference[back], known[back], dict(zip(everybody, number[last].tolist(), strict=True))
