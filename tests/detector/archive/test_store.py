"""Where the archive lies: files appear whole and once, in a folder as in an object store."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from audit.archive import place
from audit.archive.place import PlaceError
from audit.archive.verify import Terms, verify
from audit.chains.verdict import OK
from detector.archive import store
from detector.archive.segments import Segments, Superseded
from detector.archive.signing import Signer
from detector.archive.store import Store, StoreError
from tests.audit.archive.archives import KEYS, PRIVATE
from tests.detector.archive.test_segments import NOON, records


@pytest.fixture(params=["folder", "file://"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that is not there yet: a local folder, and the same through the client of object stores."""
    if request.param == "folder":
        return str(tmp_path / "new" / "archive")
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


def test_a_store_that_cannot_be_reached_fails_like_a_disk(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("obstore", reason="needs the package obstore")
    for name, value in (("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_ALLOW_HTTP", "true"), ("AWS_REGION", "x")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    away = store.opened("s3://bucket/archive")
    for call in (lambda: away.names("a"), lambda: away.read("a"), lambda: away.create("a", b"")):
        with pytest.raises(OSError, match="Error performing"):
            call()
    with pytest.raises(OSError, match="Error performing"):
        place.opened("s3://bucket/archive").inside("records")
