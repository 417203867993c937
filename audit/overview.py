"""The report of a period, for the people who answer for it: one HTML page that needs nothing else.

It reads only what an analysis wrote and what the organisation declares, so anybody can make it again and get the same
bytes. All text from logs and registers is escaped; there is no script in the page.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import rules
from audit import charts, controls, days, sections
from audit.catalogue import CONTROLS, Catalogue, load
from audit.controls import Outcome, Verdict
from audit.tables import Tables, read
from audit.wording import Language, Words, number, percent
from registers.site import Site

SIGNS: Final = {Outcome.MET: "○", Outcome.CHECK: "△", Outcome.LACKING: "－"}
CLASSES: Final = {Outcome.MET: "met", Outcome.CHECK: "check", Outcome.LACKING: "lacking"}

MOST_STEPS: Final = 12


def write(out: Path, site: Site, language: Language = "ja", catalogue: Path = CONTROLS) -> Path:
    """Write `report.html` into an output folder.

    Args:
        out: Folder that an analysis wrote.
        site: The site that the analysis was made with.
        language: `ja` or `en`.
        catalogue: Folder of the controls.

    Returns:
        Path of the page.

    Raises:
        audit.tables.OutputError: The folder is no output of an analysis.
        OSError: The page could not be written.
    """
    page = render(read(out, site), load(catalogue), language)
    path, part = out / "report.html", out / ".report.html.part"
    part.write_text(page, encoding="utf-8")
    # A report that is half written must not look like one.
    os.replace(part, path)
    return path


def render(tables: Tables, catalogue: Catalogue, language: Language = "ja") -> str:
    """The page as text; the same tables give the same text."""
    words = Words(language, tables.site.config.time_zone)
    verdicts = controls.judge(tables, catalogue.assessments.values(), language)
    promises = {
        f"{pia}/{control.id}": control.title[language]
        for pia, one in catalogue.assessments.items()
        for control in one.controls
    }
    coverage = days.coverage(tables, words)
    analysed = sections.analysed(tables, words)
    explained = days.explained(tables, words)
    cards = sections.cards(tables, words, promises, _units())
    environment = Environment(
        loader=PackageLoader("audit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("report.html.j2").render(
        t=words,
        language=language,
        site=tables.site.config.name,
        period=_period(tables, words),
        lead=_lead(tables, verdicts, explained, analysed, words),
        figures=_figures(tables, verdicts, explained, coverage, words),
        assessments=_assessments(tables, catalogue, verdicts),
        unjudged=_unjudged(tables, catalogue, words),
        notes=list(catalogue.problems),
        steps=_steps(tables, verdicts, coverage, analysed, words),
        matrix=sections.matrix(tables, words),
        cards=cards,
        shown={card["uid"] for card in cards},
        serious=tables.findings.serious.height,
        most_cards=sections.MOST_CARDS,
        queue=sections.queue(tables, words),
        explained=explained,
        explained_key=_explained_key(words),
        coverage=coverage,
        analysed=analysed,
        users=sections.users(tables, words),
        signs=SIGNS,
        classes=CLASSES,
        outcome=Outcome,
    )


def _period(tables: Tables, words: Words) -> str:
    if tables.period is None:
        return words["no_period"]
    first, last = (words.local(ms).date() for ms in tables.period)
    n = (last - first).days + 1
    return words.say("period_days", first=words.day(first), last=words.day(last), n=n)


def _lead(tables: Tables, verdicts: Sequence[Verdict], explained: list[dict[str, Any]], analysed: dict[str, Any], words: Words) -> list[str]:  # fmt: skip
    """The month in two or three sentences."""
    counts = _counts(verdicts)
    queues = _queues(tables)
    out = []
    if verdicts:
        out.append(words.say("lead_pia", n=len(verdicts), met=counts[Outcome.MET], check=counts[Outcome.CHECK], lacking=counts[Outcome.LACKING]))  # fmt: skip
    out.append(words.say("lead_findings", events=analysed["events"], alerts=queues["alert"], reviews=queues["review"]))
    share = _share(explained)
    if share is not None:
        out.append(words.say("lead_explained", share=percent(share)))
    return out


def _figures(
    tables: Tables, verdicts: Sequence[Verdict], explained: list[dict[str, Any]], coverage: dict[str, Any], words: Words
) -> list[tuple[str, str, str]]:
    """Key figures: label, value, unit."""
    counts, queues = _counts(verdicts), _queues(tables)
    unit = words["items"]
    judged = [(f"{SIGNS[one]} {one}", number(counts[one]), unit) for one in Outcome] if verdicts else []
    return [
        *judged,
        (words["alerts"], number(queues["alert"]), unit),
        (words["reviews"], number(queues["review"]), unit),
        (words["explained_share"], percent(_share(explained)), ""),
        (words["days_silent"], number(coverage["gaps"] if coverage["bounded"] else None), words["unit_days"]),
    ]


def _counts(verdicts: Sequence[Verdict]) -> dict[Outcome, int]:
    return {one: sum(verdict.verdict == one for verdict in verdicts) for one in Outcome}


def _queues(tables: Tables) -> dict[str, int]:
    serious = tables.findings.serious["queue"].to_list()
    return {name: serious.count(name) for name in ("alert", "review")}


def _share(explained: list[dict[str, Any]]) -> float | None:
    total = sum(one["accesses"] for one in explained)
    return sum(one["yes"] for one in explained) / total if total else None


def _assessments(tables: Tables, catalogue: Catalogue, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Verdicts by assessment, with the systems that name it."""
    systems = tables.site.config.systems
    out = []
    for pia, one in catalogue.assessments.items():
        mine = [verdict for verdict in verdicts if verdict.pia == pia]
        if mine:
            out.append(
                {
                    "pia": pia,
                    "name": one.name,
                    "systems": [system.name or name for name, system in sorted(systems.items()) if system.pia == pia],
                    "verdicts": mine,
                    "counts": _counts(mine),
                    "sources": list(dict.fromkeys(verdict.stands_in for verdict in mine)),
                    "paraphrase": any(verdict.paraphrase for verdict in mine),
                }
            )
    return out


