"""Section 5: the five ledgers that the guideline names, row by row against the log, and the log against the rows.

The guideline on the proper handling of specific personal information (特定個人情報の適正な取扱いに関するガイドライン, organisational security measures,
取扱規程等に基づく運用) names what is to be recorded: use and output of files; take-out of documents and media; deletion and
disposal; where that is done by contractors, what proves it; and log-in and access of those in charge
(http://mynumber.okinawa-spot.com/core/archives/85 quotes the list).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from audit.controls import shown
from audit.report import charts, hours, ties
from audit.report.draft import Draft
from audit.report.headcount import MACHINES
from audit.report.model import Block, Cell, Chart, Column, Figure, Figures, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Sources
from audit.report.ties import Tied
from audit.sections import LEAST_PEOPLE
from audit.usage import HEARTBEAT
from audit.wording import Words

ID: Final = "ledgers"

HEAD_ROWS: Final = 20
# More of what nobody wrote down is not listed one by one; `--explain` has all of it.
MOST_ROWS: Final = 1000

# A ledger of the guideline, and the kinds of rows in it.
_LEDGERS: Final[Mapping[str, tuple[str, ...]]] = {
    "output": ("use", "output"),
    "take-out": ("take-out",),
    "disposal": ("disposal",),
    "contractor": ("contractor disposal",),
}
_NEEDS: Final = (
    "ledger",
    "ledger.date",
    "ledger.actor_id",
    "ledger.content",
    "ledger.target",
    "ledger.approved_by",
    "ledger.company",
)

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("取扱いの記録（五つの台帳）", "Records of handling (five ledgers)"),
    "lead": (
        "特定個人情報の適正な取扱いに関するガイドラインが記録を求める五つの事柄について、手書きの台帳（ledger.csv）の行とログを突き合わせます。"
        "同じ者（氏名のない行は同じ会社）の、前後{n}日以内の、同じ種類の操作を対応するものとし、媒体又は本人が特定されている行は、それが同じものに限ります。",
        "For the five things that the guideline wants recorded the rows of the hand-written ledger (ledger.csv) are compared with the log. A row and events belong together if "
        "they name the same person (a row without one: the same company), lie at most {n} day apart and are of the same kind; where a row names a medium or "
        "somebody on file, it must be the same one.",
    ),
    "no_ledger": ("台帳（ledger.csv）がないため、手書きの記録との突合はできません。", "There is no ledger.csv, so nothing can be compared with it."),
    "no_column": ("{need} がないため、突合又は記載事項の確認の一部ができません。", "{need} is not there, so part of the comparison cannot be made."),
    "output": ("1 利用・出力の記録", "1 Use and output"),
    "take-out": ("2 書類・媒体の持ち出しの記録", "2 Take-out of documents and media"),
    "disposal": ("3 削除・廃棄の記録", "3 Deletion and disposal"),
    "contractor": ("4 委託先による削除・廃棄の記録", "4 Deletion and disposal by contractors"),
    "access": ("5 ログイン・アクセスの記録", "5 Log-in and access"),
    "rows_n": ("{name}：台帳の行", "{name}: rows"),
    "alone_n": ("記録（ログ）のない行", "Rows without events"),
    "poor_n": ("記載事項の欠ける行", "Rows that lack something"),
    "unwritten_n": ("台帳に記載のない操作", "Events without a row"),
    "large_n": ("うち承認の要る件数（{n}件以上）", "of these, {n} records or more, which need approval"),
    "why_limit": ("site.toml に export_rows_needing_approval がない", "site.toml declares no export_rows_needing_approval"),
    "emergency": ("宣言された緊急時（{names}）を含む", "with declared emergencies in it: {names}"),
    "items": ("件", ""),
    "why_none": ("ledger.csv がない", "there is no ledger.csv"),
    "why_actor": ("ledger.csv に日付又は担当者の列がない", "ledger.csv has no dates or no persons"),
    "why_unseen": ("この種の操作がログに一件も記録されていない", "the log shows nothing of this kind"),
    "why_silent": ("対象期間のログがない", "the period holds no log"),
    "machines": ("自動処理による {n} 件を除く", "{n} by programs are left out"),
    "rows_head": ("{name}：台帳の行とログ", "{name}: rows of the ledger and the log"),
    "unwritten_head": ("{name}：台帳に記載のない操作", "{name}: events that no row speaks of"),
    "rows_none": ("対象期間の行はありません。", "The period has no row."),
    "unwritten_none": ("台帳に記載のない操作はありませんでした。", "There was none."),
    "unwritten_more": ("件数の多い順に {shown} 行を掲載。ほか {more} 行。", "The {shown} largest are shown, {more} more are left out."),
    "use_note": ("「利用」の行は、同じ者の操作の有無だけを見る。利用の記録はログそのもので、台帳に記載のない操作には数えない。", "Rows on use are only asked whether the person did anything: the log itself is the record of use."),
    "day": ("日", "Day"),
    "kind": ("種類", "Kind"),
    "k_use": ("利用", "use"),
    "k_output": ("出力", "output"),
    "k_take-out": ("持ち出し", "take-out"),
    "k_disposal": ("削除・廃棄", "disposal"),
    "k_contractor disposal": ("委託先の削除・廃棄", "disposal by a contractor"),
    "by": ("担当者", "By"),
    "content": ("内容", "Content"),
    "target": ("対象", "Target"),
    "approved_by": ("承認者", "Approved by"),
    "party": ("会社・持出先", "Company, destination"),
    "destination": ("持出先・送付先", "Destination"),
    "events": ("対応する記録", "Events"),
    "result": ("突合", "Result"),
    "exact": ("対象まで一致", "same target"),
    "likely": ("人と日が一致", "same person and day"),
    "alone": ("対応する記録なし", "no event"),
    "unknown": ("突合できない", "cannot be told"),
    "poor": ("記載の欠け", "Lacks"),
    "p_date": ("日付", "date"),
    "p_actor": ("担当者", "person"),
    "p_content": ("内容", "content"),
    "p_approved": ("承認者", "approval"),
    "p_self": ("承認者が本人", "approved by oneself"),
    "p_company": ("会社", "company"),
    "p_certificate": ("証明書の記載", "certificate"),
    "person": ("利用者", "Person"),
    "dept": ("所属", "Department"),
    "system": ("システム", "System"),
    "action": ("操作", "Action"),
    "medium": ("媒体", "Medium"),
    "n": ("記録", "Events"),
    "count": ("対象件数", "Records"),
    "a_print": ("印刷", "print"),
    "a_export": ("出力", "export"),
    "a_copy": ("複写", "copy"),
    "a_send": ("送信", "send"),
    "a_delete": ("削除", "delete"),
    # log-in and access
    "logons": ("ログイン", "Log-ons"),
    "failed": ("ログインの失敗", "Log-ons refused"),
    "accesses": ("利用者の操作", "What people did"),
    "outside": ("執務時間外・休日の操作", "Outside office hours"),
    "off": ("うち休日", "of these, on days off"),
    "no_hours": ("site.toml に執務時間（office_hours）がない", "site.toml declares no office_hours"),
    "no_calendar": ("site.toml に休日（holidays）がない", "site.toml declares no holidays"),
    "access_head": ("システムごとのログインとアクセス", "Log-ins and accesses by system"),
    "people": ("利用した人数", "People"),
    "denied": ("拒否・失敗", "Refused"),
    "work": ("操作", "Accesses"),
    "terminals": ("（端末）", "(terminals)"),
    "servers": ("（サーバ）", "(servers)"),
    "others": ("（申告のないシステム）", "(systems that nobody declared)"),
    "unnamed": ("（システム名のない記録）", "(events that name no system)"),
    "access_none": ("対象期間のログがありません。", "The period holds no log."),
    "access_note": ("人数が5人未満のときは空欄。端末・サーバは devices.csv にあるもの。", "Blank where it is fewer than five people. Terminals and servers are those of devices.csv."),
    "heat": ("曜日・時刻ごとの操作", "What people did by weekday and hour"),
    "heat_alt": (
        "利用者の操作 {total} 件を曜日と時刻で示す。最も多いのは{day}曜日の{hour}時台の {most} 件。執務時間外・休日は {outside}。",
        "{total} events of people by weekday and hour; most, {most}, on {day} from {hour}:00. Outside office hours: {outside}.",
    ),
    "not_known": ("不明", "not known"),
    "weekday": ("曜日", "Weekday"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """What every part of the section needs."""

    sources: Sources
    words: Words
    draft: Draft
    tied: Tied

    def column(self, word: str, kind: str = "text", weight: int = 1) -> Column:
        return Column(self.words[word], kind, weight)  # type: ignore[arg-type]  # the words above are the only callers

    @property
    def unwritten(self) -> str:
        """Why it cannot be said what is not in the ledger; empty: it can."""
        site = self.sources.site
        if not site.has("ledger"):
            return "why_none"
        return "" if site.has("ledger", "date", "actor_id") else "why_actor"


def section(sources: Sources, draft: Draft) -> Section:
    """The five ledgers.

    Figures: of each of the first four (`output`, `take-out`, `disposal`, `contractor`) `ledgers.<name>.rows`, `.alone`, `.poor`, `.unwritten`, with
    tables `.ledger` and `.log`; of the fifth `ledgers.logons`, `.failed`, `.accesses`, `.outside`, `.off`, the table `.systems` and the chart `.heat`.
    """
    words = sources.words.extended(_PAIRS)
    tied = ties.tied(sources.history, sources.site, sources.period.begin, sources.period.end)
    part = _Part(sources, words, draft, tied)
    blocks: list[Block] = [Paragraph(words.say("lead", n=ties.TOLERANCE_DAYS)), *_lacking(sources, words)]
    for name in _LEDGERS:
        blocks += _ledger(name, part)
    blocks += _access(part)
    return Section(ID, words["title"], tuple(blocks))


def _lacking(sources: Sources, words: Words) -> list[Notice]:
    site = sources.site
    if not site.has("ledger"):
        return [Notice(words["no_ledger"], Tone.LACKING)]
    missing = [need for need in _NEEDS if not site.has("ledger", *need.split(".")[1:])]
    return [Notice(words.say("no_column", need=shown(need, words.language)), Tone.LACKING) for need in missing]


def _figure(part: _Part, name: str, label: str, n: int, why: str, note: str = "") -> Figure:
    value = None if why else n
    tone = Tone.CHECK if value and not name.endswith("rows") else Tone.PLAIN
    return Figure(
        f"{ID}.{name}", label, value, unit=part.words["items"], note=part.words[why] if why else note, tone=tone
    )


def _ledger(name: str, part: _Part) -> list[Block]:
    """One of the four ledgers that are written by hand."""
    words, tied, kinds = part.words, part.tied, _LEDGERS[name]
    rows = tied.rows.filter(pl.col("kind").is_in(list(kinds)))
    seen = _seen(kinds, tied)
    told = rows.filter(pl.col("kind").is_in(sorted(seen)))
    absent = "" if part.sources.site.has("ledger") else "why_none"
    cannot = part.unwritten or ("why_unseen" if rows.height and not told.height else "")
    logged = kinds[-1]
    unwritten = tied.unwritten(logged)
    for of in ("unwritten", "log"):
        part.draft.events(f"{ID}.{name}.{of}", tied.events_of(unwritten))
    part.draft.events(f"{ID}.{name}.ledger", tied.events_of(tied.written(logged)))
    own = tied.doings.filter((pl.col("kind") == logged) & pl.col("person.type").is_in(MACHINES))
    machines = int(own["n"].sum() or 0)
    note = words.say("machines", n=machines) if machines else ""
    no_log = part.unwritten or ("" if "use" in tied.seen else "why_silent")
    figures = Figures((
        _figure(part, f"{name}.rows", words.say("rows_n", name=words[name]), rows.height, absent),
        _figure(part, f"{name}.alone", words["alone_n"], told.filter(pl.col("events") == 0).height, cannot),
        _figure(part, f"{name}.poor", words["poor_n"], rows.filter(pl.col("poor").list.len() > 0).height, absent),
        _figure(part, f"{name}.unwritten", words["unwritten_n"], int(unwritten["n"].sum() or 0), no_log, note),
        *([_large(part, unwritten, no_log)] if name == "output" else []),
    ))  # fmt: skip
    return [figures, _rows(name, rows, seen, part), _unwritten(name, unwritten, no_log, part)]


def _large(part: _Part, unwritten: pl.DataFrame, no_log: str) -> Figure:
    """What was put out without a row and is so much that the organisation's own rules want it approved."""
    limit = part.sources.site.config.limits.export_rows_needing_approval
    label = part.words.say("large_n", n="…" if limit is None else limit)
    part.draft.events(f"{ID}.output.large", _large_events(part, unwritten, limit))
    return _figure(
        part,
        "output.large",
        label,
        int(unwritten["large"].sum() or 0),
        no_log or ("why_limit" if limit is None else ""),
    )


