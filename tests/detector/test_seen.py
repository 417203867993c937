"""What came again is told from what is new: by its id while ids are remembered, by its place in its file behind that."""

from __future__ import annotations

import random
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.event import schema
from detector import seen as module
from detector.parcel import ParcelError
from detector.seen import Seen, admit

HOUR = 3_600_000


def events(*rows: tuple[object, ...]) -> pl.DataFrame:
    """Of (id, time) or (id, time, position) or (id, time, position, boot, seq); an agent is named where there are more than two."""
    told = [
        {
            "event.id": name if isinstance(name, str) else f"{name:016x}",
            "event.schema": 1,
            "event.class": "access",
            "time.occurred": at,
            "agent.id": "ag" if more else None,
            "source.id": "ops" if more else None,
            "source.position": more[0] if more else None,
            "agent.boot": more[1] if len(more) > 1 else None,
            "agent.seq": more[2] if len(more) > 2 else None,
        }
        for name, at, *more in rows
    ]
    return pl.DataFrame(told, schema=schema())


def ids(frame: pl.DataFrame) -> list[str]:
    return frame["event.id"].to_list()


def after(seen: Seen, watermark: int, *batches: pl.DataFrame) -> Seen:
    """Take in batches of which every row is new."""
    for batch in batches:
        seen, new, again = admit(seen, batch, watermark)
        assert (new.height, again.height) == (batch.height, 0)
    return seen


def test_nothing_comes_of_nothing():
    seen = Seen()
    assert admit(seen, events(), 5)[0] is seen
    assert admit(seen, events(), 5)[1].schema == schema()


def test_what_comes_again_is_parted_from_what_is_new_in_order():
    seen, new, again = admit(Seen(), events((1, 10), (2, 10), (1, 10)), -1)
    assert (ids(new), ids(again)) == ([f"{1:016x}", f"{2:016x}"], [f"{1:016x}"])
    _, new, again = admit(seen, events((3, 11), (2, 10), (4, 9)), 20)
    assert (ids(new), ids(again)) == ([f"{3:016x}", f"{4:016x}"], [f"{2:016x}"])


def test_a_restarted_agent_that_reads_lines_again_is_recognised_by_their_ids():
    seen = after(Seen(), 0, events((1, 10, "a.log:0", "boot1", 1), (2, 10, "a.log:50", "boot1", 2)))
    _, new, again = admit(seen, events((2, 10, "a.log:50", "boot2", 1), (3, 11, "a.log:90", "boot2", 2)), 10)
    assert (ids(new), ids(again)) == ([f"{3:016x}"], [f"{2:016x}"])
    assert again["agent.boot"].to_list() == ["boot2"]


def test_ids_of_others_are_texts_and_upper_case_is_another_text():
    batch = events(
        ("abcdef0123456789", 1), ("ABCDEF0123456789", 1), ("関-17", 1), ("", 1), ("abcdef012345678", 1), ("zz", 1)
    )
    seen = after(Seen(), 0, batch)
    assert admit(seen, batch, 0)[2].equals(batch)
    assert seen.ids == 6


def test_behind_the_ids_a_file_that_is_read_again_is_recognised_by_its_place():
    old = events(*((n, n * HOUR, f"a.log:{n * 100}") for n in range(1, 6)))
    seen = after(Seen(), 0, old)
    seen = after(seen, 40 * HOUR, events((90, 40 * HOUR, "b.log:7")))
    assert seen.ids == 1
    again = events(
        (3, 3 * HOUR, "a.log:300"), (5, 5 * HOUR, "a.log:500"), (6, 6 * HOUR, "a.log:600"), (7, 3 * HOUR, "c.log:1")
    )
    _, new, known = admit(seen, again, 40 * HOUR)
    assert (ids(new), ids(known)) == ([f"{6:016x}", f"{7:016x}"], [f"{3:016x}", f"{5:016x}"])


