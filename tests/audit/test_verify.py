"""What the agents sealed is verified: whole topics pass, and nothing that was altered or taken away does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.chains import agent, walk
from audit.chains.capture import CaptureError, Damage, Taken, head, line, read_head, read_lines, tail
from audit.chains.verdict import CANNOT, GAP, OK, TAMPERED, Verdict
from audit.verify import Verifier
from collector import seal as sealing
from collector.follow.events import Gap
from collector.heartbeat import gaps
from collector.seal import Sealer
from contract import sealed
from contract.sealed import Record
from contract.sealkey import SealKey
from tests.collector.sealing import NOON, PARTITIONS, SECRET, SITE, beats, enrolled, rows, some, start, taken, topic

KEY = SealKey.enrol("ag-test", SECRET)


def judged(
    lying: Sequence[Taken | Damage],
    keys: Sequence[SealKey] = (KEY,),
    *,
    taken_ms: int = NOON,
    firsts: dict[int, int] | None = None,
    **more: bool,
) -> Verdict:
    known = [one for one in lying if isinstance(one, Taken)]
    verifier = Verifier(keys, topic(known, taken_ms, firsts), **more)
    for one in lying:
        verifier.take(one)
    return verifier.verdict()


def says(verdict: Verdict, *parts: str) -> None:
    texts = [problem.text for problem in verdict.problems]
    assert any(all(part in text for part in parts) for text in texts), texts


def month(folder: Path, **more: str) -> list[list[Record]]:
    """Three starts of an agent: two that stop in order or die with everything arrived, and one that still runs."""
    enrolled(folder)
    told = []
    for number in range(3):
        sealer = start(folder, **more)
        records = beats(sealer) + some(sealer, 20) + beats(sealer) + some(sealer, 7)
        sealer.acknowledged(records)
        records += beats(sealer, stopping=number == 0)
        sealer.commit()
        sealer.acknowledged(records)
        sealer.close()
        told.append(records)
    return told


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


def changed(data: bytes, at: int, by: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


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


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_records_that_were_taken_away_are_a_gap_unless_they_were_the_newest_ones(
    whole: list[Taken], data: st.DataObject
):
    away = data.draw(st.sets(st.integers(0, len(whole) - PARTITIONS - 1), min_size=1, max_size=5))

    verdict = judged([one for at, one in enumerate(whole) if at not in away])

    assert verdict.status == GAP
    says(verdict, "events are missing")


def test_a_cut_tail_is_seen_by_the_silence_only(whole: list[Taken]):
    cut = whole[:-5]

    assert judged(cut).status == OK
    late = judged(cut, taken_ms=NOON + 301_000)
    assert late.status == GAP
    says(late, "silent since", "cut")


def test_what_an_agent_that_lives_has_not_seen_to_arrive_may_still_be_under_way(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    first = beats(sealer)
    sealer.acknowledged(first)
    records = [*first, *some(sealer, 3), *beats(sealer), *some(sealer, 6)]
    thinned = taken(records[:4] + records[5:-1])

    found = judged(thinned)
    assert (found.status, found.agents[0].under_way) == (OK, 1)
    assert judged(thinned, taken_ms=NOON + 301_000).status == GAP
    sealer.acknowledged(records)
    later = judged(taken(records[:4] + records[5:] + beats(sealer)))
    assert later.status == GAP
    says(later, "1 events are missing: numbers 4")


def test_an_agent_that_stopped_in_order_is_not_silent(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)

    lying = taken(beats(sealer) + beats(sealer, stopping=True))

    assert judged(lying, taken_ms=NOON + 86_400_000).status == OK


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_crash_is_no_gap_whatever_of_the_last_records_arrived(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("crash")
    enrolled(folder)
    arrived: list[Record] = []
    for _ in range(data.draw(st.integers(2, 4))):
        sealer = start(folder)
        records = beats(sealer) + some(sealer, data.draw(st.integers(1, 12)))
        sealer.commit()
        sent = data.draw(st.integers(0, len(records)))
        landed = [one for at, one in enumerate(records) if at < sent or data.draw(st.booleans())]
        acknowledged = data.draw(st.lists(st.sampled_from(landed), unique=True)) if landed else []
        sealer.acknowledged(acknowledged)
        if data.draw(st.booleans()):
            sealer.commit()
        arrived += landed
    sealer = start(folder)
    arrived += beats(sealer)

    verdict = judged(taken(arrived))

    assert verdict.status == OK, verdict.problems


def test_what_a_crash_may_have_lost_is_counted_and_its_neighbours_are_still_due(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first) + some(first, 9)
    first.commit()
    first.acknowledged(records[:4])
    first.commit()
    second = beats(start(tmp_path))

    crashed = judged(taken([*records[:4], *second]))
    thinned = judged(taken([*records[:3], *second]))

    assert crashed.status == OK
    assert crashed.agents[0].excused == 6
    assert thinned.status == GAP
    says(thinned, f"start {first.boot}: 3 events are missing: numbers 3–5")


def test_a_start_of_which_nothing_is_there_is_missed(tmp_path: Path):
    one, two, three = month(tmp_path)

    verdict = judged(taken(one + three))

    assert verdict.status == GAP
    says(verdict, "36 events are missing: numbers 0–35")
    assert judged(taken(two + three)).status == GAP


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


def test_bytes_that_the_agent_reports_as_missing_are_a_gap(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = beats(sealer)
    lost = Gap("welfare-ops", "ops.csv", "ab" * 32, 100, 4_199, "truncated", "emptied before it was read")
    records += sealer.seal(*gaps(sealer, SITE, [lost], 1, NOON), NOON)

    verdict = judged(taken(records))

    assert verdict.status == GAP
    says(verdict, "welfare-ops ops.csv:100-4199: truncated")


def relayed(sealer: Sealer, partition: int, **columns: object) -> list[Record]:
    """A record that holds another agent's events only, and so no number of our own."""
    theirs = {"agent.id": "ag-other", "agent.boot": "b", "agent.seq": [7, 8]}
    return sealer.seal(rows(2, **theirs, **columns), pl.Series([partition] * 2), NOON)


