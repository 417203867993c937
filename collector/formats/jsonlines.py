"""JSON lines: one object a line, keys by name or by JSON pointer (RFC 6901)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import polars as pl

from collector.formats import DETAIL, REASON, verdict
from collector.sources import Source

_FEW: Final = 16
Tree = dict[str, "Tree | None"]


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """One String column per column that the source names; a number is its digits, an object or list its JSON."""
    wanted = list(dict.fromkeys([*source.time, *source.received, *(c for cs in source.columns.values() for c in cs)]))
    parsed, good = read(lines, _schema(_tree(wanted)))
    values = parsed.select(_value(name) for name in wanted) if any(name.startswith("/") for name in wanted) else parsed
    if good.all():
        none = pl.Series(REASON, [None], dtype=pl.String).new_from_index(0, lines.len())
        return values.hstack([none, none.alias(DETAIL)])
    return values.with_columns(verdict(~pl.lit(good), "json", "is not one JSON object"))


def _path(name: str) -> list[str]:
    if not name.startswith("/"):
        return [name]
    return [part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/")]


def _tree(names: list[str]) -> Tree:
    tree: Tree = {}
    for name in names:
        place = tree
        *above, leaf = _path(name)
        for part in above:
            inner = place.get(part)
            if inner is None:
                inner = place[part] = {}
            place = inner
        place.setdefault(leaf, None)
    return tree


def _schema(tree: Tree) -> dict[str, pl.DataType]:
    return {name: pl.String() if inner is None else pl.Struct(_schema(inner)) for name, inner in tree.items()}


@lru_cache(maxsize=1024)
def _value(name: str) -> pl.Expr:
    first, *rest = _path(name)
    value = pl.col(first)
    for part in rest:
        value = value.struct.field(part)
    return value.cast(pl.String).alias(name)


def read(lines: pl.Series, schema: dict[str, Any]) -> tuple[pl.DataFrame, pl.Series]:
    """Parse JSON lines; what is no object becomes a row of nulls.

    All lines are read at once if all are well. `read_ndjson` gives up the whole buffer at the first line that is no JSON, so
    the buffer is halved until the culprits are alone. (`str.json_decode` gives the same and takes half as long again.)

    Args:
        lines: String series without newlines inside, none null.
        schema: Keys wanted and their types; others are passed over. A value of another type is null.

    Returns:
        One row per line, and a Boolean series: the line is one JSON object.
    """
    if lines.is_empty():
        return pl.DataFrame(schema=schema), pl.Series([], dtype=pl.Boolean)
    # Only an object begins with a brace; scalars and lists would pass as rows of nulls.
    shaped = lines.str.starts_with("{")
    if not shaped.all():
        shaped = lines.str.contains(r"^[ \t\r]*\{")
    texts = lines.set(~shaped, "{}") if not shaped.all() else lines
    frames: list[pl.DataFrame] = []
    flags: list[pl.Series] = []
    for frame, good in _parts(texts, schema):
        frames.append(frame)
        flags.append(pl.Series([good]).new_from_index(0, frame.height))
    return pl.concat(frames), pl.concat(flags) & shaped


def _parts(lines: pl.Series, schema: dict[str, Any]) -> Iterator[tuple[pl.DataFrame, bool]]:
    try:
        frame = pl.read_ndjson(lines.str.join("\n").cast(pl.Binary).item(), schema=schema, ignore_errors=True)
    except pl.exceptions.ComputeError:
        frame = None
    if frame is not None and frame.height == lines.len():
        yield frame, True
    elif lines.len() == 1:
        yield pl.DataFrame({name: [None] for name in schema}, schema=schema), False
    else:
        for part in _halves(lines):
            yield from _parts(part, schema)


def _halves(lines: pl.Series) -> list[pl.Series]:
    """Two halves; when few are left, one by one but for runs of lines that Python's parser likes."""
    if lines.len() > _FEW:
        middle = lines.len() // 2
        return [lines[:middle], lines[middle:]]
    good = [_is_object(line) for line in lines.to_list()]
    if all(good):
        return [lines[i : i + 1] for i in range(lines.len())]
    cuts = [0, *(i for i in range(1, len(good)) if good[i] != good[i - 1] or not good[i]), len(good)]
    return [lines[first:last] for first, last in itertools.pairwise(cuts)]


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
