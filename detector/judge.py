"""From closed sessions, days, groups and incidents to decided units: what contributes, how much, to which queue.

Pure: everything that is known goes in as frames, a frame of decided units comes out. `detector.findings` puts them into
words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import Final

import polars as pl

from detector import correlate, decide, delivery, features, hits, moments, repeats, witness
from detector.baseline import STRANGER, Baseline
from detector.model import Model
from detector.rulebook import RuleBook
from registers.calendar import day_end

UNIT: Final = {
    "unit": pl.String(), "kind": pl.String(), "group": pl.String(), "actors": pl.List(pl.String()),
    "session": pl.String(), "session.id": pl.String(), "system.id": pl.String(), "src.device": pl.String(),
    "src.ip": pl.String(), "first": pl.Int64(), "last": pl.Int64(), "closes": pl.Int64(),
    "related": pl.List(pl.String()), "about": pl.List(pl.String()), "event.id": pl.String(), "explained": pl.Float64(), "n.accesses": pl.Int64(), "n.unexplained": pl.Int64(),
    "n.to_check": pl.Int64(), "n.protected": pl.Int64(), "person.type": pl.String(), "person.days_to_end": pl.Int64(),
    "emergency.active": pl.Boolean(), "filled": pl.Boolean(),
}  # fmt: skip

MODEL: Final = "peer_surprise"


@dataclass(frozen=True, slots=True)
class Period:
    """Everything that stage one and two gave for the sessions to be judged.

    Attributes:
        sessions, days: Rows of `step.Output`.
        hits: Rows of `hits.SUMS`.
        moments: Rows of `moments.PAGING`: all that is known of the moments to be judged.
        told: Rows of `moments.PAGING` in these sessions, whether they are to be judged or were.
        groups: Rows of `correlate.HITS` of stage two.
        incidents: Rows of `witness.FINDINGS`, one for each thing that is said.
    """

    sessions: pl.DataFrame
    days: pl.DataFrame
    hits: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=hits.SUMS))
    told: pl.DataFrame = field(default_factory=moments.none)
    moments: pl.DataFrame = field(default_factory=moments.none)
    groups: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=correlate.HITS))
    incidents: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided.

    Attributes:
        units: Rows of `UNIT` that are published, with `risk`, `plain`, `odds`, `reasons`, `queue`, `severity_id`,
            `suppressed`, `learning`, `repeated`, `over` (the budget); sorted by (last, unit).
        families: Rows of `decide.families` of these units.
        hits: Rows of `hits.SUMS` of these units (also those that were excused).
        scores: One row per session: `session`, and `model.SCORES`; empty without a model.
    """

    units: pl.DataFrame
    families: pl.DataFrame
    hits: pl.DataFrame
    scores: pl.DataFrame


