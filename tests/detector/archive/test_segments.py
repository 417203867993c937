"""The archive's writer: what is closed when, what a crash, a full disk and a second writer do to it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.archive.digest import Keys
from audit.archive.place import Folder as Place
from audit.archive.verify import Terms, verify
from audit.chains.verdict import OK, Verdict
from contract.sealed import HEADERS
from detector.archive import framing, segments
from detector.archive.framing import Kept
from detector.archive.segments import ArchiveError, Segments, Superseded
from detector.archive.signing import Signer, SigningKeyError, new_pair
from detector.archive.store import Folder, Store
from tests import disk
from tests.command import environment

NOON = 1_775_091_600_000  # a full hour
MINUTE, HOUR = 60_000, 3_600_000
PRIVATE, PUBLIC = new_pair()


def record(offset: int, size: int = 20) -> Kept:
    """The record at an offset: always the same one."""
    headers = (("h", b"%d" % offset),) * (offset % 3)
    return Kept(offset, NOON + offset, None if offset % 2 else b"k", b"%0*d\n" % (size, offset), headers)


def records(first: int, last: int, size: int = 20) -> list[Kept]:
    return [record(offset, size) for offset in range(first, last)]


def writer(folder: Path | Store, now_ms: int = NOON, **more: int) -> Segments:
    store = Folder(folder) if isinstance(folder, Path) else folder
    return Segments(store, "topic", 0, Signer(PRIVATE), now_ms, partitions=1, **more)


def stored(folder: Path, kind: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"records/topic/00000/{kind}/*"))


def digests(folder: Path) -> list[dict]:
    return [json.loads(path.read_bytes().partition(b"\n")[0]) for path in stored(folder, "digests")]


def kept(folder: Path) -> list[Kept]:
    """What the digests vouch for, in their order."""
    names = [one["name"] for digest in digests(folder) for one in digest["segments"]]
    place = folder / "records" / "topic" / "00000" / "segments"
    return [one for name in names for one in framing.read((place / name).read_bytes()).records]


def judged(folder: Path, until_ms: int = 0) -> Verdict:
    terms = Terms("topic", until_ms, agents=False)
    return verify(Place(folder), Keys({"archive.pub": PUBLIC}), (), terms)


def test_a_segment_is_closed_after_five_minutes_and_only_then_its_records_are_safe(tmp_path: Path):
    into = writer(tmp_path)
    into.append(records(0, 10), NOON)
    into.tick(NOON + 5 * MINUTE - 1)
    assert (into.next, into.expected, stored(tmp_path, "segments")) == (0, 10, [])
    into.tick(NOON + 5 * MINUTE)
    assert (into.next, into.expected, into.closed_segments) == (10, 10, 1)
    into.tick(NOON + 15 * MINUTE)
    assert len(stored(tmp_path, "segments")) == 1  # none without a record


def test_a_segment_is_closed_when_it_is_large(tmp_path: Path):
    into = writer(tmp_path, segment_bytes=10_000)
    into.append(records(0, 100, size=1000), NOON)
    assert (into.closed_segments, into.next) == (10, 100)
    assert sum(path.stat().st_size for path in stored(tmp_path, "segments")) == into.closed_bytes


def test_a_digest_comes_at_every_full_hour_also_when_nothing_came(tmp_path: Path):
    into = writer(tmp_path, NOON + 1)
    for minute in range(1, 181):
        if minute == 70:
            into.append(records(0, 3), NOON + minute * MINUTE)
        into.tick(NOON + minute * MINUTE)

    found = digests(tmp_path)

    assert [len(one["segments"]) for one in found] == [0, 0, 1, 0]
    assert [(one["from_ms"], one["to_ms"]) for one in found] == [
        (NOON + 1, NOON + 1), (NOON + 1, NOON + HOUR), (NOON + HOUR, NOON + 2 * HOUR), (NOON + 2 * HOUR, NOON + 3 * HOUR)
    ]  # fmt: skip
    assert [(one["start"], one["next"], one["unsealed"]) for one in found] == [(0, 0, 0)] * 2 + [(0, 3, 3), (3, 3, 0)]
    assert judged(tmp_path, NOON + 3 * HOUR).status == OK


def test_what_was_not_closed_at_a_crash_is_taken_again(tmp_path: Path):
    first = writer(tmp_path)
    first.append(records(0, 10), NOON)
    first.seal()
    first.append(records(10, 15), NOON)
    second = writer(tmp_path, NOON + MINUTE)
    assert (second.next, second.expected, second.adopted) == (10, 10, 1)

    second.append(records(8, 30), NOON + MINUTE)  # what it has already is passed over
    second.close(NOON + 2 * MINUTE)

    assert kept(tmp_path) == records(0, 30)
    assert [one["adopted"] for one in digests(tmp_path)[1]["segments"]] == [True, False]
    assert judged(tmp_path).status == OK


def test_offsets_that_never_come_are_told_by_who_verifies(tmp_path: Path):
    into = writer(tmp_path)
    into.append([record(0), record(1), record(5)], NOON)
    into.close(NOON + 1)

    [problem] = judged(tmp_path).problems

    assert "offsets 2 to 4 never came" in problem.text


def test_where_an_archive_begins_is_known_though_its_first_writer_closed_nothing(tmp_path: Path):
    first = writer(tmp_path, start=7)
    first.append(records(7, 30), NOON)
    assert writer(tmp_path, start=30).next == 7


def test_an_archive_may_begin_in_the_middle_of_a_topic(tmp_path: Path):
    into = writer(tmp_path, start=1000)
    assert into.next == 1000
    into.append(records(990, 1010), NOON)
    into.close(NOON + 1)
    assert writer(tmp_path, start=5).next == 1010
    assert kept(tmp_path) == records(1000, 1010)


def test_invented_agents_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "MOST_STARTS", 4)
    into = writer(tmp_path)
    for n in range(10):
        said = {"agent": b"ag-%d" % n, "first": b"0", "last": b"0"}
        headers = tuple((name, said.get(name, b"")) for name in HEADERS)
        into.append([Kept(n, NOON, None, b"x", headers)], NOON)
    into.close(NOON + 1)

    assert [len(one["agents"]) for one in digests(tmp_path)] == [0, 4, 4, 2]
    assert judged(tmp_path).status == OK


def test_a_clock_that_goes_back_does_no_harm(tmp_path: Path):
    into = writer(tmp_path)
    into.append(records(0, 3), NOON)
    into.close(NOON + HOUR)
    again = writer(tmp_path, NOON - HOUR)
    again.append(records(3, 5), NOON - HOUR)
    again.close(NOON - HOUR)
    assert [one["to_ms"] for one in digests(tmp_path)] == [NOON, NOON + HOUR, NOON + HOUR]
    assert judged(tmp_path).status == OK


def test_of_two_writers_the_later_one_wins_and_neither_harms_the_other(tmp_path: Path):
    zombie = writer(tmp_path)
    zombie.append(records(0, 10), NOON)
    zombie.seal()
    zombie.append(records(10, 25), NOON)
    owner = writer(tmp_path)
    owner.append(records(10, 20), NOON)
    owner.seal()
    for call in (zombie.seal, lambda: zombie.tick(NOON + HOUR), lambda: zombie.close(NOON + HOUR)):
        with pytest.raises(Superseded, match="a later writer has taken over"):
            call()
    owner.close(NOON + HOUR)
    assert kept(tmp_path) == records(0, 20)
    assert judged(tmp_path).status == OK


class Stopped(Folder):
    """A folder whose writer stands still, once, between looking whether it is still wanted and naming a file."""

    def __init__(self, path: Path, at: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(path)
        self._at, self._meanwhile = at, [meanwhile]

    def create(self, name: str, data: bytes) -> None:
        if self._at in name and self._meanwhile:
            self._meanwhile.pop()()
        super().create(name, data)


def test_a_writer_that_slept_while_it_named_a_segment_leaves_what_is_passed_over(tmp_path: Path):
    def meanwhile() -> None:
        owner = writer(tmp_path)
        owner.append(records(0, 20), NOON)
        owner.close(NOON + 2)

    zombie = writer(Stopped(tmp_path, "segments", meanwhile))
    zombie.append(records(0, 10), NOON)
    zombie.seal()
    with pytest.raises(Superseded):
        zombie.tick(NOON + HOUR)

    verdict = judged(tmp_path)

    assert kept(tmp_path) == records(0, 20)
    assert verdict.status == OK
    assert any("a writer that was replaced left it" in note for note in verdict.notes)


def test_a_writer_that_slept_while_it_named_a_digest_costs_the_owner_a_new_beginning(tmp_path: Path):
    owners: list[Segments] = []

    def meanwhile() -> None:
        owners.append(writer(tmp_path))
        owners[0].append(records(0, 20), NOON)
        owners[0].seal()

    zombie = writer(Stopped(tmp_path, "digests/00000001", meanwhile))
    zombie.append(records(0, 10), NOON)
    zombie.close(NOON + 1)
    with pytest.raises(Superseded, match="another writer made it"):
        owners[0].close(NOON + 2)
    again = writer(tmp_path)
    assert again.next == 20  # the owner's own segment follows what the sleeper signed
    again.append(records(20, 30), NOON)
    again.close(NOON + 3)

    assert kept(tmp_path) == records(0, 30)
    assert judged(tmp_path).status == OK


class Full(Folder):
    """A folder that fails, at times only after the file is there."""

    def __init__(self, path: Path, fails: Sequence[str]) -> None:
        super().__init__(path)
        self._fails = list(fails)

    def create(self, name: str, data: bytes) -> None:
        how = self._fails.pop(0) if self._fails and "claims" not in name else ""
        if how == "before":
            raise OSError(28, "No space left on device", name)
        super().create(name, data)
        if how == "after":
            raise OSError(5, "Input/output error", name)


@settings(max_examples=60)
@given(
    acts=st.lists(st.tuples(st.sampled_from(["new", "append", "tick", "close"]), st.integers(0, 2), st.integers(1, 9)), max_size=25),
    fails=st.lists(st.sampled_from(["", "before", "after"]), max_size=12),
)  # fmt: skip
def test_whatever_writers_do_one_after_the_other_the_archive_is_whole(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]], fails: list[str]
):
    folder = tmp_path_factory.mktemp("archive")
    store = Full(folder, fails)
    writers: dict[int, Segments] = {}
    now = NOON
    for act, which, amount in [*acts, ("new", 0, 0), ("append", 0, 40)]:
        now += amount * MINUTE
        try:
            if act == "new":
                writers[which] = writer(store, now)
            elif into := writers.get(which):
                if act == "append":
                    into.append(records(into.next, into.expected + amount), now)
                else:
                    getattr(into, act)(now)
        except (OSError, Superseded):
            continue
    final = writer(Folder(folder), now)
    final.append(records(final.next, 50), now)
    final.close(now)

    assert kept(folder) == records(0, max(50, final.next))
    assert judged(folder, now).status == OK


def test_a_damaged_segment_that_no_digest_names_is_read_from_kafka_again(tmp_path: Path):
    into = writer(tmp_path)
    into.append(records(0, 10), NOON)
    into.seal()
    into.append(records(10, 20), NOON)
    into.seal()
    path = stored(tmp_path, "segments")[1]
    path.write_bytes(path.read_bytes()[:-5])
    again = writer(tmp_path)
    assert again.next == 10
    again.append(records(10, 20), NOON)
    again.close(NOON + 1)
    assert kept(tmp_path) == records(0, 20)


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"[]\n", b'{"kind":"sekimori digest","version":2}\n', b"\xff\n"])
def test_a_digest_that_cannot_be_continued_stops_the_writer_with_advice(tmp_path: Path, damage: bytes):
    writer(tmp_path)
    stored(tmp_path, "digests")[0].write_bytes(damage)
    with pytest.raises(ArchiveError, match=r"00000000.json: is .*begin a new archive elsewhere"):
        writer(tmp_path)


def test_what_is_no_signing_key_is_refused_without_showing_it():
    for pem in (b"", b"secret", PUBLIC):
        with pytest.raises(SigningKeyError, match="is no signing key without pass phrase") as caught:
            Signer(pem)
        assert "secret" not in str(caught.value)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KB, made full by a file `ballast`."""
    with disk.small(tmp_path / "disk", "200k") as place:
        yield place


