"""What nobody would see in a text from elsewhere is shown."""

from __future__ import annotations

import unicodedata

from audit.report.writing import visible
from tests.audit.report.sample import HOSTILE, JIS_X_0213, LONG_NAME, RARE


def test_what_changes_the_direction_of_reading_stands_as_its_number():
    assert visible("a\u202eb") == "a<U+202E>b"
    assert visible("\x00\ud800\ufffe\U000e0041") == "<U+0000><U+D800><U+FFFE><U+E0041>"


def test_names_stay_as_they_are():
    for name in (LONG_NAME, RARE, JIS_X_0213, "👩\u200d💻🇯🇵", "a\tb\nc"):
        assert visible(name) == name


def test_nothing_in_a_hostile_text_hides():
    # Joiners are of category Cf as well; a sign is made of several with them.
    for text in HOSTILE:
        hidden = {sign for sign in visible(text) if unicodedata.category(sign) in ("Cc", "Cf", "Cs")}
        assert hidden <= {"\n", "\t", "\u200d"}
