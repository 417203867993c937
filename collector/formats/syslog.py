"""Syslog: RFC 3164 (also without year, as /var/log has it), RFC 5424, and ISO stamps as rsyslog writes them.

Lines of sshd, sudo, su, login and PAM say who logged on, or failed to; every other line is an event of class `log`.
One attempt is one event of class `authentication`: where sshd and PAM both tell of it, sshd's line counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from collector.formats import STAMP, TIME
from collector.sources import Source

STAMP_FORMAT: Final = "%Y %b %e %H:%M:%S"

_STAMP: Final = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
_ISO: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]+(?:Z|[+-][0-9:]+)?"
_LINE: Final = (
    rf"(?s)^(?:<[0-9]{{1,3}}>)?(?:1 (?P<time5>-|{_ISO}) (?P<host5>\S+) (?P<app>\S+) (?P<proc>\S+) \S+ "
    r'(?:-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+)(?: \x{feff}?(?P<text5>.*))?'
    rf"|(?:(?P<stamp>{_STAMP})|(?P<iso>{_ISO})) +(?P<host>\S+) +(?P<rest>.*))$"
)
_REST: Final = r"(?s)^(?:-- )?(?P<tag>[^\[\]:\s][^\[\]:]{0,63}?)(?:\[(?P<pid>[0-9]+)\])?: ?(?P<text>.*)$"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a message of a program means.

    Attributes:
        program: Pattern of the tag, without the PAM suffix.
        pattern: Pattern of the message; its named groups are values (see `_GROUPS`).
        values: Key of the event = value.
    """

    program: str
    pattern: str
    values: dict[str, str] = field(default_factory=dict)


_GROUPS: Final = {
    "actor": "actor.id", "ip": "src.ip", "method": "auth.method", "target": "target.actor", "count": "resource.count",
    "reason": "event.reason", "tty": "src.device",
}  # fmt: skip


def _authentication(action: str, outcome: str, **more: str) -> dict[str, str]:
    return {"event.class": "authentication", "event.action": action, "event.outcome": outcome, **more}


