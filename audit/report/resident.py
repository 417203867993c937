"""Who looked at one person's record: the document for a request to disclose it, and the same with names for the office.

In the version for the resident third parties are redacted by rule, so that it is made in minutes and read before it is handed out:

- who acted is shown as section and role, a contractor as its company; never an account, an id, a terminal or an address;
- another person's case number is left out: a reference is shown only where the registers say that it is this person's;
- that somebody who acted is a relative is left out, as is what findings and cases say of them;
- words as they were logged (a purpose, a function, a section, a role) may name somebody: they are shown only if they were logged with five
  people on file or more.

Other people on file appear in neither version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import polars as pl

from audit.report import accesses, details, spans
from audit.report.model import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Items,
    Notice,
    Paragraph,
    Report,
    Section,
    Table,
    Tone,
)
from audit.report.resident_words import ACTIONS, BASES, EXPLAINED, PAIRS, PURPOSES, REASONS
from audit.report.sources import Sources
from audit.sections import called
from audit.wording import Words
from registers.tokens import TOKEN_PATTERN

Audience = Literal["resident", "office"]

HEAD_ROWS: Final = 100
_SHOWN_REASONS: Final = ("assignment", "basis", "subject_basis")  # those that say nothing of a third person


def resident(
    sources: Sources, token: str, begin: int, end: int, audience: Audience = "resident", *, version: str
) -> Report:
    """Write the document.

    Args:
        sources: Of a period that reaches to `end` or further.
        token: Of the person whose record it is, as `sekimori token` gives it.
        begin, end: UTC milliseconds, `end` excluded.
        audience: For whom: `resident` (redacted) or `office` (with accounts, terminals and findings).
        version: Of Sekimori.

    Raises:
        ValueError: This is no token, the stretch is empty, or it ends after what is known.
    """
    if not re.fullmatch(TOKEN_PATTERN, token) or not token.startswith("s_"):
        raise ValueError(f"{token!r} is no token of a person on file: sekimori token makes one from an id")
    if not begin < end <= sources.period.end:
        raise ValueError(
            f"from {begin} to {end}: must not be empty, and end by {sources.period.end} (UTC ms), where the data ends"
        )
    words = sources.words.extended(PAIRS)
    found = accesses.of_subject(sources, token, begin, end)
    if audience == "resident":
        found = accesses.without_rare_words(found, sources, PURPOSES)
    over = end <= sources.as_of
    return Report(
        title=words[f"title_{audience}"],
        language=words.language,
        site=sources.site.config.name,
        time_zone=sources.site.config.time_zone,
        begin=begin,
        end=end,
        period=spans.days(begin, end, words),
        as_of=sources.as_of,
        draft=None if over else words["draft"],
        summary=_summary(found, words),
        sections=(
            _about(token, audience, begin, end, words),
            _accesses(sources, found, audience, words),
            _limits(sources, begin, end, audience, words),
        ),
        version=version,
        traced=False,
    )


def _summary(found: pl.DataFrame, words: Words) -> tuple[str, ...]:
    done = found.filter("ok")
    if done.is_empty():
        return (words.say("summary_none", refused=found.height),)
    counts = {name: done.filter(pl.col("explained") == name).height for name in EXPLAINED if name}
    return (
        words.say("summary", n=done.height, refused=found.height - done.height),
        words.say("summary_explained", **counts, unjudged=done["explained"].null_count()),
    )


def _about(token: str, audience: Audience, begin: int, end: int, words: Words) -> Section:
    facts = (
        (words["person"], token),
        (words["stretch"], f"{words.moment(begin)}{words['dash']}{words.moment(end - 1)}"),
        (words["audience"], words[f"audience_{audience}"]),
    )
    table = Table(
        "about.request",
        words["request"],
        (Column(words["item"], weight=1), Column(words["content"], weight=4)),
        facts,
        "-",
    )
    rules = tuple(words[f"rule_{n}"] for n in range(1, 6)) if audience == "resident" else (words["rule_office"],)
    return Section("about", words["about"], (table, Items(rules, words["rules"], ordered=len(rules) > 1)))


def _accesses(sources: Sources, found: pl.DataFrame, audience: Audience, words: Words) -> Section:
    blocks: list[Block] = [
        _figures(found, words),
        _by_section(sources, found, words),
        _table(sources, found, audience, words),
    ]
    if audience == "office":
        columns = (Column(words["when"], "moment", 2), Column(words["record"], "id", 3), Column(words["log"], "id", 3))
        rows = tuple(found.select("time.occurred", "event.id", "source.id").rows())
        blocks.append(Table("accesses.records", words["records"], columns, rows, words["none"], head_rows=0))
    return Section("accesses", words["accesses"], tuple(blocks))


def _figures(found: pl.DataFrame, words: Words) -> Figures:
    done, unit = found.filter("ok"), words["items"]
    figures = [
        Figure("accesses.total", words["n_total"], done.height, unit=unit),
        Figure("accesses.refused", words["n_refused"], found.height - done.height, unit=unit),
    ]
    for name, tone in (("explained", Tone.GOOD), ("to_check", Tone.CHECK), ("unexplained", Tone.CHECK)):
        n = done.filter(pl.col("explained") == name).height
        figures.append(Figure(f"accesses.{name}", words[f"n_{name}"], n, unit=unit, tone=tone if n else Tone.PLAIN))
    unjudged = done["explained"].null_count()
    tone = Tone.LACKING if unjudged else Tone.PLAIN
    figures.append(Figure("accesses.unjudged", words["n_unjudged"], unjudged, unit=unit, tone=tone))
    times = done["time.occurred"].to_list()
    for name, at in (("first", times[:1]), ("last", times[-1:])):
        note = "" if at else words["none"]
        figures.append(Figure(f"accesses.{name}", words[f"n_{name}"], at[0] if at else None, "moment", note=note))
    return Figures(tuple(figures))


def _by_section(sources: Sources, found: pl.DataFrame, words: Words) -> Table:
    """Accesses that were not refused by section, most first."""
    counts: dict[str, list[int]] = {}
    for row in found.filter("ok").iter_rows(named=True):
        line = counts.setdefault(_section(row, sources, words), [0] * (len(EXPLAINED) + 1))
        line[0] += 1
        line[1 + list(EXPLAINED).index(row["explained"] or "")] += 1
    names = sorted(counts, key=lambda name: (-counts[name][0], name))
    rows: tuple[tuple[Cell, ...], ...] = tuple((name, *counts[name]) for name in names)
    heads = (words["n_total"], *(words[f"n_{name or 'unjudged'}"] for name in EXPLAINED))
    columns = (Column(words["section"], weight=4), *(Column(head, "integer") for head in heads))
    return Table("accesses.by_section", words["by_section"], columns, rows, words["none"])


def _table(sources: Sources, found: pl.DataFrame, audience: Audience, words: Words) -> Table:
    office = audience == "office"
    findings = _findings(sources, found) if office else {}
    rows: list[tuple[Cell, ...]] = []
    for row in found.iter_rows(named=True):
        line = (
            row["time.occurred"],
            sources.month.system_name(row["system.id"]),
            _account(row, sources, words) if office else _who(row, sources, words),
            _what(row, words),
            _purpose(row, words),
            _basis(row, office, sources, words),
            words[f"n_{row['explained'] or 'unjudged'}"] if row["ok"] else words["refused"],
        )
        rows.append((*line, row["src.device"] or row["src.ip"], findings.get(row["event.id"])) if office else line)
    columns = [
        Column(words["when"], "moment", 3), Column(words["system"], weight=3), Column(words["who" if office else "section"], weight=3),
        Column(words["what"], weight=3), Column(words["purpose"], weight=2), Column(words["basis"], weight=3), Column(words["judged"], weight=2),
    ]  # fmt: skip
    if office:
        columns += [Column(words["device"], "id", 2), Column(words["finding_id"], "id", 3)]
    return Table("accesses.all", words["all"], tuple(columns), tuple(rows), words["none"], words["all_note"], HEAD_ROWS)


def _section(row: Mapping[str, Any], sources: Sources, words: Words) -> str:
    """The section of somebody who acted, a contractor's company, or a service."""
    kind = row["person.type"] or row["actor.type"]
    if kind in ("service", "system"):
        return words["service"]
    if kind == "vendor":
        return words.say("vendor", company=row["person.company"] or words["unknown"])
    dept = row["person.dept"] or row["actor.dept"]
    return words["unknown_section"] if dept is None else sources.site.config.departments.get(dept, dept)


