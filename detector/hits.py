"""Which rules matched where, and what a finding needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import polars as pl

from detector import rulebook, wording
from detector.features import UNEXPLAINED
from detector.marks import Bools, Marks

# One row per match. `unit` is the session, day or group that it counts for.
HITS: Final = {
    "unit": pl.String(), "rule": pl.String(), "time": pl.Int64(), "event.id": pl.String(),
    "related": pl.List(pl.String()), "about": pl.List(pl.String()), "values": pl.String(), "observed": pl.Float64(),
    "excused": pl.Boolean(),
}  # fmt: skip

# One row per unit and rule.
SUMS: Final = {
    "unit": pl.String(), "rule": pl.String(), "n": pl.Int64(), "time": pl.Int64(), "event.id": pl.String(),
    "related": pl.List(pl.String()), "about": pl.List(pl.String()), "values": pl.String(), "observed": pl.Float64(),
    "excused": pl.Boolean(),
}  # fmt: skip

# A unit of more events than this lists the first ones; nobody reads more, and one finding stays under a megabyte.
MOST_RELATED: Final = 5000

# Columns that every sentence may use, whatever its rule names.
ALWAYS: Final = ("actor.id", "person.id", "person.dept", "system.id", "time.occurred", "src.device", "src.ip")

_EXCUSING: Final = ("explained", "emergency.active", "presence.overtime")

_TAKEN_OUT: Final = pl.col("event.action").is_in(["export", "copy", "send", "print", "delete"]).fill_null(False)


_NONE: Final = pl.DataFrame(schema=HITS)


def none() -> pl.DataFrame:
    """No hits."""
    return _NONE


def _excused(rule: rulebook.Rule) -> pl.Expr:
    """Whether what is known of the row explains the hit away."""
    # A session or a day is explained only if all of it is: misuse hides among ordinary work.
    explained = pl.col("explained") == "explained" if rule.category == "event" else pl.col("explained") == 1.0
    conditions = {
        "explained": explained,
        "emergency": pl.col("emergency.active"),
        "overtime": pl.col("presence.overtime"),
    }
    chosen = [conditions[name].fill_null(False) for name in rule.block.excused_by]
    return pl.any_horizontal(chosen) if chosen else pl.lit(False)


def wanted_columns(rule: rulebook.Rule) -> list[str]:
    """Columns that the sentences of a rule name."""
    block = rule.block
    named = _named((block.text.ja, block.text.en, block.check_first.ja, block.check_first.en))
    if block.observed:
        named = (*named, block.observed.field)
    return list(dict.fromkeys([*ALWAYS, *named]))


@lru_cache(maxsize=4096)
def _named(templates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(field for template in templates for _, field in wording.placeholders(template))


def _values(rule: rulebook.Rule, schema: pl.Schema, extra: Sequence[str] = ()) -> pl.Expr:
    names = [name for name in dict.fromkeys([*wanted_columns(rule), *extra]) if name in schema]
    columns = [
        pl.col(name).cast(pl.String) if schema[name] == pl.Date else pl.col(name)
        for name in names
        if schema[name] != pl.List(pl.String)
    ]
    return pl.struct(columns).struct.json_encode()


def _observed(rule: rulebook.Rule, schema: pl.Schema) -> pl.Expr:
    observed = rule.block.observed
    if observed is None or observed.field not in schema or not schema[observed.field].is_numeric():
        return pl.lit(None, dtype=pl.Float64)
    return pl.col(observed.field).cast(pl.Float64)


def match(
    rows: pl.DataFrame | Marks,
    rules: Iterable[rulebook.Rule],
    unit: str,
    event: str,
    time: str,
    among: Bools | None = None,
) -> pl.DataFrame:
    """Match plain rules against rows.

    Args:
        rows: Rows of one category; as `Marks` where others ask about them too.
        rules: Plain rules of that category.
        unit, event, time: Columns that hold the unit, the id of the (first) event, and the moment in UTC ms.
        among: Rows that count; all by default.

    Returns:
        Rows of `HITS`.
    """
    chosen = tuple(rules)
    frame = rows.frame if isinstance(rows, Marks) else rows
    return described(frame, rulebook.match(rows, chosen, among), chosen, unit, event, time)


def described(
    rows: pl.DataFrame, found: pl.DataFrame, rules: Iterable[rulebook.Rule], unit: str, event: str, time: str
) -> pl.DataFrame:
    """Say of matches what a finding needs to know.

    Args:
        rows: What was matched; for units with `related` (event ids concerned) and `about` (tokens of whom they are about).
        found: What `rulebook.match` returned.
        rules, unit, event, time: As for `match`.

    Returns:
        Rows of `HITS`, by the first row that a rule hit.
    """
    if found.is_empty():
        return none()
    by_name = {rule.name: rule for rule in rules}
    by_rule = [(by_name[str(name)], rows_) for (name,), rows_ in found.group_by(["rule"], maintain_order=True)]
    used = {unit, event, time, "related", "about", "subject.token", *_EXCUSING}
    used.update(column for rule, _ in by_rule for column in wanted_columns(rule))
    chosen = rows[[column for column in rows.columns if column in used]]
    chosen = chosen[pl.concat([rows_["row"] for _, rows_ in by_rule])]
    has_related = "related" in chosen.columns
    told = chosen.select(
        pl.col(unit).alias("unit"),
        pl.concat([rows_["rule"] for _, rows_ in by_rule]).alias("rule"),
        pl.col(time).alias("time"),
        pl.col(event).alias("event.id"),
        pl.col("related") if has_related else pl.concat_list(pl.col(event)).alias("related"),
        pl.col("about") if has_related else _about(chosen.columns),
    )
    schema, start, parts = chosen.schema, 0, []
    for rule, rows_ in by_rule:
        parts.append(
            chosen[start : start + rows_.height].select(
                _values(rule, schema).alias("values"),
                _observed(rule, schema).alias("observed"),
                _excused(rule).alias("excused"),
            )
        )
        start += rows_.height
    return told.hstack(pl.concat(parts))


def _about(columns: Sequence[str]) -> pl.Expr:
    """The person whom an event is about, as a list."""
    subject = pl.col("subject.token") if "subject.token" in columns else pl.lit(None, dtype=pl.String)
    return pl.concat_list(subject).list.drop_nulls().alias("about")


def correlated(rows: pl.DataFrame, edges: pl.DataFrame, rule: rulebook.Rule) -> pl.DataFrame:
    """Turn rising edges of a stage-one correlation into hits of the session in which they happened.

    Args:
        rows: Enriched events with sessions; holds every triggering event.
        edges: What `correlate.advance` returned for this rule.
        rule: The correlation.
    """
    if edges.is_empty():
        return none()
    used = {"session", "time.occurred", "event.id", *_EXCUSING, *wanted_columns(rule)}
    rows = rows[[column for column in rows.columns if column in used]]
    joined = edges.select("event.id", "count", "first", "related", "about").join(rows, on="event.id", how="inner")
    observed = pl.col("count").cast(pl.Float64)
    return joined.select(
        pl.col("session").alias("unit"),
        pl.lit(rule.name).alias("rule"),
        pl.col("time.occurred").alias("time"),
        "event.id",
        "related",
        "about",
        _values(rule, joined.schema, ("count", "first")).alias("values"),
        observed.alias("observed"),
        _excused(rule).alias("excused"),
    )


def total(found: pl.DataFrame) -> pl.DataFrame:
    """One row per unit and rule.

    Hits that are not excused come first: they decide what is shown. `excused` is true only where all are.

    Args:
        found: Rows of `HITS`, any order.

    Returns:
        Rows of `SUMS`, sorted by (unit, rule).
    """
    return _summed(found.with_columns(pl.lit(1, dtype=pl.Int64).alias("n")))


def total_again(sums: pl.DataFrame) -> pl.DataFrame:
    """Rows of `SUMS` of several calls as one frame. Late events amend a unit, so it may come twice."""
    return _summed(sums)


def _summed(found: pl.DataFrame) -> pl.DataFrame:
    # Where something is not excused, what is does not count.
    counted = ~pl.col("excused") | pl.col("excused").all().over("unit", "rule")
    return (
        found.filter(counted)
        .sort(
            ["unit", "rule", "observed", "time", "event.id"],
            descending=[False, False, True, False, False],
            nulls_last=True,
        )
        .group_by("unit", "rule", maintain_order=True)
        .agg(
            pl.col("n").sum(),
            pl.col("time").min(),
            pl.col("event.id").sort_by("time", "event.id").first(),
            *(
                pl.col(name).list.explode(keep_nulls=False, empty_as_null=False).unique().sort().head(MOST_RELATED)
                for name in ("related", "about")
            ),
            pl.col("values").first(),
            pl.col("observed").first(),
            pl.col("excused").first(),
        )
        .sort("unit", "rule")
    )


def concerned(rows: pl.DataFrame, group: Sequence[str]) -> pl.DataFrame:
    """The events of a unit that a finding about the unit as a whole is about.

    Where something has no recorded reason, that and what was taken out or deleted; else everything.

    Args:
        rows: Events with `explained` and `subject.token`, in event order.
        group: Columns that name the unit.

    Returns:
        One row per unit: `group`, `related` (event ids) and `about` (tokens of whom they are about, sorted).
    """
    core = UNEXPLAINED | (_TAKEN_OUT & UNEXPLAINED.any().over(group))
    some = UNEXPLAINED.any().over(group)
    return (
        rows.filter(core | ~some)
        .group_by(group, maintain_order=True)
        .agg(
            pl.col("event.id").head(MOST_RELATED).alias("related"),
            pl.col("subject.token").head(MOST_RELATED).drop_nulls().unique().sort().alias("about"),
        )
    )
