"""The refused line: what is kept of it, and what a cut must not do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import rejected
from contract.rejected import REJECTED_SCHEMA, Reason, Refusal, cut
from registers.mask import MASK, mask_text
from tests.registers.spellings import spelt


@pytest.mark.parametrize(
    "number", ["123456789018", "1234-5678-9018", "１２３４５６７８９０１８", "1234 5678 9018", "1234－5678－9018"]
)
def test_a_cut_leaves_no_part_of_a_number(number: str):
    text = f"x{number}y" * 3
    for chars in range(len(text)):
        kept = cut(text, chars)
        assert len(kept) <= chars
        assert kept.replace(number, "").strip("xy") == ""


@settings(max_examples=200, deadline=None)
@given(spelt(), st.integers(0, 300))
def test_a_cut_through_a_number_in_any_spelling_leaves_none_of_it(number: str, chars: int):
    kept = cut(f"x「{number}」y" + "z" * 300, chars)
    assert mask_text(kept).rstrip("z") in ("", "x", "x「", f"x「{MASK}", f"x「{MASK}」", f"x「{MASK}」y")


def test_short_text_is_left_as_it_is():
    assert cut("a 12", 4) == "a 12"
    assert cut("", 4) == ""


def test_refusals_become_rows_in_their_order():
    refusals = [Refusal(Reason.JSON, "b" * 400, "c" * 600), Refusal(Reason.TYPE, "d", "e")]
    frame = rejected.frame(refusals, ["f:0", "f:9"], "ops")
    assert frame.schema == REJECTED_SCHEMA == rejected.empty().schema
    assert frame.rows()[1] == ("ops", "f:9", "type", "d", "e")
    assert frame["detail"].str.len_chars()[0] == rejected.DETAIL_CHARS
    assert frame["line"].str.len_chars()[0] == rejected.KEPT_CHARS
    assert rejected.frame([], []).is_empty()
