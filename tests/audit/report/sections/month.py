"""A month to report on, made by hand: the small office, what was found in it, and what people did about that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.cases import Action, Code, Entry
from audit.database import engine
from audit.database.store import Exemption, Store
from audit.report import sources
from audit.report.model import Block, Chart, Figure, Figures, Section, Table
from audit.report.sources import Period, Sources
from audit.wording import Language
from tests.audit.office import ZONE, Office


def at(text: str) -> int:
    """UTC milliseconds of `2026-03-02` or `2026-03-02 09:30` on the office's clocks."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


MARCH = Period("2026-03", at("2026-03-01"), at("2026-04-01"))
MADE = at("2026-04-20 09:00")


def gathered(
    folder: Path,
    office: Office,
    entries: Iterable[Entry] | None = (),
    *,
    exemptions: Iterable[Exemption] = (),
    samples: Iterable[tuple[str, str, int]] = (),
    runs: Iterable[tuple[str, int, Mapping[str, Any]]] = (),
    language: Language = "ja",
    period: Period = MARCH,
    as_of: int = MADE,
) -> Sources:
    """Write an office and what people did, and open it.

    Args:
        folder: Empty.
        office: What is written.
        entries: Of cases; None: there is no audit database.
        exemptions: Exceptions.
        samples: Event, verdict, moment.
        runs: Analyses that were done: name, moment, what the ledger says.
        language, period, as_of: As `sources.gather` takes them.
    """
    out, site = office.write(folder)
    store = None
    if entries is not None:
        store = Store(engine.opened(engine.address("sqlite:///audit.db", folder)))
        for entry in entries:
            store.add(entry)
        for one in exemptions:
            store.allow(one)
        for event, verdict, moment in samples:
            store.judge_sample(period.name, event, verdict, None, "100007", "100007", moment)
        for run, moment, what in runs:
            store.begin_run(run, "analysis", moment, {})
            store.end_run(run, "analysis", moment, what)
    return sources.gather(out, site, period, as_of, language, store=store)


def entry(finding: str, number: int, moment: int, action: Action, **more: Any) -> Entry:
    """Something that 100007 did about a finding, unless it says another."""
    more.setdefault("by", "100007")
    return Entry(finding, number, moment, login=more["by"], action=action, **more)


def closed(finding: str, number: int, moment: int, code: Code) -> list[Entry]:
    """A case that was closed, with a second person where one is needed."""
    out = [entry(finding, number, moment, Action.CLOSE, text="確認した", code=code, reference="受付1")]
    if code == Code.MISUSE:
        out.append(entry(finding, number + 1, moment, Action.CONFIRM, by="100008"))
    return out


def block(section: Section, name: str) -> Block:
    """The table, chart or cards of an id."""
    [found] = [one for one in section.blocks if getattr(one, "id", None) == name]
    return found


def rows(section: Section, name: str) -> list[dict[str, Any]]:
    """Rows of a table, or of what a chart is drawn from, by the heads of their columns."""
    found = block(section, name)
    table = found.data if isinstance(found, Chart) else found
    assert isinstance(table, Table)
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def figures(section: Section) -> dict[str, Figure]:
    """All figures by id."""
    return {one.id: one for some in section.blocks if isinstance(some, Figures) for one in some.figures}


def texts(section: Section) -> str:
    """All that paragraphs and notices say."""
    return "\n".join(one.text for one in section.blocks if one.block in ("paragraph", "notice"))
