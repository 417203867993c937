"""Judge what an impact assessment promises against what the logs prove.

A promise reads 適合 (met) only where everything it needs was there: the registers it names, a log that spoke, the
events its evidence asks for. What is missing reads 証跡不足 (evidence missing), and a breach reads 要確認 (to be
checked) whatever else is missing: a known breach is never hidden by a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import polars as pl

from audit.catalogue import Assessment, Control, Words
from audit.tables import Tables
from audit.wording import Language
from audit.wording import Words as Wording
from registers.register import REGISTERS

EXAMPLES: Final = 5

# More refused lines than this in a log of the system, and what is not in it proves nothing.
REJECTED_SHARE: Final = 0.05

# Tables that are made of events: a control over one of them needs the system's logs.
_EVENT_TABLES: Final = ("events", "sessions", "findings")


class Outcome(StrEnum):
    """The three verdicts."""

    MET = "適合"
    CHECK = "要確認"
    LACKING = "証跡不足"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said about one promise.

    Attributes:
        pia: The assessment, as site.toml names it.
        id: The control in it.
        quote: The promise.
        verdict: 適合, 要確認 or 証跡不足.
        number: What was counted; None if it could not be.
        expected: What it should be, in words.
        evidence: Where the evidence is: files and registers.
        reason: Why it reads so, in a sentence with numbers.
        title: The promise in a few words.
        counts: What the number counts.
        unit: Unit of the number.
        stands_in: Where the promise stands.
        paraphrase: The quote is not the original's wording.
        examples: First few references to what is to be checked: event ids, sessions, accounts or days.
        findings: Uids of findings in the queues alert and review that touch it, worst first.
        needs: What is missing, to be supplied: registers and columns.
    """

    pia: str
    id: str
    quote: str
    verdict: Outcome
    number: int | None
    expected: str
    evidence: tuple[str, ...]
    reason: str
    title: str = ""
    counts: str = ""
    unit: str = ""
    stands_in: str = ""
    paraphrase: bool = True
    examples: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def judge(tables: Tables, controls: Iterable[Assessment], language: Language = "ja") -> list[Verdict]:
    """Judge every control of the assessments that a system of the site names.

    Args:
        tables: What was analysed.
        controls: Assessments of the catalogue; those that no system names are passed over.
        language: Of the sentences; the verdicts themselves are always the Japanese words.

    Returns:
        One verdict per control, in the order given.
    """
    words = Wording(language, tables.site.config.time_zone)
    out = []
    for assessment in controls:
        scope = Scope.of(tables, assessment.pia)
        if scope.systems:
            out += [_judged(control, assessment.pia, scope, words) for control in assessment.controls]
    return out


@dataclass(frozen=True, slots=True)
class Scope:
    """The tables as far as they concern the systems that name one assessment.

    Attributes:
        pia: The assessment.
        systems: Systems of the site that name it, sorted.
        sources: Log sources that these systems declare, sorted.
        tables: All tables of the output folder.
        context: Queries run in it; `events`, `sessions`, `findings`, `usage`, `people`, `coverage`, `rejected` and the
            `system_…` tables are limited to the systems, and `scope` lists these.
        spoken: Lines in the period per declared source.
    """

    pia: str
    systems: tuple[str, ...]
    sources: tuple[str, ...]
    tables: Tables
    context: pl.SQLContext[pl.LazyFrame]
    spoken: Mapping[str, int]

    @staticmethod
    def of(tables: Tables, pia: str) -> Scope:
        """The scope of an assessment; without systems if none names it."""
        systems = tables.site.config.systems
        mine = sorted(name for name, system in systems.items() if system.pia == pia)
        sources = sorted({source for name in mine for source in systems[name].sources or ()})
        frames = _limited(tables, [pia], mine, sources)
        frames["scope"] = pl.LazyFrame({"system": mine}, schema={"system": pl.String})
        lines = tables.frames["coverage"].group_by("source.id").agg(pl.col("lines").sum()).collect()
        spoken = dict.fromkeys(sources, 0) | {source: n for source, n in lines.iter_rows() if source in sources}
        return Scope(pia, tuple(mine), tuple(sources), tables, pl.SQLContext(frames), spoken)

    def rows(self, query: str) -> pl.DataFrame:
        """Run a query.

        Raises:
            pl.exceptions.PolarsError: The query is wrong.
        """
        result = self.context.execute(query)
        return result.collect(engine="streaming")


