"""What groups of rows add up to, against what a query engine says of the same groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.grouped import NULL, Feature, Groups, Sums, coded, known, ranked, taken

ROW = st.tuples(
    st.sampled_from(["a", "b", "c"]), st.sampled_from([None, 1, 2]), st.sampled_from([None, "x", "y", "ä", "z"]),
    st.one_of(st.none(), st.integers(-(2**40), 2**40)), st.booleans(),
)  # fmt: skip
SCHEMA = {"who": pl.String, "day": pl.Int64, "text": pl.String, "number": pl.Int64, "mark": pl.Boolean}
KEY = ["who", "day"]


def sums(rows: pl.DataFrame) -> Sums:
    texts = rows["text"].unique().drop_nulls().sort()
    made = rows.select(
        "mark", (pl.col("mark") & pl.col("number").is_not_null()).alias("counted"), pl.col("number").fill_null(0),
        coded("text"), ranked("text", texts).alias("rank"),
    )  # fmt: skip
    return Sums(Groups(rows, KEY), made)


def said(rows: pl.DataFrame, by_group: Any) -> list[Any]:
    """What was found of each group, in the order of the groups' names."""
    return Groups(rows, KEY).names.with_columns(pl.Series("found", by_group)).sort(KEY)["found"].to_list()


def expected(rows: pl.DataFrame, expression: pl.Expr) -> list[Any]:
    return rows.group_by(KEY).agg(expression.alias("found")).sort(KEY)["found"].to_list()


MARKED = pl.col("mark")
FEATURES: list[tuple[Feature, pl.Expr]] = [
    (Feature("count", "mark", ""), MARKED.sum()),
    (Feature("distinct", "mark", "", "text"), pl.col("text").filter(MARKED).drop_nulls().n_unique()),
    (Feature("distinct", "mark", "", "text", with_null=True), pl.col("text").filter(MARKED).n_unique()),
    (Feature("sum", "mark", "", "number"), pl.col("number").filter(MARKED).sum()),
    (Feature("max", "counted", "", "number"), pl.col("number").filter(MARKED).max()),
]


@pytest.mark.parametrize(("feature", "expression"), FEATURES)
@given(rows=st.lists(ROW, max_size=30))
def test_a_feature_is_what_a_query_over_each_group_says(feature: Feature, expression: pl.Expr, rows: list[Any]):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert said(frame, sums(frame).feature(feature)) == expected(frame, expression)


ENDS: list[tuple[Callable[[Groups, Any], Any], pl.Expr]] = [
    (lambda groups, _: groups.first(), pl.col("place").first()),
    (lambda groups, _: groups.last(), pl.col("place").last()),
    (lambda groups, mark: known(groups.first(mark), groups.first(mark) >= 0), pl.col("place").filter(MARKED).first()),
]


@pytest.mark.parametrize(("find", "expression"), ENDS)
@given(rows=st.lists(ROW, max_size=30))
def test_the_first_and_the_last_row_of_a_group_are_found(
    find: Callable[..., Any], expression: pl.Expr, rows: list[Any]
):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").with_row_index("place")
    found = find(Groups(frame, KEY), frame["mark"].to_numpy())
    assert said(frame, found) == expected(frame, expression)


@given(rows=st.lists(ROW, max_size=40))
def test_the_most_frequent_text_is_the_smallest_of_equally_frequent_ones(rows: list[Any]):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    one = sums(frame)
    texts = frame["text"].unique().drop_nulls().sort()
    counted = frame.drop_nulls("text").group_by(*KEY, "text").len().sort("len", "text", descending=[True, False])
    first = counted.unique(KEY, keep="first", maintain_order=True)
    wanted = frame.select(KEY).unique().join(first, on=KEY, how="left", nulls_equal=True).sort(KEY)["text"].to_list()
    assert said(frame, one.groups.most_frequent(one.of("rank"), texts)) == wanted


def test_equal_texts_have_equal_numbers_in_all_columns_and_null_has_one_of_its_own():
    frame = pl.DataFrame({"one": ["x", None, "y"], "other": ["y", "x", None]}).select(coded("one", "other"))
    assert frame["one"][0] == frame["other"][1]
    assert frame["one"][2] == frame["other"][0]
    assert frame["one"][0] != frame["one"][2]
    assert frame["one"][1] == frame["other"][2] == NULL


def test_what_is_at_no_place_is_null():
    assert taken(pl.Series(["a", "b"]), np.array([1, -1, 0])).to_list() == ["b", None, "a"]
    assert taken(pl.Series([], dtype=pl.String), np.array([-1, -1])).to_list() == [None, None]
