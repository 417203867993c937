"""Batches: what goes in comes out, columns without values included."""

from __future__ import annotations

import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from collector.spool import batch
from contract import event, rejected

EVENTS = pl.DataFrame(
    {"event.id": ["a", "b"], "event.schema": [1, 1], "message": [None, "住民票\n"], "amount": [None, 7]}
)
LETTERS = pl.DataFrame(
    {"source.id": ["s"], "source.position": ["f:9"], "reason": ["time"], "detail": ["d"], "line": [""]}
)


def whole(frame: pl.DataFrame) -> pl.DataFrame:
    """In all columns of the contract."""
    kinds = event.schema().items()
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in kinds
    )


def test_events_refused_lines_and_entries_come_back():
    entries = (b'{"v":1}\n', b'{"v":2}\n')
    held = batch.unpack(batch.pack(3, whole(EVENTS), LETTERS, entries))

    assert held.messages == 3
    assert_frame_equal(held.events, whole(EVENTS))
    assert_frame_equal(held.rejected, LETTERS)
    assert held.entries == entries


def test_messages_that_say_nothing_are_a_batch_too():
    held = batch.unpack(batch.pack(2, event.empty(), rejected.empty(), []))

    assert (held.messages, held.entries) == (2, ())
    assert held.events.schema == event.schema()
    assert held.rejected.schema == rejected.REJECTED_SCHEMA


def test_a_few_messages_take_less_room_than_they_did():
    events = whole(pl.DataFrame({"message": ["Accepted password for 1001 from 192.0.2.7 port 5 ssh2"] * 100}))

    assert len(batch.pack(100, events, rejected.empty(), [])) < 100 * 53


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 40,
        batch.pack(1, whole(EVENTS), LETTERS, [])[:-3],
        b"\0\0\0\1\0\0\0\3\0\0\0\0" + zstandard.compress(b"abc"),
    ],
)
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(batch.BatchError, match="no batch"):
        batch.unpack(data)


def test_nothing_is_packed_of_a_line_but_the_values_that_were_made_of_it():
    """Polars shares buffers: what was masked, cut out or set to null may still stand behind a value."""
    secret = "1234-5678-9018 in a line that is longer than what stands in a view itself"
    lines = pl.Series(
        "message", [f"before {secret}", f"{secret} after", None, "this one is long enough as well, and stays"]
    )
    text = lines.scatter([1], pl.Series(["masked, and long enough to have a buffer of its own"]))
    frame = whole(
        pl.DataFrame(
            {
                "message": text.set(pl.Series([True, False, False, False]), None),
                "actor.id": lines.str.slice(0, 6),
                "op.name": lines.str.extract("(after|this one is long enough)"),
                "amount": pl.Series([1234567890, 1, 2, 3]).set(pl.Series([True, False, False, False]), None),
            }
        )
    )
    data = batch.pack(4, frame, rejected.empty(), [])

    body = batch.body(data)
    assert b"5678-9018" not in body
    assert (1234567890).to_bytes(8, "little") not in body
    assert body.count(b"this one is long enough as well") == 1
    assert_frame_equal(batch.unpack(data).events, frame)
