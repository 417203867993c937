"""How each system writes its log: format, code, header, rotation; and where each line stands in its file.

Formats are on purpose as different as in a real office. `collector/sources/town-*.toml` says how to read them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from registers.tokens import SiteKey, event_ids
from simulator.record import OPS

ACTION_JA: Final = {
    "search": "検索", "list": "一覧", "read": "照会", "print": "印刷", "export": "出力", "send": "送信", "create": "登録", "update": "更新",
    "delete": "削除", "approve": "承認", "register": "番号登録", "inquire": "情報照会", "provide": "情報提供", "import": "取込",
    "grant": "権限付与", "revoke": "権限取消", "config": "設定", "logon": "開始", "logoff": "終了", "timeout": "切断",
}  # fmt: skip
PURPOSE_JA: Final = {"reception": "窓口", "visit": "訪問", "payment": "支給", "survey": "調査", "emergency": "緊急"}
QUERY_JA: Final = {"id": "番号", "name": "氏名", "address": "住所", "wildcard": "前方一致"}
OUTCOME_JA: Final = {"ok": "正常", "failure": "異常", "denied": "拒否"}
_DIGITS: Final = dict(zip("0123456789", "０１２３４５６７８９", strict=True))


def _local(column: str = "t") -> pl.Expr:
    return pl.from_epoch(pl.col(column), time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")


def _table(column: str) -> pl.Expr:
    """What follows from the function code: `action`, `ja`, `thing` or `data`."""
    values = {code: getattr(op, column) for code, op in OPS.items()}
    return pl.col("op").replace_strict(values, default=None, return_dtype=pl.String)


def _quoted(expr: pl.Expr) -> pl.Expr:
    """A CSV field, in quotes where it needs them."""
    text = expr.cast(pl.String).fill_null("")
    return (
        pl.when(text.str.contains('[",\n]'))
        .then('"' + text.str.replace_all('"', '""', literal=True) + '"')
        .otherwise(text)
    )


def _json(pairs: dict[str, pl.Expr], numbers: tuple[str, ...] = ()) -> pl.Expr:
    """One JSON object a row; null values are left out."""
    parts = []
    for key, expr in pairs.items():
        text = expr.cast(pl.String)
        if key not in numbers:
            text = (
                '"' + text.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True) + '"'
            )
        parts.append(pl.lit(f'"{key}":') + text)
    return "{" + pl.concat_str(parts, separator=",", ignore_nulls=True) + "}"


def welfare(rows: pl.DataFrame) -> pl.Series:
    """CSV: wareki, padded ids, full-width digits on one screen family."""
    day = _local()
    wareki = pl.concat_str(
        pl.lit("令和"),
        (day.dt.year() - 2018).cast(pl.String),
        pl.lit("年"),
        day.dt.month().cast(pl.String),
        pl.lit("月"),
        day.dt.day().cast(pl.String),
        pl.lit("日"),
    )
    subject = pl.col("subj").cast(pl.String).str.zfill(10)
    # The old payment screens write numbers full-width.
    wide = pl.col("op").is_in(["WE500", "WE520", "WE300"])
    full = subject
    for digit, wide_digit in _DIGITS.items():
        full = full.str.replace_all(digit, wide_digit, literal=True)
    action = _table("action").replace_strict(ACTION_JA, default=None, return_dtype=pl.String)
    fields = [
        wareki, day.dt.strftime("%H:%M:%S"), pl.col("actor").str.zfill(8), pl.col("device"), pl.col("ip"), pl.col("session"), pl.col("op"),
        _table("ja"), action, pl.when(wide).then(full).otherwise(subject), pl.col("home").cast(pl.String).str.zfill(8), pl.col("area"), pl.col("count"),
        pl.col("query").replace(QUERY_JA), pl.col("purpose").replace(PURPOSE_JA), pl.col("basis"), pl.col("law"), pl.col("approver").str.zfill(8), pl.col("ack"), pl.col("amount"), pl.col("payee"),
        pl.col("target"), pl.col("right"), pl.col("dest"), pl.col("out").replace_strict(OUTCOME_JA, default=None, return_dtype=pl.String), pl.col("text"),
    ]  # fmt: skip
    return rows.select(pl.concat_str([_quoted(f) for f in fields], separator=",")).to_series()


WELFARE_HEADER: Final = (
    "操作日,操作時刻,職員番号,端末名,IPアドレス,セッション番号,機能コード,機能名,処理区分,対象者番号,世帯番号,地区,件数,検索区分,利用目的,受付番号,"
    "照会根拠,確認者番号,警告応答ミリ秒,金額,口座番号,対象利用者,対象権限,出力先,結果,備考"
)


def disaster(rows: pl.DataFrame) -> pl.Series:
    """JSON lines with nested names flattened by the product and times in ISO with zone."""
    return rows.select(
        _json(
            {
                "timestamp": _local().dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+09:00"),
                "user": pl.col("actor"), "terminal": pl.col("device"), "client_ip": pl.col("ip"), "session": pl.col("session"),
                "function": pl.col("op"), "label": _table("ja"), "action": _table("action").str.to_uppercase(),
                "result": pl.col("out").replace_strict({"ok": "OK", "failure": "NG", "denied": "DENIED"}, default=None, return_dtype=pl.String),
                "reason": pl.col("reason"), "auth": pl.col("method"), "resident_no": pl.col("subj"), "household_no": pl.col("home"), "district": pl.col("area"),
                "rows": pl.col("count"), "search_by": pl.col("query"), "purpose": pl.col("purpose"), "ticket": pl.col("basis"), "law": pl.col("law"),
                "approver": pl.col("approver"), "warning_ms": pl.col("ack"), "yen": pl.col("amount"), "account": pl.col("payee"),
                "target_user": pl.col("target"), "target_role": pl.col("right"), "from": pl.col("origin"), "via": pl.col("channel"), "to": pl.col("dest"),
                "memo": pl.col("text"),
            },
            ("resident_no", "household_no", "rows", "warning_ms", "yen"),
        )
    ).to_series()  # fmt: skip


def card(rows: pl.DataFrame) -> pl.Series:
    """IC-card authentication server: bars, UTF-8 with byte order mark, compact times."""
    words = {"logon": "AUTH", "logoff": "LOGOUT", "timeout": "EXPIRE", "lock": "LOCK"}
    methods = {"card+password": "IC+PW", "card": "IC", "password": "PW", "none": "NONE", "certificate": "CERT"}
    fields = [
        _local().dt.strftime("%Y%m%d%H%M%S"), pl.col("act").replace_strict(words, default=None, return_dtype=pl.String), pl.col("out").str.to_uppercase(),
        pl.col("actor"), pl.col("card"), pl.col("method").replace_strict(methods, default=None, return_dtype=pl.String), pl.col("system"), pl.col("device"),
        pl.col("ip"), pl.col("session"), pl.col("reason"),
    ]  # fmt: skip
    return rows.select(pl.concat_str([f.cast(pl.String).fill_null("") for f in fields], separator="|")).to_series()


def files(rows: pl.DataFrame) -> pl.Series:
    """key=value of the file server and of the clients' management suite."""
    pairs = {
        "time": _local().dt.strftime("\"%Y/%m/%d %H:%M:%S\""), "user": pl.col("actor"), "host": pl.col("device"), "ip": pl.col("ip"), "op": pl.col("act"),
        "result": pl.col("out"), "path": '"' + pl.col("thing") + '"', "bytes": pl.col("bytes"), "rows": pl.col("count"), "media": pl.col("media"),
        "dest": pl.col("dest"), "system": pl.col("system"), "target": pl.col("target"), "ticket": pl.col("basis"), "note": '"' + pl.col("text") + '"',
    }  # fmt: skip
    parts = [pl.lit(f"{key}=") + expr.cast(pl.String) for key, expr in pairs.items()]
    return rows.select(pl.concat_str(parts, separator=" ", ignore_nulls=True)).to_series()


