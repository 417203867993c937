"""How long findings waited: what was done in time, and what should have been."""

from __future__ import annotations

from audit.cases import DAY_MS, Case, Deadlines
from audit.desk import Row
from audit.report.waits import buckets, to_decide, to_look

HOUR = 3_600_000
NOW = 100 * DAY_MS
LIMITS = Deadlines()


def row(found, *, queue="alert", seen=None, decided=None):
    return Row({"time": found, "queue": queue}, Case("f", seen=seen, decided=decided), None)


def test_what_is_not_due_yet_is_neither_in_time_nor_late():
    waits = to_look([row(NOW - HOUR), row(NOW - 2 * DAY_MS), row(NOW - HOUR, seen=NOW)], LIMITS, NOW)

    assert (waits.in_time, waits.due, waits.in_time_share) == (1, 2, 0.5)
    assert (waits.took, waits.waiting) == ((HOUR,), (HOUR, 2 * DAY_MS))


def test_the_limit_itself_is_in_time():
    found = NOW - 50 * DAY_MS
    exact, late = found + 30 * DAY_MS, found + 30 * DAY_MS + 1

    waits = to_decide([row(found, decided=exact), row(found, decided=late)], LIMITS, NOW)

    assert (waits.in_time, waits.due) == (1, 2)


def test_each_queue_has_its_own_limit_and_others_have_none():
    found = NOW - 10 * DAY_MS
    rows = [row(found, queue=queue, seen=found + 2 * DAY_MS) for queue in ("alert", "review", "digest")]

    waits = to_look(rows, LIMITS, NOW)

    assert (len(waits.took), waits.in_time) == (2, 1)


def test_a_clock_that_is_ahead_makes_nobody_quicker_than_at_once():
    assert to_look([row(NOW + HOUR, seen=NOW)], LIMITS, NOW).took == (0,)


def test_of_nothing_nothing_is_known():
    waits = to_decide([], LIMITS, NOW)

    assert (waits.median, waits.longest, waits.in_time_share) == (None, None, None)
    assert [(done, waiting) for _, done, waiting in buckets(waits)] == [(0, 0)] * 6


def test_each_length_counts_in_the_first_bucket_that_is_long_enough():
    lengths = [0, DAY_MS, DAY_MS + 1, 3 * DAY_MS, 14 * DAY_MS, 30 * DAY_MS, 30 * DAY_MS + 1]
    found = NOW - 60 * DAY_MS

    waits = to_decide([row(found, decided=found + length) for length in lengths] + [row(found)], LIMITS, NOW)

    assert buckets(waits) == [(1, 2, 0), (3, 2, 0), (7, 0, 0), (14, 1, 0), (30, 1, 0), (None, 1, 1)]
    assert waits.longest == 30 * DAY_MS + 1
