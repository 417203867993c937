"""New tokens go into the vault with their ids, each once; the agent itself holds no key that could open it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector import vault_entry
from collector.config import Config
from collector.follow.events import Gap, Lag, Lines
from collector.vault_entry import Entry
from contract.partition import partition_of
from contract.sealed import Record
from service.durable import write_all

RECORD_BYTES: Final = 256 << 10
READ_BYTES: Final = 4 << 20  # sent in one turn
_MERGE: Final = 1 << 16
_log = logging.getLogger(__name__)


class Vault:
    """The file, which tokens are in it, and what of it the topic has.

    The order is what loses nothing: `take`, `write` (on the disk), then may the events be sent; `records` for the topic
    follow the file, up to a place that stands in the checkpoint. All of it is one thread's, but for `entries` and `known`:
    ids that come by syslog are encrypted where it is received, wait in the spool as entries, and come back to `take_entries`.

    Args:
        path: The file; made if missing. Beside it, with `.seen` behind its name, are the tokens that are in it.
        recipients: age recipients; all their keys are needed to open what is written from now on.
        agent: `agent.id`.
        start: What `positions` gave when the checkpoint was written; empty at the first start.
        clock: The time with zone.

    Raises:
        VaultError: The recipients cannot be used.
        OSError: The files cannot be read or made.
    """

    def __init__(
        self,
        path: Path,
        recipients: Sequence[str],
        agent: str,
        start: Mapping[str, Any],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        vault_entry.check(recipients)
        self._path = path
        self._recipients = tuple(recipients)
        self._agent = agent
        self._clock = clock
        self._pending: dict[str, str] = {}
        self._spooled: dict[bytes, tuple[str, ...]] = {}  # entries of a spool, with those of their tokens that are new
        self._fresh: set[int] = set()
        self._troubles: dict[str, str] = {}
        self._count = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._size = _mended(path)
        self._seen = _read_seen(_beside(path))
        # A file that is shorter than what was sent is another file: all of it is sent.
        sent = int(start.get("sent_bytes", 0))
        self._sent = sent if sent <= self._size else 0

    def take(self, ids: pl.DataFrame) -> None:
        """Remember those pairs whose token is new.

        Args:
            ids: `token` and `id`, from `collector.parse.Parsed.ids`.
        """
        for _, token, raw in self._new(ids):
            self._pending.setdefault(token, raw)

    def entries(self, ids: pl.DataFrame, but: Collection[int]) -> tuple[list[bytes], list[int]]:
        """Entries of those pairs whose token is new, for the spool; may be called from another thread.

        Args:
            ids: As for `take`.
            but: Numbers of tokens whose entries are in that spool already.

        Returns:
            Lines of the file, and the numbers of their tokens.
        """
        new = [(number, (token, raw)) for number, token, raw in self._new(ids) if number not in but]
        return self._sealed([pair for _, pair in new]), [number for number, _ in new]

    def known(self, numbers: Collection[int]) -> set[int]:
        """Those of some tokens' numbers that are in the file; may be called from another thread."""
        fresh, seen = self._fresh, self._seen  # in this order: what leaves the one is in the other by then
        found = {number for number in numbers if number in fresh}
        if len(seen):
            some = np.fromiter(numbers, dtype=np.uint64, count=len(numbers))
            places = np.searchsorted(seen, some).clip(0, len(seen) - 1)
            found.update(some[seen[places] == some].tolist())
        return found

    def take_entries(self, lines: Sequence[bytes]) -> None:
        """Remember entries that come out of a spool, but for those of which every token is in the file already."""
        for line in lines:
            tokens = Entry.from_line(line).tokens
            numbers = _numbers(pl.Series(tokens, dtype=pl.String)).tolist()
            known = self.known(numbers)
            new = tuple(token for number, token in zip(numbers, tokens, strict=True) if number not in known)
            if new:
                self._spooled[line] = new

    def _new(self, ids: pl.DataFrame) -> Iterator[tuple[int, str, str]]:
        """Number, token and id of the pairs whose token is not in the file."""
        if ids.is_empty():
            return
        numbers = _numbers(ids.get_column("token")).tolist()
        known = self.known(numbers)
        for number, (token, raw) in zip(numbers, ids.select("token", "id").rows(), strict=True):
            if number not in known:
                yield number, token, raw

    def write(self) -> bool:
        """Put what was taken on the disk.

        Returns:
            Whether nothing is left to write. While it is, no event may be sent: its token might stand for an id that
            nobody could ever find.
        """
        if not self._pending and not self._spooled:
            return True
        try:
            self._append([*self._sealed(list(self._pending.items())), *self._spooled])
        except OSError as error:
            advice = "make room or mend it; nothing is sent until then"
            self._troubles["write"] = f"vault: {self._path}: cannot be written ({error.strerror}): {advice}"
            return False
        self._troubles.pop("write", None)
        written = list(self._pending.keys() | {token for tokens in self._spooled.values() for token in tokens})
        self._count += len(written)
        self._mark(sorted(written))
        self._pending, self._spooled = {}, {}
        return True

    def records(self, topic: str, partitions: int, at_ms: int) -> list[Record]:
        """What is in the file and was not sent yet, for the vault's own topic, up to a bound.

        Args:
            topic: The topic.
            partitions: How many it has, at least 1.
            at_ms: Now, UTC ms.
        """
        if self._sent >= self._size:
            return []
        try:
            with self._path.open("rb") as file:
                file.seek(self._sent)
                data = file.read(min(READ_BYTES, self._size - self._sent))
        except OSError as error:
            advice = "the topic gets no copy until then"
            self._troubles["read"] = f"vault: {self._path}: cannot be read ({error.strerror}): {advice}"
            return []
        self._troubles.pop("read", None)
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        place, key = partition_of(self._agent, partitions), self._agent.encode()
        self._sent += sum(map(len, lines))
        return [Record(topic, place, value, [], at_ms, key) for value in _packed(lines)]

    def positions(self) -> dict[str, Any]:
        """Up to where the file was handed out by `records`, for the checkpoint."""
        return {"sent_bytes": self._sent}

    def new_tokens(self) -> int:
        """How many tokens were written since the last call."""
        count, self._count = self._count, 0
        return count

    def held(self) -> bool:
        """Nothing waits for its turn."""
        return False

    def troubles(self) -> list[str]:
        """What needs a person, one line each."""
        return list(self._troubles.values())

    # The main loop treats the vault like an input, of which nothing is ever read.

    def poll(self, budget_bytes: int) -> list[Lines | Gap]:
        """Nothing."""
        return []

    def forget(self, positions: Mapping[str, Any]) -> None:
        """Nothing is deleted from a vault."""

    def lag(self) -> list[Lag]:
        """Nothing."""
        return []

    def close(self) -> None:
        """Nothing is held open."""

    def _sealed(self, pairs: Sequence[tuple[str, str]]) -> list[bytes]:
        at = self._clock().astimezone(UTC)
        groups = [pairs[start : start + vault_entry.TOKENS] for start in range(0, len(pairs), vault_entry.TOKENS)]
        return [vault_entry.sealed(group, self._recipients, self._agent, at).to_line() for group in groups]

    def _append(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        # Somebody may have moved the file away to keep it elsewhere; then a new one begins.
        before, self._size = self._size, _mended(self._path)
        if self._size < before:
            if self._sent < before:
                _log.warning("vault: %s was put away before the topic had all of it", self._path)
            self._sent = 0
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _write_at(handle, data, self._size)
        finally:
            os.close(handle)
        self._size += len(data)

    def _mark(self, written: Sequence[str]) -> None:
        """Remember what is in the file. If that cannot be written, a later start puts some in twice, which costs space only."""
        numbers = _numbers(pl.Series(written, dtype=pl.String))
        self._fresh.update(numbers.tolist())
        if len(self._fresh) >= _MERGE:
            self._seen = np.union1d(self._seen, np.fromiter(self._fresh, dtype=np.uint64))
            self._fresh = set()
        path = _beside(self._path)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                # Another program's half record would shift all that follow.
                if torn := os.fstat(handle).st_size % 8:
                    os.ftruncate(handle, os.fstat(handle).st_size - torn)
                os.write(handle, numbers.astype("<u8").tobytes())
            finally:
                os.close(handle)
        except OSError as error:
            _log.warning("vault: %s cannot be written (%s): some tokens may get there twice", path, error.strerror)


def open_vault(config: Config, start: Mapping[str, Any], clock: Callable[[], datetime]) -> Vault | None:
    """The vault that a configuration asks for; None if it asks for none. Else as `Vault`."""
    if config.vault is None:
        return None
    path = config.vault.file or config.agent.state_dir / "vault"
    return Vault(path, config.vault.recipients, config.agent.id, start, clock)


def _numbers(tokens: pl.Series) -> NDArray[np.uint64]:
    """The 64 bits of each token. Two kinds of token sharing theirs is as likely as two people sharing a token."""
    return tokens.str.slice(2).str.to_integer(base=16, dtype=pl.UInt64).to_numpy()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".seen")


def _read_seen(path: Path) -> NDArray[np.uint64]:
    data = path.read_bytes() if path.exists() else b""
    return np.unique(np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8").astype(np.uint64))


def _mended(path: Path) -> int:
    """The length of the file's whole lines; half a line that a power cut left is written over.

    Its tokens are not among those that are known to be in the file, and its events were never sent.
    """
    if not path.exists():
        return 0
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _write_at(handle: int, data: bytes, at: int) -> None:
    """Write all or nothing, and have the disk keep it."""
    try:
        os.ftruncate(handle, at)
        write_all(handle, data, at)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, at)
        raise


def _packed(lines: Sequence[bytes]) -> list[bytes]:
    packs: list[list[bytes]] = []
    size = RECORD_BYTES
    for line in lines:
        if size + len(line) > RECORD_BYTES:
            packs.append([])
            size = 0
        packs[-1].append(line)
        size += len(line)
    return [b"".join(pack) for pack in packs]
