"""Stage two's core: what all stage ones hand on → findings about groups of people, and about the logs being whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from detector import correlate, repeats, step
from detector.stage_one import Schedule
from detector.stage_two import Rows
from detector.stream import snapshot
from detector.stream.effects import Effects
from detector.stream.plan import Plan, Plans
from detector.stream.telling import updated
from detector.witness.summary import SUMMARY

_IDENTITY = ["check", "who", "beside"]


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered.

    Attributes:
        groups: Of `step.group`.
        candidates, notes: Rows that wait for their time (`correlate.CANDIDATES`, `witness.summary.SUMMARY`).
    """

    groups: step.Groups = field(default_factory=step.Groups)
    candidates: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=correlate.CANDIDATES))
    notes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SUMMARY))


class Core:
    """`detector.stage_two.Core`.

    Args:
        plans: Made ready once for both cores.
    """

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    def begin(self) -> State:
        """Nothing is known."""
        return State()

    def advance(
        self, state: State, rows: Rows, watermark: int, heard: int, schedule: Schedule
    ) -> tuple[State, Effects]:
        """Take rows, and decide what the watermark has passed.

        Args:
            state: What the call before returned.
            rows: Kind and rows of each piece, in the order in which they came.
            watermark: UTC ms up to which all stage ones have said everything.
            heard: UTC ms up to which agents could be heard, if that is less.
            schedule: Which versions decide from when.
        """
        plans, effects = self._plans.of(schedule), Effects()
        candidates, notes = (
            pl.concat([waiting, *(frame for name, frame in rows if name == kind)])
            for kind, waiting in (("candidate", state.candidates), ("note", state.notes))
        )
        groups = state.groups
        late = sum(int((one["time.occurred"] <= groups.watermark).sum()) for kind, one in rows if kind == "candidate")
        if late:
            effects.counts["late_candidates"] += late
        for _, upto, plan in plans.stretches(groups.watermark, max(watermark, groups.watermark)):
            due = pl.col("time.occurred") <= upto
            told = pl.coalesce("last", "first") <= upto
            groups, filled, incidents = step.group(
                groups, candidates.filter(due), notes.filter(told), upto, plan.context, heard
            )
            candidates, notes = candidates.filter(~due), notes.filter(~told)
            effects.findings += _found(filled, incidents, plan)
            for rule, number in filled.group_by("rule").len().sort("rule").iter_rows():
                effects.counts[f"hits:{rule}"] += int(number)
        return State(groups, candidates, notes), effects

    def dump(self, state: State) -> bytes:
        """The state as bytes."""
        return snapshot.dump_two(state.groups, state.candidates, state.notes)

    def load(self, data: bytes) -> State:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, or of a version that is not known.
        """
        return State(*snapshot.load_two(data))


def _found(filled: pl.DataFrame, incidents: pl.DataFrame, plan: Plan) -> list[dict[str, Any]]:
    if filled.is_empty() and incidents.is_empty():
        return []
    # Of what was said several times within one turn, the last; it is new if the first of them was.
    first = incidents.unique(_IDENTITY, keep="first", maintain_order=True).select(
        *_IDENTITY, pl.col("update").alias("known")
    )
    last = incidents.unique(_IDENTITY, keep="last", maintain_order=True)
    found, _ = plan.decide(plan.period(groups=filled, incidents=last), repeats.nothing())
    known = {f"e\x1f{check}\x1f{who}\x1f{beside}" for check, who, beside, known in first.iter_rows() if known}
    return [updated(one) if one["unmapped"]["unit"] in known else one for one in found]
