"""Cells about few people: what is shown is about enough of them, and no sum betrays a cell."""

from __future__ import annotations

import random
from itertools import combinations

from audit.report.merging import Cell, merged
from audit.sections import LEAST_PEOPLE


def cell(name, n, count=1, start=0):
    return Cell(name, frozenset(f"{name}{place}" for place in range(start, start + n)), (count,))


def test_large_cells_stay_as_they_are():
    cells = [cell("a", 5), cell("b", 40)]

    assert merged(cells).cells == tuple(cells)
    assert merged(cells).others is None


def test_small_cells_that_are_enough_together_take_no_large_one():
    found = merged([cell("a", 40, 100), cell("b", 2, 10), cell("c", 3, 1)])

    assert [one.name for one in found.cells] == ["a"]
    assert found.others.counts == (11,)
    assert found.names == ("b", "c")


def test_one_small_cell_takes_the_smallest_large_one_along():
    found = merged([cell("a", 40), cell("b", 2), cell("c", 7)])

    assert [one.name for one in found.cells] == ["a"]
    assert found.names == ("b", "c")


def test_people_in_two_small_cells_count_once():
    both = frozenset(["x", "y", "z"])
    found = merged([Cell("a", both, (1,)), Cell("b", both | {"w"}, (1,)), cell("c", 9)])

    assert found.cells == ()
    assert len(found.others.people) == 13


def test_cells_of_nobody_are_shown():
    found = merged([Cell("batch", frozenset(), (900,)), cell("a", 3), cell("b", 3)])

    assert [one.name for one in found.cells] == ["batch"]
    assert found.names == ("a", "b")


def test_too_few_in_all_are_still_too_few():
    found = merged([cell("a", 1), cell("b", 2)])

    assert found.cells == ()
    assert found.others.is_small


def test_no_difference_of_sums_is_about_too_few():
    chance = random.Random(7)
    for _ in range(300):
        cells = [
            cell(f"d{n}", chance.choice([0, 1, 2, 3, 5, 6, 9]), chance.randint(1, 99))
            for n in range(chance.randint(1, 7))
        ]

        found = merged(cells)

        shown = [*found.cells, *([found.others] if found.others else [])]
        assert sum(one.counts[0] for one in shown) == sum(one.counts[0] for one in cells)
        people = frozenset().union(*(one.people for one in cells))
        if len(people) < LEAST_PEOPLE:
            continue
        # Who knows the sum and some of what is shown learns the rest of it: that is never about one to four people.
        for size in range(len(shown) + 1):
            for some in combinations(shown, size):
                rest = frozenset().union(*(one.people for one in shown if one not in some))
                assert not 0 < len(rest) < LEAST_PEOPLE
