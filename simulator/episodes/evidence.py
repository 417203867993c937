"""Scenarios 43 to 46: the log itself, and those who watch it."""

from __future__ import annotations

from simulator.desk import ssh
from simulator.episodes.plan import NoChance, shape
from simulator.episodes.stage import Stage


def _sundays(s: Stage) -> list[int]:
    return [d for d in range(1, s.when.days) if s.when.off[d]]


@shape(43, "easy")
def numbers_missing(s: Stage) -> None:
    s.fault("ag-kita", "lost", s.choice(s.when.working(1)), 10.02, 10.9)


@shape(43, "easy")
def agent_silent_for_hours(s: Stage) -> None:
    s.fault("ag-kita", "silent", s.choice(s.when.working(1)), 12.5, 18.3)


@shape(43, "medium")
def heartbeat_counts_more_than_came(s: Stage) -> None:
    s.fault("ag-kita", "count", s.choice(s.when.working(1)), 15.0, 15.15)


@shape(43, "medium")
def clock_set_back(s: Stage) -> None:
    s.fault("ag-kita", "clock", s.choice(s.when.working(1)), 16.0, 16.5)


@shape(43, "hard")
def a_morning_of_doors_missing(s: Stage) -> None:
    s.fault("doors", "absent", s.choice(s.when.working(3)), 6.5, 12.9)


@shape(43, quiet=True)
def restart_on_a_quiet_sunday(s: Stage) -> None:
    s.fault("ag-kita", "reboot", s.choice(_sundays(s)), 6.0, 6.15)


@shape(44, "easy")
def security_log_cleared(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.day(who)
    s.episode.actor = s.world.people[who].windows_account
    s.mine(
        day,
        t=s.when.at(day, 18.9),
        src="windows-security",
        actor=s.episode.actor,
        act="1102",
        session="0x9a1f",
        thing="FS01",
        out="ok",
    )


@shape(44, "medium")
def log_removed_on_the_server(s: Stage) -> None:
    who = s.star(s.clerk("admin", "joho"))
    day = s.day(who)
    rows = ssh(
        s.id(who),
        "wel-ap01",
        "10.11.9.31",
        s.when.at(day, 19.4),
        s.rng,
        command="/usr/bin/rm -f /var/log/welfare/audit.log.1",
    )
    for row in rows:
        s.mine(day, **row)


@shape(44, "medium")
def retention_shortened(s: Stage) -> None:
    boss = s.star(s.clerk("manager", "seikatsu"))
    s.embed(boss, s.day(boss), lambda d: d.do("WE910", text="操作ログ保存期間 1825日→30日", right="LOG_RETENTION"))


@shape(44, quiet=True)
def log_rotated(s: Stage) -> None:
    day = s.choice(_sundays(s))
    s.episode.actor = s.episode.person = "root"
    s.mine(
        day,
        t=s.when.at(day, 3.5),
        src="syslog",
        device="wel-ap01",
        thing="CRON",
        count=2_203,
        text="(root) CMD (/usr/sbin/logrotate /etc/logrotate.conf)",
    )


def _console(s: Stage, day: int, clock: float, **columns: object) -> None:
    s.mine(
        day,
        **{
            "t": s.when.at(day, clock),
            "src": "console-audit",
            "system": "console",
            "out": "ok",
            "ip": "10.11.9.40",
            "device": "HO0158",
            **columns,
        },
    )


def _reviewer(s: Stage) -> int:
    return s.star(s.clerk("admin", "joho"))


@shape(45, "easy")
def exception_for_himself(s: Stage) -> None:
    who = _reviewer(s)
    _console(
        s,
        s.day(who),
        17.9,
        actor=s.id(who),
        act="config",
        op="SUPPRESS",
        target=s.id(who),
        thing="exception/201",
        text="期限なし",
    )


@shape(45, "medium")
def exception_for_a_friend(s: Stage) -> None:
    who, friend = _reviewer(s), s.clerk("admin", "joho")
    if who == friend:
        raise NoChance
    _console(
        s, s.day(who), 18.1, actor=s.id(who), act="config", op="SUPPRESS", target=s.id(friend), thing="exception/202"
    )


@shape(45, quiet=True)
def reviewed_exception_with_expiry(s: Stage) -> None:
    who, second, subject = _reviewer(s), s.clerk("manager", "joho"), s.clerk("payment", "seikatsu")
    day = s.day(who)
    _console(
        s, day, 10.2, actor=s.id(who), act="config", op="SUPPRESS", target=s.id(subject), approver=s.id(second), basis=f"CASE{s.when.day(day):%y%m%d}1",
        thing="exception/203", text="期限 30日 支給日の一括処理",
    )  # fmt: skip


@shape(46, "easy")
def opens_his_own_alert(s: Stage) -> None:
    who = _reviewer(s)
    day = s.day(who)
    for n in range(2):
        _console(
            s, day, 12.3 + n * 0.02, actor=s.id(who), act="read", op="ALERT", target=s.id(who), thing=f"alert/{811 + n}"
        )


@shape(46, "easy")
def reveals_a_name_without_a_case(s: Stage) -> None:
    who = _reviewer(s)
    target = s.resident()
    _console(s, s.day(who), 16.6, actor=s.id(who), act="read", op="REVEAL", subj=s.world.raw(target), thing="vault")


@shape(46, quiet=True)
def reveals_with_a_case_and_two_people(s: Stage) -> None:
    who, second = _reviewer(s), s.clerk("manager", "joho")
    day, target = s.day(who), s.resident()
    ref = f"CASE{s.when.day(day):%y%m%d}2"
    s.register(
        "bases",
        basis_ref=ref,
        kind="audit",
        subject_id=s.world.raw(target),
        opened=s.date(day),
        closed=s.date(day + 7),
        dept="joho",
    )
    _console(
        s,
        day,
        11.6,
        actor=s.id(who),
        act="read",
        op="REVEAL",
        subj=s.world.raw(target),
        approver=s.id(second),
        basis=ref,
        thing="vault",
    )
