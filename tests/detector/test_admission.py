"""Records become events; what is no event, or not what its record says, is refused with its place and the rest goes on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from contract import wire
from contract.event import schema
from contract.rejected import REJECTED_SCHEMA, UNREAD
from contract.sealed import Record
from detector.admission import Arrived, Read, Trust, read
from detector.watermark import Heard
from registers.mask import MASK
from tests.collector.sealing import AGENT, NOON, beats, enrolled, rows, start

TRUST = Trust(frozenset({AGENT}))


def arrived(record: Record | bytes, offset: int = 7, **changes: object) -> Arrived:
    """A record as it comes from Kafka; bytes are a third party's."""
    if isinstance(record, bytes):
        one = Arrived("events", 2, offset, NOON, None, record, ())
    else:
        one = Arrived("events", 2, offset, NOON, record.key, record.value, tuple(record.headers))
    return replace(one, **changes)  # type: ignore[arg-type]


def line(number: int = 1, **columns: object) -> bytes:
    """One event as a third party writes it."""
    told = {"event.id": f"{number:016x}", "event.schema": 1, "event.class": "access", "time.occurred": NOON} | columns
    return json.dumps({key: value for key, value in told.items() if value is not None}).encode()


def reasons(found: Read) -> list[tuple[str, str]]:
    return list(found.rejected.select("source.position", "reason").iter_rows())


@pytest.fixture
def sealed(tmp_path: Path) -> list[Record]:
    """What a real agent sent to one partition: heartbeat, 300 events, three, and some with relayed ones among them."""
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = beats(sealer, partitions=1)
    for count in (300, 3):
        records += sealer.seal(rows(count), pl.Series([0] * count, dtype=pl.Int32), NOON)
    mixed = rows(5, **{"agent.id": ["away", None, "away", None, None], "agent.boot": ["b9", None, "b9", None, None]})
    mixed = mixed.with_columns(pl.Series("agent.seq", [40, None, 41, None, None], dtype=pl.Int64))
    records += sealer.seal(mixed, pl.Series([0] * 5, dtype=pl.Int32), NOON)
    relayed = mixed.filter(pl.col("agent.id").is_not_null())
    records += sealer.seal(relayed, pl.Series([0] * 2, dtype=pl.Int32), NOON)
    sealer.commit()
    return records


def test_nothing_comes_of_nothing():
    found = read([], TRUST)
    assert found.events.schema == schema()
    assert found.rejected.schema == REJECTED_SCHEMA
    assert (found.events.height, found.rejected.height, found.heard) == (0, 0, ())


def test_what_an_agent_seals_comes_in_as_it_was(sealed: list[Record]):
    found = read([arrived(one, offset) for offset, one in enumerate(sealed)], TRUST)
    assert found.rejected.is_empty()
    assert_frame_equal(found.events, wire.decode(b"".join(one.value for one in sealed)).frame)
    names = [(one.offset, one.input, one.newest) for one in found.heard]
    assert names[1:] == [(n, AGENT, NOON) for n in (1, 2)] + [(3, "away", NOON), (3, AGENT, NOON), (4, "away", NOON)]


