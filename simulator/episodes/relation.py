"""Scenarios 1 to 9: records opened because of who the person is, not because of a case."""

from __future__ import annotations

from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Desk, Stage
from simulator.population import NOBODY


@shape(1, "easy")
def own_record_in_welfare(s: Stage) -> None:
    who = s.star(s.caseworker())
    me = s.world.people[who].citizen

    def script(d: Desk) -> None:
        d.do("WE101", me, query="id", gap=8)
        d.do("WE100", me, gap=40)
        d.do("WE300", me, gap=30)

    s.embed(who, s.day(who), script)


@shape(1, "easy")
def own_damage_approved(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    me = s.world.people[who].citizen

    def script(d: Desk) -> None:
        d.do("DS110", me, gap=30)
        d.do("DS140", me, gap=60)
        d.do("DS180", me, amount=300_000, payee="771200", approver=s.world.account(who, "disaster"))

    s.embed(who, s.day(who, calm=False), script)


@shape(1, "medium")
def own_record_glimpsed(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    s.embed(who, s.day(who), lambda d: d.do("DS110", s.world.people[who].citizen, gap=15))


@shape(1, quiet=True)
def own_record_by_colleague(s: Stage) -> None:
    owner, who = s.ledger_user(), s.star(s.ledger_user(), "disaster")
    if owner == who:
        raise NoChance
    me, day = s.world.people[owner].citizen, s.day(who)
    post = s.world.places[s.world.people[who].post]
    ref = s.basis("application", [me], day, dept=post.dept)

    def script(d: Desk) -> None:
        d.do("DS110", me, basis=ref, gap=40)
        d.do("DS140", me, basis=ref)

    s.embed(who, day, script)


@shape(2, "easy")
def household_in_welfare(s: Stage) -> None:
    who = s.star(s.caseworker())
    me = s.world.people[who].citizen
    relatives = [c for c in s.world.town.members(me) if c != me]

    def script(d: Desk) -> None:
        d.do("WE102", query="name", count=3, gap=10)
        for relative in relatives[:2]:
            d.do("WE100", relative, gap=35)
            d.do("WE300", relative, gap=25)

    s.embed(who, s.day(who), script)


@shape(2, "medium")
def household_in_ledger(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    me = s.world.people[who].citizen
    relatives = [c for c in s.world.town.members(me) if c != me]
    for day in s.some(s.days(who), 2):
        s.embed(who, day, lambda d: d.do("DS110", relatives[0], gap=20))


@shape(2, quiet=True)
def relatives_case_with_another(s: Stage) -> None:
    who, other = s.star(s.caseworker()), s.caseworker()
    if who == other:
        raise NoChance
    me = s.world.people[other].citizen
    relative = next(c for c in s.world.town.members(me) if c != me)
    s.register(
        "assignments", actor_id=s.id(who), subject_id=s.world.raw(relative), kind="primary", valid_from=s.date(-40)
    )

    def script(d: Desk) -> None:
        d.do("WE110", relative, gap=50)
        d.do("WE130", relative)

    s.embed(who, s.day(who), script)


@shape(3, "easy")
def colleagues_in_a_row(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))

    def script(d: Desk) -> None:
        for colleague in s.colleagues(who, 8):
            d.do("WE102", query="name", count=2, gap=8)
            d.do("WE100", colleague, gap=25)

    s.embed(who, s.day(who), script)


@shape(3, "medium")
def colleagues_over_weeks(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    days = s.some(s.days(who), 7)
    for day, colleague in zip(days, s.colleagues(who, len(days)), strict=False):
        s.look(who, day, "DS110", colleague, gap=25)


@shape(3, quiet=True)
def employees_own_case(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    [colleague], day = s.colleagues(who, 1), s.day(who)
    ref = s.basis("application", [colleague], day)

    def script(d: Desk) -> None:
        d.do("WE100", colleague, basis=ref, purpose="reception")
        d.do("WE200", colleague, basis=ref, purpose="reception")

    s.embed(who, day, script)


@shape(4, "medium")
def neighbour_again_and_again(s: Stage) -> None:
    who = s.star(s.caseworker())
    [neighbour] = s.neighbours(who, 1)
    for day in s.some(s.days(who), 4):
        s.embed(who, day, lambda d: d.do("WE100", neighbour, gap=25))


@shape(4, "medium")
def whole_street(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    street = s.neighbours(who, 6)

    def script(d: Desk) -> None:
        d.do("DS102", query="address", count=40, gap=15)
        for neighbour in street:
            d.do("DS110", neighbour, gap=22)

    s.embed(who, s.day(who, calm=True), script)


@shape(4, quiet=True)
def caseworker_living_in_the_ward(s: Stage) -> None:
    town = s.world.town
    here = {
        p: [c for c in s.caseload(p) if town.area[c] == town.area[s.world.people[p].citizen]]
        for p in s.world.holders(0, "caseworker")
    }
    who = s.star(s.anyone(p for p, found in here.items() if found))
    client = here[who][0]
    for day in s.some(s.days(who), 4):
        s.embed(who, day, lambda d: d.do("WE110", client, gap=50).do("WE130", client))


@shape(5, "easy")
def person_in_the_news(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    [famous] = s.some(s.world.town.vip.nonzero()[0].tolist(), 1)

    def script(d: Desk) -> None:
        d.do("DS101", query="name", count=2, gap=9)
        d.do("DS110", famous, gap=40)
        d.do("DS120", famous)

    s.embed(who, s.day(who, calm=True), script)


def _crowd(s: Stage) -> None:
    vips = s.world.town.vip.nonzero()[0].tolist()
    famous, day = int(vips[0]), min(8, s.when.days - 1)
    who = s.star(s.anyone(p for p in s.world.holders(0, "caseworker") if s.days(p, day, day + 2)))
    s.embed(who, s.day(who, day, day + 2), lambda d: d.do("WE100", famous, gap=30))


@shape(5, "medium")
def crowd_first(s: Stage) -> None:
    _crowd(s)


@shape(5, "medium")
def crowd_second(s: Stage) -> None:
    _crowd(s)


@shape(5, "medium")
def crowd_third(s: Stage) -> None:
    _crowd(s)


@shape(5, quiet=True)
def section_of_the_famous_case(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    famous, day = int(s.world.town.vip.nonzero()[0][-1]), s.day(who)
    ref = s.basis("application", s.world.town.members(famous), day)
    s.embed(who, day, lambda d: d.do("WE100", famous, basis=ref, purpose="reception").do("WE200", famous, basis=ref))


@shape(6, "medium")
def former_partner(s: Stage) -> None:
    who = s.star(s.caseworker())
    target = s.resident()
    for day in s.some(s.days(who), 8):
        s.embed(who, day, lambda d: d.do("WE100", target, gap=20))


@shape(6, "hard")
def stalked_through_two_screens(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    target = s.resident()
    for place, day in enumerate(s.some(s.days(who), 6)):
        op = ("DS110", "DS120")[place % 2]
        s.look(who, day, op, target, gap=18)


@shape(6, quiet=True)
def long_case_with_updates(s: Stage) -> None:
    who = s.star(s.caseworker())
    client = s.client(who, 3)
    for day in s.some(s.days(who), 9):
        s.embed(who, day, lambda d: d.do("WE110", client, gap=60).do("WE130", client, gap=120))


def _visitor(s: Stage, after: int, cite: bool) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    visitor = s.resident()
    came = s.choice(s.days(who, 0, max(0, s.when.days - after - 4)))
    ref = s.basis("visit", [visitor], came, opened=-0.1, closed=0.4)
    s.embed(who, came, lambda d: d.do("WE100", visitor, basis=ref, purpose="reception", mark=False))
    later = s.choice(s.days(who, came + after, came + after + 4))
    s.embed(who, later, lambda d: d.do("WE100", visitor, gap=40, basis=ref if cite else None))


@shape(7, "easy")
def visitor_looked_up_under_old_number(s: Stage) -> None:
    _visitor(s, 10, True)


@shape(7, "medium")
def visitor_looked_up_later(s: Stage) -> None:
    _visitor(s, 12, False)


@shape(7, quiet=True)
def follow_up_inside_grace(s: Stage) -> None:
    _visitor(s, 2, True)


def _protected(s: Stage) -> int:
    town = s.world.town
    return s.fresh((town.protected & ~town.welfare).nonzero()[0])[0]


@shape(8, "easy")
def protected_printed(s: Stage) -> None:
    who, target = s.star(s.caseworker()), _protected(s)

    def script(d: Desk) -> None:
        d.do("WE102", query="name", count=1, gap=8)
        d.do("WE100", target, ack=700, gap=15)
        d.do("WE600", target, count=2, ack=500)

    s.embed(who, s.day(who), script)


@shape(8, "medium")
def protected_where_nothing_warns(s: Stage) -> None:
    who, target = s.star(s.ledger_user(), "disaster"), _protected(s)
    s.embed(who, s.day(who), lambda d: d.do("DS110", target, gap=30).do("DS120", target))


@shape(8, quiet=True)
def protected_with_its_section(s: Stage) -> None:
    town = s.world.town
    inside = {p: [c for c in s.caseload(p) if town.protected[c]] for p in s.world.holders(0, "caseworker")}
    who = s.star(s.anyone(p for p, found in inside.items() if found))
    client = inside[who][0]
    s.embed(who, s.day(who), lambda d: d.do("WE110", client, gap=70).do("WE130", client))


@shape(9, "medium")
def other_sections_cases(s: Stage) -> None:
    who = s.star(s.caseworker())
    targets = s.strangers(who, 5)

    def script(d: Desk) -> None:
        for target in targets:
            d.do("WE110", target, gap=40)
            d.do("WE300", target, gap=20)

    s.embed(who, s.day(who), script)


@shape(9, "hard")
def counter_looks_up_strangers(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    for day in s.some(s.days(who), 4):
        target = s.strangers(who, 1)[0]
        s.tour(who, day, ("WE110", "WE120"), [target], gap=40)


@shape(9, quiet=True)
def cover_for_a_colleague(s: Stage) -> None:
    leave = s.world.roster.leave
    pairs = [(a, d) for a in s.world.holders(0, "caseworker") for d in sorted(leave.get(a, ())) if not s.when.off[d]]
    if not pairs:
        raise NoChance
    absent, day = pairs[int(s.rng.integers(0, len(pairs)))]
    who = s.star(
        s.anyone(p for p in s.world.holders(day, "caseworker") if p != absent and s.world.roster.works(p, day))
    )
    if s.world.people[absent].post == NOBODY:
        raise NoChance
    clients = s.caseload(absent)[:4]
    for client in clients:
        s.register(
            "assignments",
            actor_id=s.id(who),
            subject_id=s.world.raw(client),
            kind="cover",
            valid_from=s.date(day),
            valid_to=s.date(day),
        )
    s.embed(who, day, lambda d: d.each("WE110", clients, gap=60))
