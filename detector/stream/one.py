"""Stage one's core: events of some actors → findings about them, and what stage two needs.

What pages alone is told as it comes; all else is decided behind the watermark, by `step`, exactly as `analyze` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from contract import event
from detector import correlate, relay, repeats, step
from detector.stage_one import Schedule
from detector.step import Output
from detector.stream import amend, caps, ended, snapshot, telling, waiting
from detector.stream.amend import Kept
from detector.stream.effects import Effects
from detector.stream.ended import Ending
from detector.stream.plan import Plan, Plans
from detector.stream.telling import Moments
from detector.stream.waiting import Waiting
from detector.witness.summary import SUMMARY, summary

# Looking through all that is remembered takes time, so it is done once in so much event time.
_TIDY_MS: Final = 60_000
# So many events may wait while a day is summed up.
_MOST_WAITING: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered.

    Attributes:
        core: Of `step`.
        waiting: Events later than its watermark, in pieces as they came, prepared.
        moments: What was told, and what is known of it.
        said: What was raised before (`repeats.SAID`).
        kept: Sessions that closed lately, for what comes late.
        ended: How many parts of the day, all of which was taken in, are summed up (`detector.stream.ended`).
        is_ended: Whether all are.
        behind: What came late meanwhile, and has to wait until the day is over.
        ending: The parts, if they are at hand: they follow from `core`.
    """

    core: step.State = field(default_factory=step.State)
    waiting: Waiting = ()
    moments: Moments = field(default_factory=Moments)
    said: pl.DataFrame = field(default_factory=repeats.nothing)
    kept: Kept = field(default_factory=Kept)
    ended: int = 0
    is_ended: bool = False
    behind: pl.DataFrame = field(default_factory=event.empty)
    ending: Ending | None = field(default=None, compare=False)


