"""Certificates for listeners and their clients, good and expired, as PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of one certificate.

    Attributes:
        cert: The certificate.
        key: Its key, which others may not read.
        store: Both in one file, as Kafka wants its key store.
    """

    cert: Path
    key: Path
    store: Path


class Authority:
    """A certificate authority of the tests' own; what it issues lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.cafile = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.cafile))

    def issue(self, name: str, *hosts: str, expired: bool = False) -> Certificate:
        """A certificate for the common name `name`; without hosts it is for localhost and 127.0.0.1."""
        now = datetime.now(UTC)
        until = now + timedelta(days=-1 if expired else 30)
        issued = self._authority.issue_cert(
            *(hosts or ("localhost", "127.0.0.1")),
            common_name=name,
            not_before=now - timedelta(days=60),
            not_after=until,
        )
        # Kafka reads keys as PKCS #8 only.
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        cert_pem = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        stem = f"{name}-expired" if expired else name
        made = Certificate(*(self._folder / f"{stem}.{kind}.pem" for kind in ("cert", "key", "store")))
        for path, content in ((made.cert, cert_pem), (made.key, key_pem), (made.store, key_pem + cert_pem)):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return made
