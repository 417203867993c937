"""Following log files: nothing that was written is skipped, and what cannot be read any more is told as a gap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from collector.cut import BLOCK_BYTES, DEFAULT_LIMITS, Limits, Piece
from collector.follow.claims import Claims
from collector.follow.events import Gap, Lag, Lines, Patience, Watched
from collector.follow.group import Group
from collector.follow.identity import between
from collector.follow.position import Position, Progress
from collector.follow.stream import Stream
from collector.read import shown
from collector.sources import Source

# With more files open, rotated ones are waited for less long.
_MANY_OPEN: Final = 100


class Follower:
    """Follows log files through rotation, from where an earlier start left off.

    Args:
        watched: What to follow. A file that several of them match is followed by each.
        progress: What `progress` gave before; None at the first start. Positions that belong to nothing watched are kept.
        sources: Candidates for recognition by content.
        patience: How long to wait for what.
        limits: Bounds of what is held at once.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        progress: Progress | None = None,
        sources: Sequence[Source] = (),
        patience: Patience | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        before = progress or Progress()
        keys = itertools.count(max((int(key) for key in before.positions), default=0) + 1)
        self._patience = patience or Patience()
        self._groups = [
            Group(number, one, before.patterns, sources, self._patience, limits, lambda: next(keys))
            for number, one in enumerate(watched)
        ]
        self._parked: dict[str, Position] = {}
        for key, position in sorted(before.positions.items(), key=lambda pair: int(pair[0])):
            owner = next((group for group in self._groups if group.owns(position)), None)
            if owner:
                owner.restore(int(key), position)
            else:
                self._parked[key] = position
        self._scanned_at: float | None = None
        self._turn = 0
        self._claims = Claims()
        self._shared: list[str] = []
        self._open = 0
        self._unfinished: list[tuple[Group, list[Stream]]] = []

    def poll(self, now: float, budget_bytes: int) -> list[Lines | Gap]:
        """Read what was written since the last time. Never waits, never raises for what it finds on the disk.

        Args:
            now: Seconds on a clock that never goes back (`time.monotonic`).
            budget_bytes: How much to read at most.

        Returns:
            Lines in the order of each log, older generations first; gaps where they are noticed.
        """
        found: list[Lines | Gap] = []
        if self._scanned_at is None or now - self._scanned_at >= self._patience.scan_s:
            self._scanned_at = now
            for group in self._groups:
                found += group.scan(now)
            if any(group.looked for group in self._groups):
                self._unfinished = self._families()
                self._shared = self._claims.keep({path for group in self._groups for path in group.live_paths()})
        families = self._unfinished
        if families:
            self._turn = (self._turn + 1) % len(families)
            families = families[self._turn :] + families[: self._turn]
        self._open = sum(len(streams) for _, streams in families)
        busy = sum([self._refresh(group, streams, now) for group, streams in families])
        share = max(BLOCK_BYTES, budget_bytes // max(1, busy))
        for group, streams in families:
            for given, read in self._read_family(group, streams, min(share, budget_bytes), now):
                found += given
                budget_bytes -= read
        return found

    @staticmethod
    def _refresh(group: Group, streams: list[Stream], now: float) -> bool:
        """See what was written to the files of one log; whether there is something to read."""
        for stream in streams:
            if not stream.refresh(now):
                group.emptied(stream, now)
        return any(stream.unread for stream in streams)

    def progress(self) -> Progress:
        """What to start from once everything that `poll` returned so far is safe elsewhere."""
        patterns = frozenset(pattern for group in self._groups for pattern in group.watched.patterns)
        positions = dict(self._parked)
        for group in self._groups:
            for key, stream in group.streams.items():
                position = stream.position
                if position.offset or position.finished:
                    positions[str(key)] = position
        return Progress(positions, patterns)

    def lag(self, now: float) -> dict[str, Lag]:
        """How far behind reading is, by the path of each file that is not finished."""
        found: dict[str, Lag] = {}
        for group in self._groups:
            for path, (size, since) in group.strangers.waiting.items():
                found[path] = Lag(group.watched.source.id if group.watched.source else "", size, now - since)
            for stream in group.streams.values():
                position = stream.position
                if not position.finished:
                    seconds = now - stream.behind_since if stream.behind_since is not None else 0.0
                    found[position.path] = Lag(position.source, stream.unread, seconds)
        return found

    @property
    def held(self) -> bool:
        """Whether files wait for nothing but their turn: too many are open, or one is being unpacked to see what it is."""
        return any(group.strangers.crowded or group.strangers.pending for group in self._groups)

    @property
    def rotations(self) -> dict[str, int]:
        """By source, how often its writer went on in another file or emptied its file, since this start."""
        total: dict[str, int] = {}
        for group in self._groups:
            for source, count in group.rotations.items():
                total[source] = total.get(source, 0) + count
        return total

    @property
    def problems(self) -> list[str]:
        """What the operator should mend, one line each, as of the last look at the folders."""
        advice = "is followed by another agent too: every line is sent twice, with the same ids: stop one of them"
        shared = {f"{shown(path)}: {advice}" for path in self._shared}
        return sorted(shared | {line for group in self._groups for line in group.problems})

    def close(self) -> None:
        """Close all files."""
        self._claims.keep(())
        for group in self._groups:
            group.close()

    def _families(self) -> list[tuple[Group, list[Stream]]]:
        found: dict[tuple[int, str], tuple[Group, list[Stream]]] = {}
        for group in self._groups:
            for key in sorted(group.streams):
                stream = group.streams[key]
                if stream.position.finished:
                    continue
                found.setdefault((group.number, stream.position.family), (group, []))[1].append(stream)
        return list(found.values())

    def _read_family(
        self, group: Group, streams: list[Stream], budget_bytes: int, now: float
    ) -> Iterator[tuple[list[Lines | Gap], int]]:
        for stream in streams:
            if stream.lost_since is not None:
                return  # it is looked for: what is newer comes after it
            if stream.handle is None:
                continue  # it may not be read, which was said
            if stream.unread and budget_bytes > 0:
                given, read = self._read(group, stream, budget_bytes, now)
                budget_bytes -= read
                yield given, read
            if stream.unread and not stream.broken:
                return
            if stream.handle is None:
                continue
            yield self._settle(group, stream, now), 0

    def _read(self, group: Group, stream: Stream, budget_bytes: int, now: float) -> tuple[list[Lines | Gap], int]:
        first = not stream.position.offset
        if stream.behind_since is None:
            stream.behind_since = now
        pieces, read = stream.read(budget_bytes)
        if stream.trouble is not None:
            group.notes.append(f"{stream.label()}: cannot be read ({stream.trouble.strerror}): check the disk")
            stream.trouble = None
            stream.detach()
        return _lines(group, stream, pieces, first), read

    def _settle(self, group: Group, stream: Stream, now: float) -> list[Lines | Gap]:
        """All that is there was read: give what waits for more, if more is not to be expected."""
        stream.behind_since = None
        first = not stream.position.offset
        quiet_s = now - stream.quiet_since
        # Nobody writes to a zipped file or to a copy; to a renamed one its writer may for a while.
        wait_s = self._patience.rotated_s if self._open <= _MANY_OPEN else self._patience.settle_s
        ended = stream.packed or stream.is_copy or (not stream.live and quiet_s >= wait_s)
        if not ended:
            if stream.held_lines and quiet_s >= self._patience.settle_s:
                return _lines(group, stream, stream.flush(ended=False), first)
            return []
        found = _lines(group, stream, stream.flush(ended=True), first)
        position = stream.position
        if stream.broken:
            found.append(_damaged(stream))
        elif position.copied:
            found.append(between(stream, position.seen_bytes))
        stream.detach()
        stream.change(finished=True, copied=False)
        return found


def _lines(group: Group, stream: Stream, pieces: list[Piece], first: bool) -> list[Lines | Gap]:
    assert stream.source is not None
    source, key, number = stream.source, str(stream.key), group.number
    return [Lines(source, key, piece, first and at == 0, number) for at, piece in enumerate(pieces)]


def _damaged(stream: Stream) -> Gap:
    position = stream.position
    detail = (
        f"{stream.label()}: gzip is damaged after {position.seen_bytes} bytes of text: what came before was read, the "
        "rest is lost: check the disk"
    )
    first = position.seen_bytes
    return Gap(position.source, position.name, position.generation, first, None, "damaged", detail)
