"""What the agents sealed is verified: whole topics pass, and nothing that was altered does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.chains import agent, walk
from audit.chains.capture import Taken
from audit.chains.verdict import CANNOT, OK, TAMPERED
from contract import sealed
from contract.sealkey import SealKey
from tests.audit.judging import KEY, changed, judged, month, relayed, says
from tests.collector.sealing import NOON, beats, enrolled, rows, some, start, taken


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Taken]:
    """A topic in which everything arrived."""
    return taken(record for records in month(tmp_path_factory.mktemp("month")) for record in records)


@pytest.mark.parametrize("fmt", ["ndjson", "event"])
def test_a_topic_in_which_everything_arrived_passes(tmp_path: Path, fmt: str):
    lying = taken(record for records in month(tmp_path, fmt=fmt) for record in records)

    verdict = judged(lying)

    assert (verdict.status, verdict.problems) == (OK, ())
    [summary] = verdict.agents
    assert (summary.starts, summary.records, summary.events) == (3, len(lying), 3 * (20 + 7 + 9))


def test_the_order_in_which_partitions_are_read_does_not_matter(whole: list[Taken]):
    assert judged(sorted(whole, key=lambda one: (one.partition, one.offset))).status == OK
    assert judged(whole[::-1]).status == OK


@st.composite
def alterations(draw: st.DrawFn) -> Callable[[Taken], Taken]:
    """A change of one byte of a record, or of its place."""
    what = draw(st.sampled_from(["value", "header", "name", "partition", "key"]))
    at, by = draw(st.integers(0, 1 << 20)), draw(st.integers(1, 255))

    def alter(one: Taken) -> Taken:
        if what == "value":
            return replace(one, value=changed(one.value, at, by))
        if what == "partition":
            return replace(one, partition=one.partition + by)
        if what == "key":
            return replace(one, key=bytes([by]))
        headers = list(one.headers)
        name, value = headers[at % len(headers)]
        if what == "header":
            headers[at % len(headers)] = (name, changed(value, at, by))
        else:
            headers[at % len(headers)] = (changed(name.encode(), at, by & 0x7F or 1).decode(), value)
        return replace(one, headers=tuple(headers))

    return alter


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_byte_of_any_record_that_is_changed_is_tampering(whole: list[Taken], data: st.DataObject):
    at = data.draw(st.integers(0, len(whole) - 1))
    altered = data.draw(alterations())(whole[at])

    assert judged([*whole[:at], altered, *whole[at + 1 :]]).status == TAMPERED


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_values_that_change_places_are_tampering(whole: list[Taken], data: st.DataObject):
    one, two = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=2, max_size=2, unique=True))
    lying = list(whole)
    lying[one], lying[two] = replace(whole[one], value=whole[two].value), replace(whole[two], value=whole[one].value)

    assert judged(lying).status == TAMPERED


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_records_that_come_again_are_no_fault(whole: list[Taken], data: st.DataObject):
    again = data.draw(st.lists(st.sampled_from(whole), max_size=20))
    lying = data.draw(st.permutations([*whole, *again]))

    verdict = judged(lying)

    assert verdict.status == OK
    assert verdict.agents[0].repeated == len(again)


def test_a_later_start_cannot_disown_what_was_seen_to_arrive(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    opening = beats(first)
    first.commit()
    place = tmp_path / "state" / "seal" / "journal"
    rewound = place.read_bytes()
    first.acknowledged(opening)
    records = opening + some(first, 9) + beats(first)
    first.commit()
    place.write_bytes(rewound)  # whoever holds the host holds the journal

    verdict = judged(taken([*records, *beats(start(tmp_path))]))

    assert verdict.status == TAMPERED
    says(verdict, "number 0 not acknowledged", "saw all to 2 arrive")


def test_an_agent_that_was_rolled_back_to_an_old_state_shows_two_histories(tmp_path: Path):
    enrolled(tmp_path)
    place = tmp_path / "state" / "seal" / "next-secret"
    start(tmp_path)
    snapshot = place.read_bytes()
    first = start(tmp_path)
    once = beats(first) + some(first, 4)
    place.write_bytes(snapshot)
    again = start(tmp_path)
    twice = beats(again) + some(again, 5)

    verdict = judged(taken(once + twice))

    assert first.boot == again.boot
    assert verdict.status == TAMPERED


def test_what_another_agent_says_of_itself_is_not_taken_for_ours(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    message = '{"previous":[{"boot":"x","last":9,"hash":"","unacknowledged":[],"relayed":0}],"acknowledged":99}'
    theirs = {"event.class": "heartbeat", "event.outcome": "failure", "message": message}

    assert judged(taken(beats(sealer) + relayed(sealer, 0, **theirs))).status == OK


def test_a_record_that_comes_again_with_another_signature_is_tampering(whole: list[Taken]):
    one = whole[5]
    again = replace(one, headers=(*one.headers[:-1], ("mac", b"0" * 64)))
    assert judged([*whole, again]).status == TAMPERED


def test_an_altered_record_is_not_called_missing_too(whole: list[Taken]):
    assert whole[3].value.count(b'"time.occurred":1775') > 2
    altered = replace(whole[3], value=whole[3].value.replace(b'"u3"', b'"u4"', 1))

    verdict = judged([*whole[:3], altered, *whole[4:]])

    assert [problem.status for problem in verdict.problems] == [TAMPERED]
    says(verdict, "its signature is wrong")


def test_a_first_record_that_does_not_speak_of_the_start_before_is_tampering(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first)
    first.commit()
    second = start(tmp_path)
    records += second.seal(rows(1, **{"event.class": "heartbeat"}), pl.Series([0]), NOON)

    verdict = judged(taken(records))

    assert verdict.status == TAMPERED
    says(verdict, f"start {second.boot}: its first record does not say which one went before")


def test_another_key_verifies_nothing(whole: list[Taken], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(agent, "MOST_STARTS", 1000)
    other = SealKey.enrol("ag-test", b"x" * 32)

    verdict = judged(whole, [other])

    assert verdict.status == CANNOT
    says(verdict, "the key is not the one")


def test_an_agent_whose_key_was_not_given_cannot_be_verified(whole: list[Taken]):
    verdict = judged(whole, [])
    assert verdict.status == CANNOT
    says(verdict, "no key of this agent")


def test_an_agent_of_which_nothing_is_there_cannot_be_verified(whole: list[Taken]):
    verdict = judged(whole, [KEY, SealKey.enrol("ag-gone", b"y" * 32)])
    assert verdict.status == CANNOT
    says(verdict, "holds no record of this agent")


def test_an_empty_topic_without_keys_is_no_success():
    assert judged([], []).status == CANNOT


def test_both_enrolments_of_an_agent_are_verified_with_both_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(agent, "MOST_STARTS", 1000)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    first = [record for records in month(old) for record in records]
    key = enrolled(new, secret=b"z" * 32)
    records = beats(start(new))

    assert judged(taken(first + records), [KEY, key]).status == OK
    assert judged(taken(first + records), [KEY]).status == TAMPERED


def test_records_without_seal_prove_nothing_and_fail_unless_they_are_allowed(whole: list[Taken]):
    theirs = Taken(0, 999, NOON, b"u1", (("traceparent", b"00"),), b'{"event.id":"x"}')

    verdict = judged([*whole, theirs])

    assert verdict.status == CANNOT
    says(verdict, "1 records have no seal", "offset 999")
    assert judged([*whole, theirs], allow_unsealed=True).status == OK
    assert judged([theirs], [], allow_unsealed=True).status == CANNOT


def test_a_record_that_lost_its_seal_is_tampering_even_where_others_may_have_none(whole: list[Taken]):
    bare = replace(whole[4], headers=())
    verdict = judged([*whole[:4], bare, *whole[5:]], allow_unsealed=True)
    assert verdict.status == TAMPERED


def test_headers_that_others_add_are_not_looked_at(whole: list[Taken]):
    traced = [replace(one, headers=(*one.headers, ("traceparent", b"00-ab"))) for one in whole]
    assert judged(traced).status == OK


@pytest.mark.parametrize("first", [b"-1", b"+0", b"00", b"1e3", b"9" * 30, b"9" * 5000, "１".encode(), b""])
def test_a_hostile_number_is_tampering_and_ends_at_once(whole: list[Taken], first: bytes):
    headers = tuple((name, first if name in ("first", "last") else value) for name, value in whole[5].headers)
    assert judged([*whole[:5], replace(whole[5], headers=headers), *whole[6:]]).status == TAMPERED


def test_a_flood_of_forged_records_is_cut_short(whole: list[Taken]):
    forged = [replace(whole[6], offset=1000 + n, timestamp_ms=n, key=b"%d" % n) for n in range(walk.MOST_PROBLEMS + 50)]
    verdict = judged([*forged, *whole])
    assert verdict.status == TAMPERED
    says(verdict, "and more")


def test_the_description_that_both_sides_follow_does_not_move():
    """The bytes under a signature are for ever: this digest was computed when version 1 was fixed."""
    seal = sealed.Seal("ndjson", 1, "ag-1", "0123456789abcdef", 5, 5, "ab" * 32)
    digest = sealed.record_hash(3, None, seal.headers(), b'{"event.id":"1"}\n')
    key = sealed.first_record_key(sealed.first_epoch_secret(bytes(32), "ag-1"))
    assert sealed.mac(key, digest) == b"e12a807a6fe2100681a4b526c5f197ca12d0050358662aa97de9f29c757041c1"
