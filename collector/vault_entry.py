"""Which ids tokens stand for, encrypted so that several people have to open it together.

The age format (age-encryption.org/v1) in layers: what is encrypted to one recipient is encrypted again to the next.
Every holder takes one layer off with his own key, at his own desk; nobody sees an id before the last has. An entry is
one line:

    {"v": 1, "agent": …, "at": …, "tokens": [token, …], "for": [recipient, …], "age": base64}

`for` names whose key takes the outermost layer off, then the next. Innermost are lines `{"token": …, "id": …}`. An
entry has few tokens, so that looking up one person opens the ids of few others.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import pyrage

TOKENS: Final = 100
_KEYS: Final = {"v", "agent", "at", "tokens", "for", "age"}


class VaultError(ValueError):
    """An entry, a key or a recipient cannot be used; the message says why and what to do."""


class NotYours(VaultError):
    """The outermost layer is for another key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the vault.

    Attributes:
        agent: Which agent wrote it.
        at: When, ISO 8601 with zone.
        tokens: Which tokens it is about.
        layers: Recipients still to open it, the outermost first; none: it is open.
        data: Encrypted, or if it is open the pairs.
    """

    agent: str
    at: str
    tokens: tuple[str, ...]
    layers: tuple[str, ...]
    data: bytes

    def to_line(self) -> bytes:
        """As a line of the file, with its end."""
        values = {
            "v": 1, "agent": self.agent, "at": self.at, "tokens": self.tokens, "for": self.layers,
            "age": base64.b64encode(self.data).decode(),
        }  # fmt: skip
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """From a line of the file.

        Raises:
            VaultError: It is none.
        """
        try:
            values = json.loads(line)
            if not isinstance(values, dict) or set(values) != _KEYS or values["v"] != 1:
                raise VaultError("is no entry of a vault, or of another version")
            tokens, layers = _texts(values["tokens"]), _texts(values["for"])
            data = base64.b64decode(values["age"], validate=True)
        except (ValueError, TypeError, binascii.Error) as error:
            message = str(error) if isinstance(error, VaultError) else "is no entry of a vault"
            raise VaultError(message) from None
        return cls(str(values["agent"]), str(values["at"]), tokens, layers, data)

    def opened(self, identities: Sequence[Any]) -> Entry:
        """The entry without its outermost layer.

        Args:
            identities: From `identities_of`, of one holder.

        Raises:
            NotYours: The outermost layer is for none of these keys, or it was altered.
        """
        if not self.layers:
            return self
        try:
            data = pyrage.decrypt(self.data, list(identities))
        except pyrage.DecryptError:
            raise NotYours(f"is to be opened next with the key of {self.layers[0]}, or was altered") from None
        return replace(self, layers=self.layers[1:], data=data)

    def pairs(self) -> list[tuple[str, str]]:
        """Token and id, once all layers are off.

        Raises:
            VaultError: There are layers left, or what is inside is something else.
        """
        if self.layers:
            raise VaultError(f"is to be opened next with the key of {self.layers[0]}")
        try:
            values = [json.loads(line) for line in self.data.splitlines()]
            return [(str(value["token"]), str(value["id"])) for value in values]
        except (ValueError, TypeError, KeyError):
            raise VaultError("holds something else than tokens and ids") from None


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise VaultError("is no entry of a vault")
    return tuple(values)


def sealed(pairs: Sequence[tuple[str, str]], recipients: Sequence[str], agent: str, at: datetime) -> Entry:
    """An entry that only the holders of all recipients' keys together can read.

    Args:
        pairs: Token and id, at most `TOKENS` of them.
        recipients: age recipients; the last one's layer is the outermost.
        agent: Which agent writes it.
        at: When, with zone.

    Raises:
        VaultError: A recipient is none.
    """
    inside = [json.dumps({"token": token, "id": raw}, ensure_ascii=False) for token, raw in pairs]
    data = "\n".join([*inside, ""]).encode("utf-8", "surrogatepass")
    for recipient in recipients:
        data = pyrage.encrypt(data, [_recipient(recipient)])
    tokens = tuple(token for token, _ in pairs)
    return Entry(agent, at.isoformat(timespec="seconds"), tokens, tuple(reversed(recipients)), data)


def _recipient(text: str) -> Any:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise VaultError(f"{text}: is no age recipient ({error}): copy it again") from None


def check(recipients: Sequence[str]) -> None:
    """Look whether recipients can be encrypted to.

    Raises:
        VaultError: One of them cannot, or they are fewer than two.
    """
    for recipient in recipients:
        _recipient(recipient)
    if len(set(recipients)) < 2:
        raise VaultError("fewer than two different recipients: one person alone could open the vault")


def new_identity() -> tuple[str, str]:
    """A holder's key as a file's text, as age-keygen writes it, and the recipient that belongs to it."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    return f"# public key: {recipient}\n{identity}\n", recipient


def identities_of(data: bytes) -> list[Any]:
    """The keys in a holder's file.

    Raises:
        VaultError: There is none in it.
    """
    try:
        lines = [line.strip() for line in data.decode("ascii").splitlines()]
        texts = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(text) for text in texts]
    except (UnicodeDecodeError, pyrage.IdentityError):
        found = []
    if not found:
        raise VaultError(
            "is no key of a holder: make one with `sekimori keys vault` or age-keygen, without pass phrase"
        )
    return found