def _large_events(part: _Part, unwritten: pl.DataFrame, limit: int | None) -> pl.LazyFrame:
    all_of_it = part.tied.events_of(unwritten.filter(pl.col("large") > 0))
    large = part.sources.month.frames["events"].filter(pl.col("resource.count") >= pl.lit(limit, pl.Int64))
    return large.join(all_of_it, on="event.id", how="semi").select("event.id")


def _seen(kinds: tuple[str, ...], tied: Tied) -> set[str]:
    """Kinds of rows that the log can speak of: it shows something that they may mean."""
    return {kind for kind in kinds if set(ties.SPEAKS_OF.get(kind, (kind,))) & tied.seen}


def _rows(name: str, rows: pl.DataFrame, seen: set[str], part: _Part) -> Table:
    words = part.words

    def result(row: dict[str, Any]) -> str:
        if row["events"]:
            return words["exact" if row["exact"] else "likely"]
        return words["alone" if row["kind"] in seen and row["day"] is not None and not part.unwritten else "unknown"]

    several = len(_LEDGERS[name]) > 1
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (
            row["day"].isoformat() if row["day"] else None, *([_kind(row["kind"], words)] if several else []), row["actor_id"], row["content"],
            row["target"], words.join([text for text in (row["company"], row["destination"]) if text]) or None, row["approved_by"],
            row["events"] if row["events"] or result(row) == words["alone"] else None, result(row),
            words.join([words[f"p_{one}"] for one in row["poor"]]) or None,
        )
        for row in rows.iter_rows(named=True)
    )  # fmt: skip
    columns = (
        part.column("day", "day", 4), *([part.column("kind", weight=2)] if several else []), part.column("by", "id", 3), part.column("content", weight=5),
        part.column("target", weight=3), part.column("party", weight=4), part.column("approved_by", "id", 3), part.column("events", "integer", 2),
        part.column("result", weight=3), part.column("poor", weight=3),
    )  # fmt: skip
    note = words["use_note"] if name == "output" else ""
    return Table(
        f"{ID}.{name}.ledger",
        words.say("rows_head", name=words[name]),
        columns,
        cells,
        words["rows_none"],
        note,
        HEAD_ROWS,
    )


