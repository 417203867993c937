from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from collector.sources import SHIPPED, Format, Source, SourceError, load, shipped


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path):
    (tmp_path / "a.toml").write_text(
        'id = "a"\nformat = "delimited"\nencodng = "utf-8"\n[recognise]\nheadr = ["x"]\n', encoding="utf-8"
    )
    (tmp_path / "b.toml").write_text(
        'id = "b"\nformat = "delimited"\n[columns]\n"actor.ids" = "x"\n[constants]\n"event.class" = "acces"\n',
        encoding="utf-8",
    )
    (tmp_path / "c.toml").write_text("id = ", encoding="utf-8")

    with pytest.raises(SourceError) as caught:
        load([tmp_path])

    text = "\n".join(caught.value.problems)
    assert 'a.toml: encodng: unknown key, did you mean "encoding"?' in text
    assert 'a.toml: recognise.headr: unknown key, did you mean "header"?' in text
    assert "b.toml: columns: 'actor.ids' is no key of an event, did you mean \"actor.id\"?" in text
    assert "b.toml: constants: event.class should be one of" in text
    assert "b.toml: time: say which column holds the time" in text
    assert "c.toml: is no valid TOML" in text


@pytest.mark.parametrize("key", ["event.id", "raw.mac", "time.occurred", "subject.step"])
def test_what_the_collector_writes_itself_cannot_be_declared(tmp_path: Path, key: str):
    (tmp_path / "a.toml").write_text(
        f'id="a"\nformat="json"\ntime="t"\n[constants]\n"event.class"="log"\n[columns]\n"{key}"="x"\n', encoding="utf-8"
    )

    with pytest.raises(SourceError, match="written by the collector itself"):
        load([tmp_path])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('recognise.pattern = "(?=x)y"', "recognise.pattern: is no regular expression of RE2: look-around"),
        ('recognise.pattern = "("', "recognise.pattern: is no regular expression of RE2: unclosed group"),
        ('header = false\nnames = ["t", "t"]', "names: 't' stands there twice"),
        ('delimiter = "\\""', "delimiter: '\"' cannot part columns"),
    ],
)
def test_what_would_only_break_on_the_first_line_is_told_before(tmp_path: Path, line: str, problem: str):
    (tmp_path / "a.toml").write_text(
        f'id="a"\nformat="delimited"\ntime="t"\n{line}\n[constants]\n"event.class"="log"\n', encoding="utf-8"
    )

    with pytest.raises(SourceError) as caught:
        load([tmp_path])

    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_a_name_that_reads_as_a_my_number_is_refused(tmp_path: Path):
    (tmp_path / "a.toml").write_text(
        'id="1234-5678-9018"\nformat="json"\ntime="t"\n[constants]\n"event.class"="log"\n', encoding="utf-8"
    )

    with pytest.raises(SourceError, match="id: reads as a My Number"):
        load([tmp_path])


def test_a_folder_without_sources_is_told(tmp_path: Path):
    with pytest.raises(SourceError, match=r"holds no source file \(\*\.toml\)"):
        load([tmp_path])


def test_an_id_cannot_be_given_twice(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text('id = "same"\nformat = "syslog"\n', encoding="utf-8")

    with pytest.raises(SourceError, match="'same' is taken"):
        load([tmp_path])


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_source_loads_and_can_be_recognised(path: Path):
    source = Source.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

    assert source.description
    assert source.recognise.header or source.recognise.pattern


def test_every_format_has_a_shipped_source():
    formats = {source.format for source in shipped()}

    assert formats == set(get_args(Format))
