"""What findings say beyond their table, from lines and from the archive's Parquet."""

from __future__ import annotations

import json

import polars as pl
import pytest

from audit import findings
from audit.report import details
from tests.audit.office import WORKING, at, finding

SAID = {"finding": "f-1", "by": "100007", "reason": "応援", "time": 5, "until": 9, "count": 1}


def made():
    out = []
    for number in range(1200):  # more than are read at once
        one = finding(number % 60, first=at(WORKING[number % 3]), events=[f"e{number}", f"e{number + 1}"], risk=50.0)
        one["finding_info"]["uid"] = f"f-{number:016x}"
        one["unmapped"]["learning"] = number % 2 == 0
        one["unmapped"]["versions"] = {"rules": f"r{number % 2}"}
        if number == 7:
            one["unmapped"]["exception"] = SAID
        out.append(one)
    return out


@pytest.fixture(params=["lines", "parquet"])
def found(request, tmp_path):
    texts = [json.dumps(one, ensure_ascii=False) for one in made()]
    if request.param == "lines":
        (tmp_path / "findings.ndjson").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    else:
        (tmp_path / "findings").mkdir()
        for place in range(3):
            pl.DataFrame({"finding": texts[place::3]}).write_parquet(
                tmp_path / "findings" / f"2026-03-0{place + 2}.parquet"
            )
    return findings.read(tmp_path)


def test_every_finding_is_read_once(found):
    said = details.read(found)

    assert said.table["uid"].to_list() == [f"f-{number:016x}" for number in range(1200)]
    assert said.table["learning"].sum() == 600
    assert said.versions.group_by("version").len().sort("version").rows() == [("r0", 600), ("r1", 600)]
    [row] = said.table.filter(pl.col("exception.finding").is_not_null()).to_dicts()
    assert row["uid"] == f"f-{7:016x}"
    assert {name: row[f"exception.{name}"] for name in SAID if name != "count"} | {"count": 1} == SAID


def test_events_of_findings_are_each_there_once(found):
    uids = [f"f-{number:016x}" for number in (3, 4, 900)]

    assert set(details.related(found, uids)["event.id"]) == {"e3", "e4", "e5", "e900", "e901"}
    assert details.related(found, uids).height == 5
    assert details.behind(found, uids).collect().equals(details.related(found, uids))


def test_of_nothing_nothing_is_read(found):
    assert details.related(found, []).is_empty()
    assert details.related(found, ["f-none"]).is_empty()


def test_what_is_none_of_the_contract_is_passed_over(tmp_path):
    one = finding(0)
    one["unmapped"] |= {"exception": "of old", "versions": ["x"]}
    (tmp_path / "findings.ndjson").write_text(json.dumps(one) + "\n", encoding="utf-8")

    said = details.read(findings.read(tmp_path))

    assert said.table["exception.finding"].to_list() == [None]
    assert said.versions.is_empty()
