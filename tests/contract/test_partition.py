"""An actor is always in the partition that Kafka's own partitioner would choose."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafkas_own

from contract.partition import murmur2, partition_of, partitions_of


# From Kafka's UtilsTest.testMurmur2 (as signed 32-bit there).
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_hashes_are_those_of_kafkas_own_test(text: str, expected: int):
    assert murmur2(text.encode()) == expected % 2**32


@given(st.binary(max_size=70))
def test_hashes_are_those_of_the_python_client(data: bytes):
    assert murmur2(data) == kafkas_own(data)


@given(st.lists(st.none() | st.text(max_size=8), max_size=20), st.integers(1, 50))
def test_a_series_is_partitioned_value_by_value(keys: list[str | None], partitions: int):
    found = partitions_of(pl.Series("actor.id", keys, dtype=pl.String), "ag-1", partitions)

    assert found.to_list() == [partition_of(key or "ag-1", partitions) for key in keys]
    assert found.dtype == pl.Int32


def test_a_japanese_id_is_hashed_as_utf8():
    assert partition_of("住民課01", 12) == (kafkas_own("住民課01".encode()) & 0x7FFFFFFF) % 12
