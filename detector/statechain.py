"""What the records of a state log add up to: which count, and what state they leave (`detector.statelog` keeps them in Kafka).

A record's value is one line of JSON; a piece of a snapshot follows its line. Of one key, records count like this:

    claim   by a new owner, with an epoch higher than any before: from here on no record of a lower epoch counts
    step    one turn of the owner: which stretch of the input it took, and what was decided about it
    part    a piece of a snapshot; a snapshot counts once its last piece does, and replaces everything before it

All but claims carry a number within their epoch and the hash of all that counts before them, so a record that comes twice
counts once, and one that is missing or was put in between is noticed. What lies before the newest whole snapshot may
be missing.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

VERSION: Final = 1
# Of a snapshot; below what a broker takes by default (1,048,588), with the line before it.
PART_BYTES: Final = 900_000
# Of a step: what is decided is small, and a topic may take no more than its default.
MOST_STEP_BYTES: Final = 900_000

_MARK: Final = "sekimori-state"
_ROOT: Final = ""


class Unknown(ValueError):
    """A record of a version that this program does not know; the message says which, where, and how to go on."""


class Broken(ValueError):
    """Records are missing or do not follow one another; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a worker.

    Attributes:
        start, next: Input offsets [start, next).
        decision: What is no function of the input's bytes; JSON values, none of this module's business.
        done: Input offset up to which effects are known to be acknowledged.
    """

    start: int
    next: int
    decision: Mapping[str, Any]
    done: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a log says of the past.

    Attributes:
        snapshot: Payload of the newest whole snapshot, or None.
        snapshot_next: Input offset up to which it holds everything; −1 without one.
        steps: Those after it, in their order.
        next: First input offset that nothing is known of; None if nothing is known at all.
        done: Input offset up to which effects are known to be acknowledged; −1 if nothing is known.
    """

    snapshot: bytes | None
    snapshot_next: int
    steps: tuple[Step, ...]
    next: int | None
    done: int


