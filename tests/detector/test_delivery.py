"""The budget: what is over it goes to the digest, the riskiest of a day stay, fractions are carried over."""

from datetime import date

import polars as pl

from detector.delivery import Budget, spend

DAYS = [(date(2026, 4, day), 100) for day in range(1, 11)]


def items(*rows: tuple[int, str, float, bool]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"f{n}", date(2026, 4, day), queue, risk, exempt) for n, (day, queue, risk, exempt) in enumerate(rows)],
        schema=["uid", "date", "queue", "risk", "exempt"],
        orient="row",
    )


def test_the_riskiest_of_a_day_are_kept():
    budget = Budget(reviews=10, start_days=1)
    got = spend(items((1, "review", 0.4, False), (1, "review", 0.6, False)), DAYS, budget)
    assert got["queue"].to_list() == ["digest", "review"]
    assert got["over"].to_list() == [True, False]


def test_fractions_are_carried_over():
    budget = Budget(reviews=5, start_days=0)  # half an item a day
    got = spend(items(*((day, "review", 0.5, False) for day in range(1, 11))), DAYS, budget)
    assert got["queue"].to_list().count("review") == 4


def test_what_is_exempt_is_neither_cut_nor_counted():
    budget = Budget(alerts=10, start_days=1)
    got = spend(items((1, "alert", 0.9, True), (1, "alert", 0.8, False), (1, "alert", 0.7, False)), DAYS, budget)
    assert got["queue"].to_list() == ["alert", "alert", "digest"]


def test_rows_keep_their_order_and_nothing_is_dropped():
    given = items((3, "digest", 0.2, False), (1, "review", 0.5, False), (2, "none", 0.0, False))
    got = spend(given, DAYS, Budget())
    assert got["uid"].to_list() == given["uid"].to_list()


def test_a_small_office_saves_up_for_a_whole_item():
    small = [(day, 6) for day, _ in DAYS]
    got = spend(items((10, "review", 0.5, False)), small, Budget(reviews=20, start_days=0, carry_days=1))
    assert got["queue"].to_list() == ["review"]
