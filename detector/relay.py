"""What stage one hands on to stage two, as records of `sekimori-correlate`: who sent it, and which stretch of time it covers.

Whenever its watermark moves, a stage one sends to every partition, also if there is nothing to say: the record then is a mark
that its time has come so far. A stretch is (after, upto] in event time; it may come in several parts, and all of it may
come again after a crash. Who receives takes each part of each stretch once, in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Protocol

from contract.partition import partition_of
from contract.sealed import Record
from detector.arrival import Arrived

# Name and meaning, in the order of sending.
HEADERS: Final = {
    "run": "`live`, or the name of a re-run",
    "upstream": "Partition of the events' topic that it comes from",
    "upstreams": "How many partitions that topic has",
    "after": "Event time, UTC ms, up to which the sender has sent all before",
    "upto": "Event time up to which it has, with this stretch",
    "part": "Number of this part of the stretch, from 1",
    "parts": "How many parts the stretch has for this partition",
    "idle": "1: nobody is to wait for the sender until it sends again; 2: it will not, as its re-run is over",
}
# Of a record, before compression; below what a broker takes by default.
MOST_BYTES: Final = 500_000
NEVER: Final = -1
IDLE: Final = 1
OVER: Final = 2


class Row(Protocol):
    """Something to hand on.

    `key` decides the partition; `kind` and `row` (JSON values) are for who receives it.
    """

    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def row(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who hands on: the run, a partition of the events' topic, and of how many."""

    run: str
    upstream: int
    upstreams: int


@dataclass(frozen=True, slots=True)
class Received:
    """A record, read.

    Attributes:
        sender: Who handed on.
        after, upto: The stretch.
        part, parts: Which part of it this is.
        idle: `IDLE` or `OVER`: nobody is to wait for the sender; 0: it is waited for.
        rows: Kind and row of each, in their order.
    """

    sender: Sender
    after: int
    upto: int
    part: int
    parts: int
    idle: int
    rows: tuple[tuple[str, dict[str, Any]], ...]


def records(
    rows: Iterable[Row], sender: Sender, after: int, upto: int, topic: str, partitions: int, *, idle: int = 0
) -> list[Record]:
    """Hand a stretch on.

    Args:
        rows: In the order in which they are to arrive.
        sender: Who hands on.
        after, upto: The stretch, UTC ms.
        topic: Where to.
        partitions: How many it has.
        idle: `IDLE`: nobody is to wait for the sender until it sends again. `OVER`: it will not.

    Returns:
        At least one record for each partition.
    """
    lines: list[list[bytes]] = [[] for _ in range(partitions)]
    for row in rows:
        told = {"kind": row.kind, "row": row.row}
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        lines[partition_of(row.key, partitions)].append(text.encode() + b"\n")
    made = []
    for partition, told_there in enumerate(lines):
        packs = _packed(told_there)
        for number, value in enumerate(packs, 1):
            values = (
                sender.run, sender.upstream, sender.upstreams, after, upto, number, len(packs), idle,
            )  # fmt: skip
            headers = [(name, str(said).encode()) for name, said in zip(HEADERS, values, strict=True)]
            made.append(Record(topic, partition, value, headers, 0))
    return made


def _packed(lines: Sequence[bytes]) -> list[bytes]:
    packs: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if packs[-1] and size + len(line) > MOST_BYTES:
            packs.append([])
            size = 0
        packs[-1].append(line)
        size += len(line)
    return [b"".join(pack) for pack in packs]


def read(record: Arrived) -> Received:
    """Read a record.

    Raises:
        ValueError: It is none of a stage one; the message says why.
    """
    said = {name: value.decode("ascii", "replace") for name, value in record.headers}
    try:
        numbers = {name: int(said[name]) for name in HEADERS if name != "run"}
        rows = [json.loads(line) for line in record.value.splitlines()]
        told = tuple((str(row["kind"]), dict(row["row"])) for row in rows)
        sender = Sender(said["run"], numbers["upstream"], numbers["upstreams"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"is no record of a stage one: {type(error).__name__} {error}") from None
    if not 0 <= sender.upstream < sender.upstreams or not 1 <= numbers["part"] <= numbers["parts"]:
        raise ValueError("is no record of a stage one: it counts itself where it cannot be")
    return Received(sender, numbers["after"], numbers["upto"], numbers["part"], numbers["parts"], numbers["idle"], told)


class Heard(Enum):
    """What a record is to who receives it."""

    NEW = "new"
    BEFORE = "before"
    AFTER_A_GAP = "after a gap"  # new, but something before it never came


@dataclass(frozen=True, slots=True)
class Upstream:
    """How far one stage one has come, as this partition has heard.

    Attributes:
        upto: End of the last whole stretch; `NEVER` before the first.
        parts: Parts of the next stretch that came.
        idle: `IDLE` or `OVER`: nobody waits for it.
    """

    upto: int = NEVER
    parts: int = 0
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """How far all of them have come.

    Attributes:
        upstreams: By partition; those that have said nothing yet are there too.
        reached: The greatest watermark that there was; `NEVER` before all have spoken.
    """

    upstreams: Mapping[int, Upstream] = field(default_factory=dict)
    reached: int = NEVER

    def accept(self, received: Received) -> tuple[Reach, Heard]:
        """Take a record, which may have come before.

        Returns:
            How far they have come with it, and what it is to us.
        """
        number = received.sender.upstream
        upstreams = {each: Upstream() for each in range(received.sender.upstreams)} | dict(self.upstreams)
        known = upstreams[number]
        if received.upto <= known.upto or (received.after == known.upto and received.part <= known.parts):
            return self, Heard.BEFORE
        follows = received.after == known.upto and received.part == known.parts + 1
        whole = received.part == received.parts
        upstreams[number] = Upstream(received.upto, 0, received.idle) if whole else replace(known, parts=received.part)
        waited = [one.upto for one in upstreams.values() if not one.idle] or [one.upto for one in upstreams.values()]
        return Reach(upstreams, max(self.reached, min(waited))), Heard.NEW if follows else Heard.AFTER_A_GAP

    @property
    def is_over(self) -> bool:
        """Whether none of them will say anything any more."""
        return bool(self.upstreams) and all(one.idle == OVER for one in self.upstreams.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values for a state."""
        each = {str(number): [one.upto, one.parts, one.idle] for number, one in sorted(self.upstreams.items())}
        return {"upstreams": each, "reached": self.reached}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reach:
        """The reverse of `as_json`."""
        return cls({int(number): Upstream(*one) for number, one in value["upstreams"].items()}, value["reached"])
