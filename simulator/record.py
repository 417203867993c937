"""One row of what happened, before a system writes it down in its own way; and the functions of the business systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import polars as pl

# Every stream, ordinary or injected, is brought into these columns; null where the system would write nothing.
SCHEMA: Final = pl.Schema(
    {
        "t": pl.Int64,  # UTC ms
        "src": pl.String,  # log source
        "system": pl.String,
        "actor": pl.String,  # account as the source writes it
        "dept": pl.String,
        "act": pl.String,  # the source's own word, where it does not follow from op
        "out": pl.String,  # ok, failure, denied
        "reason": pl.String,
        "op": pl.String,
        "session": pl.String,
        "device": pl.String,
        "ip": pl.String,
        "method": pl.String,
        "card": pl.String,
        "subj": pl.Int64,  # raw ids
        "home": pl.Int64,
        "area": pl.String,
        "count": pl.Int64,
        "bytes": pl.Int64,
        "query": pl.String,
        "law": pl.String,
        "basis": pl.String,
        "purpose": pl.String,
        "approver": pl.String,
        "ack": pl.Int64,  # ms until a warning was acknowledged; null: none shown
        "amount": pl.Int64,
        "payee": pl.String,
        "target": pl.String,
        "right": pl.String,
        "media": pl.String,
        "dest": pl.String,
        "origin": pl.String,
        "channel": pl.String,
        "took": pl.Int64,  # ms
        "thing": pl.String,  # file, table, path, door
        "text": pl.String,
        "ep": pl.Int32,  # episode that the row belongs to
    }
)


def frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows given as mappings of some of the columns; an unknown column is a mistake of the caller."""
    listed = list(rows)
    unknown = {key for row in listed for key in row} - set(SCHEMA)
    if unknown:
        raise KeyError(f"no such column of a record: {', '.join(sorted(unknown))}")
    return pl.DataFrame({name: [row.get(name) for row in listed] for name in SCHEMA}, schema=SCHEMA)


def complete(columns: Mapping[str, Any], height: int) -> pl.DataFrame:
    """A frame in `SCHEMA` from arrays or constants for some of the columns."""
    given = [
        (value.alias(name) if isinstance(value, pl.Series) else pl.Series(name, value)).cast(SCHEMA[name])
        for name, value in columns.items()
        if not isinstance(value, str | int) and value is not None
    ]
    constant = [
        pl.lit(value).cast(SCHEMA[name]).alias(name) for name, value in columns.items() if isinstance(value, str | int)
    ]
    table = pl.DataFrame(given) if given else pl.DataFrame({"_": range(height)})
    missing = [pl.lit(None).cast(SCHEMA[name]).alias(name) for name in SCHEMA if columns.get(name) is None]
    return table.with_columns(*constant, *missing).select(SCHEMA.names())


class Op(NamedTuple):
    """A function of a business system."""

    system: str
    action: str  # one of contract.event.ACTIONS
    ja: str
    en: str
    thing: str = "record"
    data: str = "welfare"


