"""Keyed tokens: ids of people on file never leave the agent as they are, yet join with the registers (design §5, §9).

A token is a prefix and 64 bits of HMAC-SHA256 over the normalised id, under a sub-key of the site's key. 64 bits keep
a million people apart with a chance of 3e-8 that any two share a token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import add
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from registers.text import normalise_id

_ENOUGH_BYTES: Final = 16
_MOST_KNOWN: Final = 1 << 16
_AT_ONCE: Final = 2000
_TOKEN: Final = re.compile(r"[shrp]_[0-9a-f]{16}")
TOKEN_PATTERN: Final = rf"^{_TOKEN.pattern}$"


class _State(Protocol):
    """A hash that goes on."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class KeyFileError(ValueError):
    """The key file cannot be used; the message says which, why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class SiteKey:
    """The site's secret. Who holds it could enumerate all tokens, so it is never shown, logged or written.

    Attributes:
        secret: The bytes of the key, at least one.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secret:
            raise ValueError("a site key cannot be empty")

    @classmethod
    def read(cls, path: Path) -> SiteKey:
        """Read a key file: hex digits (with or without line end) or raw bytes.

        Raises:
            KeyFileError: It is missing, unreadable or empty.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise KeyFileError(f"{path.name}: key file cannot be read ({reason}): put the site's key there") from None
        text = data.strip()
        if re.fullmatch(rb"(?:[0-9A-Fa-f]{2})+", text):
            secret = bytes.fromhex(text.decode("ascii"))
        else:
            # A pass phrase typed into an editor ends in a line end that is no part of it; random bytes do not.
            secret = data.rstrip(b"\r\n") if data.isascii() else data
        if not secret:
            raise KeyFileError(f"{path.name}: key file is empty: write at least 32 hex digits (openssl rand -hex 32)")
        return cls(secret)

    def derive(self, purpose: str) -> bytes:
        """Sub-key of 32 bytes for one purpose, so that what is published for one says nothing about another."""
        return hmac.digest(self.secret, b"sekimori/" + purpose.encode(), "sha256")

    @property
    def is_short(self) -> bool:
        """Whether it has under 16 bytes: usable, but who knows a token and its id could find it by trying."""
        return len(self.secret) < _ENOUGH_BYTES

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell keys apart and reveal nothing."""
        return self.derive("fingerprint")[:8].hex()


def subject_tokens(raw: pl.Series, key: SiteKey, *, already: bool = False, strip_zeros: bool = False) -> pl.Series:
    """Tokens of people on file: `s_` and 16 hex digits.

    Args:
        raw: String series of raw ids.
        key: The site's key.
        already: Keep values that already look like a token.
        strip_zeros: The source pads ids with zeros that the registers do not have.

    Returns:
        String series of the same name and length; null where the id is null or blank.
    """
    return _tokens(raw, key, "subject", "s_", already, strip_zeros)


def household_tokens(raw: pl.Series, key: SiteKey, *, already: bool = False, strip_zeros: bool = False) -> pl.Series:
    """Tokens of households: `h_` and 16 hex digits; arguments as in `subject_tokens`."""
    return _tokens(raw, key, "household", "h_", already, strip_zeros)


def record_tokens(raw: pl.Series, key: SiteKey, *, already: bool = False, strip_zeros: bool = False) -> pl.Series:
    """Tokens of records (`resource.id`): `r_` and 16 hex digits; arguments as in `subject_tokens`."""
    return _tokens(raw, key, "record", "r_", already, strip_zeros)


def payee_tokens(raw: pl.Series, key: SiteKey, *, already: bool = False, strip_zeros: bool = False) -> pl.Series:
    """Tokens of accounts paid to: `p_` and 16 hex digits; arguments as in `subject_tokens`."""
    return _tokens(raw, key, "payee", "p_", already, strip_zeros)


def _states(key: bytes, head: bytes = b"") -> tuple[Callable[[], _State], Callable[[], _State]]:
    """What gives HMAC-SHA256's inner and outer hash state, with the key in them (RFC 2104, section 4).

    With both prepared a message takes half the time of `hmac.digest`.

    Args:
        key: A sub-key; those have 32 bytes, so none needs to be hashed first.
        head: What every message begins with.
    """
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + head)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    return inner.copy, outer.copy


