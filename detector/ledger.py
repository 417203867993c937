"""What delivery remembers: alerts that are open, what became of findings, exceptions, and what is left of the day's budget.

Everything in it moves with event time and the order of the findings topic, so a replay arrives at the same ledger. It is
bounded: alerts end when nobody closes them in time, and what was decided about a finding is forgotten after days.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from contract.finding import Queue
from detector.allowed import Allowed
from detector.delivery import Budget

FORMAT: Final = "sekimori-notices-ledger"
VERSION: Final = 3
# 1 is without exceptions and the budget of review items, 2 without names of exceptions; both are read as well.
_READ: Final = (1, 2, VERSION)
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides besides the findings; pinned like rules and model, so that a replay decides alike.

    Attributes:
        zone: The site's time zone: the budget's day is its calendar day.
        staff: (day, people of type staff employed from that day on), ascending; empty: nobody knows how many there are to
            look, and nothing is cut.
        budget: Alerts and review items per 1,000 staff and day.
        partitions: Of the topic of findings; each spends its part of the budget.
        run: Findings of other runs tell nobody.
        merge_ms: For so long after an alert was opened, what says the same of the same person or group counts into it.
        open_ms: An alert that nobody closes for so long has expired.
        known_ms: For so long it is remembered what became of a finding.
        most_open: Open alerts; beyond it the oldest expire.
        most_known: Findings remembered; beyond it the oldest are forgotten.
        most_seen: So many records of findings can come a second time and change nothing; at least this many, at most twice.
    """

    zone: str
    staff: tuple[tuple[date, int], ...] = ()
    budget: Budget = field(default_factory=Budget)
    partitions: int = 1
    run: str = "live"
    merge_ms: int = DAY_MS
    open_ms: int = 14 * DAY_MS
    known_ms: int = 15 * DAY_MS
    most_open: int = 5_000
    most_known: int = 100_000
    most_seen: int = 50_000

    def day(self, at_ms: int) -> int:
        """The site's calendar day of a moment, as `date.toordinal` counts them."""
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(self.zone)).date().toordinal()

    def daily(self, day: int, queue: str) -> float:
        """Items of a queue that a day may add to what is saved, here: in this partition."""
        place = bisect_right([since.toordinal() for since, _ in self.staff], day) - 1
        staff = self.staff[max(place, 0)][1]
        rate = self.budget.alerts if queue == Queue.ALERT else self.budget.reviews
        return rate * staff / 1000 / self.partitions


