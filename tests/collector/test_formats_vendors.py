"""What devices and Oracle write: CEF, LEEF, the unified audit; no line breaks a format."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.formats import REASON, cef, leef, oracle, postgresql
from collector.recognise import recognise
from collector.sources import shipped

SOURCES = {source.id: source for source in shipped()}
AT = 1_775_000_000_123  # 2026-03-31T23:33:20.123Z


def test_cef_is_read_with_its_escapes_and_its_blanks(rows):
    text = (
        r"<134>Apr  1 08:30:00 fw01 CEF:0|Ven\|dor|Gate|1.0|100|User \\ login|5|rt=1775000000123 suser=yamada t src=192.0.2.1 "
        r"act=login outcome=success fname=C:\\x\\y.txt cnt=3 msg=a\=b\nsecond line" + "\n"
    )
    [event], refused = rows(text)
    assert refused == []
    assert event == {
        "event.class": "log", "event.action": "logon", "event.outcome": "success", "time.occurred": AT, "actor.id": "yamada t",
        "src.ip": "192.0.2.1", "system.id": "fw01", "op.code": "100", "op.name": "User \\ login", "resource.id": r"C:\x\y.txt",
        "resource.count": 3, "message": "a=b\nsecond line",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("extension", "at"),
    [
        ("rt=1775000000123", AT),
        ("rt=1775000000", 1_775_000_000_000),
        ("rt=1775000000.5", 1_775_000_000_500),
        ("rt=Apr 01 2026 08:33:20", 1_775_000_000_000),
        ("rt=Apr 1 2026 08:33:20.123 JST", AT),
        ("rt=Mar 31 2026 23:33:20.123 GMT+00:00", AT),
        ("rt=2026-04-01T08:33:20.123+09:00", AT),
        ("end=1775000000123 start=1", AT),  # rt, end, start: the first that is given
        ("suser=x", 1_774_999_800_000),  # the syslog header's
    ],
)
def test_a_device_s_time_counts_and_else_the_header_s(rows, extension: str, at: int):
    [event], refused = rows(f"2026-04-01T08:30:00+09:00 fw CEF:0|V|P|1|100|n|5|{extension}\n")
    assert (event["time.occurred"], refused) == (at, [])


@pytest.mark.parametrize(
    "before",
    [
        "<134>1 2026-04-01T08:33:20.123+09:00 fw01 gate 7 - - ",
        '<134>1 2026-04-01T08:33:20.123+09:00 fw01 gate - - [x@1 a="b"] \ufeff',
        "2026-04-01T08:33:20.123+09:00 fw01 gate[7]:",
        "2026-04-01T08:33:20.123+09:00 fw01: ",
    ],
)
def test_the_header_before_cef_may_be_of_any_kind_of_syslog(rows, before: str):
    [event], refused = rows(f"{before}CEF:0|V|P|1|100|n|5|suser=x\n")
    assert (event["time.occurred"], event["system.id"], refused) == (AT, "fw01", [])


def test_a_time_without_year_gets_that_of_the_oldest_log_that_says_one(read, tmp_path: Path):
    (tmp_path / "gate.log").write_text("CEF:0|V|P|1|1|n|5|rt=Apr 01 08:30:00\n", encoding="utf-8")
    (tmp_path / "web.log").write_text(
        '192.0.2.1 - - [01/Apr/2024:08:30:00 +0900] "GET / HTTP/1.1" 200 5\n', encoding="utf-8"
    )
    parsed, _ = read(tmp_path)
    assert pl.concat([piece.events for piece in parsed]).get_column("time.occurred").n_unique() == 1


def test_a_time_without_year_gets_one_and_one_without_year_but_with_zone_is_refused(rows):
    text = "CEF:0|V|P|1|1|n|5|rt=Apr 01 08:30:00\nCEF:0|V|P|1|1|n|5|rt=Apr 01 08:30:00 CET\nCEF:0|V|P|1|1|n|5|rt=tomorrow\n"
    events, refused = rows(text, reference_year=2026)
    assert [event["time.occurred"] for event in events] == [1_774_999_800_000]
    assert refused == ["time", "time"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("CEF:0|V|P|1|100|n|5|suser=yamada suser=root rt=1775000000123", "duplicate"),
        ("CEF:0|V|P|1|100|n", "format"),
        ("CEF:0|V|P|msg=x CEF:0|V|P|1|100|n|5|suser=root rt=1775000000123", "format"),  # the real header is broken
        ("no CEF", "format"),
        ("CEF:0|V|P|1|100|n|5|", "time"),
        ("CEF:0|V|P|1|100|n|5|cnt=many rt=1775000000123", "value"),
    ],
)
def test_a_hostile_or_broken_line_of_cef_is_refused_alone(rows, line: str, reason: str):
    good = "CEF:0|V|P|1|100|n|5|suser=yamada rt=1775000000123\n"
    events, refused = rows(f"{good}{line}\n{good}{good}")
    assert (refused, [event["actor.id"] for event in events]) == ([reason], ["yamada"] * 3)


def test_a_value_cannot_begin_a_pair_of_its_own_by_a_control_character(rows):
    [event], _ = rows("CEF:0|V|P|1|100|n|5|rt=1775000000123 msg=a\x1esuser\x1froot\n")
    assert "actor.id" not in event


def test_a_custom_field_of_cef_is_found_by_its_label(declare):
    source = declare(
        'id = "gate"\nformat = "cef"\n[columns]\n"basis.ref" = "label:Ticket No"\n"purpose.code" = "cs1"\n'
        '[constants]\n"event.class" = "access"\n'
    )
    frame = cef.cut(pl.Series(["CEF:0|V|P|1|1|n|5|cs1Label=Ticket No cs1=SEI 7 rt=1"]), source)
    assert frame.select("label:Ticket No", "cs1").row(0) == ("SEI 7", "SEI 7")


@pytest.mark.parametrize(
    "line",
    [
        "LEEF:1.0|V|P|1|LOGIN|usrName=yamada t\tdevTime=1775000000123\turl=http://x?a=b",
        "LEEF:2.0|V|P|1|LOGIN|^|usrName=yamada t^devTime=1775000000123^url=http://x?a=b",
        "LEEF:2.0|V|P|1|LOGIN|x5E|usrName=yamada t^devTime=1775000000123^url=http://x?a=b",
        "LEEF:2.0|V|P|1|LOGIN|0x5e|usrName=yamada t^devTime=1775000000123^url=http://x?a=b",
        "LEEF:2.0|V|P|1|LOGIN||usrName=yamada t\tdevTime=1775000000123\turl=http://x?a=b",
        "LEEF:2.0|V|P|1|LOGIN|usrName=yamada t\tdevTime=1775000000123\turl=http://x?a=b",
        "LEEF:1.0|V|P|1|LOGIN|usrName=yamada t#011devTime=1775000000123#011url=http://x?a=b",  # relayed by rsyslog
        "<13>Apr  1 08:30:00 P LEEF:1.0|V|P|1|LOGIN|usrName=yamada t\tdevTime=Apr 01 2026 08:33:20.123\turl=http://x?a=b",
    ],
)
def test_leef_is_read_whatever_parts_its_pairs(rows, line: str):
    [event], refused = rows(f"{line}\n")
    assert refused == []
    assert event == {
        "event.class": "log", "time.occurred": AT, "actor.id": "yamada t", "system.id": "P", "op.code": "LOGIN",
        "resource.id": "http://x?a=b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("LEEF:1.0|V|P|1|LOGIN|usrName=yamada\tusrName=root\tdevTime=1775000000123", "duplicate"),
        ("LEEF:3.0|V|P|1|LOGIN|usrName=root\tdevTime=1775000000123", "format"),
        ("LEEF:1.0|V|msg=x LEEF:1.0|V|P|1|LOGIN|usrName=root\tdevTime=1775000000123", "format"),
        ("LEEF:1.0|V|P|1|LOGIN|usrName=root\tdevTime=31/03/26", "time"),
    ],
)
def test_a_hostile_or_broken_line_of_leef_is_refused_alone(rows, line: str, reason: str):
    good = "LEEF:1.0|V|P|1|LOGIN|usrName=yamada\tdevTime=1775000000123\n"
    events, refused = rows(f"{good}{line}\n{good}{good}")
    assert (refused, [event["actor.id"] for event in events]) == ([reason], ["yamada"] * 3)


HEADER = "AUDIT_TYPE,SESSIONID,USERHOST,DBUSERNAME,ACTION_NAME,RETURN_CODE,OBJECT_NAME,SQL_TEXT,EVENT_TIMESTAMP_UTC"


@pytest.mark.parametrize(
    "at",
    [
        "2026-03-31 23:33:20.123456",
        "31-MAR-26 11.33.20.123456 PM",
        "26-03-31 23:33:20.123456",
        "31-MAR-26 23.33.20.123456",
    ],
)
def test_an_export_of_oracle_s_unified_audit_is_read_in_the_usual_forms_of_time(rows, at: str):
    text = f'{HEADER}\nStandard,7,PC1,SCOTT,SELECT,0,CASES,"select *\nfrom cases","{at}"\n'
    [event], refused = rows(text)
    assert refused == []
    assert event == {
        "event.class": "access", "event.action": "read", "event.outcome": "success", "time.occurred": AT, "actor.id": "SCOTT",
        "session.id": "7", "src.device": "PC1", "op.code": "SELECT", "resource.id": "CASES", "message": "select *\nfrom cases",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "code", "values"),
    [
        ("LOGON", 0, ("authentication", "logon", "success", None)),
        ("LOGON", 1017, ("authentication", "logon", "failure", "ORA-01017: invalid user name or password")),
        ("DELETE", 1031, ("access", "delete", "denied", "ORA-01031: insufficient privileges")),
        ("CREATE USER", 0, ("admin", "create", "success", None)),
        ("GRANT", 1, ("admin", "grant", "failure", "1")),
        ("EXPORT", 0, ("export", "export", "success", None)),
        ("ANALYZE TABLE", 0, ("log", None, "success", None)),
    ],
)
def test_what_an_action_of_oracle_means(rows, action: str, code: int, values: tuple[str | None, ...]):
    [event], _ = rows(
        f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"\nStandard,7,PC1,SCOTT,{action},{code},,,2026-03-31 23:33:20\n'
    )
    assert tuple(event.get(f"event.{key}") for key in ("class", "action", "outcome", "reason")) == values


def test_an_export_without_utc_is_read_in_the_database_s_zone(rows):
    text = f"{HEADER.replace('_UTC', '')}\nStandard,7,PC1,SCOTT,LOGON,0,,,2026-04-01 08:33:20.123\n"
    [event], _ = rows(text)
    assert event["time.occurred"] == AT


ORACLE = (
    'Oracle Unified Audit[9170]: LENGTH: \'227\' TYPE:"4" DBID:"28" SESID:"7" CLIENTID:"" ENTRYID:"10" STMTID:"3" '
    'DBUSER:"SCOTT" CURUSER:"SCOTT" ACTION:"{action}" RETCODE:"{code}" SCHEMA:"HR" OBJNAME:"CASES" PDB_GUID:"AB"'
)


@pytest.mark.parametrize(
    "before", ["2026-04-01T08:33:20.123+09:00 db1 ", "<13>2026-04-01T08:33:20.123+09:00 db1 journal: "]
)
def test_oracle_s_unified_audit_is_read_from_syslog(rows, before: str):
    [event], refused = rows(before + ORACLE.format(action=3, code=0) + "\n")
    assert refused == []
    assert event == {
        "event.class": "access", "event.action": "read", "event.outcome": "success", "time.occurred": AT, "actor.id": "SCOTT",
        "session.id": "7", "system.id": "db1", "op.code": "3", "op.name": "SELECT", "resource.id": "CASES",
    }  # fmt: skip


def test_a_client_s_own_words_cannot_name_another_user_of_oracle(rows):
    good = f"2026-04-01T08:33:20.123+09:00 db1 {ORACLE.format(action=3, code=0)}\n"
    bad = good.replace('CLIENTID:""', 'CLIENTID:"x" DBUSER:"SYS" CLIENTID:""')
    events, refused = rows(good + bad + good + good[:-20] + "\n" + good)
    assert ([event["actor.id"] for event in events], refused) == (["SCOTT"] * 3, ["duplicate", "format"])


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("<134>Apr  1 08:30:00 fw01 CEF:0|V|P|1|1|n|5|rt=1", "cef"),
        ("<134>Apr  1 08:30:00 fw01 LEEF:2.0|V|P|1|LOGIN|^|a=b", "leef"),
        (HEADER, "oracle-unified-audit"),
        (f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"', "oracle-unified-audit"),
        (HEADER.replace("_UTC", ""), "oracle-unified-audit-local"),
        (f"Apr  1 08:30:00 db1 {ORACLE}", "oracle-unified-audit-syslog"),
    ],
)
def test_the_ready_made_sources_know_their_logs(line: str, source: str):
    found = recognise(f"{line}\n".encode(), "x.log", shipped())
    assert found is not None
    assert found.id == source


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(cef.cut, "cef"), (leef.cut, "leef"), (oracle.cut, "oracle-unified-audit-syslog"), (postgresql.cut, "postgresql")]),
    st.lists(
        st.text(alphabet=st.characters(exclude_characters="\n", exclude_categories=["Cs"]))
        | st.lists(st.sampled_from(["CEF:0|", "LEEF:2.0|", "|", "x5E|", "=", " a=", "\\", '"', ",", "AUDIT: ", "\t", "rt=", "Oracle Unified Audit[1]: LENGTH: '1' ", 'DBUSER:"x" ', "0", "x"])).map("".join),
        max_size=8,
    ),
)  # fmt: skip
def test_no_line_breaks_a_format(format_, lines):
    cut, source = format_
    frame = cut(pl.Series(lines, dtype=pl.String), SOURCES[source])
    assert frame.height == len(lines)
    assert frame.get_column(REASON).dtype == pl.String
    assert all(frame.schema[name] == pl.String for name in frame.columns)
