"""`sekimori detect`: the detector as a process: options, signals, exit status."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from commands import declared, rules, show
from commands.failure import Failure
from commands.process import Asked, configured, wrong
from detector import config as settings
from detector import versions
from detector.cases import Cases
from detector.channels.run import Post, Runner
from detector.channels.settings import channels
from detector.config import Config
from detector.deployed import Deployed
from detector.inputs import Cores, inputs
from detector.partitions import LIVE, Span
from detector.pins import Deployment
from detector.run import Running
from detector.schedule import CODE
from detector.stream import one, two
from detector.stream.plan import Plans
from detector.versions import Kind, Library, MissingError, Store
from registers.config import ConfigError
from registers.tokens import SiteKey
from service import logs
from service.notify import Notify

_log = logging.getLogger(__name__)
# Of the ten seconds that a stop may take.
_CHANNELS_S: Final = 2.0
_BEHIND: Final = (
    "versions: other detectors have deployed newer ones, which decide here too: put the same files in place and reload"
)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 ended in order, 1 with something left undone, 2 could not run."""
    config = configured(options.config, settings.load)
    if options.check:
        return _check(options.config, config)
    logs.set_up(config.log, sys.stderr, os.environ)
    asked = Asked()
    try:
        detector = _Detector(options, config)
    except ConfigError as error:
        raise wrong(options.config, error.problems) from error
    except (OSError, ValueError) as error:
        raise Failure(f"{options.config}: cannot start\n{error}") from error
    try:
        while not asked.to_stop:
            if asked.to_reload:
                asked.to_reload = False
                detector.reload()
            detector.turn()
            if (options.once or options.replay) and detector.running.finished:
                break
    finally:
        refused = detector.running.partitions.refused
        arrived = detector.stop()
    for line in refused:
        show.say(line, sys.stderr)
    return 0 if arrived and not refused else 1


class _Detector:
    """What is deployed, and the detector that works with it."""

    def __init__(self, options: argparse.Namespace, config: Config) -> None:
        self._path, self._config = options.config, config
        self._notify = Notify()
        self._library = _library(config, config.detector.state_dir / "versions")
        self._deployed = Deployed(config.detector.state_dir / f"deployed-{config.detector.id}.json")
        current = self._library.deploy(_sources(config))
        since = self._deployed.since(current.hashes, _now_ms())
        self._deployment = Deployment(self._library, current, since, lambda: _sources(self._config))
        self._refused: str | None = None
        span = _span(options.replay, current.site.config.time_zone)
        name = LIVE if span is None else _named([*options.replay, self._versions()[:8]])
        self._cases = Cases(config.kafka, config.topics.decisions, f"sekimori-{config.detector.id}-cases")
        self.running = Running(
            config, inputs(config, self._deployment, name, self._cases, _cores(name)), run=name, span=span, once=options.once,
            version=options.version, notify=self._notify, troubles=self._troubles,
        )  # fmt: skip
        self._channels = _channels(config, name)
        self.running.metrics.show_channels(self._channels.states)
        self._channels.start()
        self._is_live = name == LIVE
        if self._is_live:
            self._cases.start()
            self._remember()
        self._show()
        _log.info("detector %s: run %s, metrics at port %d", config.detector.id, name, self.running.server.port)
        self._notify.ready("detecting")

    def turn(self) -> None:
        """Go on with everything once."""
        self.running.turn()
        if self._deployment.current is not self._shown:
            _log.warning("%s: deployed what other detectors have and lies in place here too", self._path.name)
            self._now_deployed()

    def stop(self) -> bool:
        """End channels and detector; returns whether all that was published has arrived."""
        self._cases.stop()
        self._channels.stop(_CHANNELS_S)
        return self.running.stop()

    def reload(self) -> None:
        """Read the configuration and what it names anew; if something is wrong with it, all stays as it is."""
        self._notify.reloading()
        try:
            config = settings.load(self._path)
            if _fixed(config) != _fixed(self._config):
                raise ConfigError(
                    ["only site, rules, model and baseline change without a restart: restart the detector"]
                )
            self._deployment.deploy(self._library.deploy(_sources(config)), _now_ms())
        except (ConfigError, MissingError) as error:
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            self._refused = f"{self._path.name}: not reloaded, the former one stays in use: {problems[0]}"
            for problem in problems:
                _log.error("%s: %s", self._path.name, problem)
            self.running.metrics.reloaded.set(0)
        else:
            self._refused = None
            self._config = config
            self.running.metrics.reloaded.set(1)
            self._now_deployed()
            _log.warning("%s: reloaded", self._path.name)
        finally:
            self._notify.ready("detecting")

    def _now_deployed(self) -> None:
        self._show()
        self.running.partitions.try_again()
        if self._is_live:
            self._remember()

    def _remember(self) -> None:
        try:
            self._deployed.keep(self._deployment.current.hashes, self._deployment.at_ms)
        except OSError as error:
            _log.error("%s: cannot be written (%s): free space there", self._deployed.path, error.strerror)

    def _versions(self) -> str:
        return versions.digest_of(self._deployment.current.hashes)

    def _troubles(self) -> tuple[str, ...]:
        own = (self._refused,) if self._refused else ()
        if any(self._deployment.is_behind(pinned) for pinned in self.running.partitions.pinned):
            own = (*own, _BEHIND)
        return (*own, *versions.refused(self._deployment.current), *self._channels.problems())

    def _show(self) -> None:
        current = self._shown = self._deployment.current
        enabled = len(current.book.rules)
        self.running.metrics.show_versions(current.hashes, enabled + len(current.book.refused), enabled)
        for line in versions.refused(current):
            _log.error("%s", line)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _cores(run: str) -> Cores:
    plans = Plans(run)
    return Cores(one.Core(plans), two.Core(plans), CODE)


