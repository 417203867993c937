"""Correlations over candidates: windows, rising edges, order, state."""

from __future__ import annotations

import itertools
import random
from typing import Any

import polars as pl
import pytest
from sigma.rule import SigmaRule

from detector import correlate, reach, sigma
from detector.correlate import CANDIDATES, Base, Correlation

MINUTE = 60_000
ANY = sigma.Atom("event.id", "exists", True)


def rule(kind: str = "event_count", **changes: object) -> Correlation:
    values: dict[str, object] = {
        "kind": kind,
        "bases": (Base("a", ANY),),
        "group_by": ("actor.id",),
        "timespan_ms": 10 * MINUTE,
        "operator": "gte",
        "count": 3,
    }
    return Correlation(**(values | changes))  # type: ignore[arg-type]


def rows(*given: tuple[float, str, str, str | None]) -> pl.DataFrame:
    """Candidates of (minute, base, group, value); event ids count up."""
    return pl.DataFrame(
        [
            ("r", base, group, int(minute * MINUTE), f"e{place:03}", value, f"actor-{value}", None)
            for place, (minute, base, group, value) in enumerate(given)
        ],
        schema=CANDIDATES,
        orient="row",
    )


def at(minutes: list[float], group: str = "g") -> pl.DataFrame:
    return rows(*[(minute, "a", group, None) for minute in minutes])


