"""Tables are made of segments, and the same again whenever that is asked for."""

from __future__ import annotations

import fcntl
import json
import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from audit import tables
from contract import decision, event, topics, wire
from contract.decision import DecisionKind
from contract.finding import example
from contract.partition import partitions_of
from detector.archive import derive, sittings
from detector.archive.derive import DamagedError
from detector.archive.framing import Kept
from detector.archive.segments import Segments
from detector.archive.signing import Signer
from detector.archive.store import Folder
from registers.site import Site
from simulator import office
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
        into.close(NOON + n * 12 * HOUR)
        if n % 3 == 0:
            derive.derive(Folder(tmp_path), out, ZONE)
    last = derive.derive(Folder(tmp_path), out, ZONE)
    nothing = derive.derive(Folder(tmp_path), out, ZONE)
    grown = {path: path.read_bytes() for path in out.rglob("*.*")}
    anew = derive.derive(Folder(tmp_path), out, ZONE, again=True)

    assert (last.segments, last.refused, nothing.segments) == (2, {"events": 1}, 0)
    assert (anew.segments, anew.rows["events"]) == (len(lying), 110)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == grown
    assert (stored(out).height, stored(out, "sessions").height) == (70, 70)


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


def test_decisions_stand_in_the_day_of_their_time_each_once_and_the_report_reads_them(tmp_path: Path):
    case, exception = decision.example(), decision.example(DecisionKind.EXCEPTION)
    later = exception | {"time": case["time"] + 24 * HOUR, "until": case["time"]}
    withdrawn, first, allowed = (decision.to_json(one).encode() for one in (later, case, exception))
    poison = [b"", b"{}", b"\xff", json.dumps(case | {"reason": "\ud800"}).encode()]
    archive(tmp_path, topics.DECISIONS.name, [[first, *poison, allowed], [first, withdrawn]], hours=2)
    out = tmp_path / "out"

    made = derive.derive(Folder(tmp_path), out, ZONE)
    whole = {path: path.read_bytes() for path in out.rglob("*.parquet")}
    derive.derive(Folder(tmp_path), out, ZONE, again=True)

    assert (made.rows["decisions"], made.refused["decisions"]) == (4, 4)
    assert made.days["decisions"] == ["2026-04-02", "2026-04-03"]
    assert {path: path.read_bytes() for path in out.rglob("*.parquet")} == whole
    rows = stored(out, "decisions").to_dicts()
    wanted = [case, exception, later]
    assert sorted(row["decision"] for row in rows) == sorted(map(decision.name, wanted))
    for row in rows:
        [one] = [one for one in wanted if decision.name(one) == row["decision"]]
        assert row == dict.fromkeys(row) | {key: one[key] for key in one if key != "version"} | {
            "decision": row["decision"]
        }
    (out / "events").mkdir(exist_ok=True)
    (out / "decisions.ndjson").write_bytes(first + b"\n")
    asked = tables.read(out, Site.none()).frames["decisions"].collect()
    assert asked.columns == list(tables.DECISIONS)
    assert sorted(asked["outcome"]) == sorted([case["outcome"], *(one["outcome"] for one in wanted)])


def test_sessions_are_those_of_analyze(tmp_path: Path):
    office.simulate(tmp_path / "town", seed=8, days=8, staff=40, start=date(2026, 3, 16))
    options = ["--site", tmp_path / "town" / "site", "--json"]
    ran = sekimori(tmp_path, "analyze", tmp_path / "town" / "logs", *options, out=tmp_path / "ran")
    found = pl.concat([pl.read_parquet(path) for path in sorted((tmp_path / "ran" / "events").glob("*.parquet"))])
    places = partitions_of(found["actor.id"], "agent", 3)
    lying = []
    for number in range(3):
        lines = wire.encode_lines(found.filter(places == number).select(event.KEYS).sort("op.code", "event.id"))
        lying.append([wire.joined(lines[at : at + 500]) for at in range(0, len(lines), 500)])
    archive(tmp_path / "archive", topics.EVENTS.name, lying)
    told = [json.dumps(one, ensure_ascii=False).encode() for one in ran.rows("findings.ndjson")]
    archive(tmp_path / "archive", topics.FINDINGS.name, [told])

    assert (
        sekimori(tmp_path, "archive", "tables", tmp_path / "archive", "--site", tmp_path / "town" / "site").status == 0
    )

    sessions = stored(tmp_path / "archive", "sessions").sort("first", "session")
    same = ["session", "actor.id", "system.id", "src.device", "first", "last", "events", "subjects", "queue", "finding"]
    assert sessions.select(same).equals(pl.read_parquet(ran.folder / "sessions.parquet").select(same))
    risks = {one["finding_info"]["uid"]: one["risk_score"] for one in ran.rows("findings.ndjson")}
    judged = sessions.drop_nulls("finding")
    assert judged["risk"].to_list() == [risks[uid] for uid in judged["finding"]]
    assert set(judged["queue"]) >= {"alert", "review"}
    taken = found.filter(pl.col("event.action").is_in(["export", "copy", "send", "print"]))
    assert (sessions["exports"].sum(), sessions["rows.out"].sum()) == (taken.height, taken["resource.count"].sum())
    assert taken.height


def test_sessions_wait_until_every_partition_is_signed_beyond_their_day(tmp_path: Path):
    one = values(0, 10)[:1]
    night = NOON + 24 * HOUR
    early = Segments(Folder(tmp_path), topics.EVENTS.name, 0, Signer(PRIVATE), NOON, partitions=2)
    early.append([Kept(0, NOON, None, one[0], ())], NOON)
    early.close(night)
    waiting = derive.derive(Folder(tmp_path), tmp_path / "out", ZONE)
    late = Segments(Folder(tmp_path), topics.EVENTS.name, 1, Signer(PRIVATE), NOON, partitions=2)
    late.close(NOON + HOUR)
    still = derive.derive(Folder(tmp_path), tmp_path / "out", ZONE)
    Segments(Folder(tmp_path), topics.EVENTS.name, 1, Signer(PRIVATE), night, partitions=2).close(night)
    made = derive.derive(Folder(tmp_path), tmp_path / "out", ZONE)

    assert (waiting.days["sessions"], still.days["sessions"], made.days["sessions"]) == ([], [], ["2026-04-02"])
    assert made.rows["sessions"] == 10


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


def test_every_column_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "operations" / "archive.md").read_text(encoding="utf-8")
    documented = page.split("**Findings**")[1].split("## A segment")[0]
    parts = re.split(r"\*\*Decisions\*\*|\*\*Sessions\*\*", documented)
    for schema, text in zip((derive.COLUMNS, derive.DECISION_COLUMNS, sittings.TABLE), parts, strict=True):
        cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ") and "| meaning" not in line]
        assert [name.strip() for cell in cells for name in cell.split(",")] == list(schema)