def test_a_new_file_under_an_old_name_is_new_although_its_offsets_are_low():
    seen = after(Seen(), 0, events((1, HOUR, "a.log:0"), (2, 2 * HOUR, "a.log:9000")))
    rotated = events((3, 3 * HOUR, "a.log:0"), (4, 3 * HOUR, "a.log:80"), (5, 3 * HOUR, "a.log:160"))
    seen = after(seen, 40 * HOUR, rotated)  # long after its time: the agent was away
    seen = after(seen, 80 * HOUR, events((90, 80 * HOUR)))
    _, new, again = admit(
        seen, pl.concat([rotated, events((1, HOUR, "a.log:0"), (6, 4 * HOUR, "a.log:200"))]), 80 * HOUR
    )
    assert ids(new) == [f"{6:016x}"]
    assert again.height == 4


def test_without_a_file_the_agents_numbers_stand_for_it():
    seen = after(Seen(), 0, events((1, HOUR, None, "boot", 5)))
    seen = after(seen, 40 * HOUR, events((90, 40 * HOUR)))
    late = events((1, HOUR, None, "boot", 5), (2, HOUR, None, "boot", 6), (3, HOUR, None, "other", 5))
    _, new, again = admit(seen, late, 40 * HOUR)
    assert (ids(new), ids(again)) == ([f"{2:016x}", f"{3:016x}"], [f"{1:016x}"])


def test_behind_the_ids_a_third_partys_event_without_a_place_counts_as_new():
    seen = after(Seen(), 0, events((1, HOUR)))
    seen = after(seen, 40 * HOUR, events((90, 40 * HOUR)))
    assert admit(seen, events((1, HOUR)), 40 * HOUR)[1].height == 1


def test_stamps_of_the_far_future_are_remembered_in_bounds_and_come_near_in_the_end(monkeypatch):
    monkeypatch.setattr(module, "MOST_AHEAD", 3)
    far = [events((n, n * 100 * HOUR)) for n in range(5, 0, -1)]
    seen = after(Seen(), 0, *far)
    assert sorted(seen.ahead[1].tolist()) == [100 * HOUR, 200 * HOUR, 300 * HOUR]
    for now in (0, 70 * HOUR, 100 * HOUR, 101 * HOUR - 1):
        assert admit(seen, events((1, 100 * HOUR)), now)[1].is_empty()
        seen, _, _ = admit(seen, events((1000 + now, now)), now)
    assert len(seen.ahead[0]) == 2
    seen = after(seen, 400 * HOUR, events((999, 400 * HOUR)))
    assert seen.ids == 1


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 3)
    monkeypatch.setattr(module, "MOST_STRETCHES", 2)
    seen = after(Seen(), 0, events(*((n, n, f"{n}.log:5") for n in range(1, 8))))
    assert sorted(name.split("\x1f")[2] for name in seen.files) == ["5.log:", "6.log:", "7.log:"]
    seen = after(seen, 0, *(events((100 + n, 100 + n, f"7.log:{4 - n}")) for n in range(4)))
    assert [stretch.first_ms for stretch in seen.files["ag\x1fops\x1f7.log:"]] == [102, 103]
    for hour in range(1, 50):
        seen = after(seen, hour * HOUR, events((1000 + hour, hour * HOUR)))
    assert seen.ids <= 4