_LOG: Final = {"event.class": "log"}
_REMOTE: Final = r"rhost=(?P<ip>\S*)(?:\s+user=(?P<actor>\S+))?"
# The first rule that matches decides.
RULES: Final = (
    Rule("sshd", r"^Accepted (?P<method>\S+) for (?P<actor>.*?) from (?P<ip>\S+) port", _authentication("logon", "success")),
    Rule("sshd", r"^message repeated (?P<count>[0-9]+) times: \[ Failed (?P<method>\S+) for (?:(?P<reason>invalid user) )?(?P<actor>.*?) from (?P<ip>\S+) port", _authentication("logon", "failure")),
    Rule("sshd", r"^Failed (?P<method>\S+) for (?:(?P<reason>invalid user) )?(?P<actor>.*?) from (?P<ip>\S+) port", _authentication("logon", "failure")),
    Rule("sshd", r"^pam_unix\(sshd:session\): session closed for user (?P<actor>\S+)", _authentication("logoff", "success")),
    Rule("sshd", r"^pam_unix\(sshd:auth\): authentication failure;.*" + _REMOTE, _LOG),
    Rule("sshd", r"^PAM [0-9]+ more authentication failures?;.*" + _REMOTE, _LOG),
    Rule("sshd", r"^pam_unix\(sshd:session\): session opened for user (?P<actor>[^\s(]+)", _LOG),
    Rule("sshd", r"^(?P<reason>Invalid user) (?P<actor>.*?) from (?P<ip>\S+)", _LOG),
    Rule("sshd", r"^input_userauth_request: (?P<reason>invalid user) (?P<actor>.*?)(?: \[preauth\])?$", _LOG),
    Rule("sshd", r"^reverse mapping checking getaddrinfo for \S+ \[(?P<ip>[^\]]+)\] failed", _LOG),
    Rule("sshd", r"^(?:error: )?(?:Received disconnect|Did not receive identification string|Disconnected) from (?:authenticating |invalid )?(?:user (?P<actor>\S*) )?(?P<ip>[0-9a-fA-F:.]+?)(?::? |$)", _LOG),
    Rule("sshd", r"^Connection (?:closed|reset) by (?:(?:authenticating|invalid) user (?P<actor>\S*) )?(?P<ip>\S+)", _LOG),
    Rule("sudo", r"^\s*(?P<actor>\S+) : (?P<count>[0-9]+) (?P<reason>incorrect password attempts?) ; TTY=(?P<tty>\S+) ;.* USER=(?P<target>\S+)", _authentication("logon", "failure", **{"op.code": "sudo"})),
    Rule("sudo", r"^\s*(?P<actor>\S+) : (?P<reason>user NOT in sudoers|command not allowed|user NOT authorized on host) ; TTY=(?P<tty>\S+) ;.* USER=(?P<target>\S+)", {"event.class": "admin", "event.outcome": "denied", "op.code": "sudo"}),
    Rule("sudo", r"^\s*(?P<actor>\S+) : (?:.*; )?TTY=(?P<tty>\S+) ;.* USER=(?P<target>\S+) ;", {"event.class": "admin", "event.outcome": "success", "op.code": "sudo"}),
    Rule("sudo", r"^pam_unix\(sudo:", _LOG),  # sudo's own line tells it
    Rule("(?i)crond?", r"^pam_unix\(", _LOG),  # a timer, not a person
    Rule("su", r"^(?:Successful su for (?P<target>\S+) by) (?P<actor>\S+)", _authentication("logon", "success", **{"op.code": "su"})),
    Rule("su", r"^\(to (?P<target>\S+)\) (?P<actor>\S+) on", _authentication("logon", "success", **{"op.code": "su"})),
    Rule("su", r"^FAILED SU \(to (?P<target>\S+)\) (?P<actor>\S+)", _authentication("logon", "failure", **{"op.code": "su"})),
    Rule("su", r"session opened for user (?P<target>[^\s(]+).* by (?P<actor>[^\s(]+)\(uid=", _authentication("logon", "success", **{"op.code": "su"})),
    Rule(r"\S+", r"^(?:pam_unix\(\S+:session\): )?session opened for user (?P<actor>[^\s(]+)", _authentication("logon", "success")),
    Rule(r"\S+", r"^(?:pam_unix\(\S+:session\): )?session closed for user (?P<actor>\S+)", _authentication("logoff", "success")),
    Rule(r"\S+", r"^(?:pam_unix\(\S+:auth\): )?authentication failure;.*" + _REMOTE, _authentication("logon", "failure")),
    Rule(r"\S+", r"^ROOT LOGIN ON (?P<tty>\S+)", _authentication("logon", "success", **{"actor.id": "root"})),
    Rule("login", r"^LOGIN ON (?P<tty>\S+) BY (?P<actor>\S+)", _authentication("logon", "success")),
    Rule("login", r"^FAILED LOGIN .*FOR '?(?P<actor>[^',]+)", _authentication("logon", "failure")),
    Rule("ftpd", r"^(?P<actor>ANONYMOUS) FTP LOGIN FROM (?P<ip>[^,\s]+)", _authentication("logon", "success")),
    Rule("ftpd", r"^connection from (?P<ip>\S+)", {"event.class": "log", "event.action": "connect"}),
    Rule("klogind", r"^Authentication failed from (?P<ip>\S+) \((?P<ip2>[^)]*)\): (?P<reason>.*)", _authentication("logon", "failure")),
)  # fmt: skip

_METHODS: Final = {
    "password": "password", "keyboard-interactive/pam": "password", "publickey": "certificate", "hostbased": "certificate",
    "gssapi-with-mic": "sso", "gssapi-keyex": "sso", "none": "none",
}  # fmt: skip


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """Keys of the event, `TIME` or `STAMP`; `system.id` is the host, `session.id` host, program and process."""
    frame = _framed(lines)
    meaning = _meaning(frame.select("program", "message"))
    session = pl.when(pl.col("pid").is_not_null()).then(pl.format("{}/{}[{}]", "host", "program", "pid"))
    text = pl.concat([frame, meaning], how="horizontal")
    return text.select(
        "!reason", "!detail", TIME, STAMP,
        pl.col("event.class").fill_null("log"),
        *(pl.col(key) for key in _KEYS if key not in ("event.class", "op.code")),
        pl.col("op.code").fill_null(pl.col("program")),
        session.alias("session.id"),
        pl.col("host").alias("system.id"),
        "message",
    )  # fmt: skip


