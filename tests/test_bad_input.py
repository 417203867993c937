"""Bad files at the level of the command: a line says what, where and what to do; the rest is done; the status tells."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commands import archive
from contract import event
from tests.command import GOOD, Run


def _unreadable(path: Path) -> None:
    """A file that cannot be read: by its permissions, or for root, who may read everything, by what it is."""
    if os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")  # reading its first byte is an input/output error
    else:
        path.write_text(GOOD, encoding="utf-8")
        path.chmod(0)


def test_every_bad_file_is_told_in_a_line_and_the_good_one_is_read(run: Run, logs: Path, tmp_path: Path):
    packed = gzip.compress(GOOD.encode())
    pl.DataFrame({"a": [1]}).write_parquet(logs / "other.parquet")
    broken = (logs / "other.parquet").read_bytes()
    files = {
        "empty.csv": b"",
        "dump.bin": bytes(range(256)) * 40,
        "core": b"\0" * 4096,
        "photo.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)),
        "wide.csv": GOOD.encode("utf-16"),
        "old.zip": b"PK\x03\x04" + bytes(100),
        "LICENSE": b"Apache License\nVersion 2.0\n",
        "damaged.csv.gz": packed[:40] + b"\xff" * 20 + packed[60:],
        "day.parquet": broken[:-10],
        "noise.parquet": b"PAR1 no more",
    }
    for name, data in files.items():
        (logs / name).write_bytes(data)
    _unreadable(logs / "locked.csv")
    os.mkfifo(logs / "pipe")
    (logs / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()

    ran = run(logs, tmp_path / "missing.log", tmp_path / "nothing")

    assert ran.status == 1
    assert ran.summary["events"] == 20
    ran.says("problem: empty.csv: is empty")
    ran.says("problem: dump.bin: is ", "leave it out")
    ran.says("problem: core: is binary, not a log: leave it out")
    ran.says("problem: photo.png: is binary", "leave it out")
    ran.says("problem: wide.csv: is UTF-16: write it as UTF-8 first")
    ran.says("problem: old.zip: is a zip archive: unpack it first")
    ran.says("problem: LICENSE: is of no known source", "--sources")
    ran.says("problem: damaged.csv.gz: gzip is damaged after ")
    ran.says("problem: day.parquet: cannot be read as Parquet", "copy it again")
    ran.says("problem: noise.parquet: cannot be read as Parquet", "copy it again")
    ran.says("problem: other.parquet: is no archive of events, without event.id")
    ran.says("problem: locked.csv: cannot be read (")
    ran.says("problem: pipe: is a pipe")
    ran.says("problem: gone.csv: is a link to nothing")
    ran.says(f"problem: {tmp_path / 'missing.log'}: there is no such file or folder: check the path")
    ran.says(f"problem: {tmp_path / 'nothing'}: no file is in this folder: check the path")
    assert len(ran.rows("runs.ndjson")[0]["problems"]) == 16


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.csv", b"", "empty.csv: is empty"),
        ("missing", None, "there is no such file or folder"),
        ("folder", None, "no file is in this folder"),
        ("day.parquet", b"PAR1", "day.parquet: cannot be read as Parquet"),
    ],
)
def test_where_nothing_can_be_read_the_run_says_so(run: Run, tmp_path: Path, name: str, data: bytes | None, says: str):
    if name == "folder":
        (tmp_path / name).mkdir()
    elif data is not None:
        (tmp_path / name).write_bytes(data)

    ran = run(tmp_path / name)

    assert ran.status == 2
    assert ran.out == ""
    ran.says("nothing could be read")
    ran.says(says)


def test_a_gzip_that_breaks_off_is_read_as_far_as_it_goes(run: Run, tmp_path: Path):
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(GOOD.encode())[:-12])

    ran = run(packed)

    assert ran.status == 1
    assert 0 < ran.summary["events"] <= 20
    ran.says("problem: a.csv.gz: gzip is cut off after ", "copy it again")


def test_lines_of_another_encoding_or_without_a_date_are_refused_alone(run: Run, logs: Path):
    bad = GOOD.encode() + b"2026-04-01 11:00:00,access,read,m\xfcller,welfare,1,WE110\n"
    bad += "R8.13.1 11:00,access,read,1001,welfare,1,WE110\n令和8年4月1日 11:00,access,read,1001,welfare,1,WE110\n".encode()
    (logs / "bad.csv").write_bytes(bad)

    ran = run(logs / "bad.csv")

    assert ran.status == 1
    assert (ran.summary["events"], ran.summary["rejected"]) == (21, 2)
    line = ran.says("refused: bad.csv: 2 of 23 lines refused (encoding 1, time 1), the first at bad.csv:")
    assert "the bytes are no text in the file's encoding (utf-8)" in line
    assert [row["reason"] for row in ran.rows("rejected.ndjson")] == ["encoding", "time"]
    assert "R8.13.1 11:00 is no date" in ran.rows("rejected.ndjson")[1]["detail"]
    # Within the share that the operator finds tolerable it is in order.
    assert run(logs / "bad.csv", "--max-refused", "0.1").status == 0


def test_a_line_of_100_mb_is_refused_and_the_rest_is_read(run: Run, logs: Path):
    with (logs / "long.csv").open("wb") as file:
        file.write(GOOD.encode())
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n2026-04-01 12:00:00,access,read,1001,welfare,1,WE110\n")

    ran = run(logs / "long.csv")

    assert ran.status == 1
    assert (ran.summary["events"], ran.summary["rejected"]) == (21, 1)
    ran.says("refused: long.csv: 1 of 22 lines refused (too_long 1)", "95.4 MiB; a line of more than 1 MiB is not read")
    assert ran.summary["peak_rss_mb"] < 600


def test_a_file_and_its_copy_count_once(run: Run, logs: Path):
    alone = run(logs / "good.csv")
    shutil.copy(logs / "good.csv", logs / "copy.csv")

    ran = run(logs, logs / "good.csv", logs)

    assert (alone.status, ran.status) == (0, 0)
    assert ran.summary["events"] == 20
    ran.says("note: 20 events were given more than once (a file and its copy) and count once")
    assert (ran.folder / "findings.ndjson").read_bytes() == (alone.folder / "findings.ndjson").read_bytes()


def test_an_id_given_to_two_different_events_is_told(run: Run, tmp_path: Path):
    line = '{{"event.id":"e{n}","event.schema":1,"event.class":"access","event.action":"{act}","time.occurred":{at}}}\n'
    at = 1_775_000_000_000
    (tmp_path / "a.ndjson").write_text(
        "".join(line.format(n=n, act=act, at=at) for n, act in ((1, "read"), (1, "delete"), (2, "read"), (2, "read"))),
        encoding="utf-8",
    )

    ran = run(tmp_path / "a.ndjson")

    assert ran.status == 1
    assert ran.summary["events"] == 2
    ran.says("problem: 1 events have the event.id of another, different event and were left out")
    ran.says("note: 1 events were given more than once")


def test_names_of_any_bytes_and_hostile_values_reach_no_terminal(run: Run, tmp_path: Path):
    folder = tmp_path / "logs"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/\x83\x8d\x83O\x1b[2J\n.csv")).write_text(GOOD, encoding="utf-8")
    Path(os.fsdecode(os.fsencode(folder) + b"/\x83\x8d.txt")).write_bytes(b"no log\n")

    ran = run(folder, json=False, env={"PYTHONIOENCODING": "ascii"})

    assert ran.status == 1
    assert "\x1b" not in ran.out
    ran.says("\\x83\\x8d.txt: is of no known source")
    assert ran.rows("runs.ndjson")[0]["events"] == 20


def test_what_an_earlier_run_wrote_is_no_input(run: Run, logs: Path):
    (logs / "out").mkdir()
    first = run(logs, out=logs / "out")
    second = run(logs, out=logs / "out")

    assert (first.status, second.status) == (0, 0)
    assert second.summary["events"] == 20
    refused = run(logs / "out" / "events", out=logs / "out")
    assert refused.status == 2
    refused.says("events: would be written anew by this run; choose another --out")
    assert len(list((logs / "out" / "events").iterdir())) == 1


def test_archived_rows_that_are_no_events_are_refused_alone(tmp_path: Path):
    rows = pl.DataFrame(
        {
            "event.id": ["a", "b", None, "d", "e"],
            "event.schema": [1, 1, 1, 1, 1],
            "event.class": ["access", "access", "access", "excess", "access"],
            "event.action": ["read", "raed", "read", "read", None],
            "time.occurred": [1, 1, 1, 1, -1],
            "more": ["ignored"] * 5,
        }
    )
    rows.write_parquet(tmp_path / "2026-04-01.parquet")

    [piece] = archive.pieces(tmp_path / "2026-04-01.parquet", "x.parquet")

    assert piece.events["event.id"].to_list() == ["a"]
    assert piece.events.schema == event.schema()
    assert piece.rejected.select("source.position", "detail").rows() == [
        ("x.parquet:1", "event.action: missing, or no value of the contract"),
        ("x.parquet:2", "event.id: missing, or no value of the contract"),
        ("x.parquet:3", "event.class: missing, or no value of the contract"),
        ("x.parquet:4", "time.occurred: missing, or no value of the contract"),
    ]


def test_damage_anywhere_in_an_archived_file_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Some damage makes Polars panic, which must neither stop the run nor reach the terminal."""
    rows = pl.DataFrame({key: [f"{n % 7}" for n in range(500)] for key in event.REQUIRED}).with_columns(
        pl.lit(1).alias("event.schema"), pl.lit("access").alias("event.class"), pl.lit(5).alias("time.occurred")
    )
    whole = tmp_path / "whole.parquet"
    rows.write_parquet(whole)
    data = whole.read_bytes()
    rng = np.random.default_rng(4)
    told = []
    for _ in range(60):
        bad = bytearray(data)
        for at in rng.integers(0, len(bad), 3):
            bad[at] = int(rng.integers(0, 256))
        (tmp_path / "bad.parquet").write_bytes(bad)
        try:
            list(archive.pieces(tmp_path / "bad.parquet", "bad.parquet"))
        except archive.Damaged as error:
            told.append(str(error))

    assert len(told) > 20
    assert all(line.startswith("bad.parquet: ") and "\n" not in line for line in told)
    assert capfd.readouterr().err == ""