def _macs(key: bytes, messages: Iterable[bytes], head: bytes = b"") -> list[bytes]:
    """HMAC-SHA256 of many messages under one key, 32 bytes each; arguments as in `_states`, messages without the head."""
    begin, end = _states(key, head)
    digests = []
    for message in messages:
        # One state at a time under one name: the memory of the former is at hand for the next.
        state = begin()
        state.update(message)
        hashed = state.digest()
        state = end()
        state.update(hashed)
        digests.append(state.digest())
    return digests


class _Known:
    """Tokens by raw id: the same people come again and again, and a look-up takes a tenth of making a token.

    Polars numbers the ids that it has seen, and the tokens stand in the order of these numbers: so a column is looked up in
    a third of the time that a `dict` takes.
    """

    def __init__(self, key: bytes, prefix: str, already: bool, strip_zeros: bool) -> None:
        self._key, self._prefix, self._already, self._strip_zeros = key, prefix, already, strip_zeros
        # The agent parses syslog and files in two threads, and no token may get another's number.
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        # A numbering lives as long as any series of it does.
        self._numbered = pl.Series([], dtype=pl.Categorical(pl.Categories.random()))
        self._tokens = pl.Series([], dtype=pl.String)

    def tokens(self, raw: pl.Series) -> pl.Series:
        """The token of each raw id, null where there is none."""
        with self._lock:
            return self._looked_up(raw)

    def _looked_up(self, raw: pl.Series) -> pl.Series:
        if len(self._tokens) > _MOST_KNOWN:
            self._forget()
        ids = raw.cast(pl.String).cast(self._numbered.dtype)
        numbers = ids.to_physical()
        known, highest = len(self._tokens), numbers.max()
        if isinstance(highest, int) and highest >= known:
            new = ids.filter(numbers >= known).unique()
            made = pl.Series([None], dtype=pl.String).new_from_index(0, highest + 1 - known)
            made = made.scatter(new.to_physical() - known, self._made(new.cast(pl.String)))
            self._tokens = pl.concat([self._tokens, made], rechunk=True)
        return self._tokens.gather(numbers).alias(raw.name)

    def _made(self, raw: pl.Series) -> pl.Series:
        ids = raw.to_frame("raw").select(normalise_id(pl.col("raw"), self._strip_zeros)).to_series().to_list()
        macs = _macs(self._key, [(text or "").encode() for text in ids])
        return pl.Series(
            [
                text if text is None or (self._already and _TOKEN.fullmatch(text)) else self._prefix + mac[:8].hex()
                for text, mac in zip(ids, macs, strict=True)
            ],
            dtype=pl.String,
        )


@lru_cache(maxsize=16)
def _known(key: bytes, prefix: str, already: bool, strip_zeros: bool) -> _Known:
    return _Known(key, prefix, already, strip_zeros)


def _tokens(raw: pl.Series, key: SiteKey, purpose: str, prefix: str, already: bool, strip_zeros: bool) -> pl.Series:
    if raw.null_count() == len(raw):
        return raw.cast(pl.String)
    return _known(key.derive(purpose), prefix, already, strip_zeros).tokens(raw)


def event_ids(
    source_id: str, generation: str, offsets: pl.Series, lines: pl.Series | list[bytes], key: SiteKey
) -> pl.Series:
    """Ids of events: the same line at the same place of the same file gives the same id on every replay.

    First 16 hex digits of HMAC-SHA256 over source id, generation, offset and line, each with its length in front, so that
    no two different sets of parts can spell the same bytes.

    Args:
        source_id: Id of the log source.
        generation: Hash of the file's first complete line.
        offsets: Integer series: place of each line in the uncompressed generation, bytes from 0.
        lines: Binary series: the lines' bytes as in the file, without line end, one per offset, none null; or String, then their
            UTF-8, which is the same only for files in UTF-8; or the bytes as a list.
        key: The site's key.

    Returns:
        String series `event.id`, one per line.

    Raises:
        ValueError: The series differ in length.
    """
    raws = lines if isinstance(lines, list) else lines.cast(pl.Binary).to_list()
    sizes = pl.Series(np.fromiter(map(len, raws), dtype=np.int64, count=len(raws)))
    begins = _begins(offsets, sizes).tolist()
    macs = _macs(key.derive("event"), map(add, begins, raws), _head(source_id, generation))
    return _ids_of(pl.Series("event.id", macs, dtype=pl.Binary))


