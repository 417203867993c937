"""A digest, read and its signature checked, as docs/operations/archive.md lays it out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_LINES: Final = re.compile(rb"([^\n]+\n)([0-9a-f]{128})\n")
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]


class KeyFileError(ValueError):
    """The bytes are no public key of an archive; the message says what to give."""


class DigestError(ValueError):
    """The file is no digest as they are written; the message says why."""


class Unverifiable(DigestError):
    """It may be right, but cannot be checked: another key, or another version."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Listed(_Part):
    """A segment that a digest names; `next` is the offset after its last."""

    name: str = Field(pattern=r"^[0-9]{20}-[0-9]{8}-[0-9a-f]{16}\.zst$")
    first: Number
    next: Number
    records: Number
    size_bytes: Number
    sha256: Hash
    adopted: bool


class Chain(_Part):
    """Where the chain of one start of an agent stands: first and last number, records, hash of the last one."""

    first: int
    last: int
    records: Number
    head: Hash


class Link(_Part):
    """The digest before: SHA-256 of its file, and its signature."""

    sha256: Hash
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


class Digest(_Part):
    """What a digest says; offsets are [start, next), times UTC milliseconds."""

    kind: Literal["sekimori digest"]
    version: Literal[1]
    topic: str
    partition: Number
    partitions: Number
    number: Number
    claim: Number
    writer: str
    start: Number
    next: Number
    from_ms: int
    to_ms: int
    segments: list[Listed]
    agents: dict[str, dict[str, Chain]]
    unsealed: Number
    previous: Link | None
    key: Hash


class Keys:
    """The public keys of who may sign.

    Args:
        pems: Each as PEM.

    Raises:
        KeyFileError: One is none.
    """

    def __init__(self, pems: Mapping[str, bytes]) -> None:
        self._by_print: dict[str, Ed25519PublicKey] = {}
        for name, pem in pems.items():
            key = _public(name, pem)
            raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
            self._by_print[hashlib.sha256(raw).hexdigest()] = key

    def __len__(self) -> int:
        return len(self._by_print)

    def read(self, data: bytes) -> tuple[Digest, Link]:
        """A digest whose signature is right, and how the next one must name it.

        Raises:
            DigestError: It was altered.
            Unverifiable: Nobody can say with these keys.
        """
        match = _LINES.fullmatch(data)
        if not match:
            raise DigestError("it is not two lines, of JSON and of a signature")
        said = _object(match[1])
        signer = self._by_print.get(str(said.get("key")))
        if signer is None:
            raise Unverifiable("it is signed with a key that was not given")
        try:
            signer.verify(bytes.fromhex(match[2].decode()), match[1])
        except InvalidSignature:
            raise DigestError("its signature is wrong") from None
        if said.get("version") != 1:
            raise Unverifiable(f"it is of version {said.get('version')}, this program knows 1 only")
        try:
            digest = Digest.model_validate(said)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise DigestError(f"it is signed, but no digest: {where}") from None
        return digest, Link(sha256=hashlib.sha256(data).hexdigest(), signature=match[2].decode())


def _public(name: str, pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        what = "is the signing key, which stays with the detector" if b"PRIVATE KEY" in pem else "is no public key"
        raise KeyFileError(f"{name}: {what}: give the file that ends in .pub") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{name}: is no Ed25519 key: give the file that `sekimori keys archive` wrote")
    return key


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise DigestError("its first line is no JSON") from None
    if not isinstance(said, dict):
        raise DigestError("its first line is no JSON object")
    return said
