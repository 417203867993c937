from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import bundle
from collector.admission import Rules, read_keys
from collector.bundle import BLOCK_BYTES, BundleError, Manifest
from collector.cut import Limits
from collector.drop import SETTLE_S, Drop
from collector.follow.events import Gap, Lines
from collector.ingest import ingest
from collector.ledger import Ledger
from collector.parse import parse
from collector.sources import Source, shipped

MADE = datetime(2026, 4, 1, 12, 30, tzinfo=UTC)
PRIVATE, PUBLIC = bundle.new_key()
HEADER = "time.occurred,event.class,event.action,actor.id,system.id"


def csv(count: int, day: int = 1) -> bytes:
    rows = [f"2026-04-{day:02} 10:{n // 60 % 60:02}:{n % 60:02},access,read,{n},welfare" for n in range(count)]
    return "\n".join([HEADER, *rows, ""]).encode()


class Office:
    """A drop folder, its agent's state, and what the agent read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "drop"
        self.folder.mkdir()
        self.state = folder / "state"
        self.state.mkdir()
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.now_s = 1000.0
        self.start()

    def start(self, place: dict[str, Any] | None = None, **more: Any) -> None:
        """Start the agent, with what its checkpoint holds."""
        rules = {
            "keys": {"office.pub": bundle.public_key(PUBLIC)},
            "source": None,
            "sources": shipped(),
            "max_bytes": 64 << 20,
        }
        ledger = Ledger(self.state / "bundles", lambda: MADE)
        self.drop = Drop(self.folder, ledger, Rules(**(rules | more)), place or {}, clock=lambda: self.now_s)
        self.parts: list[Lines] = []
        self.gaps: list[Gap] = []

    def carry(self, name: str, contents: dict[str, bytes], number: int = 1, source: str | None = None) -> Path:
        """Put a bundle down."""
        handles, logs = [], []
        for place, (log, data) in enumerate(contents.items()):
            (self.scratch / str(place)).write_bytes(data)
            handles.append(os.open(self.scratch / str(place), os.O_RDONLY))
            logs.append(bundle.describe(log, source, handles[-1], len(data)))
        manifest = Manifest(format=1, id=f"{number:032}", created=MADE, logs=tuple(logs))
        with (self.folder / name).open("wb") as out:
            bundle.write(out, manifest, handles, bundle.signing_key(PRIVATE))
        for handle in handles:
            os.close(handle)
        return self.folder / name

    def poll(self, budget: int = 8 << 20) -> int:
        self.now_s += 3
        found = self.drop.poll(budget)
        self.parts += [part for part in found if isinstance(part, Lines)]
        self.gaps += [part for part in found if isinstance(part, Gap)]
        return len(found)

    def run(self, turns: int = 30) -> None:
        for _ in range(turns):
            self.poll()

    def lines(self) -> list[str]:
        return [line for part in self.parts for line in part.piece.lines.get_column("line").to_list()]

    def there(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir())

    def reason(self, name: str) -> str:
        return (self.folder / "refused" / f"{name}.reason.txt").read_text(encoding="utf-8")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Small steps, so that small bundles take several."""
    monkeypatch.setattr("collector.drop.LIMITS", Limits(piece_bytes=1 << 17))
    monkeypatch.setattr("collector.drop.READ_BYTES", 1 << 16)
    return Office(tmp_path)


def test_a_bundle_is_read_like_the_files_in_it(office: Office, key, tmp_path: Path):
    logs = {"a.csv": csv(500), "b.csv.gz": gzip.compress(csv(30, day=2)), "empty.log": b""}
    office.carry("town.bundle", logs)
    office.run()

    plain = tmp_path / "plain"
    plain.mkdir()
    for name, data in logs.items():
        (plain / name).write_bytes(data)
    there = [parsed.events for parsed in ingest([plain], shipped(), key, "Asia/Tokyo", problems=[])]
    here = [parse(part.piece, part.source, key, "Asia/Tokyo").events for part in office.parts]

    assert [frame.get_column("event.id").to_list() for frame in here] == [
        frame.get_column("event.id").to_list() for frame in there
    ]
    assert [frame.height for frame in here] == [500, 30]
    assert office.there() == ["imported/town.bundle"]
    assert office.gaps == []
    assert office.drop.results() == {"imported": 1}
    assert office.parts[0].piece.name == "town.bundle/a.csv"


