"""From a Sigma rule to one Polars expression: the executable specification of what a rule means.

pySigma parses (https://github.com/SigmaHQ/pySigma); this module walks the parsed condition into a small hashable tree and
the tree into an expression. The rules of the game:

- Null-safe: a field that is absent makes an atom false, so `not` makes it true. An expression is never null.
- Case-insensitive unless `cased` or `re` says otherwise, as the Sigma specification has it.
- Regular expressions mean what RE2 says (https://github.com/google/re2/wiki/Syntax): ASCII `\\d \\w \\s \\b`, no look-around.
- `?` and `*` match any character, line ends included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Network, IPv6Network, ip_address
from operator import and_, or_
from typing import Final, Literal

import polars as pl
from polars.exceptions import PolarsError
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from detector.re2 import to_rust

Operator = Literal[
    "equals", "contains", "startswith", "endswith", "re", "number", "lt", "lte", "gt", "gte", "neq", "bool", "null",
    "exists", "cidr", "fieldref",
]  # fmt: skip


class RuleError(ValueError):
    """A rule asks for something that it cannot have; the text says what and what to write instead."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison of one field.

    Attributes:
        field: Name of the column.
        operator: How to compare.
        value: Text, number, flag, network or name of another column, as the operator needs it.
        cased: Whether text is compared with its case.
    """

    field: str
    operator: Operator
    value: str | int | float | bool | None = None
    cased: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """True where every part is."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """True where some part is."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is false, hence also where its field is absent."""

    part: Tree


Tree = Atom | All | Any_ | Not
Schema = Mapping[str, pl.DataType]


def tree(rule: SigmaRule) -> Tree:
    """Walk the conditions of a parsed rule; several conditions are alternatives.

    Raises:
        RuleError: for what has no meaning here (keywords, placeholders, parts of times, bad conditions).
    """
    try:
        parsed = [condition.parsed for condition in rule.detection.parsed_condition]
        return _merge(Any_, [_walk(item) for item in parsed])
    except SigmaError as error:
        raise RuleError(str(error)) from error
    except RecursionError as error:
        raise RuleError("the condition is nested too deeply; split it") from error


def fields(of: Tree) -> tuple[str, ...]:
    """Names of all columns that a tree reads, sorted."""
    return tuple(sorted(set(_fields(of))))


def atoms(of: Tree) -> frozenset[Atom]:
    """All comparisons that a tree makes."""
    if isinstance(of, Atom):
        return frozenset((of,))
    parts = (of.part,) if isinstance(of, Not) else of.parts
    return frozenset(atom for part in parts for atom in atoms(part))


def if_absent(atom: Atom) -> bool:
    """Whether a comparison holds where there is no such column."""
    return atom.operator == "null" or (atom.operator == "exists" and atom.value is False)


def expression(of: Tree, schema: Schema | None = None) -> pl.Expr:
    """The tree as one Boolean expression without nulls.

    Args:
        of: What to express.
        schema: Columns of the frame it will run on. With it, absent columns count as null and comparisons take the
            column's type into account; without it every column must exist and is compared as text or number by the
            look of the rule's value. A tree over absent columns only becomes a literal: broadcast it with
            `with_columns` or `filter`.
    """
    if isinstance(of, Atom):
        return _atom(of, schema)
    if isinstance(of, Not):
        return ~expression(of.part, schema)
    if isinstance(of, All):
        return reduce(and_, [expression(part, schema) for part in of.parts])
    return reduce(or_, [*_together(of.parts, schema)])


def _fields(of: Tree) -> Iterator[str]:
    if isinstance(of, Atom):
        yield of.field
        if of.operator == "fieldref":
            yield str(of.value).rpartition(":")[2]
    elif isinstance(of, Not):
        yield from _fields(of.part)
    else:
        for part in of.parts:
            yield from _fields(part)


# --- pySigma's condition → tree ---------------------------------------------------------------------------------------


def _merge(kind: type[All] | type[Any_], parts: list[Tree]) -> Tree:
    flat: list[Tree] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else [part])
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _walk(item: object) -> Tree:
    if isinstance(item, ConditionAND):
        return _merge(All, [_walk(arg) for arg in item.args])
    if isinstance(item, ConditionOR):
        return _merge(Any_, [_walk(arg) for arg in item.args])
    if isinstance(item, ConditionNOT):
        return Not(_walk(item.args[0]))
    if isinstance(item, ConditionFieldEqualsValueExpression):
        return _value(item.field, item.value)
    if isinstance(item, ConditionValueExpression):
        raise RuleError("keywords without a field are not supported: name the field, for example message|contains")
    raise RuleError(f"the condition holds something unknown: {type(item).__name__}")


