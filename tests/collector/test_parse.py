from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import polars as pl
import pytest

from collector.parse import Parsed
from collector.read import Limits
from contract.event import BY_KEY, schema
from contract.rejected import REJECTED_SCHEMA
from registers.tokens import event_ids, raw_macs, subject_tokens

WELFARE = """
id = "welfare-ops"
format = "delimited"
time = ["日付", "時刻"]
required = ["actor.id", "event.action"]
[columns]
"actor.id" = "職員番号"
"event.action" = "処理"
"subject.token" = "宛名番号"
"resource.count" = "件数"
"warning.shown" = "警告"
"message" = "備考"
[constants]
"event.class" = "access"
"system.id" = "welfare"
[codes."event.action"]
"照会" = "read"
"更新" = "update"
[ids]
strip_zeros = ["actor.id", "subject.token"]
[recognise]
header = ["職員番号", "宛名番号"]
"""
HEADER = "日付,時刻,職員番号,処理,宛名番号,件数,警告,備考\n"


def events(parsed: list[Parsed]) -> pl.DataFrame:
    return pl.concat([piece.events for piece in parsed])


def refused(parsed: list[Parsed]) -> pl.DataFrame:
    return pl.concat([piece.rejected for piece in parsed])


@pytest.fixture
def welfare(declare, read, tmp_path: Path):
    """Events and refused lines of a log of the welfare system."""

    def run(body: str, name: str = "ops.csv", encoding: str = "utf-8", **more: object):
        path = tmp_path / name
        path.write_bytes((HEADER + body).encode(encoding))
        parsed, problems = read(path, sources=(declare(WELFARE),), **more)
        assert problems == []
        return events(parsed), refused(parsed)

    return run


def test_a_line_becomes_an_event(welfare, key):
    line = 'R8.4.1,25:30,００１２３,照会,0000456,"1,234",有,窓口'

    frame, bad = welfare(line + "\n", encoding="cp932")

    assert bad.is_empty()
    assert frame.schema == schema()
    [row] = frame.to_dicts()
    raw, generation = line.encode("cp932"), __import__("hashlib").sha256(HEADER[:-1].encode("cp932")).hexdigest()
    offset = len(HEADER.encode("cp932"))
    lines = pl.Series([raw], dtype=pl.Binary)
    assert {key: value for key, value in row.items() if value is not None} == {
        "event.id": event_ids("welfare-ops", generation, pl.Series([offset]), lines, key)[0],
        "event.schema": 1,
        "event.class": "access",
        "event.action": "read",
        "time.occurred": 1775061000000,  # 2 April 2026 01:30 in Tokyo
        "source.id": "welfare-ops",
        "source.position": f"ops.csv:{offset}",
        "raw.mac": raw_macs(lines, key)[0],
        "actor.id": "123",
        "system.id": "welfare",
        "resource.count": 1234,
        "subject.token": subject_tokens(pl.Series(["456"]), key)[0],
        "warning.shown": True,
        "message": "窓口",
    }


@pytest.mark.parametrize(
    ("line", "reason", "says"),
    [
        ("2026-04-01,10:00,1,照会,1,1,有", "columns", "has 7 columns, the header has 8"),
        ("2026-04-01,10:00,1,照会,1,1,有,x,y", "columns", "has 9 columns"),
        ("2026-02-30,10:00,1,照会,1,1,有,x", "time", "2026-02-30 10:00 is no date"),
        (",,1,照会,1,1,有,x", "time", "the line has no time"),
        ("2026-04-01,10:00,,照会,1,1,有,x", "required", "actor.id: is missing or empty"),
        ("2026-04-01,10:00,1,破棄,1,1,有,x", "value", "event.action: 破棄 is none of its words"),
        ("2026-04-01,10:00,1,照会,1,many,有,x", "value", "resource.count: many is no whole number"),
        ("2026-04-01,10:00,1,照会,1,-1,有,x", "value", "resource.count: -1 is below 0"),
        ("2026-04-01,10:00,1,照会,1,1,maybe,x", "value", "warning.shown: maybe is neither yes nor no"),
        ('2026-04-01,10:00,1,照会,1,1,有,"open', "format", "a quote is not closed"),
        ("2026-04-01,10:00,1,照会,1,1,有,\0", "encoding", "holds a NUL"),
    ],
)
def test_a_bad_line_is_refused_alone_with_reason_and_position(welfare, line: str, reason: str, says: str):
    good = "2026-04-01,10:00,1,照会,1,1,有,x\n"

    frame, bad = welfare(good + line + "\n" + good)

    assert frame.height == 2
    assert bad.schema == REJECTED_SCHEMA
    [row] = bad.to_dicts()
    assert row["reason"] == reason
    assert says in row["detail"]
    assert row["source.id"] == "welfare-ops"
    assert row["source.position"] == f"ops.csv:{len((HEADER + good).encode())}"
    assert row["line"] == line