def limited(tables: Tables, pias: Collection[str]) -> Tables:
    """Tables as far as they concern the systems that name one of some assessments."""
    systems = tables.site.config.systems
    mine = sorted(name for name, system in systems.items() if system.pia in pias)
    sources = sorted({source for name in mine for source in systems[name].sources or ()})
    frames = _limited(tables, pias, mine, sources)
    uids = frames["findings"].select("uid").collect()["uid"]
    found = replace(tables.findings, table=tables.findings.table.filter(pl.col("uid").is_in(uids.implode())))
    return replace(tables, frames=frames, findings=found)


def own(tables: Tables, pias: Collection[str]) -> pl.Expr:
    """Which events concern the systems that name one of some assessments.

    A server's log that such a system declares belongs to it, whatever it calls itself, unless it is another's for sure.
    """
    systems = tables.site.config.systems
    mine = sorted(name for name, system in systems.items() if system.pia in pias)
    sources = sorted({source for name in mine for source in systems[name].sources or ()})
    foreign = sorted(name for name, system in systems.items() if system.pia is not None and system.pia not in pias)
    system, source = pl.col("system.id"), pl.col("source.id")
    declared = source.is_in(sources) & ~system.is_in(foreign).fill_null(False)
    return system.is_in(mine).fill_null(False) | declared.fill_null(False)


def _limited(tables: Tables, pias: Collection[str], systems: list[str], sources: list[str]) -> dict[str, pl.LazyFrame]:
    """Tables cut down to some systems; registers stay whole, because people belong to no system."""
    frames = dict(tables.frames)
    system, source = pl.col("system.id"), pl.col("source.id")
    for name in ("events", "usage"):
        frames[name] = frames[name].filter(own(tables, pias))
    accounts = frames["usage"].select(pl.col("actor.id").alias("account")).unique()
    frames["people"] = frames["people"].join(accounts, on="account", how="semi")
    frames["sessions"] = frames["sessions"].filter(system.is_in(systems))
    named = pl.element().str.split("/").list.first().is_in(sorted(pias))
    touching = pl.col("controls").list.eval(named).list.any()
    frames["findings"] = frames["findings"].filter(
        pl.col("system").is_in(systems).fill_null(False) | touching.fill_null(False)
    )
    frames["coverage"] = frames["coverage"].filter(source.is_in(sources))
    frames["rejected"] = frames["rejected"].filter(source.is_in(sources))
    for name in [name for name in frames if name.startswith("system_")]:
        frames[name] = frames[name].filter(pl.col("system").is_in(systems))
    shared = pl.col("systems").is_null() | (pl.col("systems").list.set_intersection(systems).list.len() > 0)
    frames["contractors"] = frames["contractors"].filter(shared)
    return frames


def _judged(control: Control, pia: str, scope: Scope, words: Wording) -> Verdict:
    """One verdict. What cannot be asked is missing evidence; what was asked and failed is to be checked first of all."""
    absent = [need for need in control.needs if not _there(need, scope)]
    # A column of a register that is not there at all need not be asked for.
    missing = [need for need in absent if need.partition(".")[0] not in absent or "." not in need]
    gaps = [words.say("why_register", name=shown(need, words.language)) for need in missing]
    touching = _open_findings(scope, f"{pia}/{control.id}")
    row: dict[str, Any] = {}
    breach = False
    try:
        if not missing:
            row, breach, more = _counted(control, scope, words)
            gaps += more
    except pl.exceptions.PolarsError as error:
        gaps.append(words.say("why_query", error=str(error).splitlines()[0]))
    if not gaps or breach:
        gaps += _log_gaps(control, scope, words)
    outcome = Outcome.CHECK if breach or touching else Outcome.LACKING if gaps else Outcome.MET
    reasons = [_filled(control.to_check, row, words.language)] if breach else []
    if touching:
        reasons.append(words.say("why_findings", n=len(touching)))
    reasons += gaps
    if not reasons:
        reasons = [_filled(control.met, row, words.language)]
    examples = _examples(control, scope) if breach else []
    told = words.sentences(reasons)
    return Verdict(
        pia=pia,
        id=control.id,
        quote=control.quote[words.language],
        verdict=outcome,
        number=row.get("number"),
        expected=control.expect[words.language],
        evidence=tuple(_where(control)),
        reason=told,
        title=control.title[words.language],
        counts=control.counts[words.language],
        unit=control.unit[words.language],
        stands_in=control.stands_in[words.language] if control.stands_in else "",
        paraphrase=bool(control.paraphrase),
        examples=tuple(examples),
        findings=tuple(touching),
        needs=tuple(missing),
    )


