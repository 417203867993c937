"""From messages of one port to batches in its spool: parse → mask → tokenise before anything reaches the disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from collector import messages
from collector.follow.events import Lines
from collector.reading import Reader
from collector.sources import Source
from collector.spool import batch
from collector.spool.spool import Spool

if TYPE_CHECKING:
    from collector.vault import Vault

_MOST_SPOOLED: Final = 1 << 16


class Writer:
    """Writes the spool of one port; of one thread, but for `forget_entries`.

    Args:
        source: Of what arrives.
        spool: Where batches go.
        key: The spool's name; with a file's number it is the name that positions have.
        reader: Parses; ports of one thread share it.
        vault: Encrypts the ids of new tokens; None without one.
    """

    def __init__(self, source: Source, spool: Spool, key: str, reader: Reader, vault: Vault | None) -> None:
        self._source = source
        self._spool = spool
        self._key = key
        self._reader = reader
        self._vault = vault
        self._spooled: set[int] = set()  # tokens whose entries are in the spool, or were

    def write(self, received: Sequence[bytes], at: datetime, at_last: bool = False) -> None:
        """Parse messages and write down what they say, all or nothing.

        Args:
            received: Without line end, none empty, none with a newline in it.
            at: When the first of them was received, with zone.
            at_last: As in `Spool.reserve`.

        Raises:
            SpoolFull: There is no room. Nothing is remembered of them: they may be given again.
        """
        at_ms = int(at.astimezone(UTC).timestamp() * 1000)
        place = self._spool.reserve(at_ms, at_last=at_last)
        data = b"\n".join([*received, b""])
        name = file_name(self._key, place.file)
        piece = messages.piece(data, place.offset, name, place.generation, self._source.encoding)
        lines = Lines(self._source, name, piece, False)
        parsed = self._reader.parsed(lines, at)
        entries, new = self._entries(parsed.ids)
        packed = batch.pack(len(received), parsed.events, parsed.rejected, entries)
        self._spool.append(place, packed, len(data), at_ms)
        self._reader.remember(lines, parsed)
        self._spooled.update(new)

    def forget_entries(self) -> None:
        """Something of the spool was lost, and entries may have been in it: make those of tokens to come again."""
        self._spooled.clear()

    def _entries(self, ids: pl.DataFrame | None) -> tuple[list[bytes], list[int]]:
        if self._vault is None or ids is None:
            return [], []
        if len(self._spooled) > _MOST_SPOOLED:
            self._spooled.difference_update(self._vault.known(frozenset(self._spooled)))
        return self._vault.entries(ids, self._spooled)


def file_name(key: str, file: int) -> str:
    """The name that positions have for a spool file."""
    return f"{key}/{file:08d}"
