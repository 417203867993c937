"""The operators' page of sources: what it shows must load, and what it names must exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from collector.sources import SHIPPED, Source

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations" / "sources.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split('"')[1])
def test_every_example_of_a_source_loads(text: str):
    assert Source.model_validate(tomllib.loads(text)).recognise.pattern


def test_every_source_that_is_named_ships():
    named = {
        name for row in re.findall(r"^\|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE) for name in re.findall("`([^`]+)`", row)
    }
    assert named
    assert named <= {path.stem for path in SHIPPED.glob("*.toml")}


def test_the_example_of_cef_reads_what_it_is_for(read, tmp_path: Path):
    line = (
        "<134>Apr  1 08:30:00 viewer CEF:0|Example|Record Viewer|2|VIEW|view|3|rt=1775000000123 suser=100231 outcome=OK "
        "cs1Label=Resident No cs1=0012345 cs2Label=Ticket cs2=SEI7\n"
    )
    path = tmp_path / "viewer.log"
    path.write_text(line, encoding="utf-8")
    [parsed], _ = read(path, sources=(Source.model_validate(tomllib.loads(EXAMPLES[0])),))
    [event] = parsed.events.to_dicts()
    keys = ("event.class", "event.action", "event.outcome", "actor.id", "basis.ref", "system.id")
    assert tuple(event[key] for key in keys) == ("access", "read", "success", "100231", "SEI7", "viewer")
    assert event["subject.token"].startswith("s_")
