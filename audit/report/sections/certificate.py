"""Section 2: the certificate of analysis: what came in, what should have, by which versions it was looked at, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import polars as pl

from audit import runs as ledger
from audit import sections as shared
from audit.report import charts
from audit.report.draft import Draft
from audit.report.model import (
    Block,
    Cell,
    Chart,
    Column,
    Figure,
    Figures,
    Items,
    Notice,
    Section,
    Signature,
    Signatures,
    Table,
    Tone,
)
from audit.report.sources import Sources
from audit.usage import HEARTBEAT
from audit.wording import Words

ID: Final = "certificate"

# Heartbeats of one round, one per partition, are sealed in the same moment.
ROUND_MS: Final = 1000

HEAD_ROWS: Final = 40
_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("分析証明", "Certificate of analysis"),
    "received": ("受け取った記録", "Events received"),
    "declared": ("エージェントが送ったと申告した記録", "Events that agents declare"),
    "missing": ("申告に足りない記録", "Declared and not received"),
    "declared_note": (
        "定期通知（heartbeat）の申告と、その間に受け取った記録の番号とを比べた。",
        "From heartbeats, beside the numbers of the events received between them.",
    ),
    "no_beats": ("申告（heartbeat）を送るエージェントがないため、届いた記録が全部であるかは分からない。", "No agent sends heartbeats, so nobody can say whether all arrived."),
    "refused": ("読み取れなかった行", "Lines refused"),
    "silent": ("記録のなかった日（延べ）", "Source days without a record"),
    "sources": ("ログの取得元", "Sources"),
    "source": ("取得元", "Source"),
    "first": ("最初の記録", "First"),
    "last": ("最後の記録", "Last"),
    "lines": ("記録", "Events"),
    "silent_days": ("途切れた日", "Silent days"),
    "refused_lines": ("読み取れない行", "Refused"),
    "declared_source": ("申告", "Declared"),
    "yes": ("あり", "yes"),
    "no": ("なし", "no"),
    "began": (
        "{source} の記録は {at} に始まります。それより前については、何も証明されません。",
        "{source} begins on {at}; nothing is proven of the time before.",
    ),
    "ended": (
        "{source} の記録は {at} で終わります。それより後については、何も証明されません。",
        "{source} ends on {at}; nothing is proven of the time after.",
    ),
    "nothing": ("対象期間の記録が1件もありません。ログが届いていないか、分析の対象から漏れています。", "There is not one event of this period: no log arrived, or none was analysed."),
    "calendar": ("取得元ごと・日ごとの記録の有無", "Which source spoke on which day"),
    "calendar_alt": (
        "取得元 {sources} 件を {days} 日間について示す。休日を除き、記録のなかった日は延べ {gaps} 日。",
        "{sources} sources over {days} days; working days without a record: {gaps}.",
    ),
    "spoken_days": ("記録のあった日", "Days with records"),
    "which_days": ("途切れた日付", "Which"),
    "gaps": ("欠けと、その理由", "Gaps, and why"),
    "gap_what": ("内容", "What"),
    "from": ("から", "From"),
    "to": ("まで", "Until"),
    "state": ("確認の状況", "State"),
    "why": ("理由", "Reason"),
    "no_gaps": ("欠けは見つかりませんでした。", "No gap was found."),
    "open": ("未確認", "open"),
    "closed": ("確認済み", "closed"),
    "unasked": ("不明（監査データベースなし）", "not known (no audit database)"),
    "runs": ("分析の実施", "Runs"),
    "run": ("実施", "Run"),
    "kind": ("種類", "Kind"),
    "how": ("結果", "Result"),
    "by": ("実施者", "By"),
    "events": ("記録", "Events"),
    "findings": ("検知", "Findings"),
    "what": ("内容", "Outcome"),
    "analysis": ("分析", "analysis"),
    "report": ("報告", "report"),
    "verification": ("検証", "verification"),
    "token": ("トークンの照会", "token asked for"),
    "done": ("完了", "done"),
    "failed": ("失敗", "failed"),
    "crashed": ("中断", "crashed"),
    "running": ("実施中", "running"),
    "no_runs": ("この期間の分析の記録がありません。", "No run over this period is on record."),
    "runs_note": (
        "実施台帳にない分析（台帳なしで行ったもの）は、開始・終了の時刻が分からない。",
        "Of a run that is in no ledger, nobody knows when it was made.",
    ),
    "overdue": (
        "{since} までに行うはずの分析が、{until} まで行われていません。",
        "An analysis was due on {since} and had not been made until {until}.",
    ),
    "no_ledger": (
        "実施台帳（監査データベース）に分析の記録がないため、行わなかった分析があるかは分かりません。",
        "The ledger of runs holds no analysis, so nobody can say whether one was missed.",
    ),
    "versions": ("使用した版", "Versions used"),
    "part": ("部分", "Part"),
    "version": ("版", "Version"),
    "no_versions": ("版の記録がありません。", "No version is on record."),
    "looked": ("確認に当たった人", "People who looked"),
    "steps": ("記録された確認の行為", "Steps on record"),
    "no_people": ("監査データベースがないため、誰が確認したかは分からない。", "There is no audit database, so nobody knows who looked."),
    "problems": ("分析に際して分かった問題", "Problems that the analysis met"),
    "signatures": ("確認と承認", "Signatures"),
    "confirm": ("確認者", "Confirmed by"),
    "approve": ("承認者", "Approved by"),
    "sign_note": (
        "電子の署名は sekimori report --sign で行い、署名した内容の SHA-256 とともに監査データベースに残ります。",
        "Signed with sekimori report --sign, which keeps the SHA-256 of what was signed in the audit database.",
    ),
    "emergencies": ("宣言された緊急事態", "Declared emergencies"),
}  # fmt: skip


def section(sources: Sources, draft: Draft) -> Section:
    """Write it."""
    words = sources.words.extended(_PAIRS)
    coverage = sources.month.frames["coverage"].collect()
    analysed = shared.analysed(sources.month, words)
    blocks: list[Block] = [_figures(sources, coverage, analysed, words, draft)]
    if not analysed["events"]:
        blocks.append(Notice(words["nothing"], Tone.URGENT))
    blocks += _partial(sources, coverage, words)
    blocks += _sources(sources, coverage, words)
    blocks.append(_gaps(sources, words, draft))
    blocks += _runs(sources, words)
    blocks.append(_versions(analysed["versions"], words))
    if analysed["emergencies"]:
        blocks.append(Items(tuple(analysed["emergencies"]), title=words["emergencies"]))
    if analysed["problems"]:
        blocks.append(Items(tuple(analysed["problems"]), title=words["problems"]))
    blocks.append(_people(sources, words))
    lines = tuple(Signature(words[role]) for role in ("confirm", "approve"))
    blocks.append(Signatures(words["signatures"], lines, words["sign_note"]))
    return Section(ID, words["title"], tuple(blocks))


def declared(events: pl.LazyFrame) -> pl.DataFrame:
    """What agents say they sent, and what came of it.

    Args:
        events: With heartbeats.

    Returns:
        A row per agent and start of it, sorted: `agent.id`, `agent.boot`, `declared` (events, by all heartbeats but the first, whose
        count began before it), `received` (numbers that came between the first and the last heartbeat, each once).
    """
    boot = ["agent.id", "agent.boot"]
    numbered = events.filter(pl.all_horizontal(pl.col(*boot, "agent.seq").is_not_null()))
    beats = (
        numbered.filter(pl.col("event.class") == HEARTBEAT)
        .select(*boot, "agent.seq", "time.occurred", pl.col("resource.count").fill_null(0).cast(pl.Int64).alias("n"))
        .unique([*boot, "agent.seq"])
        .sort(*boot, "agent.seq")
        .collect(engine="streaming")
    )
    apart = (pl.col("time.occurred") - pl.col("time.occurred").shift(1)).over(boot)
    spans = (
        beats.with_columns((apart.is_null() | (apart >= ROUND_MS)).alias("_new"), apart.is_null().alias("_first"))
        .group_by(boot, maintain_order=True)
        .agg(
            pl.col("agent.seq").min().alias("_from"),
            pl.col("agent.seq").max().alias("_to"),
            pl.col("n").filter(pl.col("_new") & ~pl.col("_first")).sum().alias("declared"),
        )
    )
    received = (
        numbered.filter(pl.col("event.class") != HEARTBEAT)
        .select(*boot, "agent.seq")
        .join(spans.lazy(), on=boot)
        .filter(pl.col("agent.seq").is_between("_from", "_to"))
        .group_by(boot)
        .agg(pl.col("agent.seq").n_unique().cast(pl.Int64).alias("received"))
        .collect(engine="streaming")
    )
    return (
        spans.join(received, on=boot, how="left").select(*boot, "declared", pl.col("received").fill_null(0)).sort(boot)
    )


def _figures(sources: Sources, coverage: pl.DataFrame, analysed: dict[str, Any], words: Words, draft: Draft) -> Figures:
    events = sources.month.frames["events"]
    said = declared(events)
    total = int(said["declared"].sum() or 0) if said.height else None
    missing = int((said["declared"] - said["received"]).clip(lower_bound=0).sum()) if said.height else None
    silent = int(coverage["gap"].sum() or 0)
    lines = events.filter(pl.col("event.class") != HEARTBEAT)
    draft.events(f"{ID}.received", lines.select("event.id"))
    n = lines.select(pl.len()).collect(engine="streaming").item()
    note = words["declared_note"] if said.height else words["no_beats"]
    unit = words["items"]
    return Figures(
        (
            Figure(f"{ID}.received", words["received"], n, unit=unit),
            Figure(f"{ID}.declared", words["declared"], total, unit=unit, note=note),
            Figure(f"{ID}.missing", words["missing"], missing, unit=unit, tone=_tone(missing)),
            Figure(f"{ID}.refused", words["refused"], analysed["rejected"], unit=unit),
            Figure(f"{ID}.silent", words["silent"], silent, unit=words["unit_days"], tone=_tone(silent)),
        )
    )


def _tone(n: int | None) -> Tone:
    return Tone.LACKING if n is None else Tone.CHECK if n else Tone.GOOD


def _partial(sources: Sources, coverage: pl.DataFrame, words: Words) -> list[Block]:
    """Sources that began after the period did, or ended before; those of one day together."""
    begin, end = (sources.words.local(ms).date() for ms in (sources.period.begin, _until(sources)))
    spans = (
        coverage.filter(pl.col("first").is_not_null())
        .group_by("source.id")
        .agg(pl.col("first").min(), pl.col("last").max())
        .sort("source.id")
    )
    working = coverage.filter(~pl.col("day_off").fill_null(False))["date"].unique().sort().to_list()
    told: dict[tuple[str, date], list[str]] = {}
    for source, first, last in spans.iter_rows():
        begun, ended = sources.words.local(first).date(), sources.words.local(last).date()
        if any(begin <= day < begun for day in working):
            told.setdefault(("began", begun), []).append(source)
        if any(ended < day <= end for day in working):
            told.setdefault(("ended", ended), []).append(source)
    return [
        Notice(words.say(what, source=words.join(names), at=words.day(day)), Tone.LACKING)
        for (what, day), names in sorted(told.items())
    ]


def _until(sources: Sources) -> int:
    """The last moment that could be known of."""
    return max(sources.period.begin, min(sources.period.end, sources.as_of) - 1)


def _sources(sources: Sources, coverage: pl.DataFrame, words: Words) -> list[Block]:
    refused = dict(
        sources.month.frames["rejected"]
        .group_by(pl.col("source.id").fill_null("-"))
        .agg(pl.len().cast(pl.Int64))
        .collect(engine="streaming")
        .iter_rows()
    )
    sums = (
        coverage.group_by("source.id")
        .agg(
            pl.col("first").min(),
            pl.col("last").max(),
            pl.col("lines").sum(),
            pl.col("gap").sum(),
            pl.col("declared").first(),
        )
        .sort("source.id")
    )
    rows: list[tuple[Cell, ...]] = [
        (source, first, last, lines, gap, refused.pop(source, 0), words["yes" if named else "no"])
        for source, first, last, lines, gap, named in sums.iter_rows()
    ]
    rows += [(source, None, None, 0, None, n, words["no"]) for source, n in sorted(refused.items())]
    table = Table(
        f"{ID}.sources",
        words["sources"],
        (
            Column(words["source"], "id", 2),
            Column(words["first"], "moment", 3),
            Column(words["last"], "moment", 3),
            Column(words["lines"], "integer"),
            Column(words["silent_days"], "integer"),
            Column(words["refused_lines"], "integer"),
            Column(words["declared_source"], "text"),
        ),
        tuple(rows),
        words["nothing"],
    )
    return [table, _calendar(coverage, words)] if coverage.height else [table]


def _calendar(coverage: pl.DataFrame, words: Words) -> Chart:
    days: list[date] = coverage["date"].unique().sort().to_list()
    off = coverage.filter(pl.col("day_off").fill_null(False))["date"].unique().sort().to_list()
    drawn: list[charts.Row] = []
    rows: list[tuple[Cell, ...]] = []
    for (source,), part in coverage.sort("source.id", "date").group_by(["source.id"], maintain_order=True):
        spoken = part.filter(pl.col("lines") + pl.col("heartbeats") > 0)["date"]
        cells, silent = [], []
        for day, lines, gap in part.select("date", "lines", "gap").iter_rows():
            there = len(spoken) > 0 and spoken[0] <= day <= spoken[-1]
            cells.append(
                charts.Cell(lines, "gap" if gap and there else "absent" if gap else "" if lines else "off", "")
            )
            if gap:
                silent.append(day)
        total = sum(cell.value for cell in cells)
        drawn.append(charts.Row(str(source), cells, f"{total:,}"))
        rows.append((str(source), len(spoken), total, len(silent), words.join(_stretches(silent)) or None))
    gaps = int(coverage["gap"].sum() or 0)
    columns = (
        Column(words["source"], "id", 2),
        Column(words["spoken_days"], "integer"),
        Column(words["lines"], "integer"),
        Column(words["silent_days"], "integer"),
        Column(words["which_days"], "text", 4),
    )
    return Chart(
        f"{ID}.calendar",
        words["calendar"],
        words.say("calendar_alt", sources=len(drawn), days=len(days), gaps=gaps),
        charts.calendar(drawn, days, words.language, off),
        Table(f"{ID}.calendar_days", words["calendar"], columns, tuple(rows), words["nothing"]),
    )


def _stretches(days: Sequence[date]) -> list[str]:
    """Days in order, those that follow each other as one stretch: 03-02〜03-06, 03-09."""
    out: list[list[date]] = []
    for day in days:
        if out and (day - out[-1][-1]).days == 1:
            out[-1].append(day)
        else:
            out.append([day])
    return [f"{one[0]:%m-%d}〜{one[-1]:%m-%d}" if len(one) > 1 else f"{one[0]:%m-%d}" for one in out]


def _gaps(sources: Sources, words: Words, draft: Draft) -> Table:
    """Findings of missing evidence, in the order of time, each with what people found out."""
    cases = {row.found["uid"]: row.case for row in sources.in_period}
    mine = sources.month.findings.table.filter(pl.col("family") == "evidence").sort("first", "uid")
    title = f"title_{words.language}"
    rows = []
    for found in mine.iter_rows(named=True):
        case = cases.get(found["uid"])
        if not sources.kept:
            state, why = words["unasked"], None
        elif case is None or case.is_open:
            state, why = words["open"], None
        else:
            state, why = words["closed"], case.closing.text if case.closing else None
        rows.append((found[title], found["first"], found["last"], state, why))
    table = Table(
        f"{ID}.gaps",
        words["gaps"],
        (
            Column(words["gap_what"], "text", 4),
            Column(words["from"], "moment", 3),
            Column(words["to"], "moment", 3),
            Column(words["state"], "text", 2),
            Column(words["why"], "text", 3),
        ),
        tuple(rows),
        words["no_gaps"],
        head_rows=HEAD_ROWS,
    )
    full = sources.month.findings.in_full(mine["uid"].to_list())
    related = [one["uid"] for finding in full for one in finding["finding_info"]["related_events"]]
    draft.events(table.id, pl.LazyFrame({"event.id": sorted(set(related))}, schema={"event.id": pl.String}))
    return table


def _runs(sources: Sources, words: Words) -> list[Block]:
    mine = [one for one in sources.runs if _is_of(one, sources)]
    rows: list[tuple[Cell, ...]] = [
        (words[one.kind] if one.kind in _PAIRS else one.kind, one.began, one.ended, words[str(one.how)], one.by or None, one.events, one.findings, one.result or None)
        for one in mine
    ]  # fmt: skip
    rows += [
        (words["analysis"], None, None, words["done"], None, run.get("events"), None, run.get("run"))
        for run in sources.month.runs
        if not any(one.kind == ledger.ANALYSIS for one in mine)
    ]
    table = Table(
        f"{ID}.runs",
        words["runs"],
        (
            Column(words["kind"]),
            Column(words["from"], "moment", 3),
            Column(words["to"], "moment", 3),
            Column(words["how"]),
            Column(words["by"], "id", 2),
            Column(words["events"], "integer"),
            Column(words["findings"], "integer"),
            Column(words["what"], "text", 3),
        ),
        tuple(rows),
        words["no_runs"],
        words["runs_note"],
        head_rows=HEAD_ROWS,
    )
    if not any(one.kind == ledger.ANALYSIS for one in sources.runs):
        return [table, Notice(words["no_ledger"], Tone.LACKING)]
    period = sources.period
    late = ledger.missed(sources.runs, ledger.ANALYSIS, period.begin, period.end, sources.as_of, sources.every_ms)
    return [
        table,
        *(
            Notice(words.say("overdue", since=words.moment(since), until=words.moment(until)), Tone.URGENT)
            for since, until in late
        ),
    ]


def _is_of(run: ledger.Run, sources: Sources) -> bool:
    """Whether a run is over the period, or was made in it."""
    first, last = (
        (run.began, run.ended or run.began) if run.first is None or run.last is None else (run.first, run.last)
    )
    return first < sources.period.end and last >= sources.period.begin


def _versions(versions: Sequence[tuple[str, str]], words: Words) -> Table:
    return Table(
        f"{ID}.versions",
        words["versions"],
        (Column(words["part"], "id", 1), Column(words["version"], "id", 4)),
        tuple(versions),
        words["no_versions"],
    )


def _people(sources: Sources, words: Words) -> Figures:
    """How many looked, and how often; who did what stands with each finding."""
    steps = [one for row in sources.in_period for one in row.case.entries]
    note = "" if sources.kept else words["no_people"]
    return Figures(
        (
            Figure(f"{ID}.looked", words["looked"], len({one.by for one in steps}) if sources.kept else None, unit=words["persons"], note=note),
            Figure(f"{ID}.steps", words["steps"], len(steps) if sources.kept else None, unit=words["items"], note=note),
        )
    )  # fmt: skip
