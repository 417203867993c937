"""The detector at work: takes the partitions that the group gives it, turns their workers, and says how it is.

One thread does the work, turn by turn. Kafka is the only coordinator: the group says who should work on a partition, the
state log who does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from detector.config import Config
from detector.connection import client_id
from detector.fetcher import Fetcher
from detector.health import Pulse, problems, unready
from detector.member import Member
from detector.metrics import Metrics
from detector.outbox import Outbox
from detector.partitions import LIVE, Clocks, Input, Partitions, Span
from detector.place import Place
from service import unpacking
from service.health import Health, Server
from service.notify import Notify
from service.publish import Publisher

_log = logging.getLogger(__name__)

_COMMIT_S: Final = 5.0
_PULSE_S: Final = 1.0
_IDLE_S: Final = 0.2
_BUSY_S: Final = 0.01


class Running:
    """A detector, from its start to its end. All methods belong to one thread.

    Attributes:
        metrics, health, server: What it says of itself.
        partitions: What it works on.
    """

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        *,
        run: str = LIVE,
        span: Span | None = None,
        once: bool = False,
        version: str = "",
        notify: Notify | None = None,
        troubles: Callable[[], Sequence[str]] = tuple,
        monotonic: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Begin.

        Args:
            config: What is configured.
            inputs: Kinds of workers.
            run: `live`, or the name of a re-run, which has a group and a state of its own.
            span: What a re-run works through.
            once: It ends when all that is there is worked through: nobody can be waited for.
            version: Of the program.
            notify: systemd.
            troubles: What else is not well, one line each.
            monotonic, now_ms: The clocks.

        Raises:
            OSError: The port of the metrics cannot be listened at.
        """
        self.config = config
        self._troubles = troubles
        self._inputs = tuple(inputs)
        self._notify = notify or Notify({})
        self._monotonic = monotonic
        self.metrics = Metrics(CollectorRegistry())
        self.metrics.identify(config.detector.id, version, config.digest)
        self.metrics.reloaded.set(1)
        away_s = config.kafka.away_after_s
        self.health: Health[Pulse] = Health(lambda pulse, now_s: problems(pulse, away_s, now_s), monotonic)
        where = config.metrics
        self.server = Server(
            where.host, where.port, self.metrics.registry, self.health, lambda: unready(self.health.pulse)
        )
        unpacking.bound(config.kafka.decoded_mib << 20)
        self._connect(Clocks(monotonic, now_ms), run, span, once)
        self._rebuilds = (0, 0)
        self._committed: dict[Place, int] = {}
        self._committed_at = self._pulsed_at = monotonic()

    def _connect(self, clocks: Clocks, run: str, span: Span | None, once: bool) -> None:
        config, topics, name = self.config, self.config.topics, self.config.detector.id
        group = config.kafka.group if run == LIVE else f"{config.kafka.group}-{run}"
        kafka = config.kafka.model_copy(update={"group": group})
        read = [one.topic for one in self._inputs]
        asked = {topics.events, topics.correlate, topics.findings, topics.state, *read}
        missing = {one.topic for one in self._inputs if one.may_be_missing}
        self._member = Member(kafka, read, asked, client_id(name, "group"), clocks.monotonic, missing)
        self._fetcher = Fetcher(
            kafka, client_id(name, "fetch"), turn_records=config.limits.turn_records,
            stuck_after_s=config.limits.stuck_after_s, patience_s=config.detector.heartbeat_s, clock=clocks.monotonic,
            now_ms=clocks.now_ms,
        )  # fmt: skip
        written = (topics.correlate, topics.findings, topics.notices, topics.dead_letters)
        self._outbox = Outbox(Publisher(kafka, written, client_id=client_id(name, "send")), clocks.now_ms)
        self.partitions = Partitions(
            config, self._inputs, self._member, self._fetcher, self._outbox, self.metrics, clocks, run=run, span=span,
            once=once,
        )  # fmt: skip

    def turn(self) -> None:
        """Go on with everything once; waits a little if there is nothing to do."""
        self._member.turned()
        self.partitions.follow()
        for place, worker in self.partitions.workers.items():
            self._fetcher.pause(place, not worker.wants)
        for place, taken in self._fetcher.take(_IDLE_S if self._outbox.is_empty else _BUSY_S).items():
            self.partitions.take(place, taken)
        self.partitions.tick()
        self._outbox.poll()
        now_s = self._monotonic()
        if now_s - self._committed_at >= _COMMIT_S:
            self._commit()
        if now_s - self._pulsed_at >= _PULSE_S or self.health.pulse is None:
            self._pulse()

    @property
    def finished(self) -> bool:
        """Whether all that was there is worked through and published."""
        return self._outbox.is_empty and self.partitions.finished

    def stop(self) -> bool:
        """Drain and end; returns whether all that was published has arrived."""
        self._notify.stopping()
        told = (self._fetcher.trouble, self._outbox.publisher.trouble)
        away = self.partitions.is_away or any(line is not None for line in told)
        # Where Kafka does not answer there is nothing to wait for: it is sent at the next start.
        deadline = self._monotonic() + min(self.config.detector.drain_s, 1.0 if away else 600.0)
        self._pulse(stopping=True)
        while not self._outbox.is_empty and self._monotonic() < deadline:
            self._outbox.poll(0.1)
        arrived = self._outbox.is_empty
        if not arrived:
            waiting = self._outbox.publisher.in_flight_bytes
            _log.warning("stopped with %d bytes not acknowledged: they are sent at the next start", waiting)
        self._commit()
        for place, worker in self.partitions.workers.items():
            if arrived and not away and self._monotonic() < deadline:
                # So that the next start has nothing to work through again.
                self.partitions.guarded(place, worker.save)
        wait_s = 1.0 if away else 3.0
        self.partitions.close(away)
        self._member.close(wait_s)
        self._fetcher.close(wait_s)
        self._outbox.close(0.0)
        self.server.close()
        return arrived

    def _commit(self) -> None:
        """Tell Kafka's tools how far we are; nothing is read from that again."""
        self._committed_at = self._monotonic()
        reached = {place: worker.reached for place, worker in self.partitions.workers.items()}
        new = {place: at for place, at in reached.items() if at >= 0 and self._committed.get(place) != at}
        self._member.commit(new)
        self._committed |= new

    def _pulse(self, stopping: bool = False) -> None:
        now_s = self._pulsed_at = self._monotonic()
        publisher = self._outbox.publisher
        told = (self._member.trouble, self._fetcher.trouble, publisher.trouble)
        lines = (*told, *self.partitions.troubles, *self._troubles())
        troubles = tuple(dict.fromkeys(line for line in lines if line))
        self.health.pulse = Pulse(now_s, troubles, stopping, publisher.oldest_age_s, self.partitions.waited_for)
        self._gauges()
        found = self.health.problems()
        self.metrics.problems.set(len(found))
        self._notify.alive(found[0] if found else "detecting")

    def _gauges(self) -> None:
        metrics, publisher = self.metrics, self._outbox.publisher
        metrics.in_flight_bytes.set(publisher.in_flight_bytes)
        metrics.oldest.set(publisher.oldest_age_s)
        consumers = self._member.rebuilds + self._fetcher.rebuilds
        metrics.consumers.inc(consumers - self._rebuilds[0])
        metrics.producers.inc(publisher.rebuilds - self._rebuilds[1])
        self._rebuilds = consumers, publisher.rebuilds
        sums = {"open_sessions": 0.0, "silent": 0.0}
        for one in self._inputs:
            workers = [worker for place, worker in self.partitions.workers.items() if place.topic == one.topic]
            metrics.partitions.labels(one.name).set(len(workers))
            metrics.lag.labels(one.name).set(sum(self._fetcher.lag(worker.place) for worker in workers))
            states = [worker.stage.show(worker.state) for worker in workers]
            marks = [state["watermark"] for state in states if "watermark" in state]
            # Of partitions that have moved on to another detector nothing is left to be shown.
            metrics.watermark.labels(one.name).set(min(marks) / 1000 if marks else 0)
            for name in sums:
                sums[name] += sum(state.get(name, 0.0) for state in states)
        metrics.open_sessions.set(sums["open_sessions"])
        metrics.silent.set(sums["silent"])
