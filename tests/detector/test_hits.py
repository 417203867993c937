"""Hits: what of a match is kept for the finding, what excuses it, and how several become one."""

import itertools
import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from detector import hits, rulebook
from detector.correlate import HITS as EDGES
from detector.rulebook import Rule

RULE = """
title: Record read
id: 8361dd80-f253-51f8-ac9d-ff92b51aaa2c
name: {name}
status: test
description: For a test.
author: Sekimori
date: 2026-11-23
logsource: {{product: sekimori, category: {category}}}
detection:
  selection: {{system.id: one}}
  condition: selection
level: high
sekimori:
  family: relation
  precision: 0.8
  excused_by: [{excused}]
  title: 閲覧
  observed: {{field: amount, unit: {{ja: 件, en: times}}, usual: 0}}
  text: {{ja: "{{date(time.date)}}に{{subject.token}}を{{count}}回", en: "{{actor.id}} read {{subject.token}}"}}
  check_first: {{ja: "{{op.code}}", en: "{{op.code}}"}}
"""


def rule(name: str = "read", excused: str = "", category: str = "event") -> Rule:
    text = RULE.format(name=name, excused=excused, category=category)
    loaded = rulebook.parse(text.encode(), f"relation/{name}/rule.yml")
    assert isinstance(loaded, Rule), loaded
    return loaded


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    schema = {
        "system.id": pl.String, "session": pl.String, "event.id": pl.String, "time.occurred": pl.Int64, "actor.id": pl.String,
        "subject.token": pl.String, "op.code": pl.String, "time.date": pl.Date, "amount": pl.Int64, "explained": pl.String,
        "emergency.active": pl.Boolean, "presence.overtime": pl.Boolean,
    }  # fmt: skip
    common = {"system.id": "one", "session": "w-1", "time.occurred": 5, "actor.id": "a"}
    return pl.DataFrame([common | {"event.id": f"e{k}"} | row for k, row in enumerate(given)], schema=schema)


def found(frame: pl.DataFrame, *rules: Rule) -> pl.DataFrame:
    return hits.match(frame, rules or (rule(),), "session", "event.id", "time.occurred")


def hit(**given: Any) -> dict[str, Any]:
    common = {"unit": "u", "rule": "r", "time": 5, "event.id": "e1", "related": ["e1"], "values": "{}",
              "observed": None, "excused": False}  # fmt: skip
    return common | {key.replace("__", "."): value for key, value in given.items()}


