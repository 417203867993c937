"""Leavers and movers: when they went, when their rights ended, and what happened after. Pure but for the events it sums up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.report.headcount import MACHINES
from audit.usage import DAY_MS
from registers.calendar import Calendar
from registers.site import Site

# How long before the period somebody may have left and still be listed; later if a right is open or was used.
BEFORE_DAYS: Final = 31

# An account or right of somebody is taken away as a whole: no function is named with it.
_DISABLES: Final = ("revoke", "delete")

_GONE: Final = pl.Schema(
    {"person": pl.String(), "kind": pl.String(), "at": pl.Int64(), "from": pl.String(), "to": pl.String()}
)


@dataclass(frozen=True, slots=True)
class Gone:
    """Who left or moved.

    Attributes:
        table: One row per person and leaving: `person`, `kind` (`left`, `moved`), `at` (last moment of the employment, or of the old department,
            UTC ms), `from`, `to` (departments), `rights` (those concerned that the register knows of), `open` (of these, those that
            still hold at the period's end), `disabled` (when the last one ended, by register or log; null: not yet, or not known),
            `lag` (from `at` to that, or to the period's end, ms, not below 0; null: not known), `events` and `refused` (after `at`, in the
            period; of movers in systems that their new department does not use). The longest open first.
        events: The events after, with `event.id`.
    """

    table: pl.DataFrame
    events: pl.LazyFrame


def gone(events: pl.LazyFrame, used: pl.LazyFrame, history: pl.LazyFrame, site: Site, begin: int, end: int) -> Gone:
    """Who left or moved, and what became of their rights.

    Args:
        events: Of the period, with `ok` and `date`.
        used: `usage` of the period.
        history: Events before the end, for what took accounts away.
        site: For `staff`, `permissions` and `accounts`.
        begin, end: The period, UTC ms, `end` excluded.
    """
    left = pl.concat([_left(site, end), _moved(site, begin, end)])
    rights = _rights(left, site, end)
    after = _after(left, events, used, site)
    counts = after.group_by("person", "kind").agg(
        pl.col("ok").sum().cast(pl.Int64).alias("events"), (~pl.col("ok")).sum().cast(pl.Int64).alias("refused"),
    ).collect(engine="streaming")  # fmt: skip
    rows = left.join(rights, on=["person", "kind"], how="left").join(counts, on=["person", "kind"], how="left")
    rows = rows.join(_taken(left, history, site), on="person", how="left")
    ended = pl.min_horizontal("ended", "accounts_ended", "taken")
    known = pl.col("rights").fill_null(0) > 0
    is_open = pl.col("open").fill_null(0) > 0
    disabled = (
        pl.when(is_open & pl.col("taken").is_null() & pl.col("accounts_ended").is_null()).then(None).otherwise(ended)
    )
    rows = rows.with_columns(disabled.alias("disabled"), pl.col("events", "refused", "open", "rights").fill_null(0))
    until = pl.when(pl.col("disabled").is_not_null()).then("disabled").when(known).then(pl.lit(end))
    rows = rows.with_columns((until - pl.col("at")).clip(lower_bound=0).alias("lag"))
    recent = pl.col("at") >= begin - BEFORE_DAYS * DAY_MS
    listed = rows.filter(
        recent | (is_open & pl.col("disabled").is_null()) | (pl.col("events") > 0) | (pl.col("refused") > 0)
    )
    columns = ["person", "kind", "at", "from", "to", "rights", "open", "disabled", "lag", "events", "refused"]
    table = listed.select(columns).sort(
        "events", "open", "lag", "person", "kind", descending=[True, True, True, False, False], nulls_last=True
    )
    return Gone(table, after.filter("ok").select("event.id").unique())


def _left(site: Site, end: int) -> pl.DataFrame:
    staff = site.tables["staff"].filter(~pl.col("type").fill_null("staff").is_in(MACHINES))
    last = staff.sort("actor_id", "valid_from", nulls_last=False, maintain_order=True).group_by("actor_id", maintain_order=True).agg(
        pl.col("end").drop_nulls().last().alias("at"), pl.col("dept").last().alias("from")
    )  # fmt: skip
    rows = last.filter(pl.col("at") < end)
    return rows.select(
        pl.col("actor_id").alias("person"),
        pl.lit("left").alias("kind"),
        "at",
        "from",
        pl.lit(None, pl.String).alias("to"),
    ).cast(dict(_GONE))  # type: ignore[arg-type]


def _moved(site: Site, begin: int, end: int) -> pl.DataFrame:
    """The latest change of department of everybody whose new one began not long before the period, or in it."""
    ordered = (
        site.tables["staff"]
        .filter(pl.col("dept").is_not_null())
        .sort("actor_id", "valid_from", nulls_last=False, maintain_order=True)
    )
    before = pl.col("dept").shift().over("actor_id")
    rows = ordered.with_columns(before.alias("from")).filter(
        (pl.col("from") != pl.col("dept")) & pl.col("valid_from").is_between(begin - BEFORE_DAYS * DAY_MS, end - 1)
    )
    return rows.unique("actor_id", keep="last", maintain_order=True).select(
        pl.col("actor_id").alias("person"), pl.lit("moved").alias("kind"), (pl.col("valid_from") - 1).alias("at"), "from", pl.col("dept").alias("to")
    ).cast(dict(_GONE))  # type: ignore[arg-type]  # fmt: skip


def _foreign(site: Site) -> pl.DataFrame:
    """Systems and the departments that do not use them, as far as declared: `system`, `to`."""
    depts = sorted({*site.tables["staff"]["dept"].drop_nulls(), *site.config.departments})
    pairs = [
        (name, dept) for name, system in sorted(site.config.systems.items()) if system.departments is not None
        for dept in depts if dept not in system.departments
    ]  # fmt: skip
    return pl.DataFrame(pairs, {"system": pl.String, "to": pl.String}, orient="row")


def _rights(left: pl.DataFrame, site: Site, end: int) -> pl.DataFrame:
    """Per person and leaving: `rights`, `open`, `ended` (the last one's end), `accounts_ended` (all accounts' end; null: one is open)."""
    mine = left.join(site.tables["permissions"], left_on="person", right_on="actor_id", how="inner")
    mine = mine.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") <= pl.col("at")))
    foreign = mine.join(_foreign(site), on=["system", "to"], how="semi")
    concerned = pl.concat([mine.filter(pl.col("kind") == "left"), foreign.filter(pl.col("kind") == "moved")])
    # What had ended long before is no right that they left with.
    concerned = concerned.filter(pl.col("valid_to").is_null() | (pl.col("valid_to") >= pl.col("at") - DAY_MS))
    is_open = pl.col("valid_to").is_null() | (pl.col("valid_to") >= end)
    rights = concerned.group_by("person", "kind").agg(
        pl.len().cast(pl.Int64).alias("rights"), is_open.sum().cast(pl.Int64).alias("open"),
        pl.when(~is_open.any()).then(pl.col("valid_to").max()).alias("ended"),
    )  # fmt: skip
    accounts = site.tables["accounts"].group_by(pl.col("actor_id").alias("person")).agg(
        pl.when((pl.col("valid_to").is_not_null() & (pl.col("valid_to") < end)).all()).then(pl.col("valid_to").max()).alias("accounts_ended")
    )  # fmt: skip
    leavers = left.filter(pl.col("kind") == "left").select("person", "kind").join(accounts, on="person", how="inner")
    return rights.join(leavers, on=["person", "kind"], how="full", coalesce=True)


def _taken(left: pl.DataFrame, history: pl.LazyFrame, site: Site) -> pl.DataFrame:
    """When the log shows that an account of a leaver was taken away: `person`, `taken`."""
    leavers = left.filter(pl.col("kind") == "left")
    accounts = site.tables["accounts"].select(pl.col("account"), pl.col("actor_id").alias("person"))
    own = leavers.select(pl.col("person").alias("account"), "person")
    names = pl.concat([own, accounts]).join(leavers.select("person", "at"), on="person").unique()
    taken = history.filter(
        pl.col("event.class") == "admin", pl.col("event.action").is_in(_DISABLES), pl.col("ok"), pl.col("target.function").is_null(),
        pl.col("target.actor").is_in(names["account"].unique().sort().implode()),
    ).select("target.actor", "time.occurred").collect(engine="streaming")  # fmt: skip
    found = taken.join(names, left_on="target.actor", right_on="account").filter(
        pl.col("time.occurred") >= pl.col("at") - BEFORE_DAYS * DAY_MS
    )
    return found.group_by("person").agg(pl.col("time.occurred").min().alias("taken"))


def _after(left: pl.DataFrame, events: pl.LazyFrame, used: pl.LazyFrame, site: Site) -> pl.LazyFrame:
    """Events after somebody left, or after they moved in systems that their new department does not use: with `person`, `kind`."""
    days = used.filter(pl.col("person.id").is_in(left["person"].unique().sort().implode())).select(
        pl.col("person.id").alias("person"), "actor.id", "system.id", "date"
    ).unique().collect()  # fmt: skip
    local = Calendar(site.config).local
    both = days.join(left, on="person").filter(pl.col("date") >= local(pl.col("at")).dt.date())
    moved = both.filter(pl.col("kind") == "moved").join(
        _foreign(site), left_on=["system.id", "to"], right_on=["system", "to"], how="semi"
    )
    keys = pl.concat([both.filter(pl.col("kind") == "left"), moved]).select(
        "person", "kind", "at", "actor.id", "system.id", "date"
    )
    joined = events.join(keys.lazy(), on=["actor.id", "system.id", "date"], how="inner", nulls_equal=True)
    return joined.filter(pl.col("time.occurred") > pl.col("at")).select(
        "event.id", "person", "kind", "ok", "time.occurred"
    )
