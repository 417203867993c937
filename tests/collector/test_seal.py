"""Sealing: every event numbered once, every record chained and signed, and nothing that was sealed forgotten by a crash."""

import json
from pathlib import Path

import polars as pl
import pytest

from collector import journal
from contract import sealed, wire
from contract.sealed import MAX_BYTES, MAX_EVENTS, NO_RECORD, Predecessor, Record
from tests.collector.sealing import AGENT, NOON, SECRET, beats, enrolled, hash_of, rows, some, start


def header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()


def events(records: list[Record]) -> pl.DataFrame:
    return pl.concat([wire.decode(record.value).frame for record in records])


def statement(record: Record) -> list[Predecessor]:
    message = wire.decode(record.value).frame["message"][0]
    return [Predecessor.from_json(one) for one in json.loads(message)["previous"]]


def test_numbers_run_without_gap_through_all_partitions(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)

    records = beats(sealer) + some(sealer, 40) + beats(sealer) + some(sealer, 5)

    numbers = events(records)["agent.seq"].to_list()
    assert numbers == list(range(3 + 40 + 3 + 5))
    assert [(r.first, r.last) for r in records] == [(int(header(r, "first")), int(header(r, "last"))) for r in records]
    assert {header(record, "n") for record in records[3:6]} == {"13", "14"}


