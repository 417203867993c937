"""How often each rule was right, as far as people decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl
import yaml

import rules
from audit import interval
from audit.cases import DAY_MS
from audit.desk import Row
from audit.findings import SUPPRESSED
from audit.report import details
from audit.report.draft import Draft
from audit.report.model import Block, Cell, Column, Figure, Figures, Notice, Table, Tone
from audit.report.repeats import CONFIRMED, DISMISSED, LONG_DAYS
from audit.report.sources import Sources
from audit.tables import Tables
from audit.wording import FAMILIES, Language, Words, percent

HEAD_ROWS: Final = 30

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "n_rules": ("検知のあった規則", "Rules that hit"),
    "n_rules_note": ("モデルを含む", "the model included"),
    "n_decided": ("判断された検知", "Findings decided"),
    "decided_note": ("直近{days}日の警報と要確認のうち", "of alerts and review items of the last {days} days"),
    "n_confirmed": ("不正・誤り", "Confirmed"),
    "n_dismissed": ("正当・試験", "Dismissed"),
    "confirmed_note": ("不正な利用又は誤りと判断", "misuse or mistake"),
    "dismissed_note": ("正当な利用又は試験・訓練と判断", "proper use or test"),
    "precision": ("適中率", "Precision"),
    "range_note": ("95%信頼区間 {low}〜{high}", "95 % interval {low} to {high}"),
    "none_decided": ("不正・誤り、正当・試験のいずれかに判断されたものがない", "nothing was confirmed or dismissed"),
    "no_decisions": (
        "監査データベース（audit.toml の audit.database）がないため、規則がどれだけ当たっていたかは分かりません。",
        "There is no audit database (audit.database in audit.toml), so nothing is known of how often rules were right.",
    ),
    "no_decisions_note": ("監査データベースがない", "there is no audit database"),
    "by_rule": ("規則ごとの件数と適中率", "Hits and precision by rule"),
    "by_rule_note": (
        "件数は対象期間の検知。判断と適中率は直近{days}日の検知について。適中率は、不正・誤りの件数を、正当・試験との合計で割ったもの。"
        "区間は Clopper–Pearson の 95% 信頼区間で、判断が少ないほど広い。一つの検知に複数の規則があるときは、それぞれに数える。",
        "Hits are findings of the period; decisions and precision are of the last {days} days. Precision: confirmed over confirmed and dismissed, with Clopper "
        "and Pearson's 95 % interval, wide where little was decided. A finding of several rules counts for each.",
    ),
    "no_hits": ("対象期間に検知はありませんでした。", "There was no finding."),
    "rule": ("規則", "Rule"),
    "hits": ("件数", "Hits"),
    "cannot_tell": ("判断できない", "Cannot tell"),
    "low": ("下限", "From"),
    "high": ("上限", "To"),
}  # fmt: skip


def blocks(sources: Sources, rows: Sequence[Row], draft: Draft, words: Words) -> list[Block]:
    """Figures over all rules, and a table of each.

    Args:
        sources: What the report is written from.
        rows: Findings for people up to the period's end.
        draft: What remembers events.
        words: With `PAIRS`.
    """
    since = sources.period.end - LONG_DAYS * DAY_MS
    recent = [row for row in rows if row.found["time"] >= since]
    found = sources.month.findings
    shown = found.table.filter(pl.col("status") != SUPPRESSED)
    draft.events("detection.by_rule", details.behind(found, shown["uid"]))
    draft.events("detection.rules", details.behind(found, shown["uid"]))
    counts = (
        shown.explode("rules")
        .group_by(pl.col("rules").alias("rule"))
        .agg(
            pl.col("uid").n_unique().alias("hits"),
            (pl.col("queue") == "alert").sum().alias("alert"),
            (pl.col("queue") == "review").sum().alias("review"),
        )
        .drop_nulls("rule")
    )
    out: list[Block] = [] if sources.kept else [Notice(words["no_decisions"], Tone.LACKING)]
    out.append(_figures(sources, recent, counts.height, draft, words))
    out.append(_table(counts, decided(recent), sources, words))
    return out


def decided(rows: Sequence[Row]) -> pl.DataFrame:
    """What people decided about the findings of each rule: `rule`, `confirmed`, `dismissed`, `unknown` (counts of findings)."""
    facts = []
    for row in rows:
        if not row.case.is_open and row.case.closing is not None:
            code = row.case.closing.code
            kinds = (code in CONFIRMED, code in DISMISSED, code not in (*CONFIRMED, *DISMISSED))
            facts += [(rule, *kinds) for rule in dict.fromkeys(row.found["rules"])]
    schema = {"rule": pl.String, "confirmed": pl.Boolean, "dismissed": pl.Boolean, "unknown": pl.Boolean}
    frame = pl.DataFrame(facts, schema=schema, orient="row")
    return frame.group_by("rule").agg(pl.col("confirmed", "dismissed", "unknown").sum()).sort("rule")


def _figures(sources: Sources, recent: Sequence[Row], hitting: int, draft: Draft, words: Words) -> Figures:
    closed = [row for row in recent if not row.case.is_open and row.case.closing is not None]
    parts = {
        "decided": closed,
        "confirmed": [row for row in closed if row.case.closing and row.case.closing.code in CONFIRMED],
        "dismissed": [row for row in closed if row.case.closing and row.case.closing.code in DISMISSED],
    }
    found = details.of_rows(recent, sources.month.folder)
    told = {name: len(some) for name, some in parts.items()}
    notes = {name: words[f"{name}_note"] for name in ("confirmed", "dismissed")}
    notes["decided"] = words.say("decided_note", days=LONG_DAYS)
    figures = [Figure("detection.rules", words["n_rules"], hitting, unit=words["items"], note=words["n_rules_note"])]
    for name, some in parts.items():
        draft.events(f"detection.{name}", details.behind(found, [row.found["uid"] for row in some]))
        known = sources.kept
        figures.append(
            Figure(
                f"detection.{name}", words[f"n_{name}"], told[name] if known else None, unit=words["items"],
                note=notes[name] if known else words["no_decisions_note"], tone=Tone.PLAIN if known else Tone.LACKING,
            )
        )  # fmt: skip
    either = [row.found["uid"] for name in ("confirmed", "dismissed") for row in parts[name]]
    draft.events("detection.precision", details.behind(found, either))
    right = interval.share(told["confirmed"], len(either)) if sources.kept else None
    note = words["none_decided" if sources.kept else "no_decisions_note"]
    if right is not None:
        note = words.say("range_note", low=percent(right.low), high=percent(right.high))
    tone = Tone.LACKING if right is None else Tone.PLAIN
    value = None if right is None else right.share
    figures.append(Figure("detection.precision", words["precision"], value, "share", note=note, tone=tone))
    return Figures(tuple(figures))


def _table(counts: pl.DataFrame, judged: pl.DataFrame, sources: Sources, words: Words) -> Table:
    frame = counts.join(judged, on="rule", how="full", coalesce=True).with_columns(
        pl.col("hits", "alert", "review", "confirmed", "dismissed", "unknown").fill_null(0)
    )
    names = titles(sources.month, frame["rule"].to_list(), words.language)
    rows = [
        (
            f"{names[row['rule']]}（{row['rule']}）" if words.language == "ja" else f"{names[row['rule']]} ({row['rule']})",
            row["hits"], row["alert"], row["review"], *_precision(row["confirmed"], row["dismissed"], row["unknown"], sources.kept),
        )
        for row in frame.sort("hits", "rule", descending=[True, False]).iter_rows(named=True)
    ]  # fmt: skip
    columns = (
        Column(words["rule"], weight=5), Column(words["hits"], "integer"), Column(words["queue_alert"], "integer"), Column(words["queue_review"], "integer"),
        Column(words["n_confirmed"], "integer"), Column(words["n_dismissed"], "integer"), Column(words["cannot_tell"], "integer"),
        Column(words["precision"], "share"), Column(words["low"], "share"), Column(words["high"], "share"),
    )  # fmt: skip
    note = words.say("by_rule_note", days=LONG_DAYS)
    return Table("detection.by_rule", words["by_rule"], columns, tuple(rows), words["no_hits"], note, HEAD_ROWS)


def _precision(confirmed: int, dismissed: int, unknown: int, kept: bool) -> tuple[Cell, ...]:
    if not kept:
        return (None,) * 6
    right = interval.share(confirmed, confirmed + dismissed)
    limits = (None, None, None) if right is None else (right.share, right.low, right.high)
    return confirmed, dismissed, unknown, *limits


def titles(tables: Tables, names: Sequence[str], language: Language) -> dict[str, str]:
    """What rules are called: as their findings say, else as the rules that ship do; a rule of neither by its name."""
    leading = tables.findings.table.select("rule", f"title_{language}").drop_nulls().sort("rule", f"title_{language}")
    known = dict(leading.iter_rows())
    place = 0 if language == "ja" else 1
    out = {}
    for name in names:
        family = FAMILIES.get(name)
        out[name] = known.get(name) or (family[place] if family else _shipped(name, language) or name)
    return out


def _shipped(name: str, language: Language) -> str | None:
    folder = Path(rules.__file__).parent
    for path in sorted(folder.glob("*/*/rule.yml")):
        if path.parent.name == name:
            first = next(iter(yaml.safe_load_all(path.read_text(encoding="utf-8"))), None)
            block = first.get("sekimori") if isinstance(first, dict) else None
            found = (block or {}).get("title") if language == "ja" else (first or {}).get("title")
            return found if isinstance(found, str) else None
    return None
