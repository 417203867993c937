"""The judgement of one agent: its starts put in order by the key, each one's chain walked, one start held against the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from audit.chains.capture import Topic
from audit.chains.entry import Entry, Utterance
from audit.chains.verdict import CANNOT, GAP, TAMPERED, Problem, Summary
from audit.chains.walk import Keys, Walked, outside, walk
from contract.sealed import NO_RECORD, Predecessor, boot_name
from contract.sealkey import SealKey

# So many starts in a row may have left nothing in the topic.
MOST_STARTS: Final = 200_000


@dataclass(slots=True)
class Start:
    """One start of an agent.

    Attributes:
        name: Its `agent.boot`.
        at: How many starts of the enrolment came before.
        walked: Its chain; empty if nothing of it is there.
        told: What later starts say of it.
    """

    name: str
    at: int
    walked: Walked
    told: list[Predecessor] = field(default_factory=list)

    @property
    def utterances(self) -> list[Utterance]:
        """What it says of itself, in the order of sealing."""
        return [said for entry in self.walked.good for said in entry.said]

    @property
    def acknowledged(self) -> int:
        """The newest number up to which it saw everything arrive, −1 if it never said."""
        return max((said.acknowledged for said in self.utterances), default=-1)

    @property
    def doubts(self) -> list[tuple[int, int]]:
        """Numbers that later starts call sealed and never acknowledged."""
        return [pair for one in self.told for pair in one.unacknowledged]


class Agent:
    """Judges one agent, when it is made.

    Args:
        agent: `agent.id`.
        keys: First keys of its enrolments.
        found: Its records by start.
        topic: What was read.
        silent_ms: Longest silence before the topic was read that is in order.

    Attributes:
        summary, problems: The judgement.
    """

    def __init__(
        self, agent: str, keys: Sequence[SealKey], found: Mapping[str, list[Entry]], topic: Topic, silent_ms: int
    ) -> None:
        self.summary = Summary(agent)
        self.problems: list[Problem] = []
        self._found, self._topic, self._silent_ms = found, topic, silent_ms
        if not keys:
            self._say(CANNOT, f"no key of this agent was given, so its {len(found)} starts cannot be verified")
        elif not found:
            self._say(CANNOT, "nothing to verify: the topic holds no record of this agent")
        else:
            self._judge_all([starts for key in keys if (starts := self._starts(key))])

    def _say(self, status: int, text: str) -> None:
        self.problems.append(Problem(status, self.summary.agent, text))

    def _judge_all(self, enrolments: list[list[Start]]) -> None:
        known = {start.name for starts in enrolments for start in starts}
        if not known:
            self._say(CANNOT, "the key is not the one that this agent was enrolled with: none of its records fits")
            return
        for name in sorted(set(self._found) - known):
            self._say(
                TAMPERED, f"start {name} does not come from the key: forged, or the key of another enrolment lacks"
            )
        said = [said[-1] for starts in enrolments if (said := [one for start in starts for one in start.utterances])]
        newest = max(said, key=lambda one: one.at_ms, default=None)
        lives = newest is not None and not newest.stopping and not self._is_silent(newest)
        for starts in enrolments:
            self._judge(starts, lives and newest in starts[-1].utterances)
        self._check_silence(newest)

    def _starts(self, key: SealKey) -> list[Start]:
        """The starts that come from a key and are there or are spoken of, in their order."""
        numbers: dict[str, int] = {}
        starts: dict[str, Start] = {}
        at, idle = key.start, 0
        while len(starts) < len(self._found) and idle < MOST_STARTS:
            name = boot_name(key.secret)
            numbers[name] = at
            idle += 1
            if name in self._found:
                starts[name] = Start(name, at, walk(self._found[name], Keys(key.secret, key.agent)))
                idle = 0
            key, at = key.successor(), at + 1
        for teller in list(starts.values()):
            for one in [one for said in teller.utterances for one in said.previous or ()]:
                if one.boot in numbers:
                    starts.setdefault(one.boot, Start(one.boot, numbers[one.boot], Walked())).told.append(one)
                else:
                    self._say(GAP, f"start {teller.name} follows start {one.boot}, which does not come from this key")
        return sorted(starts.values(), key=lambda start: start.at)

    def _judge(self, starts: list[Start], lives: bool) -> None:
        """Judge the starts of one enrolment; `lives`: the newest of them goes on."""
        horizon = self._horizon(starts)
        for start in starts:
            self._count(start)
            for text in start.walked.altered:
                self._say(TAMPERED, f"start {start.name}: {text}")
            for lost in (said.lost for said in start.utterances if said.lost):
                self._say(GAP, f"the agent itself reports missing bytes: {lost}")
            self._check_beginning(start)
            self._check_claims(start)
            if start.at >= horizon[0]:
                floor = horizon[1] if start.at == horizon[0] else 0
                self._check_numbers(start, floor, lives and start is starts[-1])
                self._check_end(start, start is starts[-1])

    def _horizon(self, starts: Sequence[Start]) -> tuple[int, int]:
        """The start and number from which on everything must be there.

        Old records go partition by partition. What was sealed after the oldest record that is left in each shortened
        partition cannot have gone by age; heartbeats in every partition keep that point close.
        """
        cut = [partition for partition, (first, _) in self._topic.spans.items() if first > 0]
        if not cut:
            return -1, 0
        oldest: dict[int, tuple[int, int]] = {}
        for start in starts:
            for entry in start.walked.good:
                oldest.setdefault(entry.partition, (start.at, entry.first))
        at = max(oldest.get(partition, (1 << 62, 0)) for partition in cut)
        names = {start.at: start.name for start in starts}
        since = f"start {names[at[0]]} number {at[1]}" if at[0] in names else ""
        self.summary.since = since or "nowhere: a shortened partition holds nothing of it"
        return at

    def _count(self, start: Start) -> None:
        good, summary = start.walked.good, self.summary
        summary.starts += bool(good)
        summary.records += len(good)
        summary.events += sum(entry.last - entry.first + 1 for entry in good)
        summary.repeated += start.walked.repeated
        for said in start.utterances:
            summary.first_ms = said.at_ms if summary.first_ms is None else min(summary.first_ms, said.at_ms)
            summary.last_ms = said.at_ms if summary.last_ms is None else max(summary.last_ms, said.at_ms)

    def _check_beginning(self, start: Start) -> None:
        """A start's first record says which one went before, and is chained to it."""
        first = start.walked.good[0] if start.walked.good else None
        if first is None or first.first > 0:
            return
        previous = first.said[0].previous if first.said else None
        if previous is None or first.prev.hex() != (previous[-1].hash if previous else NO_RECORD):
            self._say(TAMPERED, f"start {start.name}: its first record does not say which one went before")

    def _check_claims(self, start: Start) -> None:
        """A later start that disowns what this one saw acknowledged is not to be believed: somebody else speaks."""
        claimed = start.acknowledged
        disowned = min((first for first, _ in start.doubts), default=claimed + 1)
        if disowned <= claimed:
            text = (
                f"a later start calls number {disowned} not acknowledged, though this one saw all to {claimed} arrive"
            )
            self._say(TAMPERED, f"start {start.name}: {text}")

    def _check_numbers(self, start: Start, floor: int, lives: bool) -> None:
        """Numbers that are not there, from `floor` on.

        Partitions are not read in the same instant, and records of different partitions do not arrive in the order of
        their numbers. So of an agent that lives nothing is demanded yet that it had not said to have arrived.
        """
        walked = start.walked
        due_to = start.acknowledged if lives else walked.last
        ranges = list(walked.missing)
        end = max((one.last for one in start.told), default=walked.last)
        if end > walked.last:
            ranges.append((walked.last + 1, end))
        ranges = outside(ranges, [*walked.claimed, (-1, floor - 1)])
        due = outside(ranges, [(due_to + 1, walked.last)])
        self.summary.under_way += _size(ranges) - _size(due)
        missing = outside(due, start.doubts)
        self.summary.excused += _size(due) - _size(missing)
        if missing:
            self._say(GAP, f"start {start.name}: {_numbers(missing)}")
        unlinked = [number for number in walked.unlinked if floor < number <= due_to + 1]
        if unlinked and not any(one.relayed for one in start.told):
            self._say(GAP, f"start {start.name}: records of relayed events are missing before number {unlinked[0]}")

    def _check_end(self, start: Start, newest: bool) -> None:
        """Where a start ended is what the next one says."""
        walked, told = start.walked, start.told
        if not newest and not told:
            self._say(GAP, f"start {start.name}: no later start says where it ended, so its end may be missing")
        digests = {entry.digest.hex() for entry in walked.good if entry.last == walked.last}
        strange = [one for one in told if one.last == walked.last and one.hash not in digests and not one.relayed]
        if walked.good and strange:
            self._say(GAP, f"start {start.name}: its last record is not the one that the next start speaks of")

    def _is_silent(self, newest: Utterance) -> bool:
        return self._topic.taken_ms - newest.at_ms > self._silent_ms

    def _check_silence(self, newest: Utterance | None) -> None:
        if newest is None:
            self._say(CANNOT, "no heartbeat is left, so nobody can say where the records end")
        elif not newest.stopping and self._is_silent(newest):
            self._say(GAP, f"silent since {_moment(newest.at_ms)}: it died, or the end of the topic was cut")


def _size(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _numbers(ranges: Sequence[tuple[int, int]]) -> str:
    shown = ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in ranges[:5])
    more = f" and {len(ranges) - 5} ranges more" if len(ranges) > 5 else ""
    return f"{_size(ranges):,} events are missing: numbers {shown}{more}"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
