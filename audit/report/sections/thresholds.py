"""Section 7: how many people are concerned, against what the assessment declares and what the threshold judgement asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from audit.catalogue import Assessment, Band, Judgement, Thresholds
from audit.report import bands, charts, headcount, judgement
from audit.report.bands import Count
from audit.report.draft import Draft
from audit.report.judgement import Kind, Numbers
from audit.report.model import Block, Chart, Column, Figure, Figures, Items, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Sources
from audit.sections import LEAST_PEOPLE
from audit.usage import DAY_MS
from audit.wording import Words
from registers.calendar import Calendar

ID: Final = "thresholds"

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("対象人数・取扱者数としきい値", "People concerned, and thresholds"),
    "lead": (
        "評価書が申告する人数の区分と、4月1日時点（年度当初）及び期間末の人数とを比べます。「しきい値判断」は、対象人数、取扱者数及び過去1年以内の"
        "重大事故の有無から、作るべき評価書の種類を決めるものです（特定個人情報保護評価に関する規則第4条〜第7条、同指針第5の2）。",
        "What the assessment declares, beside the numbers of 1 April (the beginning of the fiscal year) and of the period's end. The threshold "
        "judgement follows from people on file, handlers and serious incidents within a year (rules on assessments, articles 4–7).",
    ),
    "none": (
        "人数の区分（thresholds）を持つ評価書が、このサイトのシステムに指定されていないため、比べるものがありません。",
        "No system of the site names an assessment that declares numbers of people (thresholds), so there is nothing to compare.",
    ),
    "of_systems": ("対象システム：{names}", "Systems: {names}"),
    "numbers": ("{name}：人数と申告の区分", "{name}: numbers against what is declared"),
    "what": ("数えるもの", "What is counted"),
    "declared": ("評価書の申告", "Declared"),
    "april": ("{year}4月1日", "1 April {year}"),
    "now": ("期間末", "End of period"),
    "within": ("区分", "Within?"),
    "trend": ("1年当たりの増減", "Change per year"),
    "left": ("区分を外れる見込みの日", "Would leave the band on"),
    "basis": ("根拠", "Source"),
    "subjects on file": ("対象人数", "People on file"),
    "handlers": ("取扱者（権限を持つ者すべて）", "Handlers (all who have a right)"),
    "users": ("利用者（権限を持つ職員）", "Users (staff who have a right)"),
    "contractor handlers": ("委託先の取扱者（最も多い1社）", "Contractor's handlers (the largest company)"),
    "inside": ("範囲内", "within"),
    "outside": ("範囲外", "outside"),
    "unknown": ("不明", "not known"),
    "no_trend": ("増減の傾向は、3時点以上の人数がそろうまで示しません。", "No trend is given with fewer than three points."),
    "trend_note": (
        "増減は最小二乗法による。見込みの日は、期間末の人数からこの割合で増減が続くとした場合の日で、10年より先は示さない。{no_trend}"
        "権限の人数は permissions.csv の有効期間から毎月1日と期間末について数えた。終わった権限の行を台帳から消していると、過去の人数は実際より少なくなる。",
        "Change by least squares. The date is when the band would be left if this went on from the end of the period; beyond ten years "
        "none is given. {no_trend} People with rights are counted from permissions.csv on the first of each month and at the end of the period; where rows of ended "
        "rights were removed, earlier numbers are too low.",
    ),
    "at_least": ("{n}人以上", "{n} or more"),
    "below": ("{n}人未満", "under {n}"),
    "between": ("{least}人以上{below}人未満", "{least} to under {below}"),
    "undeclared": ("（申告なし）", "(not declared)"),
    "counts_basis": ("counts.csv（{day}現在）", "counts.csv (as of {day})"),
    "counts_none": ("counts.csv に該当する行がない", "no such row in counts.csv"),
    "rights_basis": ("permissions.csv", "permissions.csv"),
    "rights_none": ("permissions.csv にこのシステムの権限がない", "permissions.csv grants nothing here"),
    "type_none": ("staff.csv の type・company 列がない", "columns type or company of staff.csv are missing"),
    "kind_declared": ("公表している評価書", "Statement published"),
    "kind_now": ("期間末の人数による判断", "Judged by the present numbers"),
    "serious": ("過去1年以内の重大事故（組織全体）", "Serious incidents within a year, in the whole organisation"),
    "seen_all": ("期間中にログに現れた取扱者", "Handlers in the period's log"),
    "seen_vendors": ("うち委託先", "of these, contractors'"),
    "few": ("5人未満のため示さない", "fewer than five: not shown"),
    "seen_none": ("このシステムのログが対象期間にない", "no log of the system in the period"),
    "people": ("人", ""),
    "cases": ("件", ""),
    "basic": ("基礎項目評価", "basic (基礎項目評価)"),
    "focused": ("重点項目評価", "focused (重点項目評価)"),
    "full": ("全項目評価", "full (全項目評価)"),
    "nothing": ("評価の義務なし（1,000人未満）", "none required (under 1,000)"),
    "need_counts": ("counts.csv の対象人数", "people on file in counts.csv"),
    "need_rights": ("permissions.csv", "permissions.csv"),
    "need_incidents": ("incidents.csv（serious 列）", "incidents.csv (column serious)"),
    "lacking": (
        "{name}：{needs} がないため、しきい値判断の結果を確定できません。",
        "{name}: the threshold judgement cannot be made without {needs}.",
    ),
    "higher": (
        "{name}：期間末の人数では{kind}が必要です（公表は{declared}）。しきい値判断の結果が変わったときは、速やかに評価を再実施します（指針第6の2(3)）。",
        "{name}: by the present numbers a {kind} statement is required ({declared} is published). When the result of the judgement changes, the "
        "assessment is made anew without delay (guideline, 第6の2(3)).",
    ),
    "left_band": (
        "{name}：{what}が申告の区分（{band}）を外れています（{n}人、{control}「{quote}」）。",
        "{name}: {what} is outside what is declared ({band}): {n} ({control}, “{quote}”).",
    ),
    "changes": ("{name}：何が起きればしきい値判断が変わるか", "{name}: what would change the threshold judgement"),
    "event": ("起きること", "If"),
    "present": ("現在", "Now"),
    "limit": ("しきい値", "Threshold"),
    "result": ("そのときの評価", "Then"),
    "differs": ("変わるか", "Changes?"),
    "expected": ("見込みの日", "Expected on"),
    "subjects_event": ("対象人数がしきい値に達する", "people on file reach it"),
    "handlers_event": ("取扱者がしきい値に達する", "handlers reach it"),
    "serious_event": ("重大事故が発生する", "a serious incident happens"),
    "changed": ("変わる", "yes"),
    "same": ("変わらない", "no"),
    "changes_none": ("人数が不明のため示せません。", "Nothing can be said: the numbers are not known."),
    "chart": ("{name}：{what}の推移としきい値", "{name}: {what} over time"),
    "alt": (
        "{what}は{first}に{before}人、期間末の{last}に{after}人。申告の区分は{band}。{left}",
        "{what}: {before} on {first}, {after} on {last}, the end of the period. Declared: {band}. {left}",
    ),
    "alt_left": ("このままなら{day}に区分を外れる。", "At this rate the band is left on {day}."),
    "alt_stays": ("区分を外れる見込みは立たない。", "No day is expected on which the band is left."),
    "day": ("日", "Day"),
    "count": ("人数", "People"),
    "under_band": ("申告より少ない", "below what is declared"),
    "in_band": ("申告の区分", "declared"),
    "over_band": ("申告より多い", "above what is declared"),
    "incidents": ("過去1年以内の事案", "Incidents within a year"),
    "incident_day": ("発生日", "Date"),
    "incident_system": ("システム", "System"),
    "incident_serious": ("重大事故", "Serious"),
    "incident_summary": ("概要", "Summary"),
    "incident_known": ("知った日時", "Known at"),
    "all_systems": ("（全体）", "(all)"),
    "yes": ("該当", "yes"),
    "no": ("非該当", "no"),
    "incidents_none": ("記録された事案はありません。", "None is recorded."),
    "incidents_unknown": ("incidents.csv がないため分かりません。", "Not known: there is no incidents.csv."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scope:
    """One assessment on this site."""

    assessment: Assessment
    thresholds: Thresholds
    systems: tuple[str, ...]
    sources: Sources
    words: Words

    @property
    def name(self) -> str:
        return self.assessment.name[self.words.language]

    @property
    def last(self) -> int:
        return self.sources.period.end - 1

    @property
    def today(self) -> date:
        return self.words.local(self.last).date()


def section(sources: Sources, draft: Draft) -> Section:
    """How many people are concerned; one part for each assessment that declares numbers and that a system names.

    Figures: `thresholds.<pia>.serious`, `.seen`, `.vendors`; tables `.numbers`, `.changes`; a chart for each count that has several points;
    `thresholds.incidents`.
    """
    words = sources.words.extended(_PAIRS)
    blocks: list[Block] = [Paragraph(words["lead"])]
    scopes = list(_scopes(sources, words))
    if not scopes:
        blocks.append(Notice(words["none"], Tone.LACKING))
    for scope in scopes:
        blocks += _assessment(scope, draft)
    blocks.append(_incidents(sources, words))
    return Section(ID, words["title"], tuple(blocks))


def _scopes(sources: Sources, words: Words) -> list[_Scope]:
    systems = sources.site.config.systems
    return [
        _Scope(one, one.thresholds, mine, sources, words)
        for pia, one in sources.catalogue.assessments.items()
        if one.thresholds and (mine := tuple(sorted(name for name, system in systems.items() if system.pia == pia)))
    ]


def _assessment(scope: _Scope, draft: Draft) -> list[Block]:
    rule = scope.thresholds.judgement
    counts = bands.counts(scope.sources.site, scope.assessment, scope.systems, scope.last)
    known = {one.what: one for one in counts}
    numbers = Numbers(known["subjects on file"].now, known["handlers"].now, _serious(scope.sources, rule))
    kind = judgement.judged(numbers, rule)
    names = scope.words.join([scope.sources.month.system_name(one) or one for one in scope.systems])
    blocks: list[Block] = [
        Items((scope.words.say("of_systems", names=names),), title=scope.name),
        _figures(scope, kind, numbers, draft),
    ]
    blocks += _notices(scope, counts, kind, numbers)
    blocks.append(_numbers(scope, counts))
    blocks += [_chart(scope, one) for one in counts if one.band is not None and len(one.points) > 1]
    blocks.append(_changes(scope, known, numbers, kind))
    return blocks


def _within_a_year(sources: Sources, days: int) -> pl.DataFrame:
    last = sources.period.end - 1
    return sources.site.tables["incidents"].filter(pl.col("date").is_between(last - days * DAY_MS, last))


def _serious(sources: Sources, rule: Judgement) -> int | None:
    """Serious incidents of the whole organisation, which is what the judgement asks for; None: nobody keeps a register of them."""
    if not sources.site.has("incidents", "serious"):
        return None
    return _within_a_year(sources, rule.incident_days).filter(pl.col("serious").fill_null(False)).height


def _figures(scope: _Scope, kind: Kind | None, numbers: Numbers, draft: Draft) -> Figures:
    words, at = scope.words, f"{ID}.{scope.assessment.pia}"
    declared = Kind(scope.thresholds.kind)
    serious = Figure(
        f"{at}.serious", words["serious"], numbers.serious, unit=words["cases"],
        note="" if numbers.serious is not None else words["need_incidents"], tone=Tone.URGENT if numbers.serious else Tone.PLAIN,
    )  # fmt: skip
    seen = headcount.seen(scope.sources.month.frames["usage"], scope.systems)
    machines = pl.col("actor.type").is_in(headcount.MACHINES).fill_null(False)
    mine = scope.sources.month.frames["events"].filter(
        pl.col("system.id").is_in(list(scope.systems)) & pl.col("ok") & ~machines
    )
    draft.events(f"{at}.seen", mine)
    draft.events(f"{at}.vendors", _of_vendors(scope, mine))
    vendors = seen.filter(pl.col("type") == "vendor").height if scope.sources.site.has("staff", "type") else None
    return Figures((
        Figure(f"{at}.declared", words["kind_declared"], words[declared], kind="text"),
        Figure(f"{at}.judged", words["kind_now"], None if kind is None else _kind(kind, words), kind="text",
               tone=Tone.URGENT if kind is not None and _order(kind) > _order(declared) else Tone.PLAIN),
        serious,
        _people(f"{at}.seen", words["seen_all"], seen.height, words["seen_none"], words),
        _people(f"{at}.vendors", words["seen_vendors"], vendors, words["type_none"], words),
    ))  # fmt: skip


def _of_vendors(scope: _Scope, events: pl.LazyFrame) -> pl.LazyFrame:
    keys = ["actor.id", "system.id", "date"]
    theirs = scope.sources.month.frames["usage"].filter(pl.col("person.type") == "vendor").select(keys).unique()
    return events.join(theirs, on=keys, how="semi", nulls_equal=True)


def _people(name: str, label: str, n: int | None, lacking: str, words: Words) -> Figure:
    """A breakdown of people, which is not shown where it is of fewer than five."""
    if n is None or (n == 0 and lacking == words["seen_none"]):
        return Figure(name, label, None, unit=words["people"], note=lacking)
    small = 0 < n < LEAST_PEOPLE
    return Figure(
        name,
        label,
        words["few"] if small else n,
        kind="text" if small else "integer",
        unit="" if small else words["people"],
    )


def _kind(kind: Kind, words: Words) -> str:
    return words["nothing" if kind is Kind.NONE else kind]


def _order(kind: Kind) -> int:
    return list(Kind).index(kind)


def _notices(scope: _Scope, counts: Sequence[Count], kind: Kind | None, numbers: Numbers) -> list[Block]:
    words, name = scope.words, scope.name
    out: list[Block] = []
    declared = Kind(scope.thresholds.kind)
    if kind is None:
        absent = (
            ("need_counts", numbers.subjects),
            ("need_rights", numbers.handlers),
            ("need_incidents", numbers.serious),
        )
        needs = words.join([words[need] for need, value in absent if value is None])
        out.append(Notice(words.say("lacking", name=name, needs=needs), Tone.LACKING))
    elif _order(kind) > _order(declared):
        out.append(
            Notice(words.say("higher", name=name, kind=_kind(kind, words), declared=words[declared]), Tone.URGENT)
        )
    for one in counts:
        if one.is_inside is False and one.band is not None:
            control = scope.assessment.control(one.band.control)
            out.append(Notice(words.say(
                "left_band", name=name, what=words[one.what], band=_band(one.band, words), n=one.now,
                control=control.id, quote=control.quote[words.language],
            ), Tone.CHECK))  # fmt: skip
    return out


def _band(band: Band | None, words: Words) -> str:
    if band is None:
        return words["undeclared"]
    if band.below is None:
        return words.say("at_least", n=band.least)
    return words.say("between", least=band.least, below=band.below) if band.least else words.say("below", n=band.below)


def _numbers(scope: _Scope, counts: Sequence[Count]) -> Table:
    words = scope.words
    rows = []
    for one in counts:
        per_day = judgement.slope(one.points)
        leaves = one.leaves
        inside = "unknown" if one.is_inside is None else "inside" if one.is_inside else "outside"
        rows.append((
            words[one.what], _band(one.band, words), one.april, one.now, None if one.band is None else words[inside],
            None if per_day is None else round(float(per_day * 365), 1), leaves.isoformat() if leaves else None, _basis(one, words),
        ))  # fmt: skip
    columns = (
        Column(words["what"], weight=3), Column(words["declared"], weight=3), Column(_april(scope), "integer"), Column(words["now"], "integer"),
        Column(words["within"]), Column(words["trend"], "decimal"), Column(words["left"], "day", 2), Column(words["basis"], weight=2),
    )  # fmt: skip
    note = words.say("trend_note", no_trend=words["no_trend"])
    title = words.say("numbers", name=scope.name)
    return Table(f"{ID}.{scope.assessment.pia}.numbers", title, columns, tuple(rows), words["unknown"], note)


def _april(scope: _Scope) -> str:
    day = bands.first_of_april(scope.today)
    return scope.words.say("april", year=scope.words.era(day) if scope.words.language == "ja" else str(day.year))


def _basis(one: Count, words: Words) -> str:
    if one.what == "subjects on file":
        if one.now is None:
            return words["counts_none"]
        return (
            "counts.csv"
            if one.as_of is None
            else words.say("counts_basis", day=words.day(words.local(one.as_of).date()))
        )
    return words["rights_basis"] if one.now is not None else words["type_none" if one.is_permitted else "rights_none"]


def _chart(scope: _Scope, one: Count) -> Chart:
    words, band = scope.words, one.band
    assert band is not None
    leaves, limit = one.leaves, _limit(one)
    title = words.say("chart", name=scope.name, what=words[one.what])
    drawn = [charts.Band(words["under_band"], 0, band.least)] if band.least else []
    drawn.append(charts.Band(words["in_band"], band.least, band.below, declared=True))
    if band.below is not None:
        drawn.append(charts.Band(words["over_band"], band.below, None))
    ahead = [(leaves, limit)] if leaves is not None and limit is not None and one.now is not None else []
    projected = [(one.today, one.now or 0), *ahead] if ahead else []
    (first, before), (last, after) = one.points[0], (one.today, one.now)
    left = words.say("alt_left", day=words.day(leaves)) if leaves else words["alt_stays"]
    name = f"{ID}.{scope.assessment.pia}.{one.what.replace(' ', '-')}"
    columns = (Column(words["day"], "day", 2), Column(words["count"], "integer"))
    data = Table(name + ".data", title, columns, tuple((day.isoformat(), n) for day, n in one.points), words["unknown"])
    alt = words.say(
        "alt",
        what=words[one.what],
        first=words.day(first),
        before=before,
        last=words.day(last),
        after=after,
        band=_band(band, words),
        left=left,
    )
    return Chart(name, title, alt, charts.against_threshold(one.points, drawn, words.language, projected, ahead), data)


def _limit(one: Count) -> int | None:
    per_day = judgement.slope(one.points)
    if per_day is None or one.band is None:
        return None
    return one.band.below if per_day > 0 else one.band.least


def _changes(scope: _Scope, known: dict[str, Count], numbers: Numbers, kind: Kind | None) -> Table:
    words = scope.words
    rows = []
    for change in judgement.changes(numbers, scope.thresholds.judgement):
        count = known.get({"subjects": "subjects on file", "handlers": "handlers"}.get(change.what, ""))
        present = numbers.serious if count is None else count.now
        then = words["unknown"] if change.kind is None else _kind(change.kind, words)
        differs = (
            words["unknown"]
            if change.kind is None or kind is None
            else words["changed" if change.kind is not kind else "same"]
        )
        rows.append((words[f"{change.what}_event"], present, change.at, then, differs, _expected(count, change.at)))
    columns = (
        Column(words["event"], weight=3), Column(words["present"], "integer"), Column(words["limit"], "integer"), Column(words["result"], weight=3),
        Column(words["differs"]), Column(words["expected"], "day", 2),
    )  # fmt: skip
    title = words.say("changes", name=scope.name)
    return Table(f"{ID}.{scope.assessment.pia}.changes", title, columns, tuple(rows), words["changes_none"])


def _expected(count: Count | None, bound: int) -> str | None:
    per_day = judgement.slope(count.points) if count else None
    if count is None or count.now is None or per_day is None:
        return None
    day = judgement.crossing(count.today, count.now, per_day, bound, upwards=True)
    return day.isoformat() if day else None


def _incidents(sources: Sources, words: Words) -> Table:
    local = Calendar(sources.site.config).local
    recent = _within_a_year(sources, Judgement().incident_days).sort("date", "summary", maintain_order=True)
    rows = recent.select(
        local(pl.col("date")).dt.date().cast(pl.String), "system", "serious", "summary", "known_at"
    ).iter_rows()
    columns = (
        Column(words["incident_day"], "day", 2), Column(words["incident_system"], weight=2), Column(words["incident_serious"]),
        Column(words["incident_summary"], weight=5), Column(words["incident_known"], "moment", 2),
    )  # fmt: skip
    cells = tuple(
        (
            day,
            sources.month.system_name(system) or words["all_systems"],
            None if serious is None else words["yes" if serious else "no"],
            text,
            at,
        )
        for day, system, serious, text, at in rows
    )
    empty = words["incidents_none" if sources.site.has("incidents") else "incidents_unknown"]
    return Table(f"{ID}.incidents", words["incidents"], columns, cells, empty)