def _who(row: Mapping[str, Any], sources: Sources, words: Words) -> str:
    section, role = _section(row, sources, words), row["person.role"] or row["actor.role"]
    return section if role is None else words.say("with_role", section=section, role=role)


def _account(row: Mapping[str, Any], sources: Sources, words: Words) -> str:
    if row["actor.id"] is None:
        return words["nobody"]
    return called(row["actor.id"], row["person.id"], _who(row, sources, words), words)


def _what(row: Mapping[str, Any], words: Words) -> str:
    """What was done, and by which function, as the site calls it."""
    action = ACTIONS.get(row["event.action"] or "", (row["event.action"] or "-",) * 2)[words.language == "en"]
    label = row[f"op.label.{words.language}"] or row["op.name"] or row["op.code"]
    return action if label is None else words.say("with_label", action=action, label=label)


def _purpose(row: Mapping[str, Any], words: Words) -> str:
    if row.get("withheld"):
        return words["withheld"]
    stated: str | None = row["purpose.code"]
    if stated is None:
        return words["not_stated"]
    return PURPOSES.get(stated.lower(), (stated, stated))[words.language == "en"]


def _basis(row: Mapping[str, Any], office: bool, sources: Sources, words: Words) -> str:
    """What the registers say for it, and the legal ground that was stated."""
    reason, reference, parts = row["explained.by"], row["basis.ref"], []
    if reason in _SHOWN_REASONS or (office and reason in REASONS):
        parts.append(REASONS[reason][words.language == "en"])
    if row["basis.kind"] is not None:
        kind = BASES.get(row["basis.kind"], (row["basis.kind"],) * 2)[words.language == "en"]
        parts.append(words.say("reference", kind=kind, reference=reference))
    elif reference is not None:
        parts.append(words.say("stated", reference=reference) if office else words["stated_withheld"])
    if row["basis.law"] is not None and (office or row["basis.law"] in _declared(sources)):
        parts.append(words.say("law", law=row["basis.law"]))
    return words.join(parts) if parts else words["none_recorded"]


