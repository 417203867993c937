"""A topic as it was read, for verification: live from Kafka, or kept in a file of JSON lines.

The file: a head (topic, when, which offsets there were), a line per record, and a last line that counts them. Bytes stand
as text where they are UTF-8, else as `{"base64": …}`, so that nothing is lost and people can read it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_KIND: Final = "sekimori capture"
_VERSION: Final = 1


class CaptureError(ValueError):
    """The file is no capture, so nothing in it can be verified; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What was read.

    Attributes:
        name: Name of the topic.
        taken_ms: When, UTC.
        spans: First offset that the topic still held and the one after its last, by partition.
    """

    name: str
    taken_ms: int
    spans: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Taken:
    """One record as it lies in the topic.

    Attributes:
        partition, offset: Where.
        timestamp_ms: Kafka's own stamp, UTC; nobody vouches for it.
        key: Kafka's key.
        headers: Name and value, in the order in which they came.
        value: The bytes; empty for a tombstone.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """A line of a capture that is no record.

    Attributes:
        line: Its number, from 1; 0 for the file as a whole.
        cut: The file ends early, as against being altered.
        text: What is wrong.
    """

    line: int
    cut: bool
    text: str


def head(topic: Topic) -> bytes:
    """First line of a capture."""
    spans = [{"partition": number, "first": a, "end": b} for number, (a, b) in sorted(topic.spans.items())]
    return _line(
        {"kind": _KIND, "version": _VERSION, "topic": topic.name, "taken_ms": topic.taken_ms, "partitions": spans}
    )


def line(record: Taken) -> bytes:
    """One record's line."""
    return _line(
        {
            "partition": record.partition, "offset": record.offset, "timestamp_ms": record.timestamp_ms,
            "key": None if record.key is None else _shown(record.key),
            "headers": [[name, _shown(value)] for name, value in record.headers], "value": _shown(record.value),
        }
    )  # fmt: skip


def tail(records: int) -> bytes:
    """Last line of a capture that is whole."""
    return _line({"end": records})


def read_head(data: bytes) -> Topic:
    """The reverse of `head`.

    Raises:
        CaptureError: It is none.
    """
    try:
        body = json.loads(data)
        if body["kind"] != _KIND:
            raise CaptureError("is no capture: make one with sekimori verify --kafka … --save FILE")
        if body["version"] != _VERSION:
            raise CaptureError(f"is a capture of version {body['version']}: this program knows {_VERSION} only")
        spans = {int(one["partition"]): (int(one["first"]), int(one["end"])) for one in body["partitions"]}
        return Topic(str(body["topic"]), int(body["taken_ms"]), spans)
    except CaptureError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError):  # JSON knows 1e999
        raise CaptureError("is no capture: make one with sekimori verify --kafka … --save FILE") from None


def read_lines(lines: Iterable[bytes]) -> Iterator[Taken | Damage]:
    """The records behind the head, and what is wrong with the file.

    Args:
        lines: All lines but the first, each with its newline.
    """
    records, number, ended = 0, 1, False
    for number, data in enumerate(lines, 2):
        if ended:
            yield Damage(number, False, "stands behind the end")
            continue
        read = _record(data)
        if isinstance(read, int):
            ended = True
            if read != records:
                yield Damage(number, False, f"says {read} records, {records} are there")
        elif read is None:
            yield Damage(number, not data.endswith(b"\n"), "is no record")
        else:
            records += 1
            yield read
    if not ended:
        yield Damage(number, True, "has no end line: the file was cut")


def _record(data: bytes) -> Taken | int | None:
    """A record, the number in the end line, or None for anything else."""
    try:
        body = json.loads(data)
        if "end" in body:
            return int(body["end"])
        return Taken(
            int(body["partition"]),
            int(body["offset"]),
            int(body["timestamp_ms"]),
            None if body["key"] is None else _bytes(body["key"]),
            tuple((str(name), _bytes(value)) for name, value in body["headers"]),
            _bytes(body["value"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):  # JSON knows 1e999
        return None


def _shown(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
