"""What may have been missed: a sample of accesses that raised nothing, and what people found when they looked at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from audit import interval
from audit.findings import SUPPRESSED
from audit.report import details, people, sampling
from audit.report.draft import Draft
from audit.report.model import Block, Column, Figure, Figures, Notice, Paragraph, Table, Tone
from audit.report.sampling import ACCESS, Sample
from audit.report.sources import Sources
from audit.usage import persons
from audit.wording import Words, percent
from registers.asof import as_of

VERDICTS: Final = ("proper", "improper", "unknown")
_QUEUES: Final = ("alert", "review", "digest")
_READ: Final = (
    "event.id", "time.occurred", "system.id", "actor.id", "event.action", "op.code", "op.name", "subject.token", "explained",
)  # fmt: skip

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "sample_lead": (
        "警報・要確認・参考のいずれにも挙がらなかった操作から {n} 件を抜き出し、人が確認します。抜き出し方は決まっており（「{seed}」と改行と操作の番号をつないだ文字列の"
        "SHA-256 が小さい順）、誰が抜き出しても同じ標本になります。",
        "Of the accesses that raised nothing (no alert, no review item, nothing in the digest) {n} are drawn for people to look at: those whose SHA-256 "
        "over “{seed}”, a line feed and the event's id is smallest. Anybody draws the same ones.",
    ),
    "sample_method": (
        "見逃しの割合は、確認した標本のうち不適正であった操作の割合です。区間は Clopper–Pearson の 95% 信頼区間です。標本が少なく該当がほとんどない場合にも、"
        "真の割合を含む確率が 95% を下回らないため、これを用いています（Wilson の区間は下回ることがあります）。「判断できない」ものは、下限では適正、上限では不適正として数えます。",
        "The miss rate is the share of improper ones among those looked at. The interval is Clopper and Pearson's at 95 %: it holds the true share at least "
        "that often also where almost nothing is found among few, which Wilson's does not. What could not be told counts as proper for the lower limit and as improper for the upper.",
    ),
    "n_population": ("何にも挙がらなかった操作", "Accesses that raised nothing"),
    "n_judged": ("確認した標本", "Looked at"),
    "n_judged_note": ("{n} 件のうち。不適正 {improper} 件、判断できない {unknown} 件", "of {n}; improper: {improper}, could not be told: {unknown}"),
    "miss_rate": ("見逃しの割合（推定）", "Estimated miss rate"),
    "missed": ("見逃した操作（推定）", "Estimated misses"),
    "range": ("95%信頼区間 {low}〜{high}", "95 % interval {low} to {high}"),
    "whole": ("全件を確認したため区間はない", "all were looked at: there is no interval"),
    "not_judged": ("まだ確認していない", "not judged yet"),
    "partly_judged": ("{n} 件のうち {left} 件をまだ確認していない", "{left} of {n} are not judged yet"),
    "none_told": ("判断できたものがない", "none could be told"),
    "nothing_there": ("対象となる操作がない", "there is nothing to draw from"),
    "sample_no_database": ("監査データベースがない", "there is no audit database"),
    "sample_not_kept": (
        "監査データベース（audit.toml の audit.database）がないため、標本の確認結果は分かりません。",
        "There is no audit database (audit.database in audit.toml), so nothing is known of what people found in the sample.",
    ),
    "resolution": (
        "標本 {n} 件では、該当が1件もなくても {high} 未満とは言えません。",
        "A sample of {n} cannot show that less than {high} was missed, even if nothing is found.",
    ),
    "sample": ("確認のために抜き出した操作", "The sample"),
    "sample_note": ("抜き出した順。検知に挙がらなかったものであり、疑いがあるものではない。", "In the order drawn. Nothing about them is suspected."),
    "sample_none": ("抜き出す操作がありませんでした。", "There was nothing to draw."),
    "place": ("順", "No."),
    "event": ("操作の番号", "Event"),
    "subject": ("本人", "Subject"),
    "operation": ("操作", "Operation"),
    "found": ("確認の結果", "Found"),
    "looked": ("{verdict}（{by} {moment}）", "{verdict} ({by}, {moment})"),
    "reason_explained": ("あり", "yes"),
    "reason_to_check": ("要確認", "to check"),
    "reason_unexplained": ("なし", "none"),
    "verdict_proper": ("適正", "proper"),
    "verdict_improper": ("不適正", "improper"),
    "verdict_unknown": ("判断できない", "could not be told"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a judged sample says of everything that it was drawn from.

    Attributes:
        rate: Share of improper ones among those that could be told.
        low, high: Limits of the true share, 0 to 1; equal to the counted shares where all were looked at.
    """

    rate: float
    low: float
    high: float


