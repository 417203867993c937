"""What events say about the logs being whole, as slim rows: what stage one hands to stage two (design §9).

Numbers and heartbeats count towards a minute (`tick`), so that stage two can decide minute by minute whatever the order
in which rows arrive and however many stage ones sent them. It is the minute in which the event happened, or that in which
the agent received it if that is later: agents number lines as they receive them, and a file may bring lines of yesterday.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from contract.sealed import Predecessor
from detector.grouped import ranked
from detector.marks import index

TICK_MS: Final = 60_000
# Heartbeats of one round, one per partition, are sealed in the same moment.
ROUND_MS: Final = 1000

# Plain values only: the rows travel as JSON, and what is null may be left out.
SUMMARY: Final[dict[str, pl.DataType]] = {
    "kind": pl.String(), "who": pl.String(), "boot": pl.String(), "tick": pl.Int64(), "slot": pl.Int64(),
    "lo": pl.Int64(), "hi": pl.Int64(), "first": pl.Int64(), "last": pl.Int64(), "first_id": pl.String(),
    "last_id": pl.String(), "n": pl.Int64(), "stopping": pl.Boolean(),
}  # fmt: skip
NUMBERS: Final = "numbers"
DOUBT: Final = "doubt"
BEAT: Final = "beat"
LINES: Final = "lines"
EXPECTED: Final = "expected"

_BOOT: Final = ("who", "boot")
# Numbers travel as 64 bits; a text may claim any.
_MOST: Final = 1 << 62


def summary(rows: pl.DataFrame, expected: Sequence[str] = ()) -> pl.DataFrame:
    """Summarise events by minute.

    Args:
        rows: Enriched events (`step.NOTES`), any order. Rows with a true `again` came before under other numbers: only
            their numbers count. `again`, `message` (looked at in heartbeats) and `time.received` may be left out.
        expected: Sources that were declared (`systems.*.sources`) since the call before: all of them at the first
            event that this stage one sees, none afterwards. They are to speak from then on.

    Returns:
        Rows of `SUMMARY`, sorted; rows of several calls, concatenated, say the same as one call over all events:

        - `numbers`: a gapless run `lo`…`hi` of an agent's boot; `first` and `first_id` are time (UTC ms) and event of
          `lo`, `last` and `last_id` of `hi`. Heartbeats are not in it: they are numbers themselves.
        - `beat`: a heartbeat, number `lo`; `n` is the count that it declares, `stopping` that the agent stops in order.
        - `doubt`: as `numbers`, a run that a later boot declares as sealed and never acknowledged.
        - `lines`: `n` lines of a source in the local hour `slot` (24 × days since 1970-01-01 + hour), the first and
          last of them by time.
        - `expected`: a source is declared, and events were seen since `first`.

        `who` is the agent or the source, and the key under which the row travels.
    """
    if rows.is_empty():
        return pl.DataFrame(schema=SUMMARY)
    again = pl.col("again").fill_null(False) if "again" in rows.columns else pl.lit(False)
    beat = pl.col("event.class") == "heartbeat"
    numbered = rows.filter(pl.all_horizontal(pl.col("agent.id", "agent.boot", "agent.seq").is_not_null()))
    beats = numbered.filter(beat & ~again)
    first = rows.select(pl.col("time.occurred").min()).item()
    declared = [(EXPECTED, source, first // TICK_MS, first, first) for source in sorted(set(expected))]
    numbers = numbered.filter((beat & ~again).fill_null(False).not_())
    parts = [
        _beats(beats),
        runs(_doubts(beats), "tick"),
        _lines(rows.filter(~again & beat.fill_null(False).not_() & pl.col("source.id").is_not_null())),
        pl.DataFrame(
            declared, schema={name: SUMMARY[name] for name in ("kind", "who", "tick", "first", "last")}, orient="row"
        ),
    ]
    others = pl.concat([pl.DataFrame(schema=SUMMARY), *parts], how="diagonal").sort(
        "kind", "who", "boot", "tick", "slot", "lo", "first", "first_id"
    )
    # The many are sorted already, and their kind is the last one.
    many = runs(numbers.select(pl.lit(NUMBERS).alias("kind"), *_numbered(rows)), "tick")
    return pl.concat([others, many], how="diagonal")


def _numbered(rows: pl.DataFrame) -> list[pl.Expr]:
    at = pl.col("time.occurred")
    known = pl.max_horizontal(at, "time.received") if "time.received" in rows.columns else at
    return [
        pl.col("agent.id").alias("who"),
        pl.col("agent.boot").alias("boot"),
        (known // TICK_MS).alias("tick"),
        *(pl.col("agent.seq").alias(name) for name in ("lo", "hi")),
        *(at.alias(name) for name in ("first", "last")),
        *(pl.col("event.id").alias(name) for name in ("first_id", "last_id")),
    ]


def _beats(rows: pl.DataFrame) -> pl.DataFrame:
    # The agent's own compact JSON: within its texts the quotation mark would be escaped.
    stops = (
        pl.col("message").str.contains('"stopping":true', literal=True) if "message" in rows.columns else pl.lit(False)
    )
    return rows.select(
        pl.lit(BEAT).alias("kind"),
        *_numbered(rows),
        pl.col("resource.count").alias("n"),
        stops.fill_null(False).alias("stopping"),
    )


def _doubts(beats: pl.DataFrame) -> pl.DataFrame:
    """Numbers that heartbeats say may not have arrived (`contract.sealed.Predecessor`)."""
    schema = {name: SUMMARY[name] for name in SUMMARY if name not in ("slot", "n", "stopping")}
    if "message" not in beats.columns:
        return pl.DataFrame(schema=schema)
    rows = beats.filter(pl.col("message").str.contains('"previous"', literal=True))
    told = [
        (DOUBT, agent, one.boot, tick, first, last, at, at, event, event)
        for agent, tick, at, event, message in rows.select(*_numbered(rows), "message")
        .select("who", "tick", "first", "first_id", "message")
        .iter_rows()
        for one in _predecessors(message)
        for first, last in one.unacknowledged
        if 0 <= first <= last < _MOST
    ]
    return pl.DataFrame(told, schema=schema, orient="row")


def _predecessors(message: str) -> list[Predecessor]:
    """What a heartbeat's message says of the boots before; nothing if it is not an agent's."""
    try:
        told: Any = json.loads(message)
        return [Predecessor.from_json(one) for one in told["previous"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _lines(rows: pl.DataFrame) -> pl.DataFrame:
    at, name = pl.col("time.occurred"), pl.col("event.id")
    slot = pl.col("time.date").to_physical().cast(pl.Int64) * 24 + pl.col("time.hour").cast(pl.Int64)
    lines = rows.select(
        pl.col("source.id").alias("who"), slot.alias("slot"), at.alias("first"), name.alias("first_id"),
        at.alias("last"), name.alias("last_id"), pl.lit(1, dtype=pl.Int64).alias("n"),
    ).drop_nulls("slot")  # fmt: skip
    return by_hour(lines).select(pl.lit(LINES).alias("kind"), (pl.col("first") // TICK_MS).alias("tick"), pl.all())


def by_hour(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines of each source and hour as one row: `who`, `slot`, `n`, `first`, `first_id`, `last`, `last_id`."""
    return (
        lines.sort("first", "first_id")
        .group_by("who", "slot", maintain_order=True)
        .agg(
            pl.col("n").sum(),
            pl.col("first", "first_id").first(),
            pl.col("last").max(),
            pl.col("last_id").sort_by("last", "last_id").last(),
        )
    )


