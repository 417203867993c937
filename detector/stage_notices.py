"""The stage behind the findings: what pages whom, once (`detector.notices`), from one partition of their topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import accumulate
from typing import Any, Final

import polars as pl

from contract.event import MAX_TIME
from contract.partition import partition_of
from contract.rejected import Reason
from contract.sealed import Record
from detector import letters, notices, parcel, pins
from detector.allowed import Allowed
from detector.arrival import Arrived
from detector.cases import Case, Cases
from detector.config import Topics
from detector.ledger import Ledger, Policy
from detector.pins import Deployment, Pins
from detector.stage import Moment, Sent
from registers.site import Site

_KIND: Final = "notices"
_VERSION: Final = 1
# How much later than Kafka's time an event may say it is before it is its clock that is wrong.
_CLOCKS_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class State:
    """What the stage remembers.

    Attributes:
        ledger: Of alerts and budget.
        pinned: Versions that decide.
        partitions: Of the topic of findings when the state was begun; None before the first decision.
        cases: By partition of the topic of decisions, the offset up to which cases and exceptions were taken.
    """

    ledger: Ledger
    pinned: Pins = ()
    partitions: int | None = None
    cases: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Findings, in the order of their records, the records that are none, and how late it can be at most."""

    findings: tuple[dict[str, Any], ...]
    refused: pl.DataFrame
    latest_ms: int


class Notices:
    """The stage.

    Args:
        topics: Where notices, updates and dead letters go.
        deployment: What is deployed.
        partitions: How many partitions the topic of findings has.
        run: Whose findings tell anybody.
        cases: Those that are closed, and exceptions.
    """

    def __init__(self, topics: Topics, deployment: Deployment, partitions: int, run: str, cases: Cases) -> None:
        self._cases = cases
        self._topics = topics
        self._deployment = deployment
        self._partitions = partitions
        self._run = run
        self._policies: dict[str, Policy] = {}

    def begin(self) -> State:
        """Nothing is known."""
        return State(Ledger())

    def prepare(self, records: Sequence[Arrived]) -> Prepared:
        """Read findings."""
        good, unread = letters.unread(records)
        findings, bad, details = [], [], []
        for one in good:
            try:
                findings.append(notices.decode(one.value))
            except ValueError as error:
                bad.append(one)
                details.append(str(error))
        refused = pl.concat([unread, letters.refused(bad, details, Reason.FORMAT)])
        latest_ms = max((one.timestamp_ms for one in records), default=0) + _CLOCKS_MS
        return Prepared(tuple(findings), refused, latest_ms)

    def decide(self, state: State, prepared: Prepared, moment: Moment) -> dict[str, Any]:
        """Which cases were closed, what is allowed, and which versions decide from when; what was lost is only counted, as
        findings stand in the archive too."""
        decision: dict[str, Any] = {}
        if state.partitions is None:
            decision["partitions"] = self._partitions
        if moment.lost is not None:
            decision["lost"] = list(moment.lost)
        found, upto = self._cases.since(state.cases)
        if found:
            decision["closed"] = [[one.name, one.time] for one in found if isinstance(one, Case)]
            decision["exceptions"] = [one.allowed.values() for one in found if not isinstance(one, Case)]
            decision["cases"] = [list(place) for place in sorted(upto.items())]
        return decision | self._deployment.decide(state.pinned, state.ledger.now)

    def advance(self, state: State, prepared: Prepared, decision: Mapping[str, Any]) -> tuple[State, Sent]:
        """Work findings out."""
        pinned = pins.extended(state.pinned, decision, state.ledger.now)
        partitions = state.partitions or int(decision["partitions"])
        policy = self._policy(self._deployment.load(pins.at(pinned, state.ledger.now)).site)
        closed = [notices.Closed(name, time) for name, time in decision.get("closed", ())]
        exceptions = [Allowed(*values) for values in decision.get("exceptions", ())]
        cases = dict(decision["cases"]) if "cases" in decision else state.cases
        ledger, effects = notices.advance(
            state.ledger, prepared.findings, closed, policy, prepared.latest_ms, exceptions
        )
        told, updates = effects.records()
        records = [
            *(Record(self._topics.findings, partition_of(key, partitions), value, [], 0, key.encode()) for key, value in updates),
            *(Record(self._topics.notices, 0, value, [], 0, key.encode()) for key, value in told),
            *letters.records(prepared.refused, self._topics.dead_letters),
        ]  # fmt: skip
        counts = {f"notices:{name}": float(count) for name, count in effects.counts.items()}
        counts |= letters.counts(prepared.refused)
        state = replace(state, ledger=ledger, pinned=pinned, partitions=partitions, cases=cases)
        return state, Sent(records, counts=counts)

    def _policy(self, site: Site) -> Policy:
        if site.version not in self._policies:
            zone, staff = site.config.time_zone, staff_steps(site)
            self._policies[site.version] = Policy(zone, staff, partitions=self._partitions, run=self._run)
        return self._policies[site.version]

    def dump(self, state: State) -> bytes:
        """The state as bytes."""
        header = {
            "pins": pins.as_json(state.pinned),
            "partitions": state.partitions,
            "cases": sorted(state.cases.items()),
        }
        return parcel.pack(_KIND, _VERSION, header, {}, {"ledger": state.ledger.dump()})

    def load(self, data: bytes) -> State:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, of an unknown version, or of another number of partitions.
        """
        header, _, blobs = parcel.unpack(data, _KIND, _VERSION)
        if header["partitions"] not in (None, self._partitions):
            raise ValueError(
                f"the topic of findings had {header['partitions']} partitions when this state was made and has "
                f"{self._partitions} now: give the topics back their numbers, or the detector another state topic"
            )
        cases = {int(partition): int(offset) for partition, offset in header["cases"]}
        return State(Ledger.load(blobs["ledger"]), pins.from_json(header["pins"]), header["partitions"], cases)

    def is_over(self, state: State) -> bool:
        """It has no part in re-runs."""
        return True

    def show(self, state: State) -> Mapping[str, float]:
        """How far the findings are worked through."""
        return {} if state.ledger.now <= 0 else {"watermark": float(state.ledger.now)}


def staff_steps(site: Site) -> tuple[tuple[date, int], ...]:
    """From which day on how many people of type staff are employed, ascending; empty without a register of them."""
    table = site.tables["staff"]
    if table.is_empty():
        return ()
    zone, end = site.config.time_zone, pl.col("end")
    # A row for each department that somebody was in: what an earlier row of the same person covers is not counted again.
    covered = end.cum_max().shift().over("actor_id")
    days = (
        table.filter(pl.col("type").fill_null("staff") == "staff")
        .select("actor_id", pl.col("start").fill_null(0), pl.col("end").fill_null(MAX_TIME))
        .sort("actor_id", "start", "end")
        .with_columns(pl.max_horizontal("start", covered + 1))
        .filter(pl.col("start") <= end)
        .select(begin=_day("start", zone), last=_day("end", zone))
    )
    moves: dict[date, int] = {}
    for begin, last in days.iter_rows():
        moves[begin] = moves.get(begin, 0) + 1
        moves[last + timedelta(days=1)] = moves.get(last + timedelta(days=1), 0) - 1
    ordered = sorted(moves)
    return tuple(zip(ordered, accumulate(moves[day] for day in ordered), strict=True))


def _day(column: str, zone: str) -> pl.Expr:
    return pl.from_epoch(column, time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
