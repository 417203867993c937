"""One source: whether it is silent in hours of working days in which it always speaks, and whether it ever spoke.

Hours are the site's own. An hour is judged when it is over, by the same hour of the working days before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from detector.witness.incident import FILLED, OPEN, TEXT, Incident, Limits

# A source counts as silent only where it always spoke: on so many other working days, so many lines at least.
SILENCE_DAYS: Final = 8
SILENCE_LINES: Final = 30
SILENCE_SHARE: Final = 0.02
# At most one day in ten was silent in this hour.
SPOKEN_SHARE: Final = 0.9
# Working days further back do not count.
TRAILING_DAYS: Final = 28
# How long a source that is not heard of is remembered, in hours.
REMEMBERED: Final = 366 * 24
NEVER_MS: Final = 1 << 60
# Everything is decided at quarters of an hour: in all zones hours end at one.
QUARTER_MS: Final = 900_000

_EPOCH: Final = date(1970, 1, 1)
_LAST_DAY: Final = (date.max - _EPOCH).days


class Lines(NamedTuple):
    """Lines of an hour that is not judged yet: how many, and time (UTC ms) and event of the first and the last."""

    n: int
    first: int
    first_id: str
    last: int
    last_id: str

    def and_also(self, other: Lines) -> Lines:
        """Both together."""
        first = min((self.first, self.first_id), (other.first, other.first_id))
        last = max((self.last, self.last_id), (other.last, other.last_id))
        return Lines(self.n + other.n, *first, *last)


class Silence(NamedTuple):
    """What was said of the silence that lasts, and its hours with the lines that are usual in them."""

    said: Incident
    hours: list[tuple[int, float]]


@lru_cache(maxsize=4096)
def end_of(slot: int, zone: str) -> int:
    """UTC ms at which a local hour (24 × days since 1970-01-01 + hour) is over, the later one where it comes twice."""
    try:
        at = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(hours=slot + 1)
        return max(int(at.replace(fold=fold).timestamp()) for fold in (0, 1)) * 1000
    except (OverflowError, ValueError):  # the last hours of the year 9999
        return NEVER_MS


def _quarter(at: int) -> int:
    return -(-at // QUARTER_MS) * QUARTER_MS


def _is_work(day: int, limits: Limits) -> bool:
    return 0 <= day <= _LAST_DAY and not limits.day_off(_EPOCH + timedelta(days=day))


def a_working_day_after(at: int, limits: Limits) -> int:
    """UTC ms at which a whole working day has passed since a moment, rounded up to a quarter of an hour."""
    zone = ZoneInfo(limits.zone)
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).replace(tzinfo=None)
    today = (local.date() - _EPOCH).days
    # Everything off for so long is no calendar to wait for.
    work = [day for day in range(today, min(today + 60, _LAST_DAY)) if _is_work(day, limits)][:2]
    if len(work) < 2:
        return NEVER_MS
    midnight = datetime.combine(_EPOCH, datetime.min.time())
    if work[0] == today:
        then = midnight + timedelta(days=work[1]) + (local - midnight - timedelta(days=today))
    else:
        then = midnight + timedelta(days=work[0] + 1)
    return _quarter(int(then.replace(tzinfo=zone).timestamp() * 1000))


@dataclass(slots=True)
class Source:
    """What is remembered of one source.

    Attributes:
        name: `source.id`.
        since: The local day of its first line, which may be cut; None before it is judged.
        done: Every hour up to it is judged; None before any is.
        hours: Lines of the hours judged, no more than `TRAILING_DAYS` back.
        fresh: Lines of hours that are not judged yet.
        spoken: Time and event of the last line in an hour that was not silent.
        silence: The silence that lasts.
        first: UTC ms of the first line of all.
        expected: UTC ms by which it must have spoken; None where that is over, or nobody declared it.
        never: What was said when it had not.
    """

    name: str
    since: int | None = None
    done: int | None = None
    hours: dict[int, int] = field(default_factory=dict)
    fresh: dict[int, Lines] = field(default_factory=dict)
    spoken: tuple[int, str] | None = None
    silence: Silence | None = None
    first: int | None = None
    expected: int | None = None
    never: Incident | None = None

    def pack(self) -> bytes:
        """The source at rest: JSON."""
        parts = [
            self.name, self.since, self.done, sorted(self.hours.items()), sorted(self.fresh.items()), self.spoken,
            self.silence, self.first, self.expected, self.never,
        ]  # fmt: skip
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Source:
        """The inverse of `pack`."""
        name, since, done, hours, fresh, spoken, silence, first, expected, never = json.loads(packed)
        lasts = Silence(Incident.unpack(silence[0]), [(slot, usual) for slot, usual in silence[1]]) if silence else None
        return cls(
            name, since, done, dict(hours), {slot: Lines(*lines) for slot, lines in fresh},
            (spoken[0], spoken[1]) if spoken else None, lasts, first, expected,
            Incident.unpack(never) if never else None,
        )  # fmt: skip

    def expect(self, at: int, limits: Limits) -> None:
        """It is declared, and events are seen since UTC ms."""
        due = a_working_day_after(at, limits)
        if self.never is None and (self.expected is None or due < self.expected):
            self.expected = due

    def hear(self, slot: int, lines: Lines) -> list[Incident]:
        """Take lines of an hour; says what changes where it is judged already."""
        self.first = lines.first if self.first is None else min(self.first, lines.first)
        if self.done is None or slot > self.done:
            self.fresh[slot] = self.fresh[slot].and_also(lines) if slot in self.fresh else lines
            return []
        if slot >= self.done - TRAILING_DAYS * 24:
            self.hours[slot] = self.hours.get(slot, 0) + lines.n
        usual = dict(self.silence.hours).get(slot) if self.silence is not None else None
        if usual is not None and self.hours.get(slot, 0) <= SILENCE_SHARE * usual:
            return []
        self.spoken = max(self.spoken or (0, ""), (lines.last, lines.last_id))
        if self.silence is None or lines.first <= (self.silence.said.start or 0):
            return []
        return [self._over(lines, max(lines.last, self.silence.said.time))]

    def judge(self, until: int, limits: Limits) -> list[Incident]:
        """Judge what is over by UTC ms (inclusive)."""
        out = self._declared(until)
        for slot in self._due(until, limits.zone):
            if self.done is not None and slot > self.done + REMEMBERED:
                self.since, self.spoken, self.silence = None, None, None
            out += self._hour(slot, limits)
            self.done = slot
        return out

    def is_idle(self, until: int, zone: str) -> bool:
        """Nothing is left that can matter, at UTC ms."""
        if self.fresh or self.expected is not None or self.never is not None:
            return False
        return self.done is None or end_of(self.done + REMEMBERED, zone) < until

    def _declared(self, until: int) -> list[Incident]:
        out = []
        spoke = self.first
        if self.expected is not None and self.expected <= until:
            if spoke is None or spoke > self.expected:
                self.never = Incident("source_never", self.name, self.expected, None, None, (), 0.0, None, OPEN)
                out.append(self.never)
            self.expected = None
        if self.never is not None and spoke is not None and (time := max(_quarter(spoke), self.never.time)) <= until:
            out.append(self.never._replace(time=time, end=spoke, form=FILLED, update=True))
            self.never = None
        return out

    def _due(self, until: int, zone: str) -> Iterator[int]:
        """Hours to be judged, in order: those with lines, and those for which the days before are known."""
        slot = (min(self.fresh) if self.fresh else None) if self.done is None else self.done + 1
        while slot is not None and end_of(slot, zone) <= until:
            yield slot
            slot += 1
            if slot not in self.fresh and not self.hours:
                slot = min(self.fresh, default=None)

    def _hour(self, slot: int, limits: Limits) -> list[Incident]:
        day = slot // 24
        lines = self.fresh.pop(slot, None)
        n = lines.n if lines is not None else 0
        if self.since is None:
            self.since = day
        usual = self._usual(slot, limits)
        out = []
        if usual is not None and n <= SILENCE_SHARE * usual:
            out = self._quiet(slot, usual, limits)
        elif lines is not None:
            if self.silence is not None:
                out = [self._over(lines, end_of(slot, limits.zone))]
            self.spoken = lines.last, lines.last_id
        if n:
            self.hours[slot] = n
        if slot % 24 == 0:
            self.hours = {at: kept for at, kept in self.hours.items() if at >= slot - TRAILING_DAYS * 24}
        return out

    def _usual(self, slot: int, limits: Limits) -> float | None:
        """Lines that are usual in an hour; None where it is no measure."""
        day, hour = divmod(slot, 24)
        if self.since is None:
            return None
        before = range(max(self.since + 1, day - TRAILING_DAYS), day)
        if sum(one * 24 + hour in self.hours for one in before) < SILENCE_DAYS or not _is_work(day, limits):
            return None
        days = [one for one in before if _is_work(one, limits)]
        spoken = sorted(n for one in days if (n := self.hours.get(one * 24 + hour)))
        if len(spoken) < SILENCE_DAYS or len(spoken) < SPOKEN_SHARE * len(days):
            return None
        middle = len(spoken) // 2
        usual = spoken[middle] if len(spoken) % 2 else (spoken[middle - 1] + spoken[middle]) / 2
        return float(usual) if usual >= SILENCE_LINES else None

    def _quiet(self, slot: int, usual: float, limits: Limits) -> list[Incident]:
        if self.silence is not None:
            self.silence.hours.append((slot, usual))
            return []
        if self.spoken is None:
            return []
        (since, event), end = self.spoken, end_of(slot, limits.zone)
        said = Incident(
            "source_silent", self.name, end, since, end, (event,), (end - since) / 1000, usual, OPEN, False, event
        )
        self.silence = Silence(said, [(slot, usual)])
        return [said]

    def _over(self, lines: Lines, time: int) -> Incident:
        """It speaks again: the silence is over."""
        if self.silence is None:
            raise ValueError("no silence lasts")
        said, hours = self.silence
        self.silence = None
        since = said.start or 0
        return said._replace(
            time=time, end=lines.first, related=(said.beside, lines.first_id), observed=(lines.first - since) / 1000,
            usual=sum(usual for _, usual in hours), form=TEXT, update=True,
        )  # fmt: skip