def relaying(folder: Path) -> list[Record]:
    """Heartbeats, six records without numbers, our own events between the third and the fourth."""
    enrolled(folder)
    sealer = start(folder)
    records = beats(sealer)
    for number in range(6):
        records += relayed(sealer, 2 - number % PARTITIONS)
        if number == 2:
            records += some(sealer, 2)
    return records + beats(sealer, stopping=True)


@pytest.mark.parametrize("away", range(3, 10))
def test_records_without_numbers_of_their_own_are_missed_too(tmp_path: Path, away: int):
    records = relaying(tmp_path)

    assert judged(taken(records)).status == OK
    verdict = judged(taken(records[:away] + records[away + 1 :]))
    assert {problem.status for problem in verdict.problems} == {GAP}


def test_records_without_numbers_are_missed_at_the_border_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (sealing, walk):
        monkeypatch.setattr(module, "EPOCH", 4)
    enrolled(tmp_path)
    sealer = start(tmp_path)
    before = beats(sealer) + some(sealer, 1)
    lost, after = relayed(sealer, 0), beats(sealer, stopping=True)
    assert after[0].first == 4
    assert judged(taken(before + lost + after)).status == OK
    verdict = judged(taken(before + after))
    assert {problem.status for problem in verdict.problems} == {GAP}


def test_a_last_record_without_numbers_is_missed_by_the_hash_that_the_next_start_names(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records, last = beats(first), relayed(first, 1)
    first.commit()
    first.acknowledged(records + last)
    first.close()
    second = beats(start(tmp_path))

    assert judged(taken(records + last + second)).status == OK
    verdict = judged(taken(records + second))
    assert verdict.status == GAP
    says(verdict, "its last record is not the one")


@pytest.mark.parametrize("later", [False, True])
def test_records_without_numbers_that_a_crash_may_have_lost_are_no_gap(tmp_path: Path, later: bool):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first)
    relayed(first, 1)
    if later:
        records += some(first, 1)
    first.commit()
    first.acknowledged(records)
    first.close()

    assert judged(taken(records + beats(start(tmp_path)))).status == OK


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


