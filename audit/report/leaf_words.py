"""The few words that the PDF says itself, in Japanese and English."""

from __future__ import annotations

from typing import Final

from audit.report.model import Tone

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "summary": ("概要", "Summary"),
    "open": ("「", "“"),
    "close": ("」", "”"),
    "comma": ("、", ", "),
    "colon": ("：", ": "),
    "contents": ("目次", "Contents"),
    "appendix": ("付録", "Appendix"),
    "appendix_lead": (
        "本文に載せきれなかった行です。題の番号を本文が参照しています。",
        "Rows for which the sections had no room; the sections refer to their numbers.",
    ),
    "appendix_title": ("付録{n}　{title}", "Appendix {n}: {title}"),
    "appendix_name": ("付録{n}", "appendix {n}"),
    "from": ("本文 第{n}章「{title}」の続き", "Continues section {n}, {title}"),
    "period": ("対象期間", "Period"),
    "made": ("作成日時", "Made on"),
    "made_at": ("{western}年{day}（{era}） {time}", "{day} {time}"),
    "maker": ("作成", "Made by"),
    "signatures": ("決裁欄", "Sign-off"),
    "draft": ("未確定", "Not final"),
    "unsigned": ("未署名", "not signed"),
    "role": ("役割", "Role"),
    "by": ("署名者", "Signed by"),
    "at": ("日時", "When"),
    "of": ("署名した内容（SHA-256）", "What was signed (SHA-256)"),
    "page": ("{0}／{1}ページ", "Page {0} of {1}"),
    "rest_rows": (
        "全{all}件のうち先頭の{head}件です。残りの{rest}件は",
        "The first {head} of {all}; the other {rest} are in",
    ),
    "rest_all": ("{all}件の数値は", "The {all} rows of numbers are in"),
    "at_page": ("（{0}ページ）", " (page {0})"),
    "rows": ("{first}〜{last}件目（全{all}件）", "{first} to {last} of {all}"),
    "end": ("にあります。", "."),
    "no": ("番号", "No."),
    "promise": ("約束", "Promise"),
    "verdict": ("判定", "Verdict"),
    "number": ("数値と基準", "Number and standard"),
    "grounds": ("理由と証跡", "Reason and evidence"),
    "expected": ("基準：", "Standard: "),
    "evidence": ("証跡：", "Evidence: "),
    "references": ("確認するもの：", "To be checked: "),
    "source": ("出典：", "Source: "),
    "paraphrase": (
        "＊印は、評価書の趣旨を当方の言葉で要約したもの（原文の引用ではない）。",
        "* our own wording of what the assessment says, not a quotation.",
    ),
    "no_promises": ("判定した約束はありません。", "No promise was judged."),
    "nothing": ("ありません。", "None."),
    "nothing_done": ("対応の記録はありません。", "No action is on record."),
    "done": ("対応", "What was done"),
    "replaced_title": ("表示できない文字", "Characters that cannot be shown"),
    "replaced": (
        "字形のない文字、制御文字、文字の向きを変える記号は、文字コード（例：<U+202E>）で示しました。"
        "この報告書では次のとおりです（文字コードと出現回数）：",
        "Characters without a glyph, control characters and marks of direction are shown by their number, such as <U+202E>. "
        "In this report (number and times): ",
    ),
}

# No tone is told by colour alone: figures and cards have a sign, notices a word.
SIGNS: Final = {Tone.GOOD: "○", Tone.PLAIN: "", Tone.CHECK: "△", Tone.LACKING: "－", Tone.URGENT: "！"}
TONES: Final = {
    Tone.GOOD: ("良好", "In order"),
    Tone.PLAIN: ("参考", "For information"),
    Tone.CHECK: ("要確認", "To be checked"),
    Tone.LACKING: ("不足・不明", "Lacking or not known"),
    Tone.URGENT: ("至急", "Urgent"),
}
