"""Words for numbers: what findings call features, checks, families and circumstances, in Japanese and English."""

from __future__ import annotations

from typing import Final

Words = dict[str, str]


def _w(ja: str, en: str) -> Words:
    return {"ja": ja, "en": en}


FAMILIES: Final[dict[str, Words]] = {
    "leaver": _w("退職・異動後の利用", "use after leaving or moving"),
    "permission": _w("権限を超える利用", "use beyond permission"),
    "relation": _w("本人・家族・同僚・近隣の閲覧", "looking at oneself, family, colleagues or neighbours"),
    "volume": _w("件数の多さ", "volume"),
    "export": _w("持ち出し", "taking data out"),
    "time": _w("時間外・不在時の利用", "use outside hours or while absent"),
    "auth": _w("認証", "authentication"),
    "session": _w("セッションの使い方", "way of using a session"),
    "evidence": _w("証跡の欠け", "missing evidence"),
    "money": _w("支給・振込", "payments"),
    "admin": _w("管理操作", "administration"),
    "vendor": _w("委託先の作業", "work of contractors"),
    "device": _w("端末・媒体", "terminals and media"),
    "law": _w("照会・提供の根拠", "legal ground of inquiry and provision"),
    "peer_surprise": _w("同じ部署では珍しい使い方", "rare among peers"),
    "context": _w("状況による補正", "adjustment by circumstances"),
}

CONTEXT: Final[dict[str, Words]] = {
    "explained": _w("閲覧のすべてに記録された理由がある", "every access has a recorded reason"),
    "protected": _w("支援措置対象者を含む", "a protected person is concerned"),
    "vendor": _w("委託先の要員", "works for a contractor"),
    "leaving": _w("30日以内に退職予定", "leaves within 30 days"),
    "emergency": _w("宣言された緊急対応中", "during a declared emergency"),
}

FEATURES: Final[dict[str, Words]] = {
    "events": _w("操作件数", "events"),
    "subjects": _w("閲覧した人数", "distinct subjects"),
    "n.accesses": _w("個人情報への操作件数", "accesses to a subject"),
    "n.unexplained": _w("理由の記録がない閲覧件数", "accesses without a recorded reason"),
    "n.to_check": _w("理由の確認が必要な閲覧件数", "accesses whose reason is to be checked"),
    "n.unexplained_subjects": _w("理由の記録がない閲覧人数", "subjects without a recorded reason"),
    "n.read": _w("照会件数", "reads"),
    "n.search": _w("検索件数", "searches"),
    "n.list": _w("一覧表示件数", "lists"),
    "n.print": _w("印刷件数", "prints"),
    "n.export": _w("出力・複写・送信件数", "exports, copies and sendings"),
    "n.write": _w("登録・更新件数", "entries written"),
    "n.delete": _w("削除件数", "deletions"),
    "n.failure": _w("失敗した操作件数", "failures"),
    "n.denied": _w("拒否された操作件数", "denials"),
    "n.logon_failure": _w("ログオン失敗件数", "failed log-ons"),
    "n.name_search": _w("氏名検索件数", "searches by name"),
    "n.wildcard": _w("あいまい検索件数", "wildcard searches"),
    "n.households": _w("閲覧した世帯数", "distinct households"),
    "n.areas": _w("閲覧した地区数", "distinct areas"),
    "n.ops": _w("使った機能の数", "distinct functions"),
    "n.devices": _w("使った端末の数", "distinct terminals"),
    "n.colleagues": _w("理由の記録なく閲覧した同僚の人数", "colleagues without a recorded reason"),
    "n.neighbours": _w("理由の記録なく閲覧した近隣住民の人数", "neighbours without a recorded reason"),
    "n.family": _w("自分の世帯の閲覧件数", "accesses to the own household"),
    "n.protected": _w("理由の記録がない支援措置対象者の閲覧件数", "unexplained accesses to protected people"),
    "rows.max": _w("一度に扱った最大行数", "most rows at once"),
    "rows.sum": _w("一覧・出力した行数", "rows listed or taken out"),
    "bytes.sum": _w("出力バイト数", "bytes taken out"),
    "amount.sum": _w("金額の合計（円）", "money in yen"),
    "n.after_hours": _w("時間外の操作件数", "events outside hours"),
    "n.day_off": _w("休日の操作件数", "events on days off"),
    "duration_min": _w("利用時間（分）", "minutes of use"),
    "pace_per_min": _w("1分あたりの操作件数", "events per minute"),
    "gap_max_s": _w("最長の空白（秒）", "longest pause in seconds"),
    "step.share": _w("番号が隣り合う閲覧の割合", "share of neighbouring numbers"),
    "step.run": _w("番号順に続いた閲覧件数", "longest run in number order"),
    "repeat.max": _w("同じ人を繰り返し閲覧した回数", "repeated looks at one subject"),
    "warn.fast": _w("1秒未満で閉じた警告の数", "warnings closed within a second"),
    "shift.ops": _w("空白前後の機能の違い（0〜1）", "change of functions after a pause (0 to 1)"),
    "shift.unexplained": _w("空白後に増えた理由なし閲覧の割合", "rise of the unexplained share after a pause"),
    "first.ops": _w("本人が初めて使った機能の数", "functions new to the person"),
}

