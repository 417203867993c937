"""The partitions that are ours: opens a worker for each, lets it go, and keeps one's trouble from the others."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detector.archive.segments import Superseded
from detector.config import Config
from detector.connection import client_id
from detector.fetcher import Fetcher, Taken
from detector.member import Member
from detector.metrics import Metrics
from detector.metrics import Stage as StageName
from detector.observe import Observed
from detector.outbox import Outbox
from detector.pins import Pins
from detector.place import Place
from detector.stage import Moment, Stage
from detector.statelog import LIVE as LIVE
from detector.statelog import Broken, Fenced, StateLog, Unreachable, key_of, partition_for
from detector.versions import MissingError
from detector.worker import Tables, Worker
from registers.config import ConfigError

_log = logging.getLogger(__name__)

# Longest that the log is waited for in one go, so that a stop is heard in between.
_LOG_S: Final = 2.0
# How long the others are left in peace after one waited in vain.
_AWAY_S: Final = 1.0
_AGAIN_S: Final = 5.0
# What Kafka takes to share out anew, once a member's session is over.
_EXPELLED_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many partitions the topics have that decide what goes where."""

    events: int
    correlate: int
    findings: int


@dataclass(frozen=True, slots=True)
class Input:
    """One kind of worker.

    Attributes:
        name: Of its stage.
        topic: What it reads.
        make: Its stage for a partition.
        tables: Opens the archive of a partition that has so many siblings, from an offset on; None: it has none.
        gathers: For what part of `limits.turn_s` records are gathered for a turn: the less, the less a turn costs.
        may_be_missing: Nobody waits for its topic, which may be made later.
    """

    name: StageName
    topic: str
    make: Callable[[Place, Counts], Stage[Any, Any]]
    tables: Callable[[Place, int, int], Tables] | None = None
    gathers: float = 1.0
    may_be_missing: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """What a re-run works through: records from one Kafka time to another, UTC ms; the second is not in it."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds that never go back, and UTC milliseconds."""

    monotonic: Callable[[], float]
    now_ms: Callable[[], int]


@dataclass(slots=True)
class _Held:
    """A partition of ours.

    Attributes:
        worker: None while it cannot be opened.
        retry_at: When to try again to open it.
        trouble: Why it does not go on, in one line.
        refused: It will not go on by itself.
        end: Offset at which a re-run ends.
    """

    worker: Worker[Any, Any] | None = None
    retry_at: float = 0.0
    trouble: str | None = None
    refused: bool = False
    end: int | None = None


