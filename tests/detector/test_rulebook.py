"""Loading rules: what a rule must say, how a bad one is refused, what is the same twice."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from detector import rulebook

GOOD = """\
title: Something happened
id: 5e1f5c86-5c0e-4b0e-9d9a-2f6d6f6b7d11
name: something
status: test
description: Why it matters.
references: [somewhere]
author: Sekimori
date: 2026-04-01
tags: [sekimori.scenario.14, sekimori.control.kanagawa-9.P4]
logsource: {product: sekimori, category: event}
detection:
  selection:
    event.action: read
    person.days_after_end|gte: 1
  condition: selection
falsepositives: [none]
level: high
sekimori:
  family: leaver
  precision: 0.9
  excused_by: [explained]
  title: 何かが起きた
  text: {ja: "{person.id}が{count}回", en: "{person.id} {count} times"}
  check_first: {ja: 確認, en: check}
  observed: {field: person.days_after_end, unit: {ja: 日, en: days}, usual: 0}
"""

CORRELATION = """\
title: Several
name: several
tags: [sekimori.scenario.22]
correlation:
  type: event_count
  rules: [failed]
  group-by: [actor.id]
  timespan: 10m
  condition: {gte: 3}
level: medium
sekimori:
  family: auth
  precision: 0.7
  title: 複数
  text: {ja: "{count}回", en: "{count} times"}
  check_first: {ja: 確認, en: check}
---
title: Failed
name: failed
logsource: {product: sekimori, category: event}
detection:
  selection: {event.outcome: failure}
  condition: selection
