"""Pages of options say all there is to say."""

from __future__ import annotations

from types import ModuleType

import pytest
from pydantic import BaseModel

from collector import document as of_agent
from collector.config import Config as Agent
from detector import document as of_detector
from detector.config import Config as Detector


@pytest.mark.parametrize(
    ("pages", "config", "ends"),
    [(of_agent, Agent, (".", "*")), (of_detector, Detector, (".",))],
    ids=["agent", "detector"],
)
def test_every_option_of_every_table_stands_in_the_page_with_a_sentence(
    pages: ModuleType, config: type[BaseModel], ends: tuple[str, ...]
):
    page = pages.configuration()
    schema = config.model_json_schema()

    tables = {name: definition for name, definition in schema["$defs"].items() if "properties" in definition}
    assert len(tables) == len(config.model_fields)
    for table in tables.values():
        for key, option in table["properties"].items():
            assert option["description"].endswith(ends)
            assert f"| `{key}` |" in page
            assert option["description"] in page
