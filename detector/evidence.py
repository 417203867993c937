"""Whether the logs are whole: sequence numbers, heartbeats, and sources that fall silent.

Everything here groups by agent or source, never by actor, so it belongs to stage two (design §9). `note` folds events
into a small state; `judge` says what is missing. The order in which events are noted does not matter: an agent numbers
lines as it receives them, while the core sees them in the order in which they happened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from contract.sealed import Predecessor
from detector.sessionise import in_units

_RANGES: Final = {
    "agent.id": pl.String(), "agent.boot": pl.String(), "lo": pl.Int64(), "hi": pl.Int64(), "t_lo": pl.Int64(),
    "t_hi": pl.Int64(), "id_lo": pl.String(), "id_hi": pl.String(),
}  # fmt: skip
_HEARTBEATS: Final = {
    "agent.id": pl.String(), "agent.boot": pl.String(), "agent.seq": pl.Int64(), "time": pl.Int64(),
    "count": pl.Int64(), "event.id": pl.String(),
}  # fmt: skip
_HOURS: Final = {
    "source.id": pl.String(), "time.date": pl.Date(), "time.hour": pl.Int64(), "day_off": pl.Boolean(),
    "n": pl.Int64(), "first": pl.Int64(), "last": pl.Int64(), "first_id": pl.String(), "last_id": pl.String(),
}  # fmt: skip

FINDINGS: Final = {
    "check": pl.String(), "who": pl.String(), "time": pl.Int64(), "from": pl.Int64(), "to": pl.Int64(),
    "related": pl.List(pl.String()), "observed": pl.Float64(), "usual": pl.Float64(),
}  # fmt: skip

# A source counts as silent only where it always spoke: on so many other days of the kind, so many lines at least.
SILENCE_DAYS: Final = 8
SILENCE_LINES: Final = 30
SILENCE_SHARE: Final = 0.02

# A clock that is set back by less than this was adjusted by its time server.
CLOCK_BACK_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is remembered.

    Attributes:
        ranges: Gapless runs of sequence numbers seen, per agent and boot.
        doubts: Runs of numbers that a later boot declares as sealed and never acknowledged: their lines were read again
            and came under other numbers.
        heartbeats: One row per heartbeat, as they were noted.
        hours: Lines per source and local hour.
        last: Newest event time seen, UTC ms; 0 before any.
    """

    ranges: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RANGES))
    heartbeats: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_HEARTBEATS))
    hours: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_HOURS))
    last: int = 0
    doubts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RANGES))


def note(evidence: Evidence, rows: pl.DataFrame) -> Evidence:
    """Remember which numbers, heartbeats and hours were seen.

    Args:
        evidence: What earlier events left.
        rows: Enriched events, each of them once; any order. `message` is looked at in heartbeats, and may be left out.
    """
    if rows.is_empty():
        return evidence
    time = pl.col("time.occurred")
    numbered = rows.filter(pl.all_horizontal(pl.col("agent.id", "agent.boot", "agent.seq").is_not_null()))
    heartbeats = numbered.filter(pl.col("event.class") == "heartbeat").select(
        "agent.id", "agent.boot", "agent.seq", time.alias("time"), pl.col("resource.count").alias("count"), "event.id"
    )
    seq = pl.col("agent.seq")
    singles = numbered.select(
        "agent.id", "agent.boot", seq.alias("lo"), seq.alias("hi"), time.alias("t_lo"), time.alias("t_hi"),
        pl.col("event.id").alias("id_lo"), pl.col("event.id").alias("id_hi"),
    )  # fmt: skip
    hours = (
        rows.filter(pl.col("source.id").is_not_null() & (pl.col("event.class") != "heartbeat"))
        .sort(time, "event.id")
        .group_by("source.id", "time.date", pl.col("time.hour").cast(pl.Int64))
        .agg(
            pl.col("time.day_off").fill_null(False).first().alias("day_off"),
            pl.len().cast(pl.Int64).alias("n"),
            time.first().alias("first"),
            time.last().alias("last"),
            pl.col("event.id").first().alias("first_id"),
            pl.col("event.id").last().alias("last_id"),
        )
    )
    merged = (
        pl.concat([evidence.hours, hours])
        .sort("source.id", "time.date", "time.hour", "first", "first_id")
        .group_by("source.id", "time.date", "time.hour", maintain_order=True)
        .agg(
            pl.col("day_off").first(),
            pl.col("n").sum(),
            pl.col("first").first(),
            pl.col("last").max(),
            pl.col("first_id").first(),
            pl.col("last_id").sort_by("last", "last_id").last(),
        )
    )
    return Evidence(
        _runs(pl.concat([evidence.ranges, singles])),
        # Only appended, since there may be millions; sorted once, when judged.
        pl.concat([evidence.heartbeats, heartbeats]),
        merged,
        max(evidence.last, rows.select(time.max()).item()),
        _runs(pl.concat([evidence.doubts, _declared(numbered)])),
    )


