"""The seal's journal: cut by a crash, damaged, gone, without room, grown large."""

import errno
import os
from pathlib import Path

import pytest

from collector import journal
from collector.journal import JournalError
from contract.sealed import Predecessor
from tests.collector.sealing import beats, enrolled, hash_of, some, start


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_of_the_journal_that_was_cut_by_a_crash_is_forgotten(tmp_path: Path, cut: int):
    enrolled(tmp_path)
    first = start(tmp_path)
    records = beats(first)
    first.commit()
    some(first, 4)
    first.commit()
    place = tmp_path / "state" / "seal" / "journal"
    place.write_bytes(place.read_bytes()[:-cut])

    second = start(tmp_path)

    assert second.previous == (Predecessor(first.boot, 2, hash_of(records[-1]), ((0, 2),)),)
    assert second.notes == ()


@pytest.mark.parametrize("damage", [lambda data: b"x" + data[1:], lambda data: b"", lambda data: b"0" * 40 + b"\n"])
def test_a_damaged_journal_is_kept_aside_and_told(tmp_path: Path, damage):
    enrolled(tmp_path)
    first = start(tmp_path)
    for _ in range(2):
        beats(first)
        first.commit()
    place = tmp_path / "state" / "seal" / "journal"
    place.write_bytes(damage(place.read_bytes()))

    second = start(tmp_path)

    assert second.previous == ()
    [note] = second.notes
    assert "damaged" in note
    assert "gap" in note
    assert (place.parent / "journal.damaged").exists()


def test_a_missing_journal_is_told_but_not_at_the_first_start(tmp_path: Path):
    enrolled(tmp_path)
    assert start(tmp_path).notes == ()
    (tmp_path / "state" / "seal" / "journal").unlink()
    [note] = start(tmp_path).notes
    assert "is missing" in note


def test_a_full_disk_stops_the_commit_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    enrolled(tmp_path)
    sealer = start(tmp_path)
    records = beats(sealer)
    real, left = os.pwrite, [7]

    def full(handle: int, data: bytes, at: int) -> int:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data[: left.pop()], at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        for _ in range(2):
            with pytest.raises(JournalError, match=r"No space left on device.*make room"):
                sealer.commit()
    records += some(sealer, 3)
    sealer.commit()

    assert start(tmp_path).previous == (Predecessor(sealer.boot, 5, hash_of(records[-1]), ((0, 5),)),)


def test_a_journal_that_has_grown_large_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "_LARGE_B", 2000)
    enrolled(tmp_path)
    sealer = start(tmp_path)
    beats(sealer)
    place, sizes = tmp_path / "state" / "seal" / "journal", []
    for _ in range(40):
        records = some(sealer, 3)
        sealer.commit()
        sealer.acknowledged(records)
        sizes.append(place.stat().st_size)
    sealer.commit()

    assert max(sizes) < 2500
    assert start(tmp_path).previous == (Predecessor(sealer.boot, 122, hash_of(records[-1]), ((0, 2),)),)