def estimate(proper: int, improper: int, unknown: int, population: int) -> Estimate | None:
    """Estimate from a sample that was looked at as a whole; None where nothing could be told.

    Args:
        proper, improper, unknown: Verdicts.
        population: How many the sample was drawn from.
    """
    n, told = proper + improper + unknown, proper + improper
    if not told:
        return None
    if n == population:
        return Estimate(improper / told, improper / n, (improper + unknown) / n)
    lower, upper = interval.share(improper, n), interval.share(improper + unknown, n)
    assert lower is not None
    assert upper is not None
    return Estimate(improper / told, lower.low, upper.high)


def seed(sources: Sources) -> str:
    """What the sample of a report depends on, besides which accesses there are."""
    return f"{sources.site.config.name} {sources.period.name}"


def blocks(sources: Sources, draft: Draft, words: Words) -> list[Block]:
    """The estimate, how it was made, and the sample.

    Args:
        sources: What the report is written from.
        draft: What remembers events.
        words: With `PAIRS`.
    """
    raised = _raised(sources)
    events = sources.month.frames["events"]
    sample = sampling.draw(events, raised["event.id"], seed(sources))
    population = events.filter(ACCESS).join(raised.lazy(), on="event.id", how="anti")
    chosen = events.filter(pl.col("event.id").is_in(sample.events))
    judged = {one["event"]: one for one in sources.samples if one["event"] in set(sample.events)}
    for name, frame in (("population", population), ("missed", population), ("sample", chosen), ("miss_rate", chosen)):
        draft.events(f"explained.{name}", frame)
    draft.events("explained.judged", events.filter(pl.col("event.id").is_in(sorted(judged))))
    out: list[Block] = [Paragraph(words.say("sample_lead", n=len(sample.events), seed=seed(sources)))]
    if not sources.kept:
        out.append(Notice(words["sample_not_kept"], Tone.LACKING))
    figures = _figures(sample, Counter(one["verdict"] for one in judged.values()), sources.kept, words)
    out += [Figures(tuple(figures)), Paragraph(_method(sample, words)), _table(sample, chosen, judged, sources, words)]
    return out


def _raised(sources: Sources) -> pl.DataFrame:
    """Events of findings that somebody was told of; what was held back counts as not raised, since nobody looks at it."""
    found = sources.month.findings
    told = found.table.filter(pl.col("queue").is_in(_QUEUES) & (pl.col("status") != SUPPRESSED))
    return details.related(found, told["uid"].to_list())


def _method(sample: Sample, words: Words) -> str:
    told = words["sample_method"]
    least = interval.share(0, len(sample.events)) if 0 < len(sample.events) < sample.population else None
    if least is not None:
        gap = "" if words.language == "ja" else " "
        told += gap + words.say("resolution", n=len(sample.events), high=percent(least.high))
    return told


