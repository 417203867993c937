from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from collector.spool import frame
from collector.spool.frame import Batch, Chunk, Loss, SpoolPosition
from collector.spool.spool import WORTH_MS, Spool, SpoolFull
from tests.collector.spool.former import Former, frame_size

SECRET = b"s" * 32
LIMIT = 64 << 20
Part = Batch | Chunk | Loss


def make(folder: Path, position: SpoolPosition | None = None, limit: int = LIMIT, file_bytes: int = 4096) -> Spool:
    return Spool(folder, SECRET, limit, position, file_bytes)


def put(spool: Spool, data: bytes, now_ms: int, size: int | None = None) -> SpoolPosition:
    """Append a batch; it stands for as many bytes of messages as it has, with a newline, unless it is said."""
    place = spool.reserve(now_ms)
    spool.append(place, data, len(data) + 1 if size is None else size, now_ms)
    return place


def fill(spool: Spool, start: int, count: int) -> None:
    for number in range(start, start + count):
        put(spool, b"message %06d" % number, number)


def texts(parts: list[Part]) -> list[bytes]:
    return [part.data for part in parts if isinstance(part, Batch)]


def losses(parts: list[Part]) -> list[Loss]:
    return [part for part in parts if isinstance(part, Loss)]


def everything(spool: Spool) -> list[Part]:
    found: list[Part] = []
    while parts := spool.read(1000):
        found += parts
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def messages(*numbers: int) -> list[bytes]:
    return [b"message %06d" % number for number in range(*numbers)]


def test_what_is_appended_comes_out_once_in_order_over_several_files(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 300)

    found = everything(spool)

    assert texts(found) == messages(300)
    assert losses(found) == []
    assert len(names(tmp_path)) > 2
    assert spool.read(1000) == []
    assert spool.unread_bytes == 0


