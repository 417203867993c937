"""Events through both cores of the stream, without Kafka: partitions, turns and disorder as a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from contract import event
from contract.partition import partition_of
from detector import core
from detector.rulebook import RuleBook
from detector.schedule import Pins, Schedule
from detector.stream import ended, one, two
from detector.stream.plan import Plans
from detector.versions import Loaded
from registers.site import Site

Finding = dict[str, Any]
# How far behind the newest event of all partitions the watermark stays.
LATENESS_MS = 60_000


@dataclass(frozen=True)
class Versions:
    """A schedule for the stream and the same one for `Analysis`."""

    loaded: tuple[tuple[int, Loaded], ...]

    @classmethod
    def of(cls, site: Site, *parts: tuple[int, RuleBook, Any, Any]) -> Versions:
        """From (since, rules, model, baseline)."""
        return cls(
            tuple(
                (since, Loaded({"rules": book.version, "model": str(number)}, site, book, model, usual))
                for number, (since, book, model, usual) in enumerate(parts)
            )
        )

    @property
    def schedule(self) -> Schedule[Pins]:
        """For `Analysis`."""
        plans = Plans("live").of(self.loaded)
        return Schedule(tuple((since, plan.pins) for since, plan in plans.pins))


@dataclass
class Stream:
    """Stage ones, one for each partition, and one stage two behind them."""

    versions: Versions
    partitions: int
    reload: bool = False  # every state goes through its bytes after every turn
    most_rows: int = ended.MOST_ROWS  # a day of more events is summed up over several turns
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        plans = Plans("live")
        self.one, self.two = one.Core(plans, self.most_rows), two.Core(plans)
        self.states = [self.one.begin() for _ in range(self.partitions)]
        self.groups = self.two.begin()
        self.marks = [-1] * self.partitions
        self._rows: list[tuple[str, pl.DataFrame]] = []
        self.late = self.held = 0

    def turn(self, events: Sequence[pl.DataFrame], watermark: int, heard: int | None = None) -> None:
        """Give each partition its events, and move time on; `heard`: up to which agents could be heard."""
        for place, new in enumerate(events):
            while self._one(place, new, watermark) < watermark:
                new = event.empty()
                self.held += 1
            reached = min(self.marks)
            self.groups, effects = self.two.advance(
                self.groups, self._rows, reached, reached if heard is None else heard, self.versions.loaded
            )
            self._rows = []
            self.findings += [dict(found) for found in effects.findings]
        if self.reload:
            self.groups = self.two.load(self.two.dump(self.groups))

    def _one(self, place: int, new: pl.DataFrame, watermark: int) -> int:
        """A turn of a stage one; returns how far it has come."""
        state, loaded = self.states[place], self.versions.loaded
        mark = max(self.marks[place], self.one.reaches(state, watermark, loaded))
        state, effects = self.one.advance(state, new, event.empty(), mark, loaded)
        self.states[place] = self.one.load(self.one.dump(state)) if self.reload else state
        self.findings += [dict(found) for found in effects.findings]
        self.late += effects.counts["late"]
        self.marks[place] = mark
        self._rows += [(part.kind, part.frame) for part in effects.relays]
        return mark

    def run(self, events: pl.DataFrame, turns: int, shuffle_ms: int = 0, seed: int = 0) -> None:
        """All events of a period, in the order of time but for a disorder of so many ms, in so many turns."""
        noise = np.random.default_rng(seed).integers(0, shuffle_ms + 1, events.height)
        order = events.with_columns((pl.col("time.occurred") + pl.Series(noise)).alias("_at")).sort("_at", "event.id")
        reached = -1
        for number in range(turns):
            part = order.slice(
                number * order.height // turns, (number + 1) * order.height // turns - number * order.height // turns
            )
            if part.height:
                reached = max(reached, int(part["time.occurred"].max()))  # type: ignore[arg-type]
            self.turn(self.spread(part.drop("_at")), reached - LATENESS_MS)
        nothing = [event.empty()] * self.partitions
        self.turn(nothing, reached)
        self.turn(nothing, reached + core.CLOSING_MS, reached)

    def spread(self, events: pl.DataFrame) -> list[pl.DataFrame]:
        """As agents send them; heartbeats go everywhere in turn."""
        key = pl.coalesce("actor.id", "agent.id", pl.lit(""))
        place = events.select(key.map_elements(lambda text: partition_of(text, self.partitions), return_dtype=pl.Int64))
        return [events.filter(place.to_series() == number) for number in range(self.partitions)]

    @property
    def last(self) -> dict[str, Finding]:
        """The last state of each finding."""
        return {one["finding_info"]["uid"]: one for one in self.findings}


def analysed(events: pl.DataFrame, versions: Versions) -> dict[str, Finding]:
    """What `Analysis` says of the same events and versions, by uid."""
    site, book = versions.loaded[0][1].site, versions.loaded[0][1].book
    analysis = core.Analysis(site, book, versions.schedule)
    rows = [analysis.feed(events, int(events["time.occurred"].max()))]  # type: ignore[arg-type]
    result = analysis.finish(core.in_memory(rows), core.Pinned(run="live", budget=core.delivery.UNLIMITED))
    return {one["finding_info"]["uid"]: one for one in result.findings}


def plain(found: dict[str, Finding]) -> dict[str, Finding]:
    """Findings without what says whether they are new or an update."""
    return {
        uid: {key: value for key, value in one.items() if key not in ("activity_id", "type_uid")}
        for uid, one in found.items()
    }


def last(found: Iterable[Finding], run: Callable[[str], bool] = "live".__eq__) -> dict[str, Finding]:
    """The last state of each finding, as the stages said it: what the budget puts off is told once more, and left out here."""
    told = [one for one in found if not one["unmapped"]["over_budget"] and run(one["unmapped"]["run"])]
    return plain({one["finding_info"]["uid"]: one for one in told})


def comparable(
    found: dict[str, Finding], analysed: dict[str, Finding]
) -> tuple[dict[str, Finding], dict[str, Finding]]:
    """What can be compared of findings in the stream and of those in files.

    Files have no agents, so nothing can be said of these; and the budget has put off what is over it.
    """
    parts: tuple[dict[str, Finding], dict[str, Finding]] = ({}, {})
    for out, given in zip(parts, (found, analysed), strict=True):
        for uid, item in plain(given).items():
            if item["unmapped"]["kind"] == "evidence":
                continue
            told = item["unmapped"] | {"run": "any"}
            if uid in analysed and analysed[uid]["unmapped"]["over_budget"]:
                item, told = item | {"is_alert": None}, told | {"queue": None, "over_budget": None}
            out[uid] = item | {"unmapped": told}
    return parts


def differences(found: dict[str, Finding], wanted: dict[str, Finding]) -> list[str]:
    """What differs between two sets of findings, in words: which are missing, which are too many, and what else is said."""
    told = [f"missing: {shown(wanted[uid])}" for uid in sorted(wanted.keys() - found.keys())]
    told += [f"too many: {shown(found[uid])}" for uid in sorted(found.keys() - wanted.keys())]
    for uid in sorted(found.keys() & wanted.keys()):
        here, there = found[uid], wanted[uid]
        if here != there:
            told += [f"{shown(there)}: {line}" for line in _apart("", here, there)]
    return told


def shown(one: Finding) -> str:
    """A finding in a line."""
    info = one["finding_info"]
    return f"{info['uid']} {one['unmapped']['kind']} {info['analytic']['uid']} at {one['time']}"


def _apart(path: str, here: Any, there: Any) -> list[str]:
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(here.keys() | there.keys())
        return [line for key in keys for line in _apart(f"{path}.{key}", here.get(key), there.get(key))]
    return [] if here == there else [f"{path}: found {str(here)[:200]}, wanted {str(there)[:200]}"]
