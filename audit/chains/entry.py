"""What a verification keeps of a record, and the checks that need no key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from audit.chains.capture import Taken
from contract.sealed import EVENT, HEADERS, NDJSON, Predecessor, record_hash

_HEARTBEAT: Final = b'"event.class":"heartbeat"'
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What an agent says of itself in a heartbeat or a gap; to be believed only if the record's MAC is right.

    Attributes:
        at_ms: Its clock, UTC.
        lost: For a gap which bytes of what, and why; else empty.
        acknowledged: Newest number up to which everything was acknowledged, −1 if it does not say.
        stopping: It stops in order.
        previous: Of the starts before; None if it does not speak of them.
    """

    at_ms: int
    lost: str
    acknowledged: int
    stopping: bool
    previous: tuple[Predecessor, ...] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of a record, some 400 bytes.

    Attributes:
        first, last: The agent's own numbers in it; `last` is `first` − 1 where it has none.
        partition, offset: Where it lies.
        digest: Its hash, computed from the bytes that were found; 32 bytes.
        prev: Hash of the record before, as it says; 32 bytes.
        mac: As it says; 64 hex digits.
        said: Its heartbeats and gaps.
    """

    first: int
    last: int
    partition: int
    offset: int
    digest: bytes
    prev: bytes
    mac: bytes
    said: tuple[Utterance, ...] = ()

    @property
    def place(self) -> str:
        """For people."""
        return f"partition {self.partition} offset {self.offset}"

    @property
    def numbers(self) -> str:
        """For people."""
        return f"{self.first}–{self.last}" if self.last >= self.first else f"none, before {self.first}"


def is_sealed(taken: Taken) -> bool:
    """Whether it claims to be sealed: it has any of the headers that only a seal has."""
    return any(name in ("boot", "first", "last", "prev", "mac") for name, _ in taken.headers)


def speaker(taken: Taken) -> str:
    """The `agent.id` in its first event, empty if there is none."""
    return str(_object(taken.value.partition(b"\n")[0]).get("agent.id", ""))


def read(taken: Taken) -> tuple[str, str, Entry]:
    """Agent, start and what to keep of a record.

    Other headers than the seal's (of tracing, of mirrors) are not looked at; nobody vouches for them.

    Raises:
        ValueError: It is not as an agent writes records; the text says why.
    """
    own = [(name, value) for name, value in taken.headers if name in HEADERS]
    if [name for name, _ in own] != list(HEADERS):
        raise ValueError("has not just the headers of a sealed record, in their order")
    try:
        said = {name: value.decode() for name, value in own}
    except UnicodeDecodeError:
        raise ValueError("has a header that is no text") from None
    n, first, last = (_whole(said[name]) for name in ("n", "first", "last"))
    for name in ("prev", "mac"):
        if len(said[name]) != 64 or not _HEX.issuperset(said[name]):
            raise ValueError(f"has a header {name} that is no hash")
    if first < 0 or last < first - 1 or n < last - first + 1 or n < 1:
        raise ValueError(f"says {n} events numbered {first} to {last}, which cannot be")
    _check_content(said, n, first, last, taken.value)
    digest = record_hash(taken.partition, taken.key, own[:-1], taken.value)
    prev, mac = bytes.fromhex(said["prev"]), own[-1][1]
    agent = said["agent"]
    return (
        agent,
        said["boot"],
        Entry(first, last, taken.partition, taken.offset, digest, prev, mac, _said(taken, agent)),
    )


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if str(number) != text:
        raise ValueError(f"has a header {text[:40]!r} that is no number")
    return number


def _check_content(said: dict[str, str], n: int, first: int, last: int, value: bytes) -> None:
    """Headers and events must tell the same, so that a header that was changed is not taken for somebody else's."""
    if said["fmt"] not in (NDJSON, EVENT):
        raise ValueError(f"is of the unknown format {said['fmt'][:40]!r}")
    lines = value.count(b"\n")
    if lines != n or not value.endswith(b"\n"):
        raise ValueError(f"says {n} events, {lines} whole lines are there")
    if n != last - first + 1:
        return  # some are relayed and have numbers of their own
    begin, end = value.partition(b"\n")[0], value[:-1].rpartition(b"\n")[2]
    for line, number in ((begin, first), (end, last)):
        event = _object(line)
        found = [event.get(key) for key in ("agent.id", "agent.boot", "agent.seq")]
        if found != [said["agent"], said["boot"], number]:
            raise ValueError("has events of another agent, start or number than its headers say")


def _said(taken: Taken, agent: str) -> tuple[Utterance, ...]:
    if _HEARTBEAT not in taken.value:
        return ()
    events = [_object(line) for line in taken.value.split(b"\n") if _HEARTBEAT in line]
    return tuple(_utterance(event) for event in events if event.get("agent.id") == agent)


def _utterance(event: dict[str, Any]) -> Utterance:
    message = _object(str(event.get("message", "")).encode())
    at, acknowledged = event.get("time.occurred"), message.get("acknowledged")
    lost = ""
    if event.get("event.outcome") == "failure":
        lost = f"{event.get('source.id')} {event.get('source.position')}: {event.get('event.reason')}"
    return Utterance(
        at if type(at) is int else 0,
        lost,
        acknowledged if type(acknowledged) is int else -1,
        message.get("stopping") is True,
        _previous(message.get("previous")),
    )


def _previous(told: object) -> tuple[Predecessor, ...] | None:
    if not isinstance(told, list):
        return None
    try:
        return tuple(Predecessor.from_json(one) for one in told)
    except ValueError:
        return None


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