def test_offsets_count_the_file_as_if_it_were_plain(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    places = [put(spool, b"a batch of two", 1, 10)]
    [first] = spool.read(1000)
    places.append(put(spool, b"a batch of one", 2, 2))
    [second] = spool.read(1000)

    start = len(frame.read_first_line(tmp_path / "00000001.spool"))
    assert [place.offset for place in places] == [start, start + 10]
    assert (first.after, second.after.offset) == (places[1], start + 12)
    assert [part.size for part in (first, second) if isinstance(part, Batch)] == [10, 2]


def test_two_spools_never_share_a_generation(tmp_path: Path):
    found = []
    for name in ("a", "b"):
        spool = make(tmp_path / name)
        fill(spool, 0, 1)
        [batch] = spool.read(1000)
        found.append(batch.after.generation)

    assert found[0] != found[1]


def test_nothing_that_was_received_stands_readable_on_the_disk(tmp_path: Path):
    spool = make(tmp_path)
    put(spool, b"subject s_0123456789abcdef was looked at", 1)
    spool.append_loss("spool_full", "3 messages", 1)

    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert b"subject" not in data
    assert b"spool_full" not in data
    assert (tmp_path / "00000001.spool").stat().st_mode & 0o777 == 0o600
    assert losses(everything(Spool(tmp_path, b"t" * 32, LIMIT)))[0].reason == "spool_damaged"


@pytest.mark.parametrize("stop_after", [0, 1, 57, 150, 299])
def test_a_restart_goes_on_where_the_checkpoint_stood(tmp_path: Path, stop_after: int):
    spool = make(tmp_path)
    fill(spool, 0, 300)
    held: SpoolPosition | None = None
    first: list[bytes] = []
    while len(first) < stop_after:
        parts = spool.read(1)
        first += texts(parts)
        held = spool.position
    spool.close()

    again = make(tmp_path, held)
    fill(again, 300, 50)

    assert first + texts(everything(again)) == messages(350)


def test_a_lost_checkpoint_reads_again_what_was_not_forgotten(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 100)
    everything(spool)
    spool.close()

    again = everything(make(tmp_path, None))

    assert texts(again) == messages(100)
    assert losses(again) == []


def test_what_is_acknowledged_is_deleted_and_nothing_else(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 300)
    before = names(tmp_path)
    start = SpoolPosition(1, "", 100, 0, 100)
    spool.forget(start, 300)
    assert names(tmp_path) == before

    while spool.position is None or spool.position.file == 1:
        spool.read(1)
    spool.forget(spool.position, 300)
    assert names(tmp_path) == before[1:]

    everything(spool)
    spool.forget(spool.position, 300)
    assert names(tmp_path) == before[-1:]

    spool.forget(spool.position, WORTH_MS + 300)
    assert len(names(tmp_path)) == 1
    assert names(tmp_path) != before[-1:]
    assert spool.used_bytes < 100

    fill(spool, 300, 10)
    assert texts(everything(spool)) == messages(300, 310)


def test_forgetting_and_restarting_in_any_order_loses_nothing_and_repeats_nothing(tmp_path: Path):
    draw = random.Random(7)
    held: SpoolPosition | None = None
    spool = make(tmp_path)
    written, got, kept = 0, [], 0
    for step in range(400):
        match draw.randrange(5):
            case 0 | 1:
                count = draw.randrange(1, 30)
                fill(spool, written, count)
                written += count
            case 2:
                got += texts(spool.read(draw.randrange(1, 2000)))
            case 3:
                held, kept = spool.position, len(got)
                if held is not None:
                    spool.forget(held, step * 10_000)
            case 4:
                if draw.random() < 0.5:
                    spool.close()  # else as after kill -9: nothing is closed
                spool = make(tmp_path, held)
                del got[kept:]
    parts = everything(spool)

    assert losses(parts) == []
    assert got + texts(parts) == messages(written)


def test_a_full_spool_takes_no_lines_but_says_what_was_lost(tmp_path: Path):
    spool = make(tmp_path, limit=10_000)
    with pytest.raises(SpoolFull, match="full"):
        fill(spool, 0, 1000)
    kept = spool.used_bytes

    spool.append_loss("spool_full", "3 messages", 5)
    parts = everything(spool)

    assert kept >= 10_000
    [loss] = losses(parts)
    assert (loss.reason, loss.detail) == ("spool_full", "3 messages")
    assert loss.last == loss.first - 1
    assert parts[-1] is loss
    spool.forget(spool.position, 0)
    fill(spool, 0, 1)
    assert texts(everything(spool)) == messages(1)


def test_a_frame_torn_by_a_power_cut_is_a_loss_and_the_next_file_is_read(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 3)
    spool.close()
    file = tmp_path / "00000001.spool"
    os.truncate(file, file.stat().st_size - 5)

    again = make(tmp_path)
    fill(again, 3, 1)
    parts = everything(again)

    assert texts(parts) == [*messages(2), *messages(3, 4)]
    [loss] = losses(parts)
    assert loss.reason == "spool_damaged"
    assert loss.last is None
    assert loss.first == parts[1].after.offset


def test_an_altered_byte_costs_its_own_frame_and_is_told_with_its_bytes(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 3)
    size = (spool.used_bytes - len(frame.read_first_line(tmp_path / "00000001.spool"))) // 3
    spool.close()
    file = tmp_path / "00000001.spool"
    data = bytearray(file.read_bytes())
    data[-size - 1] ^= 1
    file.write_bytes(data)

    parts = everything(make(tmp_path))

    assert texts(parts) == [*messages(1), *messages(2, 3)]
    [loss] = losses(parts)
    assert (loss.reason, loss.last) == ("spool_damaged", loss.first + len(b"message 000001"))


def test_any_altered_byte_is_a_loss_or_reads_as_it_was(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 3)
    spool.close()
    file = tmp_path / "00000001.spool"
    good = file.read_bytes()
    for place in range(len(good)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        parts = everything(make(tmp_path))
        assert set(texts(parts)) <= set(messages(3)), place
        assert losses(parts) or texts(parts) == messages(3), place
        # The first line says how long the file before was; here there is none, so another number changes the key only.
        assert losses(parts), place


def test_a_frame_put_there_twice_is_no_second_message(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 1)
    once = spool.used_bytes
    fill(spool, 1, 1)
    spool.close()
    file = tmp_path / "00000001.spool"
    data = file.read_bytes()
    first = len(frame.read_first_line(file))
    file.write_bytes(data + data[first:once])

    parts = everything(make(tmp_path))

    assert texts(parts) == messages(2)
    assert [loss.reason for loss in losses(parts)] == ["spool_damaged"]


def test_a_file_that_somebody_took_away_is_told(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 300)
    spool.read(1)
    held = spool.position
    spool.close()
    (tmp_path / "00000002.spool").unlink()

    parts = everything(make(tmp_path, held))

    [loss] = losses(parts)
    assert loss.reason == "spool_missing"
    assert "2 to 2" in loss.detail
    assert len(texts(parts)) > 50


def test_the_rest_of_a_file_that_was_half_read_and_is_gone_is_told(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 10)
    everything(spool)
    held = spool.position
    fill(spool, 10, 10)
    spool.close()
    restarted = make(tmp_path, held)
    fill(restarted, 20, 1)
    restarted.close()
    (tmp_path / "00000001.spool").unlink()

    parts = everything(make(tmp_path, held))

    assert [(loss.reason, loss.first) for loss in losses(parts)] == [("spool_missing", held.offset)]
    assert texts(parts) == messages(20, 21)


def test_a_file_that_is_no_spool_is_told_and_stepped_over(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 1)
    spool.close()
    (tmp_path / "00000001.spool").write_bytes(b"something else")
    again = make(tmp_path)
    fill(again, 1, 1)

    parts = everything(again)

    assert [loss.reason for loss in losses(parts)] == ["spool_damaged"]
    assert texts(parts) == messages(1, 2)


def test_a_number_that_another_file_bears_now_is_read_from_its_beginning(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 3)
    everything(spool)
    other = SpoolPosition(1, "0" * 64, spool.position.at, spool.position.frame, spool.position.offset)
    spool.close()

    assert texts(everything(make(tmp_path, other))) == messages(3)


def test_the_age_of_the_oldest_message_is_known(tmp_path: Path):
    spool = make(tmp_path)
    assert spool.oldest_ms() is None
    fill(spool, 1000, 100)
    assert spool.oldest_ms() == 1000
    everything(spool)
    assert spool.oldest_ms() is None
    fill(spool, 2000, 1)
    assert spool.oldest_ms() == 2000


def test_a_position_survives_the_checkpoint():
    place = SpoolPosition(3, "ab", 10, 2, 7)

    assert SpoolPosition.from_json(place.to_json()) == place


def test_a_batch_longer_than_what_is_read_at_once_comes_whole(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    long = os.urandom(3 << 20)
    put(spool, b"before", 1)
    put(spool, long, 2)
    put(spool, b"after", 3)

    assert texts(everything(spool)) == [b"before", long, b"after"]


def test_no_more_is_read_at_once_than_asked_for_and_one_batch(tmp_path: Path):
    spool = make(tmp_path, file_bytes=1 << 20)
    for number in range(10):
        put(spool, b"packed %d" % number, number, 1000)

    assert [len(spool.read(2500)) for _ in range(4)] == [3, 3, 3, 1]


def test_a_place_that_was_given_stays_until_it_is_used(tmp_path: Path):
    """Acknowledging all of a file begins a new one: not while a batch is made of whose events the old one is the name."""
    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 3)
    everything(spool)
    place = spool.reserve(WORTH_MS + 300)
    spool.forget(spool.position, WORTH_MS + 300)
    spool.append(place, b"late", 5, WORTH_MS + 300)
    [late] = spool.read(1000)
    spool.forget(late.after, WORTH_MS + 300)

    assert isinstance(late, Batch)
    assert (late.data, late.after.file, late.after.offset) == (b"late", place.file, place.offset + 5)
    assert put(spool, b"next", 0).file == place.file + 1


def test_a_place_where_something_else_was_written_takes_no_batch(tmp_path: Path):
    spool = make(tmp_path)
    place = spool.reserve(1)
    spool.append_loss("spool_full", "3 messages", 1)

    with pytest.raises(ValueError, match="something else"):
        spool.append(place, b"x", 2, 1)
    assert texts(everything(spool)) == []


def test_what_is_in_memory_at_the_end_goes_beyond_the_limit(tmp_path: Path):
    spool = make(tmp_path, limit=10)
    fill(spool, 0, 1)
    with pytest.raises(SpoolFull, match="full"):
        spool.reserve(2)
    spool.append(spool.reserve(2, at_last=True), b"the last", 9, 2)

    assert texts(everything(spool)) == [*messages(1), b"the last"]


def test_files_of_the_version_before_are_read_to_their_end(tmp_path: Path):
    former = Former(tmp_path, SECRET)
    first = former.write([b"one", b"three"], [b"x"])
    former.write([b"y"])
    spool = make(tmp_path)
    fill(spool, 0, 2)

    parts = everything(spool)

    assert losses(parts) == []
    chunks = [part for part in parts if isinstance(part, Chunk)]
    assert [(chunk.offset, chunk.data) for chunk in chunks] == [
        (len(first), b"one\nthree\nx\n"),
        (len(former.first_line), b"y\n"),
    ]
    assert chunks[0].after.offset == len(first) + 12
    assert texts(parts) == messages(2)
    assert parts.index(chunks[1]) == 1


def test_an_altered_frame_of_the_version_before_is_told_with_its_bytes(tmp_path: Path):
    former = Former(tmp_path, SECRET)
    former.write([b"one"], [b"three"], [b"x"])
    file = tmp_path / "00000001.spool"
    data = bytearray(file.read_bytes())
    data[-frame_size(2) - 1] ^= 1
    file.write_bytes(data)

    parts = everything(make(tmp_path))

    [loss] = losses(parts)
    assert (loss.reason, loss.last) == ("spool_damaged", loss.first + len(b"three"))
    assert [part.data for part in parts if isinstance(part, Chunk)] == [b"one\n", b"x\n"]


def test_a_full_disk_takes_nothing_and_costs_nothing_that_was_there(tmp_path: Path):
    """RLIMIT_FSIZE makes the kernel refuse as it does when the disk is full."""
    import resource
    import signal

    spool = make(tmp_path, file_bytes=1 << 20)
    fill(spool, 0, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (spool.used_bytes + 20, hard))
        with pytest.raises(SpoolFull):
            fill(spool, 10, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    fill(spool, 11, 5)

    parts = everything(spool)

    assert texts(parts) == [*messages(10), *messages(11, 16)]
    assert losses(parts) == []
    assert len(names(tmp_path)) == 2


def test_a_file_that_cannot_be_read_now_stops_reading_and_nothing_else(tmp_path: Path):
    spool = make(tmp_path)
    fill(spool, 0, 300)
    third, aside = tmp_path / "00000003.spool", tmp_path / "aside"
    third.rename(aside)
    third.mkdir()  # reading a folder is an error of the system, as it is when there are no more file handles

    before = spool.read(1 << 20)
    with pytest.raises(OSError, match="directory"):
        spool.read(1 << 20)
    third.rmdir()
    aside.rename(third)
    after = everything(spool)

    assert before
    assert losses(before + after) == []
    assert texts(before + after) == messages(300)


def test_a_position_that_is_none_is_refused():
    for value in (None, 3, {}, {"file": "1", "generation": "", "at": 0, "frame": 0, "offset": 0}):
        with pytest.raises(ValueError, match="place in a spool"):
            SpoolPosition.from_json(value)
