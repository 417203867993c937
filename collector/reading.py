"""Lines that were read, to events: `parse` with the memory that it needs from piece to piece.

What is remembered is never written down, since it holds raw ids of people: after a restart the first access of every
actor in a source has no `subject.step`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from collector.follow.events import Lines
from collector.parse import Parsed, State, parse
from registers.tokens import SiteKey

# A stamp without year that would lie further ahead than this is of last year.
_AHEAD: Final = timedelta(days=2)
# Files whose year is remembered.
_FILES: Final = 10_000


@dataclass(slots=True)
class Reader:
    """Parses the pieces of all sources.

    Attributes:
        key: The site's key.
        time_zone: IANA name, for stamps without zone whose source names none.
        keep_ids: Tell which ids the tokens stand for, for the vault.
    """

    key: SiteKey
    time_zone: str
    keep_ids: bool = False
    _sources: dict[str, State] = field(default_factory=dict)
    _files: dict[str, State] = field(default_factory=dict)

    def events(self, lines: Lines, now: datetime) -> Parsed:
        """The events and refused lines of a piece.

        Args:
            lines: Of one generation of a file; its pieces come in order.
            now: With zone. Stamps without year are taken for the year in which they are not ahead of it.
        """
        parsed = self.parsed(lines, now)
        self.remember(lines, parsed)
        return parsed

    def parsed(self, lines: Lines, now: datetime) -> Parsed:
        """As `events`, with nothing remembered: for what may have to be parsed again at another place."""
        source = lines.source
        subjects = self._sources.get(source.id, State()).subjects
        known = State() if lines.first else self._files.get(lines.key, State())
        before = replace(known, subjects=subjects)
        year = now.astimezone(ZoneInfo(source.time_zone or self.time_zone)).year
        parsed = self._parse(lines, before, year)
        if parsed.yearless and before.year is None and _is_ahead(parsed.events, now):
            parsed = self._parse(lines, before, year - 1)
        return parsed

    def remember(self, lines: Lines, parsed: Parsed) -> None:
        """Parse what follows as what comes after these lines."""
        self._sources[lines.source.id] = parsed.state
        # Only the year of a file is its own. The files read last come last; those long done are forgotten.
        self._files.pop(lines.key, None)
        self._files[lines.key] = replace(parsed.state, subjects=State().subjects)
        if len(self._files) > _FILES:
            del self._files[next(iter(self._files))]

    def _parse(self, lines: Lines, before: State, year: int) -> Parsed:
        return parse(lines.piece, lines.source, self.key, self.time_zone, before, year, keep_ids=self.keep_ids)


def _is_ahead(events: pl.DataFrame, now: datetime) -> bool:
    first = events.get_column("time.occurred").head(1)
    return first.len() == 1 and datetime.fromtimestamp(first.item() / 1000, UTC) > now + _AHEAD
