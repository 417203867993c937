"""Bytes from a syslog connection to messages, and messages to lines of a spool. Pure.

Both framings of RFC 6587 are understood, each message for itself: a length and a blank in front of a message (octet
counting, which RFC 5425 asks for over TLS), or a newline behind it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# RFC 6587, section 3.4.1; a message begins with `<`, and a line that merely begins with a number does not.
_COUNTED: Final = re.compile(rb"([1-9][0-9]{0,8}) <")
_COUNTED_AGAIN: Final = re.compile(rb"([1-9][0-9]{0,8}) ")
_MAY_BE_COUNTED: Final = re.compile(rb"[1-9][0-9]{0,8} ?\Z")

_PRIORITY: Final = re.compile(rb"<[0-9]{1,3}>")
_VERSION_1: Final = re.compile(rb"1 (?:-|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+) (?:(-)|\S+) \S")
_STAMP: Final = re.compile(
    rb"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]+(?:Z|[+-][0-9:]+)?) +"
)
# What stands where a host should, and is a program: `su:`, `sshd[812]:`, or the last word of the message.
_NO_HOST: Final = re.compile(rb"(?:[^\s:\[]+(?:\[[^\]\s]*\])?:(?:\s|\Z)|\S*\Z)")


# A cut through a number would leave a part of a My Number that no mask recognises. The last digit, also full-width in UTF-8,
# CP932 and EUC-JP, with what may stand between it and the next: separators, escapes, other bytes beyond ASCII.
_LAST_DIGIT: Final = re.compile(
    rb"(?:[0-9]|\xef\xbc[\x90-\x99]|\x82[O-X]|\xa3[\xb0-\xb9])[-./_+ %\\&#;{}A-Fa-fuxmp@O-X[\]^|\x80-\xff]{0,9}\Z"
)
_BACK_BYTES: Final = 12  # as many as the pattern takes


class Framer:
    """Cuts what one connection sends into messages; holds at most one unfinished message.

    Attributes:
        cut_messages: Messages of which only the beginning was kept: longer than the bound, or broken off by the sender. It
            ends before the number that the cut goes through.
        cut_bytes: Bytes of them that are missing.
    """

    def __init__(self, max_bytes: int) -> None:
        """Args: max_bytes: Longest message that is kept whole, in bytes."""
        self.cut_messages = 0
        self.cut_bytes = 0
        self._max_bytes = max_bytes
        self._held = b""  # begins where a message begins
        self._counts = False  # a message of this connection came with its length
        self._skip_bytes = 0  # left of a counted message that was too long
        self._skip_line = False  # the rest of a line that was too long

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now, without length and line end; empty ones are left out."""
        data = self._skipped(self._held + data)
        messages: list[bytes] = []
        at = 0
        while at < len(data):
            found = self._counted(data, at)
            if found is not None:
                start, size = found.end(1) + 1, int(found[1])
                self._counts = True
                if len(data) - start < min(size, self._max_bytes):
                    break
                at = min(start + size, len(data))
                messages.append(self._bounded(data[start:at], size))
                self._skip_bytes = start + size - at
                continue
            end = data.find(b"\n", at)
            if end < 0:
                break
            messages.append(self._bounded(data[at:end], end - at))
            at = end + 1
        self._held = data[at:]
        self._bound_held(messages)
        return [message for message in map(_bare, messages) if message]

    def finish(self) -> list[bytes]:
        """The connection has ended: what is left is its last message, with or without line end, or its beginning."""
        rest, self._held = self._held, b""
        if found := self._counted(rest, 0):
            rest = _closed(rest[found.end(1) + 1 :])
            self.cut_messages += 1
            self.cut_bytes += int(found[1]) - len(rest)
        message = _bare(rest)
        return [message] if message else []

    def _counted(self, data: bytes, at: int) -> re.Match[bytes] | None:
        return (_COUNTED_AGAIN if self._counts else _COUNTED).match(data, at)

    def _bounded(self, message: bytes, size: int) -> bytes:
        if size <= self._max_bytes:
            return message
        kept = _closed(message[: self._max_bytes])
        self.cut_messages += 1
        self.cut_bytes += size - len(kept)
        return kept

    def _bound_held(self, messages: list[bytes]) -> None:
        """A line without end is cut where it is too long; its rest is counted as it comes."""
        if len(self._held) <= self._max_bytes or self._counted(self._held, 0) or _MAY_BE_COUNTED.match(self._held):
            return
        messages.append(self._bounded(self._held, len(self._held)))
        self._held = b""
        self._skip_line = True

    def _skipped(self, data: bytes) -> bytes:
        if self._skip_line:
            end = data.find(b"\n")
            self.cut_bytes += len(data) if end < 0 else end
            self._skip_line = end < 0
            return b"" if end < 0 else data[end + 1 :]
        skip, self._skip_bytes = self._skip_bytes, max(0, self._skip_bytes - len(data))
        return data[skip:]


def _bare(message: bytes) -> bytes:
    """Without line end and closing NUL, which some senders count in; a newline inside is spelt out as rsyslog does."""
    return message.strip(b"\r\n\0").replace(b"\n", b"#012")


def _closed(message: bytes) -> bytes:
    """The beginning of a message that was cut, without the number that the cut goes through."""
    at = len(message)
    while found := _LAST_DIGIT.search(message, max(0, at - _BACK_BYTES), at):
        at = found.start()
    return message[:at]


def one(datagram: bytes, max_bytes: int) -> tuple[bytes, int]:
    """The message of a datagram (RFC 5426: always exactly one), and how many of its bytes were cut off."""
    message = _bare(datagram)
    kept = message if len(message) <= max_bytes else _closed(message[:max_bytes])
    return kept, len(message) - len(kept)


def completed(message: bytes, peer: str, at: datetime, *, always: bool) -> bytes:
    """A message whose header names a host: where it has none, the address it came from (RFC 3164, section 4.3).

    A message without time gets the time of receipt as well. Nothing else is changed.

    Args:
        message: As it was received, without line end.
        peer: Address of the sender.
        at: When it was received, with zone.
        always: The source's format is syslog, so a header is wanted even where not even a priority stands; without it,
            lines of other formats stay as they are.
    """
    priority = _PRIORITY.match(message)
    if priority is None and not always:
        return message
    start = priority.end() if priority else 0
    if found := _VERSION_1.match(message, start):
        return message if found[1] is None else message[: found.start(1)] + peer.encode() + message[found.end(1) :]
    stamp = _STAMP.match(message, start)
    if stamp is None:
        moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return message[:start] + f"{moment}Z {peer} ".encode() + message[start:].lstrip(b" ")
    if _NO_HOST.match(message, stamp.end()):
        return message[: stamp.end()] + f"{peer} ".encode() + message[stamp.end() :]
    return message
