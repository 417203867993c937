"""Windows Security events as JSON lines, nested (`Event.System`, `Event.EventData`) or flat (one key a field).

Meaning of the ids: https://learn.microsoft.com/windows/security/threat-protection/auditing/security-auditing-overview
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats import TIME, jsonlines, verdict
from collector.sources import Source

_FIELDS: Final = (
    "SubjectUserName", "SubjectLogonId", "TargetUserName", "TargetLogonId", "TargetServerName", "MemberName", "MemberSid",
    "LogonType", "LogonProcessName", "AuthenticationPackageName", "WorkstationName", "Workstation", "IpAddress", "Status",
    "SubStatus", "FailureReason", "ServiceName", "TicketEncryptionType", "PreAuthType", "ProcessName", "PrivilegeList",
)  # fmt: skip
# UTC in this order; EventTime is the host's local time and says no zone, so it comes last.
_TIMES: Final = ("TimeCreated", "@timestamp", "TimeGenerated", "EventTime")
_TEXT: Final = pl.String()


def _record(names: tuple[str, ...]) -> pl.Struct:
    return pl.Struct(dict.fromkeys(names, _TEXT))


_ATTRIBUTES: Final = pl.Struct({"SystemTime": _TEXT})
_SYSTEM: Final = pl.Struct(
    {
        "EventID": _TEXT,
        "Channel": _TEXT,
        "Computer": _TEXT,
        "TimeCreated": pl.Struct({"#attributes": _ATTRIBUTES, "@SystemTime": _TEXT, "SystemTime": _TEXT}),
    }
)
_SCHEMA: Final = {
    "Event": pl.Struct(
        {"System": _SYSTEM, "EventData": _record(_FIELDS), "UserData": pl.Struct({"LogFileCleared": _record(_FIELDS)})}
    ),
    **dict.fromkeys((*_FIELDS, *_TIMES, "EventID", "EventId", "Channel", "Hostname", "Computer", "host"), _TEXT),
}

# id: (class, action, outcome, whose name acts, whose session)
_MEANING: Final = {
    "4624": ("authentication", "logon", "success", "Target", "Target"),
    "4625": ("authentication", "logon", "failure", "Target", "Target"),
    "4634": ("authentication", "logoff", "success", "Target", "Target"),
    "4647": ("authentication", "logoff", "success", "Target", "Target"),
    "4648": ("authentication", "connect", "success", "Subject", "Subject"),
    "4672": ("authentication", None, "success", "Subject", "Subject"),
    "4720": ("admin", "create", "success", "Subject", "Subject"),
    "4726": ("admin", "delete", "success", "Subject", "Subject"),
    "4732": ("admin", "grant", "success", "Subject", "Subject"),
    "4768": ("authentication", "logon", None, "Target", None),
    "4769": ("authentication", "connect", None, "Target", None),
    "4771": ("authentication", "logon", "failure", "Target", None),
    "4776": ("authentication", "logon", None, "Target", None),
    "1102": ("log", "log_clear", "success", "Subject", "Subject"),
}
_OP_NAMES: Final = {
    "4624": "An account was logged on", "4625": "An account failed to log on", "4634": "An account was logged off",
    "4647": "User initiated logoff", "4648": "Logon with explicit credentials", "4672": "Special privileges assigned",
    "4720": "User account created", "4726": "User account deleted", "4732": "Member added to a local group",
    "4768": "Kerberos ticket (TGT) requested", "4769": "Kerberos service ticket requested",
    "4771": "Kerberos pre-authentication failed", "4776": "Credentials validated (NTLM)", "1102": "Audit log cleared",
}  # fmt: skip
# NTSTATUS and Kerberos codes (MS-ERREF, RFC 4120) in words.
_FAILURES: Final = {
    "0xc0000064": "no such user", "0xc000006a": "bad password", "0xc000006d": "bad user name or password",
    "0xc000006e": "account restriction", "0xc000006f": "outside of logon hours", "0xc0000070": "workstation not allowed",
    "0xc0000071": "password expired", "0xc0000072": "account disabled", "0xc000015b": "logon type not granted",
    "0xc0000193": "account expired", "0xc0000224": "password must change", "0xc0000234": "account locked",
    "0x6": "no such user", "0x7": "no such service", "0x12": "account disabled, expired or locked",
    "0x17": "password expired", "0x18": "bad password", "0x25": "clock skew",
}  # fmt: skip
_SAYS: Final = (
    "LogonType", "LogonProcessName", "AuthenticationPackageName", "Status", "SubStatus", "ServiceName",
    "TicketEncryptionType", "PreAuthType", "TargetServerName", "ProcessName", "PrivilegeList",
)  # fmt: skip


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """Keys of the event. Ids outside of the table become events of class `log`."""
    parsed, good = jsonlines.read(lines, _SCHEMA)
    flat = parsed.select(*(_field(name).alias(name) for name in _FIELDS), *_system(), _time().alias(TIME))
    flat = flat.with_columns(good=good)
    none = pl.col("good") & pl.col("id").is_null()
    flat = flat.with_columns(verdict(~pl.col("good"), "json", "is not one JSON object")).with_columns(
        pl.when(none).then(pl.lit("required")).otherwise("!reason").alias("!reason"),
        pl.when(none).then(pl.lit("EventID is missing")).otherwise("!detail").alias("!detail"),
    )
    return flat.select("!reason", "!detail", TIME, *_who(), *_what(), *_where())


def _field(name: str) -> pl.Expr:
    event = pl.col("Event").struct
    value = pl.coalesce(
        event.field("EventData").struct.field(name),
        event.field("UserData").struct.field("LogFileCleared").struct.field(name),
        pl.col(name),
    ).str.strip_chars()
    return pl.when(~value.is_in(["", "-", "%%1793", "NULL SID"])).then(value)


def _system() -> list[pl.Expr]:
    system = pl.col("Event").struct.field("System").struct
    number = pl.coalesce(system.field("EventID"), "EventID", "EventId").str.extract(r"([0-9]+)", 1)
    return [
        number.alias("id"),
        pl.coalesce(system.field("Computer"), "Hostname", "Computer", "host").alias("computer"),
    ]


def _time() -> pl.Expr:
    created = pl.col("Event").struct.field("System").struct.field("TimeCreated").struct
    nested = (
        created.field("#attributes").struct.field("SystemTime"),
        created.field("@SystemTime"),
        created.field("SystemTime"),
    )
    return pl.coalesce(*nested, *_TIMES)


def _by_id(place: int) -> pl.Expr:
    table = {number: meaning[place] for number, meaning in _MEANING.items()}
    return pl.col("id").replace_strict(table, default=None, return_dtype=pl.String)


def _who() -> list[pl.Expr]:
    target = _by_id(3) == "Target"
    name = pl.when(target).then("TargetUserName").otherwise("SubjectUserName")
    actor = name.str.replace(r"@.*$", "")  # 4769 writes user@REALM
    system = actor.str.contains(
        r"(?i)\$$|^(?:SYSTEM|LOCAL SERVICE|NETWORK SERVICE|ANONYMOUS LOGON|DWM-[0-9]+|UMFD-[0-9]+)$"
    )
    logon = pl.when(_by_id(4) == "Target").then("TargetLogonId").when(_by_id(4) == "Subject").then("SubjectLogonId")
    real = logon.str.to_lowercase().is_in(["0x0"]).not_()
    concerned = pl.col("id").is_in(["4648", "4720", "4726"])
    return [
        actor.alias("actor.id"),
        pl.when(system).then(pl.lit("system")).alias("actor.type"),
        pl.when(real).then(pl.format("{}/{}", "computer", logon.str.to_lowercase())).alias("session.id"),
        pl.when(concerned).then("TargetUserName")
        .when(pl.col("id") == "4732").then(pl.coalesce("MemberName", "MemberSid")).alias("target.actor"),
        pl.when(pl.col("id") == "4732").then("TargetUserName").alias("target.function"),
    ]  # fmt: skip


def _what() -> list[pl.Expr]:
    status = pl.col("Status").str.to_lowercase()
    by_status = pl.when(status == "0x0").then(pl.lit("success")).when(status.is_not_null()).then(pl.lit("failure"))
    outcome = pl.coalesce(_by_id(2), pl.when(pl.col("id").is_in(["4768", "4769", "4776"])).then(by_status))
    said = pl.coalesce(
        pl.col("SubStatus").str.to_lowercase().replace("0x0", None).replace_strict(_FAILURES, default=None),
        status.replace_strict(_FAILURES, default=None),
        pl.when(~pl.col("FailureReason").str.starts_with("%%")).then("FailureReason"),
    )
    message = pl.concat_str(
        [pl.lit(f" {name}=") + pl.col(name).str.replace_all(r"\s+", " ") for name in _SAYS], ignore_nulls=True
    )
    return [
        _by_id(0).fill_null("log").alias("event.class"),
        _by_id(1).alias("event.action"),
        outcome.alias("event.outcome"),
        pl.when(outcome == "failure").then(said).alias("event.reason"),
        pl.col("id").alias("op.code"),
        pl.col("id").replace_strict(_OP_NAMES, default=None, return_dtype=pl.String).alias("op.name"),
        message.str.strip_chars().alias("message"),
    ]


def _where() -> list[pl.Expr]:
    certificate = pl.col("PreAuthType").is_in(["14", "15", "16", "17"])
    password = (
        (pl.col("PreAuthType") == "2")
        | (pl.col("id") == "4776")
        | pl.col("AuthenticationPackageName").str.starts_with("NTLM")
    )
    return [
        pl.when(certificate).then(pl.lit("certificate")).when(password).then(pl.lit("password")).alias("auth.method"),
        pl.col("IpAddress").str.replace(r"^(?i)::ffff:", "").alias("src.ip"),
        pl.coalesce("WorkstationName", "Workstation").str.strip_chars_start("\\").alias("src.device"),
        pl.col("computer").alias("system.id"),
    ]
