"""What decides, ready for use: pinned versions, and what is worked out from them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from contract import event
from detector import core, findings, judge, moments, step
from detector.baseline import Baseline
from detector.rulebook import Rule
from detector.schedule import EVER, Pins, Schedule
from detector.step import Context
from detector.versions import Loaded


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides during one stretch of time.

    Attributes:
        pins: Registers, rules, model, baseline.
        maker: Puts findings into words.
        arriving: Rules that are decided when an event arrives, since they may page and need nothing but the event.
        unheard: No events, as `step.prepare` gives them.
        nothing: What is decided of no units at all, for its columns.
    """

    pins: Pins
    maker: findings.Maker
    arriving: tuple[Rule, ...] = field(init=False)
    unheard: pl.DataFrame = field(init=False)
    nothing: judge.Period = field(init=False)

    def __post_init__(self) -> None:
        context = self.context
        chosen = [
            rule for rule in context.rules.of("event")
            if moments.at_once(rule) and moments.may_page(rule, context.thresholds)
        ]  # fmt: skip
        unheard = step.prepare(event.empty(), context)
        _, output = step.advance(step.State(), unheard, 0, context)
        object.__setattr__(self, "unheard", unheard)
        object.__setattr__(self, "arriving", tuple(chosen))
        object.__setattr__(self, "nothing", judge.Period(output.sessions, output.days))

    @property
    def context(self) -> Context:
        """Registers, rules and limits."""
        return self.pins.context

    @property
    def zone(self) -> str:
        """The site's time zone."""
        return self.pins.site.config.time_zone

    def decide(
        self, period: judge.Period, said: pl.DataFrame, closed: pl.DataFrame | None = None
    ) -> tuple[list[dict[str, Any]], pl.DataFrame]:
        """Decide units, and put them into words.

        Args:
            period: What is to be judged.
            said: What was raised before (`repeats.SAID`).
            closed: Events of its sessions (`step.CLOSED`), in event order; None where it has none.

        Returns:
            OCSF objects, sorted by (time, uid), and what is said now.
        """
        pins = self.pins
        judged, said = judge.judge(period, pins.rules, pins.model, pins.usual, pins.context.thresholds, said)
        if closed is not None:
            judged = judge.with_events(
                judged, lambda names: closed.filter(pl.col("session").is_in(names.implode())).select(step.CLOSED)
            )
        return findings.publish(judged, period.incidents, self.maker), said

    def period(self, **parts: pl.DataFrame) -> judge.Period:
        """Units to be judged, and no others."""
        return replace(self.nothing, **parts)


class Plans:
    """Plans by the hashes of their versions; kept as long as a schedule names them, since making one takes time.

    Args:
        run: `live`, or the name of a re-run, for `unmapped.run`.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._made: dict[tuple[tuple[str, str], ...], Plan] = {}

    def of(self, schedule: Sequence[tuple[int, Loaded]]) -> Schedule[Plan]:
        """The plans of a schedule; the first decides from the first event on."""
        keys = [tuple(sorted(loaded.hashes.items())) for _, loaded in schedule]
        made = {key: self._made.get(key) or self._make(loaded) for key, (_, loaded) in zip(keys, schedule, strict=True)}
        # Partitions change their pins one after the other: what the others still use is found here too.
        self._made = {**dict(list(self._made.items())[-4:]), **made}
        since = [EVER, *(moment for moment, _ in schedule[1:])]
        return Schedule(tuple((moment, made[key]) for moment, key in zip(since, keys, strict=True)))

    def _make(self, loaded: Loaded) -> Plan:
        pins = Pins(Context(loaded.site, loaded.book), loaded.model, loaded.usual or Baseline())
        return Plan(pins, core.maker(pins, self._run))