def _figures(sample: Sample, verdicts: Mapping[str, int], kept: bool, words: Words) -> list[Figure]:
    n, items = len(sample.events), words["items"]
    judged = sum(verdicts.values())
    proper, improper, unknown = (verdicts.get(name, 0) for name in VERDICTS)
    found = estimate(proper, improper, unknown, sample.population) if n and judged == n else None
    note = _note(found, n, judged, sample.population, kept, words)
    tone = Tone.LACKING if found is None and n else Tone.URGENT if improper else Tone.PLAIN
    most = sample.population
    counted = (
        words.say("n_judged_note", n=n, improper=improper, unknown=unknown) if kept else words["sample_no_database"]
    )
    extrapolated = None if found is None else round(found.rate * most)
    limits = "" if found is None else words.say("range", low=f"{int(found.low * most):,}", high=f"{_ceil(found.high * most):,}")  # fmt: skip
    return [
        Figure("explained.population", words["n_population"], most, unit=items),
        Figure("explained.judged", words["n_judged"], judged if kept else None, unit=items, note=counted, tone=Tone.PLAIN if kept else Tone.LACKING),
        Figure("explained.miss_rate", words["miss_rate"], None if found is None else found.rate, "share", note=note, tone=tone),
        Figure("explained.missed", words["missed"], extrapolated, unit=items, note=note if found is None or n == most else limits, tone=tone),
    ]  # fmt: skip


def _note(found: Estimate | None, n: int, judged: int, population: int, kept: bool, words: Words) -> str:
    """The interval, or why there is none."""
    if found is not None:
        if n == population:
            return words["whole"]
        return words.say("range", low=percent(found.low), high=percent(found.high))
    if not n:
        return words["nothing_there"]
    if not kept:
        return words["sample_no_database"]
    if not judged:
        return words["not_judged"]
    return words.say("partly_judged", n=n, left=n - judged) if judged < n else words["none_told"]


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _table(
    sample: Sample, chosen: pl.LazyFrame, judged: Mapping[str, Mapping[str, Any]], sources: Sources, words: Words
) -> Table:
    frame = chosen.select(_READ).collect(engine="streaming")
    frame = pl.DataFrame({"event.id": sample.events}, schema={"event.id": pl.String}).join(frame, on="event.id", how="left", maintain_order="left")  # fmt: skip
    frame = persons(frame.with_columns(pl.col("time.occurred").alias("at")), sources.site)
    label: dict[str, str] = {words.language: "label"}
    frame = as_of(frame, sources.site.tables["labels"], ["op.code", "system.id"], ["code", "system"], "at", label)
    rows = []
    for place, row in enumerate(frame.iter_rows(named=True), start=1):
        verdict = judged.get(row["event.id"])
        actor = row["actor.id"]
        who = None if actor is None else people.shown(actor, row["person.id"], row["person.dept"], sources.site, words)
        rows.append(
            (
                place, row["event.id"], row["time.occurred"], _operation(row, sources), who, row["subject.token"],
                _reason(row["explained"], words), _looked(verdict, words),
            )
        )  # fmt: skip
    columns = (
        Column(words["place"], "integer"), Column(words["event"], "id", 2), Column(words["when"], "moment", 2), Column(words["operation"], weight=4),
        Column(words["who"], weight=4), Column(words["subject"], "id", 2), Column(words["explained_word"]), Column(words["found"], weight=3),
    )  # fmt: skip
    return Table("explained.sample", words["sample"], columns, tuple(rows), words["sample_none"], words["sample_note"])


def _operation(row: Mapping[str, Any], sources: Sources) -> str:
    """In which system what was done, as the office calls it, else as the log does."""
    names: Sequence[str | None] = (row["label"], row["op.name"], row["op.code"], row["event.action"])
    what = next((name for name in names if name), None)
    return " ".join(name for name in (sources.month.system_name(row["system.id"]), what) if name)


def _reason(name: str | None, words: Words) -> str | None:
    return words[f"reason_{name}"] if f"reason_{name}" in PAIRS else name


def _looked(verdict: Mapping[str, Any] | None, words: Words) -> str | None:
    if verdict is None:
        return None
    told = words[f"verdict_{verdict['verdict']}"]
    return words.say("looked", verdict=told, by=verdict["by"], moment=words.short(verdict["at"]))
