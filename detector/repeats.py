"""What says of a person what was said of him before is one thing to look at, not one a day."""

from __future__ import annotations

from typing import Final

import polars as pl

# What says of a person what was said of him before is a repetition for so long.
REPEAT_MS: Final = 7 * 86_400_000
# A unit may be decided so long after its last event: a session of the longest pause, or a day.
DECIDED_LATE_MS: Final = 2 * 86_400_000

# What was raised last of each person, by kind of unit and what it said.
SAID: Final = {"who": pl.String(), "kind": pl.String(), "says": pl.String(), "at": pl.Int64()}


def nothing() -> pl.DataFrame:
    """Nothing was said yet."""
    return pl.DataFrame(schema=SAID)


def mark(units: pl.DataFrame, by_family: pl.DataFrame, said: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Send to the digest what says the same of a person as something of the last week did.

    What looks back 30 days holds on the next day too, and a habit shows in every session: it is one thing to look at,
    not one a day. An alert of a session always stands, and so does evidence. Units count in the order in which they are
    decided (`closes`, then name), so that nothing has to wait for a longer one that began before.

    Args:
        units: Decided units with `queue`, `always`, `closes`.
        by_family: Rows of `decide.families` of these units.
        said: Rows of `SAID`: what was raised before, of units decided before.

    Returns:
        `units` with `repeated`, in the same order; and what is said now.
    """
    top = by_family.group_by("unit", maintain_order=True).agg(
        pl.concat_str(pl.col("family").first(), pl.col("analytics").first().list.first(), separator="/").alias("says")
    )
    who = pl.col("actors").list.first()
    # What nobody in particular did is not the habit of a person.
    raised = pl.col("queue").is_in(["alert", "review"]) & pl.col("kind").is_in(["day", "session"]) & who.is_not_null()
    seen = units.filter(raised).join(top, on="unit", how="left").sort("closes", "unit")
    seen = seen.with_columns(who.alias("who"), pl.col("last").alias("at"))
    key = ["who", "kind", "says"]
    ordered = pl.concat([said.with_columns(pl.lit(None, dtype=pl.String).alias("unit"), pl.lit(True).alias("_kept")),
                         seen.with_columns((pl.col("always") | ((pl.col("kind") == "session") & (pl.col("queue") == "alert"))).alias("_kept"))
                         .select(*SAID, "unit", "_kept")])  # fmt: skip
    since = (pl.col("at") - pl.col("at").shift(1).over(key)) <= REPEAT_MS
    again = ordered.filter(since.fill_null(False) & ~pl.col("_kept"))["unit"].drop_nulls().implode()
    after = ordered.group_by(key, maintain_order=True).agg(pl.col("at").last()).select(list(SAID))
    marked = units.with_columns(
        pl.col("unit").is_in(again).alias("repeated"),
        pl.when(pl.col("unit").is_in(again)).then(pl.lit("digest")).otherwise("queue").alias("queue"),
    )
    return marked, after


def forget(said: pl.DataFrame, watermark: int) -> pl.DataFrame:
    """What can still matter to units that are decided after the watermark (UTC ms)."""
    return said.filter(pl.col("at") >= watermark - REPEAT_MS - DECIDED_LATE_MS)
