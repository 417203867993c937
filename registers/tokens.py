"""Keyed tokens: ids of people on file never leave the agent as they are, yet join with the registers (design §5, §9).

A token is a prefix and 64 bits of HMAC-SHA256 over the normalised id, under a sub-key of the site's key. 64 bits keep
a million people apart with a chance of 3e-8 that any two share a token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from registers.text import normalise_id

_ENOUGH_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[shrp]_[0-9a-f]{16}")
TOKEN_PATTERN: Final = rf"^{_TOKEN.pattern}$"


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


def _mac(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA256 under one key; with both hash states prepared it takes half the time of `hmac.digest` (RFC 2104, section 4)."""
    block = key.ljust(64, b"\0")  # sub-keys have 32 bytes, so none needs to be hashed first
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(message: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(message)
        second.update(first.digest())
        return second.digest()

    return mac


def _tokens(raw: pl.Series, key: SiteKey, purpose: str, prefix: str, already: bool, strip_zeros: bool) -> pl.Series:
    name = raw.name
    frame = raw.cast(pl.String).to_frame("raw").with_columns(id=normalise_id(pl.col("raw"), strip_zeros))
    ids = frame.get_column("id").drop_nulls().unique().sort()
    mac = _mac(key.derive(purpose))
    tokens = [
        text if already and _TOKEN.fullmatch(text) else prefix + mac(text.encode())[:8].hex() for text in ids.to_list()
    ]
    if ids.is_empty():
        return pl.Series(name, [None] * len(raw), dtype=pl.String)
    found = frame.get_column("id").replace_strict(ids, pl.Series(tokens, dtype=pl.String), default=None)
    return found.cast(pl.String).alias(name)


def event_ids(source_id: str, generation: str, offsets: pl.Series, lines: pl.Series, key: SiteKey) -> pl.Series:
    """Ids of events: the same line at the same place of the same file gives the same id on every replay.

    First 16 hex digits of HMAC-SHA256 over source id, generation, offset and line, each with its length in front, so that
    no two different sets of parts can spell the same bytes.

    Args:
        source_id: Id of the log source.
        generation: Hash of the file's first complete line.
        offsets: Integer series: place of each line in the uncompressed generation, bytes from 0.
        lines: Binary series: the lines' bytes as in the file, without line end, one per offset, none null; or String, then their
            UTF-8, which is the same only for files in UTF-8.
        key: The site's key.

    Returns:
        String series `event.id`, one per line.

    Raises:
        ValueError: The series differ in length.
    """
    if len(offsets) != len(lines):
        raise ValueError(f"{len(offsets)} offsets for {len(lines)} lines")
    mac = _mac(key.derive("event"))
    head = b"".join(len(part).to_bytes(4, "big") + part for part in (source_id.encode(), generation.encode()))
    head += (8).to_bytes(4, "big")
    ids = [
        mac(b"%b%b%b%b" % (head, at.to_bytes(8, "big"), len(data).to_bytes(4, "big"), data))[:8].hex()
        for at, data in zip(offsets.to_list(), lines.cast(pl.Binary).to_list(), strict=True)
    ]
    return pl.Series("event.id", ids, dtype=pl.String)


def raw_macs(lines: pl.Series, key: SiteKey) -> pl.Series:
    """`raw.mac`: 64 hex digits of HMAC-SHA256 over each raw line.

    Args:
        lines: Binary series of the lines' bytes without line end, or String (then their UTF-8); nulls stay null.
        key: The agent's key, or the site's where there is no agent.

    Returns:
        String series `raw.mac`, one per line.
    """
    mac = _mac(key.derive("raw"))
    macs = [None if line is None else mac(line).hex() for line in lines.cast(pl.Binary).to_list()]
    return pl.Series("raw.mac", macs, dtype=pl.String)
