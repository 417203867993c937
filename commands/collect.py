"""`sekimori collect`: the agent as a process: options, signals, exit status."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from pathlib import Path

from collector import config as settings
from collector import memory
from collector.run import Running
from commands.failure import Failure
from commands.process import Asked, configured
from commands.say import say
from service import logs
from service.notify import Notify

_log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 ended in order, 1 with something left to send, 2 could not run."""
    config = configured(options.config, settings.load)
    if options.check:
        say(f"{options.config}: ok")
        return 0
    logs.set_up(config.log, sys.stderr, os.environ)
    memory.keep()
    notify = Notify()
    asked = Asked()
    try:
        running = Running(options.config, config, options.version, notify)
    except (OSError, ValueError) as error:
        # Several problems come as several lines.
        raise Failure(f"{options.config}: cannot start\n{error}") from error
    _log.info("agent %s: boot %s, metrics at port %d", config.agent.id, running.boot, running.server.port)
    gc.freeze()  # what is there now stays: to look through all of it for garbage would be a tenth of a second each time
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
