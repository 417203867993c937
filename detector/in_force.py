"""Which exceptions a stage knows, so that each of its findings names those in force (`unmapped.versions.exceptions`).

They decide nothing here: delivery does that (`detector/notices.py`). What is known is taken into the recorded decision, so that
working it out again names the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from detector import allowed
from detector.allowed import Allowed
from detector.cases import Cases

# For so long after their time findings still come: as long as delivery remembers any (`ledger.Policy.known_ms`).
_LATE_MS: Final = 15 * 86_400_000


@dataclass(frozen=True, slots=True)
class InForce:
    """What a stage knows of exceptions.

    Attributes:
        known: As `allowed.taken` gives them.
        upto: By partition of the topic of decisions, the offset up to which they were taken.
    """

    known: tuple[Allowed, ...] = ()
    upto: Mapping[int, int] = field(default_factory=dict)

    def decide(self, cases: Cases) -> dict[str, Any]:
        """What is to be recorded, if there are exceptions that were not taken yet."""
        found, upto = cases.exceptions_since(self.upto)
        if not found:
            return {}
        return {"exceptions": [one.allowed.values() for one in found], "decisions": sorted(map(list, upto.items()))}

    def extended(self, decision: Mapping[str, Any], watermark: int) -> InForce:
        """With what was recorded, and without what no finding can ask for any more; `watermark` in UTC ms."""
        if "exceptions" not in decision:
            return self
        known = allowed.taken(self.known, (Allowed(*values) for values in decision["exceptions"]))
        return InForce(allowed.remembered(known, watermark, _LATE_MS), dict(decision["decisions"]))

    def named(self, findings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Findings that say which exceptions are in force at their time."""
        if not self.known:
            return list(findings)
        return [allowed.naming(one, self.known) for one in findings]

    def as_json(self) -> dict[str, Any]:
        """Plain values for a state."""
        return {"known": [one.values() for one in self.known], "upto": sorted(map(list, self.upto.items()))}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> InForce:
        """The reverse of `as_json`; a state that was made before there was one holds none."""
        if value is None:
            return cls()
        return cls(tuple(Allowed(*one) for one in value["known"]), dict(value["upto"]))
