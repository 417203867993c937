"""What tests of sections share: sources over an office written by hand, and its section looked up block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from audit.catalogue import Catalogue
from audit.report import model
from audit.report.draft import Draft
from audit.report.sources import Period, Sources, gather
from audit.wording import Language
from tests.audit.office import Office, at, date

MARCH = Period("2026-03", at(date(2026, 3, 1), "00:00:00"), at(date(2026, 4, 1), "00:00:00"))
LATER = at(date(2026, 4, 8), "09:00:00")


def sources(
    office: Office, folder: Path, language: Language = "ja", period: Period = MARCH, catalogue: Catalogue | None = None
) -> Sources:
    """Everything that a report of March is written from, without a database."""
    folder.mkdir(exist_ok=True)
    out, site = office.write(folder)
    return gather(out, site, period, LATER, language, catalogue=catalogue)


class Written:
    """A section, and what it says under an id."""

    def __init__(self, section: model.Section, draft: Draft) -> None:
        self.section, self.draft = section, draft
        self.tables = {one.id: one for one in section.blocks if isinstance(one, model.Table)}
        self.charts = {one.id: one for one in section.blocks if isinstance(one, model.Chart)}
        self.figures = {
            one.id: one for block in section.blocks if isinstance(block, model.Figures) for one in block.figures
        }
        self.notices = [one for one in section.blocks if isinstance(one, model.Notice)]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of a table by the heads of its columns."""
        table = self.tables[name]
        heads = [column.name for column in table.columns]
        return [dict(zip(heads, row, strict=True)) for row in table.rows]

    def value(self, name: str) -> model.Cell:
        """What a figure says."""
        return self.figures[name].value

    def behind(self, name: str) -> list[str]:
        """Ids of the events behind a figure or a table, sorted."""
        found = self.draft.remembered[name].select("event.id").collect()["event.id"]
        assert found.n_unique() == found.len()
        return found.sort().to_list()

    def all_is_well_formed(self) -> None:
        """Cells are of their kinds, ids are the section's own and not there twice, charts hold their data."""
        ids = [*self.tables, *self.figures, *self.charts]
        assert len(set(ids)) == len(ids)
        assert all(name.startswith(f"{self.section.id}.") for name in ids)
        assert set(self.draft.remembered) <= set(ids)
        for table in [*self.tables.values(), *(chart.data for chart in self.charts.values())]:
            for row in table.rows:
                for cell, column in zip(row, table.columns, strict=True):
                    assert cell is None or _fits(cell, column.kind), (table.id, column.name, cell)
        for name in self.draft.remembered:
            assert self.draft.remembered[name].collect_schema().get("event.id") == pl.String


def _fits(cell: model.Cell, kind: model.Kind) -> bool:
    if kind in ("integer", "moment", "duration"):
        return isinstance(cell, int) and not isinstance(cell, bool)
    if kind in ("decimal", "share"):
        return isinstance(cell, int | float)
    return isinstance(cell, str) and (kind != "day" or date.fromisoformat(cell).isoformat() == cell)
