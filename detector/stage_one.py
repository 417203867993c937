"""Stage one: sealed events of one partition → findings, and what goes on to stage two.

What the records say of time, who is waited for, what came before and which versions decide stands here; what is decided
is the core's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import polars as pl

from detector import admission, letters, lost, parcel, pins, published, relay, watermark
from detector.admission import Seen, Trust
from detector.arrival import Arrived
from detector.cases import Cases
from detector.config import Config
from detector.in_force import InForce
from detector.partitions import Counts
from detector.pins import Deployment, Pins
from detector.place import Place
from detector.relay import NEVER, Sender, Stretch
from detector.stage import Effects, Moment, Sent
from detector.versions import Loaded
from detector.watermark import Clocks

C = TypeVar("C")

_KIND: Final = "stage one"
_VERSION: Final = 1
# How far beyond its end a re-run moves time, to close what is open: longer than any session or day.
_CLOSING_MS: Final = 3 * 86_400_000
Schedule = tuple[tuple[int, Loaded], ...]
"""Versions with the event time (UTC ms, inclusive) from which they decide, ascending; the first from the beginning."""


class Core(Protocol[C]):
    """What decides. Pure: same state, events and schedule, same effects.

    Time moves no further in a turn than the core `reaches`, so that turns stay short. While it is held, as many events
    may wait as the core can take (`is_full`).
    """

    def begin(self) -> C: ...
    def advance(
        self, state: C, new: pl.DataFrame, again: pl.DataFrame, watermark: int, schedule: Schedule
    ) -> tuple[C, Effects]: ...
    def dump(self, state: C) -> bytes: ...
    def load(self, data: bytes) -> C: ...
    def open_sessions(self, state: C) -> int: ...
    def reaches(self, state: C, watermark: int, schedule: Schedule) -> int: ...
    def is_full(self, state: C) -> bool: ...


@dataclass(frozen=True, slots=True)
class State(Generic[C]):
    """What the stage remembers.

    Attributes:
        core: What the core does.
        clocks: How far each input has come.
        seen: Which events came before.
        pinned: Versions that decide.
        counts: How many partitions the topics had when the state was begun; None before the first decision.
        watermark: Event time up to which all is decided, UTC ms; −1 before the first event.
        relayed: Event time up to which stage two has been told.
        idle: What stage two was told: `relay.IDLE`: not to wait for this partition, `relay.OVER`: nothing more will come.
        closed: A re-run has come to its end.
        exceptions: Those that findings name.
        closing: Event time to which a re-run that has read its last record moves on, to close what is open; −1 before.
        is_held: Time has not moved on as far as it could, and goes on with the next turn, whether anything comes or not.
        is_full: Nothing more should be taken until then.
    """

    core: C
    clocks: Clocks = field(default_factory=Clocks)
    seen: Seen = field(default_factory=Seen)
    pinned: Pins = ()
    counts: Counts | None = None
    watermark: int = -1
    relayed: int = NEVER
    idle: int = 0
    closed: bool = False
    exceptions: InForce = field(default_factory=InForce)
    closing: int = -1
    is_held: bool = False
    is_full: bool = False


class One(Generic[C]):
    """The stage.

    Args:
        core: What decides.
        config: Topics, lateness, heartbeat.
        deployment: What is deployed.
        place: The partition.
        counts: How many partitions the topics have.
        run: `live`, or the name of a re-run.
        code: Version of the product.
        trust: Whom to believe what.
        cases: Reads the exceptions.
    """

    def __init__(
        self,
        core: Core[C],
        config: Config,
        deployment: Deployment,
        place: Place,
        counts: Counts,
        run: str,
        code: str,
        trust: Trust,
        cases: Cases,
    ) -> None:
        self._core, self._config, self._deployment = core, config, deployment
        self._place, self._counts, self._run, self._code, self._trust = place, counts, run, code, trust
        self._cases = cases
        self._sender = Sender(run, place.partition, counts.events)

    def begin(self) -> State[C]:
        """Nothing is known."""
        return State(self._core.begin())

    def prepare(self, records: Sequence[Arrived]) -> admission.Read:
        """Read records."""
        return admission.read(records, self._trust)

    def decide(self, state: State[C], prepared: admission.Read, moment: Moment) -> dict[str, Any]:
        """Who is waited for no longer, which versions decide from when, what is allowed, and what was lost."""
        decision: dict[str, Any] = {}
        if state.counts is None:
            decision["counts"] = asdict(self._counts)
        if moment.lost is not None:
            decision["lost"] = list(moment.lost)
        clocks = watermark.hear(state.clocks, prepared.heard)
        heartbeat_s = self._config.detector.heartbeat_s
        # In a backlog everybody would seem silent by the clock on the wall; and while Kafka is away nobody can speak. Then each
        # sends what it held up when it finds Kafka again, and what the last one brings must not be late for all the others.
        now_ms = moment.now_ms if moment.at_end else clocks.latest_ms
        if moment.listened_s >= heartbeat_s and (left := watermark.silent(clocks, now_ms, heartbeat_s)):
            decision["left"] = list(left)
        if moment.at_end and not clocks.inputs and not state.idle:
            decision["idle"] = True
        if moment.ending and not state.closed and state.closing < 0:
            decision["close"] = max(clocks.reached or 0, 0) + _CLOSING_MS
        if self._aim(state.clocks, state.closing) > state.watermark >= 0:
            decision["on"] = True  # time was held, and is moved on although nothing may have come
        decision |= state.exceptions.decide(self._cases)
        return decision | self._deployment.decide(state.pinned, state.watermark)

    def advance(self, state: State[C], prepared: admission.Read, decision: Mapping[str, Any]) -> tuple[State[C], Sent]:
        """Work events out."""
        counts = state.counts or Counts(**decision["counts"])
        clocks = watermark.leave(watermark.hear(state.clocks, prepared.heard), decision.get("left", ()))
        closing = decision.get("close", state.closing)
        pinned = pins.extended(state.pinned, decision, state.watermark)
        schedule = tuple((pin.since, self._deployment.load(pin)) for pin in pinned)
        aim = max(state.watermark, self._aim(clocks, closing))
        mark = max(state.watermark, self._core.reaches(state.core, aim, schedule))
        # As it stood before: what one turn brings may reach over more time than ids are kept for.
        seen, new, again = admission.admit(state.seen, prepared.events, state.watermark)
        core, effects = self._core.advance(state.core, new, again, mark, schedule)
        exceptions = state.exceptions.extended(decision, state.watermark)
        found = exceptions.named([*self._lost(state, decision, schedule), *effects.findings])
        after = replace(
            state, core=core, clocks=clocks, seen=seen, pinned=pinned, counts=counts, watermark=mark,
            closed=state.closed or 0 <= closing <= mark, exceptions=exceptions, closing=closing,
            is_held=mark < aim, is_full=self._core.is_full(core),
        )  # fmt: skip
        after, relays = self._relayed(after, effects, decision)
        topics = self._config.topics
        records = [
            *published.records(found, topics.findings, counts.findings),
            *relays,
            *letters.records(prepared.rejected, topics.dead_letters),
        ]
        counted = {"events": float(new.height), "repeated": float(again.height)}
        counted |= {name: float(count) for name, count in effects.counts.items()}
        counted |= published.counts(found) | letters.counts(prepared.rejected)
        return after, Sent(records, counted)

    def _aim(self, clocks: Clocks, closing: int) -> int:
        """Up to where time is to move, UTC ms; −1 before the first record."""
        reached = watermark.watermark(clocks, self._config.detector.lateness_s * 1000)
        return max(-1 if reached is None else watermark.in_steps(reached), closing)

    def _lost(self, state: State[C], decision: Mapping[str, Any], schedule: Schedule) -> list[dict[str, Any]]:
        if "lost" not in decision:
            return []
        first, behind = decision["lost"]
        at = max(0, state.watermark)
        return [lost.lost(self._place, first, behind, at, self._run, self._code, schedule[-1][1].hashes)]

    def _relayed(self, state: State[C], effects: Effects, decision: Mapping[str, Any]) -> tuple[State[C], list[Any]]:
        """What stage two is told: always when time has moved or anything is to be said, or nobody speaks here any more."""
        inputs = state.clocks.inputs.values()
        idle = all(one.away for one in inputs) and (bool(inputs) or bool(state.idle) or bool(decision.get("idle")))
        now = relay.OVER if state.closed else relay.IDLE if idle else 0
        said = any(rows.frame.height for rows in effects.relays)
        if state.watermark <= state.relayed and not said and now == state.idle:
            return state, []
        # A stretch is never empty, so that it is known again when it comes again.
        upto = max(state.watermark, state.relayed + 1)
        heard = NEVER if state.clocks.reached is None else state.clocks.reached
        stretch = Stretch(state.relayed, upto, heard)
        topics, counts = self._config.topics, state.counts
        assert counts is not None
        records = relay.records(effects.relays, self._sender, stretch, topics.correlate, counts.correlate, idle=now)
        return replace(state, relayed=upto, idle=now), records

    def dump(self, state: State[C]) -> bytes:
        """The state as bytes."""
        header = {
            "clocks": state.clocks.to_json(), "pins": pins.as_json(state.pinned),
            "counts": None if state.counts is None else asdict(state.counts), "watermark": state.watermark,
            "relayed": state.relayed, "idle": state.idle, "closed": state.closed,
            "exceptions": state.exceptions.as_json(), "closing": state.closing,
        }  # fmt: skip
        return parcel.pack(
            _KIND, _VERSION, header, {}, {"core": self._core.dump(state.core), "seen": state.seen.dump()}
        )

    def load(self, data: bytes) -> State[C]:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, of an unknown version, or of other numbers of partitions.
        """
        header, _, blobs = parcel.unpack(data, _KIND, _VERSION)
        counts = None if header["counts"] is None else Counts(**header["counts"])
        check_counts(counts, self._counts)
        return State(
            self._core.load(blobs["core"]), Clocks.from_json(header["clocks"]), Seen.load(blobs["seen"]),
            pins.from_json(header["pins"]), counts, header["watermark"], header["relayed"], header["idle"],
            header["closed"], InForce.from_json(header.get("exceptions")), header.get("closing", -1),
        )  # fmt: skip

    def is_over(self, state: State[C]) -> bool:
        """Whether a re-run has come to its end."""
        return state.closed

    def show(self, state: State[C]) -> Mapping[str, float]:
        """Watermark, silent inputs, open sessions."""
        away = sum(one.away for one in state.clocks.inputs.values())
        shown = {"silent": float(away), "open_sessions": float(self._core.open_sessions(state.core))}
        return shown if state.watermark < 0 else shown | {"watermark": float(state.watermark)}


def check_counts(made: Counts | None, now: Counts) -> None:
    """Refuse a state that was made when the topics had other numbers of partitions.

    Raises:
        ValueError: They had; the message says which and what to do.
    """
    if made is None or made == now:
        return
    then, here = asdict(made), asdict(now)
    changed = ", ".join(f"{name} {then[name]} → {here[name]}" for name in then if then[name] != here[name])
    raise ValueError(
        f"the number of partitions has changed since this state was made ({changed}): it changes by a re-run only. Give the "
        "topics back their numbers, or work through the past again with a state topic of its own (docs/operations/detector.md)"
    )