def test_a_bundle_is_imported_once(office: Office, caplog):
    path = office.carry("town.bundle", {"a.csv": csv(5)})
    shutil.copy(path, office.scratch / "again")
    office.run()
    shutil.copy(office.scratch / "again", office.folder / "renamed.bundle")
    office.run()
    office.start(office.drop.positions())
    shutil.copy(office.scratch / "again", path)
    office.run()

    assert office.parts == []
    assert "was imported already, on 2026-04-01" in office.reason("renamed.bundle")
    assert office.there() == [
        "imported/town.bundle",
        "refused/renamed.bundle",
        "refused/renamed.bundle.reason.txt",
        "refused/town.bundle",
        "refused/town.bundle.reason.txt",
    ]
    assert caplog.text.count("is refused: was imported already") == 2
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("place", [600, 1700, -1400])
def test_an_altered_bundle_is_refused_and_no_line_of_it_is_read(office: Office, place: int):
    path = office.carry("town.bundle", {"a.csv": csv(5)})
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    office.run()

    assert "altered" in office.reason("town.bundle")
    assert office.parts == []
    assert office.drop.results() == {"refused": 1}


def test_what_is_no_bundle_is_refused_with_its_reason(office: Office):
    (office.folder / "raw.csv").write_bytes(csv(100))
    (office.scratch / "secret").write_text("x")
    (office.folder / "link.bundle").symlink_to(office.scratch / "secret")
    os.mkfifo(office.folder / "pipe.bundle")
    (office.folder / ".copying").write_bytes(b"x")
    office.run()

    assert "is no bundle" in office.reason("raw.csv")
    assert "is a link" in office.reason("link.bundle")
    assert "is no file" in office.reason("pipe.bundle")
    assert (office.folder / ".copying").exists()
    assert office.parts == []


def test_logs_that_cannot_be_used_refuse_the_whole_bundle_and_are_all_told(office: Office):
    broken = gzip.compress(csv(50))[:-20]
    office.carry(
        "town.bundle",
        {"a.csv": csv(5), "odd.txt": b"what is this\n" * 60, "b.csv.gz": broken, "c.zip": b"PK\x03\x04xx"},
    )
    office.run()

    reason = office.reason("town.bundle")
    assert "odd.txt is of no known source" in reason
    assert "b.csv.gz is damaged gzip" in reason
    assert "c.zip is a zip archive" in reason
    assert office.parts == []


def test_the_source_that_a_bundle_names_has_to_be_known(office: Office):
    office.carry("good.bundle", {"a.txt": csv(5)}, 1, source="event-csv")
    office.carry("odd.bundle", {"a.txt": csv(5)}, 2, source="nowhere")
    office.run()

    assert [part.source.id for part in office.parts] == ["event-csv"]
    assert "'nowhere', which this agent does not know" in office.reason("odd.bundle")


def test_the_source_of_the_configuration_counts_most(office: Office, declare: Callable[[str], Source]):
    office.start(source=declare('id="mine"\nformat="syslog"\n'))
    office.carry("good.bundle", {"a.txt": b"x\n"}, source="event-csv")
    office.run()

    assert [part.source.id for part in office.parts] == ["mine"]


def test_a_bundle_too_large_is_refused_packed_or_unpacked(office: Office):
    office.start(max_bytes=200_000)
    office.carry("packed.bundle", {"a.csv.gz": gzip.compress(csv(20_000))}, 1)
    office.carry("plain.bundle", {"a.csv": csv(20_000)}, 2)
    office.run()

    assert "unpacks to more than max_bundle_mib" in office.reason("packed.bundle")
    assert "more than max_bundle_mib" in office.reason("plain.bundle")


