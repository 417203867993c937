"""Small sites and events in memory, for tests of what the registers say."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from contract import event
from detector.enrich import enrich
from registers.config import parse
from registers.register import REGISTERS
from registers.site import Site

TOKYO = ZoneInfo("Asia/Tokyo")
_WRITTEN = {"subject_id": "subject.token", "household_id": "household.token"}


def at(text: str) -> int:
    """UTC milliseconds of a moment in Tokyo: `at("2026-04-01 08:30")`, or of the first moment of a day."""
    return int(datetime.fromisoformat(text).replace(tzinfo=TOKYO).timestamp() * 1000)


def end(text: str) -> int:
    """Last millisecond of a day."""
    return at(f"{text} 23:59:59") + 999


def site(toml: str = "", missing: tuple[str, ...] = (), **registers: list[dict[str, Any]]) -> Site:
    """A site with these registers; the others are missing. Ids of people are tokens already."""
    tables = {}
    for name, register in REGISTERS.items():
        rows = [{_WRITTEN.get(k, k): v for k, v in row.items()} for row in registers.get(name, [])]
        tables[name] = pl.DataFrame(rows, schema=register.schema())
    absent = {name for name in REGISTERS if name not in registers} | set(missing)
    return Site(parse(toml), MappingProxyType(tables), frozenset(absent), (), (), "test", None)


def events(*rows: dict[str, Any]) -> pl.DataFrame:
    """Events with these keys; what is left out is null, or an ordinary event on 2026-04-15 at ten."""
    common = {"event.schema": 1, "event.class": "access", "time.occurred": at("2026-04-15 10:00")}
    full = [common | {"event.id": f"{n:016x}"} | row for n, row in enumerate(rows)]
    return pl.DataFrame(full, schema=event.schema())


def one(of: Site, **keys: Any) -> dict[str, Any]:
    """One event, enriched, as a dict. Keys with `__` for the dot: `actor__id="a1"`."""
    [row] = enrich(events({key.replace("__", "."): value for key, value in keys.items()}), of).to_dicts()
    return row
