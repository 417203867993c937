"""The seal's secret on the agent's disk: each start takes one, and what it took is gone before the first use.

The enrolment's key file is read once, at the first start, and erased. From then on the state folder holds the secret of
the *next* start only, so that who takes over the host cannot forge what earlier starts sealed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.sealkey import SealKey, SealKeyError
from service.durable import sync_folder, write_new
from service.private import PrivateFileError, read_private

SECRET: Final = "next-secret"


class EnrolmentError(ValueError):
    """The agent cannot seal; the message says which file, why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a start may use.

    Attributes:
        key: Its secret; on no disk of this host any more, unless `notes` say so.
        notes: What the operator should know, a line each.
    """

    key: SealKey
    notes: tuple[str, ...] = ()


def begin(folder: Path, agent: str, key_file: Path | None) -> Start:
    """Take the secret of this start, after its successor is safely on the disk.

    Args:
        folder: The seal's part of the state folder; made if missing.
        agent: `agent.id`; the key must be this agent's.
        key_file: What `sekimori keys seal` wrote; needed at the first start only, erased then.

    Raises:
        EnrolmentError: There is no key, it is another agent's or another enrolment's, others may read it, or the
            successor cannot be written.
    """
    place = folder / SECRET
    given = _read(key_file) if key_file is not None and key_file.exists() else None
    kept = _read(place) if place.exists() else None
    key = kept or given
    if key is None:
        raise EnrolmentError(
            f"{key_file or place}: no seal key: make one with sekimori keys seal and put it there, readable by the agent only"
        )
    if key.agent != agent:
        raise EnrolmentError(
            f"{place if kept else key_file}: is the key of {key.agent}, not of {agent}: check agent.id"
        )
    if kept and given and (given.enrolment != kept.enrolment or given.agent != kept.agent):
        raise EnrolmentError(
            f"{key_file}: is another enrolment than the one in {folder}: "
            "remove the file to go on as before, or that folder to start anew"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(place, key.successor().text().encode())
    except OSError as error:
        raise EnrolmentError(f"{place}: cannot be written ({error.strerror}): nothing was sealed") from None
    return Start(key, _erased(key_file) if given and key_file else ())


def _read(path: Path) -> SealKey:
    try:
        return SealKey.parse(read_private(path))
    except PrivateFileError as error:
        raise EnrolmentError(str(error)) from None
    except SealKeyError as error:
        raise EnrolmentError(f"{path}: {error}") from None


def _replace(place: Path, data: bytes) -> None:
    """Put the successor in place of the secret: whole or not at all, on the disk when this returns."""
    new = place.with_name(place.name + ".new")
    old = os.open(place, os.O_RDWR | os.O_CLOEXEC) if place.exists() else None
    try:
        write_new(new, data)
        os.replace(new, place)
        sync_folder(place.parent)
        if old is not None:
            _overwrite(old)
    finally:
        if old is not None:
            os.close(old)


def _erased(path: Path) -> tuple[str, ...]:
    """Erase the enrolment's copy; a folder that is mounted for reading only keeps it, which the operator must know."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _overwrite(handle)
        finally:
            os.close(handle)
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        return (
            f"{path}: cannot be erased ({error.strerror}): who reads it can forge what this agent sealed, "
            "past and future; delete it by hand",
        )
    return ()


def _overwrite(handle: int) -> None:
    # As far as a program can go: a journaling file system, a snapshot or a flash disk may keep the old blocks.
    os.pwrite(handle, b"\0" * os.fstat(handle).st_size, 0)
    os.fsync(handle)
