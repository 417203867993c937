"""What surrounds the business systems: doors, terminals, the file server, the intranet, servers, the database.

One function a stream; each gives rows in `record.SCHEMA` for one day.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from simulator.population import CONTRACTOR, DEPARTMENTS
from simulator.record import complete, frame
from simulator.rhythm import CLOSING, HOUR, MINUTE, NOON
from simulator.world import World

FILES: Final = (
    "会議資料.docx",
    "週間予定.xlsx",
    "起案文書.docx",
    "照会回答.pdf",
    "決裁添付.pdf",
    "引継書.docx",
    "統計表.xlsx",
    "様式集.xlsx",
)
PAGES: Final = (
    "/portal/",
    "/portal/notice/12",
    "/portal/schedule",
    "/saigai/top",
    "/saigai/shelter/list",
    "/saigai/help",
    "/static/app.js",
)
SERVERS: Final = ("wel-ap01", "wel-db01", "dis-ap01", "dis-db01")


def _days_of_people(world: World, number: int) -> tuple[list[int], dict[int, tuple[int, int]]]:
    """People at work that day with first and last moment of their work (ms after midnight)."""
    first: dict[int, tuple[int, int]] = {}
    for person, begin, end in world.roster.spans[number]:
        known = first.get(person, (begin, end))
        first[person] = (min(known[0], begin), max(known[1], end))
    return sorted(first), first


def doors(world: World, number: int) -> pl.DataFrame:
    """People enter and leave; some slip through behind a colleague and are in no log."""
    rng = world.generator(2, number)
    rows: list[dict[str, Any]] = []
    people, hours = _days_of_people(world, number)
    for who in people:
        post = world.post(who, number)
        if post is None:
            continue
        begin, end = hours[who]
        out = rng.random() < 0.35 and begin < NOON - HOUR and end > NOON + 2 * HOUR
        lunch = NOON + int(rng.uniform(3, 12) * MINUTE)
        moves = [(begin - int(rng.uniform(4, 14) * MINUTE), "enter"), (end + int(rng.uniform(4, 15) * MINUTE), "leave")]
        if out:
            moves += [(lunch, "leave"), (lunch + int(rng.uniform(22, 40) * MINUTE), "enter")]
        for at, act in moves:
            if rng.random() < 0.04:
                continue
            rows.append(door(world, who, post.office, world.when.at(number) + at, act))
    return frame(rows)


def door(world: World, who: int, office: str, at: int, act: str) -> dict[str, Any]:
    """One passage of a door. The branch office of the north sends through an agent, the others write a file."""
    person = world.people[who]
    source = "kita-doors" if office == "kita" else "doors"
    return {
        "src": source,
        "t": at,
        "actor": person.id,
        "card": person.card,
        "act": act,
        "out": "ok",
        "thing": f"{office}-通用口",
    }


def terminals(world: World, number: int) -> pl.DataFrame:
    """Windows log-ons at terminals and the file server, mistyped passwords, services."""
    rng = world.generator(3, number)
    rows: list[dict[str, Any]] = []
    people, hours = _days_of_people(world, number)
    base = world.when.at(number)
    monday = 2.0 if world.when.day(number).weekday() == 0 else 1.0
    for who in people:
        person = world.people[who]
        device, ip = world.device(who, number)
        begin, end = hours[who]
        logon = f"0x{rng.integers(1 << 20, 1 << 30):x}"
        common = {
            "src": "windows-security",
            "actor": person.windows_account,
            "device": device,
            "ip": ip,
            "thing": device,
        }
        at = base + begin - int(rng.uniform(1, 5) * MINUTE)
        for miss in range(int(rng.random() < person.clumsy * monday) + int(rng.random() < 0.006)):
            rows.append(
                {
                    **common,
                    "t": at - (miss + 1) * 11_000,
                    "act": "4625",
                    "session": "0x0",
                    "count": 2,
                    "reason": "0xC000006A",
                }
            )
        rows.append({**common, "t": at, "act": "4624", "session": logon, "count": 2})
        share = f"0x{rng.integers(1 << 20, 1 << 30):x}"
        rows.append({**common, "t": at + 20_000, "act": "4624", "session": share, "count": 3, "thing": "FS01"})
        if rng.random() < 0.8:
            rows.append(
                {
                    **common,
                    "t": base + end + int(rng.uniform(0.5, 4) * MINUTE),
                    "act": "4634",
                    "session": logon,
                    "count": 2,
                }
            )
    for at, account in ((1, "svc-batch"), (2, "svc-backup")):
        session = f"0x{rng.integers(1 << 20, 1 << 30):x}"
        start = base + at * HOUR + int(rng.uniform(0, 3) * MINUTE)
        service = {
            "src": "windows-security",
            "actor": account,
            "device": "FS01",
            "ip": "-",
            "thing": "FS01",
            "session": session,
            "count": 5,
        }
        rows += [{**service, "t": start, "act": "4624"}, {**service, "t": start + 25 * MINUTE, "act": "4634"}]
    return frame(rows)


def files(world: World, number: int, volume: float) -> pl.DataFrame:
    """The file server: people open and save what belongs to their department."""
    rng = world.generator(4, number)
    people, hours = _days_of_people(world, number)
    if not people:
        return complete({}, 0)
    often = rng.poisson(2.2 * volume, len(people))
    which = np.repeat(np.arange(len(people)), often)
    if not which.size:
        return complete({}, 0)
    first = np.array([hours[p][0] for p in people])[which]
    last = np.array([hours[p][1] for p in people])[which]
    act = pl.Series(["open", "write", "print"]).gather(pl.Series(rng.choice(3, which.size, p=[0.66, 0.28, 0.06])))
    dept = [(world.post(p, number) or world.places[-1]).dept for p in people]
    shares = pl.Series([f"//FS01/{DEPARTMENTS[name]}/" for name in dept]).gather(pl.Series(which))
    things = pl.Series(FILES).gather(pl.Series(rng.integers(0, len(FILES), which.size)))
    devices = [world.device(p, number) for p in people]
    return complete(
        {
            "src": "file-server",
            "t": world.when.at(number) + first + (rng.random(which.size) * (last - first)).astype(np.int64),
            "actor": pl.Series([world.people[p].id for p in people]).gather(pl.Series(which)),
            "device": pl.Series([d for d, _ in devices]).gather(pl.Series(which)),
            "ip": pl.Series([i for _, i in devices]).gather(pl.Series(which)),
            "act": act,
            "out": "ok",
            "thing": pl.select(pl.concat_str(shares, things)).to_series(),
            "bytes": pl.Series((rng.lognormal(11, 1.1, which.size)).astype(np.int64)),
        },
        which.size,
    )


def intranet(world: World, number: int, volume: float) -> pl.DataFrame:
    """Page views of the portal in front of the disaster system."""
    rng = world.generator(5, number)
    people, hours = _days_of_people(world, number)
    often = rng.poisson(0.8 * volume, len(people))
    which = np.repeat(np.arange(len(people)), often)
    if not which.size:
        return complete({}, 0)
    first = np.array([hours[p][0] for p in people])[which]
    last = np.array([hours[p][1] for p in people])[which]
    return complete(
        {
            "src": "web-access",
            "t": world.when.at(number)
            + (first + rng.random(which.size) * (last - first)).astype(np.int64) // 1000 * 1000,
            "actor": pl.Series([world.people[p].id for p in people]).gather(pl.Series(which)),
            "ip": pl.Series([world.device(p, number)[1] for p in people]).gather(pl.Series(which)),
            "act": "GET",
            "out": pl.Series(["200", "304", "404"]).gather(pl.Series(rng.choice(3, which.size, p=[0.8, 0.17, 0.03]))),
            "thing": pl.Series(PAGES).gather(pl.Series(rng.integers(0, len(PAGES), which.size))),
            "bytes": pl.Series((rng.lognormal(8.5, 0.9, which.size)).astype(np.int64)),
        },
        which.size,
    )


def _during(world: World, who: int, number: int, rng: np.random.Generator) -> int:
    """A moment of the person's working hours that day, ms after midnight."""
    spans = world.roster.hours(who, number)
    first, last = spans[int(rng.integers(0, len(spans)))]
    return int(first + rng.uniform(0.1, 0.8) * (last - first))


