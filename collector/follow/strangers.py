"""Files that are no stream's yet: are they new, or known ones under another name, copied or zipped?

A file that holds nothing but what a known one holds too waits: it is being copied or zipped from it, or is a fresh file
that has only the header yet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from collector.follow.content import Look, Packed, PackedLook, beginning, is_gzip, look, window
from collector.follow.disk import Seen, inode_version, open_seen
from collector.follow.events import Gap
from collector.follow.identity import between, ended_before, holds, nothing_new
from collector.follow.position import Position, tail_hash
from collector.follow.stream import NOTHING, Stream
from collector.read import PACKED, shown
from collector.recognise import recognise
from collector.sources import Source

if TYPE_CHECKING:
    from collector.follow.group import Group

_LOOK_BYTES: Final = 32 << 20
_MAX_OPEN: Final = 200


@dataclass(slots=True)
class _Unknown:
    """A file that is no stream's yet.

    Attributes:
        stamp: Its size and last change.
        since: Since when it has this stamp.
        offsets: Where windows were asked for.
        looking: A gzip file on which a look was begun; its handle is open.
        found: What the look gave.
    """

    stamp: tuple[int, int]
    since: float
    offsets: frozenset[int] = frozenset()
    looking: PackedLook | None = None
    found: Look | None = None

    def stop(self) -> None:
        if self.looking is not None:
            os.close(self.looking.packed.handle)
            self.looking = None


class Strangers:
    """Tells new files from known ones.

    Attributes:
        waiting: By path, bytes of files that wait to be read, and since when.
        pending: Families with a gzip file at which is being looked.
        unsettled: Families with a file that is being renamed, or a gzip file that is being written or was cut off.
        crowded: So many files are open that others wait for the first of them to have ended.
    """

    def __init__(self, group: Group) -> None:
        self.waiting: dict[str, tuple[int, float]] = {}
        self.pending: set[str] = set()
        self.unsettled: set[str] = set()
        self.crowded = False
        self._group = group
        self._unknown: dict[tuple[int, int], _Unknown] = {}
        self._gaps: list[Gap] = []

    def close(self) -> None:
        """Close all files."""
        for unknown in self._unknown.values():
            unknown.stop()

    def tell_apart(self, candidates: list[Seen], now: float) -> list[Gap]:
        """Give files to streams, old or new ones; what cannot be told yet waits for the next scan.

        Args:
            candidates: Files that are no stream's, oldest last change first.
            now: The clock.

        Returns:
            What turned out to be missing.
        """
        before = dict(self.waiting)
        self.waiting.clear()
        self.pending.clear()
        self.unsettled.clear()
        self.crowded = False
        inodes = {one.inode for one in candidates}
        for inode in [inode for inode in self._unknown if inode not in inodes]:
            self._unknown.pop(inode).stop()
        for one in candidates:
            if one.family in self.pending:
                self.waiting[one.path] = (one.size, before.get(one.path, (0, now))[1])  # an older file comes first
                continue
            try:
                waits = self._identify(one, now)
            except FileNotFoundError:  # moved since it was listed
                self.unsettled.add(one.family)
                continue
            except OSError as error:
                self._group.refused(one, error)
                waits = one.size
            if waits is None:
                self._unknown.pop(one.inode).stop()
            elif waits:
                self.waiting[one.path] = (waits, before.get(one.path, (0, now))[1])
        gaps, self._gaps = self._gaps, []
        return gaps

    def leave(self, one: Seen) -> None:
        """Remember a rotated file that was there before the agent was, so that it is not taken for a new one."""
        offset, tail, found = 0, b"", None
        try:
            handle = open_seen(one)
        except OSError as error:
            self._group.refused(one, error)
            return
        try:
            version = inode_version(handle)
            if not is_gzip(handle):  # which would take long; its name and inode have to do
                found = look(handle, (), self._group.limits.line_bytes)
                offset = found.size - len(found.end) + found.end.rfind(b"\n") + 1
                tail = window(handle, offset)
        finally:
            os.close(handle)
        if found is None or not (found.generation and tail.endswith(b"\n")):
            offset, tail = 0, b""
        generation = found.generation if found and offset else ""
        values = {
            "offset": offset,
            "tail": tail_hash(tail),
            "seen_bytes": found.size if found else 0,
            "version": version,
        }
        self._add(one, self._group.watched.source, generation, finished=True, **values)

    def source(self, one: Seen) -> Source | None:
        """What a file is; None where nobody knows, with a line for the operator."""
        if self._group.watched.source is not None:
            return self._group.watched.source
        family = [stream for stream in self._group.streams.values() if stream.position.family == one.family]
        known = next((stream.source for stream in family if stream.source), None)
        if known is not None:
            return known
        handle = open_seen(one)
        try:
            data = beginning(handle, 1 << 16)
        finally:
            os.close(handle)
        source = recognise(data, os.path.basename(one.family), self._group.sources)
        if source is None:
            self._group.note(one, "is of no known source, not read", "name its source in collector.toml")
        return source

    def _identify(self, one: Seen, now: float) -> int | None:
        """Give a file to a stream; None, or how many of its bytes wait."""
        found = self._look(one, now)
        if found is None:
            self.pending.add(one.family)
            return one.size
        quiet = now - self._unknown[one.inode].since >= self._group.patience.rotated_s
        if not found.whole and not quiet:
            self.unsettled.add(one.family)
            self._group.note(
                one, "gzip is being written or is cut off", "unless it changes it is read as far as it goes"
            )
            return one.size
        otherwise = next((what for magic, what in PACKED.items() if found.start.startswith(magic)), None)
        if otherwise:
            self._group.note(one, f"is {otherwise}, not read", "let logrotate use gzip")
            return one.size
        if not found.generation:
            return self._new(one, found, now) if quiet and not one.live else one.size
        kin = [other for other in self._group.streams.values() if other.position.generation == found.generation]
        lost = [stream for stream in kin if stream.lost_since is not None]
        fitting = [stream for stream in lost if holds(found, stream)]
        if fitting:
            return self._adopt(max(fitting, key=lambda stream: stream.position.offset), one, found, now)
        for stream in lost:
            if not one.live and one.inode != stream.inode and ended_before(found, stream):
                return self._rest(stream, one, found)
        if any(nothing_new(found, stream) for stream in kin):
            return 0
        # One of them was renamed or emptied this very moment: the next scan tells which this file is.
        if not all(stream.at_rest or stream.lost_since is not None for stream in kin):
            return one.size
        if not all(stream.refresh(now) for stream in kin):
            return one.size
        return self._new(one, found, now)

    def _look(self, one: Seen, now: float) -> Look | None:
        """What a file holds; None while that is being found out."""
        streams = self._group.streams.values()
        resting = (stream.position.offset or len(stream.beginning) for stream in streams if stream.handle is None)
        offsets = frozenset(offset for offset in resting if offset)
        unknown = self._unknown.get(one.inode)
        if unknown is None or unknown.stamp != (one.size, one.mtime_ns):
            if unknown is not None:
                unknown.stop()
            unknown = self._unknown[one.inode] = _Unknown((one.size, one.mtime_ns), now)
        if unknown.looking is None:
            if unknown.found and unknown.found.packed and offsets <= unknown.offsets:
                return unknown.found
            handle = open_seen(one)
            unknown.offsets = offsets
            if not is_gzip(handle):
                try:
                    return look(handle, offsets, self._group.limits.line_bytes)
                finally:
                    os.close(handle)
            unknown.looking = PackedLook(Packed(handle), tuple(sorted(offsets)), self._group.limits.line_bytes)
        unknown.found = unknown.looking.step(_LOOK_BYTES)
        if unknown.found is not None:
            unknown.stop()
        return unknown.found

    def _adopt(self, stream: Stream, one: Seen, found: Look, now: float) -> int | None:
        """The stream's bytes are in this file now."""
        position = stream.position
        if position.finished and found.size <= position.seen_bytes:
            stream.rest(one)
            stream.change(version=0)
            return None
        quiet = stream.quiet and found.size == position.seen_bytes
        copied = (stream.was_copied or not quiet) if stream.emptied else position.copied
        if not self._group.attach(stream, one, found.windows.get(position.offset, b""), now):
            return one.size
        stream.change(copied=copied and not position.finished)
        return None

    def _rest(self, stream: Stream, one: Seen, found: Look) -> int | None:
        """The file is a copy of the stream, and more was read of the stream than was copied."""
        memory, end = stream.memory
        copied = memory[: found.size - (end - len(memory))]
        copied = copied[: copied.rfind(b"\n") + 1]
        if not copied:
            return 0
        if stream.was_copied or not stream.quiet:
            self._gaps.append(between(stream, stream.position.offset))
        offset = end - len(memory) + len(copied)
        stream.change(
            offset=offset, tail=tail_hash(copied), seen_bytes=found.size, finished=True, copied=False, version=0
        )
        stream.rest(one)
        return None

    def _new(self, one: Seen, found: Look, now: float) -> int | None:
        if sum(stream.handle is not None for stream in self._group.streams.values()) >= _MAX_OPEN:
            self.crowded = True
            return one.size
        source = self.source(one)
        if source is None:
            return one.size
        stream = self._add(one, source, found.generation)
        try:
            stream.attach(one)
        except OSError:
            del self._group.streams[stream.key]
            raise
        stream.behind_since = now
        stream.change(copied=one.family in self._group.copying and not one.live)
        # By the times of the files, for they are of one clock: what was written long before the newest one is old.
        stream.quiet_since = now - (self._group.newest_ns.get(one.family, 0) - one.mtime_ns) / 1e9
        return None

    def _add(self, one: Seen, source: Source | None, generation: str, **values: Any) -> Stream:
        known: dict[str, Any] = {"offset": 0, "tail": NOTHING, "seen_bytes": 0, "version": 0} | values
        position = Position(
            path=one.path, name=shown(one.family if one.live else one.path), family=one.family,
            source=source.id if source else "", dev=one.dev, ino=one.ino, disk_bytes=one.size, mtime_ns=one.mtime_ns,
            generation=generation, encoding=source.encoding if source else "auto", **known,
        )  # fmt: skip
        stream = Stream(self._group.next_key(), position, source, self._group.limits)
        self._group.streams[stream.key] = stream
        return stream
