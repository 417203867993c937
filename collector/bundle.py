"""Bundles: logs of a closed network in one signed file that is carried by hand.

A bundle is a tar archive that any tar can list: `manifest.json`, `manifest.sig`, then the logs as they are. The
manifest names each log with its length and the SHA-256 of every mebibyte; the signature is Ed25519 (RFC 8032) over the
manifest's bytes, which `openssl pkeyutl -verify -rawin` can check too. From manifest and contents every byte of the
archive follows, so anything else in it is an alteration. Because each mebibyte is checked when it is read, a bundle
can be read where it lies: what somebody changes after it was accepted is noticed before it is parsed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from gzip import GzipFile
from typing import IO, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

BLOCK_BYTES: Final = 1 << 20
MANIFEST_BYTES: Final = 16 << 20
_SIGNATURE_BYTES: Final = 64
_TAR_BYTES: Final = 512
_END: Final = bytes(2 * _TAR_BYTES)
_MANIFEST: Final = "manifest.json"
_SIGNATURE: Final = "manifest.sig"
_HASH: Final = r"^[0-9a-f]{64}$"
_GZIP: Final = b"\x1f\x8b"


class BundleError(ValueError):
    """A bundle, or a key for bundles, cannot be used; the message says why and what to do, without the file's name."""


class Incomplete(BundleError):
    """There is less of it than it says: it is still being copied, or was cut off."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Log(_Part):
    """One log in a bundle.

    Attributes:
        name: Its name where it was taken from, with `/` between folders.
        source: Id of its source, if whoever made the bundle named one.
        size: Its length in bytes, as it is in the bundle.
        blocks: SHA-256 (hex) of each mebibyte of it.
    """

    name: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f/][^\x00-\x1f]*$")
    source: str | None = None
    size: int = Field(ge=0)
    blocks: tuple[str, ...] = Field(strict=False)

    @property
    def is_consistent(self) -> bool:
        """Whether there are as many hashes as the length asks for, and each is one."""
        count = -(-self.size // BLOCK_BYTES)
        return len(self.blocks) == count and all(re.fullmatch(_HASH, block) for block in self.blocks)


class Manifest(_Part):
    """What a bundle says of itself.

    Attributes:
        format: 1.
        id: 32 random hex digits: the same logs bundled twice are two bundles.
        created: When it was made.
        origin: Who made it, or where, in free words.
        logs: In the order in which they are read.
    """

    format: int = Field(ge=1, le=1)
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    created: AwareDatetime = Field(strict=False)
    origin: str = Field("", max_length=200)
    logs: tuple[Log, ...] = Field(strict=False)

    def to_bytes(self) -> bytes:
        """The one spelling that is signed."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode() + b"\n"


def new_key() -> tuple[bytes, bytes]:
    """A signing key and its public key, both as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signing_key(pem: bytes) -> Ed25519PrivateKey:
    """A signing key from its PEM.

    Raises:
        BundleError: It is none.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BundleError("is no signing key without pass phrase: make one with `sekimori keys bundle`") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError("is no Ed25519 key: make one with `sekimori keys bundle`")
    return key


def public_key(pem: bytes) -> Ed25519PublicKey:
    """A public key from its PEM.

    Raises:
        BundleError: It is none.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        what = "is a signing key, which stays with who signs" if b"PRIVATE KEY" in pem else "is no public key"
        raise BundleError(f"{what}: give the file that ends in .pub") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError("is no Ed25519 key: give the file that `sekimori keys bundle` wrote")
    return key


def write(out: IO[bytes], manifest: Manifest, logs: Sequence[int], key: Ed25519PrivateKey) -> None:
    """Write a bundle.

    Args:
        out: Where to; gets the bundle and nothing else.
        manifest: What stands in it.
        logs: Open files, as in the manifest.
        key: Signs it.

    Raises:
        BundleError: A log is not any more what the manifest says.
        OSError: A log cannot be read, or `out` not written.
    """
    text = manifest.to_bytes()
    at = manifest.created
    for name, data in ((_MANIFEST, text), (_SIGNATURE, key.sign(text))):
        out.write(_header(name, len(data), at) + data + _padding(len(data)))
    for log, handle in zip(manifest.logs, logs, strict=True):
        out.write(_header(log.name, log.size, at))
        for place, expected in enumerate(log.blocks):
            block = os.pread(handle, min(BLOCK_BYTES, log.size - place * BLOCK_BYTES), place * BLOCK_BYTES)
            if hashlib.sha256(block).hexdigest() != expected:
                raise BundleError(f"{log.name} changed while it was read: try again when nothing writes to it")
            out.write(block)
        out.write(_padding(log.size))
    out.write(_END)


def describe(name: str, source: str | None, handle: int, size: int) -> Log:
    """The manifest's entry for the first `size` bytes of an open file."""
    blocks = []
    for at in range(0, size, BLOCK_BYTES):
        blocks.append(hashlib.sha256(os.pread(handle, min(BLOCK_BYTES, size - at), at)).hexdigest())
    return Log(name=name, source=source, size=size, blocks=tuple(blocks))


