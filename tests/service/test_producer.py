"""How batches are compressed; sending itself is tested with a real Kafka in `test_publish`."""

from __future__ import annotations

import random

import zstandard
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from service import producer


def lines(count: int) -> bytes:
    """Text like that of records: much that repeats, some digits that do not."""
    choose = random.Random(5)
    member = '{{"event.class":"access","raw.mac":"{:064x}","actor.id":"{:06}","system.id":"welfare"}}\n'
    return "".join(member.format(choose.getrandbits(256), choose.randrange(50)) for _ in range(count)).encode()


def test_batches_are_compressed_as_we_say_and_read_by_everybody():
    assert producer.Producer  # its module is what changes kafka-python
    builder = DefaultRecordBatchBuilder(2, DefaultRecordBatch.CODEC_ZSTD, False, -1, -1, -1, 1 << 20)
    builder.append(0, 0, None, lines(4000), [])
    batch = DefaultRecordBatch(bytes(builder.build()))
    packed = bytes(batch._buffer[DefaultRecordBatch.HEADER_STRUCT.size :])
    assert zstandard.get_frame_parameters(packed).window_size == 1 << 17
    assert [record.value for record in batch] == [lines(4000)]


def test_lines_are_packed_nearly_as_small_as_at_the_usual_level():
    value = lines(8000)
    assert len(producer._compressed(value)) < 1.1 * len(zstandard.ZstdCompressor().compress(value))
