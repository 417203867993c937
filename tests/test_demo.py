"""The demo: it ends well, and it finds what was hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import ROOT, sekimori


def test_a_small_office_is_searched_through(tmp_path: Path):
    run = sekimori(tmp_path, "demo", "--json", "--days", "10", "--staff", "60", out=tmp_path / "demo")
    assert run.status == 0, run.err
    assert run.summary["found"] >= 0.5 * run.summary["injected"] > 0
    assert run.summary["false_alerts_per_1000_staff_day"] <= 5
    assert sum(found for found, _ in run.summary["found_by_scenario"].values()) == run.summary["found"]
    assert (run.folder / "report.html").stat().st_size > 10_000


def test_what_the_readme_shows_is_what_the_demo_prints(tmp_path: Path):
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split("$ make demo\n")[1].split("```")[0]
    run = sekimori(tmp_path, "demo", out=tmp_path / "demo")
    assert run.status == 0, run.err
    # Time, memory and the folder are this machine's.
    told = run.out.replace(str(tmp_path / "demo"), "demo")
    assert _without_took(told) == _without_took(shown)


def _without_took(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if not line.startswith("took")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 6])
def test_a_month_meets_the_targets_on_seeds_that_nobody_tuned_for(tmp_path: Path, seed: int):
    run = sekimori(tmp_path, "demo", "--json", "--seed", seed, out=tmp_path / "demo")
    staff_days = 162 * 30
    assert run.summary["found"] >= 0.8 * run.summary["injected"]
    assert run.summary["false_alerts_per_1000_staff_day"] <= 5
    assert run.summary["review_items"] / staff_days * 1000 <= 20
