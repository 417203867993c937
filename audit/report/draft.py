"""What sections leave behind besides their words: for each figure, table and chart the events that it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

EVENT: Final = "event.id"


class Draft:
    """Remembers which events are behind what a report says (`sekimori report --explain ID`)."""

    def __init__(self) -> None:
        self._events: dict[str, pl.LazyFrame] = {}

    def events(self, of: str, events: pl.LazyFrame) -> None:
        """Remember the events behind a figure, a table or a chart.

        Args:
            of: Its id.
            events: With a column `event.id`; anything else in it is passed over. Nothing is collected now.

        Raises:
            ValueError: Something of this id is remembered already.
        """
        if of in self._events:
            raise ValueError(f"{of}: the id is there twice")
        self._events[of] = events

    @property
    def remembered(self) -> Mapping[str, pl.LazyFrame]:
        """All of them, by id."""
        return self._events
