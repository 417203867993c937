"""One input partition at work: turn by turn from what came to what is published, and back to where it was after a crash.

A turn takes what came, decides what is no function of it (which silent agents are waited for no longer, which versions
hold from when), writes that to the state log and sees it accepted, and only then works it out. What is worked out depends
on nothing but the state, the records and that decision, so whoever takes the partition over works out the same bytes
(docs/decisions/detector-log.md). What was published and not seen acknowledged is published again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Generic, Protocol

from detector.arrival import Arrived
from detector.fetcher import Taken
from detector.outbox import Effects, Outbox
from detector.place import Place
from detector.stage import Moment, P, S, Stage
from detector.statechain import Recovered, Step

# Records so old are of a backlog, which is gathered for so many times as long.
_BEHIND_MS: Final = 10_000
_BEHIND_GATHERS: Final = 5
log = logging.getLogger(__name__)


class Log(Protocol):
    """What a worker needs of `detector.statelog.StateLog`."""

    def take_over(self) -> Recovered: ...
    def append(self, step: Step) -> None: ...
    def snapshot(self, next: int, payload: bytes) -> None: ...
    def close(self) -> None: ...


class Tables(Protocol):
    """What a worker needs of `detector.archive`: the records as they came, and tables beside them."""

    @property
    def next(self) -> int: ...
    def append(self, records: Sequence[Arrived], now_ms: int) -> None: ...
    def tick(self, now_ms: int) -> None: ...
    def close(self, now_ms: int) -> None: ...


class Observer(Protocol):
    """Who counts. All times are seconds."""

    def step(self, name: str, seconds: float) -> None: ...
    def turn(self, records: int, read_bytes: int) -> None: ...
    def count(self, counts: Mapping[str, float]) -> None: ...
    def replayed(self) -> None: ...
    def saved(self, size_bytes: int) -> None: ...


class Worker(Generic[S, P]):
    """One partition of one stage. All methods belong to one thread.

    Attributes:
        place: The partition.
        stage: What is done with it.
        state: What the stage knows.
        next: First offset that no turn has taken.
        read_from: Offset from which records are needed after opening.
    """

    def __init__(
        self,
        place: Place,
        stage: Stage[S, P],
        state_log: Log,
        outbox: Outbox,
        observer: Observer,
        *,
        snapshot_s: float = 300.0,
        turn_s: float = 0.0,
        turn_bytes: int = 16 << 20,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.stage = stage
        self.state = stage.begin()
        self._nothing = stage.prepare([])  # asked for several times a second
        self.next = self.read_from = 0
        self._log = state_log
        self._outbox = outbox
        self._observer = observer
        self._snapshot_s = snapshot_s
        self._turn_s, self._turn_bytes = turn_s, turn_bytes
        self._turned_at = -turn_s
        self._gathered = 0  # bytes that wait
        self._monotonic = monotonic
        self._known: int | None = None  # offset up to which the log knows steps
        self._again: deque[Step] = deque()  # steps to be worked through again
        self._done = -1  # of the last owner
        self._waiting: list[Arrived] = []  # came, and belongs to no step yet
        self._behind = 0  # offset behind what waits
        self._pending: tuple[Step, P] | None = None  # written, and not seen accepted
        self._tables: Tables | None = None
        self._unkept: list[Arrived] = []  # not in the archive yet
        self._kept_upto = 0
        self._unsaid: deque[Effects] = deque()
        self._said = -1  # input offset up to which effects have arrived
        self._saved_at = monotonic()
        self._unsaved = 0
        self._saving: tuple[int, bytes] | None = None
        self._abandoned = False

    def open(self, first: Callable[[], int], tables: Callable[[int], Tables] | None = None) -> None:
        """Take the partition over.

        Args:
            first: Asks where to begin if nothing is known of it.
            tables: Opens its archive, which begins at an offset if there is none yet.

        Raises:
            detector.statelog.Unknown, detector.statelog.Broken: The log cannot be gone on with.
            detector.statelog.Unreachable: Kafka does not answer now.
            ValueError: The state cannot be used; the message says why and what to do.
            OSError: The archive cannot be opened.
        """
        found = self._log.take_over()
        if found.snapshot is not None:
            self.state = self.stage.load(found.snapshot)
        self._again = deque(found.steps)
        self._done = self._said = found.done
        self._known = found.next
        if found.next is None:
            self.next = first()
            self._said = self.next
        else:
            self.next = found.steps[0].start if found.steps else found.next
        self._behind = self.read_from = self.next
        self._unsaved = len(found.steps)
        if tables is not None:
            self._tables = tables(self.next)
            self._kept_upto = self._tables.next
            self.read_from = min(self.next, self._kept_upto)
        self._work_again()

    @property
    def recovering(self) -> bool:
        """Whether steps of the past are worked through again."""
        return bool(self._again)

    @property
    def wants(self) -> bool:
        """Whether more records may be given."""
        if self._save_is_due and not self._again:
            return False  # what is on its way is waited for, so that the state can be written down
        is_full = getattr(self.state, "is_full", False)  # of stage one, which may hold time
        return self._pending is None and not self._unkept and not self._outbox.is_full and not is_full

    @property
    def reached(self) -> int:
        """Offset up to which all is done: published, acknowledged and in the archive; −1 if that is not known."""
        self._settle()
        return self._said if self._tables is None else min(self._said, self._kept_upto)

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way."""
        self._settle()
        idle = self._pending is None and not (self._unsaid or self._unkept or self._again or self._waiting)
        return idle and self.next == self._behind and not getattr(self.state, "is_held", False)

    def take(self, taken: Taken, moment: Moment) -> None:
        """Take what came, in order and without a hole since the last time, and work on it.

        Raises:
            OSError: The archive cannot be written; what was given is kept, and tried again by `tick`.
            detector.statelog.Fenced: Somebody else has taken the partition over.
            detector.statelog.Unreachable: The log does not answer; the same is tried again by `tick`.
        """
        if self._tables is not None:
            self._unkept += [one for one in taken.records if one.offset >= self._kept_upto]
        new = [one for one in taken.records if one.offset >= self.next]
        self._waiting += new
        self._gathered += sum(len(one.value) for one in new)
        self._behind = max(self._behind, taken.next)
        self._work(moment)

    def lose(self, first: int, moment: Moment) -> None:
        """Go on at `first`, as Kafka has deleted what was before it; the stage says so in its decision.

        Raises:
            As `take`.
        """
        lost = self._behind, first
        if self._again:
            log.error("%s: Kafka deleted what is needed to work %d steps through again", self.place, len(self._again))
            self._again.clear()
            self.next = self.next if self._known is None else self._known
            self._saved_at = -self._snapshot_s  # these steps cannot be gone through again by anybody
        self._waiting = []
        self._behind = max(first, self.next)
        self._work(replace(moment, lost=lost))

    def tick(self, moment: Moment) -> None:
        """Go on without new records: decide what time alone decides, write the state down when it is due.

        Raises:
            As `take`.
        """
        self._work(moment)
        if self._tables is not None:
            self._tables.tick(moment.now_ms)
        if self._save_is_due:
            self.save()

    def _work(self, moment: Moment) -> None:
        if self._again:
            self._work_again()
        if not self._again and self._saving is None:
            self._turn(moment)
        self._keep(moment.now_ms)

    def _work_again(self) -> None:
        while self._again and self._again[0].next <= self._behind and not self._outbox.is_full:
            step = self._again.popleft()
            records = self._cut(step.next)
            with _Clock(self._observer, "recover"):
                prepared = self.stage.prepare(records)
            self._run(step, prepared, publish=step.next > self._done)
            self._observer.replayed()

    def _cut(self, until: int) -> list[Arrived]:
        """Take the records before an offset out of those that wait."""
        count = next((n for n, one in enumerate(self._waiting) if one.offset >= until), len(self._waiting))
        cut, self._waiting = self._waiting[:count], self._waiting[count:]
        return cut

    def _turn(self, moment: Moment) -> None:
        if self._pending is None and self._is_time(moment):
            self._pending = self._decided(moment)
        if self._pending is None:
            return
        step, prepared = self._pending
        with _Clock(self._observer, "log"):
            self._log.append(step)
        self._pending = None
        self._known = step.next
        self._unsaved += 1
        self._run(step, prepared, publish=True)

    def _is_time(self, moment: Moment) -> bool:
        """Whether it is time for a turn. Each costs something, however little came, so that a little is gathered first."""
        now_s = self._monotonic()
        hurried = moment.ending or moment.lost is not None or self._gathered >= self._turn_bytes
        gathers_s = self._turn_s * (_BEHIND_GATHERS if self._is_behind(moment) else 1)
        if not hurried and now_s - self._turned_at < gathers_s:
            return False
        self._turned_at, self._gathered = now_s, 0
        return True

    def _is_behind(self, moment: Moment) -> bool:
        """Whether there is a backlog: what came last is old and more is there. Then nobody waits for seconds, and larger turns cost less."""
        old = bool(self._waiting) and moment.now_ms - self._waiting[-1].timestamp_ms > _BEHIND_MS
        return old and not moment.at_end

    def _decided(self, moment: Moment) -> tuple[Step, P] | None:
        """The next step, unless there is nothing to do."""
        records = self._cut(self._behind)
        with _Clock(self._observer, "prepare"):
            prepared = self.stage.prepare(records) if records else self._nothing
        with _Clock(self._observer, "decide"):
            decision = self.stage.decide(self.state, prepared, moment)
        if self._behind == self.next and not decision:
            return None
        self._settle()
        self._observer.turn(len(records), sum(len(one.value) for one in records))
        # A step is not done before its own effects are, also one that takes no records.
        return Step(self.next, self._behind, decision, min(self._said, self._behind - 1)), prepared

    def _run(self, step: Step, prepared: P, *, publish: bool) -> None:
        with _Clock(self._observer, "advance"):
            self.state, sent = self.stage.advance(self.state, prepared, step.decision)
        self.next = step.next
        if publish:
            effects = Effects(step.next)
            self._unsaid.append(effects)
            with _Clock(self._observer, "publish"):
                self._outbox.send(effects, sent.records)
            self._observer.count(sent.counts)

    def _settle(self) -> None:
        while self._unsaid and not self._unsaid[0].waiting:
            self._said = max(self._said, self._unsaid.popleft().next)

    def _keep(self, now_ms: int) -> None:
        """Put into the archive what was worked out; if the disk is full it waits, and nothing more is taken."""
        if self._tables is None or not self._unkept:
            return
        count = next((n for n, one in enumerate(self._unkept) if one.offset >= self.next), len(self._unkept))
        if not count:
            return
        with _Clock(self._observer, "archive"):
            self._tables.append(self._unkept[:count], now_ms)
        self._kept_upto = self._unkept[count - 1].offset + 1
        self._unkept = self._unkept[count:]

    @property
    def _save_is_due(self) -> bool:
        return bool(self._unsaved) and self._monotonic() - self._saved_at >= self._snapshot_s

    def save(self) -> bool:
        """Write the state down whole, unless something is on its way; returns whether that was done.

        Raises:
            detector.statelog.Fenced, detector.statelog.Unreachable: As `take`.
        """
        self._settle()
        if self._pending is not None or self._again or self._unsaid:
            return False
        if self._saving is None:
            self._saving = self.next, self.stage.dump(self.state)
        with _Clock(self._observer, "snapshot"):
            self._log.snapshot(*self._saving)
        self._observer.saved(len(self._saving[1]))
        self._saving = None
        self._saved_at = self._monotonic()
        self._unsaved = 0
        return True

    def close(self, now_ms: int) -> None:
        """Let go of the partition; what was sent goes on being sent.

        Raises:
            OSError: The archive's last segment could not be closed; it is read from Kafka again.
        """
        if not self._abandoned:
            self._log.close()
        if self._tables is not None:
            self._tables.close(now_ms)

    def abandon_log(self) -> None:
        """The process ends: the log's connections end with it."""
        self._abandoned = True


class _Clock:
    """Tells an observer how long a step took."""

    def __init__(self, observer: Observer, name: str) -> None:
        self._observer, self._name = observer, name

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._observer.step(self._name, time.perf_counter() - self._since)
