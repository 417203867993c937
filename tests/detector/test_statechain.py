"""Which records of a state log count: one owner at a time, each record once, nothing missing or put in between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import statechain
from detector.statechain import Broken, Chain, Landed, Link, Step, Unknown


class Owner:
    """Writes records as an owner does, from what it has read."""

    def __init__(self, chain: Chain, name: str = "o") -> None:
        self.chain, self.name = chain, name

    def claim(self) -> bytes:
        return statechain.claim(self.chain.epoch + 1, self.name)

    def step(self, next: int, **decision: object) -> bytes:
        start = self.chain.next or 0
        return statechain.step(self.chain.link(), Step(start, next, decision, start))

    def snapshot(self, payload: bytes) -> list[bytes]:
        """All pieces, as if each had counted at once."""
        link, values = self.chain.link(), []
        for number in range(statechain.parts(payload)):
            values.append(statechain.part(link, self.chain.next or 0, payload, number))
            link = Link(link.epoch, link.number + 1, statechain.digest(link.head, values[-1]))
        return values


def read(values: list[bytes | None], first: int = 0) -> Chain:
    """A reader that begins at an offset."""
    chain = Chain("live/t/0", "topic s partition 0")
    for offset, value in enumerate(values[first:], first):
        chain.take(offset, value)
    return chain


def history(*nexts: int) -> tuple[list[bytes | None], Owner]:
    """A claim and steps, and who wrote them."""
    chain = Chain("live/t/0")
    owner, values = Owner(chain), list[bytes | None]()
    for value in (owner.claim, *((lambda to=to: owner.step(to, w=to)) for to in nexts)):
        values.append(value())
        assert chain.take(len(values) - 1, values[-1]) is Landed.ACCEPTED
    return values, owner


def continued(values: list[bytes | None], owner: Owner, *more: bytes | None) -> None:
    """Add records to a history and to what its owner has read."""
    for value in more:
        values.append(value)
        owner.chain.take(len(values) - 1, value)


def test_an_empty_log_knows_nothing():
    found = read([]).recovered()
    assert (found.snapshot, found.snapshot_next, found.steps, found.next, found.done) == (None, -1, (), None, -1)


def test_steps_come_back_as_they_were():
    values, _ = history(5, 9)
    found = read(values).recovered()
    assert found.steps == (Step(0, 5, {"w": 5}, 0), Step(5, 9, {"w": 9}, 5))
    assert (found.next, found.done, found.snapshot_next) == (9, 5, -1)


def test_a_snapshot_replaces_the_steps_before_it_and_may_be_all_that_is_left(monkeypatch):
    monkeypatch.setattr(statechain, "PART_BYTES", 4)
    values, owner = history(5)
    continued(values, owner, *owner.snapshot(b"0123456789"))
    continued(values, owner, owner.step(8))
    assert len(values) == 6
    for first in range(3):  # with what came before it and without
        found = read(values, first)
        assert found.recovered().snapshot == b"0123456789"
        assert found.recovered().snapshot_next == 5
        assert [step.next for step in found.recovered().steps] == [8]
        assert found.since == 2
    with pytest.raises(Broken, match=r"topic s partition 0 offset 3: .*beginning is missing"):
        read(values, 3).recovered()


def test_an_empty_snapshot_is_one():
    values, owner = history(5)
    continued(values, owner, *owner.snapshot(b""))
    assert read(values, 2).recovered().snapshot == b""


def test_a_half_written_snapshot_counts_for_nothing(monkeypatch):
    monkeypatch.setattr(statechain, "PART_BYTES", 4)
    values, owner = history(5)
    whole = owner.snapshot(b"0123456789")
    continued(values, owner, *whole[:2])
    assert read(values).recovered().steps == (Step(0, 5, {"w": 5}, 0),)
    continued(values, owner, owner.claim())  # the owner died here, another goes on
    continued(values, owner, whole[2])
    continued(values, owner, owner.step(7))
    assert [step.next for step in read(values).recovered().steps] == [5, 7]
    continued(values, owner, *owner.snapshot(b"abcdef"))
    assert read(values).recovered().snapshot == b"abcdef"


def test_an_older_owner_counts_until_the_claim_and_not_after():
    values, zombie = history(5)
    late = zombie.step(6, who="zombie")
    own = [*values, late, statechain.claim(2, "new")]
    assert [step.next for step in read(own).recovered().steps] == [5, 6]
    reader = read([*values, statechain.claim(2, "new")])
    assert reader.take(3, late) is Landed.OUTDATED
    assert reader.take(4, statechain.claim(2, "too late")) is Landed.OUTDATED
    assert (reader.epoch, reader.owner) == (2, "new")
    assert [step.next for step in reader.recovered().steps] == [5]


def test_a_record_that_comes_again_counts_once():
    values, owner = history(5, 9)
    reader = read([values[0], values[1], values[1], values[2], values[1], values[2], values[0]])
    assert [step.next for step in reader.recovered().steps] == [5, 9]
    assert reader.last == owner.chain.last


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_record_is_noticed_and_a_later_snapshot_makes_up_for_it(missing: int):
    values, owner = history(5, 9, 12)
    holed = values[:missing] + values[missing + 1 :]
    with pytest.raises(
        Broken, match=r"does not follow the one before it, and no whole snapshot follows.*run of its own"
    ):
        read(holed).recovered()
    assert not read(holed).whole
    mended = [*holed, *owner.snapshot(b"all")]
    assert read(mended).recovered().snapshot == b"all"


def test_a_record_put_in_between_is_noticed():
    values, owner = history(5)
    forged = statechain.step(Link(1, 2, "0" * 32), Step(5, 6, {}, 0))
    with pytest.raises(Broken, match=r"offset 2: .*does not follow"):
        read([*values, forged, owner.step(7)]).recovered()


def test_steps_that_leave_input_out_are_noticed():
    values, owner = history(5)
    values.append(statechain.step(owner.chain.link(), Step(6, 7, {}, 0)))
    with pytest.raises(Broken, match="begins at input offset 6, the one before ended at 5"):
        read(values).recovered()


def test_a_lost_claim_takes_what_came_before_it_along():
    values, owner = history(5)
    zombie = Owner(read(values))
    continued(values, owner, owner.claim(), zombie.step(6, who="zombie"))
    continued(values, owner, owner.step(7))
    cut = values[3:]  # begins with the zombie's step, and nothing there says that it does not count
    assert len(cut) == 2
    with pytest.raises(Broken, match="beginning is missing"):
        read(cut).recovered()
    assert read([*cut, *owner.snapshot(b"all")]).recovered().snapshot == b"all"


@pytest.mark.parametrize(
    "value",
    [None, b"", b"hello", b"{", b"[1]", b'{"a":1}', b'{"sekimori-state":"1"}', b'{"sekimori-state":1}',
     b'{"sekimori-state":1,"kind":"dance","epoch":1,"n":1,"prev":""}', b'{"sekimori-state":1,"kind":"part","epoch":1}',
     b'{"sekimori-state":1,"kind":["step"]}', b'{"sekimori-state":1,"kind":"claim","epoch":true,"owner":"x"}',
     b'{"a":' * 100_000],
)  # fmt: skip
def test_what_no_state_log_wrote_is_foreign(value: bytes | None):
    values, _ = history(5)
    chain = read(values)
    assert chain.take(2, value) is Landed.FOREIGN
    assert chain.recovered() == read(values).recovered()


def test_a_later_version_is_refused_with_advice():
    values, _ = history(5)
    later = b'{"kind":"step","sekimori-state":2}'
    with pytest.raises(
        Unknown, match=r"topic s partition 0 offset 2: .*version 2, this program knows 1: run the version"
    ):
        read([*values, later])


def test_a_decision_that_json_alters_is_refused():
    for decision in ({"a": (1, 2)}, {"a": {1: 2}}):
        with pytest.raises(ValueError, match="gives back as something else"):
            statechain.step(Link(1, 1, ""), Step(0, 1, decision, 0))
    with pytest.raises(ValueError, match="not JSON compliant"):
        statechain.step(Link(1, 1, ""), Step(0, 1, {"a": float("nan")}, 0))
    with pytest.raises(ValueError, match="at most 900,000"):
        statechain.step(Link(1, 1, ""), Step(0, 1, {"a": "x" * 900_000}, 0))


@dataclass
class Worker:
    """An owner that reads back what it writes, over a network that delays and repeats."""

    name: str
    chain: Chain
    at: int = 0
    epoch: int = 0

    def catch_up(self, log: list[bytes]) -> None:
        for offset in range(self.at, len(log)):
            self.chain.take(offset, log[offset])
        self.at = len(log)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["claim", "race", "step", "snapshot", "lost", "late", "again"])),
        max_size=40,
    )
)
def test_what_an_owner_saw_accepted_is_what_everybody_recovers(script: list[tuple[int, str]]):
    log: list[bytes] = []
    workers = [Worker(str(number), Chain("k")) for number in range(3)]
    delayed: list[bytes] = []
    accepted = 0  # input offset up to which somebody saw its step accepted
    for who, act in script:
        worker = workers[who]
        link = worker.chain.link()
        if act in ("claim", "race"):
            if act == "claim":
                worker.catch_up(log)
            owner = f"{worker.name} {len(log)}"
            log.append(statechain.claim(worker.chain.epoch + 1, owner))
            worker.catch_up(log)
            worker.epoch = worker.chain.epoch if worker.chain.owner == owner else 0
            worker.chain.recovered()
        elif act == "late" and delayed:
            log.append(delayed.pop())
        elif act == "again" and log:
            log.append(log[who * len(log) // 3])
        elif worker.epoch:
            start = worker.chain.next or 0
            own = Link(worker.epoch, link.number, link.head)
            value = statechain.step(own, Step(start, start + 1, {"by": worker.name}, start))
            if act == "snapshot":
                value = statechain.part(own, start, b"%d" % start, 0)
            if act == "lost":
                delayed.append(value)  # sent, but neither acknowledged nor read back before the worker died
                worker.epoch = 0
                continue
            log.append(value)
            worker.catch_up(log)
            if worker.chain.epoch != worker.epoch:
                worker.epoch = 0  # fenced
            elif act == "step":
                assert worker.chain.last == statechain.digest(link.head, value)
                accepted = max(accepted, start + 1)
    reader = read(list(log))
    found = reader.recovered()
    assert (found.next or 0) >= accepted
    begun = max(found.snapshot_next, 0)
    assert [step.start for step in found.steps] == list(range(begun, found.next or 0))
    if reader.since is not None:  # what is needed is enough
        assert read(list(log), reader.since).recovered() == found