class Landed(enum.Enum):
    """What became of a record."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    OUTDATED = "outdated"  # its writer was not the owner any more
    FOREIGN = "foreign"  # no record of a state log


@dataclass(frozen=True, slots=True)
class Link:
    """Where a record goes.

    Attributes:
        epoch: The owner's.
        number: In this epoch; a claim has 0.
        head: Hash of all that counts before it.
    """

    epoch: int
    number: int
    head: str


def claim(epoch: int, owner: str) -> bytes:
    """The value of a claim; `owner` is a text that nobody else uses."""
    return _line({"kind": "claim", "epoch": epoch, "owner": owner})


def step(link: Link, told: Step) -> bytes:
    """The value of a step.

    Raises:
        ValueError: The decision is too large, or would not come back from JSON as it is.
    """
    body = {"kind": "step", "start": told.start, "next": told.next, "done": told.done, "decision": told.decision}
    value = _line(_linked(link, body))
    if json.loads(value)["decision"] != dict(told.decision):
        raise ValueError("a decision holds something that JSON gives back as something else")
    if len(value) > MOST_STEP_BYTES:
        raise ValueError(f"a step of {len(value):,} bytes: at most {MOST_STEP_BYTES:,} are written")
    return value


def parts(payload: bytes) -> int:
    """Of how many pieces a snapshot is made; at least one."""
    return max(1, -(-len(payload) // PART_BYTES))


def part(link: Link, upto: int, payload: bytes, number: int) -> bytes:
    """The value of piece `number` of a snapshot that holds everything before the input offset `upto`."""
    piece = payload[number * PART_BYTES : (number + 1) * PART_BYTES]
    body = {
        "kind": "part", "next": upto, "part": number, "parts": parts(payload),
        "sha256": hashlib.sha256(piece).hexdigest(),
    }  # fmt: skip
    return _line(_linked(link, body)) + b"\n" + piece


def _linked(link: Link, body: dict[str, Any]) -> dict[str, Any]:
    return body | {"epoch": link.epoch, "n": link.number, "prev": link.head}


def _line(body: Mapping[str, Any]) -> bytes:
    told = {_MARK: VERSION, **body}
    return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def digest(head: str, value: bytes) -> str:
    """Hash of all that counts up to and with this record, 32 hex digits."""
    return hashlib.sha256(head.encode() + b"\n" + value).hexdigest()[:32]


def _read(value: bytes | None) -> tuple[dict[str, Any], bytes] | None:
    """The line and what follows it; None for anything that no state log wrote."""
    if not value or not value.startswith(b"{"):
        return None
    line, _, rest = value.partition(b"\n")
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or type(body.get(_MARK)) is not int:
        return None
    if body[_MARK] == VERSION and not all(type(body.get(name)) is kind for name, kind in _needed(body)):
        return None
    return body, rest


def _needed(body: Mapping[str, Any]) -> Iterator[tuple[str, type]]:
    """What a record of this version must have, by its kind; an impossible demand if the kind is none."""
    linked = {"epoch": int, "n": int, "prev": str}
    kinds: dict[Any, dict[str, type]] = {
        "claim": {"epoch": int, "owner": str},
        "step": linked | {"start": int, "next": int, "done": int, "decision": dict},
        "part": linked | {"next": int, "part": int, "parts": int, "sha256": str},
    }
    kind = body.get("kind")
    yield from kinds.get(kind if isinstance(kind, str) else "", {"kind": Any}).items()


class Chain:
    """The records of one key, taken one by one in the order of the log.

    Attributes:
        key: Whose they are.
        epoch, owner: Of the newest claim that counts; 0 and empty before the first.
        next: First input offset that no step has taken; None if nothing is known.
        since: Offset of the oldest record that is needed; None before the first.
        last: `digest` up to the newest record that counts.
    """

    def __init__(self, key: str, where: str = "", *, keep: bool = True) -> None:
        """Nothing yet.

        Args:
            key: Whose records.
            where: What messages name the place by: topic and partition.
            keep: Keep steps and snapshots for `recovered`; else only count.
        """
        self.key = key
        self.epoch = 0
        self.owner = ""
        self.next: int | None = None
        self.since: int | None = None
        self.last: str | None = None  # None: what came before is not known, so whatever is named is taken for it
        self._where = where
        self._keep = keep
        self._number = -1
        self._done = -1
        self._steps: list[Step] = []
        self._snapshot: tuple[bytes, int] | None = None
        self._pieces: list[bytes] = []
        self._begun = -1  # offset of piece 0
        self._trouble: tuple[int, str] | None = None  # what is not covered by a snapshot

    @property
    def whole(self) -> bool:
        """Whether what is there follows from a snapshot or from the beginning."""
        return self._trouble is None

    def link(self) -> Link:
        """Where the owner's next record goes."""
        return Link(self.epoch, self._number + 1, self.last or _ROOT)

    def take(self, offset: int, value: bytes | None) -> Landed:
        """Take the next record of the key.

        Args:
            offset: Its place in the log.
            value: Its bytes.

        Raises:
            Unknown: It is of another version.
        """
        read = _read(value)
        if read is None or value is None:
            return Landed.FOREIGN
        body, rest = read
        if body[_MARK] != VERSION:
            raise Unknown(
                f"{self._where} offset {offset}: a state record of version {body[_MARK]}, this program knows {VERSION}: "
                "run the version of Sekimori that wrote it; or give this one a run of its own, which works through the "
                "input again"
            )
        landed = self._claimed(offset, body, value) if body["kind"] == "claim" else self._follow(offset, body, rest)
        if landed is Landed.ACCEPTED:
            if body["kind"] != "claim":
                self._number = body["n"]
            self.last = None if self.last is None else digest(self.last, value)
            self.since = offset if self.since is None else self.since
        return landed

    def recovered(self) -> Recovered:
        """What is known.

        Raises:
            Broken: What is there does not follow from a whole snapshot or from the beginning.
        """
        if self._trouble is not None:
            offset, what = self._trouble
            raise Broken(
                f"{self._where} offset {offset}: state of {self.key}: {what}, and no whole snapshot follows. "
                "Was the topic compacted, cut by retention or written to by others? It needs cleanup.policy=delete and "
                "retention.ms=-1. Restore it; or give the detector a run of its own, which works through the input again"
            )
        snapshot, upto = self._snapshot or (None, -1)
        return Recovered(snapshot, upto, tuple(self._steps), self.next, self._done)

    def release(self) -> None:
        """Keep steps and snapshots no longer: who asked for them has them."""
        self._keep = False
        self._steps = []
        self._snapshot = None if self._snapshot is None else (b"", self._snapshot[1])

    def _claimed(self, offset: int, body: Mapping[str, Any], value: bytes) -> Landed:
        if body["epoch"] <= self.epoch:
            return Landed.OUTDATED
        if self.epoch == 0 and self.since is None and self.last is None:
            self.last = _ROOT
            if body["epoch"] > 1:
                self._lose(offset, "its beginning is missing")
        self.epoch, self.owner, self._number, self._pieces = body["epoch"], body["owner"], 0, []
        return Landed.ACCEPTED

    def _follow(self, offset: int, body: Mapping[str, Any], rest: bytes) -> Landed:
        if body["epoch"] < self.epoch:
            return Landed.OUTDATED
        if body["epoch"] == self.epoch and body["n"] <= self._number:
            return Landed.REPEATED
        if body["epoch"] > self.epoch:
            # Its claim is gone, so whatever was seen of lower epochs may have come after that and count for nothing.
            self._lose(offset, "its beginning is missing")
        elif body["n"] != self._number + 1 or (self.last is not None and body["prev"] != self.last):
            self._lose(offset, "the record does not follow the one before it")
        self.epoch = body["epoch"]
        if self.last is None:
            self.last = body["prev"]
        if body["kind"] == "step":
            self._step(offset, body)
        else:
            self._part(offset, body, rest)
        return Landed.ACCEPTED

    def _step(self, offset: int, body: Mapping[str, Any]) -> None:
        if self.next is not None and body["start"] != self.next:
            self._lose(offset, f"a step begins at input offset {body['start']}, the one before ended at {self.next}")
        self._pieces = []
        self.next, self._done = body["next"], body["done"]
        if self._keep:
            self._steps.append(Step(body["start"], body["next"], body["decision"], body["done"]))

    def _part(self, offset: int, body: Mapping[str, Any], rest: bytes) -> None:
        if body["part"] == 0:
            self._pieces, self._begun = [], offset
        if body["part"] != len(self._pieces) or hashlib.sha256(rest).hexdigest() != body["sha256"]:
            self._pieces = []
            return
        self._pieces.append(rest if self._keep else b"")
        if len(self._pieces) == body["parts"]:
            self._snapshot = b"".join(self._pieces), body["next"]
            self._pieces, self._steps, self._trouble = [], [], None
            self.next = self._done = body["next"]
            self.since = self._begun

    def _lose(self, offset: int, what: str) -> None:
        """What was known is not to be relied upon; a whole snapshot makes up for it."""
        trouble = self._trouble or (offset, what)
        self._forget()
        self.last, self._trouble = None, trouble

    def _forget(self) -> None:
        self._snapshot, self.next, self.since, self._done = None, None, None, -1
        self._steps, self._pieces, self._trouble = [], [], None
