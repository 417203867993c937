from __future__ import annotations

import gzip
import os
from pathlib import Path

import polars as pl

from collector import ingest
from collector.sources import shipped
from registers.tokens import SiteKey

GOOD = b'192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n'


def test_bad_files_are_each_told_in_a_line_and_the_rest_is_read(read, tmp_path: Path):
    (tmp_path / "good.log").write_bytes(GOOD)
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "core").write_bytes(b"\0" * 1000)
    (tmp_path / "notes.txt").write_bytes(b"hello\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(3000).hex().encode() + b"\n" + GOOD)[:-30])
    (tmp_path / "nul.log").write_bytes(GOOD + b"\0\0\n" + GOOD)

    parsed, problems = read(tmp_path, tmp_path / "missing")

    assert {piece.name: (piece.events.height, piece.rejected.height) for piece in parsed} == {
        "good.log": (1, 0), "nul.log": (2, 1),
    }  # fmt: skip
    assert len(problems) == 6
    for name in (
        "empty.log: is empty",
        "binary: is binary",
        "core: is binary",
        "notes.txt: is of no known source",
        "cut.gz: ",
    ):
        assert any(problem.startswith(name) for problem in problems), (name, problems)
    assert any("missing: there is no such file" in problem for problem in problems)


def test_an_unreadable_file_is_told(read, tmp_path: Path):
    path = tmp_path / "a.log"
    if os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")  # root may read everything, but not the first byte of this
    else:
        path.write_bytes(GOOD)
        path.chmod(0)

    parsed, problems = read(tmp_path)

    assert parsed == []
    assert problems[0].startswith("a.log: cannot be read (")


def test_a_huge_line_is_refused_in_bounded_memory(read, tmp_path: Path):
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        file.write(GOOD)
        for _ in range(40):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + GOOD)

    parsed, _ = read(path)

    assert sum(piece.events.height for piece in parsed) == 2
    bad = pl.concat([piece.rejected for piece in parsed])
    assert bad.select("source.position", "reason", "detail").rows() == [
        (f"a.log:{len(GOOD)}", "too_long", "40.0 MiB; a line of more than 1 MiB is not read")
    ]
    assert len(bad.get_column("line")[0]) == 500


def test_a_named_source_is_not_guessed(read, declare, tmp_path: Path):
    path = tmp_path / "a.log"
    path.write_bytes(GOOD)

    parsed, _ = read(path, source=declare('id="mine"\nformat="syslog"\n'))

    assert [(piece.source, piece.events.height, piece.rejected.height) for piece in parsed] == [("mine", 0, 1)]


def test_a_file_named_twice_is_read_once(read, tmp_path: Path):
    path = tmp_path / "a.log"
    path.write_bytes(GOOD)

    parsed, _ = read(path, tmp_path, path)

    assert len(parsed) == 1


def test_what_is_no_file_is_told_and_never_opened(read, tmp_path: Path):
    folder = tmp_path / "logs"
    (folder / "old").mkdir(parents=True)
    (folder / "good.log").write_bytes(GOOD)
    os.mkfifo(folder / "pipe")
    (folder / "gone.log").symlink_to(tmp_path / "nowhere")
    (folder / "old" / "round").symlink_to(folder)
    (tmp_path / "empty").mkdir()

    parsed, problems = read(folder, tmp_path / "empty")

    assert [piece.name for piece in parsed] == ["good.log"]
    assert sorted(problems) == sorted(
        [
            "pipe: is a pipe, socket or device, not a file: write what comes out of it to a file first",
            "gone.log: is a link to nothing: remove it",
            f"{folder / 'old' / 'round'}: is a link to a folder, not followed: name that folder",
            f"{tmp_path / 'empty'}: no file is in this folder: check the path",
        ]
    )


def test_a_file_name_may_be_any_bytes(read, tmp_path: Path):
    """CP932 from a zip made on Windows; signs that would move the cursor of a terminal."""
    for name in (b"\x83\x8d\x83O.log", b"\x1b[2J.log"):
        Path(os.fsdecode(bytes(tmp_path / "x")[:-1] + name)).write_bytes(GOOD)

    parsed, problems = read(tmp_path)

    assert problems == []
    assert [piece.name for piece in parsed] == ["\\x1b[2J.log", "\\x83\\x8d\\x83O.log"]
    assert [piece.events["source.position"][0] for piece in parsed] == ["\\x1b[2J.log:0", "\\x83\\x8d\\x83O.log:0"]


def test_a_year_that_was_assumed_is_a_note_and_one_that_was_given_is_none(tmp_path: Path):
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("Apr  1 08:00:00 h a: x\n", encoding="utf-8")

    def read(year: int | None) -> tuple[list[str], list[str]]:
        problems: list[str] = []
        notes: list[str] = []
        key = SiteKey(b"k" * 32)
        parsed = ingest.ingest(
            [tmp_path], shipped(), key, "UTC", problems=problems, notes=notes, reference_year=year
        )  # fmt: skip
        assert sum(piece.events.height for piece in parsed) == 2
        return problems, notes

    assert read(2026) == ([], [])
    problems, notes = read(None)
    assert problems == []
    assert notes == [
        "a.log and 1 more: stamps have no year, 2000 was taken for the first one: "
        "if it is another, say so (--year, or assume_year in a source file)"
    ]