def database(world: World, number: int) -> pl.DataFrame:
    """Database audit: nightly backup and batches under service accounts, some care by the administrators with a ticket."""
    rng = world.generator(6, number)
    base = world.when.at(number)
    rows: list[dict[str, Any]] = []
    for system, table, size in (("welfare", "case_record", 3_400), ("disaster", "victim", 118_000)):
        common = {"src": "db-audit", "system": system, "ip": "10.11.250.10"}
        for hour, actor, statement, count in (
            (1.0, "svc-batch", f"UPDATE {table}_daily\n   SET closed = true\n WHERE day < current_date", 1),
            (2.0, "svc-backup", f"COPY public.{table} TO STDOUT", size),
        ):
            at = base + int(hour * HOUR + rng.uniform(0, 3) * MINUTE)
            act = "COPY" if statement.startswith("COPY") else "UPDATE"
            rows.append(
                {
                    **common,
                    "t": at,
                    "actor": actor,
                    "act": act,
                    "thing": f"public.{table}",
                    "text": statement,
                    "count": count,
                    "took": int(rng.uniform(2e4, 9e4)),
                }
            )
        for _ in range(int(rng.poisson(6))):
            at = base + int(rng.uniform(6, 22) * HOUR)
            text = f'SELECT count(*)\n  FROM {table}_job\n WHERE state = "done"'
            rows.append(
                {
                    **common,
                    "t": at,
                    "actor": "svc-batch",
                    "act": "SELECT",
                    "thing": f"public.{table}_job",
                    "text": text,
                    "count": 1,
                    "took": int(rng.uniform(3, 40)),
                }
            )
    admins = [p for p in world.holders(number, "admin", "joho") if world.roster.works(p, number)]
    for who in admins[: int(rng.integers(0, 3))]:
        at = base + _during(world, who, number, rng)
        rows += care(
            world,
            who,
            at,
            "welfare" if rng.random() < 0.5 else "disaster",
            f"TKT{world.when.day(number):%y%m%d}{who:03d}",
        )
    return frame(rows)


