"""The events behind a figure, as a person may see them: tokens, never ids of people on file; texts were masked when they were read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl
from rich.table import Table
from rich.text import Text

from audit.report.draft import EVENT, Draft
from audit.report.make import SECTIONS
from audit.report.sources import Sources
from registers.text import did_you_mean
from service.printable import printable

COLUMNS: Final = (
    "time.occurred", "system.id", "actor.id", "event.action", "op.code", "subject.token", "event.outcome", "explained", EVENT,
)  # fmt: skip
_ASKED: Final = 1_000_000  # events that are listed at most


class Unexplained(ValueError):
    """Nothing of this id has events behind it; the message says what has."""


def events(of: str, sources: Sources) -> pl.DataFrame:
    """The events behind a figure, a table, a chart, a promise or a finding.

    Args:
        of: Its id, as the report shows it.
        sources: What the report was written from.

    Returns:
        `COLUMNS`, in order of time and id; events that are not of the folder any more are left out.

    Raises:
        Unexplained: There is nothing of this id, or no event is behind it.
    """
    wanted = _of_finding(of, sources)
    if wanted is None:
        wanted = _of_section(of, sources)
    mine = wanted.select(EVENT).unique()
    found = sources.history.join(mine, on=EVENT, how="semi").select(COLUMNS).unique(EVENT)
    return found.head(_ASKED).collect(engine="streaming").sort("time.occurred", EVENT)


def table(rows: pl.DataFrame, zone: ZoneInfo) -> Table:
    """The same for a terminal, times as the site's clocks show them."""
    out = Table(box=None, pad_edge=False)
    for name in ("time", "system", "actor", "action", "function", "subject", "outcome", "reason", "event"):
        out.add_column(name, no_wrap=True)
    for at, *rest in rows.iter_rows():
        when = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
        out.add_row(f"{when:%Y-%m-%d %H:%M:%S}", *(Text(printable(one or "")) for one in rest))
    return out


def _of_finding(uid: str, sources: Sources) -> pl.LazyFrame | None:
    found = sources.month.findings.in_full([uid])
    if not found:
        return None
    related = sorted(one["uid"] for one in found[0]["finding_info"]["related_events"])
    return pl.LazyFrame({EVENT: related}, schema={EVENT: pl.String})


def _of_section(of: str, sources: Sources) -> pl.LazyFrame:
    """Only the sections that may hold it are written again."""
    named = of.partition(".")[0]
    draft = Draft()
    for name, section in SECTIONS.items():
        if name == named or (named not in SECTIONS and name == "promises"):
            section(sources, draft)
    if of not in draft.remembered:
        known = sorted(draft.remembered)
        hint = did_you_mean(of, known) or (f": one of {', '.join(known[:20])}" if known else "")
        raise Unexplained(f"{of!r} has no events behind it{hint}")
    return draft.remembered[of]
