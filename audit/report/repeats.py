"""People of whom findings come again and again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from audit.cases import DAY_MS, Code
from audit.desk import Row
from audit.report import details, people
from audit.report.draft import Draft
from audit.report.model import Block, Column, Notice, Table, Tone
from audit.report.sources import Sources
from audit.wording import Words

SHORT_DAYS: Final = 90
LONG_DAYS: Final = 365
LEAST: Final = 2
HEAD_ROWS: Final = 20
MOST_NAMES: Final = 3
_SLACK: Final = timedelta(days=7)  # a long holiday is no lack of records

CONFIRMED: Final = (Code.MISUSE, Code.MISTAKE)
DISMISSED: Final = (Code.PROPER, Code.TEST)

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "repeats": ("検知が重なっている利用者", "People found again and again"),
    "repeats_note": (
        "直近{short}日と{long}日に警報又は要確認が2件以上ある利用者。正当な利用又は試験と判断されたものは数えない（「正当」の欄に示す）。"
        "複数の利用者を含む検知は全員に数える（IDを試された側を含むことがある）。直近{long}日のうち、分析した記録があるのは{days}日。",
        "Two or more alerts or review items in the last {short} or {long} days. What was found to be proper or a test does not count (it stands "
        "under Proper). A finding about several people counts for each, also for those whose id somebody tried. Records were analysed of {days} of "
        "these {long} days.",
    ),
    "repeats_none": ("検知が2件以上ある利用者はいません。", "Nobody was found twice."),
    "repeats_short": (
        "分析した記録は {day} より前にないため、{n}日間の件数は、それより短い期間のものです。",
        "There are no analysed records before {day}: the counts of {n} days are of less.",
    ),
    "repeats_unknown": (
        "分析した記録が1件もないため、検知の重なりは分かりません。",
        "No record was analysed, so nothing is known of who was found again.",
    ),
    "in_days": ("{n}日間", "{n} days"),
    "in_period": ("対象期間", "Period"),
    "confirmed": ("不正・誤り", "Confirmed"),
    "dismissed": ("正当", "Proper"),
    "waits": ("判断待ち", "Open"),
    "newest": ("最も新しい検知", "Newest"),
    "families": ("主な類型", "Mostly"),
}  # fmt: skip

_FACTS: Final = {
    "uid": pl.String(), "time": pl.Int64(), "family": pl.String(), "confirmed": pl.Boolean(), "dismissed": pl.Boolean(),
    "open": pl.Boolean(),
}  # fmt: skip


def repeated(rows: Sequence[Row], actors: pl.DataFrame, begin: int, end: int) -> pl.DataFrame:
    """Count findings by person. One that people found to be proper use or a test counts for nothing but `dismissed`.

    Args:
        rows: Findings for people with their cases, of any time before `end`.
        actors: Who acted in them, as `people.of_rows` says.
        begin, end: The period, UTC milliseconds.

    Returns:
        One row per person with at least `LEAST` findings in the last `LONG_DAYS` days before `end`, most of the last `SHORT_DAYS` first:
        `person.id`, `person.dept` (the newest known), `actor.id` (accounts, sorted), `period`, `short`, `long` (counts), `confirmed`,
        `dismissed`, `open` (of the long span), `last` (UTC ms), `families` (most frequent first), `uids` (of `long`, sorted).
    """
    since = end - LONG_DAYS * DAY_MS
    facts = [_facts(row) for row in rows if since <= row.found["time"] < end]
    frame = pl.DataFrame(facts, schema=_FACTS, orient="row").join(actors, on="uid", how="inner", maintain_order="left")
    once = frame.sort("time", "uid", "actor.id").unique(["person.id", "uid"], keep="first", maintain_order=True)
    counts, short = ~pl.col("dismissed"), pl.col("time") >= end - SHORT_DAYS * DAY_MS
    summed = once.group_by("person.id", maintain_order=True).agg(
        pl.col("person.dept").drop_nulls().last(),
        (counts & (pl.col("time") >= begin)).sum().alias("period"),
        (counts & short).sum().alias("short"),
        counts.sum().alias("long"),
        pl.col("confirmed", "dismissed", "open").sum(),
        pl.col("time").filter(counts).max().alias("last"),
        pl.col("uid").filter(counts).sort().alias("uids"),
    )
    accounts = frame.group_by("person.id").agg(pl.col("actor.id").unique().sort())
    families = once.filter(counts & pl.col("family").is_not_null()).group_by("person.id", "family").len()
    families = (
        families.sort("len", "family", descending=[True, False])
        .group_by("person.id", maintain_order=True)
        .agg(pl.col("family").alias("families"))
    )
    for part in (accounts, families):
        summed = summed.join(part, on="person.id", how="left", maintain_order="left")
    order = ["short", "long", "last", "person.id"]
    return summed.filter(pl.col("long") >= LEAST).sort(order, descending=[True, True, True, False])


def blocks(sources: Sources, rows: Sequence[Row], actors: pl.DataFrame, draft: Draft, words: Words) -> list[Block]:
    """The table of these people, and how far back it can be known.

    Args:
        sources: What the report is written from.
        rows: Findings for people up to the period's end.
        actors: Who acted in them (`people.of_rows`).
        draft: What remembers events.
        words: With `PAIRS`.
    """
    end = sources.period.end
    since = end - LONG_DAYS * DAY_MS
    spoken = (
        sources.history.filter(pl.col("time.occurred") >= since).select("date").unique().collect(engine="streaming")
    )
    if spoken.is_empty():
        return [Notice(words["repeats_unknown"], Tone.LACKING)]
    frame = repeated(rows, actors, sources.period.begin, end)
    found = details.of_rows(rows, sources.month.folder)
    draft.events("findings.repeats", details.behind(found, frame["uids"].explode().drop_nulls().unique().sort()))
    out: list[Block] = [_table(frame, spoken.height, sources, words)]
    first = spoken["date"].min()
    assert isinstance(first, date)
    short = [n for n in (SHORT_DAYS, LONG_DAYS) if first > sources.words.local(end - n * DAY_MS).date() + _SLACK]
    if short:
        days = words.join([str(n) for n in short])
        out.append(Notice(words.say("repeats_short", day=words.day(first), n=days), Tone.LACKING))
    return out


def _table(frame: pl.DataFrame, days: int, sources: Sources, words: Words) -> Table:
    rows = []
    for row in frame.iter_rows(named=True):
        names = people.listed(row["actor.id"], words, MOST_NAMES)
        decided = (row["confirmed"], row["dismissed"], row["open"]) if sources.kept else (None, None, None)
        families = [words.family(one) for one in (row["families"] or [])[:MOST_NAMES]]
        rows.append(
            (
                people.shown(names, row["person.id"], row["person.dept"], sources.site, words),
                row["period"], row["short"], row["long"], *decided, row["last"], words.join(families),
            )
        )  # fmt: skip
    counts = ("in_period", "confirmed", "dismissed", "waits")
    integers = {name: Column(words[name], "integer") for name in counts}
    columns = (
        Column(words["who"], weight=4), integers["in_period"], Column(words.say("in_days", n=SHORT_DAYS), "integer"),
        Column(words.say("in_days", n=LONG_DAYS), "integer"), integers["confirmed"], integers["dismissed"], integers["waits"],
        Column(words["newest"], "moment", 2), Column(words["families"], weight=3),
    )  # fmt: skip
    note = words.say("repeats_note", short=SHORT_DAYS, long=LONG_DAYS, days=days)
    return Table("findings.repeats", words["repeats"], columns, tuple(rows), words["repeats_none"], note, HEAD_ROWS)


def _facts(row: Row) -> tuple[object, ...]:
    decided = None if row.case.is_open or row.case.closing is None else row.case.closing.code
    return (
        row.found["uid"], row.found["time"], row.found["family"], decided in CONFIRMED, decided in DISMISSED, row.case.is_open,
    )  # fmt: skip


def _ranked(counts: pl.Series) -> list[str]:
    rows = [(one["family"], one["count"]) for one in counts.to_list()]
    return [name for name, _ in sorted(rows, key=lambda one: (-one[1], one[0]))]
