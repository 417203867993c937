"""What comes late, behind the watermark: it goes to the session that it belongs to, and amends what was said of it.

An open session takes it in. Of sessions that closed lately the events are kept for a while, so that the session can be
summed up and judged anew under its old name. What belongs to no session that is known any more makes one of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from detector import features, held, history, hits, moments, sessionise, step
from detector.hits import HITS
from detector.stream import telling
from detector.stream.plan import Plan

# How long the events of a session are kept after it closed, in event time, and how many events at most.
KEPT_MS: Final = 30 * 60_000
MOST_KEPT: Final = 200_000
_TAILS: Final = sessionise.TAILS | {"closes": pl.Int64(), "told": pl.Boolean()}


@dataclass(frozen=True, slots=True)
class Kept:
    """Sessions that closed lately.

    Attributes:
        rows: Their events, in `features.SESSION_COLUMNS`; without columns as long as there was none.
        hits: Hits in them (`hits.HITS`) of rules on single events.
        tails: Their last events (`sessionise.TAILS`), when they closed (`closes`, UTC ms), and whether a finding was made of them (`told`).
    """

    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    hits: pl.DataFrame = field(default_factory=hits.none)
    tails: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_TAILS))


@dataclass(frozen=True, slots=True)
class Amended:
    """What late events did.

    Attributes:
        core: With what belongs to open sessions and days.
        kept: With what belongs to sessions that closed.
        findings: About sessions that closed; those of which one was made before as updates.
        rows: The events, prepared, with their sessions.
        moments: Rows of `moments.PAGING` among them.
    """

    core: step.State
    kept: Kept
    findings: list[dict[str, Any]]
    rows: pl.DataFrame
    moments: pl.DataFrame


def keep(kept: Kept, output: step.Output, found: Collection[str], limits: sessionise.Limits) -> Kept:
    """Keep what closed.

    Args:
        kept: What was kept before.
        output: What one step gave.
        found: Sessions of which a finding was made.
        limits: When a session ends.
    """
    if output.tails.is_empty():
        return kept
    tails = output.tails.with_columns(
        sessionise.closes(limits).alias("closes"), pl.col("session").is_in(list(found)).alias("told")
    )
    rows = pl.concat([kept.rows, output.closed]) if kept.rows.width else output.closed
    return Kept(rows, pl.concat([kept.hits, output.closed_hits]), pl.concat([kept.tails, tails.select(list(_TAILS))]))


def forget(kept: Kept, watermark: int) -> Kept:
    """Let go of what closed long ago, and of the oldest where it is too much."""
    tails = kept.tails.filter(pl.col("closes") > watermark - KEPT_MS).sort("closes", "session", descending=True)
    tails = tails.filter(pl.col("n").cum_sum() <= MOST_KEPT).sort("closes", "session")
    if tails.height == kept.tails.height:
        return kept
    names = tails["session"].implode()
    rows = kept.rows.filter(pl.col("session").is_in(names)).rechunk()
    return Kept(rows, kept.hits.filter(pl.col("unit").is_in(names)), tails)


def amend(core: step.State, kept: Kept, late: pl.DataFrame, plan: Plan, said: pl.DataFrame) -> Amended:
    """Take late events in.

    Args:
        core: Open sessions and days.
        kept: Sessions that closed lately.
        late: Events in `contract.event` columns, not later than `core.watermark`.
        plan: What decides.
        said: What was raised before (`repeats.SAID`).
    """
    rows = step.prepare(late, plan.context)
    beat = (pl.col("event.class") == "heartbeat").fill_null(False)
    beats, rows = rows.filter(beat), rows.filter(~beat)
    # What came before an event is not told of one that comes late: others came in between.
    unknown = {name: dtype for name, (dtype, _) in (sessionise.SEQUENCE | history.ARRIVAL).items()}
    rows = rows.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in unknown.items())
    rows, own = _named(rows, core, kept, plan.context.limits)
    rows = sessionise.in_order(rows)
    rules = plan.context.rules.of("event")
    matched = hits.match(rows, rules, "session", "event.id", "time.occurred")
    single = telling.weighed(moments.of(matched, rows, rules, plan.context.thresholds), plan)
    kept = replace(kept, tails=pl.concat([kept.tails, own]))
    open_now = pl.col("session").is_in(core.tails["session"].implode())
    core = _into_open(core, rows, open_now, matched, plan)
    kept = _into_kept(kept, rows.filter(~open_now), matched)
    changed = rows.filter(~open_now)["session"].unique()
    found, kept = _again(kept, changed, plan, said, single)
    return Amended(core, kept, found, pl.concat([rows, beats], how="diagonal"), single)


def _named(
    rows: pl.DataFrame, core: step.State, kept: Kept, limits: sessionise.Limits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give each row the session that it fits best, and say which sessions are new."""
    asked = rows.select(sessionise.key(), pl.col("session.id").is_not_null().alias("own"), "time.occurred", "event.id")
    known = _spans(core, kept, asked["_key"].unique())
    gap = pl.when("own").then(limits.own_gap_ms).otherwise(limits.gap_ms)
    at = pl.col("time.occurred")
    away = pl.max_horizontal(pl.col("_first") - at, at - pl.col("_last"), 0)
    fits = (
        asked.join(known, on="_key", how="inner")
        .with_columns(away.alias("_away"))
        .filter(pl.col("_away") <= gap)
        .sort("_away", "session")
        .unique("event.id", keep="first")
        .select("event.id", "session")
    )
    rows = rows.drop("session").join(fits, on="event.id", how="left", maintain_order="left")
    lost = pl.col("session").is_null()
    alone, ends = sessionise.assign(sessionise.no_tails(), rows.filter(lost).drop("session"), limits)
    tails = ends.with_columns(sessionise.closes(limits).alias("closes"), pl.lit(False).alias("told"))
    named = pl.concat([rows.filter(~lost), alone.select(rows.columns)])
    return named, tails.select(list(_TAILS))


