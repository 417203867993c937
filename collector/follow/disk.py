"""Which files there are, and opening them: nothing but regular files, and no link that somebody planted."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

from collector.read import shown

_HOPS: Final = 8
_FS_IOC_GETVERSION: Final = 0x80087601  # linux/fs.h: _IOR('v', 1, long)
_MAGIC: Final = re.compile(r"[*?[]")
_PACKED_ENDS: Final = re.compile(r"\.(gz|bz2|xz|zst)$")
# What rotation adds to a name: `.1`, `-20261123`, `.2026-11-23_0000`, `-1795392000`, several of them, `.old`.
_ADDED: Final = re.compile(r"([-_.]\d[\dT:_-]*|\.(old|prev|save|bak))+$")
# Before the ending (logrotate's `extension`) a short number must follow a dot, for web-1.log is no rotation of web.log.
_ADDED_INSIDE: Final = re.compile(r"(\.\d{1,3}|[-_.](\d{6,}|\d{4}-\d\d-\d\d)[\dT:_-]*)$")


@dataclass(frozen=True, slots=True)
class Seen:
    """A regular file in a folder.

    Attributes:
        path: Where it is, links resolved.
        family: The path that its writer writes to.
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


class Refused(OSError):
    """A file is not opened; the message says why and what to do."""


def family_name(name: str) -> str:
    """The name that a log has while it is written to: without what rotation and compression added."""
    bare = _PACKED_ENDS.sub("", name)
    plain = _ADDED.sub("", bare)
    if plain and plain != bare:
        return plain
    stem, dot, ending = bare.rpartition(".")
    inside = _ADDED_INSIDE.sub("", stem)
    return f"{inside}{dot}{ending}" if dot and inside else bare


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a glob; `**` stands for any number of folders."""
    return _parts_match(PurePosixPath(pattern).parts, PurePosixPath(path).parts)


def _parts_match(globs: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        return _parts_match(globs[1:], parts) or bool(parts and _parts_match(globs, parts[1:]))
    return bool(parts) and fnmatchcase(parts[0], globs[0]) and _parts_match(globs[1:], parts[1:])


def expand(pattern: str, problems: list[str]) -> list[str]:
    """The paths that match a glob, sorted; links to folders are followed only where the pattern names them.

    Args:
        pattern: An absolute path with `*`, `?`, `[…]` and `**`.
        problems: Gets a line for every folder that cannot be listed.
    """
    top, *parts = PurePosixPath(pattern).parts
    return sorted(set(_below(top, tuple(parts), problems)))


def _below(folder: str, parts: tuple[str, ...], problems: list[str]) -> Iterator[str]:
    if not parts:
        return
    glob, rest = parts[0], parts[1:]
    if glob == "**":
        yield from _below(folder, rest, problems)
    elif not _MAGIC.search(glob):
        path = os.path.join(folder, glob)
        if rest:
            yield from _below(path, rest, problems)
        elif os.path.lexists(path):
            yield path
        return
    for entry in entries(folder, problems):
        if entry.name.startswith(".") and not glob.startswith("."):
            continue
        if glob == "**":
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, parts, problems)
        elif fnmatchcase(entry.name, glob):
            if rest:
                yield from _below(entry.path, rest, problems)
            else:
                yield entry.path


def entries(folder: str, problems: list[str]) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(f"{shown(folder)}: cannot be listed ({error.strerror}): check its permissions")
        return []


def see(path: str, family: str, matched: bool, problems: list[str]) -> Seen | None:
    """What is at a path, if it is a regular file that may be read; else a line in `problems`."""
    try:
        real, found = _resolved(path)
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


def _resolved(path: str) -> tuple[str, os.stat_result]:
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
            return os.path.join(os.path.realpath(folder), name), found
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


def listing(
    patterns: Iterable[str], families: Iterable[str], inodes: Iterable[tuple[int, int]], problems: list[str]
) -> list[Seen]:
    """All files of some logs: those that match, their rotations, and those that were known before by another name.

    Args:
        patterns: Globs of the logs.
        families: Paths of logs that are known already, also while nothing is there.
        inodes: Device and inode of known files; they are found again under any name in the same folders.
        problems: Gets a line for whatever cannot be read.

    Returns:
        Each file once, oldest last change first; of several names the one that is written to.
    """
    matched: dict[str, str] = {}
    for pattern in patterns:
        for path in expand(pattern, problems):
            matched[path] = os.path.join(os.path.dirname(path), family_name(os.path.basename(path)))
        if not _MAGIC.search(pattern):
            matched[pattern] = pattern
    found = [see(path, family, True, problems) for path, family in matched.items()]
    logs = {*families, *matched.values()}
    targets = _targets(matched, [one for one in found if one])
    known = set(inodes)
    for folder in sorted({os.path.dirname(family) for family in logs} | {os.path.dirname(path) for path in targets}):
        for entry in entries(folder, []):
            family = os.path.join(folder, family_name(entry.name))
            owner = family if family in logs else targets.get(os.path.join(folder, _generalised(entry.name)))
            if entry.path in matched or not (owner or entry.inode() in {ino for _, ino in known}):
                continue
            one = see(entry.path, owner or family, False, problems if owner else [])
            if one and (owner or one.inode in known):
                found.append(one)
    return _each_once([one for one in found if one])


def _targets(matched: dict[str, str], found: list[Seen]) -> dict[str, str]:
    """Where links lead: a path with its numbers made general = the family. A dated log behind `current.log` moves on."""
    real = {path: os.path.realpath(path) for path in matched if os.path.islink(path)}
    followed = {one.path for one in found}
    return {
        os.path.join(os.path.dirname(target), _generalised(os.path.basename(target))): matched[path]
        for path, target in real.items()
        if target in followed and os.path.basename(target) != os.path.basename(path)
    }


def _generalised(name: str) -> str:
    return re.sub(r"\d+", "0", _PACKED_ENDS.sub("", name))


def _each_once(found: list[Seen]) -> list[Seen]:
    best: dict[tuple[int, int], Seen] = {}
    for one in sorted(found, key=lambda one: (not one.live, not one.matched, one.path)):
        best.setdefault(one.inode, one)
    return sorted(best.values(), key=lambda one: (one.mtime_ns, one.live, one.path))
