"""The detection itself: how often rules were right, what could not run, what was kept from people, and what changed."""

from __future__ import annotations

from typing import Final

import polars as pl

from audit import controls
from audit.findings import SUPPRESSED
from audit.report import allowances, changes, details, precision, rates
from audit.report.details import Details
from audit.report.draft import Draft
from audit.report.model import Block, Column, Figure, Figures, Notice, Paragraph, Section, Table, Tone
from audit.report.sections.findings import is_for_people
from audit.report.sources import Sources
from audit.wording import Words

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    **precision.PAIRS,
    **rates.PAIRS,
    **allowances.PAIRS,
    **changes.PAIRS,
    "detection": ("検知の仕組み", "The detection itself"),
    "lead": (
        "検知の仕組みが正しく働いていたかを示します。規則の当たり外れ、動かなかった検査、人に届けなかった検知、期間中の変更です。",
        "Whether the detection itself was in order: how often rules were right, which checks did not run, what was kept from people, what changed.",
    ),
    "silent": (
        "対象期間の記録が1件もないため、規則が検知しなかったことは、その規則に当たる利用がなかったことを意味しません。",
        "The period holds not one record: that a rule found nothing does not mean that there was nothing.",
    ),
    "not_run_title": ("実施できなかった検査", "Checks that could not run in full"),
    "not_run_note": (
        "必要な台帳がそろうまで、これらの検査に当たる利用は検知されない（又は一部しか検知されない）。",
        "Until what they need is there, these checks find nothing, or only part.",
    ),
    "not_run_unknown": (
        "分析の記録（runs.ndjson）がないため、実施できなかった検査があったかどうかは分かりません。",
        "Without runs.ndjson it is not known whether a check could not run.",
    ),
    "kept_lead": (
        "次の検知は人に届けず、参考又は記録にとどめました。消されたものはありません。",
        "These findings were put before nobody; they went to the digest or stay on record, and none was dropped.",
    ),
    "kept_excepted": ("例外によるもの", "By an exception"),
    "kept_suppressed": ("規則が認める理由によるもの", "By a reason that the rule accepts"),
    "kept_over_budget": ("1日の上限によるもの", "By the day's budget"),
    "kept_repeated": ("同じ内容の繰り返し", "Said already"),
    "kept_excepted_note": ("参考に回した", "went to the digest"),
    "kept_suppressed_note": ("記録だけ残した", "kept on record only"),
    "kept_over_budget_note": ("参考に回した", "went to the digest"),
    "kept_repeated_note": ("直近1週間に同じ人について同じ検知があり、参考に回した", "the same of the same person within a week; went to the digest"),
    "held_back": ("記録だけ残した検知の規則", "Rules of what was kept on record only"),
    "held_back_none": ("記録だけ残した検知はありません。", "Nothing was kept on record only."),
    "held_n": ("件数", "Findings"),
}  # fmt: skip


def section(sources: Sources, draft: Draft) -> Section:
    """Write the section."""
    words = sources.words.extended(_PAIRS)
    rows = [row for row in sources.rows if is_for_people(row)]
    more = details.read(sources.month.findings)
    blocks: list[Block] = [
        Paragraph(words["lead"]),
        *([Notice(words["silent"], Tone.LACKING)] if sources.is_silent else []),
        *precision.blocks(sources, rows, draft, words),
        _not_run(sources, words),
        *rates.blocks(sources, more, words),
        *_kept(sources, more, draft, words),
        *allowances.blocks(sources, more, draft, words),
        *changes.blocks(sources, more, words),
    ]
    return Section("detection", words["detection"], tuple(blocks))


def _not_run(sources: Sources, words: Words) -> Block:
    """Checks that lacked a register in some run of the period."""
    if not sources.month.runs:
        return Notice(words["not_run_unknown"], Tone.LACKING)
    found: dict[str, tuple[str, str]] = {}
    for item in (item for run in sources.month.runs for item in run.get("not_run") or ()):
        title = item.get("title") or {}
        name = str(title.get(words.language) or item.get("check", "-"))
        needs = words.join([controls.shown(str(need), words.language) for need in sorted(item.get("needs") or ())])
        found[str(item.get("check", name))] = name, needs
    rows = tuple((name, check, needs) for check, (name, needs) in sorted(found.items()))
    columns = (Column(words["rule"], weight=3), Column(words["id"], "id", 2), Column(words["needs"], weight=3))
    note = words["not_run_note"] if rows else ""
    return Table("detection.not_run", words["not_run_title"], columns, rows, words["not_run_none"], note)


def _kept(sources: Sources, more: Details, draft: Draft, words: Words) -> list[Block]:
    """What was found and put before nobody, by why; none of it was dropped."""
    found = sources.month.findings
    held = found.table.filter(pl.col("status") == SUPPRESSED)
    parts = {
        "excepted": more.table.filter(pl.col("exception.finding").is_not_null())["uid"],
        "suppressed": held["uid"],
        "over_budget": more.table.filter("over_budget")["uid"],
        "repeated": more.table.filter("repeated")["uid"],
    }
    figures = []
    for name, uids in parts.items():
        draft.events(f"detection.{name}", details.behind(found, uids))
        note = words[f"kept_{name}_note"]
        figures.append(Figure(f"detection.{name}", words[f"kept_{name}"], uids.len(), unit=words["items"], note=note))
    draft.events("detection.learning", details.behind(found, more.table.filter("learning")["uid"]))
    draft.events("detection.held_back", details.behind(found, held["uid"]))
    counts = held.group_by("rule").len().sort("len", "rule", descending=[True, False])
    names = precision.titles(sources.month, counts["rule"].to_list(), words.language)
    rows = tuple((names[rule], n) for rule, n in counts.iter_rows())
    columns = (Column(words["rule"], weight=4), Column(words["held_n"], "integer"))
    table = Table("detection.held_back", words["held_back"], columns, rows, words["held_back_none"])
    return [Paragraph(words["kept_lead"]), Figures(tuple(figures)), *([table] if rows else [])]