def _framed(lines: pl.Series) -> pl.DataFrame:
    """The line without its message's meaning: time, host, program, pid, message."""
    bare = lines.str.strip_chars_end()
    frame = bare.to_frame("line").select(pl.col("line").str.extract_groups(_LINE).struct.unnest())
    rest = pl.col("rest").str.extract_groups(_REST).struct
    frame = frame.with_columns(rest.field("tag"), rest.field("pid"), rest.field("text"))
    dash = ("-", None)
    frame = frame.select(
        pl.coalesce("time5", "iso").alias(TIME),
        pl.col("stamp").alias(STAMP),
        pl.coalesce("host", pl.col("host5").replace(*dash)).alias("host"),
        pl.coalesce("tag", pl.col("app").replace(*dash)).alias("program"),
        pl.coalesce("pid", pl.col("proc").replace(*dash)).alias("pid"),
        pl.coalesce("text", "rest", "text5").alias("message"),
        pl.any_horizontal(pl.col("time5", "stamp", "iso").is_not_null()).alias("whole"),
    )
    bad = ~pl.col("whole")
    return frame.with_columns(
        pl.when(bad).then(pl.lit("format")).alias("!reason"),
        pl.when(bad).then(pl.lit("is no line of syslog (RFC 3164 or 5424)")).alias("!detail"),
        # `sshd(pam_unix)` of older systems is sshd.
        pl.col("program").str.replace(r"\(pam_\w+\)$", ""),
    )


_KEYS: Final = (
    "event.class", "event.action", "event.outcome", "event.reason", "actor.id", "auth.method", "src.ip", "src.device",
    "op.code", "target.actor", "resource.count",
)  # fmt: skip


def _meaning(frame: pl.DataFrame) -> pl.DataFrame:
    """What the rules read out of program and message: one row per row, in `_KEYS`."""
    left = frame.with_row_index("row").drop_nulls()
    done: list[pl.DataFrame] = []
    for rule in RULES:
        mine = left.filter(pl.col("program").str.contains(f"^(?:{rule.program})$"))
        mine = mine.filter(pl.col("message").str.contains(rule.pattern))
        if mine.is_empty():
            continue
        left = left.join(mine, on="row", how="anti", maintain_order="left")
        done.append(_values(mine, rule))
    empty = pl.DataFrame(schema={"row": pl.UInt32, **dict.fromkeys(_KEYS, pl.String)})
    found = pl.concat([empty.cast({"row": left.schema["row"]}), *done])
    rows = frame.with_row_index("row").select("row")
    return rows.join(found, on="row", how="left", maintain_order="left").drop("row")


def _values(mine: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    groups = mine.select("row", pl.col("message").str.extract_groups(rule.pattern).alias("groups"))
    names = [name for name in _GROUPS if f"(?P<{name}>" in rule.pattern]
    field = pl.col("groups").struct.field
    values = groups.select("row", *(field(name).alias(_GROUPS[name]) for name in names))
    values = values.with_columns(pl.lit(value).alias(key) for key, value in rule.values.items())
    values = values.with_columns(pl.lit(None, dtype=pl.String).alias(key) for key in _KEYS if key not in values.columns)
    # PAM's rhost may be a name: then it is the terminal, not its address.
    address = pl.col("src.ip").str.contains(r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$")
    named = pl.when(~address).then("src.ip")
    return values.with_columns(
        pl.when(address).then("src.ip").alias("src.ip"),
        pl.coalesce("src.device", named).alias("src.device"),
        pl.col("auth.method").replace_strict(_METHODS, default=None, return_dtype=pl.String),
    ).select("row", *(pl.col(key).cast(pl.String) for key in _KEYS))
