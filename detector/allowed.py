"""Exceptions: what the office allows for a while, so that findings about it page nobody.

An exception is narrow: nothing that it does not name goes with it. Of several that fit, the one decided last is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from contract import decision as contract
from contract.decision import LONGEST_MS
from contract.finding import AnalyticType

# Instead of a version, where no exception is in force.
NONE: Final = "none"
# Words of people that go along into every finding concerned.
_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Allowed:
    """One exception, as a decision says it.

    Attributes:
        analytic, actor, subject: What is allowed; None: any. At least one is not.
        time, until: For findings of these moments, both included; UTC ms.
        finding: About which it was decided.
        by, approver, reason: Who stands for it, who approved it, and why.
        count: Findings that it kept from paging.
        name: Of the decision (`contract.decision.name`); empty where a program took it that did not know names.
    """

    analytic: str | None
    actor: str | None
    subject: str | None
    time: int
    until: int
    finding: str
    by: str
    approver: str | None = None
    reason: str | None = None
    count: int = 0
    name: str = ""

    @classmethod
    def of(cls, decision: Mapping[str, Any]) -> Allowed:
        """From a valid decision of kind `exception`, its words cut to what a finding takes over."""
        words = {name: decision[name][:_CHARS] for name in ("approver", "reason") if name in decision}
        return cls(
            decision.get("analytic"), decision.get("actor"), decision.get("subject"), decision["time"], decision["until"],
            decision["finding"][:_CHARS], decision["by"][:_CHARS], name=contract.name(decision), **words,
        )  # fmt: skip

    def values(self) -> list[Any]:
        """Plain values, in the order of the attributes."""
        return [getattr(self, one.name) for one in fields(self)]

    def said(self) -> dict[str, Any]:
        """What a finding that it keeps from paging says of it."""
        said = ("finding", "by", "approver", "reason", "time", "until", "count")
        return {name: value for name in said if (value := getattr(self, name)) is not None}

    def fits(self, finding: Mapping[str, Any]) -> bool:
        """Whether it allows what a finding is about: every rule and every person in it, and its subject among others."""
        return (
            self.time <= finding["time"] <= self.until
            and (self.analytic is None or _analytics(finding) == {self.analytic})
            and (self.actor is None or _actors(finding) == {self.actor})
            and (self.subject is None or any(one["uid"] == self.subject for one in finding["resources"]))
        )


def taken(known: tuple[Allowed, ...], new: Iterable[Allowed]) -> tuple[Allowed, ...]:
    """Take new exceptions in: the one that was decided last takes the place of others that allow the same.

    What was withdrawn is among them, so that an older one that is read later stays withdrawn.

    Returns:
        In the order in which they were decided.
    """
    by_scope = {(one.analytic, one.actor, one.subject): one for one in known}
    for one in new:
        scope = one.analytic, one.actor, one.subject
        before = by_scope.get(scope)
        if before is None or (one.time >= before.time and one != replace(before, count=0)):
            by_scope[scope] = one
    return tuple(sorted(by_scope.values(), key=_order))


def fitting(known: tuple[Allowed, ...], finding: Mapping[str, Any]) -> Allowed | None:
    """The exception under which a finding falls, if there is one; the newest of several."""
    return next((one for one in reversed(known) if one.fits(finding)), None)


def counted(known: tuple[Allowed, ...], one: Allowed) -> tuple[Allowed, ...]:
    """The same, with one of them replaced by itself with one finding more."""
    return tuple(replace(other, count=other.count + 1) if other == one else other for other in known)


def remembered(known: tuple[Allowed, ...], now: int, known_ms: int) -> tuple[Allowed, ...]:
    """Those that are not over yet, nor may one that they replaced be; so much later than `now` findings may come still."""
    return tuple(one for one in known if one.time + LONGEST_MS >= now - known_ms)


def version(known: Iterable[Allowed], at_ms: int) -> str:
    """What names the exceptions that are in force at a moment (UTC ms): `sha256:` over their names, sorted, a line each; else `none`."""
    names = sorted(one.name for one in known if one.time <= at_ms <= one.until)
    return "sha256:" + hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest() if names else NONE


def naming(finding: Mapping[str, Any], known: Iterable[Allowed]) -> dict[str, Any]:
    """A finding that says which exceptions are in force at its time."""
    ours = finding["unmapped"]
    versions = {**ours["versions"], "exceptions": version(known, finding["time"])}
    return {**finding, "unmapped": {**ours, "versions": versions}}


def _order(one: Allowed) -> tuple[int, str, str, str]:
    # The same however the decisions were cut into turns.
    return one.time, one.analytic or "", one.actor or "", one.subject or ""


def _analytics(finding: Mapping[str, Any]) -> set[str]:
    info = finding["finding_info"]
    others = (one["uid"] for one in info["related_analytics"] if one["type_id"] == AnalyticType.RULE)
    return {info["analytic"]["uid"], *others}


def _actors(finding: Mapping[str, Any]) -> set[str | None]:
    """Who acted; None among them where somebody is not named."""
    return {one["actor"].get("user", {}).get("uid") for one in finding["evidences"]}
