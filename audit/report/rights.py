"""Rights against use: granted and not used, used and not granted. Pure but for the events, which are summed up as they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.report.headcount import MACHINES, valid
from audit.usage import DAY_MS, HEARTBEAT, USAGE_KEYS, persons
from registers.asof import as_of
from registers.site import Site

ALL: Final = "*"
SPANS_DAYS: Final = (90, 180)
_OLDER_DAYS: Final = 31

# What ends or guards a session is no use of a right.
_ENDS: Final = ("logoff", "timeout", "lock")
_SESSION: Final = ("logon", *_ENDS)


@dataclass(frozen=True, slots=True)
class Held:
    """Rights that hold at the end of the period, and whether they were used.

    Attributes:
        table: One row per right: `person`, `dept`, `system`, `function`, `since` (UTC ms, null: not known), `last` (its last use within the longest
            span, UTC ms), `unused` (in the period), `unused_90`, `unused_180` (null: the log does not reach back so far; a right
            that was granted later counts as used). Sorted.
        begins: First event of each system in the logs since a month before the longest span, UTC ms.
    """

    table: pl.DataFrame
    begins: dict[str, int]


def held(history: pl.LazyFrame, site: Site, begin: int, end: int) -> Held:
    """Rights at the end of a period and their last use.

    Args:
        history: Events before the end, with `ok`.
        site: For `permissions`, `staff` and `accounts`.
        begin, end: The period, UTC ms, `end` excluded.
    """
    # Logs of which something is older than the longest span by up to a month cover it; all that is older need not be read.
    oldest = end - (max(SPANS_DAYS) + _OLDER_DAYS) * DAY_MS
    recent = history.filter(pl.col("time.occurred") >= oldest, pl.col("system.id").is_not_null())
    begins = dict(
        recent.group_by("system.id").agg(pl.col("time.occurred").min()).collect(engine="streaming").iter_rows()
    )
    rows = (
        valid(site.tables["permissions"], end - 1)
        .group_by("actor_id", "system", "function")
        .agg(pl.col("valid_from").min().alias("since"))
    )
    rows = rows.sort("actor_id", "system", "function", nulls_last=True).with_columns(pl.lit(end - 1).alias("at"))
    rows = as_of(rows, site.tables["staff"], ["actor_id"], ["actor_id"], "at", {"type": "type", "dept": "dept"})
    rows = rows.filter(~pl.col("type").fill_null("staff").is_in(MACHINES))
    used = _last_uses(history, site, end - max(SPANS_DAYS) * DAY_MS)
    whole = used.group_by("person.id", "system.id").agg(
        pl.col("last").max().alias("_any"), pl.col("op.code").is_not_null().any().alias("_codes")
    )
    coded = whole.filter("_codes")["system.id"].unique()
    keys = ["actor_id", "system"]
    rows = rows.join(whole, left_on=keys, right_on=["person.id", "system.id"], how="left", maintain_order="left")
    rows = rows.join(
        used.select("person.id", "system.id", "op.code", "last"), left_on=[*keys, "function"], right_on=["person.id", "system.id", "op.code"],
        how="left", maintain_order="left",
    )  # fmt: skip
    # A system that never names functions shows that it was used, not which of its rights.
    by_system = (pl.col("function") == ALL) | ~pl.col("system").is_in(coded.implode())
    last = pl.when(by_system).then("_any").otherwise("last")
    table = rows.select(pl.col("actor_id").alias("person"), "dept", "system", "function", "since", last.alias("last"))
    return Held(table.with_columns(_unused(begin, end, begins)), begins)


def _unused(begin: int, end: int, begins: dict[str, int]) -> list[pl.Expr]:
    """Columns `unused…`: a right that was there before the span and was not used in it, of systems whose log covers the span."""
    out = []
    for name, since in {"unused": begin, **{f"unused_{days}": end - days * DAY_MS for days in SPANS_DAYS}}.items():
        # Of the period itself what there is of a log is taken; the report says where it begins later.
        known = pl.col("system").is_in(
            [system for system, first in begins.items() if first <= since or name == "unused"]
        )
        there = pl.col("since").is_null() | (pl.col("since") <= since)
        out.append(pl.when(known).then(there & (pl.col("last").is_null() | (pl.col("last") < since))).alias(name))
    return out


def _last_uses(history: pl.LazyFrame, site: Site, since: int) -> pl.DataFrame:
    """The last use of each function by each person: `person.id`, `system.id`, `op.code`, `last`; the account's person is that of its last use."""
    used = history.filter(
        pl.col("time.occurred") >= since, pl.col("ok"), pl.col("actor.id").is_not_null(), pl.col("event.class") != HEARTBEAT,
        ~pl.col("event.action").is_in(_ENDS).fill_null(False),
    )  # fmt: skip
    by = ["actor.id", "system.id", "op.code"]
    last = (
        used.group_by(by)
        .agg(pl.col("time.occurred").max().alias("at"))
        .collect(engine="streaming")
        .sort(by, nulls_last=True)
    )
    return persons(last, site).group_by("person.id", "system.id", "op.code").agg(pl.col("at").max().alias("last"))


def beyond(used: pl.LazyFrame, site: Site, systems: Sequence[str]) -> pl.DataFrame:
    """What was used without a right.

    Args:
        used: `usage` of `audit.tables`.
        site: For `permissions`.
        systems: Systems of which the register grants rights; of others it says nothing.

    Returns:
        Rows of usage, sorted, with `why`: `none` (no right in the system at all), `other` (other functions only), `ended`, `early` (not
        begun).
    """
    kind = pl.col("person.type").fill_null("unknown")
    rows = used.filter(
        pl.col("ok"), pl.col("person.id").is_not_null(), ~kind.is_in(MACHINES), pl.col("system.id").is_in(list(systems)),
        ~pl.col("event.action").is_in(_SESSION).fill_null(False),
    ).collect()  # fmt: skip
    rights = site.tables["permissions"].select("actor_id", "system", "function", "valid_from", "valid_to")
    asked = rows.select("usage_id", "person.id", "system.id", "op.code", "first", "last")
    pairs = asked.join(rights, left_on=["person.id", "system.id"], right_on=["actor_id", "system"], how="left")
    fits = (pl.col("function") == ALL) | (pl.col("function") == pl.col("op.code")) | pl.col("op.code").is_null()
    begun = pl.col("valid_from").is_null() | (pl.col("valid_from") <= pl.col("first"))
    going = pl.col("valid_to").is_null() | (pl.col("valid_to") >= pl.col("last"))
    fits = pl.col("function").is_not_null() & fits.fill_null(False)
    judged = pairs.group_by("usage_id").agg(
        (fits & begun & going).any().alias("_good"), (fits & ~going).any().alias("_ended"), (fits & ~begun).any().alias("_early"),
        (pl.col("function").is_not_null() & begun & going).any().alias("_other"),
    )  # fmt: skip
    why = (
        pl.when("_ended")
        .then(pl.lit("ended"))
        .when("_early")
        .then(pl.lit("early"))
        .when("_other")
        .then(pl.lit("other"))
        .otherwise(pl.lit("none"))
    )
    return rows.join(
        judged.filter(~pl.col("_good")).select("usage_id", why.alias("why")), on="usage_id", how="inner"
    ).sort("usage_id")


def events_of(rows: pl.DataFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """The events that rows of usage sum up."""
    return events.join(
        rows.select(USAGE_KEYS).unique().lazy(), on=list(USAGE_KEYS), how="semi", nulls_equal=True
    ).select("event.id")
