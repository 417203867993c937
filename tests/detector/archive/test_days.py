"""Tables by day: each row once, in order, whatever came late or twice and wherever it stopped."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.archive.days import EVENTS, FINDINGS, Days

MIDNIGHT = 1_775_055_600_000  # 2026-04-02 in Tokyo
HOUR = 3_600_000


def rows(*placed: tuple[int, str], **more: object) -> pl.DataFrame:
    """Rows by hour after midnight and id; `place` says in which order they came."""
    frame = pl.DataFrame(placed, schema={"time.occurred": pl.Int64, "event.id": pl.String}, orient="row")
    times = MIDNIGHT + pl.col("time.occurred") * HOUR
    return frame.with_columns(times.alias("time.occurred"), **{name: pl.lit(value) for name, value in more.items()})


def read(folder: Path, day: str, name: str = "event.id") -> list[str]:
    return pl.read_parquet(folder / "events" / f"{day}.parquet")[name].to_list()


def test_rows_are_parted_by_the_sites_day_and_sorted(tmp_path: Path):
    days = Days(tmp_path, EVENTS, "Asia/Tokyo")
    days.add(rows((3, "c"), (-1, "a"), (25, "z")), "0-1")
    days.add(rows((3, "b"), (1, "d")), "1-0")
    assert days.join() == ["2026-04-01", "2026-04-02", "2026-04-03"]
    assert (read(tmp_path, "2026-04-01"), read(tmp_path, "2026-04-02")) == (["a"], ["d", "b", "c"])
    assert sorted(path.name for path in (tmp_path / "events").iterdir()) == [
        "2026-04-01.parquet", "2026-04-02.parquet", "2026-04-03.parquet"
    ]  # fmt: skip
    assert days.join() == []


def test_late_rows_come_to_their_place_and_the_first_of_two_stays(tmp_path: Path):
    days = Days(tmp_path, EVENTS, "Asia/Tokyo")
    days.add(rows((1, "a"), (5, "b"), place=1), "0-1")
    days.join()
    days.add(rows((3, "c"), (1, "a"), place=2), "0-2")
    assert days.join() == ["2026-04-02"]
    assert read(tmp_path, "2026-04-02") == ["a", "c", "b"]
    assert read(tmp_path, "2026-04-02", "place") == [1, 2, 1]


def test_of_findings_the_one_that_came_last_stays(tmp_path: Path):
    days = Days(tmp_path, FINDINGS, "Asia/Tokyo")
    for part, queue in (("1", "alert"), ("2", "digest")):
        days.add(pl.DataFrame({"created": [MIDNIGHT], "uid": ["f"], "queue": [queue]}), part)
    days.join()
    assert pl.read_parquet(tmp_path / "findings" / "2026-04-02.parquet")["queue"].to_list() == ["digest"]


def test_older_files_with_fewer_columns_are_joined(tmp_path: Path):
    days = Days(tmp_path, EVENTS, "Asia/Tokyo")
    days.add(rows((1, "a")), "1")
    days.join()
    days.add(rows((2, "b"), message="m"), "2")
    days.join()
    assert read(tmp_path, "2026-04-02", "message") == [None, "m"]


def test_what_a_crash_left_does_no_harm(tmp_path: Path):
    days = Days(tmp_path, EVENTS, "Asia/Tokyo")
    days.add(rows((1, "a"), (2, "b")), "1")
    part = next((tmp_path / "events").glob(".*.parquet"))
    again = part.read_bytes()
    days.join()
    part.write_bytes(again)  # joined, and not removed any more
    (tmp_path / "events" / ".2026-04-02.0000.tmp").write_bytes(b"half")
    days.add(rows((1, "a"), (2, "b")), "1")
    days.join()
    assert read(tmp_path, "2026-04-02") == ["a", "b"]
    assert len(list((tmp_path / "events").iterdir())) == 1


@given(
    parts=st.lists(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 30)), max_size=12), max_size=5),
    slice_rows=st.integers(1, 20),
)
def test_a_day_in_slices_is_the_day_at_once(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, int]]], slice_rows: int
):
    # The same id always has the same time.
    placed = [[(identity % 24, f"e{identity:02}") for _, identity in part] for part in parts]
    folder = tmp_path_factory.mktemp("days")
    days = Days(folder, EVENTS, "Asia/Tokyo", slice_rows=slice_rows)
    for number, part in enumerate(placed):
        days.add(rows(*part, place=number), f"{number:05}")
        if number % 2:
            days.join()
    days.join()

    expected: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(placed):
        for hour, name in part:
            expected.setdefault(name, (hour, number))
    found = list(folder.glob("events/*.parquet"))
    assert len(found) == bool(expected)
    if expected:
        names = sorted(expected, key=lambda name: (expected[name][0], name))
        assert read(folder, "2026-04-02") == names
        assert read(folder, "2026-04-02", "place") == [expected[name][1] for name in names]


def test_only_what_is_ours_is_removed(tmp_path: Path):
    days = Days(tmp_path, EVENTS, "Asia/Tokyo")
    days.clear()
    days.add(rows((1, "a")), "1")
    days.join()
    days.add(rows((1, "b")), "1")
    (tmp_path / "events" / "notes.txt").write_text("mine")
    days.clear()
    assert [path.name for path in (tmp_path / "events").iterdir()] == ["notes.txt"]
