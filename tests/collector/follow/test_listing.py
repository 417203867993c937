"""Which files a pattern means, and which of them are one log."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.follow.listing import Folders, family_name, matches


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("app.log", "app.log"),
        ("app.log.1", "app.log"),
        ("app.log.12.gz", "app.log"),
        ("app.log-20261123", "app.log"),
        ("app.log-20261123-14.gz", "app.log"),
        ("app.log.2026-11-23_0000.gz", "app.log"),
        ("app-20261123.log.gz", "app.log"),
        ("app.3.log", "app.log"),
        ("app-1.log", "app-1.log"),
        ("web1.log", "web1.log"),
        ("app.log.old", "app.log"),
        ("app.log.bak.gz", "app.log"),
        ("20261123.log", "20261123.log"),
        ("messages-20261123", "messages"),
        (".1", ".1"),
        ("1", "1"),
    ],
)
def test_the_name_without_what_rotation_added(name: str, family: str):
    assert family_name(name) == family


def test_globs(tmp_path: Path):
    for name in ("a/b/c/x.log", "a/y.log", "a/.hidden.log", "a/z.txt", "a/b/[1].log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(glob: str) -> list[str]:
        pattern = str(tmp_path / glob)
        paths = Folders().expand(pattern)
        assert all(matches(pattern, path) for path in paths)
        return [str(Path(path).relative_to(tmp_path)) for path in paths]

    assert found("a/*.log") == ["a/y.log"]
    assert found("a/**/*.log") == ["a/b/[1].log", "a/b/c/x.log", "a/y.log"]
    assert found("**/x.log") == ["a/b/c/x.log"]
    assert found("a/?.???") == ["a/y.log", "a/z.txt"]
    assert found("a/y.log") == ["a/y.log"]
    assert found("nothing/*/x") == []
    assert not matches("/a/*.log", "/a/b/c.log")