def test_nothing_raw_about_people_on_file_is_kept_anywhere(welfare):
    number = "123456789018"  # carries the right check digit
    body = (
        f"2026-04-01,10:00,1,照会,0009876543,1,有,番号は {number}\n2026-04-01,10:00,1,照会,0009876543,x,有,{number}\n"
    )

    frame, bad = welfare(body)

    text = frame.write_csv() + bad.write_csv()
    assert frame.get_column("message").to_list() == ["番号は [個人番号]"]
    assert number not in text
    assert "9876543" not in text


def test_headers_in_between_and_blank_lines_are_neither_events_nor_refused(welfare):
    good = "2026-04-01,10:00,1,照会,1,1,有,x\n"

    frame, bad = welfare(good + "\n" + HEADER + "  \n" + good)

    assert (frame.height, bad.height) == (2, 0)


def test_a_missing_required_column_refuses_every_line(declare, read, tmp_path: Path):
    path = tmp_path / "ops.csv"
    path.write_text("日付,時刻,職員番号,宛名番号\n2026-04-01,10:00,1,2\n", encoding="utf-8")

    parsed, _ = read(path, sources=(declare(WELFARE),))

    assert refused(parsed).select("reason", "detail").rows() == [
        ("columns", "event.action: its column (処理) is not in the log")
    ]


def test_copied_rotated_and_zipped_files_give_the_same_ids(welfare, read, declare, tmp_path: Path):
    body = "".join(f"2026-04-01,10:{minute:02},1,照会,{minute},1,無,x\n" for minute in range(60))
    frame, _ = welfare(body)
    (tmp_path / "old.csv.gz").write_bytes(gzip.compress((tmp_path / "ops.csv").read_bytes()))
    shutil.copy(tmp_path / "ops.csv", tmp_path / "copy.csv")

    for name in ("old.csv.gz", "copy.csv"):
        parsed, _ = read(tmp_path / name, sources=(declare(WELFARE),))

        assert events(parsed).drop("source.position").equals(frame.drop("source.position"))
    assert frame.get_column("event.id").n_unique() == 60


def test_in_pieces_or_in_one_the_events_are_the_same(welfare):
    body = "".join(
        f'2026-04-01,10:{at % 60:02},{at % 3},照会,{at * at % 17},{"x" if at % 7 == 0 else 1},無,"a\nb"\n'
        for at in range(200)
    )

    whole = welfare(body)
    for limits in (Limits(piece_bytes=500), Limits(piece_lines=7), Limits(piece_bytes=64, piece_lines=1)):
        cut = welfare(body, limits=limits)

        assert cut[0].equals(whole[0])
        assert cut[1].equals(whole[1])


def test_subject_step_is_the_distance_from_the_actors_previous_subject(welfare):
    rows = [("1", 100), ("2", 500), ("1", 101), ("1", 101), ("2", 491), ("2", 481), ("1", "")]
    body = "".join(f"2026-04-01,10:00,{actor},照会,{subject},1,無,x\n" for actor, subject in rows)

    whole, _ = welfare(body)
    pieces, _ = welfare(body, limits=Limits(piece_lines=2))

    assert whole.get_column("subject.step").to_list() == [None, None, 1, 0, -9, None, None]
    assert pieces.get_column("subject.step").to_list() == whole.get_column("subject.step").to_list()


