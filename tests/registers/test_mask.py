"""My Numbers in free text. The numbers are made up; their check digits are right."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers.mask import MASK, is_my_number, mask_my_numbers

NUMBER = "123456789018"


def _mask(*texts: str | None) -> list[str | None]:
    return mask_my_numbers(pl.Series(texts, dtype=pl.String)).to_list()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (NUMBER, MASK),
        (f"個人番号{NUMBER}を登録", f"個人番号{MASK}を登録"),
        (f"a={NUMBER},b={NUMBER}", f"a={MASK},b={MASK}"),
        ("１２３４５６７８９０１８", MASK),
        ("1234-5678-9018", MASK),
        ("1234 5678 9018", MASK),
        ("１２３４　５６７８　９０１８。", f"{MASK}。"),
        ("１２３４－５６７８−９０１８", MASK),
        ("1234ー5678‐9018", MASK),
        ("①②③④-5678-9018", MASK),
        ("2026 1234 5678 9018", f"2026 {MASK}"),
        (f"20260401-{NUMBER}.pdf", f"20260401-{MASK}.pdf"),
        (f"1234567890180 {NUMBER}", f"1234567890180 {MASK}"),
        (f"line\n{NUMBER}\n", f"line\n{MASK}\n"),
    ],
)
def test_a_my_number_is_masked_however_it_is_written(text, masked):
    assert _mask(text) == [masked]


@pytest.mark.parametrize(
    "text",
    [
        "123456789017",  # wrong check digit
        "1123456789018",  # thirteen digits: a corporate number
        "1-2345-6789-0123",
        "5-1234-5678-9018",
        "4111-1234-5678-9018",  # a card
        "1234-5678-9018-4111",
        "20260301083000",
        "12345678901",
        "1234/5678/9018",
        "",
    ],
)
def test_other_numbers_stay(text):
    assert _mask(text) == [text]


def test_nulls_names_and_lengths_stay():
    series = pl.Series("message", [None, "x", NUMBER])
    masked = mask_my_numbers(series)
    assert masked.name == "message"
    assert masked.to_list() == [None, "x", MASK]
    assert series.to_list() == [None, "x", NUMBER]
    assert _mask() == []


def test_an_expression_masks_like_a_series():
    frame = pl.DataFrame({"message": [NUMBER, None]})
    assert frame.select(mask_my_numbers(pl.col("message"))).to_series().to_list() == [MASK, None]


@given(st.text(alphabet="0123456789", min_size=11, max_size=11))
def test_exactly_one_check_digit_is_right(eleven):
    assert sum(is_my_number(eleven + digit) for digit in "0123456789") == 1


@given(
    st.text(alphabet="0123456789", min_size=11, max_size=11),
    st.text(alphabet=st.characters(exclude_categories=["N", "Cs"])),
    st.text(alphabet=st.characters(exclude_categories=["N", "Cs"])),
)
def test_no_my_number_survives(eleven, before, after):
    number = eleven + next(digit for digit in "0123456789" if is_my_number(eleven + digit))
    assert _mask(before + number + after) == [before + MASK + after]


@given(st.text(alphabet="0189 -－０x"))
def test_masking_twice_is_masking_once(text):
    once = _mask(text)
    assert _mask(*once) == once