def _check(path: Path, config: Config) -> int:
    """Load all that is configured, and say what of it cannot be used."""
    with tempfile.TemporaryDirectory(prefix="sekimori-check-") as folder:
        try:
            refused = versions.refused(_library(config, Path(folder)).deploy(_sources(config)))
        except ConfigError as error:
            raise wrong(path, error.problems) from error
    for line in refused:
        show.say(f"{path}: {line}", sys.stderr)
    show.say(f"{path}: {'usable, but for what is refused' if refused else 'ok'}")
    return 1 if refused else 0


def _library(config: Config, folder: Path) -> Library:
    key = SiteKey.read(config.detector.site_key) if config.detector.site_key else None
    return Library(Store(folder), key)


def _sources(config: Config) -> dict[Kind, Path]:
    own = config.detector
    sources: dict[Kind, Path] = {"rules": rules.folder(own.rules)}
    if own.site is not None:
        sources["site"] = own.site
    if own.model is not None:
        sources["model"] = own.model
        beside = declared.baseline(own.model)
        if own.baseline is not None or beside.exists():
            sources["baseline"] = own.baseline or beside
    return sources


def _channels(config: Config, run: str) -> Runner:
    """Who is told; by a re-run nobody."""
    told = channels(config.alertmanager, config.webhooks, config.notify) if run == LIVE else []
    post = Post(
        config.kafka, config.topics.notices, config.topics.dead_letters, f"sekimori-{config.detector.id}-notices",
        stuck_after_s=config.limits.stuck_after_s,
    )  # fmt: skip
    return Runner(told, post)


def _fixed(config: Config) -> Config:
    """What a reload cannot change."""
    free = dict.fromkeys(("site", "rules", "model", "baseline"))
    return config.model_copy(update={"detector": config.detector.model_copy(update=free)})


def _named(parts: list[str]) -> str:
    """A re-run's name, which is also part of its group's: Kafka takes no colon and no plus sign there."""
    return _NOT_IN_NAMES.sub(".", "-".join(parts))


def _span(given: list[str] | None, zone: str) -> Span | None:
    if given is None:
        return None
    moments = []
    for text in given:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Failure(f"--replay {text}: is no date: write 2026-04-01 or 2026-04-01T08:30+09:00") from None
        at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
        moments.append(int(at.astimezone(UTC).timestamp() * 1000))
    if moments[0] >= moments[1]:
        raise Failure(f"--replay {given[0]} {given[1]}: ends before it begins: give the earlier date first")
    return Span(*moments)
