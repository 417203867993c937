"""A serious finding in plain words: what happened, who, when, and what people did about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from audit.cases import Case, Deadlines
from audit.desk import Row
from audit.report import casework, details, people
from audit.report.model import Card, Tone
from audit.tables import Tables
from audit.wording import Words, number, percent

MOST_NAMES: Final = 3
_GRAVEST: Final = 5

PAIRS: Final[dict[str, tuple[str, str]]] = {
    **casework.PAIRS,
    "is_late": ("遅れ", "late"),
    "measured": ("測った値", "Measured"),
    "measure": ("{family}：今回 {observed}", "{family}: {observed}"),
    "measure_usual": ("、通常 {usual}", ", usually {usual}"),
    "measure_peers": ("、同じ部署 {peers}", ", among peers {peers}"),
    "measure_share": ("（リスクの{share}）", " ({share} of the risk)"),
    "events_people": ("{events}件（本人 {subjects}人）", "{events} (people concerned: {subjects})"),
    "decided_at": ("検知した日時", "Found"),
    "no_database": ("不明（監査データベースがない）", "not known (there is no audit database)"),
}


@dataclass(frozen=True, slots=True)
class Context:
    """What all cards of a report share.

    Attributes:
        tables: Of the period.
        limits: How soon something has to be done.
        actors: As `people.of_rows` gives them.
        promises: Titles of controls by `<pia>/<id>`.
        kept: Whether it is known what people did.
        words: With `PAIRS`.
    """

    tables: Tables
    limits: Deadlines
    actors: pl.DataFrame
    promises: Mapping[str, str]
    kept: bool
    words: Words


def cards(rows: Sequence[Row], context: Context) -> tuple[Card, ...]:
    """One card per finding, in the order given.

    Args:
        rows: Findings of the period with their cases.
        context: What they share.
    """
    table = context.tables.findings.table
    systems = dict(table.select("uid", "system").iter_rows())
    actors = {
        str(uid): tuple(names)
        for uid, names in context.actors.group_by("uid", maintain_order=True)
        .agg(pl.struct("actor.id", "person.id", "person.dept"))
        .iter_rows()
    }
    texts = {
        one["finding_info"]["uid"]: one["unmapped"]
        for one in details.by_file(context.tables.findings, [row.found["uid"] for row in rows])
    }
    return tuple(
        _card(row, texts[row.found["uid"]], actors.get(row.found["uid"], ()), systems.get(row.found["uid"]), context)
        for row in rows
    )


def _card(
    row: Row, more: Mapping[str, Any], actors: Sequence[Mapping[str, Any]], system: str | None, context: Context
) -> Card:
    words, found, language = context.words, row.found, context.words.language
    badges = [words.severity(found["severity"]), words[f"queue_{found['queue']}"]]
    if context.kept:
        badges.append(words[f"state_{row.case.state}"])
        badges += [words["is_late"]] if row.late else []
    unknown = ((words["state"], words["no_database"]),)
    return Card(
        id=found["uid"],
        title=found[f"title_{language}"],
        text=more["text"][language],
        tone=_tone(row, context.kept),
        badges=tuple(badges),
        facts=tuple(_facts(found, more, actors, system, row.case, context)),
        done=casework.done(row, context.limits, words) if context.kept else unknown,
    )


def _tone(row: Row, kept: bool) -> Tone:
    if kept and not row.case.is_open:
        return Tone.PLAIN
    pressing = row.found["severity"] >= _GRAVEST or (kept and row.late is not None)
    return Tone.URGENT if pressing else Tone.CHECK


def _facts(
    found: Mapping[str, Any],
    more: Mapping[str, Any],
    actors: Sequence[Mapping[str, Any]],
    system: str | None,
    case: Case,
    context: Context,
) -> Iterable[tuple[str, str]]:
    words, language = context.words, context.words.language
    if found["kind"] == "evidence":
        yield words["about"], words.join(list(dict.fromkeys(found["actors"]))[:MOST_NAMES]) or words["nobody"]
    else:
        yield words["who"], _who(actors, context)
    yield words["when"], words.span(found["first"], found["last"])
    yield words["decided_at"], words.moment(found["time"])
    for label, value in (
        ("system", context.tables.system_name(system)),
        ("device", found["device"]),
        ("session", found["session"]),
    ):
        if value is not None:
            yield words[label], value
    yield words["events_n"], words.say("events_people", events=found["events"], subjects=found["subjects"])
    yield words["risk"], number(found["risk"])
    yield words["measured"], words.join([_measure(one, words) for one in _largest(more)])
    yield words["explained_word"], words.reason(found["explained"])
    told = (more.get("context") or {}).get(language) or []
    if told:
        yield words["context"], " ".join(told)
    if found["controls"]:
        names = [f"{one} {context.promises.get(one, '')}".rstrip() for one in found["controls"]]
        yield words["controls"], words.join(names)
    first = (more.get("check_first") or {}).get(language)
    if first and (case.is_open or not context.kept):
        yield words["check_first"], first


def _who(actors: Sequence[Mapping[str, Any]], context: Context) -> str:
    words, site = context.words, context.tables.site
    names = [people.shown(one["actor.id"], one["person.id"], one["person.dept"], site, words) for one in actors]
    return people.listed(names, words, MOST_NAMES) or words["nobody"]


def _largest(more: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    ranked = sorted(more["shares"], key=lambda one: (-one["share"], one["family"]))
    return ranked[:MOST_NAMES]


def _measure(one: Mapping[str, Any], words: Words) -> str:
    """What was measured, beside what is usual: numbers that a reader can weigh."""
    unit = (one.get("unit_ja") if words.language == "ja" else None) or one["unit"]
    if "_" in unit:  # the name of a check of the evidence, which is no unit
        unit = ""
    gap = "" if words.language == "ja" else " "

    def value(name: str) -> str:
        return f"{number(one[name])}{gap}{unit}".rstrip()

    told = words.say("measure", family=words.family(one["family"]), observed=value("observed"))
    if one.get("usual") is not None:
        told += words.say("measure_usual", usual=number(one["usual"]))
    if one.get("peers") is not None:
        told += words.say("measure_peers", peers=number(one["peers"]))
    return told + words.say("measure_share", share=percent(one["share"]))
