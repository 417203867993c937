"""How a spool file is laid out.

A sender of syslog keeps no copy, so what was received is written down before Kafka has it: as batches of events and refused
lines (`collector.spool.batch`), parsed, masked and tokenised. Each file is encrypted all the same, under a key that only who
holds the site key can derive: a stolen disk or a backup without it does not even show who was at work.

A file begins with a line in the clear that no other file has; it says how long the file before is, so that a missing
file is noticed. Frames follow: kind, number, time of receipt, length, how many bytes of messages it stands for, and the
batch, sealed by ChaCha20-Poly1305 (RFC 8439) with the number as nonce. A file is never opened for writing twice, nor
shortened and then written on, so no nonce is used twice. Offsets count the first line and the messages as they were
received, each with a newline behind it, as if the file were plain.

Files of version 1 hold messages as they came; they are read to their end and no longer written.
"""

from __future__ import annotations

import hmac
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

LossReason = Literal["spool_full", "too_long", "receive_buffer", "spool_damaged", "spool_missing"]
BATCH: Final = b"B"
LOSS: Final = b"G"
LINES: Final = b"L"  # of version 1
VERSION: Final = 2

# Kind, number in the file, time of receipt in UTC milliseconds, bytes of text; then bytes of the messages it stands for.
_HEADS: Final = {1: struct.Struct(">cQQI"), VERSION: struct.Struct(">cQQII")}
_KINDS: Final = {1: (LINES, LOSS), VERSION: (BATCH, LOSS)}
_TAG_BYTES: Final = 16
_FIRST: Final = re.compile(rb"sekimori-spool ([12]) ([0-9a-f]{32}) after ([0-9]{1,15})\n")


@dataclass(frozen=True, slots=True)
class SpoolPosition:
    """A place between two frames.

    Attributes:
        file: Number of the spool file.
        generation: Its identity, as of any other file.
        at: Bytes of the file before this place.
        frame: Frames before it.
        offset: Bytes of messages before it, the first line included: what `source.position` counts in.
    """

    file: int
    generation: str
    at: int
    frame: int
    offset: int

    def to_json(self) -> dict[str, Any]:
        """As an object for the checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Back from the checkpoint.

        Raises:
            ValueError: It is no such object.
        """
        kinds = {"file": int, "generation": str, "at": int, "frame": int, "offset": int}
        if not isinstance(value, dict) or any(type(value.get(name)) is not kind for name, kind in kinds.items()):
            raise ValueError("the checkpoint holds something else than a place in a spool")
        return cls(**{name: value[name] for name in kinds})


@dataclass(frozen=True, slots=True)
class Batch:
    """What `collector.spool.batch.pack` made of some messages; `size` bytes of messages, and the place behind them."""

    data: bytes
    size: int
    after: SpoolPosition


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages of a file of version 1: `data` begins at `offset` and ends with a newline; `after` is the place behind it."""

    offset: int
    data: bytes
    after: SpoolPosition


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is not there: never received whole (the listener says so), or no longer in the spool.

    Attributes:
        file, generation: Number of the spool file, and its identity; empty if nobody knows it.
        first, last: Offsets of the first and last byte that are missing; `last` is None where that is unknown, and
            before `first` where the loss lies between two messages.
        reason: `spool_full`: no room on the disk. `too_long`: cut, or broken off by the sender. `receive_buffer`: thrown
            away by the kernel. `spool_damaged`: altered, or torn when the machine stopped. `spool_missing`: a file is gone.
        detail: What is known of it, for people.
        after: The place behind it.
    """

    file: int
    generation: str
    first: int
    last: int | None
    reason: LossReason
    detail: str
    after: SpoolPosition


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was read.

    Attributes:
        kind: `BATCH`, `LINES` or `LOSS`.
        number: Its place among the file's frames, from 0.
        at_ms: When the first of its messages was received.
        size: Bytes it takes in the file.
        messages_size: Bytes of messages it stands for; 0 for a loss.
        text: What it holds; None if it was altered.
    """

    kind: bytes
    number: int
    at_ms: int
    size: int
    messages_size: int
    text: bytes | None


def loss_reason(text: str) -> LossReason:
    """The word of a loss as it was written down; `spool_damaged` for one that this version does not know."""
    return next((known for known in get_args(LossReason) if known == text), "spool_damaged")


def path_of(folder: Path, number: int) -> Path:
    """Where a spool file lies."""
    return folder / f"{number:08d}.spool"


def numbers(folder: Path) -> list[int]:
    """Numbers of the spool files there are, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.spool") if path.stem.isascii() and path.stem.isdigit())


