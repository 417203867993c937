"""Scenarios 17, 25 to 29, 33, 47: how much, how often, how evenly."""

from __future__ import annotations

from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Desk, Stage


def _leaver(s: Stage) -> int:
    found = [p.number for p in s.world.people if p.end_day is not None and p.end_day > 3 and p.post >= 0]
    able = [
        n
        for n in found
        if s.world.places[s.world.people[n].post].dept == "seikatsu" or s.world.places[s.world.people[n].post].disaster
    ]
    who = s.anyone(able)
    return s.star(who, "welfare" if s.world.places[s.world.people[who].post].dept == "seikatsu" else "disaster")


def _output(s: Stage, who: int) -> tuple[str, str]:
    """Functions that read and print in the system that the person works in."""
    return ("WE110", "WE600") if s.world.places[s.world.people[who].post].dept == "seikatsu" else ("DS110", "DS690")


@shape(17, "medium")
def prints_before_leaving(s: Stage) -> None:
    who = _leaver(s)
    end, (read, put) = s.world.people[who].end_day or 0, _output(s, who)
    for day in s.some(s.days(who, end - 10, end), 2):
        targets = s.fresh(s.world.quiet_residents, 45)
        s.tour(who, day, (read, put), targets, gap=7)


@shape(17, "hard")
def a_little_more_each_day_before_leaving(s: Stage) -> None:
    who = _leaver(s)
    end, (read, put) = s.world.people[who].end_day or 0, _output(s, who)
    for day in s.some(s.days(who, end - 14, end), 7):
        targets = s.fresh(s.world.quiet_residents, 12)
        s.tour(who, day, (read, put), targets, gap=10)


