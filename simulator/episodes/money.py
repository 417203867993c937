"""Scenarios 40 to 42: false entries, deletion, and the wrong person's record."""

from __future__ import annotations

from simulator.episodes.plan import shape
from simulator.episodes.stage import Desk, Stage


@shape(40, "medium")
def paid_to_an_ended_case(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    target = s.fresh(s.world.quiet_residents)[0]
    ref = s.basis("case", s.world.town.members(target), 0, opened=-900, closed=-120)
    s.embed(who, s.day(who), lambda d: d.do("WE520", target, amount=118_000, payee="990017", basis=ref))


@shape(40, "easy")
def decided_and_approved_by_one(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    target = s.strangers(who, 1)[0]
    s.embed(who, s.day(who), lambda d: d.do("WE520", target, amount=240_000, payee="990044", approver=s.id(who)))


@shape(40, "medium")
def one_account_for_many_cases(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    for day in s.some(s.days(who), 3):
        s.tour(who, day, ("WE520",), s.strangers(who, 2), amount=86_000, payee="990099", gap=60)


@shape(40, quiet=True)
def correction_with_approval(s: Stage) -> None:
    who, second = s.star(s.clerk("payment", "seikatsu")), s.clerk("supervisor", "seikatsu")
    client, day = int(s.world.open_recipients[11]), s.day(who)
    ref = s.basis("correction", s.world.town.members(client), day)
    s.embed(who, day, lambda d: d.do("WE520", client, amount=12_000, payee="931188", approver=s.id(second), basis=ref))


@shape(41, "easy")
def records_deleted_in_a_burst(s: Stage) -> None:
    who = s.star(s.clerk("supervisor", "seikatsu"))
    targets = s.strangers(who, 7)
    s.embed(who, s.day(who), lambda d: d.each("WE800", targets, gap=9))


@shape(41, "medium")
def deleted_after_an_inquiry(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    target, days = s.fresh(s.world.quiet_residents)[0], s.days(who)
    first = s.choice(days[:-1])
    s.embed(who, first, lambda d: d.do("DS110", target, gap=20))
    s.embed(who, next(d for d in days if d > first), lambda d: d.do("DS300", target, gap=20))


@shape(41, quiet=True)
def disposal_with_its_record(s: Stage) -> None:
    who, second = s.star(s.clerk("supervisor", "seikatsu")), s.clerk("manager", "seikatsu")
    day = s.day(who)
    targets = s.fresh(s.world.quiet_residents, 8)
    ref = s.basis("disposal", targets, day)
    s.register(
        "ledger",
        kind="disposal",
        date=s.date(day),
        actor_id=s.id(who),
        content="保存期間満了分廃棄 8件",
        target="ケース記録",
        approved_by=s.id(second),
    )
    s.embed(who, day, lambda d: d.each("WE800", targets, basis=ref, approver=s.id(second), gap=12))


@shape(42, "medium")
def note_in_the_wrong_case(s: Stage) -> None:
    who = s.star(s.caseworker())
    mine = s.client(who, 6)
    wrong = s.strangers(who, 1)[0]

    def script(d: Desk) -> None:
        d.do("WE101", mine, query="id", gap=4, mark=False)
        d.do("WE130", wrong, gap=45)
        d.do("WE130", wrong, gap=12, text="誤入力訂正")
        d.do("WE130", mine, gap=60, mark=False)

    s.embed(who, s.day(who), script)


@shape(42, "medium")
def damage_entered_for_a_namesake(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    right, wrong = s.fresh(s.world.quiet_residents, 2)
    day = s.day(who, calm=False)
    ref = s.basis("damage report", [right], day, dept=s.world.places[s.world.people[who].post].dept)

    def script(d: Desk) -> None:
        d.do("DS103", right, query="id", basis=ref, gap=5, mark=False)
        d.do("DS140", wrong, basis=ref, gap=50)
        d.do("DS140", wrong, gap=10)
        d.do("DS140", right, basis=ref, mark=False)

    s.embed(who, day, script)


@shape(42, quiet=True)
def household_updated_in_turn(s: Stage) -> None:
    who = s.star(s.caseworker())
    client = next((c for c in s.caseload(who) if len(s.world.town.members(c)) > 2), s.client(who, 0))

    def script(d: Desk) -> None:
        for member in s.world.town.members(client):
            d.do("WE101", member, query="id", gap=4)
            d.do("WE130", member, gap=50)

    s.embed(who, s.day(who), script)
