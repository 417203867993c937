from __future__ import annotations

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(read, tmp_path: Path):
    (tmp_path / "a.log").write_bytes(GOOD)
    (tmp_path / "a.log").chmod(0)

    parsed, problems = read(tmp_path)

    assert parsed == []
    assert "cannot be read (Permission denied)" in problems[0]


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
