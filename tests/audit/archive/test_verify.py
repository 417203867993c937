"""An archive is verified: a whole one passes, and none in which anything was altered, removed, moved or slipped in."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.archive.digest import Keys
from audit.chains.capture import Taken
from audit.chains.verdict import CANNOT, GAP, OK, TAMPERED, Verdict
from detector.archive.digest import Body, Heads, Listed, Newest, encode
from detector.archive.signing import Signer, new_pair
from tests.audit.archive.archives import PRIVATE, SECOND, TOPIC, files, judged, write, writer
from tests.audit.judging import KEY, changed, month, says
from tests.collector.sealing import NOON, taken


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> list[Taken]:
    """A topic in which everything arrived."""
    return taken(record for records in month(tmp_path_factory.mktemp("month")) for record in records)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, lying: list[Taken]) -> Path:
    """Its archive, which no test may change."""
    folder = tmp_path_factory.mktemp("archive")
    write(folder, lying)
    return folder


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(whole, tmp_path / "archive")


def _digests(archive: Path, partition: int = 0) -> list[Path]:
    return sorted((archive / "records" / TOPIC / f"{partition:05}" / "digests").iterdir())


def _resign(path: Path, alter: Callable[[dict], None], private: bytes = PRIVATE) -> None:
    """Alter what a digest says, and sign it again."""
    said = json.loads(path.read_bytes().partition(b"\n")[0])
    alter(said)
    line = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(line + Signer(private).sign(line).hex().encode() + b"\n")


def test_a_whole_archive_passes(whole: Path, lying: list[Taken]):
    verdict = judged(whole)

    assert (verdict.status, verdict.problems) == (OK, ())
    [summary] = verdict.agents
    assert (summary.starts, summary.records) == (3, len(lying))
    assert sum("15 records, 6 digests, from 2026-04-02" in note for note in verdict.notes) == 3


@settings(max_examples=300)
@given(data=st.data())
def test_no_byte_of_any_file_can_be_changed(whole: Path, data: st.DataObject):
    path = data.draw(st.sampled_from([path for path in files(whole) if path.stat().st_size]))
    before = path.read_bytes()
    at, by = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255))
    path.write_bytes(changed(before, at, by))
    try:
        status = judged(whole).status
    finally:
        path.write_bytes(before)

    # Whether a digest is forged or signed by a key unknown to us is one byte of it.
    assert status == TAMPERED if path.parent.name == "segments" else status != OK


@given(data=st.data())
def test_no_file_can_be_cut_short_or_grow(whole: Path, data: st.DataObject):
    path = data.draw(st.sampled_from(files(whole)))
    before = path.read_bytes()
    size = data.draw(st.integers(0, len(before) + 9).filter(lambda size: size != len(before)))
    path.write_bytes(before[:size].ljust(size, b"\n"))
    try:
        status = judged(whole).status
    finally:
        path.write_bytes(before)

    assert status == TAMPERED


def test_no_file_can_be_removed(archive: Path):
    kept = [path for path in files(archive) if path.parent.name != "claims"]
    assert len(kept) > 15
    for path in kept:
        before = path.read_bytes()
        path.unlink()
        verdict = judged(archive)
        assert verdict.status == GAP, path
        path.write_bytes(before)


def test_no_two_files_can_change_places(archive: Path):
    kinds = [files(archive, "segments"), files(archive, "digests")]
    for one, two in [(kind[at], kind[at - step]) for kind in kinds for step in (1, 4) for at in range(len(kind))]:
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        assert judged(archive).status == TAMPERED, (one, two)
        one.write_bytes(first)
        two.write_bytes(second)


def test_partitions_cannot_change_places_nor_vanish(archive: Path):
    place = archive / "records" / TOPIC
    (place / "00001").rename(place / "aside")
    gone = judged(archive)
    (place / "00002").rename(place / "00001")
    (place / "aside").rename(place / "00002")
    moved = judged(archive)

    assert (gone.status, moved.status) == (TAMPERED, TAMPERED)
    says(gone, "aside: does not belong here")
    says(gone, "00001: is missing")
    says(moved, "00001/digests/00000000.json: is digest 0 of access-events, partition 2")


def test_a_partition_that_was_removed_is_a_gap_and_one_slipped_in_tampering(archive: Path):
    place = archive / "records" / TOPIC
    shutil.copytree(place / "00002", place / "00003")
    assert judged(archive).status == TAMPERED
    shutil.rmtree(place / "00003")
    shutil.rmtree(place / "00002")
    verdict = judged(archive)
    assert verdict.status == GAP
    says(verdict, "00002: is missing")


def test_a_topic_may_get_more_partitions(lying: list[Taken], tmp_path: Path):
    write(tmp_path, lying)
    grown = writer(tmp_path, 3, NOON + 45 * SECOND, partitions=4)
    grown.close(NOON + 50 * SECOND)
    assert judged(tmp_path).status == OK


def test_digests_signed_by_somebody_else_cannot_be_verified(lying: list[Taken], tmp_path: Path):
    private, public = new_pair()
    write(tmp_path, lying, private=private)

    verdict = judged(tmp_path)

    assert verdict.status == CANNOT
    says(verdict, "00000000.json", "signed with a key that was not given")
    assert judged(tmp_path, keys=Keys({"other.pub": public})).status == OK


def test_a_digest_signed_by_somebody_else_in_our_name_is_tampering(archive: Path):
    _resign(_digests(archive)[-1], lambda said: None, new_pair()[0])
    verdict = judged(archive)
    assert verdict.status == TAMPERED
    says(verdict, "00000005.json: its signature is wrong")


def test_a_tail_that_was_cut_is_a_gap(archive: Path):
    for partition in range(3):
        _digests(archive, partition)[-1].unlink()

    verdict = judged(archive)

    assert verdict.status == GAP
    says(verdict, "no digest after 2026-04-02 00:50:40Z")
    assert judged(archive, until_ms=NOON + 40 * SECOND).status == OK


def test_whoever_holds_the_signing_key_cannot_alter_what_agents_sealed(lying: list[Taken], tmp_path: Path):
    altered = replace(lying[7], value=lying[7].value.replace(b'"u', b'"v', 1))
    write(tmp_path / "altered", [*lying[:7], altered, *lying[8:]])
    dropped = [one for one in lying if one is not lying[7]]
    write(tmp_path / "dropped", dropped)
    later = [one.offset > lying[7].offset and one.partition == lying[7].partition for one in dropped]
    closed = [replace(one, offset=one.offset - is_later) for one, is_later in zip(dropped, later, strict=True)]
    write(tmp_path / "closed", closed)

    assert altered.value != lying[7].value
    verdicts = {name: judged(tmp_path / name) for name in ("altered", "dropped", "closed")}

    assert {name: one.status for name, one in verdicts.items()} == {"altered": TAMPERED, "dropped": GAP, "closed": GAP}
    says(verdicts["altered"], "its signature is wrong")
    says(verdicts["dropped"], "never came")
    says(verdicts["closed"], "events are missing")


def test_what_a_digest_says_must_be_so_even_if_it_is_signed(archive: Path):
    def lie(change: Callable[[dict], None]) -> Verdict:
        path = _digests(archive)[-1]  # nothing is chained to the last one
        before = path.read_bytes()
        _resign(path, change)
        verdict = judged(archive)
        path.write_bytes(before)
        return verdict

    assert lie(lambda said: None).status == OK
    says(lie(lambda said: said.update(start=3)), "does not begin where the digest before it ended")
    says(lie(lambda said: said.update(next=99)), "offsets 15 to 98 are in no segment")
    says(lie(lambda said: said.update(from_ms=5)), "does not begin where")
    says(lie(lambda said: said.update(unsealed=1)), "its agents' chains are not those of its records")
    says(lie(lambda said: said.update(agents={"x": {}})), "its agents' chains are not")
    says(lie(lambda said: said.update(previous=None)), "does not follow the digest before it")
    says(lie(lambda said: said.update(partition=1)), "is digest 5 of access-events, partition 1")
    says(lie(lambda said: said.update(extra=1)), "signed, but no digest")
    unknown = lie(lambda said: said.update(version=2))
    assert CANNOT in [problem.status for problem in unknown.problems]
    says(unknown, "of version 2, this program knows 1 only")


def test_without_the_agents_keys_only_the_archive_itself_is_verified_and_only_if_asked(whole: Path):
    assert judged(whole, []).status == CANNOT
    verdict = judged(whole, [], agents=False)
    assert (verdict.status, verdict.agents) == (OK, ())
    elsewhere = judged(whole, topic="other")
    assert elsewhere.status == CANNOT
    says(elsewhere, "nothing of topic other is here")


def test_nothing_to_verify_is_no_success(tmp_path: Path):
    assert judged(tmp_path).status == CANNOT
    for partition in range(3):
        writer(tmp_path, partition)
    for path in files(tmp_path, "digests"):
        path.unlink()
    verdict = judged(tmp_path)
    assert verdict.status == CANNOT
    says(verdict, "digests: there is none")


def test_files_of_nobody_are_told_and_unfinished_ones_passed_over(archive: Path):
    place = archive / "records" / TOPIC / "00000"
    (place / "segments" / ".x.part").write_bytes(b"half")
    verdict = judged(archive)
    assert verdict.status == OK
    assert any("segments/.x.part: passed over" in note for note in verdict.notes)
    for where in ("notes.txt", "segments/0.zst", "digests/a.json", "claims/x", "more/file", "../x", "../../x"):
        path = place / where
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        verdict = judged(archive)
        assert verdict.status == TAMPERED
        says(verdict, "does not belong here")
        path.unlink()
        shutil.rmtree(place / "more", ignore_errors=True)


def test_partitions_whose_digests_end_at_different_times_leave_no_false_gap(lying: list[Taken], tmp_path: Path):
    """An agent's newest heartbeat speaks of what lies in a partition whose digest is still to come."""
    spread = [replace(one, timestamp_ms=NOON + 100 * place) for place, one in enumerate(lying)]
    write(tmp_path, [one for one in spread if one.partition != 1 or one.timestamp_ms < NOON + 3000])
    verdict = judged(tmp_path)
    assert verdict.status == OK, verdict.problems
    assert verdict.agents[0].records < len(lying) - 5

    cut = [one for one in spread if one.partition != 1 or not NOON + 2000 < one.timestamp_ms < NOON + 3000]
    shutil.rmtree(tmp_path / "records")
    write(tmp_path, cut)
    assert judged(tmp_path).status == GAP


