"""What is made narrow is the same when it is wide again, however it was cut, joined, written and read."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import narrow, parcel
from detector.narrow import Narrow, Texts

SCHEMA = {
    "few": pl.String(), "many": pl.String(), "none": pl.String(), "id": pl.String(), "n": pl.Int64(), "f": pl.Float64(),
    "b": pl.Boolean(), "d": pl.Date(),
}  # fmt: skip


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    numbers = np.random.default_rng(seed).integers(0, 1 << 62, rows)
    return pl.DataFrame(
        {
            "few": [None if n % 7 == 0 else f"few-{n % 5}" for n in numbers],
            "many": [None if n % 11 == 0 else f"w-{n:016x}" for n in numbers],
            "none": [None] * rows,
            "id": [f"{n:016x}" for n in numbers],
            "n": [None if n % 3 == 0 else int(n % 1000) * (1 << (n % 40)) for n in numbers],
            "f": [None if n % 3 == 0 else n / 7 for n in numbers],
            "b": [None if n % 3 == 0 else bool(n % 2) for n in numbers],
            "d": [None if n % 13 == 0 else date(2026, 4, 1 + n % 3) for n in numbers],
        },
        schema=SCHEMA,
    )


def again(piece: Narrow) -> Narrow:
    header, frames, _ = parcel.unpack(parcel.pack("k", 1, *piece.parts(), {}), "k", 1)
    return Narrow.of_parts(header, frames)


TEXTS = st.one_of(
    st.none(),
    st.integers(0, 20).map(lambda n: f"{n:016x}"),
    st.sampled_from(["w-00000000000000ff", "w-00000000000000FF", "0000000000 00ff00", "", "字", "a b", "x" * 40]),
)
COLUMNS = st.lists(st.lists(TEXTS, max_size=30), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(COLUMNS, st.data(), st.sampled_from([0, 500]))
def test_any_texts_come_out_as_they_went_in(columns: list[list[str | None]], data: st.DataObject, many: int):
    before, narrow._MANY = narrow._MANY, many
    try:
        wide = pl.concat([pl.Series("t", one, dtype=pl.String) for one in columns])
        piece = narrow.joined(
            [Narrow.of(pl.Series("t", one, dtype=pl.String).to_frame().with_columns(n=1)) for one in columns]
        )
        assert piece.texts["t"].wide().equals(wide)
        rows = np.array(
            data.draw(st.lists(st.integers(0, max(len(wide) - 1, 0)), max_size=9 if len(wide) else 0)), dtype=np.int64
        )
        taken = again(piece.taken(rows))
        assert taken.texts["t"].wide().equals(wide.gather(rows))
        asked = pl.Series([one for one in data.draw(st.lists(TEXTS, max_size=5)) if one is not None], dtype=pl.String)
        assert piece.texts["t"].among(asked).tolist() == wide.is_in(asked.implode()).fill_null(False).to_list()
        assert piece.texts["t"].present().tolist() == wide.is_not_null().to_list()
        hashes = dict(zip(wide.to_list(), piece.texts["t"].hashes().tolist(), strict=True))
        assert [hashes[one] for one in wide] == piece.texts["t"].hashes().tolist() == Texts.of(wide).hashes().tolist()
    finally:
        narrow._MANY = before


def test_a_frame_is_the_same_wide_narrow_cut_and_joined():
    wide = frame(5000)
    pieces = [Narrow.of(part) for part in wide.iter_slices(1300)]
    whole = narrow.joined(pieces)
    assert whole.wide().equals(wide)
    assert whole.wide(["d", "many"]).equals(wide.select("d", "many"))
    assert again(whole).wide().equals(wide)
    some = np.flatnonzero(np.arange(5000) % 17 == 3)
    assert whole.taken(some).wide().equals(wide[some])
    assert again(whole.select(["id", "b"]).taken(some)).wide().equals(wide.select("id", "b")[some])


def test_ids_are_kept_as_numbers_and_few_words_once():
    piece = Narrow.of(frame(5000))
    assert piece.texts["id"].words.dtype == piece.texts["many"].words.dtype == pl.UInt64
    assert (piece.texts["id"].sign, piece.texts["many"].sign) == ("", "w-")
    assert len(piece.texts["few"].words) == 5
    codes = piece.texts["few"].codes
    assert codes is not None
    assert codes.dtype == pl.UInt8


def test_equal_frames_are_the_same_bytes_whatever_they_were_cut_from():
    wide = frame(3000)
    mixed = pl.concat([frame(100, seed=1), wide[:1000], wide[1000:]])[100:]
    one, other = (parcel.pack("k", 1, *Narrow.of(some).parts(), {}) for some in (wide, mixed))
    assert one == other
