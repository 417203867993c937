"""Whether the model's probabilities mean what they say: how often sessions are as odd as they should be once in so many."""

from __future__ import annotations

from typing import Final

import polars as pl

from audit import interval
from audit.report.details import Details
from audit.report.model import Block, Cell, Column, Figure, Figures, Notice, Paragraph, Table, Tone
from audit.report.sources import Sources
from audit.wording import Words

NOMINAL: Final = (0.05, 0.01, 0.001)

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "model": ("統計モデル", "The model"),
    "model_lead": (
        "統計モデルは、セッションごとに「同じ部署の普段の利用で、これほど珍しいことが起こる確率」を見積もります。正しく見積もれていれば、"
        "確率5%以下のセッションは全体の約5%になります。実際の割合が名目より大きければ警報が増えすぎ、小さければ見逃しが増えます。",
        "The model says of each session how often ordinary work of these peers is as odd. If it is right, about 5 % of the sessions read 5 % or less. "
        "More than that, and too much is raised; less, and more is missed.",
    ),
    "mode_of_run": ("方式：{modes}。", "Mode: {modes}."),
    "retrospective_note": (
        "同じ期間から基準を作ったため、名目に近いのは当然であり、よい結果を意味しません。",
        "It was fitted on this very period, so that rates are near nominal says little.",
    ),
    "no_mode": ("分析の記録（runs.ndjson）がないため、方式は分かりません。", "Without runs.ndjson the mode is not known."),
    "no_scores": (
        "セッションの確率（sessions の p 列）がないため、統計モデルの実際の割合は分かりません。",
        "Without the column p of sessions nothing is known of the model's rates.",
    ),
    "no_model": (
        "モデルを作るには記録が少なく、規則だけで評価しました。統計モデルの割合はありません。",
        "There was too little for a model: only rules spoke, and there are no rates.",
    ),
    "no_sessions": ("対象期間にセッションがありません。", "The period holds no session."),
    "n_scored": ("評価したセッション", "Sessions scored"),
    "n_scored_note": ("全 {n} セッションのうち", "of {n}"),
    "n_learning": ("学習中に挙がった検知", "Raised while learning"),
    "n_learning_note": ("モデルが学習中のため、参考にとどめたもの", "kept in the digest, since the model is still learning"),
    "rates": ("名目と実際の割合", "Nominal and observed rates"),
    "rates_note": (
        "下限と上限は Clopper–Pearson の 95% 信頼区間による。同じ人のセッションは互いに似るため、目安である。1%未満では少なめになるように作られている。",
        "Limits are of Clopper and Pearson's 95 % interval. Sessions of one person resemble each other, so take it as a guide. Below 1 % the model is careful on purpose.",
    ),
    "nominal": ("名目", "Nominal"),
    "expected_n": ("名目どおりの件数", "Expected"),
    "observed_n": ("実際の件数", "Observed"),
    "ratio": ("実際÷名目", "Observed / nominal"),
    "reading": ("読み方", "Reads"),
    "reads_high": ("名目より多い", "more than nominal"),
    "reads_low": ("名目より少ない", "less than nominal"),
    "reads_near": ("名目の範囲内", "as nominal"),
    "from": ("下限", "From"),
    "to": ("上限", "To"),
}  # fmt: skip


def blocks(sources: Sources, details: Details, words: Words) -> list[Block]:
    """What the model says and what came of it.

    Args:
        sources: What the report is written from.
        details: Of the period's findings.
        words: With `PAIRS`.
    """
    counted = [(pl.col("p") <= level).sum().alias(str(level)) for level in NOMINAL]
    sums = sources.month.frames["sessions"].select(pl.len().alias("n"), pl.col("p").count().alias("scored"), *counted)
    row = sums.collect(engine="streaming").row(0, named=True)
    modes = sorted({str(run["mode"]) for run in sources.month.runs if run.get("mode") in _MODES})
    out: list[Block] = [Paragraph(_lead(modes, words))]
    if not row["scored"]:
        why = "no_sessions" if not row["n"] else "no_model" if modes == ["rules"] else "no_scores"
        out.append(Notice(words[why], Tone.LACKING))
    out.append(_figures(row["n"], row["scored"], details, words))
    if row["scored"]:
        out.append(_table({level: row[str(level)] for level in NOMINAL}, row["scored"], words))
    return out


_MODES: Final = ("retrospective", "pinned", "rules")


def _lead(modes: list[str], words: Words) -> str:
    gap = "" if words.language == "ja" else " "
    parts = [words["model_lead"]]
    if modes:
        parts.append(words.say("mode_of_run", modes=words.join([words[f"mode_{mode}"] for mode in modes])))
    else:
        parts.append(words["no_mode"])
    if "retrospective" in modes:
        parts.append(words["retrospective_note"])
    return gap.join(parts)


def _figures(n: int, scored: int, details: Details, words: Words) -> Figures:
    unknown = not scored
    learning = int(details.table["learning"].sum())
    return Figures(
        (
            Figure(
                "detection.scored", words["n_scored"], None if unknown else scored, unit=words["items"],
                note=words.say("n_scored_note", n=n), tone=Tone.LACKING if unknown else Tone.PLAIN,
            ),
            Figure("detection.learning", words["n_learning"], learning, unit=words["items"], note=words["n_learning_note"]),
        )
    )  # fmt: skip


def _table(counts: dict[float, int], scored: int, words: Words) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for level, n in counts.items():
        found = interval.share(n, scored)
        assert found is not None
        reads = "high" if found.low > level else "low" if found.high < level else "near"
        ratios = (one / level for one in (found.share, found.low, found.high))
        rows.append((level, level * scored, n, *ratios, words[f"reads_{reads}"]))
    columns = (
        Column(words["nominal"], "share"), Column(words["expected_n"], "decimal"), Column(words["observed_n"], "integer"),
        Column(words["ratio"], "decimal"), Column(words["from"], "decimal"), Column(words["to"], "decimal"), Column(words["reading"], weight=2),
    )  # fmt: skip
    return Table("detection.rates", words["rates"], columns, tuple(rows), words["no_sessions"], words["rates_note"])