def test_agents_that_fall_silent_are_a_gap_though_digests_go_on(lying: list[Taken], tmp_path: Path):
    write(tmp_path, lying, seconds=400)
    verdict = judged(tmp_path)
    assert verdict.status == GAP
    says(verdict, "silent since")


def test_what_is_too_old_to_be_kept_may_be_gone_if_that_is_said(archive: Path):
    since = NOON + 20 * SECOND
    for partition in range(3):
        for path in _digests(archive, partition)[:3]:
            path.unlink()
    assert judged(archive).status == GAP
    for path in files(archive, "segments"):
        if int(path.name[:20]) < 11:
            path.unlink()
    verdict = judged(archive, since_ms=since)
    assert verdict.status == OK, verdict.problems
    assert sum("complete only from offset 11 on" in note for note in verdict.notes) == 3
    earlier = judged(archive, since_ms=since - 5 * SECOND)
    assert earlier.status == GAP
    says(earlier, "digests: those before 00000003 are missing")


def test_an_archive_that_begins_later_than_its_topic_says_so(lying: list[Taken], tmp_path: Path):
    write(tmp_path, [one for one in lying if one.offset >= 4])
    verdict = judged(tmp_path)
    assert verdict.status == OK, verdict.problems
    assert verdict.agents[0].since
    assert any("complete only from offset 4 on" in note for note in verdict.notes)


