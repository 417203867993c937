"""From raw logs to findings with the real command: same input, same bytes, whole or in pieces, from logs or archive."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from simulator import office
from tests.command import Ran, sekimori

KEYS = {
    "events", "rejected", "sessions", "explained_share", "findings", "alerts", "review_items", "seconds", "peak_rss_mb",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("analyze")


@pytest.fixture(scope="module")
def town(folder: Path) -> Path:
    office.simulate(folder / "town", seed=8, days=8, staff=40, start=date(2026, 3, 16))
    return folder / "town"


@pytest.fixture(scope="module")
def first(folder: Path, town: Path) -> Ran:
    options = ["--json", "--save-model", folder / "model"]
    return sekimori(folder, "analyze", town / "logs", "--site", town / "site", *options, out=folder / "first")


def test_the_same_input_gives_the_same_bytes(folder: Path, town: Path, first: Ran):
    again = sekimori(folder, "analyze", town / "logs", "--site", town / "site", "--json", out=folder / "again")
    for name in ("findings.ndjson", "rejected.ndjson", "report.html", "sessions.parquet"):
        assert (again.folder / name).read_bytes() == (first.folder / name).read_bytes(), name
    assert first.rows("findings.ndjson")


def test_in_pieces_it_finds_the_same(folder: Path, town: Path, first: Ran):
    pieces = sekimori(
        folder, "analyze", town / "logs", "--site", town / "site", "--json", "--piece", "2000", out=folder / "pieces"
    )
    assert (pieces.folder / "findings.ndjson").read_bytes() == (first.folder / "findings.ndjson").read_bytes()
    sessions = [pl.read_parquet(run.folder / "sessions.parquet") for run in (pieces, first)]
    assert sessions[0].equals(sessions[1])


def test_the_archive_analysed_again_with_the_same_model_gives_the_same_findings(folder: Path, town: Path, first: Ran):
    options = ["--site", town / "site", "--model", folder / "model", "--json"]
    logs = sekimori(folder, "analyze", town / "logs", *options, out=folder / "pinned")
    archived = sekimori(folder, "analyze", first.folder / "events", *options, out=folder / "archived")
    assert logs.rows("findings.ndjson") == archived.rows("findings.ndjson")
    pinned = {finding["finding_info"]["uid"]: finding["risk_score"] for finding in logs.rows("findings.ndjson")}
    fitted = {finding["finding_info"]["uid"]: finding["risk_score"] for finding in first.rows("findings.ndjson")}
    assert pinned == fitted


def test_json_is_one_object_with_the_agreed_keys(first: Ran):
    assert first.status == 0, first.err
    assert set(first.summary) == KEYS
    findings = first.rows("findings.ndjson")
    assert first.summary["findings"] == len(findings)
    assert first.summary["alerts"] == sum(finding["is_alert"] for finding in findings)
    assert (
        first.summary["sessions"]
        == pl.scan_parquet(first.folder / "sessions.parquet").select(pl.len()).collect().item()
    )


def test_a_session_table_has_the_agreed_columns(first: Ran):
    assert pl.read_parquet_schema(first.folder / "sessions.parquet").names() == [
        "session", "actor.id", "system.id", "src.device", "first", "last", "events", "subjects", "explained", "p",
        "queue", "finding",
    ]  # fmt: skip


def test_events_are_archived_by_day(first: Ran, town: Path):
    days = sorted(path.stem for path in (first.folder / "events").iterdir())
    assert days[0] == "2026-03-16"
    assert len(days) >= 8
    archived = pl.scan_parquet(sorted((first.folder / "events").glob("*.parquet"))).select(pl.len()).collect().item()
    assert archived == first.summary["events"]


def test_without_a_site_it_says_what_could_not_run(folder: Path, town: Path):
    run = sekimori(folder, "analyze", town / "logs" / "servers", out=folder / "bare")
    assert "no site was given" in run.out + run.err
    [row] = run.rows("runs.ndjson")
    assert {need for item in row["not_run"] for need in item["needs"]} >= {"staff", "bases", "permissions"}


def test_no_my_number_is_written_anywhere(first: Ran):
    """The welfare system's memos hold My Numbers; 123456789018 has a right check digit."""
    for path in first.folder.rglob("*"):
        if path.suffix in (".ndjson", ".html", ".json"):
            assert "123456789018" not in path.read_text(encoding="utf-8"), path
    messages = pl.read_parquet(first.folder / "events" / "*.parquet")["message"].drop_nulls()
    assert not messages.str.contains(r"(^|[^0-9])[0-9]{12}($|[^0-9])").any()


@pytest.mark.shared
def test_the_public_ssh_log_shows_who_was_guessing(folder: Path, shared: Path):
    run = sekimori(folder, "analyze", shared / "data" / "loghub_2k" / "OpenSSH" / "OpenSSH_2k.log", out=folder / "ssh")
    assert run.status == 0, run.err
    alerts = [finding for finding in run.rows("findings.ndjson") if finding["is_alert"]]
    text = json.dumps(alerts)
    for address in ("103.99.0.122", "187.141.143.180", "183.62.140.253", "5.188.10.180"):
        assert address in text


@pytest.mark.shared
def test_the_public_attack_logs_run_and_show_cleared_logs(folder: Path, shared: Path):
    run = sekimori(folder, "analyze", shared / "data" / "evtx_attack_auth", "--json", out=folder / "evtx")
    assert run.status == 1  # licence files and the index are no logs, and are said to be not read
    assert run.summary["events"] == 7612  # 7,687 lines, of which 75 stand in two files each
    names = [
        finding["finding_info"]["analytic"]["uid"] for finding in run.rows("findings.ndjson") if finding["is_alert"]
    ]
    assert names.count("log_cleared") > 50
    assert "spraying_from_an_address" in names
