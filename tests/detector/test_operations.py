"""The page for operators speaks of lines, options and metrics that exist."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from detector.config import Config
from detector.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "operations" / "detector.md").read_text(encoding="utf-8")
# What the operating system says.
FOREIGN: Final = ("No space left on device",)


def said() -> set[str]:
    """Every piece of text in the code; of an f-string what stands between its values."""
    found = set()
    for path in sorted(path for part in ("detector", "service", "commands") for path in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(re.sub(r"%[sd]|%\.0f", "…", node.value))
    return found


def explained() -> list[str]:
    """What the first column of the table quotes, without what differs from case to case."""
    lines = PAGE.partition("## What each line means")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", lines, re.MULTILINE)[2:]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if text not in FOREIGN]
    return sorted({part.strip(" ;,:") for text in quoted for part in text.split("…") if len(part.strip(" ;,:")) > 3})


@pytest.mark.parametrize("text", explained())
def test_a_line_that_is_explained_is_one_that_the_detector_says(text: str) -> None:
    assert any(text in one for one in said())


def test_the_example_names_options_that_exist() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    for table, options in tomllib.loads(example).items():
        section = Config.model_fields[table].annotation
        known = Config.model_json_schema()["$defs"][table.capitalize()]["properties"]
        assert section is not None
        assert set(options) <= set(known)


def test_metrics_that_are_named_exist() -> None:
    known = {one.name for one in Metrics(CollectorRegistry()).declared}

    named = set(re.findall(r"`(sekimori_detector_\w+)`", PAGE))

    assert named
    assert named <= known
