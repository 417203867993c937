"""What parsing remembers between the pieces of a file that is followed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.cut import Cutter
from collector.follow.events import Lines
from collector.reading import Reader
from collector.sources import Source, shipped
from registers.tokens import SiteKey

SYSLOG = next(source for source in shipped() if source.id == "syslog")
CSV = Source.model_validate(
    {
        "id": "ops", "format": "delimited", "time": "t",
        "columns": {"actor.id": "a", "subject.token": "s"}, "constants": {"event.class": "access"},
    }
)  # fmt: skip


def lines(source: Source, text: str, key: str = "1", first: bool = True) -> Lines:
    cutter = Cutter("log", source)
    [piece] = [*cutter.feed(text.encode()), *cutter.finish()]
    return Lines(source, key, piece, first)


@pytest.fixture
def reader() -> Reader:
    return Reader(SiteKey(b"k" * 32), "Asia/Tokyo")


def years(found) -> list[int]:
    times = found.events.get_column("time.occurred").to_list()
    return [datetime.fromtimestamp(at / 1000, UTC).year for at in times]


def stamped(*stamps: str) -> str:
    return "".join(f"{stamp} host sshd[1]: Accepted password for a from 192.0.2.1 port 1 ssh2\n" for stamp in stamps)


def test_a_stamp_without_year_is_of_this_year(reader: Reader):
    now = datetime(2026, 3, 5, tzinfo=UTC)
    assert years(reader.events(lines(SYSLOG, stamped("Mar  4 10:00:00")), now)) == [2026]


def test_a_stamp_that_would_lie_ahead_is_of_last_year_and_new_year_is_passed(reader: Reader):
    now = datetime(2026, 1, 5, tzinfo=UTC)
    found = reader.events(lines(SYSLOG, stamped("Dec 30 10:00:00", "Jan  3 10:00:00")), now)
    assert years(found) == [2025, 2026]


def test_the_year_goes_on_from_piece_to_piece_of_a_file_and_not_from_file_to_file(reader: Reader):
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert years(reader.events(lines(SYSLOG, stamped("Dec 31 10:00:00")), now)) == [2025]
    assert years(reader.events(lines(SYSLOG, stamped("Jan  1 10:00:00"), first=False), now)) == [2026]
    assert years(reader.events(lines(SYSLOG, stamped("Dec 31 11:00:00"), key="2"), now)) == [2025]


def test_the_step_from_subject_to_subject_goes_on_from_file_to_file(reader: Reader):
    now = datetime(2026, 3, 5, tzinfo=UTC)
    first = reader.events(lines(CSV, "t,a,s\n2026-03-04 10:00,x,100\n"), now)
    second = reader.events(lines(CSV, "t,a,s\n2026-03-04 10:01,x,101\n", key="2"), now)
    assert first.events.get_column("subject.step").to_list() == [None]
    assert second.events.get_column("subject.step").to_list() == [1]


def test_ids_behind_tokens_are_told_only_if_asked_for():
    now = datetime(2026, 3, 5, tzinfo=UTC)
    text = "t,a,s\n2026-03-04 10:00,x,100\n"
    assert Reader(SiteKey(b"k" * 32), "Asia/Tokyo").events(lines(CSV, text), now).ids is None
    found = Reader(SiteKey(b"k" * 32), "Asia/Tokyo", keep_ids=True).events(lines(CSV, text), now)
    assert found.ids is not None
    assert found.ids.get_column("id").to_list() == ["100"]
    assert found.ids.get_column("token").to_list() == found.events.get_column("subject.token").to_list()
