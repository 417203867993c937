"""Writing so that it is on the disk when the call returns: seal, journal, checkpoint, spool and vault all need it."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(handle: int, data: bytes, at: int) -> None:
    """Write all of it at a place; a disk that fills up raises instead of keeping a part unsaid.

    Args:
        handle: Open for writing, not for appending.
        data: The bytes.
        at: Offset of the first.

    Raises:
        OSError: It could not all be written; some of it may be there.
    """
    done = 0
    while done < len(data):
        done += os.pwrite(handle, data[done:], at + done)


def write_new(path: Path, data: bytes) -> None:
    """Write a file of ours anew, readable by its owner only; on the disk when this returns. Follows no link.

    Raises:
        OSError: It could not be written; an unfinished file may be there.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(handle, data, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make names that were changed in a folder durable.

    Raises:
        OSError: The disk failed.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
