"""What people did about findings: how soon they looked and decided, what is still open, what is late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from audit.cases import DAY_MS
from audit.desk import Row
from audit.report import casework, charts, details, people, waits
from audit.report.draft import Draft
from audit.report.model import Block, Cell, Chart, Column, Figure, Figures, Notice, Paragraph, Table, Tone
from audit.report.sources import Sources
from audit.wording import Words

HEAD_ROWS: Final = 20
MOST_NAMES: Final = 3

PAIRS: Final[dict[str, tuple[str, str]]] = {
    **casework.PAIRS,
    "not_kept": (
        "監査データベース（audit.toml の audit.database）がないため、確認・判断・期限については何も分かりません。",
        "There is no audit database (audit.database in audit.toml), so nothing is known of who looked, what was decided, or what is late.",
    ),
    "handling_lead": (
        "警報と要確認の検知について、{moment} までに行われた確認と判断は次のとおりです。",
        "What was done about alerts and review items until {moment}:",
    ),
    "need_database": ("監査データベースがない", "there is no audit database"),
    "n_looked": ("確認に着手した検知", "Looked at"),
    "n_looked_note": ("対象期間の警報と要確認 {n} 件のうち", "of {n} alerts and review items of the period"),
    "n_decided": ("判断した検知", "Decided"),
    "n_open": ("判断が済んでいない検知", "Still open"),
    "n_open_note": ("前の期間からの {n} 件を含む", "{n} of them from before the period"),
    "n_overdue": ("期限を過ぎた検知", "Overdue"),
    "n_overdue_note": ("報告書の作成時点", "when this report was made"),
    "look_median": ("最初の確認まで（中央値）", "To the first look (median)"),
    "decide_median": ("判断まで（中央値）", "To the decision (median)"),
    "of_done": ("済んだ {n} 件について", "of the {n} that were done"),
    "none_done": ("済んだものがない", "none was done"),
    "waiting": ("判断までの日数", "Time to decision"),
    "waiting_alt": (
        "対象期間の警報と要確認 {n} 件のうち、判断済み {done} 件、判断待ち {open} 件。期限 {limit} 日を超えたもの {late} 件。",
        "Of {n} alerts and review items of the period, {done} are decided and {open} are open; {late} went beyond the {limit} days allowed.",
    ),
    "up_to": ("{n}日以内", "{n} d or less"),
    "longer": ("{n}日超", "over {n} d"),
    "length": ("期間", "Length"),
    "decided": ("判断済み", "Decided"),
    "still_open": ("判断待ち", "Open"),
    "times": ("最初の確認と判断までの時間", "How soon people looked and decided"),
    "times_note": (
        "期限内の割合は、済んだものと期限を過ぎたものの合計に対する割合。まだ期限の来ていないものは含めない。",
        "Shares are of what was done or should have been; what is not due yet does not count.",
    ),
    "step_look": ("最初の確認", "first look"),
    "step_decide": ("判断", "decision"),
    "step": ("段階", "Step"),
    "limit": ("期限", "Allowed"),
    "done": ("済", "Done"),
    "not_done": ("未", "Not yet"),
    "median": ("中央値", "Median"),
    "longest": ("最長", "Longest"),
    "in_time": ("期限内の割合", "In time"),
    "no_waits": ("対象期間に警報も要確認の検知もありませんでした。", "The period has neither alerts nor review items."),
    "open_title": ("判断が済んでいない検知", "What is still open"),
    "open_note": (
        "期限を過ぎたものを先に、その他を重大な順に示します。前の期間の検知も含みます。",
        "What is late comes first, then the worst; findings of earlier periods are included.",
    ),
    "open_none": ("すべての警報と要確認の検知について判断が済んでいます。", "Everything is decided."),
    "found_at": ("検知", "Found"),
    "late": ("遅れ", "Late"),
    "late_for": ("期限", "Due since"),
}  # fmt: skip


def blocks(sources: Sources, rows: Sequence[Row], actors: pl.DataFrame, draft: Draft, words: Words) -> list[Block]:
    """Figures, waiting times and what is open; without an audit database only that nothing is known.

    Args:
        sources: What the report is written from.
        rows: Findings for people up to the period's end, the worst first.
        actors: Who acted in them (`people.of_rows`).
        draft: What remembers events.
        words: With `PAIRS`.
    """
    ours = [row for row in rows if row.found["time"] >= sources.period.begin]
    found = details.of_rows(rows, sources.month.folder)
    if not sources.kept:
        return [Notice(words["not_kept"], Tone.LACKING), _unknown(words)]
    opened = [row for row in rows if row.case.is_open]
    figures = {
        "looked": [row for row in ours if row.case.seen is not None],
        "decided": [row for row in ours if not row.case.is_open],
        "open": opened,
        "overdue": [row for row in opened if row.late is not None],
    }
    for name, some in figures.items():
        draft.events(f"findings.{name}", details.behind(found, _uids(some)))
    for name in ("waiting", "times", "look_median", "decide_median"):
        draft.events(f"findings.{name}", details.behind(found, _uids(ours)))
    draft.events("findings.open_cases", details.behind(found, _uids(opened)))
    return [
        Paragraph(words.say("handling_lead", moment=words.moment(sources.as_of))),
        _figures({name: len(some) for name, some in figures.items()}, ours, opened, sources, words),
        _chart(ours, sources, words),
        _times(ours, sources, words),
        _open(opened, actors, sources, words),
    ]


def _uids(rows: Iterable[Row]) -> list[str]:
    return [row.found["uid"] for row in rows]


def _unknown(words: Words) -> Figures:
    names = ("looked", "decided", "open", "overdue")
    return Figures(
        tuple(
            Figure(f"findings.{name}", words[f"n_{name}"], None, note=words["need_database"], tone=Tone.LACKING)
            for name in names
        )
    )


def _figures(counts: dict[str, int], ours: Sequence[Row], opened: Sequence[Row], sources: Sources, words: Words) -> Figures:  # fmt: skip
    before = sum(row.found["time"] < sources.period.begin for row in opened)
    of = words.say("n_looked_note", n=len(ours))
    notes = {
        "looked": of,
        "decided": of,
        "open": words.say("n_open_note", n=before),
        "overdue": words["n_overdue_note"],
    }
    tones = {"open": Tone.CHECK, "overdue": Tone.URGENT}
    out = [
        Figure(
            f"findings.{name}", words[f"n_{name}"], n, unit=words["items"], note=notes[name],
            tone=tones.get(name, Tone.PLAIN) if n else Tone.PLAIN,
        )
        for name, n in counts.items()
    ]  # fmt: skip
    for name, some in (("look", _looks(ours, sources)), ("decide", _decisions(ours, sources))):
        note = words.say("of_done", n=len(some.took)) if some.took else words["none_done"]
        out.append(Figure(f"findings.{name}_median", words[f"{name}_median"], some.median, "duration", note=note))
    return Figures(tuple(out))


def _looks(rows: Iterable[Row], sources: Sources) -> waits.Waits:
    return waits.to_look(rows, sources.limits, sources.as_of)


def _decisions(rows: Iterable[Row], sources: Sources) -> waits.Waits:
    return waits.to_decide(rows, sources.limits, sources.as_of)


def _chart(ours: Sequence[Row], sources: Sources, words: Words) -> Chart:
    some, limit = _decisions(ours, sources), sources.limits.decide_ms
    rows = []
    for place, (edge, done, open_) in enumerate(waits.buckets(some)):
        label = words.say("up_to", n=edge) if edge is not None else words.say("longer", n=waits.DAYS[-1])
        begins = waits.DAYS[place - 1] * DAY_MS if place else 0
        rows.append(charts.Wait(label, done, open_, begins >= limit))
    late = sum(one > limit for one in (*some.took, *some.waiting))
    alt = words.say("waiting_alt", n=len(ours), done=len(some.took), open=len(some.waiting), late=late, limit=limit // DAY_MS)  # fmt: skip
    columns = (Column(words["length"], weight=2), Column(words["decided"], "integer"), Column(words["still_open"], "integer"))  # fmt: skip
    data = tuple((row.label, row.decided, row.open) for row in rows)
    table = Table("findings.waiting_data", words["waiting"], columns, data, words["no_waits"], head_rows=0)
    return Chart("findings.waiting", words["waiting"], alt, charts.waiting(rows, words.language), table)


def _times(ours: Sequence[Row], sources: Sources, words: Words) -> Table:
    """One row per queue and step."""
    rows: list[tuple[Cell, ...]] = []
    for queue, most in sources.limits.look_ms.items():
        mine = [row for row in ours if row.found["queue"] == queue]
        for step, limit, some in (
            ("look", most, _looks(mine, sources)),
            ("decide", sources.limits.decide_ms, _decisions(mine, sources)),
        ):
            rows.append(
                (
                    words[f"queue_{queue}"], words[f"step_{step}"], limit, len(some.took), len(some.waiting),
                    some.median, some.longest, some.in_time_share,
                )
            )  # fmt: skip
    columns = (
        Column(words["queue"], weight=2), Column(words["step"], weight=2), Column(words["limit"], "duration"), Column(words["done"], "integer"),
        Column(words["not_done"], "integer"), Column(words["median"], "duration", 2), Column(words["longest"], "duration", 2),
        Column(words["in_time"], "share"),
    )  # fmt: skip
    return Table("findings.times", words["times"], columns, tuple(rows) if ours else (), words["no_waits"], words["times_note"])  # fmt: skip


def _open(opened: Sequence[Row], actors: pl.DataFrame, sources: Sources, words: Words) -> Table:
    """`opened` stands the worst first, and stays so behind what is late."""
    ordered = sorted(opened, key=lambda row: (row.late is None, 0 if row.late is None else row.late[1]))
    who = people.by_finding(actors, sources.site, words, MOST_NAMES)
    title = f"title_{words.language}"
    rows = tuple(
        (
            row.found["uid"], row.found["time"], words.severity(row.found["severity"]), words[f"queue_{row.found['queue']}"],
            row.found[title], who.get(row.found["uid"], words.join(row.found["actors"][:MOST_NAMES])),
            casework.state(row.case, words), row.case.owner,
            None if row.late is None else words[f"late_{row.late[0]}"], None if row.late is None else row.late[1],
        )
        for row in ordered
    )  # fmt: skip
    columns = (
        Column(words["finding_id"], "id", 2), Column(words["found_at"], "moment", 2), Column(words["severity"]), Column(words["queue"]),
        Column(words["what"], weight=4), Column(words["who"], weight=3), Column(words["state"], weight=2), Column(words["owner"]),
        Column(words["late"], weight=2), Column(words["late_for"], "moment", 2),
    )  # fmt: skip
    return Table("findings.open_cases", words["open_title"], columns, rows, words["open_none"], words["open_note"], HEAD_ROWS)  # fmt: skip
