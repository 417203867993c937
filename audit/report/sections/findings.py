"""What was found: by kind and severity, day by day, the serious ones in plain words, and what became of them."""

from __future__ import annotations

from typing import Final

import polars as pl

from audit import sections
from audit.desk import Row
from audit.findings import SUPPRESSED
from audit.report import cards, charts, details, handling, people, repeats
from audit.report.draft import Draft
from audit.report.model import Block, Cards, Chart, Column, Figure, Figures, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Sources
from audit.wording import Words
from registers.calendar import Calendar

HEAD_CARDS: Final = 20
# Beyond so many only the table says the rest: a card is a third of a page.
MOST_CARDS: Final = 300
GRAVE: Final = 4  # severity from which a finding has a card, whoever looks at it
QUEUES: Final = ("alert", "review", "digest")

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    **cards.PAIRS,
    **handling.PAIRS,
    **repeats.PAIRS,
    "lead": (
        "対象期間に検知した事項と、それについて職員が行った確認を示します。件数は検知の数であり、人数でも、不正の数でもありません。",
        "What was found in the period, and what people did about it. Counts are of findings: neither of people nor of misuse.",
    ),
    "silent": (
        "対象期間の記録が1件もありません。検知がないことは、問題がなかったことを意味しません。",
        "The period holds not one record. That nothing was found does not mean that nothing happened.",
    ),
    "silent_note": ("対象期間の記録がない", "the period holds no record"),
    "n_total": ("検知の総数", "Findings"),
    "n_total_note": ("説明済みとして控えたものを除く", "without those that were held back"),
    "n_alert": ("警報", "Alerts"),
    "n_alert_note": ("直ちに確認するもの", "to be looked at at once"),
    "n_review": ("要確認", "For review"),
    "n_review_note": ("週のうちに確認するもの", "to be looked at within the week"),
    "n_digest": ("参考", "Digest"),
    "n_digest_note": ("月の報告で見るもの", "looked at in this report"),
    "n_suppressed": ("控えたもの", "Held back"),
    "n_suppressed_note": (
        "規則が認める理由（緊急対応の宣言など）が記録されていたもの",
        "a reason that the rule accepts, such as a declared emergency, is on record",
    ),
    "matrix": ("類型と重要度", "By family and severity"),
    "over_time": ("日ごとの検知件数", "Findings day by day"),
    "over_time_alt": ("{days}日間に{n}件。", "{n} findings in {days} days."),
    "over_time_most": ("最も多い日は{day}の{n}件。", " Most on {day}: {n}."),
    "over_time_note": (
        "「－」は、開庁日でありながら記録が1件もなく、検知の有無が分からない日。",
        "A dash: an office day without any record, of which nothing is known.",
    ),
    "day": ("日", "Day"),
    "cards_title": (
        "重大な検知（警報、又は重要度「高」以上）の内容と対応",
        "Serious findings (alerts, and severity high or critical), and what was done about them",
    ),
    "cards_cut": (
        "重大な検知が {n} 件あります。ここには重い方から {shown} 件を示し、残りは findings.ndjson と sekimori case list で確認できます。",
        "There are {n} serious findings. The worst {shown} are shown; the rest is in findings.ndjson and sekimori case list.",
    ),
    "cards_none": ("重大な検知はありませんでした。", "There was no serious finding."),
}  # fmt: skip


def section(sources: Sources, draft: Draft) -> Section:
    """Write the section."""
    words = sources.words.extended(_PAIRS)
    rows = [row for row in sources.rows if is_for_people(row)]
    actors = people.of_rows(rows, sources.month.findings.table, sources.site)
    blocks: list[Block] = [
        Paragraph(words["lead"]),
        *([Notice(words["silent"], Tone.LACKING)] if sources.is_silent else []),
        _counted(sources, draft, words),
        _matrix(sources, draft, words),
        _over_time(sources, draft, words),
        *handling.blocks(sources, rows, actors, draft, words),
        *_cards(sources, rows, actors, draft, words),
        *repeats.blocks(sources, rows, actors, draft, words),
    ]
    return Section("findings", words["findings"], tuple(blocks))


def is_for_people(row: Row) -> bool:
    """Whether a finding waits, or waited, for somebody to look at it."""
    return row.found["queue"] in ("alert", "review") and row.found["status"] != SUPPRESSED


def _counted(sources: Sources, draft: Draft, words: Words) -> Figures:
    """How many findings there were, by who looks at them."""
    found = sources.month.findings
    shown = pl.col("status") != SUPPRESSED
    parts = {"total": shown} | {name: shown & (pl.col("queue") == name) for name in QUEUES} | {"suppressed": ~shown}
    # Silence itself may be found; but where nothing was, nothing was looked at.
    unknown = sources.is_silent and found.table.is_empty()
    figures = []
    for name, which in parts.items():
        uids = found.table.filter(which)["uid"]
        draft.events(f"findings.{name}", details.behind(found, uids))
        note = words["silent_note" if unknown else f"n_{name}_note"]
        value, tone = (None, Tone.LACKING) if unknown else (uids.len(), Tone.PLAIN)
        figures.append(Figure(f"findings.{name}", words[f"n_{name}"], value, unit=words["items"], note=note, tone=tone))
    return Figures(tuple(figures))


