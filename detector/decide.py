"""From hits and surprise to one risk per unit (a session, a person's day, a group), and to the queue it goes to.

A hit contributes p = min(.97, severity × precision × decay). Ranked inside a family,
e = min(1 − Π(1 − p_k · 0.5^k), 1.5 × the largest p, .985): a second sign of the same kind adds less than a sign of
another kind. Families combine as R = 1 − Π(1 − e). The context of the actor and the subject multiplies the odds of R
by ¼ to 4 and is shown as a line of its own. A family's share is −ln(1 − e) over the sum of these. The result does not
depend on the order of the hits and never falls when a hit is added (design §9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

LEVELS: Final = {"critical": 1.0, "high": 0.85, "medium": 0.55, "low": 0.3, "informational": 0.1}

LARGEST_P: Final = 0.97
LARGEST_FAMILY: Final = 0.985
# What evidence of tampering weighs at least, whatever its rule says.
EVIDENCE_RISK: Final = 0.9
SECOND_SIGN: Final = 0.5
FAMILY_OVER_LARGEST: Final = 1.5
CONTEXT_ODDS: Final = (0.25, 4.0)

CONTRIBUTIONS: Final = {"unit": pl.String(), "family": pl.String(), "analytic": pl.String(), "p": pl.Float64()}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Pinned thresholds of risk, 0 to 1; higher is worse.

    Attributes:
        alert: From here on somebody is paged.
        review: From here on it is put before a reviewer.
        digest: From here on it stands in the daily list; below it nothing is published.
        surprise_floor: Surprise whose p-value is above this contributes nothing.
        surprise_slope: Contribution per power of ten below the floor.
        surprise_most: Largest contribution of surprise. Below `alert`: what is only rare is worth a look, not a call at
            night; it pages together with a rule.
    """

    alert: float = 0.70
    review: float = 0.35
    digest: float = 0.12
    surprise_floor: float = 1e-2
    surprise_slope: float = 0.20
    surprise_most: float = 0.65


def hit_p(level: pl.Expr, precision: pl.Expr, decay: pl.Expr | float = 1.0) -> pl.Expr:
    """Contribution of a hit, 0 to .97.

    Args:
        level: Sigma's level, a word of `LEVELS`.
        precision: How often a hit of the rule is confirmed, 0 to 1.
        decay: What time has left of it, 0 to 1.
    """
    weight = level.replace_strict(LEVELS, default=LEVELS["low"], return_dtype=pl.Float64)
    return pl.min_horizontal(pl.lit(LARGEST_P), weight * precision * decay)


def surprise_p(p_value: pl.Expr, thresholds: Thresholds) -> pl.Expr:
    """Contribution of the model's calibrated p-value, 0 to `surprise_most`; null counts as no surprise."""
    powers = (thresholds.surprise_floor / p_value.clip(1e-300, 1.0)).log10()
    return (powers.clip(0.0) * thresholds.surprise_slope).clip(0.0, thresholds.surprise_most).fill_null(0.0)


def families(contributions: pl.DataFrame) -> pl.DataFrame:
    """Combine what contributes to a unit, family by family.

    Args:
        contributions: Columns of `CONTRIBUTIONS`, any order; one row per unit and analytic.

    Returns:
        One row per unit and family, sorted by unit and falling `e`: `unit`, `family`, `e` (0 to .985), `share`
        (0 to 1, they add up to 1 in a unit), `analytics` (of falling p).
    """
    ranked = contributions.filter(pl.col("p") > 0).sort(
        ["unit", "family", "p", "analytic"], descending=[False, False, True, False]
    )
    left = 1 - pl.col("p") * SECOND_SIGN ** pl.int_range(pl.len()).over("unit", "family")
    combined = (
        ranked.with_columns(left.alias("left"))
        .group_by("unit", "family", maintain_order=True)
        .agg(
            pl.min_horizontal(
                1 - pl.col("left").product(), FAMILY_OVER_LARGEST * pl.col("p").max(), pl.lit(LARGEST_FAMILY)
            ).alias("e"),
            pl.col("analytic").alias("analytics"),
        )
    )
    weight = -(1 - pl.col("e")).log()
    return combined.with_columns((weight / weight.sum().over("unit")).alias("share")).sort(
        ["unit", "e", "family"], descending=[False, True, False]
    )


