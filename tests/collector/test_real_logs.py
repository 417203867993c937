"""The public logs beside the project, as they are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from registers.mask import mask_text

pytestmark = pytest.mark.shared


@pytest.fixture
def real(read, shared: Path):
    def run(folder: str):
        parsed, problems = read(shared / folder, zone="UTC")
        return pl.concat([p.events for p in parsed]), pl.concat([p.rejected for p in parsed]), problems

    return run


@pytest.mark.parametrize("system", ["OpenSSH", "Linux", "Apache", "Windows"])
def test_every_line_of_loghub_is_an_event(real, shared: Path, system: str):
    events, refused, problems = real(f"loghub_2k/{system}")

    assert (events.height, refused.height) == (2000, 0)
    assert events.get_column("event.id").n_unique() == 2000
    tables = [problem for problem in problems if "is of no known source" in problem]
    assert len(tables) == len(list((shared / "loghub_2k" / system).glob("*.csv")))


def test_openssh_attempts_are_counted_once(real):
    events, _, _ = real("loghub_2k/OpenSSH")

    logons = events.filter(pl.col("event.action") == "logon").group_by("event.outcome").len()
    assert dict(logons.rows()) == {"failure": 524, "success": 1}
    assert events.filter(pl.col("message").str.contains("Failed password")).height == 520
    assert events.filter(pl.col("event.outcome") == "success", pl.col("event.action") == "logon").select(
        "actor.id", "src.ip"
    ).rows() == [("fztu", "119.137.62.142")]


def test_windows_attack_logs_are_read_whole(real, shared: Path):
    events, refused, problems = real("evtx_attack_auth")

    assert (events.height, refused.height) == (7687, 0)
    counts = dict(events.group_by("op.code").len().rows())
    assert counts["4625"] == 3617
    assert counts["4624"] == 1416
    assert counts["1102"] == 93
    assert all("is of no known source" in problem for problem in problems)


def test_times_of_windows_attack_logs_are_those_of_the_index(real, shared: Path):
    events, _, _ = real("evtx_attack_auth")

    with (shared / "evtx_attack_auth" / "index.csv").open(encoding="utf-8") as file:
        # A name that looks like a My Number, such as one made of three event numbers, is masked in positions.
        index = {mask_text(row["file"]): row for row in csv.DictReader(file) if row["file"]}
    name = pl.col("source.position").str.extract(r"^(.*):[0-9]+$")
    stamp = pl.col("time.occurred").cast(pl.Datetime("ms"))
    spans = events.group_by(name.alias("file")).agg(first=stamp.min(), last=stamp.max(), events=pl.len())
    assert spans.height == len(index)
    for file, first, last, count in spans.rows():
        said = index[file]
        assert count == int(said["events"])
        assert first.isoformat()[:19] == said["first"][:19].replace(" ", "T"), file
        assert last.isoformat()[:19] == said["last"][:19].replace(" ", "T"), file


def test_text_event_ids_count_too(shared: Path):
    texts = [
        json.loads(line)["Event"]["System"]["EventID"]
        for file in sorted((shared / "evtx_attack_auth" / "mdecrevoisier").rglob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]

    assert sum(isinstance(number, str) for number in texts) == 44
