from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.framing import Framer, completed, one

NOON = datetime(2026, 4, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=9)))


def all_of(framer: Framer, data: bytes, cuts: list[int] | None = None) -> list[bytes]:
    """The messages of some bytes that arrive in parts."""
    edges = [0, *sorted(cuts or []), len(data)]
    found = [message for start, end in itertools.pairwise(edges) for message in framer.feed(data[start:end])]
    return found + framer.finish()


def test_both_framings_are_told_apart_message_by_message():
    data = b"<1>line\n7 <2>a\nbc<3>again a line\r\n5 <4>x\n\n<5>no end"

    assert all_of(Framer(100), data) == [b"<1>line", b"<2>a#012bc", b"<3>again a line", b"<4>x", b"<5>no end"]


def test_a_line_that_begins_with_a_number_is_not_counted():
    assert all_of(Framer(100), b"12 monkeys\n<1>x\n2026-04-01 10:00 start\n") == [
        b"12 monkeys",
        b"<1>x",
        b"2026-04-01 10:00 start",
    ]


BODY = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=30).filter(str.strip)


@given(st.lists(st.tuples(st.booleans(), BODY), max_size=12), st.data())
def test_messages_come_out_as_they_went_in_however_the_network_cuts_them(messages, data):
    sent = [b"<13>" + text.encode() for _, text in messages]
    wire = b"".join(
        b"%d %b" % (len(body), body) if counted else body + b"\n"
        for (counted, _), body in zip(messages, sent, strict=True)
    )
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))

    assert all_of(Framer(1000), wire, cuts) == sent


@given(st.lists(st.integers(0, 400), max_size=6), st.booleans())
def test_a_message_that_is_too_long_costs_its_own_end_only(cuts, counted):
    framer = Framer(50)
    long = b"<1>" + b"x" * 297
    wire = (b"300 " + long if counted else long + b"\n") + b"<2>next\n"

    assert all_of(framer, wire, [min(cut, len(wire)) for cut in cuts]) == [long[:50], b"<2>next"]
    assert (framer.cut_messages, framer.cut_bytes) == (1, 250)


def test_a_message_that_the_sender_breaks_off_is_kept_and_counted():
    framer = Framer(100)

    assert all_of(framer, b"20 <1>abc") == [b"<1>abc"]
    assert (framer.cut_messages, framer.cut_bytes) == (1, 14)


def test_no_more_than_one_message_is_held():
    framer = Framer(1000)
    for _ in range(100):
        framer.feed(b"x" * 100)
        framer.feed(b"9" * 100)
    held = sum(len(value) for value in vars(framer).values() if isinstance(value, bytes))

    assert held <= 1100


def test_a_datagram_is_one_message_also_with_newlines_inside():
    assert one(b"<1>first\nsecond\r\n\0", 100) == (b"<1>first#012second", 0)
    assert one(b"<1>" + b"x" * 10, 5) == (b"<1>xx", 8)


@pytest.mark.parametrize("code", ["utf-8", "cp932", "euc_jp"])
@pytest.mark.parametrize(
    "digits", ["123456789018", "1234-5678-9018", "１２３４ー５６７８ー９０１８", "%31234567%20 89018"]
)
@pytest.mark.parametrize("how", ["datagram", "line", "counted", "broken off"])
def test_no_part_of_a_number_stays_where_a_message_is_cut(how: str, digits: str, code: str):
    head = "<1>番号は「".encode(code)
    message = head + digits.encode(code) + "」です".encode(code)
    inside = range(len(head) + 1, len(head) + len(digits.encode(code)))
    for at in inside:
        if how == "datagram":
            kept, cut_bytes = one(message, at)
        else:
            framer = Framer(1000 if how == "broken off" else at)
            counted = b"" if how == "line" else b"%d " % len(message)
            wire = message[:at] if how == "broken off" else message + b"\n" * (how == "line")
            [kept] = all_of(framer, counted + wire)
            cut_bytes = framer.cut_bytes
        assert not any(char.isdigit() for char in kept.removeprefix(b"<1>").decode(code, "ignore")), (at, kept)
        assert message.startswith(kept)
        assert len(kept) >= len(head) - 9
        assert cut_bytes == len(message) - len(kept)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"<34>1 2026-04-01T00:00:00Z - su - - - hi", b"<34>1 2026-04-01T00:00:00Z 192.0.2.7 su - - - hi"),
        (b"<34>1 2026-04-01T00:00:00Z gate su - - - hi", None),
        (b"<34>1 - gate su - - - hi", None),
        (b"<34>Oct 11 22:14:15 gate su: hi", None),
        (b"<34>Oct  1 22:14:15 fe80::1 su: hi", None),
        (b"<34>2026-04-01T00:00:00+09:00 gate su: hi", None),
        (b"Oct 11 22:14:15 gate su: hi", None),
        (b"<34>Oct 11 22:14:15 su: hi", b"<34>Oct 11 22:14:15 192.0.2.7 su: hi"),
        (b"<34>Oct 11 22:14:15 sshd[812]: hi", b"<34>Oct 11 22:14:15 192.0.2.7 sshd[812]: hi"),
        (b"<34>door 3 opened", b"<34>2026-04-01T03:00:00.250Z 192.0.2.7 door 3 opened"),
        (b"door 3 opened", b"2026-04-01T03:00:00.250Z 192.0.2.7 door 3 opened"),
    ],
)
def test_a_header_without_host_gets_the_address_of_the_sender(message: bytes, expected: bytes | None):
    assert completed(message, "192.0.2.7", NOON, always=True) == (expected or message)


def test_lines_of_other_formats_stay_as_they_are_unless_they_have_a_priority():
    assert completed(b'{"a": 1}', "192.0.2.7", NOON, always=False) == b'{"a": 1}'
    assert completed(b"<13>CEF:0|x", "192.0.2.7", NOON, always=False).endswith(b"192.0.2.7 CEF:0|x")


def test_the_time_of_receipt_is_utc_whatever_the_clock_says():
    assert completed(b"x", "::1", NOON.astimezone(UTC), always=True) == completed(b"x", "::1", NOON, always=True)
