"""What a report of a leak asks for, point by point, as far as logs and the case can say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from audit.cases import Action, Code
from audit.desk import Row
from audit.report.incident_words import CLASSES, MATTERS
from audit.report.resident_words import ACTIONS
from audit.report.sources import Sources
from audit.usage import persons
from audit.wording import Words
from contract.event import ACCESS_ACTIONS

# What may have taken data out of the office's systems.
OUT: Final = ("export", "print", "copy", "send", "provide", "connect")

Origin = Literal["logs", "case", "given", "nothing"]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to fill in.

    Attributes:
        matter: Key of `MATTERS`.
        name: What is asked.
        content: None: not known.
        origin: Where the content is from.
    """

    matter: str
    name: str
    content: str | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an incident.

    Attributes:
        row: The finding and its case.
        finding: The same as it was published.
        events: Those that it names and that are there, in the order of time, with `person.…` as of each.
        gone: How many it names that are not there.
    """

    row: Row
    finding: Mapping[str, Any]
    events: pl.DataFrame
    gone: int

    @property
    def done(self) -> pl.DataFrame:
        """Events that were not refused."""
        return self.events.filter("ok")

    @property
    def touching(self) -> pl.DataFrame:
        """Those of them that show, take or change data."""
        return self.done.filter(pl.col("event.action").is_in(ACCESS_ACTIONS))

    @property
    def people(self) -> int:
        """People on file whose data was touched, as far as events say whose it was."""
        return self.touching["subject.token"].drop_nulls().n_unique()

    @property
    def nameless(self) -> int:
        """Events that touched data and do not say whose."""
        return self.touching["subject.token"].null_count()

    @property
    def code(self) -> Code | None:
        """As what the case was closed; None while it is open."""
        case = self.row.case
        return None if case.is_open or case.closing is None else case.closing.code


def facts(sources: Sources, row: Row, finding: Mapping[str, Any]) -> Facts:
    """Collect what is known."""
    ids = [one["uid"] for one in finding["finding_info"]["related_events"]]
    wanted = pl.Series(ids, dtype=pl.String)
    found = (
        sources.history.filter(pl.col("event.id").is_in(wanted.implode()))
        .collect(engine="streaming")
        .sort("time.occurred", "event.id")
    )
    known = persons(found.with_columns(pl.col("time.occurred").alias("at")), sources.site)
    logged = [pl.coalesce(f"person.{name}", f"actor.{name}").alias(f"person.{name}") for name in ("type", "dept")]
    return Facts(row, finding, known.with_columns(logged), wanted.n_unique() - found["event.id"].n_unique())


def points(facts: Facts, sources: Sources, words: Words) -> list[Point]:
    """All points, in the order of the rule; of what people noted the newest note of each matter."""
    out = [
        *_outline(facts, sources, words),
        *_items(facts, words),
        *_people(facts, words),
        *_cause(facts, words),
        *_damage(facts, words),
        Point("persons", words["p_persons"], None, "nothing"),
        Point("published", words["p_published"], None, "nothing"),
        Point("prevention", words["p_done"], None, "nothing"),
        Point("prevention", words["p_planned"], None, "nothing"),
        *_other(sources, words),
    ]
    said = noted(facts.row)
    return [point for matter in MATTERS for point in _with_note(matter, out, said.get(matter), words)]


def noted(row: Row) -> dict[str, str]:
    """What people wrote of a matter in the case: the newest entry that begins with its name and a colon."""
    out: dict[str, str] = {}
    for entry in row.case.entries:
        name, colon, text = (entry.text or "").replace("：", ":", 1).partition(":")
        matter = next(
            (key for key, names in MATTERS.items() if name.strip().lower() in {one.lower() for one in names}), None
        )
        if entry.action in (Action.NOTE, Action.ANSWER) and colon and matter and text.strip():
            out[matter] = text.strip()
    return out


def _with_note(matter: str, all_points: list[Point], note: str | None, words: Words) -> list[Point]:
    """The points of a matter; a note takes the place of what is not known, else it stands beside it."""
    mine = [point for point in all_points if point.matter == matter]
    if note is None:
        return mine
    known = [point for point in mine if point.content is not None]
    return [*known, Point(matter, words["p_more"] if known else MATTERS[matter][words.language == "en"], note, "case")]


def _logs(matter: str, name: str, content: str | None) -> Point:
    return Point(matter, name, content, "logs" if content is not None else "nothing")


def _outline(facts: Facts, sources: Sources, words: Words) -> list[Point]:
    found = facts.row.found
    rules = [facts.finding["finding_info"]["analytic"]["uid"], *(one["uid"] for one in facts.finding["finding_info"]["related_analytics"])]  # fmt: skip
    systems = [sources.month.system_name(one) or one for one in facts.events["system.id"].drop_nulls().unique().sort()]
    return [
        Point("outline", words["p_kind"], None, "nothing"),
        _logs("outline", words["p_when"], words.span(found["first"], found["last"])),
        _logs("outline", words["p_found"], words.moment(found["time"])),
        _logs("outline", words["p_course"], _course(facts, words)),
        _logs(
            "outline",
            words["p_how"],
            words.say("how", title=found[f"title_{words.language}"], rules=words.join(list(dict.fromkeys(rules)))),
        ),
        _logs("outline", words["p_where"], words.join(systems) if systems else None),
        _logs("outline", words["p_who"], _who(facts, sources, words)),
        _logs("outline", words["p_contractor"], _contractors(facts, words)),
    ]


def _course(facts: Facts, words: Words) -> str:
    """The finding's own sentence, without the accounts in it."""
    text: str = facts.finding["unmapped"]["text"][words.language]
    acted = {one["actor"]["user"]["uid"] for one in facts.finding["evidences"] if "user" in one.get("actor", {})}
    acted |= {*facts.events["actor.id"].drop_nulls(), *facts.events["person.id"].drop_nulls()}
    # Not within a longer number or word.
    longest_first = sorted(map(re.escape, acted), key=lambda one: (-len(one), one))
    named = re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(longest_first)})(?![0-9A-Za-z])")
    return named.sub(words["someone"], text) if acted else text


