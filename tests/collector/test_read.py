from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import polars as pl
import pytest

from collector.read import DEFAULT_LIMITS, Cutter, Limits, Unreadable, files, head, pieces

CSV = 'id="c"\nformat="delimited"\ntime="t"\n[constants]\n"event.class"="log"\n'
LOG = 'id="s"\nformat="syslog"\n'


def lines_of(path: Path, source, limits: Limits = DEFAULT_LIMITS) -> pl.DataFrame:
    return pl.concat([piece.lines for piece in pieces(path, path.name, source, limits)])


def test_offsets_are_bytes_and_line_ends_are_no_part_of_a_line(tmp_path: Path, declare):
    path = tmp_path / "a.log"
    path.write_bytes("あ\r\nb\rc\n\nlast".encode())

    [piece] = pieces(path, "a.log", declare(LOG))

    assert piece.lines.get_column("raw").to_list() == ["あ".encode(), b"b\rc", b"", b"last"]
    assert piece.lines.get_column("offset").to_list() == [0, 5, 9, 10]
    assert piece.generation == hashlib.sha256("あ".encode()).hexdigest()


def test_a_my_number_in_the_name_of_a_file_is_masked(tmp_path: Path, declare):
    path = tmp_path / "照会_1234-5678-9018.log"
    path.write_bytes(b"a\n")

    [piece] = pieces(path, path.name, declare(LOG))

    assert piece.name == "照会_[個人番号].log"


def test_a_quoted_newline_belongs_to_its_line(tmp_path: Path, declare):
    path = tmp_path / "a.csv"
    path.write_bytes(b't,m\r\n1,"two\r\nlines, ""and"" a comma"\r\n2,x\r\n')

    [piece] = pieces(path, "a.csv", declare(CSV))

    assert piece.lines.get_column("raw").to_list() == [b"t,m", b'1,"two\r\nlines, ""and"" a comma"', b"2,x"]
    assert piece.lines.get_column("offset").to_list() == [0, 5, 38]


@pytest.mark.parametrize("stray", ['1,"never closed', '"', '1,5" pipe', '1,""",x'])
def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path, declare, stray: str):
    path = tmp_path / "a.csv"
    path.write_text(f't,m\n{stray}\n2,x\n3,"quoted"\n4,"a\nb"\n5,y\n', encoding="utf-8")

    lines = lines_of(path, declare(CSV)).get_column("line").to_list()

    assert lines == ["t,m", stray, "2,x", '3,"quoted"', '4,"a\nb"', "5,y"]


def test_a_quote_that_stays_open_for_too_many_lines_was_none(tmp_path: Path, declare):
    path = tmp_path / "a.csv"
    path.write_text('t,m\n1,"open\n' + "2,x\n" * 20 + '3"\n', encoding="utf-8")

    few = lines_of(path, declare(CSV), Limits(record_lines=10))
    many = lines_of(path, declare(CSV), Limits(record_lines=100))

    assert few.height == 23
    assert many.height == 2


def test_pieces_of_any_size_give_the_same_lines(tmp_path: Path, declare):
    chance = random.Random(7)
    fields = ["plain", '"quoted"', '"two\nlines"', '"a ""b"""', "", '5"', '"open', "あ,い", "x\r"]
    text = "t,m\n" + "".join(f"{chance.choice(fields)},{chance.choice(fields)}\n" for _ in range(300))
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    source = declare(CSV)
    whole = lines_of(path, source, Limits(record_lines=5))

    for size in (1, 7, 100, 1000):
        cutter = Cutter("a.csv", source, Limits(piece_bytes=size, piece_lines=3, record_lines=5))
        data = path.read_bytes()
        cut = [piece for at in range(0, len(data), 13) for piece in cutter.feed(data[at : at + 13])]
        cut += cutter.finish()

        assert pl.concat([piece.lines for piece in cut]).equals(whole)
        assert {piece.generation for piece in cut} == {hashlib.sha256(b"t,m").hexdigest()}
        assert {piece.header for piece in cut} == {"t,m"}


