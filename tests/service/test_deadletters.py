"""Refused lines on their way to their topic."""

from __future__ import annotations

import json

import polars as pl

from contract import rejected
from contract.partition import partition_of
from service import deadletters


def refused(*sources: str | None, line: str = "x") -> pl.DataFrame:
    rows = [(source, f"f:{at}", "format", "is none", line) for at, source in enumerate(sources)]
    return pl.DataFrame(rows, schema=rejected.REJECTED_SCHEMA, orient="row")


def test_each_letter_says_whose_line_it_is_and_which_agent_read_it():
    [one] = deadletters.records(refused("web", "web"), "ag", "dead", 4, 7)
    assert (one.topic, one.key, one.timestamp_ms, one.first) == ("dead", b"web", 7, -1)
    assert one.partition == partition_of("web", 4)
    assert [json.loads(text) for text in one.value.splitlines()] == [
        {"source.id": "web", "source.position": f"f:{at}", "reason": "format", "detail": "is none", "line": "x", "agent.id": "ag"}
        for at in range(2)
    ]  # fmt: skip


def test_sources_do_not_share_a_record_and_a_source_nobody_named_has_an_empty_key():
    found = deadletters.records(refused("a", "b", "a", None), "ag", "dead", 1, 0)
    assert [(one.key, len(one.value.splitlines())) for one in found] == [(b"a", 2), (b"b", 1), (b"", 1)]


def test_many_letters_are_parted_into_records_that_every_broker_takes():
    found = deadletters.records(refused(*["a"] * 3000, line="字" * 400), "ag", "dead", 1, 0)
    assert len(found) > 1
    assert all(one.size_bytes < deadletters.MOST_BYTES + 4096 for one in found)
    lines = [json.loads(text) for one in found for text in one.value.splitlines()]
    assert [letter["source.position"] for letter in lines] == [f"f:{at}" for at in range(3000)]


def test_without_refused_lines_there_is_no_record():
    assert deadletters.records(refused(), "ag", "dead", 4, 0) == []
