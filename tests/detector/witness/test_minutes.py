"""What came of agents and sources is put together the same way as stage one sums it up, whatever the order."""

from __future__ import annotations

import random

import polars as pl
import pytest

from detector.witness.minutes import of_agents, of_sources
from detector.witness.summary import BEAT, DOUBT, EXPECTED, LINES, NUMBERS, ROUND_MS, SUMMARY, by_hour, runs

RUN = ("who", "tick", "boot", "lo", "hi", "first", "last", "first_id", "last_id")


def given(kind: str, lo: int, hi: int, first: int, **more: object) -> dict[str, object]:
    row = {
        "kind": kind, "who": "a", "boot": "b", "tick": 0, "lo": lo, "hi": hi, "first": first, "last": first + hi - lo,
        "first_id": f"e{first}-{lo}", "last_id": f"e{first}-{hi}", "n": None, "stopping": None,
    }  # fmt: skip
    return row | more


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SUMMARY, orient="row")


def told(rows: pl.DataFrame, doubts: bool) -> list[tuple[object, ...]]:
    return sorted(
        (who, tick, boot, run.lo, run.hi, run.t_lo, run.t_hi, run.id_lo, run.id_hi)
        for who, minutes in of_agents(rows).items()
        for tick, minute in minutes.items()
        for boot, run in (minute.doubts if doubts else minute.numbers)
    )


@pytest.mark.parametrize("seed", range(30))
def test_ranges_are_joined_as_stage_one_joins_them(seed: int):
    draw = random.Random(seed)
    rows = []
    for _ in range(draw.choice([1, 5, 60])):
        lo = draw.randrange(40)
        kind = draw.choice([NUMBERS, NUMBERS, DOUBT, BEAT])
        hi = lo if kind == BEAT else lo + draw.randrange(4)
        where = {"who": draw.choice("ab"), "boot": draw.choice("xy"), "tick": draw.randrange(3)}
        # A heartbeat that comes again is the same one: the later of two counts for nothing.
        rows.append(given(kind, lo, hi, lo * 400 if kind == BEAT else draw.randrange(1000), **where))
    rows_ = table(rows)

    for doubts in (False, True):
        expected = runs(rows_.filter((pl.col("kind") == DOUBT) == doubts), "tick")
        assert told(rows_, doubts) == sorted(expected.select(RUN).iter_rows())


@pytest.mark.parametrize("seed", range(10))
def test_lines_are_put_together_as_stage_one_does(seed: int):
    draw = random.Random(seed)
    rows_ = table([
        given(LINES, 0, 0, draw.randrange(50), who=draw.choice("st"), slot=draw.randrange(3), n=draw.randrange(1, 9))
        for _ in range(draw.choice([1, 4, 40]))
    ])  # fmt: skip

    lines, declared = of_sources(rows_)

    flat = [(who, slot, *one) for who, hours in lines.items() for slot, one in hours.items()]
    expected = by_hour(rows_).select("who", "slot", "n", "first", "first_id", "last", "last_id").rows()
    assert sorted(flat) == sorted(expected)
    assert [slot for who, slot, *_ in flat if who == "s"] == [slot for who, slot, *_ in expected if who == "s"]
    assert not declared


def test_a_declared_source_is_expected_from_the_first_time_on():
    rows_ = table([given(EXPECTED, 0, 0, at, who="s", first_id=None) for at in (7, 5, 9)])

    assert of_sources(rows_) == ({}, {"s": 5})


def test_heartbeats_of_one_round_are_one():
    at = 3 * ROUND_MS
    beats = [given(BEAT, 4, 4, at, n=12), given(BEAT, 5, 5, at + ROUND_MS, n=0, stopping=True)]
    again = given(BEAT, 4, 4, at + 1, n=99)

    [(boot, one)] = of_agents(table([again, *reversed(beats)]))["a"][0].rounds

    assert (boot, one.lo, one.hi, one.time, one.event, one.n, one.stopping) == ("b", 4, 5, at, f"e{at}-4", 12, True)


@pytest.mark.parametrize(("lo", "later"), [(6, 0), (5, ROUND_MS + 1)])
def test_heartbeats_apart_in_number_or_time_are_two_rounds(lo: int, later: int):
    rows_ = table([given(BEAT, 4, 4, 0), given(BEAT, lo, lo, later)])

    assert [one.lo for _, one in of_agents(rows_)["a"][0].rounds] == [4, lo]
