"""A topic that was kept in a file is as good as the topic, and a file that was altered or cut is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.chains.capture import CaptureError, Damage, Taken, head, line, read_head, read_lines, tail
from audit.chains.verdict import GAP, TAMPERED
from tests.audit.judging import changed, judged, month
from tests.collector.sealing import taken, topic


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Taken]:
    """A topic in which everything arrived."""
    return taken(record for records in month(tmp_path_factory.mktemp("month")) for record in records)


def kept(lying: Sequence[Taken]) -> list[bytes]:
    return [head(topic(lying)), *map(line, lying), tail(len(lying))]


def read(lines: Sequence[bytes]) -> list[Taken | Damage]:
    assert read_head(lines[0]).name == "access-events"
    return list(read_lines(lines[1:]))


def test_a_capture_gives_back_what_was_taken(whole: list[Taken]):
    odd = Taken(2, 7, 5, b"\xff\x00", (("x", b"\xfe"), ("y", b"")), "行\u2028\r\n\x00".encode() + b"\xc3")
    assert read(kept([*whole, odd])) == [*whole, odd]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_byte_of_a_captured_record_can_be_changed_unnoticed(whole: list[Taken], data: st.DataObject):
    lines = kept(whole)
    at = data.draw(st.integers(1, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    lines[at] = changed(lines[at], place, data.draw(st.integers(1, 255)))
    found = read([lines[0], *re.findall(rb"[^\n]*\n|[^\n]+", b"".join(lines[1:]))])

    blind = [replace(one, offset=0, timestamp_ms=0) if isinstance(one, Taken) else one for one in found]
    plain = [replace(one, offset=0, timestamp_ms=0) for one in whole]
    assert blind == plain or judged(found).status in (TAMPERED, GAP)


@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_capture_that_was_cut_is_a_gap(whole: list[Taken], lines: int):
    assert judged(read(kept(whole)[:-lines])).status == GAP


def test_a_captures_last_line_counts_its_records(whole: list[Taken]):
    lines = kept(whole)
    assert judged(read([*lines[:-1], tail(3)])).status == TAMPERED
    assert judged(read([*lines, lines[1]])).status == TAMPERED


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"kind":"sekimori capture","version":2}'])
def test_what_is_no_capture_is_refused(data: bytes):
    with pytest.raises(CaptureError):
        read_head(data)
