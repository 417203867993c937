"""Agents of branch systems: they send the contract's own events, numbered without a gap, with a heartbeat every ten minutes.

What may happen to them (lost records, silence, a wrong clock) is given as faults; the agent itself knows no reason.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from registers.tokens import SiteKey, event_ids, subject_tokens
from simulator.record import OPS
from simulator.rhythm import MINUTE

AGENTS: Final = {"ag-kita": ("kita-doors", "kita-batch"), "ag-console": ("console-audit",)}
BEAT: Final = 10 * MINUTE


@dataclass(frozen=True)
class Fault:
    """Something wrong with the evidence itself.

    Attributes:
        where: Agent, or log source for kind `absent`.
        kind: lost (numbers missing), silent (dead for a while, then a new boot), count (a heartbeat counts more than came),
            clock (stands wrong for a while), reboot (in order: a new boot, nothing lost), absent (lines of a source missing).
        ep: Episode that the neighbouring events belong to.
    """

    where: str
    kind: str
    first: int
    last: int
    ep: int


class Agent:
    """One agent, remembering its boot and its number from day to day.

    Attributes:
        lines: Events sent so far.
    """

    def __init__(self, name: str, seed: int, faults: list[Fault]) -> None:
        self.name = name
        self._faults = [fault for fault in faults if fault.where == name]
        self._seed = seed
        self._boots = 0
        self.lines = 0
        self._seq = 40_210
        self._sent = 0
        self._after: list[int] = []  # episodes whose first event after the fault is still to come
        self._before: tuple[str, int] | None = None

    def _boot(self) -> str:
        return hashlib.sha256(f"{self._seed}/{self.name}/{self._boots}".encode()).hexdigest()[:8]

    def append(self, folder: Path, day: date, first: int, rows: pl.DataFrame, key: SiteKey) -> pl.DataFrame:
        """Send one day's rows and heartbeats.

        Args:
            first: First moment of the day, UTC ms.
            rows: In `record.SCHEMA`; those of this agent's sources are taken.

        Returns:
            `ep`, `t`, `event.id` of the events that belong to an episode.
        """
        mine = rows.filter(pl.col("src").is_in(AGENTS[self.name])).to_dicts()
        beats: list[dict[str, Any]] = [{"t": first + n * BEAT + 4_217, "src": "", "ep": None} for n in range(144)]
        marked: list[tuple[int, int, str]] = []
        lines: list[str] = []
        for row in sorted([*mine, *beats], key=lambda r: (r["t"], r["src"])):
            line = self._send(row, key, marked)
            if line:
                lines.append(line)
        self.lines += len(lines)
        path = folder / "agents" / f"{self.name}-{day:%Y%m%d}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return pl.DataFrame(
            {"ep": [m[0] for m in marked], "t": [m[1] for m in marked], "event.id": [m[2] for m in marked]},
            schema={"ep": pl.Int32, "t": pl.Int64, "event.id": pl.String},
        )

    def _send(self, row: dict[str, Any], key: SiteKey, marked: list[tuple[int, int, str]]) -> str:
        moment = row["t"]
        shift, extra = 0, 0
        own: list[int] = [] if row["ep"] is None else [row["ep"]]
        for fault in self._faults:
            inside = fault.first <= moment < fault.last
            if fault.kind in ("lost", "silent") and inside:
                self._seq += fault.kind == "lost"
                if fault.ep not in self._after:
                    self._after.append(fault.ep)
                    if self._before:
                        marked.append((fault.ep, self._before[1], self._before[0]))
                    if fault.kind == "silent":
                        self._boots, self._seq, self._sent = self._boots + 1, 0, 0
                return ""
            if fault.kind == "clock" and inside:
                shift = -2 * 60 * MINUTE
                own.append(fault.ep)
            if fault.kind == "count" and inside and not row["src"]:
                extra = 23
                own.append(fault.ep)
            if fault.kind == "reboot" and inside and not row["src"]:
                self._boots, self._seq = self._boots + 1, 0
                own.append(fault.ep)
        event = _event(row, key) if row["src"] else {"event.class": "heartbeat", "resource.count": self._sent + extra}
        self._sent = self._sent + 1 if row["src"] else 0
        occurred = moment + shift
        body = {
            "event.schema": 1, **event, "time.occurred": occurred, "time.received": moment + 250 + moment % 1_700, "agent.id": self.name,
            "agent.boot": self._boot(), "agent.seq": self._seq, "source.id": row["src"] or AGENTS[self.name][0],
        }  # fmt: skip
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        event_id = str(
            event_ids(body["source.id"], self._boot(), pl.Series([self._seq]), pl.Series([text]), key).item()
        )
        self._seq += 1
        self._before = (event_id, occurred)
        for ep in [*own, *self._after]:
            marked.append((ep, occurred, event_id))
        self._after = []
        return f'{{"event.id":"{event_id}",{text[1:]}'


def _event(row: dict[str, Any], key: SiteKey) -> dict[str, Any]:
    """The row in the contract's words; what is unknown is left out."""
    outcome = {"ok": "success", "denied": "denied", "failure": "failure"}[row["out"] or "ok"]
    operation = OPS.get(row["op"] or "")
    service = str(row["actor"]).startswith("svc-")
    event: dict[str, Any] = {
        "event.class": {"kita-doors": "physical", "console-audit": "access"}.get(row["src"], "access"),
        "event.action": row["act"] or (operation.action if operation else "read"),
        "event.outcome": outcome,
        "actor.id": row["actor"],
        "actor.type": "service" if service else "staff",
        "session.id": row["session"],
        "auth.card": row["card"],
        "src.ip": row["ip"],
        "src.device": row["thing"] if row["src"] == "kita-doors" else row["device"],
        "system.id": row["system"],
        "op.code": row["op"],
        "op.name": operation.ja if operation else None,
        "resource.id": row["thing"] if row["src"] == "console-audit" else None,
        "resource.count": row["count"],
        "target.actor": row["target"],
        "purpose.code": row["purpose"],
        "basis.ref": row["basis"],
        "approver.id": row["approver"],
        "message": row["text"],
    }
    if row["src"] == "console-audit":
        event["resource.type"] = "report"
        if event["event.action"] == "config":
            event |= {"event.class": "admin", "resource.type": "config"}
    if row["subj"] is not None:
        event["subject.token"] = subject_tokens(pl.Series([str(row["subj"])]), key).item()
    return {name: value for name, value in event.items() if value is not None}
