"""Who acted, as the registers had it at the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from audit.desk import Row
from audit.sections import called
from audit.usage import persons
from audit.wording import Words
from registers.asof import as_of
from registers.site import Site

ACTORS: Final = pl.Schema({"uid": pl.String(), "actor.id": pl.String(), "system.id": pl.String(), "at": pl.Int64()})


def of_rows(rows: Iterable[Row], systems: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Everybody that findings name as acting.

    Args:
        rows: Findings; those about the evidence name logs and agents, nobody.
        systems: `uid` and `system`, as far as known.
        site: For `accounts` and `staff`.

    Returns:
        One row per finding and account, in their order: `ACTORS`, and `person.id`, `person.type`, `person.dept`, `person.company` at
        the finding's last event.
    """
    named = [
        (row.found["uid"], actor, row.found["last"])
        for row in rows
        if row.found["kind"] != "evidence"
        for actor in dict.fromkeys(row.found["actors"])
    ]
    frame = pl.DataFrame(named, {"uid": pl.String, "actor.id": pl.String, "at": pl.Int64}, orient="row")
    known = systems.select("uid", pl.col("system").alias("system.id")).unique("uid")
    frame = frame.join(known, on="uid", how="left", maintain_order="left").select(list(ACTORS))
    return behind(frame, site)


def behind(frame: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Where a system is not known, an account still says whose it is if it is one person's in all systems."""
    accounts = site.tables["accounts"]
    alone = accounts.filter(pl.col("actor_id").n_unique().over("account") == 1)
    found = as_of(frame, alone, ["actor.id"], ["account"], "at", {"actor_id": "alone"})
    asked = found.with_columns(pl.coalesce("alone", "actor.id").alias("actor.id"))
    return persons(asked, site).with_columns(found["actor.id"]).drop("alone")


def shown(actor: str, person: str | None, dept: str | None, site: Site, words: Words) -> str:
    """An account, whose it is, and the department as the site calls it."""
    return called(actor, person or actor, None if dept is None else site.config.departments.get(dept, dept), words)


def by_finding(actors: pl.DataFrame, site: Site, words: Words, most: int) -> dict[str, str]:
    """Names of those who acted, in words, by finding.

    Args:
        actors: As `of_rows` gives them.
        site: For names of departments.
        words: The language.
        most: How many are named before the others are counted.
    """
    columns = ("uid", "actor.id", "person.id", "person.dept")
    names: dict[str, list[str]] = {}
    for uid, actor, person, dept in actors.select(columns).iter_rows():
        names.setdefault(uid, []).append(shown(actor, person, dept, site, words))
    return {uid: listed(some, words, most) for uid, some in names.items()}


def listed(names: Sequence[str], words: Words, most: int) -> str:
    """Some names, and how many more there are."""
    more = len(names) - most
    return words.join([*names[:most], *([words.say("and_others", n=more)] if more > 0 else [])])