def test_a_start_whose_journal_was_lost_leaves_the_end_of_the_one_before_in_doubt(tmp_path: Path):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first)
    first.commit()
    (tmp_path / "state" / "seal" / "journal").unlink()

    verdict = judged(taken(records + beats(start(tmp_path))))

    assert [problem.status for problem in verdict.problems] == [GAP]
    says(verdict, f"start {first.boot}: no later start says where it ended")


def test_keys_are_found_over_gaps_that_span_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (sealing, walk):
        monkeypatch.setattr(module, "EPOCH", 16)
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = beats(sealer)
    for _ in range(40):
        records += some(sealer, 5)
    records += beats(sealer, stopping=True)

    assert judged(taken(records)).status == OK
    for low, high in ((3, 20), (30, 31), (10, 100)):
        thinned = judged(taken(records[:low] + records[high:]))
        assert {problem.status for problem in thinned.problems} == {GAP}


def test_what_went_by_age_is_no_gap_but_what_is_newer_is(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = [record for _ in range(10) for record in beats(sealer) + some(sealer, 9)]
    lying = taken(records + beats(sealer, stopping=True))
    kept = {0: 4, 1: 9, 2: 2}
    aged = [one for one in lying if one.offset >= kept[one.partition]]

    assert judged(aged).status == GAP
    verdict = judged(aged, firsts=kept)
    assert verdict.status == OK
    assert f"start {sealer.boot} number" in verdict.agents[0].since
    assert judged([one for one in aged if one is not lying[-8]], firsts=kept).status == GAP


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


def kept(lying: Sequence[Taken]) -> list[bytes]:
    return [head(topic(lying)), *map(line, lying), tail(len(lying))]


def read(lines: Sequence[bytes]) -> list[Taken | Damage]:
    assert read_head(lines[0]).name == "access-events"
    return list(read_lines(lines[1:]))


def test_a_capture_gives_back_what_was_taken(whole: list[Taken]):
    odd = Taken(2, 7, 5, b"\xff\x00", (("x", b"\xfe"), ("y", b"")), "行\u2028\r\n\x00".encode() + b"\xc3")
    assert read(kept([*whole, odd])) == [*whole, odd]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_byte_of_a_captured_record_can_be_changed_unnoticed(whole: list[Taken], data: st.DataObject):
    lines = kept(whole)
    at = data.draw(st.integers(1, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    lines[at] = changed(lines[at], place, data.draw(st.integers(1, 255)))
    found = read([lines[0], *re.findall(rb"[^\n]*\n|[^\n]+", b"".join(lines[1:]))])

    blind = [replace(one, offset=0, timestamp_ms=0) if isinstance(one, Taken) else one for one in found]
    plain = [replace(one, offset=0, timestamp_ms=0) for one in whole]
    assert blind == plain or judged(found).status in (TAMPERED, GAP)


@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_capture_that_was_cut_is_a_gap(whole: list[Taken], lines: int):
    assert judged(read(kept(whole)[:-lines])).status == GAP


def test_a_captures_last_line_counts_its_records(whole: list[Taken]):
    lines = kept(whole)
    assert judged(read([*lines[:-1], tail(3)])).status == TAMPERED
    assert judged(read([*lines, lines[1]])).status == TAMPERED


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"kind":"sekimori capture","version":2}'])
def test_what_is_no_capture_is_refused(data: bytes):
    with pytest.raises(CaptureError):
        read_head(data)


def test_the_description_that_both_sides_follow_does_not_move():
    """The bytes under a signature are for ever: this digest was computed when version 1 was fixed."""
    seal = sealed.Seal("ndjson", 1, "ag-1", "0123456789abcdef", 5, 5, "ab" * 32)
    digest = sealed.record_hash(3, None, seal.headers(), b'{"event.id":"1"}\n')
    key = sealed.first_record_key(sealed.first_epoch_secret(bytes(32), "ag-1"))
    assert sealed.mac(key, digest) == b"e12a807a6fe2100681a4b526c5f197ca12d0050358662aa97de9f29c757041c1"
