"""Events that wait are prepared once, by what decides at their time, also where that changes while they wait."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from contract import event
from detector import core, repeats, sessionise, step
from detector.baseline import Baseline
from detector.schedule import Schedule
from detector.stream import snapshot, waiting
from detector.stream.amend import Kept
from detector.stream.plan import Plan, Plans
from detector.stream.telling import Moments
from detector.versions import Loaded
from registers.site import Site
from tests.detector.month import month, office, rules
from tests.detector.stream.streamed import Finding, Stream, Versions, plain


@cache
def registers(number: int) -> Loaded:
    """The office's registers, or none."""
    site = office() if number else Site.none()
    return Loaded({"site": str(number)}, site, rules(), None, Baseline())


@cache
def arrived() -> pl.DataFrame:
    return month(2).unique("event.id", maintain_order=True)[::3]


def moment(share: float) -> int:
    """When so much of them has happened."""
    return int(arrived()["time.occurred"].quantile(share, "nearest"))  # type: ignore[arg-type]


@cache
def plans() -> Schedule[Plan]:
    """The office's registers, and from the middle on none."""
    return Plans("live").of([(0, registers(1)), (moment(0.5), registers(0))])


def decided(before: Versions, after: Versions) -> dict[str, Finding]:
    """What is found where all events wait while `before` becomes `after`; but what was told of them as they came."""
    first, last = arrived()["time.occurred"].sort()[[0, -1]]
    stream = Stream(before, 1)
    stream.turn([arrived()], first - 1)
    stream.versions = after
    stream.turn([event.empty()], last)
    stream.turn([event.empty()], last + core.CLOSING_MS, last)
    return {uid: one for uid, one in plain(stream.last).items() if one["unmapped"]["kind"] != "event"}


def test_registers_that_change_while_events_wait_hold_for_those_from_then_on():
    one, both = Versions(((0, registers(1)),)), Versions(((0, registers(1)), (moment(0.5), registers(0))))

    found = decided(one, both)

    assert found == decided(both, both)
    assert found != decided(one, one)


@pytest.mark.parametrize("size", [1_000_000, 150])
def test_what_waits_is_as_if_it_were_prepared_when_it_is_due(size: int):
    (_, old), (_, new) = plans().pins
    wait: waiting.Waiting = ()
    for part in arrived().iter_slices(size):
        wait += waiting.come(part, plans(), 0, moment(0.3))
    assert {id(piece.by) for piece in wait} == {id(old), id(new)}

    after = 0
    for upto, plan in ((moment(0.3), old), (moment(0.5) - 1, old), (event.MAX_TIME, new)):
        due = arrived().filter(pl.col("time.occurred").is_between(after + 1, upto))
        rows, wait = waiting.due(wait, upto, plan)
        assert rows.height > 100
        assert_frame_equal(rows, step.prepare(sessionise.in_order(due), plan.context))
        after = upto
    assert wait == ()


def test_of_more_than_so_many_only_the_events_are_kept():
    wait = waiting.come(arrived(), plans(), 0, moment(0.3))
    assert [piece.by is not None for piece in wait] == [True, True, True]

    less = waiting.kept(wait, wait[0].rows.height + 1)

    assert [piece.by is not None for piece in less] == [True, False, False]
    assert less[1].wide.columns == list(event.KEYS)
    assert_frame_equal(waiting.plain(less), waiting.plain(wait))
    (_, old), _ = plans().pins
    assert_frame_equal(waiting.due(less, moment(0.5) - 1, old)[0], waiting.due(wait, moment(0.5) - 1, old)[0])


def test_nothing_is_due_in_the_columns_of_what_is():
    plan = plans().at(0)
    some = waiting.come(arrived(), plans(), 0, 0)

    none, left = waiting.due(some, 0, plan)

    assert left == some
    assert none.schema == waiting.due(some, moment(0.5) - 1, plan)[0].schema


def test_what_waits_in_little_memory_is_due_as_if_it_had_waited_otherwise():
    (_, old), (_, new) = plans().pins
    plain: waiting.Waiting = ()
    small = plain
    for part in arrived().sample(fraction=1, shuffle=True, seed=1).iter_slices(60):
        pieces = waiting.come(part, plans(), 0, moment(0.3))
        plain, small = (*plain, *pieces), waiting.kept((*small, *pieces), 100, 150)
    assert len(waiting.narrowed(small)) > 2
    for upto in (*(moment(share / 20) for share in range(1, 10)), moment(0.5) - 1):
        one, plain = waiting.due(plain, upto, old)
        other, small = waiting.due(small, upto, old)
        small = waiting.kept(small, 100, 150)
        assert_frame_equal(one, other)
        data = snapshot.dump_one(step.State(), small, Moments(), repeats.nothing(), Kept(), snapshot.Day())
        small = snapshot.load_one(data)[1]
        assert snapshot.dump_one(step.State(), small, Moments(), repeats.nothing(), Kept(), snapshot.Day()) == data
    one, plain = waiting.due(plain, event.MAX_TIME, new)
    other, small = waiting.due(small, event.MAX_TIME, new)
    assert_frame_equal(one, other)
    assert (plain, small) == ((), ())
