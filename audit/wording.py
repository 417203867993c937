"""The words of the report, in Japanese and English, and how it writes dates and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

Language = Literal["ja", "en"]

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "report": ("アクセスログ分析報告書", "Access log analysis report"),
    "period": ("対象期間", "Period"),
    "period_days": ("{first}〜{last}（{n}日間）", "{first} – {last} ({n} days)"),
    "dash": ("〜", " – "),
    "no_period": ("分析された記録がない", "nothing was analysed"),
    "sign_made": ("作成", "Prepared"),
    "sign_checked": ("確認", "Checked"),
    "sign_approved": ("承認", "Approved"),
    "sign": ("決裁欄", "Signatures"),
    "figures": ("主な数値", "Key figures"),
    "to_section": ("目次", "Contents"),
    # verdicts
    "verdicts": ("評価書の約束ごとの判定", "Verdicts, promise by promise"),
    "verdicts_lead": (
        "評価書に書かれた約束のうち、ログで証明できるものを一つずつ判定しました。「適合」は、必要な台帳と記録がそろい、"
        "それが約束を裏づける場合に限ります。",
        "Every promise of the assessments that a log can prove, judged one by one. It reads 適合 (met) only where the "
        "registers and records that it needs are there and bear it out.",
    ),
    "no_pia": ("評価書が申告されていません", "No assessment is declared"),
    "no_pia_text": (
        "この分析に使われた設定では、どのシステムにも評価書（pia）が指定されていないため、約束の判定は行っていません。"
        "site.toml の [systems.…] に pia を書くと、次の分析から判定します。",
        "No system of the site names an assessment (pia), so no promise was judged. Write pia under [systems.…] in "
        "site.toml and the next analysis judges it.",
    ),
    "not_judged": ("判定していない評価書", "Assessments not judged"),
    "not_judged_text": ("どのシステムにも指定されていない", "no system of the site names it"),
    "unknown_pia": (
        "site.toml が指定する評価書 {pia} の管理策（rules/controls/{pia}.yml）がありません。",
        "site.toml names the assessment {pia}, but there is no rules/controls/{pia}.yml.",
    ),
    "id": ("番号", "No."),
    "promise": ("約束", "Promise"),
    "verdict": ("判定", "Verdict"),
    "number": ("数値と基準", "Number and standard"),
    "grounds": ("理由と証跡", "Reason and evidence"),
    "expected": ("基準", "standard"),
    "evidence": ("証跡", "evidence"),
    "examples": ("例", "e.g."),
    "stands_in": ("出典", "Source"),
    "paraphrase": (
        "＊印は、評価書の趣旨を当方の言葉で要約したもの（原文の引用ではない）。",
        "* our own wording of what the assessment says, not a quotation.",
    ),
    "systems": ("対象システム", "Systems"),
    "touching": ("関係する検知", "findings"),
    # why a verdict reads so
    "why_register": ("{name} がない", "{name} is not there"),
    "why_query": ("管理策の問い合わせが実行できない（{error}）", "the control's query cannot be run ({error})"),
    "why_nothing": ("数えるべき記録が対象期間にない", "the period holds nothing to count"),
    "why_no_events": ("{system} のログが対象期間に1件もない", "the period holds no log of {system}"),
    "why_mute": ("届くべきログ {sources} が対象期間に1件もない", "the declared source {sources} never spoke"),
    "why_refused": ("ログ {source} の {percent}% が読み取れていない", "{percent} % of {source} could not be read"),
    "why_findings": (
        "この約束に触れる検知が {n} 件あり、人による確認を待っている",
        "findings that touch it and wait for a person: {n}",
    ),
    # next steps
    "next": ("次に行うこと", "What to do next"),
    "next_alert": (
        "警報 {n} 件を確認する（最初に見るところは各カードに記載）。",
        "Look into {n} alerts; each card says where to begin.",
    ),
    "next_review": ("要確認の検知 {n} 件を確認する。", "Look through {n} review items."),
    "next_gap": (
        "ログの途切れ（延べ {n} 日、{sources}）の原因を確かめる。",
        "Find out why logs were silent ({n} source days: {sources}).",
    ),
    "next_needs": (
        "{need} を用意する（{controls} の判定に必要）。",
        "Supply {need}: {controls} cannot be judged without it.",
    ),
    "next_lacking": ("{control} の証跡を補う。{reason}", "Supply the evidence for {control}: {reason}"),
    "next_checks": (
        "{need} を用意すると、実施できなかった（又は一部だけ実施した）検査 {n} 件が動く。",
        "With {need}, {n} checks could run in full that did not.",
    ),
    "next_rejected": (
        "読み取れなかった {n} 行を rejected.ndjson で確かめる。",
        "See in rejected.ndjson why {n} lines could not be read.",
    ),
    "next_nothing": ("急いで行うことはありません。", "Nothing is urgent."),
    # findings
    "findings": ("検知事項", "Findings"),
    "findings_lead": (
        "重要度と類型ごとの件数です。件数は検知の数で、人数ではありません。",
        "Counts by severity and family; they count findings, not people.",
    ),
    "family": ("類型", "Family"),
    "severity": ("重要度", "Severity"),
    "sum": ("計", "Total"),
    "no_findings": ("検知はありませんでした。", "There was no finding."),
    "cards": ("確認が必要な検知", "Findings that ask for a person"),
    "more_cards": (
        "ほか {n} 件は下の一覧と findings.ndjson にあります（重大な順に {shown} 件を掲載）。",
        "{n} more are in the list below and in findings.ndjson; the worst {shown} are shown.",
    ),
    "about": ("対象", "About"),
    "who": ("利用者", "Who"),
    "when": ("日時", "When"),
    "session": ("セッション", "Session"),
    "device": ("端末", "Terminal"),
    "system": ("システム", "System"),
    "events_n": ("関係する記録", "Events"),
    "subjects_n": ("関係する本人", "Subjects"),
    "persons": ("人", "people"),
    "items": ("件", ""),
    "why": ("理由の内訳", "Reasons"),
    "share": ("割合", "Share"),
    "observed": ("今回", "Observed"),
    "usual": ("通常", "Usual"),
    "peers": ("同じ部署", "Peers"),
    "check_first": ("最初に見るところ", "Check first"),
    "controls": ("関係する約束", "Promises concerned"),
    "context": ("状況", "Circumstances"),
    "risk": ("リスク", "Risk"),
    "nobody": ("（特定されていない）", "(nobody named)"),
    "and_others": ("ほか {n} 人", "and {n} others"),
    "explained_word": ("業務理由", "Business reason"),
    "learning": ("モデルは学習中", "model still learning"),
    "queue": ("区分", "Queue"),
    "queue_alert": ("警報", "alert"),
    "queue_review": ("要確認", "review"),
    "queue_digest": ("参考", "digest"),
    "queue_none": ("記録のみ", "kept"),
    "review": ("確認待ちの一覧", "Review queue"),
    "review_lead": (
        "人による確認を待っている検知です。重大な順に並べています。",
        "What waits for a person, worst first.",
    ),
    "review_none": ("確認待ちの検知はありません。", "Nothing waits."),
    "more_rows": ("ほか {n} 件は findings.ndjson にあります。", "{n} more are in findings.ndjson."),
    "what": ("内容", "What"),
    "finding_id": ("検知番号", "Finding"),
    # explained
    "explained": ("業務理由が説明できた割合", "Explained share"),
    "explained_lead": (
        "本人情報への操作のうち、担当・申請・訪問などの記録された理由があるものの割合です。",
        "Of all accesses to somebody's data, those with a recorded reason: caseload, application, visit.",
    ),
    "explained_none": (
        "担当（assignments.csv）も業務理由（bases.csv）も登録されていないため、説明の有無は判定できません。",
        "Neither assignments.csv nor bases.csv is there, so nothing can be said about reasons.",
    ),
    "explained_yes": ("理由あり", "explained"),
    "explained_check": ("理由の確認が必要", "to be checked"),
    "explained_no": ("理由の記録なし", "no recorded reason"),
    "accesses": ("操作件数", "Accesses"),
    "explained_share": ("説明できた割合", "Explained share"),
    "explained_hint": (
        "{day}: {total}件のうち理由あり{yes}件、確認{check}件、なし{no}件",
        "{day}: of {total}, {yes} explained, {check} to check, {no} without",
    ),
    # coverage
    "coverage": ("ログの網羅", "Coverage of the logs"),
    "coverage_lead": (
        "どのログが、どの日に、何件の記録を残したかを示します。×は、開庁日に記録が1件もない日です。",
        "Which log spoke on which day, and how many lines. A cross is an office day without a single line.",
    ),
    "coverage_desc": (
        "{sources}系統のログの日別件数。途切れた日は延べ{gaps}日。数値は下の表にある。",
        "Lines per day of {sources} logs; {gaps} silent source days. The numbers stand in the table below.",
    ),
    "coverage_long": ("期間が長いため、月ごとにまとめました。", "The period is long, so months are shown."),
    "coverage_years": ("期間が長いため、年ごとにまとめました。", "The period is long, so years are shown."),
    "key_silent": ("記録なし", "silent"),
    "key_gap": ("記録なし（開庁日）", "silent on an office day"),
    "key_off": ("記録なし（休日、又は生存信号のみ）", "silent (day off, or heartbeats only)"),
    "source": ("ログ", "Log source"),
    "declared": ("申告", "Declared"),
    "yes": ("あり", "yes"),
    "no": ("なし", "no"),
    "lines": ("件数", "Lines"),
    "days_spoken": ("記録のある日", "Days with lines"),
    "unit_days": ("日", ""),
    "days_silent": ("途切れた日", "Silent days"),
    "first_last": ("最初と最後の記録", "First and last line"),
    "refused": ("読取不可", "Refused"),
    "heartbeats": ("生存信号", "Heartbeats"),
    "cell_hint": ("{source} {day}: {n} 件", "{source} {day}: {n} lines"),
    # analysed
    "analysed": ("分析の対象と方法", "What was analysed"),
    "files": ("ファイル", "Files"),
    "sources": ("ログの系統", "Log sources"),
    "events": ("記録", "Events"),
    "sessions": ("セッション", "Sessions"),
    "rejected": ("読み取れなかった行", "Lines refused"),
    "by_reason": ("理由別", "by reason"),
    "mode": ("方式", "Mode"),
    "mode_retrospective": (
        "期間全体から基準を作り、同じ期間を評価した（事後分析）",
        "a baseline was fitted on the period itself (retrospective)",
    ),
    "mode_pinned": ("固定した基準とモデルで評価した", "with a pinned baseline and model"),
    "mode_rules": ("規則だけで評価した（モデルを作るには記録が少ない）", "rules only: too little for a model"),
    "versions": ("版", "Versions"),
    "emergencies": ("緊急対応の宣言", "Declared emergencies"),
    "not_run": ("実施できなかった検査（一部を含む）", "Checks that could not run in full"),
    "not_run_none": ("すべての検査を実施した", "all checks ran"),
    "check": ("検査", "Checks"),
    "checks_n": ("検査数", "Number"),
    "needs": ("必要なもの", "Needs"),
    "problems": ("読み取りの問題", "Problems while reading"),
    "more_problems": ("ほか {n} 件", "{n} more"),
    "hashes": ("報告の根拠となったファイル", "Files this report rests on"),
    "file": ("ファイル", "File"),
    "bytes": ("バイト", "Bytes"),
    "users": ("利用者の内訳", "People by department"),
    "users_lead": (
        "期間中に利用した人数です。5人未満の部署はまとめ、個人が推測されないようにしています。",
        "People active in the period. Departments with fewer than five are merged, so that nobody can be singled out.",
    ),
    "department": ("部署", "Department"),
    "few": ("5人未満", "fewer than 5"),
    "merged": ("その他（5人未満の部署）", "others (departments under 5)"),
    "reading": ("この報告書の読み方", "How to read this report"),
    "reading_met": (
        "必要な台帳と記録がそろい、基準を満たしている。人による確認を待つ検知もない。",
        "registers and records are there, the standard is met, and no finding that touches it waits for a person.",
    ),
    "reading_check": (
        "基準を外れた記録がある、又は関係する検知が確認を待っている。違反と決まったわけではない。",
        "records miss the standard, or a finding that touches it waits for a person. It is not yet a breach.",
    ),
    "reading_lacking": (
        "必要な台帳・記録がない、ログが途切れている、又は読み取れていない。よかったとも悪かったとも言えない。",
        "a register or record is missing, or a log was silent or could not be read. Nothing can be said.",
    ),
    "reading_tokens": (
        "本人の番号は鍵付きの符号（s_…）に置き換え、個人番号は記録前に伏せています。",
        "Ids of people on file are keyed tokens (s_…), and My Numbers are masked before anything is written.",
    ),
    "notes": ("注記", "Notes"),
    # parts of sentences
    "lead_pia": (
        "評価書の約束 {n} 件のうち、適合 {met} 件、要確認 {check} 件、証跡不足 {lacking} 件です。",
        "Of {n} promises: met (適合) {met}, to be checked (要確認) {check}, evidence missing (証跡不足) {lacking}.",
    ),
    "lead_findings": (
        "{events} 件の記録から、警報 {alerts} 件、要確認 {reviews} 件を検知しました。",
        "Events: {events}; alerts: {alerts}; review items: {reviews}.",
    ),
    "lead_explained": (
        "本人情報への操作のうち {share} に業務理由の記録があります。",
        "{share} of accesses to somebody's data have a recorded reason.",
    ),
    "alerts": ("警報", "Alerts"),
    "reviews": ("要確認の検知", "Review items"),
}

SEVERITIES: Final[dict[int, tuple[str, str]]] = {
    5: ("緊急", "critical"),
    4: ("高", "high"),
    3: ("中", "medium"),
    2: ("低", "low"),
    1: ("参考", "informational"),
}

FAMILIES: Final[dict[str, tuple[str, str]]] = {
    "leaver": ("退職・異動後の利用", "after leaving or moving"),
    "permission": ("権限を超える利用", "beyond permission"),
    "relation": ("本人・家族・同僚・近隣", "oneself, family, colleagues, neighbours"),
    "volume": ("件数の多さ", "volume"),
    "export": ("持ち出し", "taking data out"),
    "time": ("時間外・不在時", "outside hours or absent"),
    "auth": ("認証", "authentication"),
    "session": ("セッションの使い方", "way of using a session"),
    "evidence": ("証跡の欠け", "missing evidence"),
    "money": ("支給・振込", "payments"),
    "admin": ("管理操作", "administration"),
    "vendor": ("委託先の作業", "contractors"),
    "device": ("端末・媒体", "terminals and media"),
    "law": ("照会・提供の根拠", "legal ground"),
    "peer_surprise": ("同じ部署では珍しい使い方", "rare among peers"),
    "forest": ("珍しい組み合わせ", "unusual combination"),
}

REASONS: Final[dict[str, tuple[str, str]]] = {
    "encoding": ("文字コード", "encoding"),
    "format": ("形式", "format"),
    "json": ("JSONではない", "no JSON"),
    "columns": ("列の数", "columns"),
    "time": ("日時", "time"),
    "required": ("必須項目の欠け", "required key missing"),
    "type": ("値の型", "type"),
    "value": ("値の範囲", "value"),
    "duplicate": ("項目の重複", "duplicate key"),
    "too_long": ("長すぎる行", "too long"),
    "undelivered": ("届けられなかった通知", "notice not delivered"),
}

_EXPLAINED: Final[dict[str, tuple[str, str]]] = {
    "explained": ("記録された理由あり", "explained"),
    "to_check": ("理由の確認が必要", "to be checked"),
    "unexplained": ("理由の記録なし", "no recorded reason"),
}

_WEEKDAYS: Final = ("月火水木金土日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
# First day of each era, https://www.ndl.go.jp/jp/data/era.html; only the ones that a log can hold.
_ERAS: Final = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))


class Words:
    """The report's words in one language, and its way of writing dates and numbers.

    Args:
        language: `ja` or `en`.
        zone: The site's time zone.
    """

    def __init__(self, language: Language, zone: str) -> None:
        self.language: Language = language
        self._place = 0 if language == "ja" else 1
        self._zone = ZoneInfo(zone)
        self._pairs: Mapping[str, tuple[str, str]] = _PAIRS

    def extended(self, pairs: Mapping[str, tuple[str, str]]) -> Words:
        """The same with more words, Japanese and English; one of a name that is there already goes before it."""
        more = Words(self.language, self._zone.key)
        more._pairs = {**self._pairs, **pairs}
        return more

    def __getitem__(self, key: str) -> str:
        return self._pairs[key][self._place]

    def say(self, key: str, **values: object) -> str:
        """A sentence with values; numbers are grouped by thousands."""
        shown = {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in values.items()}
        return self._pairs[key][self._place].format(**shown)

    def family(self, name: str | None) -> str:
        """A family of rules; one that is not known reads as it is written."""
        return self._of(FAMILIES, name)

    def severity(self, number: int) -> str:
        """OCSF's severity in a word."""
        return SEVERITIES.get(number, (str(number), str(number)))[self._place]

    def rejection(self, name: str | None) -> str:
        """Why a line was refused."""
        return self._of(REASONS, name)

    def reason(self, name: str | None) -> str:
        """Whether accesses are explained."""
        return self._of(_EXPLAINED, name)

    def _of(self, words: Mapping[str, tuple[str, str]], name: str | None) -> str:
        return "-" if name is None else words[name][self._place] if name in words else name

    def join(self, items: list[str]) -> str:
        """A list in a sentence."""
        return ("、" if self.language == "ja" else ", ").join(items)

    def sentences(self, parts: list[str]) -> str:
        """Parts of a reason, one sentence each."""
        if self.language == "ja":
            return "".join(f"{part}。" for part in parts)
        return " ".join(f"{part[:1].upper()}{part[1:]}." for part in parts)

    def day(self, day: date, year: bool = True) -> str:
        """令和8年3月2日（月）, or 2026-03-02 (Mon)."""
        weekday = _WEEKDAYS[self._place][day.weekday()]
        if self.language == "en":
            return f"{day.isoformat()} ({weekday})"
        return f"{self.era(day) if year else ''}{day.month}月{day.day}日（{weekday}）"

    def era(self, day: date) -> str:
        """令和8年."""
        for first, name in _ERAS:
            if day >= first:
                number = day.year - first.year + 1
                return f"{name}{'元' if number == 1 else number}年"
        return f"{day.year}年"

    def weekday(self, day: date) -> str:
        """One sign for the head of a column."""
        return _WEEKDAYS[self._place][day.weekday()][0]

    def local(self, ms: int) -> datetime:
        """The site's wall clock of a moment in UTC ms."""
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(self._zone)

    def moment(self, ms: int) -> str:
        """Day and time of a moment in UTC ms."""
        at = self.local(ms)
        return f"{self.day(at.date())} {at:%H:%M}"

    def short(self, ms: int) -> str:
        """Day without year, and time, of a moment in UTC ms."""
        at = self.local(ms)
        return f"{self.day(at.date(), year=False)} {at:%H:%M}"

    def span(self, first: int, last: int) -> str:
        """From one moment to another, the day only once where it is the same."""
        begin, end = self.local(first), self.local(last)
        dash = self["dash"]
        if begin.date() == end.date():
            clock = f"{begin:%H:%M}" if f"{begin:%H:%M}" == f"{end:%H:%M}" else f"{begin:%H:%M}{dash}{end:%H:%M}"
            return f"{self.day(begin.date())} {clock}"
        return f"{self.moment(first)}{dash}{self.moment(last)}"


def number(value: object) -> str:
    """A number for a reader: thousands grouped, at most one decimal, `-` where there is none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percent(share: float | None) -> str:
    """A share, 0 to 1, as whole percent; never 100 % or 0 % unless it is exactly that."""
    if share is None:
        return "-"
    if 0 < share < 0.01 or 0.99 < share < 1:
        return f"{100 * share:.1f}%" if 0.001 <= share <= 0.999 else ("<0.1%" if share < 0.5 else ">99.9%")
    return f"{100 * share:.0f}%"
