"""Records of several lines."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.cut import DEFAULT_LIMITS, Cutter, Limits, Start
from collector.recognise import recognise
from collector.sources import shipped

TRACE = 'id = "app"\nformat = "syslog"\nrecord_start = \'^[A-Z][a-z]{2} [ 0-9][0-9] \'\n'
DELIMITED = (
    'id = "ops"\nformat = "delimited"\nrecord_start = \'^[0-9]{4}-\'\ntime = "t"\n[columns]\nmessage = "m"\n'
    '[constants]\n"event.class" = "log"\n'
)


def _pieces(data: bytes, source, limits: Limits = DEFAULT_LIMITS, step: int = 7) -> pl.DataFrame:
    cutter = Cutter("a.log", source, limits)
    found = [piece for at in range(0, len(data), step) for piece in cutter.feed(data[at : at + step])]
    return pl.concat([piece.lines for piece in (*found, *cutter.finish())])


def test_lines_that_begin_no_record_belong_to_the_one_before(read, declare, tmp_path: Path):
    path = tmp_path / "a.log"
    trace = "Apr  1 08:30:00 h app[7]: it broke\n\tat one\n\tat two\nApr  1 08:30:01 h app[7]: well again\n"
    path.write_text(trace, encoding="utf-8")

    parsed, _ = read(path, sources=(declare(TRACE + "[recognise]\npattern = '^[A-Z][a-z]{2} '\n"),))

    events = pl.concat([piece.events for piece in parsed])
    assert events.get_column("message").to_list() == ["it broke\n\tat one\n\tat two", "well again"]
    assert events.get_column("source.position").to_list() == ["a.log:0", "a.log:51"]
    assert sum(piece.rejected.height for piece in parsed) == 0


def test_the_raw_record_is_its_bytes_and_the_text_has_no_carriage_returns(declare):
    lines = _pieces(b"Apr  1 a\r\nb\r\nApr  2 c\r\n", declare(TRACE))
    assert lines.rows() == [(b"Apr  1 a\r\nb", "Apr  1 a\nb", 0), (b"Apr  2 c", "Apr  2 c", 13)]


def test_json_over_several_lines_is_one_object(read, declare, tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(
        '{\n "t": "2026-04-01 08:30:00",\n "m": "x"\n}\n{\n "t": "2026-04-01 08:30:01"\n}\n', encoding="utf-8"
    )
    text = DELIMITED.replace("delimited", "json").replace("^[0-9]{4}-", r"^\{") + "[recognise]\npattern = '\"t\"'\n"

    [parsed], _ = read(path, sources=(declare(text),))

    assert parsed.rejected.height == 0
    assert parsed.events.get_column("message").to_list() == ["x", None]


def test_what_stands_before_the_first_beginning_is_a_record_of_its_own(declare):
    lines = _pieces(b"rest\nof one\nApr  1 a\n", declare(TRACE))
    assert lines.get_column("line").to_list() == ["rest\nof one", "Apr  1 a"]


def test_a_record_has_no_more_lines_than_is_allowed(declare):
    lines = _pieces(b"Apr  1 a\n" + b"more\n" * 7 + b"Apr  2 b\n", declare(TRACE), Limits(record_lines=3))
    assert [line.count("\n") + 1 for line in lines.get_column("line").to_list()] == [3, 3, 2, 1]


def test_a_record_with_a_line_that_is_no_text_is_refused_whole(read, declare, tmp_path: Path):
    path = tmp_path / "a.log"
    path.write_bytes("Apr  1 08:30:00 h a: 日本\n".encode() + b"\xff\xfe\nApr  1 08:30:01 h a: b\n")

    [parsed], _ = read(path, sources=(declare(TRACE + "[recognise]\npattern = '^A'\n"),))

    assert parsed.rejected.get_column("reason").to_list() == ["encoding"]
    assert parsed.events.get_column("message").to_list() == ["b"]


LINES = st.lists(st.sampled_from(["Apr  1 a", "Apr  2 b", "x", "", "\ty", "z\r"]), max_size=30)


@settings(deadline=None)
@given(LINES, st.integers(1, 40), st.integers(1, 60), st.booleans())
def test_records_are_the_same_however_the_file_comes_and_none_is_lost(declare_trace, texts, record_lines, step, ended):
    data = ("\n".join(texts) + ("\n" if ended and texts else "")).encode()
    limits = Limits(record_lines=record_lines, piece_bytes=16)
    whole = _pieces(data, declare_trace, limits, len(data) or 1) if data else None
    if whole is None:
        return
    assert _pieces(data, declare_trace, limits, step).equals(whole)
    kept = b"\n".join(whole.get_column("raw").to_list()).replace(b"\r", b"")
    assert kept == data.removesuffix(b"\n").replace(b"\r", b"")


@settings(deadline=None)
@given(LINES, st.integers(1, 40), st.data())
def test_reading_goes_on_at_the_end_of_any_record(declare_trace, texts, record_lines, drawn):
    data = ("\n".join(texts) + "\n").encode()
    limits = Limits(record_lines=record_lines)
    whole = _pieces(data, declare_trace, limits)
    at = drawn.draw(st.sampled_from(whole.get_column("offset").to_list()))
    if at == 0:
        return
    cutter = Cutter("a.log", declare_trace, limits, Start(at, "g", "utf-8", None, b""))
    rest = pl.concat([piece.lines for piece in (*cutter.feed(data[at:]), *cutter.finish())])
    assert rest.equals(whole.filter(pl.col("offset") >= at))


@pytest.fixture(scope="module")
def declare_trace():
    from collector.sources import Source

    return Source(id="app", format="syslog", record_start="^[A-Z][a-z]{2} [ 0-9][0-9] ")


def test_a_header_after_a_blank_line_is_the_header(read, declare, tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("\n  \nt,m\n2026-04-01 08:30:00,x\n", encoding="utf-8")
    text = DELIMITED.replace("record_start = '^[0-9]{4}-'\n", "")

    [parsed], _ = read(path, sources=(declare(text + '[recognise]\nheader = ["t", "m"]\n'),))

    assert parsed.events.get_column("message").to_list() == ["x"]
    assert parsed.rejected.height == 0


def test_a_log_of_long_statements_is_recognised_by_its_records():
    begin = '2026-04-01 08:33:20.123 JST,"alice","welfare",4242,"192.0.2.1:5",6.1,1,"SELECT",2026-04-01 08:29:00 JST,3/12,0,LOG,00000,'
    head = (
        f'{begin}"AUDIT: SESSION,1,1,READ,SELECT,,,""select\n'
        + "a,\n" * 30
        + 'b"",<none>",,,,,,,,,"",,,0\n'
        + f'{begin}"x\n'
        + "y\n" * 40
    )
    found = recognise(head.encode(), "x.csv", shipped())
    assert found is not None
    assert found.id == "postgresql"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TRACE.replace("^[A-Z]", "(?=x)"), "record_start: is no regular expression of RE2"),
        (TRACE.replace('"syslog"', '"event"'), "record_start: the format event knows itself"),
    ],
)
def test_a_beginning_that_cannot_work_is_told(declare, text: str, problem: str):
    with pytest.raises(ValueError, match=problem):
        declare(text)
