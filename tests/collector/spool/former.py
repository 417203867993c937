"""Writes spool files as the version before did: messages as they came."""

from __future__ import annotations

import hmac
import os
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_HEAD = struct.Struct(">cQQI")


class Former:
    """A folder of such files.

    Attributes:
        first_line: Of the newest file.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.first_line = b""
        self._folder = folder
        self._secret = secret
        self._before = self._count = 0

    def write(self, *frames: list[bytes]) -> bytes:
        """The next file, with a frame for each list of messages; its first line."""
        self.first_line = f"sekimori-spool 1 {os.urandom(16).hex()} after {self._before}\n".encode()
        key = ChaCha20Poly1305(hmac.digest(self._secret, self.first_line, "sha256"))
        data = self.first_line
        for number, messages in enumerate(frames):
            text = b"".join(message + b"\n" for message in messages)
            head = _HEAD.pack(b"L", number, 1_000 + number, len(text))
            data += head + key.encrypt(number.to_bytes(12, "big"), text, head)
        self._count += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{self._count:08d}.spool").write_bytes(data)
        self._before = len(data)
        return self.first_line


def frame_size(text: int) -> int:
    """Bytes that a frame takes with a text of a length."""
    return _HEAD.size + text + 16
