"""Who is told what, and once: findings that page become alerts, and every change of an alert a notice.

What says the same of the same person or group within 24 hours is one alert with a count; a rise in severity pages again.
Statistical alerts and review items have a daily budget each, spent in the order in which findings come; what is over it goes
to the digest as an update of the finding that says so, and so does what an exception allows. Evidence and what is critical
always pages.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from contract import finding as contract
from contract import notice
from contract.event import MAX_TIME
from contract.finding import Activity, Kind, Queue, Severity
from contract.notice import Change, Ending
from detector import allowed
from detector.allowed import Allowed
from detector.excerpt import excerpt
from detector.ledger import Alert, Known, Ledger, Policy

Finding = Mapping[str, Any]

# States of findings (`ledger.Known`).
ALERT: Final = "alert"
REVIEW: Final = "review"
OVER: Final = "over"
UNREVIEWED: Final = "unreviewed"
EXCEPTED: Final = "excepted"
# Family of rules whose findings always page (detector/judge.py).
ALWAYS_PAGES: Final = "evidence"
# More than an alert can have notices.
MOST_NOTICES: Final = 1_000_000
# Findings of one alert that are followed one by one; those beyond go with these.
MOST_PAGING: Final = 200


@dataclass(frozen=True, slots=True)
class Closed:
    """A case that was closed.

    Attributes:
        name: `finding_info.uid` of one finding, or the fingerprint of an alert: then all findings in it.
        time: When; UTC ms.
    """

    name: str
    time: int


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from a batch, in the order in which it happened.

    Attributes:
        notices: Objects of `contract.notice`, for the topic of notices.
        updates: Findings that were moved to the digest, for the topic of findings.
        counts: For metrics: `opened`, `raised`, `merged`, `over_budget`, `resolved`, `excepted`, `review`, `unreviewed`,
            `again`.
    """

    notices: tuple[dict[str, Any], ...]
    updates: tuple[dict[str, Any], ...]
    counts: Mapping[str, int]

    def records(self) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
        """(key, value) of the records for the topics of notices and of findings; equal whenever they are made again."""
        return (
            [(item["fingerprint"], notice.to_json(item).encode()) for item in self.notices],
            [(item["finding_info"]["uid"], contract.to_json(item).encode()) for item in self.updates],
        )


def decode(value: bytes) -> dict[str, Any]:
    """Read one record of the topic of findings.

    Raises:
        ValueError: It is none; the message names all problems.
    """
    return contract.from_json(value)


def advance(
    ledger: Ledger,
    findings: Iterable[Finding],
    closed: Sequence[Closed],
    policy: Policy,
    latest_ms: int = MAX_TIME,
    exceptions: Sequence[Allowed] = (),
) -> tuple[Ledger, Effects]:
    """Go on by some findings.

    Args:
        ledger: What is remembered; it stays as it was.
        findings: Valid ones, in the order of their topic. One that came already, byte by byte, changes nothing.
        closed: Cases that were closed since; they count before the findings.
        policy: What decides besides.
        latest_ms: No finding counts as later than this, whatever it says: one event under a wrong clock would else end
            all alerts and spend the budget of years. Kafka's time of the newest record and an hour, in a stream.
        exceptions: Those that were decided since; they count before the findings.

    Returns:
        The ledger after them, and what follows.
    """
    turn = _Turn(ledger.copy(), policy, latest_ms)
    for decision in closed:
        turn.close(decision)
    if exceptions:
        turn.ledger.allowed = allowed.taken(turn.ledger.allowed, exceptions)
    for item in findings:
        turn.take(item)
    turn.bound()
    return turn.ledger, Effects(tuple(turn.notices), tuple(turn.updates), dict(turn.counts))


