"""Verify an archive: is every record there as it was archived, and is every agent's chain whole?

It fails closed: what cannot be verified is a failure, and so is having nothing to verify. What no digest names yet is not
judged. What it cannot see: records altered by who holds the signing key *and* the agents' keys, or before the archive got them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from audit.archive.digest import Keys
from audit.archive.partition import Partition
from audit.archive.place import Place
from audit.chains.capture import Taken, Topic
from audit.chains.verdict import CANNOT, GAP, TAMPERED, Problem, Verdict
from audit.verify import Verifier
from contract.sealkey import SealKey

RECORDS: Final = "records"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is demanded.

    Attributes:
        topic: The topic that agents seal for; of others digests and segments are verified.
        until_ms: Every partition must have a digest that reaches so far, UTC.
        since_ms: Digests that end before are not looked at, and may be gone; None: from the first one on.
        silent_after_s, allow_unsealed: As `audit.verify.Verifier`.
        agents: Verify the agents' chains too; else digests and segments only.
    """

    topic: str
    until_ms: int
    since_ms: int | None = None
    silent_after_s: int = 300
    allow_unsealed: bool = False
    agents: bool = True


def verify(place: Place, keys: Keys, seal_keys: Sequence[SealKey], terms: Terms) -> Verdict:
    """Judge an archive.

    Args:
        place: Where it lies.
        keys: Public keys of who may sign digests.
        seal_keys: First keys of the agents' enrolments.
        terms: What is demanded.

    Raises:
        OSError: It cannot be read.
    """
    topics, files = place.inside(RECORDS)
    problems = [Problem(TAMPERED, "", f"{RECORDS}/{name}: does not belong here") for name in _strange(files)]
    notes: list[str] = []
    newest: list[tuple[str, int, int, str]] = []
    if not topics:
        problems.append(Problem(CANNOT, "", "nothing to verify: here is no archive"))
    agents: Verdict | None = None
    for topic in topics:
        judged = _Topic(place, topic, keys, seal_keys, terms)
        problems += judged.problems
        notes += judged.notes
        newest += judged.newest
        if topic == terms.topic and terms.agents:
            agents = judged.agents()
    if terms.agents and topics and agents is None:
        problems.append(Problem(CANNOT, "", f"nothing of topic {terms.topic} is here, so no agent can be verified"))
    problems += agents.problems if agents else ()
    problems.sort(key=lambda problem: problem.status)
    return Verdict(tuple(problems), agents.agents if agents else (), tuple(notes), tuple(newest))


class _Topic:
    """One topic's partitions, judged when it is made."""

    def __init__(self, place: Place, topic: str, keys: Keys, seal_keys: Sequence[SealKey], terms: Terms) -> None:
        self.problems: list[Problem] = []
        self.newest: list[tuple[str, int, int, str]] = []
        self.notes: list[str] = []
        self._name, self._terms = topic, terms
        self._parts: dict[int, Partition] = {}
        self._verifier = Verifier(
            seal_keys, Topic(topic, 0, {}), silent_after_s=terms.silent_after_s, allow_unsealed=terms.allow_unsealed
        )
        folders, files = place.inside(f"{RECORDS}/{topic}")
        for name in files + [one for one in folders if not (one.isascii() and one.isdigit() and len(one) == 5)]:
            if name in _strange([name]):
                self._say(TAMPERED, f"{name}: does not belong here")
                continue
        take = self._verifier.take if topic == terms.topic and terms.agents else _ignore
        for name in folders:
            if name.isascii() and name.isdigit() and len(name) == 5:
                folder = f"{RECORDS}/{topic}/{name}"
                part = Partition(place, folder, topic, int(name), keys, terms.since_ms, take)
                self._parts[int(name)] = part
                self._sum_up(folder, part)
        self._check_partitions()

    def _say(self, status: int, text: str) -> None:
        self.problems.append(Problem(status, "", f"{RECORDS}/{self._name}/{text}"))

    def _sum_up(self, folder: str, part: Partition) -> None:
        self.problems += part.problems
        self.notes += part.notes
        if not part.digests:
            return
        first, last = part.digests[0], part.digests[-1]
        span = f"from {_moment(first.from_ms)} to {_moment(last.to_ms)}"
        self.newest.append((folder, first.from_ms, last.to_ms, part.newest_hash))
        counts = f"{part.records:,} records, {len(part.digests):,} digests"
        self.notes.append(f"{folder}: {counts}, {span}, the newest is {part.newest_hash}")
        if part.start:
            self.notes.append(f"{folder}: complete only from offset {part.start} on")
        if last.to_ms < self._terms.until_ms:
            text = f"no digest after {_moment(last.to_ms)}: it is not written any more, or its end was cut"
            self.problems.append(Problem(GAP, "", f"{folder}: {text}"))

    def _check_partitions(self) -> None:
        """Digests say how many partitions there are; a topic never has fewer than before."""
        counts = [part.digests[-1].partitions for part in self._parts.values() if part.digests]
        if not counts:
            self._say(CANNOT, "holds no digest that can be verified")
            return
        expected = set(range(max(counts)))
        for number in sorted(expected - set(self._parts)):
            self._say(GAP, f"{number:05}: is missing")
        for number in sorted(set(self._parts) - expected):
            self._say(TAMPERED, f"{number:05}: is of a partition that the topic does not have")

    def agents(self) -> Verdict:
        """The judgement of the agents, up to where all partitions are known.

        Digests of different partitions end at different times, and so what an agent says in one partition may speak of
        records that lie in another one behind its newest digest. All partitions are therefore cut at the newest time that
        each of them has reached.
        """
        signed = [part for part in self._parts.values() if part.digests]
        cut_ms = min((part.newest_ms for part in signed if part.newest_ms is not None), default=0)
        ends = {number: part.end_at(cut_ms) for number, part in self._parts.items()}
        self._verifier.leave_out(ends)
        taken_ms = min((part.digests[-1].to_ms for part in signed), default=0)
        spans = {number: (part.start, ends[number]) for number, part in self._parts.items() if part.digests}
        return self._verifier.verdict(Topic(self._name, taken_ms, spans))


def _ignore(taken: Taken) -> None:
    """Of topics without agents only digests and segments are judged."""


def _strange(names: Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
