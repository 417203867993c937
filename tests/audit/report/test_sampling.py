"""The sample of accesses: the same whoever draws it, and none more likely than another."""

from __future__ import annotations

import hashlib
import random

import polars as pl

from audit.report.sampling import SIZE, draw

ACCESSES = [f"{n:016x}" for n in range(500)]


def frame(ids, action="read", subject="s_1"):
    return pl.DataFrame(
        {"event.id": ids, "event.action": [action] * len(ids), "subject.token": [subject] * len(ids)},
        schema={"event.id": pl.String, "event.action": pl.String, "subject.token": pl.String},
    ).lazy()


def by_hand(ids, seed, size=SIZE):
    return sorted(ids, key=lambda uid: hashlib.sha256(f"{seed}\n{uid}".encode()).hexdigest())[:size]


def none():
    return pl.Series("event.id", [], dtype=pl.String)


def test_the_smallest_hashes_are_drawn():
    found = draw(frame(ACCESSES), none(), "架空町 2026-03")

    assert list(found.events) == by_hand(ACCESSES, "架空町 2026-03")
    assert found.population == 500


def test_order_does_not_matter_and_the_seed_does():
    shuffled = ACCESSES[:]
    random.Random(3).shuffle(shuffled)

    assert draw(frame(shuffled), none(), "a") == draw(frame(ACCESSES), none(), "a")
    assert draw(frame(ACCESSES), none(), "a") != draw(frame(ACCESSES), none(), "b")


def test_what_raised_something_is_not_drawn():
    raised = by_hand(ACCESSES, "a")[:10]

    found = draw(frame(ACCESSES), pl.Series("event.id", [*raised, "nowhere"]), "a")

    assert list(found.events) == by_hand(set(ACCESSES) - set(raised), "a")
    assert found.population == 490


def test_only_accesses_to_somebodys_data_are_drawn():
    others = [frame(["x1"], "logon"), frame(["x2"], "read", None), frame(["x3"], "leave")]

    found = draw(pl.concat([frame(["y1"]), *others]), none(), "a")

    assert found.events == ("y1",)


def test_fewer_than_asked_for_are_all_drawn_and_nothing_is_drawn_from_nothing():
    assert sorted(draw(frame(ACCESSES[:7]), none(), "a").events) == ACCESSES[:7]
    assert draw(frame([]), none(), "a").events == ()
    assert draw(frame([]), none(), "a").population == 0


def test_a_larger_sample_begins_with_the_smaller():
    assert draw(frame(ACCESSES), none(), "a", 50).events[:20] == draw(frame(ACCESSES), none(), "a", 20).events


def test_files_of_many_pieces_give_the_same(tmp_path):
    ids = [f"{n:016x}" for n in range(30_000)]
    for place in range(3):
        frame(ids[place::3]).collect().write_parquet(tmp_path / f"{place}.parquet", row_group_size=1_000)

    found = draw(pl.scan_parquet(tmp_path / "*.parquet"), pl.Series(ids[:100]), "a")

    assert list(found.events) == by_hand(ids[100:], "a")
    assert found.population == 29_900


def test_every_access_is_drawn_about_as_often_as_any_other():
    drawn = [uid for seed in range(400) for uid in draw(frame(ACCESSES[:100]), none(), str(seed), 10).events]

    counts = [drawn.count(uid) for uid in ACCESSES[:100]]

    # 40 each is expected, with a standard deviation of 6; seeds are fixed, so this never changes.
    assert min(counts) > 40 - 4 * 6
    assert max(counts) < 40 + 4 * 6
