"""Positions may be written down only when everything before them has arrived."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from collector.ticks import Ticks
from contract.sealed import Record


def record() -> Record:
    return Record("t", 0, b"x", [], 0)


def test_a_tick_counts_when_all_of_its_records_have_arrived():
    ticks: Ticks[dict[str, int]] = Ticks()
    first, second = record(), record()
    ticks.add([first, second], {"at": 1})
    assert ticks.arrived([first]) is None
    assert ticks.arrived([second]) == {"at": 1}
    assert len(ticks) == 0


def test_a_later_tick_waits_for_the_earlier_ones():
    ticks: Ticks[dict[str, int]] = Ticks()
    first, second = record(), record()
    ticks.add([first], {"at": 1})
    ticks.add([second], {"at": 2})
    assert ticks.arrived([second]) is None
    assert ticks.arrived([first]) == {"at": 2}


def test_lines_that_made_no_record_count_once_those_before_them_have_arrived():
    ticks: Ticks[dict[str, int]] = Ticks()
    one = record()
    ticks.add([one], {"at": 1})
    ticks.add([], {"at": 2})
    assert ticks.arrived([]) is None
    assert ticks.arrived([one]) == {"at": 2}
    ticks.add([], {"at": 3})
    assert ticks.arrived([]) == {"at": 3}


def test_records_of_others_and_records_that_come_twice_change_nothing():
    ticks: Ticks[dict[str, int]] = Ticks()
    one, other = record(), record()
    ticks.add([one, other], {"at": 1})
    assert ticks.arrived([record(), one]) is None
    assert ticks.arrived([one]) is None
    assert ticks.arrived([other]) == {"at": 1}


def test_a_tick_whose_positions_must_not_be_written_down_holds_the_later_ones_back_all_the_same():
    ticks: Ticks[dict[str, int]] = Ticks()
    first, second = record(), record()
    ticks.add([first], None)
    ticks.add([second], {"at": 2})
    assert ticks.arrived([second]) is None
    assert ticks.arrived([first]) == {"at": 2}
    ticks.add([], None)
    assert ticks.arrived([]) is None


@given(st.lists(st.integers(0, 3), max_size=8), st.integers(0, 1 << 32))
def test_in_whatever_order_records_arrive_the_newest_complete_run_is_told(sizes: list[int], seed: int):
    ticks: Ticks[dict[str, int]] = Ticks()
    groups = [[record() for _ in range(size)] for size in sizes]
    for number, group in enumerate(groups, 1):
        ticks.add(group, {"at": number})
    order = [one for group in groups for one in group]
    random.Random(seed).shuffle(order)
    arrived: set[int] = set()
    told = 0
    for one in [None, *order]:
        found = ticks.arrived([one] if one is not None else [])
        if one is not None:
            arrived.add(id(one))
        complete = 0
        while complete < len(groups) and all(id(each) in arrived for each in groups[complete]):
            complete += 1
        told = found["at"] if found is not None else told
        assert told == complete
