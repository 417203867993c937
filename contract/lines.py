"""Events to lines: the writing half of the wire format (`contract.wire`), a column at a time."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from contract.event import FIELDS, Field

# Text that is absent or needs escapes. Where a column has none, it goes into the lines as it is.
_NOT_AS_IT_IS: Final = r'^$|["\\\x00-\x1f]'
# Columns with mostly one value in all events that are sent together.
_OFTEN_ONE: Final = (
    "event.schema", "event.class", "event.outcome", "time.received", "agent.id", "agent.boot", "source.id", "system.id",
)  # fmt: skip
# Where people and programs write freely: escapes are nothing odd there.
_PROSE: Final = ("event.reason", "resource.id", "message")
# A column is rare if at most one row in so many has a value.
_RARE: Final = 8
# So many bytes stay in the processor's cache while they are looked at.
CACHED: Final = 1 << 17
_SHORT: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_ESCAPES: Final = {chr(code): _SHORT.get(chr(code), f"\\u{code:04x}") for code in [*range(32), 34, 92]}


def encode(frame: pl.DataFrame) -> bytes:
    """Events as NDJSON: keys in the order of `FIELDS`, absent ones left out, every line ended by a newline.

    Args:
        frame: Any of the contract's columns in their types; a missing column means absent in every row, and columns
            that are not the contract's are left out.
    """
    return joined(encode_lines(frame))


def encode_lines(frame: pl.DataFrame) -> pl.Series:
    """One JSON object per row of `frame`, each with its newline, in the order of the rows; see `encode`."""
    nulls = dict(zip(frame.columns, frame.null_count().row(0), strict=True))
    present = [known for known in FIELDS if nulls.get(known.key, len(frame)) < len(frame)]
    if not present:
        return pl.repeat("{}\n", len(frame), eager=True).alias("line")
    constants = _constants(frame, [known for known in present if known.key in _OFTEN_ONE and not nulls[known.key]])
    rare = [known for known in present if (len(frame) - nulls[known.key]) * _RARE <= len(frame)]
    usual = [known for known in present if known.kind == "str" and known.key not in constants and known not in rare]
    odd = _odd(frame, [known.key for known in usual])
    full = [known.key for known in present if not nulls[known.key] and known.key not in odd]
    if present[0].key not in full:
        members = pl.concat_str([_member(known, True) for known in present], ignore_nulls=True)
        # Every member brings its comma in front; the first one's is cut off.
        return frame.select(line=pl.concat_str(pl.lit("{"), members.str.slice(1), pl.lit("}\n"))).to_series()
    return _assembled(frame, present, constants, full, rare, odd)


def occurrences(data: bytes, sign: str) -> int:
    """How often an ASCII character occurs; of one that is frequent three times as fast as `bytes.count`."""
    signs = np.frombuffer(data, np.uint8)
    blocks = (signs[start : start + CACHED] for start in range(0, len(signs), CACHED))
    return sum(int(np.count_nonzero(block == ord(sign))) for block in blocks)


def joined(lines: pl.Series) -> bytes:
    """Lines that have their newlines, one behind the other."""
    # As bytes, so that Python need not make a str of it only to encode that again.
    whole: bytes = lines.str.join("").cast(pl.Binary).item()
    return whole


def _odd(frame: pl.DataFrame, keys: list[str]) -> set[str]:
    """Which of these columns have a text that is empty or needs escapes."""
    together = [key for key in keys if key not in _PROSE]
    # One look at the bytes of all of them takes a third of what a regular expression takes for each value.
    if together and _is_plain(pl.concat([frame.get_column(key) for key in together])):
        keys = [key for key in keys if key in _PROSE]
    return _marked(frame, keys)


def _is_plain(texts: pl.Series) -> bool:
    """Whether no text is empty or needs escapes."""
    if texts.str.len_bytes().min() == 0:
        return False
    signs = joined(texts)
    return b'"' not in signs and b"\\" not in signs and int(np.frombuffer(signs, np.uint8).min()) >= 32


def _marked(frame: pl.DataFrame, keys: list[str]) -> set[str]:
    """As `_odd`, column by column."""
    if not keys:
        return set()
    marked = frame.select(pl.col(keys).str.contains(_NOT_AS_IT_IS).any()).row(0, named=True)
    return {key for key, some in marked.items() if some}


@cache
def _member(known: Field, unsafe: bool) -> pl.Expr:
    """`,"key":value` of one field, null where the value is absent."""
    key = json.dumps(known.key)
    value = pl.col(known.key)
    if known.kind != "str":
        return pl.concat_str(pl.lit(f",{key}:"), value.cast(pl.String))
    present = pl.when(value != "").then(value.str.replace_many(_ESCAPES)) if unsafe else value
    return pl.concat_str(pl.lit(f',{key}:"'), present, pl.lit('"'))


def _constants(frame: pl.DataFrame, full: list[Field]) -> dict[str, str]:
    """JSON of the values of those columns (without nulls) that have the same one in every row."""
    if len(frame) < _RARE or not full:
        return {}
    first = frame.select(known.key for known in full).row(0, named=True)
    same = frame.select((pl.col(known.key) == pl.lit(first[known.key], dtype=known.dtype)).all() for known in full).row(
        0, named=True
    )
    return {key: json.dumps(value, ensure_ascii=False) for key, value in first.items() if same[key] and value != ""}


def _assembled(
    frame: pl.DataFrame,
    present: list[Field],
    constants: dict[str, str],
    full: list[str],
    rare: list[Field],
    odd: set[str],
) -> pl.Series:
    """The lines of a frame whose first present column has a value in every row.

    What all rows share is written once and the columns that few rows have are put together for these rows only: a row
    costs by the number of its parts.
    """
    some, written = _written(frame, present, rare)
    parts: list[pl.Expr] = []
    fixed = ""
    for known in present:
        comma = "," if parts or fixed else "{"
        if known.key in constants:
            fixed += f"{comma}{json.dumps(known.key)}:{constants[known.key]}"
        elif known.key in full:
            quote = '"' if known.kind == "str" else ""
            parts += [pl.lit(f"{fixed}{comma}{json.dumps(known.key)}:{quote}"), pl.col(known.key).cast(pl.String)]
            fixed = quote
        elif known in rare:
            if known.key in written:
                parts += [pl.lit(fixed), pl.lit(written[known.key]).gather(some)]
                fixed = ""
        else:
            parts += [pl.lit(fixed), _member(known, known.key in odd)]
            fixed = ""
    parts.append(pl.lit(fixed + "}\n"))
    return frame.select(line=pl.concat_str(parts, ignore_nulls=True)).to_series()


def _written(frame: pl.DataFrame, present: list[Field], rare: list[Field]) -> tuple[pl.Series, dict[str, pl.Series]]:
    """The members of columns that few rows have.

    Returns:
        For each row its place in the following, null if it has none of them; by the first key of each run of columns that
        follow one another, the members of the run, together.
    """
    if not rare:
        return pl.Series([], dtype=pl.UInt32), {}
    has_some = pl.any_horizontal(pl.col(known.key).is_not_null() for known in rare)
    places = frame.select(some=has_some, place=pl.when(has_some).then(has_some.cum_sum() - 1))
    few = frame.select(known.key for known in rare).filter(places["some"])
    odd = _marked(few, [known.key for known in rare if known.kind == "str"])
    runs: dict[str, list[pl.Expr]] = {}
    first = ""
    for known in present:
        first = (first or known.key) if known in rare else ""
        if first:
            runs.setdefault(first, []).append(_member(known, known.key in odd))
    written = few.select(pl.concat_str(members, ignore_nulls=True).alias(key) for key, members in runs.items())
    return places["place"], {column.name: column for column in written}