def _who(facts: Facts, sources: Sources, words: Words) -> str | None:
    """Sections of those who acted, and how many of each; a notification names nobody."""
    acted = facts.events.filter(pl.col("person.id").is_not_null() & (pl.col("person.type") != "vendor").fill_null(True))
    counted = (
        acted.group_by("person.dept")
        .agg(pl.col("person.id").n_unique().alias("n"))
        .sort("person.dept", nulls_last=True)
    )
    names = sources.site.config.departments
    parts = [
        words.say("who", section=words["section_unknown"] if dept is None else names.get(dept, dept), n=n)
        for dept, n in counted.iter_rows()
    ]
    return words.join(parts) if parts else None


def _contractors(facts: Facts, words: Words) -> str | None:
    types = facts.events["person.type"]
    companies = (
        facts.events.filter(pl.col("person.type") == "vendor")["person.company"].drop_nulls().unique().sort().to_list()
    )
    if companies:
        return words.join(companies)
    return words["no_contractor"] if types.len() and not types.null_count() and "vendor" not in types else None


def _items(facts: Facts, words: Words) -> list[Point]:
    classes = facts.touching["resource.class"]
    counted = dict(
        classes.drop_nulls()
        .value_counts(sort=True)
        .sort("count", "resource.class", descending=[True, False])
        .iter_rows()
    )
    parts = [
        words.say("class_n", name=CLASSES.get(one, (one, one))[words.language == "en"], n=n)
        for one, n in counted.items()
    ]
    if parts and classes.null_count():
        parts.append(words.say("class_unknown", n=classes.null_count()))
    mynumber = None
    if "mynumber" in counted:
        mynumber = words.say("has_mynumber", n=counted["mynumber"])
    elif counted and not classes.null_count():
        mynumber = words["no_mynumber"]
    return [
        _logs("items", words["p_mynumber"], mynumber),
        _logs("items", words["p_classes"], words.join(parts) if parts else None),
        Point("items", words["p_items"], None, "nothing"),
        Point("items", words["p_protected"], None, "nothing"),
    ]


def _people(facts: Facts, words: Words) -> list[Point]:
    content = None
    if facts.people and facts.nameless:
        content = words.say("people_least", n=facts.people, events=facts.nameless)
    elif facts.people:
        content = words.say("people_n", n=facts.people)
    rows = facts.touching.filter(pl.col("subject.token").is_null())["resource.count"].drop_nulls()
    out = [_logs("people", words["p_people"], content)]
    if rows.len():
        out.append(_logs("people", words["p_rows"], words.say("rows", n=int(rows.sum()))))
    return out


def _cause(facts: Facts, words: Words) -> list[Point]:
    closing, code = facts.row.case.closing, facts.code
    decided = None
    if code is not None and code != Code.UNKNOWN and closing is not None:
        decided = words.say("decided", code=words[f"code_{code}"], text=closing.text or "")
    families = [words.family(share["family"]) for share in facts.finding["unmapped"]["shares"]]
    return [
        Point("cause", words["p_cause"], decided, "nothing" if decided is None else "case"),
        _logs("cause", words["p_detected"], words.join(families) if families else None),
    ]


def _damage(facts: Facts, words: Words) -> list[Point]:
    out = facts.done.filter(pl.col("event.action").is_in(OUT))
    counted = out.group_by("event.action").len().sort("event.action")
    parts = [
        words.say("out_n", action=ACTIONS.get(action, (action, action))[words.language == "en"], n=n)
        for action, n in counted.iter_rows()
    ]
    where = pl.concat([out["destination"], out["media.id"]]).drop_nulls().unique().sort().to_list()
    told = words.join([*parts, *where]) if parts else words["out_none"]
    return [
        Point("damage", words["p_damage"], None, "nothing"),
        _logs("damage", words["p_out"], None if facts.gone else told),
    ]


def _other(sources: Sources, words: Words) -> list[Point]:
    status = None if sources.evidence is None else sources.evidence.verdict.status
    return [
        _logs("other", words["p_evidence"], None if status is None else words[f"evidence_{status}"]),
        Point("other", words["p_authorities"], None, "nothing"),
    ]
