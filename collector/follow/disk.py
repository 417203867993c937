"""Opening files: nothing but regular ones, and through no link that somebody planted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from typing import Final

from collector.read import shown

_HOPS: Final = 8
_FS_IOC_GETVERSION: Final = 0x80087601  # linux/fs.h: _IOR('v', 1, long)


@dataclass(frozen=True, slots=True)
class Seen:
    """A regular file in a folder.

    Attributes:
        path: Where it is, links resolved.
        family: The path that its writer writes to; empty if nothing but its inode speaks for it.
        dev, ino, size, mtime_ns: Of the file.
        matched: It matches a pattern; else it was found beside one that does.
        live: Its writer's path leads to it.
    """

    path: str
    family: str
    dev: int
    ino: int
    size: int
    mtime_ns: int
    matched: bool
    live: bool

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode."""
        return self.dev, self.ino

    def unchanged(self) -> bool:
        """Whether it is still there as it was seen."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return (found.st_ino, found.st_size, found.st_mtime_ns) == (self.ino, self.size, self.mtime_ns)


class Refused(OSError):
    """A file is not opened; the message says why and what to do."""


def see(path: str, family: str, matched: bool, real_folder: str, problems: list[str]) -> Seen | None:
    """What is at a path, if it is a regular file that may be read; else a line in `problems`.

    Args:
        path: Where to look.
        family: As in `Seen`.
        matched: As in `Seen`.
        real_folder: Its folder, links resolved.
        problems: Gets a line.
    """
    try:
        real, found = _resolved(path, real_folder)
    except FileNotFoundError:
        return None
    except Refused as refusal:
        problems.append(str(refusal))
        return None
    except OSError as error:
        problems.append(f"{shown(path)}: cannot be read ({error.strerror}): check its permissions")
        return None
    if stat.S_ISDIR(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode):
        problems.append(
            f"{shown(path)}: is a pipe, socket or device, not a file: not read; remove it, or mend the glob"
        )
        return None
    return Seen(real, family, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, matched, path == family)


def _resolved(path: str, real_folder: str) -> tuple[str, os.stat_result]:
    """Follow links at the end of a path. Whoever may write to a folder could plant one to a file that only we may read."""
    owners: list[int] = []
    here = path
    for _ in range(_HOPS):
        found = os.lstat(here)
        if not stat.S_ISLNK(found.st_mode):
            if not all(owner in (0, os.geteuid(), found.st_uid) for owner in owners):
                raise Refused(
                    f"{shown(path)}: is a link of user {owners[-1]} to a file of user {found.st_uid}, not followed: "
                    "let root or the file's owner make the link"
                )
            folder, name = os.path.split(here)
            return os.path.join(os.path.realpath(folder) if owners else real_folder, name), found
        owners.append(found.st_uid)
        here = os.path.join(os.path.dirname(here), os.readlink(here))
    raise Refused(f"{shown(path)}: is a link to a link and so on: not followed")


def open_seen(seen: Seen) -> int:
    """Open a file that was seen, for reading.

    Returns:
        The handle.

    Raises:
        FileNotFoundError: Another file, or none, is there by now.
        OSError: It cannot be opened.
    """
    # O_NONBLOCK: should a pipe have taken its place, opening must not wait for a writer.
    handle = os.open(seen.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    found = os.fstat(handle)
    if (found.st_dev, found.st_ino) == seen.inode and stat.S_ISREG(found.st_mode):
        return handle
    os.close(handle)
    raise FileNotFoundError(errno.ENOENT, "another file is there by now", seen.path)


def inode_version(handle: int) -> int:
    """Which use of its inode an open file is; 0 where the file system does not tell (ext4, xfs and btrfs do)."""
    try:
        found: int = struct.unpack("=Ixxxx", fcntl.ioctl(handle, _FS_IOC_GETVERSION, bytes(8)))[0]
    except OSError:
        return 0
    return found