def _unit(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring a frame to the columns of `UNIT`; what it lacks is null."""
    return frame.select_seq(_in_unit(tuple(frame.columns)))


@lru_cache(maxsize=64)
def _in_unit(have: tuple[str, ...]) -> list[pl.Expr]:
    return [(pl.col(name) if name in have else pl.lit(None)).cast(dtype).alias(name) for name, dtype in UNIT.items()]


_NO_UNITS: Final = pl.DataFrame(schema=UNIT)


def _units(period: Period) -> pl.DataFrame:
    # Most calls have units of one kind or two.
    parts = [_NO_UNITS]
    if period.sessions.height:
        sessions = period.sessions.with_columns(
            pl.col("session").alias("unit"), pl.lit("session").alias("kind"), pl.col("session").alias("group"),
            pl.concat_list("actor.id").list.drop_nulls().alias("actors"),
        )  # fmt: skip
        parts.append(_unit(sessions))
    if period.days.height:
        days = period.days.with_columns(
            pl.lit("day").alias("kind"), pl.col("unit").alias("group"),
            pl.concat_list("actor.id").list.drop_nulls().alias("actors"),
        )  # fmt: skip
        parts.append(_unit(days))
    if period.groups.height:
        groups = period.groups.with_columns(
            group_unit().alias("unit"), pl.lit("group").alias("kind"), pl.col("time.occurred").alias("last"),
            pl.col("time.occurred").alias("closes"), pl.col("related").list.first().alias("event.id"),
        )  # fmt: skip
        parts.append(_unit(groups))
    if period.moments.height:
        parts.append(_unit(moments.units(period.moments)))
    if period.incidents.height:
        incidents = period.incidents.with_columns(
            incident_unit().alias("unit"), pl.lit("evidence").alias("kind"), pl.col("who").alias("group"),
            pl.concat_list("who").alias("actors"), pl.coalesce("from", "time").alias("first"),
            pl.col("time").alias("last"), pl.col("time").alias("closes"), pl.when(pl.col("beside") != "").then("beside").alias("event.id"),
            (pl.col("form") == witness.FILLED).alias("filled"),
        )  # fmt: skip
        parts.append(_unit(incidents))
    return pl.concat(parts)


def group_unit() -> pl.Expr:
    """Name of the unit of a filled group."""
    return pl.concat_str(pl.lit("g"), "rule", "group", "event.id", separator="\x1f")


def incident_unit() -> pl.Expr:
    """Name of the unit of an incident of evidence."""
    return pl.concat_str(pl.lit("e"), "check", "who", "beside", separator="\x1f")


def strangers(period: Period) -> pl.Series:
    """Units of accounts that the staff register does not know; none where there is no such register."""
    unknown = ~pl.col("person.known").fill_null(True)
    parts = [
        frame.filter(unknown)[unit]
        for frame, unit in ((period.sessions, "session"), (period.days, "unit"))
        if "person.known" in frame.columns
    ]
    return pl.concat([pl.Series("unit", [], dtype=pl.String), *(part.alias("unit") for part in parts)])


def apart(found: pl.DataFrame, units: pl.Series) -> pl.DataFrame:
    """Hits whose rule is named apart for some units, so that the baseline counts them apart.

    A nightly batch that nobody declared would else make every large export usual, also those of people.
    """
    return found.with_columns(
        pl.when(pl.col("unit").is_in(units.implode()))
        .then(pl.concat_str(pl.lit(STRANGER), "rule"))
        .otherwise("rule")
        .alias("rule")
    )


def _from_rules(found: pl.DataFrame, rules: RuleBook, usual: Baseline, units: pl.Series) -> pl.DataFrame:
    stranger = pl.col("unit").is_in(units.implode()).alias("stranger")
    hit = set(found["rule"].unique())
    chosen = [rule for rule in rules.rules if rule.name in hit]
    return (
        found.filter(~pl.col("excused"))
        .with_columns(stranger)
        .join(moments.weights(chosen, usual), on=["rule", "stranger"], how="inner")
        .select("unit", "family", pl.col("rule").alias("analytic"), "p")
    )


def all_hits(period: Period) -> pl.DataFrame:
    """Rows of `hits.SUMS`: those of sessions and days, and every filled group as a hit of its own unit."""
    return pl.concat([period.hits, _group_hits(period.groups)]) if period.groups.height else period.hits


def _group_hits(groups: pl.DataFrame) -> pl.DataFrame:
    """Filled groups as hits of their own unit."""
    values = pl.struct("group", "count", "first", "actors", pl.col("actors").list.len().alias("actors.count"),
                       pl.col("time.occurred")).struct.json_encode()  # fmt: skip
    return groups.select(
        group_unit().alias("unit"), "rule", pl.lit(1, dtype=pl.Int64).alias("n"), pl.col("time.occurred").alias("time"),
        "event.id", "related", "about", values.alias("values"), pl.col("count").cast(pl.Float64).alias("observed"),
        pl.lit(False).alias("excused"),
    )  # fmt: skip


def scores(sessions: pl.DataFrame, model: Model | None) -> pl.DataFrame:
    """The model's word on every session; an empty frame without a model."""
    if model is None or sessions.is_empty():
        return pl.DataFrame(schema={"session": pl.String, "p": pl.Float64})
    return pl.concat([sessions.select("session"), model.score(for_model(sessions))], how="horizontal")


def for_model(sessions: pl.DataFrame) -> pl.DataFrame:
    """What the model reads of sessions: numbers, and the peer group.

    Peers are people of one department (else of one kind of account) at the same kind of work: sessions in one business
    system, or sessions that touch nobody's data (log-ons, file servers).
    """
    return sessions.select_seq(_FOR_MODEL)


def _for_model() -> tuple[pl.Expr, ...]:
    who = pl.coalesce("person.dept", "person.type", pl.lit("unknown"))
    work = pl.when(pl.col("n.accesses") > 0).then(pl.col("system.id").fill_null("?")).otherwise(pl.lit(""))
    peers = pl.concat_str(who, work, separator="|").alias("peers")
    return pl.col("session", "last"), peers, pl.col(features.MODEL_FEATURES).cast(pl.Float64)


_FOR_MODEL: Final = _for_model()


def judge(
    period: Period,
    rules: RuleBook,
    model: Model | None,
    usual: Baseline,
    thresholds: decide.Thresholds | None = None,
    said: pl.DataFrame | None = None,
) -> tuple[Judged, pl.DataFrame]:
    """Decide every unit of a period. Deciding a long one at once, or part by part as units close, is the same.

    Args:
        period: What is to be judged.
        rules: The rule book whose hits these are.
        model: The fitted model, or None: then only rules speak.
        usual: How often each rule hits in this office.
        thresholds: Pinned; the defaults of their class.
        said: What was raised before (`repeats.SAID`); nothing at first.

    Returns:
        What was decided, and what is said now.
    """
    thresholds = thresholds or decide.Thresholds()
    if period.moments.height:  # a rule that was removed since has no words any more: what was told of it stands
        there = pl.col("rule").is_in([rule.name for rule in rules.rules])
        period = replace(period, moments=period.moments.filter(there))
    scored = scores(period.sessions, model)
    found = all_hits(period)
    surprise = scored.filter(pl.col("p") < thresholds.surprise_floor).select(
        pl.col("session").alias("unit"), pl.lit(MODEL).alias("family"), pl.lit(MODEL).alias("analytic"),
        decide.surprise_p(pl.col("p"), thresholds).alias("p"),
    )  # fmt: skip
    contributions = [_from_rules(found, rules, usual, strangers(period)), surprise]
    if period.moments.height:
        contributions.append(moments.contributions(period.moments))
    by_family = decide.families(pl.concat([part.select(list(decide.CONTRIBUTIONS)) for part in contributions]))
    if period.moments.height:
        found = pl.concat([found, hits.total(period.moments.select(list(hits.HITS)))])
    units = _units(period)
    concerned = pl.concat([by_family["unit"], found["unit"]]).unique()
    units = units.filter(pl.col("unit").is_in(concerned.implode()) | (pl.col("kind") == "evidence"))
    # What a rule says stands whatever else is explained; only surprise is weaker where everything has a reason.
    surprised = by_family.group_by("unit").agg((pl.col("family") == MODEL).all().alias("only_model"))
    context = decide.context_odds(units.join(surprised, on="unit", how="left"))
    units = units.join(decide.risk(by_family, context), on="unit", how="left").join(
        context.select("unit", "reasons"), on="unit", how="left"
    )
    units = _queues(units, by_family, found, rules, model, thresholds)
    units, after = repeats.mark(units, by_family, repeats.nothing() if said is None else said)
    units = _told(units, by_family, period.told).with_columns(pl.lit(False).alias("over")).sort("last", "unit")
    kept = units["unit"].implode()
    judged = Judged(
        units, by_family.filter(pl.col("unit").is_in(kept)), found.filter(pl.col("unit").is_in(kept)), scored
    )
    return judged, after


def _queues(
    units: pl.DataFrame,
    by_family: pl.DataFrame,
    found: pl.DataFrame,
    rules: RuleBook,
    model: Model | None,
    thresholds: decide.Thresholds,
) -> pl.DataFrame:
    pages = by_family.filter(pl.col("family") == moments.ALWAYS_PAGES)["unit"].implode()
    only_model = by_family.group_by("unit").agg((pl.col("family") == MODEL).all().alias("only_model"))
    worth_keeping = [rule.name for rule in rules.rules if decide.LEVELS[rule.level] >= decide.LEVELS["medium"]]
    excused = found.filter(pl.col("excused") & pl.col("rule").is_in(worth_keeping))["unit"].implode()
    units = units.join(only_model, on="unit", how="left").with_columns(
        pl.col("risk").fill_null(0.0),
        (pl.col("only_model").fill_null(False) & pl.lit(model is not None and model.small)).alias("learning"),
    )
    # What was missing and came after all needs nobody any more; it is kept.
    filled = pl.col("filled").fill_null(False)
    always = ((pl.col("kind") == "evidence") & ~filled) | pl.col("unit").is_in(pages)
    units = units.with_columns(
        pl.when(always).then(pl.max_horizontal("risk", pl.lit(decide.EVIDENCE_RISK))).otherwise("risk").alias("risk"),
        pl.col("plain").fill_null(0.0),
        pl.col("odds").fill_null(1.0),
        always.alias("always"),
    ).with_columns(decide.queue(pl.col("risk"), thresholds).alias("queue"))
    units = units.with_columns(
        pl.when(pl.col("learning") & pl.col("queue").is_in(["alert", "review"]))
        .then(pl.lit("digest"))
        .otherwise("queue")
        .alias("queue"),
        decide.severity_id(pl.col("risk"), thresholds).alias("severity_id"),
    )
    suppressed = (pl.col("queue") == "none") & (pl.col("unit").is_in(excused) | filled)
    return units.with_columns(suppressed.alias("suppressed")).filter((pl.col("queue") != "none") | suppressed)


def with_events(judged: Judged, find: Callable[[pl.Series], pl.DataFrame]) -> Judged:
    """Give the sessions that are published without a hit of their own the events they are about.

    Args:
        judged: What was decided.
        find: Events of sessions: names in, the columns of `step.CLOSED` out, in event order.
    """
    lacking = (pl.col("kind") == "session") & pl.col("related").is_null()
    names = judged.units.filter(lacking)["unit"]
    if names.is_empty():
        return judged
    events = hits.concerned(find(names.sort()), ["session"])
    events = events.rename({"session": "unit", "related": "_related", "about": "_about"})
    units = judged.units.join(events, on="unit", how="left", maintain_order="left")
    units = units.with_columns(pl.coalesce(name, f"_{name}").alias(name) for name in ("related", "about"))
    return replace(judged, units=units.drop("_related", "_about"))


def _of_unit(judged: Judged, column: str) -> pl.DataFrame:
    """What a list says of each unit: of its hits (of excused ones where there are no others); where the model speaks or
    nothing hit, of the unit as a whole."""
    counted = judged.hits.filter(~pl.col("excused") | pl.col("excused").all().over("unit"))
    surprised = judged.families.filter(pl.col("family") == MODEL)["unit"].implode()
    hit = pl.col("unit").is_in(counted.filter(pl.col("related").list.len() > 0)["unit"].implode())
    whole = judged.units.filter(~hit | pl.col("unit").is_in(surprised))
    every = pl.concat([counted.select("unit", column), whole.select("unit", column)])
    return every.explode(column, empty_as_null=True).drop_nulls().unique().sort("unit", column)


def concerned(judged: Judged) -> pl.DataFrame:
    """The events that each finding is about: one row per unit and event, sorted: `unit`, `event.id`."""
    return _of_unit(judged, "related").rename({"related": "event.id"})


def about(judged: Judged) -> pl.DataFrame:
    """Whom each finding is about: `unit`, `about` (tokens, sorted), for units that concern somebody."""
    return _of_unit(judged, "about").group_by("unit", maintain_order=True).agg("about")


def _told(units: pl.DataFrame, by_family: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Send sessions to the digest whose strongest sign was told as a moment, unless they are more serious than it."""
    if told.is_empty():
        return units
    top = by_family.group_by("unit", maintain_order=True).agg(
        pl.col("analytics").first().list.first().alias("analytic")
    )
    known = top.join(moments.told(told), on=["unit", "analytic"], how="inner").select("unit", "told")
    units = units.join(known, on="unit", how="left", maintain_order="left")
    again = (pl.col("severity_id") <= pl.col("told")).fill_null(False) & pl.col("queue").is_in(["alert", "review"])
    return units.with_columns(
        (pl.col("repeated") | again).alias("repeated"),
        pl.when(again).then(pl.lit("digest")).otherwise("queue").alias("queue"),
    ).drop("told")


def between(period: Period, after: int, upto: int, zone: str) -> Period:
    """The units that closed in (after, upto], UTC ms. What was told stays whole.

    Args:
        period: Everything.
        after, upto: UTC ms.
        zone: The site's time zone: moments belong to a local day.
    """
    inside = pl.col("closes").is_between(after + 1, upto)
    at = {"groups": "time.occurred", "incidents": "time"}
    parts = {
        name: getattr(period, name).filter(pl.col(column).is_between(after + 1, upto))
        for name, column in at.items()
        if getattr(period, name).width
    }
    return replace(
        period,
        sessions=period.sessions.filter(inside),
        days=period.days.filter(inside),
        moments=period.moments.filter(day_end(pl.col("date"), zone).is_between(after + 1, upto)),
        **parts,
    )


def within_budget(
    judged: Sequence[Judged], staff_by_day: Sequence[tuple[object, int]], zone: str, budget: delivery.Budget
) -> list[Judged]:
    """Keep within the daily budget: what is over it goes to the digest, with `over`.

    Args:
        judged: What was decided about whole days, in parts.
        staff_by_day: (calendar day, people of type staff employed that day), ascending.
        zone: The site's time zone, for the day on which a finding is delivered.
        budget: How much may be spent.
    """
    units = pl.concat([part.units for part in judged])
    day = pl.from_epoch("last", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    exempt = pl.col("always") | (pl.col("severity_id") == 5)
    items = units.select(
        pl.col("unit").alias("uid"), day.alias("date"), "queue", "risk", exempt.fill_null(False).alias("exempt")
    )
    spent = delivery.spend(items, staff_by_day, budget)
    units = units.with_columns(spent["queue"].alias("queue"), spent["over"].alias("over"))
    ends = list(accumulate((part.units.height for part in judged), initial=0))
    return [
        replace(part, units=units.slice(start, part.units.height)) for part, start in zip(judged, ends, strict=False)
    ]
