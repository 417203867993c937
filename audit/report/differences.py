"""Where practice differs from what an assessment and the site declare: what the log shows and no declaration has. Pure.

Everything is compared as of the event; what was refused or failed is no practice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.controls import Scope
from audit.report.bands import Count
from audit.report.headcount import MACHINES
from audit.tables import Tables
from registers.config import Contractor
from registers.site import Site

# Ways that count as a dedicated line; the same words as in the controls of imports.
DEDICATED: Final = ("dedicated", "dedicated line", "dedicated-line", "lgwan", "専用回線", "専用線")

# Kinds of promises that a comparison is about, where they are not of its name.
_SPOKEN_OF: Final = {
    "contractors": {"contractors", "subcontractors"},
    "prohibited": {"provisions", "inquiries", "prohibited"},
}

_ACTIONS: Final = {"provide": "provisions", "send": "provisions", "inquire": "inquiries"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise than declared.

    Attributes:
        kind: As in `drift` of the catalogue, or `counts`.
        system: In which system; None: of the assessment as a whole.
        detail: What was declared and is not so, by kind: `undeclared`, `unapproved`, `late`, `elsewhere`, `many`, `no application`, or the
            kind itself.
        declared: As declared, ids and words of the site, in order.
        found: What there is instead.
        events: How many events show it; None: none does, registers say it.
        control: A promise other than the one that the catalogue names for the kind; None: that one.
    """

    kind: str
    system: str | None
    detail: str
    declared: tuple[str, ...]
    found: str
    events: int | None
    control: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """All differences of one assessment.

    Attributes:
        differences: In the order of kinds, then by system and what was found.
        lacking: Promised comparisons that could not be made: kind, and the register, column or key that is missing.
        events: The events behind all of them, with `event.id`.
    """

    differences: tuple[Difference, ...]
    lacking: tuple[tuple[str, str], ...]
    events: pl.LazyFrame


@dataclass(frozen=True, slots=True)
class _Case:
    """What comparisons are made with."""

    site: Site
    systems: Sequence[str]
    events: pl.LazyFrame
    used: pl.DataFrame

    def declared(self, key: str) -> dict[str, tuple[str, ...]]:
        """What systems say of a key, as far as they do."""
        config = self.site.config.systems
        return {name: tuple(value) for name in self.systems if (value := getattr(config[name], key)) is not None}

    def silent(self, key: str) -> bool:
        """Whether a system does not say it."""
        return len(self.declared(key)) < len(self.systems)


Found = tuple[list[Difference], list[pl.LazyFrame]]


def compared(scope: Scope, promised: Collection[str], counts: Iterable[Count] = ()) -> Compared:
    """Compare what the log shows of the systems of an assessment with what is declared.

    Args:
        scope: The assessment's systems and their events.
        promised: Kinds that a promise of the assessment speaks of; a way of import is compared, and what is missing for a comparison told,
            only if one does.
        counts: Numbers of people against declared bands.
    """
    site = scope.tables.site
    events = scope.context.execute("SELECT * FROM events").filter("ok")
    used = scope.rows("SELECT * FROM usage").filter("ok")
    case = _Case(site, scope.systems, events, used)
    found: list[Difference] = []
    frames: list[pl.LazyFrame] = []
    lacking: list[tuple[str, str]] = []
    for kind, (needs, compare) in _COMPARISONS.items():
        if kind == "channels" and kind not in promised:
            continue
        missing = [need for need in needs if _missing(need, case)]
        if _SPOKEN_OF.get(kind, {kind}) & set(promised):
            lacking += [(kind, _whole(need, site)) for need in missing]
        if not any(_nowhere(need, case) for need in missing):
            some, behind = compare(case)
            found += some
            frames += behind
    found += [_outside(one) for one in counts if one.is_inside is False]
    none = events.filter(pl.lit(False)).select("event.id")
    return Compared(tuple(found), tuple(lacking), pl.concat([none, *frames]).unique("event.id"))


def undeclared(tables: Tables) -> tuple[list[Difference], pl.LazyFrame]:
    """Systems in the log that are neither declared nor a device of the site.

    Returns:
        One difference per system, sorted, and the events behind them.
    """
    devices = tables.site.tables["devices"]
    known = {*tables.site.config.systems, *devices["device_id"].drop_nulls(), *devices["serial"].drop_nulls()}
    events = tables.frames["events"].filter("ok", pl.col("system.id").is_in(sorted(known)).not_().fill_null(False))
    rows = events.group_by("system.id").len().collect(engine="streaming").sort("system.id")
    differences = [Difference("systems", None, "undeclared", (), system, n) for system, n in rows.iter_rows()]
    return differences, events.select("event.id")