class _Turn:
    """One batch on its way through the ledger."""

    def __init__(self, ledger: Ledger, policy: Policy, latest_ms: int) -> None:
        self.latest_ms = latest_ms
        self.ledger = ledger
        self.policy = policy
        self.notices: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def _at(self, item: Finding) -> int:
        return min(int(item["time"]), self.latest_ms)

    def take(self, item: Finding) -> None:
        """One finding."""
        if item["unmapped"]["run"] != self.policy.run:
            return
        if not self.ledger.is_new(_hash(item), self.policy.most_seen):
            self.counts["again"] += 1
            return
        self.ledger.now = max(self.ledger.now, self._at(item))
        self._end()
        known = self.ledger.became(item["finding_info"]["uid"], self.policy)
        match item["unmapped"]["queue"]:
            case Queue.ALERT:
                self._paging(item, known)
            case Queue.REVIEW:
                self._reviewed(item, known)
            case _:
                self._withdrawn(item, known)

    def _paging(self, item: Finding, known: Known | None) -> None:
        state = known.state if known else ""
        worse = known is None or item["severity_id"] > known.severity
        if state in (Ending.CLOSED, Ending.EXPIRED) and not worse:
            return
        exception = None if _exempt(item) else allowed.fitting(self.ledger.allowed, item)
        if exception is not None:
            self._except(item, known, exception)
        elif known is not None and state == ALERT:
            self._changed(self.ledger.alerts[known.alert], item)
        elif state == OVER and not worse:
            self._digest(item, OVER, over_budget=True)  # so that the newest record of it says the same as before
        else:
            self._page(item)

    def _reviewed(self, item: Finding, known: Known | None) -> None:
        """A finding for a reviewer. One that paged, or was closed, is known to people and spends nothing."""
        self._withdrawn(item, known)
        if known is not None and known.state not in (OVER, UNREVIEWED):
            return
        again = known is not None and known.state == UNREVIEWED and item["severity_id"] <= known.severity
        if not again and (_exempt(item) or self.ledger.spend(Queue.REVIEW, self._at(item), self.policy)):
            self.counts[REVIEW] += 1
            self._note(item, REVIEW)
        else:
            self.counts[UNREVIEWED] += not again
            self._digest(item, UNREVIEWED, over_budget=True)

    def _withdrawn(self, item: Finding, known: Known | None) -> None:
        if known is not None and known.state == ALERT:
            uid = item["finding_info"]["uid"]
            self._leave(self.ledger.alerts[known.alert], uid, Ending.WITHDRAWN, self._at(item))

    def close(self, decision: Closed) -> None:
        """One case that was closed, maybe of a finding that is still to come."""
        alert = self.ledger.alerts.get(decision.name)
        for uid in alert.paging if alert else (decision.name,):
            known = self.ledger.became(uid, self.policy)
            if known is None and not uid.startswith("n-"):
                self.ledger.note(uid, Known(decision.time, Severity.CRITICAL, "closed"))
            elif known is not None and known.state == ALERT:
                self._leave(self.ledger.alerts[known.alert], uid, Ending.CLOSED, self.ledger.now)
            elif known is not None:
                self.ledger.note(uid, replace(known, state="closed"))

    def bound(self) -> None:
        """Forget what is old, or too much."""
        alerts, known, policy = self.ledger.alerts, self.ledger.known, self.policy
        for alert in list(islice(alerts.values(), max(len(alerts) - policy.most_open, 0))):
            self._resolve(alert, Ending.EXPIRED, self.ledger.now)
        self.ledger.allowed = allowed.remembered(self.ledger.allowed, self.ledger.now, policy.known_ms)
        over, stale = len(known) - policy.most_known, self.ledger.now - policy.known_ms
        gone: list[str] = []
        for uid, one in known.items():
            if one.at >= stale and len(gone) >= over:
                break
            if one.state != ALERT:
                gone.append(uid)
        for uid in gone:
            del known[uid]

    def _page(self, item: Finding) -> None:
        """A finding that pages and is in no alert: it goes into one, opens one, or is over the budget."""
        alert = self._open_alert(item)
        if alert is not None:
            self._merge(alert, item)
        elif _exempt(item) or self.ledger.spend(Queue.ALERT, self._at(item), self.policy):
            self._open(item)
        else:
            self.counts["over_budget"] += 1
            self._digest(item, OVER, over_budget=True)

    def _open_alert(self, item: Finding) -> Alert | None:
        """The open alert that a finding belongs to: the one that it opened itself, else the newest that says the same."""
        own = self.ledger.alerts.get(notice.fingerprint(self.policy.run, item["finding_info"]["uid"]))
        alert = own or self.ledger.alerts.get(self.ledger.newest.get(_key(item), ""))
        return alert if alert and (own or abs(self._at(item) - alert.opened) <= self.policy.merge_ms) else None

    def _open(self, item: Finding) -> None:
        uid, key = item["finding_info"]["uid"], _key(item)
        before = self.ledger.became(uid, self.policy)
        alert = Alert(
            fingerprint=notice.fingerprint(self.policy.run, uid),
            key=key,
            opened=self._at(item),
            last=item["finding_info"]["last_seen_time"],
            finding=uid,
            words=excerpt(item),
            severity=item["severity_id"],
            risk=item["risk_score"],
            findings=(uid,),
            paging=(uid,),
            revision=before.revision if before else self._unused(item),
        )
        self.ledger.newest[key] = alert.fingerprint
        self.ledger.due = min(self.ledger.due, alert.opened + self.policy.merge_ms)
        self._note(item, ALERT, alert.fingerprint)
        self._tell(alert, Change.OPENED, self._at(item))

    def _unused(self, item: Finding) -> int:
        """From where the notices of an alert count that is not known: beyond those that it may have had, if it may be forgotten."""
        now, known_ms = self.ledger.now, self.policy.known_ms
        was_said = item["activity_id"] == Activity.UPDATE and item["finding_info"]["first_seen_time"] < now - known_ms
        return now // known_ms * MOST_NOTICES if was_said else 0

    def _merge(self, alert: Alert, item: Finding) -> None:
        self.counts["merged"] += 1
        uid = item["finding_info"]["uid"]
        alert = replace(
            alert,
            count=alert.count + (uid not in alert.findings),
            findings=tuple(dict.fromkeys((*alert.findings, uid)))[: notice.MOST_FINDINGS],
            paging=tuple(dict.fromkeys((*alert.paging, uid)))[:MOST_PAGING],
        )
        if uid in alert.paging:
            self._note(item, ALERT, alert.fingerprint)
        # What comes late has no end of the merging hours before it that would tell the last count.
        late = self.ledger.now > alert.opened + self.policy.merge_ms
        self._changed(alert, item, tell=late or _worth_telling(alert.count))

    def _changed(self, alert: Alert, item: Finding, tell: bool = False) -> None:
        """A finding of an open alert says something new, or there is one more."""
        uid, words = item["finding_info"]["uid"], excerpt(item)
        alert = replace(alert, last=max(alert.last, item["finding_info"]["last_seen_time"]))
        self.ledger.alerts[alert.fingerprint] = alert
        if uid in alert.paging:
            self._note(item, ALERT, alert.fingerprint)
        if item["severity_id"] > alert.severity:
            alert = replace(alert, severity=item["severity_id"], risk=item["risk_score"], finding=uid, words=words)
            self._tell(alert, Change.RAISED, self._at(item))
        elif uid == alert.finding and words != alert.words:
            self._tell(replace(alert, words=words), Change.UPDATED, self._at(item))
        elif tell:
            self._tell(alert, Change.UPDATED, self._at(item))

    def _leave(self, alert: Alert, uid: str, ending: Ending, at: int) -> None:
        """A finding of an open alert pages no more; the last one that leaves resolves it."""
        alert = replace(alert, paging=tuple(other for other in alert.paging if other != uid))
        self.ledger.alerts[alert.fingerprint] = alert
        self.ledger.note(uid, replace(self.ledger.known[uid], state=str(ending), alert=""))
        if not alert.paging:
            self._resolve(alert, ending, at)

    def _resolve(self, alert: Alert, ending: Ending, at: int) -> None:
        known = self.ledger.known
        for uid in alert.paging:
            self.ledger.note(uid, replace(known[uid], state=str(ending), alert=""))
        opener = alert.findings[0]
        if opener in known:  # should it page again, its notices go on counting
            known[opener] = replace(known[opener], revision=alert.revision + 1)
        self._tell(alert, Change.RESOLVED, at, ending)
        del self.ledger.alerts[alert.fingerprint]
        if self.ledger.newest.get(alert.key) == alert.fingerprint:
            del self.ledger.newest[alert.key]

    def _end(self) -> None:
        """What event time ends: alerts that nobody closed, and merging hours whose last count was not told."""
        now, policy = self.ledger.now, self.policy
        if now < self.ledger.due:
            return
        for alert in list(self.ledger.alerts.values()):
            if now > alert.opened + policy.open_ms:
                self._resolve(alert, Ending.EXPIRED, now)
            elif now > alert.opened + policy.merge_ms and alert.told != alert.count:
                self._tell(alert, Change.UPDATED, now)
        opened = [alert.opened for alert in self.ledger.alerts.values()]
        ends = [at + (policy.merge_ms if now <= at + policy.merge_ms else policy.open_ms) for at in opened]
        self.ledger.due = min(ends, default=now + policy.merge_ms) + 1

    def _except(self, item: Finding, known: Known | None, exception: Allowed) -> None:
        """Allowed: it pages nobody, and an alert that it is in goes on without it."""
        self._withdrawn(item, known)
        if known is None or known.state != EXCEPTED or not exception.count:  # else it is counted in there
            self.counts[EXCEPTED] += 1
            self.ledger.allowed = allowed.counted(self.ledger.allowed, exception)
            exception = replace(exception, count=exception.count + 1)
        self._digest(item, EXCEPTED, exception=exception.said())

    def _digest(self, item: Finding, state: str, **why: Any) -> None:
        """The finding moves to the digest and says why."""
        update = {
            **item,
            "activity_id": int(Activity.UPDATE),
            "type_uid": 100 * contract.CLASS_UID + Activity.UPDATE,
            "is_alert": False,
            "unmapped": {**item["unmapped"], "queue": str(Queue.DIGEST), **why},
        }
        if self.ledger.allowed:
            update = allowed.naming(update, self.ledger.allowed)
        self.updates.append(update)
        self.ledger.is_new(_hash(update), self.policy.most_seen)  # it comes back through the topic of findings
        self._note(item, state)

    def _note(self, item: Finding, state: str, alert: str = "") -> None:
        uid = item["finding_info"]["uid"]
        before = self.ledger.became(uid, self.policy)
        severity = max(item["severity_id"], before.severity if before else 0)
        self.ledger.note(uid, Known(self.ledger.now, severity, state, alert, before.revision if before else 0))

    def _tell(self, alert: Alert, change: Change, at: int, ending: Ending | None = None) -> None:
        alert = replace(alert, revision=alert.revision + 1, told=alert.count)
        self.ledger.alerts[alert.fingerprint] = alert
        self.counts[change] += 1
        self.notices.append(
            {
                "version": notice.VERSION,
                "fingerprint": alert.fingerprint,
                "revision": alert.revision,
                "change": str(change),
                "ending": str(ending) if ending else None,
                "time": at,
                "opened": alert.opened,
                "last": alert.last,
                "severity_id": alert.severity,
                "risk_score": alert.risk,
                "count": alert.count,
                "finding": alert.finding,
                "findings": list(alert.findings),
                "run": self.policy.run,
                **alert.words,
            }
        )