@dataclass(frozen=True, slots=True)
class Alert:
    """One open alert.

    Attributes:
        key: What it says of whom; findings of the same key are merged.
        opened, last: Event time of its first finding, and of the last event concerned.
        finding: Whose words its notices hold, by uid: the one that opened or last raised it.
        words: Kind, analytic, title, text, check_first and controls of that finding.
        severity, risk: Of that finding when it was worst.
        findings: The first of its findings, by uid; the very first opened it.
        paging: The first of those that page and are not closed, by uid.
        count: Findings in it.
        told: Its count in the newest notice.
        revision: Of the newest notice.
    """

    fingerprint: str
    key: str
    opened: int
    last: int
    finding: str
    words: Mapping[str, Any]
    severity: int
    risk: float
    findings: tuple[str, ...]
    paging: tuple[str, ...]
    count: int = 1
    told: int = 1
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What became of a finding.

    Attributes:
        at: When that was; event time, never less than before.
        severity: The highest at which it was judged.
        state: `alert`: in an open one; `review`: before a reviewer; `over` the budget of alerts, `unreviewed`: over that of
            review items; `excepted`: allowed; `withdrawn`, `closed` or `expired`.
        alert: Its fingerprint, else empty.
        revision: From where an alert of the same name would go on counting; once it is forgotten, `notices` begins beyond it.
    """

    at: int
    severity: int
    state: str
    alert: str = ""
    revision: int = 0


@dataclass(slots=True)
class Ledger:
    """The memory of delivery in one partition of findings. `notices.advance` makes a new one and leaves the old as it was.

    Attributes:
        now: The greatest event time of any finding.
        saved: By queue, the day up to which the budget was added, and the items that may still be taken on it.
        alerts: Open ones by fingerprint, in the order in which they were opened.
        newest: The open alert of each key.
        known: Findings by uid, the longest untouched first.
        recent, older: Hashes of records of findings: two generations, the older is dropped when the recent one is full.
        due: Nothing ends before this moment.
        allowed: Exceptions, by when they were decided; those that are withdrawn or over stay as long as it matters.
    """

    now: int = 0
    saved: dict[str, tuple[int, float]] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    recent: set[str] = field(default_factory=set)
    older: set[str] = field(default_factory=set)
    due: int = 0
    allowed: tuple[Allowed, ...] = ()

    def copy(self) -> Ledger:
        """One of its own that may be changed; the values are shared, as they never change."""
        return replace(
            self, saved=dict(self.saved), alerts=dict(self.alerts), newest=dict(self.newest), known=dict(self.known),
            recent=set(self.recent),
        )  # fmt: skip

    def is_new(self, record: str, most: int) -> bool:
        """Whether a record, by its hash, comes for the first time; it is remembered."""
        if record in self.recent or record in self.older:
            return False
        if len(self.recent) >= most:
            self.older, self.recent = self.recent, set()
        self.recent.add(record)
        return True

    def became(self, uid: str, policy: Policy) -> Known | None:
        """What became of a finding, unless that is to be forgotten: the same wherever turns end, which is when it is."""
        known = self.known.get(uid)
        return None if known and not known.alert and known.at < self.now - policy.known_ms else known

    def note(self, uid: str, known: Known) -> None:
        """Remember what became of a finding."""
        self.known.pop(uid, None)  # so that it stands last
        self.known[uid] = known

    def spend(self, queue: Queue, at_ms: int, policy: Policy) -> bool:
        """Take one item out of what is saved for a queue, if there is one; days that passed are added first."""
        if not policy.staff:
            return True
        day, saved = self._save(queue, policy.day(at_ms), policy)
        enough = saved + 1e-9 >= 1  # 10 × 0.1 is a whole one
        self.saved[str(queue)] = day, saved - 1 if enough else saved
        return enough

    def _save(self, queue: Queue, day: int, policy: Policy) -> tuple[int, float]:
        """Add the budget of the days up to this one; what belongs to an earlier day is taken from what there is now."""
        budget = policy.budget
        if queue in self.saved:
            before, saved = self.saved[queue]
        else:
            daily = policy.daily(day, queue)
            before, saved = day, min(daily * budget.start_days, max(daily * budget.carry_days, 1.0))
        for passed in range(max(before + 1, day - 366), day + 1):  # nothing is saved up for longer
            daily = policy.daily(passed, queue)
            saved = min(saved + daily, max(daily * budget.carry_days, 1.0))
        return max(before, day), saved

    def dump(self) -> bytes:
        """The ledger as JSON of a version; equal ledgers give equal bytes."""
        whole = {
            "format": FORMAT,
            "version": VERSION,
            "now": self.now,
            "saved": sorted([queue, *saved] for queue, saved in self.saved.items()),
            "alerts": [_values(alert) for alert in self.alerts.values()],
            "newest": self.newest,
            "known": [[uid, *_values(known).values()] for uid, known in self.known.items()],
            "recent": sorted(self.recent),
            "older": sorted(self.older),
            "allowed": [one.values() for one in self.allowed],
        }
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> Ledger:
        """Read what `dump` wrote.

        Raises:
            ValueError: It is none, or of a version that this program does not know; the message says which.
        """
        whole = json.loads(data)
        if not isinstance(whole, dict) or whole.get("format") != FORMAT:
            raise ValueError(f"is no {FORMAT}")
        if whole["version"] not in _READ:
            raise ValueError(
                f"is version {whole['version']} of {FORMAT}; this program knows {VERSION}: use the newer program"
            )
        ledger = cls(now=whole["now"])
        if whole["version"] > 1:
            ledger.saved = {queue: (day, saved) for queue, day, saved in whole["saved"]}
            ledger.allowed = tuple(Allowed(*values) for values in whole["allowed"])
        elif whole["day"] is not None:
            ledger.saved = {str(Queue.ALERT): (whole["day"], whole["saved"])}
        for alert in map(_alert, whole["alerts"]):
            ledger.alerts[alert.fingerprint] = alert
        ledger.newest = whole["newest"]
        ledger.known = {uid: Known(*rest) for uid, *rest in whole["known"]}
        ledger.recent, ledger.older = set(whole["recent"]), set(whole["older"])
        return ledger


def _values(item: Alert | Known) -> dict[str, Any]:
    return {one.name: getattr(item, one.name) for one in fields(item)}  # `asdict` would copy all that is in it


def _alert(item: Mapping[str, Any]) -> Alert:
    lists: Iterator[tuple[str, Any]] = ((key, tuple(item[key])) for key in ("findings", "paging"))
    return Alert(**{**item, **dict(lists)})
