"""The rule book: folders of Sigma rules, loaded one by one.

A folder holds `rule.yml`: a Sigma rule with a block `sekimori:` (how it weighs, how it reads), or a Sigma correlation
with such a block and the plain rules that it correlates as further documents. One bad rule is refused with file and line;
the others load. docs/decisions/rules.md says why the block looks as it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from pydantic import ValidationError
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from detector import sigma, yamldoc
from detector.block import Block, Words, foreign
from detector.block import problems as block_problems
from detector.columns import COLUMNS
from detector.correlate import CONDITIONS, Base, Correlation
from detector.marks import Bools, Marks
from detector.wording import placeholders
from registers.text import did_you_mean

# How much a hit of a level counts before its precision (design §9).
SEVERITY: Final = {"critical": 1.0, "high": 0.85, "medium": 0.55, "low": 0.3, "informational": 0.1}
CATEGORIES: Final = ("event", "session", "actor_day")
# Of Sigma's specification 2.0, and our block. Rules of others may bring keys of their own.
KEYS: Final = (
    "title", "id", "related", "name", "taxonomy", "status", "description", "license", "author", "references", "date",
    "modified", "logsource", "detection", "correlation", "fields", "falsepositives", "level", "tags", "scope", "sekimori",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to run.

    Attributes:
        name: Name of its folder; `finding_info.analytic.uid`.
        id: UUID of the rule, or empty.
        title: What it is called, in both languages.
        status, level: As Sigma says.
        category: `event`, `session` or `actor_day`: which rows it reads. A correlation reads events.
        where: The condition; None for a correlation.
        correlation: How hits of plain rules are put together; None for a plain rule.
        block: Weight and words.
        scenarios: Numbers of the catalogue, sorted.
        controls: Promises of an assessment that it touches, as `<pia>/<id>`, sorted.
        fields: Columns that it needs, sorted.
        path: Its file, relative to the rules folder.
        description, references, falsepositives: As Sigma says.
    """

    name: str
    id: str
    title: Words
    status: str
    level: str
    category: str
    where: sigma.Tree | None
    correlation: Correlation | None
    block: Block
    scenarios: tuple[int, ...]
    controls: tuple[str, ...]
    fields: tuple[str, ...]
    path: str
    description: str
    references: tuple[str, ...]
    falsepositives: tuple[str, ...]

    @property
    def expression(self) -> pl.Expr:
        """One Boolean expression without nulls over frames that have all `fields`."""
        if self.where is None:
            raise ValueError(f"{self.name} is a correlation: it has candidates, not one expression")
        return sigma.expression(self.where)

    def applies(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Columns that the rule needs and that are missing; empty when it can run in full."""
        return tuple(sorted(set(self.fields) - set(columns)))

    @property
    def family(self) -> str:
        """Hits of one family are not counted as independent."""
        return self.block.family

    @property
    def p(self) -> float:
        """What one fresh hit contributes: severity × prior precision, 0 to .97."""
        return min(0.97, SEVERITY[self.level] * self.block.precision)


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule that was not loaded: where and why, in one line each."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of a folder.

    Attributes:
        rules: Sorted by name.
        refused: Sorted by path.
        version: `sha256:` over paths and bytes of every rule file, refused ones included.
    """

    rules: tuple[Rule, ...]
    refused: tuple[Refused, ...]
    version: str

    def of(self, category: str) -> tuple[Rule, ...]:
        """Plain rules of a category, sorted by name."""
        return tuple(rule for rule in self.rules if rule.category == category and rule.correlation is None)

    def correlations(self, stage: int) -> tuple[Rule, ...]:
        """Correlations of stage one (grouped by actor) or two (by anything else), sorted by name."""
        return tuple(rule for rule in self.rules if rule.correlation is not None and rule.correlation.stage == stage)


def load(folder: Path, pattern: str = "**/rule.yml") -> RuleBook:
    """Load every rule below a folder.

    Args:
        folder: Where to look.
        pattern: Which files are rules. Plain Sigma rules without a block `sekimori:` load when their product is not
            `sekimori`; they weigh by level with precision 0.5 and are named for their file.

    Returns:
        What loaded and what was refused. A name that comes twice: the later file is refused.
    """
    digest = hashlib.sha256()
    rules: dict[str, Rule] = {}
    refused: list[Refused] = []
    for path in sorted(folder.glob(pattern)):
        relative = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
        except OSError as error:
            refused.append(Refused(relative, 1, f"cannot be read: {error.strerror}"))
            continue
        digest.update(f"{len(relative)}:{relative}:{len(data)}:".encode() + data)
        loaded = parse(data, relative)
        if isinstance(loaded, Refused):
            refused.append(loaded)
        elif loaded.name in rules:
            refused.append(Refused(relative, 1, f"the name {loaded.name} is taken by {rules[loaded.name].path}"))
        else:
            rules[loaded.name] = loaded
    return RuleBook(tuple(rules[name] for name in sorted(rules)), tuple(refused), f"sha256:{digest.hexdigest()}")


def parse(data: bytes, path: str) -> Rule | Refused:
    """Read one rule file.

    Args:
        data: Its bytes, UTF-8.
        path: What to call it; the folder's name must be the rule's.
    """
    try:
        documents = yamldoc.read(data)
    except yamldoc.Problem as problem:
        return Refused(path, problem.line, problem.reason)
    correlations = [document for document in documents if "correlation" in document.value]
    plain = [document for document in documents if "correlation" not in document.value]
    try:
        if not documents:
            raise _Bad(1, "the file is empty")
        if not correlations:
            if len(plain) > 1:
                raise _Bad(plain[1].line(), "two plain rules in one file: give each a folder")
            return _plain(plain[0], path)
        if len(correlations) > 1:
            raise _Bad(correlations[1].line(), "two correlations in one file: give each a folder")
        return _correlation(correlations[0], plain, path)
    except _Bad as bad:
        return Refused(path, bad.line, bad.reason)


def match(frame: pl.DataFrame | Marks, rules: Iterable[Rule], among: Bools | None = None) -> pl.DataFrame:
    """Which rows fire which plain rules.

    Args:
        frame: Enriched rows of one category; as `Marks` where others ask about them too.
        rules: Plain rules of that category.
        among: Rows that count; all by default.

    Returns:
        `rule` (name) and `row` (position in the frame), sorted by row, then rule.
    """
    wanted = sorted(((rule.name, rule.where) for rule in rules if rule.where is not None), key=itemgetter(0))
    trees = [tree for _, tree in wanted]
    marks = frame if isinstance(frame, Marks) else Marks(frame, [atom for tree in trees for atom in sigma.atoms(tree)])
    if not wanted or marks.frame.is_empty():
        return pl.DataFrame(schema={"rule": pl.String, "row": pl.UInt32})
    rows = [np.flatnonzero(marks.where(tree) if among is None else marks.where(tree) & among) for tree in trees]
    rule, row = np.repeat(np.arange(len(rows)), [len(found) for found in rows]), np.concatenate(rows)
    order = np.lexsort((rule, row))
    names = pl.Series([name for name, _ in wanted], dtype=pl.String)
    return pl.DataFrame({"rule": names.gather(rule[order]), "row": row[order].astype(np.uint32)})


class _Bad(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = " ".join(reason.split())


def _plain(document: yamldoc.Document, path: str) -> Rule:
    parsed, where = _sigma(document)
    product, category = parsed.logsource.product, parsed.logsource.category
    if product == "sekimori" and category not in CATEGORIES:
        raise _Bad(document.line("logsource", "category"), f"category must be one of {', '.join(CATEGORIES)}")
    own = product == "sekimori"
    rule = _rule(parsed, document, path, needs_block=own)
    if own:
        _known_columns(sigma.fields(where), str(category), document)
    return replace(rule, category=str(category) if own else "event", where=where, fields=sigma.fields(where))


def _sigma(document: yamldoc.Document) -> tuple[SigmaRule, sigma.Tree]:
    try:
        parsed = SigmaRule.from_dict(dict(document.value))
        return parsed, sigma.tree(parsed)
    except (SigmaError, sigma.RuleError) as error:
        raise _Bad(document.line("detection"), str(error)) from error
    except (AttributeError, TypeError, RecursionError) as error:
        # pySigma trusts shapes that the specification fixes (a list where a map must be, and the like).
        raise _Bad(document.line("detection"), f"not shaped like a Sigma rule: {error}") from error


def _correlation(document: yamldoc.Document, plain: list[yamldoc.Document], path: str) -> Rule:
    try:
        parsed = SigmaCorrelationRule.from_dict(dict(document.value))
    except (SigmaError, AttributeError, TypeError) as error:
        raise _Bad(document.line("correlation"), str(error)) from error
    bases: dict[str, Base] = {}
    for other in plain:
        base, where = _sigma(other)
        if not base.name:
            raise _Bad(other.line(), "a rule that is correlated needs a name")
        bases[base.name] = Base(base.name, where)
        _known_keys(other)
        _known_columns(sigma.fields(where), "event", other)
    correlation = _resolve(parsed, bases, document)
    rule = _rule(parsed, document, path, needs_block=True)
    needed = {name for base in correlation.bases for name in sigma.fields(base.where)}
    needed |= {field for group in correlation.group_by for field in correlation.fields_of(group)}
    if correlation.field:
        needed.add(correlation.field)
    _known_columns(sorted(needed), "event", document, "correlation")
    return replace(rule, category="event", correlation=correlation, fields=tuple(sorted(needed)))


def _resolve(parsed: SigmaCorrelationRule, bases: Mapping[str, Base], document: yamldoc.Document) -> Correlation:
    line = document.line("correlation")
    kind, condition = parsed.type.name.lower(), parsed.condition
    if kind not in CONDITIONS:
        raise _Bad(document.line("correlation", "type"), f"type {kind} is not supported: {', '.join(CONDITIONS)}")
    if not isinstance(condition, SigmaCorrelationCondition):
        raise _Bad(document.line("correlation", "condition"), "conditions over rule names are not supported")
    if condition.fieldref is not None and not isinstance(condition.fieldref, str):
        raise _Bad(document.line("correlation", "condition"), "values of one field only can be counted")
    names = [reference.reference for reference in parsed.rules or ()]
    unknown = sorted(set(names) - set(bases))
    if unknown or not names:
        raise _Bad(document.line("correlation", "rules"), f"no rule in this file is called {', '.join(unknown) or '…'}")
    if sorted(set(bases) - set(names)):
        raise _Bad(line, f"never used: {', '.join(sorted(set(bases) - set(names)))}")
    if not parsed.group_by:
        raise _Bad(line, "group-by is missing: say whose events belong together")
    return Correlation(
        kind=kind,
        bases=tuple(bases[name] for name in names),
        group_by=tuple(parsed.group_by),
        timespan_ms=parsed.timespan.seconds * 1000,
        operator=condition.op.name.lower(),
        count=condition.count,
        field=condition.fieldref,
        aliases=tuple(
            (alias.alias, tuple((reference.reference, field) for reference, field in alias.mapping.items()))
            for alias in parsed.aliases
        ),
    )


def _known_columns(names: Iterable[str], category: str, document: yamldoc.Document, where: str = "detection") -> None:
    """A column that no row has would only make the rule silent."""
    for name in names:
        if name not in COLUMNS[category]:
            close = did_you_mean(name, COLUMNS[category])
            raise _Bad(document.line(where), f"{name} is no column of a row of category {category}{close}")


def _known_keys(document: yamldoc.Document) -> None:
    for key in document.value:
        if key not in KEYS:
            raise _Bad(document.line(key), f"{key}: unknown key{did_you_mean(key, KEYS)}")


def _rule(parsed: SigmaRule | SigmaCorrelationRule, document: yamldoc.Document, path: str, needs_block: bool) -> Rule:
    parts = Path(path).parts
    folder = parts[-2] if parts[-1] == "rule.yml" and len(parts) > 1 else Path(path).stem
    name = parsed.name or folder
    if needs_block and name != folder:
        raise _Bad(document.line("name"), f"the name {name} must be that of the folder, {folder}")
    level = parsed.level.name.lower() if parsed.level else "medium"
    if needs_block:
        _known_keys(document)
    block = _block(document, parsed, needs_block)
    tags = [str(tag) for tag in parsed.tags]
    scenarios = [tag.removeprefix("sekimori.scenario.") for tag in tags if tag.startswith("sekimori.scenario.")]
    controls = [tag.removeprefix("sekimori.control.") for tag in tags if tag.startswith("sekimori.control.")]
    if not all(number.isdigit() for number in scenarios):
        raise _Bad(document.line("tags"), "a tag sekimori.scenario.NN needs a number")
    return Rule(
        name=name,
        id=str(parsed.id or ""),
        title=Words(ja=block.title, en=parsed.title),
        status=parsed.status.name.lower() if parsed.status else "",
        level=level,
        category="event",
        where=None,
        correlation=None,
        block=block,
        scenarios=tuple(sorted(int(number) for number in scenarios)),
        controls=tuple(sorted(control.replace(".", "/", 1) for control in controls)),
        fields=(),
        path=path,
        description=(parsed.description or "").strip(),
        references=tuple(str(item) for item in parsed.references or ()),
        falsepositives=tuple(str(item) for item in parsed.falsepositives or ()),
    )


def _block(document: yamldoc.Document, parsed: SigmaRule | SigmaCorrelationRule, needed: bool) -> Block:
    if "sekimori" not in document.value:
        if needed:
            raise _Bad(document.line(), "the block sekimori: is missing (family, precision, title, text, check_first)")
        return foreign(parsed.title or "?")
    try:
        block = Block.model_validate(document.value["sekimori"])
    except ValidationError as error:
        problems = block_problems(error)
        where, _ = problems[0]
        reasons = "; ".join(f"sekimori.{'.'.join(loc)}: {message}" for loc, message in problems)
        raise _Bad(document.line("sekimori", *where), reasons) from error
    for field, words in (("text", block.text), ("check_first", block.check_first)):
        for language, text in (("ja", words.ja), ("en", words.en)):
            try:
                placeholders(text)
            except ValueError as error:
                raise _Bad(
                    document.line("sekimori", field, language), f"sekimori.{field}.{language}: {error}"
                ) from error
    return block
