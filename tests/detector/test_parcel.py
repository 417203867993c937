"""State goes into a parcel and comes out equal; equal content gives equal bytes, whatever its past."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detector import parcel

SCHEMA = {
    "text": pl.String,
    "number": pl.Int64,
    "small": pl.Int8,
    "share": pl.Float64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "at": pl.Datetime("ms", "UTC"),
    "took": pl.Duration("us"),
    "raw": pl.Binary,
    "names": pl.List(pl.String),
    "pairs": pl.List(pl.Struct({"key": pl.String, "n": pl.Int32})),
    "deep": pl.List(pl.List(pl.Int16)),
    "both": pl.Struct({"left": pl.Float32, "right": pl.List(pl.Date)}),
    "nothing": pl.Null,
}
AT = datetime(2026, 4, 1, 9, tzinfo=UTC)
ROW = (
    "関守", 7, -3, 0.1, True, date(2026, 4, 1), AT, timedelta(seconds=3), b"\0\xff", ["a", None, ""],
    [{"key": "k", "n": None}, None], [[1, None], [], None], {"left": None, "right": [date(2026, 1, 1)]}, None,
)  # fmt: skip
EMPTY = ("", 0, 0, 0.0, False, date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC), timedelta(), b"", [], [], [], {"left": 0.0, "right": []}, None)  # fmt: skip
ABSENT = (None,) * len(ROW)


def mixed() -> pl.DataFrame:
    return pl.DataFrame([ROW, ABSENT, EMPTY, ROW], schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    "frame",
    [
        mixed(),
        mixed().clear(),
        pl.DataFrame([ABSENT, ABSENT], schema=SCHEMA, orient="row"),
        pl.DataFrame([EMPTY], schema=SCHEMA, orient="row"),
        pl.DataFrame(),
    ],
    ids=["mixed", "no rows", "only nulls", "only empty values", "no columns"],
)
def test_a_frame_comes_out_as_it_went_in(frame: pl.DataFrame):
    data = parcel.pack("thing", 3, {"a": [1, "関"]}, {"f": frame, "g": mixed()}, {"ids": b"\n\0"})
    header, frames, blobs = parcel.unpack(data, "thing", 3)
    assert header == {"a": [1, "関"]}
    assert blobs == {"ids": b"\n\0"}
    assert_frame_equal(frames["f"], frame)
    assert_frame_equal(frames["g"], mixed())


def pasts() -> list[pl.DataFrame]:
    """The same rows by several ways."""
    whole, wide = mixed(), pl.concat([mixed(), mixed(), mixed()])
    texts = [column for column in SCHEMA if column != "nothing"]
    first = whole.select(pl.all().gather([0, 0, 0, 0]))
    blotted = first.select(
        *(pl.when(pl.Series([True, False, True, True])).then(column).alias(column) for column in texts), "nothing"
    )
    return [
        whole,
        pl.concat([whole.head(1), whole.slice(1)]),
        wide.slice(4, 4),
        wide.filter(pl.Series([False] * 8 + [True] * 4)),
        pl.concat([blotted.head(2), whole.slice(2)]),
        whole.sort("number", nulls_last=True)
        .select(pl.all().gather([0, 2, 1, 3]))
        .sort("number")
        .clear()
        .vstack(whole),
    ]


def test_the_past_of_a_frame_does_not_show():
    several = pasts()
    for other in several[1:]:
        assert_frame_equal(several[0], other)
    assert len({parcel.pack("thing", 1, {}, {"f": frame}, {}) for frame in several}) == 1


def test_the_order_of_names_does_not_show():
    frame = pl.DataFrame({"a": [1]})
    one = parcel.pack("thing", 1, {"x": 1, "y": 2}, {"f": frame, "g": frame}, {"p": b"1", "q": b"2"})
    two = parcel.pack("thing", 1, {"y": 2, "x": 1}, {"g": frame, "f": frame}, {"q": b"2", "p": b"1"})
    assert one == two


def test_other_content_gives_other_bytes():
    frames = [pl.DataFrame({"a": values}) for values in ([1, None], [1, 0], [None, 1], [1], [[1], None], [[1], []])]
    assert len({parcel.pack("thing", 1, {}, {"f": frame}, {}) for frame in frames}) == len(frames)


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(TypeError, match="type Object cannot be packed"):
        parcel.pack("thing", 1, {}, {"f": pl.DataFrame({"a": pl.Series([object()])})}, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        parcel.pack("thing", 1, {"x": float("nan")}, {}, {})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[:-1], "altered or cut short"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "altered or cut short"),
        (lambda data: b"PK" + data, "no stage one of Sekimori"),
        (lambda data: b"", "no stage one of Sekimori"),
        (lambda data: data.replace(b'{"frames"', b'{frames"', 1), "its header is damaged"),
        (lambda data: parcel.pack("stage two", 1, {}, {}, {}), "no stage one but stage two"),
        (lambda data: parcel.pack("stage one", 2, {}, {}, {}), "of version 2: this program knows version 1 only"),
    ],
)
def test_what_is_something_else_is_refused(spoil, said: str):
    data = parcel.pack("stage one", 1, {}, {"f": mixed()}, {"ids": b"12"})
    with pytest.raises(parcel.ParcelError, match=said):
        parcel.unpack(spoil(data), "stage one", 1)
