"""One channel's notices: in order, tried again while the target is away, set aside when it will not have them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from contract import notice
from detector.channels.channel import LaterError, Notice, RefusedError
from detector.channels.courier import MOST_HELD, Arrived, Aside, Courier, Patience


class Target:
    """A channel that does as it is told: a number is how many it takes, an error is raised; afterwards it takes one."""

    name = "t"
    trouble = ""
    remembers = False

    def __init__(self, *script: int | Exception) -> None:
        self.script = deque(script)
        self.got: list[str] = []
        self.due: Exception | None = None

    def deliver(self, waiting: Sequence[Notice]) -> int:
        step = self.script.popleft() if self.script else 1
        if isinstance(step, Exception):
            raise step
        self.got += [item["fingerprint"] for item in waiting[:step]]
        return step

    def recall(self, notice: Notice) -> None: ...

    def forget(self) -> None: ...

    def turn(self) -> None:
        if self.due is not None:
            raise self.due


class World:
    """A courier with a clock of its own."""

    def __init__(self, target: Target) -> None:
        self.now_s = 1000.0
        self.aside: list[Aside] = []
        self.shelf = True
        self.courier = Courier(
            target, self.put, Patience(first_s=1, most_s=8, refusals=3, hours=1),
            lambda: int(self.now_s * 1000), lambda: self.now_s,
        )  # fmt: skip

    def put(self, aside: Aside) -> bool:
        if self.shelf:
            self.aside.append(aside)
        return self.shelf

    def run(self, seconds: float = 0) -> None:
        """Turns until nothing goes forward, every half second."""
        end = self.now_s + seconds
        while True:
            while self.courier.turn():
                pass
            if self.now_s >= end:
                return
            self.now_s += 0.5


def record(number: int, partition: int = 0, at_s: float = 1000.0, **change: Any) -> Arrived:
    item = notice.example() | {"fingerprint": f"n-{number:016x}"} | change
    return Arrived(partition, number, int(at_s * 1000), notice.to_json(item).encode())


def names(*numbers: int) -> list[str]:
    return [f"n-{number:016x}" for number in numbers]


def test_notices_go_out_in_order_and_are_done():
    target = Target(2, 1)
    world = World(target)
    world.courier.take([record(0), record(7, 1), record(1)])
    world.run()
    assert target.got == names(0, 7, 1)
    assert world.courier.done() == {0: 2, 1: 8}
    assert world.courier.done() == {}
    assert (world.courier.tally.delivered, world.courier.waiting) == (3, 0)


def test_while_the_target_is_away_nothing_is_done_and_nothing_stepped_over():
    target = Target(*[LaterError("smtp.example: away")] * 4)
    world = World(target)
    world.courier.take([record(0), record(1)])
    world.run(6)
    assert (target.got, world.courier.done(), world.courier.trouble) == ([], {}, "smtp.example: away")
    world.run(20)
    assert target.got == names(0, 1)
    assert world.courier.trouble == ""


def test_attempts_grow_rarer_up_to_a_bound_and_soon_again_after_a_success():
    target = Target(*[LaterError("away")] * 20, 1)
    world = World(target)
    world.courier.take([record(0)])
    world.run(60)
    # 1 + 2 + 4 + 8 + 8 + …
    assert world.courier.tally.attempts["later"] == 10
    world.run(200)
    target.script.append(LaterError("away"))
    world.courier.take([record(1)])
    world.run(1.5)
    assert target.got == names(0, 1)


def test_a_target_may_ask_for_a_longer_wait():
    target = Target(LaterError("busy", 30))
    world = World(target)
    world.courier.take([record(0)])
    world.run(29)
    assert target.got == []
    world.run(2)
    assert target.got == names(0)


def test_what_is_refused_again_and_again_is_set_aside_and_the_next_goes_on():
    target = Target(*[RefusedError("hook.example: refuses the notice with 422")] * 3)
    world = World(target)
    world.courier.take([record(0), record(1)])
    world.run(10)
    [aside] = world.aside
    assert (aside.record.offset, aside.reason) == (0, "refused")
    assert "422" in aside.detail
    assert target.got == names(1)
    assert world.courier.done() == {0: 2}
    assert world.courier.tally.parked["refused"] == 1


def test_what_was_refused_once_is_not_set_aside():
    target = Target(RefusedError("no"), RefusedError("no"), 1, RefusedError("no"), RefusedError("no"), 1)
    world = World(target)
    world.courier.take([record(0), record(1)])
    world.run(20)
    assert (target.got, world.aside) == (names(0, 1), [])


def test_what_is_too_old_and_still_cannot_be_delivered_is_set_aside():
    target = Target(*[LaterError("away")] * 1000)
    world = World(target)
    world.courier.take([record(0), record(1, at_s=1000 + 1800)])
    world.run(3590)
    assert world.aside == []
    world.run(20)
    assert [(aside.record.offset, aside.reason) for aside in world.aside] == [(0, "too_old")]


def test_an_old_notice_is_delivered_if_it_can_be():
    target = Target()
    world = World(target)
    world.courier.take([record(0, at_s=0)])
    world.now_s = 1_000_000
    world.run()
    assert (target.got, world.aside) == (names(0), [])


def test_what_cannot_be_set_aside_is_not_done():
    target = Target(*[RefusedError("no")] * 100)
    world = World(target)
    world.shelf = False
    world.courier.take([record(0), record(1)])
    world.run(60)
    assert (world.courier.done(), world.courier.waiting) == ({}, 2)
    assert "cannot be set aside" in world.courier.trouble
    world.shelf = True
    world.run(60)
    assert [aside.record.offset for aside in world.aside] == [0, 1]


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b'{"version":2}'])
def test_what_is_no_notice_is_set_aside_and_does_not_stop_the_others(value: bytes):
    target = Target(1, 1)
    world = World(target)
    world.courier.take([record(0), Arrived(0, 1, 0, value), record(2)])
    world.run()
    assert target.got == names(0, 2)
    assert [(aside.record.offset, aside.reason) for aside in world.aside] == [(1, "unreadable")]
    assert world.courier.done() == {0: 3}


def test_no_more_is_taken_than_there_is_room():
    world = World(Target(LaterError("away", 1000)))
    assert world.courier.room == MOST_HELD
    world.courier.take([record(number) for number in range(MOST_HELD)])
    world.run()
    assert world.courier.room == 0


def test_what_is_dropped_is_not_done_and_not_delivered():
    target = Target(1, LaterError("away"))
    world = World(target)
    world.courier.take([record(0), record(1)])
    world.run()
    world.courier.drop()
    world.run(10)
    assert (target.got, world.courier.done(), world.courier.waiting) == (names(0), {}, 0)


def test_a_target_that_cannot_be_told_again_is_trouble_also_when_nothing_waits():
    target = Target()
    target.due = LaterError("am.example: away")
    world = World(target)
    world.run(1)
    assert world.courier.trouble == "am.example: away"
    target.due = None
    world.run(10)
    assert world.courier.trouble == ""


def test_a_channel_that_waits_for_its_pace_is_asked_again():
    target = Target(0, 0, 1)
    world = World(target)
    world.courier.take([record(0)])
    world.run(3)
    assert target.got == names(0)
