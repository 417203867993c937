"""Section 10: the evidence itself: whether the archive is whole, and how anybody can see for themselves."""

from __future__ import annotations

from typing import Final

from audit import sections as shared
from audit.chains.verdict import GAP, OK, TAMPERED
from audit.report.draft import Draft
from audit.report.model import Block, Column, Figure, Figures, Items, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Evidence, Sources
from audit.wording import Words

ID: Final = "evidence"
MOST_PROBLEMS: Final = 30

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("証跡の検証", "Evidence"),
    "lead": (
        "受け取った記録は、1時間ごとの署名付きダイジェストのもとに保管されます。次の結果は、保管とは別に書かれた検証プログラムによるものです。",
        "What is received is kept under a signed digest every hour. The result comes from a verifier that shares no code with what keeps it.",
    ),
    "not_asked": (
        "保管庫（audit.toml の [archive]）が指定されていないため、記録が改変されていないことは検証していません。",
        "No archive is named ([archive] in audit.toml), so it was not verified that no record was altered.",
    ),
    "result": ("検証の結果", "Result"),
    "ok": ("異常なし", "whole"),
    "tampered": ("改変の疑い", "altered"),
    "gap": ("欠けあり", "gap"),
    "cannot": ("検証できない", "cannot be verified"),
    "problems": ("検証で分かったこと", "What the verifier says"),
    "more": ("ほか {n} 件", "{n} more"),
    "digests": ("最新のダイジェスト", "The newest digests"),
    "partition": ("区画", "Partition"),
    "from": ("から", "From"),
    "to": ("まで", "Until"),
    "sha": ("SHA-256", "SHA-256"),
    "no_digest": ("ダイジェストがありません。", "There is no digest."),
    "how": ("検証のしかた：{command}", "To verify: {command}"),
    "files": ("この報告が基づくファイル", "Files that this report rests on"),
    "file": ("ファイル", "File"),
    "size": ("大きさ（バイト）", "Bytes"),
    "no_files": ("ファイルは日別の表です。", "The files are tables by day."),
    "limits": (
        "署名鍵とエージェントの鍵の両方を持つ者による改変と、記録が届く前の改変は、この検証では分かりません。末尾を切り取られたことは、定期通知の件数からのみ分かります。",
        "What it cannot see: changes by who holds both the signing key and the agents' keys, or before records arrived. A cut tail shows in heartbeat counts only.",
    ),
}  # fmt: skip


def section(sources: Sources, draft: Draft) -> Section:
    """Write it."""
    words = sources.words.extended(_PAIRS)
    blocks: list[Block] = [Paragraph(words["lead"])]
    blocks += _verified(sources.evidence, words) if sources.evidence else [Notice(words["not_asked"], Tone.LACKING)]
    blocks.append(_files(sources, words))
    blocks.append(Paragraph(words["limits"]))
    return Section(ID, words["title"], tuple(blocks))


def _verified(evidence: Evidence, words: Words) -> list[Block]:
    status = evidence.verdict.status
    word = {OK: "ok", TAMPERED: "tampered", GAP: "gap"}.get(status, "cannot")
    tone = {OK: Tone.GOOD, TAMPERED: Tone.URGENT, GAP: Tone.CHECK}.get(status, Tone.LACKING)
    told = [problem.text for problem in evidence.verdict.problems]
    if len(told) > MOST_PROBLEMS:
        told = [*told[:MOST_PROBLEMS], words.say("more", n=len(told) - MOST_PROBLEMS)]
    out: list[Block] = [Figures((Figure(f"{ID}.result", words["result"], words[word], "text", tone=tone),))]
    if told:
        out.append(Items(tuple(told), title=words["problems"]))
    out.append(
        Table(
            f"{ID}.digests",
            words["digests"],
            (
                Column(words["partition"], "id", 2),
                Column(words["from"], "moment", 3),
                Column(words["to"], "moment", 3),
                Column(words["sha"], "id", 5),
            ),
            evidence.verdict.newest,
            words["no_digest"],
        )
    )
    out.append(Paragraph(words.say("how", command=evidence.command)))
    return out


def _files(sources: Sources, words: Words) -> Table:
    return Table(
        f"{ID}.files",
        words["files"],
        (Column(words["file"], "id", 2), Column(words["size"], "integer"), Column(words["sha"], "id", 5)),
        tuple(shared.hashes(sources.month.folder)),
        words["no_files"],
    )
