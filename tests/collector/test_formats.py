from __future__ import annotations

import csv
import random
from pathlib import Path

import polars as pl
import pytest

from collector.formats import DETAIL, REASON, TIME, by_pattern, delimited, jsonlines, syslog, web
from collector.recognise import recognise
from collector.sources import shipped


@pytest.fixture
def rows(read, tmp_path: Path):
    """Events of a log as dictionaries without what every event has, and the refused lines' reasons."""

    def run(text: str, name: str = "x.log", **more: object):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        parsed, _ = read(path, zone="UTC", **more)
        frame = pl.concat([piece.events for piece in parsed])
        bad = pl.concat([piece.rejected for piece in parsed])
        common = ("event.id", "event.schema", "source.position", "raw.mac")
        found = [{k: v for k, v in row.items() if v is not None and k not in common} for row in frame.to_dicts()]
        return found, bad.get_column("reason").to_list()

    return run


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (
            "sshd[7]: Accepted password for fztu from 192.0.2.9 port 49116 ssh2",
            {"event.class": "authentication", "event.action": "logon", "event.outcome": "success", "actor.id": "fztu",
             "auth.method": "password", "src.ip": "192.0.2.9", "session.id": "h/sshd[7]", "system.id": "h"},
        ),
        (
            "sshd[7]: Failed password for invalid user a b from 192.0.2.9 port 1 ssh2",
            {"event.class": "authentication", "event.outcome": "failure", "actor.id": "a b", "event.reason": "invalid user"},
        ),
        (
            "sshd[7]: message repeated 5 times: [ Failed password for root from 192.0.2.9 port 1 ssh2]",
            {"event.outcome": "failure", "actor.id": "root", "resource.count": 5},
        ),
        # PAM tells of the same attempt: one attempt is one event of class authentication.
        (
            "sshd[7]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=h.example  user=root",
            {"event.class": "log", "actor.id": "root", "src.device": "h.example"},
        ),
        # An old PAM writes this line only.
        (
            "sshd(pam_unix)[7]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=192.0.2.9  user=root",
            {"event.class": "authentication", "event.outcome": "failure", "actor.id": "root", "src.ip": "192.0.2.9"},
        ),
        (
            "sudo:   carol : TTY=pts/0 ; PWD=/home ; USER=root ; COMMAND=/bin/cat /etc/shadow",
            {"event.class": "admin", "event.outcome": "success", "actor.id": "carol", "target.actor": "root", "op.code": "sudo"},
        ),
        (
            "sudo:   carol : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            {"event.class": "admin", "event.outcome": "denied", "actor.id": "carol"},
        ),
        (
            "sudo:   carol : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            {"event.class": "authentication", "event.outcome": "failure", "resource.count": 3},
        ),
        (
            "su[9]: pam_unix(su:session): session opened for user root by dave(uid=1000)",
            {"event.action": "logon", "actor.id": "dave", "target.actor": "root"},
        ),
        ("CRON[9]: pam_unix(cron:session): session opened for user root by (uid=0)", {"event.class": "log"}),
        ("kernel: Linux version 2.6.5", {"event.class": "log", "op.code": "kernel", "message": "Linux version 2.6.5"}),
        (" -- root[2421]: ROOT LOGIN ON tty2", {"event.action": "logon", "actor.id": "root"}),
        ("last message repeated 2 times", {"event.class": "log", "message": "last message repeated 2 times"}),
    ],
)  # fmt: skip
def test_what_a_syslog_message_means(rows, message: str, values: dict[str, object]):
    [row], bad = rows(f"Dec 10 06:55:46 h {message}\r\n")

    assert bad == []
    assert values.items() <= row.items()


def test_syslog_of_all_three_shapes_and_a_line_that_is_none(rows):
    found, bad = rows(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed\n"
        "<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed\n"
        '<165>1 2003-10-11T22:14:15+09:00 192.0.2.1 sshd 12 ID [x@1 a="b]" c="d"][y] Accepted publickey for bob from 192.0.2.2 port 1\n'
        "2026-04-01T10:00:00.123456+09:00 h app[3]: hello\n"
        "no syslog at all\n",
        reference_year=2003,
    )

    assert [row["time.occurred"] for row in found] == [1065910455000, 1065910455003, 1065878055000, 1775005200123]
    assert found[2]["actor.id"] == "bob"
    assert found[2]["auth.method"] == "certificate"
    assert bad == ["format"]


def test_every_rule_of_syslog_is_well_formed():
    for rule in syslog.RULES:
        pl.Series([""]).str.contains(rule.pattern)
        assert rule.values["event.class"]