def care(world: World, who: int, at: int, system: str, ticket: str) -> list[dict[str, Any]]:
    """An administrator looks after a database, on statistics and never on people, under a ticket."""
    person = world.people[who]
    common = {
        "src": "db-audit",
        "system": system,
        "ip": "10.11.9.31",
        "actor": person.id,
        "act": "SELECT",
        "basis": ticket,
        "took": 12,
    }
    statements = (
        "SELECT relname, n_dead_tup\n  FROM pg_stat_user_tables\n ORDER BY 2 DESC",
        "SELECT * FROM pg_stat_activity",
        'SELECT pg_size_pretty(pg_database_size("main"))',
    )
    return [
        {**common, "t": at + place * 40_000, "thing": "pg_catalog.pg_stat", "text": text, "count": 14 + place}
        for place, text in enumerate(statements)
    ]


def servers(world: World, number: int) -> pl.DataFrame:
    """Syslog of the servers: cron, backups, administrators over ssh with sudo, the odd mistyped password."""
    rng = world.generator(7, number)
    base = world.when.at(number)
    rows: list[dict[str, Any]] = []
    for place, host in enumerate(SERVERS):
        for hour in range(24):
            at = base + hour * HOUR + 60_000 * (place + 1) + int(rng.uniform(0, 900))
            rows.append(
                {
                    "src": "syslog",
                    "t": at,
                    "device": host,
                    "thing": "CRON",
                    "count": 2000 + hour,
                    "text": "(root) CMD (/usr/local/bin/health)",
                }
            )
    admins = [p for p in world.holders(number, "admin", "joho") if world.roster.works(p, number)]
    for who in admins:
        if rng.random() < 0.35:
            host = SERVERS[int(rng.integers(0, 4))]
            rows += ssh(
                world.people[who].id,
                host,
                "10.11.9.31",
                base + _during(world, who, number, rng),
                rng,
                typos=int(rng.random() < 0.08),
            )
    for order in orders_of_the_month(world):
        if order[2] == number:
            person = world.people[order[0]]
            rows += ssh(person.id, order[1], "10.11.250.21", base + int((20 + rng.uniform(0.1, 1)) * HOUR), rng)
    return frame(rows)


def ssh(
    actor: str,
    host: str,
    ip: str,
    at: int,
    rng: np.random.Generator,
    *,
    typos: int = 0,
    command: str = "/usr/bin/systemctl status app",
) -> list[dict[str, Any]]:
    """One log-in over ssh with a sudo command in it."""
    pid = int(rng.integers(3_000, 60_000))
    port = int(rng.integers(40_000, 60_000))
    line = {"src": "syslog", "device": host, "thing": "sshd", "count": pid}
    rows = [
        {**line, "t": at - 6_000 * (typos - n), "text": f"Failed password for {actor} from {ip} port {port} ssh2"}
        for n in range(typos)
    ]
    stay = int(rng.uniform(4, 25) * MINUTE)
    rows += [
        {**line, "t": at, "text": f"Accepted publickey for {actor} from {ip} port {port} ssh2: ED25519 SHA256:hA3f"},
        {
            **line,
            "t": at + 200,
            "text": f"pam_unix(sshd:session): session opened for user {actor}(uid=1{pid % 1000:03d}) by (uid=0)",
        },
        {
            **line,
            "t": at + stay // 2,
            "thing": "sudo",
            "text": f"{actor} : TTY=pts/0 ; PWD=/home/{actor} ; USER=root ; COMMAND={command}",
        },
        {**line, "t": at + stay, "text": f"pam_unix(sshd:session): session closed for user {actor}"},
    ]
    return rows


def orders_of_the_month(world: World) -> list[tuple[int, str, int]]:
    """The contractor's planned maintenance: (person, host, day), a night every week and one before the year's end."""
    hands = [p.number for p in world.people if p.company == CONTRACTOR]
    return [(hands[n % 4], SERVERS[n % 4], day) for n, day in enumerate(range(2, world.when.days, 7))]


def batches(world: World, number: int) -> pl.DataFrame:
    """Batches of the branch office, sent by its agent: a list of the day's receptions each evening, nobody's hands in it."""
    if world.when.off[number]:
        return complete({}, 0)
    rng = world.generator(8, number)
    at = world.when.at(number) + CLOSING + int(rng.uniform(20, 30) * MINUTE)
    common = {
        "src": "kita-batch",
        "system": "welfare",
        "actor": "svc-kita",
        "device": "KISV01",
        "ip": "10.12.250.5",
        "out": "ok",
    }
    return frame(
        [
            {**common, "t": at + n * 1500, "op": "WE140", "act": "list", "count": int(rng.integers(4, 30))}
            for n in range(6)
        ]
    )