def _value(field: str, value: object) -> Tree:
    if isinstance(value, SigmaExpansion):
        return _merge(Any_, [_value(field, item) for item in value.values])
    if isinstance(value, SigmaString):
        return _string(field, value)
    if isinstance(value, SigmaRegularExpression):
        return _regular(field, value)
    if isinstance(value, SigmaTimestampPart):
        raise RuleError(f"{field}: parts of times are not supported: use time.hour, time.weekday or time.date")
    if isinstance(value, SigmaNumber):
        return Atom(field, "number", value.number)
    if isinstance(value, SigmaBool):
        return Atom(field, "bool", value.boolean)
    if isinstance(value, SigmaNull):
        return Atom(field, "null")
    if isinstance(value, SigmaExists):
        return Atom(field, "exists", value.exists)
    if isinstance(value, SigmaCompareExpression):
        return Atom(field, _COMPARE[value.op.name], value.number.number)
    if isinstance(value, SigmaCIDRExpression):
        return Atom(field, "cidr", str(value.network))
    if isinstance(value, SigmaFieldReference):
        how = {(False, False): "equals", (True, False): "startswith", (False, True): "endswith"}
        return Atom(field, "fieldref", f"{how.get((value.starts_with, value.ends_with), 'contains')}:{value.field}")
    raise RuleError(f"{field}: a value of kind {type(value).__name__} is not supported")


_COMPARE: Final[dict[str, Operator]] = {"LT": "lt", "LTE": "lte", "GT": "gt", "GTE": "gte", "NEQ": "neq"}


def _string(field: str, value: SigmaString) -> Tree:
    parts = tuple(value.s)
    cased = isinstance(value, SigmaCasedString)
    if any(isinstance(part, Placeholder) for part in parts):
        raise RuleError(f"{field}: placeholders (expand) are not supported: write the values out")
    many = SpecialChars.WILDCARD_MULTI
    words = [part for part in parts if isinstance(part, str)]
    if not parts:
        return Atom(field, "equals", "", cased)
    if all(part is many for part in parts):
        return Atom(field, "exists", True)
    if len(words) == 1 and len(parts) <= 3 and all(part is many for part in parts if not isinstance(part, str)):
        shape = tuple(isinstance(part, str) for part in parts)
        kinds: dict[tuple[bool, ...], Operator] = {
            (True,): "equals",
            (True, False): "startswith",
            (False, True): "endswith",
            (False, True, False): "contains",
        }
        if shape in kinds:
            return Atom(field, kinds[shape], words[0], cased)
    body = "".join(re.escape(part) if isinstance(part, str) else ".*" if part is many else "." for part in parts)
    return Atom(field, "re", f"(?s{'' if cased else 'i'})^(?:{_rust_escapes(body)})$")


def _rust_escapes(body: str) -> str:
    # Python escapes blanks, dashes and the like; Rust's regex accepts that for punctuation but not for letters.
    return body.replace("\\ ", " ").replace("\\\n", "\n").replace("\\\t", "\t")


