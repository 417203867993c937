"""What the commands that run as services share: the configuration or why not, and what signals ask for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from commands.failure import Failure
from registers.config import ConfigError

_Config = TypeVar("_Config")


def configured(path: Path, load: Callable[[Path], _Config]) -> _Config:
    """The configuration, as `load` reads it.

    Raises:
        Failure: It is wrong: all problems, a line each, below the name of the file.
    """
    try:
        return load(path)
    except ConfigError as error:
        raise wrong(path, error.problems) from error


def wrong(path: Path, problems: Sequence[str]) -> Failure:
    """What to say of a configuration with problems."""
    many = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return Failure("\n".join([f"{path}: {many}", *(f"  {line}" for line in problems)]))


class Asked:
    """What signals ask for from now on; the main loop looks after every turn.

    Attributes:
        to_stop: SIGTERM or SIGINT came.
        to_reload: SIGHUP came; for the main loop to take back.
    """

    def __init__(self) -> None:
        self.to_stop = self.to_reload = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.to_stop = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.to_reload = True