def test_a_line_too_long_is_kept_in_part_and_the_next_is_read(tmp_path: Path, declare):
    path = tmp_path / "a.log"
    path.write_bytes(b"first\n" + b"x" * 5000 + b"\nlast\n" + b"y" * 300 + b"\n")

    cut = list(pieces(path, "a.log", declare(LOG), Limits(piece_bytes=1000, line_bytes=200)))

    lines = pl.concat([piece.lines for piece in cut])
    long = pl.concat([piece.too_long for piece in cut])
    assert lines.select("line", "offset").rows() == [("first", 0), ("last", 5007)]
    assert long.select("offset", "bytes").rows() == [(6, 5000), (5012, 300)]
    assert {len(line) for line in long.get_column("line").to_list()} == {300, 2000}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp"])
def test_encodings_are_told_apart(tmp_path: Path, declare, encoding: str):
    path = tmp_path / "a.log"
    path.write_bytes("ascii\n㈱髙橋①商店 照会\n漢字とかな\n".encode("cp932" if encoding == "cp932" else "utf-8"))
    if encoding == "euc_jp":
        path.write_bytes("ascii\n漢字とかな 照会\n".encode("euc_jp"))
    elif encoding == "utf-8-sig":
        path.write_bytes("㈱髙橋①商店\n".encode("utf-8-sig"))

    lines = lines_of(path, declare(LOG)).get_column("line").to_list()

    assert lines[-1] in ("漢字とかな", "漢字とかな 照会", "㈱髙橋①商店")


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_a_broken_line_costs_itself_only(tmp_path: Path, declare, encoding: str):
    path = tmp_path / "a.log"
    good = "住民票の写し\n".encode(encoding)
    path.write_bytes(good * 3 + b"\xff\x80\xfd\n" + good)

    lines = lines_of(path, declare(LOG)).get_column("line").to_list()

    assert lines == ["住民票の写し"] * 3 + [None, "住民票の写し"]


def test_gzip_is_read_like_the_file_inside_also_in_members(tmp_path: Path, declare):
    (tmp_path / "a.log").write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n") + b"\0" * 10)

    plain, packed = (lines_of(tmp_path / name, declare(LOG)) for name in ("a.log", "a.log.1.gz"))

    assert plain.equals(packed)


def test_a_truncated_gzip_gives_what_is_there_and_says_so(tmp_path: Path, declare):
    text = b"".join(b"%x\n" % (number * 2654435761 % 2**32) for number in range(20_000))
    packed = gzip.compress(text)
    path = tmp_path / "a.gz"
    path.write_bytes(packed[: len(packed) // 2])

    found: list[pl.DataFrame] = []

    def read() -> None:
        found.extend(piece.lines for piece in pieces(path, "a.gz", declare(LOG)))

    with pytest.raises(Unreadable, match=r"a\.gz: gzip is cut off after \d+ bytes"):
        read()

    assert pl.concat(found).height > 5_000


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\x7fELF\0\0\1", "is binary"),
        ("ログ\n".encode("utf-16"), "is UTF-16"),
        (b"PK\x03\x04...", "is a zip archive"),
        (b"\x1f\x8b garbage", "gzip is damaged"),
    ],
)
def test_what_is_no_log_is_said_in_one_line(tmp_path: Path, data: bytes, says: str):
    path = tmp_path / "thing"
    path.write_bytes(data)

    with pytest.raises(Unreadable) as caught:
        head(path)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_come_sorted_and_named_below_the_folder(tmp_path: Path):
    for name in ("b/x.log", "a.log", "b/a.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    problems: list[str] = []

    assert [name for _, name in files(tmp_path, problems)] == ["a.log", "b/a.log", "b/x.log"]
    assert files(tmp_path / "nothing", problems) == []
    assert "there is no such file" in problems[0]