def test_every_event_of_a_partition_keeps_its_order_and_says_who_sealed_it_and_when(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    beats(sealer)
    frame = rows(6, **{"time.received": [None, 5, None, None, None, None]})

    records = sealer.seal(frame, pl.Series([2, 0, 2, 1, 0, 2]), NOON + 9)

    assert [record.partition for record in records] == [0, 1, 2]
    found = events(records)
    assert found["event.id"].to_list() == [f"{number:016x}" for number in (1, 4, 3, 0, 2, 5)]
    assert found["time.received"].to_list() == [5, *[NOON + 9] * 5]
    assert set(found["agent.id"]) == {AGENT}
    assert set(found["agent.boot"]) == {sealer.boot} == {header(record, "boot") for record in records}


def test_each_record_names_the_hash_of_the_one_before_and_is_signed_with_a_key_of_its_own(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)

    records = beats(sealer) + some(sealer, 9)

    assert [header(record, "prev") for record in records] == [NO_RECORD, *map(hash_of, records[:-1])]
    key = sealed.first_record_key(sealed.first_epoch_secret(SECRET, AGENT))
    for record in records:
        assert header(record, "mac").encode() == sealed.mac(key, bytes.fromhex(hash_of(record)))
        key = sealed.next_record_key(key)


def test_records_are_cut_at_their_limits(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    beats(sealer, partitions=1)
    frame = rows(2 * MAX_EVENTS + 1)
    wide = rows(20, message="あ" * 30_000)

    many = sealer.seal(frame, pl.repeat(0, len(frame), eager=True), NOON)
    large = sealer.seal(wide, pl.repeat(0, 20, eager=True), NOON)

    assert [header(record, "n") for record in many] == ["1000", "1000", "1"]
    assert [header(record, "n") for record in large] == ["9", "9", "2"]
    assert all(len(record.value) <= MAX_BYTES for record in many + large)


def test_an_event_too_large_for_any_record_keeps_its_mac_and_the_beginning_of_its_texts(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    beats(sealer)
    frame = rows(3, message=["short", "x" * MAX_BYTES, "短い"], **{"raw.mac": "ab" * 32})

    records = sealer.seal(frame, pl.Series([0, 0, 0]), NOON)

    assert sealer.shortened == 1
    found = events(records)
    assert found["message"].to_list() == ["short", "x" * 1000 + "… [cut]", "短い"]
    assert set(found["raw.mac"]) == {"ab" * 32}


def test_a_format_of_one_event_a_record_has_the_actor_as_key(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path, fmt="event")
    beats(sealer)

    records = sealer.seal(rows(3, **{"actor.id": ["u1", None, "u2"]}), pl.Series([1, 0, 1]), NOON)

    assert [(record.partition, record.key) for record in records] == [(0, AGENT.encode()), (1, b"u1"), (1, b"u2")]
    assert all(header(record, "fmt") == "event" and header(record, "n") == "1" for record in records)


def test_heartbeats_count_the_events_since_the_one_before_also_within_a_batch(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    first = beats(sealer)
    some(sealer, 5)
    mixed = rows(6, **{"event.class": ["access", "heartbeat", "access", "access", "heartbeat", "access"]})

    middle = sealer.seal(mixed, pl.repeat(0, 6, eager=True), NOON)
    some(sealer, 2)
    last = beats(sealer)

    assert events(first)["resource.count"].to_list() == [0, 0, 0]
    assert events(middle)["resource.count"].to_list() == [None, 6, None, None, 2, None]
    assert events(last)["resource.count"].to_list() == [3, 0, 0]


def test_relayed_events_keep_their_agent_and_number_and_take_none_of_ours(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    beats(sealer, partitions=1)
    theirs = {"agent.id": [None, "ag-other", None], "agent.boot": [None, "b7", None], "agent.seq": [None, 70, None]}
    heart = {"event.class": ["access", "heartbeat", "access"], "resource.count": [None, 99, None]}

    [mixed] = sealer.seal(rows(3, **theirs, **heart), pl.Series([0, 0, 0]), NOON)
    relayed = rows(2, **{"agent.id": "ag-other", "agent.boot": "b7", "agent.seq": [71, 72]})
    [only] = sealer.seal(relayed, pl.Series([0, 0]), NOON)

    found = events([mixed])
    assert found["agent.id"].to_list() == [AGENT, "ag-other", AGENT]
    assert found["agent.seq"].to_list() == [1, 70, 2]
    assert found["resource.count"].to_list() == [None, 99, None]
    assert (header(mixed, "n"), mixed.first, mixed.last) == ("3", 1, 2)
    assert (header(only, "n"), only.first, only.last) == ("2", 3, 2)
    assert events([only])["agent.seq"].to_list() == [71, 72]


def test_a_start_that_does_not_begin_with_a_heartbeat_is_a_mistake(tmp_path: Path):
    enrolled(tmp_path)
    with pytest.raises(ValueError, match="begins with a heartbeat"):
        some(start(tmp_path), 3)


def test_no_events_make_no_record(tmp_path: Path):
    enrolled(tmp_path)
    assert start(tmp_path).seal(rows(0), pl.Series([], dtype=pl.Int32), NOON) == []


def test_a_new_start_says_where_the_one_before_ended_and_what_may_not_have_arrived(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first) + some(first, 9)
    first.commit()
    first.acknowledged([records[0], records[1], records[4]])
    first.commit()

    second = start(tmp_path)
    [opening, *_] = beats(second)

    assert second.boot != first.boot
    assert statement(opening) == [Predecessor(first.boot, 11, hash_of(records[-1]), ((2, 5), (9, 11)))]
    assert header(opening, "prev") == hash_of(records[-1])
    assert (opening.first, first.acknowledged_through) == (0, 1)


def test_records_that_are_dropped_while_the_agent_runs_are_spoken_of_by_a_new_start(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    first = sealer.boot
    records = beats(sealer) + some(sealer, 3)
    sealer.commit()
    sealer.acknowledged(records[:5])

    sealer.restart()

    assert sealer.boot != first
    [opening, *_] = beats(sealer)
    assert statement(opening) == [Predecessor(first, 5, hash_of(records[-1]), ((5, 5),))]
    assert (opening.first, header(opening, "prev")) == (0, hash_of(records[-1]))


def test_what_was_sealed_and_not_committed_was_never_sent_and_is_not_spoken_of(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first)
    first.commit()
    some(first, 9)

    [opening, *_] = beats(start(tmp_path))

    assert statement(opening) == [Predecessor(first.boot, 2, hash_of(records[-1]), ((0, 2),))]


def test_a_statement_is_repeated_until_it_has_arrived(tmp_path: Path):
    enrolled(tmp_path)
    boots = []
    for _ in range(3):
        sealer = start(tmp_path)
        boots.append(sealer.boot)
        records = beats(sealer)
        sealer.commit()
    silent = start(tmp_path)
    assert [one.boot for one in silent.previous] == boots
    fifth = start(tmp_path)
    assert fifth.previous == silent.previous

    records = beats(fifth)
    fifth.commit()
    fifth.acknowledged(records)
    fifth.close()

    assert start(tmp_path).previous == (Predecessor(fifth.boot, 2, hash_of(records[-1]), ()),)


def test_a_crash_loop_without_broker_does_not_let_the_statement_grow_for_ever(tmp_path: Path):
    ledger = journal.Ledger("b0", hash="22" * 32, last=3, waiting={2: 3})
    for number in range(1, 700):
        ledger = journal.Ledger(f"b{number}", ledger.predecessors(), 2, "11" * 32, {0: 2})

    told = ledger.predecessors()

    assert len(told) == journal.MOST_PREDECESSORS
    assert told[0] == Predecessor("b0", 3, "22" * 32, ((2, 3),))
    assert told[-1].boot == "b699"


def test_relayed_records_that_were_not_acknowledged_are_told_by_their_number(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    beats(first, partitions=1)
    relayed = rows(1, **{"agent.id": "ag-other"})
    records = [first.seal(relayed, pl.Series([0]), NOON)[0] for _ in range(3)]
    first.commit()
    first.acknowledged(records[:1])
    first.close()

    assert [one.relayed for one in start(tmp_path).previous] == [2]