def _declared(numbered: pl.DataFrame) -> pl.DataFrame:
    """Numbers that heartbeats say may not have arrived (`contract.sealed.Predecessor`), as ranges."""
    if "message" not in numbered.columns:
        return pl.DataFrame(schema=_RANGES)
    tells = (pl.col("event.class") == "heartbeat") & pl.col("message").str.contains('"previous"', literal=True)
    rows = numbered.filter(tells).select("agent.id", "time.occurred", "event.id", "message")
    ranges = [
        (agent, one.boot, first, last, at, at, event, event)
        for agent, at, event, message in rows.iter_rows()
        for one in _predecessors(message)
        for first, last in one.unacknowledged
    ]
    return pl.DataFrame(ranges, schema=_RANGES, orient="row")


def _predecessors(message: str) -> list[Predecessor]:
    """What a heartbeat's message says of the boots before; nothing if it is not an agent's."""
    try:
        told: Any = json.loads(message)
        return [Predecessor.from_json(one) for one in told["previous"]]
    except (ValueError, KeyError, TypeError):
        return []


def _runs(ranges: pl.DataFrame) -> pl.DataFrame:
    """Join ranges that touch or overlap."""
    boot = ["agent.id", "agent.boot"]
    hi = pl.col("hi")
    return (
        # All of (number, time, id): a number that comes twice must not make the order of noting matter.
        ranges.sort(*boot, "lo", "t_lo", "id_lo", "hi", "t_hi", "id_hi")
        .with_columns(hi.cum_max().shift(1).over(boot).alias("_before"))
        .with_columns(((pl.col("lo") - pl.col("_before")) > 1).fill_null(True).cum_sum().over(boot).alias("_run"))
        .group_by(*boot, "_run", maintain_order=True)
        .agg(
            pl.col("lo").first(),
            hi.max(),
            pl.col("t_lo").first(),
            pl.col("t_hi").sort_by("hi", "t_hi", "id_hi").last(),
            pl.col("id_lo").first(),
            pl.col("id_hi").sort_by("hi", "t_hi", "id_hi").last(),
        )
        .drop("_run")
        .cast(_RANGES)  # type: ignore[arg-type]
    )


def _missing_numbers(ranges: pl.DataFrame) -> pl.DataFrame:
    boot = ["agent.id", "agent.boot"]
    before = pl.all().exclude(boot).shift(1).over(boot).name.prefix("p.")
    runs = ranges.sort(*boot, "lo").with_columns(before)
    gaps = runs.filter(pl.col("p.hi").is_not_null())
    # Numbers follow receipt, times follow occurrence: the line behind a gap may be the older one.
    start, end = pl.min_horizontal("p.t_hi", "t_lo"), pl.max_horizontal("p.t_hi", "t_lo")
    return gaps.select(
        pl.lit("sequence_gap").alias("check"),
        pl.col("agent.id").alias("who"),
        end.alias("time"),
        start.alias("from"),
        end.alias("to"),
        pl.concat_list("p.id_hi", "id_lo").alias("related"),
        (pl.col("lo") - pl.col("p.hi") - 1).cast(pl.Float64).alias("observed"),
        pl.lit(0.0).alias("usual"),
    )


def _rounds(evidence: Evidence) -> pl.DataFrame:
    """Heartbeats of one round (one per partition, numbers in a row) as one row."""
    boot = ["agent.id", "agent.boot"]
    # A number that comes twice counts once, the earlier one, whatever order they came in.
    beats = evidence.heartbeats.sort(*boot, "agent.seq", "time", "event.id")
    beats = beats.unique([*boot, "agent.seq"], keep="first", maintain_order=True)
    new = ((pl.col("agent.seq") - pl.col("agent.seq").shift(1).over(boot)) > 1) | (
        (pl.col("time") - pl.col("time").shift(1).over(boot)).abs() > 1000
    )
    return (
        beats.with_columns(new.fill_null(True).cum_sum().over(boot).alias("_round"))
        .group_by(*boot, "_round", maintain_order=True)
        .agg(
            pl.col("agent.seq").min().alias("lo"),
            pl.col("agent.seq").max().alias("hi"),
            pl.col("time").min(),
            pl.col("count").first(),
            pl.col("event.id").first(),
        )
    )


