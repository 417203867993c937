"""Sentences from templates."""

from __future__ import annotations

from datetime import date

import pytest

from detector.wording import fill, placeholders


@pytest.mark.parametrize(
    ("template", "row", "language", "expected"),
    [
        ("{n}件", {"n": 12345}, "ja", "12,345件"),
        ("{n}", {"n": None}, "ja", "不明"),
        ("{n}", {}, "en", "unknown"),
        ("{date(t)}", {"t": 1_775_090_912_000}, "ja", "令和8年4月2日"),
        ("{date(t)}", {"t": 1_775_090_912_000}, "en", "2026-04-02"),
        ("{time(t)}", {"t": 1_775_090_912_000}, "ja", "09:48"),
        ("{date(t)}", {"t": 1_556_636_400_000}, "ja", "令和元年5月1日"),
        ("{date(t)}", {"t": 1_556_636_399_999}, "ja", "平成31年4月30日"),
        ("{d}", {"d": date(1988, 1, 2)}, "ja", "昭和63年1月2日"),
        ("{percent(s)}", {"s": 0.8349}, "en", "83%"),
        ("{s}", {"s": 0.25}, "en", "0.2"),
        ("{s}", {"s": 31.7}, "en", "32"),
        ("{a}", {"a": ["x", "y"]}, "ja", "x、y"),
        ("{b}", {"b": True}, "ja", "はい"),
        ("{person.id}", {"person.id": "{n}", "n": 1}, "en", "{n}"),
    ],
)
def test_values_become_words(template, row, language, expected):
    assert fill(template, row, language) == expected


def test_names_stand_for_values():
    assert fill("{system.id}", {"system.id": "w"}, "ja", names={"system.id": {"w": "生活保護"}}) == "生活保護"


@pytest.mark.parametrize("template", ["{", "a}", "{no such}", "{when(t)}", "{A}"])
def test_a_bad_template_is_refused(template):
    with pytest.raises(ValueError, match=r"brace|function"):
        placeholders(template)


def test_placeholders_are_listed_in_order():
    assert placeholders("{date(a.b)} {c}") == (("date", "a.b"), ("", "c"))
