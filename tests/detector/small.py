"""Small cores for both stages, to see what the stages around them do: they count, and say when they were called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from contract import finding
from detector import relay
from detector.stage_one import Schedule
from detector.stage_two import Rows


@dataclass(frozen=True)
class Effects:
    """What came of a turn."""

    findings: Sequence[Mapping[str, Any]] = ()
    relays: Sequence[relay.Rows] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def found(uid: str, at: int, hashes: Mapping[str, str], text: str) -> dict[str, Any]:
    """A finding by that name."""
    one = finding.example()
    one["time"] = max(0, at)
    one["finding_info"]["uid"] = uid
    one["unmapped"]["text"] = {"ja": text, "en": text}
    one["unmapped"]["versions"] = dict(hashes)
    return one


class CountActors:
    """Stage one: a finding for each minute of event time that is over, with the number of events of each actor in it.

    The state holds events that are not behind the watermark; minutes are closed by it alone, so how the input is cut
    changes nothing. Each event is handed on too.
    """

    def begin(self) -> dict[str, Any]:
        return {"waiting": {}, "mark": -1}

    def advance(
        self, state: dict[str, Any], new: pl.DataFrame, again: pl.DataFrame, watermark: int, schedule: Schedule
    ) -> tuple[dict[str, Any], Effects]:
        waiting = {minute: dict(counts) for minute, counts in state["waiting"].items()}
        for actor, at in new.select("actor.id", "time.occurred").iter_rows():
            minute = waiting.setdefault(str(at // 60_000), {})
            minute[actor] = minute.get(actor, 0) + 1
        seen = new.select("event.id", "actor.id", "time.occurred", pl.lit("who").alias("rule"))
        relays = [relay.Rows("candidate", "who\x1f" + seen["actor.id"], seen)] if seen.height else []
        findings = []
        for minute in sorted(waiting, key=int):
            end = (int(minute) + 1) * 60_000
            if end > watermark:
                break
            versions = [loaded.hashes for since, loaded in schedule if since <= end][-1]
            text = json.dumps(waiting.pop(minute), sort_keys=True)
            findings.append(found(f"f-1{int(minute):015x}", end, versions, text))
        return {"waiting": waiting, "mark": watermark}, Effects(findings, relays)

    def dump(self, state: dict[str, Any]) -> bytes:
        return json.dumps(state, sort_keys=True).encode()

    def load(self, data: bytes) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(data)
        return loaded

    def open_sessions(self, state: dict[str, Any]) -> int:
        return len(state["waiting"])

    def reaches(self, state: dict[str, Any], watermark: int, schedule: Schedule) -> int:
        return watermark

    def is_full(self, state: dict[str, Any]) -> bool:
        return False


class CountEverybody:
    """Stage two: a finding for each actor and minute that is over, with its number of events."""

    def begin(self) -> dict[str, Any]:
        return {}

    def advance(
        self, state: dict[str, Any], rows: Rows, watermark: int, heard: int, schedule: Schedule
    ) -> tuple[dict[str, Any], Effects]:
        assert heard <= watermark
        waiting = dict(state)
        for kind, frame in rows:
            assert kind == "candidate"
            assert dict(frame.schema) == relay.TABLES[kind]
            for at, actor in frame.select("time.occurred", "actor.id").iter_rows():
                name = f"{at // 60_000}/{actor}"
                waiting[name] = waiting.get(name, 0) + 1
        findings = []
        for name in sorted(waiting):
            minute, actor = name.split("/")
            if (int(minute) + 1) * 60_000 <= watermark:
                text = json.dumps({actor: waiting.pop(name)})
                findings.append(found(f"f-2{int(minute):09x}{actor:0>6}", (int(minute) + 1) * 60_000, {}, text))
        return waiting, Effects(findings)

    def dump(self, state: dict[str, Any]) -> bytes:
        return json.dumps(state, sort_keys=True).encode()

    def load(self, data: bytes) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(data)
        return loaded
