"""The sections of the report as plain values: what the template shows, nothing of how it looks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from audit import charts, findings
from audit.controls import shown
from audit.tables import Tables
from audit.wording import Words, number, percent

MOST_CARDS: Final = 30
MOST_ROWS: Final = 100
MOST_PROBLEMS: Final = 20
LEAST_PEOPLE: Final = 5


def matrix(tables: Tables, words: Words) -> dict[str, Any]:
    """Findings by family (rows, most first) and severity (columns, worst first), suppressed ones left out."""
    shown = tables.findings.table.filter(pl.col("status") != findings.SUPPRESSED)
    counts = {(family, severity): n for family, severity, n in shown.group_by("family", "severity").len().iter_rows()}
    severities = [5, 4, 3, 2, 1]
    totals = dict(shown.group_by("family").len().iter_rows())
    families = sorted(totals, key=lambda family: (-totals[family], family or ""))
    return {
        "severities": [words.severity(one) for one in severities],
        "rows": [
            (words.family(family), [counts.get((family, one), 0) for one in severities], totals[family])
            for family in families
        ],
        "sums": [sum(counts.get((family, one), 0) for family in families) for one in severities],
        "total": shown.height,
        "suppressed": tables.findings.table.height - shown.height,
    }


def cards(tables: Tables, words: Words, promises: Mapping[str, str], units: Mapping[str, str]) -> list[dict[str, Any]]:
    """The findings that ask for a person, worst first, at most `MOST_CARDS`.

    Args:
        tables: What was analysed.
        words: The report's language.
        promises: Titles of controls by `<pia>/<id>`.
        units: Japanese words for units of observed values, by the English ones that findings carry.
    """
    chosen = tables.findings.serious.head(MOST_CARDS)
    items = tables.findings.in_full(chosen["uid"].to_list())
    persons = dict(tables.frames["people"].select("account", "person").collect().iter_rows())
    return [
        _card(item, row, persons, words, promises, units, tables)
        for item, row in zip(items, chosen.iter_rows(named=True), strict=True)
    ]


def _card(
    item: Mapping[str, Any],
    row: Mapping[str, Any],
    persons: Mapping[str, str],
    words: Words,
    promises: Mapping[str, str],
    units: Mapping[str, str],
    tables: Tables,
) -> dict[str, Any]:
    more, language = item["unmapped"], words.language
    actors = list(dict.fromkeys(row["actors"]))
    shares = sorted(more["shares"], key=lambda share: (-share["share"], share["family"]))
    return {
        "uid": row["uid"],
        "severity": row["severity"],
        "severity_word": words.severity(row["severity"]),
        "queue": words[f"queue_{row['queue']}"],
        "alert": row["is_alert"],
        "title": row["title_ja"] if language == "ja" else row["title_en"],
        "text": more["text"][language],
        "check_first": more.get("check_first", {}).get(language),
        "about": words["about" if row["kind"] == "evidence" else "who"],
        "who": [_who(actor, persons.get(actor, actor), tables, words) for actor in actors[:3]],
        "others": max(0, len(actors) - 3),
        "when": words.span(row["first"], row["last"]),
        "session": row["session"],
        "device": row["device"],
        "system": tables.system_name(row["system"]),
        "events": row["events"],
        "subjects": row["subjects"],
        "risk": row["risk"],
        "explained": words.reason(row["explained"]),
        "context": more.get("context", {}).get(language, []),
        "learning": more.get("learning", False),
        "shares": [_share(share, words, units) for share in shares],
        "controls": [(control, promises.get(control, "")) for control in row["controls"]],
    }


def _share(share: Mapping[str, Any], words: Words, units: Mapping[str, str]) -> dict[str, Any]:
    unit = share["unit"]
    if "_" in unit:  # the name of a check of the evidence, which is no unit
        unit = ""
    return {
        "family": words.family(share["family"]),
        "percent": percent(share["share"]),
        "bar": Markup(charts.bar(share["share"])),
        "observed": number(share["observed"]),
        "usual": number(share["usual"]),
        "peers": number(share["peers"]),
        "unit": share.get("unit_ja") or units.get(unit, unit) if words.language == "ja" else unit,
    }


def _who(actor: str, person: str, tables: Tables, words: Words) -> str:
    staff = tables.site.tables["staff"]
    known = staff.filter(pl.col("actor_id") == person).get_column("dept").drop_nulls()
    dept = None if known.is_empty() else tables.site.config.departments.get(known[-1], known[-1])
    return called(actor, person, dept, words)


def called(actor: str, person: str, dept: str | None, words: Words) -> str:
    """An account, whose it is (the account itself: not known), and the department as the site calls it."""
    about = [person] if person != actor else []
    if dept is not None:
        about.append(dept)
    if not about:
        return actor
    return f"{actor}（{' '.join(about)}）" if words.language == "ja" else f"{actor} ({', '.join(about)})"


def queue(tables: Tables, words: Words) -> list[dict[str, Any]]:
    """What waits for a person, worst first, at most `MOST_ROWS` rows."""
    serious = tables.findings.serious.head(MOST_ROWS)
    return [
        {
            "uid": row["uid"],
            "queue": words[f"queue_{row['queue']}"],
            "severity": row["severity"],
            "severity_word": words.severity(row["severity"]),
            "when": words.short(row["first"]),
            "card": place < MOST_CARDS,
            "who": row["actor"],
            "others": max(0, len(set(row["actors"])) - 1),
            "system": tables.system_name(row["system"]),
            "title": row["title_ja"] if words.language == "ja" else row["title_en"],
            "events": row["events"],
            "risk": row["risk"],
        }
        for place, row in enumerate(serious.iter_rows(named=True))
    ]


def analysed(tables: Tables, words: Words) -> dict[str, Any]:
    """What was analysed, by which versions, and what could not be done."""
    runs = tables.runs
    rejected = (
        tables.frames["rejected"].group_by("reason").agg(pl.len().alias("n")).collect(engine="streaming").sort("reason")
    )
    unmet: dict[tuple[str, ...], set[str]] = {}
    for item in (item for run in runs for item in run.get("not_run") or ()):
        needs = tuple(sorted(shown(str(need), words.language) for need in item.get("needs", ())))
        unmet.setdefault(needs, set()).add(_title(item, words))
    problems = [str(line) for run in runs for line in run.get("problems") or ()]
    # The run names those of its own site as well.
    problems = list(dict.fromkeys([*problems, *tables.site.problems, *tables.problems]))
    counts = tables.frames["events"].select(pl.len()).collect(engine="streaming").item()
    sessions = tables.frames["sessions"].select(pl.len()).collect(engine="streaming").item()
    return {
        "runs": [run.get("run", "-") for run in runs],
        "files": sum(run.get("files") or 0 for run in runs),
        "sources": sorted({str(source) for run in runs for source in run.get("sources") or ()}),
        "events": counts,
        "sessions": sessions,
        "rejected": int(rejected["n"].sum() or 0),
        "by_reason": [(words.rejection(reason), n) for reason, n in rejected.iter_rows()],
        "modes": sorted(
            {words[f"mode_{run['mode']}"] for run in runs if run.get("mode") in ("retrospective", "pinned", "rules")}
        ),
        "versions": sorted({(str(k), str(v)) for run in runs for k, v in (run.get("versions") or {}).items()}),
        "not_run": [(needs, sorted(unmet[needs])) for needs in sorted(unmet, key=lambda one: (-len(unmet[one]), one))],
        "not_run_count": sum(len(names) for names in unmet.values()),
        "emergencies": _emergencies(tables, words),
        "problems": problems[:MOST_PROBLEMS],
        "more_problems": max(0, len(problems) - MOST_PROBLEMS),
        "files_used": hashes(tables.folder),
    }


def _title(item: Mapping[str, Any], words: Words) -> str:
    title = item.get("title")
    return (
        str(title[words.language])
        if isinstance(title, Mapping) and words.language in title
        else str(item.get("check", "-"))
    )


def _emergencies(tables: Tables, words: Words) -> list[str]:
    """Declared emergencies that touch the period, in order of their beginning."""
    declared = tables.frames["emergencies"].collect().sort("from", "name", "system")
    first, last = tables.period or (0, 0)
    out = []
    for (name, begin, end), rows in declared.group_by(["name", "from", "to"], maintain_order=True):
        if begin <= last and (end is None or end >= first):
            systems = [tables.system_name(system) or "*" for system in rows["system"]]
            until = words.moment(end) if end is not None else ""
            out.append(f"{name} {words.moment(begin)}{words['dash']}{until} ({words.join(systems)})")
    return out


def hashes(folder: Path) -> list[tuple[str, int, str]]:
    """Name, size and SHA-256 of the files that the report rests on; `summary.json` holds timings and is none of them."""
    out = []
    for name in ("findings.ndjson", "sessions.parquet", "rejected.ndjson", "runs.ndjson"):
        path = folder / name
        if path.exists():
            with path.open("rb") as file:
                out.append((name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()))
    return out


def users(tables: Tables, words: Words) -> list[dict[str, Any]]:
    """People per system and department; departments with fewer than five people are one line, and no total betrays them."""
    counted = (
        tables.frames["usage"]
        .filter(pl.col("ok") & pl.col("person.id").is_not_null() & pl.col("system.id").is_not_null())
        .filter(pl.col("person.dept").is_not_null())
        .group_by("system.id", "person.dept")
        .agg(pl.col("person.id").n_unique().alias("people"))
        .sort("system.id", "people", "person.dept", descending=[False, True, False])
        .collect()
    )
    names = tables.site.config.departments
    out = []
    for (system,), rows in counted.group_by(["system.id"], maintain_order=True):
        large = rows.filter(pl.col("people") >= LEAST_PEOPLE)
        small = int(rows.filter(pl.col("people") < LEAST_PEOPLE)["people"].sum() or 0)
        lines = [(names.get(dept, dept), number(n)) for dept, n in large.select("person.dept", "people").iter_rows()]
        if small:
            lines.append((words["merged"], number(small) if small >= LEAST_PEOPLE else words["few"]))
        out.append({"system": tables.system_name(str(system)), "rows": lines})
    return out
