"""The page for operators speaks of lines and metrics that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

import sekimori
from collector.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "operations" / "agent.md").read_text(encoding="utf-8")
LINES: Final = PAGE.partition("## What each line means")[2]


@cache
def said_by_the_agent() -> frozenset[str]:
    """Every piece of text in the code; of an f-string what stands between its values."""
    return frozenset(_texts())


def _texts() -> Iterator[str]:
    for path in sorted(path for part in ("collector", "service") for path in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{[\w!]+\}", "…", node.value)


def explained() -> list[str]:
    """What the first column of the table quotes, without what differs from case to case."""
    cells = re.findall(r"^\| (.+?) \|", LINES, re.MULTILINE)[2:]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    return sorted({part.strip(" ;,") for text in quoted for part in text.split("…") if len(part.strip(" ;,")) > 3})


@pytest.mark.parametrize("text", [text for text in explained() if text != "files.N: silent for"])
def test_a_line_that_is_explained_is_one_that_the_agent_says(text: str) -> None:
    assert any(text in said for said in said_by_the_agent())


def test_the_metrics_of_the_suggested_alerts_exist() -> None:
    declared = {one.name for one in Metrics(CollectorRegistry()).declared}
    named = set(re.findall(r"sekimori_collector_\w+", PAGE))

    assert len(named) >= 5
    assert named <= declared


def test_every_file_that_the_page_installs_ships() -> None:
    shipped = {path.name for path in (ROOT / "collector" / "deploy").iterdir()}
    installed = re.findall(r"^(?:cp|install -m \d+ -g \w+) (\S+)", PAGE, re.MULTILINE)

    assert len(installed) >= 3
    assert set(installed) <= shipped


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"sekimori ((?:collect|verify|keys \w+)(?: -{1,2}[a-z]+)?)", PAGE)))
)
def test_every_command_of_the_page_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    *words, option = [*command.split(), ""] if "-" not in command else command.split()

    with pytest.raises(SystemExit) as ended:
        sekimori.main([*words, "--help"])
    assert ended.value.code == 0
    assert option in capsys.readouterr().out
