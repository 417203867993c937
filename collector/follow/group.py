"""The logs of one `Watched`: which file on disk is which generation, again after every change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.cut import Limits
from collector.follow.content import is_gzip, look
from collector.follow.disk import Seen, inode_version, open_seen
from collector.follow.events import Gap, Patience, Watched
from collector.follow.identity import loss
from collector.follow.listing import Folders, matches
from collector.follow.position import Position, tail_hash
from collector.follow.strangers import Strangers
from collector.follow.stream import Stream
from collector.read import shown
from collector.sources import Source

# A folder that is listed while its files are renamed may not show one of them.
_SEEK_TIMES: Final = 4


@dataclass(slots=True)
class Group:
    """The streams of one `Watched`.

    Attributes:
        number: Of the `Watched` among all.
        watched: What is followed.
        known: Patterns that were followed before this start.
        sources: Candidates for recognition.
        patience: How long to wait for what.
        limits: Bounds of cutting.
        next_key: Gives the key of a new stream.
        streams: By key; of one family older generations come first.
        folders: Where the logs are.
        notes: What is wrong with files, one line each.
        rotations: By source, how often its writer went on in another or an emptied file.
        copying: Families in which a file was emptied, so that rotations are copies that may lack what came last.
        newest_ns: By family, the newest change of its files, as of the last scan.
        looked: The last scan did look; else there was nothing to see.
        strangers: The files that are no stream's yet.
    """

    number: int
    watched: Watched
    known: frozenset[str]
    sources: Sequence[Source]
    patience: Patience
    limits: Limits
    next_key: Callable[[], int]
    streams: dict[int, Stream] = field(default_factory=dict)
    folders: Folders = field(default_factory=Folders)
    notes: list[str] = field(default_factory=list)
    rotations: dict[str, int] = field(default_factory=dict)
    copying: set[str] = field(default_factory=set)
    newest_ns: dict[str, int] = field(default_factory=dict)
    strangers: Strangers = field(init=False)
    looked: bool = False
    _strange: list[Seen] = field(default_factory=list)
    _scanned: bool = False
    _scanned_at: float = 0.0

    def __post_init__(self) -> None:
        self.strangers = Strangers(self)

    def owns(self, position: Position) -> bool:
        """Whether a position is of a file of this group."""
        return any(matches(pattern, path) for pattern in self.watched.patterns for path in _names(position))

    def restore(self, key: int, position: Position) -> None:
        """Take a position of an earlier start."""
        source = self.watched.source or next((one for one in self.sources if one.id == position.source), None)
        self.streams[key] = Stream(key, position, source, self.limits)

    def scan(self, now: float) -> list[Gap]:
        """Look at the folders; streams get their files, new ones are made, lost ones become gaps."""
        self.looked = not self._nothing_to_see(now)
        if not self.looked:
            return []
        self._scanned_at = now
        self.notes.clear()
        streams = self.streams.values()
        families = {stream.position.family for stream in streams}
        known = {stream.inode: stream.position.path for stream in streams}
        seen = self.folders.look(self.watched.patterns, families, known)
        by_inode = {one.inode: one for one in seen}
        for stream in streams:
            self._follow(stream, by_inode.get(stream.inode), now)
        self.newest_ns = {one.family: one.mtime_ns for one in seen}
        owned = {stream.inode for stream in streams if stream.lost_since is None}
        strangers = [one for one in seen if one.inode not in owned and one.size and one.family]
        if not self._scanned:
            for one in [one for one in strangers if not (one.matched or self._follows_already(one))]:
                self.strangers.leave(one)
                strangers.remove(one)
        gaps = self.strangers.tell_apart(strangers, now)
        self._mark_live(seen)
        owned = {stream.inode for stream in streams if stream.lost_since is None}
        self._strange = [one for one in seen if one.inode not in owned and one.family]
        gaps += [gap for stream in list(streams) for gap in self._give_up(stream, now)]
        self._scanned = True
        return gaps

    @property
    def problems(self) -> list[str]:
        """What the operator should mend, one line each, as of the last look."""
        return [*self.folders.problems, *self.notes]

    def _nothing_to_see(self, now: float) -> bool:
        """Whether looking again would find what was found before. Looking at many files has a price."""
        if not self._scanned or self.strangers.pending or self.strangers.unsettled:
            return False
        streams = self.streams.values()
        if any(stream.lost_since is not None for stream in streams):
            return False
        waits = self.strangers.waiting or any(not stream.at_rest for stream in streams)
        seldom_s = self.patience.retry_s if waits else self.patience.rescan_s
        if now - self._scanned_at >= seldom_s or not self.folders.unchanged():
            return False
        return all(one.unchanged() for one in self._strange)

    def close(self) -> None:
        """Close all files."""
        for stream in self.streams.values():
            stream.detach()
        self.strangers.close()

    def _follows_already(self, one: Seen) -> bool:
        return any(matches(pattern, path) for pattern in self.known for path in (one.family, one.path))

    # --- streams that are known -------------------------------------------------------------------------------------

    def _follow(self, stream: Stream, seen: Seen | None, now: float) -> None:
        if stream.lost_since is not None:
            if seen is not None and not stream.emptied:
                self._reopen(stream, seen, now)
            return
        if stream.handle is not None:
            stream.present = seen is not None
            if not stream.refresh(now):
                self.emptied(stream, now)
            elif seen is not None:
                stream.place(seen)
        elif seen is None:
            if os.path.dirname(stream.position.path) in self.folders.unread:
                return
            stream.lose(now, emptied=False, idle_s=self.patience.idle_s)
        else:
            self._reopen(stream, seen, now)

    def _reopen(self, stream: Stream, seen: Seen, now: float) -> None:
        """A file that is not open: finished, lost, or of an earlier start. Is it still the one, and did it grow?"""
        position = stream.position
        stream.present = True
        if position.finished and (seen.size, seen.mtime_ns) == (position.disk_bytes, position.mtime_ns):
            stream.rest(seen)
            return
        try:
            tail, in_place = self._tail(position, seen)
        except FileNotFoundError:  # renamed since it was listed
            tail, in_place = None, False
        except OSError as error:
            self.refused(seen, error)
            return
        if tail is not None and position.finished and seen.size <= position.seen_bytes:
            stream.rest(seen)
        elif tail is not None:
            self.attach(stream, seen, tail, now)
        elif stream.lost_since is None and in_place:
            self.emptied(stream, now)
        elif stream.lost_since is None:
            stream.lose(now, emptied=False, idle_s=self.patience.idle_s)

    def _tail(self, position: Position, seen: Seen) -> tuple[bytes | None, bool]:
        """The bytes before the offset, if a file has the right ones; if not, whether it was changed in place.

        Which gzip file it is takes time to tell, and is told among the strangers.
        """
        handle = open_seen(seen)
        try:
            version = inode_version(handle)
            recycled = 0 not in (version, position.version) and version != position.version
            if recycled or is_gzip(handle):
                return None, False
            found = look(handle, [position.offset], self.limits.line_bytes)
        finally:
            os.close(handle)
        tail = found.windows.get(position.offset)
        if tail is None or tail_hash(tail) != position.tail:
            return None, True
        # Before the offset 0 there is nothing to compare.
        other = not position.offset and found.generation != position.generation != ""
        return (None, True) if other else (tail, False)

    def attach(self, stream: Stream, seen: Seen, tail: bytes, now: float) -> bool:
        """Let a stream read on in a file; False, with a line for the operator, if it cannot."""
        try:
            if stream.source is None:
                stream.source = self.strangers.source(seen)
            if stream.source is None:
                return False
            stream.attach(seen, tail)
        except OSError as error:
            self.refused(seen, error)
            return False
        stream.change(finished=False, source=stream.source.id)
        stream.quiet_since = now
        return True

    def emptied(self, stream: Stream, now: float) -> None:
        """Its file was emptied or overwritten."""
        if stream.live:
            self._count_rotation(stream)
        position = stream.position
        self.copying.add(position.family)
        stream.lose(now, emptied=True, idle_s=self.patience.idle_s)
        if not position.finished:  # remembered at once: should we be killed now, nothing else may tell it later
            stream.was_copied = position.copied
            stream.change(copied=True)

    def live_paths(self) -> list[str]:
        """Where the files are that are being written to."""
        return sorted(stream.position.path for stream in self.streams.values() if stream.live)

    def _mark_live(self, seen: list[Seen]) -> None:
        live: dict[str, Seen] = {}
        for one in seen:
            if one.live or (one.family and not (one.family in live and live[one.family].live)):
                live[one.family] = one
        inodes = {one.inode for one in live.values()}
        for stream in self.streams.values():
            if stream.lost_since is not None:
                continue
            is_live = stream.inode in inodes and stream.present
            if stream.live and not is_live:
                self._count_rotation(stream)
            stream.live = is_live

    def _count_rotation(self, stream: Stream) -> None:
        source = stream.position.source
        self.rotations[source] = self.rotations.get(source, 0) + 1

    def _give_up(self, stream: Stream, now: float) -> Iterator[Gap]:
        position = stream.position
        if stream.lost_since is None or position.family in self.strangers.pending | self.strangers.unsettled:
            return
        if self.folders.unread & {os.path.dirname(position.path), os.path.dirname(position.family)}:
            return
        waited = now - stream.lost_since
        stream.sought += 1
        if waited < self.patience.lost_s or stream.sought < _SEEK_TIMES:
            return
        folder = os.path.dirname(position.path)
        if not stream.emptied and not _is_there(folder, position.dev) and waited < self.patience.away_s:
            where = f"{shown(position.path)}: its folder is away"
            self.notes.append(f"{where}; waiting for it at byte {position.offset}: mount it, or mend its permissions")
            return
        del self.streams[stream.key]
        if position.generation and not position.finished:
            yield loss(stream)

    def refused(self, seen: Seen, error: OSError) -> None:
        """Say why a file cannot be read."""
        if not isinstance(error, FileNotFoundError):
            self.note(seen, f"cannot be read ({error.strerror})", "check its permissions and its disk")

    def note(self, seen: Seen, what: str, advice: str) -> None:
        """Say what is wrong with a file."""
        self.notes.append(f"{shown(seen.path)}: {what}: {advice}")


def _names(position: Position) -> tuple[str, str]:
    return position.family, position.path


def _is_there(folder: str, device: int) -> bool:
    """Whether a folder can be read and is on the file system on which it was."""
    try:
        return os.stat(folder).st_dev == device and os.access(folder, os.R_OK | os.X_OK)
    except OSError:
        return False
