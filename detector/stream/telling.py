"""What pages alone, told at once: when to say it, when to say it again, and when to be silent.

A unit of this kind is all that one rule found of one person on one day (docs/decisions/moments.md). It is told at the first
event that came, again when it becomes more serious, and once more when the day is over if there was more than was told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import polars as pl

from contract import finding
from contract.finding import Queue, Status
from detector import hits, moments, repeats
from detector.schedule import Schedule
from detector.stream.plan import Plan
from detector.stream.waiting import Piece
from registers.calendar import day_end

# How long a day is remembered after its end, for what comes late.
REMEMBERED_MS: Final = 86_400_000
_NONE: Final = moments.none()
Finding = dict[str, Any]


class Told(NamedTuple):
    """What was said of a unit last.

    Attributes:
        severity: How serious it was; 0: nothing, it was taken back.
        digest: Of all that was said.
        ends: The last ms of its day.
        text: The finding, JSON, as long as events of it wait for their turn; else empty.
    """

    severity: int
    digest: str
    ends: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of moments that page, and what of it was told.

    Attributes:
        known: Rows of `moments.PAGING` of events that are decided, of days and sessions that are not over.
        early: Rows of events that wait for their turn; they have no session yet.
        told: By unit.
    """

    known: pl.DataFrame = field(default_factory=lambda: _NONE)
    early: pl.DataFrame = field(default_factory=lambda: _NONE)
    told: Mapping[str, Told] = field(default_factory=dict)


def arriving(pieces: Iterable[Piece], after: int) -> pl.DataFrame:
    """What can be said at once of events that have to wait for the others.

    Args:
        pieces: What came, prepared, in pieces that are later than `after` or not.
        after: UTC ms.

    Returns:
        Rows of `moments.PAGING`.
    """
    found = []
    for piece in pieces:
        plan = piece.by
        if piece.first <= after or plan is None or not plan.arriving:
            continue
        rows = piece.wide.with_columns(pl.lit(None, dtype=pl.String).alias("session"))
        matched = hits.match(rows, plan.arriving, "session", "event.id", "time.occurred")
        found.append(weighed(moments.of(matched, rows, plan.arriving, plan.context.thresholds), plan))
    return together(found)


