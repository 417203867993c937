"""The sections of the report as plain values: what the template shows, nothing of how it looks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from audit import charts, findings
from audit.tables import Tables
from audit.wording import Words, number, percent

MOST_CARDS: Final = 30
MOST_ROWS: Final = 100
MOST_PROBLEMS: Final = 20
MOST_SOURCES: Final = 60
LEAST_PEOPLE: Final = 5

# Up to so many days (months) each has a column of its own.
_DAYS_SHOWN: Final = 400
_MONTHS_SHOWN: Final = 400
_EXPLAINED_DAYS: Final = 93


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
    items = findings.in_full(tables.folder / "findings.ndjson", chosen["offset"].to_list())
    systems = dict(tables.frames["findings"].select("uid", "system").collect().iter_rows())
    return [
        _card(item, row, systems.get(row["uid"]), words, promises, units, tables)
        for item, row in zip(items, chosen.iter_rows(named=True), strict=True)
    ]


def _card(
    item: Mapping[str, Any],
    row: Mapping[str, Any],
    system: str | None,
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
        "who": [_who(actor, tables, words) for actor in actors[:3]],
        "others": max(0, len(actors) - 3),
        "when": words.span(row["first"], row["last"]),
        "session": row["session"],
        "device": row["device"],
        "system": _system(system, tables),
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
    return {
        "family": words.family(share["family"]),
        "percent": percent(share["share"]),
        "bar": Markup(charts.bar(share["share"])),
        "observed": number(share["observed"]),
        "usual": number(share["usual"]),
        "peers": number(share["peers"]),
        "unit": units.get(unit, unit) if words.language == "ja" else unit,
    }


def _who(actor: str, tables: Tables, words: Words) -> str:
    """An account, and its department if it has one that the site names."""
    known = tables.site.tables["staff"].filter(pl.col("actor_id") == actor).get_column("dept").drop_nulls()
    if known.is_empty():
        return actor
    name = tables.site.config.departments.get(known[-1], known[-1])
    return f"{actor}（{name}）" if words.language == "ja" else f"{actor} ({name})"


def _system(system: str | None, tables: Tables) -> str | None:
    declared = tables.site.config.systems.get(system) if system is not None else None
    return system if declared is None else declared.name or system


def queue(tables: Tables, words: Words) -> list[dict[str, Any]]:
    """What waits for a person, worst first, at most `MOST_ROWS` rows."""
    serious = tables.findings.serious.head(MOST_ROWS)
    systems = dict(tables.frames["findings"].select("uid", "system").collect().iter_rows())
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
            "system": _system(systems.get(row["uid"]), tables),
            "title": row["title_ja"] if words.language == "ja" else row["title_en"],
            "events": row["events"],
            "risk": row["risk"],
        }
        for place, row in enumerate(serious.iter_rows(named=True))
    ]


def explained(tables: Tables, words: Words) -> list[dict[str, Any]]:
    """Explained share per system: a chart by day and the numbers, systems in order."""
    counted = (
        tables.frames["events"]
        .filter(pl.col("explained").is_not_null())
        .group_by(pl.col("system.id").fill_null("-").alias("system"), "date")
        .agg(
            (pl.col("explained") == name).sum().cast(pl.Int64).alias(name)
            for name in ("explained", "to_check", "unexplained")
        )
        .collect(engine="streaming")
        .sort("system", "date")
    )
    if counted.is_empty():
        return []
    days = tables.frames["coverage"].select("date", "day_off").unique("date").sort("date").collect()
    if days.height > _EXPLAINED_DAYS:
        day = pl.col("date").dt.truncate("1mo")
        days = days.select(day).unique().sort("date").with_columns(pl.lit(None, dtype=pl.Boolean).alias("day_off"))
        counted = counted.with_columns(day).group_by("system", "date").sum().sort("system", "date")
    columns = _columns(
        days, words, "day" if days["day_off"].dtype == pl.Boolean and days.height <= _EXPLAINED_DAYS else "month"
    )
    return [_explained_system(str(name), rows, days, columns, place, tables, words)
            for place, ((name,), rows) in enumerate(counted.group_by(["system"], maintain_order=True))]  # fmt: skip


def _explained_system(
    system: str,
    rows: pl.DataFrame,
    days: pl.DataFrame,
    columns: Sequence[charts.Column],
    place: int,
    tables: Tables,
    words: Words,
) -> dict[str, Any]:
    name = _system(system, tables) or system
    by_day = {row["date"]: row for row in rows.iter_rows(named=True)}
    stacks = []
    for day in days["date"]:
        row = by_day.get(day, {"explained": 0, "to_check": 0, "unexplained": 0})
        yes, check, no = row["explained"], row["to_check"], row["unexplained"]
        hint = words.say(
            "explained_hint", day=words.day(day, year=False), total=yes + check + no, yes=yes, check=check, no=no
        )
        stacks.append(charts.Stack(yes, check, no, hint))
    yes, check, no = (sum(getattr(day, name) for day in stacks) for name in ("explained", "to_check", "unexplained"))
    total = yes + check + no
    description = words.say("explained_hint", day=name, total=total, yes=yes, check=check, no=no)
    return {
        "name": name,
        "share": percent(yes / total),
        "accesses": total,
        "yes": yes,
        "check": check,
        "no": no,
        "chart": Markup(
            charts.stacks(stacks, columns, f"{name} {words['explained']}", description, f"explained{place}")
        ),
    }


def coverage(tables: Tables, words: Words) -> dict[str, Any]:
    """Charts of which source spoke when, in blocks of months, and the numbers per source."""
    rows = tables.frames["coverage"].collect()
    refused = dict(
        tables.frames["rejected"]
        .group_by(pl.col("source.id").fill_null("-"))
        .agg(pl.len())
        .collect(engine="streaming")
        .iter_rows()
    )
    sums = (
        rows.group_by("source.id", maintain_order=True)
        .agg(
            pl.col("lines").sum(),
            pl.col("heartbeats").sum(),
            (pl.col("lines") > 0).sum().alias("spoken"),
            pl.col("gap").sum().alias("silent"),
            pl.len().alias("days"),
            pl.col("first").min(),
            pl.col("last").max(),
            pl.col("declared").first(),
        )
        .sort("source.id")
    )
    unit, shown = _bucketed(rows)
    kept = sums.sort(["declared", "lines", "source.id"], descending=[True, True, False]).head(MOST_SOURCES)["source.id"]
    shown = shown.filter(pl.col("source.id").is_in(kept.implode()))
    blocks = [_block(part, unit, place, words) for place, part in enumerate(_blocks(shown, unit))]
    known = set(sums["source.id"])
    extra = [(source, n) for source, n in sorted(refused.items()) if source not in known]
    return {
        "unit": unit,
        "blocks": blocks,
        "key": Markup(
            charts.heat_key(["1–9", "10–99", "100–999", "1,000–9,999", "10,000–"], words["key_gap"], words["key_off"])
        ),
        "sources": [
            {
                **row,
                "refused": refused.get(row["source.id"], 0),
                "span": words.span(row["first"], row["last"]) if row["first"] is not None else "-",
            }
            for row in sums.iter_rows(named=True)
        ],
        "only_refused": extra,
        "gaps": int(sums["silent"].sum() or 0),
        "gap_sources": sums.filter(pl.col("silent") > 0)["source.id"].to_list(),
        "left_out": max(0, sums.height - MOST_SOURCES),
    }


def _bucketed(rows: pl.DataFrame) -> tuple[str, pl.DataFrame]:
    """Rows by day, or by month or year where the period is long; a gap there means nothing at all."""
    if rows.is_empty():
        return "day", rows
    first, last = rows.select(pl.col("date").min(), pl.col("date").max().alias("last")).row(0)
    days = (last - first).days + 1
    if days <= _DAYS_SHOWN:
        return "day", rows
    unit, every = ("month", "1mo") if days <= 31 * _MONTHS_SHOWN else ("year", "1y")
    summed = (
        rows.with_columns(pl.col("date").dt.truncate(every))
        .group_by("source.id", "date")
        .agg(pl.col("lines").sum(), pl.col("gap").any(), pl.lit(None, dtype=pl.Boolean).alias("day_off"))
        .with_columns((pl.col("gap") & (pl.col("lines") == 0)).alias("gap"))
        .sort("source.id", "date")
    )
    return unit, summed


def _blocks(rows: pl.DataFrame, unit: str) -> list[pl.DataFrame]:
    """One frame per month of days, year of months, or 30 years."""
    if rows.is_empty():
        return []
    every = {"day": "1mo", "month": "1y", "year": "30y"}[unit]
    marked = rows.with_columns(pl.col("date").dt.truncate(every).alias("block")).sort("block", "source.id", "date")
    return marked.partition_by("block", maintain_order=True, include_key=False)


def _block(rows: pl.DataFrame, unit: str, place: int, words: Words) -> dict[str, Any]:
    days = rows.select("date", "day_off").unique("date").sort("date")
    columns = _columns(days, words, unit)
    lines = []
    for (source,), part in rows.group_by(["source.id"], maintain_order=True):
        cells = [
            charts.Cell(
                row["lines"],
                "gap" if row["gap"] else "" if row["lines"] else "off",
                words.say("cell_hint", source=str(source), day=_label(row["date"], unit, words), n=row["lines"]),
            )
            for row in part.sort("date").iter_rows(named=True)
        ]
        lines.append(charts.Row(str(source), cells, f"{sum(cell.value for cell in cells):,}"))
    title = words.era(days["date"][0]) if words.language == "ja" else str(days["date"][0].year)
    if unit == "day":
        month = days["date"][0].month
        title = f"{title}{month}月" if words.language == "ja" else f"{title}-{month:02}"
    gaps = sum(cell.mark == "gap" for line in lines for cell in line.cells)
    description = words.say("coverage_desc", sources=len(lines), gaps=gaps)
    return {"title": title, "chart": Markup(charts.heat(lines, columns, title, description, f"coverage{place}"))}


def _columns(days: pl.DataFrame, words: Words, unit: str) -> list[charts.Column]:
    out = []
    for day, off in days.select("date", "day_off").iter_rows():
        if unit == "day":
            out.append(charts.Column(str(day.day), words.weekday(day), bool(off)))
        else:
            out.append(charts.Column(str(day.month if unit == "month" else day.year % 100)))
    return out


def _label(day: Any, unit: str, words: Words) -> str:
    if unit == "day":
        return words.day(day, year=False)
    return f"{day:%Y-%m}" if unit == "month" else f"{day:%Y}"


def analysed(tables: Tables, words: Words) -> dict[str, Any]:
    """What was analysed, by which versions, and what could not be done."""
    runs = tables.runs
    rejected = (
        tables.frames["rejected"].group_by("reason").agg(pl.len().alias("n")).collect(engine="streaming").sort("reason")
    )
    not_run = sorted(
        {
            (_title(item, words), tuple(sorted(str(need) for need in item.get("needs", ()))))
            for run in runs
            for item in run.get("not_run") or ()
        }
    )
    problems = [str(line) for run in runs for line in run.get("problems") or ()]
    problems += [*tables.site.problems, *tables.problems]
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
        "not_run": not_run,
        "emergencies": _emergencies(tables, words),
        "problems": problems[:MOST_PROBLEMS],
        "more_problems": max(0, len(problems) - MOST_PROBLEMS),
        "files_used": _hashes(tables.folder),
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
            systems = [_system(system, tables) or "*" for system in rows["system"]]
            until = words.moment(end) if end is not None else ""
            out.append(f"{name} {words.moment(begin)}{words['dash']}{until} ({words.join(systems)})")
    return out


def _hashes(folder: Path) -> list[tuple[str, int, str]]:
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
        out.append({"system": _system(str(system), tables), "rows": lines})
    return out
