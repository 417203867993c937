"""A small office whose month keeps every promise; tests break one at a time.

Made by hand from plain rows: it knows the contract of the output folder and of the site, nothing of the detector.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from audit.tables import EVENTS, SESSIONS
from contract import finding as contract_finding
from contract.rejected import REJECTED_SCHEMA
from registers import site as sites

ZONE = ZoneInfo("Asia/Tokyo")
DAYS = [date(2026, 3, 2) + timedelta(days=n) for n in range(28)]
WORKING = [day for day in DAYS if day.weekday() < 5 and day != date(2026, 3, 20)]
WELFARE = [f"1001{n:02}" for n in range(1, 25)]
DISASTER = [f"2001{n:02}" for n in range(1, 57)]
VENDORS = ["V2001", "V2002"]

TOML = """
name = "架空市"
time_zone = "Asia/Tokyo"
subjects_are_tokens = true
[office_hours]
from = "08:30"
to = "17:15"
[holidays]
country = "JP"
[limits]
idle_min = 15
[[contractors]]
company = "架空システム保守"
approved = true
approved_on = "R7.4.1"
application_ref = "KEI-7-12"
systems = ["disaster"]
max_handlers = 9
[systems.welfare]
name = "生活保護システム"
pia = "kanagawa-9"
auth = "card+password"
sources = ["welfare-ops", "welfare-auth"]
departments = ["seikatsu"]
inquiry_items = ["T42", "T43"]
provision_items = []
[systems.disaster]
name = "被災者台帳システム"
pia = "sakai-48"
sources = ["disaster-ops", "disaster-media", "server-syslog"]
departments = ["kikikanri", "shimin"]
prohibited = ["provide", "inquire", "send"]
import_from = ["zeimu", "shimin"]
[departments]
seikatsu = "生活課"
shimin = "市民課"
zeimu = "税務課"
kikikanri = "危機管理課"
"""


def at(day: date, clock: str = "09:00:00") -> int:
    """UTC milliseconds of a wall-clock time in the office."""
    hour, minute, second = (int(part) for part in clock.split(":"))
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=ZONE)
    return int(moment.timestamp() * 1000)


@dataclass
class Office:
    """What is written to disk; change it before `write`."""

    events: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    registers: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    toml: str = TOML

    def event(self, when: int, actor: str | None, system: str | None, action: str, **more: Any) -> str:
        """Add an event; keys of the contract with `_` for the dot. Returns its id."""
        uid = f"{len(self.events):016x}"
        known = {"class": "event.class", "outcome": "event.outcome", "explained_by": "explained.by"}
        row = {
            "event.id": uid,
            "event.schema": 1,
            "event.class": "authentication" if action in ("logon", "logoff", "timeout") else "access",
            "event.action": action,
            "event.outcome": "success",
            "time.occurred": when,
            "source.id": "welfare-ops" if system == "welfare" else "disaster-ops",
            "actor.id": actor,
            "system.id": system,
        }
        for name, value in more.items():
            key = known.get(name, name if name in EVENTS else name.replace("_", ".", 1))
            if key not in EVENTS:
                raise KeyError(name)
            row[key] = value
        self.events.append(row)
        return uid

    def write(self, folder: Path) -> tuple[Path, sites.Site]:
        """Write the output folder and the site; load the site."""
        out, place = folder / "out", folder / "site"
        (out / "events").mkdir(parents=True)
        place.mkdir()
        frame = pl.DataFrame(self.events, schema=EVENTS, infer_schema_length=None).sort("time.occurred", "event.id")
        local = pl.from_epoch("time.occurred", time_unit="ms").dt.replace_time_zone("UTC")
        days = frame.with_columns(local.dt.convert_time_zone(str(ZONE)).dt.date().alias("day"))
        for (day,), rows in days.group_by(["day"], maintain_order=True):
            rows.drop("day").write_parquet(out / "events" / f"{day}.parquet")
        pl.DataFrame(self.sessions, schema=SESSIONS, infer_schema_length=None).write_parquet(out / "sessions.parquet")
        for name, rows in (("findings", self.findings), ("runs", self.runs)):
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            (out / f"{name}.ndjson").write_text("".join(lines), encoding="utf-8")
        pl.DataFrame(self.rejected, schema=REJECTED_SCHEMA, infer_schema_length=None).write_ndjson(
            out / "rejected.ndjson"
        )
        (place / "site.toml").write_text(self.toml, encoding="utf-8")
        for name, rows in self.registers.items():
            with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
                writer.writeheader()
                writer.writerows(rows)
        return out, sites.load(place)


def good() -> Office:
    """A month in which every promise of both assessments is kept."""
    office = Office()
    _registers(office)
    for day in DAYS:
        if day in WORKING:
            _welfare(office, day)
            _disaster(office, day)
            _server(office, day)
    _specials(office)
    office.runs.append(
        {
            "run": "analyze",
            "from": at(DAYS[0], "00:00:00"),
            "to": at(DAYS[-1], "23:59:59"),
            "events": len(office.events),
            "rejected": 0,
            "files": 5,
            "sources": ["disaster-media", "disaster-ops", "server-syslog", "welfare-auth", "welfare-ops"],
            "mode": "retrospective",
            "versions": {"code": "0.1.0", "rules": "sha256:77aa", "registers": "sha256:12fc"},
            "not_run": [],
            "problems": [],
        }
    )
    return office


def _registers(office: Office) -> None:
    tables = office.registers
    for number, actor in enumerate(WELFARE):
        tables["staff"].append(_person(actor, "seikatsu"))
        tables["permissions"] += [_right(actor, "welfare", code) for code in ("WE110", "WE130")]
        if number < 4:
            tables["permissions"] += [_right(actor, "welfare", code) for code in ("WE400", "WE405", "WE310")]
    for number, actor in enumerate(DISASTER):
        tables["staff"].append(_person(actor, "kikikanri" if number < 20 else "shimin"))
        tables["permissions"].append(_right(actor, "disaster", "*"))
        tables["accounts"].append({"account": f"d.{actor}", "system": "disaster", "actor_id": actor, "issued_by": ""})
    for actor in VENDORS:
        tables["staff"].append(_person(actor, "", "vendor", "架空システム保守"))
        tables["permissions"].append(_right(actor, "disaster", "*"))
        tables["accounts"].append({"account": actor, "system": "disaster", "actor_id": actor, "issued_by": DISASTER[0]})
    tables["devices"].append({"device_id": "USB-0012", "kind": "media", "serial": "SER-0012", "dept": "kikikanri"})
    tables["devices"].append({"device_id": "dis-ap01", "kind": "server", "dept": "kikikanri"})
    tables["accounts"].append({"account": "kanri1", "actor_id": DISASTER[5], "issued_by": DISASTER[1]})
    tables["counts"] += [
        {"system": "welfare", "what": "subjects on file", "value": 3214, "as_of": "R8.3.1"},
        {"system": "welfare", "what": "permitted handlers", "value": 24, "as_of": "R8.3.1"},
        {"system": "disaster", "what": "subjects on file", "value": 820000, "as_of": "R8.3.1"},
        {"system": "disaster", "what": "contractor handlers", "value": 2, "as_of": "R8.3.1"},
    ]
    tables["incidents"].append({"date": "2025-11-05", "system": "welfare", "serious": 0, "summary": "誤送付 1件"})
    tables["ledger"] += [
        {"kind": "take-out", "date": WORKING[3], "actor_id": DISASTER[1], "content": "避難所名簿", "approved_by": DISASTER[0]},
        {"kind": "disposal", "date": WORKING[9], "actor_id": DISASTER[2], "content": "重複登録 1件", "approved_by": DISASTER[0]},
    ]  # fmt: skip


def _person(actor: str, dept: str, kind: str = "staff", company: str = "") -> dict[str, Any]:
    row = {"actor_id": actor, "type": kind, "company": company, "dept": dept, "start": "2020-04-01", "end": ""}
    return row | {"valid_from": "2020-04-01", "valid_to": ""}


def _right(actor: str, system: str, function: str) -> dict[str, Any]:
    return {"actor_id": actor, "system": system, "function": function, "granted_by": "100199", "valid_from": "R6.4.1"}


def _welfare(office: Office, day: date) -> None:
    for number, actor in enumerate(WELFARE[:10]):
        start = at(day) + number * 61_000
        device = f"HO01{number:02}"
        office.event(
            start, actor, "welfare", "logon", source_id="welfare-auth", auth_method="card+password", src_device=device
        )
        for step in range(1, 5 + (number + day.day) % 4):
            reason = ("explained", "explained", "explained", "to_check", "explained", "unexplained")[
                (step * number + day.day) % 6
            ]
            office.event(
                start + step * 180_000, actor, "welfare", "read", op_code="WE110", src_device=device,
                subject_token=f"s_{(number * 31 + step) % 97:016x}", explained=reason,
            )  # fmt: skip
        office.event(start + 3_600_000, actor, "welfare", "logoff", src_device=device)
        office.sessions.append(_session(len(office.sessions), actor, "welfare", device, start, start + 3_600_000, 6))


def _disaster(office: Office, day: date) -> None:
    for number, actor in enumerate(DISASTER[:8]):
        account, start, device = f"d.{actor}", at(day, "10:00:00") + number * 45_000, f"KI02{number:02}"
        office.event(start, account, "disaster", "logon", auth_method="password", src_device=device)
        for step in range(1, 4):
            office.event(
                start + step * 240_000, account, "disaster", "read" if step < 3 else "update",
                op_code="DS110" if step < 3 else "DS140", src_device=device,
                subject_token=f"s_{1000 + number * 7 + step:016x}", explained="explained" if (step + number) % 5 else "to_check",
            )  # fmt: skip
        office.event(start + 2_400_000, account, "disaster", "logoff", src_device=device)
        office.sessions.append(_session(len(office.sessions), account, "disaster", device, start, start + 2_400_000, 5))
    office.event(
        at(day, "10:30:00"), f"d.{DISASTER[3]}", "media", "connect", source_id="disaster-media", media_id="SER-0012"
    )


def _server(office: Office, day: date) -> None:
    when = at(day, "08:50:00")
    office.event(when, "kanri1", "dis-ap01", "logon", source_id="server-syslog", auth_method="password")
    office.event(when + 900_000, "kanri1", "dis-ap01", "logoff", source_id="server-syslog")


def _session(number: int, actor: str, system: str, device: str, first: int, last: int, events: int) -> dict[str, Any]:
    return {
        "session": f"w-{number:06}", "actor.id": actor, "system.id": system, "src.device": device, "first": first,
        "last": last, "events": events, "subjects": events - 2, "explained": 0.9, "p": 0.4, "queue": "none",
        "finding": None,
    }  # fmt: skip


def _specials(office: Office) -> None:
    """What has to happen in a month so that every promise has something to be judged by."""
    office.event(
        at(WORKING[2], "11:00:00"), WELFARE[0], "welfare", "register", op_code="WE400", resource_class="mynumber",
        subject_token="s_00000000000000aa", approver_id=WELFARE[1], explained="explained",
    )  # fmt: skip
    office.event(
        at(WORKING[4], "11:20:00"), WELFARE[0], "welfare", "inquire", op_code="WE310", basis_law="T42",
        subject_token="s_00000000000000aa", explained="explained",
    )  # fmt: skip
    taker = f"d.{DISASTER[1]}"
    office.event(
        at(WORKING[3], "13:00:00"), taker, "media", "copy", source_id="disaster-media", media_id="USB-0012",
        **{"class": "export"},
    )  # fmt: skip
    office.event(
        at(WORKING[9], "13:30:00"), f"d.{DISASTER[2]}", "disaster", "delete", op_code="DS300",
        subject_token="s_00000000000000bb", explained="explained",
    )  # fmt: skip
    office.event(
        at(WORKING[5], "18:30:00"), DISASTER[0], "disaster", "import", op_code="DS200", origin="zeimu", channel="lgwan",
        actor_type="staff",
    )  # fmt: skip
    vendor = at(WORKING[6], "18:00:00")
    office.event(vendor, VENDORS[0], "disaster", "logon", auth_method="password")
    office.event(vendor + 600_000, VENDORS[0], "disaster", "config", op_code="DS910")
    office.event(vendor + 900_000, VENDORS[0], "disaster", "logoff")


def finding(number: int, **more: Any) -> dict[str, Any]:
    """A finding by the contract; `more` changes what is named: severity, queue, actor, family, controls, ja, en …"""
    first = more.get("first", at(WORKING[number % len(WORKING)], "20:15:00"))
    last = more.get("last", first + 1_260_000)
    queue = more.get("queue", "alert")
    shares = more.get("shares", [("permission", 1.0, 3, 0, None, "events")])
    actor, family = more.get("actor", WELFARE[number % 24]), shares[0][0]
    ids = more.get("events", [f"{n:016x}" for n in range(number * 40, number * 40 + 3)])
    out = {
        "class_uid": 2004, "category_uid": 2, "type_uid": 200401, "activity_id": 1,
        "metadata": {"version": "1.8.0", "product": {"name": "Sekimori", "version": "0.1.0"}},
        "time": last, "severity_id": more.get("severity", 4), "risk_score": more.get("risk", 80.0 - number),
        "risk_level_id": 3, "confidence_score": 78, "is_alert": queue == "alert", "status_id": more.get("status", 1),
        "finding_info": {
            "uid": f"f-{number:016x}", "title": more.get("title", "権限のない機能の利用"), "desc": more.get("en", "A function without right."),
            "created_time": last, "first_seen_time": first, "last_seen_time": last,
            "analytic": {"type_id": 1, "uid": more.get("rule", f"{family}_rule"), "name": more.get("name", "Function without right")},
            "related_analytics": [], "related_events": [{"uid": uid} for uid in ids],
        },
        "evidences": [
            {"actor": {"user": {"uid": actor}, "session": {"uid": f"w-{number:06}"}}, "src_endpoint": {"uid": "HO0103", "ip": "192.0.2.41"}}
        ] if actor else [{"actor": {}}],
        "resources": [{"uid": f"s_{n:016x}", "type": "subject"} for n in range(more.get("subjects", 1))],
        "unmapped": {
            "text": {
                "ja": more.get("ja", f"職員 {actor} が、権限のない機能を3回使いました。"),
                "en": more.get("en", f"{actor} used a function without right three times."),
            },
            "title": {"ja": more.get("title", "権限のない機能の利用"), "en": more.get("name", "Function without right")},
            "check_first": {
                "ja": more.get("check", "権限付与の記録と、その日の業務を所属長に確認してください。"),
                "en": "Ask the head of section what the work was.",
            },
            "shares": [
                {"family": f, "share": s, "observed": o, "usual": u, "peers": p, "unit": unit} for f, s, o, u, p, unit in shares
            ],
            "context": {"odds": 1.0, "risk_without": 80.0, "ja": [], "en": []},
            "explained": more.get("explained", "unexplained"), "controls": more.get("controls", []), "scenarios": [10],
            "kind": "session", "unit": f"w-{number:06}", "queue": queue, "over_budget": False, "learning": False,
            "run": "analyze", "versions": {"code": "0.1.0"},
        },
    }  # fmt: skip
    problems = contract_finding.validate(out)
    if problems:
        raise ValueError(problems)
    return out


def utc(ms: int) -> datetime:
    """For messages of tests."""
    return datetime.fromtimestamp(ms / 1000, UTC)
