"""From when which versions decide."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from detector import pins
from detector.pins import Deployment
from detector.versions import Pin

ONE, TWO = {"rules": "1" * 64}, {"rules": "2" * 64}


def deployed(hashes: dict[str, str]) -> Deployment:
    library: Any = None  # nothing is loaded here
    current: Any = SimpleNamespace(hashes=hashes)
    return Deployment(library, current)


def test_the_first_versions_decide_from_the_beginning():
    decision = deployed(ONE).decide((), -1)

    assert decision == {"pin": {"since": -1, "hashes": ONE}}
    assert pins.extended((), decision, -1) == (Pin(-1, ONE),)


def test_what_is_pinned_is_not_pinned_again():
    assert deployed(ONE).decide((Pin(-1, ONE),), 1_000) == {}


def test_new_versions_decide_from_the_next_minute_of_event_time():
    before = (Pin(-1, ONE),)

    after = pins.extended(before, deployed(TWO).decide(before, 90_000), 90_000)

    assert after == (Pin(-1, ONE), Pin(120_000, TWO))
    assert [pins.at(after, moment).hashes for moment in (90_000, 119_999, 120_000)] == [ONE, ONE, TWO]


def test_versions_that_change_twice_within_a_minute_follow_one_another():
    first = (Pin(-1, ONE), Pin(120_000, TWO))

    after = pins.extended(first, deployed(ONE).decide(first, 100_000), 100_000)

    assert [pin.since for pin in after] == [-1, 120_000, 180_000]


def test_what_nothing_can_ask_for_any_more_is_forgotten():
    known = (Pin(-1, ONE), Pin(120_000, TWO), Pin(180_000, ONE))

    assert pins.extended(known, {}, 119_999) == known
    assert pins.extended(known, {}, 120_000) == known[1:]
    assert pins.extended(known, {}, 10**12) == known[2:]


def test_pins_come_back_from_their_json():
    known = (Pin(-1, ONE), Pin(120_000, TWO))

    assert pins.from_json(pins.as_json(known)) == known