def _regular(field: str, value: SigmaRegularExpression) -> Tree:
    if value.contains_placeholder():
        raise RuleError(f"{field}: placeholders (expand) are not supported: write the values out")
    flags = "".join(sorted({"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}[flag.name] for flag in value.flags))
    source = str(value.regexp)
    try:
        pattern = to_rust(source)
        pattern = f"(?{flags}){pattern}" if flags else pattern
        pl.Series([""]).str.contains(pattern, strict=True)
    except (ValueError, PolarsError) as error:
        raise RuleError(f"{field}: the regular expression {source!r} cannot run: {error}") from error
    return Atom(field, "re", pattern)


# --- tree → expression ------------------------------------------------------------------------------------------------


def _together(parts: tuple[Tree, ...], schema: Schema | None) -> Iterator[pl.Expr]:
    """Alternatives; equal fields and operators share one pass over the column (a hash set, or one Aho-Corasick)."""
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for part in parts:
        if isinstance(part, Atom) and part.operator in ("equals", "contains") and part.value != "":
            groups.setdefault((part.field, part.operator, part.cased), []).append(str(part.value))
        else:
            yield expression(part, schema)
    for (field, operator, cased), values in groups.items():
        column = _column(field, schema)
        if len(values) == 1 or column is None:
            yield _atom(Atom(field, "equals" if operator == "equals" else "contains", values[0], cased), schema)
            continue
        text = _text(column, field, schema, cased)
        wanted = sorted({value if cased else value.lower() for value in values})
        matched = text.is_in(wanted) if operator == "equals" else text.str.contains_any(wanted)
        yield matched.fill_null(False)


def _column(field: str, schema: Schema | None) -> pl.Expr | None:
    return pl.col(field) if schema is None or field in schema else None


def _text(column: pl.Expr, field: str, schema: Schema | None, cased: bool) -> pl.Expr:
    text = column if schema is not None and schema[field] == pl.String else column.cast(pl.String)
    return text if cased else text.str.to_lowercase()


def _number(column: pl.Expr, field: str, schema: Schema | None) -> pl.Expr:
    if schema is not None and schema[field].is_integer():
        return column
    # NaN would compare as larger than everything.
    return column.cast(pl.Float64, strict=False).fill_nan(None)


def _atom(atom: Atom, schema: Schema | None) -> pl.Expr:
    column = _column(atom.field, schema)
    if column is None:
        return pl.lit(if_absent(atom))
    if if_absent(atom):
        return column.is_null()
    if atom.operator == "exists":
        return column.is_not_null()
    return _compare(atom, column, schema).fill_null(False)


def _compare(atom: Atom, column: pl.Expr, schema: Schema | None) -> pl.Expr:
    value = atom.value
    match atom.operator:
        case "number":
            return _equal_number(atom, column, schema)
        case "bool":
            if schema is not None and schema[atom.field] == pl.Boolean:
                return column if value else ~column
            return _text(column, atom.field, schema, False) == str(value).lower()
        case "lt" | "lte" | "gt" | "gte" | "neq":
            number = _number(column, atom.field, schema)
            compared = {"lt": number < value, "lte": number <= value, "gt": number > value, "gte": number >= value}
            return compared.get(atom.operator, number != value)
        case "cidr":
            return _inside(column.cast(pl.String), str(value))
        case "fieldref":
            return _reference(atom, column, schema)
        case "re":
            return _text(column, atom.field, schema, True).str.contains(str(value))
        case _:
            return _compare_text(atom.operator, _text(column, atom.field, schema, atom.cased), _folded(atom))


def _folded(atom: Atom) -> pl.Expr:
    return pl.lit(str(atom.value) if atom.cased else str(atom.value).lower())


def _compare_text(operator: str, text: pl.Expr, value: pl.Expr) -> pl.Expr:
    if operator == "contains":
        return text.str.contains(value, literal=True)
    if operator == "startswith":
        return text.str.starts_with(value)
    if operator == "endswith":
        return text.str.ends_with(value)
    return text == value


def _equal_number(atom: Atom, column: pl.Expr, schema: Schema | None) -> pl.Expr:
    assert isinstance(atom.value, int | float)
    if schema is not None and schema[atom.field].is_numeric():
        return column == atom.value
    # As text: "0010" is a code, not the number ten. A column of floats shows 4 as 4.0.
    return column.cast(pl.String).is_in([str(atom.value), str(float(atom.value))])


def _reference(atom: Atom, column: pl.Expr, schema: Schema | None) -> pl.Expr:
    how, _, name = str(atom.value).partition(":")
    other = _column(name, schema)
    if other is None:
        return pl.lit(False)
    if schema is not None and how == "equals" and schema[atom.field].is_numeric() and schema[name].is_numeric():
        return column == other
    text = _text(column, atom.field, schema, False)
    return _compare_text(how, text, _text(other, name, schema, False))


def _inside(text: pl.Expr, network: str) -> pl.Expr:
    """Whether an address lies in a network; no address is outside. Addresses repeat, so only distinct ones are parsed."""
    wanted = (IPv6Network if ":" in network else IPv4Network)(network)

    def check(addresses: pl.Series) -> pl.Series:
        distinct = addresses.unique().drop_nulls().sort().to_list()
        inside = [address for address in distinct if _within(address, wanted)]
        return addresses.is_in(inside)

    return text.map_batches(check, return_dtype=pl.Boolean, is_elementwise=True)


def _within(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(address.strip()) in network
    except ValueError:
        return False