def runs(ranges: pl.DataFrame, *within: str) -> pl.DataFrame:
    """Join ranges of numbers that touch or overlap.

    Args:
        ranges: Rows of `SUMMARY` of one kind, with numbers.
        within: Only ranges that have these columns in common are joined.

    Returns:
        One row per run, sorted by agent, boot, `within` and number. A number that comes twice is first there at the
        earlier and last there at the later of its moments, whatever the order.
    """
    keys = [*_BOOT, *within]
    if (single := _runs_of_single(ranges, keys)) is not None:
        return single
    hi = pl.col("hi")
    return (
        ranges.sort(*keys, "lo", "first", "first_id", "hi", "last", "last_id")
        .with_columns(hi.cum_max().shift(1).over(keys).alias("_before"))
        .with_columns(((pl.col("lo") - pl.col("_before")) > 1).fill_null(True).cum_sum().alias("_run"))
        .group_by("_run", maintain_order=True)
        .agg(
            pl.col("kind", *keys, "lo", "first", "first_id").first(),
            hi.max(),
            pl.col("last", "last_id").sort_by("hi", "last", "last_id").last(),
        )
        .drop("_run")
    )


def _runs_of_single(ranges: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame | None:
    """`runs` of ranges that are one number each, every number once, as events have them; None of others."""
    if ranges.is_empty() or not (ranges["lo"] == ranges["hi"]).all():
        return None
    texts = [ranked(name, ranges[name].unique().sort()) for name in _BOOT]
    sorted_by = ranges.select(*texts, *keys[len(_BOOT) :], "lo").get_columns()
    columns = [column.to_numpy() for column in sorted_by]
    order = np.lexsort(columns[::-1])
    *others, lo = (column[order] for column in columns)
    step = lo[1:] - lo[:-1]
    changes = np.any([other[1:] != other[:-1] for other in others], axis=0)
    if not (changes | (step > 0)).all():
        return None
    starts = np.flatnonzero(np.append(True, changes | (step > 1)))
    ends = np.append(starts[1:], len(order)) - 1
    first = ranges.select("kind", *keys, "lo", "first", "first_id")[index(order[starts])]
    return first.hstack(ranges.select("hi", "last", "last_id")[index(order[ends])])
