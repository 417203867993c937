"""From when which versions decide."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from detector import pins
from detector.pins import Deployment
from detector.versions import MissingError, Pin

ONE, TWO, THREE = ({"rules": digit * 64} for digit in "123")


def loaded(hashes: Mapping[str, str]) -> Any:
    return SimpleNamespace(hashes=hashes)


class Kept:
    """A library; what lies in place is its hashes."""

    def __init__(self, *kept: Mapping[str, str]) -> None:
        self.kept = list(kept)

    def keep(self, sources: Any) -> Any:
        self.kept.append(sources)
        return sources

    def load(self, hashes: Mapping[str, str]) -> Any:
        if hashes not in self.kept:
            raise MissingError("is not kept here")
        return loaded(hashes)


def deployed(hashes: dict[str, str], at_ms: int = 0, in_place: Any = None, library: Any = None) -> Deployment:
    return Deployment(library or Kept(hashes), loaded(hashes), at_ms, lambda: in_place or hashes)


def test_the_first_versions_decide_from_the_beginning():
    decision = deployed(ONE).decide((), -1)

    assert decision == {"pin": {"since": -1, "hashes": ONE, "deployed": 0}}
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
    known = (Pin(-1, ONE), Pin(120_000, TWO, 7))

    assert pins.from_json(pins.as_json(known)) == known
    assert pins.from_json([{"since": -1, "hashes": ONE}]) == known[:1]  # of a program that did not know when


def test_what_was_deployed_later_is_not_undone_by_who_has_not_reloaded():
    known = (Pin(-1, ONE, 10), Pin(120_000, TWO, 20))
    late = deployed(ONE, 10, library=Kept(ONE, TWO))

    assert late.decide(known, 130_000) == {}
    assert late.is_behind(known)
    assert late.current.hashes == ONE
    assert deployed(ONE, 30).decide(known, 130_000)["pin"] == {"since": 180_000, "hashes": ONE, "deployed": 30}


def test_who_has_not_reloaded_deploys_what_others_have_if_it_lies_in_place():
    known = (Pin(-1, ONE, 10), Pin(120_000, TWO, 20))
    late = deployed(ONE, 10, in_place=TWO)

    assert late.decide(known, 130_000) == {}
    assert not late.is_behind(known)
    assert (late.current.hashes, late.at_ms) == (TWO, 20)


def test_a_reload_with_other_files_is_newer_than_all_that_was_seen_whatever_the_clock_says():
    known = (Pin(-1, ONE, 50),)
    mine = deployed(TWO, 40, library=Kept(ONE, TWO))
    assert mine.decide(known, 0) == {}

    mine.deploy(loaded(TWO), 45)
    assert mine.is_behind(known)  # nothing new was put in place
    mine.deploy(loaded(THREE), 45)

    assert mine.decide(known, 0)["pin"]["deployed"] == 51
    mine.deploy(loaded(ONE), 60)
    assert (mine.decide(known, 0), mine.at_ms) == ({}, 60)


def test_versions_that_are_not_kept_are_taken_from_what_lies_in_place():
    assert deployed(ONE, in_place=TWO).load(Pin(0, TWO)).hashes == TWO
    with pytest.raises(MissingError):
        deployed(ONE, in_place=ONE).load(Pin(0, TWO))
