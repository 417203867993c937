"""Marks say of every row what the specification, one expression per rule, says."""

from __future__ import annotations

import random

import polars as pl
import pytest

from detector import sigma
from detector.marks import FEW_TEXTS, Marks

WORDS = ["read", "Read", "READ", "export", "", "ＲＥＡＤ", "straße", None]


def frame(draw: random.Random, height: int) -> pl.DataFrame:
    def column(*values: object) -> list[object]:
        return [draw.choice(values) for _ in range(height)]

    return pl.DataFrame({
        "action": pl.Series(column(*WORDS), dtype=pl.String),
        "name": pl.Series(column(*[f"Name {place}" for place in range(2 * FEW_TEXTS)], None), dtype=pl.String),
        "nothing": pl.Series([None] * height, dtype=pl.String),
        "flag": pl.Series(column(True, False, None), dtype=pl.Boolean),
        "count": pl.Series(column(0, 1, 5, None), dtype=pl.Int64),
        "share": pl.Series(column(0.0, 1.0, float("nan"), None), dtype=pl.Float64),
    })  # fmt: skip


def atom(draw: random.Random) -> sigma.Atom:
    field = draw.choice(["action", "name", "nothing", "flag", "count", "share", "absent"])
    operator = draw.choice(["equals", "equals", "contains", "startswith", "number", "gte", "neq", "bool", "null", "exists", "re", "fieldref"])  # fmt: skip
    values: dict[str, list[str | int | float | bool | None]] = {
        "number": [1, 0, 5.0], "gte": [1, 0.5], "neq": [1], "bool": [True, False], "null": [None],
        "exists": [True, False], "re": ["(?i)^re"], "fieldref": ["equals:name", "startswith:action", "equals:count"],
    }  # fmt: skip
    texts: list[str | int | float | bool | None] = [
        "read",
        "EXPORT",
        "name 7",
        "Name 1",
        "",
        "ｒｅａｄ",
        "STRASSE",
        "1",
    ]
    return sigma.Atom(field, operator, draw.choice(values.get(operator, texts)), cased=draw.random() < 0.3)  # type: ignore[arg-type]


def tree(draw: random.Random, depth: int) -> sigma.Tree:
    if not depth or draw.random() < 0.2:
        return atom(draw)
    if draw.random() < 0.25:
        return sigma.Not(tree(draw, depth - 1))
    kind = draw.choice([sigma.All, sigma.Any_])
    return kind(tuple(tree(draw, depth - 1) for _ in range(draw.randrange(1, 4))))


@pytest.mark.parametrize("seed", range(60))
def test_every_tree_is_true_where_its_expression_is(seed: int):
    draw = random.Random(seed)
    rows = frame(draw, draw.choice([0, 1, 2, 300]))
    marks = Marks(rows)
    for _ in range(25):
        chosen = tree(draw, 3)

        expected = rows.with_columns(sigma.expression(chosen, rows.schema).alias("is"))["is"]

        assert marks.where(chosen).tolist() == expected.to_list(), chosen