def _declared(sources: Sources) -> frozenset[str]:
    """Legal grounds that the organisation declares for all to see."""
    config = sources.site.config
    named = [*(config.limits.inquiry_items or ())]
    for system in config.systems.values():
        named += [*(system.inquiry_items or ()), *(system.provision_items or ())]
    return frozenset(named)


def _findings(sources: Sources, found: pl.DataFrame) -> dict[str, str]:
    """The worst finding of each event."""
    wanted, out = set(found["event.id"]), dict[str, str]()
    times = found["time.occurred"].to_list()
    rows = [row for row in sources.rows if times and row.found["first"] <= times[-1] and row.found["last"] >= times[0]]
    order = {row.found["uid"]: place for place, row in enumerate(rows)}
    there = details.by_file(details.of_rows(rows, sources.month.folder), list(order))
    for one in sorted(there, key=lambda one: order[one["finding_info"]["uid"]]):
        for event in one["finding_info"]["related_events"]:
            if event["uid"] in wanted:
                out.setdefault(event["uid"], one["finding_info"]["uid"])
    return out


def _limits(sources: Sources, begin: int, end: int, audience: Audience, words: Words) -> Section:
    """What the document cannot know."""
    silent = accesses.silent_days(sources, begin, end)
    unnamed = accesses.of_nobody_named(sources, begin, end)
    first = accesses.first_record(sources)
    blocks: list[Block] = [Paragraph(words["limits_lead"])]
    lacking = []
    if first is None or begin < first:
        lacking.append(words["no_record"] if first is None else words.say("not_before", moment=words.moment(first)))
    if not silent.is_empty():
        lacking.append(words.say("silent", n=int(silent["days"].sum())))
    if not sources.site.has("staff"):
        lacking.append(words["no_staff"])
    if not sources.site.has("assignments") and not sources.site.has("bases"):
        lacking.append(words["no_reasons"])
    if end > sources.as_of:
        lacking.append(words["not_over"])
    blocks += [Notice(text, Tone.LACKING) for text in lacking]
    unit, note = words["items"], words["unnamed_note"]
    figures = [
        Figure("limits.silent", words["n_silent"], int(silent["days"].sum()), unit=words["unit_days"]),
        Figure("limits.unnamed", words["n_unnamed"], unnamed, unit=unit, note=note),
    ]
    blocks.append(Figures(tuple(figures)))
    if audience == "office":
        columns = (Column(words["log"], "id", 3), Column(words["n_silent"], "integer"))
        blocks.append(Table("limits.by_source", words["silent_table"], columns, tuple(silent.rows()), words["none"]))
    return Section("limits", words["limits"], tuple(blocks))
