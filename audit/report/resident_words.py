"""Words of the document about one person's record, in Japanese and English."""

from __future__ import annotations

from typing import Final

PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title_resident": ("本人情報へのアクセス記録（開示用）", "Accesses to your record (for disclosure)"),
    "title_office": ("本人情報へのアクセス記録（庁内確認用）", "Accesses to a person's record (for the office)"),
    "draft": ("速報：対象期間が終わっていない", "Draft: the period is not over"),
    "summary": (
        "本人の記録への操作は {n} 件です。ほかに、拒否された操作が {refused} 件あります。",
        "The record was accessed {n} times; {refused} more attempts were refused.",
    ),
    "summary_explained": (
        "業務上の理由の記録があるもの（理由あり）{explained} 件、理由を確認するもの {to_check} 件、理由の記録がないもの（理由なし）{unexplained} 件、判定していないもの {unjudged} 件です。",
        "With a recorded reason {explained}, to be checked {to_check}, without one {unexplained}, not judged {unjudged}.",
    ),
    "summary_none": (
        "対象期間に、本人の記録への操作の記録はありません（拒否された操作 {refused} 件）。",
        "No access to the record is on file in the period ({refused} attempts were refused).",
    ),
    "about": ("対象と記載の範囲", "What this is about"),
    "request": ("対象", "Request"),
    "item": ("項目", "Item"),
    "content": ("内容", "Content"),
    "person": ("本人の符号", "Token of the person"),
    "stretch": ("期間", "Period"),
    "audience": ("用途", "For"),
    "audience_resident": ("本人への開示", "disclosure to the person"),
    "audience_office": ("庁内での確認。本人や第三者に渡さない", "the office only; not to be handed out"),
    "rules": ("記載の決まり", "Rules"),
    "rule_1": (
        "操作した者は、部署と職で示す。委託先は事業者名で示す。氏名、職員番号、利用者ID、端末は記載しない。",
        "Who acted is shown as section and role, contractors as companies; no names, numbers, accounts or terminals.",
    ),
    "rule_2": (
        "ほかの人の情報は記載しない。受付番号等は、本人のものと台帳で確かめられたものだけを示す。",
        "Nothing of other people is shown; reference numbers only where the registers say that they are this person's.",
    ),
    "rule_3": (
        "ログに自由に記入された言葉（利用目的等）は、ほかの人の情報を含みうるため、5人以上の記録に共通して使われたものだけを示す。",
        "Words as they were logged, such as a purpose, may name somebody: they are shown only if they were logged with five people or more.",
    ),
    "rule_4": (
        "「理由を確認」「理由なし」は、台帳で理由を確かめられなかったもので、不正と決まったものではない。",
        "What is to be checked or has no recorded reason could not be confirmed by the registers; it is not thereby misuse.",
    ),
    "rule_5": (
        "拒否された操作では、本人の情報は表示されていない。",
        "Where an attempt was refused nothing was shown.",
    ),
    "rule_office": (
        "利用者ID、端末及び検知番号を含むため、本人に渡す前に開示用のものに替える。ほかの本人の情報は記載しない。",
        "Holds accounts, terminals and findings: hand out the version for disclosure. Nothing of other people on file is in it.",
    ),
    "accesses": ("操作の記録", "Accesses"),
    "n_total": ("操作", "Accesses"),
    "n_refused": ("拒否された操作", "Refused"),
    "n_explained": ("理由あり", "With a recorded reason"),
    "n_to_check": ("理由を確認", "To be checked"),
    "n_unexplained": ("理由なし", "Without a recorded reason"),
    "n_unjudged": ("判定なし", "Not judged"),
    "n_first": ("最初の操作", "First"),
    "n_last": ("最後の操作", "Last"),
    "none": ("記録はありません。", "Nothing is on record."),
    "by_section": ("部署ごとの件数", "By section"),
    "section": ("部署・職", "Section and role"),
    "who": ("利用者", "Who"),
    "all": ("すべての操作", "All accesses"),
    "all_note": ("日時は団体の時刻による。", "Times are on the organisation's clocks."),
    "purpose": ("利用目的", "Stated purpose"),
    "basis": ("業務上の根拠", "Ground"),
    "judged": ("判定", "Judged"),
    "refused": ("拒否", "refused"),
    "record": ("記録番号", "Event"),
    "records": ("元の記録の番号", "Events behind it"),
    "log": ("ログ", "Log source"),
    "service": ("システムの自動処理", "automatic processing"),
    "vendor": ("委託先（{company}）", "contractor ({company})"),
    "unknown": ("不明", "not known"),
    "unknown_section": ("部署不明", "section not known"),
    "with_role": ("{section} {role}", "{section}, {role}"),
    "with_label": ("{action}（{label}）", "{action} ({label})"),
    "not_stated": ("記録なし", "not recorded"),
    "withheld": ("非開示（決まり3）", "withheld (rule 3)"),
    "reference": ("{kind} {reference}", "{kind} {reference}"),
    "stated": ("番号の記録 {reference}", "stated reference {reference}"),
    "stated_withheld": ("番号は非開示（決まり2）", "a reference, withheld (rule 2)"),
    "law": ("法令上の根拠 {law}", "legal ground {law}"),
    "none_recorded": ("記録なし", "not recorded"),
    "limits": ("この記録で分からないこと", "What this cannot say"),
    "limits_lead": (
        "ここにあるのは、分析したログに本人の符号とともに記録された操作です。",
        "This holds what the analysed logs recorded together with the token of the person.",
    ),
    "no_record": ("分析した記録がありません。", "There are no records at all."),
    "not_before": ("{moment} より前の記録は分析していないため、操作の有無は不明です。", "Nothing is known of the time before {moment}."),
    "silent": (
        "開庁日に記録のないログがあり（延べ {n} 日）、その間の操作の有無は不明です。",
        "Logs were silent on office days ({n} source days); nothing is known of accesses then.",
    ),
    "no_staff": ("職員の台帳（staff.csv）がないため、部署はログの記載によります。", "staff.csv is not there: sections are as logged."),
    "no_reasons": (
        "担当（assignments.csv）と業務理由（bases.csv）の台帳がないため、理由の有無は判定していません。",
        "Neither assignments.csv nor bases.csv is there: reasons were not judged.",
    ),
    "not_over": ("対象期間が終わっていないため、この後の操作は含みません。", "The period is not over: what comes later is not in it."),
    "n_silent": ("記録のない開庁日（延べ）", "Silent office days"),
    "n_unnamed": ("対象者の記録がない一覧・出力等", "Lists and outputs that name nobody"),
    "unnamed_note": (
        "団体全体の件数。本人の情報が含まれていたかは不明",
        "of the whole organisation; whether this person was in them is not known",
    ),
    "silent_table": ("記録のないログ", "Silent logs"),
}  # fmt: skip

