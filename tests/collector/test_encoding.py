from hypothesis import example, given
from hypothesis import strategies as st

from collector.encoding import decode, split

# What could be taken for a line's end, for packed bytes, or for another encoding.
PIECES = st.sampled_from(
    (
        b"a", b"x", b"\x01", b"^", b"(", b"\n", b"\n", b"\r", b"\t", b"\0", b"\x0b", b"\xc2\x85", b"\xe2\x80\xa8",
        b"\xe3\x81\x82", b"\x82\xa0", b"\xa4\xa2", b"\xff", b"\x1f\x8b\x08", b"\xb5\x2f\xfd", b"\x9c",
    )
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=12).map(b"".join), st.sampled_from(["utf-8", "cp932", "euc_jp"]))
@example(b"x^\n", "utf-8")  # as zlib begins
@example(b"\x1f\x8b\x08\n", "utf-8")  # as gzip
@example(b"(\xb5\x2f\xfd\n", "utf-8")  # as zstd
@example(b"\n\n", "utf-8")
@example(b"\x82\xa0\r\n\r\n", "cp932")
def test_lines_are_what_stands_between_newlines_each_read_by_itself(data: bytes, encoding: str):
    raws, texts = split(data, encoding)
    assert raws.to_list() == data.removesuffix(b"\n").split(b"\n")
    assert texts.to_list() == [decode(raw, encoding) for raw in raws.to_list()]
