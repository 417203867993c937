"""How many people of type staff there are, from which day on: what the budget is stated for."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from detector.core import staff_by_day
from detector.stage_notices import staff_steps
from tests.detector.offices import at, site
from tests.detector.offices import end as end_of

FIRST = date(2026, 1, 1).toordinal()
DAY_MS = 86_400_000


def row(who: str, start: int | None, end: int | None, kind: str | None = "staff") -> dict[str, object]:
    days = [None if day is None else date.fromordinal(FIRST + day).isoformat() for day in (start, end)]
    first, last = (None if days[0] is None else at(days[0])), (None if days[1] is None else end_of(days[1]))
    return {"actor_id": who, "type": kind, "start": first, "end": last}


def counts(rows: list[dict[str, object]], days: int) -> tuple[list[int], list[int]]:
    """By day: as the stage has it, and as `sekimori analyze` does."""
    office = site(staff=rows)
    steps = staff_steps(office)
    noon = [(FIRST + day - date(1970, 1, 1).toordinal()) * DAY_MS + 3 * 3_600_000 for day in range(days)]
    places = [bisect_right([at for at, _ in steps], date.fromordinal(FIRST + day)) - 1 for day in range(days)]
    whole = staff_by_day(office, pl.DataFrame(), noon[0], noon[-1])
    return [steps[place][1] if place >= 0 else 0 for place in places], [count for _, count in whole]


def test_who_stands_in_several_rows_is_one():
    rows = [
        row("a", 0, 9),
        row("a", 0, 9),
        row("a", 5, 12),
        row("a", 20, 22),
        row("b", 3, None),
        row("v", 0, 9, "vendor"),
    ]
    ours, theirs = counts(rows, 25)
    assert ours == theirs == [1] * 3 + [2] * 10 + [1] * 7 + [2] * 3 + [1] * 2


ROWS = st.builds(
    lambda who, start, length, kind: row(who, start, None if start is None or length is None else start + length, kind),
    st.sampled_from("abc"), st.none() | st.integers(0, 20), st.none() | st.integers(0, 9),
    st.sampled_from(["staff", None, "vendor"]),
)  # fmt: skip


@given(st.lists(ROWS, min_size=1, max_size=8))
def test_the_stream_counts_the_people_that_files_count(rows: list[dict[str, object]]):
    ours, theirs = counts(rows, 30)
    assert ours == theirs