class Partitions:
    """Workers by partition. All methods belong to one thread."""

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        member: Member,
        fetcher: Fetcher,
        outbox: Outbox,
        metrics: Metrics,
        clocks: Clocks,
        *,
        run: str = LIVE,
        span: Span | None = None,
        once: bool = False,
    ) -> None:
        self._config = config
        self._inputs = {one.topic: one for one in inputs}
        self._member, self._fetcher, self._outbox = member, fetcher, outbox
        self._metrics, self._clocks = metrics, clocks
        self._run, self._span, self._once = run, span, once
        self._held: dict[Place, _Held] = {}
        self._counts: Counts | None = None
        self._state_partitions = 0
        self._missing: str | None = None
        self._generation = -1
        self._shared_at = clocks.monotonic()
        self._begun_at = clocks.monotonic()
        self._away_until = self._begun_at

    @property
    def workers(self) -> dict[Place, Worker[Any, Any]]:
        """Those that are open."""
        return {place: held.worker for place, held in sorted(self._held.items()) if held.worker is not None}

    @property
    def pinned(self) -> list[Pins]:
        """Which versions decide in each partition of stages that decide anything."""
        return [worker.state.pinned for worker in self.workers.values() if hasattr(worker.state, "pinned")]

    @property
    def troubles(self) -> Iterator[str]:
        """What keeps partitions from going on, one line each."""
        if self._missing is not None:
            yield self._missing
        yield from (held.trouble for _, held in sorted(self._held.items()) if held.trouble)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why partitions are not worked on, one line each; nothing but a person changes that."""
        return tuple(held.trouble or "" for _, held in sorted(self._held.items()) if held.refused)

    def try_again(self) -> None:
        """Open again what was refused: something else was deployed."""
        for held in self._held.values():
            held.refused, held.retry_at = False, 0.0

    @property
    def waited_for(self) -> tuple[str, ...]:
        """What is not at work yet, one line each."""
        if self._generation < 1:
            return ("group: no partitions were given to this detector yet",)
        opening = [f"{place}: not taken over yet" for place, held in sorted(self._held.items()) if held.worker is None]
        again = [
            f"{place}: works through again what came after the last snapshot"
            for place, worker in self.workers.items()
            if worker.recovering
        ]
        return (*opening, *again)

    @property
    def finished(self) -> bool:
        """Whether all that is in Kafka, or in the span of a re-run, is worked through."""
        if not self._held or self._generation != self._member.generation or not self._is_shared_out:
            return False
        held = {place: one for place, one in self._held.items() if not one.refused}
        if any(one.worker is None or not one.worker.settled for one in held.values()):
            return False
        if self._span is not None and not all(
            one.worker is not None and one.worker.stage.is_over(one.worker.state) for one in held.values()
        ):
            return False  # others of the group are still at it
        ends = self._fetcher.ends(held)
        return ends is not None and all(
            one.worker is not None
            and one.worker.next >= (ends[place] if one.end is None else min(one.end, ends[place]))
            for place, one in held.items()
        )

    @property
    def _is_shared_out(self) -> bool:
        """Whether what is not ours is in living hands: for so long Kafka takes who was killed for a member."""
        known = self._member.partitions
        there = [topic for topic, one in self._inputs.items() if topic in known or not one.may_be_missing]
        ours_alone = all(topic in known for topic in there) and len(self._held) == sum(known[topic] for topic in there)
        stood_s = self._clocks.monotonic() - self._shared_at
        return ours_alone or stood_s > self._config.kafka.session_timeout_s + _EXPELLED_S

    def follow(self) -> None:
        """Let go of what is not ours any more, and open one partition that is: one a turn, so that a stop is heard."""
        generation, assigned = self._member.generation, self._member.assigned
        if generation != self._generation:
            self._generation, self._shared_at = generation, self._clocks.monotonic()
            for place in [place for place in self._held if place not in assigned]:
                self.let_go(place)
            for place in assigned:
                self._held.setdefault(place, _Held())
        now_s = self._clocks.monotonic()
        due = sorted(
            place
            for place, held in self._held.items()
            if held.worker is None and not held.refused and held.retry_at <= now_s and self._knows(place)
        )
        if self._know_topics() and due:
            self._open(due[0])

    def take(self, place: Place, taken: Taken) -> None:
        """Give a worker what came."""
        held = self._held[place]
        worker = held.worker
        if worker is None:
            return
        if held.end is not None:
            records = [one for one in taken.records if one.offset < held.end]
            taken = Taken(records, max(worker.next, min(taken.next, held.end)))
        self.guarded(place, lambda: worker.take(taken, self._moment(held, worker)))

    def tick(self) -> None:
        """Let every worker go on without records, and past what Kafka deleted."""
        for place, worker in self.workers.items():
            held = self._held[place]
            first = self._fetcher.lost(place)
            if self.is_away:
                return  # each worker would wait for it as long as the one before
            if first is None:
                self.guarded(place, lambda held=held, one=worker: one.tick(self._moment(held, one)))  # type: ignore[misc]
                continue
            _log.error("%s: Kafka deleted offsets %d to %d before they were read", place, worker.next, first - 1)
            self._metrics.lost.inc(max(0, first - worker.next))
            self._fetcher.read(place, first)
            self.guarded(
                place, lambda held=held, one=worker, at=first: one.lose(at, self._moment(held, one))  # type: ignore[misc]
            )  # fmt: skip

    def guarded(self, place: Place, action: Callable[[], object]) -> None:
        """Do something with a worker; what may fail there is its trouble alone."""
        held = self._held[place]
        try:
            action()
            held.trouble = None
        except (Fenced, Superseded) as error:
            _log.warning("%s: another detector has taken over: %s", place, error)
            self._metrics.fenced.inc()
            self._drop(place, held)
            self._put_off(held, f"{place}: another detector has taken over: waiting for the group")
        except Broken as error:
            # Who slept while others took over finds records deleted that he had not read; opening shows what is the matter.
            self._drop(place, held)
            self._put_off(held, f"{place}: {error}")
        except (MissingError, ConfigError) as error:
            self._drop(place, held)
            self._refuse(held, f"{place}: {'; '.join(str(error).splitlines())}")
        except Unreachable as error:
            held.trouble = f"{place}: {error}"
            self._away_until = self._clocks.monotonic() + _AWAY_S
        except OSError as error:
            held.trouble = f"{place}: {_unkept(error)}"

    @property
    def is_away(self) -> bool:
        """Whether Kafka did not answer just now."""
        return self._clocks.monotonic() < self._away_until

    def let_go(self, place: Place) -> None:
        """Close a partition's worker; what it sent goes on being sent."""
        held = self._held.pop(place)
        if held.worker is not None:
            self._drop(place, held)

    def close(self, away: bool) -> None:
        """Let go of everything; where Kafka is away nobody takes leave of it, as that would take seconds each."""
        for place in list(self._held):
            held = self._held[place]
            if away and held.worker is not None:
                held.worker.abandon_log()
            self.let_go(place)

    def _know_topics(self) -> bool:
        """How many partitions there are; asked until all of them are known."""
        if self._counts is not None:
            return True
        topics, known = self._config.topics, self._member.partitions
        missing = sorted({topics.events, topics.correlate, topics.findings, topics.state} - known.keys())
        if missing:
            if self._clocks.monotonic() - self._begun_at > _AGAIN_S and self._member.trouble is None:
                names = ", ".join(missing)
                self._missing = (
                    f"kafka: has no topic {names}, or does not let us read it: create it, or correct [topics]"
                )
            return False
        self._missing = None
        self._counts = Counts(known[topics.events], known[topics.correlate], known[topics.findings])
        self._state_partitions = known[topics.state]
        return True

    def _knows(self, place: Place) -> bool:
        """Whether the number of partitions is known that an archive of this one is to name."""
        return place.topic in self._member.partitions

    def _open(self, place: Place) -> None:
        held, config, one = self._held[place], self._config, self._inputs[place.topic]
        assert self._counts is not None
        state_log = StateLog(
            config.kafka, config.topics.state, partition_for(place.partition, self._state_partitions),
            key_of(self._run, place.topic, place.partition), client_id=client_id(config.detector.id, "log"),
            timeout_s=_LOG_S,
        )  # fmt: skip
        try:
            stage = one.make(place, self._counts)
            worker = Worker(
                place, stage, state_log, self._outbox, Observed(self._metrics, one.name),
                snapshot_s=config.limits.snapshot_s, turn_s=config.limits.turn_s * one.gathers,
                turn_bytes=config.limits.turn_mib << 20, monotonic=self._clocks.monotonic,
            )  # fmt: skip
            worker.open(lambda: self._first(place), self._tables(one, place))
            held.end = self._end(place)
            self._check_end(worker)
        except (Fenced, Superseded, Unreachable) as error:
            self._put_off(held, f"{place}: {error}")
        except OSError as error:
            self._put_off(held, f"{place}: {_unkept(error)}")
        except (Broken, ValueError) as error:
            self._refuse(held, f"{place}: {error}")
        else:
            held.worker, held.trouble = worker, None
            self._fetcher.read(place, worker.read_from)
            _log.info("%s: taken over at offset %d", place, worker.next)
            if held.end is not None:
                _log.info("%s: the re-run takes %d more records of it", place, max(0, held.end - worker.next))
            return
        state_log.close()

    def _tables(self, one: Input, place: Place) -> Callable[[int], Tables] | None:
        if one.tables is None:
            return None
        make, partitions = one.tables, self._member.partitions[place.topic]
        return lambda start: make(place, partitions, start)

    def _first(self, place: Place) -> int:
        """Where to begin on a partition of which nothing is known."""
        if self._span is not None and place.topic == self._config.topics.events:
            return _answered(self._fetcher.at_time([place], self._span.start_ms), place)
        return _answered(self._fetcher.beginnings([place]), place)

    def _end(self, place: Place) -> int | None:
        """Where a re-run ends."""
        if self._span is None or place.topic != self._config.topics.events:
            return None
        return _answered(self._fetcher.at_time([place], self._span.end_ms), place)

    def _check_end(self, worker: Worker[Any, Any]) -> None:
        """A topic that was made anew holds other records under the offsets that the state knows."""
        end = _answered(self._fetcher.ends([worker.place]), worker.place)
        if end < worker.next:
            raise ValueError(
                f"ends at offset {end}, the state was made up to {worker.next}: was the topic made anew? Restore it, or "
                "give the detector another state topic, which begins from nothing"
            )

    def _moment(self, held: _Held, worker: Worker[Any, Any]) -> Moment:
        over = held.end is not None and worker.next >= held.end
        now_ms, at_end = self._clocks.now_ms(), over or self._fetcher.at_end(worker.place)
        listened_s = math.inf if over or self._once else self._fetcher.listened_s(worker.place)
        return Moment(now_ms, at_end, None, over, listened_s)

    def _put_off(self, held: _Held, why: str) -> None:
        held.trouble = why
        held.retry_at = self._clocks.monotonic() + _AGAIN_S

    def _refuse(self, held: _Held, why: str) -> None:
        held.trouble, held.refused = why, True
        _log.error("%s", why)

    def _drop(self, place: Place, held: _Held) -> None:
        self._fetcher.leave(place)
        worker, held.worker = held.worker, None
        if worker is not None:
            try:
                worker.close(self._clocks.now_ms())
            except (OSError, Superseded) as error:
                _log.warning("%s: its last segment is not in the archive, and comes from Kafka again: %s", place, error)


def _unkept(error: OSError) -> str:
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return (
        f"the archive cannot be written: {what}: nothing more is read until it can; free space there, or mend the place"
    )


def _answered(found: Mapping[Place, int] | None, place: Place) -> int:
    if found is None:
        raise Unreachable("Kafka does not say which offsets there are: see whether it is well")
    return found[place]
