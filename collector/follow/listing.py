"""Which files belong to a log: those that match, and what rotation made of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

from collector.follow.disk import Seen, see
from collector.read import shown

# A file system's clock is coarse: what changed so shortly before a look may change again without a trace.
_TRACELESS_NS: Final = 1_000_000_000
_MAGIC: Final = re.compile(r"[*?[]")
_PACKED_ENDS: Final = re.compile(r"\.(gz|bz2|xz|zst)$")
# What rotation adds to a name: `.1`, `-20261123`, `.2026-11-23_0000`, `-1795392000`, several of them, `.old`.
_ADDED: Final = re.compile(r"([-_.]\d[\dT:_-]*|\.(old|prev|save|bak))+$")
# Before the ending (logrotate's `extension`) a short number must follow a dot, for web-1.log is no rotation of web.log.
_ADDED_INSIDE: Final = re.compile(r"(\.\d{1,3}|[-_.](\d{6,}|\d{4}-\d\d-\d\d)[\dT:_-]*)$")


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


class Folders:
    """The folders in which some logs are, as of the last look at them.

    Attributes:
        problems: One line for whatever could not be read.
        unread: Folders that are there and could not be listed: what is in them is not known.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.unread: set[str] = set()
        self._changed_ns: dict[str, int] = {}  # 0 where there is none
        self._real: dict[str, str] = {}
        self._looked_ns = 0

    def unchanged(self) -> bool:
        """Whether no name was added to or taken from any of the folders since the last look. Cheap."""
        if any(abs(self._looked_ns - changed) < _TRACELESS_NS for changed in self._changed_ns.values()):
            return False
        return all(_changed_ns(folder) == changed for folder, changed in self._changed_ns.items())

    def look(
        self, patterns: Iterable[str], families: Iterable[str], known: Mapping[tuple[int, int], str]
    ) -> list[Seen]:
        """All files of some logs: those that match, their rotations, and those that were known before by another name.

        Args:
            patterns: Globs of the logs.
            families: Paths of logs that are known already, also while nothing is there.
            known: Device and inode of known files, with the path of each; they are found again there, or under any name
                in the same folders.

        Returns:
            Each file once, oldest last change first; of several names the one that is written to.
        """
        self.problems.clear()
        self.unread.clear()
        self._changed_ns.clear()
        self._real.clear()
        self._looked_ns = time.time_ns()
        matched: dict[str, str] = {}
        for pattern in patterns:
            for path in self.expand(pattern):
                matched[path] = os.path.join(os.path.dirname(path), family_name(os.path.basename(path)))
            if not _MAGIC.search(pattern):
                matched[pattern] = pattern
        found = [self._see(path, family, True) for path, family in matched.items()]
        logs = {*families, *matched.values()}
        owners = {path: path for path in logs} | self._targets(matched, {one.path for one in found if one})
        folders = {os.path.dirname(path) for path in owners}
        found += [one for folder in sorted(folders) for one in self._beside(folder, owners, matched, set(known))]
        found += self._where_they_were(known, {one.inode for one in found if one})
        return _each_once([one for one in found if one])

    def _where_they_were(self, known: Mapping[tuple[int, int], str], found: set[tuple[int, int]]) -> Iterator[Seen]:
        """Files in folders that nothing leads to any more, since a link was turned to another."""
        for inode, path in known.items():
            if inode not in found:
                one = self._see(path, "", False)
                if one and one.inode == inode:
                    yield one

    def _beside(
        self, folder: str, owners: dict[str, str], matched: dict[str, str], known: set[tuple[int, int]]
    ) -> Iterator[Seen]:
        """Files in a folder that do not match, and are rotations of logs or were known by another name."""
        numbers = {ino for _, ino in known}
        for entry in self._entries(folder):
            if entry.path in matched:
                continue
            family = os.path.join(folder, family_name(entry.name))
            owner = owners.get(family) or owners.get(os.path.join(folder, _generalised(entry.name)))
            if not owner and entry.inode() not in numbers:
                continue
            one = self._see(entry.path, owner or "", False)
            if one and (owner or one.inode in known):
                yield one

    def _targets(self, matched: dict[str, str], followed: set[str]) -> dict[str, str]:
        """Where links lead: the log there, and any that differs from it in numbers only, for dated logs move on."""
        found: dict[str, str] = {}
        for path, family in matched.items():
            if not os.path.islink(path) or (target := os.path.realpath(path)) not in followed:
                continue
            folder, name = os.path.split(target)
            found[os.path.join(folder, family_name(name))] = family
            if name != os.path.basename(path):
                found[os.path.join(folder, _generalised(name))] = family
        return found

    def expand(self, pattern: str) -> list[str]:
        """The paths that match a glob, sorted; links to folders are followed only where the pattern names them.

        Args:
            pattern: An absolute path with `*`, `?`, `[…]` and `**`.
        """
        top, *parts = PurePosixPath(pattern).parts
        return sorted(set(self._below(top, tuple(parts))))

    def _below(self, folder: str, parts: tuple[str, ...]) -> Iterator[str]:
        if not parts:
            return
        glob, rest = parts[0], parts[1:]
        if glob == "**":
            yield from self._below(folder, rest)
        elif not _MAGIC.search(glob):
            path = os.path.join(folder, glob)
            if rest:
                yield from self._below(path, rest)
            elif os.path.lexists(path):
                yield path
            return
        for entry in self._entries(folder):
            if entry.name.startswith(".") and not glob.startswith("."):
                continue
            if glob == "**":
                if entry.is_dir(follow_symlinks=False):
                    yield from self._below(entry.path, parts)
            elif fnmatchcase(entry.name, glob):
                if rest:
                    yield from self._below(entry.path, rest)
                else:
                    yield entry.path

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing where there is none."""
        self._changed_ns.setdefault(folder, _changed_ns(folder))
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            if folder not in self.unread:
                self.problems.append(f"{shown(folder)}: cannot be listed ({error.strerror}): check its permissions")
            self.unread.add(folder)
            return []

    def _see(self, path: str, family: str, matched: bool) -> Seen | None:
        folder = os.path.dirname(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return see(path, family, matched, self._real[folder], self.problems)


def _changed_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _generalised(name: str) -> str:
    return re.sub(r"\d+", "<n>", _PACKED_ENDS.sub("", name))


def _each_once(found: list[Seen]) -> list[Seen]:
    best: dict[tuple[int, int], Seen] = {}
    for one in sorted(found, key=lambda one: (not one.live, not one.matched, one.path)):
        best.setdefault(one.inode, one)
    return sorted(best.values(), key=lambda one: (one.mtime_ns, one.live, one.path))
