"""Exceptions: what the office allowed for a while, who stands for it, and what it kept from people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from audit.database.store import Exemption
from audit.report import details as read
from audit.report.details import Details
from audit.report.draft import Draft
from audit.report.model import Block, Cell, Column, Notice, Table, Tone
from audit.report.precision import titles
from audit.report.sources import Sources
from audit.wording import Words

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "exceptions": ("効力のあった例外", "Exceptions in force"),
    "exceptions_note": (
        "例外に当たる検知は、消されずに参考へ回る。控えた検知は対象期間の件数。",
        "What an exception allows is not dropped but goes to the digest. Counts are of the period.",
    ),
    "exceptions_none": ("対象期間に効力のあった例外はありません。", "No exception was in force."),
    "exceptions_unknown": (
        "監査データベース（audit.toml の audit.database）がないため、例外は検知に記されたものだけを示します。何も控えなかった例外は分かりません。",
        "There is no audit database (audit.database in audit.toml): only exceptions that findings name are shown. Of those that hid nothing nothing is known.",
    ),
    "scope": ("許した範囲", "What is allowed"),
    "scope_analytic": ("規則 {name}", "rule {name}"),
    "scope_actor": ("利用者 {name}", "who {name}"),
    "scope_subject": ("本人 {name}", "about {name}"),
    "scope_unknown": ("不明（検知に記されたもの）", "not known (named by findings)"),
    "stands": ("責任者", "Stands for it"),
    "approved": ("{by}（承認 {approver}）", "{by} (approved by {approver})"),
    "decided_at": ("決定", "Decided"),
    "until": ("期限", "Until"),
    "ended": ("{reason}（{moment} に取消・変更）", "{reason} (withdrawn or replaced on {moment})"),
    "reason": ("理由", "Reason"),
    "hidden_n": ("控えた検知", "Kept back"),
    "about_finding": ("もとの検知", "Decided about"),
}  # fmt: skip


def blocks(sources: Sources, details: Details, draft: Draft, words: Words) -> list[Block]:
    """The table of exceptions that were in force at some moment of the period.

    Args:
        sources: What the report is written from.
        details: Of the period's findings.
        draft: What remembers events.
        words: With `PAIRS`.
    """
    hidden = _hidden(details)
    uids = [uid for some in hidden.values() for uid in some]
    draft.events("detection.exceptions", read.behind(sources.month.findings, uids))
    rules = [one.analytic for one in sources.exemptions if one.analytic is not None]
    names = titles(sources.month, rules, words.language)
    rows = []
    for one, ended in in_force(sources.exemptions, sources.period.begin, sources.period.end):
        mine = hidden.pop((one.finding, one.at), [])
        rows.append(_row(one, ended, len(mine), names, words))
    rows += _named_only(hidden, details, words)
    columns = (
        Column(words["scope"], weight=4), Column(words["stands"], weight=3), Column(words["decided_at"], "moment", 2),
        Column(words["until"], "moment", 2), Column(words["reason"], weight=4),
        Column(words["hidden_n"], "integer"), Column(words["about_finding"], "id", 2),
    )  # fmt: skip
    table = Table("detection.exceptions", words["exceptions"], columns, tuple(rows), words["exceptions_none"], words["exceptions_note"])  # fmt: skip
    return [table] if sources.kept else [Notice(words["exceptions_unknown"], Tone.LACKING), table]


def in_force(known: Sequence[Exemption], begin: int, end: int) -> list[tuple[Exemption, int | None]]:
    """Exceptions that were in force at some moment of a period, in the order in which they were decided.

    The one that was decided last takes the place of others that allow the same; one that ends before it begins only withdraws.

    Args:
        known: All, in order.
        begin, end: UTC milliseconds, `end` excluded.

    Returns:
        Each with the moment at which another took its place (UTC ms), if that was before its own end.
    """
    out: list[tuple[Exemption, int | None]] = []
    for place, one in enumerate(known):
        scope = one.analytic, one.actor, one.subject
        later = [other.at for other in known[place + 1 :] if (other.analytic, other.actor, other.subject) == scope]
        ended = min([at for at in later if at <= one.until], default=None)
        last = one.until if ended is None else ended - 1
        if one.at <= last and one.at < end and last >= begin:
            out.append((one, ended))
    return out


def _hidden(details: Details) -> dict[tuple[str, int], list[str]]:
    """Findings by the exception that they name: by the finding it was decided about, and when."""
    named = details.table.filter(pl.col("exception.finding").is_not_null())
    out: dict[tuple[str, int], list[str]] = {}
    for finding, time, uid in named.select("exception.finding", "exception.time", "uid").iter_rows():
        out.setdefault((finding, time), []).append(uid)
    return out


def _row(one: Exemption, ended: int | None, n: int, names: dict[str, str], words: Words) -> tuple[Cell, ...]:
    parts = (
        ("analytic", None if one.analytic is None else names[one.analytic]),
        ("actor", one.actor),
        ("subject", one.subject),
    )
    scope = words.join([words.say(f"scope_{what}", name=name) for what, name in parts if name])
    reason = one.reason
    if ended is not None:
        reason = words.say("ended", reason=reason, moment=words.moment(ended))
    return scope, _stands(one.by, one.approver, words), one.at, one.until, reason, n, one.finding


def _stands(by: str | None, approver: str | None, words: Words) -> str | None:
    return words.say("approved", by=by or "-", approver=approver) if approver else by


def _named_only(hidden: dict[tuple[str, int], list[str]], details: Details, words: Words) -> list[tuple[Cell, ...]]:
    """Exceptions that findings name and the database does not hold: decided elsewhere, or before it was kept."""
    said = {row["uid"]: row for row in details.table.iter_rows(named=True)}
    rows: list[tuple[Cell, ...]] = []
    for (finding, time), uids in sorted(hidden.items(), key=lambda one: (one[0][1] or 0, one[0][0])):
        row = said[uids[0]]
        rows.append(
            (
                words["scope_unknown"], _stands(row["exception.by"], row["exception.approver"], words), time,
                row["exception.until"], row["exception.reason"], len(uids), finding,
            )
        )  # fmt: skip
    return rows
