"""A segment's bytes: whatever came is read back, by the writer's own reader and by the verifier's; damage never is."""

from __future__ import annotations

import json
import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from audit.archive import segment
from audit.archive.segment import SegmentError
from audit.chains.capture import Taken
from detector.archive import framing
from detector.archive.framing import FramingError, Kept, Name, Open

headers = st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=30)), max_size=4).map(tuple)
bodies = st.builds(
    Kept, st.integers(0, 9), st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=9),
    st.none() | st.binary(max_size=200), headers,
)  # fmt: skip


def packed(lying: list[Kept], first: int = 0, topic: str = "access-events") -> bytes:
    into = Open(topic, 2, first, 0)
    for one in lying:
        into.add(one)
    return into.close()


@given(lying=st.lists(bodies, max_size=20), first=st.integers(0, 2**62), topic=st.text(max_size=20))
def test_whatever_came_is_read_back_by_both(lying: list[Kept], first: int, topic: str):
    at, placed = first, []
    for one in lying:
        at += one.offset  # so some offsets never come
        placed.append(Kept(at, one.timestamp_ms, one.key, one.value, one.headers))
        at += 1
    data = packed(placed, first, topic)

    own, other = framing.read(data), segment.read(data)

    assert list(own.records) == placed
    assert (own.topic, own.partition, own.first, own.next) == (
        topic,
        2,
        first,
        placed[-1].offset + 1 if placed else first,
    )
    assert (other.topic, other.partition, other.first, other.next) == (own.topic, own.partition, own.first, own.next)
    assert other.records == [
        Taken(2, one.offset, one.timestamp_ms, one.key, one.headers, one.value or b"") for one in placed
    ]
    missing = sum(last - first + 1 for first, last in other.holes)
    assert missing + len(placed) == own.next - own.first


@given(cut=st.integers(1, 10_000))
def test_less_or_more_than_a_segment_is_none(cut: int):
    data = packed([Kept(n, 0, None, b"%d" % n, ()) for n in range(200)])
    for damaged in (data[: -min(cut, len(data))], data + bytes(cut), data + data):
        with pytest.raises(FramingError):
            framing.read(damaged)
        with pytest.raises(SegmentError):
            segment.read(damaged)


def raw(*, head: object = None, frames: bytes = b"", end: bytes = struct.pack(">cQQ", b"E", 0, 0)) -> bytes:
    right = {"kind": "sekimori segment", "version": 1, "topic": "t", "partition": 0, "first": 0}
    line = json.dumps(right if head is None else head).encode() + b"\n"
    return zstandard.compress(line + frames + end)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        zstandard.compress(b"no newline"),
        raw(head=[]),
        raw(head={"kind": "other"}),
        raw(head={"kind": "sekimori segment", "version": 2}),
        raw(head={"kind": "sekimori segment", "version": 1, "topic": "t", "partition": 1e999, "first": 0}),
        raw(end=b""),
        raw(end=struct.pack(">cQQ", b"E", 1, 0)),
        raw(end=struct.pack(">cQQ", b"E", 0, 1)),
        raw(end=struct.pack(">cQQ", b"X", 0, 0)),
        raw(frames=b"R"),
        raw(frames=struct.pack(">cQqiiI", b"R", 0, 0, -2, -1, 0)),
        raw(frames=struct.pack(">cQqiiI", b"R", 0, 0, -1, 2**31 - 1, 0)),
        raw(frames=struct.pack(">cQqiiI", b"R", 0, 0, -1, -1, 2**32 - 1)),
        raw(frames=struct.pack(">cQqiiI", b"R", 5, 0, -1, -1, 0) * 2, end=struct.pack(">cQQ", b"E", 6, 2)),
        raw(frames=struct.pack(">cQqiiIIis", b"R", 0, 0, -1, -1, 1, 1, -1, b"\xff"), end=struct.pack(">cQQ", b"E", 1, 1)),
    ],
)  # fmt: skip
def test_hostile_bytes_are_refused_in_a_line(data: bytes):
    for read, error in ((framing.read, FramingError), (segment.read, SegmentError)):
        with pytest.raises(error) as caught:
            read(data)
        assert "\n" not in str(caught.value)


def test_a_few_bytes_cannot_fill_the_memory():
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(framing.MOST_BYTES + 1))
    assert len(bomb) < 100_000
    for read, error in ((framing.read, FramingError), (segment.read, SegmentError)):
        with pytest.raises(error, match="holds more than"):
            read(bomb)


def test_a_name_says_where_a_segment_begins_and_what_is_in_it():
    name = Name(1000, 7, "0123456789abcdef")
    assert str(name) == "00000000000000001000-00000007-0123456789abcdef.zst"
    assert Name.parse(str(name)) == name
    for text in ("", "x.zst", f"{name}.part", "１" + str(name)[1:], str(name).upper()):
        assert Name.parse(text) is None
