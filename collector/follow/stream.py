"""One generation being read, wherever its bytes are at the moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from collector.cut import BLOCK_BYTES, TAIL_BYTES, Cutter, Limits, Piece, Start
from collector.follow.content import Packed, is_gzip, look, window
from collector.follow.disk import Seen, inode_version, open_seen
from collector.follow.position import TAIL_HASHED, Position, tail_hash
from collector.read import shown
from collector.sources import Source

NOTHING: Final = tail_hash(b"")


class Stream:
    """One generation: its position, its cutter, and the file that holds it now.

    Attributes:
        key: Number of the stream; of two streams of one log the older has the smaller.
        source: None only for a file that is not to be read.
        live: Its writer's path leads to it.
        present: It stands in the folder; an open file may be deleted and is read on.
        quiet_since: When its size was last seen to change.
        behind_since: When it was last read to its end; None where it is.
        lost_since: Since when nobody knows where its bytes are; None while they are known.
        sought: How often it was looked for since.
        emptied: It was lost because its file was emptied or overwritten, not because it went away.
        was_copied: What its position said of that before it was emptied.
        quiet: It was open and not being written to when it was lost, so that a copy that ends where it was read to is whole.
        trouble: Why it could not be read.
        memory: The last bytes that were read of it when it was lost, up to 64 KiB, and where they end.
        beginning: Its first bytes, up to 4096, of a plain file that was opened to be read from its start.
    """

    def __init__(self, key: int, position: Position, source: Source | None, limits: Limits) -> None:
        self.key = key
        self.source = source
        self.live = self.present = False
        self.quiet_since = 0.0
        self.behind_since: float | None = None
        self.lost_since: float | None = None
        self.sought = 0
        self.was_copied = False
        self.emptied = self.quiet = False
        self.memory: tuple[bytes, int] = (b"", 0)
        self.beginning = b""
        self.trouble: OSError | None = None
        self.handle: int | None = None
        self._looked_at = 0.0
        self._base = position
        self._limits = limits
        self._cutter: Cutter | None = None
        self._packed: Packed | None = None

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode of the file that holds it, or held it last."""
        return self._base.dev, self._base.ino

    @property
    def position(self) -> Position:
        """What to remember of it, as of all that was given out."""
        cutter, base = self._cutter, self._base
        if cutter is None or (cutter.position == base.offset and cutter.encoding == base.encoding):
            return base
        self._base = replace(
            base,
            generation=cutter.generation,
            offset=cutter.position,
            tail=tail_hash(cutter.tail),
            encoding=cutter.encoding,
            seen_bytes=max(base.seen_bytes, cutter.taken),
        )
        return self._base

    @property
    def packed(self) -> bool:
        """Its bytes are in a gzip file."""
        return self._packed is not None

    @property
    def broken(self) -> bool:
        """It cannot be read on: the gzip file is damaged."""
        return self._packed is not None and self._packed.broken

    @property
    def is_copy(self) -> bool:
        """Its file is the copy of one that was emptied."""
        return self.lost_since is None and not self.live and (self.emptied or self._base.copied)

    @property
    def at_rest(self) -> bool:
        """It is finished, or open; else its file waits to be opened."""
        return self._base.finished or self.handle is not None

    @property
    def held_lines(self) -> bool:
        """Whole lines wait for what may follow."""
        return self._cutter is not None and self._cutter.held_lines

    def change(self, **values: object) -> None:
        """Change what its position says besides how far it was read."""
        self._base = replace(self.position, **values)  # type: ignore[arg-type]

    def place(self, seen: Seen) -> None:
        """Say where its file is now."""
        self.present = True
        self.change(
            path=seen.path, dev=seen.dev, ino=seen.ino, disk_bytes=seen.size, mtime_ns=seen.mtime_ns,
            family=seen.family if seen.matched else self._base.family,
        )  # fmt: skip

    def attach(self, seen: Seen, tail: bytes = b"") -> None:
        """Read on in a file that was seen, from the position on.

        Args:
            seen: A file with the same bytes before the offset.
            tail: The last of these bytes.

        Raises:
            FileNotFoundError: Another file or generation is there by now.
            OSError: It cannot be opened.
        """
        assert self.source is not None
        handle = open_seen(seen)
        try:
            packed = Packed(handle) if is_gzip(handle) else None
            beginning = b"" if packed or self.position.offset else self._beginning(handle)
        except OSError:
            os.close(handle)
            raise
        self.detach()
        self.handle, self._packed, self.beginning = handle, packed, beginning
        base = self._base
        start = None
        if base.offset:
            start = Start(base.offset, base.generation, base.encoding, self._header(handle), tail)
        self._cutter = Cutter(base.name, self.source, self._limits, start)
        self.lost_since = None
        self.place(seen)
        self.change(version=inode_version(handle))
        if self._packed is None:
            self._base = replace(self._base, seen_bytes=max(base.seen_bytes, seen.size))

    def _beginning(self, handle: int) -> bytes:
        """The first bytes of a plain file, if its first line is the one of this generation."""
        beginning = os.pread(handle, TAIL_HASHED, 0)
        known = self._base.generation
        if known and look(handle, (), self._limits.line_bytes).generation != known:
            raise FileNotFoundError(errno.ENOENT, "another generation is there by now", self._base.path)
        return beginning

    def rest(self, seen: Seen) -> None:
        """It stands in a file that was seen, and nothing of it is to be read."""
        self.lost_since = None
        self.place(seen)

    def detach(self) -> None:
        """Close its file, if it is open; the position stays."""
        self._base = self.position
        if self.handle is not None:
            os.close(self.handle)
        self.handle = self._cutter = self._packed = None

    def lose(self, now: float, emptied: bool, idle_s: float) -> None:
        """Its bytes are not where they were."""
        # What was not looked at for a while may have been written to in the meantime.
        looked = self.handle is not None and now - self._looked_at <= idle_s
        self.quiet = looked and self._looked_at - self.quiet_since >= idle_s
        if self._cutter is not None:
            self.memory = self._cutter.last_bytes(TAIL_BYTES), self._cutter.taken
        self.lost_since, self.sought, self.emptied = now, 0, emptied
        self.live = self.present = False
        self.detach()

    def _header(self, handle: int) -> str | None:
        """The first record as text: it is read again, for what it says must not be written down by us unmasked."""
        assert self.source is not None
        base = self._base
        source = self.source.model_copy(update={"encoding": base.encoding})
        cutter = Cutter(base.name, source, self._limits)
        packed = Packed(handle) if self._packed else None
        header: str | None = None
        while cutter.taken < base.offset:
            wanted = min(1 << 16, base.offset - cutter.taken)
            block = packed.read(wanted) if packed else os.pread(handle, wanted, cutter.taken)
            if not block:
                break
            ended = cutter.taken + len(block) == base.offset
            for piece in (*cutter.feed(block), *cutter.flush(settled=ended)):
                header = piece.header
                if header != "":  # else all lines so far were blank
                    return header
        return header

    def refresh(self, now: float) -> bool:
        """See whether its open file grew.

        Returns:
            Whether the bytes before what is to be read are still those that were read.
        """
        if self.handle is None or self._cutter is None or self._packed is not None:
            return True
        try:
            return self._refresh(os.fstat(self.handle), self._cutter, now)
        except OSError as error:  # the file system went away; the file is opened again once it is back
            self.trouble = error
            self.detach()
            return True

    def _refresh(self, found: os.stat_result, cutter: Cutter, now: float) -> bool:
        base = self._base
        if found.st_size < cutter.taken:
            return False
        if (found.st_size, found.st_mtime_ns) != (base.disk_bytes, base.mtime_ns):
            if not self.intact():
                return False
            if found.st_size != base.disk_bytes:
                self.quiet_since = now
            self.change(
                disk_bytes=found.st_size,
                mtime_ns=found.st_mtime_ns,
                seen_bytes=max(base.seen_bytes, found.st_size),
            )
        self._looked_at = now
        return True

    def intact(self) -> bool:
        """Whether the open plain file still holds the bytes that were read last, or the first ones while none was read."""
        if self.handle is None or self._cutter is None or self._packed is not None:
            return True
        held, start = self._held(self._cutter)
        return os.pread(self.handle, len(held), start) == held

    def _held(self, cutter: Cutter) -> tuple[bytes, int]:
        """Bytes that the plain file must hold still, and where: those read last, or its first while none was read."""
        if not cutter.taken:
            return self.beginning, 0
        held = cutter.last_bytes(TAIL_HASHED)
        return held, cutter.taken - len(held)

    def _unread(self) -> int:
        if self._cutter is None or self.handle is None:
            return 0
        if self._packed is None:
            return max(0, self._base.disk_bytes - self._cutter.taken)
        return 0 if self._packed.ended or self._packed.broken else max(1, self._base.disk_bytes)

    @property
    def unread(self) -> int:
        """Bytes that were seen and not read; for gzip not read to its end, its size on disk."""
        return self._unread()

    @property
    def given(self) -> int:
        """How much of it was given out or is held by the cutter."""
        return self._cutter.taken if self._cutter else self._base.offset

    def read(self, budget_bytes: int) -> tuple[list[Piece], int]:
        """Read on.

        Args:
            budget_bytes: How much at most; above 0.

        Returns:
            Pieces, and how many bytes were read. None of either with bytes unread: the file's bytes changed.
        """
        pieces: list[Piece] = []
        done = 0
        assert self._cutter is not None
        try:
            for block in self._blocks(budget_bytes):
                done += len(block)
                pieces += self._cutter.feed(block)
        except OSError as error:
            self.trouble = error  # what was read before is given all the same
        pieces += self._cutter.flush()
        self._base = replace(self.position, seen_bytes=max(self._base.seen_bytes, self._cutter.taken))
        return pieces, done

    def _blocks(self, budget_bytes: int) -> Iterator[bytes]:
        assert self._cutter is not None
        assert self.handle is not None
        while budget_bytes > 0:
            wanted = min(BLOCK_BYTES, budget_bytes)
            if self._packed is None:
                block = self._plain_block(self.handle, self._cutter, wanted)
            elif self._packed.cursor < self._cutter.taken:
                # What was read before is unzipped again to get past it, at a fraction of what reading costs.
                passed = self._packed.read(min(BLOCK_BYTES, self._cutter.taken - self._packed.cursor))
                budget_bytes -= len(passed) // 16 or wanted
                continue
            else:
                block = self._packed.read(wanted)
            if not block:
                return
            budget_bytes -= len(block)
            yield block

    def _plain_block(self, handle: int, cutter: Cutter, wanted: int) -> bytes:
        # In one call with the bytes that were there: if these changed, the file was emptied and the rest is another's.
        held, start = self._held(cutter)
        data = os.pread(handle, max(len(held), cutter.taken - start + wanted), start)
        return data[cutter.taken - start : cutter.taken - start + wanted] if data.startswith(held) else b""

    def flush(self, ended: bool) -> list[Piece]:
        """Give lines that wait for what may follow.

        Args:
            ended: Nothing follows; a last line without line end is given too. The position stays before it, so that it
                is read again, whole, should it be completed after all.
        """
        if self._cutter is None:
            return []
        if not ended:
            return list(self._cutter.flush(settled=True))
        whole = list(self._cutter.flush(settled=True))
        before = self.position
        rest = list(self._cutter.finish())
        self._base = before if before.offset else self.position
        self._cutter = None
        return whole + rest

    def window(self, offset: int) -> bytes | None:
        """The bytes of its plain file before an offset, up to 4096; None where they cannot be had."""
        if self.handle is not None:
            return None if self._packed else window(self.handle, offset)
        base = self._base
        try:
            handle = os.open(base.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = os.fstat(handle)
            same = (found.st_dev, found.st_ino) == self.inode and not is_gzip(handle)
            return window(handle, offset) if same else None
        finally:
            os.close(handle)

    def label(self) -> str:
        """Its path, for the operator."""
        return shown(self._base.path)