def test_a_bundle_still_being_copied_is_waited_for_and_one_cut_off_is_refused(office: Office):
    path = office.carry("town.bundle", {"a.csv": csv(5)})
    whole = path.read_bytes()
    for size in (0, 100, 800, len(whole) - 1):
        path.write_bytes(whole[:size])
        office.poll()
        office.now_s += SETTLE_S / 2
    assert office.there() == ["town.bundle"]
    path.write_bytes(whole)
    office.run()
    assert len(office.lines()) == 6

    path.write_bytes(whole[:800])
    for _ in range(3):
        office.poll()
        office.now_s += SETTLE_S
    assert "is cut off (800" in office.reason("town.bundle")


def big(lines: int) -> dict[str, bytes]:
    return {"a.csv": csv(lines), "b.csv": csv(lines, day=2)}


@pytest.mark.parametrize("turns", range(1, 12))
def test_a_restart_at_any_turn_loses_nothing_and_repeats_only_what_was_not_kept(office: Office, turns: int):
    """Of every file between none and all was read; the checkpoint stands one turn back."""
    office.carry("one.bundle", big(25_000), 1)
    office.carry("two.bundle", {"c.csv": csv(100, day=3)}, 2)
    kept: dict[str, Any] = {}
    before: list[str] = []
    for _ in range(turns):
        kept, before = office.drop.positions(), office.lines()
        office.poll(1 << 18)
    office.drop.forget(kept)
    office.start(kept)
    office.run(40)

    expected = [line for data in (*big(25_000).values(), csv(100, day=3)) for line in data.decode().splitlines()]
    assert before + office.lines() == expected
    assert office.gaps == []
    assert office.there() == ["imported/one.bundle", "imported/two.bundle"]


def test_the_ledger_alone_is_enough_to_read_what_was_accepted(office: Office):
    """The checkpoint was lost; so was the last line of the ledger, torn by a power cut."""
    office.carry("one.bundle", {"a.csv": csv(5)}, 1)
    office.run(3)
    with (office.state / "bundles").open("ab") as ledger:
        ledger.write(b"done 2026")
    office.start({})
    office.run()

    assert len(office.lines()) == 6
    assert office.gaps == []


def test_a_bundle_that_is_done_is_not_missed_when_it_is_gone(office: Office):
    office.carry("one.bundle", {"a.csv": csv(5)}, 1)
    office.run()
    office.drop.forget(office.drop.positions())
    (office.folder / "imported" / "one.bundle").unlink()
    for place in (office.drop.positions(), {}):
        office.start(place)
        office.run()
        assert office.parts == []
        assert office.gaps == []


def test_an_accepted_bundle_that_is_taken_away_or_changed_becomes_a_gap(office: Office):
    office.carry("one.bundle", big(25_000), 1)
    while not office.parts:
        office.poll(1 << 18)
    kept = office.drop.positions()
    (office.folder / "imported" / "one.bundle").unlink()
    office.start(kept)
    office.run()

    [gap] = office.gaps
    assert (gap.reason, gap.name, gap.last_byte) == ("bundle_altered", "one.bundle", None)
    assert gap.first_byte == kept["offset"] > 0
    assert f"is gone: what follows byte {kept['offset']} of its log 1 is missing" in gap.detail


def test_bytes_that_change_while_a_bundle_is_read_are_never_parsed(office: Office):
    office.carry("one.bundle", {"a.csv": csv(25_000), "b.csv": csv(3)}, 1)
    while not office.drop.lag():
        office.poll()
    path = office.folder / "imported" / "one.bundle"
    data = bytearray(path.read_bytes())
    where = data.index(b"read,24990,")
    data[where : where + 4] = b"EVIL"
    with path.open("r+b") as file:  # the same file, changed in place
        file.write(data)
    office.run()

    assert not any("EVIL" in line for line in office.lines())
    [gap] = office.gaps
    assert gap.reason == "bundle_altered"
    assert gap.first_byte <= BLOCK_BYTES < gap.first_byte + 100
    assert office.lines()[:-4] == csv(25_000)[: gap.first_byte].decode().splitlines()


