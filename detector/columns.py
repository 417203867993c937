"""Columns that rows of each category offer to rules."""

from __future__ import annotations

from typing import Final

from contract import event
from detector import features, history, sessionise
from detector.enrich.columns import ENRICHED

_UNIT: Final = (
    *features.SHARED, *features.PEOPLE, "actor.id", "actor.type", "system.id", "src.device", "first", "last",
    "explained", "emergency.active", "presence.overtime", "repeat.max",
)  # fmt: skip

COLUMNS: Final[dict[str, frozenset[str]]] = {
    "event": frozenset({*event.KEYS, *ENRICHED, "explained", "explained.by", *sessionise.SEQUENCE, *history.ARRIVAL}),
    "session": frozenset(
        {*_UNIT, *features.SESSION_ONLY, "pace_per_min", "step.run", "shift.ops", "shift.unexplained"}
    ),
    "actor_day": frozenset({*_UNIT, *history.WINDOW, "time.date", "sessions", "systems", "near_limit"}),
}