def database(rows: pl.DataFrame) -> pl.Series:
    """pgaudit brought into CSV; statements keep their line breaks inside quotes."""
    fields = [
        _local().dt.strftime("%Y-%m-%d %H:%M:%S%.3f+09:00"), pl.col("actor"), pl.col("system"), pl.col("ip"), pl.col("act"), pl.col("thing"), pl.col("text"),
        pl.col("count"), pl.col("took"), pl.col("basis"), pl.lit("ok"),
    ]  # fmt: skip
    return rows.select(pl.concat_str([_quoted(f) for f in fields], separator=",")).to_series()


def door(rows: pl.DataFrame) -> pl.Series:
    """Tab-separated list of the gates."""
    words = {"enter": "入", "leave": "出"}
    # A shift's night belongs to the day on which it began: 25:10 is ten past one.
    night = _local().dt.hour() < 5
    day = pl.when(night).then(_local().dt.offset_by("-1d")).otherwise(_local())
    clock = pl.when(night).then(_local().dt.hour() + 24).otherwise(_local().dt.hour())
    fields = [
        pl.concat_str(day.dt.strftime("%Y/%m/%d "), clock.cast(pl.String).str.zfill(2), _local().dt.strftime(":%M:%S")), pl.col("thing"), pl.col("card"), pl.col("actor"), pl.col("act").replace_strict(words, default=None, return_dtype=pl.String),
        pl.col("out").replace_strict({"ok": "許可", "denied": "拒否"}, default=None, return_dtype=pl.String),
    ]  # fmt: skip
    return rows.select(pl.concat_str([f.fill_null("") for f in fields], separator="\t")).to_series()


