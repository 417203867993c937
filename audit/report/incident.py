"""A leak as it is reported to the Personal Information Protection Commission: what the form asks for, filled in from a finding and its case.

The nine matters are those of rule 8, paragraph 1 of 個人情報の保護に関する法律施行規則 (概要, 項目, 本人の数, 原因, 二次被害, 本人への対応の実施状況,
公表の実施状況, 再発防止のための措置, その他参考となる事項), which the commission's form follows for authorities as well
(https://www.ppc.go.jp/personalinfo/legal/leakAction/); for My Numbers the rule on reports under article 29-4 of the My Number Act says which
situations are reported (平成27年特定個人情報保護委員会規則第5号, article 2). `audit.report.statutory` says by when.

Nothing is guessed: what logs and the case do not say reads 不明・確認中. Whoever acted is shown as section and number of people, and nobody on
file is named; who handled the case is, and what they noted is taken over in their words.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from audit.cases import Code
from audit.desk import NoSuchCase, Row
from audit.report import casework, details, incident_fields, spans, statutory
from audit.report.incident_fields import Facts, Point
from audit.report.incident_words import MATTERS, PAIRS
from audit.report.model import Block, Cell, Column, Figure, Figures, Notice, Paragraph, Report, Section, Table, Tone
from audit.report.resident_words import ACTIONS
from audit.report.sources import Sources
from audit.wording import Words

Stage = Literal["preliminary", "final"]

HEAD_ROWS: Final = 20
MANY_PEOPLE: Final = 100
_SHORTEST: Final = 4


def incident(
    sources: Sources,
    case: str,
    known_at: int,
    *,
    version: str,
    stage: Stage = "preliminary",
    wrongful: bool | None = None,
) -> Report:
    """Prepare the report.

    Args:
        sources: With the finding, its case and its events.
        case: Uid of the finding, or its beginning.
        known_at: When the organisation came to know of it (知った時点), UTC milliseconds.
        version: Of Sekimori.
        stage: 速報 or 確報.
        wrongful: Whether wrongful intent may be behind it; None: as the case was closed, else not decided.

    Raises:
        audit.desk.NoSuchCase: None is meant, or several may be.
        ValueError: It became known before it happened, or after the day on which the report is made.
    """
    row = _row(sources, case)
    words = sources.words.extended({**casework.PAIRS, **PAIRS})
    # Only the day counts, and somebody may give today's.
    if known_at < row.found["first"] or words.local(known_at).date() > words.local(sources.as_of).date():
        raise ValueError("the moment at which it became known must lie between its first event and today")
    [finding] = details.of_rows([row], sources.month.folder).in_full([row.found["uid"]])
    facts = incident_fields.facts(sources, row, finding)
    if wrongful is None:
        wrongful = {Code.MISUSE: True, Code.MISTAKE: False}.get(facts.code) if facts.code else None
    points = incident_fields.points(facts, sources, words)
    unknown = sum(point.content is None for point in points)
    known = words.local(known_at).date()
    return Report(
        title=words[f"title_{stage}"],
        language=words.language,
        site=sources.site.config.name,
        time_zone=sources.site.config.time_zone,
        begin=row.found["first"],
        end=row.found["last"] + 1,
        period=spans.days(row.found["first"], row.found["last"] + 1, words),
        as_of=sources.as_of,
        draft=words.say("draft", n=unknown) if unknown else None,
        summary=_summary(facts, known, wrongful, len(points), unknown, words),
        sections=(
            _deadlines(sources, known_at, stage, wrongful, words),
            _fields(points, words),
            _reportable(facts, sources, wrongful, words),
            _course(facts, known_at, words),
            _events(facts, sources, words),
        ),
        version=version,
        traced=False,
    )


def _row(sources: Sources, name: str) -> Row:
    fitting = [row for row in sources.rows if row.found["uid"] == name]
    if not fitting and len(name) >= _SHORTEST:
        fitting = [row for row in sources.rows if row.found["uid"].startswith(name)]
    if len(fitting) != 1:
        several = "may be any of several findings: write more of it" if fitting else "is no finding that people look at: sekimori case list shows them"  # fmt: skip
        raise NoSuchCase(f"{name!r} {several}")
    return fitting[0]


def _full_days(wrongful: bool | None) -> int:
    return statutory.FULL_REPORT_WRONGFUL if wrongful else statutory.FULL_REPORT


def _summary(
    facts: Facts, known: date, wrongful: bool | None, there: int, unknown: int, words: Words
) -> tuple[str, ...]:
    first, full = statutory.counted(known, statutory.FIRST_REPORT[1]), statutory.due(known, _full_days(wrongful))
    title = facts.row.found[f"title_{words.language}"]
    return (
        words.say("summary_what", title=title, uid=facts.row.found["uid"]),
        words.say("summary_due", known=spans.day(known, words), first=words.day(first), full=words.day(full)),
        words.say("summary_unknown", all=there, n=unknown),
    )


def _deadlines(sources: Sources, known_at: int, stage: Stage, wrongful: bool | None, words: Words) -> Section:
    known, today = words.local(known_at).date(), words.local(sources.as_of).date()
    first, full = statutory.counted(known, statutory.FIRST_REPORT[1]), statutory.due(known, _full_days(wrongful))
    blocks: list[Block] = [
        Figures(
            (
                Figure("deadlines.known_at", words["known_at"], known_at, "moment"),
                Figure(
                    "deadlines.first",
                    words["n_first"],
                    first.isoformat(),
                    "day",
                    tone=_tone(first, today, stage == "preliminary"),
                ),
                Figure("deadlines.full", words["n_full"], full.isoformat(), "day", tone=_tone(full, today, True)),
            )
        )
    ]
    late = [("first_report", first)] if stage == "preliminary" and today > first else []
    late += [("full_report", full)] if today > full else []
    blocks += [Notice(words.say("passed", report=words[name], day=words.day(day)), Tone.URGENT) for name, day in late]
    if wrongful is None:
        blocks.append(Notice(words["intent_unknown"], Tone.LACKING))
    rows: list[tuple[Cell, ...]] = []
    for n in statutory.FIRST_REPORT:
        day = statutory.counted(known, n)
        rows.append(
            (
                words["first_report"],
                words.say("day_n", n=n),
                day.isoformat(),
                day.isoformat(),
                (day - today).days,
                words["guide"],
            )
        )
    for n in (statutory.FULL_REPORT, statutory.FULL_REPORT_WRONGFUL):
        day, by = statutory.counted(known, n), statutory.due(known, n)
        otherwise = (
            words["if_wrongful"] if n == statutory.FULL_REPORT_WRONGFUL and wrongful is None else words["not_applied"]
        )
        applies = words["applied"] if n == _full_days(wrongful) else otherwise
        rows.append(
            (words["full_report"], words.say("day_n", n=n), day.isoformat(), by.isoformat(), (by - today).days, applies)
        )
    columns = (
        Column(words["report"]), Column(words["counting"], weight=3), Column(words["nth_day"], "day", 2), Column(words["by"], "day", 2),
        Column(words["left"], "integer"), Column(words["applies"], weight=2),
    )  # fmt: skip
    blocks.append(Table("deadlines.table", words["table"], columns, tuple(rows), "-", words["counting_note"]))
    return Section("deadlines", words["deadlines"], tuple(blocks))


def _tone(day: date, today: date, counts: bool) -> Tone:
    """Urgent from the day on which it is due."""
    return Tone.URGENT if counts and today >= day else Tone.CHECK if counts else Tone.PLAIN


def _fields(points: list[Point], words: Words) -> Section:
    numbers = {matter: place for place, matter in enumerate(MATTERS, start=1)}
    rows = tuple(
        (
            numbers[point.matter],
            MATTERS[point.matter][words.language == "en"],
            point.name,
            words["unknown"] if point.content is None else point.content,
            words[f"from_{point.origin}"],
        )
        for point in points
    )
    columns = (
        Column(words["no"], "integer"), Column(words["matter"], weight=2), Column(words["point"], weight=2),
        Column(words["content"], weight=6), Column(words["from"], weight=2),
    )  # fmt: skip
    return Section(
        "fields",
        words["fields"],
        (Paragraph(words["fields_lead"]), Table("fields.all", words["fields"], columns, rows, "-")),
    )


def _reportable(facts: Facts, sources: Sources, wrongful: bool | None, words: Words) -> Section:
    """What logs say of each situation; they never say that one is not there where something is not known.

    In a system with an assessment My Numbers may be behind any record, whatever class the log gives it.
    """
    classes = facts.touching["resource.class"]
    seen, whole = set(classes.drop_nulls()), bool(classes.len()) and not classes.null_count()
    assessed = {name for name, system in sources.site.config.systems.items() if system.pia is not None}
    many = True if facts.people > MANY_PEOPLE else None if facts.nameless or facts.gone or not facts.people else False
    in_assessed = bool(assessed & set(facts.events["system.id"]))
    found: dict[str, bool | None] = {
        "s_mynumber": True if "mynumber" in seen else False if whole and not facts.gone and not in_assessed else None,
        "s_system": in_assessed or None,
        "s_wrongful": wrongful,
        "s_many": many,
        "s_sensitive": True if "health" in seen else None,
        "s_money": True if "bank" in seen else None,
    }
    said = {True: words["yes"], False: words["is_not"], None: words["cannot"]}
    rows = tuple((words[name], said[answer]) for name, answer in found.items())
    columns = (Column(words["situation"], weight=4), Column(words["says"], weight=2))
    return Section(
        "reportable",
        words["reportable"],
        (Paragraph(words["reportable_lead"]), Table("reportable.all", words["reportable"], columns, rows, "-")),
    )


def _course(facts: Facts, known_at: int, words: Words) -> Section:
    found = facts.row.found
    steps: list[tuple[int, str, str | None]] = [
        (found["first"], words["c_first"], None),
        (found["last"], words["c_last"], None),
        (found["time"], words["c_found"], None),
        *((one.at, _told(one.action, one.code, one.text, words), one.by) for one in facts.row.case.entries),
        (known_at, words["c_known"], None),
    ]
    # Of one moment they stay in the order in which they are written above.
    rows = tuple(sorted(steps, key=lambda step: step[0]))
    columns = (Column(words["at"], "moment", 2), Column(words["content"], weight=5), Column(words["by_whom"], weight=2))
    return Section(
        "course", words["course"], (Table("course.all", words["course_table"], columns, rows, words["none"]),)
    )


def _told(action: str, code: str | None, text: str | None, words: Words) -> str:
    told = words[f"did_{action}"]
    if code is not None:
        told = words.say("code_in", told=told, code=words[f"code_{code}"])
    return words.say("with_text", told=told, text=text) if text else told


def _events(facts: Facts, sources: Sources, words: Words) -> Section:
    rows = tuple(
        (
            row["event.id"],
            row["time.occurred"],
            sources.month.system_name(row["system.id"]),
            ACTIONS.get(row["event.action"] or "", (row["event.action"],) * 2)[words.language == "en"],
            words["done_ok" if row["ok"] else "refused"],
            row["resource.count"],
        )
        for row in facts.events.iter_rows(named=True)
    )
    columns = (
        Column(words["record"], "id", 3), Column(words["at"], "moment", 2), Column(words["system"], weight=3),
        Column(words["what"], weight=2), Column(words["outcome"], weight=2), Column(words["rows_head"], "integer"),
    )  # fmt: skip
    blocks: list[Block] = [
        Table("events.all", words["events_table"], columns, rows, words["none"], head_rows=HEAD_ROWS)
    ]
    if facts.gone:
        blocks.insert(0, Notice(words.say("gone", n=facts.gone), Tone.LACKING))
    return Section("events", words["events"], tuple(blocks))
