"""Columns of printed tables: the page holds them, and what may not be broken is whole where there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.report import glyphs
from audit.report.glyphs import Font
from audit.report.grids import grid
from audit.report.model import Cell, Column, Kind, Table
from audit.report.widths import PAGE, fit, pieces
from tests.audit.report.sample import CELLS, LONG_NAME, sample

KINDS: tuple[Kind, ...] = tuple(kind for kind, _ in CELLS)
TEXTS = st.one_of(st.sampled_from([LONG_NAME, "9f86d081884c7d65" * 4, "", "。" * 40, "a b\nc"]), st.text(max_size=30))


@pytest.fixture(scope="module")
def font() -> Font:
    return glyphs.found()


def _grid(font: Font, columns: list[Column], rows: list[tuple[Cell, ...]]):
    return grid(Table("t", "", tuple(columns), tuple(rows), "-"), rows, sample(), font)


@given(data=st.data(), columns=st.integers(1, 30), rows=st.integers(0, 4))
def test_the_page_holds_every_table(data: st.DataObject, columns: int, rows: int):
    heads = data.draw(st.lists(TEXTS, min_size=columns, max_size=columns))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=columns, max_size=columns))
    weights = data.draw(st.lists(st.integers(1, 6), min_size=columns, max_size=columns))
    texts = data.draw(st.lists(st.lists(TEXTS, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    cut = [[pieces(text, kind) for text, kind in zip(row, kinds, strict=True)] for row in texts]
    font = glyphs.found()
    fitted = fit(heads, kinds, weights, cut, font)
    assert sum(fitted.widths) <= PAGE + 0.005 * columns + 0.001  # each is rounded to a hundredth of a point
    for place in range(columns):
        room = fitted.room(place)
        assert room > 0
        if fitted.solid[place]:
            assert all(font.width(piece) <= room + 0.01 for row in cut for piece in row[place])


def test_a_number_an_id_and_a_moment_stay_whole_beside_long_texts(font: Font):
    columns = [
        Column("番号", "id", 3),
        Column("日時", "moment", 2),
        Column("件数", "integer"),
        Column("内容", "text", 6),
    ]
    row = ("f-0123456789abcdef", 1_773_155_999_999, 10_000_000, "夜間に担当外の本人情報を照会した。" * 9)
    [[[made]]] = _grid(font, columns, [row])["groups"]
    assert made["cells"][:3] == [["f-0123456789abcdef"], ["令和8年3月11日（水）", "00:19"], ["10,000,000"]]


def test_a_text_is_broken_inside_a_word_only_where_the_word_is_wider_than_its_column(font: Font):
    columns = [Column("a", "text"), Column("b", "text")]
    [[[made]]] = _grid(font, columns, [("x" * 300, "events/2026-03-01.parquet")])["groups"]
    long, short = made["cells"]
    assert long["text"] == "x" * 300
    assert long["run"] > 20
    assert short == "events/2026-03-01.parquet"


def test_narrow_rows_stand_side_by_side_in_order_and_none_is_lost(font: Font):
    columns = [Column("日", "day"), Column("件数", "integer")]
    for count in (1, 8, 9, 31, 137, 138, 139, 500):
        made = _grid(font, columns, [("2026-03-01", n) for n in range(count)])
        rows = [row for group in made["groups"] for part in group for row in part]
        assert [row["cells"][1] for row in rows] == [[f"{n:,}"] for n in range(count)]
        assert all(len(group) * (sum(made["widths"]) + 14) <= PAGE + 14 for group in made["groups"])
        assert max(map(len, made["groups"])) == (3 if count > 8 else 1)


def test_a_table_without_rows_has_its_heads(font: Font):
    assert _grid(font, [Column("日", "day")], [])["heads"] == ["日"]
