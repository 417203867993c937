"""With which versions was decided, and what changed between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from audit import runs as ledger
from audit.report.details import Details
from audit.report.model import Block, Cell, Column, Notice, Table, Tone
from audit.report.sources import Sources
from audit.runs import Run
from audit.wording import Words

KINDS: Final = ("code", "rules", "model", "calibration", "baseline", "registers")
SHOWN: Final = 16  # characters of a hash that name it

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "versions_title": ("判定に用いた版", "Versions that decided"),
    "versions_note": (
        "版はハッシュの先頭{n}桁。検知の日時は記録上のもの。警報などのしきい値は本体に、統計モデルのしきい値は較正に含まれ、それぞれの版とともに変わる。保存期間の設定は版に含まれず、その変更はここに現れない。",
        "Versions are the first {n} digits of hashes; moments are of events. Thresholds of queues are part of the code, those of the model of its calibration. How long logs are kept is in no version, so its changes do not show here.",
    ),
    "versions_none": ("版の記録がありません。", "No version is on record."),
    "versions_unknown": (
        "検知にも分析の記録（runs.ndjson、実行台帳）にも版がないため、何が変わったかは分かりません。",
        "Neither findings nor runs (runs.ndjson, the ledger) name versions, so nothing is known of changes.",
    ),
    "changed": ("対象期間に変わったもの：{kinds}。", "Changed in the period: {kinds}."),
    "unchanged": ("対象期間に、規則・モデルなどの変更はありませんでした。", "Neither rules nor model changed in the period."),
    "since_before": ("前の分析（{moment}）から変わったもの：{kinds}。", "Changed since the analysis before ({moment}): {kinds}."),
    "same_as_before": ("前の分析（{moment}）から変わったものはありません。", "Nothing changed since the analysis before ({moment})."),
    "kind": ("種類", "Kind"),
    "version": ("版", "Version"),
    "found_n": ("検知", "Findings"),
    "found_first": ("最初の検知", "First finding"),
    "found_last": ("最後の検知", "Last finding"),
    "runs_n": ("分析", "Analyses"),
    "kind_code": ("本体", "code"),
    "kind_rules": ("規則", "rules"),
    "kind_model": ("モデル", "model"),
    "kind_calibration": ("較正", "calibration"),
    "kind_baseline": ("平常時の頻度", "baseline"),
    "kind_registers": ("台帳", "registers"),
}  # fmt: skip


def blocks(sources: Sources, details: Details, words: Words) -> list[Block]:
    """What changed, and the versions in use.

    Args:
        sources: What the report is written from.
        details: Of the period's findings.
        words: With `PAIRS`.
    """
    frame = versions(sources, details)
    if frame.is_empty():
        return [Notice(words["versions_unknown"], Tone.LACKING)]
    per_kind = dict(frame.group_by("kind").agg(pl.col("version").n_unique()).iter_rows())
    changed = [kind for kind in KINDS if per_kind.get(kind, 0) > 1]
    out: list[Block] = [
        Notice(words.say("changed", kinds=_kinds(changed, words)), Tone.CHECK)
        if changed
        else Notice(words["unchanged"], Tone.GOOD)
    ]
    before = _before(sources)
    if before is not None:
        new = [kind for kind in KINDS if kind in before.versions and before.versions[kind] not in _known(frame, kind)]
        key, moment = "since_before" if new else "same_as_before", words.moment(before.began)
        out.append(Notice(words.say(key, moment=moment, kinds=_kinds(new, words)), Tone.CHECK if new else Tone.PLAIN))
    return [*out, _table(frame, words)]


def versions(sources: Sources, details: Details) -> pl.DataFrame:
    """Versions of the period: `kind`, `version`, `findings` (count), `first`, `last` (UTC ms of findings), `runs` (count); by kind in
    the order of `KINDS`, then by first finding."""
    found = details.versions.group_by("kind", "version").agg(
        pl.col("uid").n_unique().alias("findings"),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
    )
    seen = [
        (kind, str(version))
        for said in _of_runs(sources)
        for kind, version in said.items()
    ]  # fmt: skip
    schema = {"kind": pl.String, "version": pl.String}
    runs = pl.DataFrame(seen, schema=schema, orient="row").group_by("kind", "version").agg(pl.len().alias("runs"))
    order = {kind: place for place, kind in enumerate(KINDS)}
    return (
        found.join(runs, on=["kind", "version"], how="full", coalesce=True)
        .filter(pl.col("kind").is_in(KINDS))
        .with_columns(pl.col("findings", "runs").fill_null(0))
        .sort(
            pl.col("kind").replace_strict(order, return_dtype=pl.Int64), "first", "version",
            nulls_last=True, maintain_order=True,
        )
    )  # fmt: skip


def _of_runs(sources: Sources) -> list[Mapping[str, Any]]:
    """What each analysis of the period says: of the ledger, else of the folder."""
    period = sources.period
    ours = [run.versions for run in _analyses(sources) if _touches(run, period.begin, period.end)]
    return ours or [run.get("versions") or {} for run in sources.month.runs]


def _analyses(sources: Sources) -> list[Run]:
    return [run for run in sources.runs if run.kind == ledger.ANALYSIS and run.versions]


def _touches(run: Run, begin: int, end: int) -> bool:
    first, last = (run.began, run.began) if run.first is None or run.last is None else (run.first, run.last)
    return first < end and last >= begin


def _before(sources: Sources) -> Run | None:
    """The last analysis of what was before the period."""
    earlier = [
        run for run in _analyses(sources) if (run.began if run.last is None else run.last) < sources.period.begin
    ]
    return max(earlier, key=lambda run: (run.began, run.run), default=None)


def _known(frame: pl.DataFrame, kind: str) -> list[str]:
    return frame.filter(pl.col("kind") == kind)["version"].to_list()


def _kinds(kinds: list[str], words: Words) -> str:
    return words.join([words[f"kind_{kind}"] for kind in kinds])


def _table(frame: pl.DataFrame, words: Words) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (words[f"kind_{kind}"], version.removeprefix("sha256:")[:SHOWN], n, first, last, runs)
        for kind, version, n, first, last, runs in frame.select(
            "kind", "version", "findings", "first", "last", "runs"
        ).iter_rows()
    ]
    columns = (
        Column(words["kind"], weight=2), Column(words["version"], "id", 3), Column(words["found_n"], "integer"),
        Column(words["found_first"], "moment", 2), Column(words["found_last"], "moment", 2), Column(words["runs_n"], "integer"),
    )  # fmt: skip
    note = words.say("versions_note", n=SHOWN)
    return Table("detection.versions", words["versions_title"], columns, tuple(rows), words["versions_none"], note)
