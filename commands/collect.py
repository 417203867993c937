"""`sekimori collect`: the agent as a process: options, signals, exit status."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from collector import config as settings
from collector import memory
from collector.config import Config
from collector.run import Running
from commands.failure import Failure
from commands.say import say
from registers.config import ConfigError
from service import logs
from service.notify import Notify

_log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 ended in order, 1 with something left to send, 2 could not run."""
    config = _load(options.config)
    if options.check:
        say(f"{options.config}: ok")
        return 0
    logs.set_up(config.log, sys.stderr, os.environ)
    memory.keep()
    notify = Notify()
    asked = _Asked()
    try:
        running = Running(options.config, config, options.version, notify)
    except (OSError, ValueError) as error:
        # Several problems come as several lines.
        raise Failure(f"{options.config}: cannot start\n{error}") from error
    _log.info("agent %s: boot %s, metrics at port %d", config.agent.id, running.boot, running.server.port)
    notify.ready("following logs")
    try:
        while not asked.to_stop:
            if asked.to_reload:
                asked.to_reload = False
                _reload(running, options.config)
            running.turn()
            if options.once and running.finished:
                break
    finally:
        arrived = running.stop()
    return 0 if arrived else 1


def _reload(running: Running, path: Path) -> None:
    try:
        running.reload()
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: cannot go on after reloading\n{error}") from error
    logs.set_up(running.config.log, sys.stderr, os.environ)


def _load(path: Path) -> Config:
    try:
        return settings.load(path)
    except ConfigError as error:
        many = f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}"
        raise Failure("\n".join([f"{path}: {many}", *(f"  {line}" for line in error.problems)])) from error


class _Asked:
    """What signals ask for; the main loop looks after every turn."""

    def __init__(self) -> None:
        self.to_stop = self.to_reload = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.to_stop = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.to_reload = True
