"""`sekimori report`, as people type it: a month's files, two signatures, the events behind a figure, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from audit.report import files, model
from audit.report.model import Figure, Figures, Report, Signatures
from tests.audit.office import WELFARE, good
from tests.command import Command, table

MONTH = ("--month", "2026-03")
MADE = ("--as-of", "2026-04-20 09:00")
HTML = ("--format", "html")

Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small office whose month keeps every promise, and an `audit.toml`."""
    out, _ = good().write(tmp_path)
    site = next(path for path in tmp_path.rglob("site.toml")).parent
    told = {"site": str(site.relative_to(tmp_path)), "results": str(out.relative_to(tmp_path))}
    (tmp_path / "audit.toml").write_text(table("[audit]", told), encoding="utf-8")
    return tmp_path


@pytest.fixture
def report(folder: Path, sekimori: Command) -> Typed:
    def typed(*words: object, status: int) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = sekimori("report", *words)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return typed


def figures(made: Report) -> dict[str, Figure]:
    return {
        one.id: one
        for section in made.sections
        for block in section.blocks
        if isinstance(block, Figures)
        for one in block.figures
    }


def lines(made: Report) -> Iterator[tuple[str, str | None]]:
    for section in made.sections:
        for block in section.blocks:
            if isinstance(block, Signatures):
                yield from ((line.role, line.by) for line in block.lines)


def test_a_month_is_written_in_all_faces_and_again_in_the_same_bytes(folder: Path, report: Typed):
    said = report(*MONTH, *MADE, status=1)  # no archive is named, so nothing of it was verified
    assert "[archive]" in said.stderr
    made = folder / "reports" / "2026-03"
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    assert sorted(before) == ["report.html", "report.json", "report.pdf", "report.xlsx"]
    assert before["report.pdf"].startswith(b"%PDF-1.7")
    assert before["report.xlsx"].startswith(b"PK")
    told = figures(model.loaded(before["report.json"]))
    results = next(folder.rglob("events")) / "*.parquet"
    rows = pl.read_parquet(results).rows(named=True)
    lines_read = sum(row["event.class"] != "heartbeat" for row in rows)
    assert told["certificate.received"].value == lines_read
    assert f"{lines_read:,}" in said.stdout
    report(*MONTH, *MADE, status=1)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_a_month_that_is_not_over_is_preliminary_and_cannot_be_signed(folder: Path, report: Typed):
    said = report(*MONTH, "--as-of", "2026-03-20", *HTML, status=1)
    assert "速報" in said.stderr
    made = files.read(folder / "reports/2026-03")
    assert made.draft is not None
    assert "preliminary" in report(*MONTH, "--sign", "confirm", "--by", WELFARE[0], status=2).stderr


def test_two_people_sign_the_same_and_nobody_replaces_it_unawares(folder: Path, report: Typed):
    report(*MONTH, *MADE, *HTML, status=1)
    assert "nobody has confirmed" in report(*MONTH, "--sign", "approve", "--by", WELFARE[0], status=2).stderr
    report(*MONTH, "--sign", "confirm", "--by", WELFARE[0], status=0)
    assert "somebody else" in report(*MONTH, "--sign", "approve", "--by", WELFARE[0], status=2).stderr
    assert "no row of staff.csv" in report(*MONTH, "--sign", "approve", "--by", "nobody", status=2).stderr
    report(*MONTH, "--sign", "approve", "--by", WELFARE[1], status=0)
    made = folder / "reports/2026-03"
    assert list(lines(files.read(made))) == [("確認者", WELFARE[0]), ("承認者", WELFARE[1])]
    assert WELFARE[1] in (made / "report.html").read_text(encoding="utf-8")
    before = (made / "report.json").read_bytes()
    assert WELFARE[0] in report(*MONTH, *MADE, *HTML, status=2).stderr
    assert (made / "report.json").read_bytes() == before
    report(*MONTH, "--as-of", "2026-05-01", *HTML, "--again", status=1)
    assert [by for _, by in lines(files.read(made))] == [None, None]


