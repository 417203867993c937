"""Alertmanager's v2 API: every open alert is told again and again, as Prometheus does, until it is resolved.

Labels are few, closed and free of people, so that Alertmanager's own fingerprint is stable: a replay does not page twice.
A rise in severity changes a label, so that the alert pages again and routes can tell severities apart; the one of the lower
severity is resolved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from contract.finding import Severity
from contract.notice import Change
from detector.channels import http
from detector.channels.channel import LaterError, Notice, RefusedError
from detector.channels.inert import inert

ALERT_NAME: Final = "SekimoriFinding"
# What is posted at a time: some hundred kilobytes.
_MOST_AT_ONCE: Final = 200
_FINDINGS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, and for how long.

    Attributes:
        resend_s: Open alerts are told again so often, so that an Alertmanager that lost its memory has them again.
        valid_s: An alert that was not told again for so long resolves itself; several times `resend_s`.
        most_open: Most alerts that are told again; of more, the newest.
    """

    resend_s: float = 60.0
    valid_s: float = 3600.0
    most_open: int = 10_000


class Alertmanager:
    """See `Channel`.

    Args:
        name: Of the configuration.
        targets: One Alertmanager, or all of a cluster: every one is told everything, as its documentation asks.
        headers: Of every request, such as Authorization.
        link: Where a finding can be looked at, with `{finding}` for its uid; empty: nowhere.
        pace: How often.
        now_s: Unix time in seconds.
        clock: Seconds, never back.
    """

    remembers: Final = True

    def __init__(
        self,
        name: str,
        targets: Sequence[http.Target],
        headers: Mapping[str, str],
        link: str = "",
        pace: Pace | None = None,
        now_s: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._targets = tuple(targets)
        self._headers = dict(headers)
        self._link = link
        self._pace = pace or Pace()
        self._now_s = now_s
        self._clock = clock
        self._open: dict[str, Notice] = {}  # by fingerprint, the oldest first
        self._before: dict[str, set[int]] = {}  # severities at which an open alert was told before
        self.trouble = ""
        self._due: list[Notice] = []  # what this round of telling again has still to tell
        self._next_s = clock()

    @property
    def open(self) -> int:
        """Alerts that are told again and again."""
        return len(self._open)

    def deliver(self, waiting: Sequence[Notice]) -> int:
        """Post what waits up to the second notice of any alert, or the first alone if something in it is refused."""
        names = [notice["fingerprint"] for notice in waiting[:_MOST_AT_ONCE]]
        single = next((place for place, name in enumerate(names) if name in names[:place]), len(names))
        try:
            done = self._told(waiting[:single])
        except RefusedError:
            done = self._told(waiting[:1])
        return done

    def _told(self, notices: Sequence[Notice]) -> int:
        self._post(notices)
        for notice in notices:
            self.recall(notice)
            self._before.pop(notice["fingerprint"], None)
        return len(notices)

    def recall(self, notice: Notice) -> None:
        """Learn how an alert stands."""
        fingerprint = notice["fingerprint"]
        known = self._open.get(fingerprint)
        if known is not None and known["revision"] > notice["revision"]:
            return  # it came again
        if notice["change"] == Change.RESOLVED:
            self._open.pop(fingerprint, None)
            self._before.pop(fingerprint, None)
            return
        if known is not None and known["severity_id"] != notice["severity_id"]:
            self._before.setdefault(fingerprint, set()).add(known["severity_id"])
        self._open[fingerprint] = notice
        while len(self._open) > self._pace.most_open:
            oldest = next(iter(self._open))
            del self._open[oldest]
            self._before.pop(oldest, None)

    def forget(self) -> None:
        """Forget all alerts."""
        self._open, self._before, self._due = {}, {}, []

    def turn(self) -> None:
        """Tell again what is open, a part at a time; a new round begins every `resend_s`."""
        if not self._due and self._clock() >= self._next_s:
            self._next_s = self._clock() + self._pace.resend_s
            self._due = list(reversed(self._open.values()))
        if self._due:
            part = self._due[-_MOST_AT_ONCE:]
            # What was resolved or told anew since the round began is left out.
            current = [notice for notice in part if self._open.get(notice["fingerprint"]) is notice]
            self._told(current)
            del self._due[-len(part) :]

    def _post(self, notices: Sequence[Notice]) -> None:
        """Post to every target; it is enough if one takes it, as the others are told again with all that is open."""
        now_s = self._now_s()
        alerts = [alert for notice in notices for alert in self._alerts(notice, now_s)]
        if not alerts:
            return
        body = json.dumps(alerts, ensure_ascii=False, separators=(",", ":")).encode()
        failed: list[LaterError | RefusedError] = []
        for target in self._targets:
            try:
                http.post(target, body, self._headers)
            except (LaterError, RefusedError) as error:
                failed.append(error)
        self.trouble = "; ".join(map(str, failed))
        if len(failed) == len(self._targets):
            raise next((error for error in failed if isinstance(error, LaterError)), failed[0])

    def _alerts(self, notice: Notice, now_s: float) -> Iterable[dict[str, Any]]:
        """The alert, and those of its former severities, resolved."""
        known = self._open.get(notice["fingerprint"])
        before = set(self._before.get(notice["fingerprint"], ()))
        if known is not None:
            before.add(known["severity_id"])
        for severity in sorted(before - {notice["severity_id"]}):
            yield self._alert(notice, severity, now_s, now_s)
        resolved = notice["change"] == Change.RESOLVED
        yield self._alert(notice, notice["severity_id"], now_s, now_s if resolved else now_s + self._pace.valid_s)

    def _alert(self, notice: Notice, severity: int, now_s: float, ends_s: float) -> dict[str, Any]:
        made: dict[str, Any] = {
            "labels": labels(notice, severity),
            "annotations": words(notice),
            "startsAt": _moment(min(notice["opened"] / 1000, now_s)),
            "endsAt": _moment(ends_s),
        }
        if self._link:
            made["generatorURL"] = self._link.replace("{finding}", quote(notice["finding"], safe=""))
        return made


def labels(notice: Notice, severity: int) -> dict[str, str]:
    """What names an alert in Alertmanager; nothing of a person, nothing that moves while it stays the same alert."""
    return {
        "alertname": ALERT_NAME,
        "severity": Severity(severity).name.lower(),
        "kind": notice["kind"],
        "analytic": inert(notice["analytic"], 100),
        "run": inert(notice["run"], 100),
        "fingerprint": notice["fingerprint"],
    }


def words(notice: Notice) -> dict[str, str]:
    """What people read; inert, as what Alertmanager makes of it is not ours."""
    findings = [inert(one, 100) for one in notice["findings"][:_FINDINGS_SHOWN]]
    more = f" +{notice['count'] - len(findings)}" if notice["count"] > len(findings) else ""
    made = {
        "summary": inert(notice["title"]["ja"], 200),
        "summary_en": inert(notice["title"]["en"], 200),
        "description": inert(notice["text"]["ja"]),
        "description_en": inert(notice["text"]["en"]),
        "count": str(notice["count"]),
        "risk": f"{notice['risk_score']:g}",
        "findings": " ".join(findings) + more,
        "controls": " ".join(inert(one, 100) for one in notice["controls"]),
    }
    for language, key in (("ja", "check_first"), ("en", "check_first_en")):
        if text := notice.get("check_first", {}).get(language):
            made[key] = inert(text, 1000)
    return made


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