EVIDENCE: Final[dict[str, dict[str, Words]]] = {
    "sequence_gap": {
        "unit": _w("件", "missing numbers"),
        "title": _w("ログの連番の欠け", "Gap in the sequence numbers of an agent"),
        "text": _w(
            "エージェント {who} の連番が {observed} 件欠けています（{from} から {to} の間）。",
            "{observed} sequence numbers of agent {who} are missing between {from} and {to}.",
        ),
        "filled": _w(
            "エージェント {who} の欠けていた連番 {observed} 件（{from} から {to} の間）は、後から、または読み直されて別の番号で届きました。欠けはありません。",
            "The {observed} missing sequence numbers of agent {who} between {from} and {to} came later, or their lines came "
            "under other numbers: nothing is missing.",
        ),
    },
    "heartbeat_gap": {
        "unit": _w("秒", "seconds without heartbeat"),
        "title": _w("ハートビートの途絶", "Heartbeat of an agent interrupted"),
        "text": _w(
            "エージェント {who} からの連絡が {observed} 秒間（通常 {usual} 秒）途絶えました（{from} から {to}）。",
            "Agent {who} sent no heartbeat for {observed} seconds (usually {usual}), from {from} to {to}.",
        ),
        "open": _w(
            "エージェント {who} からの連絡が {from} を最後に途絶えています（{observed} 秒経過、通常は {usual} 秒間隔）。",
            "Agent {who} has not been heard of since {from}; {observed} seconds have passed, {usual} are usual.",
        ),
    },
    "clock_set_back": {
        "unit": _w("秒", "seconds back"),
        "title": _w("時計の巻き戻し", "Clock of a host set back"),
        "text": _w(
            "エージェント {who} の時計が {observed} 秒巻き戻されました（{to} から {from} へ）。",
            "The clock of agent {who} was set back by {observed} seconds, from {to} to {from}.",
        ),
    },
    "count_mismatch": {
        "unit": _w("件", "events received"),
        "title": _w("申告件数と受信件数の不一致", "Declared and received counts differ"),
        "text": _w(
            "エージェント {who} は {usual} 件送ったと申告しましたが、受信は {observed} 件です（{from} から {to}）。",
            "Agent {who} declared {usual} events, {observed} were received between {from} and {to}.",
        ),
    },
    "source_silent": {
        "unit": _w("秒の沈黙（通常は件数）", "seconds of silence, where so many lines are usual"),
        "title": _w("ログの沈黙", "A log source fell silent"),
        "text": _w(
            "ログ {who} に {from} から {to} まで記録がありません（同じ時間帯は通常 {usual} 件）。",
            "Source {who} wrote nothing from {from} to {to}, where it usually writes {usual} lines.",
        ),
        "open": _w(
            "ログ {who} に {from} を最後に記録がありません（この時間帯は通常 {usual} 件）。",
            "Source {who} has written nothing since {from}, where it usually writes {usual} lines.",
        ),
    },
    "source_never": {
        "unit": _w("件", "lines"),
        "title": _w("届いていないログ", "A declared log source never spoke"),
        "open": _w(
            "届くはずのログ {who} が、開庁日の1日が過ぎても1件も届いていません。",
            "The declared source {who} has not written one line, though a working day has passed.",
        ),
        "filled": _w(
            "届いていなかったログ {who} の最初の記録は {to} です。",
            "The declared source {who}, which had not spoken, wrote its first line at {to}.",
        ),
    },
}

EVIDENCE_FIRST: Final = _w(
    "ログの収集元（ホスト・エージェント・ネットワーク）の状態と、その時間に行われた作業を確認してください。",
    "Look at the host, its agent and the network, and at what was done there at that time.",
)
HITS: Final = _w("件", "hits")
COMBINATION: Final = _w("操作の組み合わせ", "combination of features")
