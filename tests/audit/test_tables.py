"""What the report counts: which days are gaps."""

from __future__ import annotations

from datetime import date

import polars as pl

from audit import tables
from tests.audit.breaches import BREACHES
from tests.audit.office import WORKING, at, good


def test_a_silent_office_day_is_a_gap_and_a_holiday_is_not(tmp_path):
    office = good()
    BREACHES["sakai-48/P16"](office)
    out, site = office.write(tmp_path)

    coverage = tables.read(out, site).frames["coverage"].collect()

    assert coverage.filter("gap").select("source.id", "date").rows() == [("disaster-media", WORKING[12])]
    silent = coverage.filter((pl.col("lines") == 0) & (pl.col("source.id") == "welfare-ops"))
    assert date(2026, 3, 20) in silent["date"]


def test_heartbeats_keep_a_quiet_day_from_being_a_gap(tmp_path):
    office = good()
    BREACHES["sakai-48/P16"](office)
    office.event(
        at(WORKING[12], "12:00:00"), None, None, "connect", source_id="disaster-media", **{"class": "heartbeat"}
    )
    out, site = office.write(tmp_path)

    assert not tables.read(out, site).frames["coverage"].collect()["gap"].any()