def _hash(item: Finding) -> str:
    return hashlib.sha256(contract.to_json(item).encode()).hexdigest()[:16]


def _key(item: Finding) -> str:
    """What a finding says of whom; equal for findings that are one alert."""
    unmapped, analytic = item["unmapped"], item["finding_info"]["analytic"]["uid"]
    unit = str(unmapped.get("unit", ""))
    if unmapped.get("kind") == Kind.GROUP:
        # `g`, rule, values of the group, first event: the group is the same whichever event fills it.
        return "\x1f".join(["group", analytic, *unit.split("\x1f")[1:-1]])
    actors = sorted({who for one in item["evidences"] if (who := one["actor"].get("user", {}).get("uid"))})
    return "\x1f".join(["who", analytic, *actors] if actors else ["unit", analytic, unit])


def _exempt(item: Finding) -> bool:
    """Whether it is never cut, as detector/judge.py has it: evidence, and what is critical."""
    unmapped = item["unmapped"]
    always = any(share["family"] == ALWAYS_PAGES for share in unmapped["shares"])
    return always or unmapped.get("kind") == Kind.EVIDENCE or item["severity_id"] >= Severity.CRITICAL


def _worth_telling(count: int) -> bool:
    """2 … 10, then 20, 50, 100, 200, 500 and so on: a flood of one kind is a few notices."""
    return count <= 10 or str(count).rstrip("0") in ("1", "2", "5")