# What an access comes to, "" where it was not judged, in the order in which it is shown.
EXPLAINED: Final = ("explained", "to_check", "unexplained", "")

ACTIONS: Final[dict[str, tuple[str, str]]] = {
    "search": ("検索", "search"), "list": ("一覧", "list"), "read": ("閲覧", "view"), "print": ("印刷", "print"),
    "export": ("出力", "export"), "copy": ("複写", "copy"), "send": ("送信", "send"), "create": ("登録", "create"),
    "update": ("更新", "update"), "delete": ("削除", "delete"), "approve": ("承認", "approve"), "register": ("個人番号の登録", "registration"),
    "inquire": ("情報照会", "inquiry"), "provide": ("情報提供", "provision"), "import": ("取込", "import"),
}  # fmt: skip

PURPOSES: Final[dict[str, tuple[str, str]]] = {
    "reception": ("窓口対応", "reception"),
    "visit": ("訪問", "visit"),
    "payment": ("支給事務", "payment"),
    "survey": ("調査", "survey"),
    "emergency": ("緊急対応", "emergency"),
}

# Kinds of bases.csv.
BASES: Final[dict[str, tuple[str, str]]] = {
    "application": ("申請", "application"), "case": ("ケース", "case"), "visit": ("訪問", "visit"), "phone": ("電話相談", "call"),
    "correction": ("訂正", "correction"), "survey": ("調査", "survey"), "list": ("名簿", "list"), "bundle": ("一括処理", "batch"),
    "ticket": ("依頼票", "ticket"), "payment day": ("支給日", "payment day"), "damage report": ("被害の届出", "damage report"),
    "disposal": ("廃棄", "disposal"), "audit": ("監査", "audit"), "project": ("事業", "project"),
}  # fmt: skip

# Words of `explained.by` (docs/columns.md).
REASONS: Final[dict[str, tuple[str, str]]] = {
    "assignment": ("本人又は地区の担当", "assigned to the person or area"),
    "basis": ("本人の手続きの記録", "a recorded procedure of the person"),
    "subject_basis": ("所属部署に本人の手続きがある", "a procedure of the person is open in the section"),
    "family_assignment": ("親族の案件を担当（届出の有無を確認する）", "assigned, and a relative: proper only if the office knows"),
    "basis_unverified": ("番号を照合する台帳がない", "no register to hold the reference against"),
    "basis_unknown": ("番号が台帳にない", "the reference is in no register"),
    "basis_other": ("番号はほかの人のもの", "the reference is another person's"),
    "basis_closed": ("手続きは終わっている", "the procedure was not open"),
    "subject_basis_elsewhere": ("本人の手続きはあるが、所属部署が不明", "a procedure is open; the section is not known"),
    "break_glass": ("緊急利用（理由の記載あり）", "emergency access with a reason"),
    "emergency": ("宣言された緊急対応", "a declared emergency"),
    "service": ("システムの自動処理", "a service at work"),
    "duty": ("勤務時間内の通常業務（個別の記録なし）", "ordinary work on duty, no record of its own"),
}  # fmt: skip
