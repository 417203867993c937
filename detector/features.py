"""What a session, and a person's day, looks like in numbers.

One row per closed session (or per actor and local day). Rules of the categories `session` and `actor_day` read these
columns, and the model is fitted on `MODEL_FEATURES` of the sessions. Counts are of events unless said otherwise; an
*access* is an event that shows or takes a subject's data and was not refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from detector.sessionise import MINUTE_MS, in_units

WRITES: Final = ("create", "update", "register", "approve", "import")
REFUSED: Final = ("failure", "denied")
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

# name -> (expression over the rows of one group, meaning)
_SUBJECT: Final = pl.col("subject.token")
SHARED: Final[dict[str, tuple[pl.Expr, str]]] = {
    "events": (pl.len(), "Events"),
    "subjects": (_SUBJECT.drop_nulls().n_unique(), "Distinct subjects"),
    "n.accesses": (ACCESS.sum(), "Accesses to a subject"),
    "n.unexplained": (UNEXPLAINED.sum(), "Accesses without a recorded reason"),
    "n.to_check": ((pl.col("explained") == "to_check").sum(), "Accesses whose stated reason is to be checked"),
    "n.unexplained_subjects": (_SUBJECT.filter(UNEXPLAINED).n_unique(), "Distinct subjects without a recorded reason"),
    "n.read": (_action("read").sum(), "Reads"),
    "n.search": (_action("search").sum(), "Searches"),
    "n.list": (_action("list").sum(), "Lists"),
    "n.print": (_action("print").sum(), "Prints"),
    "n.export": (_action("export", "copy", "send").sum(), "Exports, copies and sendings"),
    "n.write": (_action(*WRITES).sum(), "Creations, updates, registrations, approvals, imports"),
    "n.delete": (_action("delete").sum(), "Deletions"),
    "n.failure": ((pl.col("event.outcome") == "failure").sum(), "Events that failed"),
    "n.denied": ((pl.col("event.outcome") == "denied").sum(), "Events that were denied"),
    "n.logon": (_action("logon").sum(), "Log-ons tried"),
    "n.logon_failure": ((_action("logon") & pl.col("event.outcome").is_in(REFUSED)).sum(), "Log-ons refused"),
    "n.name_search": ((pl.col("query.kind") == "name").sum(), "Searches by name"),
    "n.wildcard": ((pl.col("query.kind") == "wildcard").sum(), "Searches with wildcards"),
    "n.households": (pl.col("household.token").drop_nulls().n_unique(), "Distinct households"),
    "n.areas": (pl.col("subject.home").drop_nulls().n_unique(), "Distinct areas of residence of the subjects"),
    "n.ops": (pl.col("op.code").drop_nulls().n_unique(), "Distinct functions"),
    "n.devices": (pl.col("src.device").drop_nulls().n_unique(), "Distinct terminals"),
    "n.colleagues": (
        _SUBJECT.filter(_true("subject.colleague") & UNEXPLAINED).n_unique(),
        "Distinct colleagues looked at without a recorded reason",
    ),
    "n.neighbours": (
        _SUBJECT.filter(_true("subject.neighbour") & UNEXPLAINED).n_unique(),
        "Distinct people of the actor's own area looked at without a recorded reason",
    ),
    "n.family": ((_true("subject.own_household") | _true("subject.self")).sum(), "Accesses to the own household"),
    "n.protected": ((_true("subject.protected") & UNEXPLAINED).sum(), "Unexplained accesses to protected people"),
    "n.vip": ((_true("subject.vip") & UNEXPLAINED).sum(), "Unexplained accesses to people in the news"),
    "rows.max": (pl.col("resource.count").filter(pl.col("event.class") != "heartbeat").max(), "Most rows of one event"),
    "rows.sum": (
        pl.col("resource.count").filter(_action("export", "copy", "send", "print", "list")).sum(),
        "Rows listed, printed or taken out",
    ),
    "bytes.sum": (pl.col("bytes.out").sum(), "Bytes that left"),
    "amount.sum": (pl.col("amount").sum(), "Money, in yen"),
    "n.after_hours": (AT_ODD_HOURS.sum(), "Events outside office hours"),
    "n.day_off": (_true("time.day_off").sum(), "Events on days off"),
    "warn.fast": ((pl.col("warning.ack_ms") < 1000).sum(), "Warnings acknowledged in under a second"),
    "first.ops": (pl.col("op.code").filter(_true("actor.new_op")).n_unique(), "Functions that are new to the actor"),
}  # fmt: skip

SESSION_ONLY: Final[dict[str, tuple[pl.Expr, str]]] = {
    "duration_min": (
        in_units(pl.col("time.occurred").max() - pl.col("time.occurred").min(), MINUTE_MS),
        "Minutes from the first to the last event",
    ),
    "dwell_s": (
        pl.col("seq.gap_s").filter(ACCESS & (pl.col("seq.gap_s") < IDLE_S)).median(),
        "Median seconds between an access and the event before it; pauses left out",
    ),
    "gap_max_s": (pl.col("seq.gap_s").max().fill_null(0.0), "Longest pause in seconds"),
    "step.share": (
        ((pl.col("subject.step").abs() == 1) & ACCESS).sum() / ACCESS.sum().clip(1),
        "Share of accesses whose subject number is next to the one before",
    ),
    "days.since_seen": (
        pl.col("actor.since_seen_days").first(),
        "Days since the actor's previous event; null the first time",
    ),
    "hour.first": (pl.col("time.hour").first(), "Local hour of the first event"),
}  # fmt: skip

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


def _runs_of_steps(rows: pl.DataFrame) -> pl.DataFrame:
    """Longest run of accesses in which each subject number is next to the one before, per session that has one."""
    is_next = (pl.col("subject.step").abs() == 1).fill_null(False)
    stepping = rows.select("session", is_next.alias("next")).filter("next")["session"].unique()
    steps = rows.filter(pl.col("session").is_in(stepping.implode()) & (pl.col("subject.step").is_not_null() | ACCESS))
    runs = steps.select("session", is_next.alias("next")).with_columns(
        (~pl.col("next")).cum_sum().over("session").alias("run")
    )
    return (
        runs.filter("next")
        .group_by("session", "run")
        .len("n")
        .group_by("session")
        .agg(pl.col("n").max().cast(pl.Int64).alias("step.run"))
    )


def _repeats(rows: pl.DataFrame, group: Sequence[str]) -> pl.DataFrame:
    """Most accesses to one unexplained subject that led to no entry, per group that has one."""
    key = [*group, "subject.token"]
    rows = rows.filter(_SUBJECT.is_not_null() & (UNEXPLAINED | _action(*WRITES, "delete")))
    written = rows.filter(_action(*WRITES, "delete")).select(key)
    looked = rows.filter(UNEXPLAINED).group_by(key).agg(pl.len().alias("n"))
    return looked.join(written, on=key, how="anti").group_by(group).agg(pl.col("n").max().alias("repeat.max"))


_SHIFT_COLUMNS: Final = (
    "session", "seq.gap_s", "event.action", "event.outcome", "op.code", "explained", "subject.token",
)  # fmt: skip


def _shifts(idle: pl.DataFrame) -> pl.DataFrame:
    """How the work after the longest pause differs from the work before it, for events of sessions with such a pause."""
    if idle.is_empty():
        return pl.DataFrame(schema={"session": pl.String, "shift.ops": pl.Float64, "shift.unexplained": pl.Float64})
    gap = pl.col("seq.gap_s")
    resumed = pl.col("place").get(gap.fill_null(-1.0).arg_max()).over("session")
    idle = idle.with_row_index("place").with_columns((pl.col("place") >= resumed).alias("after"))
    # Log-on and log-off belong to neither pattern.
    work = idle.filter(~_action("logon", "logoff", "timeout", "lock"))
    after = pl.col("after")
    per_op = (
        work.filter(pl.col("op.code").is_not_null())
        .group_by("session", "op.code")
        .agg((~after).any().alias("b"), after.any().alias("a"))
    )
    ops = per_op.group_by("session").agg(
        pl.when(pl.col("a").any() & pl.col("b").any())
        .then(1 - (pl.col("a") & pl.col("b")).sum() / pl.len())
        .otherwise(0.0)
        .alias("shift.ops")
    )  # fmt: skip
    share = work.filter(ACCESS).group_by("session").agg(
        (UNEXPLAINED.filter(after).mean() - UNEXPLAINED.filter(~after).mean()).fill_null(0.0).alias("shift.unexplained")
    )  # fmt: skip
    return ops.join(share, on="session", how="full", coalesce=True)


def _explained_share() -> pl.Expr:
    judged = pl.col("explained").is_not_null().sum()
    good = (pl.col("explained") == "explained").sum()
    return pl.when(judged > 0).then(good / judged.clip(1)).alias("explained")


def most_frequent(rows: pl.DataFrame, group: Sequence[str], column: str) -> pl.DataFrame:
    """The most frequent value per group; the smallest of equally frequent ones, so that order does not matter."""
    counted = rows.select(*group, column).drop_nulls(column).group_by(*group, column).len("_n")
    first = counted.sort("_n", column, descending=[True, False]).unique(group, keep="first", maintain_order=True)
    return first.drop("_n")


def _with(out: pl.DataFrame, group: Sequence[str], *extras: pl.DataFrame) -> pl.DataFrame:
    """Add what was found out apart, by group."""
    # Joined to the names alone, and only then put beside the many columns.
    beside = out.select(group)
    for extra in extras:
        beside = beside.join(extra, on=group, how="left", maintain_order="left")
    return out.hstack(beside.drop(group))


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
    exprs = [expr.alias(name) for name, (expr, _) in (SHARED | SESSION_ONLY).items()]
    out = rows.group_by("session", maintain_order=True).agg(
        pl.col("actor.id").first(),
        pl.col("actor.type").drop_nulls().first(),
        pl.col("src.ip").drop_nulls().first(),
        pl.col("session.id").first(),
        pl.col("time.occurred").min().alias("first"),
        pl.col("time.occurred").max().alias("last"),
        _explained_share(),
        *(pl.col(name).last() for name in PEOPLE),
        _true("emergency.active").any().alias("emergency.active"),
        _true("presence.overtime").any().alias("presence.overtime"),
        *exprs,
    )
    idle = out.filter(pl.col("gap_max_s") >= IDLE_S)["session"]
    pauses = rows.select(_SHIFT_COLUMNS).filter(pl.col("session").is_in(idle.implode()))
    out = _with(
        out, ["session"], most_frequent(rows, ["session"], "system.id"),
        most_frequent(rows, ["session"], "src.device"), _runs_of_steps(rows), _repeats(rows, ["session"]),
        _shifts(pauses),
    )  # fmt: skip
    return out.with_columns(
        (pl.col("events") / pl.col("duration_min").clip(1.0)).alias("pace_per_min"),
        pl.col("step.run", "repeat.max").fill_null(0).cast(pl.Int64),
        pl.col("shift.ops", "shift.unexplained").fill_null(0.0),
    ).sort("last", "session")


def _columns_of(*expressions: pl.Expr) -> set[str]:
    return {name for expression in expressions for name in expression.meta.root_names()}


# What the summary of a session, and of a day, needs of an event.
SESSION_COLUMNS: Final = tuple(
    sorted(
        _columns_of(*(expr for expr, _ in (SHARED | SESSION_ONLY).values()))
        | {"event.id", "session", "session.id", "system.id", "src.ip", "presence.overtime", "emergency.active", *PEOPLE}
        | {"actor.id", "actor.type", "explained"}
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
    near = (
        (_action("export", "copy", "send", "print") & pl.col("resource.count").is_between(0.8 * export_limit, export_limit - 1)).sum()
        if export_limit
        else pl.lit(None, dtype=pl.Int64).first()
    )  # fmt: skip
    group = ["time.date", "actor.id"]
    out = rows.group_by(group, maintain_order=True).agg(
        pl.col("actor.type").drop_nulls().first(),
        pl.col("time.occurred").min().alias("first"),
        pl.col("time.occurred").max().alias("last"),
        _explained_share(),
        *(pl.col(name).last() for name in PEOPLE),
        _true("emergency.active").any().alias("emergency.active"),
        _true("presence.overtime").any().alias("presence.overtime"),
        *(expr.alias(name) for name, (expr, _) in SHARED.items()),
        pl.col("session").n_unique().alias("sessions"),
        pl.col("system.id").drop_nulls().n_unique().alias("systems"),
        near.cast(pl.Int64).alias("near_limit"),
    )
    out = _with(
        out, group, most_frequent(rows, group, "system.id"), most_frequent(rows, group, "src.device"),
        _repeats(rows, group),
    )  # fmt: skip
    return out.with_columns(pl.col("repeat.max").fill_null(0).cast(pl.Int64)).sort(group)
