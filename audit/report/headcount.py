"""How many people are concerned: on file, permitted, seen in the log; as registers say of a moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from registers.asof import as_of
from registers.calendar import Calendar
from registers.site import Site

# Who works without being a person.
MACHINES = ("service", "system")


@dataclass(frozen=True, slots=True)
class Heads:
    """People with a right; None is not known, because a register or a column is missing.

    Attributes:
        handlers: All of them.
        users: Those who are staff and employed.
        contractors: Those of the company that has the most.
    """

    handlers: int | None
    users: int | None
    contractors: int | None

    def of(self, what: str) -> int | None:
        """By the name in a band of the catalogue."""
        return {"handlers": self.handlers, "users": self.users, "contractor handlers": self.contractors}[what]


def valid(table: pl.DataFrame, at: int) -> pl.DataFrame:
    """Rows of a register that hold at a moment (UTC ms)."""
    since, until = pl.col("valid_from"), pl.col("valid_to")
    return table.filter((since.is_null() | (since <= at)) & (until.is_null() | (until >= at)))


def permitted(site: Site, systems: Sequence[str], at: int) -> Heads:
    """Who has a right in any of the systems at a moment.

    Args:
        site: For `permissions` and `staff`.
        systems: Their ids.
        at: UTC milliseconds.
    """
    granted = site.tables["permissions"].filter(pl.col("system").is_in(list(systems)))
    if not site.has("permissions") or granted.is_empty():
        return Heads(None, None, None)
    holders = valid(granted, at).select("actor_id").unique().sort("actor_id").with_columns(pl.lit(at).alias("at"))
    columns = {"type": "type", "company": "company", "start": "start", "end": "end"}
    known = as_of(holders, site.tables["staff"], ["actor_id"], ["actor_id"], "at", {**columns, "actor_id": "known"})
    kind = pl.col("type").fill_null("staff")
    people = known.filter(~kind.is_in(MACHINES))
    if not site.has("staff", "type"):
        return Heads(people.height, None, None)
    employed = pl.col("known").is_not_null() & (pl.col("end").is_null() | (pl.col("end") >= at))
    companies = people.filter(pl.col("type") == "vendor").group_by("company").len()
    most = int(companies["len"].max() or 0) if site.has("staff", "company") else None  # type: ignore[arg-type]
    return Heads(people.height, people.filter(employed & (kind == "staff")).height, most)


def on_file(site: Site, systems: Sequence[str], what: str, at: int) -> tuple[int, int | None] | None:
    """What `counts` says of a moment.

    Args:
        site: For `counts`.
        systems: Their ids.
        what: As in the register.
        at: UTC milliseconds.

    Returns:
        The newest count of the system that has the most, and as of when it is; None: there is none.
    """
    rows = site.tables["counts"].filter(
        pl.col("system").is_in(list(systems))
        & (pl.col("what") == what)
        & (pl.col("as_of").is_null() | (pl.col("as_of") <= at))
    )
    newest = rows.sort("as_of", nulls_last=False, maintain_order=True).unique(
        "system", keep="last", maintain_order=True
    )
    best = newest.sort("value", "system", descending=[True, False]).head(1)
    return None if best.is_empty() else (best["value"][0], best["as_of"][0])


def counted(site: Site, systems: Sequence[str], what: str, at: int) -> list[tuple[date, int]]:
    """All counts of the register until a moment, by local day: of several on one day, or several systems, the largest."""
    rows = site.tables["counts"].filter(
        pl.col("system").is_in(list(systems)) & (pl.col("what") == what) & (pl.col("as_of") <= at)
    )
    day = Calendar(site.config).local(pl.col("as_of")).dt.date().alias("day")
    return list(rows.group_by(day).agg(pl.col("value").max()).sort("day").iter_rows())


def monthly(site: Site, systems: Sequence[str], moments: Sequence[tuple[date, int]]) -> list[tuple[date, Heads]]:
    """Who had a right at several moments, from the first right on that the register knows of.

    Args:
        site: For `permissions` and `staff`.
        systems: Their ids.
        moments: Day and UTC milliseconds.
    """
    begun = site.tables["permissions"].filter(pl.col("system").is_in(list(systems)))["valid_from"]
    first = begun.min() if begun.null_count() == 0 else None
    known = [(day, at) for day, at in moments if not isinstance(first, int) or at >= first]
    return [(day, permitted(site, systems, at)) for day, at in known]


def seen(used: pl.LazyFrame, systems: Sequence[str]) -> pl.DataFrame:
    """People in the log of the systems: `person`, `type`, `company`, one row each, sorted; machines are none.

    Args:
        used: `usage` of `audit.tables`.
        systems: Their ids.
    """
    kind = pl.col("person.type").fill_null("unknown")
    return (
        used.filter(
            pl.col("system.id").is_in(list(systems))
            & pl.col("ok")
            & pl.col("person.id").is_not_null()
            & ~kind.is_in(MACHINES)
        )
        .sort("last", "usage_id")
        .group_by(pl.col("person.id").alias("person"), maintain_order=True)
        .agg(pl.col("person.type").last().alias("type"), pl.col("person.company").last().alias("company"))
        .sort("person")
        .collect()
    )