def test_web_access_logs(rows):
    found, bad = rows(
        '203.0.113.5 - alice [10/Oct/2025:13:55:36 +0900] "GET /ledger?id=5 HTTP/1.1" 200 2326 "-" "Mozilla \\"x\\""\n'
        '203.0.113.5 - - [10/Oct/2025:13:55:36 +0900] "DELETE /ledger HTTP/1.1" 403 -\n'
        '203.0.113.5 - - [10/Oct/2025:13:55:36 +0900] "\\x16\\x03" 400 226 "-" "-"\n'
        "nonsense\n"
    )

    assert found[0].items() >= {
        "time.occurred": 1760072136000, "actor.id": "alice", "src.ip": "203.0.113.5", "event.action": "read",
        "event.outcome": "success", "resource.id": "/ledger", "bytes.out": 2326,
    }.items()  # fmt: skip
    assert found[1].items() >= {"event.action": "delete", "event.outcome": "denied"}.items()
    assert "actor.id" not in found[1]
    assert found[2]["event.outcome"] == "failure"
    assert bad == ["format"]


def test_apache_error_logs_of_both_ages(rows):
    found, _ = rows(
        "[Sun Dec 04 07:18:00 2005] [error] [client 192.0.2.8] Directory index forbidden by rule: /var/www/html/\r\n"
        '[Wed Oct 11 14:32:52.123456 2023] [auth_basic:error] [pid 35708:tid 4328636416] [client 192.0.2.8:51] AH01617: user bob: authentication failure for "/x": Password Mismatch\n'
    )

    assert (
        found[0].items() >= {"time.occurred": 1133680680000, "src.ip": "192.0.2.8", "event.outcome": "denied"}.items()
    )
    assert found[1].items() >= {
        "time.occurred": 1697034772123, "event.class": "authentication", "event.outcome": "failure", "actor.id": "bob",
    }.items()  # fmt: skip


def test_key_value_pairs_are_read_from_the_start(rows):
    found, bad = rows(
        'time.occurred="2026-04-01 10:00:00" event.class=access actor.id=1 message="x actor.id=9 \\"q\\""\n'
        "time.occurred=2026-04-01T10:00:00Z event.class=access actor.id=1 actor.id=2\n"
        "foo bar\n"
    )

    assert [row["actor.id"] for row in found] == ["1"]
    assert found[0]["message"] == 'x actor.id=9 "q"'
    assert bad == ["duplicate", "format"]


def test_a_my_number_that_is_escaped_in_a_quoted_value_is_masked(rows):
    """Taken for quoted letters, `\\u0031` would lose its backslash, and nobody could tell that it is a digit."""
    found, bad = rows(
        'time.occurred=2026-04-01T10:00:00Z event.class=access message="a\\u0031234 5678 9018 b"\n'
        'time.occurred=2026-04-01T10:00:01Z event.class=access message="a\\x31234-5678-9018 \\"b\\" C:\\\\Users"\n'
    )

    assert [row["message"] for row in found] == ["a[個人番号] b", 'a[個人番号] "b" C:\\Users']
    assert bad == []


def test_json_lines_and_what_only_looks_like_them(rows):
    found, bad = rows(
        '{"time.occurred":1775090400000,"event.class":"access","resource.count":3,"warning.shown":false}\n'
        '{"a":1},{"b":2}\n[1]\nnull\n{"a":[{"b":1}\n{"c":2}]}\n{"time.occurred":"2026-04-01","event.class":"log"} x\n'
        '{"event.class":"access"}\n'
        '{"time.occurred":"2026-04-01T00:00:00Z","event.class":"access"}\n',
        source=next(source for source in shipped() if source.id == "event-json"),
    )

    for spelt in ("\\u0000", "\\ud800", "\\ude00\\ud83d"):
        _, nul = rows(f'{{"time.occurred":1775090400000,"event.class":"access","message":"x{spelt}"}}\n')
        assert nul in (["encoding"], ["json"])
    [pair], _ = rows('{"time.occurred":1775090400000,"event.class":"access","message":"\\ud83d\\ude00"}\n')
    assert pair["message"] == "😀"
    assert [row["time.occurred"] for row in found] == [1775090400000, 1775001600000]
    assert found[0]["warning.shown"] is False
    assert bad == ["json"] * 6 + ["time"]