def edges(hits: pl.DataFrame) -> list[tuple[int, int]]:
    return [(time // MINUTE, count) for time, count in hits.select("time.occurred", "count").iter_rows()]


def test_a_count_is_reported_once_when_it_is_reached():
    assert edges(correlate.correlate(at([0, 1, 2, 3, 4]), rule())) == [(2, 3)]


def test_one_less_is_not_reported():
    assert correlate.correlate(at([0, 1]), rule()).is_empty()


def test_the_window_is_open_at_its_beginning():
    assert correlate.correlate(at([0, 5, 10]), rule()).is_empty()
    assert edges(correlate.correlate(at([0, 5, 9.99]), rule())) == [(9, 3)]


def test_it_is_reported_again_after_it_ceased_to_hold():
    assert edges(correlate.correlate(at([0, 1, 2, 30, 31, 32]), rule())) == [(2, 3), (32, 3)]


def test_groups_do_not_mix():
    found = pl.concat([at([0, 2], "g"), at([1, 3], "h").with_columns(pl.col("event.id") + "h")])

    assert correlate.correlate(found, rule()).is_empty()


def test_related_events_are_those_in_the_window():
    [hit] = correlate.correlate(at([0, 20, 21, 22]), rule()).to_dicts()

    assert hit["related"] == ["e001", "e002", "e003"]
    assert hit["first"] == 20 * MINUTE
    assert hit["event.id"] == "e003"


def test_distinct_values_are_counted_and_leave_with_their_window():
    condition = rule("value_count", field="actor.id")
    repeated = rows((0, "a", "g", "x"), (1, "a", "g", "y"), (2, "a", "g", "x"), (3, "a", "g", None))
    spread = rows((0, "a", "g", "x"), (6, "a", "g", "y"), (11, "a", "g", "z"))
    together = rows((0, "a", "g", "x"), (1, "a", "g", "y"), (1, "a", "g", "y"), (2, "a", "g", "z"))

    assert correlate.correlate(repeated, condition).is_empty()
    assert correlate.correlate(spread, condition).is_empty()
    [hit] = correlate.correlate(together, condition).to_dicts()
    assert hit["count"] == 3
    assert hit["actors"] == ["actor-x", "actor-y", "actor-z"]


AB = (Base("a", ANY), Base("b", ANY))


def test_temporal_wants_every_rule_in_any_order():
    condition = rule("temporal", bases=AB, count=2)

    assert edges(correlate.correlate(rows((0, "b", "g", None), (5, "a", "g", None)), condition)) == [(5, 2)]
    assert correlate.correlate(rows((0, "b", "g", None), (15, "a", "g", None)), condition).is_empty()
    assert correlate.correlate(rows((0, "b", "g", None), (5, "b", "g", None)), condition).is_empty()


def test_temporal_ordered_wants_them_in_order():
    condition = rule("temporal_ordered", bases=AB, count=2)

    assert edges(correlate.correlate(rows((0, "a", "g", None), (5, "b", "g", None)), condition)) == [(5, 2)]
    assert correlate.correlate(rows((0, "b", "g", None), (5, "a", "g", None)), condition).is_empty()


def test_events_of_one_moment_are_in_either_order():
    condition = rule("temporal_ordered", bases=AB, count=2)

    assert edges(correlate.correlate(rows((5, "b", "g", None), (5, "a", "g", None)), condition)) == [(5, 2)]


def test_one_event_is_not_two():
    condition = rule("temporal_ordered", bases=AB, count=2)
    both = rows((5, "a", "g", None), (5, "b", "g", None)).with_columns(pl.lit("same").alias("event.id"))

    assert correlate.correlate(both, condition).is_empty()


def test_a_rule_may_be_wanted_several_times():
    condition = rule("temporal_ordered", bases=(AB[0], AB[0], AB[1]), count=3)

    assert correlate.correlate(rows((0, "a", "g", None), (1, "b", "g", None)), condition).is_empty()
    assert edges(
        correlate.correlate(rows((0, "a", "g", None), (1, "a", "g", None), (2, "b", "g", None)), condition)
    ) == [(2, 3)]


@pytest.mark.parametrize(
    ("operator", "count", "expected"),
    [("gt", 2, True), ("gt", 3, False), ("eq", 3, True), ("lt", 1, False), ("lte", 1, True), ("neq", 1, True)],
)
def test_operators(operator: str, count: int, expected: bool):
    hits = correlate.correlate(at([0, 1, 2]), rule(operator=operator, count=count))

    assert bool(hits.height) is expected


def chain(window: list[dict[str, Any]], bases: list[str], time: int = -1, used: frozenset[str] = frozenset()) -> int:
    """Length of the longest prefix of the bases that happened in order, each by an event of its own."""
    following = [
        item
        for item in window
        if bases and item["base"] == bases[0] and item["time.occurred"] >= time and item["event.id"] not in used
    ]
    return max(
        (1 + chain(window, bases[1:], item["time.occurred"], used | {item["event.id"]}) for item in following),
        default=0,
    )


def naive(found: pl.DataFrame, condition: Correlation) -> list[tuple[str, str]]:
    """The definition, word by word: (group, event) at which the condition begins to hold."""
    out, held = [], {}
    ordered = found.sort("time.occurred", "event.id", "base").rows(named=True)
    for place, row in enumerate(ordered):
        window = [
            other
            for other in ordered[: place + 1]
            if other["group"] == row["group"]
            and row["time.occurred"] - condition.timespan_ms < other["time.occurred"] <= row["time.occurred"]
        ]
        numbers = {
            "event_count": len(window),
            "value_count": len({item["value"] for item in window} - {None}),
            "temporal": len({item["base"] for item in window}),
            "temporal_ordered": chain(window, [base.name for base in condition.bases]),
        }
        holds = condition.holds(numbers[condition.kind])
        if holds and not held.get(row["group"], False):
            out.append((row["group"], row["event.id"]))
        held[row["group"]] = holds
    return out


LEAST = {"event_count": 6, "value_count": 3, "temporal": 2, "temporal_ordered": 4}


@pytest.mark.parametrize("kind", list(LEAST))
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("forgets", [True, False])
def test_it_does_what_the_definition_says_and_cutting_changes_nothing(kind: str, seed: int, forgets: bool):
    draw = random.Random(seed)
    found = rows(*[
        (draw.randrange(0, 120) / 2, draw.choice("ab"), draw.choice("gh"), draw.choice(["x", "y", "z", None]))
        for _ in range(80)
    ])  # fmt: skip
    bases = (AB[0], AB[0], AB[1], AB[0]) if kind == "temporal_ordered" else AB
    condition = rule(kind, bases=bases, field="actor.id", count=LEAST[kind])

    whole = correlate.correlate(found, condition)

    assert sorted(whole.select("group", "event.id").iter_rows()) == sorted(naive(found, condition))
    assert correlate.correlate(found.sample(fraction=1, shuffle=True, seed=seed), condition).equals(whole)
    cut = draw.randrange(0, 45) * MINUTE
    windows, first = correlate.advance(correlate.no_windows(), found.filter(pl.col("time.occurred") <= cut), condition)
    kept = correlate.forget({"r": windows}, -1 if forgets else cut, cut, {"r": condition})
    _, second = correlate.advance(kept["r"], found.filter(pl.col("time.occurred") > cut), condition)
    assert pl.concat([first, second]).equals(whole)


def test_candidates_are_the_matching_events_of_known_groups():
    parsed = SigmaRule.from_yaml(
        "title: t\nlogsource: {product: x}\ndetection:\n  s:\n    event.action: logon\n  condition: s\n"
    )
    condition = rule(
        "value_count", bases=(Base("a", sigma.tree(parsed)),), group_by=("src.device", "system.id"), field="actor.id"
    )
    events = pl.DataFrame({
        "event.id": ["1", "2", "3"], "event.action": ["logon", "logon", "read"], "time.occurred": [5, 4, 3],
        "src.device": ["d", None, "d"], "system.id": ["w", "w", "w"], "actor.id": ["x", "y", "z"],
    })  # fmt: skip

    [row] = correlate.candidates(events, {"r": condition}).to_dicts()

    assert row == {
        "rule": "r", "base": "a", "group": f"d{correlate.SEPARATOR}w", "time.occurred": 5, "event.id": "1",
        "value": "x", "actor.id": "x", "subject": None,
    }  # fmt: skip
    assert correlate.candidates(events.drop("src.device"), {"r": condition}).is_empty()


def test_an_alias_takes_another_column_in_each_rule():
    aliases = (("who", (("a", "target.actor"), ("b", "actor.id"))),)
    grant = Base("a", sigma.Atom("event.action", "equals", "grant"))
    use = Base("b", sigma.Atom("event.action", "equals", "read"))
    condition = rule("temporal_ordered", bases=(grant, use), group_by=("who",), aliases=aliases, count=2)
    events = pl.DataFrame({
        "event.id": ["1", "2"], "event.action": ["grant", "read"], "time.occurred": [1, 2],
        "actor.id": ["admin", "x"], "target.actor": ["x", None],
    })  # fmt: skip

    hits = correlate.correlate(correlate.candidates(events, {"r": condition}), condition)

    assert hits["group"].to_list() == ["x"]
    assert condition.stage == 2
    assert rule().stage == 1


@pytest.mark.parametrize("kind", list(LEAST))
@pytest.mark.parametrize("seed", range(10))
def test_many_cuts_change_nothing(kind: str, seed: int):
    draw = random.Random(seed)
    found = rows(*[
        (draw.randrange(0, 600) / 2, draw.choice("abb"), draw.choice("ghijkl"), draw.choice(["x", "y", "z", None]))
        for _ in range(300)
    ])  # fmt: skip
    bases = (AB[0], AB[0], AB[1], AB[0]) if kind == "temporal_ordered" else AB
    condition = rule(kind, bases=bases, field="actor.id", count=max(LEAST[kind] - 1, 2))
    before, windows, hits = -1, correlate.no_windows(), []
    for cut in [*sorted(draw.sample(range(300), 20)), 300]:
        part = found.filter(pl.col("time.occurred").is_between(before + 1, cut * MINUTE))
        windows, edges_ = correlate.advance(windows, part, condition)
        windows = correlate.forget({"r": windows}, before, cut * MINUTE, {"r": condition})["r"]
        hits.append(edges_)
        before = cut * MINUTE

    assert pl.concat(hits).equals(correlate.correlate(found, condition))
    assert sorted(correlate.correlate(found, condition).select("group", "event.id").iter_rows()) == sorted(
        naive(found, condition)
    )


def test_groups_far_from_their_threshold_only_wait():
    alone, many = at([0, 1]), at([0, 1, 2], "h").with_columns(pl.col("event.id") + "h")

    windows, hits = correlate.advance(correlate.no_windows(), pl.concat([alone, many]), rule())

    assert hits["group"].to_list() == ["h"]
    assert windows.filter(pl.col("folded").is_null())["group"].to_list() == ["g", "g"]
    assert windows.filter(pl.col("folded").is_not_null())["group"].to_list() == ["h"]


def test_what_waits_for_the_rest_of_a_chain_is_folded_before_it_grows():
    condition = rule("temporal_ordered", bases=AB, count=2)
    begins = rows(*[(place / 1000, "a", "g", None) for place in range(reach.MOST_WAITING + 1)])

    windows, _ = correlate.advance(correlate.no_windows(), begins, condition)
    _, hits = correlate.advance(windows, rows((2, "b", "g", None)), condition)

    assert windows.height == 1
    assert edges(hits) == [(2, 2)]


@pytest.mark.parametrize("seed", range(20))
def test_rules_together_say_what_each_says_alone(seed: int):
    draw = random.Random(seed)
    chain_ = (AB[0], AB[0], AB[1], AB[0])
    conditions = {
        kind: rule(kind, bases=chain_ if kind == "temporal_ordered" else AB, field="actor.id", count=LEAST[kind] - 1)
        for kind in LEAST
    }
    conditions["few"] = rule(operator="lt", count=2)
    found = pl.concat([
        rows(*[
            (draw.randrange(0, 400) / 2, draw.choice("abb"), draw.choice("ghij"), draw.choice(["x", "y", "z", None]))
            for _ in range(draw.choice([0, 20, 150]))
        ]).with_columns(pl.lit(name).alias("rule"))
        for name in ("unknown", *conditions)
    ])  # fmt: skip
    together: correlate.State = {}
    alone = {name: correlate.no_windows() for name in conditions}
    cut = [-1, *sorted(draw.sample(range(200), 8)), 200]
    for start, end in itertools.pairwise(cut):
        part = found.filter(pl.col("time.occurred").is_between(start * MINUTE + 1, end * MINUTE))
        part = part.sample(fraction=1, shuffle=True, seed=seed)
        before, hits = together, []
        together, got = correlate.advance_all(before, part, conditions)
        for name, condition in conditions.items():
            mine = part.filter(pl.col("rule") == name)
            alone[name], edges_ = correlate.advance(alone[name], mine, condition)
            hits.append(edges_)
            held = correlate.windows_of(name, condition)
            assert together[held].equals(alone[name])
            assert mine.height or held not in before or together[held] is before[held]
        assert got.equals(pl.concat(hits))


def test_a_rule_without_anything_new_costs_nothing():
    conditions = {"r": rule(), "other": rule(count=5)}
    first, _ = correlate.advance_all({}, at([0, 1]), conditions)
    second, _ = correlate.advance_all(first, at([2]).with_columns(pl.lit("other").alias("rule")), conditions)
    names = correlate.by_windows(conditions)
    held = correlate.windows_of("r", conditions["r"])

    assert second[held] is first[held]
    assert correlate.forget(second, -1, 10 * MINUTE - 1, names)[held] is first[held]
    assert correlate.forget(second, -1, 100 * MINUTE, names)[held].is_empty()