def test_heartbeats_tell_how_far_the_agent_has_come_except_the_first(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    heard = [read([arrived(one)], TRUST).heard for one in (*beats(sealer, partitions=2), *beats(sealer, partitions=1))]
    assert [(one.newest, one.beat) for [one] in heard] == [(-1, True), (-1, True), (NOON, True)]


def test_an_event_read_long_after_it_occurred_was_caught_up_on():
    def told(*received: int | None) -> list[tuple[bool, bool, int]]:
        events = [line(n, **{"agent.id": "x", "time.received": at}) for n, at in enumerate(received)]
        beat = line(9, **{"agent.id": "x", "event.class": "heartbeat", "time.occurred": NOON + 5})
        return [
            (one.near, one.beat, one.newest - NOON) for one in read([arrived(b"\n".join([*events, beat]))], TRUST).heard
        ]

    assert told(NOON + 60_000) == told(NOON + 90_000, NOON) == told(None) == [(True, False, 0)]
    assert told(NOON + 60_001) == told(NOON, NOON + 10**9) == [(False, False, 0)]
    assert told() == [(True, True, 5)]


def test_third_parties_send_lines_without_headers():
    one = line(1, **{"source.id": "door"}) + b"\n" + line(2)
    found = read([arrived(one), arrived(b"\xef\xbb\xbf" + line(3, **{"agent.id": "x"}) + b"\r\n\n", 8)], TRUST)
    assert found.events["event.id"].to_list() == [f"{n:016x}" for n in (1, 2, 3)]
    assert [(heard.input, heard.offset) for heard in found.heard] == [("source:door", 7), ("?", 7), ("x", 8)]
    assert found.rejected.is_empty()


def test_a_poison_line_is_refused_alone_with_its_place():
    good = line(1)
    data = good + b"\n" + b'{"event.id": "x" 1}\n' + line(2) + b"\n\xff\xfe\n"
    found = read([arrived(data), arrived(b"\xef\xbb\xbf\xef\xbb\xbf{}\n", 8), arrived(b"nonsense", 9)], TRUST)
    assert found.events["event.id"].to_list() == [f"{n:016x}" for n in (1, 2)]
    first, second = len(good) + 1, len(data) - 3
    assert reasons(found) == [
        (f"events/2/7:{first}", "json"), (f"events/2/7:{second}", "encoding"), ("events/2/8:0", "json"),
        ("events/2/9:0", "json"),
    ]  # fmt: skip
    assert found.rejected["line"][3] == "nonsense"


def test_a_record_that_is_too_large_is_refused_unread():
    bomb = b" " * 5000 + line(1)
    found = read([arrived(bomb), arrived(line(2), 8)], Trust(max_bytes=5000))
    assert reasons(found) == [("events/2/7:0", "too_large")]
    assert "at most 5,000 are read" in found.rejected["detail"][0]
    assert found.events.height == 1


def test_an_empty_record_is_told():
    assert reasons(read([arrived(b"")], TRUST)) == [("events/2/7:0", "format")]


def test_what_could_not_be_unpacked_is_told():
    stand_in = arrived(b"", headers=((UNREAD, b"records with offsets 3 to 7: why"),))
    found = read([stand_in, arrived(line(1), 8)], TRUST)
    assert found.rejected.select("source.position", "reason", "detail").rows() == [
        ("events/2/7:0", "too_large", "records with offsets 3 to 7: why")
    ]
    assert found.events.height == 1


@pytest.mark.parametrize("name", ["schema", "fmt"])
def test_a_record_of_the_future_is_refused_whole_with_advice(sealed: list[Record], name: str):
    headers = tuple((key, b"2" if key == name else value) for key, value in sealed[1].headers)
    found = read(
        [arrived(sealed[1], headers=headers), arrived(line(2), 8, headers=((name, b"2"),)), arrived(line(3), 9)], TRUST
    )
    reason = {"schema": "schema", "fmt": "format"}[name]
    assert reasons(found) == [("events/2/7:0", reason), ("events/2/8:0", reason)]
    assert found.events["event.id"].to_list() == [f"{3:016x}"]
    said = "header schema: 2; this program reads 1: upgrade it" if name == "schema" else "'2' is none of ndjson event"
    assert said in found.rejected["detail"][0]


def test_an_event_of_the_future_is_refused_alone():
    found = read([arrived(line(1) + b"\n" + line(2, **{"event.schema": 2}))], TRUST)
    assert reasons(found) == [(f"events/2/7:{len(line(1)) + 1}", "schema")]
    assert found.rejected["line"][0] == line(2, **{"event.schema": 2}).decode()
    assert found.events.height == 1


def test_without_a_seal_nobody_speaks_in_the_name_of_an_agent_that_seals(sealed: list[Record]):
    posing = line(1) + b"\n" + line(2, **{"agent.id": AGENT}) + b"\n"
    stripped = arrived(sealed[1], 8, headers=())
    found = read([arrived(posing), stripped, arrived(sealed[1], 9)], TRUST)
    assert found.events.height == 301
    assert set(found.rejected["reason"]) == {"seal"}
    assert found.rejected.height == 301
    assert "not who it says" in found.rejected["detail"][0]
    assert [(one.input, one.offset) for one in found.heard] == [("?", 7), (AGENT, 9)]
    assert read([stripped], Trust()).events.height == 300  # where nobody is known to seal


def test_the_seal_of_a_stranger_lets_nobody_speak_in_the_name_of_an_agent_that_seals(sealed: list[Record]):
    relaying = arrived(sealed[4])  # two events of `away`, sealed by another agent

    assert read([relaying], Trust(frozenset({"away", AGENT}))).events.height == 2

    found = read([relaying, arrived(sealed[1], 9)], Trust(frozenset({"away"})))
    assert found.events.height == 300
    assert [reason for _, reason in reasons(found)] == ["seal", "seal"]
    assert f"sealed by {AGENT}" in found.rejected["detail"][0]
    assert [one.offset for one in found.heard] == [9]


def header(name: str, value: bytes) -> Callable[[Arrived], Arrived]:
    return lambda one: replace(one, headers=tuple((key, value if key == name else was) for key, was in one.headers))


def content(change: Callable[[bytes], bytes]) -> Callable[[Arrived], Arrived]:
    return lambda one: replace(one, value=change(one.value))


def lines(change: Callable[[list[bytes]], Sequence[bytes]]) -> Callable[[Arrived], Arrived]:
    return content(lambda value: b"".join(change(value.splitlines(keepends=True))))


@pytest.mark.parametrize(
    "spoil",
    [
        header("agent", b"ag-other"),
        header("agent", b""),
        header("boot", b"0" * 16),
        header("n", b"299"),
        header("n", b"three"),
        header("first", b"0"),
        header("last", b"5"),
        header("last", b"9" * 30),
        header("first", "１".encode()),
        lambda one: replace(one, headers=one.headers[:-1]),
        lambda one: replace(one, headers=one.headers[::-1]),
        lambda one: replace(one, headers=(*one.headers, one.headers[0])),
        lambda one: replace(one, headers=tuple(pair for pair in one.headers if pair[0] in ("first", "last"))),
        lines(lambda all_: all_[:-1]),
        lines(lambda all_: [*all_, all_[-1]]),
        lines(lambda all_: [all_[1], all_[0], *all_[2:]]),
        lines(lambda all_: [all_[0], all_[0], *all_[2:]]),
        lines(lambda all_: [all_[0].replace(b'"agent.seq":', b'"agent.seq":1'), *all_[1:]]),
        lines(lambda all_: [all_[0].replace(AGENT.encode(), b"somebody"), *all_[1:]]),
        lines(lambda all_: [line(4) + b"\n", *all_[1:]]),
    ],
)  # fmt: skip
def test_a_record_that_contradicts_its_headers_is_refused_whole(
    sealed: list[Record], spoil: Callable[[Arrived], Arrived]
):
    for number in (1, 2):
        others = [arrived(sealed[0], 1), arrived(sealed[3 - number], 9)]
        spoilt = spoil(arrived(sealed[number], 5))
        found = read([others[0], spoilt, others[1]], TRUST)
        assert spoilt != arrived(sealed[number], 5)
        assert reasons(found) == [("events/2/5:0", "seal")]
        assert_frame_equal(found.events, read(others, TRUST).events)
        assert [one.offset for one in found.heard] == [1, 9]


@pytest.mark.parametrize(
    "spoil",
    [
        header("agent", b"away"),
        header("boot", b"b9"),
        header("last", b"305"),
        lines(lambda all_: [all_[0].replace(b'"away"', b'"%b"' % AGENT.encode()), *all_[1:]]),
        lines(lambda all_: [all_[0], all_[3], all_[2], all_[1], all_[4]]),
    ],
)
def test_a_record_with_relayed_events_in_it_is_held_to_its_own(
    sealed: list[Record], spoil: Callable[[Arrived], Arrived]
):
    spoilt = spoil(arrived(sealed[3], 5))
    assert spoilt != arrived(sealed[3], 5)
    assert reasons(read([spoilt], TRUST)) == [("events/2/5:0", "seal")]


def test_a_line_that_cannot_be_read_does_not_cost_its_record(sealed: list[Record]):
    for number in (1, 3):
        spoilt = lines(lambda all_: [*all_[:2], b"{}\n", *all_[3:]])(arrived(sealed[number]))
        found = read([spoilt], TRUST)
        assert [reason for _, reason in reasons(found)] == ["required"]
        assert found.events.height == len(sealed[number].value.splitlines()) - 1


def test_headers_of_others_do_not_matter(sealed: list[Record]):
    one = arrived(sealed[1])
    traced = replace(one, headers=(("traceparent", b"00"), *one.headers, ("", b"")))
    assert read([traced], TRUST).events.height == 300


def test_a_single_event_with_the_actor_as_key(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path, fmt="event")
    records = beats(sealer, partitions=1) + sealer.seal(rows(3), pl.Series([0] * 3, dtype=pl.Int32), NOON)
    assert len(records) == 4
    found = read([arrived(replace(one, value=one.value.removesuffix(b"\n"))) for one in records], TRUST)
    assert (found.events.height, found.rejected.height) == (4, 0)


def test_what_is_refused_is_masked():
    number = "1234 5678 9018"
    found = read([arrived(f"resident {number}".encode()), arrived(line(1, **{"event.class": number}), 8)], TRUST)
    assert found.rejected["line"][0] == f"resident {MASK}"
    assert MASK in found.rejected["detail"][1]
    assert number not in str(found.rejected.rows())


def test_a_stamp_of_the_far_future_moves_a_clock_by_an_hour_at_most():
    later = line(1, **{"time.occurred": NOON + 10**12, "agent.id": "x"}) + b"\n" + line(2, **{"agent.id": "x"})
    assert read([arrived(later)], TRUST).heard == (Heard("x", NOON + 3_600_000, NOON, 7),)
    past = line(1, **{"time.occurred": 5, "agent.id": "x"})
    assert read([arrived(past)], TRUST).heard == (Heard("x", 5, NOON, 7),)


def test_unknown_keys_are_counted():
    assert read([arrived(line(1, **{"new.key": 1})), arrived(line(2, **{"new.key": 2}))], TRUST).unknown == {
        "new.key": 2
    }


PIECES = (
    line(1), line(2, **{"agent.id": AGENT}), line(3, **{"event.schema": 9}), b"", b" \t\r", b"{}", b"\xff", b"\xef\xbb\xbf",
    b"\xef\xbb\xbf" + line(4), b"\0", line(5) + b"\r", line(6, message="a\\nb\x85\u2028"), b"nonsense 123456789018",
)  # fmt: skip


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(0, 12), st.booleans())
def test_many_records_at_once_are_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, many: bool
):
    rng = random.Random(seed)
    own = wire.encode(rows(3, **{"agent.id": AGENT, "agent.boot": "b", "agent.seq": [4, 5, 6]})).splitlines()
    seals = [("fmt", b"ndjson"), ("n", b"3"), ("schema", b"1"), ("agent", AGENT.encode()), ("boot", b"b"), ("first", b"4"),
             ("last", b"6"), ("prev", b"0" * 64), ("mac", b"0" * 64)]  # fmt: skip
    records = []
    for offset in range(count):
        pieces = rng.choices(PIECES, k=rng.randrange(5)) if rng.random() < 0.6 else list(own)
        if rng.random() < 0.3:
            pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(PIECES))
        if many:  # enough for the fast lane
            pieces += [line(100 + n) for n in range(200)]
        value = b"\n".join(pieces) + rng.choice([b"", b"\n"])
        records.append(arrived(value, offset, headers=tuple(seals) if rng.random() < 0.5 else ()))
    together, apart = read(records, TRUST), [read([one], TRUST) for one in records]
    assert_frame_equal(together.events, pl.concat([wire.decode(b"").frame, *(one.events for one in apart)]))
    assert together.rejected.rows() == [row for one in apart for row in one.rejected.rows()]
    assert together.heard == tuple(heard for one in apart for heard in one.heard)
    assert sum(together.unknown.values()) == sum(sum(one.unknown.values()) for one in apart)