def test_a_full_disk_stops_it_and_nothing_is_lost_when_there_is_room_again(small: Path):
    into = writer(small, segment_bytes=20_000)
    (small / "ballast").write_bytes(bytes(160_000))
    noise = random.Random(1)
    lying = [Kept(n, NOON, None, noise.randbytes(1000), ()) for n in range(100)]
    for _ in range(3):
        with pytest.raises(OSError, match="No space left on device"):
            into.append(lying, NOON)
    with pytest.raises(OSError, match="No space left on device"):
        into.tick(NOON + HOUR)
    assert into.expected < 100
    assert not list(small.rglob("*.part"))

    (small / "ballast").unlink()
    into.append(lying, NOON)
    into.close(NOON + HOUR)

    assert kept(small) == lying
    assert judged(small).status == OK


_ENDLESS = """
import sys, time
from pathlib import Path
from tests.detector.archive import test_segments as own
own.PRIVATE = Path(sys.argv[2]).read_bytes()
into = own.writer(Path(sys.argv[1]), own.NOON, segment_bytes=2000, digest_ms=5)
print("at", into.next, flush=True)
at, now = into.next, own.NOON
while True:
    now += 1
    into.append(own.records(at, at + 7), now)
    at += 7
    into.tick(now)
"""


def test_killed_at_any_moment_it_goes_on_where_it_was_safe(tmp_path: Path):
    key = tmp_path / "key"
    key.write_bytes(PRIVATE)
    folder = tmp_path / "archive"
    at = [0]
    for run in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, folder, key], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        at.append(int(process.stdout.readline().split()[1]))
        time.sleep(0.03 + 0.011 * run)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    into = writer(folder)
    into.close(NOON + HOUR)

    assert at == sorted(at)
    assert at[-1] > 100
    assert kept(folder) == records(0, into.next)
    assert judged(folder).status == OK
