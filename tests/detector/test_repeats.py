"""What says the same of a person within a week goes to the digest, however the units are cut into calls."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from detector import repeats

DAY_MS = 86_400_000


def units(rows: list[tuple[int, str, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Units of (day, person, what they say), one a row, decided in this order; and their families."""
    table = pl.DataFrame(
        [
            (f"u{place:03}", "day", [who], day * DAY_MS, place, "review", False)
            for place, (day, who, _) in enumerate(rows)
        ],
        schema={"unit": pl.String, "kind": pl.String, "actors": pl.List(pl.String), "last": pl.Int64,
                "closes": pl.Int64, "queue": pl.String, "always": pl.Boolean},
        orient="row",
    )  # fmt: skip
    families = pl.DataFrame(
        [(f"u{place:03}", says, [says]) for place, (_, _, says) in enumerate(rows)],
        schema={"unit": pl.String, "family": pl.String, "analytics": pl.List(pl.String)},
        orient="row",
    )
    return table, families


def queues(rows: list[tuple[int, str, str]]) -> list[str]:
    marked, _ = repeats.mark(*units(rows), repeats.nothing())
    return marked["queue"].to_list()


def test_the_same_of_the_same_person_within_a_week_is_one_thing():
    assert queues([(0, "a", "x"), (1, "a", "x"), (1, "a", "y"), (1, "b", "x"), (9, "a", "x")]) == [
        "review", "digest", "review", "review", "review",
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from("ab"), st.sampled_from("xy")), max_size=12).map(sorted),
    st.integers(0, 12),
)
def test_cutting_and_forgetting_change_nothing(rows: list[tuple[int, str, str]], cut: int):
    table, families = units(rows)
    whole, after = repeats.mark(table, families, repeats.nothing())
    first, said = repeats.mark(table[:cut], families[:cut], repeats.nothing())
    if cut < len(rows):
        said = repeats.forget(said, rows[cut][0] * DAY_MS)
    second, then = repeats.mark(table[cut:], families[cut:], said)
    assert pl.concat([first, second]).equals(whole)
    end = 20 * DAY_MS
    key = ["who", "kind", "says"]
    assert repeats.forget(then, end).sort(key).equals(repeats.forget(after, end).sort(key))
