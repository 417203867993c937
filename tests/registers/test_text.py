"""Text as Japanese systems write it."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers.text import decode, did_you_mean, encoding_name, normalise, normalise_id


def _all(expr: pl.Expr, *values: str | None) -> list[str | None]:
    return pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}).select(expr.alias("y")).to_series().to_list()


def test_full_width_becomes_ascii_and_blanks_at_the_ends_go():
    assert _all(normalise(pl.col("x")), "　ＨＯ００４１ ", "㈱架空", "ｶﾞ") == ["HO0041", "(株)架空", "ガ"]


def test_what_is_empty_is_unknown():
    assert _all(normalise(pl.col("x")), "", " \t　", "\ufeff", None) == [None] * 4


def test_leading_zeros_go_only_where_the_source_says_so_and_only_from_digits():
    ids = ("00123", "０", "000", "A01", "007A")
    assert _all(normalise_id(pl.col("x")), *ids) == ["00123", "0", "000", "A01", "007A"]
    assert _all(normalise_id(pl.col("x"), strip_zeros=True), *ids) == ["123", "0", "0", "A01", "007A"]


@pytest.mark.parametrize(
    ("text", "written_in", "read_as"),
    [
        ("職員,山田", "utf-8", "utf-8"),
        ("職員,山田", "utf-8-sig", "utf-8-sig"),
        ("㈱ ① 髙 職員", "cp932", "cp932"),
        ("ﾔﾏﾀﾞ ﾀﾛｳ,100", "cp932", "cp932"),
        ("ｻﾄｳ,ｽｽﾞｷ", "cp932", "cp932"),
        ("生活保護システムに申請を受け付けた", "cp932", "cp932"),
        ("生活保護システムに申請を受け付けた", "euc_jp", "euc_jp"),
        ("生活保護", "euc_jp", "euc_jp"),
        ("plain ascii", "ascii", "utf-8"),
        ("", "ascii", "utf-8"),
    ],
)
def test_the_code_is_found_by_what_the_bytes_can_mean(text, written_in, read_as):
    assert decode(text.encode(written_in)) == (text, read_as)


@given(
    st.text(
        alphabet="あいうえおかがきくけこさしすせそたちつてとなにのはひをん生活保護申請受付照会職員市民課", min_size=6
    )
)
def test_ordinary_sentences_are_told_apart(text):
    assert decode(text.encode("cp932")) == (text, "cp932")
    if any("ぁ" <= char <= "ん" for char in text):
        assert decode(text.encode("euc_jp")) == (text, "euc_jp")


def test_vendor_characters_of_windows_are_read_in_euc_jp_too():
    assert decode(b"\xad\xa1\xfc\xe2\xc6\xfc", "EUC-JP") == ("①髙日", "euc_jp")


@given(st.binary())
def test_any_bytes_are_decoded_or_refused_with_a_position(data):
    place, code = 0, "utf-8"
    try:
        _, code = decode(data)
    except UnicodeDecodeError as error:
        place = error.start
    assert 0 <= place <= max(len(data) - 1, 0)
    assert code in ("utf-8", "utf-8-sig", "cp932", "euc_jp")


def test_a_byte_of_no_code_is_refused_where_it_stands():
    with pytest.raises(UnicodeDecodeError, match="neither UTF-8 nor CP932 nor EUC-JP") as refused:
        decode(b"abc\xff\xff")
    assert refused.value.start == 3


def test_names_of_codes_are_those_people_use():
    assert [encoding_name(name) for name in ("UTF8", "Shift_JIS", "Windows-31J", "EUC-JP", "auto")] == [
        "utf-8",
        "cp932",
        "cp932",
        "euc_jp",
        "auto",
    ]
    with pytest.raises(LookupError, match="unknown encoding 'utf-16'"):
        decode(b"", "utf-16")


def test_a_mistyped_word_is_answered_with_the_near_one():
    assert did_you_mean("idle_mins", ["idle_min", "heartbeat_s"]) == ', did you mean "idle_min"?'
    assert did_you_mean("xyz", ["idle_min"]) == ""
