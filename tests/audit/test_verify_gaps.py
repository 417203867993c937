"""Whatever was taken away is missed, and what a crash, age or the order of arrival explains is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.chains import walk
from audit.chains.capture import Taken
from audit.chains.verdict import GAP, OK
from collector import seal as sealing
from collector.follow.events import Gap
from collector.heartbeat import gaps
from contract.sealed import Record
from tests.audit.judging import judged, month, relayed, says
from tests.collector.sealing import NOON, PARTITIONS, SITE, beats, enrolled, some, start, taken


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Taken]:
    """A topic in which everything arrived."""
    return taken(record for records in month(tmp_path_factory.mktemp("month")) for record in records)


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


def test_bytes_that_the_agent_reports_as_missing_are_a_gap(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = beats(sealer)
    lost = Gap("welfare-ops", "ops.csv", "ab" * 32, 100, 4_199, "truncated", "emptied before it was read")
    records += sealer.seal(*gaps(sealer, SITE, [lost], 1, NOON), NOON)

    verdict = judged(taken(records))

    assert verdict.status == GAP
    says(verdict, "welfare-ops ops.csv:100-4199: truncated")


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
