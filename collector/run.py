"""The agent from its configuration: opens what is configured, turns until told to stop, reloads, drains.

Signals and the command line are the command's affair (`commands.collect`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry

from collector import config as options
from collector import memory
from collector.agent import Agent, Clocks, Input
from collector.checkpoint import StateFolder
from collector.config import Config
from collector.follow import Lines, Progress, Ready
from collector.gauges import Gauges
from collector.health import Health, Limits, Pulse
from collector.inputs import DROP, FILES, SYSLOG, VAULT, Files, State
from collector.metrics import Metrics
from collector.reading import Reader
from collector.seal import Sealer
from registers.config import ConfigError
from registers.tokens import SiteKey
from service.health import Server
from service.notify import Notify
from service.publish import Publisher

if TYPE_CHECKING:
    from collector.drop import Drop
    from collector.listen import Listeners
    from collector.vault import Vault

# What a reload cannot change: the seal, the state and the port belong to the process.
_FIXED: Final = (
    ("agent", "id"),
    ("agent", "state_dir"),
    ("agent", "seal_key"),
    ("metrics", "host"),
    ("metrics", "port"),
    ("kafka", "topic"),
    ("wire", "format"),
)
_PULSE_S: Final = 1.0
# The follower looks at the folders every half second, and a turn without work waits for half of that.
_QUIET_TURNS: Final = 5
_log = logging.getLogger(__name__)


class Running:
    """One agent from start to end.

    Args:
        path: Its configuration.
        config: What stands in it.
        version: Of the agent, for the metrics.
        notify: The service manager.
        clocks: What tells the time.

    Raises:
        collector.checkpoint.CheckpointError: The state folder cannot be used.
        collector.enrol.EnrolmentError: There is no key to seal with.
        collector.journal.JournalError: The seal's journal cannot be used.
        collector.listen.ListenError: A port cannot be listened at.
        OSError: The port for metrics cannot be listened at.
    """

    def __init__(self, path: Path, config: Config, version: str, notify: Notify, clocks: Clocks | None = None) -> None:
        self._path, self.config, self._version = path, config, version
        self._notify, self._clocks = notify, clocks or Clocks()
        self._stack = ExitStack()
        with ExitStack() as opening:
            self._folder = StateFolder(Path(config.agent.state_dir))
            opening.callback(self._folder.close)
            self.metrics = Metrics(CollectorRegistry(), config.source_ids)
            self._shown = Gauges(self.metrics)
            self.health = Health(_limits(config), self._clocks.monotonic)
            self.server = Server(config.metrics.host, config.metrics.port, self.metrics.registry, self.health)
            opening.callback(self.server.close)
            self._sealer = Sealer(
                Path(config.agent.state_dir), config.agent.id, Path(config.agent.seal_key),
                topic=config.kafka.topic, fmt=config.wire.format,
            )  # fmt: skip
            opening.callback(self._sealer.close)
            for note in self._sealer.notes:
                _log.warning("%s", note)
            self._started_s = self._clocks.monotonic()
            self._read_at_s: dict[str, float] = {}
            self._open()
            self._stack = opening.pop_all()
        self._pulsed_s = float("-inf")
        self._refused: str | None = None
        self._quiet_turns = 0

    def turn(self, wait: bool = True) -> int:
        """One turn of the main loop; returns how many lines were read."""
        done = self.agent.turn(wait)
        self._quiet_turns = self._quiet_turns + 1 if self.agent.exhausted else 0
        if self._quiet_turns == _QUIET_TURNS:
            memory.give_back()
        if self._clocks.monotonic() - self._pulsed_s >= _PULSE_S:
            self._pulse()
        return done

    @property
    def boot(self) -> str:
        """Name of this start."""
        return self._sealer.boot

    @property
    def finished(self) -> bool:
        """Whether everything that is there now was read, has arrived and is written down."""
        return self._quiet_turns >= _QUIET_TURNS and self.agent.idle

    def reload(self) -> bool:
        """Read the configuration anew and go on with it; with the old one if it is wrong. Returns whether it was right.

        Raises:
            OSError, ValueError: Nor could the old one be gone on with.
        """
        self._notify.reloading()
        try:
            self._change(self._reloaded())
        except ConfigError as error:
            self._refused = f"{self._path.name}: not reloaded, the former one stays in use: {error.problems[0]}"
            for problem in error.problems:
                _log.error("%s: %s", self._path.name, problem)
            self.metrics.reloaded.set(0)
            return False
        finally:
            self._notify.ready("following logs")
        self._refused = None
        self.health.limits = _limits(self.config)
        self.metrics.declare(self.config.source_ids)
        _log.warning("%s: reloaded", self._path.name)
        return True

    def _reloaded(self) -> Config:
        config = options.load(self._path)
        fixed = [
            f"{table}.{name}: changes at a restart only"
            for table, name in _FIXED
            if getattr(getattr(config, table), name) != getattr(getattr(self.config, table), name)
        ]
        if fixed:
            raise ConfigError(fixed)
        return config

    def _change(self, config: Config) -> None:
        if not self._close(self.config.agent.drain_s):
            # What was sealed and is dropped now is read again; without a new start its numbers would read as a gap.
            self._sealer.restart()
        before, self.config = self.config, config
        try:
            self._open()
        except (OSError, ValueError) as error:  # a port that is taken, a ledger that cannot be read
            self.config = before
            self._open()
            raise ConfigError(str(error).splitlines()) from error

    def stop(self) -> bool:
        """Drain and end; returns whether everything that was read has arrived."""
        self._notify.stopping()
        try:
            if not self._is_open:
                return False
            self._pulse(stopping=True)
            return self._close(self.config.agent.drain_s)
        finally:
            self._stack.close()

    def _open(self) -> None:
        config = self.config
        problems: list[str] = []
        kept = self._folder.load(problems)
        patterns = frozenset(pattern for files in config.files for pattern in files.paths)
        # Patterns that are known make rotated files count as written since; after a loss of memory all of them must.
        nothing = Progress(patterns=patterns if self._folder.forgotten else frozenset())
        progress = Progress.from_json(kept[FILES]) if FILES in kept else nothing
        for problem in problems:
            _log.warning("%s", problem)
        key = SiteKey.read(Path(config.agent.site_key))
        with ExitStack() as opening:
            inputs = self._open_inputs(kept, progress, key, opening)
            topics = [config.kafka.topic, config.kafka.dead_letter_topic]
            if config.vault is not None:
                topics.append(config.vault.topic)
            publisher = Publisher(config.kafka, topics, client_id=f"sekimori-{config.agent.id}")
            opening.callback(publisher.close)
            self.agent = Agent(
                config, Reader(key, config.agent.time_zone, keep_ids=self._vault is not None), self._sealer, publisher, inputs,
                State(self._folder, kept), self.metrics, self._clocks, self._vault, self._note,
            )  # fmt: skip
            self.agent.first_look(is_new=not patterns <= progress.patterns)
            self._parts = opening.pop_all()
        self._is_open = True
        self.metrics.identify(config.agent.id, self._version, config.digest)
        self.metrics.reloaded.set(1)

    def _open_inputs(
        self, kept: Mapping[str, Any], progress: Progress, key: SiteKey, opening: ExitStack
    ) -> dict[str, Input]:
        """Open what is configured. What is not is not even loaded: the agent is a guest, and syslog alone brings asyncio."""
        config = self.config
        self._files = Files(config, progress, self._clocks.monotonic)
        opening.callback(self._files.close)
        inputs: dict[str, Input] = {FILES: self._files}
        self._listeners: Listeners | None = None
        self._drop: Drop | None = None
        self._vault: Vault | None = None
        if config.vault is not None:
            from collector.vault import open_vault

            self._vault = open_vault(config, kept.get(VAULT, {}), self._clocks.utc)
        # Also without ports: what former ones left in their spools is told.
        if config.syslog or SYSLOG in kept:
            self._listeners = _listeners(config, key, kept.get(SYSLOG, {}), self._vault, self._clocks)
            inputs[SYSLOG] = self._listeners
            opening.callback(self._listeners.close)
        if config.drop is not None:
            from collector.drop import open_drop

            self._drop = open_drop(config, kept.get(DROP, {}), self._clocks.monotonic)
            if self._drop is not None:
                inputs[DROP] = self._drop
                opening.callback(self._drop.close)
        if self._vault is not None:
            inputs[VAULT] = self._vault
        return inputs

    def _note(self, name: str, lines: Lines | Ready) -> None:
        """Remember that a place of the configuration is not silent."""
        now_s = self._clocks.monotonic()
        if isinstance(lines, Lines) and name == FILES:
            places = [f"files.{lines.watched + 1}"]
        else:
            ports = enumerate(self.config.syslog, 1) if name == SYSLOG else ()
            places = [f"{name}.{number}" for number, port in ports if port.source == lines.source.id]
        self._read_at_s |= dict.fromkeys(places, now_s)

    def _close(self, timeout_s: float) -> bool:
        self._is_open = False
        if self._listeners is not None:
            self._listeners.stop()
        arrived = self.agent.drain(timeout_s)
        if not arrived:
            waiting = self.agent.publisher.in_flight_bytes
            _log.warning("stopped with %d bytes not acknowledged: they are sent at the next start", waiting)
        self._parts.close()
        return arrived

    def _pulse(self, stopping: bool = False) -> None:
        now_s = self._pulsed_s = self._clocks.monotonic()
        agent, publisher = self.agent, self.agent.publisher
        troubles = agent.troubles() + ((self._refused,) if self._refused else ())
        since_s = now_s - publisher.oldest_age_s if publisher.in_flight_bytes else None
        read_at_s = {place: self._read_at_s.get(place, self._started_s) for place in self.config.silent_after_s}
        self.health.pulse = Pulse(now_s, troubles, stopping, read_at_s, since_s)
        self._gauges()
        problems = self.health.problems()
        self.metrics.problems.set(len(problems))
        self._notify.alive(problems[0] if problems else "following logs")

    def _gauges(self) -> None:
        agent, publisher, metrics = self.agent, self.agent.publisher, self.metrics
        metrics.in_flight_bytes.set(publisher.in_flight_bytes)
        metrics.oldest.set(publisher.oldest_age_s)
        self._shown.rebuilt(publisher.rebuilds)
        self._shown.lag(lag for one in agent.inputs.values() for lag in one.lag())
        self._shown.ports(self._listeners.seen() if self._listeners is not None else ())
        for source, count in self._files.rotated().items():
            agent.counter.rotated(source, count)
        if self._vault is not None:
            metrics.vaulted.inc(self._vault.new_tokens())
        if self._drop is not None:
            for result, count in self._drop.results().items():
                metrics.bundles.labels(result).inc(count)


def _limits(config: Config) -> Limits:
    return Limits(config.silent_after_s, config.kafka.away_after_s)


def _listeners(
    config: Config, key: SiteKey, positions: Mapping[str, Any], vault: Vault | None, clocks: Clocks
) -> Listeners:
    from collector.listen import Listeners

    configured = []
    for one in config.syslog:
        source = config.source(one.source)
        if source is None:
            raise ConfigError([f"syslog.source: {one.source!r} cannot be recognised in a stream: name a source"])
        configured.append((one, source))
    folder = Path(config.agent.state_dir) / "spool"
    reader = Reader(key, config.agent.time_zone, keep_ids=vault is not None)
    listeners = Listeners(configured, folder, reader, positions, vault=vault, clock=clocks.utc)
    listeners.start()
    return listeners