def weighed(rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Those of `moments.MOMENTS` that page."""
    if rows.is_empty():
        return _NONE
    return moments.paging(rows, plan.context.rules.rules, plan.pins.usual, plan.context.thresholds)


def together(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """All rows of several frames of `moments.PAGING`; mostly there are none."""
    some = [one for one in rows if one.height]
    return pl.concat(some) if some else _NONE


def settle(known: Moments, decided: pl.DataFrame, upto: int) -> Moments:
    """Take what was decided about events up to a moment (UTC ms); what was said of them early is not needed any more."""
    early = known.early if known.early.is_empty() else known.early.filter(pl.col("time") > upto)
    together = pl.concat([known.known, decided]) if decided.height else known.known
    return replace(known, known=together, early=early)


def reconsider(before: Moments, known: Moments, upto: int, plan: Plan) -> tuple[Moments, list[Finding]]:
    """Say of what was told on arrival whether it still holds, now that it is decided: versions may have changed in between.

    Args:
        before: With the rows of events that waited.
        known: The same, settled up to `upto` (UTC ms).
        upto: Up to when is decided.
        plan: What decided.

    Returns:
        What is known now, and the findings that changed. One that is nothing any more is taken back: suppressed, in no queue.
    """
    waited = before.early if before.early.is_empty() else before.early.filter(pl.col("time") <= upto)
    if waited.is_empty():
        return known, []
    rows = together([known.known, known.early]).filter(pl.col("unit").is_in(waited["unit"].implode()))
    gone = waited.join(rows, on=["unit", "event.id"], how="anti")["unit"].unique().sort()
    left, told, said = set(rows["unit"]), dict(known.told), []
    for unit in gone:
        if unit not in left and unit in told and told[unit].text:
            said.append(_taken_back(told[unit].text, plan))
            told[unit] = Told(0, "", told[unit].ends)
    for unit in set(waited["unit"]) - set(known.early["unit"]):
        if unit in told:
            told[unit] = told[unit]._replace(text="")
    return _said_less(replace(known, told=told), rows.filter(pl.col("unit").is_in(gone.implode())), plan, said)


def _said_less(known: Moments, rows: pl.DataFrame, plan: Plan, said: list[Finding]) -> tuple[Moments, list[Finding]]:
    """Say anew what rows are left of, if there are any."""
    if rows.is_empty():
        return known, said
    found, _ = plan.decide(plan.period(moments=rows), repeats.nothing())
    known, more = say(known, found, plan)
    return known, said + more


def _taken_back(text: str, plan: Plan) -> Finding:
    one = updated(json.loads(text))
    more = {"queue": str(Queue.NONE), "withdrawn": True, "versions": plan.pins.versions}
    return one | {"is_alert": False, "status_id": int(Status.SUPPRESSED), "unmapped": one["unmapped"] | more}


def due(known: Moments, after: int, upto: int, zone: str) -> pl.DataFrame:
    """Rows of the days that ended in (after, upto], UTC ms."""
    if known.known.is_empty():
        return known.known
    return known.known.filter(day_end(pl.col("date"), zone).is_between(after + 1, upto))


def tell(known: Moments, new: pl.DataFrame, plans: Schedule[Plan], watermark: int) -> tuple[Moments, list[Finding]]:
    """Say at once what is new.

    Args:
        known: With the new ones.
        new: Rows of `moments.PAGING` that came in this turn.
        plans: What decides.
        watermark: UTC ms. Of days that are over, all is said when they are closed.
    """
    if new.is_empty():
        return known, []
    said: list[Finding] = []
    rows = pl.concat([known.known, known.early])
    for begin, upto, plan in plans.stretches(-1, max(watermark, int(rows["time"].max()))):  # type: ignore[arg-type]
        open_days = day_end(pl.col("date"), plan.zone) > watermark
        fresh = new.filter(pl.col("time").is_between(begin + 1, upto) & open_days)
        worst = fresh.group_by("unit").agg(pl.col("severity_id").max())
        units = [
            unit
            for unit, severity in worst.iter_rows()
            if unit not in known.told or severity > known.told[unit].severity
        ]
        if not units:
            continue
        period = plan.period(moments=rows.filter(pl.col("unit").is_in(units)))
        found, _ = plan.decide(period, repeats.nothing())
        known, more = say(known, found, plan)
        said += more
    return known, said


def say_again(known: Moments, rows: pl.DataFrame, plan: Plan, watermark: int) -> tuple[Moments, list[Finding]]:
    """Say anew what late events changed about days that are over.

    Args:
        known: What was told.
        rows: All that is known of the units that changed (`moments.PAGING`).
        plan: What decides.
        watermark: UTC ms.
    """
    over = rows.filter(day_end(pl.col("date"), plan.zone) <= watermark)
    if over.is_empty():
        return known, []
    found, _ = plan.decide(plan.period(moments=over), repeats.nothing())
    return say(known, found, plan)


def say(known: Moments, found: list[Finding], plan: Plan) -> tuple[Moments, list[Finding]]:
    """Leave out what was told in the same words, and mark what was told in others as an update.

    Args:
        known: What was told.
        found: OCSF objects of units of this kind.
        plan: What decided.
    """
    told, said, waiting = dict(known.told), [], set(known.early["unit"])
    for one in found:
        text = finding.to_json(one)
        unit, digest = one["unmapped"]["unit"], hashlib.sha256(text.encode()).hexdigest()
        before = told.get(unit)
        if before is not None and before.digest == digest:
            continue
        said.append(one if before is None else updated(one))
        told[unit] = Told(one["severity_id"], digest, _day_end(unit, plan.zone), text if unit in waiting else "")
    return replace(known, told=told), said


def updated(one: Finding) -> Finding:
    """A finding that was said before, in other words."""
    return one | {"activity_id": 2, "type_uid": 200402}


def forget(known: Moments, watermark: int, open_sessions: pl.Series, zone: str) -> Moments:
    """What can still matter: of days that are not long over, and of sessions that are open."""
    if known.known.is_empty() and not known.told:
        return known
    lately = day_end(pl.col("date"), zone) + REMEMBERED_MS > watermark
    kept = known.known.filter(lately | pl.col("session").is_in(open_sessions.implode()))
    told = {unit: one for unit, one in known.told.items() if one.ends + REMEMBERED_MS > watermark}
    return replace(known, known=kept, told=told)


def _day_end(unit: str, zone: str) -> int:
    """The last ms of the day that stands in the name of a unit."""
    day = pl.Series([unit.split("\x1f")[2]]).str.to_date()
    return int(pl.select(day_end(pl.lit(day), zone)).item())
