"""Bad input at the level of the command: a line says what, where and what to do; the rest is done; the status tells."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commands import archive
from contract import event
from detector import core, npz
from registers import site as sites
from tests import command
from tests.command import GOOD, Ran

Run = Callable[..., Ran]

RULE = """
title: Record read
id: 8361dd80-f253-51f8-ac9d-ff92b51aaa2c
name: {name}
status: test
description: For a test.
author: Sekimori
date: 2026-04-01
logsource: {{product: sekimori, category: event}}
detection:
  selection: {{{column}: read}}
  condition: selection
level: low
sekimori:
  family: relation
  {precision}: 0.5
  title: 閲覧
  text: {{ja: "閲覧", en: "read"}}
  check_first: {{ja: "なし", en: "nothing"}}
"""


# Files


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


# What is declared


def test_a_site_with_flaws_is_used_as_far_as_it_goes(run: Run, logs: Path, tmp_path: Path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.toml").write_text('name = "架空市"\n', encoding="utf-8")
    (site / "staff.csv").write_text(
        "actor_id,type,start,end,colour\n1000,staff,R2.4.1,,red\n1001,staff,R8.13.1,,blue\n", encoding="utf-8"
    )
    (site / "permissions.csv").write_text("system,function\nwelfare,*\n", encoding="utf-8")
    (site / "bases.csv").write_bytes(b"\0\xff" * 100)
    (site / "stuff.csv").write_text("a\n1\n", encoding="utf-8")

    ran = run(logs, "--site", site)

    assert ran.status == 1
    assert ran.summary["events"] == 20
    ran.says("problem: staff.csv: line 3: start: 'R8.13.1' is no date: row not used")
    ran.says("problem: permissions.csv: column actor_id missing: the register is not used; add it to the header line")
    ran.says("problem: bases.csv: is no text in UTF-8 or CP932")
    ran.says("note: staff.csv: column 'colour' is not used")
    ran.says('note: stuff.csv: is not used, no register has that name, did you mean "staff.csv"?')
    ran.says("note: 2 actors are in no register (1001, 1002): add them to staff.csv or accounts.csv")
    needs = ran.says("checks could not run in full; missing: ")
    assert all(need in needs for need in ("permissions", "bases", "staff.dept"))


def test_a_missing_column_and_an_unknown_actor_are_notes(run: Run, logs: Path, tmp_path: Path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "staff.csv").write_text("actor_id,type\n1000,staff\n1001,staff\n", encoding="utf-8")

    ran = run(logs, "--site", site)

    assert ran.status == 0
    ran.says("note: site.toml: not there")
    ran.says("note: 1 actors are in no register (1002)")
    assert "staff.dept" in ran.says("checks could not run in full; missing: ")


def test_all_that_is_wrong_beforehand_is_said_at_once(run: Run, logs: Path, tmp_path: Path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.toml").write_text(
        'nmae = "x"\n[limits]\nidle_minutes = 15\n[[emergencies]]\nname = "x"\nfrom = "R8.13.1"\n', encoding="utf-8"
    )
    (tmp_path / "mine.toml").write_text(
        'id = "mine"\nformat = "delimited"\ntime = "t"\nencodng = "utf-8"\n', encoding="utf-8"
    )
    (tmp_path / "model").write_bytes(os.urandom(100))
    (tmp_path / "file").write_text("mine", encoding="utf-8")

    ran = run(
        logs, "--site", site, "--sources", tmp_path / "mine.toml", "--model", tmp_path / "model",
        "--rules", tmp_path / "norules", "--save-model", tmp_path / "no" / "model", out=tmp_path / "file",
    )  # fmt: skip

    assert ran.status == 2
    assert ran.out == ""
    ran.says(f"--site {site}: site.toml: nmae: unknown key", 'did you mean "name"?')
    ran.says(f"--site {site}: site.toml: limits.idle_minutes: unknown key", 'did you mean "idle_min"?')
    ran.says(f"--site {site}: site.toml: emergencies", "R8.13.1")
    ran.says('--sources: mine.toml: encodng: unknown key, did you mean "encoding"?')
    ran.says(f"--model {tmp_path / 'model'}: no model of Sekimori, or damaged", "--save-model")
    ran.says(f"{tmp_path / 'norules'}: no such folder; --rules takes")
    ran.says(f"--save-model {tmp_path / 'no' / 'model'}: there is no folder")
    ran.says(f"--out {tmp_path / 'file'}: ", "is there and is no folder; choose another --out")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_bad_rule_is_refused_by_file_and_line_and_the_others_run(run: Run, logs: Path, tmp_path: Path):
    book = tmp_path / "rules"
    texts = {
        "good": RULE.format(name="good", column="event.action", precision="precision"),
        "slip": RULE.format(name="slip", column="event.action", precision="precison"),
        "silent": RULE.format(name="silent", column="event.acton", precision="precision"),
        "mad": "title: [\n",
    }
    for name, text in texts.items():
        (book / name).mkdir(parents=True)
        (book / name / "rule.yml").write_text(text, encoding="utf-8")
    (book / "binary").mkdir()
    (book / "binary" / "rule.yml").write_bytes(b"\xff\0")

    ran = run(logs, "--rules", book)
    checked = command.sekimori(tmp_path, "rules", "check", "--rules", book)

    assert (ran.status, checked.status) == (1, 1)
    assert ran.summary["events"] == 20
    for one in (ran, checked):
        one.says("refused: slip/rule.yml:", 'sekimori.precison: unknown key, did you mean "precision"?')
        one.says("refused: silent/rule.yml:10: event.acton is no column", 'did you mean "event.action"?')
        one.says("refused: mad/rule.yml:2: is no YAML")
        one.says("refused: binary/rule.yml:1: is not UTF-8")
    checked.says("1 rules loaded, 4 refused")


def test_a_rule_book_without_a_rule_is_none(run: Run, logs: Path, tmp_path: Path):
    (tmp_path / "rules").mkdir()

    ran = run(logs, "--rules", tmp_path / "rules")

    assert ran.status == 2
    ran.says("holds no rule that can be used; give a folder of rule folders")


def _numpy(path: Path) -> None:
    np.savez(path.open("wb"), a=np.zeros(3))


def _forest(path: Path) -> None:
    path.write_bytes(npz.dumps("forest", 1, {}, {"a": np.zeros(3)}))


def _hollow(path: Path) -> None:
    path.write_bytes(npz.dumps("model", 1, {"features": ["n.read"]}, {}))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (None, "No such file"),
        (Path.mkdir, "Is a directory"),
        (_numpy, "no model of Sekimori, or damaged"),
        (_forest, "expected a model, found 'forest'"),
        (_hollow, "a part is missing"),
    ],
)
def test_a_foreign_model_is_refused(
    run: Run, logs: Path, tmp_path: Path, make: Callable[[Path], None] | None, says: str
):
    if make is not None:
        make(tmp_path / "model")

    ran = run(logs, "--model", tmp_path / "model")

    assert ran.status == 2
    line = ran.says(says)
    assert line.startswith(f"--model {tmp_path / 'model'}: ")
    assert line.endswith("`sekimori analyze --save-model FILE` makes one")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--site", "nowhere"], "--site nowhere: cannot be read (No such file or directory): give the folder"),
        (["--source", "weblog"], "--source weblog: no such source"),
        (["--sources", "nowhere"], "nowhere: cannot be read (No such file or directory): give a TOML file"),
        (["--year", "26"], "argument --year: '26' is no whole number from 1970 to 9998"),
        (["--seed", "x"], "argument --seed: 'x' is no whole number from 0 to 4294967295"),
        (["--max-refused", "nan"], "argument --max-refused: 'nan' is no number from 0 to 1"),
    ],
)
def test_a_wrong_option_is_named(run: Run, logs: Path, options: list[str], says: str):
    ran = run(logs, *options)

    assert ran.status == 2
    ran.says(says)


# Parts


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


def test_a_stray_year_does_not_count_the_staff_day_by_day():
    staff = pl.DataFrame(
        {
            "actor_id": ["a", "b", "b"],
            "type": ["staff"] * 3,
            "start": [None, 0, 86_400_000 * 400],
            "end": [None, 86_400_000 * 365, None],
        }
    )
    none = sites.Site.none()
    table = pl.concat([none.tables["staff"], staff.cast({"start": pl.Int64, "end": pl.Int64})], how="diagonal")
    site = sites.Site(none.config, {**none.tables, "staff": table}, frozenset(), (), (), "", None)

    days = core.staff_by_day(site, pl.DataFrame(), 0, 86_400_000 * 365 * 300)

    assert len(days) == 365 * 300 + 1
    counts = dict(days[:500])
    assert [counts[day] for day in (date(1970, 12, 31), date(1971, 1, 10), date(1971, 3, 1))] == [2, 1, 2]
