"""What a session, and a person's day, looks like in numbers.

One row per closed session (or per actor and local day). Rules of the categories `session` and `actor_day` read these
columns, and the model is fitted on `MODEL_FEATURES` of the sessions. Counts are of events unless said otherwise; an
*access* is an event that shows or takes a subject's data and was not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contract.event import BY_KEY
from detector.grouped import NULL, Feature, Groups, Sums, beginnings, coded, group_of, known, ranked, taken
from detector.sessionise import MINUTE_MS, in_units

WRITES: Final = ("create", "update", "register", "approve", "import")
REFUSED: Final = ("failure", "denied")
Float64 = NDArray[np.float64]

IDLE_S: Final = 900  # a pause after which somebody else may sit at the terminal


def _action(*names: str) -> pl.Expr:
    return pl.col("event.action").is_in(names).fill_null(False)


def _true(name: str) -> pl.Expr:
    return pl.col(name).fill_null(False)


ACCESS: Final = pl.col("explained").is_not_null() | (
    pl.col("subject.token").is_not_null() & ~pl.col("event.outcome").is_in(REFUSED).fill_null(False)
)
UNEXPLAINED: Final = (pl.col("explained") == "unexplained").fill_null(False)
AT_ODD_HOURS: Final = ~pl.col("time.office_hours").fill_null(True)

# Marks on events, of which features are counted.
MARKS: Final[dict[str, pl.Expr]] = {
    "access": ACCESS,
    "judged": pl.col("explained").is_not_null(),
    "explained": pl.col("explained") == "explained",
    "unexplained": UNEXPLAINED,
    "to_check": pl.col("explained") == "to_check",
    "read": _action("read"),
    "search": _action("search"),
    "list": _action("list"),
    "print": _action("print"),
    "export": _action("export", "copy", "send"),
    "write": _action(*WRITES),
    "delete": _action("delete"),
    "failure": pl.col("event.outcome") == "failure",
    "denied": pl.col("event.outcome") == "denied",
    "logon": _action("logon"),
    "logon_failure": _action("logon") & pl.col("event.outcome").is_in(REFUSED),
    "name_search": pl.col("query.kind") == "name",
    "wildcard": pl.col("query.kind") == "wildcard",
    "colleague": _true("subject.colleague") & UNEXPLAINED,
    "neighbour": _true("subject.neighbour") & UNEXPLAINED,
    "family": _true("subject.own_household") | _true("subject.self"),
    "protected": _true("subject.protected") & UNEXPLAINED,
    "vip": _true("subject.vip") & UNEXPLAINED,
    "counted": (pl.col("event.class") != "heartbeat") & pl.col("resource.count").is_not_null(),
    "given_out": _action("export", "copy", "send", "print", "list"),
    "any": pl.col("event.id").is_not_null() | True,
    "typed": pl.col("actor.type").is_not_null(),
    "after_hours": AT_ODD_HOURS,
    "day_off": _true("time.day_off"),
    "fast": pl.col("warning.ack_ms") < 1000,
    "new_op": _true("actor.new_op"),
    "next": pl.col("subject.step").abs() == 1,
    "in_steps": pl.col("subject.step").is_not_null() | ACCESS,
    # Log-on and log-off belong to no pattern of work.
    "doing": ~_action("logon", "logoff", "timeout", "lock"),
    "emergency": pl.col("emergency.active"),
    "overtime": pl.col("presence.overtime"),
}


SHARED: Final[dict[str, Feature]] = {
    "events": Feature("count", "any", "Events"),
    "subjects": Feature("distinct", "any", "Distinct subjects", "subject.token"),
    "n.accesses": Feature("count", "access", "Accesses to a subject"),
    "n.unexplained": Feature("count", "unexplained", "Accesses without a recorded reason"),
    "n.to_check": Feature("count", "to_check", "Accesses whose stated reason is to be checked"),
    "n.unexplained_subjects": Feature(
        "distinct", "unexplained", "Distinct subjects without a recorded reason", "subject.token", with_null=True
    ),
    "n.read": Feature("count", "read", "Reads"),
    "n.search": Feature("count", "search", "Searches"),
    "n.list": Feature("count", "list", "Lists"),
    "n.print": Feature("count", "print", "Prints"),
    "n.export": Feature("count", "export", "Exports, copies and sendings"),
    "n.write": Feature("count", "write", "Creations, updates, registrations, approvals, imports"),
    "n.delete": Feature("count", "delete", "Deletions"),
    "n.failure": Feature("count", "failure", "Events that failed"),
    "n.denied": Feature("count", "denied", "Events that were denied"),
    "n.logon": Feature("count", "logon", "Log-ons tried"),
    "n.logon_failure": Feature("count", "logon_failure", "Log-ons refused"),
    "n.name_search": Feature("count", "name_search", "Searches by name"),
    "n.wildcard": Feature("count", "wildcard", "Searches with wildcards"),
    "n.households": Feature("distinct", "any", "Distinct households", "household.token"),
    "n.areas": Feature("distinct", "any", "Distinct areas of residence of the subjects", "subject.home"),
    "n.ops": Feature("distinct", "any", "Distinct functions", "op.code"),
    "n.devices": Feature("distinct", "any", "Distinct terminals", "src.device"),
    "n.colleagues": Feature(
        "distinct", "colleague", "Distinct colleagues looked at without a recorded reason", "subject.token",
        with_null=True,
    ),
    "n.neighbours": Feature(
        "distinct", "neighbour", "Distinct people of the actor's own area looked at without a recorded reason",
        "subject.token", with_null=True,
    ),
    "n.family": Feature("count", "family", "Accesses to the own household"),
    "n.protected": Feature("count", "protected", "Unexplained accesses to protected people"),
    "n.vip": Feature("count", "vip", "Unexplained accesses to people in the news"),
    "rows.max": Feature("max", "counted", "Most rows of one event", "resource.count"),
    "rows.sum": Feature("sum", "given_out", "Rows listed, printed or taken out", "resource.count"),
    "bytes.sum": Feature("sum", "any", "Bytes that left", "bytes.out"),
    "amount.sum": Feature("sum", "any", "Money, in yen", "amount"),
    "n.after_hours": Feature("count", "after_hours", "Events outside office hours"),
    "n.day_off": Feature("count", "day_off", "Events on days off"),
    "warn.fast": Feature("count", "fast", "Warnings acknowledged in under a second"),
    "first.ops": Feature("distinct", "new_op", "Functions that are new to the actor", "op.code", with_null=True),
}  # fmt: skip

# What only sessions have, and what it means.
SESSION_ONLY: Final[dict[str, str]] = {
    "duration_min": "Minutes from the first to the last event",
    "dwell_s": "Median seconds between an access and the event before it; pauses left out",
    "gap_max_s": "Longest pause in seconds",
    "step.share": "Share of accesses whose subject number is next to the one before",
    "days.since_seen": "Days since the actor's previous event; null the first time",
    "hour.first": "Local hour of the first event",
}

PEOPLE: Final = (
    "person.id", "person.known", "person.type", "person.dept", "person.role", "person.company", "person.area",
    "person.employed", "person.days_after_end", "person.days_to_end", "person.days_since_transfer",
    "person.previous_dept",
)  # fmt: skip

# How long a session lasts, and its longest pause, say when people eat, not what they do.
# Counts enter the model as log1p (they are heavy-tailed), shares and hours as they are.
MODEL_FEATURES: Final = (
    "events", "subjects", "n.accesses", "n.unexplained", "n.to_check", "n.unexplained_subjects", "n.read", "n.search",
    "n.list", "n.print", "n.export", "n.write", "n.delete", "n.failure", "n.denied", "n.logon_failure",
    "n.name_search", "n.wildcard", "n.households", "n.areas", "n.ops", "n.devices", "n.colleagues", "n.neighbours",
    "n.family", "n.protected", "rows.max", "rows.sum", "bytes.sum", "amount.sum", "n.after_hours", "n.day_off",
    "pace_per_min", "step.share", "step.run", "repeat.max", "warn.fast", "shift.ops",
    "shift.unexplained", "first.ops",
)  # fmt: skip


_TEXTS: Final = ("subject.token", "household.token", "subject.home", "op.code")
# Marks compare these with many words: numbers of words are compared at a fifth of the cost. A word that is none of the
# contract's is none that a mark looks for.
_WORDS: Final = tuple(
    pl.col(name).cast(pl.Enum(BY_KEY[name].values), strict=False)
    for name in ("event.action", "event.outcome", "query.kind")
)
_PLACES: Final = ("system.id", "src.device")
_NUMBERS: Final = pl.col("bytes.out", "amount", "resource.count").fill_null(0)
_ALL_MARKS: Final = tuple(expr.fill_null(False).alias(name) for name, expr in MARKS.items())
_OF_DAYS: Final = tuple(expr for expr in _ALL_MARKS if "subject.step" not in expr.meta.root_names())
_DISTINCT: Final = tuple(pl.col(name).unique().drop_nulls().sort().implode() for name in _PLACES)
_SEQUENCE: Final = (pl.col("seq.gap_s").fill_null(-np.inf), pl.col("src.ip").is_not_null().alias("addressed"))
_AT_FIRST: Final = (
    pl.col("actor.id", "session.id"), pl.col("actor.since_seen_days").alias("days.since_seen"),
    pl.col("time.hour").alias("hour.first"),
)  # fmt: skip


def _summed(rows: pl.DataFrame, group: Sequence[str], marks: Sequence[pl.Expr]) -> tuple[Sums, dict[str, Any]]:
    """What sessions and days have in common, by group."""
    groups = Groups(rows, group)
    places = {column.name: column.explode(empty_as_null=False) for column in rows.select_seq(_DISTINCT)}
    numbers = (coded(*_TEXTS), *(ranked(name, texts) for name, texts in places.items()))
    sums = Sums(groups, rows.with_columns_seq(_WORDS).select_seq(*marks, _NUMBERS, *numbers))
    time, good, judged = (
        rows["time.occurred"].to_numpy(),
        groups.count(sums.of("explained")),
        groups.count(sums.of("judged")),
    )
    out: dict[str, Any] = {
        "actor.type": sums.first(rows["actor.type"], "typed"),
        "first": groups.whole(np.minimum, time),
        "last": groups.whole(np.maximum, time),
        "explained": known(good / np.maximum(judged, 1), judged > 0),
        **rows.select_seq(pl.col(PEOPLE))[groups.last()].to_dict(),
        "emergency.active": groups.count(sums.of("emergency")) > 0,
        "presence.overtime": groups.count(sums.of("overtime")) > 0,
        **{name: sums.feature(feature) for name, feature in SHARED.items()},
        **{name: groups.most_frequent(sums.of(name), texts) for name, texts in places.items()},
        "repeat.max": _repeats(sums),
    }
    return sums, out


def _repeats(sums: Sums) -> NDArray[np.int64]:
    """Most accesses to one unexplained subject that led to no entry, per group; 0 where there is none."""
    groups, subjects = sums.groups, sums.of("subject.token")
    there = subjects != NULL
    looked = groups.keys(subjects, there & sums.of("unexplained"))
    written = groups.keys(subjects, there & (sums.of("write") | sums.of("delete")))
    starts = beginnings(looked)
    pairs, often = looked[starts], np.diff(np.append(starts, len(looked)))
    left = ~np.isin(pairs, written)
    out = np.zeros(len(groups), dtype=np.int64)
    np.maximum.at(out, group_of(pairs[left]), often[left])
    return out


def _runs_of_steps(sums: Sums) -> NDArray[np.int64]:
    """Longest run of accesses in which each subject number is next to the one before, per group; 0 where there is none."""
    groups, out = sums.groups, np.zeros(len(sums.groups), dtype=np.int64)
    places = groups.marked(sums.of("in_steps"))
    number, follows, at = groups.number[places], sums.of("next")[places], np.arange(len(places))
    begins = np.zeros(len(places), dtype=np.bool_)
    begins[beginnings(number)] = True
    # The last place that belongs to no run: one that does not follow, or the one before the group begins.
    before = np.maximum.accumulate(np.where(follows, np.where(begins, at - 1, -1), at))
    np.maximum.at(out, number[follows], (at - before)[follows])
    return out


def _shifts(sums: Sums, gaps: Float64, longest: Float64) -> dict[str, Float64]:
    """How the work after the longest pause differs from the work before it; 0 for groups without such a pause."""
    groups, doing = sums.groups, sums.of("doing")
    idle = (longest >= IDLE_S)[groups.number]
    resumed = groups.first(idle & (gaps == longest[groups.number]))
    after = np.arange(len(idle)) >= resumed[groups.number]
    ops = sums.of("op.code")
    # An operation that was used before and after stands twice, one behind the other.
    used = groups.keys((ops << 1 | after).astype(np.uint32), idle & doing & (ops != NULL))
    starts = beginnings(used >> 1)
    new, old = used[np.append(starts, len(used))[1:] - 1] & 1 == 1, used[starts] & 1 == 0
    n_new, n_old, n_both, n_every = (
        np.bincount(group_of(used[starts][which]), minlength=len(groups)) for which in (new, old, new & old, new | old)
    )
    worked, unexplained = idle & doing & sums.of("access"), sums.of("unexplained")
    seen = [groups.count(worked & part) for part in (after, ~after)]
    share_new, share_old = (
        groups.count(worked & part & unexplained) / np.maximum(count, 1)
        for part, count in zip((after, ~after), seen, strict=True)
    )
    return {
        "shift.ops": np.where((n_new > 0) & (n_old > 0), 1 - n_both / np.maximum(n_every, 1), 0.0),
        "shift.unexplained": np.where((seen[0] > 0) & (seen[1] > 0), share_new - share_old, 0.0),
    }


def _dwell(sums: Sums, gaps: Float64) -> pl.Series:
    """Median seconds between an access and the event before it, per group; pauses left out."""
    where = sums.of("access") & (gaps > -np.inf) & (gaps < IDLE_S)
    found = pl.DataFrame([pl.Series("group", sums.groups.number[where]), pl.Series("dwell_s", gaps[where])])
    medians = found.group_by("group").agg(pl.col("dwell_s").median())
    at = np.full(len(sums.groups), -1, dtype=np.int64)
    at[medians["group"].to_numpy()] = np.arange(medians.height)
    return taken(medians["dwell_s"], at)


def most_frequent(rows: pl.DataFrame, group: Sequence[str], column: str) -> pl.DataFrame:
    """The most frequent value per group; the smallest of equally frequent ones, so that order does not matter."""
    counted = rows.select(*group, column).drop_nulls(column).group_by(*group, column).len("_n")
    first = counted.sort("_n", column, descending=[True, False]).unique(group, keep="first", maintain_order=True)
    return first.drop("_n")


def sessions(rows: pl.DataFrame) -> pl.DataFrame:
    """Summarise closed sessions.

    Args:
        rows: All events of these sessions, enriched, explained and with sequence columns, in event order.

    Returns:
        One row per session, sorted by (last, session), with `session`, `actor.id`, `system.id`, `src.device`,
        `first`, `last` (UTC ms), `explained` (share 0 to 1; null if no access could be judged), the columns of
        `PEOPLE`, `SHARED` and `SESSION_ONLY`, and `pace_per_min`, `step.run`, `repeat.max`, `shift.ops`,
        `shift.unexplained`.
    """
    sums, out = _summed(rows, ["session"], (*_ALL_MARKS, *_SEQUENCE))
    groups, gaps = sums.groups, sums.of("seq.gap_s")
    longest = groups.whole(np.maximum, gaps)
    out |= {
        "session": groups.names["session"],
        **rows.select_seq(_AT_FIRST)[groups.first()].to_dict(),
        "src.ip": sums.first(rows["src.ip"], "addressed"),
        "dwell_s": _dwell(sums, gaps),
        "gap_max_s": np.where(longest > -np.inf, longest, 0.0),
        "step.share": groups.count(sums.of("next") & sums.of("access")) / np.maximum(out["n.accesses"], 1),
        "step.run": _runs_of_steps(sums),
        **_shifts(sums, gaps, longest),
    }
    return _frame(out).select_seq(_SESSION).sort("last", "session")


def _frame(columns: Mapping[str, NDArray[Any] | pl.Series]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, values) for name, values in columns.items()])


def _columns_of(*expressions: pl.Expr) -> set[str]:
    return {name for expression in expressions for name in expression.meta.root_names()}


_BOTH: Final = (
    "explained", *PEOPLE, "emergency.active", "presence.overtime", *SHARED,
)  # fmt: skip
_DURATION: Final = in_units(pl.col("last") - pl.col("first"), MINUTE_MS)
# Columns of `sessions` and of `days`, in their order.
_SESSION: Final = (
    pl.col("session", "actor.id", "actor.type", "src.ip", "session.id", "first", "last", *_BOTH),
    _DURATION.alias("duration_min"),
    pl.col(*[name for name in SESSION_ONLY if name != "duration_min"], *_PLACES),
    pl.col("step.run", "repeat.max", "shift.ops", "shift.unexplained"),
    (pl.col("events") / _DURATION.clip(1.0)).alias("pace_per_min"),
)
_DAY: Final = pl.col(
    "time.date", "actor.id", "actor.type", "first", "last", *_BOTH, "sessions", "systems", "near_limit", *_PLACES,
    "repeat.max",
)  # fmt: skip

# What the summary of a session, and of a day, needs of an event.
SESSION_COLUMNS: Final = tuple(
    sorted(
        _columns_of(*_ALL_MARKS)
        | {feature.column for feature in SHARED.values() if feature.column}
        | {"event.id", "session", "session.id", "system.id", "src.ip", "time.occurred", "time.hour", *PEOPLE}
        | {"actor.id", "actor.type", "actor.since_seen_days", "seq.gap_s"}
    )
)
DAY_COLUMNS: Final = (
    "event.id", "time.occurred", "time.date", "actor.id", "actor.type", "event.action", "event.class", "event.outcome",
    "subject.token", "household.token", "subject.home", "explained", "query.kind", "op.code", "src.device", "session",
    "system.id", "resource.count", "bytes.out", "amount", "warning.ack_ms", "actor.new_op", "time.office_hours",
    "time.day_off", "subject.colleague", "subject.neighbour", "subject.own_household", "subject.self",
    "subject.protected", "subject.vip", "presence.overtime", "emergency.active", "approver.id", "basis.ref", *PEOPLE,
)  # fmt: skip


# The state keeps no more of an event than this.
ROWS: Final = tuple(sorted({*SESSION_COLUMNS, *DAY_COLUMNS}))


def days(rows: pl.DataFrame, export_limit: int | None) -> pl.DataFrame:
    """Summarise people's days.

    Args:
        rows: All events of complete local days in `DAY_COLUMNS`, in event order; rows without actor are left out.
        export_limit: Rows from which an export needs approval (`limits.export_rows_needing_approval`), if declared.

    Returns:
        One row per actor and day, sorted by (time.date, actor.id): `SHARED`, `PEOPLE`, `sessions`, `systems`,
        `repeat.max`, `near_limit` (exports of 80 to 99 % of the limit; null without one), `first`, `last` (UTC ms).
    """
    rows = rows.filter(pl.col("actor.id").is_not_null())
    group = ["time.date", "actor.id"]
    near = _action("export", "copy", "send", "print")
    if export_limit:
        near &= pl.col("resource.count").is_between(0.8 * export_limit, export_limit - 1)
    sums, out = _summed(rows, group, (*_OF_DAYS, near.fill_null(False).alias("near"), coded("session")))
    groups, systems = sums.groups, sums.of("system.id")
    limit = groups.count(sums.of("near")).astype(np.int64)
    out |= groups.names.to_dict() | {
        "sessions": groups.distinct(groups.keys(sums.of("session"))),
        "systems": groups.distinct(groups.keys(systems, systems != NULL)),
        "near_limit": known(limit, np.full(len(groups), bool(export_limit))),
    }
    return _frame(out).select_seq(_DAY).sort(group)
