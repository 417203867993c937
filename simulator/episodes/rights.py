"""Scenarios 10 to 15, 23, 38, 39: used without the right, with a right given to oneself, or after it ended."""

from __future__ import annotations

from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Desk, Stage
from simulator.population import NOBODY
from simulator.rhythm import MINUTE


@shape(10, "easy")
def payment_file_by_caseworker(s: Stage) -> None:
    who = s.star(s.caseworker())
    s.embed(who, s.day(who), lambda d: d.do("WE500", count=220, gap=30).do("WE510", count=60))


@shape(10, "easy")
def functions_tried_and_denied(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    s.tour(who, s.day(who), ("DS900", "DS910", "DS300", "DS170", "DS200"), [NOBODY], out="denied", gap=9)


@shape(10, "medium")
def counter_clerk_decides(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    target = s.strangers(who, 1)[0]
    s.embed(who, s.day(who), lambda d: d.do("WE210", target, gap=60))


@shape(10, quiet=True)
def first_week_in_the_new_post(s: Stage) -> None:
    people, places = s.world.people, s.world.places
    new = [
        p.number
        for p in people
        if p.post != p.next_post and p.next_post != NOBODY and places[p.next_post].role == "caseworker"
    ]
    who = s.star(s.anyone(new))
    client = int(s.world.loads.of(places[people[who].next_post].seat)[0])
    s.embed(
        who,
        s.day(who, s.when.change, s.when.change + 6),
        lambda d: d.do("WE110", client, gap=90).do("WE130", client),
    )


@shape(11, "easy")
def inquiry_on_another_law(s: Stage) -> None:
    who = s.star(s.caseworker())
    client = s.client(who, 5)
    s.embed(who, s.day(who), lambda d: d.do("WE310", client, law="T99", gap=30))


@shape(11, "medium")
def inquiry_without_application(s: Stage) -> None:
    who = s.star(s.caseworker())
    targets = s.strangers(who, 2)
    s.embed(who, s.day(who), lambda d: d.each("WE310", targets, law="T42", gap=40))


@shape(11, quiet=True)
def inquiry_for_yesterdays_application(s: Stage) -> None:
    who = s.star(s.caseworker())
    client, day = s.client(who, 7), s.day(who, 1)
    ref = s.basis("application", s.world.town.members(client), day, opened=-0.9, closed=14)
    s.embed(who, day, lambda d: d.do("WE310", client, law="T42", basis=ref, gap=30))


@shape(12, "easy")
def number_registered_by_caseworker(s: Stage) -> None:
    who, second = s.star(s.caseworker()), s.clerk("supervisor", "seikatsu")
    client = s.client(who, 9)
    s.embed(who, s.day(who), lambda d: d.do("WE400", client, approver=s.id(second), gap=60))


@shape(12, "medium")
def right_for_an_hour(s: Stage) -> None:
    boss, who = s.clerk("manager", "seikatsu"), s.star(s.caseworker())
    days = sorted(set(s.days(boss)) & set(s.days(who)))
    day, client = s.choice(days), s.client(who, 11)
    s.embed(boss, day, lambda d: d.do("WE900", target=s.id(who), right="WE400"), clock=9.5)
    s.embed(who, day, lambda d: d.each("WE400", [client] * 2, approver=s.id(boss), gap=50), clock=10.8)
    s.embed(boss, day, lambda d: d.do("WE901", target=s.id(who), right="WE400"), clock=15.5)


@shape(12, quiet=True)
def right_granted_last_week(s: Stage) -> None:
    boss, who, second = s.clerk("manager", "seikatsu"), s.star(s.caseworker()), s.clerk("payment", "seikatsu")
    day = s.day(who, 8)
    s.register(
        "permissions",
        actor_id=s.id(who),
        system="welfare",
        function="WE400",
        granted_by=s.id(boss),
        valid_from=s.date(day - 7),
    )
    client = s.client(who, 2)
    ref = s.basis("application", [client], day)
    s.embed(who, day, lambda d: d.do("WE400", client, approver=s.id(second), basis=ref, gap=60))


@shape(13, "easy")
def approved_by_himself(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    target, day = s.strangers(who, 1)[0], s.day(who)
    ref = s.basis("application", [target], day)
    s.embed(who, day, lambda d: d.do("WE400", target, approver=s.id(who), basis=ref, gap=40))


@shape(13, "easy")
def nobody_approved(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    target, day = s.strangers(who, 1)[0], s.day(who)
    ref = s.basis("application", [target], day)
    s.embed(who, day, lambda d: d.do("WE400", target, basis=ref, gap=40))


@shape(13, "hard")
def confirmed_in_three_seconds(s: Stage) -> None:
    who, second = s.star(s.clerk("reception", "seikatsu")), s.clerk("supervisor", "seikatsu")
    target, day = s.strangers(who, 1)[0], s.day(who)
    ref = s.basis("application", [target], day)

    def script(d: Desk) -> None:
        d.do("WE400", target, approver=s.id(second), basis=ref, gap=2.5)
        d.do("WE405", target, actor=s.id(second), basis=ref)

    s.embed(who, day, script)


@shape(13, quiet=True)
def two_people_one_minute(s: Stage) -> None:
    who, second = s.star(s.clerk("reception", "seikatsu")), s.clerk("payment", "seikatsu")
    target, day = s.strangers(who, 1)[0], s.choice(sorted(set(s.days(who)) & set(s.days(second))))
    ref = s.basis("application", [target], day)
    s.embed(who, day, lambda d: d.do("WE400", target, approver=s.id(second), basis=ref), clock=10.0)
    s.embed(second, day, lambda d: d.do("WE405", target, basis=ref), clock=10.03)


def _gone(s: Stage, end: int) -> int:
    return s.star(next(p.number for p in s.world.people if p.end_day == end and p.post == NOBODY))


@shape(14, "easy")
def account_of_somebody_gone_last_week(s: Stage) -> None:
    who = _gone(s, -6)
    targets = s.fresh(s.world.quiet_recipients, 3)
    s.session(who, s.choice(s.when.working(1)), 10.4, lambda d: d.each("WE110", targets, gap=40), busy=False)


@shape(14, "easy")
def single_log_on_two_months_later(s: Stage) -> None:
    who = _gone(s, -61)
    target = s.resident()
    s.session(who, s.choice(s.when.working(1)), 14.2, lambda d: d.do("DS110", target), system="disaster", busy=False)
    s.episode.actor = s.world.account(who, "disaster")


@shape(14, "easy")
def day_after_retirement(s: Stage) -> None:
    gone = [
        p
        for p in s.world.people
        if p.end_day is not None and p.end_day >= 0 and p.kind == "staff" and p.end_day + 1 < s.when.days
    ]
    welfare = [p.number for p in gone if s.world.places[p.post].dept == "seikatsu"]
    ledger = [p.number for p in gone if s.world.places[p.post].disaster]
    who = s.star(s.anyone(welfare or ledger), "" if welfare else "disaster")
    end = s.world.people[who].end_day or 0
    target = s.resident()
    op, system = ("WE100", "welfare") if welfare else ("DS110", "disaster")
    place = s.world.places[s.world.people[who].post]
    s.session(
        who,
        end + 1,
        17.6,
        lambda d: d.do(op, target, gap=30),
        system=system,
        device=(place.device, place.ip),
        busy=False,
    )


@shape(14, quiet=True)
def batch_under_service_account(s: Stage) -> None:
    who = s.star(next(p.number for p in s.world.people if p.id == "svc-batch"))
    day = s.choice(range(s.when.days))
    for n in range(8):
        s.mine(
            day, t=s.when.at(day, 1.2) + n * 2_000, src="welfare-ops", system="welfare", op="WE500", actor=s.id(who), device="wel-db01", ip="10.11.250.31",
            session=f"W-B{day:03d}", out="ok", count=400 + n, purpose="payment",
        )  # fmt: skip


def _moved_before(s: Stage, days_ago: int) -> None:
    """Somebody who came from the welfare section some time ago still gets in."""
    who = s.star(s.anyone(set(s.world.holders(0, "officer", "chiiki")) & set(s._stayers())))
    home = s.world.people[who]
    s.register(
        "staff", actor_id=home.id, type="staff", dept="seikatsu", role="caseworker", start=s.date(home.start_day),
        valid_from=s.date(-days_ago - 900), valid_to=s.date(-days_ago - 1),
    )  # fmt: skip
    s.register(
        "permissions",
        actor_id=home.id,
        system="welfare",
        function="WE110",
        granted_by="",
        valid_from=s.date(-days_ago - 900),
        valid_to=s.date(-days_ago),
    )
    targets = s.fresh(s.world.quiet_recipients, 3)
    day = s.day(who, calm=True)
    s.session(who, day, 10.2 + 5 * float(s.rng.random()), lambda d: d.each("WE110", targets, gap=45))


@shape(15, "easy")
def three_months_after_transfer(s: Stage) -> None:
    _moved_before(s, 93)


@shape(15, "easy")
def three_weeks_after_transfer(s: Stage) -> None:
    _moved_before(s, 21)


@shape(15, quiet=True)
def hand_over_inside_declared_days(s: Stage) -> None:
    places, people = s.world.places, s.world.people
    moved = [
        p.number
        for p in people
        if p.post != p.next_post and NOBODY not in (p.post, p.next_post) and places[p.post].role == "caseworker"
    ]
    who = s.star(s.anyone(moved))
    clients = s.caseload(who)[:3]
    day = s.day(who, s.when.change, s.when.change + 3)
    s.session(who, day, 11.1, lambda d: d.each("WE110", clients, gap=60))


def _parents(s: Stage) -> list[int]:
    return [p.number for p in s.world.people if p.away]


@shape(23, "medium")
def account_asleep_for_a_year(s: Stage) -> None:
    who = s.star(_parents(s)[0])
    s.register(
        "presence",
        actor_id=s.id(who),
        kind="leave",
        **{"from": s.date(-330), "to": s.date(s.when.days + 200)},
        note="育児休業",
    )
    targets = s.fresh(s.world.quiet_residents, 2)
    s.session(who, s.choice(s.when.working(2)), 12.4, lambda d: d.each("WE100", targets, gap=40), busy=False)


@shape(23, "medium")
def brand_new_account_exports(s: Stage) -> None:
    boss = s.clerk("manager", "seikatsu")
    who = s.star(s.caseworker())
    days = s.days(boss)
    day = s.choice(days[:-2])
    account = f"9{s.id(who)[1:]}"
    s.episode.actor = account
    s.register(
        "accounts", account=account, system="welfare", actor_id=s.id(who), issued_by=s.id(boss), valid_from=s.date(day)
    )
    s.embed(boss, day, lambda d: d.do("WE902", target=account))
    later = next(d for d in days if d > day)
    at = s.when.at(later, 12.3)
    device, ip = s.world.device(who, later)
    common = {
        "system": "welfare",
        "actor": account,
        "device": device,
        "ip": ip,
        "session": f"W-N{later:03d}{s.plan.sessions:03d}",
        "out": "ok",
    }
    s.mine(later, t=at, src="auth-card", act="logon", method="card+password", card=s.world.people[who].card, **common)
    s.mine(later, t=at + 40_000, src="welfare-ops", op="WE610", count=640, **common)
    s.mine(later, t=at + 3 * MINUTE, src="auth-card", act="logoff", **common)


@shape(23, quiet=True)
def back_from_parental_leave(s: Stage) -> None:
    who = s.star(_parents(s)[1])
    day = s.choice(s.when.working(3))
    s.register(
        "presence", actor_id=s.id(who), kind="leave", **{"from": s.date(-400), "to": s.date(day - 1)}, note="育児休業"
    )
    boss = s.world.holders(0, "manager", "kiki")[0]
    for code in ("DS101", "DS110"):
        s.register(
            "permissions",
            actor_id=s.id(who),
            system="disaster",
            function=code,
            granted_by=s.id(boss),
            valid_from=s.date(day),
        )
    target = s.resident()
    ref = s.basis("phone", [target], day, dept="chiiki")
    s.session(
        who, day, 10.5, lambda d: d.do("DS110", target, basis=ref, purpose="reception"), system="disaster", busy=False
    )
    s.episode.actor = s.world.account(who, "disaster")


@shape(38, "easy")
def grants_to_himself(s: Stage) -> None:
    who = s.star(s.clerk("manager", "seikatsu"))
    s.embed(who, s.day(who), lambda d: d.do("WE900", target=s.id(who), right="WE510"))


@shape(38, "easy")
def ledger_right_for_himself(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    s.embed(who, s.day(who, calm=True), lambda d: d.do("DS900", target=s.world.account(who, "disaster"), right="DS400"))


@shape(38, "medium")
def right_given_to_a_friend_for_a_day(s: Stage) -> None:
    who, friend = s.star(s.clerk("officer", "kiki"), "disaster"), s.ledger_user()
    day, target = s.day(who, calm=True), s.world.account(friend, "disaster")
    s.embed(who, day, lambda d: d.do("DS900", target=target, right="DS170"), clock=9.7)
    s.embed(who, day, lambda d: d.do("DS901", target=target, right="DS170"), clock=16.4)


@shape(38, quiet=True)
def delegated_grant_with_approval(s: Stage) -> None:
    who, second, new = s.star(s.clerk("manager", "kiki"), "disaster"), s.clerk("officer", "kiki"), s.ledger_user()
    day = s.day(who)
    ref = f"TKT{s.when.day(day):%y%m%d}77"
    s.register("bases", basis_ref=ref, kind="ticket", opened=s.date(day - 1), closed=s.date(day + 3), dept="kiki")
    s.register(
        "permissions",
        actor_id=s.id(new),
        system="disaster",
        function="DS180",
        granted_by=s.id(who),
        valid_from=s.date(day),
    )
    s.embed(
        who,
        day,
        lambda d: d.do(
            "DS900",
            target=s.world.account(new, "disaster"),
            right="DS180",
            approver=s.world.account(second, "disaster"),
            basis=ref,
        ),
    )


@shape(39, "easy")
def emergency_view_with_empty_reason(s: Stage) -> None:
    who = s.star(s.caseworker())
    targets = s.strangers(who, 3)
    s.embed(who, s.day(who), lambda d: d.each("WE190", targets, purpose="emergency", text="", gap=30))


@shape(39, "medium")
def emergency_view_with_the_same_word(s: Stage) -> None:
    who = s.star(s.caseworker())
    for day in s.some(s.days(who), 4):
        target = s.strangers(who, 1)[0]
        s.look(who, day, "WE190", target, purpose="emergency", text="確認", gap=30)


@shape(39, "medium")
def emergency_mode_left_on(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    first = s.when.number(s.when.quake[1]) + 1
    targets = s.fresh(s.world.quiet_residents, 4)
    s.embed(who, s.day(who, first), lambda d: d.each("DS110", targets, purpose="emergency", gap=35))


@shape(39, quiet=True)
def real_emergency_with_reasons(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    target, day = s.resident(), s.day(who, calm=False)
    if s.when.at(day) < s.when.quake[0]:
        raise NoChance
    s.embed(who, day, lambda d: d.do("DS110", target, purpose="emergency", text="倒壊家屋の居住者安否確認(消防照会)"))
