"""Enriched events without registers, and rules as short as possible, for tests of single steps of the core."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from contract import event
from detector import rulebook
from detector.enrich import ENRICHED
from detector.history import ARRIVAL
from detector.rulebook import Rule, RuleBook
from detector.sessionise import Limits, assign, no_tails
from tests.detector.offices import at

MINUTE_MS = 60_000
SCHEMA = (
    dict(event.schema())
    | {name: column.dtype for name, column in ENRICHED.items()}
    | {name: dtype for name, (dtype, _) in ARRIVAL.items()}
    | {"explained": pl.String(), "explained.by": pl.String()}
)
RULE = """
title: Rule {name}
id: 8361dd80-f253-51f8-ac9d-ff92b51aaa2c
name: {name}
status: test
description: For a test.
author: Sekimori
date: 2026-11-23
tags: [sekimori.scenario.07, sekimori.control.kanagawa-9.P5]
logsource: {{product: sekimori, category: {category}}}
detection:
  selection: {{{where}}}
  condition: selection
level: {level}
sekimori:
  family: {family}
  precision: {precision}
  excused_by: [{excused}]
  title: 規則{name}
  observed: {{field: {observed}, unit: {{ja: 件, en: times}}, usual: 2}}
  text: {{ja: "{ja}", en: "{en}"}}
  check_first: {{ja: "{first}", en: "{first}"}}
"""
DEFAULTS = {
    "category": "event", "where": "event.action: read", "level": "high", "family": "relation", "precision": 0.9,
    "excused": "", "observed": "count", "ja": "{actor.id}が{count}回", "en": "{actor.id} did it {count} times",
    "first": "{system.id}",
}  # fmt: skip


def rule(name: str = "read", **changes: Any) -> Rule:
    """A rule of the relation family that pages; `changes` are the words of `DEFAULTS`."""
    text = RULE.format(name=name, **(DEFAULTS | changes))
    loaded = rulebook.parse(text.encode(), f"relation/{name}/rule.yml")
    assert isinstance(loaded, Rule), loaded
    return loaded


def book(*rules: Rule) -> RuleBook:
    """These rules."""
    return RuleBook(tuple(sorted(rules, key=lambda one: one.name)), (), f"test-{len(rules)}")


def enriched(*given: dict[str, Any]) -> pl.DataFrame:
    """Events a minute apart on one morning; keys that are left out are null, but for who did it where."""
    start = at("2026-04-15 10:00")
    common = {"event.schema": 1, "event.class": "access", "event.action": "read", "actor.id": "a", "src.device": "T1"}
    rows = []
    for number, row in enumerate(given):
        own = {"event.id": f"{number:016x}", "time.occurred": start + MINUTE_MS * number, "time.hour": 10}
        rows.append(common | own | {"time.date": local(row.get("time.occurred", start))} | row)
    return pl.DataFrame(rows, schema=SCHEMA)


def local(moment: int) -> date:
    """The day in Tokyo."""
    found: date = pl.from_epoch(pl.Series([moment + 9 * 60 * MINUTE_MS]), time_unit="ms").dt.date().item()
    return found


def with_sessions(*given: dict[str, Any]) -> pl.DataFrame:
    """The same, with the columns of `sessionise`."""
    return assign(no_tails(), enriched(*given), Limits())[0]
