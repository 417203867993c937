"""Writer and verifier say the same of every record's seal, however odd: else a sound archive would be called altered."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from audit.archive.digest import Keys
from audit.archive.partition import Chains
from audit.chains.capture import Taken
from audit.chains.verdict import CANNOT, OK
from contract.sealed import HEADERS
from detector.archive.digest import Heads
from detector.archive.signing import new_pair
from tests.audit.archive.archives import PRIVATE, PUBLIC, SECOND, judged, writer
from tests.collector.sealing import NOON

numbers = st.one_of(
    st.integers(-3, 12).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"-", b"--1", b"+1", b" 1", b"1\n", b"01", b"-0", b"1_0", b"9" * 18, b"9" * 19, b"-" + b"9" * 17]),
    st.sampled_from([b"-" + b"9" * 18, "１".encode(), b"\xff"]),
)  # fmt: skip
names = st.sampled_from([b"ag-1", b"ag-2", "庁".encode(), b"", b"\xff", b'"'])


@st.composite
def sealed(draw: st.DrawFn) -> tuple[tuple[str, bytes], ...]:
    """The headers of a seal, or nearly."""
    said = {"agent": draw(names), "boot": draw(names), "first": draw(numbers), "last": draw(numbers)}
    headers = [(name, said.get(name, b"x")) for name in HEADERS]
    how = draw(st.sampled_from(["right", "right", "right", "swapped", "twice", "short", "traced", "none"]))
    at = draw(st.integers(0, len(headers) - 1))
    if how == "swapped":
        headers[at], headers[at - 1] = headers[at - 1], headers[at]
    elif how == "twice":
        headers.insert(at, headers[at])
    elif how == "short":
        del headers[at]
    elif how == "traced":
        headers.insert(at, ("traceparent", b"00"))
    return tuple(headers) if how != "none" else ()


@given(lying=st.lists(sealed(), max_size=12))
def test_both_see_the_same_chains(lying: list[tuple[tuple[str, bytes], ...]]):
    heads, chains = Heads(), Chains()
    for offset, headers in enumerate(lying):
        one = Taken(2, offset, NOON, None, headers, b"%d\n" % offset)
        heads.take(2, one)
        chains.take(one)

    assert (heads.chains, heads.unsealed) == (chains.agents, chains.unsealed)
    counted = sum(one["records"] for starts in heads.chains.values() for one in starts.values())
    assert counted + heads.unsealed == len(lying)
    assert len(chains.offsets) == counted


def test_a_new_key_is_used_from_some_day_on(tmp_path: Path):
    private, public = new_pair()
    for number, key in enumerate((PRIVATE, private, private)):
        into = writer(tmp_path, 0, NOON + number, private=key, partitions=1)
        into.append([Taken(0, number, NOON, None, (), b"x")], NOON)
        into.close(NOON + 50 * SECOND)

    both = Keys({"old.pub": PUBLIC, "new.pub": public})

    assert judged(tmp_path, keys=both, agents=False).status == OK
    old = judged(tmp_path, agents=False)
    assert CANNOT in [problem.status for problem in old.problems]
    assert old.status != OK