def first_line(before_bytes: int) -> bytes:
    """The first line of a new file, with its end; `before_bytes` is the length of the file before, 0 if there is none."""
    return f"sekimori-spool {VERSION} {os.urandom(16).hex()} after {before_bytes}\n".encode()


def read_first_line(path: Path) -> bytes:
    """The first line of a file with its end; empty if there is no file or it does not begin like a spool.

    Raises:
        OSError: It cannot be read now, whatever it holds.
    """
    found = _FIRST.match(slice_of(path, 0, 256))
    return found[0] if found else b""


def before_bytes(first: bytes) -> int:
    """How long the file before is, as a first line says."""
    found = _FIRST.match(first)
    return int(found[3]) if found else 0


def version(first: bytes) -> int:
    """The version of the file that begins with a line."""
    found = _FIRST.match(first)
    return int(found[1]) if found else VERSION


def cipher(secret: bytes, first: bytes) -> ChaCha20Poly1305:
    """The cipher of the file that begins with a line; each file has a key of its own."""
    return ChaCha20Poly1305(hmac.digest(secret, first, "sha256"))


def pack(kind: bytes, number: int, at_ms: int, text: bytes, messages_size: int, key: ChaCha20Poly1305) -> bytes:
    """The bytes of a frame, in the present version."""
    head = _HEADS[VERSION].pack(kind, number, at_ms, len(text), messages_size)
    return head + key.encrypt(number.to_bytes(12, "big"), text, head)


def unpack(data: bytes, key: ChaCha20Poly1305, number: int, version: int = VERSION) -> Iterator[Frame]:
    """The whole frames at the beginning of some bytes, up to the first that cannot be one or is cut off.

    Args:
        data: Bytes of a spool file from the beginning of a frame on.
        key: The file's cipher.
        number: Of the frame that comes next; a smaller one is no frame but an old one put there again.
        version: The file's.
    """
    form = _HEADS[version]
    at = 0
    while at + form.size <= len(data):
        kind, found, at_ms, length, *rest = form.unpack_from(data, at)
        start = at + form.size
        end = start + length + _TAG_BYTES
        if kind not in _KINDS[version] or found < number or end > len(data):
            return
        try:
            text = key.decrypt(found.to_bytes(12, "big"), data[start:end], data[at:start])
        except InvalidTag:
            text = None
        messages_size = rest[0] if rest else length if kind == LINES else 0
        yield Frame(kind, found, at_ms, end - at, messages_size, text)
        number, at = found + 1, end


def frame_bytes(data: bytes, version: int) -> int:
    """How many bytes the frame takes that some bytes begin with, as its head says; 0 where there is no whole head."""
    form = _HEADS[version]
    return form.size + int(form.unpack_from(data)[3]) + _TAG_BYTES if len(data) >= form.size else 0


def received_ms(path: Path, at: int) -> int | None:
    """When the messages of the frame at a place were received, UTC milliseconds; None if there is no frame; else as above."""
    head = slice_of(path, at, _HEADS[1].size)  # the versions begin alike
    return int(_HEADS[1].unpack(head)[2]) if len(head) == _HEADS[1].size else None


def slice_of(path: Path, at: int, size: int) -> bytes:
    """Some bytes of a file; fewer where it ends, none where there is no file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(handle, size, at)
    finally:
        os.close(handle)