def test_the_events_behind_a_figure_are_listed_and_what_has_none_says_what_has(report: Typed):
    said = report(*MONTH, *MADE, "--explain", "certificate.received", "--json", status=0).stdout
    rows = [json.loads(line) for line in said.splitlines()]
    assert len(rows) > 100
    assert {"time.occurred", "event.id"} <= set(rows[0])
    assert "2 shown" in report(*MONTH, *MADE, "--explain", "certificate.received", "--most", "2", status=0).stdout
    assert "certificate.received" in report(*MONTH, *MADE, "--explain", "certificate.receive", status=2).stderr


def test_an_access_of_the_sample_is_judged_once_it_is_one(report: Typed):
    said = report(*MONTH, *MADE, "--explain", "explained.sample", "--json", status=0).stdout
    first = json.loads(said.splitlines()[0])["event.id"]
    words = ("--judge", first, "--by", WELFARE[0])
    assert "--verdict" in report(*MONTH, *MADE, *words, status=2).stderr
    assert "1 of" in report(*MONTH, *MADE, *words, "--verdict", "proper", status=0).stdout
    other = report(*MONTH, *MADE, "--judge", "f" * 16, "--verdict", "proper", "--by", WELFARE[0], status=2)
    assert "not in the sample" in other.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--month 2026-03"),
        (["--month", "2026-3"], "no month"),
        (["--month", "2026-13"], "no month"),
        (["--month", "2199-01"], "has not begun"),
        (["--period", "2026-03-10", "2026-03-01"], "is before"),
        (["--period", "2026-03-10", "heute"], "no day"),
        ([*MONTH, "--period", "2026-03-01", "2026-03-02"], "leave one out"),
        ([*MONTH, "--as-of", "bald"], "--as-of"),
        ([*MONTH, "--sign", "confirm", "--by", WELFARE[0]], "make the report first"),
        (["--resident", "s_0000000000000000"], "--from"),
        (["--resident", "10000125", "--from", "2026-03-01", "--to", "2026-03-02"], "no token"),
        (["--incident", "f-0000"], "--known-at"),
        (["--incident", "f-0000", "--known-at", "2026-03-20"], "sekimori case list"),
    ],
)
def test_what_cannot_be_made_says_why(report: Typed, words: list[str], says: str):
    assert says in report(*words, status=2).stderr


def test_no_data_at_all_is_said_and_nothing_reads_met(folder: Path, report: Typed):
    report("--month", "2025-01", *MADE, *HTML, status=1)
    made = files.read(folder / "reports/2025-01")
    told = figures(made)
    assert told["certificate.received"].value == 0
    assert "1件もありません" in (folder / "reports/2025-01/report.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_leaves_the_one_before(folder: Path, report: Typed):
    report(*MONTH, *MADE, *HTML, status=1)
    made = folder / "reports/2026-03"
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    (made / ".report.html.part").mkdir()
    assert "reports/2026-03" in report(*MONTH, "--as-of", "2026-05-01", *HTML, status=2).stderr
    (made / ".report.html.part").rmdir()
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_one_assessment_only(folder: Path, report: Typed):
    report(*MONTH, *MADE, "--pia", "sakai-48", *HTML, status=1)
    made = folder / "reports/2026-03_sakai-48"
    text = (made / "report.json").read_text(encoding="utf-8")
    assert '"sakai-48/P1"' in text
    assert '"kanagawa-9/P1"' not in text
    rows = pl.read_parquet(next(folder.rglob("events")) / "*.parquet").rows(named=True)
    welfare = [row for row in rows if row["system.id"] == "welfare"]
    beats = [row for row in rows if row["event.class"] == "heartbeat"]
    assert len(welfare) > 0
    assert figures(files.read(made))["certificate.received"].value == len(rows) - len(welfare) - len(beats)