def _counted(control: Control, scope: Scope, words: Wording) -> tuple[dict[str, Any], bool, list[str]]:
    """Run a control's query: its row, whether it is a breach, and what is missing."""
    gaps = []
    for evidence in control.evidence:
        found = scope.rows(evidence.query)
        if not (found.height and (found.row(0)[0] or 0) > 0):
            gaps.append(evidence.lacking[words.language])
    if gaps:
        # Nobody logs off in a log that knows no log-off: what is not recorded is no breach.
        return {}, False, gaps
    answer = scope.rows(control.query)
    if answer.height != 1 or answer.row(0, named=True).get("number") is None:
        return {}, False, [words["why_nothing"]]
    row = answer.row(0, named=True)
    if control.lacking is not None and control.short is not None and _holds(control.lacking, answer):
        gaps.append(_filled(control.short, row, words.language))
    return row, _holds(control.check, answer), gaps


def _holds(condition: str, row: pl.DataFrame) -> bool:
    asked = pl.SQLContext({"row": row.lazy()}).execute(f"SELECT ({condition}) AS holds FROM row")
    return bool(asked.collect().item())


def _there(need: str, scope: Scope) -> bool:
    """Whether the site declares something: `staff`, `staff.dept`, `systems.sources`, `site.contractors`."""
    config = scope.tables.site.config
    first, _, rest = need.partition(".")
    if first == "systems":
        return all(getattr(config.systems[name], rest) is not None for name in scope.systems)
    if first == "site":
        return bool(getattr(config, rest))
    return scope.tables.site.has(first, *([rest] if rest else []))


def _log_gaps(control: Control, scope: Scope, words: Wording) -> list[str]:
    """Why the system's logs as a whole prove nothing: not there, silent, or refused in large part."""
    if not set(control.where) & set(_EVENT_TABLES):
        return []
    out = []
    if not scope.rows("SELECT COUNT(*) FROM usage").item():
        out.append(words.say("why_no_events", system=_names(scope)))
    mute = [source for source, lines in scope.spoken.items() if not lines]
    if mute:
        out.append(words.say("why_mute", sources=words.join(mute)))
    refused = scope.rows(
        'SELECT "source.id" AS source, COUNT(*) AS n FROM rejected GROUP BY "source.id" ORDER BY source'
    )
    for source, n in refused.iter_rows():
        share = n / (n + scope.spoken.get(source, 0))
        if share > REJECTED_SHARE:
            out.append(words.say("why_refused", source=source, percent=f"{100 * share:.0f}"))
    return out


def _open_findings(scope: Scope, control: str) -> list[str]:
    """Findings that ask for a person and touch a control, worst first: until somebody has looked, it is not met."""
    return scope.tables.findings.serious.filter(pl.col("controls").list.contains(control)).get_column("uid").to_list()


def _examples(control: Control, scope: Scope) -> list[str]:
    """First few references to what is to be checked."""
    if control.examples is None:
        return []
    found = scope.context.execute(control.examples).select(pl.col("ref").cast(pl.String)).head(EXAMPLES)
    return found.collect(engine="streaming").get_column("ref").drop_nulls().to_list()


_FILES: Final = {
    "events": "events/",
    "sessions": "sessions.parquet",
    "findings": "findings.ndjson",
    "runs": "runs.ndjson",
    "site.toml": "site.toml",
}


def _where(control: Control) -> list[str]:
    return [_FILES.get(name, f"{name}.csv") for name in control.where]


def _names(scope: Scope) -> str:
    return "、".join(scope.tables.site.config.systems[name].name or name for name in scope.systems)


def shown(need: str, language: Language) -> str:
    """What is missing, as the operator knows it: a file, a column of it, a key of site.toml."""
    first, _, rest = need.partition(".")
    if first == "systems":
        return f"site.toml: systems.*.{rest}"
    if first not in REGISTERS:
        return need.replace("site.", "site.toml: ") if first == "site" and rest != "toml" else need
    column = {"ja": f"{first}.csv の {rest} 列", "en": f"column {rest} of {first}.csv"}[language]
    return column if rest else f"{first}.csv"


def _filled(words: Words, row: Mapping[str, Any], language: Language) -> str:
    text = words[language]
    for name, value in row.items():
        shown = f"{value:,}" if isinstance(value, int | float) else "-" if value is None else str(value)
        text = text.replace(f"{{{name}}}", shown)
    return text
