"""The threshold judgement and the trend, against the table of the rules and sums in plain Python."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from audit.catalogue import Judgement
from audit.report.judgement import Change, Kind, Numbers, changes, crossing, judged, slope

RULE = Judgement()
START = date(2025, 4, 1)


@pytest.mark.parametrize(("subjects", "small", "large"), [
    (0, "none", "none"), (999, "none", "none"), (1_000, "basic", "basic"), (9_999, "basic", "basic"),
    (10_000, "basic", "focused"), (99_999, "basic", "focused"), (100_000, "focused", "full"),
    (299_999, "focused", "full"), (300_000, "full", "full"), (5_000_000, "full", "full"),
])  # fmt: skip
def test_the_statement_follows_from_the_table_of_the_rules(subjects, small, large):
    assert judged(Numbers(subjects, 499, 0), RULE) == small
    assert judged(Numbers(subjects, 500, 0), RULE) == large
    assert judged(Numbers(subjects, 3, 1), RULE) == large


def test_what_is_not_known_leaves_it_open_only_where_it_could_change_the_result():
    assert judged(Numbers(3_000, None, None), RULE) is Kind.BASIC
    assert judged(Numbers(400_000, None, None), RULE) is Kind.FULL
    assert judged(Numbers(120_000, 80, None), RULE) is None
    assert judged(Numbers(120_000, None, 0), RULE) is None
    assert judged(Numbers(120_000, None, 1), RULE) is Kind.FULL
    assert judged(Numbers(None, 80, 0), RULE) is None


def test_the_next_step_of_each_number_and_what_it_would_mean():
    assert changes(Numbers(120_000, 80, 0), RULE) == [
        Change("subjects", 300_000, Kind.FULL),
        Change("handlers", 500, Kind.FULL),
        Change("serious", 1, Kind.FULL),
    ]
    assert [change.kind for change in changes(Numbers(3_000, 80, 0), RULE)] == [Kind.BASIC] * 3
    assert changes(Numbers(400_000, 600, 2), RULE) == []
    assert changes(Numbers(None, None, None), RULE) == []
    assert changes(Numbers(50_000, None, 0), RULE)[0].kind is None


def test_a_number_that_the_catalogue_changes_changes_the_result():
    assert judged(Numbers(3_000, 80, 0), Judgement(subjects=[10, 20, 30, 40], handlers=5)) is Kind.FULL


def test_the_slope_is_that_of_least_squares():
    points = [
        (START + timedelta(days=days), count) for days, count in ((0, 40), (30, 44), (61, 47), (92, 41), (122, 58))
    ]
    xs, ys = [day.toordinal() for day, _ in points], [count for _, count in points]
    n = len(points)
    expected = Fraction(
        n * sum(x * y for x, y in zip(xs, ys, strict=True)) - sum(xs) * sum(ys),
        n * sum(x * x for x in xs) - sum(xs) ** 2,
    )

    assert slope(points) == expected
    assert slope(points[::-1]) == expected


def test_fewer_than_three_days_are_no_trend():
    assert slope([]) is None
    assert slope([(START, 1), (START + timedelta(days=9), 5)]) is None
    assert slope([(START, 1), (START, 2), (START + timedelta(days=9), 5)]) is None
    assert slope([(START + timedelta(days=n), 7) for n in range(3)]) == 0


@pytest.mark.parametrize("per_day", [Fraction(1, 7), Fraction(3, 2), Fraction(2), Fraction(-1, 3), Fraction(-5)])
@pytest.mark.parametrize("bound", [50, 60, 83])
def test_a_count_leaves_its_band_on_the_day_a_walk_day_by_day_says(per_day, bound):
    count, upwards = 66, bound > 66

    expected = None
    for days in range(3654):
        there = count + per_day * days
        if there >= bound if upwards else there <= bound - 1:
            expected = START + timedelta(days=days)
            break

    assert crossing(START, count, per_day, bound, upwards=upwards) == expected


def test_a_count_that_is_outside_has_left_and_one_that_stays_never_leaves():
    assert crossing(START, 100, Fraction(0), 100, upwards=True) == START
    assert crossing(START, 49, Fraction(1), 50, upwards=False) == START
    assert crossing(START, 99, Fraction(0), 100, upwards=True) is None
    assert crossing(START, 99, Fraction(-1), 100, upwards=True) is None
    assert crossing(START, 99, Fraction(1, 4000), 100, upwards=True) is None
