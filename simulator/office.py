"""The shell of the simulation: build the office, plan the episodes, let the days pass, write everything down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from registers.tokens import SiteKey
from simulator import desk, site
from simulator.agent import AGENTS, Agent, Fault
from simulator.day import Outcome, day
from simulator.episodes.plan import Episode, Plan, plan
from simulator.logs import LogFile, native
from simulator.record import SCHEMA, frame
from simulator.tasks import Recent
from simulator.world import World, build

MINIMUM_STAFF: Final = 30
BY_AGENT: Final = [source for sources in AGENTS.values() for source in sources]
START: Final = date(2026, 3, 9)


@dataclass(frozen=True)
class Summary:
    """What was simulated.

    Attributes:
        events: Log lines written, heartbeats included.
        staff, days: People of type staff with a post; days.
        episodes, lookalikes: Numbers of each written into the truth.
        scenarios: Scenario numbers injected, ascending.
    """

    events: int
    staff: int
    days: int
    episodes: int
    lookalikes: int
    scenarios: tuple[int, ...]


def simulate(
    out: Path,
    *,
    seed: int = 1,
    days: int = 30,
    staff: int = 160,
    start: date = START,
    misuse: float = 1.0,
    volume: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> Summary:
    """Let an office work and write `out/logs`, `out/site`, `out/truth.ndjson` and `out/lookalikes.ndjson`.

    The same arguments give the same bytes.

    Args:
        out: Folder; made if missing, files in it are overwritten.
        seed: Chooses the town, its people and everything that happens.
        days: Length in days, from 3.
        staff: Posts of the office, from 30.
        start: First day.
        misuse: Factor on the number of episodes; 1 gives each shape once in 30 days, 0 none at all.
        volume: Factor on the number of ordinary work items.
        progress: Called with the share done, 0 to 1.

    Raises:
        ValueError: An argument is out of range; the message names it.
    """
    _check(days, staff, misuse, volume)
    world = build(seed, start, days, staff)
    secret = world.generator(9).bytes(32)
    key = SiteKey(secret)
    planned = plan(world, misuse)
    files = native()
    agents = [Agent(name, seed, planned.faults) for name in AGENTS]
    recent, carried = Recent.none(), frame([])
    bases: list[pl.DataFrame] = []
    found: list[pl.DataFrame] = []
    events = 0
    for number in range(days):
        outcome = day(world, number, volume, planned.acts.get(number, []), recent, planned.busy.get(number, {}))
        recent = outcome.recent
        bases.append(outcome.bases)
        rows, carried = _rows(world, number, outcome, carried, planned, volume)
        events += rows.filter(~pl.col("src").is_in(BY_AGENT)).height
        found += _write(out / "logs", world, number, rows, files, agents, key)
        if progress is not None:
            progress((number + 1) / days)
    site.write(out / "site", world, site.registers(world, planned.registers), pl.concat(bases), secret)
    truth = _truth(planned, pl.concat(found))
    for name, quiet in (("truth", False), ("lookalikes", True)):
        chosen = [line for episode, line in truth if episode.quiet is quiet]
        (out / f"{name}.ndjson").write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")
    scenarios = sorted({episode.scenario for episode, _ in truth if not episode.quiet})
    lookalikes = sum(episode.quiet for episode, _ in truth)
    events += sum(agent.lines for agent in agents)
    return Summary(events, len(world.holders(0)), days, len(truth) - lookalikes, lookalikes, tuple(scenarios))


def _check(days: int, staff: int, misuse: float, volume: float) -> None:
    problems = []
    if not 3 <= days <= 3660:
        problems.append(f"days: {days} is not between 3 and 3660")
    if not MINIMUM_STAFF <= staff <= 20_000:
        problems.append(f"staff: {staff} is not between {MINIMUM_STAFF} and 20000")
    for name, value in (("misuse", misuse), ("volume", volume)):
        if not 0 <= value <= 1000:
            problems.append(f"{name}: {value} is not between 0 and 1000")
    if problems:
        raise ValueError("; ".join(problems))


def _rows(
    world: World, number: int, outcome: Outcome, carried: pl.DataFrame, planned: Plan, volume: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All rows of a day, and those that fall after its midnight and are written tomorrow."""
    parts = [
        carried, outcome.rows, desk.doors(world, number), desk.terminals(world, number), desk.files(world, number, volume),
        desk.intranet(world, number, volume), desk.database(world, number), desk.servers(world, number), desk.batches(world, number),
        frame(planned.rows_of(number)),
    ]  # fmt: skip
    rows = pl.concat(parts)
    rows = _absent(
        rows, [fault for fault in planned.faults if fault.kind == "absent" and world.when.number(fault.first) == number]
    )
    rows = rows.with_row_index("place").sort("t", "src", "actor", "place").drop("place")
    end = world.when.at(number + 1)
    first = world.when.at(number)
    if number + 1 == world.when.days:
        return rows.filter(pl.col("t") >= first), frame([])
    return rows.filter((pl.col("t") < end) & (pl.col("t") >= first)), rows.filter(pl.col("t") >= end)


def _absent(rows: pl.DataFrame, faults: list[Fault]) -> pl.DataFrame:
    """Take away lines of a source for a while; the lines beside the hole stand for it in the truth."""
    for fault in faults:
        mine = pl.col("src") == fault.where
        rows = rows.filter(~(mine & pl.col("t").is_between(fault.first, fault.last)))
        before = rows.filter(mine & (pl.col("t") < fault.first)).get_column("t").max()
        after = rows.filter(mine & (pl.col("t") > fault.last)).get_column("t").min()
        edge = mine & (pl.col("t").is_in([before, after]))
        rows = rows.with_columns(pl.when(edge).then(pl.lit(fault.ep, dtype=SCHEMA["ep"])).otherwise("ep").alias("ep"))
    return rows


def _write(
    folder: Path, world: World, number: int, rows: pl.DataFrame, files: list[LogFile], agents: list[Agent], key: SiteKey
) -> list[pl.DataFrame]:
    today = world.when.day(number)
    parts = rows.partition_by("src", as_dict=True)
    found = [file.append(folder, today, parts.get((file.source,), rows.clear()), key) for file in files]
    return found + [agent.append(folder, today, world.when.at(number), rows, key) for agent in agents]


def _truth(planned: Plan, found: pl.DataFrame) -> list[tuple[Episode, str]]:
    """One line an episode that left events, in order of its number."""
    lines: list[tuple[Episode, str]] = []
    groups = (
        found.sort("ep", "t", "event.id")
        .group_by("ep", maintain_order=True)
        .agg("event.id", first=pl.col("t").min(), last=pl.col("t").max())
    )
    for row in groups.to_dicts():
        episode = planned.episodes[row["ep"]]
        content: dict[str, Any] = {
            "id": episode.id, "scenario": episode.scenario, "shape": episode.shape, "actor": episode.actor, "person": episode.person,
            "event_ids": list(dict.fromkeys(row["event.id"])), "first": row["first"], "last": row["last"], "difficulty": episode.difficulty,
        }  # fmt: skip
        lines.append((episode, json.dumps(content, ensure_ascii=False, separators=(",", ":"))))
    return lines