def _spans(core: step.State, kept: Kept, keys: pl.Series) -> pl.DataFrame:
    """`_key`, `session`, `_first` and `_last` (UTC ms) of all sessions of these keys that are known."""
    mine, at = pl.col("_key").is_in(keys.implode()), pl.col("time.occurred")
    names = core.tails.filter(mine).select("_key", "session")
    parts = [names.join(held.spans(core.rows, names["session"]), on="session")] if names.height else []
    names = kept.tails.filter(mine).select("_key", "session")
    if names.height and kept.rows.width:
        rows = kept.rows.filter(pl.col("session").is_in(names["session"].implode()))
        begins = rows.group_by("session").agg(at.min().alias("_first"), at.max().alias("_last"))
        parts.append(names.join(begins, on="session"))
    schema = {"_key": pl.String, "session": pl.String, "_first": pl.Int64, "_last": pl.Int64}
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def _into_open(
    core: step.State, rows: pl.DataFrame, open_now: pl.Expr, matched: pl.DataFrame, plan: Plan
) -> step.State:
    mine = rows.filter(open_now)
    today = step.local_date(core.watermark + 1, plan.context.site)
    new = rows.filter(open_now | (pl.col("time.date") >= today)).select(features.ROWS)
    return replace(
        core,
        rows=held.added(core.rows, new, plan.context.narrow_rows) if new.height else core.rows,
        open_hits=pl.concat([core.open_hits, matched.filter(pl.col("unit").is_in(mine["session"].implode()))]),
    )


def _into_kept(kept: Kept, rows: pl.DataFrame, matched: pl.DataFrame) -> Kept:
    if rows.is_empty():
        return kept
    new = rows.select(features.SESSION_COLUMNS)
    together = sessionise.in_order(pl.concat([kept.rows, new]) if kept.rows.width else new)
    own = matched.filter(pl.col("unit").is_in(rows["session"].implode())).select(list(HITS))
    return replace(kept, rows=together, hits=pl.concat([kept.hits, own]))


def _again(
    kept: Kept, changed: pl.Series, plan: Plan, said: pl.DataFrame, told: pl.DataFrame
) -> tuple[list[dict[str, Any]], Kept]:
    """Sum sessions up, and judge them, as they are now."""
    if changed.is_empty():
        return [], kept
    names = changed.implode()
    rows = kept.rows.filter(pl.col("session").is_in(names))
    sessions, own = step.summed_up(
        rows, kept.tails.filter(pl.col("session").is_in(names)).select("session", "closes"), plan.context
    )
    found = hits.total(pl.concat([kept.hits.filter(pl.col("unit").is_in(names)), own]))
    # What was said of a session itself is no reason to call it a repetition.
    begins = int(sessions["first"].min())  # type: ignore[arg-type]
    period = plan.period(sessions=sessions.sort("last", "session"), hits=found, told=told)
    made, _ = plan.decide(period, said.filter(pl.col("at") < begins), rows)
    before = set(kept.tails.filter("told")["session"])
    units = {one["unmapped"]["unit"] for one in made}
    marked = kept.tails.with_columns(pl.col("told") | pl.col("session").is_in(sorted(units)))
    out = [telling.updated(one) if one["unmapped"]["unit"] in before else one for one in made]
    return out, replace(kept, tails=marked)