class Bundle:
    """A bundle in an open file; its signature is checked at once, its contents as they are read.

    Args:
        handle: The file, open for reading; stays the caller's.
        keys: Name = key of those who may sign.

    Attributes:
        manifest: What it says of itself.
        digest: SHA-256 (hex) of the manifest: what the bundle is known by.
        signer: Name of the key that signed it.
        size: Its length in bytes.

    Raises:
        Incomplete: The file ends too early.
        BundleError: It is no bundle, or not signed by one of the keys.
        OSError: It cannot be read.
    """

    def __init__(self, handle: int, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._handle = handle
        length = os.fstat(handle).st_size
        text = self._text(length)
        self.digest = hashlib.sha256(text).hexdigest()
        start = _TAR_BYTES + len(text) + len(_padding(len(text)))
        if length < start + 2 * _TAR_BYTES:
            raise Incomplete(f"is cut off ({length} bytes): copy it again")
        signature = os.pread(handle, _SIGNATURE_BYTES, start + _TAR_BYTES)
        self.signer = _signer(text, signature, keys)
        self.manifest = _manifest(text)
        # What is signed is trusted to be what was meant, but not to be without fault.
        if not all(log.is_consistent for log in self.manifest.logs):
            raise BundleError("has a list of logs that contradicts itself: make it again")
        self._frame = [
            (0, _header(_MANIFEST, len(text), self.manifest.created)),
            (start - len(_padding(len(text))), _padding(len(text))),
        ]
        self._frame.append((start, _header(_SIGNATURE, _SIGNATURE_BYTES, self.manifest.created)))
        self._frame.append((start + _TAR_BYTES + _SIGNATURE_BYTES, _padding(_SIGNATURE_BYTES)))
        self._starts: list[int] = []
        at = start + 2 * _TAR_BYTES
        for log in self.manifest.logs:
            header = _header(log.name, log.size, self.manifest.created)
            self._frame.append((at, header))
            self._starts.append(at + len(header))
            at += len(header) + log.size
            self._frame.append((at, _padding(log.size)))
            at += len(_padding(log.size))
        self._frame.append((at, _END))
        self.size = at + len(_END)
        if length < self.size:
            raise Incomplete(f"is cut off ({length} of {self.size} bytes): copy it again")
        if length > self.size:
            raise BundleError(f"was altered: {length - self.size} bytes follow its end")

    def check(self) -> Iterator[int]:
        """Go through all of it, a mebibyte at a time.

        Yields:
            How many bytes were looked at.

        Raises:
            BundleError: Something in it is not what was signed.
        """
        for at, expected in self._frame:
            if os.pread(self._handle, len(expected), at) != expected:
                raise BundleError(f"was altered: byte {at} and following")
        yield sum(len(expected) for _, expected in self._frame)
        for place, log in enumerate(self.manifest.logs):
            for number in range(len(log.blocks)):
                yield len(self.block(place, number))

    def block(self, place: int, number: int) -> bytes:
        """A mebibyte of a log.

        Raises:
            BundleError: It is not what was signed.
        """
        log = self.manifest.logs[place]
        at = number * BLOCK_BYTES
        data = os.pread(self._handle, min(BLOCK_BYTES, log.size - at), self._starts[place] + at)
        if hashlib.sha256(data).hexdigest() != log.blocks[number]:
            last = min(at + BLOCK_BYTES, log.size) - 1
            raise BundleError(f"was altered: bytes {at} to {last} of {log.name}")
        return data

    def open(self, place: int) -> IO[bytes]:
        """A log's bytes, uncompressed if it is gzip, each checked; reading raises `BundleError`, and what gzip raises."""
        plain = io.BufferedReader(_Checked(self, place), BLOCK_BYTES)
        if plain.peek(2)[:2] == _GZIP:
            return io.BufferedReader(GzipFile(fileobj=plain), BLOCK_BYTES)
        return plain

    def _text(self, length: int) -> bytes:
        """The manifest's bytes."""
        first = os.pread(self._handle, _TAR_BYTES, 0)
        if not _MANIFEST.encode().startswith(first[: len(_MANIFEST)]):
            raise BundleError("is no bundle: make one with `sekimori bundle make`")
        if len(first) < _TAR_BYTES:
            raise Incomplete(f"is cut off ({length} bytes): copy it again")
        try:
            size = tarfile.TarInfo.frombuf(first, "utf-8", "surrogateescape").size
        except tarfile.HeaderError:
            raise BundleError("was altered: its first bytes are no header") from None
        if not 0 < size <= MANIFEST_BYTES:
            raise BundleError(f"has a manifest of {size} bytes, which no bundle has")
        text = os.pread(self._handle, size, _TAR_BYTES)
        if len(text) < size:
            raise Incomplete(f"is cut off ({length} bytes): copy it again")
        return text


class _Checked(io.RawIOBase):
    """A log of a bundle as a stream."""

    def __init__(self, bundle: Bundle, place: int) -> None:
        self._bundle = bundle
        self._place = place
        self._next = 0
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held and self._next < len(self._bundle.manifest.logs[self._place].blocks):
            self._held = memoryview(self._bundle.block(self._place, self._next))
            self._next += 1
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def _signer(text: bytes, signature: bytes, keys: Mapping[str, Ed25519PublicKey]) -> str:
    for name, key in keys.items():
        try:
            key.verify(signature, text)
        except InvalidSignature:
            continue
        return name
    raise BundleError("is altered, or signed by nobody who may: its signature fits none of the keys in [drop] keys")


def _manifest(text: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"is of another version than this agent reads ({error.error_count()} differences)") from None
    return manifest


def _header(name: str, size: int, at: datetime) -> bytes:
    """The tar header of a file; longer than a block where the name is long."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(at.timestamp())
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % _TAR_BYTES)


def fingerprint(key: Ed25519PublicKey) -> str:
    """What people compare over the telephone: SHA-256 of the key, as ssh-keygen writes it."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def now() -> datetime:
    """The time that a manifest carries: whole seconds, like tar's."""
    return datetime.now(UTC).replace(microsecond=0)
