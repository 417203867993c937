"""What the report shows day by day: which log spoke when, and which accesses have a recorded reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from audit import charts
from audit.tables import Tables
from audit.usage import DAY_MS, MOST_DAYS
from audit.wording import Words, percent

MOST_SOURCES: Final = 60

# Up to so many days (months) each has a column of its own.
_DAYS_SHOWN: Final = 400
_MONTHS_SHOWN: Final = 400
_EXPLAINED_DAYS: Final = 93


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
    unit = "day"
    if days.height > _EXPLAINED_DAYS:
        unit, month = "month", pl.col("date").dt.truncate("1mo")
        days = days.select(month).unique().sort("date").with_columns(pl.lit(None, dtype=pl.Boolean).alias("day_off"))
        counted = counted.with_columns(month).group_by("system", "date").sum().sort("system", "date")
    columns = _columns(days, words, unit)
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
    name = tables.system_name(system) or system
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
    bounded = tables.period is not None and (tables.period[1] - tables.period[0]) / DAY_MS <= MOST_DAYS
    unit, drawn = _bucketed(rows)
    kept = sums.sort(["declared", "lines", "source.id"], descending=[True, True, False]).head(MOST_SOURCES)["source.id"]
    drawn = drawn.filter(pl.col("source.id").is_in(kept.implode()))
    blocks = [_block(part, unit, place, words) for place, part in enumerate(_blocks(drawn, unit))]
    quiet = words["key_off" if unit == "day" else "key_silent"]
    known = set(sums["source.id"])
    extra = [(source, n) for source, n in sorted(refused.items()) if source not in known]
    return {
        "unit": unit,
        "bounded": bounded,
        "blocks": blocks,
        "key": Markup(charts.heat_key(["1–9", "10–99", "100–999", "1,000–9,999", "10,000–"], words["key_gap"], quiet)),
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
        .agg(pl.col("lines").sum(), pl.col("gap").any())
    )
    ends = pl.DataFrame({"date": [first, last]}).select(pl.col("date").dt.truncate(every))["date"]
    steps = pl.DataFrame({"date": pl.date_range(ends[0], ends[1], every, eager=True)})
    # Of decades with a stray date in them only the years that spoke are drawn.
    steps = steps if steps.height <= _MONTHS_SHOWN else summed.select("date").unique()
    full = (
        summed.select("source.id").unique().join(steps, how="cross").join(summed, on=["source.id", "date"], how="left")
    )
    silent = pl.col("gap").fill_null(False) & (pl.col("lines").fill_null(0) == 0)
    full = full.with_columns(
        pl.col("lines").fill_null(0), silent.alias("gap"), pl.lit(None, dtype=pl.Boolean).alias("day_off")
    )
    return unit, full.sort("source.id", "date")


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
