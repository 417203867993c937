"""PostgreSQL's csvlog and pgaudit's entries in it."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest

from collector.recognise import recognise
from collector.sources import shipped
from registers.mask import MASK

AT = 1_775_000_000_123  # 2026-03-31T23:33:20.123Z


def _pg(
    message: str,
    state: str = "00000",
    user: str = '"alice"',
    tag: str = "SELECT",
    tail: str = ',"psql","client backend",,0',
):
    """A record of csvlog; `message` is quoted here."""
    quoted = '"' + message.replace('"', '""') + '"'
    return (
        f'2026-04-01 08:33:20.123 JST,{user},"welfare",4242,"192.0.2.1:51234",660a1b2c.1092,1,"{tag}",2026-04-01 08:29:00 JST,'
        f"3/12,0,LOG,{state},{quoted},,,,,,,,{tail}\n"
    )


ALICE = {
    "time.occurred": AT,
    "actor.id": "alice",
    "session.id": "660a1b2c.1092",
    "src.ip": "192.0.2.1",
    "system.id": "welfare",
}


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        (
            'SESSION,1,1,READ,SELECT,TABLE,public.cases,"select ""name"", no from cases",<not logged>,27',
            {"event.class": "access", "event.action": "read", "op.code": "SELECT", "resource.type": "table",
             "resource.id": "public.cases", "resource.count": 27, "message": 'select "name", no from cases'},
        ),
        (
            "OBJECT,2,1,WRITE,UPDATE,TABLE,public.cases,update cases set x = 1,<none>",
            {"event.class": "access", "event.action": "update", "op.code": "UPDATE", "resource.type": "table",
             "resource.id": "public.cases", "message": "update cases set x = 1"},
        ),
        (
            "SESSION,3,1,READ,COPY,,,copy cases to stdout,<not logged>",
            {"event.class": "export", "event.action": "export", "op.code": "COPY", "message": "copy cases to stdout"},
        ),
        (
            "SESSION,3,1,WRITE,COPY,,,copy cases from stdin,<not logged>",
            {"event.class": "access", "event.action": "import", "op.code": "COPY", "message": "copy cases from stdin"},
        ),
        (
            "SESSION,4,1,ROLE,GRANT,TABLE,,grant select on cases to bob,<not logged>",
            {"event.class": "admin", "event.action": "grant", "op.code": "GRANT", "target.actor": "bob", "resource.type": "table",
             "message": "grant select on cases to bob"},
        ),
        (
            'SESSION,5,1,ROLE,CREATE ROLE,,,"create user ""bob"" password <REDACTED>",<not logged>',
            {"event.class": "admin", "event.action": "create", "op.code": "CREATE ROLE", "target.actor": "bob",
             "message": 'create user "bob" password <REDACTED>'},
        ),
        (
            "SESSION,6,1,DDL,ALTER TABLE,TABLE,public.cases,alter table cases add y int,<not logged>",
            {"event.class": "admin", "event.action": "config", "op.code": "ALTER TABLE", "resource.type": "table",
             "resource.id": "public.cases", "message": "alter table cases add y int"},
        ),
        (
            "SESSION,7,1,MISC,SET,,,set x to y,<not logged>",
            {"event.class": "log", "op.code": "SET", "message": "set x to y"},
        ),
    ],
)  # fmt: skip
def test_what_an_entry_of_pgaudit_means(rows, entry: str, values: dict[str, object]):
    [event], refused = rows(_pg(f"AUDIT: {entry}"))
    assert (event, refused) == ({**ALICE, **values}, [])


def test_parameters_of_a_statement_are_left_out(rows):
    [event], _ = rows(
        _pg('AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.cases,select from cases where no = $1,"00123,yamada"')
    )
    assert event["message"] == "select from cases where no = $1"
    assert not any("yamada" in str(value) for value in event.values())


def test_a_my_number_in_a_statement_is_masked(rows):
    [event], _ = rows(_pg("AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,select from t where n = '1234-5678-9018',<none>"))
    assert event["message"] == f"select from t where n = '{MASK}'"


@pytest.mark.parametrize(
    ("message", "state", "values"),
    [
        ("connection authorized: user=alice database=welfare", "00000",
         {"event.class": "authentication", "event.action": "logon", "event.outcome": "success"}),
        ('password authentication failed for user "alice"', "28P01",
         {"event.class": "authentication", "event.action": "logon", "event.outcome": "failure",
          "event.reason": 'password authentication failed for user "alice"'}),
        ("disconnection: session time: 0:01:02.345 user=alice database=welfare host=192.0.2.1 port=5", "00000",
         {"event.class": "authentication", "event.action": "logoff", "event.outcome": "success", "duration_ms": 62_345}),
        ("permission denied for table cases", "42501",
         {"event.class": "access", "event.outcome": "denied", "event.reason": "permission denied for table cases"}),
        ("division by zero", "22012", {"event.class": "log", "event.outcome": "failure", "event.reason": "division by zero"}),
        ("checkpoint starting: time", "00000", {"event.class": "log"}),
    ],
)  # fmt: skip
def test_what_a_message_of_postgresql_means(rows, message: str, state: str, values: dict[str, object]):
    [event], refused = rows(_pg(message, state))
    assert (event, refused) == ({**ALICE, "op.code": "SELECT", "message": message, **values}, [])


@pytest.mark.parametrize("tail", [',"psql","client backend",,0', ',"psql","client backend"', ',"psql"'])
def test_csvlog_of_every_version_is_read(rows, tail: str):
    events, refused = rows(_pg("checkpoint", tail=tail) * 3)
    assert (len(events), refused) == (3, [])


def test_files_of_two_versions_in_one_and_broken_lines_cost_nothing_else(rows):
    good = _pg("checkpoint")
    events, refused = rows(good + "2026-04-01 08:33:20.123 JST,x\n" + _pg("old", tail=',"psql"') + good)
    assert [event["message"] for event in events] == ["checkpoint", "old", "checkpoint"]
    assert refused == ["columns"]


def test_the_log_of_a_real_server_is_read_whole(read):
    """Written by PostgreSQL 15.18 with pgaudit 1.7 (log = all, log_rows, log_parameter): a session, two failures, a refusal."""
    path = Path(__file__).parent / "logs" / "pgaudit.csv"
    parsed, problems = read(path)
    events = pl.concat([piece.events for piece in parsed])

    assert problems == []
    assert sum(piece.rejected.height for piece in parsed) == 0
    with path.open(encoding="utf-8", newline="") as file:
        assert events.get_column("actor.id").fill_null("").to_list() == [row[1] for row in csv.reader(file)]
    seen = events.group_by("event.class", "event.action", "event.outcome").len().sort(pl.all()).rows()
    assert seen == [
        ("access", None, None, 2), ("access", None, "denied", 1), ("access", "create", None, 1), ("access", "delete", None, 1),
        ("access", "import", None, 1), ("access", "read", None, 3), ("admin", "config", None, 5), ("admin", "create", None, 1),
        ("admin", "grant", None, 2), ("admin", "revoke", None, 1), ("authentication", "logoff", "success", 2),
        ("authentication", "logon", "failure", 1), ("authentication", "logon", "success", 3), ("export", "export", None, 1),
        ("log", None, None, 15), ("log", None, "failure", 2),
    ]  # fmt: skip
    assert "select name,\n  no\nfrom cases where note like '%,%';" in events.get_column("message").to_list()
    assert not events.get_column("message").str.contains("geheim").any()


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("接続の認証完了: ユーザー=alice データベース=welfare", {"event.action": "logon", "event.outcome": "success"}),
        (
            "接続を切断: セッション時間: 1:00:00.001 ユーザー=alice データベース=welfare ホスト=[local]",
            {"event.action": "logoff", "event.outcome": "success", "duration_ms": 3_600_001},
        ),
        (
            '接続認証完了: 識別名="alice" 方式=scram-sha-256 (pg_hba.conf:8)',
            {"event.class": "log", "auth.method": "password"},
        ),
        (
            'connection authenticated: identity="a" method=cert (x:8)',
            {"event.class": "log", "auth.method": "certificate"},
        ),
    ],
)
def test_a_server_may_speak_japanese(rows, message: str, values: dict[str, object]):
    [event], _ = rows(_pg(message))
    assert event == ALICE | {"op.code": "SELECT", "message": message, "event.class": "authentication"} | values


def test_an_entry_that_only_looks_like_one_of_pgaudit_is_a_message(rows):
    """A client can make the server say nearly anything, but not in the name of somebody else."""
    [event], _ = rows(_pg('syntax error at or near "AUDIT: SESSION,1,1,ROLE,GRANT,,,grant all to eve,<none>"', "42601"))
    assert (event["event.class"], event["event.outcome"]) == ("log", "failure")
    assert "target.actor" not in event


def test_the_ready_made_source_knows_its_log():
    found = recognise(_pg("x").encode(), "x.csv", shipped())
    assert found is not None
    assert found.id == "postgresql"
