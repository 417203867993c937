"""Which partition an event goes to: Kafka's own rule, so that everybody who sends with a key lands on the same one.

The rule belongs to the contract (design §5): the agent names the partition itself, because a record holds many events
and so has no key; third parties leave it to their client. Both must agree for ever.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

import polars as pl

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


@lru_cache(maxsize=1 << 16)
def murmur2(data: bytes) -> int:
    """MurmurHash2 (32 bit, little-endian, seed 0x9747b28c) as Kafka's Java client has it, read as unsigned.

    Austin Appleby's algorithm is in the public domain: https://github.com/aappleby/smhasher
    """
    size = len(data)
    words, rest = divmod(size, 4)
    state = _SEED ^ size
    for word in struct.unpack_from(f"<{words}I", data):
        word = (word * _MIX) & _WORD
        word = ((word ^ (word >> 24)) * _MIX) & _WORD
        state = ((state * _MIX) & _WORD) ^ word
    if rest:
        state = ((state ^ int.from_bytes(data[-rest:], "little")) * _MIX) & _WORD
    state = ((state ^ (state >> 13)) * _MIX) & _WORD
    return state ^ (state >> 15)


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, 0 to `partitions` − 1.

    Args:
        key: The key's text; its UTF-8 is hashed.
        partitions: How many the topic has, at least 1.
    """
    # Kafka drops the sign bit rather than taking the absolute value.
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def partitions_of(keys: pl.Series, fallback: str, partitions: int) -> pl.Series:
    """The partition of each key; each different key is hashed once.

    Args:
        keys: String series, such as `actor.id`; null or empty means that there is none.
        fallback: Stands for an absent key: `agent.id`.
        partitions: How many the topic has, at least 1.

    Returns:
        Int32 series `partition` of the same length, no nulls, 0 to `partitions` − 1.
    """
    other = partition_of(fallback, partitions)
    known = keys.drop_nulls().unique()
    known = known.filter(known != "")
    if known.is_empty() or partitions == 1:
        return pl.repeat(other, len(keys), eager=True, dtype=pl.Int32).alias("partition")
    places = pl.Series([partition_of(key, partitions) for key in known.to_list()], dtype=pl.Int32)
    return keys.replace_strict(known, places, default=other, return_dtype=pl.Int32).alias("partition")