def _kind(kind: str | None, words: Words) -> str:
    return words[f"k_{kind}"] if f"k_{kind}" in _PAIRS else kind or ""


def _unwritten(name: str, found: pl.DataFrame, no_log: str, part: _Part) -> Table:
    words, sources = part.words, part.sources
    by = ["date", "person.id", "system.id", "event.action", "media.id", "destination"]
    counted = found.group_by(by).agg(
        pl.col("person.dept").drop_nulls().last(), pl.col("n", "large").sum(), pl.when(pl.col("rows").is_not_null().any()).then(pl.col("rows").sum())
    )  # fmt: skip
    counted = counted.sort(-pl.col("large"), -pl.col("rows").fill_null(0), -pl.col("n"), *by, nulls_last=True)
    depts = sources.site.config.departments
    cells = tuple(
        (
            row["date"].isoformat(), row["person.id"], depts.get(row["person.dept"], row["person.dept"]), sources.month.system_name(row["system.id"]),
            words[f"a_{row['event.action']}"], row["media.id"], row["destination"], row["n"], row["rows"],
        )
        for row in counted.head(MOST_ROWS).iter_rows(named=True)
    )  # fmt: skip
    columns = (
        part.column("day", "day", 2), part.column("person", "id", 2), part.column("dept", weight=2), part.column("system", weight=2), part.column("action"),
        part.column("medium", "id", 2), part.column("destination", weight=2), part.column("n", "integer"), part.column("count", "integer"),
    )  # fmt: skip
    more = counted.height - MOST_ROWS
    note = words.say("unwritten_more", shown=MOST_ROWS, more=more) if more > 0 else ""
    title = words.say("unwritten_head", name=words[name])
    return Table(f"{ID}.{name}.log", title, columns, cells, words[no_log or "unwritten_none"], note, HEAD_ROWS)


