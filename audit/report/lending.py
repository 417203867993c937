"""Temporary cards that are lent, ids that several people use, and work orders of contractors. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.report.headcount import MACHINES
from audit.report.people import behind
from audit.tables import Tables
from registers.asof import as_of
from registers.site import Site

# Rules whose hits say that somebody else may have used an id or a card.
SHARING: Final = (
    "one_account_in_two_places_unregistered", "one_account_on_two_terminals", "two_offices_at_once", "open_session_taken_over",
    "card_of_somebody_else",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cards:
    """Temporary cards.

    Attributes:
        loans: One row per loan that touches the period: `card`, `person`, `begin`, `end` (UTC ms, null: not known, not returned), `out` (at the
            period's end), `uses` (in the period, within the loan). Those that are out first.
        strays: Uses while a card was lent to nobody, or by somebody else: `event.id`, `time.occurred`, `card`, `actor.id`, `person.id`, `holder`
            (null: nobody). In order.
        events: All uses of temporary cards, with `event.id`.
    """

    loans: pl.DataFrame
    strays: pl.DataFrame
    events: pl.LazyFrame


def cards(events: pl.LazyFrame, site: Site, begin: int, end: int) -> Cards:
    """Who had temporary cards, and what was done with them.

    Args:
        events: Of the period, with `ok`.
        site: For `devices`, `accounts` and `staff`.
        begin, end: The period, UTC ms, `end` excluded.
    """
    lent = site.tables["devices"].filter(pl.col("kind") == "temporary_card")
    lent = lent.with_columns(pl.coalesce("serial", "device_id").alias("card"))
    held = lent.filter(pl.col("actor_id").is_not_null()).with_row_index("loan")
    known = lent["card"].drop_nulls().unique().sort()
    uses = events.filter(pl.col("ok"), pl.col("auth.card").is_in(known.implode()))
    found = uses.select(
        "event.id", "time.occurred", pl.col("time.occurred").alias("at"), pl.col("auth.card").alias("card"), "actor.id", "system.id"
    ).collect(engine="streaming").sort("time.occurred", "event.id")  # fmt: skip
    found = as_of(behind(found, site), held, ["card"], ["card"], "at", {"loan": "loan", "actor_id": "holder"})
    mine = (pl.col("holder") == pl.col("person.id")).fill_null(False)
    counted = found.filter(mine).group_by("loan").agg(pl.len().cast(pl.Int64).alias("uses"))
    since, until = pl.col("valid_from"), pl.col("valid_to")
    touching = (since.is_null() | (since < end)) & (until.is_null() | (until >= begin))
    loans = held.filter(touching).join(counted, on="loan", how="left").select(
        "card", pl.col("actor_id").alias("person"), since.alias("begin"), until.alias("end"),
        (until.is_null() | (until >= end)).alias("out"), pl.col("uses").fill_null(0),
    )  # fmt: skip
    strays = found.filter(~mine).select("event.id", "time.occurred", "card", "actor.id", "person.id", "holder")
    return Cards(loans.sort("out", "begin", "card", descending=[True, False, False]), strays, uses.select("event.id"))


def shared(tables: Tables, begin: int, end: int) -> pl.DataFrame:
    """Ids that several people use, or that were in use in several places.

    Args:
        tables: Of the period, with its sessions and findings.
        begin, end: The period, UTC ms, `end` excluded.

    Returns:
        One row per account: `account`, `people` (ids of those whom the register names for it, in order), `overlaps` (sessions
        that began while one of the same account and system was open on another device; null: no session names its device),
        `findings` (uids of findings that say so, in order). Sorted.
    """
    since, until = pl.col("valid_from"), pl.col("valid_to")
    accounts = tables.site.tables["accounts"].filter(
        (since.is_null() | (since < end)) & (until.is_null() | (until >= begin))
    )
    owners = accounts.group_by("account", "system").agg(pl.col("actor_id").unique().sort().alias("people"))
    several = owners.filter(pl.col("people").list.len() > 1).select("account").unique()
    owners = owners.explode("people").group_by("account").agg(pl.col("people").unique().sort())
    overlaps = _overlaps(tables)
    serious = tables.findings.table.filter(
        pl.col("rules").list.set_intersection(list(SHARING)).list.len() > 0, pl.col("status") != 3
    )
    named = serious.select("uid", pl.col("actors").alias("account")).explode("account").drop_nulls("account")
    found = (
        named.unique()
        .sort("account", "uid")
        .group_by("account", maintain_order=True)
        .agg(pl.col("uid").alias("findings"))
    )
    rows = several.join(overlaps, on="account", how="full", coalesce=True).join(
        found, on="account", how="full", coalesce=True
    )
    rows = rows.join(owners, on="account", how="left").select("account", "people", "overlaps", "findings")
    # An account that the register of accounts does not know may be a person's own id.
    own = pl.col("account").is_in(tables.site.tables["staff"]["actor_id"].unique().sort().implode())
    people = pl.when(pl.col("people").is_null() & own).then(pl.concat_list("account")).otherwise("people")
    return rows.with_columns(people.fill_null([]).alias("people"), pl.col("findings").fill_null([])).sort("account")


def _overlaps(tables: Tables) -> pl.DataFrame:
    """Per account the sessions that overlap one before on another device, as the control of shared ids counts them."""
    machines = tables.frames["people"].filter(pl.col("type").is_in(MACHINES)).select("account").collect()["account"]
    by, device = ["actor.id", "system.id"], pl.col("src.device")
    every = tables.frames["sessions"].filter(
        pl.col("actor.id").is_not_null(), device.is_not_null(), ~pl.col("actor.id").is_in(machines.implode())
    ).select("actor.id", "system.id", "src.device", "first", "last", "session")  # fmt: skip
    # Most ids are used on one device, and a month of sessions is large.
    moved = every.group_by(by).agg((device.min() != device.max()).alias("moved")).filter("moved")
    own = every.join(moved, on=by, how="semi", nulls_equal=True).collect(engine="streaming")
    ordered = own.sort(*by, "first", "session", nulls_last=False)
    before = ordered.with_columns(pl.col("last", "src.device").shift().over(by).name.prefix("before_"))
    over = (pl.col("before_last") > pl.col("first")) & (pl.col("before_src.device") != pl.col("src.device"))
    return (
        before.filter(over).group_by(pl.col("actor.id").alias("account")).agg(pl.len().cast(pl.Int64).alias("overlaps"))
    )


@dataclass(frozen=True, slots=True)
class Orders:
    """Work of contractors against work orders.

    Attributes:
        orders: One row per order whose window touches the period: `order`, `company`, `actor_id`, `system`, `from`, `to` (UTC ms),
            `approved_by`, `sessions` (of the period, within it). In order of windows.
        strays: Sessions of contractors that no order covers: `session`, `actor.id`, `person.id`, `person.company`, `system.id`, `first`, `last`,
            `events`, `why` (`none`: no order for these people and system at all; `outside`: beyond the window of one). In order.
        covered: Sessions that an order covers: `actor.id`, `system.id`, `first`, `last`.
        sessions: How many sessions contractors had.
    """

    orders: pl.DataFrame
    strays: pl.DataFrame
    covered: pl.DataFrame
    sessions: int


def orders(tables: Tables, begin: int, end: int) -> Orders:
    """Compare sessions of contractors with work orders.

    Args:
        tables: Of the period, with its sessions.
        begin, end: The period, UTC ms, `end` excluded.
    """
    site = tables.site
    columns = ["session", "actor.id", "system.id", "first", "last", "events"]
    own = (
        tables.frames["sessions"]
        .select(columns)
        .filter(pl.col("actor.id").is_in(_vendors(site).implode()))
        .collect(engine="streaming")
        .sort("first", "session")
    )
    known = behind(own.with_columns(pl.col("first").alias("at")), site).drop("at")
    theirs = known.filter(pl.col("person.type") == "vendor")
    windows = site.tables["work_orders"].with_row_index("row")
    pairs = theirs.join(windows, how="cross").filter(
        pl.col("actor_id").is_null() | (pl.col("actor_id") == pl.col("person.id")),
        # An order for one person is theirs, whatever company the register of staff names.
        pl.col("actor_id").is_not_null() | (pl.col("company") == pl.col("person.company")),
        pl.col("system").is_null() | (pl.col("system") == pl.col("system.id")),
    )  # fmt: skip
    opened, closed = pl.col("window_from"), pl.col("window_to")
    inside = (opened.is_null() | (opened <= pl.col("first"))) & (closed.is_null() | (closed >= pl.col("last")))
    covered = pairs.filter(inside)
    counted = covered.group_by("row").agg(pl.col("session").n_unique().cast(pl.Int64).alias("sessions"))
    touching = (opened.is_null() | (opened < end)) & (closed.is_null() | (closed >= begin))
    listed = windows.filter(touching).join(counted, on="row", how="left").select(
        "order", "company", "actor_id", "system", opened.alias("from"), closed.alias("to"), "approved_by", pl.col("sessions").fill_null(0)
    )  # fmt: skip
    strays = theirs.join(covered.select("session").unique(), on="session", how="anti", maintain_order="left")
    near = strays["session"].is_in(pairs["session"].unique().implode())
    strays = strays.with_columns(pl.when(near).then(pl.lit("outside")).otherwise(pl.lit("none")).alias("why"))
    chosen = ["session", "actor.id", "person.id", "person.company", "system.id", "first", "last", "events", "why"]
    inside_one = covered.select("actor.id", "system.id", "first", "last").unique(maintain_order=True)
    return Orders(listed.sort("from", "order", nulls_last=False), strays.select(chosen), inside_one, theirs.height)


def _vendors(site: Site) -> pl.Series:
    """Every id that may be a contractor's: their own, accounts of theirs, and accounts that the register names for those."""
    accounts = site.tables["accounts"]
    ids = site.tables["staff"].filter(pl.col("type") == "vendor")["actor_id"]
    for _ in range(2):
        ids = pl.concat([ids, accounts.filter(pl.col("actor_id").is_in(ids.implode()))["account"]])
    return ids.drop_nulls().unique().sort()