def _jumps(rounds: pl.DataFrame) -> pl.DataFrame:
    """Heartbeats that are older than the one numbered before them: the clock of the host was set back."""
    boot = ["agent.id", "agent.boot"]
    ordered = rounds.sort(*boot, "lo").with_columns(
        pl.col("time").shift(1).over(boot).alias("from"), pl.col("event.id").shift(1).over(boot).alias("before")
    )
    return ordered.filter((pl.col("from") - pl.col("time")) > CLOCK_BACK_MS).select(
        pl.lit("clock_set_back").alias("check"),
        pl.col("agent.id").alias("who"),
        pl.col("from").alias("time"),
        pl.col("time").alias("from"),
        pl.col("from").alias("to"),
        pl.concat_list("before", "event.id").alias("related"),
        in_units(pl.col("from") - pl.col("time"), 1000).alias("observed"),
        pl.lit(0.0).alias("usual"),
    )


def _silences(rounds: pl.DataFrame, heartbeat_s: int, last: int) -> pl.DataFrame:
    """Agents whose heartbeat stopped for longer than is in order, and those that stopped before the end."""
    beats = rounds.sort("agent.id", "time", "event.id")
    gap = pl.col("time") - pl.col("time").shift(1).over("agent.id")
    beats = beats.with_columns(gap.alias("gap"), pl.col("event.id").shift(1).over("agent.id").alias("before"))
    usual = pl.col("gap").median().over("agent.id")
    # An agent that beats more slowly than declared is one finding of configuration, not one at every beat.
    limit = pl.max_horizontal(pl.lit(heartbeat_s * 1000.0 * 1.1), usual * 2.5)
    beats = beats.with_columns(limit.alias("limit"), usual.alias("usual"))
    inside = beats.filter(pl.col("gap") > pl.col("limit")).select(
        pl.lit("heartbeat_gap").alias("check"),
        pl.col("agent.id").alias("who"),
        "time",
        (pl.col("time") - pl.col("gap")).alias("from"),
        pl.col("time").alias("to"),
        pl.concat_list("before", "event.id").alias("related"),
        in_units(pl.col("gap"), 1000).alias("observed"),
        in_units(pl.col("usual"), 1000).alias("usual"),
    )
    ended = (
        beats.group_by("agent.id", maintain_order=True)
        .agg(pl.col("time", "event.id", "limit", "usual").last())
        .filter((last - pl.col("time")) > pl.col("limit").fill_null(heartbeat_s * 1100.0))
        .select(
            pl.lit("heartbeat_stopped").alias("check"),
            pl.col("agent.id").alias("who"),
            pl.lit(last, dtype=pl.Int64).alias("time"),
            pl.col("time").alias("from"),
            pl.lit(last, dtype=pl.Int64).alias("to"),
            pl.concat_list("event.id").alias("related"),
            in_units(last - pl.col("time"), 1000).alias("observed"),
            in_units(pl.col("usual"), 1000).alias("usual"),
        )
    )
    return pl.concat([inside, ended], how="vertical_relaxed")


