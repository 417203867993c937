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
from detector.witness.summary import BEAT, DOUBT, EXPECTED, ROUND_MS

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
        by_kind: dict[str, list[Any]] = {}
        for row in same:
            by_kind.setdefault(row[9], []).append(row)
        doubts, beats = by_kind.pop(DOUBT, ()), _rounds(by_kind.pop(BEAT, ()))
        ranges = [row[3:9] for rest in by_kind.values() for row in rest]
        # A heartbeat has a number as well.
        numbers = (
            sorted([*ranges, *(one for one, _ in beats)]) if ranges and beats else ranges or [one for one, _ in beats]
        )
        minute.numbers.extend((boot, run) for run in _runs(numbers, tick))
        minute.doubts.extend((boot, run) for run in _runs([row[3:9] for row in doubts], tick))
        minute.rounds.extend((boot, one) for _, one in beats)
    return found


def _runs(ranges: Iterable[_Range], tick: int) -> list[Run]:
    """Join ranges, in their order, that touch or overlap."""
    out: list[Run] = []
    for lo, first, first_id, hi, last, last_id in ranges:
        if out and lo <= out[-1].hi + 1:
            run = out[-1]
            end = max((run.hi, run.t_hi, run.id_hi), (hi, last, last_id))
            out[-1] = run._replace(hi=end[0], t_hi=end[1], id_hi=end[2])
        else:
            out.append(Run(lo, hi, first, last, first_id, last_id, tick, tick))
    return out


def _rounds(rows: Iterable[Sequence[Any]]) -> list[tuple[_Range, Round]]:
    """Heartbeats of one round (one per partition, numbers in a row): their numbers, and what the first of them declares."""
    out: list[tuple[_Range, Round]] = []
    before = None
    for _, _, _, lo, first, first_id, hi, last, last_id, _, n, stopping in rows:
        # A number that comes twice counts once, the earlier one, whatever order they came in.
        if before is not None and lo == before[0]:
            continue
        if before is not None and lo == before[0] + 1 and abs(first - before[1]) <= ROUND_MS:
            numbers, one = out[-1]
            out[-1] = (*numbers[:3], hi, last, last_id), one._replace(hi=hi, stopping=one.stopping or bool(stopping))
        else:
            out.append(((lo, first, first_id, hi, last, last_id), Round(lo, hi, first, first_id, n, bool(stopping))))
        before = lo, first
    return out


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
