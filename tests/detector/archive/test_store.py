"""Where the archive lies: files appear whole and once, in a folder as in an object store."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from audit.archive import place
from audit.archive.place import PlaceError
from audit.archive.verify import Terms, verify
from audit.chains.verdict import OK
from detector.archive import store
from detector.archive.framing import Kept
from detector.archive.segments import Segments, Superseded
from detector.archive.signing import Signer
from detector.archive.store import Store, StoreError
from tests import s3
from tests.audit.archive.archives import KEYS, PRIVATE, PUBLIC
from tests.command import sekimori
from tests.detector.archive.test_derive import values
from tests.detector.archive.test_segments import HOUR, NOON, records


@pytest.fixture(params=["folder", "file://", "s3://"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that is not there yet: a local folder, the same through the client of object stores, and one of these."""
    if request.param == "folder":
        return str(tmp_path / "new" / "archive")
    if request.param == "s3://":
        return str(request.getfixturevalue("bucket"))
    pytest.importorskip("obstore", reason="needs the package obstore")
    return f"file://{tmp_path}/new/archive"


@pytest.fixture
def there(where: str) -> Store:
    return store.opened(where)


def test_a_file_is_made_once_and_never_replaced(there: Store):
    there.create("a/b/2", b"two")
    there.create("a/b/1", b"")
    with pytest.raises(FileExistsError):
        there.create("a/b/2", b"other")

    assert there.names("a/b") == ["1", "2"]
    assert (there.read("a/b/1"), there.read("a/b/2")) == (b"", b"two")
    assert there.names("a/none") == []
    with pytest.raises(OSError, match="a/b/3"):
        there.read("a/b/3")


def test_the_verifier_sees_the_same(there: Store, where: str):
    there.create("a/b/c/1", b"one")
    seen = place.opened(where)
    assert seen.inside("a/b") == (["c"], [])
    assert seen.inside("a/b/c") == ([], ["1"])
    assert seen.inside("none") == ([], [])
    assert (seen.read("a/b/c/1"), seen.read("a/b/c/2")) == (b"one", None)


def test_an_archive_is_written_taken_over_and_verified(there: Store, where: str):
    first = Segments(there, "topic", 0, Signer(PRIVATE), NOON, partitions=1)
    first.append(records(0, 10), NOON)
    first.seal()
    second = Segments(there, "topic", 0, Signer(PRIVATE), NOON, partitions=1)
    with pytest.raises(Superseded):
        first.close(NOON + 1)
    second.append(records(10, 20), NOON)
    second.close(NOON + 1)

    verdict = verify(place.opened(where), KEYS, (), Terms("topic", NOON + 1, agents=False))

    assert verdict.status == OK, verdict.problems
    assert any("20 records, 2 digests" in note for note in verdict.notes)


def test_the_commands_verify_it_and_make_tables_of_it(there: Store, where: str, tmp_path: Path):
    one = Segments(there, "access-events", 0, Signer(PRIVATE), NOON, partitions=1)
    one.append([Kept(n, NOON, None, value, ()) for n, value in enumerate(values(0, 40))], NOON)
    one.close(NOON + 1)
    Segments(there, "access-events", 0, Signer(PRIVATE), NOON, partitions=1).close(NOON + 60 * HOUR)
    (tmp_path / "archive.pub").write_bytes(PUBLIC)

    options = ["--key", tmp_path / "archive.pub", "--without-agents", "--until", "2026-04-02T12:00+09:00"]
    judged = sekimori(tmp_path, "verify", where, *options)
    made = sekimori(tmp_path, "archive", "tables", where, out=tmp_path / "out")

    assert (judged.status, made.status) == (0, 0), judged.out + judged.err + made.err
    made.says("sessions: 38 rows of 2 days")
    assert sum(pl.read_parquet(path).height for path in (tmp_path / "out" / "events").iterdir()) == 40


def test_what_was_never_finished_is_not_seen_and_removed(tmp_path: Path):
    there = store.opened(str(tmp_path))
    there.create("a/1", b"x")
    (tmp_path / "a" / ".2.0123.part").write_bytes(b"half")
    (tmp_path / "a" / ".keep").write_bytes(b"of somebody else")
    assert there.names("a") == ["1"]
    there.tidy("a")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".keep", "1"]
    there.tidy("nowhere")


def test_only_the_owner_may_read_what_came(tmp_path: Path):
    store.opened(str(tmp_path / "new")).create("a/1", b"x")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "new", *sorted((tmp_path / "new").rglob("*"))]]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("url", ["nosuch://place", "s3://"])
def test_a_place_that_cannot_be_one_is_told_in_a_line(url: str):
    for opened, error in ((store.opened, StoreError), (place.opened, PlaceError)):
        with pytest.raises(error) as caught:
            opened(url)
        assert str(caught.value).startswith(f"{url}: ")
        assert "\n" not in str(caught.value)


def test_a_long_list_is_read_to_its_end(bucket: str):
    there = store.opened(bucket)
    names = [f"{number:04}" for number in range(1001)]  # S3 gives a thousand at once
    for name in names:
        there.create(f"a/{name}", b"")
    assert there.names("a") == names
    assert place.opened(bucket).inside("a") == ([], names)


@pytest.fixture
def way(store_server: s3.Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Way]:
    """What stands before the store."""
    with s3.way(store_server.port) as one:
        for name, value in s3.environment(one.server_port).items():
            monkeypatch.setenv(name, value)
        yield one


def test_an_answer_that_gets_lost_does_no_harm(way: s3.Way, bucket: str):
    one = Segments(store.opened(bucket), "topic", 0, Signer(PRIVATE), NOON, partitions=1)
    for first in (0, 10, 20):
        one.append(records(first, first + 10), NOON)
        way.loses = 4  # more than the client tries
        with pytest.raises(OSError, match="Error performing PUT"):
            one.seal()
        way.loses = 0
        one.append([], NOON)
    one.close(NOON + 1)

    verdict = verify(place.opened(bucket), KEYS, (), Terms("topic", NOON + 1, agents=False))

    assert verdict.status == OK, verdict.problems
    assert any("30 records, 2 digests" in note for note in verdict.notes)


def test_a_store_that_would_replace_files_is_refused(way: s3.Way, bucket: str):
    way.drops = {"if-none-match"}
    with pytest.raises(OSError, match="it must honour If-None-Match"):
        Segments(store.opened(bucket), "topic", 0, Signer(PRIVATE), NOON, partitions=1)
    way.drops = set()
    Segments(store.opened(bucket), "topic", 0, Signer(PRIVATE), NOON, partitions=1)


def test_a_store_that_cannot_be_reached_fails_like_a_disk(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("obstore", reason="needs the package obstore")
    for name, value in s3.environment(1).items():
        monkeypatch.setenv(name, value)
    away = store.opened("s3://bucket/archive")
    for call in (lambda: away.names("a"), lambda: away.read("a"), lambda: away.create("a", b"")):
        with pytest.raises(OSError, match="Error performing"):
            call()
    with pytest.raises(OSError, match="Error performing"):
        place.opened("s3://bucket/archive").inside("records")
