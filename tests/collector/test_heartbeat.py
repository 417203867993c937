"""What the agent says of itself: enough to tell that nothing is missing, and nothing that should not be told."""

import json
from datetime import date
from pathlib import Path

import polars as pl

from collector.follow.events import Gap
from collector.heartbeat import MOST_FILES, Clock, Tally, gaps, heartbeats
from contract import wire
from contract.sealed import Record
from detector import witness
from detector.witness.summary import summary
from tests.collector.sealing import AGENT, NOON, SITE, beats, enrolled, some, start

MINUTE = 60_000


def events(records: list[Record]) -> pl.DataFrame:
    return pl.concat([wire.decode(record.value).frame for record in records])


def message(frame: pl.DataFrame, row: int = 0) -> dict[str, object]:
    return dict(json.loads(frame["message"][row]))


def test_a_heartbeat_tells_what_was_read_sealed_and_acknowledged(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    opening = beats(sealer)
    some(sealer, 4)
    sealer.acknowledged(opening[:2])
    tally = Tally({"ops.csv": (4, 512)}, rotations=1, gaps=2, rejects={"time": 3, "json": 1})

    frame, places = heartbeats(sealer, SITE, tally, Clock(NOON, 77), 2, "c0ffee", stopping=True)

    assert places.to_list() == [0, 1]
    assert message(frame) == {
        "sealed": 6, "acknowledged": 1, "files": {"ops.csv": [4, 512]}, "rotations": 1, "gaps": 2,
        "rejects": {"json": 1, "time": 3}, "clock": {"utc_ms": NOON, "monotonic_ms": 77}, "config": "c0ffee",
        "stopping": True,
    }  # fmt: skip
    decoded = events(sealer.seal(frame, places, NOON))
    assert decoded["event.class"].to_list() == ["heartbeat"] * 2
    assert set(decoded["time.occurred"]) == {NOON}


def test_every_heartbeat_and_gap_has_an_id_of_its_own(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    lost = Gap("ops", "a.csv", "00" * 32, 0, None, "deleted", "gone")
    frames = [heartbeats(sealer, SITE, Tally(), Clock(NOON, 0), 5, "")[0], gaps(sealer, SITE, [lost] * 3, 0, NOON)[0]]

    ids = pl.concat(frames)["event.id"]

    assert ids.n_unique() == 8
    assert ids.str.contains("^[0-9a-f]{16}$").all()


def test_only_the_first_round_of_a_start_speaks_of_the_starts_before(tmp_path: Path):
    enrolled(tmp_path)
    for _ in range(2):
        sealer = start(tmp_path)
        first, second = events(beats(sealer)), events(beats(sealer))
        sealer.commit()

    assert [one["boot"] for one in message(first, 2)["previous"]] != [sealer.boot]
    assert "previous" not in message(second)


def test_a_my_number_in_a_files_name_is_masked_and_the_many_files_of_a_minute_are_summed_up(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    names = {f"day-{number:05d}.csv": (1, 10) for number in range(MOST_FILES + 49)}

    frame, _ = heartbeats(sealer, SITE, Tally({"123456789018.csv": (2, 20), **names}), Clock(NOON, 0), 1, "")

    files = dict(message(frame)["files"])
    assert len(files) == MOST_FILES + 1
    assert files["(others)"] == [50, 500]
    assert files["[個人番号].csv"] == [2, 20]
    assert "123456789018" not in frame["message"][0]


def test_files_whose_names_are_one_once_they_are_masked_are_counted_together(tmp_path: Path):
    enrolled(tmp_path)
    files = {"123456789018.csv": (2, 20), "234567890121.csv": (3, 30), "other.csv": (1, 10)}

    frame, _ = heartbeats(start(tmp_path), SITE, Tally(files), Clock(NOON, 0), 1, "")

    assert message(frame)["files"] == {"[個人番号].csv": [5, 50], "other.csv": [1, 10]}


def test_a_my_number_in_the_name_or_the_detail_of_a_gap_is_masked(tmp_path: Path):
    enrolled(tmp_path)
    lost = Gap("welfare-ops", "123456789018.csv", "ab" * 32, 0, 9, "deleted", "of 1234-5678-9018.csv")

    frame, _ = gaps(start(tmp_path), SITE, [lost], 0, NOON)

    assert frame["source.position"].to_list() == ["[個人番号].csv:0-9"]
    assert dict(message(frame)["gap"])["detail"] == "of [個人番号].csv"


def test_a_gap_says_which_bytes_are_missing_and_why(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    known = Gap("welfare-ops", "ops.csv", "ab" * 32, 100, 4_199, "truncated", "emptied before it was read")
    unknown = Gap("welfare-ops", "ops.csv", "ab" * 32, 0, None, "deleted", "gone")

    frame, places = gaps(sealer, SITE, [known, unknown], 2, NOON)

    assert places.to_list() == [2, 2]
    assert frame["source.position"].to_list() == ["ops.csv:100-4199", "ops.csv:0-?"]
    assert frame["event.reason"].to_list() == ["truncated", "deleted"]
    assert set(frame["event.outcome"]) == {"failure"}
    told = {"generation": "ab" * 32, "first_byte": 100, "last_byte": 4_199, "detail": "emptied before it was read"}
    assert message(frame)["gap"] == told


def test_no_gaps_make_no_events(tmp_path: Path):
    enrolled(tmp_path)
    frame, places = gaps(start(tmp_path), SITE, [], 0, NOON)
    assert frame.height == len(places) == 0


def seen_by_the_detector(records: list[Record]) -> list[str]:
    day = {"time.date": date(2026, 4, 1), "time.hour": 10, "time.day_off": False}
    frame = events(records).with_columns(pl.lit(value).alias(name) for name, value in day.items())
    limits = witness.Limits(3600, "Asia/Tokyo", lambda day: False)
    last = int(frame["time.occurred"].max())  # type: ignore[arg-type]
    # A hole is told when it is old enough that nothing is on its way any more.
    _, said = witness.advance(witness.State(), summary(frame), last + 30 * MINUTE, limits)
    return said["check"].to_list()


def test_the_detector_finds_the_counts_right_with_gaps_between_heartbeats(tmp_path: Path):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records: list[Record] = []
    lost = Gap("ops", "a.csv", "00" * 32, 0, 9, "truncated", "")
    for minute in range(12):
        at = NOON + minute * MINUTE
        records += beats(sealer, at) + some(sealer, 7 * minute, at_ms=at)
        if minute == 2:
            records += sealer.seal(*gaps(sealer, SITE, [lost], 1, at + 20_000), at) + some(sealer, 3, at_ms=at)

    assert seen_by_the_detector(records) == []
    assert "sequence_gap" in seen_by_the_detector(records[:4] + records[5:])
    assert AGENT in set(events(records)["agent.id"])
