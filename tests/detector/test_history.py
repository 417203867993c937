"""What is remembered of an actor: new functions, and windows of thirty days, however the input is cut."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import history
from detector.history import DAY_MS, WINDOW, WINDOW_DAYS, History

FIRST = date(2026, 4, 1)

Look = tuple[int, str, str]  # day, actor, subject


def arrivals(*given: tuple[float, str | None, str | None]) -> pl.DataFrame:
    rows = [(int(day * DAY_MS), actor, op) for day, actor, op in given]
    schema = {"time.occurred": pl.Int64, "actor.id": pl.String, "op.code": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("time.occurred", maintain_order=True)


def new_ops(*given: tuple[float, str | None, str | None]) -> list[bool | None]:
    return history.arrive(History(), arrivals(*given))[1]["actor.new_op"].to_list()


def looks(*given: Look, explained: str = "unexplained", colleague: bool = False) -> pl.DataFrame:
    rows = [(FIRST + timedelta(days=day), actor, subject) for day, actor, subject in given]
    schema = {"time.date": pl.Date, "actor.id": pl.String, "subject.token": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.lit(explained).alias("explained"),
        pl.lit(colleague).alias("subject.colleague"),
        pl.lit(None, dtype=pl.Boolean).alias("subject.neighbour"),
    )


def days_of(rows: pl.DataFrame, **sums: int | None) -> pl.DataFrame:
    """One row per actor and day of these events, as `features.days` gives them."""
    columns = {"rows.sum": sums.get("taken", 0), "n.export": sums.get("exports", 0),
               "near_limit": sums.get("near", 0), "n.accesses": sums.get("accesses", 1)}  # fmt: skip
    found = rows.filter(pl.col("actor.id").is_not_null()).select("time.date", "actor.id").unique()
    return found.sort("time.date", "actor.id").with_columns(
        pl.lit(value, dtype=pl.Int64).alias(name) for name, value in columns.items()
    )


def looked_back(rows: pl.DataFrame, **sums: int | None) -> list[dict[str, object]]:
    return history.look_back(History(), days_of(rows, **sums), rows)[1].to_dicts()


def looked(known: History, rows: pl.DataFrame) -> tuple[History, pl.DataFrame]:
    """These days as they are seen, and what is remembered then."""
    noted, days = history.look_back(known, days_of(rows), rows)
    return history.remember(known, [noted]), days


def last_of(rows: pl.DataFrame, **sums: int | None) -> dict[str, object]:
    return looked_back(rows, **sums)[-1]


# What is new about an event.


def test_the_first_event_of_an_actor_has_no_previous_one():
    rows = history.arrive(History(), arrivals((0, "a", None), (0.5, "a", None), (2, "b", None)))[1]
    assert rows["actor.since_seen_days"].to_list() == [None, 0.5, None]


def test_what_was_seen_in_an_earlier_call_counts():
    known, _ = history.arrive(History(), arrivals((0, "a", "X"), (1, "b", "X")))
    _, rows = history.arrive(known, arrivals((3, "a", "X")))
    assert rows["actor.since_seen_days"].item() == 3


def test_a_function_is_new_once_and_only_to_somebody_known_for_two_weeks():
    assert new_ops((0, "a", "X"), (13.9, "a", "Y"), (14, "a", "Z"), (14.1, "a", "Z"), (20, "a", "X")) == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_a_function_that_a_colleague_used_is_still_new():
    assert new_ops((0, "a", "X"), (0, "b", "Y"), (20, "a", "Y")) == [False, False, True]


def test_an_event_of_nobody_or_without_function_is_not_new():
    assert new_ops((0, None, "X"), (0, "a", None), (20, None, "Y"), (20, "a", None)) == [None, False, None, False]


def test_events_of_nobody_are_not_remembered():
    known, _ = history.arrive(History(), arrivals((0, None, "X")))
    assert known.actors.is_empty()
    assert known.ops.is_empty()


# What the last thirty days say.


@pytest.mark.parametrize(("later", "subjects"), [(WINDOW_DAYS - 1, 2), (WINDOW_DAYS, 1)])
def test_the_thirtieth_day_is_in_and_the_day_before_it_is_out(later: int, subjects: int):
    last = last_of(looks((0, "a", "s1"), (later, "a", "s2")), accesses=5)
    assert last["w30.unexplained_subjects"] == subjects
    assert last["w30.active_days"] == subjects
    assert last["w30.accesses"] == 5 * subjects


def test_a_subject_counts_once_and_its_days_each():
    last = last_of(looks((0, "a", "s1"), (3, "a", "s1"), (3, "a", "s1"), (9, "a", "s1"), (9, "a", "s2")))
    assert (last["w30.unexplained_subjects"], last["w30.repeat_max"], last["w30.unexplained_days"]) == (2, 3, 3)


def test_what_others_looked_at_does_not_count():
    last = last_of(looks((0, "a", "s1"), (0, "b", "s2"), (1, "b", "s3")))
    assert last["actor.id"] == "b"
    assert last["w30.unexplained_subjects"] == 2


def test_nothing_that_comes_later_counts():
    first = looked_back(looks((0, "a", "s1"), (1, "a", "s2")))[0]
    assert first["w30.unexplained_subjects"] == 1


@pytest.mark.parametrize("explained", ["explained", "to_check", None])
def test_only_what_has_no_reason_counts(explained: str):
    last = last_of(looks((0, "a", "s1"), explained=explained))
    assert (last["w30.unexplained_subjects"], last["w30.repeat_max"], last["w30.active_days"]) == (0, 0, 1)


def test_colleagues_are_counted_and_what_is_not_known_is_not():
    last = last_of(looks((0, "a", "s1"), (0, "a", "s2"), colleague=True))
    assert (last["w30.colleagues"], last["w30.neighbours"]) == (2, 0)


def test_sums_add_up_and_unknown_ones_are_nothing():
    rows = looks((0, "a", "s1"), (1, "a", "s1"))
    assert last_of(rows, taken=7, exports=2, near=1)["w30.rows"] == 14
    assert last_of(rows, taken=7, exports=2, near=1)["w30.near_limit_days"] == 2
    unknown = last_of(rows, taken=None, near=None)
    assert (unknown["w30.rows"], unknown["w30.near_limit"], unknown["w30.near_limit_days"]) == (0, 0, 0)


def test_no_days_give_all_columns():
    known, days = looked(History(), looks())
    assert days.is_empty()
    assert set(WINDOW) <= set(days.columns)
    assert known.pairs.is_empty()


def test_days_are_forgotten_when_no_window_can_reach_them():
    rows = looks((0, "a", "s1"), (1, "b", "s1"), (WINDOW_DAYS, "b", "s2"))
    known, _ = looked(History(), rows)
    assert known.days["time.date"].to_list() == [FIRST + timedelta(days=1), FIRST + timedelta(days=WINDOW_DAYS)]
    assert known.pairs.height == 2


LOOKS = st.lists(
    st.tuples(st.integers(0, 70), st.sampled_from("ab"), st.sampled_from(["s1", "s2", "s3"])), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(LOOKS, st.sets(st.integers(1, 70), max_size=6))
def test_windows_do_not_depend_on_cuts(given: list[Look], cuts: set[int]):
    rows = looks(*sorted(given))
    whole_known, whole = looked(History(), rows)
    known, parts = History(), []
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), 99], strict=True):
        start, end = FIRST + timedelta(days=low), FIRST + timedelta(days=high - 1)
        piece = rows.filter(pl.col("time.date").is_between(start, end))
        known, days = looked(known, piece)
        parts.append(days)
    assert pl.concat(parts).equals(whole)
    assert known.pairs.equals(whole_known.pairs)
    assert known.days.equals(whole_known.days)


@settings(max_examples=40, deadline=None)
@given(LOOKS)
def test_windows_are_what_counting_day_by_day_says(given: list[Look]):
    for row in looked_back(looks(*sorted(given))):
        day = (row["time.date"] - FIRST).days  # type: ignore[operator]
        inside = {(d, s) for d, actor, s in given if actor == row["actor.id"] and day - WINDOW_DAYS < d <= day}
        subjects = [s for _, s in inside]
        assert row["w30.unexplained_subjects"] == len(set(subjects))
        assert row["w30.repeat_max"] == max(subjects.count(s) for s in set(subjects))
        assert row["w30.unexplained_days"] == row["w30.active_days"] == len({d for d, _ in inside})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.sampled_from(["X", "Y", None])), max_size=30),
    st.sets(st.integers(0, 40), max_size=5),
)
def test_what_is_new_does_not_depend_on_cuts(given: list[tuple[int, str, str | None]], cuts: set[int]):
    rows = arrivals(*given)
    whole_known, whole = history.arrive(History(), rows)
    known, parts = History(), []
    for low, high in zip([-1, *sorted(cuts)], [*sorted(cuts), 99], strict=True):
        piece = rows.filter(pl.col("time.occurred").is_between(low * DAY_MS + 1, high * DAY_MS))
        known, arrived = history.arrive(known, piece)
        parts.append(arrived)
    assert pl.concat(parts).equals(whole)
    assert known.actors.equals(whole_known.actors)
    assert known.ops.equals(whole_known.ops)
