"""Encoding for the wire: whatever stands in the columns, each line is written as if alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import event, wire
from tests.contract.rows import events


@settings(max_examples=60, deadline=None)
@given(st.lists(events(), min_size=1, max_size=4), st.lists(events(), max_size=3), st.integers(0, 30))
def test_columns_that_few_rows_have_or_all_have_alike_are_written_like_others(
    common: list[dict[str, Any]], rare: list[dict[str, Any]], times: int
):
    rows = common * times + rare
    frame = pl.DataFrame(rows, schema=event.schema())
    lines = wire.encode(frame).decode().split("\n")[:-1]
    assert [json.loads(one) for one in lines] == rows
    assert all(list(json.loads(one)) == [key for key in event.KEYS if key in json.loads(one)] for one in lines)


@pytest.mark.parametrize("text", ["", '"', "\\", "\n", "\x1f", 'a"b\\c\x00', "\x7f\u2028/", "漢"])
@pytest.mark.parametrize("key", ["event.reason", "session.id", "src.ip", "message"])
@pytest.mark.parametrize("places", [[7], range(3, 40, 2), range(40)])
def test_text_is_escaped_wherever_it_stands(key: str, text: str, places: Sequence[int]):
    common = {"event.id": "5f0c2a9be1d44c07", "event.schema": 1, "event.class": "access", "time.occurred": 0}
    rows = [
        common | {"session.id": f"s{at}", "op.code": "W1"} | ({key: text} if at in places else {}) for at in range(40)
    ]
    lines = wire.encode(pl.DataFrame(rows, schema=event.schema())).decode().split("\n")[:-1]
    absent = [{name: held for name, held in row.items() if held != ""} for row in rows]
    assert [json.loads(one) for one in lines] == absent
    assert lines == [wire.encode(pl.DataFrame([row], schema=event.schema())).decode()[:-1] for row in rows]


def test_encoding_leaves_out_what_is_absent_or_not_of_the_contract():
    frame = pl.DataFrame({"actor.id": ["", None, "a"], "explained": ["x", "y", "z"]})
    assert wire.encode(frame) == b'{}\n{}\n{"actor.id":"a"}\n'
    assert wire.encode(event.empty()) == b""
    assert wire.encode_lines(event.empty()).to_list() == []
    assert wire.encode(pl.DataFrame({"explained": ["x"]})) == b"{}\n"