"""


def write(folder: Path, name: str, text: str | bytes) -> None:
    path = folder / "family" / name / "rule.yml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def parse(text: str, name: str = "something") -> rulebook.Rule | rulebook.Refused:
    return rulebook.parse(text.encode(), f"family/{name}/rule.yml")


def test_a_good_rule():
    rule = parse(GOOD)

    assert isinstance(rule, rulebook.Rule)
    assert (rule.name, rule.family, rule.category, rule.level) == ("something", "leaver", "event", "high")
    assert rule.p == pytest.approx(0.85 * 0.9)
    assert rule.scenarios == (14,)
    assert rule.controls == ("kanagawa-9/P4",)
    assert rule.fields == ("event.action", "person.days_after_end")
    assert rule.applies(["event.action"]) == ("person.days_after_end",)
    assert rule.title == rulebook.Words(ja="何かが起きた", en="Something happened")


def test_a_good_correlation():
    rule = parse(CORRELATION, "several")

    assert isinstance(rule, rulebook.Rule)
    assert rule.correlation is not None
    assert rule.correlation.stage == 1
    assert rule.correlation.timespan_ms == 600_000
    assert rule.fields == ("actor.id", "event.outcome")
    with pytest.raises(ValueError, match="correlation"):
        rule.expression  # noqa: B018


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("name: something", "name: another", 3, "folder"),
        ("category: event", "category: process_creation", 10, "category must be one of"),
        ("precision: 0.9", "precision: 1.9", 20, "precision"),
        ("precision: 0.9", "precison: 0.9", 18, "precis"),
        ("precision: 0.9", "precison: 0.9", 18, 'sekimori.precison: unknown key, did you mean "precision"?'),
        ("family: leaver", "family: laever", 19, "family"),
        ("level: high", "level: high\nlevle: low", 18, 'levle: unknown key, did you mean "level"?'),
        (
            "    event.action: read",
            "    event.acton: read",
            11,
            "event.acton is no column of a row of category event, did",
        ),
        ("excused_by: [explained]", "excused_by: [weather]", 21, "excused_by"),
        ("{person.id}が{count}回", "{person.id が", 23, "brace"),
        ("{person.id}が{count}回", "{era(person.id)}", 23, "era()"),
        ("tags: [sekimori.scenario.14", "tags: [sekimori.scenario.x", 9, "number"),
        ("level: high", "level: awful", 11, "awful"),
        ("    event.action: read", "    event.action: read\n    event.action: list", 14, "twice"),
        ("id: 5e1f5c86-5c0e-4b0e-9d9a-2f6d6f6b7d11", "id: one", 11, "UUID"),
        ("title: Something happened", "titel: x", 11, "title"),
        ("logsource: {product: sekimori, category: event}", "logsource: [x]", 11, ""),
        ("  selection:\n", "  selection: &s\n    again: *s\n", 1, ""),
    ],
)
def test_a_bad_rule_is_refused_with_its_line(old: str, new: str, line: int, says: str):
    assert old in GOOD

    refused = parse(GOOD.replace(old, new))

    assert isinstance(refused, rulebook.Refused)
    assert says in refused.reason
    assert refused.line == line
    assert "\n" not in str(refused)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("type: event_count", "type: value_avg", ""),
        ("type: event_count", "type: nonsense", "nonsense"),
        ("rules: [failed]", "rules: [gone]", "gone"),
        ("  group-by: [actor.id]\n", "", "group-by"),
        ("timespan: 10m", "timespan: soon", "soon"),
        ("condition: {gte: 3}", "condition: {gte: many}", "many"),
        ("condition: {gte: 3}", "condition: failed and failed", ""),
        ("name: failed\n", "", "name"),
        ("type: event_count", "type: value_count", "field"),
    ],
)
def test_a_bad_correlation_is_refused(old: str, new: str, says: str):
    assert old in CORRELATION

    refused = parse(CORRELATION.replace(old, new), "several")

    assert isinstance(refused, rulebook.Refused)
    assert says in refused.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"just text",
        b"- a\n- b\n",
        b"title: [",
        b"\x00",
        b"a: &a [*a]",
        b"title: \xe5\xe5",
        ("[" * 3000 + "]" * 3000).encode(),
        ("x: " + "{a: " * 3000 + "}" * 3000).encode(),
        b"a: &a [1]\n" + b"".join(b"b%d: &b%d [*%s, *%s]\n" % (i, i, n, n) for i, n in
                                 [(i, b"b%d" % (i - 1) if i else b"a") for i in range(40)]),
        b"1: 2\n",
        b"detection: 1\ntitle: 2\n",
        b"? [a, b]\n: c\n",
    ],
)  # fmt: skip
def test_rubbish_is_refused_and_never_raises(data: bytes):
    assert isinstance(rulebook.parse(data, "family/x/rule.yml"), rulebook.Refused)


def test_one_bad_rule_does_not_stop_the_others(tmp_path: Path):
    write(tmp_path, "something", GOOD)
    write(tmp_path, "broken", "title: [\n")
    write(tmp_path, "latin", b"title: \xe9\n")

    book = rulebook.load(tmp_path)

    assert [rule.name for rule in book.rules] == ["something"]
    assert [(refused.path, refused.line) for refused in book.refused] == [
        ("family/broken/rule.yml", 2),
        ("family/latin/rule.yml", 1),
    ]


def test_the_version_follows_content_and_place(tmp_path: Path):
    write(tmp_path / "a", "something", GOOD)
    write(tmp_path / "b", "something", GOOD)
    write(tmp_path / "c", "something", GOOD.replace("0.9", "0.8"))

    versions = [rulebook.load(tmp_path / name).version for name in "abc"]

    assert versions[0] == versions[1] != versions[2]
    assert rulebook.load(tmp_path / "nowhere").rules == ()


def test_matches_are_rows_and_names_in_order():
    rule = parse(GOOD)
    assert isinstance(rule, rulebook.Rule)
    frame = pl.DataFrame({"event.action": ["read", "list", "read"], "person.days_after_end": [1, 5, None]})

    assert rulebook.match(frame, [rule]).rows() == [("something", 0)]
    assert rulebook.match(frame.drop("person.days_after_end"), [rule]).is_empty()
    assert rulebook.match(frame, []).is_empty()
    assert rulebook.match(frame.clear(), [rule]).is_empty()


def test_a_plain_sigma_rule_of_others_loads_without_a_block():
    text = "title: T {x}\nlogsource: {product: linux}\ndetection:\n  s: {a: b}\n  condition: s\nlevel: high\n"

    rule = rulebook.parse(text.encode(), "lnx_something.yml")

    assert isinstance(rule, rulebook.Rule)
    assert (rule.name, rule.family, rule.block.precision) == ("lnx_something", "sigma", 0.5)