def _access(part: _Part) -> list[Block]:
    """The fifth ledger, which the log itself is."""
    month = part.sources.month
    used = month.frames["usage"].collect()
    people = used.filter(~pl.col("person.type").fill_null("unknown").is_in(MACHINES))
    logons = people.filter(pl.col("event.action") == "logon")
    clock = hours.hours(month)
    silent = "why_silent" if used.is_empty() else ""
    _remember(used, clock, part)
    figures = Figures((
        _plain(part, "logons", int(logons.filter("ok")["n"].sum() or 0), silent),
        _plain(part, "failed", int(logons.filter(~pl.col("ok"))["n"].sum() or 0), silent),
        _plain(part, "accesses", clock.total, silent),
        _plain(part, "outside", clock.outside or 0, silent or ("no_hours" if clock.outside is None else ""), _emergencies(part)),
        _plain(part, "off", clock.on_days_off or 0, silent or ("no_calendar" if clock.on_days_off is None else "")),
    ))  # fmt: skip
    return [figures, _systems(people, part), _heat(clock, part)]


def _remember(used: pl.DataFrame, clock: hours.Hours, part: _Part) -> None:
    """The events behind figures of the fifth ledger."""
    machines = used.filter(pl.col("person.type").is_in(MACHINES))["actor.id"].unique().sort().implode()
    people = part.sources.month.frames["events"].filter(
        pl.col("event.class") != HEARTBEAT, ~pl.col("actor.id").is_in(machines).fill_null(False)
    )
    logons = people.filter(pl.col("event.action") == "logon")
    is_late = (pl.col("late") | pl.col("off")) if clock.outside is not None else pl.lit(False)
    behind = {
        "logons": logons.filter("ok"), "failed": logons.filter(~pl.col("ok")), "accesses": clock.events, "outside": clock.events.filter(is_late),
        "off": clock.events.filter("off"), "systems": people, "heat": clock.events,
    }  # fmt: skip
    for name, events in behind.items():
        part.draft.events(f"{ID}.{name}", events.select("event.id"))