def test_many_texts_with_my_numbers_are_masked_like_few(welfare):
    numbers = ["123456789018", "1234-5678-9018", "１２３４５６７８９０１８"]
    for many in (1, 20, 60):
        body = "".join(
            f"2026-04-01,10:00,1,照会,1,1,有,{row} {numbers[row % 3]}\n2026-04-01,10:00,1,照会,1,1,有,a remark of one line\n"
            for row in range(many)
        )
        texts = welfare(body)[0].get_column("message").to_list()
        assert texts[::2] == [f"{row} [個人番号]" for row in range(many)]
        assert set(texts[1::2]) == {"a remark of one line"}


def test_every_event_is_one_of_the_contract(welfare):
    frame, _ = welfare("2026-04-01,10:00,1,照会,1,1,有,x\n" * 3)

    for name, field in BY_KEY.items():
        values = frame.get_column(name).drop_nulls()
        assert not (values == "").any() if field.kind == "str" else True
        assert not field.values or set(values) <= set(field.values)


def test_stamps_without_year_go_on_from_december_to_january(read, tmp_path: Path):
    path = tmp_path / "auth.log"
    path.write_text(
        "Dec 31 23:59:59 h a: x\nJan  1 00:00:00 h a: x\nDec 31 23:59:58 h a: late\nJan  1 00:00:01 h a: x\nFeb 29 00:00:00 h a: x\n",
        encoding="utf-8",
    )

    for limits in (Limits(), Limits(piece_lines=1)):
        parsed, problems = read(path, zone="UTC", reference_year=2027, limits=limits)

        times = (
            events(parsed)
            .get_column("time.occurred")
            .cast(pl.Datetime("ms"))
            .dt.strftime("%Y-%m-%d %H:%M:%S")
            .to_list()
        )
        assert times == [
            "2027-12-31 23:59:59", "2028-01-01 00:00:00", "2027-12-31 23:59:58", "2028-01-01 00:00:01", "2028-02-29 00:00:00",
        ]  # fmt: skip
        assert problems == []


def test_without_any_year_the_content_alone_decides(read, tmp_path: Path):
    (tmp_path / "auth.log").write_text("Apr  1 08:00:00 h a: x\n", encoding="utf-8")

    alone, _ = read(tmp_path / "auth.log", zone="UTC")
    (tmp_path / "app.log").write_text("2026-03-01T00:00:00Z h a: x\n", encoding="utf-8")
    beside, _ = read(tmp_path, zone="UTC")

    assert events(alone).get_column("time.occurred").cast(pl.Datetime("ms")).dt.year().to_list() == [2000]
    assert events(beside).get_column("time.occurred").cast(pl.Datetime("ms")).dt.year().to_list() == [2026, 2026]


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["-", "なし", "", "上司の承認"], [None, None, None, "上司の承認"]),
        (
            ["なしと記録", "上司の承認", "なしと記録", "電話で確認"],
            ["なしと記録", "上司の承認", "なしと記録", "電話で確認"],
        ),
        (["abcdef", "なし", "-", "abcdefg"], ["abcdef", None, None, "abcdefg"]),
        (["abcdef", "なし", "なし ", "abcdefg"], ["abcdef", None, None, "abcdefg"]),
        (["abcdefg", "　　", "  なし", "abcdefg"], ["abcdefg", None, None, "abcdefg"]),
    ],
)
def test_a_word_for_no_value_is_none_among_longer_texts(declare, read, tmp_path, texts, kept):
    source = declare(WELFARE.replace('format = "delimited"', 'format = "delimited"\nempty = ["-", "なし"]'))
    path = tmp_path / "ops.csv"
    path.write_text(HEADER + "".join(f"2026-04-01,10:00,7,照会,1,1,,{text}\n" for text in texts))
    parsed, _ = read(path, sources=(source,))
    assert events(parsed)["message"].to_list() == kept