def syslog(rows: pl.DataFrame) -> pl.Series:
    """RFC 5424."""
    stamp = _local().dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+09:00")
    return rows.select(pl.format("<86>1 {} {} {} {} - - {}", stamp, "device", "thing", "count", "text")).to_series()


def windows(rows: pl.DataFrame) -> pl.Series:
    """Windows Security channel as JSON lines, flat, as a forwarder writes it."""
    utc = pl.from_epoch(pl.col("t"), time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    other = pl.col("act").is_in(["4720", "4726", "4732", "1102"])
    return rows.select(
        _json(
            {
                "@timestamp": utc, "Channel": pl.lit("Security"), "EventID": pl.col("act"), "Hostname": pl.col("thing"),
                "SubjectUserName": pl.when(other).then("actor"), "TargetUserName": pl.when(other).then("target").otherwise("actor"),
                "TargetDomainName": pl.lit("TOWN"), "TargetLogonId": pl.when(~other).then("session"), "SubjectLogonId": pl.when(other).then("session"),
                "LogonType": pl.when(~other).then("count"), "IpAddress": pl.when(~other).then("ip"),
                "WorkstationName": pl.when(pl.col("act").is_in(["4624", "4625"])).then("device"), "SubStatus": pl.col("reason"),
            },
            ("EventID", "LogonType"),
        )
    ).to_series()  # fmt: skip


def web(rows: pl.DataFrame) -> pl.Series:
    """Apache combined."""
    stamp = _local().dt.strftime("%d/%b/%Y:%H:%M:%S +0900")
    agent = '"http://portal.town.example/" "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"'
    return rows.select(
        pl.format('{} - {} [{}] "{} {} HTTP/1.1" {} {} ' + agent, "ip", "actor", stamp, "act", "thing", "out", "bytes")
    ).to_series()


@dataclass
class LogFile:
    """A log that is written day by day, rotated daily or monthly.

    Attributes:
        source: `source.id` that the collector will give.
        pattern: Path under the folder of logs, with strftime fields.
        encoding, bom: Character code, and whether a byte order mark starts each file.
        header: First line, or empty.
        write: Turns rows into lines without line ends.
        newline: Line end; some systems still write CR LF.
        step_ms: How finely the system writes its times.
    """

    source: str
    pattern: str
    write: Callable[[pl.DataFrame], pl.Series]
    encoding: str = "utf-8"
    bom: bool = False
    header: str = ""
    newline: str = "\n"
    step_ms: int = 1
    _path: str = ""
    _size: int = 0
    _generation: str = field(default="", repr=False)

    def append(self, folder: Path, day: date, rows: pl.DataFrame, key: SiteKey) -> pl.DataFrame:
        """Write one day's rows in order of time.

        Returns:
            `ep`, `t`, `event.id` of the rows that belong to an episode.
        """
        name = day.strftime(self.pattern)
        path = folder / name
        if name != self._path:
            self._path, self._size, self._generation = name, 0, ""
            path.parent.mkdir(parents=True, exist_ok=True)
            head = (self.header + self.newline if self.header else "").encode(self.encoding)
            head = (b"\xef\xbb\xbf" if self.bom else b"") + head
            path.unlink(missing_ok=True)  # of an earlier run; no system writes an empty log
            if head:
                path.write_bytes(head)
            self._size = len(head)
            if self.header:
                self._generation = generation(head)
        lines = self.write(rows)
        if not lines.len():
            return _none()
        data = (self.newline.join(lines.to_list()) + self.newline).encode(self.encoding)
        with path.open("ab") as file:
            file.write(data)
        starts = self._size + self._starts(lines, data)
        self._size += len(data)
        if not self._generation:
            self._generation = generation(data)
        marked = rows.get_column("ep").is_not_null()
        if not marked.any():
            return _none()
        chosen = marked.arg_true()
        # Ids are over the bytes as they stand in the file.
        raw = pl.Series([line.encode(self.encoding) for line in lines.gather(chosen).to_list()], dtype=pl.Binary)
        ids = event_ids(self.source, self._generation, pl.Series(starts[chosen.to_numpy()]), raw, key)
        return rows.filter(marked).select("ep", pl.col("t") // self.step_ms * self.step_ms).with_columns(ids)

    def _starts(self, lines: pl.Series, data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Place of each line in `data`; a quoted statement may hold line breaks of its own."""
        breaks = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
        inner = lines.str.count_matches("\n", literal=True).to_numpy()
        ends = breaks[np.cumsum(inner + 1) - 1] + 1
        return np.concatenate(([0], ends[:-1])).astype(np.int64)


def generation(head: bytes) -> str:
    """Hash of a file's first line without its end, as collectors compute it."""
    return hashlib.sha256(head.split(b"\n", 1)[0].rstrip(b"\r")).hexdigest()


def _none() -> pl.DataFrame:
    return pl.DataFrame(schema={"ep": pl.Int32, "t": pl.Int64, "event.id": pl.String})


def native() -> list[LogFile]:
    """All logs of the office except what agents send."""
    return [
        LogFile(
            "welfare-ops",
            "welfare/ops_%Y%m%d.csv",
            welfare,
            "cp932",
            header=WELFARE_HEADER,
            newline="\r\n",
            step_ms=1000,
        ),
        LogFile("disaster-ops", "disaster/audit-%Y-%m-%d.jsonl", disaster),
        LogFile(
            "auth-card",
            "auth/auth_%Y%m.txt",
            card,
            bom=True,
            header="日時|種別|結果|利用者ID|カード番号|認証方式|システム|端末|IP|セッション|理由",
            newline="\r\n",
            step_ms=1000,
        ),
        LogFile("file-server", "fileserver/fs-%Y%m%d.log", files, step_ms=1000),
        LogFile(
            "db-audit",
            "database/pgaudit-%Y%m%d.csv",
            database,
            header="log_time,user_name,database,client,command,object,statement,rows,duration_ms,ticket,result",
        ),
        LogFile(
            "doors",
            "doors/gate_%Y%m.tsv",
            door,
            header="通過日時\tゲート\tカード番号\t職員番号\t方向\t判定",
            step_ms=1000,
        ),
        LogFile("syslog", "servers/messages-%Y%m%d", syslog),
        LogFile("windows-security", "windows/security-%Y%m%d.json", windows),
        LogFile("web-access", "web/access.log-%Y%m%d", web, step_ms=1000),
    ]
