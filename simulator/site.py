"""The site folder: what the office declares about itself, with the ordinary dirt of registers kept by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from simulator.declaration import HANDOVER_DAYS, declaration, moment, wareki
from simulator.desk import orders_of_the_month
from simulator.population import (
    AREAS,
    CONTRACTOR,
    NETWORKS,
    NOBODY,
    SUBCONTRACTOR,
    Person,
    Post,
)
from simulator.record import OPS
from simulator.rhythm import DAY, Absence
from simulator.world import World

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "staff": ("actor_id", "type", "company", "dept", "role", "start", "end", "subject_id", "household_id", "area"),
    "permissions": ("actor_id", "system", "function", "granted_by"),
    "assignments": ("actor_id", "subject_id", "area", "kind"),
    "bases": ("basis_ref", "kind", "subject_id", "opened", "closed", "dept"),
    "presence": ("actor_id", "kind", "from", "to", "note"),
    "devices": ("device_id", "kind", "office", "dept", "serial", "ip", "actor_id"),
    "work_orders": ("order", "company", "actor_id", "system", "window_from", "window_to", "approved_by"),
    "subjects": ("subject_id", "household_id", "area", "protected", "vip", "expiry"),
    "labels": ("code", "system", "ja", "en"),
    "accounts": ("account", "system", "actor_id", "issued_by"),
    "ledger": ("kind", "date", "actor_id", "content", "target", "approved_by", "company", "destination"),
    "counts": ("system", "what", "value", "as_of"),
    "incidents": ("date", "system", "serious", "summary", "known_at"),
}
WELFARE_RIGHTS: Final[dict[str, tuple[str, ...]]] = {
    "caseworker": ("WE100", "WE101", "WE102", "WE103", "WE110", "WE120", "WE130", "WE140", "WE200", "WE210", "WE300", "WE310", "WE600", "WE690"),
    "supervisor": ("WE100", "WE101", "WE102", "WE103", "WE104", "WE110", "WE120", "WE130", "WE140", "WE150", "WE220", "WE300", "WE310", "WE405", "WE600", "WE800"),
    "reception": ("WE100", "WE101", "WE102", "WE103", "WE110", "WE120", "WE130", "WE140", "WE200", "WE300", "WE400", "WE405", "WE410", "WE600"),
    "payment": (
        "WE100", "WE101", "WE102", "WE103", "WE110", "WE120", "WE150", "WE300", "WE400", "WE405", "WE410", "WE500", "WE510", "WE520", "WE600", "WE610",
    ),
    "manager": ("WE100", "WE101", "WE102", "WE110", "WE120", "WE150", "WE220", "WE600", "WE610", "WE800", "WE900", "WE901", "WE902", "WE190"),
}  # fmt: skip
LEDGER_RIGHTS: Final = (
    "DS001",
    "DS098",
    "DS099",
    "DS180",
    "DS101",
    "DS102",
    "DS103",
    "DS110",
    "DS120",
    "DS130",
    "DS140",
    "DS150",
    "DS160",
)
LEDGER_MORE: Final = ("DS104", "DS170", "DS200", "DS300", "DS900", "DS901", "DS910")

Rows = dict[str, list[dict[str, Any]]]


def registers(world: World, extra: Rows) -> Rows:
    """All registers but the reasons (`bases`), as rows of text; `extra` is what episodes and their look-alikes add."""
    rows: Rows = {name: [] for name in COLUMNS}
    for person in world.people:
        _staff(world, person, rows)
        _accounts(person, rows)
    _permissions(world, rows)
    _assignments(world, rows)
    rows["presence"] = [_absence(world, entry) for entry in world.roster.presence]
    _devices(world, rows)
    _subjects(world, rows)
    boss = world.people[world.holders(0, "manager", "joho")[0]].id
    # Such an order names no system: it covers whatever the company maintains.
    for hand, _, number in orders_of_the_month(world):
        rows["work_orders"].append({
            "order": f"保守{world.when.day(number):%m%d}-00", "company": world.people[hand].company, "actor_id": world.people[hand].id,
            "window_from": moment(world.when.at(number, 19.5)),
            "window_to": moment(world.when.at(number, 23.5)), "approved_by": boss,
        })  # fmt: skip
    rows["labels"] = [{"code": code, "system": op.system, "ja": op.ja, "en": op.en} for code, op in OPS.items()]
    as_of = wareki(world.when.start)
    handlers = len(world.holders(0, dept="seikatsu"))
    # The welfare section has not handed in how many people it has on file: a promise that nobody can prove, as in any office.
    rows["counts"] = [
        {"system": "welfare", "what": "permitted handlers", "value": handlers, "as_of": as_of},
        {"system": "disaster", "what": "subjects on file", "value": int(world.town.raw.size), "as_of": as_of},
        {
            "system": "disaster",
            "what": "permitted handlers",
            "value": len(world.holders(0, disaster=True)),
            "as_of": as_of,
        },
        {"system": "disaster", "what": "contractor handlers", "value": 9, "as_of": as_of},
    ]
    for name, more in extra.items():
        rows[name] += more
    return rows


def _day(world: World, number: int) -> str:
    return wareki(world.when.day(number))


def _staff(world: World, person: Person, rows: Rows) -> None:
    first = world.places[person.post] if person.post != NOBODY else None
    then = world.places[person.next_post] if person.next_post != NOBODY else None
    home = person.citizen
    common: dict[str, Any] = {
        "actor_id": person.id, "type": person.kind, "company": person.company, "start": _day(world, max(person.start_day, -13_000)),
        "end": "" if person.end_day is None else _day(world, person.end_day),
    }  # fmt: skip
    if home != NOBODY:
        common |= {
            "subject_id": world.raw(home), "household_id": 500_000 + int(world.town.household[home]), "area": AREAS[int(world.town.area[home])],
        }  # fmt: skip
    if person.kind != "staff" or (first is None and then is None):
        rows["staff"].append(
            {
                **common,
                "dept": "chiiki" if person.kind == "staff" else "",
                "role": "officer" if person.kind == "staff" else "",
            }
        )
        return
    change = world.when.change
    if first is not None and then is not None and first is not then:
        rows["staff"].append({**common, "dept": first.dept, "role": first.role, "valid_to": _day(world, change - 1)})
        rows["staff"].append({**common, "dept": then.dept, "role": then.role, "valid_from": _day(world, change)})
    else:
        post = first or then
        assert post is not None
        rows["staff"].append({**common, "dept": post.dept, "role": post.role})


def _accounts(person: Person, rows: Rows) -> None:
    rows["accounts"].append(
        {"account": person.disaster_account, "system": "disaster", "actor_id": person.id, "issued_by": "kiki"}
    )
    rows["accounts"].append({"account": person.windows_account, "system": "", "actor_id": person.id})


def rights(post: Post) -> list[tuple[str, str]]:
    """Functions (system, code) that a post is permitted."""
    found = [("welfare", code) for code in WELFARE_RIGHTS[post.role]] if post.dept == "seikatsu" else []
    if post.disaster:
        found += [("disaster", code) for code in LEDGER_RIGHTS]
        if post.dept == "kiki" or post.role == "manager":
            found += [("disaster", code) for code in LEDGER_MORE]
    if post.role == "admin":  # looks after the databases
        found += [(system, "SELECT") for system in ("welfare", "disaster")]
    return found


def _permissions(world: World, rows: Rows) -> None:
    bosses = {"welfare": world.holders(0, "manager", "seikatsu")[0], "disaster": world.holders(0, "manager", "kiki")[0]}
    table = rows["permissions"]
    for person in world.people:
        if person.kind == "service":
            table += [
                {"actor_id": person.id, "system": system, "function": "*", "granted_by": "", "valid_from": "H31.4.1"}
                for system in ("welfare", "disaster")
            ]
        if person.company in (CONTRACTOR, SUBCONTRACTOR):
            table += [
                {
                    "actor_id": person.id,
                    "system": s,
                    "function": f,
                    "granted_by": world.people[bosses[s]].id,
                    "valid_from": "R7.4.10",
                }
                for s, f in (("welfare", "WE910"), ("disaster", "DS910"))
            ]
        moved = person.post != person.next_post
        for number, first, last in ((person.post, -200, None), (person.next_post, world.when.change, None)):
            if number == NOBODY or (number == person.next_post and not moved and first == world.when.change):
                continue
            since = (
                max(person.start_day, first) if person.start_day > first else person.start_day if first < 0 else first
            )
            if moved and number == person.post:
                last = person.end_day if person.end_day is not None else world.when.change + HANDOVER_DAYS
            for system, code in rights(world.places[number]):
                boss = bosses[system] if bosses[system] != person.number else world.holders(0, "manager", "joho")[0]
                table.append({
                    "actor_id": person.id, "system": system, "function": code, "granted_by": world.people[boss].id,
                    "valid_from": _day(world, max(since, -2000)), "valid_to": "" if last is None else _day(world, last),
                })  # fmt: skip


def _assignments(world: World, rows: Rows) -> None:
    change = world.when.change
    for post in world.places:
        if post.role not in ("caseworker", "supervisor"):
            continue
        for person in world.people:
            if post.number not in (person.post, person.next_post):
                continue
            span: dict[str, Any] = {"actor_id": person.id, "kind": "primary"}
            if person.post != post.number:
                span["valid_from"] = _day(world, change)
            elif person.next_post != post.number:
                gone = person.end_day is not None
                span["valid_to"] = _day(
                    world, person.end_day if gone and person.end_day is not None else change + HANDOVER_DAYS
                )
            if post.role == "supervisor":
                areas = world.loads.areas[post.section] if post.section < len(world.loads.areas) else []
                rows["assignments"] += [{**span, "area": AREAS[a], "kind": "area"} for a in areas]
            else:
                rows["assignments"] += [{**span, "subject_id": world.raw(int(c))} for c in world.loads.of(post.seat)]


def _absence(world: World, entry: Absence) -> dict[str, Any]:
    name = world.people[entry.person].id
    if (entry.first // 60_000 + entry.person) % 41 == 0:  # somebody's keyboard stood on full width
        name = name.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    late = (entry.first // 60_000 + entry.person) % 29 == 0  # entered on the next day
    return {
        "actor_id": name, "kind": entry.kind, "from": moment(entry.first), "to": moment(entry.last), "note": entry.note,
        "valid_from": moment(entry.first + DAY if late else entry.first - 3 * DAY),
    }  # fmt: skip


def _devices(world: World, rows: Rows) -> None:
    table = rows["devices"]
    for post in world.places:
        table.append(
            {"device_id": post.device, "kind": "terminal", "office": post.office, "dept": post.dept, "ip": post.ip}
        )
    for number, office in enumerate(("honcho", "honcho", "kita", "minami")):
        table.append(
            {
                "device_id": f"KIOSK{number + 1}",
                "kind": "kiosk",
                "office": office,
                "dept": "seikatsu",
                "ip": f"10.{NETWORKS[office]}.8.{number + 11}",
            }
        )
    for name, ip in (
        ("FS01", "10.11.250.20"),
        ("KISV01", "10.12.250.5"),
        ("HOV01", "10.11.250.21"),
        ("HOV02", "10.11.250.22"),
        ("wel-db01", "10.11.250.31"),
    ):
        table.append(
            {
                "device_id": name,
                "kind": "terminal" if name.startswith("HOV") else "server",
                "office": "honcho",
                "dept": "joho",
                "ip": ip,
            }
        )
    for office in NETWORKS:
        table.append({"device_id": f"{office}-通用口", "kind": "gate", "office": office})
    for number in range(8):
        dept = ("kiki", "seikatsu", "shimin", "chiiki")[number % 4]
        table.append(
            {
                "device_id": f"USB-{number + 1:04d}",
                "kind": "media",
                "office": "honcho",
                "dept": dept,
                "serial": f"USB-{number + 1:04d}",
            }
        )
    for person in world.people:
        if person.kind != "service":
            table.append({"device_id": person.card, "kind": "card", "serial": person.card, "actor_id": person.id})
    for number in range(4):
        table.append(
            {
                "device_id": f"T-{number + 1:02d}",
                "kind": "temporary_card",
                "serial": f"T-{number + 1:02d}",
                "actor_id": "",
                "valid_to": "H31.4.1",
            }
        )


def _subjects(world: World, rows: Rows) -> None:
    """Recipients, marked people and the homes of staff; not the whole town."""
    town = world.town
    chosen = set((town.welfare | town.protected | town.vip).nonzero()[0].tolist())
    chosen |= {c for p in world.people if p.citizen != NOBODY for c in town.members(p.citizen)}
    soon = _day(world, world.when.days // 2)
    for place in sorted(chosen):
        marks: dict[str, Any] = {"protected": 1} if town.protected[place] else {}
        if town.vip[place]:
            marks["vip"] = 1
            if place % 5 == 0:
                marks["expiry"] = soon
        rows["subjects"].append(
            {
                "subject_id": world.raw(place),
                "household_id": 500_000 + int(town.household[place]),
                "area": AREAS[int(town.area[place])],
                **marks,
            }
        )


def write(folder: Path, world: World, rows: Rows, bases: pl.DataFrame, secret: bytes) -> None:
    """Write the folder: site.toml, keys/site.key, thirteen registers (two of them in CP932)."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    (folder / "keys" / "site.key").write_text(secret.hex() + "\n", encoding="ascii")
    (folder / "site.toml").write_text(declaration(world), encoding="utf-8")
    for name, columns in COLUMNS.items():
        names = [*columns, "valid_from", "valid_to"]
        if name == "bases":
            table = pl.concat([_reasons(bases, names), _text(rows[name], names)])
        else:
            table = _text(rows[name], names)
        data = table.write_csv(line_terminator="\r\n" if name in ("bases", "presence") else "\n")
        (folder / f"{name}.csv").write_bytes(data.encode("cp932" if name in ("bases", "presence") else "utf-8"))


def _text(rows: Iterable[Mapping[str, Any]], names: list[str]) -> pl.DataFrame:
    listed = list(rows)
    return pl.DataFrame(
        {n: [None if row.get(n) in (None, "") else str(row[n]) for row in listed] for n in names},
        schema=dict.fromkeys(names, pl.String),
    )


def _reasons(bases: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    local = [
        pl.from_epoch(pl.col(name) + 9 * 3_600_000, time_unit="ms").dt.strftime("%Y/%m/%d %H:%M").alias(name)
        for name in ("opened", "closed", "known")
    ]
    table = bases.sort("opened", "basis_ref", "subject").with_columns(local)
    return table.select(
        "basis_ref", "kind", pl.col("subject").cast(pl.String).alias("subject_id"), "opened", "closed", "dept",
        pl.col("known").alias("valid_from"), pl.lit(None, dtype=pl.String).alias("valid_to"),
    ).select(names)  # fmt: skip