class Core:
    """`detector.stage_one.Core`.

    Args:
        plans: Made ready once for both cores.
        most_rows: A day of more events is summed up over several turns, about so many in each.
    """

    def __init__(self, plans: Plans, most_rows: int = ended.MOST_ROWS) -> None:
        self._plans, self._most_rows = plans, most_rows

    def begin(self) -> State:
        """Nothing is known."""
        return State()

    def advance(
        self, state: State, new: pl.DataFrame, again: pl.DataFrame, watermark: int, schedule: Schedule
    ) -> tuple[State, Effects]:
        """Take events, and decide what the watermark has passed.

        Args:
            state: What the call before returned.
            new: Events in `contract.event` columns, any order, none of which came before.
            again: Events that came before, under other numbers.
            watermark: UTC ms, as `reaches` says; what comes later and is not newer counts as late.
            schedule: Which versions decide from when.
        """
        plans, before = self._plans.of(schedule), state.core.watermark
        watermark, effects = max(watermark, before), Effects()
        present = plans.at(before)
        held = ended.held_at(state.core, present.context.site, self._most_rows)
        if held == before:
            state, new = self._ending(state, new, watermark, present)
        # Where time is held, all of the last millisecond is taken in, for the day to be summed up.
        taken = watermark + 1 if held == watermark else watermark
        late = new["time.occurred"] <= before
        notes = [_renumbered(again)] if again.height else []
        single: list[pl.DataFrame] = []
        if late.any():
            state, noted, told = _amended(state, new.filter(late), plans.at(before), effects)
            notes.append(noted)
            single.append(told)
            new = new.filter(~late)
        pieces = waiting.come(new, plans, before, taken)
        soon = telling.arriving(pieces, taken)
        state = replace(state, waiting=(*state.waiting, *pieces))
        candidates = []
        for _, upto, plan in plans.stretches(before, watermark):
            state, output, decided = _decided(state, upto, taken if upto == watermark else upto, plan, effects)
            candidates.append(output.candidates)
            notes.append(output.notes)
            single.append(decided)
        known = replace(state.moments, early=telling.together([state.moments.early, soon]))
        known, told_now = telling.tell(known, telling.together([*single, soon]), plans, watermark)
        effects.findings += told_now
        effects.relays = _relays(candidates, notes)
        state = replace(state, moments=known, waiting=waiting.kept(state.waiting))
        if before // _TIDY_MS != watermark // _TIDY_MS:
            state = _tidy(state, plans.at(watermark), effects)
        return state, effects

    def _ending(self, state: State, new: pl.DataFrame, watermark: int, plan: Plan) -> tuple[State, pl.DataFrame]:
        """Sum up some more of the day at whose end time is held, or be done with it; also returns the events to be taken now."""
        held = state.core.watermark
        ending = state.ending or Ending(state.core, held + 1, plan.context, self._most_rows)
        if watermark > held:
            return replace(state, behind=event.empty(), ending=ending), pl.concat([state.behind, new])
        late = pl.col("time.occurred") <= held
        parts, is_ended = ending.turn(state.ended)
        behind = pl.concat([state.behind, new.filter(late)])
        state = replace(state, ended=parts, is_ended=is_ended, behind=behind, ending=ending)
        return state, new.filter(~late)

    def reaches(self, state: State, watermark: int, schedule: Schedule) -> int:
        """How far time may move in one turn, which is to stay short.

        Args:
            state: What the call before returned.
            watermark: UTC ms up to where it could move.
            schedule: Which versions decide from when.
        """
        plans, before = self._plans.of(schedule), state.core.watermark
        held = ended.held_at(state.core, plans.at(before).context.site, self._most_rows)
        if held is None or watermark <= held:
            return watermark
        return held + 1 if state.is_ended else held

    def is_full(self, state: State) -> bool:
        """Whether more events wait than should, as time is held."""
        return bool(state.ended) and sum(piece.rows.height for piece in state.waiting) > _MOST_WAITING

    def dump(self, state: State) -> bytes:
        """The state as bytes."""
        day = snapshot.Day(state.ended, state.is_ended, state.behind)
        return snapshot.dump_one(state.core, state.waiting, state.moments, state.said, state.kept, day)

    def load(self, data: bytes) -> State:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, or of a version that is not known.
        """
        core, waits, moments, said, kept, day = snapshot.load_one(data)
        return State(core, waits, moments, said, kept, *day)

    def open_sessions(self, state: State) -> int:
        """How many sessions may go on."""
        return state.core.tails.height


def _decided(state: State, upto: int, taken: int, plan: Plan, effects: Effects) -> tuple[State, Output, pl.DataFrame]:
    """Decide a stretch during which the same plan holds, with the events up to `taken`; also returns the moments that page."""
    due, left = waiting.due(state.waiting, taken, plan)
    after = state.core.watermark
    core, output = step.advance(state.core, due, upto, plan.context, state.ending.all if state.ending else None)
    decided = telling.weighed(output.moments, plan)
    known, changed = telling.reconsider(state.moments, telling.settle(state.moments, decided, taken), taken, plan)
    over = telling.due(known, after, upto, plan.zone)
    found: list[telling.Finding] = []
    said = state.said
    if output.sessions.height or output.days.height or over.height:
        ended = known.known.filter(pl.col("session").is_in(output.sessions["session"].implode()))
        period = plan.period(
            sessions=output.sessions.sort("last", "session"), days=output.days.sort("unit"), hits=output.hits,
            moments=over, told=ended,
        )  # fmt: skip
        found, said = plan.decide(period, said, output.closed)
    single = [one for one in found if one["unmapped"]["kind"] == "event"]
    others = [one for one in found if one["unmapped"]["kind"] != "event"]
    known, single = telling.say(known, single, plan)
    effects.findings += [*changed, *others, *single]
    effects.count_hits(output.hits)
    units = {one["unmapped"]["unit"] for one in others}
    kept = amend.keep(state.kept, output, units, plan.context.limits)
    return State(core, left, known, said, kept), output, decided


def _amended(
    state: State, late: pl.DataFrame, plan: Plan, effects: Effects
) -> tuple[State, pl.DataFrame, pl.DataFrame]:
    """Take late events in; also returns what they say of numbers, and the moments among them."""
    done = amend.amend(state.core, state.kept, late, plan, state.said)
    effects.findings += done.findings
    effects.counts["late"] += late.height
    state = replace(state, core=done.core, kept=done.kept)
    known = telling.settle(state.moments, done.moments, state.core.watermark)
    ended = known.known.filter(pl.col("unit").is_in(done.moments["unit"].implode()))
    known, said = telling.say_again(known, ended, plan, state.core.watermark)
    effects.findings += said
    return replace(state, moments=known), summary(done.rows.select(step.NOTES)), done.moments


def _renumbered(again: pl.DataFrame) -> pl.DataFrame:
    """That agents numbered these events too, so that no gap is seen there."""
    lacking = [name for name in step.NOTES if name not in again.columns]
    return summary(again.with_columns(*(pl.lit(None).alias(name) for name in lacking), pl.lit(True).alias("again")))


def _relays(candidates: list[pl.DataFrame], notes: list[pl.DataFrame]) -> list[relay.Rows]:
    out = []
    rows = pl.concat([pl.DataFrame(schema=correlate.CANDIDATES), *candidates])
    if rows.height:
        keys = rows.select(pl.concat_str("rule", "group", separator=correlate.SEPARATOR)).to_series()
        out.append(relay.Rows("candidate", keys, rows))
    rows = pl.concat([pl.DataFrame(schema=SUMMARY), *notes])
    if rows.height:
        out.append(relay.Rows("note", rows["who"], rows))
    return out


def _tidy(state: State, plan: Plan, effects: Effects) -> State:
    watermark = state.core.watermark
    core, capped = caps.bounded(state.core)
    effects.counts += capped
    known = telling.forget(state.moments, watermark, state.core.tails["session"], plan.zone)
    return replace(
        state,
        core=core,
        moments=known,
        said=repeats.forget(state.said, watermark),
        kept=amend.forget(state.kept, watermark),
    )
