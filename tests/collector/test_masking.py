"""My Numbers in lines as they were received: masked in any encoding, and not another byte altered."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collector.masking import is_moment, mask_lines
from registers import text
from registers.mask import MASK, is_my_number
from tests.registers.spellings import number_of, spelt

NUMBER = "123456789018"
CODES = ("utf-8", "cp932", "euc_jp")
MASKS = {MASK.encode(code) for code in CODES}
AROUND = st.sampled_from(["", "職員が", "個人番号: ", "ﾃｽﾄ", "a=", "が照会", " x", "髙橋", "｢"])


def encoded(words: str, code: str) -> bytes:
    """Words in an encoding; without it where it has no such character."""
    try:
        return words.encode(code)
    except UnicodeEncodeError:
        return words.encode()


def one(line: bytes, encoding: str = "auto", stamps: tuple[str, ...] = ()) -> bytes:
    [masked] = mask_lines([line], encoding, stamps)
    return masked


def checked(eleven: str) -> str:
    return eleven + next(digit for digit in "0123456789" if is_my_number(eleven + digit))


@settings(max_examples=400, deadline=None)
@given(spelt(), st.sampled_from(CODES), AROUND, AROUND, st.sampled_from([b"", b" \xff", b" \x81", b"\xe3\x81"]))
def test_a_number_is_masked_in_any_encoding_and_the_bytes_around_it_stay(number, code, before, after, broken):
    assume(not is_moment(number))
    head, tail = encoded(before, code), encoded(after, code) + broken
    masked = one(head + encoded(number, code) + tail)
    assert masked.startswith(head)
    assert masked.endswith(tail)
    assert masked.removeprefix(head).removesuffix(tail) in MASKS


@settings(max_examples=100, deadline=None)
@given(spelt(), st.sampled_from(CODES))
def test_a_line_of_the_declared_encoding_stays_one(number, code):
    assume(not is_moment(number))
    line = f"職員が「{number}」を照会"
    try:
        raw = line.encode(code)
    except UnicodeEncodeError:
        assume(False)
    assert one(raw, code).decode(code) == f"職員が「{MASK}」を照会"


PARTS = st.one_of(
    spelt().flatmap(lambda number: st.sampled_from([encoded(number, code) for code in CODES])),
    st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from(["職員", "ｱｲｳ", "１２３４", " ", "-", "ー", "%31", "#012", "\\u0031", NUMBER, "①"]).flatmap(
        lambda words: st.sampled_from([encoded(words, code) for code in CODES])
    ),
    st.from_regex(rb"[0-9]{1,13}", fullmatch=True),
)
LINES = st.lists(PARTS, max_size=6).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, min_size=5, max_size=30), st.sampled_from(["auto", *CODES]))
def test_many_lines_at_once_are_masked_like_each_alone(lines, encoding):
    assert mask_lines(lines, encoding) == [one(line, encoding) for line in lines]


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=6), st.sampled_from(["auto", *CODES]))
def test_masking_twice_is_masking_once(parts, encoding):
    once = one(b" , ".join(parts), encoding)
    assert one(once, encoding) == once


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.datetimes().filter(lambda at: 1900 <= at.year < 2100).map(lambda at: f"{at:%Y%m%d%H%M}"),
        st.integers(10**12, 10**13 - 1).map(str),
        st.uuids().flatmap(lambda one: st.sampled_from([str(one), one.hex + "-"])),
        st.text("0123456789", min_size=11, max_size=11).map(
            lambda eleven: eleven + str((int(checked(eleven)[11]) + 1) % 10)
        ),
        st.from_regex("[3-6][0-9]{14}", fullmatch=True).map(lambda fifteen: card(fifteen)),
    ),
    AROUND,
    st.sampled_from(CODES),
)
def test_what_is_no_my_number_stays_byte_for_byte(other, words, code):
    line = encoded(words, code) + b" " + other.encode() + b" " + encoded(words, code)
    assert one(line) is line


def card(fifteen: str) -> str:
    """A card number, as people write it."""
    doubled = [sum(divmod(2 * int(digit), 10)) if at % 2 == 0 else int(digit) for at, digit in enumerate(fifteen)]
    number = f"{fifteen}{-sum(doubled) % 10}"
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


@given(st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")), max_size=40))
def test_any_other_bytes_stay(lines):
    assert mask_lines(lines) == lines


@given(st.text("0123456789", min_size=12, max_size=12))
def test_a_moment_is_a_minute_of_a_day_that_there_is(digits):
    year, month, day, hour, minute = (int(digits[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)))
    try:
        date(year, month, day)
        expected = 1900 <= year < 2100 and hour < 24 and minute < 60
    except ValueError:
        expected = False
    assert is_moment(digits) == expected


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("202611230915", True),
        ("202402290000", True),
        ("202602290000", False),
        ("202604012400", False),
        ("189912312359", False),
        ("190001010000", True),
        ("209912312359", True),
        ("210001010000", False),
        ("２０２６１１２３０９１５", False),
    ],
)
def test_the_borders_of_moments(digits, expected):
    assert is_moment(digits) == expected


def a_moment_that_could_be_a_number() -> str:
    return next(text for minute in range(60) if is_my_number(text := f"2026040108{minute:02}"))


def test_a_number_that_reads_as_a_moment_stays_only_where_it_stands_bare():
    moment = a_moment_that_could_be_a_number()
    assert one(f"at {moment},".encode()) == f"at {moment},".encode()
    spelled = (f"{moment[:4]} {moment[4:8]} {moment[8:]}", moment.replace("2", "%32"), moment.replace("2", "２"))
    for other in (*spelled, f"0{moment}"):
        assert MASK in one(f"at {other},".encode()).decode()


def test_formats_that_the_source_declares_stay_too():
    number = next(text for second in range(60) if is_my_number(text := f"2604010830{second:02}"))
    line = f"at {number}".encode()
    assert one(line).decode() == f"at {MASK}"
    assert one(line, stamps=("%y%m%d%H%M%S", "epoch")) == line


def test_how_many_my_numbers_read_as_moments():
    """The figure that docs/decisions/spool.md states: of 10**11 numbers with a right check digit, one in 9,507."""
    weights = np.array([6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
    days = [f"{date(1900, 1, 1) + timedelta(day):%Y%m%d}" for day in range((date(2100, 1, 1) - date(1900, 1, 1)).days)]
    minutes = [f"{hour:02}{minute:02}" for hour in range(24) for minute in range(60)]
    of_day = np.array([[int(digit) for digit in day] for day in days]) @ weights[:8] % 11
    of_minute = np.array([[int(digit) for digit in minute[:3]] for minute in minutes]) @ weights[8:] % 11
    last = np.array([int(minute[3]) for minute in minutes])
    found = 0
    for rest, count in enumerate(np.bincount(of_day, minlength=11)):
        remainder = (of_minute + rest) % 11
        right = last == np.where(remainder <= 1, 0, 11 - remainder)
        found += int(count) * int(right.sum())
    assert round(1e11 / found) == 9507


@pytest.mark.parametrize("code", CODES)
def test_the_mask_is_written_as_the_line_is(code):
    line = f"職員がケース記録を開いた。番号は{NUMBER}です".encode(code)
    masked = one(line)
    assert text.decode(masked) == (f"職員がケース記録を開いた。番号は{MASK}です", code)


def test_json_stays_json():
    line = b'{"at": "x", "no" : 123456789018, "also":123456789018}'
    assert one(line).decode() == f'{{"at": "x", "no" : "{MASK}", "also":"{MASK}"}}'
    assert one(b'{"no": "123456789018"}').decode() == f'{{"no": "{MASK}"}}'
    inner = one(rb'{"m": "{\"no\": 123456789018}"}').decode()
    assert inner == rf'{{"m": "{{\"no\": {MASK}}}"}}'


def test_a_newline_inside_a_message_hides_no_number():
    assert one(f"first#012{NUMBER}".encode()).decode() == f"first#012{MASK}"
    assert one(b"first#0111234-5678-9018#011x").decode() == f"first#011{MASK}#011x"


def test_the_order_and_number_of_lines_stay():
    lines = [f"{at} {number_of(f'{at:011}')}".encode() for at in range(1000)]
    assert mask_lines(lines) == [f"{at} {MASK}".encode() for at in range(1000)]
    assert mask_lines([]) == []