OPS: Final[dict[str, Op]] = {
    "WE098": Op("welfare", "timeout", "自動切断", "time-out", "screen", "general"),
    "WE099": Op("welfare", "logoff", "業務終了", "log-off", "screen", "general"),
    "WE100": Op("welfare", "read", "基本情報照会", "basic data", "record", "address"),
    "WE101": Op("welfare", "search", "対象者検索(番号)", "search by number"),
    "WE102": Op("welfare", "search", "対象者検索(氏名)", "search by name"),
    "WE103": Op("welfare", "search", "対象者検索(住所)", "search by address"),
    "WE104": Op("welfare", "search", "対象者検索(前方一致)", "wildcard search"),
    "WE110": Op("welfare", "read", "ケース記録照会", "case record"),
    "WE120": Op("welfare", "read", "世帯構成照会", "household"),
    "WE130": Op("welfare", "update", "ケース記録入力", "case note"),
    "WE140": Op("welfare", "list", "訪問予定一覧", "visits planned", "report"),
    "WE150": Op("welfare", "list", "統計照会", "statistics", "report"),
    "WE190": Op("welfare", "read", "緊急閲覧", "emergency view"),
    "WE200": Op("welfare", "create", "申請受付", "application received"),
    "WE210": Op("welfare", "update", "保護変更決定", "change of assistance"),
    "WE220": Op("welfare", "approve", "決裁", "approval"),
    "WE300": Op("welfare", "read", "収入資産照会", "income and assets", "record", "bank"),
    "WE310": Op("welfare", "inquire", "情報連携照会", "network inquiry", "record", "tax"),
    "WE320": Op("welfare", "provide", "情報連携提供", "network provision", "record", "welfare"),
    "WE400": Op("welfare", "register", "個人番号登録", "My Number registered", "record", "mynumber"),
    "WE405": Op("welfare", "approve", "個人番号確認", "My Number confirmed", "record", "mynumber"),
    "WE410": Op("welfare", "read", "個人番号照会", "My Number shown", "record", "mynumber"),
    "WE500": Op("welfare", "list", "支給一覧", "payment list", "report", "bank"),
    "WE510": Op("welfare", "export", "振込データ出力", "payment file", "file", "bank"),
    "WE520": Op("welfare", "update", "支給決定", "payment decided", "record", "bank"),
    "WE600": Op("welfare", "print", "帳票印刷", "form printed", "report"),
    "WE610": Op("welfare", "export", "CSV出力", "CSV export", "file"),
    "WE690": Op("welfare", "print", "画面印刷", "screen printed", "screen"),
    "WE800": Op("welfare", "delete", "記録削除", "record deleted"),
    "WE900": Op("welfare", "grant", "権限付与", "right granted", "config", "general"),
    "WE901": Op("welfare", "revoke", "権限取消", "right revoked", "config", "general"),
    "WE902": Op("welfare", "create", "利用者登録", "account created", "config", "general"),
    "WE910": Op("welfare", "config", "システム設定変更", "configuration", "config", "general"),
    "DS001": Op("disaster", "logon", "ログイン", "log-on", "screen", "general"),
    "DS098": Op("disaster", "timeout", "自動ログアウト", "time-out", "screen", "general"),
    "DS099": Op("disaster", "logoff", "ログアウト", "log-off", "screen", "general"),
    "DS101": Op("disaster", "search", "被災者検索(氏名)", "search by name", "record", "address"),
    "DS102": Op("disaster", "search", "被災者検索(住所)", "search by address", "record", "address"),
    "DS103": Op("disaster", "search", "被災者検索(番号)", "search by number", "record", "address"),
    "DS104": Op("disaster", "search", "被災者検索(前方一致)", "wildcard search", "record", "address"),
    "DS110": Op("disaster", "read", "被災者台帳照会", "victim's record", "record", "address"),
    "DS120": Op("disaster", "read", "世帯照会", "household", "record", "address"),
    "DS130": Op("disaster", "create", "被害状況登録", "damage entered", "record", "general"),
    "DS140": Op("disaster", "update", "台帳更新", "record updated", "record", "general"),
    "DS150": Op("disaster", "print", "罹災証明発行", "certificate issued", "report", "general"),
    "DS160": Op("disaster", "list", "避難者一覧", "evacuees listed", "report", "address"),
    "DS170": Op("disaster", "export", "CSV出力", "CSV export", "file", "address"),
    "DS180": Op("disaster", "approve", "支援金決定", "relief decided", "record", "bank"),
    "DS200": Op("disaster", "import", "住基・税情報取込", "import", "table", "tax"),
    "DS300": Op("disaster", "delete", "台帳削除", "record deleted", "record", "general"),
    "DS400": Op("disaster", "provide", "他機関提供", "provision", "record", "address"),
    "DS410": Op("disaster", "inquire", "情報連携照会", "network inquiry", "record", "tax"),
    "DS420": Op("disaster", "send", "データ送信", "transfer", "file", "address"),
    "DS690": Op("disaster", "print", "画面印刷", "screen printed", "screen", "address"),
    "DS900": Op("disaster", "grant", "権限付与", "right granted", "config", "general"),
    "DS901": Op("disaster", "revoke", "権限取消", "right revoked", "config", "general"),
    "DS910": Op("disaster", "config", "環境設定", "configuration", "config", "general"),
}
