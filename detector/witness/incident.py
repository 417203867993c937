"""What is said when something is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import polars as pl

FINDINGS: Final[dict[str, pl.DataType]] = {
    "check": pl.String(), "who": pl.String(), "time": pl.Int64(), "from": pl.Int64(), "to": pl.Int64(),
    "related": pl.List(pl.String()), "observed": pl.Float64(), "usual": pl.Float64(), "form": pl.String(),
    "update": pl.Boolean(), "beside": pl.String(),
}  # fmt: skip
CHECKS: Final = ("sequence_gap", "count_mismatch", "clock_set_back", "heartbeat_gap", "source_silent", "source_never")

# What `form` can be, and so which text of `words.EVIDENCE` tells it.
TEXT: Final = "text"
OPEN: Final = "open"
FILLED: Final = "filled"


class Incident(NamedTuple):
    """One row of `FINDINGS`, in its order.

    Attributes:
        check: One of `CHECKS`.
        who: Agent or source.
        time: When it was decided, UTC ms of event time.
        start, end: What it is about, UTC ms; None for a source that never spoke.
        related: Ids of the events on both sides.
        observed, usual: Numbers, seconds or lines.
        form: `text`; `open` while it lasts; `filled` where what was missing came later.
        update: Said before under the same identity, (check, who, beside).
        beside: First of `related` when it was first said; empty without any.
    """

    check: str
    who: str
    time: int
    start: int | None
    end: int | None
    related: tuple[str, ...]
    observed: float | None
    usual: float | None
    form: str = TEXT
    update: bool = False
    beside: str = ""

    @classmethod
    def unpack(cls, packed: list[Any]) -> Incident:
        """From the list that JSON makes of it."""
        one = cls(*packed)
        return one._replace(related=tuple(one.related))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the organisation declares.

    Attributes:
        heartbeat_s: Longest silence of an agent that is still in order (`limits.heartbeat_s`).
        zone: IANA name of the site's time zone, as in the enrichment of the rows.
        day_off: Whether a local day is off (`registers.calendar.Calendar.day_off`); None: not known, so it is not.
    """

    heartbeat_s: int
    zone: str
    day_off: Callable[[date], bool | None]


_NOTHING: Final = pl.DataFrame(schema=FINDINGS)


def frame(found: Iterable[Incident]) -> pl.DataFrame:
    """Rows of `FINDINGS`, sorted by (time, check, who, from, beside)."""
    found = list(found)
    if not found:
        return _NOTHING
    table = pl.DataFrame(found, schema=FINDINGS, orient="row")
    return table.sort("time", "check", "who", "from", "beside", "update", maintain_order=True)
