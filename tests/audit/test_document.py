"""docs/controls.md names every table and column there is, and its example is a control that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit import catalogue, document, tables
from audit.controls import Outcome, Scope, judge
from contract import event
from registers.register import REGISTERS
from tests.audit.office import WELFARE, WORKING, at, good

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/controls.md"


@pytest.fixture
def read(tmp_path: Path) -> tables.Tables:
    return tables.read(*good().write(tmp_path))


def _rows() -> dict[str, set[str]]:
    """First cell → names in backquotes in its last cell, of every row whose first cell is one name in backquotes."""
    found: dict[str, set[str]] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"`[a-z_]+`", cells[0]):
            found[cells[0].strip("`")] = set(re.findall(r"`([a-z_.]+)`", cells[-1]))
    return found


def test_every_table_and_column_stands_in_the_document(read):
    told = _rows()
    scope = Scope.of(read, "kanagawa-9")
    names = [*read.frames, "scope"]

    assert set(names) <= set(told)
    for name in names:
        columns = set(scope.context.execute(f"SELECT * FROM {name}").collect_schema().names())
        columns -= set(event.KEYS) if name == "events" else {"valid_from", "valid_to"} if name in REGISTERS else set()
        assert columns == told[name] - {"*"}, name


def test_the_example_is_a_control(tmp_path):
    office = good()
    office.event(at(WORKING[3], "23:10:00"), WELFARE[0], "welfare", "read")
    read = tables.read(*office.write(tmp_path))
    folder = tmp_path / "controls"
    folder.mkdir()
    example = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    (folder / "kanagawa-9.yml").write_text(example[1].replace("town-1", "kanagawa-9"), encoding="utf-8")

    loaded = catalogue.load(folder)
    assert loaded.problems == ()
    [verdict] = judge(read, loaded.assessments.values())

    assert (verdict.verdict, verdict.number) == (Outcome.CHECK, 1)
    assert verdict.examples == (office.events[-1]["event.id"],)


def test_every_shipped_control_is_listed():
    text = DOCUMENT.read_text(encoding="utf-8")
    for pia, one in catalogue.load().assessments.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{pia}`"))
        assert re.findall(r"\b(P\d+) ", row) == [control.id for control in one.controls]


def test_the_page_of_options_is_current():
    for path, text in document.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m audit.document`"
