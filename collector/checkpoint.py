"""What the agent remembers from one start to the next: written whole or not at all, and never doubted in silence.

A checkpoint that says too little makes lines come twice, with the same ids; one that says too much would skip some. So
when the newest cannot be trusted the one before is taken, and when neither can, everything is read again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from service.durable import sync_folder, write_new

VERSION: Final = 1
NAME: Final = "checkpoint.json"
PREVIOUS: Final = "checkpoint.previous.json"
_LOCK: Final = "lock"


class CheckpointError(OSError):
    """What is wrong with the state folder, where, and what to do, in one line."""


class StateFolder:
    """The folder in which one agent keeps what it remembers. No two agents can have the same one open.

    Args:
        folder: Is made if it is not there; others than its owner may not look into it.

    Attributes:
        forgotten: There was something, and none of it can be trusted: what is read must be read from its start, rotated
            files included.

    Raises:
        CheckpointError: It cannot be written, or another agent has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CheckpointError(f"{folder}: {error.strerror}: give the agent a folder that it may write to") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise CheckpointError(
                f"{folder}: another agent is using this folder: stop it, or give this one a state_dir of its own"
            ) from None
        self.forgotten = False
        self._last: bytes | None = None
        self._trusted = False  # what cannot be trusted must not replace the one before

    def close(self) -> None:
        """Let another agent have the folder."""
        os.close(self._lock)

    def load(self, problems: list[str]) -> dict[str, Any]:
        """What was saved last.

        Args:
            problems: Gets a line if something cannot be trusted.

        Returns:
            Positions by the name of what is read; none if nothing was ever saved here, or all is `forgotten`.

        Raises:
            CheckpointError: It cannot be read, or is of a newer version.
        """
        found: list[str] = []
        for name in (NAME, PREVIOUS):
            path = self.folder / name
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CheckpointError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
            try:
                positions = _decode(data)
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {error}") from None
            except ValueError as error:
                found.append(f"{path}: {error}")
                continue
            if found:
                problems.append(
                    f"{found[0]}; going on from the checkpoint before it: some lines come twice, with the same ids"
                )
            self._trusted = name == NAME
            return positions
        if found:
            self.forgotten = True
            problems.append(f"{'; '.join(found)}; everything is read again: lines come twice, with the same ids")
        return {}

    def save(self, positions: Mapping[str, Any]) -> None:
        """Remember; on return it is on the disk. The one before is kept beside it.

        Args:
            positions: By the name of what is read; values that JSON knows.

        Raises:
            CheckpointError: It could not be written; what was saved before is still there.
        """
        data = _encode(positions)
        if data == self._last:
            return
        path, previous, new = (self.folder / name for name in (NAME, PREVIOUS, f"{NAME}.new"))
        try:
            write_new(new, data)
            if self._trusted and path.exists():
                os.replace(path, previous)
            os.replace(new, path)
            sync_folder(self.folder)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be written ({error.strerror}): make room; what is sent meanwhile comes twice after a restart"
            ) from None
        self._last, self._trusted = data, True


def _encode(positions: Mapping[str, Any]) -> bytes:
    body = json.dumps(positions, sort_keys=True, separators=(",", ":"))
    check = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"version":{VERSION},"sha256":"{check}","positions":{body}}}\n'.encode()


def _decode(data: bytes) -> dict[str, Any]:
    """What was encoded; a ValueError says why it cannot be trusted.

    Raises:
        CheckpointError: It is of a newer version.
    """
    if not data.strip():
        raise ValueError("is empty")
    try:
        held = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is damaged") from None
    if not isinstance(held, dict) or not isinstance(held.get("version"), int):
        raise ValueError("is no checkpoint")
    if held["version"] != VERSION:
        raise CheckpointError(
            f"is of version {held['version']}, this agent knows {VERSION}: install the newer agent again"
        )
    positions = held.get("positions")
    if not isinstance(positions, dict) or _encode(positions) != data:
        raise ValueError("is damaged")
    return positions