def _head(source_id: str, generation: str) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in (source_id.encode(), generation.encode()))


def _begins(offsets: pl.Series, sizes: pl.Series) -> NDArray[np.void]:
    """What stands before each line where its id is made: its offset, and its size."""
    if len(offsets) != len(sizes):
        raise ValueError(f"{len(offsets)} offsets for {len(sizes)} lines")
    begins = np.empty(len(sizes), dtype=[("eight", ">u4"), ("offset", ">u8"), ("size", ">u4")])
    begins["eight"], begins["offset"], begins["size"] = 8, offsets.to_numpy(), sizes.to_numpy()
    return begins.view("V16")


def _ids_of(macs: pl.Series) -> pl.Series:
    return macs.to_frame().select(pl.all().bin.head(8).bin.encode("hex")).to_series()


def ids_and_macs(
    source_id: str, generation: str, offsets: pl.Series, lines: pl.Series, key: SiteKey
) -> tuple[pl.Series, pl.Series]:
    """`event_ids` and `raw_macs` of the same lines at once, which takes a fifth less: both are made while a line is at hand.

    Args:
        source_id, generation, offsets, key: As in `event_ids`.
        lines: Binary series, none null.

    Returns:
        String series `event.id` and `raw.mac`.

    Raises:
        ValueError: The series differ in length.
    """
    begin_id, end_id = _states(key.derive("event"), _head(source_id, generation))
    begin_mac, end_mac = _states(key.derive("raw"))
    begins = _begins(offsets, lines.bin.size())
    ids, macs = [pl.Series("event.id", [], dtype=pl.Binary)], [pl.Series("raw.mac", [], dtype=pl.Binary)]
    # Lists of a few lines stay in the processor's cache, and their memory is at hand for the next.
    for first in range(0, len(lines), _AT_ONCE):
        some_ids, some_macs = [], []
        for begin, line in zip(
            begins[first : first + _AT_ONCE].tolist(), lines[first : first + _AT_ONCE].to_list(), strict=True
        ):
            state = begin_id()
            state.update(begin)
            state.update(line)
            hashed = state.digest()
            state = end_id()
            state.update(hashed)
            some_ids.append(state.digest())
            state = begin_mac()
            state.update(line)
            hashed = state.digest()
            state = end_mac()
            state.update(hashed)
            some_macs.append(state.digest())
        ids.append(pl.Series("event.id", some_ids, dtype=pl.Binary))
        macs.append(pl.Series("raw.mac", some_macs, dtype=pl.Binary))
    return _ids_of(pl.concat(ids, rechunk=True)), pl.concat(macs, rechunk=True).bin.encode("hex")


def raw_macs(lines: pl.Series | list[bytes], key: SiteKey) -> pl.Series:
    """`raw.mac`: 64 hex digits of HMAC-SHA256 over each raw line.

    Args:
        lines: Binary series of the lines' bytes without line end, or String (then their UTF-8), nulls stay null; or the bytes as
            a list.
        key: The agent's key, or the site's where there is no agent.

    Returns:
        String series `raw.mac`, one per line.
    """
    raws = lines if isinstance(lines, list) else lines.cast(pl.Binary).drop_nulls().to_list()
    macs = pl.Series("raw.mac", _macs(key.derive("raw"), raws), dtype=pl.Binary).bin.encode("hex")
    if isinstance(lines, list) or not lines.null_count():
        return macs
    return macs.gather(_places(lines.is_not_null()))


def _places(there: pl.Series) -> pl.Series:
    """For each row the number of trues before it where it is true, else null."""
    return there.to_frame("there").select(pl.when("there").then(pl.col("there").cum_sum() - 1)).to_series()
