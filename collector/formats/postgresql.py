"""PostgreSQL's csvlog, and the entries of pgaudit in it (https://github.com/pgaudit/pgaudit, README "Format").

The log has no header; 23 columns until PostgreSQL 12, 24 in 13, 26 from 14 on. Messages are understood in English and
in the Japanese of version 15; whether something failed is told by its SQLSTATE, which no language changes.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.formats import DETAIL, REASON, TIME, delimited
from collector.sources import Source

NAMES: Final = (
    "log_time", "user_name", "database_name", "process_id", "connection_from", "session_id", "session_line_num",
    "command_tag", "session_start_time", "virtual_transaction_id", "transaction_id", "error_severity", "sql_state_code",
    "message", "detail", "hint", "internal_query", "internal_query_pos", "context", "query", "query_pos", "location",
    "application_name", "backend_type", "leader_pid", "query_id",
)  # fmt: skip
_WIDTHS: Final = (26, 24, 23)
_CELL: Final = r'(?:"(?:[^"]|"")*"|[^",]*)'
# AUDIT_TYPE, STATEMENT_ID, SUBSTATEMENT_ID, CLASS, COMMAND, OBJECT_TYPE, OBJECT_NAME, STATEMENT, PARAMETER[, ROWS]
_AUDIT: Final = (
    r"(?s)^AUDIT: (?:SESSION|OBJECT),[0-9]+,[0-9]+,(?P<class>[A-Z_]+),(?P<command>[A-Z ]*),(?P<object_type>[A-Z ]*),"
    rf"(?P<object>{_CELL}),(?P<statement>{_CELL})(?:,{_CELL}(?:,(?P<rows>[0-9]+))?)?\s*$"
)
_CLASSES: Final = {
    "READ": "access", "WRITE": "access", "FUNCTION": "access", "ROLE": "admin", "DDL": "admin",
}  # fmt: skip
_ACTIONS: Final = {
    "SELECT": "read", "INSERT": "create", "UPDATE": "update", "MERGE": "update", "DELETE": "delete", "TRUNCATE": "delete",
    "TRUNCATE TABLE": "delete", "GRANT": "grant", "GRANT ROLE": "grant", "REVOKE": "revoke", "REVOKE ROLE": "revoke",
    "CREATE ROLE": "create", "CREATE USER": "create", "DROP ROLE": "delete", "DROP USER": "delete",
}  # fmt: skip
_TABLES: Final = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE")
_COUNTED: Final = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
)  # of other commands pgaudit says 0 rows, whatever they did
_AUTHORIZED: Final = "^(?:(?:replication )?connection authorized|(?:レプリケーション)?接続の認証完了): "
_AUTHENTICATED: Final = r"^(?:connection authenticated: .* method|接続認証完了: .* 方式)=([a-z0-9-]+) \("
_ENDED: Final = (
    r"^(?:disconnection: session time|接続を切断: セッション時間): ([0-9]+):([0-9]{2}):([0-9]{2})\.([0-9]{3})"
)
_METHODS: Final = {
    **dict.fromkeys(("scram-sha-256", "md5", "password", "ldap", "pam", "radius", "bsd"), "password"),
    "cert": "certificate", "gss": "sso", "sspi": "sso", "peer": "none", "ident": "none", "trust": "none",
}  # fmt: skip
# Classes of SQLSTATE that are no failure: success, warning, no data. 28: who are you? 42501: you may not.
_GOOD: Final = "^(?:00|01|02)"
_REFUSED: Final = "^28"
_DENIED: Final = "42501"


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """Keys of the event, and the log's columns by PostgreSQL's names.

    The parameters of a statement are data of people and are left out; the statement becomes the message.
    """
    frame = _cells(lines, source)
    audit = pl.col("message").str.extract_groups(_AUDIT).struct
    parts = ("class", "command", "object_type", "object", "statement", "rows")
    frame = frame.with_columns(audit.field(name).alias(f"!{name}") for name in parts)
    frame = frame.with_columns(_uncelled(pl.col(f"!{name}")).alias(f"!{name}") for name in ("object", "statement"))
    return frame.select(
        REASON, DETAIL, *NAMES, pl.col("log_time").alias(TIME), *_who(), *_what(), *_where(), _told().alias("!message")
    ).rename({"message": "!raw", "!message": "message"}).drop("!raw")  # fmt: skip


def _cells(lines: pl.Series, source: Source) -> pl.DataFrame:
    """The columns, by the width that fits; a line that none fits is refused for the widest."""
    rows = pl.Series("row", range(lines.len()), dtype=pl.Int64)
    done: list[pl.DataFrame] = []
    left = lines
    for width in _WIDTHS:
        plain = source.model_copy(
            update={"header": False, "names": NAMES[:width], "delimiter": ",", "quote": '"', "time": ("log_time",)}
        )
        frame = delimited.cut(left, plain, None).with_columns(rows)
        last = width == _WIDTHS[-1]
        good = frame.get_column(REASON).is_null() | (frame.get_column(REASON) != "columns") | last
        done.append(frame.filter(good))
        left, rows = left.filter(~good), rows.filter(~good)
        if left.is_empty():
            break
    found = pl.concat(done, how="diagonal_relaxed").sort("row").drop("row")
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in NAMES if name not in found.columns]
    found = found.with_columns(missing)
    return found.with_columns(pl.col(NAMES).replace("", None))


def _uncelled(text: pl.Expr) -> pl.Expr:
    """A cell of the entry without its quotes; empty is null."""
    bare = text.str.slice(1, text.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    return pl.when(text.str.starts_with('"')).then(bare).otherwise(text).replace("", None)


def _is_audit() -> pl.Expr:
    return pl.col("!class").is_not_null()


def _state(pattern: str) -> pl.Expr:
    return pl.col("sql_state_code").str.contains(pattern).fill_null(False)


def _says(pattern: str) -> pl.Expr:
    return pl.col("message").str.contains(pattern).fill_null(False)


def _who() -> list[pl.Expr]:
    host = pl.col("connection_from").str.replace(":[0-9]+$", "")
    statement = pl.when(pl.col("!class") == "ROLE").then("!statement")
    named = statement.str.extract(
        r'(?i)^\s*(?:create|alter|drop)\s+(?:role|user|group)\s+(?:if\s+(?:not\s+)?exists\s+)?"?([^\s";]+)'
    )
    given = statement.str.extract(r'(?is)^\s*(?:grant|revoke)\s.*\s(?:to|from)\s+(?:group\s+)?"?([^\s";,]+)')
    return [
        pl.col("user_name").alias("actor.id"),
        pl.col("session_id").alias("session.id"),
        pl.when(host != "[local]").then(host).alias("src.ip"),
        pl.coalesce(named, given).alias("target.actor"),
        pl.col("message")
        .str.extract(_AUTHENTICATED)
        .replace_strict(_METHODS, default=None, return_dtype=pl.String)
        .alias("auth.method"),
    ]


def _what() -> list[pl.Expr]:
    copy = pl.col("!command") == "COPY"
    out = copy & (pl.col("!class") == "READ")
    by_class = pl.col("!class").replace_strict(_CLASSES, default="log", return_dtype=pl.String)
    by_command = pl.col("!command").replace_strict(_ACTIONS, default=None, return_dtype=pl.String)
    changed = pl.when(pl.col("!class").is_in(["DDL", "ROLE"])).then(pl.lit("config"))
    audited = (
        pl.when(out)
        .then(pl.lit("export"))
        .when(copy)
        .then(pl.lit("import"))
        .otherwise(pl.coalesce(by_command, changed))
    )
    logon, logoff, refused, denied = _says(_AUTHORIZED), _says(_ENDED), _state(_REFUSED), _state(_DENIED)
    failed = ~_state(_GOOD) & pl.col("sql_state_code").is_not_null() & ~_is_audit()
    return [
        pl.when(out).then(pl.lit("export")).when(_is_audit()).then(by_class)
        .when(logon | logoff | refused).then(pl.lit("authentication"))
        .when(denied).then(pl.lit("access")).otherwise(pl.lit("log")).alias("event.class"),
        pl.when(_is_audit()).then(audited).when(logon | refused).then(pl.lit("logon"))
        .when(logoff).then(pl.lit("logoff")).alias("event.action"),
        pl.when(_is_audit()).then(None).when(denied).then(pl.lit("denied"))
        .when(failed).then(pl.lit("failure"))
        .when(logon | logoff).then(pl.lit("success")).alias("event.outcome"),
        pl.when(failed).then("message").alias("event.reason"),
        pl.coalesce("!command", "command_tag").alias("op.code"),
        _lasted().alias("duration_ms"),
    ]  # fmt: skip


def _lasted() -> pl.Expr:
    units = (3_600_000, 60_000, 1000, 1)
    parts = [pl.col("message").str.extract(_ENDED, at).cast(pl.Int64) * unit for at, unit in enumerate(units, 1)]
    return pl.sum_horizontal(parts, ignore_nulls=False).cast(pl.String)


def _where() -> list[pl.Expr]:
    return [
        pl.col("database_name").alias("system.id"),
        pl.col("!object").alias("resource.id"),
        pl.when(pl.col("!object_type").is_in(_TABLES)).then(pl.lit("table")).alias("resource.type"),
        pl.when(pl.col("!command").is_in(_COUNTED)).then("!rows").alias("resource.count"),
    ]


def _told() -> pl.Expr:
    """The statement of an entry, or what failed; else the message."""
    return pl.coalesce("!statement", "query", "message")
