"""The generated pages are the ones in the tree."""

from __future__ import annotations

from detector import document


def test_the_generated_pages_are_current():
    for path, text in document.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m detector.document`"