def _plain(part: _Part, name: str, n: int, why: str, note: str = "") -> Figure:
    words = part.words
    return Figure(
        f"{ID}.{name}", words[name], None if why else n, unit=words["items"], note=words[why] if why else note
    )


def _emergencies(part: _Part) -> str:
    """Declared emergencies in the period, in which work at any hour is expected."""
    period = part.sources.period
    declared = part.sources.month.frames["emergencies"].collect()
    until = pl.col("to").is_null() | (pl.col("to") >= period.begin)
    names = declared.filter((pl.col("from") < period.end) & until)["name"].unique().sort().to_list()
    return part.words.say("emergency", names=part.words.join(names)) if names else ""


def _systems(people: pl.DataFrame, part: _Part) -> Table:
    """Log-ins and accesses by declared system; terminals, servers and the rest together."""
    words, site = part.words, part.sources.site
    devices = site.tables["devices"]
    named = [words[name] for name in ("terminals", "servers", "others", "unnamed")]
    servers = sorted(devices.filter(pl.col("kind") == "server")["device_id"].drop_nulls())
    others = sorted(devices.filter(pl.col("kind") != "server")["device_id"].drop_nulls())
    names = {name: part.sources.month.system_name(name) or name for name in site.config.systems}
    system = pl.col("system.id")
    where = (
        pl.when(system.is_null()).then(pl.lit(named[3])).when(system.is_in(sorted(names))).then(system.replace(names))
        .when(system.is_in(servers)).then(pl.lit(named[1])).when(system.is_in(others)).then(pl.lit(named[0])).otherwise(pl.lit(named[2]))
    )  # fmt: skip
    logon, ok, n = pl.col("event.action") == "logon", pl.col("ok"), pl.col("n")
    counted = people.group_by(where.alias("where")).agg(
        pl.col("person.id").drop_nulls().n_unique().cast(pl.Int64).alias("people"), n.filter(logon & ok).sum().alias("logons"), n.filter(logon & ~ok).sum().alias("failed"),
        n.filter(ok & (pl.col("event.class") != "authentication")).sum().alias("work"), n.filter(~ok & ~logon).sum().alias("denied"),
    )  # fmt: skip
    order = {name: place for place, name in enumerate([*names.values(), *named])}
    rows = sorted(counted.iter_rows(), key=lambda row: order[row[0]])
    cells = tuple(
        (where, heads if heads >= LEAST_PEOPLE else None, logons, failed, work, denied)
        for where, heads, logons, failed, work, denied in rows
    )
    columns = (
        part.column("system", weight=3), part.column("people", "integer"), part.column("logons", "integer"), part.column("failed", "integer"),
        part.column("work", "integer"), part.column("denied", "integer"),
    )  # fmt: skip
    return Table(f"{ID}.systems", words["access_head"], columns, cells, words["access_none"], words["access_note"])


def _heat(clock: hours.Hours, part: _Part) -> Chart:
    words = part.words
    most, day, hour = max((n, -day, -hour) for day, row in enumerate(clock.matrix) for hour, n in enumerate(row))
    days = "月火水木金土日" if words.language == "ja" else ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    outside = words["not_known"] if clock.outside is None else f"{clock.outside:,}{words['items']}"
    alt = (
        words.say("heat_alt", total=clock.total, day=days[-day], hour=-hour, most=most, outside=outside)
        if clock.total
        else words["access_none"]
    )
    columns = (part.column("weekday"), *(Column(f"{one}", "integer") for one in range(24)))
    rows: list[tuple[Cell, ...]] = (
        [(days[place], *row) for place, row in enumerate(clock.matrix)] if clock.total else []
    )
    data = Table(f"{ID}.heat.data", words["heat"], columns, tuple(rows), words["access_none"])
    return Chart(f"{ID}.heat", words["heat"], alt, charts.heat(clock.matrix, clock.declared, words.language), data)
