"""Nothing in a text from a log acts, whoever shows it; and people can still read it."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from detector import rulebook
from detector.channels.inert import inert
from tests.detector.channels.hostile import HOSTILE

# What markup, mentions and links need, in HTML, Slack, Markdown, Telegram, Mattermost, Teams and wikis.
ACTS = re.compile(
    r"[<>&@#*`~|\[\]{}\\^$]|://|\bwww\.|[A-Za-z]:\S|\w\.[^\W\d_]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+=]"
)
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def acts(text: str) -> list[str]:
    """What in a text could act."""
    unseen = [sign for sign in text if unicodedata.category(sign) in UNSEEN]
    return ACTS.findall(text) + unseen


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_acts_before_and_not_after(name: str):
    assert acts(HOSTILE[name])
    assert acts(inert(HOSTILE[name])) == []


@given(st.text(alphabet=st.characters(), max_size=80) | st.text(alphabet="<>@#_*`.:/-wa1 \u202e\n\xa0", max_size=40))
def test_no_text_acts_and_a_second_time_changes_nothing(text: str):
    once = inert(text)
    assert acts(once) == []
    assert inert(once) == once


def test_no_character_that_is_not_seen_is_left():
    unseen = [sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) in UNSEEN]
    assert len(unseen) > 2_000  # halves of surrogate pairs among them
    assert inert("".join(unseen), len(unseen)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "職員100231（福祉課）が、担当でない世帯の記録を1時間に212件閲覧しました。",
        "s_91d2c0aa3be47710 at 10:30 from 192.0.2.41, 3.5 times as usual (peers: 12 %).",
        "person's account; 50% more, see P4/1",
    ],
)
def test_what_our_own_sentences_hold_stays(text: str):
    assert inert(text) == text


def test_the_words_of_every_rule_stay():
    book = rulebook.load(Path(rules.__file__).parent)
    spoken = [(rule.title, rule.block.text, rule.block.check_first) for rule in book.rules]
    texts = [re.sub(r"\{[^}]*\}", "7", text) for said in spoken for both in said for text in (both.ja, both.en)]
    lines = [" ".join(text.split()) for text in texts]
    assert len(lines) > 200
    assert [line for line in lines if inert(line) != line] == []


def test_people_can_still_read_it():
    assert inert("<b>@all</b> see http://evil.example") == "＜b＞＠all＜/b＞ see http：//evil·example"


def test_a_long_text_is_cut_and_says_so():
    assert inert("x" * 100, 10) == "xxxxxxxxx…"
    assert inert("x" * 10, 10) == "x" * 10