def _counts(evidence: Evidence, rounds: pl.DataFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Heartbeats whose declared count differs from the numbers seen, where no missing number says so already."""
    boot = ["agent.id", "agent.boot"]
    rounds = rounds.sort(*boot, "lo").with_columns(
        (pl.col("lo") - pl.col("hi").shift(1).over(boot) - 1).alias("between"),
        pl.col("time").shift(1).over(boot).alias("from"),
        pl.col("event.id").shift(1).over(boot).alias("before"),
    )
    wrong = rounds.filter((pl.col("between") != pl.col("count")).fill_null(False))
    known = gaps.select(pl.col("who").alias("agent.id"), pl.col("to").alias("gap.to"))
    excused = (
        wrong.join(known, on="agent.id")
        .filter(pl.col("gap.to").is_between(pl.col("from"), pl.col("time")))
        .select("event.id")
    )
    return wrong.join(excused, on="event.id", how="anti").select(
        pl.lit("count_mismatch").alias("check"),
        pl.col("agent.id").alias("who"),
        # A clock that is set back between two heartbeats.
        pl.max_horizontal("from", "time").alias("time"),
        pl.min_horizontal("from", "time").alias("from"),
        pl.max_horizontal("from", "time").alias("to"),
        pl.concat_list("before", "event.id").alias("related"),
        pl.col("between").cast(pl.Float64).alias("observed"),
        pl.col("count").cast(pl.Float64).alias("usual"),
    )


def _quiet_hours(hours: pl.DataFrame) -> pl.DataFrame:
    """Hours of working days in which a source wrote next to nothing, though it wrote on every other such day.

    Returns:
        `source.id`, `time.date`, `time.hour`, `usual` (lines).
    """
    days = hours.select("time.date", "day_off").unique().filter(~pl.col("day_off")).sort("time.date")
    # The first and the last day of the input may be cut.
    days = days.select("time.date").slice(1, max(days.height - 2, 0))
    # A source that stopped for good is measured by the days until then.
    until = hours.group_by("source.id").agg(pl.col("time.date").max().alias("until"))
    possible = until.join(days, how="cross").filter(pl.col("time.date") <= pl.col("until"))
    usual = (
        hours.join(days, on="time.date")
        .group_by("source.id", "time.hour")
        .agg(pl.len().alias("days"), pl.col("n").median().alias("usual"))
        .join(possible.group_by("source.id").len("possible"), on="source.id")
        # At most one day in ten was silent in this hour.
        .filter(
            (pl.col("days") >= SILENCE_DAYS)
            & (pl.col("days") >= 0.9 * pl.col("possible"))
            & (pl.col("usual") >= SILENCE_LINES)
        )
    )
    grid = usual.join(days, how="cross").join(hours, on=["source.id", "time.date", "time.hour"], how="left")
    quiet = grid.filter(pl.col("n").fill_null(0) <= SILENCE_SHARE * pl.col("usual"))
    return quiet.select("source.id", "time.date", "time.hour", "usual")


def _quiet_sources(evidence: Evidence) -> pl.DataFrame:
    """Sources that were silent in hours in which they spoke on every other day of the kind."""
    quiet = _quiet_hours(evidence.hours)
    if quiet.is_empty():
        return pl.DataFrame(schema=FINDINGS)
    slot = (pl.col("time.date").cast(pl.Datetime("ms")).dt.epoch("ms") + pl.col("time.hour") * 3_600_000).alias("slot")
    spoken = evidence.hours.join(quiet, on=["source.id", "time.date", "time.hour"], how="anti")
    spoken = spoken.with_columns(slot).sort("slot", "source.id")
    silent = quiet.with_columns(slot).sort("slot", "source.id")
    for columns, strategy in ((("last", "last_id"), "backward"), (("first", "first_id"), "forward")):
        silent = silent.join_asof(
            spoken.select("source.id", "slot", *columns),
            on="slot",
            by="source.id",
            strategy=strategy,  # type: ignore[arg-type]
            allow_exact_matches=False,
            check_sortedness=False,
        )
    return (
        # Hours between the same two lines are one silence; it lasts until the end where the source never spoke again.
        silent.filter(pl.col("last").is_not_null())
        .with_columns(pl.col("first").fill_null(evidence.last))
        .group_by("source.id", "last", "last_id", "first", "first_id")
        .agg(pl.col("usual").sum())
        .select(
            pl.lit("source_silent").alias("check"),
            pl.col("source.id").alias("who"),
            pl.col("first").alias("time"),
            pl.col("last").alias("from"),
            pl.col("first").alias("to"),
            pl.concat_list("last_id", "first_id").list.drop_nulls().alias("related"),
            in_units(pl.col("first") - pl.col("last"), 1000).alias("observed"),
            pl.col("usual").cast(pl.Float64),
        )
    )


def judge(evidence: Evidence, heartbeat_s: int, expected_sources: tuple[str, ...] = ()) -> pl.DataFrame:
    """Say what is missing.

    Args:
        evidence: What was noted over the whole period.
        heartbeat_s: Longest silence of an agent that is still in order (`limits.heartbeat_s`).
        expected_sources: Sources that must speak (`systems.*.sources`).

    Returns:
        One row per incident, sorted by (time, check, who): `check` (sequence_gap, clock_set_back, heartbeat_gap, heartbeat_stopped,
        count_mismatch, source_silent, source_never), `who` (agent or source), `time`, `from`, `to` (UTC ms),
        `related` (ids of the events on both sides), `observed`, `usual` (numbers, seconds or lines).
    """
    unseen = _missing_numbers(evidence.ranges)
    gaps = (
        unseen if evidence.doubts.is_empty() else _missing_numbers(_runs(pl.concat([evidence.ranges, evidence.doubts])))
    )
    rounds = _rounds(evidence)
    spoken = set(evidence.hours["source.id"].to_list())
    never = [source for source in sorted(set(expected_sources)) if source not in spoken]
    silent = pl.DataFrame(
        {
            "check": ["source_never"] * len(never), "who": never, "time": [evidence.last] * len(never),
            "from": [None] * len(never), "to": [None] * len(never), "related": [[] for _ in never],
            "observed": [0.0] * len(never), "usual": [None] * len(never),
        },
        schema=FINDINGS,
    )  # fmt: skip
    jumps = _jumps(rounds)
    # The silence after a clock was set back is the time that the clock lived through twice.
    silences = _silences(rounds, heartbeat_s, evidence.last).join(
        jumps.select("who", pl.col("to").alias("from")), on=["who", "from"], how="anti"
    )
    parts = [
        gaps,
        jumps,
        silences,
        _counts(evidence, rounds, unseen),
        _quiet_sources(evidence),
        silent if evidence.last else silent.clear(),
    ]
    found = pl.concat([part.select(list(FINDINGS)).cast(FINDINGS) for part in parts])  # type: ignore[arg-type]
    # Two boots of one agent can lose a number in the same moment; both come in the order of their numbers.
    return found.sort("time", "check", "who", "from", maintain_order=True)
