"""A month of a large office as an analysis leaves it: the fictional office's own, many times over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from registers.text import decode

ROOT: Final = Path(__file__).resolve().parents[1]
PEOPLE: Final = 7  # offices of 160 staff
FIRST: Final = "2026-03-09"  # days of the month, as the demo has them
LAST: Final = "2026-04-07"
_LATER_MS: Final = 1_000  # the same happens in each further office a second later

_OF_PEOPLE: Final = {
    "staff": ["actor_id"],
    "accounts": ["account", "actor_id", "issued_by"],
    "assignments": ["actor_id"],
    "permissions": ["actor_id", "granted_by"],
    "presence": ["actor_id"],
    "ledger": ["actor_id", "approved_by"],
    "devices": ["device_id", "serial", "ip", "actor_id"],
    "bases": ["basis_ref"],
}


def small(folder: Path) -> None:
    """Let the fictional office work for a month and analyse it, as `sekimori demo` does."""
    subprocess.run(
        [sys.executable, "-m", "sekimori", "demo", "--seed", "1", "--out", str(folder), "--json"],
        check=True, env=environment(), stdout=subprocess.DEVNULL,
    )  # fmt: skip


def environment() -> dict[str, str]:
    """For a process that runs from this checkout."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def made(small: Path, folder: Path, copies: int, findings: int) -> int:
    """Write the large month.

    Args:
        small: Where `small` wrote.
        folder: Where to; made.
        copies: How many times over everything happens.
        findings: How many times over something is found.

    Returns:
        How many events there are.
    """
    (folder / "events").mkdir(parents=True)
    shutil.copytree(small / "office" / "site", folder / "office" / "site")
    for name in ("audit.db", "audit.toml", "runs.ndjson"):
        shutil.copy(small / name, folder / name)
    _registers(folder / "office" / "site")
    devices = pl.read_csv(small / "office" / "site" / "devices.csv", infer_schema=False)["device_id"].to_list()
    events = 0
    for path in sorted((small / "events").glob("*.parquet")):
        day = pl.read_parquet(path)
        many = pl.concat([_events(day, number, devices) for number in range(copies)]).sort("time.occurred", "event.id")
        many.write_parquet(folder / "events" / path.name, compression="zstd")
        events += many.height
    own = pl.read_parquet(small / "sessions.parquet")
    pl.concat([_sessions(own, number, devices) for number in range(copies)]).write_parquet(folder / "sessions.parquet")
    _findings(small / "findings.ndjson", folder / "findings.ndjson", findings)
    return events


def _other(number: int, *columns: str) -> pl.Expr:
    """Names of another office; those of the first stay."""
    return pl.col(*columns) if number == 0 else pl.col(*columns) + f"-{number}"


def _hex(number: int, column: str) -> pl.Expr:
    """Ids of the same length."""
    own = pl.col(column)
    return own if number == 0 else pl.format("{}{}", pl.lit(f"{number:02x}"), own.str.slice(2)).alias(column)


def _places(number: int, devices: list[str], *columns: str) -> pl.Expr:
    """Devices of another office; servers and systems stay."""
    return pl.col(*columns).replace({one: f"{one}-{number}" for one in devices} if number else {})


def _events(day: pl.DataFrame, copy: int, devices: list[str]) -> pl.DataFrame:
    people = copy % PEOPLE
    return day.with_columns(
        _other(people, "actor.id", "approver.id", "auth.card", "basis.ref"),
        _other(copy, "agent.boot", "session.id", "session", "subject.token", "household.token"),
        _hex(copy, "event.id"),
        _hex(copy, "raw.mac"),
        _places(people, devices, "src.device", "system.id"),
        pl.col("time.occurred", "time.received") + copy * _LATER_MS,
    )


def _sessions(own: pl.DataFrame, copy: int, devices: list[str]) -> pl.DataFrame:
    people = copy % PEOPLE
    return own.with_columns(
        _other(people, "actor.id"),
        _other(copy, "session"),
        _places(people, devices, "src.device", "system.id"),
        pl.col("first", "last") + copy * _LATER_MS,
    )


def _registers(site: Path) -> None:
    """As many people as `PEOPLE` offices have, with their accounts, permissions, hours, devices and grounds."""
    for name, columns in _OF_PEOPLE.items():
        path = site / f"{name}.csv"
        own = pl.read_csv(decode(path.read_bytes())[0].encode(), infer_schema=False)
        pl.concat([own.with_columns(_other(number, *columns)) for number in range(PEOPLE)]).write_csv(path)


def _findings(source: Path, target: Path, copies: int) -> None:
    own = [json.loads(line) for line in source.read_bytes().splitlines()]
    with target.open("w", encoding="utf-8") as file:
        for copy in range(copies):
            for found in own:
                file.write(_found(found, copy) + "\n")


def _found(found: dict[str, Any], copy: int) -> str:
    """A finding about the same in another office."""
    if copy == 0:
        return json.dumps(found, ensure_ascii=False)
    text, people = json.dumps(found, ensure_ascii=False), copy % PEOPLE
    actors = {one["actor"]["user"]["uid"] for one in found["evidences"] if "user" in one.get("actor", {})}
    for actor in sorted(actors if people else ()):
        text = text.replace(actor, f"{actor}-{people}")
    other: dict[str, Any] = json.loads(text)
    info = other["finding_info"]
    info["uid"] = f"f-{copy:02x}{found['finding_info']['uid'][4:]}"
    info["related_events"] = [{"uid": f"{copy:02x}{one['uid'][2:]}"} for one in info["related_events"]]
    for one in other["evidences"]:
        if "session" in one.get("actor", {}):
            one["actor"]["session"]["uid"] += f"-{copy}"
    for one in other["resources"]:
        one["uid"] += f"-{copy}"
    for key in ("first_seen_time", "last_seen_time", "created_time"):
        info[key] += copy * _LATER_MS
    other["time"] += copy * _LATER_MS
    return json.dumps(other, ensure_ascii=False)
