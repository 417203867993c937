"""Stage two: what the stage ones hand on → findings about groups of people and about the evidence.

Its time is the least that all stage ones have come to, but for those of which nobody waits. What is decided is the core's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import polars as pl

from contract.rejected import Reason
from detector import letters, lost, parcel, pins, published, relay, watermark
from detector.arrival import Arrived
from detector.cases import Cases
from detector.config import Topics
from detector.in_force import InForce
from detector.partitions import Counts
from detector.pins import Deployment, Pins
from detector.place import Place
from detector.relay import Heard, Reach, Received
from detector.stage import Effects, Moment, Sent
from detector.stage_one import Schedule, check_counts

C = TypeVar("C")

_KIND: Final = "stage two"
_VERSION: Final = 1
Rows = Sequence[tuple[str, pl.DataFrame]]
"""Kind and rows (`relay.TABLES`) of what was handed on, in the order in which they came."""


class Core(Protocol[C]):
    """What decides. Pure: same state, rows and schedule, same effects.

    `heard`, at most `watermark`, is the event time up to which silence may be judged: the end of a re-run closes what is open by
    moving time on, and that must not look like silence of everybody.
    """

    def begin(self) -> C: ...
    def advance(self, state: C, rows: Rows, watermark: int, heard: int, schedule: Schedule) -> tuple[C, Effects]: ...
    def dump(self, state: C) -> bytes: ...
    def load(self, data: bytes) -> C: ...


@dataclass(frozen=True, slots=True)
class State(Generic[C]):
    """What the stage remembers.

    Attributes:
        core: What the core does.
        reach: How far each stage one has come.
        pinned: Versions that decide.
        counts: How many partitions the topics had when the state was begun; None before the first decision.
        exceptions: Those that findings name.
    """

    core: C
    reach: Reach = field(default_factory=Reach)
    pinned: Pins = ()
    counts: Counts | None = None
    exceptions: InForce = field(default_factory=InForce)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Records of this run, read, each with its place; and those that are none of a stage one."""

    received: tuple[Received, ...]
    refused: pl.DataFrame


class Two(Generic[C]):
    """The stage.

    Args:
        core: What decides.
        topics: Where findings and dead letters go.
        deployment: What is deployed.
        place: The partition.
        counts: How many partitions the topics have.
        run: `live`, or the name of a re-run; what other runs hand on is not ours.
        code: Version of the product.
        cases: Reads the exceptions.
    """

    def __init__(
        self, core: Core[C], topics: Topics, deployment: Deployment, place: Place, counts: Counts, run: str, code: str,
        cases: Cases,
    ) -> None:  # fmt: skip
        self._core, self._topics, self._deployment = core, topics, deployment
        self._place, self._counts, self._run, self._code, self._cases = place, counts, run, code, cases

    def begin(self) -> State[C]:
        """Nothing is known."""
        return State(self._core.begin())

    def prepare(self, records: Sequence[Arrived]) -> Prepared:
        """Read records."""
        good, unread = letters.unread(records)
        received, bad, details = [], [], []
        for one in good:
            try:
                found = relay.read(one)
                if found.sender.run != self._run:
                    continue
                if found.sender.upstreams != self._counts.events:
                    raise ValueError(
                        f"comes from one of {found.sender.upstreams} stage ones, there are {self._counts.events} now"
                    )
                received.append(found)
            except ValueError as error:
                bad.append(one)
                details.append(str(error))
        return Prepared(tuple(received), pl.concat([unread, letters.refused(bad, details, Reason.FORMAT)]))

    def decide(self, state: State[C], prepared: Prepared, moment: Moment) -> dict[str, Any]:
        """Which versions decide from when, what is allowed, and what was lost."""
        decision: dict[str, Any] = {}
        if state.counts is None:
            decision["counts"] = asdict(self._counts)
        if moment.lost is not None:
            decision["lost"] = list(moment.lost)
        decision |= state.exceptions.decide(self._cases)
        return decision | self._deployment.decide(state.pinned, state.reach.reached)

    def advance(self, state: State[C], prepared: Prepared, decision: Mapping[str, Any]) -> tuple[State[C], Sent]:
        """Work out what was handed on."""
        counts = state.counts or Counts(**decision["counts"])
        pinned = pins.extended(state.pinned, decision, state.reach.reached)
        schedule = tuple((pin.since, self._deployment.load(pin)) for pin in pinned)
        reach, gaps = state.reach, 0
        rows: list[tuple[str, pl.DataFrame]] = []
        for one in prepared.received:
            reach, heard = reach.accept(one)
            gaps += heard is Heard.AFTER_A_GAP
            if heard is not Heard.BEFORE:
                rows += one.rows
        # A stage one that had late rows to hand on has told a few milliseconds more than it has come to.
        mark = watermark.in_steps(reach.reached)
        core, effects = self._core.advance(state.core, rows, mark, min(reach.heard, mark), schedule)
        exceptions = state.exceptions.extended(decision, state.reach.reached)
        found = exceptions.named([*self._lost(state, decision, schedule), *effects.findings])
        records = [
            *published.records(found, self._topics.findings, counts.findings),
            *letters.records(prepared.refused, self._topics.dead_letters),
        ]
        counted = {"gaps": float(gaps)} if gaps else {}
        counted |= {name: float(count) for name, count in effects.counts.items()}
        counted |= published.counts(found) | letters.counts(prepared.refused)
        after = replace(state, core=core, reach=reach, pinned=pinned, counts=counts, exceptions=exceptions)
        return after, Sent(records, counted)

    def _lost(self, state: State[C], decision: Mapping[str, Any], schedule: Schedule) -> list[dict[str, Any]]:
        if "lost" not in decision:
            return []
        first, behind = decision["lost"]
        at = max(0, state.reach.reached)
        return [lost.lost(self._place, first, behind, at, self._run, self._code, schedule[-1][1].hashes)]

    def dump(self, state: State[C]) -> bytes:
        """The state as bytes."""
        header = {
            "reach": state.reach.as_json(), "pins": pins.as_json(state.pinned),
            "counts": None if state.counts is None else asdict(state.counts), "exceptions": state.exceptions.as_json(),
        }  # fmt: skip
        return parcel.pack(_KIND, _VERSION, header, {}, {"core": self._core.dump(state.core)})

    def load(self, data: bytes) -> State[C]:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, of an unknown version, or of other numbers of partitions.
        """
        header, _, blobs = parcel.unpack(data, _KIND, _VERSION)
        counts = None if header["counts"] is None else Counts(**header["counts"])
        check_counts(counts, self._counts)
        reach, pinned = Reach.from_json(header["reach"]), pins.from_json(header["pins"])
        exceptions = InForce.from_json(header.get("exceptions"))
        return State(self._core.load(blobs["core"]), reach, pinned, counts, exceptions)

    def is_over(self, state: State[C]) -> bool:
        """Whether every stage one of a re-run has come to its end."""
        return state.reach.is_over

    def show(self, state: State[C]) -> Mapping[str, float]:
        """Watermark."""
        return {} if state.reach.reached < 0 else {"watermark": float(state.reach.reached)}
