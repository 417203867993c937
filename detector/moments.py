"""Moments: single events, or single turns of a correlation, that page by themselves.

Whoever is on call cannot wait until a session closes. So what pages alone is a unit of its own, of the kind `event`: all
that one rule found of one person on one day. The streaming detector publishes it at the first such event and once more
when the day is over; the last state is the same, in whichever order the events came. The session keeps the hit too: its
finding says the rest, and goes to the digest where it says nothing that was not said (docs/decisions/moments.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from detector import decide, history, hits, sessionise
from detector.baseline import STRANGER, Baseline
from detector.rulebook import Rule

# One row per hit: what `hits.HITS` says, and what of the event decides and shows.
MOMENTS: Final = hits.HITS | {
    "session": pl.String(), "date": pl.Date(), "who": pl.String(), "actor.id": pl.String(), "system.id": pl.String(),
    "session.id": pl.String(), "src.device": pl.String(), "src.ip": pl.String(), "stranger": pl.Boolean(),
    "n.protected": pl.Int64(), "person.type": pl.String(), "person.days_to_end": pl.Int64(),
    "emergency.active": pl.Boolean(),
}  # fmt: skip
# Moments that page, with how much the rule counts here, the risk with its context, and how serious that is.
PAGING: Final = MOMENTS | {"family": pl.String(), "p": pl.Float64(), "risk": pl.Float64(), "severity_id": pl.Int64()}

# Families that bypass the risk: whoever blinds the watch is always seen (design §9).
ALWAYS_PAGES: Final = "evidence"


_NO_MOMENTS: Final = pl.DataFrame(schema=MOMENTS)
_NONE: Final = pl.DataFrame(schema=PAGING)


def none() -> pl.DataFrame:
    """No moment that pages."""
    return _NONE


def at_once(rule: Rule) -> bool:
    """Whether a rule can be decided on an event alone, with its registers: not if it looks at what came before."""
    before = {*sessionise.SEQUENCE, *history.ARRIVAL}
    return rule.category == "event" and rule.correlation is None and not before & set(rule.fields)


def may_page(rule: Rule, thresholds: decide.Thresholds) -> bool:
    """Whether a hit of the rule can page alone in the worst of circumstances."""
    most = rule.p * decide.CONTEXT_ODDS[1] / (1 - rule.p + rule.p * decide.CONTEXT_ODDS[1])
    return most >= thresholds.alert or rule.family == ALWAYS_PAGES


def of(found: pl.DataFrame, rows: pl.DataFrame, rules: Iterable[Rule], thresholds: decide.Thresholds) -> pl.DataFrame:
    """Pick the hits that may page alone.

    Args:
        found: Rows of `hits.HITS` of these events.
        rows: Enriched events, each id once, with their `session`.
        rules: The rules that hit.
        thresholds: Pinned.

    Returns:
        Rows of `MOMENTS`, in the order of `found`; what is excused is left out.
    """
    if found.is_empty():
        return _NO_MOMENTS
    chosen = [rule.name for rule in rules if rule.category == "event" and may_page(rule, thresholds)]
    found = found.filter(pl.col("rule").is_in(chosen) & ~pl.col("excused"))
    if found.is_empty():
        return _NO_MOMENTS
    place = pl.coalesce("src.device", "src.ip", "agent.id", "source.id", pl.lit(""))
    told = rows.filter(pl.col("event.id").is_in(found["event.id"].implode())).select(
        "event.id", "session", pl.col("time.date").alias("date"),
        pl.coalesce("actor.id", pl.concat_str(pl.lit("@"), place)).alias("who"), "actor.id", "system.id", "session.id",
        "src.device", "src.ip", (~pl.col("person.known").fill_null(True)).alias("stranger"),
        pl.col("subject.protected").fill_null(False).cast(pl.Int64).alias("n.protected"), "person.type",
        "person.days_to_end", "emergency.active",
    )  # fmt: skip
    joined = found.join(told, on="event.id", how="inner", maintain_order="left")
    # What nobody did and no place tells apart is still one thing a day.
    name = pl.concat_str(pl.lit("a"), "rule", pl.col("date").cast(pl.String), pl.col("who"), separator="\x1f")
    return joined.with_columns(name.alias("unit")).select(
        pl.col(column).cast(dtype) for column, dtype in MOMENTS.items()
    )


def paging(
    moments: pl.DataFrame, rules: Iterable[Rule], usual: Baseline, thresholds: decide.Thresholds
) -> pl.DataFrame:
    """Those moments that page in this office.

    Args:
        moments: Rows of `MOMENTS`.
        rules: The rules whose hits these are.
        usual: How often each rule hits in this office.
        thresholds: Pinned.

    Returns:
        Rows of `PAGING`, in the same order.
    """
    if moments.is_empty():
        return none()
    rows = moments.join(weights(rules, usual), on=["rule", "stranger"], how="inner", maintain_order="left")
    rows = rows.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("_row"))
    odds = decide.context_odds(
        rows.with_columns(
            pl.col("_row").alias("unit"),
            pl.lit(None, dtype=pl.Float64).alias("explained"),
            pl.lit(False).alias("only_model"),
        )
    )
    rows = rows.join(odds.select(pl.col("unit").alias("_row"), "odds"), on="_row", maintain_order="left")
    risk = decide.with_odds(pl.min_horizontal("p", pl.lit(decide.LARGEST_FAMILY)), pl.col("odds"))
    always = pl.col("family") == ALWAYS_PAGES
    rows = rows.with_columns(
        pl.when(always).then(pl.max_horizontal(risk, pl.lit(decide.EVIDENCE_RISK))).otherwise(risk).alias("risk")
    )
    return (
        rows.filter(pl.col("risk") >= thresholds.alert)
        .with_columns(decide.severity_id(pl.col("risk"), thresholds).alias("severity_id"))
        .select(list(PAGING))
    )


def weights(rules: Iterable[Rule], usual: Baseline) -> pl.DataFrame:
    """How much a hit of each rule counts in this office: `rule`, `stranger`, `family`, `p`.

    Hits of accounts that the staff register does not know are counted apart by the baseline.
    """
    rows = [
        (
            rule.name, stranger, rule.family, rule.level,
            rule.block.precision * usual.factor(STRANGER + rule.name if stranger else rule.name),
        )
        for rule in rules
        for stranger in (False, True)
    ]  # fmt: skip
    schema = {
        "rule": pl.String, "stranger": pl.Boolean, "family": pl.String, "level": pl.String, "precision": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        "rule", "stranger", "family", decide.hit_p(pl.col("level"), pl.col("precision")).alias("p")
    )


def units(moments: pl.DataFrame) -> pl.DataFrame:
    """The units that moments make: one per rule, person and day.

    Args:
        moments: Rows of `PAGING`: all that is known of each unit.

    Returns:
        One row per unit, sorted by it, in columns of `judge.UNIT`. What shows the circumstances is taken from the
        moment of the highest risk, the oldest of equal ones.
    """
    worst = ["n.protected", "person.type", "person.days_to_end", "emergency.active"]
    shown = ["system.id", "session.id", "src.device", "src.ip"]
    return (
        moments.sort("time", "event.id")
        .group_by("unit", maintain_order=True)
        .agg(
            pl.lit("event").alias("kind"),
            pl.concat_str(pl.col("date").cast(pl.String), "who", separator="\x1f").first().alias("group"),
            pl.col("actor.id").drop_nulls().first().alias("actor"),
            *(pl.col(name).sort_by("risk", descending=True, maintain_order=True).first() for name in worst),
            *(pl.col(name).first() for name in shown),
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
            *(
                pl.col(name).list.explode(keep_nulls=False, empty_as_null=False).unique().sort().head(hits.MOST_RELATED)
                for name in ("related", "about")
            ),
            pl.col("event.id").first(),
        )
        .with_columns(pl.concat_list("actor").list.drop_nulls().alias("actors"))
        .sort("unit")
    )


def contributions(moments: pl.DataFrame) -> pl.DataFrame:
    """What the units of moments weigh, in `decide.CONTRIBUTIONS`."""
    return moments.group_by("unit", "family", pl.col("rule").alias("analytic")).agg(pl.col("p").max())


def told(moments: pl.DataFrame) -> pl.DataFrame:
    """What of each session was told as a moment: `unit` (the session), `analytic`, `told` (highest severity)."""
    return (
        moments.filter(pl.col("session").is_not_null())
        .group_by(pl.col("session").alias("unit"), pl.col("rule").alias("analytic"))
        .agg(pl.col("severity_id").max().alias("told"))
    )