def _missing(need: str, case: _Case) -> bool:
    first, _, rest = need.partition(".")
    if first == "systems":
        return case.silent(rest)
    if first == "site":
        return not getattr(case.site.config, rest)
    return not case.site.has(first, *([rest] if rest else []))


def _nowhere(need: str, case: _Case) -> bool:
    """Whether a comparison cannot be made for any system."""
    first, _, rest = need.partition(".")
    return first != "systems" or not case.declared(rest)


def _whole(need: str, site: Site) -> str:
    """The register, where it is missing as a whole."""
    first = need.partition(".")[0]
    return first if first in site.missing else need


def _behind(events: pl.LazyFrame, by: str, kind: str, details: Mapping[str, tuple[str, ...]]) -> Found:
    """One difference per system and value of a column, from the events that show it."""
    rows = events.group_by("system.id", by).len().collect(engine="streaming").sort("system.id", by, nulls_last=True)
    differences = [
        Difference(kind, system, kind, details.get(system, ()), found or "", n) for system, found, n in rows.iter_rows()
    ]
    return differences, [events.select("event.id")]


def _apart(case: _Case, key: str, column: str, declared: Mapping[str, tuple[str, ...]] | None = None) -> pl.Expr:
    """Whether a column holds what its system does not list; a system that lists nothing at all says nothing."""
    lists = case.declared(key) if declared is None else declared
    out = pl.lit(False)
    for system, items in lists.items():
        out |= (pl.col("system.id") == system) & ~pl.col(column).is_in(list(items))
    return out.fill_null(False)


def _departments(case: _Case) -> Found:
    """People of a department that their system does not list; contractors and programs are in none."""
    staff = pl.col("person.type").fill_null("staff") == "staff"
    others = case.used.filter(staff, pl.col("person.dept").is_not_null(), _apart(case, "departments", "person.dept"))
    rows = others.group_by("system.id", "person.dept").agg(pl.col("n").sum()).sort("system.id", "person.dept")
    declared = case.declared("departments")
    differences = [
        Difference("departments", system, "departments", declared[system], dept, n)
        for system, dept, n in rows.iter_rows()
    ]
    return differences, [_of_usage(case, others)]


def _of_usage(case: _Case, used: pl.DataFrame) -> pl.LazyFrame:
    """The events that rows of usage sum up."""
    # Who an account is and where they belong hangs on these three only.
    keys = ["actor.id", "system.id", "date"]
    return case.events.join(used.select(keys).unique().lazy(), on=keys, how="semi", nulls_equal=True).select("event.id")


def _imports(case: _Case) -> Found:
    events = case.events.filter(pl.col("event.action") == "import", _apart(case, "import_from", "origin"))
    return _behind(events, "origin", "imports", case.declared("import_from"))


def _channels(case: _Case) -> Found:
    other = pl.col("channel").is_not_null() & ~pl.col("channel").str.to_lowercase().is_in(list(DEDICATED))
    events = case.events.filter((pl.col("event.action") == "import") & other)
    return _behind(events, "channel", "channels", {})


def _prohibited(case: _Case) -> Found:
    declared = case.declared("prohibited")
    is_one = pl.lit(False)
    for system, actions in declared.items():
        is_one |= (pl.col("system.id") == system) & pl.col("event.action").is_in(list(actions))
    differences, frames = _behind(case.events.filter(is_one.fill_null(False)), "event.action", "prohibited", declared)
    named = [
        Difference(_ACTIONS.get(one.found, "prohibited"), one.system, "prohibited", one.declared, one.found, one.events)
        for one in differences
    ]
    return named, frames


def _grounds(case: _Case) -> Found:
    """Inquiries on grounds that are not listed, where inquiries are made at all."""
    common = case.site.config.limits.inquiry_items
    own = case.declared("inquiry_items")
    listed = {name: own.get(name, tuple(common or ())) for name in case.systems if name in own or common is not None}
    allowed = {
        name: items for name, items in listed.items() if "inquire" not in case.declared("prohibited").get(name, ())
    }
    ground = pl.coalesce("basis.law", "purpose.code").fill_null("-").alias("ground")
    events = case.events.filter(pl.col("event.action") == "inquire").with_columns(ground)
    return _behind(events.filter(_apart(case, "inquiry_items", "ground", allowed)), "ground", "grounds", allowed)


