"""Odd bytes: a line stays one line, whole, whatever is in it and however it comes."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
from pathlib import Path

import pytest

from collector.cut import Limits
from collector.follow import Lines
from collector.ingest import ingest
from collector.parse import parse
from collector.sources import Source, shipped
from registers.tokens import SiteKey
from tests.collector.follow.rig import Rig

ODD = [
    b"nul \0 in it",
    b"a lone \r in it",
    b"\xe2\x80\xa8 line separator",
    b"\xc2\x85 next line \x0b \x0c",
    b"\x1b[31mred\x1b[0m",
    "住民票の写し".encode("cp932"),
    "住民票の写し".encode(),
    b"\xff\xfe not text",
    b"",
    b" ",
    b'an open " quote',
]


def test_a_line_with_odd_bytes_is_one_line(rig: Rig):
    for line in ODD:
        with rig.log.open("ab") as file:
            file.write(line + b"\n")
        rig.run()
        rig.start()

    assert rig.lines == ODD


def test_crlf_is_no_part_of_the_line_also_when_it_comes_in_two(rig: Rig):
    for data in (b"one\r\ntw", b"o\r", b"\n", b"three\r\n"):
        with rig.log.open("ab") as file:
            file.write(data)
        rig.run()
        rig.start()

    assert rig.lines == [b"one", b"two", b"three"]


def test_a_line_that_comes_byte_by_byte_is_given_once_it_is_whole(rig: Rig):
    rig.write(1)
    whole = "窓口で住民票の写しを交付".encode()
    for byte in whole:
        with rig.log.open("ab") as file:
            file.write(bytes([byte]))
        rig.run()
        assert len(rig.lines) == 1
    with rig.log.open("ab") as file:
        file.write(b"\n")
    rig.run()

    assert rig.lines[1:] == [whole]


def test_a_huge_line_costs_itself_only_and_no_memory(rig: Rig):
    rig.limits = Limits(piece_bytes=64 << 10, line_bytes=10 << 10)
    rig.write(3)
    start = rig.log.stat().st_size
    with rig.log.open("ab") as file:
        for _ in range(64):
            file.write(b"x" * (1 << 20))
    for _ in range(10):
        rig.take(rig.poll(budget_bytes=3 << 20))
    assert rig.follower is not None
    [stream] = rig.follower._groups[0].streams.values()
    assert len(stream._cutter._buffer) < 2 << 20
    rig.start()
    rig.run()
    with rig.log.open("ab") as file:
        file.write(b"\n")
    rig.write(3)
    rig.run()

    assert rig.long == [(start, 64 << 20)]
    rig.check()


def test_a_huge_first_line_has_one_generation_however_it_is_read(rig: Rig, tmp_path: Path):
    rig.limits = Limits(line_bytes=10 << 10)
    rig.log.write_bytes(b"y" * (50 << 10) + b"\n")
    rig.write(1)
    rig.take(rig.poll(budget_bytes=1 << 10))
    rig.run(budget_bytes=20 << 10)
    rig.start()
    rig.write(1)
    rig.run()

    assert {generation for _, generation, _, _ in rig.given} == {hashlib.sha256(b"y" * (10 << 10)).hexdigest()}
    rig.check()


def test_records_of_several_lines_stay_together_over_polls_and_restarts(rig: Rig, declare):
    rig.source = declare('id="c"\nformat="delimited"\ntime="t"\n[constants]\n"event.class"="log"\n')
    records = [b"t,m", b'1,"two\nlines"', b"2,x", b'3,"three\n\nlines"', b"4,y"]
    for data in (b't,m\n1,"two\n', b'lines"\n2,x\n3,"three\n', b"\n", b'lines"\n4,y\n'):
        with rig.log.open("ab") as file:
            file.write(data)
        rig.run()
        rig.start()

    assert rig.lines == records


def test_a_stray_quote_in_a_quiet_log_holds_nothing_up_for_long(rig: Rig, declare):
    rig.source = declare('id="c"\nformat="delimited"\ntime="t"\n[constants]\n"event.class"="log"\n')
    rig.log.write_bytes(b't,m\n1,"open\n2,x\n')
    rig.run()
    assert rig.lines == [b"t,m"]

    rig.run(12)

    assert rig.lines == [b"t,m", b'1,"open', b"2,x"]


def test_following_gives_the_events_that_analysing_gives(rig: Rig, key: SiteKey, tmp_path: Path):
    """The same ids for what was followed, rotated and zipped as for the whole file read at once."""
    whole = tmp_path / "whole.csv"
    rows = [f"2026-04-01T09:{n // 60 % 60:02}:{n % 60:02},u{n % 9},照会,{n}\n" for n in range(300)]
    whole.write_text("time,user,op,id\n" + "".join(rows), encoding="cp932")
    rig.source = Source.model_validate(
        {
            "id": "csv", "format": "delimited", "time": ["time"], "constants": {"event.class": "access"},
            "columns": {"actor.id": ["user"], "op.name": ["op"], "resource.id": ["id"]},
        }
    )  # fmt: skip
    data = whole.read_bytes()
    found = []
    for at in range(0, len(data), 997):
        with rig.log.open("ab") as file:
            file.write(data[at : at + 997])
        if at == 4 * 997:
            rig.rotate()
            rig.zip(rig.folder / "app.log.1")
            (rig.folder / "app.log.1.gz").rename(rig.folder / "moved.gz")

            rig.log.write_bytes(gzip.decompress((rig.folder / "moved.gz").read_bytes()))
            (rig.folder / "moved.gz").unlink()
        given = rig.poll()
        found += [one for one in given if isinstance(one, Lines)]
        rig.take(given)
        rig.start()

    followed = [parse(one.piece, one.source, key, "Asia/Tokyo").events for one in found]
    analysed = [one.events for one in ingest([whole], shipped(), key, "Asia/Tokyo", problems=[], source=rig.source)]
    ids = [event for frame in followed for event in frame.select("event.id", "actor.id", "op.name").rows()]
    assert ids == [event for frame in analysed for event in frame.select("event.id", "actor.id", "op.name").rows()]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_the_encoding_stays_what_it_was_taken_for(rig: Rig, encoding: str):
    taken = []
    for text in ("ascii", "住民票の写し 交付", "ascii", "照会"):
        with rig.log.open("ab") as file:
            file.write(text.encode(encoding) + b"\n")
        given = rig.poll()
        taken += [
            (one.piece.encoding, one.piece.lines.get_column("line").to_list())
            for one in given
            if isinstance(one, Lines)
        ]
        rig.take(given)
        rig.start()

    assert [lines for _, lines in taken] == [["ascii"], ["住民票の写し 交付"], ["ascii"], ["照会"]]
    assert [found for found, _ in taken] == ["auto", encoding, encoding, encoding]


def test_an_encoding_taken_from_one_line_is_given_up_when_others_speak_against_it(rig: Rig):
    """ﾅｵ in half-width katakana is valid UTF-8 too."""
    taken = []
    for text in ("ﾅｵ", "住民票", "ﾅｵ", *["照会"] * 30):
        with rig.log.open("ab") as file:
            file.write(text.encode("cp932") + b"\n")
        given = rig.poll()
        taken += [
            line for one in given if isinstance(one, Lines) for line in one.piece.lines.get_column("line").to_list()
        ]
        rig.take(given)
        if text == "住民票":
            rig.start()
    with rig.log.open("ab") as file:
        file.write(b"\xff\xfd\n" + "照会".encode("cp932") + b"\n")
    given = rig.poll()
    taken += [line for one in given if isinstance(one, Lines) for line in one.piece.lines.get_column("line").to_list()]

    assert taken[1:] == ["住民票", "ﾅｵ", *["照会"] * 30, None, "照会"]


@pytest.mark.slow
def test_a_line_of_a_gibibyte_is_one_refused_line_in_little_memory(rig: Rig):
    before = rig.write(3)
    start = rig.log.stat().st_size
    os.truncate(rig.log, start + (1 << 30))  # a hole reads as NULs
    with rig.log.open("ab") as file:
        file.write(b"\n")
    rig.write(3)
    rig.take(rig.poll(budget_bytes=100 << 20))
    rig.start()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rig.run(seconds=140, budget_bytes=8 << 20)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100 << 10  # KiB
    assert rig.long == [(start, 1 << 30)]
    assert rig.lines[:3] == before
    rig.check()


@pytest.mark.parametrize("before", [b"", b"\n", b"\r\n\n"])
def test_the_header_is_known_again_after_a_restart(rig: Rig, declare, before: bytes):
    rig.source = declare('id="c"\nformat="delimited"\ntime="日時"\n[constants]\n"event.class"="log"\n')
    headers = []
    for data in (before, '日時,"内\n容"\n'.encode("cp932"), b"1,2\n", b"3,4\n"):
        with rig.log.open("ab") as file:
            file.write(data)
        given = rig.poll()
        headers += [one.piece.header for one in given if isinstance(one, Lines)]
        rig.take(given)
        rig.start()

    assert headers[-3:] == ['日時,"内\n容"'] * 3
