"""The file that holds a secret of the seal: made at enrolment, one copy for the agent, one for who verifies."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Final

from contract.sealed import next_boot_secret

_KIND: Final = "sekimori seal key"
_VERSION: Final = 1
_SECRET_BYTES: Final = 32


class SealKeyError(ValueError):
    """The text is no key; the message says why, in one line and without what it holds."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """The secret of one start of one agent.

    Attributes:
        agent: `agent.id`.
        secret: 32 bytes, never shown.
        start: How many starts came before; 0 in the copy of who verifies.
        enrolment: 16 hex digits that name the enrolment and reveal nothing.
    """

    agent: str
    secret: bytes = field(repr=False)
    start: int
    enrolment: str

    @classmethod
    def enrol(cls, agent: str, secret: bytes) -> SealKey:
        """The first key of an agent.

        Args:
            agent: `agent.id`, not empty.
            secret: 32 random bytes.

        Raises:
            ValueError: One of them is not.
        """
        if not agent or len(secret) != _SECRET_BYTES:
            raise ValueError("a seal key needs the agent's name and 32 bytes")
        return cls(agent, secret, 0, hmac.digest(secret, b"sekimori/enrolment", "sha256")[:8].hex())

    def successor(self) -> SealKey:
        """The key of the agent's next start."""
        return SealKey(self.agent, next_boot_secret(self.secret), self.start + 1, self.enrolment)

    def text(self) -> str:
        """The file's content: one line of JSON."""
        body = {
            "kind": _KIND, "version": _VERSION, "agent": self.agent, "enrolment": self.enrolment, "start": self.start,
            "secret": self.secret.hex(), "check": self._check(),
        }  # fmt: skip
        return json.dumps(body, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, data: bytes) -> SealKey:
        """The reverse of `text`.

        Raises:
            SealKeyError: It is no seal key, of a version that this program does not know, or altered.
        """
        try:
            body = json.loads(data)
            if body["kind"] != _KIND:
                raise SealKeyError("is no seal key: make one with sekimori keys seal")
            if body["version"] != _VERSION:
                raise SealKeyError(f"is a seal key of version {body['version']}: this program knows {_VERSION} only")
            key = cls(str(body["agent"]), bytes.fromhex(body["secret"]), int(body["start"]), str(body["enrolment"]))
            if body["check"] != key._check() or len(key.secret) != _SECRET_BYTES:
                raise SealKeyError("is damaged or was changed by hand: use an unaltered copy")
        except SealKeyError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError):  # JSON knows 1e999
            raise SealKeyError("is no seal key: make one with sekimori keys seal") from None
        return key

    def _check(self) -> str:
        """A check sum against slips of hands and disks; who knows the secret can make another."""
        told = "\0".join((self.secret.hex(), self.agent, str(self.start), self.enrolment))
        return hashlib.sha256(told.encode()).hexdigest()[:16]