def _auth(case: _Case) -> Found:
    declared = {name: (one,) for name in case.systems if (one := case.site.config.systems[name].auth) is not None}
    people = ~pl.col("actor.type").is_in(MACHINES).fill_null(False)
    logons = case.events.filter((pl.col("event.action") == "logon") & pl.col("auth.method").is_not_null() & people)
    return _behind(logons.filter(_apart(case, "auth", "auth.method", declared)), "auth.method", "auth", declared)


def _media(case: _Case) -> Found:
    """Media that no row of the register has at the time of the event."""
    media = case.site.tables["devices"].filter(pl.col("kind") == "media")
    names = pl.concat(
        [media.select(pl.col(name).alias("medium"), "valid_from", "valid_to") for name in ("device_id", "serial")]
    ).drop_nulls("medium")
    at = pl.col("time.occurred")
    uses = case.events.filter(pl.col("media.id").is_not_null())
    listed = uses.join(names.lazy(), left_on="media.id", right_on="medium").filter(
        pl.col("valid_from").is_null() | (pl.col("valid_from") <= at),
        pl.col("valid_to").is_null() | (pl.col("valid_to") >= at),
    )
    return _behind(uses.join(listed.select("event.id"), on="event.id", how="anti"), "media.id", "media", {})


def _contractors(case: _Case) -> Found:
    """Companies at work that are not declared or approved for it, or not yet, or with more people than declared."""
    vendors = case.used.filter((pl.col("person.type") == "vendor") & pl.col("person.id").is_not_null())
    rows = vendors.group_by("person.company", "system.id").agg(
        pl.col("n").sum(), pl.col("first").min(), pl.col("person.id").n_unique().alias("people")
    )
    known = {one.company: one for one in case.site.config.contractors}
    differences = []
    wrong = []
    for company, system, n, first, people in rows.sort("person.company", "system.id", nulls_last=True).iter_rows():
        for kind, detail in _unfit(known.get(company), system, first, people, case):
            declared = _of_company(detail, known, company)
            found = f"{company or ''} ({people})" if detail == "many" else company or ""
            differences.append(Difference(kind, system, detail, declared, found, n))
            wrong.append(company)
    others = vendors.filter(
        pl.col("person.company").is_in(pl.Series(wrong, dtype=pl.String).implode(), nulls_equal=True)
    )
    return differences, [_of_usage(case, others)]


def _of_company(detail: str, known: Mapping[str, Contractor], company: str) -> tuple[str, ...]:
    """What is declared of a company, or of all of them."""
    if detail == "many":
        return (str(known[company].max_handlers),)
    if detail == "elsewhere":
        return tuple(known[company].systems or ())
    return tuple(sorted(name for name, one in known.items() if one.approved))


def _unfit(one: Contractor | None, system: str | None, first: int, people: int, case: _Case) -> list[tuple[str, str]]:
    """What is wrong with a company's work in a system: kind and detail, nothing if all is as declared."""
    if one is None:
        return [("contractors", "undeclared")]
    kind = "contractors" if one.subcontractor_of is None else "subcontractors"
    approved = case.site.config.moment(one.approved_on)
    out = []
    if not one.approved:
        out.append((kind, "unapproved"))
    elif approved is None or approved > first:
        out.append((kind, "late"))
    elif one.subcontractor_of is not None and not one.application_ref:
        out.append((kind, "no application"))
    # A server's log names the server, which no contract does.
    if one.systems is not None and system in case.site.config.systems and system not in one.systems:
        out.append((kind, "elsewhere"))
    if one.max_handlers is not None and people > one.max_handlers:
        out.append((kind, "many"))
    return out


def _outside(count: Count) -> Difference:
    assert count.band is not None
    below = count.band.below
    declared = (str(count.band.least), *([] if below is None else [str(below)]))
    return Difference("counts", None, count.what, declared, str(count.now), None, count.band.control)


_COMPARISONS: Final[dict[str, tuple[tuple[str, ...], Callable[[_Case], Found]]]] = {
    "departments": (("systems.departments", "staff.dept"), _departments),
    "imports": (("systems.import_from",), _imports),
    "channels": ((), _channels),
    "contractors": (("site.contractors", "staff.type", "staff.company"), _contractors),
    "prohibited": (("systems.prohibited",), _prohibited),
    "grounds": ((), _grounds),
    "auth": (("systems.auth",), _auth),
    "media": (("devices.kind",), _media),
}
