"""What is held between the socket and the spool: how long, and how much."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from collector import gather
from collector.gather import HELD_BYTES, LOT_BYTES, LOT_MESSAGES, MOMENT_S, Gathered

NOW = datetime(2026, 4, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def run(work: Callable[[Gathered], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        return await work(Gathered())

    return asyncio.run(inside())


def test_messages_that_come_within_a_moment_are_one_lot_with_the_time_of_the_first():
    async def work(gathered: Gathered):
        gathered.add([b"1", b"2"], NOW)
        asyncio.get_running_loop().call_later(MOMENT_S / 4, gathered.add, [b"3"], LATER)
        begun = asyncio.get_running_loop().time()
        return await gathered.lot(), asyncio.get_running_loop().time() - begun

    lot, took_s = run(work)
    assert lot == ([b"1", b"2", b"3"], NOW)
    assert took_s >= MOMENT_S * 0.9


def test_enough_messages_wait_for_no_more_and_come_in_order(monkeypatch):
    monkeypatch.setattr(gather, "MOMENT_S", 60)

    async def work(gathered: Gathered):
        numbers = [b"%d" % number for number in range(2 * LOT_MESSAGES)]
        gathered.add(numbers[:7], NOW)
        gathered.add(numbers[7:], LATER)
        async with asyncio.timeout(30):
            return numbers, await gathered.lot(), await gathered.lot()

    numbers, first, second = run(work)
    assert first == (numbers[:LOT_MESSAGES], NOW)
    assert second == (numbers[LOT_MESSAGES:], LATER)


def test_a_lot_ends_behind_the_message_that_makes_it_long_enough(monkeypatch):
    monkeypatch.setattr(gather, "MOMENT_S", 60)

    async def work(gathered: Gathered):
        gathered.add([b"x" * (LOT_BYTES - 10), b"y" * LOT_BYTES, b"z" * LOT_BYTES], NOW)
        async with asyncio.timeout(30):
            return [len((await gathered.lot())[0]) for _ in range(2)]

    assert run(work) == [2, 1]


def test_who_sends_too_much_waits_for_room_until_the_end_is_near():
    async def work(gathered: Gathered):
        states = [gathered.is_full]
        gathered.add([b"x" * LOT_BYTES] * (HELD_BYTES // LOT_BYTES), NOW)
        states.append(gathered.is_full)
        waiting = asyncio.create_task(gathered.room())
        await asyncio.sleep(0)
        states.append(waiting.done())
        await gathered.lot()
        await waiting
        states.append(gathered.is_full)
        gathered.add([b"x" * HELD_BYTES], NOW)
        gathered.hurry()
        await gathered.room()
        gathered.add([b"x" * HELD_BYTES], NOW)
        return [*states, gathered.is_full]

    assert run(work) == [False, True, False, False, False]


def test_the_end_comes_after_the_last_message(monkeypatch):
    monkeypatch.setattr(gather, "MOMENT_S", 60)

    async def work(gathered: Gathered):
        gathered.hurry()
        gathered.add([b"1"], NOW)
        gathered.end()
        async with asyncio.timeout(30):
            return await gathered.lot(), await gathered.lot()

    assert run(work) == (([b"1"], NOW), None)


def test_an_idle_port_waits_without_end():
    async def work(gathered: Gathered):
        waiting = asyncio.create_task(gathered.lot())
        gathered.add([], NOW)
        await asyncio.sleep(2 * MOMENT_S)
        done = waiting.done()
        waiting.cancel()
        return done

    assert run(work) is False
