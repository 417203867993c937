"""No My Number leaves the parser, in whatever key, spelling, format or state of brokenness it came in."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.parse import parse
from collector.read import pieces
from collector.sources import TOKEN_KEYS, shipped
from contract.event import FIELDS
from registers.mask import MASK
from registers.tokens import SiteKey
from tests.registers.spellings import spelt

KEY = SiteKey(b"k" * 32)
SOURCES = {source.id: source for source in shipped()}
OWN = ("event.id", "raw.mac", "source.id", "source.position")
FREE = [known.key for known in FIELDS if known.kind == "str" and not known.values and known.key not in OWN]
BASE = {"event.class": "access", "time.occurred": "1775000000123"}


def _said(tmp_path: Path, source: str, line: str) -> str:
    """All text that comes out of one line, of events and of refused lines."""
    path = tmp_path / "x.log"
    path.write_text(line, encoding="utf-8", newline="")
    found = [parse(piece, SOURCES[source], KEY, "Asia/Tokyo") for piece in pieces(path, "x.log", SOURCES[source])]
    cells = [
        value
        for one in found
        for frame in (one.events.drop(OWN), one.rejected.drop("source.id", "source.position"))
        for value in frame.select(pl.col(pl.String)).unpivot().get_column("value").drop_nulls().to_list()
    ]
    assert cells
    return "\n".join(cells)


def _rows(text: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, text, lineterminator="\n")
    writer.writeheader()
    writer.writerow(text)
    return out.getvalue()


@pytest.mark.parametrize("key", FREE)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=spelt())
def test_no_key_of_an_event_lets_a_number_pass(tmp_path: Path, key: str, number: str):
    said = _said(tmp_path, "event-csv", _rows(BASE | {key: f"x:{number}:y"}))
    assert number not in said
    assert MASK in said or key in TOKEN_KEYS  # a token says nothing of what it stands for


@pytest.mark.parametrize("key", FREE)
def test_no_key_of_somebody_else_s_event_lets_a_number_pass(tmp_path: Path, key: str):
    event = {"event.id": "5f0c2a9be1d44c07", "event.schema": 1, "event.class": "access", "time.occurred": 1775000000123}
    said = _said(tmp_path, "event", json.dumps(event | {key: "1234-5678-9018"}) + "\n")
    assert "9018" not in said
    assert MASK in said


def test_somebody_else_s_token_stays_though_its_digits_look_like_a_number(tmp_path: Path):
    event = {"event.id": "5f0c2a9be1d44c07", "event.schema": 1, "event.class": "access", "time.occurred": 1775000000123}
    said = _said(tmp_path, "event", json.dumps(event | {"subject.token": "s_a123456789018b0c"}) + "\n")
    assert "s_a123456789018b0c" in said


BROKEN = {
    "event-csv": "time.occurred,event.class,message\n1775000000123,access,{},one too many\n",
    "event-json": '{{"time.occurred": 1775000000123, "event.class": "access", "message": "{}"\n',
    "event-keyvalue": "{} is no pair\n",
    "event": '{{"event.class": "{}"}}\n',
    "syslog": "no syslog {}\n",
    "web-access": '192.0.2.1 - - [01/Apr/2026:08:30:00 +0900 "GET /{}" 200\n',
    "apache-error": "no time {}\n",
    "windows-security": '{{"EventID": {}\n',
    "windows-cbs": "no time {}\n",
    "cef": "CEF:0|{}|\n",
    "leef": "LEEF:1.0|{}|\n",
    "postgresql": '2026-04-01 08:33:20.123 JST,"{}"\n',
    "oracle-unified-audit": "ACTION_NAME,DBUSERNAME,RETURN_CODE,EVENT_TIMESTAMP_UTC\nLOGON,{},0\n",
    "oracle-unified-audit-syslog": "Oracle Unified Audit[1]: LENGTH: '1' DBUSER:\"{}\n",
}


@pytest.mark.parametrize("source", sorted(BROKEN))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=spelt().filter(lambda number: "\n" not in number and "\r" not in number))
def test_no_refused_line_lets_a_number_pass(tmp_path: Path, source: str, number: str):
    said = _said(tmp_path, source, BROKEN[source].format(f"「{number}」"))
    assert number not in said
    assert MASK in said or len(number) > 400  # where the line is cut


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=spelt(), length=st.integers(400, 520))
def test_no_long_refused_line_lets_a_part_of_a_number_pass(tmp_path: Path, number: str, length: int):
    said = _said(tmp_path, "syslog", "z" * length + f"「{number}」\n")
    kept = said.rpartition("z")[2]
    assert kept in ("", "「", f"「{MASK}", f"「{MASK}」")
