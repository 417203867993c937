"""Tables are made of segments, and the same again whenever that is asked for."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import polars as pl
import pytest

from contract import event, topics, wire
from contract.finding import example
from detector.archive import derive
from detector.archive.derive import DamagedError
from detector.archive.framing import Kept
from detector.archive.segments import Segments
from detector.archive.signing import Signer
from detector.archive.store import Folder
from tests.collector.sealing import rows
from tests.command import sekimori
from tests.detector.archive.test_segments import HOUR, NOON, PRIVATE

ZONE = "Asia/Tokyo"


def archive(folder: Path, topic: str, values: list[list[bytes]], hours: int = 1) -> None:
    """Partitions with these values, a record each; so many digests."""
    for partition, mine in enumerate(values):
        into = Segments(Folder(folder), topic, partition, Signer(PRIVATE), NOON, partitions=len(values))
        share = -(-len(mine) // hours)
        for hour in range(hours):
            part = range(hour * share, min(len(mine), (hour + 1) * share))
            into.append([Kept(n, NOON, None, mine[n], ()) for n in part], NOON + hour * HOUR)
            into.close(NOON + hour * HOUR)


def values(first: int, last: int) -> list[bytes]:
    """Records of ten events each, one event an hour."""
    frame = rows(last).with_columns((NOON + pl.int_range(pl.len()) * HOUR).alias("time.occurred")).slice(first)
    lines = wire.encode_lines(frame)
    return [wire.joined(lines[at : at + 10]) for at in range(0, len(lines), 10)]


def stored(out: Path, table: str = "events") -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted((out / table).glob("*.parquet"))])


def test_events_of_all_partitions_are_in_their_days(tmp_path: Path):
    archive(tmp_path, topics.EVENTS.name, [values(0, 40), values(40, 100)], hours=2)

    made = derive.derive(Folder(tmp_path), tmp_path / "out", ZONE)

    assert (made.segments, made.rows["events"], made.refused["events"]) == (4, 100, 0)
    assert made.days["events"] == [path.stem for path in sorted((tmp_path / "out" / "events").glob("*.parquet"))]
    found = stored(tmp_path / "out")
    assert found.schema == event.schema()
    assert found["event.id"].to_list() == [f"{n:016x}" for n in range(100)]


def test_it_goes_on_where_it_stood_and_gives_the_same_when_made_anew(tmp_path: Path):
    into = Segments(Folder(tmp_path), topics.EVENTS.name, 0, Signer(PRIVATE), NOON, partitions=1)
    out = tmp_path / "out"
    lying = [*values(0, 60), *values(20, 70), b"no event\n"]
    for n, value in enumerate(lying):
        into.append([Kept(n, NOON, None, value, ())], NOON)
        into.close(NOON + n)
        if n % 3 == 0:
            derive.derive(Folder(tmp_path), out, ZONE)
    last = derive.derive(Folder(tmp_path), out, ZONE)
    nothing = derive.derive(Folder(tmp_path), out, ZONE)
    grown = {path.name: path.read_bytes() for path in (out / "events").iterdir()}
    anew = derive.derive(Folder(tmp_path), out, ZONE, again=True)

    assert (last.segments, last.refused, nothing.segments) == (2, {"events": 1}, 0)
    assert (anew.segments, anew.rows["events"]) == (len(lying), 110)
    assert {path.name: path.read_bytes() for path in (out / "events").iterdir()} == grown
    assert stored(out).height == 70


def test_findings_keep_what_came_and_the_newest_of_each(tmp_path: Path):
    finding = example()
    later = json.loads(json.dumps(finding))
    later["time"] += 1
    later["unmapped"]["queue"] = "digest"
    later["type_uid"], later["activity_id"] = 200402, 2
    lines = [json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in (finding, later)]
    archive(tmp_path, topics.FINDINGS.name, [[*lines, b"{}", b"[]", b"\xff"]])

    made = derive.derive(Folder(tmp_path), tmp_path, ZONE)

    [row] = stored(tmp_path, "findings").to_dicts()
    assert (made.rows["findings"], made.refused["findings"]) == (2, 3)
    assert (row["uid"], row["queue"], json.loads(row["finding"])) == (finding["finding_info"]["uid"], "digest", later)


def test_an_altered_segment_gets_into_no_table(tmp_path: Path):
    archive(tmp_path, topics.EVENTS.name, [values(0, 40)])
    path = next(tmp_path.glob("records/*/*/segments/*"))
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"?")
    with pytest.raises(DamagedError, match="was altered since it was signed: type sekimori verify"):
        derive.derive(Folder(tmp_path), tmp_path / "out", ZONE)
    assert not list((tmp_path / "out" / "events").glob("*.parquet"))
    path.write_bytes(before)
    assert derive.derive(Folder(tmp_path), tmp_path / "out", ZONE).rows["events"] == 40


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path):
    archive(tmp_path, topics.EVENTS.name, [values(0, 10)])
    with (tmp_path / ".derived.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = sekimori(tmp_path, "archive", "tables", tmp_path)
    assert refused.status == 2
    refused.says(f"{tmp_path}: another sekimori archive tables is at work there")
    assert sekimori(tmp_path, "archive", "tables", tmp_path).status == 0


def test_the_command_makes_what_analyze_reads(tmp_path: Path):
    place = tmp_path / "archive"
    archive(place, topics.EVENTS.name, [values(0, 40)])
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.toml").write_text('time_zone = "UTC"\n')

    made = sekimori(tmp_path, "archive", "tables", place, "--site", site)
    again = sekimori(tmp_path, "archive", "tables", place, "--again")
    analysed = sekimori(tmp_path, "analyze", place / "events", "--json", out=tmp_path / "out")

    assert (made.status, again.status) == (0, 0)
    made.says(f"{place / 'events'}: 40 rows of 2 days")  # 40 hours from 1 in the morning on, in UTC
    again.says(f"{place / 'events'}: 40 rows of 3 days")
    assert (analysed.status, analysed.summary["events"]) == (0, 40)


def test_the_command_says_what_it_cannot(tmp_path: Path):
    place = tmp_path / "archive"
    archive(place, topics.EVENTS.name, [[*values(0, 10), b"x"]])
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "site.toml").write_text('time_zone = "Mars"\n')

    refused = sekimori(tmp_path, "archive", "tables", place)
    assert refused.status == 1
    refused.says("10 rows of 1 days, 1 lines are none")
    sekimori(tmp_path, "archive", "tables", place, "--site", bad).says("site.toml: ", "Mars")
    sekimori(tmp_path, "archive", "tables", place, "--site", tmp_path / "no").says("cannot be read")
    sekimori(tmp_path, "archive", "tables", "s3://bucket/x").says("give --out a local folder")
    (place / "derived.json").write_text("{")
    broken = sekimori(tmp_path, "archive", "tables", place)
    assert broken.status == 2
    broken.says("derived.json: cannot be read: make the tables again with --again")