def _matrix(sources: Sources, draft: Draft, words: Words) -> Table:
    found = sources.month.findings
    draft.events("findings.matrix", details.behind(found, found.table.filter(pl.col("status") != SUPPRESSED)["uid"]))
    matrix = sections.matrix(sources.month, words)
    rows = [(family, *counts, total) for family, counts, total in matrix["rows"]]
    if rows:
        rows.append((words["sum"], *matrix["sums"], matrix["total"]))
    numbers = [Column(name, "integer") for name in (*matrix["severities"], words["sum"])]
    columns = (Column(words["family"], weight=4), *numbers)
    return Table("findings.matrix", words["matrix"], columns, tuple(rows), words["no_findings"], words["findings_lead"])


def _over_time(sources: Sources, draft: Draft, words: Words) -> Chart:
    """By day and queue; of an office day without any record it is not known what would have been found."""
    found = sources.month.findings
    shown = found.table.filter((pl.col("status") != SUPPRESSED) & pl.col("queue").is_in(QUEUES))
    draft.events("findings.over_time", details.behind(found, shown["uid"]))
    day = Calendar(sources.site.config).local(pl.col("time")).dt.date().alias("date")
    counts = shown.group_by(day).agg((pl.col("queue") == name).sum().cast(pl.Int64).alias(name) for name in QUEUES)
    silent = ((pl.col("lines").sum() + pl.col("heartbeats").sum()) == 0) & ~pl.col("day_off").first().fill_null(False)
    days = sources.month.frames["coverage"].group_by("date").agg(silent.alias("silent"), pl.col("day_off").first())
    # Of a period that is not over, days to come hold nothing yet.
    past = days.collect().filter(pl.col("date") <= words.local(sources.as_of).date())
    table = past.join(counts, on="date", how="full", coalesce=True).sort("date")
    known = ~pl.col("silent").fill_null(False)
    table = table.with_columns(pl.when(known).then(pl.col(name).fill_null(0)).otherwise(name) for name in QUEUES)
    dates, off = table["date"].to_list(), table.filter(pl.col("day_off").fill_null(False))["date"].to_list()
    series = [charts.Series(words[f"queue_{name}"], table[name].to_list()) for name in QUEUES]
    rows = table.select(pl.col("date").cast(pl.String), *QUEUES).rows()
    columns = (Column(words["day"], "day", 2), *(Column(words[f"queue_{name}"], "integer") for name in QUEUES))
    return Chart(
        "findings.over_time",
        words["over_time"],
        _over_time_alt(table, words),
        charts.over_time(dates, series, words.language, off),
        Table(
            "findings.over_time_data", words["over_time"], columns, tuple(rows), words["no_findings"],
            words["over_time_note"], head_rows=0,
        ),
    )  # fmt: skip


def _over_time_alt(table: pl.DataFrame, words: Words) -> str:
    totals = table.select("date", pl.sum_horizontal(QUEUES).alias("n")).sort("n", "date", descending=[True, False])
    told = words.say("over_time_alt", n=int(totals["n"].sum()), days=table.height)
    if totals.height and totals["n"][0]:
        told += words.say("over_time_most", day=words.day(totals["date"][0], year=False), n=int(totals["n"][0]))
    return told


def _cards(sources: Sources, rows: list[Row], actors: pl.DataFrame, draft: Draft, words: Words) -> list[Block]:
    """The worst in plain words: `rows` stand so already."""
    begin = sources.period.begin
    grave = [
        row for row in rows if row.found["time"] >= begin and (row.found["is_alert"] or row.found["severity"] >= GRAVE)
    ]
    shown = grave[:MOST_CARDS]
    promises = {
        f"{pia}/{control.id}": control.title[words.language]
        for pia, assessment in sources.catalogue.assessments.items()
        for control in assessment.controls
    }
    context = cards.Context(sources.month, sources.limits, actors, promises, sources.kept, words)
    found = sources.month.findings
    uids = [row.found["uid"] for row in shown]
    draft.events("findings.cards", details.behind(found, uids))
    for uid in uids:
        draft.events(uid, details.behind(found, [uid]))
    out: list[Block] = [
        Cards("findings.cards", words["cards_title"], cards.cards(shown, context), words["cards_none"], HEAD_CARDS)
    ]
    if len(shown) < len(grave):
        out.insert(0, Notice(words.say("cards_cut", n=len(grave), shown=len(shown)), Tone.CHECK))
    return out
