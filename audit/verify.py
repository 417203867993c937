"""Verify the chains of sealed records: was anything altered, dropped or slipped in between the agents and here?

Separate code from the agent's, from the same description (`contract.sealed`). It fails closed: what cannot be verified is
a failure, and so is having nothing to verify. What it cannot see: records cut off the end of *all* partitions at once,
newer than the newest heartbeat that is left (after a while the agent's silence tells); and lines that never reached the
agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit.chains import entry
from audit.chains.agent import Agent
from audit.chains.capture import Damage, Taken, Topic
from audit.chains.entry import Entry
from audit.chains.verdict import CANNOT, GAP, TAMPERED, Problem, Verdict
from contract.sealkey import SealKey


class Verifier:
    """Takes records one by one, in any order, and judges when all were taken. Keeps some 400 bytes of each.

    Args:
        keys: First keys of the enrolments to verify; several of one agent if it was enrolled anew.
        topic: What is read.
        silent_after_s: An agent whose newest heartbeat is older than this when the topic was read fell silent, unless
            that heartbeat says that it stopped.
        allow_unsealed: Records of third parties, without any seal, are no failure; they prove nothing.
    """

    def __init__(
        self, keys: Sequence[SealKey], topic: Topic, *, silent_after_s: int = 300, allow_unsealed: bool = False
    ) -> None:
        self._keys = keys
        self._topic = topic
        self._silent_ms = silent_after_s * 1000
        self._allow_unsealed = allow_unsealed
        self._found: dict[str, dict[str, list[Entry]]] = {}
        self._problems: list[Problem] = []
        self._unsealed: list[str] = []

    def take(self, taken: Taken | Damage) -> None:
        """Look at a record, or at a line of a capture that is none."""
        if isinstance(taken, Damage):
            status = GAP if taken.cut else TAMPERED
            self._problems.append(Problem(status, "", f"line {taken.line} of the capture {taken.text}"))
            return
        place = f"partition {taken.partition} offset {taken.offset}"
        if not entry.is_sealed(taken):
            self._take_unsealed(taken, place)
            return
        try:
            agent, start, kept = entry.read(taken)
        except ValueError as error:
            self._problems.append(Problem(TAMPERED, "", f"{place}: {error}"))
            return
        self._found.setdefault(agent, {}).setdefault(start, []).append(kept)

    def leave_out(self, ends: Mapping[int, int]) -> None:
        """Forget sealed records from an offset of each partition on: what was taken there may not be all there is."""
        for starts in self._found.values():
            for name, entries in starts.items():
                starts[name] = [one for one in entries if one.offset < ends.get(one.partition, one.offset + 1)]
        for agent in list(self._found):
            self._found[agent] = {name: entries for name, entries in self._found[agent].items() if entries}
            if not self._found[agent]:
                del self._found[agent]

    def verdict(self, topic: Topic | None = None) -> Verdict:
        """Judge all that was taken; `topic` is what was read, where that is known only now."""
        problems = list(self._problems)
        if self._unsealed and not self._allow_unsealed:
            text = f"{len(self._unsealed):,} records have no seal, the first one is {self._unsealed[0]}"
            problems.append(Problem(CANNOT, "", f"{text}: allow them if third parties send here"))
        agents = sorted({*self._found, *(key.agent for key in self._keys)})
        judged = [
            Agent(
                agent,
                [key for key in self._keys if key.agent == agent],
                self._found.get(agent, {}),
                topic or self._topic,
                self._silent_ms,
            )
            for agent in agents
        ]
        if not judged:
            problems.append(Problem(CANNOT, "", "nothing to verify: no sealed record and no key"))
        problems += [problem for one in judged for problem in one.problems]
        problems.sort(key=lambda problem: problem.status)
        return Verdict(tuple(problems), tuple(one.summary for one in judged))

    def _take_unsealed(self, taken: Taken, place: str) -> None:
        """A record without seal: a third party's, unless it speaks in the name of an agent that seals."""
        name = entry.speaker(taken)
        if name in {key.agent for key in self._keys}:
            text = f"{place}: is not sealed, though {name} seals what it sends"
            self._problems.append(Problem(TAMPERED, name, text))
        else:
            self._unsealed.append(place)
