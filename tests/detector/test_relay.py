"""From stage one to stage two: every row to one partition, every stretch once, in any order of coming again."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.partition import partition_of
from contract.sealed import Record
from detector import relay
from detector.arrival import Arrived
from detector.relay import NEVER, Heard, Reach, Sender


@dataclass(frozen=True)
class Row:
    key: str
    kind: str
    row: dict[str, Any]


def arrived(record: Record, offset: int = 0) -> Arrived:
    return Arrived(record.topic, record.partition, offset, 0, record.key, record.value, tuple(record.headers))


def sent(after: int, upto: int, *rows: Row, upstream: int = 0, upstreams: int = 2, **more: int) -> list[Arrived]:
    made = relay.records(rows, Sender("live", upstream, upstreams), after, upto, "correlate", 3, **more)
    return [arrived(one) for one in made]


def test_each_row_goes_to_the_partition_of_its_key_and_every_partition_hears_of_the_time():
    rows = [Row(f"rule\x1f{number}", "candidate", {"n": number}) for number in range(40)]

    records = sent(10, 20, *rows)

    assert sorted(one.partition for one in records) == [0, 1, 2]
    for one in records:
        found = relay.read(one)
        assert (found.after, found.upto, found.part, found.parts, found.idle) == (10, 20, 1, 1, 0)
        wanted = [row.row for row in rows if partition_of(row.key, 3) == one.partition]
        assert [row for _, row in found.rows] == wanted


def test_a_stretch_that_is_too_large_comes_in_parts_that_every_broker_takes():
    rows = [Row("same", "note", {"n": number, "text": "字" * 300}) for number in range(3_000)]

    parts = [relay.read(one) for one in sent(0, 1, *rows) if one.partition == partition_of("same", 3)]

    assert [one.part for one in parts] == list(range(1, len(parts) + 1))
    assert {one.parts for one in parts} == {len(parts)}
    assert [row["n"] for one in parts for _, row in one.rows] == list(range(3_000))
    assert all(len(one.value) <= relay.MOST_BYTES for one in sent(0, 1, *rows))


def test_equal_stretches_are_equal_bytes():
    rows = [Row("a", "note", {"b": 1, "a": "x"})]

    assert sent(0, 1, *rows) == sent(0, 1, *rows)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ((), b""),
        ((("run", b"live"), ("upstream", b"x")), b""),
        (tuple((name, b"1") for name in relay.HEADERS), b"no json\n"),
        (tuple((name, b"1") for name in relay.HEADERS), b'{"kind": 1}\n'),
        (tuple((name, b"5") for name in relay.HEADERS), b""),
    ],
)
def test_what_no_stage_one_sent_is_refused_with_a_reason(headers: tuple[tuple[str, bytes], ...], value: bytes):
    with pytest.raises(ValueError, match="is no record of a stage one"):
        relay.read(Arrived("correlate", 0, 0, 0, None, value, headers))


def at(partition: int, records: list[Arrived]) -> relay.Received:
    [one] = [relay.read(record) for record in records if record.partition == partition]
    return one


def test_time_is_the_least_that_all_have_come_to():
    reach, _ = Reach().accept(at(0, sent(NEVER, 50)))
    assert reach.reached == NEVER

    reach, _ = reach.accept(at(0, sent(NEVER, 30, upstream=1)))
    assert reach.reached == 30

    reach, _ = reach.accept(at(0, sent(30, 80, upstream=1)))
    assert reach.reached == 50


def test_nobody_waits_for_one_that_is_idle_until_it_speaks_again():
    reach, _ = Reach().accept(at(0, sent(NEVER, 0, idle=relay.IDLE)))
    reach, _ = reach.accept(at(0, sent(NEVER, 70, upstream=1)))
    assert reach.reached == 70

    reach, _ = reach.accept(at(0, sent(0, 40)))
    assert reach.reached == 70  # never back
    reach, _ = reach.accept(at(0, sent(70, 90, upstream=1)))
    assert reach.reached == 70


def test_a_rerun_is_over_when_all_have_said_so():
    reach, _ = Reach().accept(at(0, sent(NEVER, 10, idle=relay.OVER)))
    assert not reach.is_over

    reach, _ = reach.accept(at(0, sent(NEVER, 10, upstream=1, idle=relay.IDLE)))
    assert not reach.is_over

    reach, _ = reach.accept(at(0, sent(10, 20, upstream=1, idle=relay.OVER)))
    assert reach.is_over


def test_a_hole_is_noticed_and_the_rest_goes_on():
    reach, heard = Reach().accept(at(0, sent(NEVER, 10)))
    assert heard is Heard.NEW

    reach, heard = reach.accept(at(0, sent(20, 30)))

    assert heard is Heard.AFTER_A_GAP
    assert reach.upstreams[0].upto == 30


@given(st.integers(0, 10_000))
def test_whatever_comes_again_counts_once(seed: int):
    draw = random.Random(seed)
    stretches = [sent(n - 1, n, *(Row("k", "note", {"n": (n, m)}) for m in range(draw.randrange(4)))) for n in range(8)]
    records = [one for stretch in stretches for one in stretch if one.partition == partition_of("k", 3)]
    log: list[Arrived] = []
    at_most = 0
    while at_most < len(records):  # an owner that dies and begins again some way back
        start = draw.randrange(at_most + 1)
        at_most = max(at_most, draw.randrange(start, len(records)) + 1)
        log += records[start:at_most]

    reach, rows = Reach(), []
    for record in log:
        received = relay.read(record)
        reach, heard = reach.accept(received)
        assert heard is not Heard.AFTER_A_GAP
        if heard is Heard.NEW:
            rows += [tuple(row["n"]) for _, row in received.rows]
        reach = Reach.from_json(json.loads(json.dumps(reach.as_json())))

    assert rows == [tuple(json.loads(line)["row"]["n"]) for one in records for line in one.value.splitlines()]
