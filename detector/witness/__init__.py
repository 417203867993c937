"""Whether the logs are whole: sequence numbers, heartbeats, and sources that fall silent.

Stage one summarises (`summary.summary`), stage two decides (`advance`), by agent and by source, never by actor (design
§9). It decides minute by minute of event time, and a minute is decided when the watermark has passed its end: what is
said depends neither on what comes later, nor on how the input is cut, ordered or spread over partitions. What comes
late for its minute is taken all the same, and may change what was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from detector.witness.agent import REMEMBERED, Agent, Minute, end_of
from detector.witness.boot import Round
from detector.witness.incident import FILLED, FINDINGS, Incident, Limits, frame
from detector.witness.numbers import Run
from detector.witness.source import QUARTER_MS, Lines, Source
from detector.witness.summary import BEAT, DOUBT, EXPECTED, LINES, NUMBERS, SUMMARY, TICK_MS, by_hour, rounds, runs

__all__ = ["FILLED", "FINDINGS", "Limits", "State", "advance"]

_RUN: Final = (
    "lo", "hi", "first", "last", "first_id", "last_id", pl.col("tick").alias("tick_lo"), pl.col("tick").alias("tick_hi"),
)  # fmt: skip
_ROUND: Final = ("lo", "hi", "first", "first_id", "n", "stopping")
_LINES: Final = ("n", "first", "first_id", "last", "last_id")


@dataclass(frozen=True, slots=True)
class State:
    """What stage two remembers between calls: plain values and a frame.

    Attributes:
        tick: Minute since the epoch up to which all is decided.
        agents, sources: By name, each packed as JSON.
        waiting: Rows of `SUMMARY` of minutes that are not over.
    """

    tick: int = -1
    agents: Mapping[str, bytes] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)
    waiting: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SUMMARY))

    def parts(self) -> tuple[dict[str, Any], dict[str, pl.DataFrame], dict[str, bytes]]:
        """Header, frames and blobs for `parcel.pack`; equal for equal states, in whatever order rows came."""
        blobs = {f"agent {name}": packed for name, packed in self.agents.items()}
        blobs |= {f"source {name}": packed for name, packed in self.sources.items()}
        return {"tick": self.tick}, {"waiting": self.waiting.sort(list(SUMMARY))}, blobs

    @classmethod
    def of(cls, header: Mapping[str, Any], frames: Mapping[str, pl.DataFrame], blobs: Mapping[str, bytes]) -> State:
        """The inverse of `parts`."""
        agents, sources = (
            {name.removeprefix(kind): packed for name, packed in blobs.items() if name.startswith(kind)}
            for kind in ("agent ", "source ")
        )
        return cls(header["tick"], agents, sources, frames["waiting"])


def advance(state: State, rows: pl.DataFrame, watermark: int, limits: Limits) -> tuple[State, pl.DataFrame]:
    """Move the evidence forward.

    Args:
        state: What the call before returned; `State()` at first.
        rows: Rows of `SUMMARY`, any order: all that came for the stretch up to the watermark, and any that come late.
        watermark: UTC ms; no event up to it will come any more. At the end of files, the time of the last event: a clock
            that is moved on without events makes silence of every agent.
        limits: What is declared.

    Returns:
        The new state, and one row per statement (`FINDINGS`), sorted by (time, check, who, from): `check`, `who` (agent
        or source), `time` (when it was decided), `from`, `to` (UTC ms), `related` (ids of the events on both sides),
        `observed`, `usual` (numbers, seconds or lines), `form` (`text`, `open` while it lasts, `filled` where what was
        missing came later), `update` (false: said for the first time), `beside` (with check and who the identity).
    """
    tick = max(state.tick, (watermark + 1) // TICK_MS - 1)
    if rows.is_empty() and tick == state.tick:
        return state, frame([])
    kind = pl.col("kind")
    of_agents = rows.filter(kind.is_in([NUMBERS, DOUBT, BEAT]))
    late, new = _parted(of_agents, state.tick)
    due, waiting = _parted(pl.concat([state.waiting, new]) if new.height else state.waiting, tick)
    agents, said = _agents(state, late, due, tick, limits)
    sources, told = _sources(state, rows.filter(kind.is_in([LINES, EXPECTED])), tick, limits)
    return State(tick, agents, sources, waiting), frame([*said, *told])


def _parted(rows: pl.DataFrame, tick: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    until = pl.col("tick") <= tick
    return rows.filter(until), rows.filter(~until)


def _agents(
    state: State, late: pl.DataFrame, due: pl.DataFrame, tick: int, limits: Limits
) -> tuple[dict[str, bytes], list[Incident]]:
    after, said = dict(state.agents), []
    came, came_late = _by_agent(due), _by_agent(late)
    names = {*came_late, *came, *(after if tick > state.tick else ())}
    for name in sorted(names):
        agent = Agent.unpack(after[name]) if name in after else Agent(name)
        found = agent.fold_late(_together(_minutes(came_late.get(name))), limits) if name in came_late else []
        begin, minutes = state.tick + 1, _minutes(came.get(name))
        for at in sorted(minutes):
            found += _lapse(agent, begin, at - 1, limits)
            found += agent.fold(at, minutes[at], limits)
            begin = at + 1
        found += _lapse(agent, begin, tick, limits)
        if agent.tick < tick - REMEMBERED:
            after.pop(name, None)
        elif found or name in came or name in came_late:
            after[name] = agent.pack()
        said += found
    return after, said


def _lapse(agent: Agent, begin: int, until: int, limits: Limits) -> list[Incident]:
    """What falls due in minutes at which nothing came."""
    said: list[Incident] = []
    while begin <= until and (due := agent.due(limits)) is not None and (at := max(due, begin)) <= until:
        said += agent.lapse(at, limits)
    return said


# Joined runs of numbers, of doubts, and rounds of one agent.
_Tables = tuple[pl.DataFrame | None, pl.DataFrame | None, pl.DataFrame | None]


def _by_agent(rows: pl.DataFrame) -> dict[str, _Tables]:
    if rows.is_empty():
        return {}
    kind = pl.col("kind")
    beats = rounds(rows.filter(kind == BEAT))
    # A heartbeat has a number as well.
    numbers = pl.concat([rows.filter(kind == NUMBERS), beats], how="diagonal")
    parts = [
        {key[0]: part for key, part in table.partition_by("who", as_dict=True).items()}
        for table in (runs(numbers, "tick"), runs(rows.filter(kind == DOUBT), "tick"), beats)
    ]
    return {name: (parts[0].get(name), parts[1].get(name), parts[2].get(name)) for name in {*parts[0], *parts[1]}}


def _minutes(tables: _Tables | None) -> dict[int, Minute]:
    """What came of an agent, by minute."""
    numbers, doubts, beats = tables or (None, None, None)
    minutes: dict[int, Minute] = {}

    def at(tick: int) -> Minute:
        if tick not in minutes:
            minutes[tick] = Minute([], [], [])
        return minutes[tick]

    for tick, boot, *run in numbers.select("tick", "boot", *_RUN).iter_rows() if numbers is not None else ():
        at(tick).numbers.append((boot, Run(*run)))
    for tick, boot, *run in doubts.select("tick", "boot", *_RUN).iter_rows() if doubts is not None else ():
        at(tick).doubts.append((boot, Run(*run)))
    for tick, boot, *one in beats.select("tick", "boot", *_ROUND).iter_rows() if beats is not None else ():
        at(tick).rounds.append((boot, Round(*one)))
    return minutes


def _together(minutes: Mapping[int, Minute]) -> Minute:
    ordered = [minutes[tick] for tick in sorted(minutes)]
    return Minute(
        [one for minute in ordered for one in minute.numbers],
        [one for minute in ordered for one in minute.doubts],
        [one for minute in ordered for one in minute.rounds],
    )


def _sources(state: State, rows: pl.DataFrame, tick: int, limits: Limits) -> tuple[dict[str, bytes], list[Incident]]:
    after, said = dict(state.sources), []
    lines: dict[str, list[tuple[int, Lines]]] = {}
    for name, slot, *hour in by_hour(rows.filter(pl.col("kind") == LINES)).select("who", "slot", *_LINES).iter_rows():
        lines.setdefault(name, []).append((slot, Lines(*hour)))
    declared = rows.filter(pl.col("kind") == EXPECTED).group_by("who").agg(pl.col("first").min())
    expected: dict[str, int] = dict(declared.iter_rows())
    before, until = end_of(state.tick), end_of(tick)
    over = before // QUARTER_MS != until // QUARTER_MS
    for name in sorted({*lines, *expected, *(after if over else ())}):
        source = Source.unpack(after[name]) if name in after else Source(name)
        if name in expected:
            source.expect(expected[name], limits)
        found = [one for slot, hour in lines.get(name, ()) for one in source.hear(slot, hour)]
        found += source.judge(until, limits)
        if source.is_idle(until, limits.zone):
            after.pop(name, None)
        else:
            after[name] = source.pack()
        said += found
    return after, said
