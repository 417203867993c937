"""Generated pages are current, and say something of every option."""

from __future__ import annotations

from collector import document
from collector.config import Config


def test_pages_of_configuration_and_metrics_are_current() -> None:
    for path, text in document.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m collector.document`"


def test_every_option_of_every_table_stands_in_the_page_with_a_sentence() -> None:
    page = document.configuration()
    schema = Config.model_json_schema()

    tables = {name: definition for name, definition in schema["$defs"].items() if "properties" in definition}
    assert len(tables) == len(Config.model_fields)
    for table in tables.values():
        for key, option in table["properties"].items():
            assert option["description"].endswith((".", "*"))
            assert f"| `{key}` |" in page
            assert option["description"] in page
