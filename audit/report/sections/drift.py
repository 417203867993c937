"""Section 8: where practice differs from the assessments, the sentence that it touches, and when that has to be revised.

Rules: what an assessment says may be changed in two ways. An important change (重要な変更, rules on assessments, article 11, and guideline 第6の2(2)
with its table) of a focused or full statement needs the assessment to be made anew before the change (事前); any other is written into the
statement without delay after it (事後, guideline 第7). A basic statement has no item whose change is important. A change of numbers
is none; where it changes the result of the threshold judgement the assessment is made anew without delay (第6の2(3)). The guideline was read
in outline, its table of items was not at hand: where an item may be in it, the report says 事前 and asks the office to confirm.
Sources: https://www.ppc.go.jp/legal/assessment/ (rules and guideline), https://cyberlawissues.hatenablog.com/entry/20160205/1454630491
(what 事前 and 事後 mean in a statement).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from audit.catalogue import Assessment
from audit.controls import Scope, shown
from audit.report import bands, differences
from audit.report.differences import Compared, Difference
from audit.report.draft import Draft
from audit.report.model import Block, Column, Figure, Figures, Items, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Sources
from audit.wording import Words

ID: Final = "drift"

# Kinds of which a statement that has such items says something whose change is important.
_IMPORTANT: Final = (
    "departments", "imports", "channels", "contractors", "subcontractors", "provisions", "inquiries", "grounds", "auth", "media", "prohibited",
)  # fmt: skip

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("評価書の記載と実態の違い", "Drift from the assessments"),
    "lead": (
        "対象期間のログと台帳を、評価書と site.toml の申告とに照らし、申告にない実態を挙げます。違いがあれば、まず運用を評価書の記載に戻すことを検討します。"
        "実態のほうに評価書を合わせる場合は、「時期」の欄のとおりに評価書を改めます。",
        "What the log and the registers of the period show and neither the assessments nor site.toml declare. First consider bringing practice back "
        "to the assessment; where the assessment shall follow practice, the column “when” says how it is revised.",
    ),
    "rule": (
        "時期の区分は、重点項目・全項目評価書の重要な変更（規則第11条、指針第6の2(2)）は変更の前に再実施、それ以外の変更は速やかに修正（指針第7）という"
        "定めによる案です。重要な変更に当たるかは、リスクを相当程度変えるかどうかによるため、担当課で確かめてください。",
        "The column “when” is a proposal by the rules: an important change of a focused or full statement (rules, article 11; guideline, 第6の2(2)) needs "
        "a new assessment before it, any other is corrected without delay (第7). Whether a change is important depends on the risk: the office has to confirm it.",
    ),
    "none_declared": (
        "どのシステムにも評価書が指定されていないため、評価書との違いは示せません。",
        "No system of the site names an assessment, so nothing can be said about drift from one.",
    ),
    "differences": ("{name}：申告との違い", "{name}: differences"),
    "of_systems": ("対象システム：{names}", "Systems: {names}"),
    "all": ("違い", "Differences"),
    "before_n": ("うち事前", "before (事前)"),
    "after_n": ("うち事後", "after (事後)"),
    "items": ("件", ""),
    "kind": ("違い", "What differs"),
    "system": ("システム", "System"),
    "declared": ("申告", "Declared"),
    "found": ("実態", "Found"),
    "events": ("記録", "Events"),
    "promise": ("評価書の記載", "Sentence of the assessment"),
    "when": ("時期", "When"),
    "reason": ("理由", "Reason"),
    "before": ("事前", "before (事前)"),
    "after": ("事後", "after (事後)"),
    "open": ("要確認", "to be decided"),
    "no_promise": ("（該当する約束は管理策にない）", "(no control speaks of it)"),
    "none_known": ("実態が分からないため、比べられません。", "Practice is not known, so nothing can be compared."),
    "none": ("申告との違いは見つかりませんでした。", "No difference was found."),
    "lacking": (
        "{name}：{need} がないため、{kinds}は比べられないシステムがあります。",
        "{name}: without {need} this could not be compared for every system: {kinds}.",
    ),
    "no_events": (
        "{name}：対象期間にこのシステムのログがないため、実態は分かりません。",
        "{name}: the period holds no log of these systems, so practice is not known.",
    ),
    "systems": ("申告のないシステム", "Systems that nobody declared"),
    "systems_lacking": (
        "devices.csv（device_id）がないため、端末やサーバの名前も申告のないシステムとして挙がっています。",
        "There is no devices.csv (device_id), so names of terminals and servers are listed as systems, too.",
    ),
    "systems_none": ("ログに現れたシステムは、すべて申告されているか、登録された端末・サーバです。", "Every system in the log is declared or a registered device."),
    "systems_note": (
        "評価書の対象事務に使うものであれば、site.toml に加え、評価書のシステムの記載を確かめてください。",
        "If it is used for the work that was assessed, add it to site.toml and check what the assessment says of systems.",
    ),
    # what differs
    "k_departments": ("申告にない部署の利用", "use by a department that is not listed"),
    "k_imports": ("申告にない入手元", "data from an office that is not listed"),
    "k_channels": ("専用回線でない取込み", "import by another way than a dedicated line"),
    "k_contractors_undeclared": ("申告にない会社の作業", "work of a company that is not declared"),
    "k_contractors_unapproved": ("承認のない委託先の作業", "work of a contractor without approval"),
    "k_contractors_late": ("承認より前（又は承認日不明）の委託先の作業", "work of a contractor before its approval, or with no date of it"),
    "k_contractors_elsewhere": ("申告したシステム以外での委託先の作業", "work of a contractor in a system that is not named for it"),
    "k_contractors_many": ("委託先の人数が申告を超える", "more people of a contractor than declared"),
    "k_subcontractors_unapproved": ("承認のない再委託先の作業", "work of a sub-contractor without approval"),
    "k_subcontractors_late": ("承認より前（又は承認日不明）の再委託先の作業", "work of a sub-contractor before its approval, or with no date of it"),
    "k_subcontractors_no application": ("申請番号のない再委託先の作業", "work of a sub-contractor without a written application"),
    "k_subcontractors_elsewhere": ("申告したシステム以外での再委託先の作業", "work of a sub-contractor in a system that is not named for it"),
    "k_subcontractors_many": ("再委託先の人数が申告を超える", "more people of a sub-contractor than declared"),
    "k_provisions": ("行わないとした提供・移転", "provision or transfer, which shall not happen"),
    "k_inquiries": ("行わないとした情報照会", "inquiries, which shall not happen"),
    "k_prohibited": ("行わないとした操作", "an action that shall not happen"),
    "k_grounds": ("一覧にない根拠による照会", "inquiries on a ground that is not listed"),
    "k_auth": ("申告と異なる認証方法", "log-ons by another method than declared"),
    "k_media": ("登録のない媒体の使用", "use of a medium that is not registered"),
    "k_counts_subjects on file": ("対象人数が区分を外れる", "people on file outside the band"),
    "k_counts_handlers": ("取扱者数が区分を外れる", "handlers outside the band"),
    "k_counts_users": ("利用者数が区分を外れる", "users outside the band"),
    "k_counts_contractor handlers": ("委託先の取扱者数が区分を外れる", "contractor's handlers outside the band"),
    # comparisons
    "c_departments": ("部署", "departments"),
    "c_imports": ("入手元", "origins of imports"),
    "c_contractors": ("委託先", "contractors"),
    "c_prohibited": ("禁止された操作", "prohibited actions"),
    "c_auth": ("認証方法", "methods of log-on"),
    "c_media": ("媒体", "media"),
    # declared
    "not_happen": ("行わない", "never"),
    "dedicated": ("専用回線", "dedicated line"),
    "registered": ("devices.csv に登録", "registered in devices.csv"),
    "companies": ("承認した委託先：{names}", "approved: {names}"),
    "at_most": ("{n}人まで", "at most {n} people"),
    "from": ("{n}人以上", "{n} or more"),
    "between": ("{least}人以上{below}人未満", "{least} to under {below}"),
    "people": ("{n}人", "{n} people"),
    "unnamed": ("（会社不明）", "(company not known)"),
    "nothing": ("（なし）", "(none)"),
    "a_provide": ("提供", "provide"),
    "a_send": ("送信", "send"),
    "a_inquire": ("情報照会", "inquire"),
    # reasons
    "r_basic": ("基礎項目評価書には重要な変更となる記載項目がなく、変更後速やかに修正する", "a basic statement has no item whose change is important; correct it without delay"),
    "r_counts": ("人数の変更は重要な変更でない。しきい値判断の結果が変われば速やかに再実施", "numbers are no important change; if the threshold judgement changes, assess anew without delay"),
    "r_imports": ("入手元は重要な変更の対象となる記載項目", "where data come from is an item whose change is important"),
    "r_channels": ("入手の方法に関するリスク対策の変更に当たる", "it changes a measure against risks when data are obtained"),
    "r_departments": ("使用する部署を広げるのはアクセス権限のリスク対策の変更に当たる", "more departments change the measures on access rights"),
    "r_contractors": ("委託の有無・委託先の監督に関するリスク対策の変更に当たる", "it changes contracting and the measures on contractors"),
    "r_subcontractors": ("再委託の有無は重要な変更の対象となる記載項目", "whether work is sub-contracted is an item whose change is important"),
    "r_provisions": ("提供・移転を始めるのは取扱いの重要な変更に当たる", "to begin providing data is an important change"),
    "r_inquiries": ("情報提供ネットワークによる情報連携は重要な変更の対象となる記載項目", "exchange over the government network is an item whose change is important"),
    "r_grounds": ("情報連携の根拠は重要な変更の対象となる記載項目", "grounds of exchange are an item whose change is important"),
    "r_auth": ("利用者の認証に関するリスク対策の変更に当たる", "it changes a measure on authentication"),
    "r_media": ("媒体に関するリスク対策の変更に当たる", "it changes a measure on media"),
    "r_prohibited": ("取扱いの内容に関するリスク対策の変更に当たる", "it changes a measure on how data is handled"),
    "r_unknown": ("評価書の種類（thresholds.kind）が管理策にないため決められない", "the catalogue does not say which statement it is (thresholds.kind)"),
}  # fmt: skip


def section(sources: Sources, draft: Draft) -> Section:
    """Where practice differs from the assessments; one part for each that a system names, and the systems that nobody declared.

    Figures: `drift.<pia>.all`, `.before`, `.after`; tables `drift.<pia>.differences`, `drift.systems`.
    """
    words = sources.words.extended(_PAIRS)
    blocks: list[Block] = [Paragraph(words["lead"])]
    parts = [
        block
        for assessment in sources.catalogue.assessments.values()
        for block in _assessment(assessment, sources, words, draft)
    ]
    blocks += parts or [Notice(words["none_declared"], Tone.LACKING)]
    found, events = differences.undeclared(sources.month)
    draft.events(f"{ID}.systems", events)
    if not sources.site.has("devices", "device_id"):
        blocks.append(Notice(words["systems_lacking"], Tone.LACKING))
    blocks.append(_systems(found, words))
    if parts:
        blocks.append(Paragraph(words["rule"]))
    return Section(ID, words["title"], tuple(blocks))


def _assessment(assessment: Assessment, sources: Sources, words: Words, draft: Draft) -> list[Block]:
    scope = Scope.of(sources.month, assessment.pia)
    if not scope.systems:
        return []
    name, at = assessment.name[words.language], f"{ID}.{assessment.pia}"
    counts = bands.counts(sources.site, assessment, scope.systems, sources.period.end - 1)
    compared = differences.compared(scope, assessment.drift, counts)
    is_silent = not scope.rows("SELECT COUNT(*) FROM usage").item()
    times = [_time(one, assessment) for one in compared.differences]
    # What the log shows is revised at one time throughout; numbers, which may differ in that, have no events.
    shown_by_log = [time for one, time in zip(compared.differences, times, strict=True) if one.events is not None]
    for of in ("differences", "all", *(time for time in ("before", "after") if time in shown_by_log)):
        draft.events(f"{at}.{of}", compared.events)
    unknown = is_silent and not times
    figures = Figures(tuple(
        Figure(f"{at}.{key}", words[label], None if unknown else n, unit=words["items"], tone=Tone.CHECK if n else Tone.PLAIN)
        for key, label, n in (("all", "all", len(times)), ("before", "before_n", times.count("before")), ("after", "after_n", times.count("after")))
    ))  # fmt: skip
    rows = [_row(one, time, assessment, sources, words) for one, time in zip(compared.differences, times, strict=True)]
    columns = (
        Column(words["kind"], weight=3), Column(words["system"], weight=2), Column(words["declared"], weight=3), Column(words["found"], weight=2),
        Column(words["events"], "integer"), Column(words["promise"], weight=5), Column(words["when"]), Column(words["reason"], weight=4),
    )  # fmt: skip
    title = words.say("differences", name=name)
    notices = [Notice(words.say("no_events", name=name), Tone.LACKING)] if is_silent else []
    names = words.join([sources.month.system_name(one) or one for one in scope.systems])
    return [
        Items((words.say("of_systems", names=names),), title=name),
        *notices,
        *_lacking(compared, name, words),
        figures,
        Table(f"{at}.differences", title, columns, tuple(rows), words["none_known" if unknown else "none"]),
    ]


def _lacking(compared: Compared, name: str, words: Words) -> list[Notice]:
    """What could not be compared, one notice for each thing that is missing."""
    needs: dict[str, list[str]] = {}
    for kind, need in compared.lacking:
        needs.setdefault(need, []).append(words[f"c_{kind}"])
    return [
        Notice(words.say("lacking", name=name, need=shown(need, words.language), kinds=words.join(kinds)), Tone.LACKING)
        for need, kinds in sorted(needs.items())
    ]


def _time(one: Difference, assessment: Assessment) -> str:
    """`before`, `after`, or `open` where the catalogue does not say which statement it is."""
    if one.kind == "counts" or (assessment.thresholds and assessment.thresholds.kind == "basic"):
        return "after"
    if assessment.thresholds is None:
        return "open"
    return "before" if one.kind in _IMPORTANT else "after"


def _row(
    one: Difference, time: str, assessment: Assessment, sources: Sources, words: Words
) -> tuple[str | int | None, ...]:
    control = one.control or assessment.drift.get(one.kind)  # type: ignore[call-overload]  # kinds of differences are a part of these
    quote = words["no_promise"]
    if control is not None:
        promise = assessment.control(control)
        quote = (
            f"{promise.id}「{promise.quote['ja']}」"
            if words.language == "ja"
            else f"{promise.id}: “{promise.quote['en']}”"
        )
    reason = (
        "unknown" if time == "open" else "counts" if one.kind == "counts" else "basic" if time == "after" else one.kind
    )
    return (
        words[_key(one)], sources.month.system_name(one.system), _declared(one, sources, words), _found(one, sources, words), one.events, quote,
        words[time], words[f"r_{reason}"],
    )  # fmt: skip


def _key(one: Difference) -> str:
    return f"k_{one.kind}" if one.detail in (one.kind, "prohibited") else f"k_{one.kind}_{one.detail}"


def _declared(one: Difference, sources: Sources, words: Words) -> str:
    names = _departments(one.declared, sources)
    match one.kind:
        case "counts":
            least, *below = (int(text) for text in one.declared)
            return words.say("between", least=least, below=below[0]) if below else words.say("from", n=least)
        case "channels":
            return words["dedicated"]
        case "media":
            return words["registered"]
        case "provisions" | "inquiries" | "prohibited":
            return words["not_happen"]
        case "contractors" | "subcontractors" if one.detail == "many":
            return words.say("at_most", n=one.declared[0])
        case "contractors" | "subcontractors" if one.detail == "elsewhere":
            return words.join([sources.month.system_name(name) or name for name in one.declared])
        case "contractors" | "subcontractors":
            return words.say("companies", names=words.join(list(one.declared)) or words["nothing"])
        case "departments" | "imports":
            return words.join(names) or words["nothing"]
    return words.join(list(one.declared)) or words["nothing"]


def _found(one: Difference, sources: Sources, words: Words) -> str:
    if one.kind == "counts":
        return words.say("people", n=int(one.found))
    if one.kind in ("departments", "imports"):
        return words.join(_departments([one.found], sources))
    if one.detail == "prohibited":
        return words[f"a_{one.found}"] if f"a_{one.found}" in _PAIRS else one.found
    return one.found or words["unnamed"]


def _departments(ids: Sequence[str], sources: Sources) -> list[str]:
    names = sources.site.config.departments
    return [names.get(dept, dept) for dept in ids]


def _systems(found: Iterable[Difference], words: Words) -> Table:
    rows = tuple((one.found, one.events) for one in found)
    columns = (Column(words["system"], "id", 4), Column(words["events"], "integer"))
    return Table(
        f"{ID}.systems", words["systems"], columns, rows, words["systems_none"], words["systems_note"] if rows else ""
    )
