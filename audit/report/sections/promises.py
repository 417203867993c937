"""Section 1: what was promised, and what the logs prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from audit import controls
from audit.cases import Code, State
from audit.controls import Outcome, Verdict
from audit.report.draft import EVENT, Draft
from audit.report.model import Block, Figure, Figures, Items, Notice, Paragraph, Promise, Promises, Section, Tone
from audit.report.sources import Sources
from audit.tables import Tables
from audit.wording import Words

ID: Final = "promises"

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("約束と証明", "What was promised, what the logs prove"),
    "lead": (
        "評価書に書かれた約束のうち、ログで証明できるものを一つずつ判定しました。「適合」は、判定に必要な台帳と記録がそろい、それが約束を裏づける場合に限ります。"
        "記録や台帳が足りないときは「証跡不足」、約束に反する記録又は確認が終わっていない検知があるときは「要確認」です。",
        "Every promise of the assessments that a log can prove, judged one by one. It reads 適合 (met) only where the registers and records that it "
        "needs are there and bear it out; 証跡不足 (evidence missing) where they are not; 要確認 (to be checked) where records speak against it, or a "
        "finding about it has not been decided.",
    ),
    "none": (
        "どのシステムにも評価書（pia）が指定されていないため、約束の判定は行っていません。site.toml の [systems.…] に pia を書くと判定します。",
        "No system names an assessment (pia), so no promise was judged. Write pia under [systems.…] in site.toml.",
    ),
    "unknown": ("評価書 {pia} の管理策（rules/controls/{pia}.yml）がないため、判定できません。", "{pia} cannot be judged: there is no rules/controls/{pia}.yml."),
    "refused": ("管理策のファイルを読めませんでした：{problem}", "A file of controls could not be read: {problem}"),
    "settled": (
        "人が確認し、問題のないもの（適正な利用・試験・過誤）と決裁した検知 {n} 件は、約束に反するものとして数えていません。その一覧は「検知事項」の章にあります。",
        "{n} findings that people looked into and closed as proper use, test or mistake do not count against a promise; they are listed among the findings.",
    ),
    "registers": ("不足している台帳", "Registers that are missing"),
    "needed": ("{need}（{controls} の判定に必要）", "{need} (needed for {controls})"),
}  # fmt: skip

TONES: Final = {Outcome.MET: Tone.GOOD, Outcome.CHECK: Tone.CHECK, Outcome.LACKING: Tone.LACKING}
_NAMES: Final = {Outcome.MET: "met", Outcome.CHECK: "check", Outcome.LACKING: "lacking"}
# What a person has cleared is nothing to be checked any more; misuse is, and so is what nobody could tell.
_CLEARED: Final = (Code.PROPER, Code.TEST, Code.MISTAKE)


def section(sources: Sources, draft: Draft) -> Section:
    """Write it."""
    words = sources.words.extended(_PAIRS)
    verdicts = judged(sources)
    cleared = cleared_in(sources)
    blocks: list[Block] = [Paragraph(words["lead"])]
    if verdicts:
        blocks.append(_figures(verdicts, words))
    blocks += _notices(sources, verdicts, words)
    if cleared:
        blocks.append(Notice(words.say("settled", n=len(cleared)), Tone.PLAIN))
    for pia, assessment in sources.catalogue.assessments.items():
        mine = [one for one in verdicts if one.pia == pia]
        if mine:
            blocks.append(
                Promises(f"{ID}.{pia}", assessment.name[words.language], tuple(_promise(one) for one in mine))
            )
    blocks += _needs(verdicts, words)
    for one in verdicts:
        draft.events(f"{one.pia}/{one.id}", _events(one, sources))
    return Section(ID, words["title"], tuple(blocks))


def judged(sources: Sources) -> list[Verdict]:
    """Verdicts on the period, in the order of the catalogue; findings that people cleared count no more."""
    cleared = cleared_in(sources)
    return controls.judge(
        _without(sources.month, cleared), sources.catalogue.assessments.values(), sources.words.language
    )


def cleared_in(sources: Sources) -> list[str]:
    """Uids of the period's findings whose cases were closed as no misuse."""
    return [
        row.found["uid"]
        for row in sources.in_period
        if row.case.state == State.CLOSED and row.case.closing is not None and row.case.closing.code in _CLEARED
    ]


def _without(tables: Tables, uids: Sequence[str]) -> Tables:
    if not uids:
        return tables
    left = ~pl.col("uid").is_in(list(uids))
    found = replace(tables.findings, table=tables.findings.table.filter(left))
    return replace(tables, findings=found, frames={**tables.frames, "findings": found.table.lazy()})


def _figures(verdicts: Sequence[Verdict], words: Words) -> Figures:
    return Figures(
        tuple(
            Figure(
                f"{ID}.{_NAMES[one]}",
                str(one),
                sum(verdict.verdict is one for verdict in verdicts),
                unit=words["items"],
                tone=TONES[one],
            )
            for one in Outcome
        )
    )


def _notices(sources: Sources, verdicts: Sequence[Verdict], words: Words) -> list[Block]:
    named = {system.pia for system in sources.site.config.systems.values() if system.pia is not None}
    out: list[Block] = [
        Notice(words.say("unknown", pia=pia), Tone.LACKING)
        for pia in sorted(named - set(sources.catalogue.assessments))
        if not sources.only or pia in sources.only
    ]
    out += [Notice(words.say("refused", problem=one), Tone.LACKING) for one in sources.catalogue.problems]
    return out if verdicts or out else [Notice(words["none"], Tone.LACKING)]


def _promise(one: Verdict) -> Promise:
    return Promise(
        id=f"{one.pia}/{one.id}",
        title=one.title,
        quote=one.quote,
        stands_in=one.stands_in,
        paraphrase=one.paraphrase,
        verdict=str(one.verdict),
        tone=TONES[one.verdict],
        number=one.number,
        unit=one.unit,
        counts=one.counts,
        expected=one.expected,
        reason=one.reason,
        evidence=one.evidence,
        references=(*one.examples, *one.findings[: controls.EXAMPLES]),
    )


def _needs(verdicts: Sequence[Verdict], words: Words) -> list[Block]:
    needed: dict[str, list[str]] = {}
    for one in verdicts:
        for need in one.needs:
            needed.setdefault(need, []).append(f"{one.pia}/{one.id}")
    items = tuple(
        words.say("needed", need=controls.shown(need, words.language), controls=words.join(ids))
        for need, ids in sorted(needed.items())
    )
    return [Items(items, title=words["registers"])] if items else []


def _events(one: Verdict, sources: Sources) -> pl.LazyFrame:
    """Events that the verdict names, and those of findings that touch the promise."""
    named = {
        str(related["uid"])
        for finding in sources.month.findings.in_full(one.findings)
        for related in finding["finding_info"]["related_events"]
    }
    return pl.LazyFrame({EVENT: sorted(named | set(one.examples))}, schema={EVENT: pl.String})
