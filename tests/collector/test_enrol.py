"""Enrolment: a start uses its key, keeps only the secret of the next, and refuses to begin without."""

import errno
import os
import stat
from pathlib import Path

import pytest

from collector import enrol
from collector.enrol import EnrolmentError
from contract import sealed
from tests.collector.sealing import SECRET, enrolled, start


def test_the_first_start_erases_the_key_and_keeps_only_the_next_ones_secret(tmp_path: Path):
    key = enrolled(tmp_path)
    place = tmp_path / "seal.key"
    with place.open("rb") as still_open:
        first = start(tmp_path)
        assert set(still_open.read()) == {0}

    kept = tmp_path / "state" / "seal" / "next-secret"
    assert not place.exists()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sealed.boot_name(key.successor().secret) == start(tmp_path).boot != first.boot
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for spent in (key, key.successor()):
        assert spent.secret.hex().encode() not in everything


def test_a_start_that_dies_before_it_erased_the_key_leaves_that_to_the_next(tmp_path: Path):
    enrolled(tmp_path)
    start(tmp_path)
    enrolled(tmp_path)

    second = start(tmp_path)

    assert not (tmp_path / "seal.key").exists()
    assert sealed.boot_name(SECRET) != second.boot


def test_a_key_that_cannot_be_erased_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    enrolled(tmp_path)

    def refuse(self: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)

    [note] = start(tmp_path).notes

    assert "cannot be erased (Read-only file system)" in note


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: None, "seal.key: no seal key: make one with sekimori keys seal"),
        (lambda folder: enrolled(folder, "ag-2"), "is the key of ag-2, not of ag-test"),
        (lambda folder: enrolled(folder) and (folder / "seal.key").chmod(0o644), "everybody may read it"),
        (lambda folder: enrolled(folder) and (folder / "seal.key").write_text("hm"), "is no seal key"),
        (lambda folder: enrolled(folder) and (folder / "state").touch(), "cannot be written (Not a directory)"),
    ],
)
def test_a_start_without_a_key_of_its_own_is_refused_in_one_line(tmp_path: Path, prepare, said: str):
    prepare(tmp_path)

    with pytest.raises(EnrolmentError) as caught:
        start(tmp_path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_second_enrolment_does_not_silently_take_the_place_of_the_first(tmp_path: Path):
    enrolled(tmp_path)
    start(tmp_path)
    enrolled(tmp_path, secret=b"x" * 32)

    with pytest.raises(EnrolmentError, match="another enrolment"):
        start(tmp_path)
    assert (tmp_path / "seal.key").exists()


def test_a_start_whose_successor_cannot_be_kept_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    enrolled(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(enrol.os, "fsync", full)
        with pytest.raises(EnrolmentError, match="nothing was sealed"):
            start(tmp_path)
    assert start(tmp_path).boot == sealed.boot_name(SECRET)
