"""Scenarios 16, 18 to 22, 24, 48, 50: who really sits there, when, and how he got in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.desk import door, ssh
from simulator.episodes.plan import Desk, NoChance, Script, Stage, shape
from simulator.population import NETWORKS
from simulator.rhythm import CLOSING, HOUR, MINUTE


@shape(16, "easy")
def at_work_while_on_leave(s: Stage) -> None:
    leave = s.world.roster.leave
    chances = [
        (p, d)
        for p in s.world.holders(0, "caseworker")
        for d in sorted(leave.get(p, ()))
        if not s.when.off[d] and not s.when.shaking(d)
    ]
    chances = [(p, d) for p, d in chances if s.world.people[p].post == s.world.people[p].next_post]
    if not chances:
        raise NoChance
    who = s.star(s.anyone(p for p, _ in chances))
    day = next(d for p, d in chances if p == who)
    targets = s.strangers(who, 3)
    s.session(who, day, 10.6, lambda d: d.each("WE110", targets, gap=50))


@shape(16, "hard")
def at_the_screen_but_out_of_the_door(s: Stage) -> None:
    who = s.star(s.ledger_user(), "disaster")
    day = s.day(who, calm=True)
    s.busy(who, day, 14.2 * HOUR, 23 * HOUR)
    office = (s.world.post(who, day) or s.world.places[0]).office
    s.mine(day, **door(s.world, who, office, s.when.at(day, 14.4), "leave"))
    target = s.resident()
    s.session(
        who,
        day,
        15.6,
        lambda d: d.do("DS101", query="name", count=2, gap=9).do("DS110", target, gap=40),
        system="disaster",
        busy=False,
    )


@shape(16, quiet=True)
def other_half_of_a_half_day(s: Stage) -> None:
    notes = [
        a
        for a in s.world.roster.presence
        if a.note == "半日休(午前)" and s.world.places[s.world.people[a.person].post].role == "caseworker"
    ]
    if not notes:
        raise NoChance
    note = notes[int(s.rng.integers(0, len(notes)))]
    who, day = s.star(note.person), s.when.number(note.first)
    client = s.caseload(who)[0]
    s.embed(who, day, lambda d: d.do("WE110", client, gap=60).do("WE130", client))


def _reads(op: str, citizens: Sequence[int], **columns: Any) -> Script:
    """A script that uses one function on some citizens."""
    return lambda desk: desk.each(op, citizens, **columns)


@shape(18, "easy")
def one_id_on_two_terminals(s: Stage) -> None:
    who = s.star(s.caseworker())
    day, other = s.day(who), s.world.device(s.caseworker(), 0)
    mine, borrowed = s.caseload(who)[:3], s.strangers(who, 3)
    s.session(who, day, 10.0, lambda d: d.each("WE110", mine, gap=150))
    s.session(who, day, 10.03, lambda d: d.each("WE110", borrowed, gap=120), device=other, busy=False)


@shape(18, "medium")
def id_lent_round_the_counter(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    day = s.day(who)
    others = [s.world.device(p, day) for p in s.some(s.world.holders(0, "caseworker"), 4)]
    for place, device in enumerate(others):
        target = s.fresh(s.world.quiet_recipients, 2)
        s.session(who, day, 13.2 + place * 0.14, _reads("WE100", target, gap=90), device=device)


@shape(18, quiet=True)
def kiosk_declared_as_shared(s: Stage) -> None:
    day, first = s.choice(s.when.working(1)), s.clerk("reception", "seikatsu")
    s.star(first)
    people = [p for p in s.world.holders(0, dept="seikatsu") if s.world.roster.works(p, day)][:4]
    device = ("KIOSK1", f"10.{NETWORKS['honcho']}.8.11")
    for place, who in enumerate(people):
        client = int(s.world.open_recipients[(place * 37 + day) % s.world.open_recipients.size])
        ref = s.basis("visit", [client], day)
        script = _reads("WE100", [client], basis=ref, purpose="reception")
        s.session(who, day, 9.5 + place * 0.11, script, device=device)
    s.episode.actor = s.episode.person = s.id(people[0])


def _left_open(s: Stage, gap_s: float, count: int) -> None:
    who = s.star(s.caseworker())
    day = s.day(who)
    mine, theirs = s.caseload(who)[4:10], s.strangers(who, count)

    def script(d: Desk) -> None:
        for client in mine:
            d.do("WE110", client, gap=95, mark=False)
            d.do("WE130", client, gap=170, mark=False)
        d.wait(gap_s)
        for target in theirs:
            d.do("WE102", query="name", count=4, gap=6)
            d.do("WE100", target, gap=11)
            d.do("WE300", target, gap=9)

    s.session(who, day, 10.2, script, mark_logon=False)


@shape(19, "medium")
def open_session_after_long_idle(s: Stage) -> None:
    _left_open(s, 1020, 7)


@shape(19, "hard")
def open_session_in_a_short_break(s: Stage) -> None:
    _left_open(s, 420, 4)


@shape(19, quiet=True)
def same_person_back_from_a_meeting(s: Stage) -> None:
    who = s.star(s.caseworker())
    clients = s.caseload(who)[2:9]

    def script(d: Desk) -> None:
        for place, client in enumerate(clients):
            d.do("WE110", client, gap=80)
            d.do("WE130", client, gap=150)
            if place == 3:
                d.wait(960)

    s.session(who, s.day(who), 13.4, script)


def _temporary(s: Stage, card: str) -> int:
    who = s.star(s.caseworker())
    day, clients = s.day(who, 3), s.caseload(who)[:3]
    s.session(who, day, 8.8, lambda d: d.each("WE110", clients, gap=60), card=card)
    return day


@shape(20, "easy")
def temporary_card_in_no_ledger(s: Stage) -> None:
    _temporary(s, "T-03")


@shape(20, "easy")
def temporary_card_after_its_return(s: Stage) -> None:
    day = _temporary(s, "T-02")
    s.register(
        "devices",
        device_id="T-02",
        kind="temporary_card",
        serial="T-02",
        actor_id=s.episode.person,
        valid_from=s.date(day - 2),
        valid_to=s.date(day - 2),
    )
    s.register(
        "ledger",
        kind="use",
        date=s.date(day - 2),
        actor_id=s.episode.person,
        content="臨時カード貸出・返却",
        target="T-02",
    )


@shape(20, quiet=True)
def card_forgotten_and_entered(s: Stage) -> None:
    day = _temporary(s, "T-01")
    s.register(
        "devices",
        device_id="T-01",
        kind="temporary_card",
        serial="T-01",
        actor_id=s.episode.person,
        valid_from=s.date(day),
        valid_to=s.date(day),
    )
    s.register(
        "ledger",
        kind="use",
        date=s.date(day),
        actor_id=s.episode.person,
        content="カード忘れ 臨時カード貸出",
        target="T-01",
    )


def _method(s: Stage, method: str) -> None:
    who = s.star(s.caseworker())
    clients = s.caseload(who)[:4]
    card = None if method == "password" else s.world.people[who].card
    s.session(who, s.day(who), 8.7, lambda d: d.each("WE110", clients, gap=60), method=method, card=card)


@shape(21, "easy")
def password_only(s: Stage) -> None:
    _method(s, "password")


@shape(21, "easy")
def card_only(s: Stage) -> None:
    _method(s, "card")


@shape(21, quiet=True)
def declared_service_account(s: Stage) -> None:
    who = s.star(next(p.number for p in s.world.people if p.id == "svc-batch"))
    day = s.choice(range(s.when.days))
    s.mine(
        day, t=s.when.at(day, 1.18), src="auth-card", system="welfare", act="logon", out="ok", actor=s.id(who), method="password", device="wel-db01",
        ip="10.11.250.31", session=f"W-B{day:03d}",
    )  # fmt: skip


@shape(22, "easy")
def password_guessed_at_last(s: Stage) -> None:
    who, thief = s.star(s.caseworker()), s.caseworker()
    day = s.day(who)
    device, ip = s.world.device(thief, day)
    at, target = s.when.at(day, 12.2), s.strangers(who, 2)
    for n in range(11):
        s.mine(
            day,
            t=at + n * 14_000,
            src="auth-card",
            system="welfare",
            act="logon",
            out="failure",
            actor=s.id(who),
            method="password",
            device=device,
            ip=ip,
            reason="パスワード相違",
        )
    s.session(
        who,
        day,
        12.26,
        lambda d: d.each("WE100", target, gap=30),
        device=(device, ip),
        method="password",
        card=None,
        busy=False,
    )


@shape(22, "easy")
def one_password_for_many_ids(s: Stage) -> None:
    people = s.some(s.world.holders(0, "caseworker"), 12)
    who = s.star(people[0])
    day = s.choice(s.when.working(1))
    for n, other in enumerate(people):
        s.mine(
            day, t=s.when.at(day, 19.3) + n * 21_000, src="auth-card", system="welfare", act="logon", out="failure", actor=s.id(other), method="password",
            device="HOV02", ip="10.11.250.22", reason="パスワード相違",
        )  # fmt: skip
    s.episode.actor = s.episode.person = s.id(who)


@shape(22, "easy")
def ssh_guessing(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.choice(range(s.when.days))
    at = s.when.at(day, 2.6)
    for n in range(18):
        text = f"Failed password for {s.id(who)} from 10.11.7.66 port {41000 + n} ssh2"
        s.mine(day, t=at + n * 3_000, src="syslog", device="dis-ap01", thing="sshd", count=7_000 + n, text=text)


@shape(22, quiet=True)
def two_typos_on_monday_morning(s: Stage) -> None:
    who = s.star(s.caseworker())
    day = s.choice([d for d in s.days(who) if s.when.day(d).weekday() == 0])
    device, ip = s.world.device(who, day)
    for n in range(2):
        s.mine(
            day, t=s.when.at(day, 8.45) + n * 15_000, src="auth-card", system="welfare", act="logon", out="failure", actor=s.id(who), method="card+password",
            card=s.world.people[who].card, device=device, ip=ip, reason="パスワード相違",
        )  # fmt: skip
    client = s.caseload(who)[1]
    s.session(who, day, 8.47, lambda d: d.do("WE110", client, gap=40))


def _no_overtime(s: Stage, weekend: bool) -> tuple[int, int]:
    who = s.star(s.caseworker())
    ordered = {s.when.number(a.first) for a in s.world.roster.presence if a.person == who}
    if weekend:
        return who, s.choice(
            [d for d in range(s.when.days) if s.when.off[d] and d not in ordered and not s.world.roster.works(who, d)]
        )
    return who, s.choice([d for d in s.days(who) if d not in ordered])


@shape(24, "easy")
def near_midnight_without_order(s: Stage) -> None:
    who, day = _no_overtime(s, False)
    targets = s.strangers(who, 4)
    s.session(who, day, 23.1, lambda d: d.each("WE110", targets, gap=50))


@shape(24, "easy")
def sunday_without_order(s: Stage) -> None:
    who, day = _no_overtime(s, True)
    targets = s.strangers(who, 3)
    s.session(who, day, 14.3, lambda d: d.each("WE100", targets, gap=45))


@shape(24, "medium")
def early_before_anybody_comes(s: Stage) -> None:
    who, day = _no_overtime(s, False)
    target = s.strangers(who, 2)
    s.session(who, day, 5.8, lambda d: d.each("WE110", target, gap=70))


@shape(24, quiet=True)
def overtime_with_an_order(s: Stage) -> None:
    notes = [
        a
        for a in s.world.roster.presence
        if a.kind == "overtime"
        and s.world.places[s.world.people[a.person].post].role == "caseworker"
        and a.first % (24 * HOUR) > 0
    ]
    notes = [a for a in notes if a.last - a.first > 80 * MINUTE and not s.when.off[s.when.number(a.first)]]
    if not notes:
        raise NoChance
    note = notes[int(s.rng.integers(0, len(notes)))]
    who, day = s.star(note.person), s.when.number(note.first)
    client = s.caseload(who)[0]
    s.embed(
        who,
        day,
        lambda d: d.do("WE110", client, gap=60).do("WE130", client),
        clock=(CLOSING + 30 * MINUTE) / HOUR,
    )


@shape(24, quiet=True)
def night_after_the_earthquake(s: Stage) -> None:
    nights = [
        (p, d) for d in range(s.when.days) if s.when.shaking(d) for p, a, _ in s.world.roster.spans[d] if a >= 19 * HOUR
    ]
    if not nights:
        raise NoChance
    person, day = nights[int(s.rng.integers(0, len(nights)))]
    who = s.star(person, "disaster")
    target = int(s.world.damaged[day])
    post = s.world.places[s.world.people[who].post]
    ref = s.basis("damage report", s.world.town.members(target), day, opened=0, closed=30, dept=post.dept)
    s.embed(who, day, lambda d: d.do("DS110", target, basis=ref, gap=50).do("DS130", target, basis=ref), clock=21.3)


@shape(48, "easy")
def two_offices_within_ten_minutes(s: Stage) -> None:
    who = s.star(
        s.anyone(
            p for p in s.world.holders(0, "caseworker") if s.world.places[s.world.people[p].post].office == "honcho"
        )
    )
    day, mine, theirs = s.day(who), s.caseload(who)[:2], s.strangers(who, 2)
    far = next(p for p in s.world.places if p.office == "kita")
    s.session(who, day, 10.9, lambda d: d.each("WE110", mine, gap=40))
    s.session(who, day, 11.05, lambda d: d.each("WE110", theirs, gap=40), device=(far.device, far.ip))


@shape(48, "medium")
def door_here_screen_there(s: Stage) -> None:
    who = s.star(
        s.anyone(
            p for p in s.world.holders(0, disaster=True) if s.world.places[s.world.people[p].post].office == "honcho"
        ),
        "disaster",
    )
    day, target = s.day(who, calm=True), s.resident()
    s.busy(who, day, 14.5 * HOUR, 16.5 * HOUR)
    s.mine(day, **door(s.world, who, "minami", s.when.at(day, 15.0), "enter"))
    s.session(who, day, 15.12, lambda d: d.do("DS110", target, gap=30), system="disaster", busy=False)


@shape(48, quiet=True)
def declared_remote_access(s: Stage) -> None:
    who = s.star(s.caseworker())
    day, clients = s.day(who, 1), s.caseload(who)[:2]
    s.register(
        "devices",
        device_id="LT-0007",
        kind="terminal",
        dept="seikatsu",
        ip="10.20.0.7",
        actor_id=s.id(who),
        valid_from=s.date(day - 1),
    )
    s.session(who, day, 14.0, lambda d: d.each("WE110", clients, gap=60), device=("LT-0007", "10.20.0.7"))


@shape(50, "medium")
def warnings_clicked_away(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    town = s.world.town
    marked = s.fresh((town.protected & town.welfare).nonzero()[0], 6)
    for day, pair in zip(s.some(s.days(who), 3), (marked[:2], marked[2:4], marked[4:]), strict=False):
        s.tour(who, day, ("WE100",), pair, ack=int(s.rng.integers(150, 600)), gap=20)


@shape(50, "medium")
def warning_clicked_away_then_printed(s: Stage) -> None:
    who = s.star(s.caseworker())
    town = s.world.town
    targets = s.fresh((town.protected & town.welfare).nonzero()[0], 3)
    s.tour(who, s.day(who), ("WE110", "WE600"), targets, ack=330, gap=15)


@shape(50, quiet=True)
def warning_read_and_heeded(s: Stage) -> None:
    who = s.star(s.clerk("reception", "seikatsu"))
    town = s.world.town
    [target], day = s.fresh((town.protected & town.welfare).nonzero()[0]), s.day(who)
    ref = s.basis("visit", town.members(target), day)
    s.embed(
        who,
        day,
        lambda d: d.do(
            "WE100", target, ack=9_400, basis=ref, purpose="reception", out="denied", text="警告確認により中止"
        ),
    )


@shape(22, "medium")
def administrator_in_at_last(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.choice(s.when.working(1))
    at = s.when.at(day, 3.2)
    for n in range(7):
        text = f"Failed password for {s.id(who)} from 10.11.7.66 port {42000 + n} ssh2"
        s.mine(day, t=at + n * 9_000, src="syslog", device="wel-ap01", thing="sshd", count=9_100 + n, text=text)
    for row in ssh(s.id(who), "wel-ap01", "10.11.7.66", at + 90_000, s.rng, command="/usr/bin/less /var/log/secure"):
        s.mine(day, **row)
