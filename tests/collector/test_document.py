"""The generated pages are the ones in the tree."""

from __future__ import annotations

from collector import document


def test_pages_of_configuration_and_metrics_are_current() -> None:
    for path, text in document.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m collector.document`"
