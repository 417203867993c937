"""What was written down by hand against what the log shows: each row of the ledger tied to events, and what does not tie. Pure.

A row and events belong together if they name the same person (or, where a row names none, the same company), lie at most
`TOLERANCE_DAYS` apart, are of the same kind, and, where the row names a medium or somebody on file, concern the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from audit.report.headcount import MACHINES
from audit.report.people import behind
from audit.usage import DAY_MS
from registers.calendar import Calendar
from registers.site import Site

TOLERANCE_DAYS: Final = 1

# Kinds of rows, and the kinds of events that they may speak of: what is put out on a medium is taken out as well.
SPEAKS_OF: Final = {
    "output": ("output", "take-out"),
    "take-out": ("take-out", "output"),
    "disposal": ("disposal", "contractor disposal"),
    "contractor disposal": ("contractor disposal", "disposal"),
}

_OUT: Final = ("print", "export", "copy", "send")
_CERTIFICATE: Final = "証明|certificate"

# What one line of events says: who did what on a day, onto what medium, to where, of whom.
_DOING: Final = ("actor.id", "system.id", "date", "event.action", "media.id", "destination", "subject.token")


@dataclass(frozen=True, slots=True)
class Tied:
    """The ledger and the events of a period.

    Attributes:
        rows: Rows of the ledger dated in the period, or not dated at all, in order of dates: `row`, `kind`, `day`, `actor_id`, `content`, `target`,
            `approved_by`, `company`, `destination`, `events` (how many tie to it), `exact` (one of them names the same target or
            destination), `poor` (what it lacks: `date`, `actor`, `content`, `approved`, `self`, `company`, `certificate`).
        doings: What the log shows in the period, one row per person, day, action, medium, destination and (of deletions) person on file:
            `kind` and `_DOING`, `person.id`, `person.type`, `person.dept`, `n` (events), `rows` (what they count; null: not said), `large` (events
            that count as many as need approval), `written` (a row ties to it). In order.
        seen: Kinds of which the log shows anything at all, so that a row without events means something.
        events: The events of `doings`, with `kind` and `_DOING`.
        pairs: Which rows speak of which doings: `kind` (of the row) and `doing`.
    """

    rows: pl.DataFrame
    doings: pl.DataFrame
    seen: frozenset[str]
    events: pl.LazyFrame
    pairs: pl.DataFrame

    def unwritten(self, kind: str) -> pl.DataFrame:
        """What no row speaks of, by people; what programs do by themselves is left out."""
        people = ~pl.col("person.type").fill_null("unknown").is_in(MACHINES)
        return self.doings.filter((pl.col("kind") == kind) & ~pl.col("written") & people)

    def written(self, kind: str) -> pl.DataFrame:
        """What rows of a kind speak of, in the period."""
        return self.doings.join(
            self.pairs.filter(pl.col("kind") == kind), on="doing", how="semi", maintain_order="left"
        )

    def events_of(self, doings: pl.DataFrame) -> pl.LazyFrame:
        """The events of some doings."""
        keys = ["kind", *_DOING]
        return self.events.join(doings.select(keys).lazy(), on=keys, how="semi", nulls_equal=True).select("event.id")


def tied(history: pl.LazyFrame, site: Site, begin: int, end: int) -> Tied:
    """Tie the ledger to the events.

    Args:
        history: Events before the end, with `ok` and `date`.
        site: For `ledger`, `devices`, `accounts` and `staff`.
        begin, end: The period, UTC ms, `end` excluded.
    """
    near = history.filter(
        pl.col("time.occurred") >= begin - TOLERANCE_DAYS * DAY_MS, pl.col("ok"), pl.col("actor.id").is_not_null()
    )
    out, deleted = pl.col("event.action").is_in(_OUT), pl.col("event.action") == "delete"
    kind = (
        pl.when(deleted)
        .then(pl.lit("disposal"))
        .when(pl.col("media.id").is_null())
        .then(pl.lit("output"))
        .otherwise(pl.lit("take-out"))
    )
    moved = near.filter((out | deleted).fill_null(False)).with_columns(
        kind.alias("kind"), pl.when(deleted).then("subject.token").alias("subject.token")
    )  # fmt: skip
    doings = _doings(moved, site)
    rows = _rows(site, begin, end)
    used = _used(near, rows, site)
    pairs = pl.concat([_pairs(rows, doings, site), used], how="diagonal_relaxed")
    counted = pairs.group_by("row").agg(pl.col("n").sum().cast(pl.Int64).alias("events"), pl.col("exact").any())
    rows = rows.join(counted, on="row", how="left", maintain_order="left").with_columns(
        pl.col("events").fill_null(0), pl.col("exact").fill_null(False)
    )
    written = doings["doing"].is_in(pairs["doing"].drop_nulls().unique().implode())
    first, last = _days(site, begin, end)
    within = doings.with_columns(written.alias("written")).filter(pl.col("date").is_between(first, last))
    # Whether somebody is of a contractor the register of staff says, so the events' own kind is that of the doing.
    events = moved.drop("kind").join(
        within.select("kind", *_DOING).lazy(), on=list(_DOING), how="inner", nulls_equal=True
    )
    seen = frozenset(within["kind"].unique()) | ({"use"} if used.height or not _is_empty(near) else frozenset())
    kinds = pairs.drop_nulls("doing").join(rows.select("row", "kind"), on="row").select("kind", "doing").unique()
    return Tied(_with_poor(rows), within, seen, events.select("event.id", "kind", *_DOING), kinds)


def _is_empty(events: pl.LazyFrame) -> bool:
    return bool(events.select(pl.len()).collect(engine="streaming").item() == 0)


def _days(site: Site, begin: int, end: int) -> tuple[date, date]:
    local = Calendar(site.config).local
    days = pl.DataFrame({"at": [begin, end - 1]}).select(local(pl.col("at")).dt.date()).to_series()
    first, last = days.to_list()
    return first, last


def _doings(moved: pl.LazyFrame, site: Site) -> pl.DataFrame:
    """What was put out, taken out and deleted, summed up, and by whom."""
    declared = site.config.limits.export_rows_needing_approval
    limit = pl.lit(declared, pl.Int64)  # none: nothing is as large
    summed = moved.group_by("kind", *_DOING).agg(
        pl.len().cast(pl.Int64).alias("n"), pl.when(pl.col("resource.count").is_not_null().any()).then(pl.col("resource.count").sum()).alias("rows"),
        (pl.col("resource.count") >= limit).sum().cast(pl.Int64).alias("large"),
        pl.col("time.occurred").max().alias("at"), pl.col("resource.id").drop_nulls().unique().sort().alias("things"),
        pl.col("actor.type").drop_nulls().max().alias("logged"),
    ).collect(engine="streaming").sort("kind", *_DOING, nulls_last=True)  # fmt: skip
    # What no register knows is what the log says it is.
    known = behind(summed, site).with_columns(pl.coalesce("person.type", "logged").alias("person.type"))
    vendor = (pl.col("person.type") == "vendor").fill_null(False)
    kind = pl.when((pl.col("kind") == "disposal") & vendor).then(pl.lit("contractor disposal")).otherwise("kind")
    return known.with_columns(kind.alias("kind")).sort("kind", "date", *_DOING, nulls_last=True).with_row_index("doing")


def _rows(site: Site, begin: int, end: int) -> pl.DataFrame:
    first, last = _days(site, begin, end)
    local = Calendar(site.config).local
    ledger = site.tables["ledger"].with_columns(local(pl.col("date")).dt.date().alias("day")).with_row_index("row")
    valid = (pl.col("valid_from").is_null() | (pl.col("valid_from") < end)) & (
        pl.col("valid_to").is_null() | (pl.col("valid_to") >= begin)
    )
    return ledger.filter(pl.col("day").is_between(first, last) | (pl.col("day").is_null() & valid)).sort(
        "day", "row", nulls_last=True
    )


def _wanted(rows: pl.DataFrame) -> pl.DataFrame:
    """Each row with each person that it names and each day that it may speak of: `row`, `who`, `date`."""
    several = pl.col("actor_id").str.replace_all(r"[、，,;；\s]+", " ").str.strip_chars().str.split(" ")
    named = rows.filter(pl.col("day").is_not_null()).with_columns(several.alias("who")).explode("who")
    days = pl.DataFrame({"off": [timedelta(days=n) for n in range(-TOLERANCE_DAYS, TOLERANCE_DAYS + 1)]})
    return named.join(days, how="cross").with_columns((pl.col("day") + pl.col("off")).alias("date")).drop("off")


def _pairs(rows: pl.DataFrame, doings: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rows and doings that belong together: `row`, `doing`, `n`, `exact`."""
    wanted = _wanted(rows)
    by_person = wanted.filter(pl.col("who").is_not_null()).join(
        doings, left_on=["who", "date"], right_on=["person.id", "date"], how="inner"
    )
    nobody = wanted.filter(pl.col("who").is_null() & pl.col("company").is_not_null())
    by_company = nobody.join(doings, left_on=["company", "date"], right_on=["person.company", "date"], how="inner")
    both = pl.concat([by_person, by_company], how="diagonal_relaxed").unique(["row", "doing"], maintain_order=True)
    speaks = pl.any_horizontal(
        [(pl.col("kind") == kind) & pl.col("kind_right").is_in(list(of)) for kind, of in SPEAKS_OF.items()]
    )
    medium = _medium(site)
    both = both.filter(speaks).join(medium.rename({"name": "target", "medium": "of_row"}), on="target", how="left").join(
        medium.rename({"name": "media.id", "medium": "of_event"}), on="media.id", how="left"
    )  # fmt: skip
    same_medium = pl.col("of_row").is_null() | (pl.col("of_row") == pl.col("of_event")).fill_null(False)
    about = pl.col("target.token").is_null() | (pl.col("target.token") == pl.col("subject.token")).fill_null(False)
    exact = (
        pl.col("of_row").is_not_null() | pl.col("target.token").is_not_null() | (pl.col("target") == pl.col("media.id"))
        | pl.col("things").list.contains(pl.col("target")) | (pl.col("destination") == pl.col("destination_right"))
    ).fill_null(False)  # fmt: skip
    return both.filter(same_medium & about).select("row", "doing", "n", exact.alias("exact"))


