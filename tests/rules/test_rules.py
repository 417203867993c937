"""Every rule fires on its own logs and stays quiet on the near misses, through the real parser and the real core."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import polars as pl
import pytest
import yaml

from collector.ingest import ingest
from collector.sources import shipped
from detector import rulebook, wording
from detector.columns import COLUMNS
from detector.step import Context, Groups, State, group, step
from registers import site as sites
from registers.tokens import SiteKey

RULES = Path(__file__).resolve().parents[2] / "rules"
BOOK = rulebook.load(RULES)
DAY_MS = 86_400_000

IN_SENTENCES = {"count", "first", "last"}

every_rule = pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.name)


def logs(kind: str) -> list[Path]:
    return sorted(path for path in RULES.glob(f"*/*/{kind}-*") if path.suffix in {".ndjson", ".csv", ".log", ".jsonl"})


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@lru_cache(maxsize=4)
def office(folder: Path) -> sites.Site:
    site = sites.load(folder)
    assert not site.problems, site.problems
    return site


@lru_cache(maxsize=1)
def sources():
    return shipped()


def hits(log: Path) -> set[str]:
    """Names of the rules that hit in a log; what is excused is left out."""
    overlay = log.parent / "site"
    site = office(overlay if overlay.is_dir() else RULES / "site")
    problems: list[str] = []
    key = site.key or SiteKey(b"fictitious key of a test, 32 byt")
    parsed = list(ingest([log], sources(), key, site.config.time_zone, problems=problems))
    assert not problems, problems
    assert all(part.rejected.is_empty() for part in parsed), parsed[0].rejected
    events = pl.concat([part.events for part in parsed])
    end = int(events["time.occurred"].max()) + 3 * DAY_MS
    context = Context(site, BOOK)
    _, output = step(State(), events, end, context)
    _, filled, _ = group(Groups(), output.candidates, output.notes, end, context)
    return {*output.hits.filter(~pl.col("excused"))["rule"], *filled["rule"]}


def test_every_rule_loads():
    assert not BOOK.refused, "\n".join(map(str, BOOK.refused))
    assert len(BOOK.rules) >= 35


@pytest.mark.parametrize("log", logs("fires"), ids=named)
def test_the_rule_fires(log: Path):
    assert log.parent.name in hits(log)


@pytest.mark.parametrize("log", logs("quiet"), ids=named)
def test_the_rule_stays_quiet(log: Path):
    assert log.parent.name not in hits(log)


@every_rule
def test_a_rule_has_a_log_that_fires_it_and_a_near_miss(rule: rulebook.Rule):
    folder = (RULES / rule.path).parent

    assert list(folder.glob("fires-*")), "no log fires it"
    assert list(folder.glob("quiet-*")), "no near miss"


@every_rule
def test_the_sentences_of_a_rule_name_columns_that_exist(rule: rulebook.Rule):
    block = rule.block
    known = COLUMNS[rule.category] | IN_SENTENCES
    if rule.correlation is not None and rule.correlation.stage == 2:
        # Stage two sees slim candidates: the group, the count, the actors and the times.
        known = IN_SENTENCES | {"actor.id", "time.occurred", *rule.correlation.group_by}
    for text in (block.text.ja, block.text.en, block.check_first.ja, block.check_first.en):
        used = {field for _, field in wording.placeholders(text)}
        assert used <= known, f"{sorted(used - known)} in: {text}"
    if block.observed:
        assert block.observed.field in known


@every_rule
def test_a_rule_speaks_both_languages(rule: rulebook.Rule):
    block = rule.block
    japanese = re.compile(r"[ぁ-んァ-ヶ一-龠]")
    for text in (block.title, block.text.ja, block.check_first.ja):
        assert japanese.search(text)
    for text in (rule.title.en, block.text.en, block.check_first.en):
        assert not japanese.search(text)
    assert wording.placeholders(block.text.ja), "a sentence needs numbers"
    assert wording.placeholders(block.text.en), "a sentence needs numbers"


@every_rule
def test_a_rule_says_why_and_what_could_be_wrong(rule: rulebook.Rule):
    assert len(rule.description) > 60
    assert rule.references
    assert rule.falsepositives
    assert rule.scenarios
    assert all(1 <= number <= 50 for number in rule.scenarios)
    assert rule.id


def test_no_two_rules_share_an_id_or_a_title():
    assert len({rule.id for rule in BOOK.rules}) == len(BOOK.rules)
    assert len({rule.title.ja for rule in BOOK.rules}) == len(BOOK.rules)


def test_controls_that_rules_touch_exist():
    known = set()
    for path in sorted((RULES / "controls").glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        known |= {f"{path.stem}/{control['id']}" for control in content["controls"]}
    for rule in BOOK.rules:
        assert set(rule.controls) <= known, rule.name


def test_the_folder_of_a_rule_is_that_of_its_family():
    for rule in BOOK.rules:
        assert Path(rule.path).parts[0] == rule.family, rule.name


def test_the_key_of_the_rules_office_is_the_published_one():
    config = tomllib.loads((RULES / "site" / "site.toml").read_text(encoding="utf-8"))
    key = bytes.fromhex((RULES / "site" / config["keys"]["site"]).read_text().strip())

    assert key == b"sekimori-fictitious-rule-site-ke"
