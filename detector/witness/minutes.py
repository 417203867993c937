"""What came of each agent and source, from rows of `SUMMARY`: by minute, and by hour.

There are few such rows, and each is looked at by itself afterwards anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import polars as pl

from detector.witness.agent import Minute
from detector.witness.boot import Round
from detector.witness.numbers import Run
from detector.witness.source import Lines
from detector.witness.summary import BEAT, DOUBT, EXPECTED, NUMBERS, ROUND_MS

# A range of numbers: lo, first, first_id, hi, last, last_id.
_Range = tuple[int, int, str, int, int, str]

_ORDER: Final = ("who", "boot", "tick", "lo", "first", "first_id", "hi", "last", "last_id")


def of_agents(rows: pl.DataFrame) -> dict[str, dict[int, Minute]]:
    """What came of each agent, by minute.

    Args:
        rows: Of the kinds `numbers`, `beat` and `doubt`, any order.

    Returns:
        By name and minute; in each minute runs, doubts and rounds by (boot, number). A number that comes twice is first
        there at the earlier and last there at the later of its moments; a heartbeat that does counts once.
    """
    found: dict[str, dict[int, Minute]] = {}
    if rows.is_empty():
        return found
    ordered = rows[[*_ORDER, "kind", "n", "stopping"]].sort(_ORDER, maintain_order=True)
    for (who, boot, tick), same in groupby(ordered.iter_rows(), key=itemgetter(0, 1, 2)):
        minute = found.setdefault(who, {}).setdefault(tick, Minute([], [], []))
        rows_, doubts = list(same), []
        beats = [row for row in rows_ if row[9] == BEAT]
        ranges, rounds = _rounds(beats)
        if len(beats) < len(rows_):
            # A heartbeat has a number as well.
            ranges = sorted([*ranges, *(row[3:9] for row in rows_ if row[9] == NUMBERS)])
            doubts = [row[3:9] for row in rows_ if row[9] == DOUBT]
        minute.numbers.extend([(boot, run) for run in _runs(ranges, tick)])
        minute.doubts.extend([(boot, run) for run in _runs(doubts, tick)])
        minute.rounds.extend([(boot, one) for one in rounds])
    return found


def _runs(ranges: Iterable[_Range], tick: int) -> list[Run]:
    """Join ranges, in their order, that touch or overlap."""
    joined: list[list[tuple[int, int, str]]] = []
    for one in ranges:
        begin, end = one[:3], one[3:]
        if joined and begin[0] <= joined[-1][1][0] + 1:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    return [
        Run(lo, hi, first, last, first_id, last_id, tick, tick) for (lo, first, first_id), (hi, last, last_id) in joined
    ]


def _rounds(rows: Iterable[Sequence[Any]]) -> tuple[list[_Range], list[Round]]:
    """Heartbeats of one round (one per partition, numbers in a row): their numbers, and what the first of them declares."""
    together: list[list[Any]] = []
    before, at = None, 0
    for row in rows:
        lo, first = row[3], row[4]
        # A number that comes twice counts once, the earlier one, whatever order they came in.
        if lo == before:
            continue
        if before is not None and lo == before + 1 and abs(first - at) <= ROUND_MS:
            together[-1][1] = row
            together[-1][2] |= bool(row[11])
        else:
            together.append([row, row, bool(row[11])])
        before, at = lo, first
    return (
        [(*begin[3:6], *end[6:9]) for begin, end, _ in together],
        [Round(begin[3], end[6], begin[4], begin[5], begin[10], stopping) for begin, end, stopping in together],
    )


def of_sources(rows: pl.DataFrame) -> tuple[dict[str, dict[int, Lines]], dict[str, int]]:
    """What came of each source.

    Args:
        rows: Of the kinds `lines` and `expected`, any order.

    Returns:
        Lines by name and local hour, those first that begin first; and of declared sources since when (UTC ms) they are.
    """
    lines: dict[str, dict[int, Lines]] = {}
    declared: dict[str, int] = {}
    heard = []
    for kind, who, slot, *told in rows[
        ["kind", "who", "slot", "n", "first", "first_id", "last", "last_id"]
    ].iter_rows():
        if kind == EXPECTED:
            declared[who] = min(told[1], declared.get(who, told[1]))
        else:
            heard.append((who, slot, Lines(*told)))
    for who, slot, one in sorted(heard, key=lambda each: each[2][1:3]):
        hours = lines.setdefault(who, {})
        hours[slot] = hours[slot].and_also(one) if slot in hours else one
    return lines, declared
