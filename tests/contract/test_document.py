"""What is generated from the contract is current, and the examples are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract import decision, document, event, finding, notice, rejected, topics, wire

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", document.files())
def test_generated_files_are_current(name: str):
    assert (TOP / name).read_text(encoding="utf-8") == document.files()[name], "run: python -m contract.document"


def test_the_page_names_every_key_reason_and_topic():
    page = document.page()
    fields = (*finding.FIELDS, *notice.FIELDS, *decision.FIELDS)
    names = [*event.KEYS, *rejected.Reason, *(topic.name for topic in topics.TOPICS), *(f.path for f in fields)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_example_events_are_valid_and_show_every_key():
    data = (TOP / "contract/examples/events.ndjson").read_bytes()
    decoded = wire.decode(data)
    assert decoded.rejected.is_empty()
    assert decoded.unknown == {}
    assert [key for key in event.KEYS if decoded.frame[key].null_count() == 3] == []


def test_the_example_finding_is_valid():
    assert finding.validate(json.loads((TOP / "contract/examples/finding.json").read_text(encoding="utf-8"))) == []


def test_the_example_notice_is_valid():
    assert notice.validate(json.loads((TOP / "contract/examples/notice.json").read_text(encoding="utf-8"))) == []


def test_the_example_decision_is_valid():
    assert decision.validate(json.loads((TOP / "contract/examples/decision.json").read_text(encoding="utf-8"))) == []


def test_topics_have_names_of_their_own():
    assert len({topic.name for topic in topics.TOPICS}) == len(topics.TOPICS)


def test_every_reason_has_a_meaning():
    assert list(rejected.MEANING) == list(rejected.Reason)
