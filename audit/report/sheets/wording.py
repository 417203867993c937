"""The workbook's own words, in Japanese and English; all others are the report's."""

from __future__ import annotations

from typing import Final, Literal

from audit.report.writing import UNKNOWN

Language = Literal["ja", "en"]

_WORDS: Final = {
    # the cover, and what is wrong
    "cover": ("表紙", "Cover"),
    "site": ("組織", "Organisation"),
    "period": ("対象期間", "Period"),
    "state": ("版の状態", "State"),
    "final": ("確定", "final"),
    "made": ("作成日時", "Made"),
    "zone": ("日時の時間帯", "Clock of all moments"),
    "version": ("Sekimori の版", "Version of Sekimori"),
    "summary": ("概要", "Summary"),
    "contents": ("目次", "Contents"),
    "section": ("章", "Section"),
    "sheet": ("シート", "Sheet"),
    "table": ("表", "Table"),
    "range": ("範囲", "Range"),
    "rows": ("行数", "Rows"),
    "name": ("表の名前（数式で使う）", "Name for formulas"),
    "notes": ("この表計算ファイルについて", "About this file"),
    "note_types": (
        "割合は0〜1の数値（表示は百分率）、所要時間は時間単位の数値、空欄は「値がない、又は不明」です。図は省き、図の元の数値を表にしています。",
        "Shares are numbers from 0 to 1 shown in percent, durations are hours, and an empty cell means that there is no value or that "
        "it is not known. Charts are left out; the numbers behind them stand as tables.",
    ),
    "note_texts": (
        "「=」「+」「-」「@」などで始まる文字列には、数式として実行されないよう先頭に「'」を付けています。見えない文字は <U+202E> のように"
        "番号で示します。元の文字列は同じ報告書の JSON にあります。",
        "A text that begins with =, +, - or @ has an apostrophe before it, so that nothing runs it as a formula, and signs that "
        "nobody would see stand by their number, such as <U+202E>. The texts as they were are in the JSON of the same report.",
    ),
    "too_long": (
        "章「{section}」の表「{table}」が Excel の上限（{most}行）を超える（{last}行目まで必要）。期間を短くして作り直すか、JSON を使う",
        "section {section!r}, table {table!r}: needs row {last}, and a sheet of Excel has {most}: report a shorter period, or use "
        "the JSON",
    ),
    "too_wide": (
        "章「{section}」の表「{table}」が Excel の上限（{most}列）を超える。JSON を使う",
        "section {section!r}, table {table!r}: a sheet of Excel has {most} columns: use the JSON",
    ),
    # tables that are made from other blocks
    "unknown": (UNKNOWN["ja"], UNKNOWN["en"]),
    "hours": ("（時間）", " (h)"),
    "unit_hours": ("時間", "h"),
    "figures": ("数値（{first}など）", "Figures ({first}, …)"),
    "label": ("項目", "Item"),
    "value": ("値", "Value"),
    "unit": ("単位", "Unit"),
    "note": ("備考", "Note"),
    "tone": ("状態", "State"),
    "id": ("ID", "ID"),
    "number": ("番号", "No."),
    "verdict": ("判定", "Verdict"),
    "promise": ("約束", "Promise"),
    "quote": ("評価書の記載", "As written"),
    "paraphrase": ("引用か", "Quotation"),
    "own_words": ("要約（原文の引用ではない）", "our own wording"),
    "quoted": ("原文の引用", "quotation"),
    "stands_in": ("出典", "Source"),
    "counts": ("数えたもの", "Counted"),
    "expected": ("基準", "Standard"),
    "reason": ("理由", "Reason"),
    "evidence": ("証跡", "Evidence"),
    "references": ("確認するもの（例）", "To check (first few)"),
    "no_promises": ("該当する約束はありません。", "No promise."),
    "what": ("何が起きたか", "What happened"),
    "sentence": ("内容", "In a sentence"),
    "badges": ("区分", "Kind"),
    "done": ("対応：", "Done: "),
    "role": ("役割", "Role"),
    "by": ("氏名", "By"),
    "at": ("日時", "When"),
    "of": ("署名の対象（SHA-256）", "What was signed (SHA-256)"),
    "nobody": ("署名する人は決められていません。", "Nobody is to sign."),
    "good": ("良", "good"),
    "plain": ("－", "-"),
    "check": ("要確認", "to check"),
    "lacking": ("不足・不明", "lacking"),
    "urgent": ("緊急", "urgent"),
}


def say(key: str, language: Language) -> str:
    """A word by its key."""
    return _WORDS[key][language == "en"]