def test_ids_of_an_hour_take_little_more_than_eight_bytes_for_each_event_of_an_hour():
    seen, an_hour = Seen(), 6000
    for start in range(0, 5 * an_hour, 250):
        at = start * HOUR // an_hour
        batch = events(*((start + n, at + n) for n in range(250)))
        seen = after(seen, at - 5 * HOUR // 60, batch)
        held = sum(run.nbytes for runs in seen.generations.values() for run in runs)
        assert held <= 8 * an_hour * 5 // 3  # an hour, half of one until a generation is over, and what is ahead
        assert max(len(runs) for runs in seen.generations.values()) <= 5


def test_it_goes_to_bytes_and_back():
    seen = after(
        Seen(2 * HOUR), 0, *(events(*((20 * b + n, n * HOUR, f"{n}.log:{b}") for n in range(5))) for b in range(4))
    )
    seen = after(seen, 2 * HOUR, events((777, 2 * HOUR)))
    loaded = Seen.load(seen.dump())
    assert loaded.dump() == seen.dump()
    more = events((777, 2 * HOUR), (778, 2 * HOUR), (3, 3 * HOUR, "3.log:0"), (3, 3 * HOUR, "3.log:0"))
    for one in (seen, loaded):
        assert ids(admit(one, more, 2 * HOUR)[1]) == [f"{778:016x}"]
    assert admit(seen, more, 9 * HOUR)[0].dump() == admit(loaded, more, 9 * HOUR)[0].dump()
    assert Seen.load(Seen().dump()).dump() == Seen().dump()
    with pytest.raises(ParcelError, match="no seen events"):
        Seen.load(b"x")


# Ids of events; each has one time and one place, as real ones have.
@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 60), max_size=12), max_size=12), st.lists(st.integers(0, 40), max_size=12))
def test_while_ids_are_kept_it_is_as_exact_as_a_set(batches: list[list[int]], steps: list[int]):
    keep = 20
    seen, known, watermark = Seen(keep), set[int](), -1
    for number, batch in enumerate(batches):
        batch = [one for one in batch if one > watermark - keep]  # an event's time is its id
        seen, new, again = admit(seen, events(*((one, one, f"a.log:{one * 7 % 13}") for one in batch)), watermark)
        expected = [one for place, one in enumerate(batch) if one not in known and one not in batch[:place]]
        assert ids(new) == [f"{one:016x}" for one in expected]
        assert new.height + again.height == len(batch)
        known.update(batch)
        watermark = max(watermark, max(known, default=0) - 10, watermark + (steps[number % len(steps)] if steps else 0))


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(0, 3))
def test_no_line_of_files_in_order_is_ever_lost_however_late(seed: int, jump: int, again: int):
    """Three files rotate, an agent is away for long and reads parts again; every line is admitted just once."""
    rng = random.Random(seed)
    seen, admitted, watermark = Seen(50), list[str](), -1
    lines = [(n, n // 3, f"{n % 3}.log:{(n // 3) % 40 * 10}") for n in range(400)]
    place = 0
    while place < len(lines):
        size = rng.randrange(1, 60)
        start = max(0, place - rng.randrange(40) * again)
        seen, new, _ = admit(seen, events(*lines[start : place + size]), watermark)
        admitted += ids(new)
        place += size
        watermark = max(
            watermark, min(place, len(lines)) // 3 - rng.randrange(20), watermark + (rng.random() < 0.1) * jump
        )
    assert set(admitted) == {f"{n:016x}" for n, _, _ in lines}
    assert len(admitted) == len(lines)


STAMPS = st.integers(0, 400).map(lambda at: at * HOUR // 20) | st.just(10**14)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 300), STAMPS, st.integers(0, 3)), max_size=30), max_size=8),
    st.integers(0, 8),
)
def test_a_snapshot_in_between_changes_nothing(batches: list[list[tuple[int, int, int]]], cut: int):
    straight = restored = Seen(HOUR)
    watermark = -1
    for number, batch in enumerate(batches):
        frame = events(*((one, at, f"{file}.log:{one}") for one, at, file in batch))
        if number == cut:
            restored = Seen.load(restored.dump())
        straight, new, again = admit(straight, frame, watermark)
        restored, same_new, same_again = admit(restored, frame, watermark)
        assert new.equals(same_new)
        assert again.equals(same_again)
        watermark = max([watermark, *(at - HOUR for _, at, _ in batch if at < 10**12)])
    assert straight.dump() == restored.dump()


def in_batches(rows: Sequence[tuple[object, ...]], size: int) -> list[str]:
    seen, found = Seen(), list[str]()
    for start in range(0, len(rows), size):
        seen, new, _ = admit(seen, events(*rows[start : start + size]), 0)
        found += ids(new)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=12),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=12),
)
def test_how_far_a_file_was_read_is_the_same_for_one_event_at_a_time(
    before: list[tuple[int, int]], then: list[tuple[int, int]]
):
    told = [(0, 3), *before, *then]  # whatever follows is not before the first
    rows = events(*((number, at + 3, f"a.log:{offset}") for number, (at, offset) in enumerate(told)))
    cut = 1 + len(before)

    whole = after(Seen(), 0, rows[:cut], rows[cut:])

    assert whole.files == after(Seen(), 0, *(rows[at : at + 1] for at in range(len(told)))).files


def test_many_small_batches_are_one_large_one():
    rng = random.Random(4)
    rows = [(rng.randrange(500), 5, "a.log:1") for _ in range(2000)]
    assert in_batches(rows, 2000) == in_batches(rows, 7) == in_batches(rows, 300)
