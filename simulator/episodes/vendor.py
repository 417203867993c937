"""Scenarios 34 to 37: contractors, administrators, and tools that see everything."""

from __future__ import annotations

from simulator.declaration import moment
from simulator.desk import care, ssh
from simulator.episodes.plan import shape
from simulator.episodes.stage import Stage
from simulator.population import CONTRACTOR, STRANGER, SUBCONTRACTOR
from simulator.rhythm import MINUTE

ROOM = ("HOV01", "10.11.250.21")


def _hand(s: Stage, company: str, place: int) -> int:
    return [p.number for p in s.world.people if p.company == company][place]


def _order(s: Stage, who: int, system: str, day: int, first: float, last: float) -> str:
    number = f"保守{s.when.day(day):%m%d}-{len(s.plan.registers.get('work_orders', ())) + 1:02d}"
    boss = s.world.holders(0, "manager", "joho")[0]
    s.register(
        "work_orders", order=number, company=s.world.people[who].company, actor_id=s.id(who), system=system,
        window_from=moment(s.when.at(day, first)), window_to=moment(s.when.at(day, last)), approved_by=s.id(boss),
    )  # fmt: skip
    return number


@shape(34, "easy")
def vendor_reads_without_order(s: Stage) -> None:
    who = s.star(_hand(s, CONTRACTOR, 1), "disaster")
    targets = s.fresh(s.world.quiet_residents, 4)
    day = s.choice(s.when.working(1))
    s.session(
        who,
        day,
        16.1,
        lambda d: d.each("DS110", targets, gap=30),
        system="disaster",
        device=ROOM,
        busy=False,
    )


@shape(34, "easy")
def vendor_after_the_window(s: Stage) -> None:
    who = s.star(_hand(s, CONTRACTOR, 2), "disaster")
    day = s.choice(s.when.working(1))
    order = _order(s, who, "disaster", day, 20, 22)
    s.session(
        who,
        day,
        23.2,
        lambda d: d.do("DS910", basis=order, gap=60).do("DS160", count=400, gap=30),
        system="disaster",
        device=ROOM,
        busy=False,
    )


@shape(34, quiet=True)
def night_maintenance_in_its_order(s: Stage) -> None:
    who = s.star(_hand(s, CONTRACTOR, 0), "disaster")
    day = s.choice(s.when.working(1))
    order = _order(s, who, "disaster", day, 20, 23)
    s.session(who, day, 20.6, lambda d: d.do("DS910", basis=order, gap=600), system="disaster", device=ROOM, busy=False)


@shape(35, "easy")
def company_that_nobody_approved(s: Stage) -> None:
    who = s.star(_hand(s, STRANGER, 0), "disaster")
    day = s.choice(s.when.working(1))
    s.session(
        who,
        day,
        13.1,
        lambda d: d.do("DS910", gap=200).do("DS160", count=120, gap=60),
        system="disaster",
        device=ROOM,
        busy=False,
    )


@shape(35, "easy")
def unapproved_company_on_the_server(s: Stage) -> None:
    who = s.star(_hand(s, STRANGER, 1))
    day = s.choice(s.when.working(1))
    for row in ssh(s.id(who), "dis-db01", ROOM[1], s.when.at(day, 14.3), s.rng, command="/usr/bin/psql -c '\\dt'"):
        s.mine(day, **row)


@shape(35, "medium")
def subcontractor_in_a_system_not_its_own(s: Stage) -> None:
    who = s.star(_hand(s, SUBCONTRACTOR, 1))
    day = s.choice(s.when.working(1))
    s.session(who, day, 11.4, lambda d: d.do("WE910", gap=300), device=ROOM, busy=False)


@shape(35, quiet=True)
def replacement_announced_in_writing(s: Stage) -> None:
    who = s.star(_hand(s, SUBCONTRACTOR, 2), "disaster")
    day = s.choice(s.when.working(2))
    order = _order(s, who, "disaster", day, 9, 17)
    s.register(
        "ledger",
        kind="use",
        date=s.date(day - 1),
        actor_id=s.id(who),
        content="作業者変更届(書面受理)",
        company=SUBCONTRACTOR,
    )
    s.session(who, day, 10.2, lambda d: d.do("DS910", basis=order, gap=400), system="disaster", device=ROOM, busy=False)


def _select(s: Stage, who: int, day: int, clock: float, table: str, text: str, rows: int, took: int) -> None:
    system = "welfare" if "case" in table else "disaster"
    s.mine(
        day, t=s.when.at(day, clock), src="db-audit", actor=s.id(who), system=system, ip="10.11.9.31", act="SELECT", thing=f"public.{table}", text=text,
        count=rows, took=took,
    )  # fmt: skip


@shape(36, "easy")
def whole_table_by_hand(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    _select(s, who, s.day(who), 17.0, "case_record", "SELECT *\n  FROM case_record", 3_400, 18_000)


@shape(36, "easy")
def ledger_joined_with_addresses(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    text = (
        'SELECT v.name, a.address, a.phone\n  FROM victim v JOIN address a USING (resident_no)\n WHERE a.area = "A03"'
    )
    _select(s, who, s.day(who), 12.4, "victim", text, 5_120, 9_400)


@shape(36, "medium")
def single_people_by_hand(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    for day in s.some(s.days(who), 3):
        _select(s, who, day, 15.2, "case_record", "SELECT *\n  FROM case_record\n WHERE name LIKE '%佐藤%'", 6, 40)


@shape(36, quiet=True)
def scheduled_backup(s: Stage) -> None:
    who = s.star(next(p.number for p in s.world.people if p.id == "svc-backup"))
    day = s.choice(range(s.when.days))
    s.mine(
        day, t=s.when.at(day, 2.4), src="db-audit", actor=s.id(who), system="welfare", ip="10.11.250.10", act="COPY", thing="public.case_record",
        text="COPY public.case_record TO STDOUT", count=3_400, took=61_000,
    )  # fmt: skip


@shape(36, quiet=True)
def statistics_under_a_ticket(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.day(who)
    for row in care(s.world, who, s.when.at(day, 10.1), "welfare", f"TKT{s.when.day(day):%y%m%d}31"):
        s.mine(day, **row)


def _remote(s: Stage, who: int, day: int, clock: float, target: int, ticket: str | None) -> None:
    s.mine(
        day, t=s.when.at(day, clock), src="file-server", actor=s.id(who), device="HO0160", ip="10.11.9.31", act="remote", out="ok", target=s.id(target),
        dest=s.world.device(target, day)[0], basis=ticket, took=int(s.rng.integers(3, 20)) * MINUTE,
    )  # fmt: skip


@shape(37, "medium")
def watching_the_same_screen(s: Stage) -> None:
    who, target = s.star(s.clerk("admin", "joho")), s.clerk("officer", "shimin")
    for day in s.some(s.days(who), 6):
        _remote(s, who, day, 9 + 7 * float(s.rng.random()), target, None)


@shape(37, "medium")
def many_screens_in_one_evening(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.day(who)
    for place, target in enumerate(s.some(s.world.holders(0, "manager"), 5)):
        _remote(s, who, day, 19.0 + place * 0.1, target, None)


@shape(37, quiet=True)
def help_desk_with_a_ticket(s: Stage) -> None:
    who, target = s.star(s.clerk("admin", "joho")), s.clerk("officer", "shimin")
    day = s.day(who)
    ref = f"TKT{s.when.day(day):%y%m%d}09"
    s.register("bases", basis_ref=ref, kind="ticket", opened=s.date(day), closed=s.date(day + 1), dept="joho")
    _remote(s, who, day, 11.1, target, ref)
