"""A site, rules, a model or options that are wrong, at the level of the command: a line says what, where and what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detector import core, npz
from registers import site as sites
from tests import command
from tests.command import Run

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
