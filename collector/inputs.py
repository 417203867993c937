"""What the main loop reads from, each under the name that it has in the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collector.checkpoint import StateFolder
from collector.config import Config
from collector.follow import Follower, Gap, Lag, Lines, Progress, Watched

FILES = "files"
SYSLOG = "syslog"
DROP = "drop"
VAULT = "vault"


class Files:
    """Log files that are followed.

    Args:
        config: Whose `[[files]]`.
        progress: From the checkpoint.
        clock: Monotonic seconds.
    """

    def __init__(self, config: Config, progress: Progress, clock: Callable[[], float]) -> None:
        watched = [Watched(tuple(files.paths), config.source(files.source)) for files in config.files]
        self._follower = Follower(watched, progress, config.sources)
        self._clock = clock
        self._rotations: dict[str, int] = {}

    def poll(self, budget_bytes: int) -> list[Lines | Gap]:
        """What was written and not read yet."""
        return self._follower.poll(self._clock(), budget_bytes)

    def positions(self) -> Progress:
        """Up to where was read."""
        return self._follower.progress()

    def forget(self, positions: Any) -> None:
        """Files are not ours to delete."""

    def lag(self) -> Sequence[Lag]:
        """One row per file that is not finished."""
        return list(self._follower.lag(self._clock()).values())

    def held(self) -> bool:
        """Whether there is more that waits for its turn."""
        return self._follower.held

    def troubles(self) -> Sequence[str]:
        """What the operator should mend."""
        return self._follower.problems

    def rotated(self) -> dict[str, int]:
        """Rotations by source since the last call."""
        now = self._follower.rotations
        new = {source: count - self._rotations.get(source, 0) for source, count in now.items()}
        self._rotations = now
        return {source: count for source, count in new.items() if count}

    def close(self) -> None:
        """Close the files."""
        self._follower.close()


class State:
    """The state folder as the main loop writes it.

    Args:
        folder: Open.
        kept: What it holds; positions of inputs that are not configured now stay.
    """

    def __init__(self, folder: StateFolder, kept: Mapping[str, Any]) -> None:
        self._folder = folder
        self._kept = dict(kept)

    def save(self, positions: Mapping[str, Any]) -> None:
        """Remember the positions of all inputs, by name.

        Raises:
            OSError: It cannot be done now; what was saved before is still there.
        """
        self._kept |= {name: one.to_json() if isinstance(one, Progress) else one for name, one in positions.items()}
        self._folder.save(self._kept)
