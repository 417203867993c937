"""My Numbers in free text. The numbers are made up; their check digits are right."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registers.mask import MASK, is_my_number, mask_my_numbers, mask_text
from tests.registers.spellings import CONTROLS, number_of, spelt

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
        ("1234ー5678ー9018", MASK),
        ("1234・5678･9018", MASK),
        ("1234.5678．9018", MASK),
        ("1234/5678／9018", MASK),
        ("1234 - 5678 - 9018", MASK),
        ("1 2 3 4 5 6 7 8 9 0 1 8", MASK),
        ("1-2-3-4-5-6-7-8-9-0-1-8", MASK),
        ("1234\u200b5678\ufeff9018", MASK),
        ("1\u20602\u20603\u2060456789018", MASK),
        ("1\x002\x003\x004\x005\x006\x007\x008\x009\x000\x001\x008\x00", f"{MASK}\x00"),  # UTF-16, misread
        ("1\ufe0f\u20e3234 5678 9018", MASK),  # a key cap
        ("⑫㉞5678 9018", MASK),
        (f"id=0{NUMBER};", f"id=0{MASK};"),  # filled up with zeros
        (f"no 000０{NUMBER}", f"no 000０{MASK}"),
        (f"①{NUMBER}", f"①{MASK}"),  # a bullet, not a digit of it
        (f"{NUMBER}²", f"{MASK}²"),  # a footnote
        ("GET /q?no=%31%32%33%34%35%36%37%38%39%30%31%38&x=1", f"GET /q?no={MASK}&x=1"),
        ("q=1234%205678%209018", f"q={MASK}"),
        ("q=1234+5678+9018", f"q={MASK}"),
        ("q=1234%2D5678%2d9018", f"q={MASK}"),
        ("q=1234%252F5678%252F9018", f"q={MASK}"),  # encoded twice
        ("%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%E3%83%BC5678%E3%83%BC9018", MASK),
        ("%82P%82Q%82R%82S%81[5678%81%5b9018", "%82P%82Q%82R%82S%81[5678%81%5b9018"),  # the bracket is no escape
        ("%82P%82Q%82R%82S%81%5B5678%81E9018", MASK),  # CP932
        ("%A3%B1%A3%B2%A3%B3%A3%B4%A1%BC5678%A1%A69018", MASK),  # EUC-JP
        (f"%{NUMBER}%25{NUMBER}", f"%{MASK}%25{MASK}"),  # %12 is no escape here
        (r"\u0031\u0032\u0033\u0034\uFF15\uff16\uFF17\uFF18 9018", MASK),
        (r"1234\/5678\/9018", MASK),
        (r"\\u0031234\\u002d5678\\u002d9018", MASK),
        (r"\ud835\udfcf234 5678 9018", MASK),
        (r"\xEF\xBC\x91234\xE2\x80\x905678\x2d9018", MASK),  # nginx
        ("&#49;234&#x2d;5678&#45;9018", MASK),
        (f"first#012{NUMBER}#011x", f"first#012{MASK}#011x"),  # a newline and a tab, as rsyslog writes them
        ("#0111234-5678-9018", f"#011{MASK}"),
        ("1#0002#0003#0004#0005#0006#0007#0008#0009#0000#0001#0008", MASK),
        (f"#{NUMBER}", f"#{MASK}"),
        ("%5Cu0031234 5678 9018", MASK),
        ("\ufffdP\ufffdQ\ufffdR\ufffdS56789018", MASK),  # CP932 in a file of UTF-8
        ("1234 5678 9018 4117", f"{MASK} 4117"),  # no card number begins with 1
        ("3-1234-5678-9018", f"3-{MASK}"),  # the check digit in front of a corporate number would be 1
        ("2026-1234-5678-9018", f"2026-{MASK}"),
        (f"5b3c1d2e-{NUMBER}", f"5b3c1d2e-{MASK}"),
    ],
)
def test_a_my_number_is_masked_however_it_is_written(text, masked):
    assert _mask(text) == [masked]


@pytest.mark.parametrize(
    "text",
    [
        "123456789017",  # wrong check digit
        "1234-5678-9017",
        "%31%32%33%34%35%36%37%38%39%30%31%37",
        "1123456789018",  # thirteen digits: a corporate number
        "1-1234-5678-9018",  # its check digit, in front, is right
        "4009-1234-5678-9018",  # a card: Luhn's check digit is right
        "4009 1234 5678 9018",
        "20260301083000",
        "12345678901",
        "1,234,567,890,18",
        "1234:5678:9018",  # part of an address (IPv6)
        "192.168.100.200",
        "5b3c1d2e-0a1b-4c3d-8e9f-123456789018",  # a UUID
        "{00000000-0000-0000-0000-000000000000}",
        "s_a123456789018b0c",  # a token of ours
        f"10{NUMBER}",  # zeros that fill nothing up
        "0112345678901",
        "a94a8fe5ccb1123456789018f4c0873d391e9879",  # a hash
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


@settings(deadline=None)
@given(st.text(alphabet="0123456789", min_size=11, max_size=11))
def test_exactly_one_check_digit_is_right(eleven):
    assert sum(is_my_number(eleven + digit) for digit in "0123456789") == 1


@settings(deadline=None)
@given(
    st.text(alphabet="0123456789", min_size=11, max_size=11),
    st.text(alphabet=st.characters(exclude_categories=["N", "Cs"])),
    st.text(alphabet=st.characters(exclude_categories=["N", "Cs"])),
)
def test_no_my_number_survives(eleven, before, after):
    number = eleven + next(digit for digit in "0123456789" if is_my_number(eleven + digit))
    assert _mask(before + number + after) == [before + MASK + after]


@settings(max_examples=400, deadline=None)
@given(
    spelt(),
    st.sampled_from(["", "個人番号:", "x", "，", "no=", "「", *CONTROLS]),
    st.sampled_from(["", "。", " を登録", "&x=y", '"', "g"]),
)
def test_no_spelling_hides_a_my_number(number, before, after):
    assert _mask(before + number + after) == [before + MASK + after]


@settings(max_examples=200, deadline=None)
@given(spelt(), st.text(), st.text())
def test_nothing_around_it_lets_a_number_pass_that_stands_apart(number, before, after):
    [masked] = _mask(f"{before}\n「{number}」\n{after}")
    assert f"「{MASK}」" in masked


@settings(deadline=None)
@given(
    st.text(alphabet="0123456789", min_size=11, max_size=11),
    st.integers(1, 9),
    st.sampled_from(["", "-", " ", "ー", "%20"]),
)
def test_a_wrong_check_digit_stays(eleven, off, gap):
    number = number_of(eleven)
    wrong = f"{number[:4]}{gap}{number[4:8]}{gap}{number[8:11]}{(int(number[11]) + off) % 10}"
    assert _mask(wrong) == [wrong]


@settings(deadline=None)
@given(st.uuids())
def test_a_uuid_stays(uuid):
    assert _mask(f"id={uuid}", f"id={uuid.hex}") == [f"id={uuid}", f"id={uuid.hex}"]


@settings(deadline=None)
@given(st.integers(10**12, 10**13 - 1))
def test_thirteen_digits_stay(number):
    assert _mask(f"法人番号{number}") == [f"法人番号{number}"]


@settings(deadline=None)
@given(st.text(alphabet="0123456789", min_size=12, max_size=12))
def test_a_corporate_number_stays_in_groups_too(twelve):
    weighted = sum(int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(twelve)))
    number = f"{9 - weighted % 9}-{twelve[:4]}-{twelve[4:8]}-{twelve[8:]}"
    assert _mask(number) == [number]


@settings(deadline=None)
@given(st.from_regex("[3-6][0-9]{14}", fullmatch=True), st.sampled_from([" ", "-"]))
def test_a_card_number_stays_in_groups_too(fifteen, gap):
    doubled = [sum(divmod(2 * int(digit), 10)) if at % 2 == 0 else int(digit) for at, digit in enumerate(fifteen)]
    number = f"{fifteen}{-sum(doubled) % 10}"
    grouped = gap.join(number[at : at + 4] for at in range(0, 16, 4))
    assert _mask(grouped) == [grouped]


def test_a_stamp_that_is_declared_stays():
    stamps = [f"2026{at:08d}" for at in range(4010000, 4012360, 7)]
    right = [stamp for stamp in stamps if is_my_number(stamp) and stamp[8:10] < "24" and stamp[10:] < "60"]
    assert right
    series = pl.Series([f"start={stamp}" for stamp in right])
    assert mask_my_numbers(series, ("%Y%m%d%H%M",)).to_list() == series.to_list()
    assert mask_my_numbers(series).to_list() == [f"start={MASK}"] * len(right)


def test_one_text_is_masked_like_a_series_of_them():
    assert mask_text(f"file {NUMBER}.log") == f"file {MASK}.log"


@settings(deadline=None)
@given(st.text(alphabet="0189 -－０x"))
def test_masking_twice_is_masking_once(text):
    once = _mask(text)
    assert _mask(*once) == once
