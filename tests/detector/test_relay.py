"""From stage one to stage two: every row to one partition, every stretch once, in any order of coming again."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.event import MAX_TIME
from contract.partition import partition_of
from contract.sealed import Record
from detector import relay
from detector.arrival import Arrived
from detector.relay import NEVER, TABLES, Heard, Reach, Rows, Sender, Stretch

VALUES: dict[Any, Any] = {
    pl.String: st.text(),
    pl.Int64: st.integers(0, MAX_TIME),
    pl.Boolean: st.booleans(),
}
HEADERS = dict.fromkeys(relay.HEADERS, b"1") | {"upstream": b"0", "after": b"0"}


def arrived(record: Record, offset: int = 0) -> Arrived:
    return Arrived(record.topic, record.partition, offset, 0, record.key, record.value, tuple(record.headers))


def sent(after: int, upto: int, *rows: Rows, upstream: int = 0, upstreams: int = 2, **more: int) -> list[Arrived]:
    stretch = Stretch(after, upto, more.pop("heard", upto))
    return [arrived(one) for one in relay.records(rows, Sender("live", upstream, upstreams), stretch, "to", 3, **more)]


def notes(key: str, numbers: list[int], **more: Any) -> Rows:
    frame = pl.DataFrame({"n": numbers}).with_columns(pl.lit(value).alias(name) for name, value in more.items())
    return Rows("note", pl.Series([key] * len(numbers), dtype=pl.String), frame)


def numbers(*received: relay.Received) -> list[int]:
    return [number for one in received for _, frame in one.rows for number in frame["n"]]


def test_each_row_goes_to_the_partition_of_its_key_and_every_partition_hears_of_the_time():
    keys = [f"rule\x1f{number % 20}" for number in range(40)]
    rows = Rows("note", pl.Series(keys), pl.DataFrame({"n": range(40)}))

    records = sent(10, 20, rows, heard=15)

    assert sorted(one.partition for one in records) == [0, 1, 2]
    for one in records:
        found = relay.read(one)
        assert (found.stretch, found.part, found.parts, found.idle) == (Stretch(10, 20, 15), 1, 1, 0)
        assert numbers(found) == [n for n in range(40) if partition_of(keys[n], 3) == one.partition]


def test_kinds_keep_their_order_and_what_is_alike_goes_together():
    rows = [
        notes("k", [1]),
        notes("k", [2]),
        Rows("candidate", pl.Series(["k"]), pl.DataFrame({"rule": ["r"]})),
        notes("k", [3]),
    ]

    [record] = [one for one in sent(0, 1, *rows) if one.value]

    told = relay.read(record).rows
    assert [(kind, frame.height) for kind, frame in told] == [("note", 2), ("candidate", 1), ("note", 1)]
    assert all(dict(frame.schema) == TABLES[kind] for kind, frame in told)


def test_a_stretch_that_is_too_large_comes_in_parts_that_every_broker_takes():
    rows = Rows(
        "note",
        pl.Series(["same"] * 4_000),
        pl.DataFrame({"n": range(4_000), "who": ["字" * (n // 10) for n in range(4_000)]}),
    )
    records = sent(0, 1, rows, notes("same", [4_000], who="x" * (relay.MOST_BYTES + 1)), notes("same", [4_001]))

    parts = [relay.read(one) for one in records if one.partition == partition_of("same", 3)]

    assert [one.part for one in parts] == list(range(1, len(parts) + 1))
    assert {one.parts for one in parts} == {len(parts)}
    assert numbers(*parts) == list(range(4_002))
    too_long = [one for one in records if len(one.value) > relay.MOST_BYTES]
    assert [numbers(relay.read(one)) for one in too_long] == [[4_000]]
    assert 3 + 1 < len(records) < 30


def test_equal_stretches_are_equal_bytes_whatever_the_order_of_columns():
    frame = pl.DataFrame({"who": ["w"], "n": [1]})

    one, two = (sent(0, 1, Rows("note", pl.Series(["a"]), each)) for each in (frame, frame.select("n", "who")))

    assert one == two


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    kind = draw(st.sampled_from(sorted(TABLES)))
    height = draw(st.integers(0, 12))
    texts = st.lists(st.text(max_size=3), min_size=height, max_size=height)
    columns = {
        name: draw(st.lists(st.none() | VALUES[dtype.base_type()], min_size=height, max_size=height) | st.just([None] * height))
        for name, dtype in TABLES[kind].items()
    }  # fmt: skip
    return Rows(kind, pl.Series(draw(texts), dtype=pl.String), pl.DataFrame(columns, schema=TABLES[kind]))


@given(st.lists(tables(), max_size=4), st.integers(60, 3_000), st.integers(1, 12))
def test_whatever_is_handed_on_arrives(rows: list[Rows], most: int, sampled: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay, "MOST_BYTES", most)
        patch.setattr(relay, "_SAMPLED", sampled)
        records = sent(0, 1, *rows)

    for partition in range(3):
        told = [each for one in records if one.partition == partition for each in relay.read(one).rows]
        wanted = [
            (each.kind, row)
            for each in rows
            for key, row in zip(each.key, each.frame.to_dicts(), strict=True)
            if partition_of(key, 3) == partition
        ]
        assert [(kind, row) for kind, frame in told for row in frame.to_dicts()] == wanted
        assert all(dict(frame.schema) == TABLES[kind] for kind, frame in told)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"no json\n", "Expecting value"),
        (b"\n", "Expecting value"),
        (b"[" * 100_000, "RecursionError"),
        (b'"kind"\n', "indices"),
        (b'{"kind": "\xff"}\n', "UnicodeDecodeError"),
        (b'{"kind": 1, "columns": {}}\n', "nothing of the kind '1' is known"),
        (b'{"kind": ["note"], "columns": {}}\n', "nothing of the kind"),
        (b'{"kind": "note"}\n', "KeyError 'columns'"),
        (b'{"kind": "note", "columns": [1]}\n', "no object"),
        (b'{"kind": "note", "columns": {"row": [1]}}\n', "a note has no 'row'"),
        (b'{"kind": "note", "columns": {"n": 1}}\n', "n is no list"),
        (b'{"kind": "note", "columns": {"n": ["1"]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [true]}}\n', "n is no list of Int64"),
        (b'{"kind": "note", "columns": {"n": [1.0]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [NaN]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [[1]]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [9223372036854775808]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [-9223372036854775809]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [1%s]}}\n' % (b"0" * 60), "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"n": [1%s]}}\n' % (b"0" * 5_000), "digits"),
        (b'{"kind": "note", "columns": {"who": [1]}}\n', "who holds what is no String"),
        (b'{"kind": "note", "columns": {"who": ["\\ud800"]}}\n', "who holds what is no String"),
        (b'{"kind": "note", "columns": {"n": [1, true]}}\n', "n is no list of Int64"),
        (b'{"kind": "note", "columns": {"n": [1, 1.5]}}\n', "n holds what is no Int64"),
        (b'{"kind": "note", "columns": {"who": ["a", 1]}}\n', "who holds what is no String"),
        (b'{"kind": "note", "columns": {"who": [null, "a", {}]}}\n', "who holds what is no String"),
        (b'{"kind": "note", "columns": {"stopping": [true, 0]}}\n', "stopping holds what is no Boolean"),
        (b'{"kind": "note", "columns": {"stopping": [1]}}\n', "stopping holds what is no Boolean"),
        (b'{"kind": "note", "columns": {"n": [1], "who": []}}\n', "not of equal length"),
        (b'{"kind": "candidate", "columns": {"time.occurred": [-1]}}\n', "a time that cannot be"),
        (b'{"kind": "candidate", "columns": {"time.occurred": [9223372036854775807]}}\n', "a time that cannot be"),
    ],
)
def test_rows_that_no_stage_one_sent_are_refused_with_a_reason(value: bytes, reason: str):
    with pytest.raises(ValueError, match=f"is no record of a stage one: .*{reason}"):
        relay.read(Arrived("to", 0, 0, 0, None, value, tuple(HEADERS.items())))


@pytest.mark.parametrize(
    "wrong",
    [
        {"upstream": b"x"}, {"upstream": b"1"}, {"part": b"2"}, {"part": b"0"}, {"after": b"1"}, {"after": b"-2"},
        {"upto": b"9" * 30}, {"heard": b"9" * 30}, {"heard": b"-2"}, {"idle": b"7"}, {"upto": b"9" * 5_000},
    ],
)  # fmt: skip
def test_headers_that_no_stage_one_wrote_are_refused_with_a_reason(wrong: dict[str, bytes]):
    relay.read(Arrived("to", 0, 0, 0, None, b"", tuple(HEADERS.items())))

    with pytest.raises(ValueError, match="is no record of a stage one: "):
        relay.read(Arrived("to", 0, 0, 0, None, b"", tuple((HEADERS | wrong).items())))


@pytest.mark.parametrize("name", list(relay.HEADERS))
def test_no_header_may_be_missing(name: str):
    with pytest.raises(ValueError, match=f"is no record of a stage one: KeyError '{name}'"):
        relay.read(Arrived("to", 0, 0, 0, None, b"", tuple(each for each in HEADERS.items() if each[0] != name)))


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
    reach, _ = Reach().accept(at(0, sent(NEVER, 0, idle=relay.IDLE, heard=NEVER)))
    reach, _ = reach.accept(at(0, sent(NEVER, 70, upstream=1, heard=75)))
    assert (reach.reached, reach.heard) == (70, 75)

    reach, _ = reach.accept(at(0, sent(0, 40)))
    assert (reach.reached, reach.heard) == (70, 75)  # never back
    reach, _ = reach.accept(at(0, sent(70, 90, upstream=1)))
    assert (reach.reached, reach.heard) == (70, 75)


def test_what_was_heard_is_the_least_of_those_who_are_waited_for():
    reach, _ = Reach().accept(at(0, sent(NEVER, 50, heard=60)))
    assert reach.heard == NEVER

    reach, _ = reach.accept(at(0, sent(NEVER, 30, upstream=1, heard=90)))
    assert reach.heard == 60

    reach, _ = reach.accept(at(0, sent(50, 51, heard=60, idle=relay.IDLE)))
    assert reach.heard == 90


def test_a_rerun_is_over_when_all_have_said_so():
    reach, _ = Reach().accept(at(0, sent(NEVER, 10, idle=relay.OVER)))
    assert not reach.is_over

    reach, _ = reach.accept(at(0, sent(NEVER, 10, upstream=1, idle=relay.IDLE)))
    assert not reach.is_over

    reach, _ = reach.accept(at(0, sent(10, 20, upstream=1, idle=relay.OVER)))
    assert reach.is_over


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_rerun_closes_all_whichever_stage_one_comes_to_its_end_last(order: tuple[int, ...]):
    ends = {0: (300, 12), 1: (5, NEVER), 2: (100, 40)}  # one of them read nothing
    reach = Reach()
    for number in order:
        upto, heard = ends[number]
        reach, _ = reach.accept(at(0, sent(NEVER, upto, heard=heard, idle=relay.OVER, upstream=number, upstreams=3)))

    assert (reach.reached, reach.heard) == (300, 40)


def test_a_hole_is_noticed_and_the_rest_goes_on():
    reach, heard = Reach().accept(at(0, sent(NEVER, 10)))
    assert heard is Heard.NEW

    reach, heard = reach.accept(at(0, sent(20, 30)))

    assert heard is Heard.AFTER_A_GAP
    assert reach.upstreams[0].upto == 30


@given(st.integers(0, 10_000))
def test_whatever_comes_again_counts_once(seed: int):
    draw = random.Random(seed)
    stretches = [
        sent(n - 1, n, *(notes("k", [n * 10 + m], who="x" * 300_000) for m in range(draw.randrange(4))))
        for n in range(8)
    ]
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
            rows += numbers(received)
        reach = Reach.from_json(json.loads(json.dumps(reach.as_json())))

    assert rows == numbers(*(relay.read(one) for one in records))
