"""What a verification ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK, TAMPERED, GAP, CANNOT = 0, 1, 2, 3
WORDS: Final = {OK: "ok", TAMPERED: "tampered", GAP: "gap", CANNOT: "cannot verify"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        status: TAMPERED, GAP or CANNOT.
        agent: Whose records; empty if that cannot be said.
        text: What and where, for people.
    """

    status: int
    agent: str
    text: str


@dataclass(slots=True)
class Summary:
    """What was found of one agent.

    Attributes:
        agent: Its id.
        starts: Starts that left records.
        records, events: With a right signature, each once; events without those that it relayed.
        repeated: Records that came again, byte for byte, which is no fault.
        first_ms, last_ms: Times of the oldest and the newest heartbeat, UTC; None without one.
        since: From where on everything is demanded, where the topic no longer holds the beginning; else empty.
        excused: Numbers that are not there and that a later start declares as sealed and never acknowledged. Their lines
            were read again and stand under other numbers.
        under_way: Numbers that are not there, of an agent that lives and had not said yet that they arrived.
    """

    agent: str
    starts: int = 0
    records: int = 0
    events: int = 0
    repeated: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    since: str = ""
    excused: int = 0
    under_way: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a verification.

    Attributes:
        problems: The worst first: tampered, gap, cannot verify.
        agents: Sorted by id.
        notes: What else people should know, a line each; no fault.
        newest: Of an archive, the newest digest of each partition: its folder, from and until when all its digests reach (UTC ms), and the
            SHA-256 of the digest's file.
    """

    problems: tuple[Problem, ...]
    agents: tuple[Summary, ...]
    notes: tuple[str, ...] = ()
    newest: tuple[tuple[str, int, int, str], ...] = ()

    @property
    def status(self) -> int:
        """0 ok · 1 tampered · 2 gap · 3 cannot verify; of several the first in this order."""
        return min((problem.status for problem in self.problems), default=OK)
