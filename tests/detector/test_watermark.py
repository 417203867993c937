"""Event time moves with the slowest input that still speaks, never back, and the same however records are cut."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from detector import watermark
from detector.watermark import Clocks, Heard, hear, leave, silent

HOUR = 3_600_000


def heard(*told: tuple[str, int, int]) -> list[Heard]:
    """Of (input, newest, timestamp)."""
    return [Heard(name, newest, at, offset) for offset, (name, newest, at) in enumerate(told)]


def reached(clocks: Clocks) -> int | None:
    return watermark.watermark(clocks, 0)


def test_nothing_is_known_before_the_first_record():
    assert reached(Clocks()) is None
    assert hear(Clocks(), []) == Clocks()
    assert leave(Clocks(), ["a"]) == Clocks()
    assert silent(Clocks(), 10**12, 1) == ()


def test_the_slowest_input_decides():
    clocks = hear(Clocks(), heard(("a", 100, 1), ("b", 50, 2)))
    assert reached(clocks) == 100  # a stood alone when its record came
    clocks = hear(clocks, heard(("a", 300, 3), ("b", 120, 4)))
    assert reached(clocks) == 120
    assert watermark.watermark(clocks, 30) == 90


def test_an_input_that_joins_holds_the_others_up_and_takes_nothing_back():
    clocks = hear(Clocks(), heard(("a", 100, 1)))
    clocks = hear(clocks, heard(("new", 10, 2), ("a", 200, 3)))
    assert reached(clocks) == 100
    assert reached(hear(clocks, heard(("new", 150, 4)))) == 150


def test_an_input_that_does_not_say_how_far_it_has_come_holds_the_others_up():
    assert reached(hear(Clocks(), heard(("a", -1, 1)))) is None
    clocks = hear(Clocks(), heard(("a", 100, 1), ("b", -1, 2), ("a", 200, 3)))
    assert reached(clocks) == 100
    assert reached(hear(clocks, heard(("b", 150, 4)))) == 150
    assert reached(hear(clocks, heard(("a", -1, 4)))) == 100  # known already
    assert reached(leave(clocks, ["b"])) == 200
    assert reached(leave(hear(Clocks(), heard(("a", -1, 1))), ["a"])) is None


def beat(name: str, at: int) -> Heard:
    return Heard(name, at, at, 0, beat=True)


def test_heartbeats_move_time_when_nobody_works():
    clocks = hear(Clocks(), [*heard(("a", 100, 100)), beat("a", 500)])
    assert reached(clocks) == 500
    assert reached(hear(clocks, [beat("new", 450), beat("a", 900)])) == 500


def test_heartbeats_of_an_agent_that_catches_up_do_not_run_ahead_of_its_events():
    def old(at: int, now: int) -> Heard:
        return Heard("a", at, now, 0, near=False)

    clocks = hear(Clocks(), [*heard(("a", 100, 100)), Heard("a", -1, 5000, 0, beat=True)])
    assert reached(clocks) == 100
    clocks = hear(clocks, [old(150, 5000), beat("a", 5060), old(300, 5070), beat("a", 5120), old(310, 5120)])
    assert reached(clocks) == 310
    assert reached(hear(clocks, [*heard(("a", 5130, 5130)), beat("a", 5180)])) == 5180  # it has caught up
    assert reached(hear(clocks, [beat("a", 5180)])) == 310
    assert reached(hear(clocks, [beat("a", 5180), beat("a", 5240)])) == 5240  # there was nothing more to catch up on


def test_a_start_with_nothing_to_catch_up_on_moves_time_with_its_second_heartbeat():
    clocks = hear(Clocks(), [Heard("a", -1, 5000, 0, beat=True), beat("a", 5060)])
    assert reached(clocks) == 5060


def test_an_older_event_of_an_input_does_not_move_it_back():
    clocks = hear(Clocks(), heard(("a", 100, 1), ("b", 100, 1), ("a", 40, 2), ("b", 130, 3)))
    assert clocks.inputs["a"].newest == 100
    assert reached(clocks) == 100


def test_one_that_is_silent_leaves_and_comes_back():
    clocks = hear(Clocks(), heard(("a", 100, 1000), ("b", 100, 1000), ("a", 5000, 11_000)))
    assert silent(clocks, 11_000, 10) == ()
    assert silent(clocks, 11_001, 10) == ("b",)
    clocks = leave(clocks, ("b",))
    assert reached(clocks) == 5000
    assert silent(clocks, 11_001, 10) == ()  # it has left already
    clocks = hear(clocks, heard(("b", 4000, 12_000), ("a", 9000, 12_000)))
    assert reached(clocks) == 5000
    assert reached(hear(clocks, heard(("b", 6000, 12_001)))) == 6000


def test_when_all_have_left_the_newest_event_of_any_is_reached():
    clocks = hear(Clocks(), heard(("a", 900, 1), ("b", 100, 2), ("b", 150, 3)))
    together = leave(clocks, ("a", "b"))
    assert (
        reached(together) == reached(leave(leave(clocks, ["a"]), ["b"])) == reached(leave(leave(clocks, ["b"]), ["a"]))
    )
    assert reached(together) == 900


def test_a_slow_clock_is_no_silence():
    clocks = hear(Clocks(), heard(("good", 0, 100 * HOUR), ("slow", 0, 98 * HOUR)))
    assert silent(clocks, 100 * HOUR + 1000, 60) == ()


def test_names_that_left_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(watermark, "MOST_AWAY", 3)
    clocks = hear(Clocks(), heard(*((f"x{n}", 10 * n, n) for n in range(6))))
    clocks = leave(clocks, [f"x{n}" for n in range(5)])
    assert sorted(clocks.inputs) == ["x2", "x3", "x4", "x5"]
    assert reached(clocks) == 50


def test_clocks_go_to_json_and_back():
    clocks = leave(
        hear(Clocks(), [*heard(("関", 100, 1), ("b", 50, 2)), beat("b", 9), Heard("c", 1, 1, 1, near=False)]), ["b"]
    )
    assert Clocks.from_json(json.loads(json.dumps(clocks.to_json()))) == clocks
    assert Clocks.from_json(Clocks().to_json()) == Clocks()


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(-1, 50), st.integers(0, 50)),
        st.sets(st.sampled_from("abc"), max_size=2),
    ),
    max_size=30,
)


MIXED = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(-1, 50), st.integers(0, 50), st.booleans(), st.booleans()),
        st.sets(st.sampled_from("abc"), max_size=2),
    ),
    max_size=30,
)


def in_steps(script: Sequence[tuple[str, int, int, bool, bool] | set[str]], cuts: set[int]) -> list[int | None]:
    """What is reached before every departure and at the end, with records handed over up to each cut."""
    clocks, waiting, seen = Clocks(), [], []
    for number, told in enumerate(script):
        if isinstance(told, set):
            clocks, waiting = leave(hear(clocks, waiting), told), []
            seen.append(reached(clocks))
        else:
            waiting.append(Heard(*told[:3], number, *told[3:]))
            if number in cuts:
                clocks, waiting = hear(clocks, waiting), []
    return [*seen, reached(hear(clocks, waiting))]


@given(MIXED, st.sets(st.integers(0, 30)))
def test_cuts_do_not_matter(script: list[tuple[str, int, int, bool, bool] | set[str]], cuts: set[int]):
    assert in_steps(script, cuts) == in_steps(script, set(range(len(script))))


@given(RECORDS)
def test_it_never_goes_back_and_is_the_least_of_those_present(script: list[tuple[str, int, int] | set[str]]):
    clocks, newest, best = Clocks(), dict[str, int](), None
    away: set[str] = set()
    for number, told in enumerate(script):
        if isinstance(told, set):
            clocks, away = leave(clocks, told), away | (told & newest.keys())
            if not told & newest.keys():
                continue
        else:
            clocks = hear(clocks, [Heard(*told, number)])
            newest[told[0]], away = max(told[1], newest.get(told[0], -1)), away - {told[0]}
        present = [newest[name] for name in newest.keys() - away]
        least = min(present) if present else max(newest.values())
        if least >= 0:
            best = least if best is None else max(best, least)
        assert reached(clocks) == best
