"""Whether the logs are whole: sequence numbers, heartbeats, and sources that fall silent.

Stage one summarises (`summary.summary`), stage two decides (`advance`), by agent and by source, never by actor (design
§9). It decides minute by minute of event time, and a minute is decided when the watermark has passed its end: what is
said depends neither on what comes later, nor on how the input is cut, ordered or spread over partitions. What comes
late for its minute is taken all the same, and may change what was said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from operator import or_
from typing import Any, Final

import polars as pl

from detector.witness.agent import REMEMBERED, Agent, Minute, end_of
from detector.witness.incident import FILLED, FINDINGS, Incident, Limits, frame
from detector.witness.minutes import of_agents, of_sources
from detector.witness.source import QUARTER_MS, Source
from detector.witness.summary import BEAT, DOUBT, EXPECTED, LINES, NUMBERS, SUMMARY, TICK_MS

__all__ = ["FILLED", "FINDINGS", "Limits", "State", "advance"]

_AGENTS: Final = (NUMBERS, DOUBT, BEAT)
_SOURCES: Final = (LINES, EXPECTED)


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
    late, new = _parted(_of(rows, _AGENTS), state.tick)
    due, waiting = _parted(pl.concat([state.waiting, new]) if new.height else state.waiting, tick)
    agents, said = _agents(state, late, due, tick, limits)
    sources, told = _sources(state, _of(rows, _SOURCES), tick, limits)
    return State(tick, agents, sources, waiting), frame([*said, *told])


def _of(rows: pl.DataFrame, kinds: Sequence[str]) -> pl.DataFrame:
    return _where(rows, reduce(or_, [rows["kind"] == kind for kind in kinds]))


def _parted(rows: pl.DataFrame, tick: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    until = rows["tick"] <= tick
    return _where(rows, until), _where(rows, ~until)


def _where(rows: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    # Mostly all, or none.
    n = wanted.sum()
    return rows if n == rows.height else rows.filter(wanted) if n else rows[:0]


def _agents(
    state: State, late: pl.DataFrame, due: pl.DataFrame, tick: int, limits: Limits
) -> tuple[dict[str, bytes], list[Incident]]:
    after, said = dict(state.agents), []
    came, came_late = of_agents(due), of_agents(late)
    names = {*came_late, *came, *(after if tick > state.tick else ())}
    for name in sorted(names):
        if name not in came and name not in came_late and not _is_due(after[name], tick, limits.heartbeat_s):
            continue
        agent = Agent.unpack(after[name]) if name in after else Agent(name)
        found = agent.fold_late(_together(came_late[name]), limits) if name in came_late else []
        begin, minutes = state.tick + 1, came.get(name, {})
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


def _is_due(packed: bytes, tick: int, heartbeat_s: int) -> bool:
    """Whether an agent of which nothing came has to be looked at."""
    due, newest = _next(packed, heartbeat_s)
    return (due is not None and due <= tick) or newest < tick - REMEMBERED


@lru_cache(maxsize=4096)
def _next(packed: bytes, heartbeat_s: int) -> tuple[int | None, int]:
    """When something is to be said of an agent at rest if nothing comes, and its newest minute."""
    agent = Agent.unpack(packed)
    return agent.due(heartbeat_s), agent.tick


def _lapse(agent: Agent, begin: int, until: int, limits: Limits) -> list[Incident]:
    """What falls due in minutes at which nothing came."""
    said: list[Incident] = []
    while begin <= until and (due := agent.due(limits.heartbeat_s)) is not None and (at := max(due, begin)) <= until:
        said += agent.lapse(at, limits)
    return said


def _together(minutes: Mapping[int, Minute]) -> Minute:
    ordered = [minutes[tick] for tick in sorted(minutes)]
    return Minute(
        [one for minute in ordered for one in minute.numbers],
        [one for minute in ordered for one in minute.doubts],
        [one for minute in ordered for one in minute.rounds],
    )


def _sources(state: State, rows: pl.DataFrame, tick: int, limits: Limits) -> tuple[dict[str, bytes], list[Incident]]:
    after, said = dict(state.sources), []
    lines, expected = of_sources(rows)
    before, until = end_of(state.tick), end_of(tick)
    over = before // QUARTER_MS != until // QUARTER_MS
    for name in sorted({*lines, *expected, *(after if over else ())}):
        source = Source.unpack(after[name]) if name in after else Source(name)
        if name in expected:
            source.expect(expected[name], limits)
        found = [one for slot, hour in lines.get(name, {}).items() for one in source.hear(slot, hour)]
        found += source.judge(until, limits)
        if source.is_idle(until, limits.zone):
            after.pop(name, None)
        else:
            after[name] = source.pack()
        said += found
    return after, said
