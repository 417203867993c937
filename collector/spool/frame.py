"""How a spool file is laid out.

A sender of syslog keeps no copy, so what was received is written down before it is parsed. My Numbers are masked by
then (`collector.masking`). Raw ids of people would still lie on the disk; each file is therefore encrypted under a key that
only who holds the site key can derive, and who holds that could turn tokens back anyway (design §5). A stolen disk or a
backup without the site key shows nothing.

A file begins with a line in the clear that no other file has; it says how long the file before is, so that a missing
file is noticed. Frames follow: kind, number, time of receipt, length, and the lines, sealed by ChaCha20-Poly1305
(RFC 8439) with the number as nonce. A file is never opened for writing twice, nor shortened and then written on, so no
nonce is used twice. Offsets count the first line and the decrypted lines, as if all of it were plain.
"""

from __future__ import annotations

import hmac
import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

LossReason = Literal["spool_full", "too_long", "receive_buffer", "spool_damaged", "spool_missing"]
LINES: Final = b"L"
LOSS: Final = b"G"
TEXT_BYTES: Final = 1 << 20  # a frame holds no more, unless it is a single line
FRAME_BYTES: Final = 4 << 20  # no frame is longer; a length beyond it is damage

_HEAD: Final = struct.Struct(">cQQI")  # kind, number in the file, time of receipt in UTC milliseconds, bytes of text
_TAG_BYTES: Final = 16
_FIRST: Final = re.compile(rb"sekimori-spool 1 ([0-9a-f]{32}) after ([0-9]{1,15})\n")


@dataclass(frozen=True, slots=True)
class SpoolPosition:
    """A place between two frames.

    Attributes:
        file: Number of the spool file.
        generation: Its identity, as of any other file.
        at: Bytes of the file before this place.
        frame: Frames before it.
        offset: Bytes of lines before it, the first line included: what `source.position` counts in.
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
class Chunk:
    """Lines of one spool file: `data` begins at `offset` and ends with a newline; `after` is the place behind it."""

    offset: int
    data: bytes
    after: SpoolPosition


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is not there: never received whole (the listener says so), or no longer in the spool.

    Attributes:
        file, generation: Number of the spool file, and its identity; empty if nobody knows it.
        first, last: Offsets of the first and last byte that are missing; `last` is None where that is unknown, and
            before `first` where the loss lies between two lines.
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
        kind: `LINES` or `LOSS`.
        number: Its place among the file's frames, from 0.
        at_ms: When its lines were received.
        size: Bytes it takes in the file.
        text_size: Bytes of its text.
        text: Its text; None if it was altered.
    """

    kind: bytes
    number: int
    at_ms: int
    size: int
    text_size: int
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
    return f"sekimori-spool 1 {os.urandom(16).hex()} after {before_bytes}\n".encode()


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
    return int(found[2]) if found else 0


def cipher(secret: bytes, first: bytes) -> ChaCha20Poly1305:
    """The cipher of the file that begins with a line; each file has a key of its own."""
    return ChaCha20Poly1305(hmac.digest(secret, first, "sha256"))


def pack(kind: bytes, number: int, at_ms: int, text: bytes, key: ChaCha20Poly1305) -> bytes:
    """The bytes of a frame."""
    head = _HEAD.pack(kind, number, at_ms, len(text))
    return head + key.encrypt(number.to_bytes(12, "big"), text, head)


def unpack(data: bytes, key: ChaCha20Poly1305, number: int) -> Iterator[Frame]:
    """The whole frames at the beginning of some bytes, up to the first that cannot be one or is cut off.

    Args:
        data: Bytes of a spool file from the beginning of a frame on.
        key: The file's cipher.
        number: Of the frame that comes next; a smaller one is no frame but an old one put there again.
    """
    at = 0
    while at + _HEAD.size <= len(data):
        kind, found, at_ms, length = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        end = start + length + _TAG_BYTES
        if kind not in (LINES, LOSS) or found < number or end - at > FRAME_BYTES or end > len(data):
            return
        try:
            text = key.decrypt(found.to_bytes(12, "big"), data[start:end], data[at:start])
        except InvalidTag:
            text = None
        yield Frame(kind, found, at_ms, end - at, length, text)
        number, at = found + 1, end


def received_ms(path: Path, at: int) -> int | None:
    """When the lines of the frame at a place were received, UTC milliseconds; None if there is no frame; else as above."""
    head = slice_of(path, at, _HEAD.size)
    return int(_HEAD.unpack(head)[2]) if len(head) == _HEAD.size else None


def batches(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Lines in groups that each fit into a frame."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) >= TEXT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


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