@shape(17, quiet=True)
def statements_at_the_end_of_the_year(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    day, clients = s.day(who, s.when.days // 3), s.world.open_recipients[:90].tolist()
    ref = s.basis("bundle", clients, day)
    s.embed(who, day, lambda d: d.each("WE600", clients, basis=ref, count=1, gap=9), clock=9.4)


def _in_order(s: Stage, op: str, count: int, dwell: float, skip: int) -> None:
    who = s.star(s.caseworker() if op.startswith("WE") else s.ledger_user(), "" if op.startswith("WE") else "disaster")
    start = int(s.rng.integers(0, s.world.town.raw.size - 400))

    def script(d: Desk) -> None:
        place = start
        for _ in range(count):
            d.do(op, place, gap=dwell)
            place += 1 + (int(s.rng.integers(0, skip)) if skip else 0)

    s.embed(who, s.day(who, calm=True if op.startswith("DS") else None), script)


@shape(25, "easy")
def ids_one_after_another(s: Stage) -> None:
    _in_order(s, "WE100", 45, 4, 0)


@shape(25, "hard")
def ids_with_gaps_at_a_human_pace(s: Stage) -> None:
    _in_order(s, "DS110", 24, 22, 4)


@shape(25, quiet=True)
def list_worked_off_in_order(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    day = s.day(who)
    clients = sorted(s.world.loads.order.tolist())[40:80]
    ref = s.basis("list", clients, day)

    def script(d: Desk) -> None:
        for client in clients:
            d.do("WE110", int(client), basis=ref, gap=15)
            d.do("WE520", int(client), basis=ref, amount=45_000, payee=str(910_000 + client), gap=25)

    s.embed(who, day, script)


@shape(26, "medium")
def wildcards(s: Stage) -> None:
    who = s.star(s.clerk("supervisor", "seikatsu"))

    def script(d: Desk) -> None:
        for _ in range(8):
            d.do("WE104", query="wildcard", count=int(s.rng.integers(180, 900)), gap=12)

    s.embed(who, s.day(who), script)


@shape(26, "medium")
def names_and_hardly_a_record(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    targets = s.fresh(s.world.quiet_residents, 2)

    def script(d: Desk) -> None:
        for n in range(28):
            d.do("DS101", query="name", count=int(s.rng.integers(20, 120)), gap=10)
            if n in (9, 21):
                d.do("DS110", targets[n > 9], gap=20)

    s.embed(who, s.day(who, calm=True), script)


@shape(26, quiet=True)
def returned_letters_by_address(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    day = s.day(who)
    people = [int(c) for c in s.world.open_residents[day * 9 : day * 9 + 12]]
    ref = s.basis("list", people, day)

    def script(d: Desk) -> None:
        for person in people:
            d.do("WE103", query="address", count=18, gap=12)
            d.do("WE100", person, basis=ref, gap=25)

    s.embed(who, day, script)


def _many(s: Stage, count: int, dwell: float) -> None:
    who = s.star(s.caseworker())
    targets = s.fresh(s.world.quiet_residents, count)
    day = s.day(who)
    half = count // 2
    s.embed(who, day, lambda d: d.each("WE100", targets[:half], gap=dwell), clock=9.2)
    s.embed(who, day, lambda d: d.each("WE100", targets[half:], gap=dwell), clock=14.3)


@shape(27, "easy")
def hundreds_in_a_day(s: Stage) -> None:
    _many(s, 170, 12)


@shape(27, "medium")
def three_times_the_usual(s: Stage) -> None:
    _many(s, 60, 20)


@shape(27, quiet=True)
def payment_day(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    days = [d for d in s.when.pay if s.world.roster.works(who, d)]
    day = s.choice(days)
    clients = s.world.open_recipients[-40:].tolist()
    ref = s.basis("payment day", clients, day)

    def script(d: Desk) -> None:
        for c in clients:
            d.do("WE520", int(c), basis=ref, purpose="payment", amount=70_000, payee=str(920_000 + c), gap=20)

    s.embed(who, day, script, clock=13.5)


def _slowly(s: Stage, op: str, system: str) -> None:
    who = s.star(s.caseworker() if system == "welfare" else s.ledger_user(), system)
    for day in s.days(who):
        for target in s.fresh(s.world.quiet_residents, 1 + int(s.rng.random() < 0.5)):
            s.look(who, day, op, target, gap=25)


@shape(28, "hard")
def one_or_two_a_day_in_welfare(s: Stage) -> None:
    _slowly(s, "WE100", "welfare")


@shape(28, "hard")
def one_or_two_a_day_in_the_ledger(s: Stage) -> None:
    _slowly(s, "DS110", "disaster")


@shape(28, quiet=True)
def many_small_explained_ones(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    for day in s.days(who):
        target = int(s.world.open_residents[(day * 71) % s.world.open_residents.size])
        ref = s.basis("phone", [target], day)
        s.look(who, day, "WE100", target, basis=ref, purpose="reception", gap=25)


@shape(29, "easy")
def payment_list_exported(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    s.embed(who, s.day(who), lambda d: d.do("WE610", count=2_400, dest="C:/temp/list.csv"))


@shape(29, "easy")
def ledger_exported(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    s.embed(who, s.day(who, calm=True), lambda d: d.do("DS170", count=8_200, dest="local", channel="screen"))


@shape(29, "medium")
def many_exports_below_the_limit(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))

    def script(d: Desk) -> None:
        for _ in range(7):
            d.do("WE610", count=int(s.rng.integers(88, 100)), dest="C:/temp", gap=90)

    s.embed(who, s.day(who), script)


@shape(29, quiet=True)
def approved_mailing(s: Stage) -> None:
    who, second = s.star(s.clerk("payment", "seikatsu")), s.clerk("manager", "seikatsu")
    day, people = s.day(who), [int(c) for c in s.world.open_recipients[:60]]
    ref = s.basis("list", people, day)
    s.register(
        "ledger",
        kind="output",
        date=s.date(day),
        actor_id=s.id(who),
        content="通知発送用宛名 1,650件",
        target="宛名CSV",
        approved_by=s.id(second),
    )
    s.embed(who, day, lambda d: d.do("WE610", count=1_650, approver=s.id(second), basis=ref, dest="印刷業務"))


def _for_somebody(s: Stage, who: int, script_of: str) -> None:
    days = s.some(s.days(who, calm=True if script_of == "DS110" else None), 5)
    for day in days:
        for clock in (9.4, 10.3, 11.2, 14.1, 15.0, 15.9):
            [target] = s.fresh(s.world.quiet_residents)

            def script(d: Desk, t: int = target) -> None:
                if script_of == "DS110":
                    d.do("DS101", query="name", count=2, gap=9)
                d.do(script_of, t, gap=14)

            s.embed(who, day, script, clock=clock)


@shape(33, "hard")
def addresses_for_a_detective(s: Stage) -> None:
    _for_somebody(s, s.star(s.clerk("reception", "seikatsu")), "WE100")


@shape(33, "hard")
def addresses_from_the_ledger(s: Stage) -> None:
    _for_somebody(s, s.star(s.ledger_user(), "disaster"), "DS110")


@shape(33, quiet=True)
def telephone_desk(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    day = s.day(who)
    for place, clock in enumerate((9.1, 9.9, 10.8, 13.6, 14.7, 15.6)):
        target = int(s.world.open_residents[(day * 53 + place) % s.world.open_residents.size])
        ref = s.basis("phone", [target], day)
        s.look(who, day, "WE100", target, basis=ref, purpose="reception", gap=20, clock=clock)


@shape(47, "medium")
def always_ninety_something(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    for day in s.some(s.days(who), 9):
        s.embed(who, day, lambda d: d.do("WE610", count=int(s.rng.integers(93, 100)), dest="C:/work"))


@shape(47, "hard")
def ledger_lists_just_below(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    days = s.days(who)
    if not days:
        raise NoChance
    for day in s.some(days, 7):
        s.embed(who, day, lambda d: d.do("DS170", count=int(s.rng.integers(84, 100)), dest="share-kiki"))


@shape(47, quiet=True)
def quota_that_happens_to_be_near(s: Stage) -> None:
    who, second = s.star(s.clerk("payment", "seikatsu")), s.clerk("manager", "seikatsu")
    for day in s.some(s.days(who), 5):
        people = [int(c) for c in s.world.open_recipients[day * 3 : day * 3 + 5]]
        ref = s.basis("list", people, day)
        s.look(who, day, "WE610", count=96, approver=s.id(second), basis=ref, dest="窓口分割送付")
