"""How much is remembered at most, so that nobody can fill the memory by making up names.

Far above what any office has. Beyond it the oldest goes: sessions are closed before their time, and scored; what was known
of an actor, or waited for in a group, is forgotten. Which are the oldest when that happens depends on how many events a
turn took, which the state log repeats, but files would not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from detector import step
from detector.history import History
from detector.sessionise import CLOSERS


@dataclass(frozen=True, slots=True)
class Caps:
    """The most of each.

    Attributes:
        sessions: Open at a time.
        actors: Whose past is known.
        ops: Functions that all of them used.
        pairs: Whom they looked at without a reason within 30 days.
        windows: Rows of all windows of one correlation.
    """

    sessions: int = 1_000_000
    actors: int = 1_000_000
    ops: int = 5_000_000
    pairs: int = 5_000_000
    windows: int = 1_000_000


CAPS: Final = Caps()


def bounded(core: step.State, caps: Caps = CAPS) -> tuple[step.State, Counter[str]]:
    """The state with no more than that.

    Returns:
        The state, and how much was too much: `capped:sessions`, `capped:actors`, ...
    """
    capped: Counter[str] = Counter()
    tails = _closed_early(core.tails, caps.sessions, capped)
    past = _forgotten(core.history, caps, capped)
    windows = {name: _newest_groups(frame, caps.windows, capped) for name, frame in core.windows.items()}
    return (replace(core, tails=tails, history=past, windows=windows), capped) if capped else (core, capped)


def _closed_early(tails: pl.DataFrame, most: int, capped: Counter[str]) -> pl.DataFrame:
    """Close the sessions in which nothing has happened for longest, as a log-off would: they are scored at the next step."""
    over = tails.height - most
    if over <= 0:
        return tails
    capped["capped:sessions"] += over
    oldest = tails.sort("time.occurred", "session")["session"].head(over)
    ends = pl.when(pl.col("session").is_in(oldest.implode())).then(pl.lit(CLOSERS[-1])).otherwise("event.action")
    return tails.with_columns(ends.alias("event.action"))


def _forgotten(past: History, caps: Caps, capped: Counter[str]) -> History:
    if past.actors.height <= caps.actors and past.ops.height <= caps.ops and past.pairs.height <= caps.pairs:
        return past
    known = past.actors.sort("seen_last", "actor.id", descending=True)
    used = known.join(past.ops.group_by("actor.id").len("_ops"), on="actor.id", how="left", maintain_order="left")
    kept = used.filter(
        (pl.int_range(pl.len()) < caps.actors) & (pl.col("_ops").fill_null(0).cum_sum() <= caps.ops)
    )["actor.id"]  # fmt: skip
    mine = pl.col("actor.id").is_in(kept.implode())
    actors, ops = past.actors.filter(mine), past.ops.filter(mine)
    pairs = past.pairs.sort("time.date", "actor.id", "subject.token", descending=True).head(caps.pairs)
    for name, before, after in (("actors", past.actors, actors), ("pairs", past.pairs, pairs)):
        if before.height > after.height:
            capped[f"capped:{name}"] += before.height - after.height
    return History(actors, ops, pairs.sort("time.date", "actor.id", "subject.token"), past.days)


def _newest_groups(windows: pl.DataFrame, most: int, capped: Counter[str]) -> pl.DataFrame:
    if windows.height <= most:
        return windows
    groups = windows.group_by("group").agg(pl.col("time.occurred").max().alias("_at"), pl.len().alias("_rows"))
    kept = groups.sort("_at", "group", descending=True).filter(pl.col("_rows").cum_sum() <= most)["group"]
    after = windows.filter(pl.col("group").is_in(kept.implode()))
    capped["capped:windows"] += windows.height - after.height
    return after
