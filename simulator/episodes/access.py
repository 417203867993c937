"""Scenarios 22, 24, 48: guessed passwords, odd hours, two places at once."""

from __future__ import annotations

from simulator.desk import door, ssh
from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Stage
from simulator.rhythm import CLOSING, HOUR, MINUTE


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
    client = s.client(who, 1)
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
    client = s.client(who, 0)
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
