"""Make the report of a period: all its sections in order, and one page that says what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from audit.report.draft import Draft
from audit.report.model import Figure, Figures, Report, Section
from audit.report.sections import (
    certificate,
    detection,
    drift,
    evidence,
    explained,
    findings,
    ledgers,
    permissions,
    promises,
    thresholds,
)
from audit.report.sources import Sources
from audit.wording import Words, percent

Written = Callable[[Sources, Draft], Section]

# In the order in which a privacy officer reads.
SECTIONS: Final[Mapping[str, Written]] = {
    "promises": promises.section,
    "certificate": certificate.section,
    "findings": findings.section,
    "explained": explained.section,
    "ledgers": ledgers.section,
    "permissions": permissions.section,
    "thresholds": thresholds.section,
    "drift": drift.section,
    "detection": detection.section,
    "evidence": evidence.section,
}

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("アクセスログ分析報告書", "Access log analysis report"),
    "draft": (
        "速報：対象期間が終わっていないため、{at} までの記録による",
        "Preliminary: the period is not over; records until {at}",
    ),
    "verdicts": (
        "評価書の約束 {n} 件のうち、適合 {met} 件、要確認 {check} 件、証跡不足 {lacking} 件です。",
        "Of {n} promises, {met} read 適合 (met), {check} 要確認 (to be checked) and {lacking} 証跡不足 (evidence missing).",
    ),
    "events": ("記録 {n} 件を分析しました。", "{n} events were analysed."),
    "whole": (
        "エージェントが申告した {n} 件のうち、届かなかった記録はありません。",
        "Of {n} that agents declare none is missing.",
    ),
    "missing": (
        "エージェントが申告した {n} 件のうち、{missing} 件が届いていません。",
        "Of {n} that agents declare {missing} did not arrive.",
    ),
    "silent": ("記録の途切れは延べ {n} 日あります。", "Sources were silent on {n} source days."),
    "serious": (
        "警報は {alerts} 件、要確認の検知は {reviews} 件ありました。",
        "There were {alerts} alerts and {reviews} findings for review.",
    ),
    "open": (
        "このうち {n} 件はまだ決裁されておらず、{late} 件は期限を過ぎています。",
        "{n} are not decided yet, {late} of them late.",
    ),
    "open_unknown": (
        "監査データベースがないため、確認と決裁の状況は分かりません。",
        "There is no audit database, so it is not known what was done about them.",
    ),
    "explained": (
        "本人の情報へのアクセスのうち {share} に、業務上の理由が記録されています。",
        "{share} of the accesses to somebody's data have a recorded reason.",
    ),
}


def make(sources: Sources, draft: Draft, version: str, *, tell: Callable[[float], None] = lambda share: None) -> Report:
    """Write the report.

    Args:
        sources: What it is written from.
        draft: Remembers which events are behind which figure.
        version: Of Sekimori.
        tell: Called after each section with the share of them that is done.
    """
    words = sources.words.extended(_PAIRS)
    period = sources.period
    written: tuple[Section, ...] = ()
    for section in SECTIONS.values():
        written += (section(sources, draft),)
        tell(len(written) / len(SECTIONS))
    over = sources.as_of >= period.end
    return Report(
        title=words["title"],
        language=words.language,
        site=sources.site.config.name,
        time_zone=sources.site.config.time_zone,
        begin=period.begin,
        end=period.end,
        period=_period(sources, words),
        as_of=sources.as_of,
        draft=None if over else words.say("draft", at=words.moment(sources.as_of)),
        summary=_summary({one.id: one for one in figures(written)}, sources, words),
        sections=written,
        version=version,
    )


def figures(sections: Iterable[Section]) -> list[Figure]:
    """All numbers that stand out, in order."""
    return [
        one for section in sections for block in section.blocks if isinstance(block, Figures) for one in block.figures
    ]


def _period(sources: Sources, words: Words) -> str:
    first, last = (words.local(ms).date() for ms in (sources.period.begin, sources.period.end - 1))
    western = f" ({first.isoformat()}〜{last.isoformat()})" if words.language == "ja" else ""
    return words.say("period_days", first=words.day(first), last=words.day(last), n=(last - first).days + 1) + western


def _summary(told: Mapping[str, Figure], sources: Sources, words: Words) -> tuple[str, ...]:
    """The period in a few sentences; what is not known is said, not left out."""

    def whole(of: str) -> int | None:
        value = told[of].value if of in told else None
        return value if isinstance(value, int) else None

    out = []
    met, check, lacking = (whole(f"promises.{name}") for name in ("met", "check", "lacking"))
    if met is not None and check is not None and lacking is not None:
        out.append(words.say("verdicts", n=met + check + lacking, met=met, check=check, lacking=lacking))
    received, declared, missing = (whole(f"certificate.{name}") for name in ("received", "declared", "missing"))
    if received is not None:
        out.append(words.say("events", n=received))
    if declared is not None and missing is not None:
        out.append(words.say("missing" if missing else "whole", n=declared, missing=missing))
    if silent := whole("certificate.silent"):
        out.append(words.say("silent", n=silent))
    queues = [row.found["queue"] for row in sources.in_period]
    out.append(words.say("serious", alerts=queues.count("alert"), reviews=queues.count("review")))
    if queues:
        out.append(_open(sources, words))
    share = told.get("explained.share")
    if share is not None and isinstance(share.value, float | int):
        out.append(words.say("explained", share=percent(float(share.value))))
    return tuple(out)


def _open(sources: Sources, words: Words) -> str:
    if not sources.kept:
        return words["open_unknown"]
    rows = [row for row in sources.in_period if row.case.is_open]
    return words.say("open", n=len(rows), late=sum(row.late is not None for row in rows))
