"""Findings of an analysis and of an archive are read alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from audit import findings
from contract.finding import example


def found(uid: str, risk: float) -> dict[str, Any]:
    one = example() | {"risk_score": risk}
    return one | {"finding_info": one["finding_info"] | {"uid": uid}}


def test_tables_of_an_archive_hold_what_lines_of_an_analysis_hold(tmp_path: Path):
    all_of_them = [found("f-1", 50.0), found("f-2", 90.0), found("f-3", 70.0)]
    texts = [json.dumps(one, ensure_ascii=False) for one in all_of_them]
    lines, days = tmp_path / "out", tmp_path / "archive"
    lines.mkdir()
    (lines / "findings.ndjson").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (days / "findings").mkdir(parents=True)
    pl.DataFrame({"uid": ["f-1", "f-2"], "finding": texts[:2]}).write_parquet(days / "findings/2026-04-01.parquet")
    pl.DataFrame({"uid": ["f-3"], "finding": texts[2:]}).write_parquet(days / "findings/2026-04-02.parquet")
    one, other = findings.read(lines), findings.read(days)
    assert one.table.drop("file", "offset").equals(other.table.drop("file", "offset"))
    assert one.table["uid"].to_list() == ["f-2", "f-3", "f-1"]
    for read in (one, other):
        assert read.in_full(["f-3", "f-none", "f-1"]) == [all_of_them[2], all_of_them[0]]


def test_a_folder_without_findings_holds_none(tmp_path: Path):
    assert findings.read(tmp_path).table.is_empty()
    assert findings.read(tmp_path).in_full(["f-1"]) == []