def total(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return hits.total(pl.DataFrame(given, schema=hits.HITS)).to_dicts()


def test_a_match_keeps_what_its_sentences_name():
    [got] = found(rows({"subject.token": "s1", "op.code": "X", "time.date": date(2026, 4, 1), "amount": 3})).to_dicts()
    assert (got["unit"], got["rule"], got["event.id"], got["related"], got["time"]) == ("w-1", "read", "e0", ["e0"], 5)
    assert got["observed"] == 3.0
    assert json.loads(got["values"]) == {
        "actor.id": "a", "system.id": "one", "time.occurred": 5, "time.date": "2026-04-01", "subject.token": "s1", "op.code": "X", "amount": 3,
    }  # fmt: skip


def test_what_is_not_known_is_null():
    [got] = found(rows({"actor.id": None})).to_dicts()
    assert got["observed"] is None
    assert json.loads(got["values"])["actor.id"] is None


def test_a_sentence_may_name_a_column_that_is_not_there():
    assert found(rows({}).drop("subject.token", "amount", "time.date")).height == 1


def test_what_does_not_match_is_no_hit():
    assert found(rows({"system.id": "two"}, {"system.id": None})).equals(hits.none())


def test_no_rows_and_no_rules_give_no_hits():
    assert found(rows()).equals(hits.none())
    assert hits.match(rows({}), (), "session", "event.id", "time.occurred").equals(hits.none())


def test_two_rules_hit_the_same_row():
    assert sorted(found(rows({}), rule("one"), rule("two"))["rule"]) == ["one", "two"]


def test_a_unit_names_the_events_that_it_is_about():
    units = rows({}).with_columns(
        pl.Series("related", [["e7", "e8"]]), pl.Series("about", [["s_1"]]), pl.lit(1.0).alias("explained")
    )
    assert found(units, rule(category="session"))["related"].to_list() == [["e7", "e8"]]


@pytest.mark.parametrize(
    ("excused", "row", "is_excused"),
    [
        ("", {"explained": "explained", "emergency.active": True}, False),
        ("explained", {"explained": "explained"}, True),
        ("explained", {"explained": "to_check"}, False),
        ("explained", {"explained": None}, False),
        ("emergency", {"emergency.active": True}, True),
        ("emergency", {"emergency.active": None}, False),
        ("emergency, overtime", {"presence.overtime": True}, True),
    ],
)
def test_what_the_rule_names_excuses_its_hit(excused: str, row: dict[str, Any], is_excused: bool):
    assert found(rows(row), rule(excused=excused))["excused"].to_list() == [is_excused]


@pytest.mark.parametrize(("share", "excused"), [(1.0, True), (0.99, False), (None, False)])
def test_a_session_is_explained_only_if_all_of_it_is(share: float | None, excused: bool):
    units = rows({}).with_columns(pl.lit(share, dtype=pl.Float64).alias("explained"))
    assert found(units, rule(excused="explained", category="session"))["excused"].to_list() == [excused]


def test_an_edge_becomes_a_hit_of_the_session_of_its_last_event():
    edge = {"rule": "read", "group": "a", "time.occurred": 9, "event.id": "e1", "first": 2, "count": 5,
            "related": ["e0", "e1"], "actors": ["a"]}  # fmt: skip
    events = rows({"session": "w-0"}, {"session": "w-1", "time.occurred": 9, "subject.token": "s1"})
    [got] = hits.correlated(events, pl.DataFrame([edge], schema=EDGES), rule()).to_dicts()
    assert (got["unit"], got["time"], got["related"], got["observed"]) == ("w-1", 9, ["e0", "e1"], 5.0)
    values = json.loads(got["values"])
    assert (values["count"], values["first"], values["subject.token"]) == (5, 2, "s1")
    assert hits.correlated(events, pl.DataFrame(schema=EDGES), rule()).equals(hits.none())


def test_hits_of_a_unit_and_a_rule_become_one():
    [got] = total(hit(event__id="e2", time=9, related=["e2"]), hit(), hit(event__id="e3", time=7, related=["e3", "e1"]))
    assert (got["n"], got["time"], got["event.id"], got["related"]) == (3, 5, "e1", ["e1", "e2", "e3"])


def test_units_and_rules_stay_apart():
    assert [(row["unit"], row["rule"]) for row in total(hit(unit="v"), hit(rule="q"), hit())] == [
        ("u", "q"), ("u", "r"), ("v", "r"),
    ]  # fmt: skip


def test_the_largest_number_is_shown():
    [got] = total(
        hit(observed=2.0, values="two"), hit(observed=7.0, values="seven", event__id="e2"), hit(values="none")
    )
    assert (got["observed"], got["values"]) == (7.0, "seven")


def test_an_excused_hit_does_not_count_beside_one_that_is_not():
    [got] = total(
        hit(excused=True, observed=9.0, values="excused", time=1, event__id="e0", related=["e0"]), hit(values="counts")
    )
    assert (got["n"], got["excused"], got["values"], got["related"], got["time"]) == (1, False, "counts", ["e1"], 5)


def test_where_all_are_excused_they_are_kept():
    [got] = total(hit(excused=True), hit(excused=True, event__id="e2", related=["e2"]))
    assert (got["n"], got["excused"], got["related"]) == (2, True, ["e1", "e2"])


def test_the_order_of_the_hits_and_how_they_are_cut_do_not_matter():
    given = [
        hit(observed=2.0, values="a"),
        hit(event__id="e2", time=3, observed=2.0, values="b", related=["e2"]),
        hit(event__id="e3", excused=True, observed=8.0, values="c", related=["e3"]),
        hit(event__id="e4", rule="q", excused=True, related=["e4"]),
    ]
    whole = total(*given)
    for order in itertools.permutations(given):
        assert total(*order) == whole
        parts = [hits.total(pl.DataFrame(part, schema=hits.HITS)) for part in (order[:2], order[2:])]
        assert hits.total_again(pl.concat(parts)).to_dicts() == whole


def test_no_hits_add_up_to_none():
    assert hits.total(hits.none()).schema == pl.Schema(hits.SUMS)
    assert hits.total_again(hits.total(hits.none())).is_empty()


def test_a_unit_of_very_many_events_lists_some_of_them():
    many = [f"e{n:06d}" for n in range(hits.MOST_RELATED + 1)]
    [got] = total(hit(related=many))
    assert len(got["related"]) == hits.MOST_RELATED


def events(*given: tuple[str, str | None, str]) -> pl.DataFrame:
    schema = {"session": pl.String, "explained": pl.String, "event.action": pl.String}
    return pl.DataFrame(given, schema=schema, orient="row").with_columns(
        pl.format("e{}", pl.int_range(pl.len())).alias("event.id"),
        pl.format("s_{}", pl.int_range(pl.len())).alias("subject.token"),
    )


def test_a_finding_of_a_session_is_about_what_has_no_reason_and_what_was_taken_out():
    got = hits.concerned(
        events(
            ("u", "explained", "read"), ("u", "unexplained", "read"), ("u", "explained", "export"), ("u", None, "logon")
        ),
        ["session"],
    )
    assert got.to_dicts() == [{"session": "u", "related": ["e1", "e2"], "about": ["s_1", "s_2"]}]


def test_where_everything_has_a_reason_it_is_about_everything():
    got = hits.concerned(
        events(("u", "explained", "read"), ("u", None, "logon"), ("v", "unexplained", "read")), ["session"]
    )
    assert dict(got.select("session", "related").iter_rows()) == {"u": ["e0", "e1"], "v": ["e2"]}
