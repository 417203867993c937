"""Scenarios 16, 18 to 21, 50: who really sits there, and how he got in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.desk import door
from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Desk, Script, Stage
from simulator.population import NETWORKS
from simulator.rhythm import HOUR


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
    client = s.client(who, 0)
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