def test_a_log_whose_first_bytes_change_after_it_was_accepted_is_a_gap_and_the_next_is_read(office: Office):
    office.carry("one.bundle", {"a.csv": csv(5), "b.csv": csv(3, day=2)}, 1)
    while not office.drop.lag():
        office.poll()
    path = office.folder / "imported" / "one.bundle"
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(data.replace(b"2026-04-01 10", b"2026-04-09 10"))
    office.run()

    assert [(gap.reason, gap.name, gap.first_byte) for gap in office.gaps] == [
        ("bundle_altered", "one.bundle/a.csv", 0)
    ]
    assert office.lines() == csv(3, day=2).decode().splitlines()


def test_names_that_would_tear_the_ledger_or_a_terminal_are_spelled_out(office: Office, caplog):
    caplog.set_level("INFO")
    office.carry("a\n\x1b[31m\u202e.bundle", {"x\u2028y.csv": csv(2)})
    office.run(3)
    office.start({})
    office.run()

    assert len(office.lines()) == 3
    assert all("\x1b" not in record.getMessage() and "\n" not in record.getMessage() for record in caplog.records)


def test_my_numbers_in_names_are_written_nowhere(office: Office, caplog):
    caplog.set_level("INFO")
    office.carry("123456789018.bundle", {"1234-5678-9018.csv": csv(2)})
    office.carry("234567890121.bundle", {"345678901234.dat": b"nothing known\n"}, 2)
    office.run()

    assert office.there() == [
        "imported/[個人番号].bundle",
        "refused/[個人番号].bundle",
        "refused/[個人番号].bundle.reason.txt",
    ]
    assert "[個人番号].dat" in office.reason("[個人番号].bundle")
    assert {part.piece.name for part in office.parts} == {"[個人番号].bundle/[個人番号].csv"}
    kept = (office.state / "bundles").read_text() + str(office.drop.positions())
    assert "[個人番号].bundle" in kept
    assert "123456789018" not in kept


@pytest.mark.parametrize("name", ["one.bundle", "a\nb.bundle", "123456789018.bundle"])
def test_a_bundle_accepted_and_not_yet_moved_is_found_under_whatever_name(office: Office, name: str):
    office.carry(name, {"a.csv": csv(5)})
    office.run(3)
    [moved] = (office.folder / "imported").iterdir()
    moved.rename(office.folder / name)
    (office.folder / "imported" / "other").write_bytes(b"")
    office.start({})
    office.run()

    assert len(office.lines()) == 6
    assert office.gaps == []
    assert f"imported/{moved.name}" in office.there()


def test_two_bundles_of_one_name_are_both_kept(office: Office):
    for number in (1, 2):
        office.carry("town.bundle", {"a.csv": csv(number)}, number)
        office.run()

    assert len(office.lines()) == 2 + 3
    assert len(office.there()) == 2


def test_a_folder_that_cannot_be_listed_is_told_and_comes_back(office: Office):
    office.folder.rename(office.scratch / "away")
    office.poll()
    assert "check the folder" in office.drop.troubles()[0]
    (office.scratch / "away").rename(office.folder)
    office.carry("town.bundle", {"a.csv": csv(2)})
    office.run()
    assert office.drop.troubles() == []
    assert len(office.lines()) == 3


def test_keys_that_cannot_be_used_are_all_told(tmp_path: Path):
    (tmp_path / "private.pem").write_bytes(PRIVATE)
    with pytest.raises(BundleError) as caught:
        read_keys([tmp_path / "none.pub", tmp_path / "private.pem"])
    assert len(str(caught.value).splitlines()) == 2