def test_json_pointers_reach_into_objects(declare):
    source = declare(
        'id="j"\nformat="json"\ntime="/at/ms"\n[constants]\n"event.class"="log"\n[columns]\n"actor.id"="/user/a~1b"\n"op.code"="op.x"\n'
    )

    frame = jsonlines.cut(pl.Series(['{"at":{"ms":5},"user":{"a/b":"x"},"op.x":[1,2]}', "{}", "{"]), source)

    assert frame.drop(REASON, DETAIL).rows() == [("5", "x", "[1, 2]"), (None, None, None), (None, None, None)]
    assert frame.get_column(REASON).to_list() == [None, None, "json"]


def test_windows_events_nested_flat_and_of_other_ids(rows):
    nested = (
        '{"Event":{"System":{"EventID":%s,"Computer":"PC1","Channel":"Security","TimeCreated":{"#attributes":'
        '{"SystemTime":"2019-02-13T18:02:04.426662Z"}}},%s}}\n'
    )
    data = '"EventData":{"TargetUserName":"bob","TargetLogonId":"0xAB","LogonType":%s,"IpAddress":"::ffff:192.0.2.1","Status":"0xc000006d","SubStatus":"0xC000006A","WorkstationName":"-"}'
    found, bad = rows(
        nested % ("4624", data % "3")
        + nested % ('"4625"', data % '"3"')
        + nested % ("1102", '"UserData":{"LogFileCleared":{"SubjectUserName":"eve","SubjectLogonId":"0x5"}}')
        + '{"EventID":4769,"@timestamp":"2020-06-10T02:51:03.645Z","EventTime":"2020-06-09 22:51:02","TargetUserName":"X$@CORP","Status":"0x0","Hostname":"DC"}\n'
        + '{"EventID":5156,"TimeCreated":"2020-06-10T02:51:03Z"}\n'
        + '{"EventID":4624}\n{"Channel":"Security"}\n'
    )

    assert found[0].items() >= {
        "event.action": "logon", "event.outcome": "success", "actor.id": "bob", "session.id": "PC1/0xab", "src.ip": "192.0.2.1",
        "time.occurred": 1550080924426, "op.code": "4624", "system.id": "PC1",
    }.items()  # fmt: skip
    assert "src.device" not in found[0]
    assert found[1].items() >= {"event.outcome": "failure", "event.reason": "bad password"}.items()
    assert found[2].items() >= {"event.class": "log", "event.action": "log_clear", "actor.id": "eve"}.items()
    assert found[3].items() >= {"time.occurred": 1591757463645, "actor.id": "X$", "actor.type": "system"}.items()
    assert found[4].items() >= {"event.class": "log", "op.code": "5156"}.items()
    assert bad == ["time", "required"]


def test_the_contracts_own_lines_keep_their_ids(read, tmp_path: Path, shared: Path):
    example = (shared.parent / "examples" / "events.ndjson").read_bytes()
    path = tmp_path / "events.ndjson"
    path.write_bytes(example + b'{"event.id":"x"}\n{bad\n\xff\xfe\n' + example)

    [parsed], _ = read(path)

    assert (
        parsed.events.get_column("event.id").to_list()
        == ["5f0c2a9be1d44c07", "c11be04a77d90213", "e07d1f9a0c3b5582"] * 2
    )
    assert parsed.events.get_column("source.position")[1] == "ops.csv:4410021"
    size = len(example)
    assert parsed.rejected.select("source.position", "reason").rows() == [
        (f"events.ndjson:{size}", "required"), (f"events.ndjson:{size + 17}", "json"), (f"events.ndjson:{size + 22}", "encoding"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (b"Dec 10 06:55:46 LabSZ sshd[24200]: x\r\n", "syslog"),
        (b"<34>1 2003-10-11T22:14:15.003Z h su - ID47 - x\n", "syslog"),
        (b"[Sun Dec 04 04:47:44 2005] [notice] x\r\n", "apache-error"),
        (b'192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n', "web-access"),
        (b'{"Event":{"System":{"EventID":4624}}}\n', "windows-security"),
        (b'{"@timestamp":"x","EventID":4624}\n', "windows-security"),
        (b'{"event.id":"a","event.schema":1,"event.class":"log","time.occurred":1}\n', "event"),
        (b'{"event.class":"log","time.occurred":1}\n', "event-json"),
        (b"\xef\xbb\xbftime.occurred,event.class\n", "event-csv"),
        (b"2016-09-28 04:30:30, Info                  CBS    Loaded\n", "windows-cbs"),
        (b"LineId,Month,Date,Day\n1,Dec,10,1\n", None),
        (b"Permission is hereby granted\n", None),
        (b"", None),
    ],
)
def test_a_source_is_recognised_by_content(head: bytes, source: str | None):
    found = recognise(head, "file", shipped())

    assert (found.id if found else None) == source
    assert recognise(head, "file", shipped()[::-1]) == found


