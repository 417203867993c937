"""Scenarios 30 to 32 and 49: data that leaves, and what the assessment says never happens."""

from __future__ import annotations

from typing import Any

from simulator.episodes.plan import shape
from simulator.episodes.stage import Desk, Stage
from simulator.population import DEPARTMENTS
from simulator.rhythm import MINUTE


def _client(s: Stage, who: int, day: int, minutes: float, **columns: object) -> None:
    """A row of the file server and the clients' management suite."""
    device, ip = s.world.device(who, day)
    at = s.when.at(day, 13.6) + int(minutes * MINUTE)
    s.mine(
        day, **{"t": at, "src": "file-server", "actor": s.id(who), "device": device, "ip": ip, "out": "ok", **columns}
    )


@shape(30, "medium")
def export_then_private_stick(s: Stage) -> None:
    who = s.star(s.clerk("payment", "seikatsu"))
    day = s.day(who)
    s.session(who, day, 13.6, lambda d: d.do("WE610", count=80, dest="C:/data/out.csv"))
    _client(s, who, day, 9, act="media", media="SD-7F31A9", thing="C:/data/out.csv", bytes=61_440)


@shape(30, "easy")
def share_to_unknown_stick(s: Stage) -> None:
    who = s.star(s.clerk("officer", "shiminzei"))
    day = s.day(who, calm=True)
    for n in range(4):
        _client(
            s,
            who,
            day,
            5 + n,
            act="media",
            media="KINGMAX-0099",
            thing=f"//FS01/{DEPARTMENTS['shiminzei']}/課税台帳{n + 1}.csv",
            bytes=4_800_000,
        )


@shape(30, quiet=True)
def registered_stick_in_order(s: Stage) -> None:
    who, second = s.star(s.clerk("officer", "kiki")), s.clerk("manager", "kiki")
    day = s.day(who, calm=True)
    s.register(
        "ledger",
        kind="take-out",
        date=s.date(day),
        actor_id=s.id(who),
        content="訓練資料持出し",
        target="USB-0001",
        approved_by=s.id(second),
    )
    _client(
        s,
        who,
        day,
        3,
        act="media",
        media="USB-0001",
        thing=f"//FS01/{DEPARTMENTS['kiki']}/訓練資料.pdf",
        bytes=2_100_000,
    )


@shape(31, "medium")
def export_to_somebody_without_right(s: Stage) -> None:
    who, friend = s.star(s.clerk("officer", "kiki"), "disaster"), s.clerk("officer", disaster=False)
    s.embed(who, s.day(who, calm=True), lambda d: d.do("DS170", count=70, dest=s.id(friend), channel="mail"))


@shape(31, "medium")
def payments_sent_across_the_house(s: Stage) -> None:
    who, friend = s.star(s.clerk("payment", "seikatsu")), s.clerk("officer", "shiminzei")
    for day in s.some(s.days(who), 3):
        s.embed(who, day, lambda d: d.do("WE610", count=60, dest=s.id(friend)))


@shape(31, quiet=True)
def handed_on_inside_the_section(s: Stage) -> None:
    who, second = s.star(s.clerk("payment", "seikatsu")), s.clerk("supervisor", "seikatsu")
    day, people = s.day(who), [int(c) for c in s.world.open_recipients[5:15]]
    ref = s.basis("list", people, day)
    s.embed(who, day, lambda d: d.do("WE610", count=40, dest=s.id(second), basis=ref, approver=s.id(second)))


@shape(32, "medium")
def screens_printed_in_bursts(s: Stage) -> None:
    who = s.star(s.caseworker())
    targets = s.strangers(who, 7)

    def script(d: Desk) -> None:
        for target in targets:
            d.do("WE110", target, gap=8)
            d.do("WE690", target, gap=5)

    s.embed(who, s.day(who), script)


@shape(32, "medium")
def clipboard_in_bursts(s: Stage) -> None:
    who = s.star(s.caseworker())
    day, targets = s.day(who), s.strangers(who, 4)
    s.session(who, day, 13.6, lambda d: d.each("WE110", targets, gap=60))
    for n in range(16):
        _client(s, who, day, 0.4 + n * 0.25, act="clipboard", system="welfare", thing="WE110", bytes=1_900)


@shape(32, quiet=True)
def manual_written_on_test_data(s: Stage) -> None:
    who = s.star(s.clerk("manager", "seikatsu"))
    day = s.day(who)
    for n in range(12):
        _client(
            s,
            who,
            day,
            n * 2,
            act="screenshot",
            system="welfare-test",
            thing="WE110",
            text="操作手順書作成",
            bytes=240_000,
        )


def _never(s: Stage, op: str, **more: Any) -> None:
    who = s.star(s.ledger_user(), "disaster")
    target = s.fresh(s.world.quiet_residents)[0]
    s.embed(who, s.day(who, calm=True), lambda d: d.do(op, target, **more))


@shape(49, "easy")
def ledger_provided(s: Stage) -> None:
    _never(s, "DS400", dest="隣接市")


@shape(49, "easy")
def ledger_inquiry(s: Stage) -> None:
    _never(s, "DS410", law="T16")


@shape(49, "easy")
def ledger_transferred(s: Stage) -> None:
    _never(s, "DS420", dest="pref-drive", count=300, channel="lgwan")


@shape(49, "medium")
def import_from_where_it_may_not(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    s.embed(who, s.day(who, calm=True), lambda d: d.do("DS200", count=900, origin="kenko", channel="usb"))


@shape(49, quiet=True)
def import_from_the_tax_section(s: Stage) -> None:
    who = s.star(s.clerk("officer", "kiki"), "disaster")
    day = s.day(who)
    ref = f"TKT{s.when.day(day):%y%m%d}55"
    s.register("bases", basis_ref=ref, kind="bundle", opened=s.date(day - 1), closed=s.date(day + 2), dept="kiki")
    s.embed(who, day, lambda d: d.do("DS200", count=41_000, origin="shiminzei", channel="dedicated", basis=ref))