def _unjudged(tables: Tables, catalogue: Catalogue, words: Words) -> dict[str, list[str]]:
    """Assessments that ship but no system names, and those that are named but do not ship."""
    named = {system.pia for system in tables.site.config.systems.values() if system.pia is not None}
    return {
        "idle": [one.name[words.language] for pia, one in catalogue.assessments.items() if pia not in named],
        "unknown": [words.say("unknown_pia", pia=pia) for pia in sorted(named - set(catalogue.assessments))],
    }


def _steps(tables: Tables, verdicts: Sequence[Verdict], coverage: dict[str, Any], analysed: dict[str, Any], words: Words) -> list[str]:  # fmt: skip
    """What to do next, the most pressing first."""
    queues = _queues(tables)
    out = [words.say(f"next_{name}", n=queues[name]) for name in ("alert", "review") if queues[name]]
    if coverage["gaps"]:
        out.append(words.say("next_gap", n=coverage["gaps"], sources=words.join(coverage["gap_sources"][:5])))
    needed: dict[str, list[str]] = {}
    for verdict in verdicts:
        for need in verdict.needs:
            needed.setdefault(need, []).append(f"{verdict.pia}/{verdict.id}")
    for need, ids in sorted(needed.items()):
        out.append(words.say("next_needs", need=controls.shown(need, words.language), controls=words.join(ids)))
    out += [
        words.say("next_lacking", control=f"{verdict.pia}/{verdict.id}", reason=verdict.reason)
        for verdict in verdicts
        if verdict.verdict is Outcome.LACKING and not verdict.needs
    ]
    checks: dict[str, int] = {}
    for needs, names in analysed["not_run"]:
        for need in needs:
            checks[need] = checks.get(need, 0) + len(names)
    for need, n in sorted(checks.items(), key=lambda pair: (-pair[1], pair[0])):
        out.append(words.say("next_checks", need=need, n=n))
    if analysed["rejected"]:
        out.append(words.say("next_rejected", n=analysed["rejected"]))
    return out[:MOST_STEPS] or [words["next_nothing"]]


def _explained_key(words: Words) -> Markup:
    return Markup(charts.stacks_key(words["explained_yes"], words["explained_check"], words["explained_no"]))


def _units() -> dict[str, str]:
    """Japanese words for the units that findings carry in English, as the rules that ship say them."""
    out = {"hits": "件"}  # what a rule without a measure of its own observes
    for path in sorted(Path(rules.__file__).parent.glob("*/*/rule.yml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            block = document.get("sekimori") if isinstance(document, dict) else None
            unit = ((block or {}).get("observed") or {}).get("unit")
            if isinstance(unit, dict) and isinstance(unit.get("en"), str) and isinstance(unit.get("ja"), str):
                out[unit["en"]] = unit["ja"]
    return out