def _medium(site: Site) -> pl.DataFrame:
    """Names of registered media, by number of the device and by serial: `name`, `medium`."""
    media = (
        site.tables["devices"]
        .filter(pl.col("kind") == "media")
        .with_columns(pl.coalesce("device_id", "serial").alias("medium"))
    )
    names = pl.concat([media.select(pl.col(column).alias("name"), "medium") for column in ("device_id", "serial")])
    return names.drop_nulls("name").unique("name", keep="first", maintain_order=True)


def _used(near: pl.LazyFrame, rows: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rows about use and how many events the same person has then: `row`, `n`, `exact` (one used the card that the row names)."""
    wanted = _wanted(rows.filter(pl.col("kind") == "use")).filter(pl.col("who").is_not_null())
    accounts = site.tables["accounts"].filter(pl.col("actor_id").is_in(wanted["who"].implode()))["account"]
    own = pl.concat([accounts, wanted["who"]]).unique().sort()
    cards = wanted["target"].drop_nulls().unique().sort()
    summed = near.filter(pl.col("actor.id").is_in(own.implode())).group_by("actor.id", "system.id", "date").agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("auth.card").filter(pl.col("auth.card").is_in(cards.implode())).unique().sort().alias("cards"),
        pl.col("time.occurred").max().alias("at"),
    ).collect(engine="streaming").sort("actor.id", "system.id", "date", nulls_last=True)  # fmt: skip
    known = behind(summed, site)
    found = wanted.join(known, left_on=["who", "date"], right_on=["person.id", "date"], how="inner")
    exact = pl.col("cards").list.contains(pl.col("target")).fill_null(False)
    return found.select("row", pl.lit(None, pl.UInt32).alias("doing"), "n", exact.alias("exact"))


def _with_poor(rows: pl.DataFrame) -> pl.DataFrame:
    """What each row lacks, as the guideline asks of its kind."""
    kind = pl.col("kind")
    disposal, gone = kind.is_in(["disposal", "contractor disposal"]), kind == "contractor disposal"
    leaves = kind.is_in(["output", "take-out"])
    told = pl.concat_str(pl.col("content"), pl.col("target"), separator=" ", ignore_nulls=True)
    checks: Sequence[tuple[str, pl.Expr]] = (
        ("date", pl.col("day").is_null()),
        ("actor", pl.col("actor_id").is_null() & ~(gone & pl.col("company").is_not_null())),
        ("content", pl.col("content").is_null()),
        ("approved", leaves & pl.col("approved_by").is_null()),
        ("self", (leaves | disposal) & (pl.col("approved_by") == pl.col("actor_id"))),
        ("company", gone & pl.col("company").is_null()),
        ("certificate", gone & ~told.str.contains(f"(?i){_CERTIFICATE}").fill_null(False)),
    )
    lacks = [pl.when(check.fill_null(False)).then(pl.lit(name)) for name, check in checks]
    columns = [
        "row",
        "kind",
        "day",
        "actor_id",
        "content",
        "target",
        "approved_by",
        "company",
        "destination",
        "events",
        "exact",
    ]
    return rows.select(*columns, pl.concat_list(lacks).list.drop_nulls().alias("poor"))
