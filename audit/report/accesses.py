"""Accesses to one person's record, with who was behind each as the registers had it at the time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from audit.report.sources import Sources
from audit.sections import LEAST_PEOPLE
from audit.usage import HEARTBEAT, coverage, persons
from registers.asof import as_of

COLUMNS: Final = (
    "event.id", "time.occurred", "source.id", "system.id", "event.action", "event.outcome", "ok", "actor.id", "actor.type",
    "actor.dept", "actor.role", "src.device", "src.ip", "op.code", "op.name", "purpose.code", "basis.ref", "basis.law", "explained",
    "explained.by",
)  # fmt: skip
# Texts that people or systems put down as they like.
FREE_WORDS: Final = ("purpose.code", "actor.dept", "actor.role", "op.name")
# What shows or takes data of many people at once, often without saying of whom.
OF_MANY: Final = ("list", "search", "print", "export", "copy", "send", "provide", "import")


def of_subject(sources: Sources, token: str, begin: int, end: int) -> pl.DataFrame:
    """All events that name a person on file, refused ones included.

    Args:
        sources: With the events and the registers.
        token: `subject.token`.
        begin, end: UTC milliseconds, `end` excluded.

    Returns:
        One row per event, sorted by time and id, in `COLUMNS`, with `person.id`, `person.type`, `person.dept`, `person.company`,
        `person.role` (as registers have them at the event's time), `basis.kind` (of the stated reference, where `bases.csv` knows it as
        this person's) and `op.label.ja`, `op.label.en` (of `labels.csv`).
    """
    site = sources.site
    found = (
        _between(sources, begin, end)
        .filter(pl.col("subject.token") == token)
        .select(COLUMNS)
        .collect(engine="streaming")
        .sort("time.occurred", "event.id")
    )
    known = persons(found.with_columns(pl.col("time.occurred").alias("at")), site)
    known = as_of(known, site.tables["staff"], ["person.id"], ["actor_id"], "at", {"role": "person.role"})
    bases = site.tables["bases"].filter(pl.col("subject.token") == token)
    kinds = bases.drop_nulls(["basis_ref", "kind"]).unique("basis_ref", keep="last", maintain_order=True)
    labels = site.tables["labels"].unique(["code", "system"], keep="last", maintain_order=True)
    return (
        known.join(kinds.select("basis_ref", pl.col("kind").alias("basis.kind")), left_on="basis.ref", right_on="basis_ref",
              how="left", maintain_order="left")
        .join(labels.select("code", "system", pl.col("ja").alias("op.label.ja"), pl.col("en").alias("op.label.en")),
              left_on=["op.code", "system.id"], right_on=["code", "system"], how="left", maintain_order="left")
        .drop("at")
    )  # fmt: skip


def without_rare_words(found: pl.DataFrame, sources: Sources, known: Iterable[str]) -> pl.DataFrame:
    """Take out words as somebody logged them that were not logged with `LEAST_PEOPLE` people on file or more: they may be about one.

    Args:
        found: As `of_subject` gives it.
        sources: The same.
        known: Codes of purposes that are about nobody.

    Returns:
        The same rows with nulls in `FREE_WORDS`, and `withheld`: whether a purpose was taken out.
    """
    common = {column: _common(sources, column, found[column]) for column in FREE_WORDS}
    common["purpose.code"] += known
    kept = [pl.when(pl.col(name).is_in(words)).then(name).alias(name) for name, words in common.items()]
    stated = pl.col("purpose.code")
    withheld = (stated.is_not_null() & ~stated.is_in(common["purpose.code"])).alias("withheld")
    return found.with_columns(withheld, *kept)


def _common(sources: Sources, column: str, words: pl.Series) -> list[str]:
    """Those of the words of a column that were logged with as many people; events that name nobody are not people."""
    counted = (
        sources.history.filter(pl.col(column).is_in(words.drop_nulls().unique().sort().implode()))
        .group_by(column)
        .agg(pl.col("subject.token").drop_nulls().n_unique().alias("people"))
        .collect(engine="streaming")
    )
    return counted.filter(pl.col("people") >= LEAST_PEOPLE)[column].sort().to_list()


def of_nobody_named(sources: Sources, begin: int, end: int) -> int:
    """Events that showed or took data and do not say whose: some of them may have been this person's."""
    unnamed = pl.col("ok") & pl.col("subject.token").is_null() & pl.col("event.action").is_in(OF_MANY)
    return int(_between(sources, begin, end).filter(unnamed).select(pl.len()).collect(engine="streaming").item())


def silent_days(sources: Sources, begin: int, end: int) -> pl.DataFrame:
    """Office days on which a log said nothing: `source.id` and `days`, sorted."""
    days = coverage(_between(sources, begin, end), (begin, end - 1), sources.site)
    return days.filter("gap").group_by("source.id").agg(pl.len().cast(pl.Int64).alias("days")).sort("source.id")


def first_record(sources: Sources) -> int | None:
    """When the first event that is kept occurred, UTC milliseconds; None: there is none."""
    spoken = sources.history.filter(pl.col("event.class") != HEARTBEAT)
    first = spoken.select(pl.col("time.occurred").min()).collect(engine="streaming").item()
    return None if first is None else int(first)


def _between(sources: Sources, begin: int, end: int) -> pl.LazyFrame:
    return sources.history.filter(pl.col("time.occurred").is_between(begin, end - 1))
