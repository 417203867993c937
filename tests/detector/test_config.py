"""`detector.toml`: every problem at once, with what to do; and every option stands in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.config import load, parse
from registers.config import ConfigError

SMALL = """
[detector]
id = "det-1"
state_dir = "state"
[kafka]
bootstrap_servers = ["kafka1.example.jp:9093"]
"""


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, folder)
    return list(caught.value.problems)


def test_what_must_be_given_is_enough(tmp_path: Path):
    config = parse(SMALL, tmp_path)

    assert config.detector.state_dir == tmp_path / "state"
    assert (config.topics.events, config.topics.state) == ("access-events", "sekimori-state")
    assert config.kafka.group == "sekimori-detect"
    assert config.metrics.port == 9766


def test_all_problems_are_told_at_once_and_near_misses_get_a_hint(tmp_path: Path):
    text = SMALL.replace("state_dir", "state_dri") + '[topcs]\n[limits]\nsnapshot_s = "often"\n'

    found = problems(text, tmp_path)

    assert any('did you mean "state_dir"' in line for line in found)
    assert any('did you mean "topics"' in line for line in found)
    assert any(line.startswith("limits.snapshot_s:") for line in found)
    assert any(line.startswith("detector.state_dir:") for line in found)


def test_two_topics_of_one_name_are_refused(tmp_path: Path):
    [line] = problems(SMALL + '[topics]\nfindings = "access-events"\n', tmp_path)

    assert line == "topics.findings: 'access-events' is the topic of events: give each its own"


def test_a_baseline_without_a_model_is_refused(tmp_path: Path):
    (tmp_path / "base.json").write_text("{}")

    [line] = problems(SMALL.replace("[kafka]", 'baseline = "base.json"\n[kafka]'), tmp_path)

    assert line.startswith("detector.baseline: means nothing without a model")


def test_kafka_is_checked_as_the_agents_is(tmp_path: Path):
    [line] = problems(
        SMALL + 'security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_username = "u"\n', tmp_path
    )

    assert line == "kafka.sasl_password_file: missing: SASL_SSL needs it"


def test_a_folder_that_is_missing_and_a_secret_that_others_may_read_are_told(tmp_path: Path):
    (tmp_path / "site.key").write_text("5e" * 32)
    (tmp_path / "site.key").chmod(0o644)
    text = SMALL.replace("[kafka]", 'site = "gone"\nsite_key = "site.key"\n[kafka]')

    found = problems(text, tmp_path)

    assert [line.partition(":")[0] for line in found] == ["detector.site", "detector.site_key"]
    assert "is no folder" in found[0]
    assert "chmod 600" in found[1]


def test_a_file_that_is_missing_says_what_to_give(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"give the detector's detector\.toml"):
        load(tmp_path / "gone.toml")


def test_the_digest_names_the_options_and_no_secret(tmp_path: Path):
    one, other = parse(SMALL, tmp_path), parse(SMALL + "away_after_s = 60\n", tmp_path)

    assert len(one.digest) == 64
    assert one.digest == parse(SMALL, tmp_path).digest != other.digest