@pytest.mark.parametrize("delimiter", [",", "\t", "|", ";"])
def test_delimited_cells_are_those_of_the_csv_module(declare, delimiter: str):
    text = 'id="c"\nformat="delimited"\ndelimiter="?"\ntime="row"\n[constants]\n"event.class"="log"\n'
    source = declare(text.replace("?", delimiter.replace("\t", "\\t")))
    chance = random.Random(3)
    cells = [
        "",
        "a",
        "あ い",
        '"quoted"',
        '"two\nlines"',
        '"a ""b"" c"',
        f'"x{delimiter}y"',
        '5" pipe',
        '""',
        '""""',
        " ",
    ]
    lines = [delimiter.join(chance.choice(cells) for _ in range(4)) for _ in range(500)]

    frame = delimited.cut(pl.Series(lines), source, delimiter.join(["row", "row", "!reason", "well"]))

    assert frame.columns == [REASON, DETAIL, "row", "row#2", "!reason#2", "well"]
    assert frame.get_column(REASON).null_count() == 500
    expected = [next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter)) for line in lines]
    assert [list(row) for row in frame.drop(REASON, DETAIL).rows()] == expected


@pytest.mark.parametrize("quoted", [1, 49, 60, 120])
def test_lines_with_and_without_quotes_stay_in_their_order(declare, quoted: int):
    source = declare('id="q"\nformat="delimited"\ntime="a"\n[constants]\n"event.class"="log"\n')
    choose = random.Random(quoted)
    rows = [[f"{row}", "x", f'{row} "said"'] if row < quoted else [f"{row}", "x", f"{row}"] for row in range(120)]
    choose.shuffle(rows)
    lines = [",".join('"' + cell.replace('"', '""') + '"' if '"' in cell else cell for cell in row) for row in rows]

    frame = delimited.cut(pl.Series(lines), source, "a,b,c")

    assert frame.drop(REASON, DETAIL).rows() == [tuple(row) for row in rows]
    assert frame.get_column(REASON).null_count() == 120


@pytest.mark.parametrize(
    "cell",
    [" x", "x ", "\u3000x", "x\ufeff", "\ufeffx", "\tx", '" x"', '"x\t"', '"\u3000"', "x y", '"a ""b"" c"', "-", ""],
)
def test_white_space_around_a_value_is_none_of_it(declare, rows, cell: str):
    source = declare(
        'id="w"\nformat="delimited"\ntime="at"\n[constants]\n"event.class"="log"\n[columns]\n"op.name"="c"\n"actor.role"="d"\n'
    )
    found, _ = rows(f"at,c,d\n2026-04-01,{cell},y\n2026-04-01,y,{cell}\n2026-04-01,y,y\n", source=source)

    bare = (next(csv.reader([cell])) or [""])[0].strip(" \t\u3000\ufeff")
    expected = None if bare in ("", "-") else bare
    assert [row.get("op.name") for row in found] == [expected, "y", "y"]
    assert [row.get("actor.role") for row in found] == ["y", expected, "y"]


def test_an_access_log_is_read_alike_whichever_pattern_takes_a_line():
    head = "192.0.2.7 - alice [05/Mar/2026:10:00:00 +0900] "
    lines = [
        head + '"GET / HTTP/1.1" 200 5 "-" "curl"',
        head + '"GET / HTTP/1.1" 200 5',
        head + '"GET / HTTP/1.1" 200 - "" ""',
        head + '"GET /a\\"b HTTP/1.1" 200 5 "-" "x"',
        head + '"GET / HTTP/1.1" 200 5 "-" "x" "192.0.2.8" 0.3',
        head + '"" 400 0',
        head.replace("alice", "alice smith") + '"GET / HTTP/1.1" 200 5 "-" "x"',
        head.replace("alice", "[a] 有") + '"GET /有 HTTP/1.1" 200 5 "-" "x"',
        head.replace("alice", '"a"') + '"GET / HTTP/1.1" 200 5 "-" "x"',
        "192.0.2.7 - alice [05/Mar/2026",
        "",
    ]

    frame = web.cut_access(pl.Series("line", lines), next(one for one in shipped() if one.id == "web-access"))

    slow = by_pattern(pl.Series("line", lines), web._ACCESS, "time", web._WHAT)
    assert frame.drop("method", "path").rename({TIME: "time"}).equals(slow)
    assert frame.get_column("path").to_list()[:4] == ["/", "/", "/", '/a\\"b']
