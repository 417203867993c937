"""The archive's key pair: who runs the detector signs digests, who verifies holds the public half (RFC 8032, RFC 8410)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class SigningKeyError(ValueError):
    """The bytes are no signing key; the message says what to do, in one line and without what they hold."""


def new_pair() -> tuple[bytes, bytes]:
    """A signing key and its public key, both as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Signer:
    """Signs digests.

    Args:
        pem: The private key, without pass phrase.

    Attributes:
        fingerprint: SHA-256 of the public key's 32 bytes, 64 hex digits.

    Raises:
        SigningKeyError: It is none.
    """

    def __init__(self, pem: bytes) -> None:
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SigningKeyError(
                "is no signing key without pass phrase: make one with `sekimori keys archive`"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError("is no Ed25519 key: make one with `sekimori keys archive`")
        self._key = key
        self.fingerprint = hashlib.sha256(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes; equal data, equal bytes."""
        return self._key.sign(data)
