"""The state log has one owner at a time: who slept, died or was overtaken is fenced, and what he wrote is told apart."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from detector import statechain
from detector.statelog import Broken, Fenced, Step
from tests.detector.statelogs import KEY, nexts, step, writing
from tests.kafka.cluster import Cluster


def test_the_older_of_two_owners_is_fenced_and_what_it_writes_counts_for_nothing(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie, heir = opened(topic), opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5, by="zombie"))
    before = zombie._mine.link()
    assert heir.take_over().next == 5
    for _ in range(2):  # it stays fenced
        with pytest.raises(Fenced, match="live/access-events/3 has another owner now: epoch 2, ours was 1"):
            zombie.append(step(5, 6, by="zombie"))
    heir.append(step(5, 7, by="heir"))
    with writing(kafka) as send:  # what it had on the way lands late
        send(topic, KEY, statechain.step(before, step(5, 6, by="zombie")))
    heir.append(step(7, 8, by="heir"))
    assert heir.outdated == 2
    found = opened(topic).take_over()
    assert [one.decision["by"] for one in found.steps] == ["zombie", "heir", "heir"]


def test_a_zombie_is_fenced_in_the_middle_of_a_snapshot(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie = opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    assert nexts(opened(topic)) == [5]
    with pytest.raises(Fenced):
        zombie.snapshot(5, b"x" * 2_000_000)
    assert opened(topic).take_over().snapshot is None


def test_what_a_zombie_wrote_before_the_claim_is_the_heirs(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie = opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    with writing(kafka) as send:  # it was written, and the zombie never heard of it
        send(topic, KEY, statechain.step(zombie._mine.link(), step(5, 6)))
    assert nexts(opened(topic)) == [5, 6]
    with pytest.raises(Fenced):
        zombie.append(step(5, 6))


def test_somebody_who_writes_in_our_name_is_found_out(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    with writing(kafka) as send:
        send(topic, KEY, statechain.step(log._mine.link(), step(0, 9, by="forger")))
    with pytest.raises(Broken, match="somebody else writes state of live/access-events/3"):
        log.append(step(0, 5))


def test_an_owner_who_slept_through_the_deletion_of_what_he_had_not_read_is_fenced(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie, heir = opened(topic), opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    heir.take_over()
    heir.append(step(5, 6))
    heir.snapshot(6, b"s")
    for _ in range(2):
        with pytest.raises(Fenced, match="another owner"):
            zombie.append(step(5, 6))
    assert zombie.take_over().snapshot == b"s"
    zombie.append(step(6, 7))


def test_whoever_fights_for_a_key_what_was_accepted_is_recovered_in_order(kafka: Cluster, opened):
    topic = kafka.topic(1)
    accepted: list[Step] = []
    errors: list[BaseException] = []

    def fight(name: int) -> None:
        try:
            for turn in range(6):
                log = opened(topic)
                at = log.take_over().next or 0
                with suppress(Fenced):
                    for number in range(15):
                        one = step(at, at + 1, by=name, turn=turn, n=number)
                        log.append(one)
                        accepted.append(one)
                        at += 1
                        if number == 7:
                            log.snapshot(at, b"%d" % at * 200_000)
                log.close()
        except BaseException as error:  # for the test's own thread to tell
            errors.append(error)
            raise

    threads = [threading.Thread(target=fight, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors
    found = opened(topic).take_over()
    everything = sorted(accepted, key=lambda one: one.start)
    # What an owner was told is accepted, nobody else took in hand as well; a step may count of which its owner did not hear.
    assert len({one.start for one in accepted}) == len(accepted) > 20
    assert found.next is not None
    assert found.next >= everything[-1].next
    counted = {one.start: one for one in found.steps}
    assert all(counted[one.start] == one for one in everything if one.start >= max(found.snapshot_next, 0))
    if found.snapshot is not None:
        assert found.snapshot == b"%d" % found.snapshot_next * 200_000