def risk(by_family: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """The risk of each unit.

    Args:
        by_family: What `families` returned.
        context: `unit` and `odds` (factor on the odds; kept within ¼ to 4). A unit that is missing has factor 1.

    Returns:
        One row per unit, sorted by unit: `unit`, `risk` (0 to 1, higher is worse), `plain` (the same without
        context), `odds`.
    """
    plain = by_family.group_by("unit").agg((1 - (1 - pl.col("e")).product()).alias("plain"))
    odds = pl.col("odds").fill_null(1.0).clip(*CONTEXT_ODDS)
    out = plain.join(context.select("unit", "odds"), on="unit", how="left").with_columns(odds)
    return out.select("unit", with_odds(pl.col("plain"), odds).alias("risk"), "plain", "odds").sort("unit")


def with_odds(p: pl.Expr, odds: pl.Expr) -> pl.Expr:
    """A probability whose odds are multiplied by a factor."""
    return p * odds / (1 - p + p * odds)


def queue(risk: pl.Expr, thresholds: Thresholds) -> pl.Expr:
    """`alert`, `review`, `digest` or `none`."""
    return (
        pl.when(risk >= thresholds.alert)
        .then(pl.lit("alert"))
        .when(risk >= thresholds.review)
        .then(pl.lit("review"))
        .when(risk >= thresholds.digest)
        .then(pl.lit("digest"))
        .otherwise(pl.lit("none"))
    )


def severity_id(risk: pl.Expr, thresholds: Thresholds) -> pl.Expr:
    """OCSF severity 1 (informational) to 5 (critical)."""
    return (
        pl.when(risk >= 0.9)
        .then(5)
        .when(risk >= thresholds.alert)
        .then(4)
        .when(risk >= thresholds.review)
        .then(3)
        .when(risk >= thresholds.digest)
        .then(2)
        .otherwise(1)
        .cast(pl.Int64)
    )


def context_odds(units: pl.DataFrame) -> pl.DataFrame:
    """What the circumstances say about a unit, as a factor on the odds of its risk.

    Args:
        units: `unit` and, as far as known, `explained` (share), `n.protected`, `person.type`, `person.days_to_end`,
            `emergency.active`, `only_model` (nothing but the model speaks).

    Returns:
        `unit`, `odds` (¼ to 4) and `reasons` (words of a closed set: explained, protected, vendor, leaving,
        emergency).
    """
    return units.select_seq("unit", *_CONTEXT)


def _context() -> tuple[pl.Expr, pl.Expr]:
    """`odds` and `reasons` of `context_odds`."""
    parts = {
        "explained": ((pl.col("explained") == 1.0) & pl.col("only_model"), 0.5),
        "protected": (pl.col("n.protected") > 0, 2.0),
        "vendor": (pl.col("person.type") == "vendor", 1.5),
        "leaving": (pl.col("person.days_to_end").is_between(0, 30), 1.5),
        "emergency": (pl.col("emergency.active"), 0.5),
    }
    odds = pl.lit(1.0)
    reasons = []
    for name, (holds, factor) in parts.items():
        holds = holds.fill_null(False)
        odds = odds * pl.when(holds).then(factor).otherwise(1.0)
        reasons.append(pl.when(holds).then(pl.lit(name)))
    return odds.clip(*CONTEXT_ODDS).alias("odds"), pl.concat_list(reasons).list.drop_nulls().alias("reasons")


_CONTEXT: Final = _context()
