"""From closed sessions, days, groups and incidents to decided units: what contributes, how much, to which queue.

Pure: everything that is known goes in as frames, a frame of decided units comes out. `detector.findings` puts them into
words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from detector import correlate, decide, delivery, features, hits
from detector.baseline import Baseline
from detector.model import Model
from detector.rulebook import RuleBook

UNIT: Final = {
    "unit": pl.String(), "kind": pl.String(), "group": pl.String(), "actors": pl.List(pl.String()),
    "session": pl.String(), "session.id": pl.String(), "system.id": pl.String(), "src.device": pl.String(),
    "src.ip": pl.String(), "first": pl.Int64(), "last": pl.Int64(), "related": pl.List(pl.String()),
    "event.id": pl.String(), "explained": pl.Float64(), "n.accesses": pl.Int64(), "n.unexplained": pl.Int64(),
    "n.to_check": pl.Int64(), "n.protected": pl.Int64(), "person.type": pl.String(), "person.days_to_end": pl.Int64(),
    "emergency.active": pl.Boolean(),
}  # fmt: skip

# Families that bypass the risk: whoever blinds the watch is always seen (design §9).
ALWAYS_PAGES: Final = "evidence"
MODEL: Final = "peer_surprise"
# Prefix of a rule's name in the baseline, for hits of accounts that the staff register does not know.
STRANGER: Final = "strangers/"
# What says of a person what was said of him before is a repetition for so long.
REPEAT_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Period:
    """Everything that stage one and two gave for the sessions to be judged.

    Attributes:
        sessions, days: Rows of `step.Output`.
        hits: Rows of `hits.SUMS`.
        groups: Rows of `correlate.HITS` of stage two.
        incidents: Rows of `evidence.FINDINGS`.
    """

    sessions: pl.DataFrame
    days: pl.DataFrame
    hits: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=hits.SUMS))
    groups: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=correlate.HITS))
    incidents: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided.

    Attributes:
        units: Rows of `UNIT` that are published, with `risk`, `plain`, `odds`, `reasons`, `queue`, `severity_id`,
            `suppressed`, `learning`, `repeated`, `over`; sorted by (last, unit).
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
    have = frame.columns
    return frame.select(
        (pl.col(name) if name in have else pl.lit(None)).cast(dtype).alias(name) for name, dtype in UNIT.items()
    )


def _units(period: Period) -> pl.DataFrame:
    sessions = period.sessions.with_columns(
        pl.col("session").alias("unit"), pl.lit("session").alias("kind"), pl.col("session").alias("group"),
        pl.concat_list("actor.id").list.drop_nulls().alias("actors"),
    )  # fmt: skip
    days = period.days.with_columns(
        pl.lit("day").alias("kind"), pl.col("unit").alias("group"),
        pl.concat_list("actor.id").list.drop_nulls().alias("actors"),
    )  # fmt: skip
    groups = period.groups.with_columns(
        group_unit().alias("unit"), pl.lit("group").alias("kind"), pl.col("time.occurred").alias("last"),
        pl.col("related").list.first().alias("event.id"),
    )  # fmt: skip
    parts = [_unit(sessions), _unit(days), _unit(groups)]
    if period.incidents.width:
        incidents = period.incidents.with_columns(
            incident_unit().alias("unit"), pl.lit("evidence").alias("kind"), pl.col("who").alias("group"),
            pl.concat_list("who").alias("actors"), pl.coalesce("from", "time").alias("first"),
            pl.col("time").alias("last"), pl.col("related").list.first().alias("event.id"),
        )  # fmt: skip
        parts.append(_unit(incidents))
    return pl.concat(parts)


def group_unit() -> pl.Expr:
    """Name of the unit of a filled group."""
    return pl.concat_str(pl.lit("g"), "rule", "group", "event.id", separator="\x1f")


def incident_unit() -> pl.Expr:
    """Name of the unit of an incident of evidence."""
    # Two boots of one agent may lose a number in the same millisecond: the neighbour tells them apart.
    beside = pl.col("related").list.first().fill_null("")
    return pl.concat_str(pl.lit("e"), "check", "who", pl.col("time").cast(pl.String), beside, separator="\x1f")


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
    weights = pl.DataFrame(
        [
            (who + rule.name, rule.name, rule.family, rule.level, rule.block.precision * usual.factor(who + rule.name))
            for rule in rules.rules
            for who in ("", STRANGER)
        ],
        schema={
            "rule": pl.String, "name": pl.String, "family": pl.String, "level": pl.String, "precision": pl.Float64,
        },
        orient="row",
    )  # fmt: skip
    return (
        apart(found.filter(~pl.col("excused")), units)
        .join(weights, on="rule", how="inner")
        .select(
            "unit", "family", pl.col("name").alias("analytic"),
            decide.hit_p(pl.col("level"), pl.col("precision")).alias("p"),
        )
    )  # fmt: skip


def all_hits(period: Period) -> pl.DataFrame:
    """Rows of `hits.SUMS`: those of sessions and days, and every filled group as a hit of its own unit."""
    return pl.concat([period.hits, _group_hits(period.groups)])


def _group_hits(groups: pl.DataFrame) -> pl.DataFrame:
    """Filled groups as hits of their own unit."""
    values = pl.struct("group", "count", "first", "actors", pl.col("actors").list.len().alias("actors.count"),
                       pl.col("time.occurred")).struct.json_encode()  # fmt: skip
    return groups.select(
        group_unit().alias("unit"), "rule", pl.lit(1, dtype=pl.Int64).alias("n"), pl.col("time.occurred").alias("time"),
        "event.id", "related", values.alias("values"), pl.col("count").cast(pl.Float64).alias("observed"),
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
    who = pl.coalesce("person.dept", "person.type", pl.lit("unknown"))
    work = pl.when(pl.col("n.accesses") > 0).then(pl.col("system.id").fill_null("?")).otherwise(pl.lit(""))
    peers = pl.concat_str(who, work, separator="|").alias("peers")
    return sessions.select(
        "session", "last", peers, *(pl.col(name).cast(pl.Float64) for name in features.MODEL_FEATURES)
    )


def judge(
    period: Period,
    rules: RuleBook,
    model: Model | None,
    usual: Baseline,
    staff_by_day: Sequence[tuple[object, int]],
    zone: str,
    thresholds: decide.Thresholds | None = None,
    budget: delivery.Budget | None = None,
) -> Judged:
    """Decide every unit of a period.

    Args:
        period: What is to be judged.
        rules: The rule book whose hits these are.
        model: The fitted model, or None: then only rules speak.
        usual: How often each rule hits in this office.
        staff_by_day: (calendar day, people of type staff employed that day), ascending, for the budget.
        zone: The site's time zone, for the day on which a finding is delivered.
        thresholds, budget: Pinned; the defaults of their classes.
    """
    thresholds, budget = thresholds or decide.Thresholds(), budget or delivery.Budget()
    scored = scores(period.sessions, model)
    found = all_hits(period)
    surprise = scored.filter(pl.col("p") < thresholds.surprise_floor).select(
        pl.col("session").alias("unit"), pl.lit(MODEL).alias("family"), pl.lit(MODEL).alias("analytic"),
        decide.surprise_p(pl.col("p"), thresholds).alias("p"),
    )  # fmt: skip
    by_family = decide.families(pl.concat([_from_rules(found, rules, usual, strangers(period)), surprise]))
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
    units = _repeated(units, by_family)
    units = _budgeted(units, staff_by_day, zone, budget)
    units = units.sort("last", "unit")
    kept = units["unit"].implode()
    return Judged(units, by_family.filter(pl.col("unit").is_in(kept)), found.filter(pl.col("unit").is_in(kept)), scored)


def _queues(
    units: pl.DataFrame,
    by_family: pl.DataFrame,
    found: pl.DataFrame,
    rules: RuleBook,
    model: Model | None,
    thresholds: decide.Thresholds,
) -> pl.DataFrame:
    pages = by_family.filter(pl.col("family") == ALWAYS_PAGES)["unit"].implode()
    only_model = by_family.group_by("unit").agg((pl.col("family") == MODEL).all().alias("only_model"))
    worth_keeping = [rule.name for rule in rules.rules if decide.LEVELS[rule.level] >= decide.LEVELS["medium"]]
    excused = found.filter(pl.col("excused") & pl.col("rule").is_in(worth_keeping))["unit"].implode()
    units = units.join(only_model, on="unit", how="left").with_columns(
        pl.col("risk").fill_null(0.0),
        (pl.col("only_model").fill_null(False) & pl.lit(model is not None and model.small)).alias("learning"),
    )
    always = (pl.col("kind") == "evidence") | pl.col("unit").is_in(pages)
    units = units.with_columns(
        pl.when(always).then(pl.max_horizontal("risk", pl.lit(0.9))).otherwise("risk").alias("risk"),
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
    suppressed = (pl.col("queue") == "none") & pl.col("unit").is_in(excused)
    return units.with_columns(suppressed.alias("suppressed")).filter((pl.col("queue") != "none") | suppressed)


def with_events(judged: Judged, find: Callable[[pl.Series], pl.DataFrame]) -> Judged:
    """Give the sessions that are published without a hit of their own the events they are about.

    Args:
        judged: What was decided.
        find: Archived events of sessions: names in, `session`, `event.id`, `event.action` and `explained` out, in event
            order.
    """
    lacking = (pl.col("kind") == "session") & pl.col("related").is_null()
    names = judged.units.filter(lacking)["unit"]
    if names.is_empty():
        return judged
    events = hits.concerned(find(names.sort()), ["session"]).rename({"session": "unit", "related": "_found"})
    units = judged.units.join(events, on="unit", how="left", maintain_order="left")
    units = units.with_columns(pl.coalesce("related", "_found").alias("related")).drop("_found")
    return replace(judged, units=units)


def concerned(judged: Judged) -> pl.DataFrame:
    """The events that each finding is about: those of its hits (of excused ones where there are no others); where the
    model speaks or nothing hit, those of the unit as a whole.

    Returns:
        One row per unit and event, sorted: `unit`, `event.id`.
    """
    counted = judged.hits.filter(~pl.col("excused") | pl.col("excused").all().over("unit"))
    surprised = judged.families.filter(pl.col("family") == MODEL)["unit"].implode()
    hit = pl.col("unit").is_in(counted.filter(pl.col("related").list.len() > 0)["unit"].implode())
    whole = judged.units.filter(~hit | pl.col("unit").is_in(surprised))
    events = pl.concat([counted.select("unit", "related"), whole.select("unit", "related")]).explode("related")
    return events.drop_nulls().unique().sort("unit", "related").rename({"related": "event.id"})


def _repeated(units: pl.DataFrame, by_family: pl.DataFrame) -> pl.DataFrame:
    """Send to the digest what says the same of a person as something of the last week did.

    What looks back 30 days holds on the next day too, and a habit shows in every session: it is one thing to look at,
    not one a day. An alert of a session always stands, and so does evidence.
    """
    top = by_family.group_by("unit", maintain_order=True).agg(
        pl.concat_str(pl.col("family").first(), pl.col("analytics").first().list.first(), separator="/").alias("_says")
    )
    who = pl.col("actors").list.first()
    raised = pl.col("queue").is_in(["alert", "review"]) & pl.col("kind").is_in(["day", "session"])
    since = (pl.col("last") - pl.col("last").shift(1).over(who, "kind", "_says")) <= REPEAT_MS
    seen = units.filter(raised).join(top, on="unit", how="left").sort("last", "unit")
    kept = pl.col("always") | ((pl.col("kind") == "session") & (pl.col("queue") == "alert"))
    # What nobody in particular did is not the habit of a person.
    again = seen.filter(since & who.is_not_null() & ~kept)["unit"].implode()
    return units.with_columns(
        pl.col("unit").is_in(again).alias("repeated"),
        pl.when(pl.col("unit").is_in(again)).then(pl.lit("digest")).otherwise("queue").alias("queue"),
    )


def _budgeted(
    units: pl.DataFrame, staff_by_day: Sequence[tuple[object, int]], zone: str, budget: delivery.Budget
) -> pl.DataFrame:
    day = pl.from_epoch("last", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    exempt = pl.col("always") | (pl.col("severity_id") == 5)
    items = units.select(
        pl.col("unit").alias("uid"), day.alias("date"), "queue", "risk", exempt.fill_null(False).alias("exempt")
    )
    spent = delivery.spend(items, staff_by_day, budget)
    return units.with_columns(spent["queue"].alias("queue"), spent["over"].alias("over"))