def test_closed_segments_that_no_digest_names_yet_are_looked_at_but_not_judged(lying: list[Taken], tmp_path: Path):
    write(tmp_path, [one for one in lying if one.offset < 10])
    late = writer(tmp_path, 0, NOON + 50 * SECOND)
    late.append([one for one in lying if one.partition == 0 and one.offset >= 10], NOON + 50 * SECOND)
    late.seal()
    verdict = judged(tmp_path)
    assert verdict.status == OK, verdict.problems
    assert any("5 records wait for the next digest" in note for note in verdict.notes)

    path = next(path for path in files(tmp_path, "segments") if path.name.startswith(f"{10:020}-00000002"))
    data = path.read_bytes()
    for at in range(0, len(data), 17):
        path.write_bytes(changed(data, at, 1))
        assert judged(tmp_path).status == TAMPERED


def test_a_segment_of_a_writer_that_was_replaced_is_passed_over_and_told(archive: Path):
    one = files(archive, "segments")[0]
    other = one.read_bytes()
    name = one.name.replace("-00000001-", "-00000000-")
    (one.parent / name).write_bytes(other)
    verdict = judged(archive)
    assert verdict.status == OK
    assert any(f"{name}: passed over, a writer that was replaced left it" in note for note in verdict.notes)

    (one.parent / name).write_bytes(changed(other, 30, 1))
    assert judged(archive).status == TAMPERED


def test_several_agents_and_keys_may_be_given_and_one_too_many_is_told(whole: Path):
    other = replace(KEY, agent="ag-other")
    verdict = judged(whole, [KEY, other])
    assert verdict.status == CANNOT
    says(verdict, "holds no record of this agent")


def test_the_bytes_do_not_move(tmp_path: Path):
    """What is signed is for ever: these were computed when version 1 was fixed. How zstd packs them may change."""
    one = Taken(0, 7, NOON + 123, b"k", (("fmt", b"ndjson"), ("x", b"")), b'{"a":1}\n')
    into = writer(tmp_path, start=7)
    into.append([one, replace(one, offset=9, key=None)], NOON)
    into.seal()
    [path] = files(tmp_path, "segments")
    listed = Listed("x.zst", 7, 10, 2, 99, "ab" * 32, False)
    chains = {"ag": {"b": {"first": 0, "last": 8, "records": 1, "head": "cd" * 32}}}
    body = Body("access-events", 0, 3, 1, "here", 7, 10, NOON, NOON + 1, [listed], Heads(chains, 1))
    before = Newest(4, 1, 7, NOON, "ef" * 32, "01" * 64)

    digest, _ = encode(body, before, Signer(_FIXED))

    raw = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    assert hashlib.sha256(raw).hexdigest() == "8267bebb99fb3910dec3185883764d748b11d22f3d479f17797eb68d4f5027ea"
    assert hashlib.sha256(digest).hexdigest() == "01dafad2362e9e0b53f93b4ed26a434823418c0677833adf9f7033f33e035c0c"


_FIXED = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
