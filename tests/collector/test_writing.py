"""From messages to a spool: what a full disk does to them, and which entries go along."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from collector.reading import Reader
from collector.sources import Source
from collector.spool import batch
from collector.spool.frame import Batch
from collector.spool.spool import Spool, SpoolFull
from collector.vault import Vault
from collector.writing import Writer
from registers.tokens import SiteKey
from tests.collector.receiver import NOW, SYSLOG
from tests.collector.test_listen_ids import TOML, line
from tests.collector.test_vault import RECIPIENTS, full_disk

LIMIT = 64 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", b"s" * 32, LIMIT)


def held(spool: Spool) -> list[batch.Unpacked]:
    return [batch.unpack(part.data) for part in spool.read(1 << 20) if isinstance(part, Batch)]


def test_what_a_full_disk_did_not_take_is_parsed_again_as_if_for_the_first_time(
    spool: Spool, key: SiteKey, declare: Callable[[str], Source]
):
    """The number of the person before must not be that of the try that failed, nor the place."""
    writer = Writer(declare(TOML), spool, "port", Reader(key, "Asia/Tokyo"), None)
    writer.write([line(0, "100").encode()], NOW)
    with full_disk(spool.used_bytes + 20), pytest.raises(SpoolFull):
        writer.write([line(3, "104").encode()], NOW)
    writer.write([line(3, "104").encode()], NOW)

    first, second = held(spool)
    assert second.events.get_column("subject.step").to_list() == [4]
    names = [one.events.get_column("source.position")[0].split(":")[0] for one in (first, second)]
    assert names == ["port/00000001", "port/00000002"]


def test_the_year_of_stamps_without_one_goes_on_from_batch_to_batch(spool: Spool, key: SiteKey):
    writer = Writer(SYSLOG, spool, "port", Reader(key, "UTC"), None)
    for stamp in ("Dec 31 23:59:59", "Jan  1 00:00:01"):
        writer.write([f"<13>{stamp} gate app: x".encode()], datetime.fromisoformat("2026-01-01T00:00:05+00:00"))

    stamps = [one.events.get_column("time.occurred")[0] for one in held(spool)]
    assert [datetime.fromtimestamp(stamp / 1000, NOW.tzinfo).year for stamp in stamps] == [2025, 2026]


def test_a_token_s_entry_is_written_once_and_again_if_it_may_be_lost(
    spool: Spool, key: SiteKey, declare: Callable[[str], Source], tmp_path: Path
):
    vault = Vault(tmp_path / "vault", RECIPIENTS, "agent-1", {}, lambda: NOW)
    writer = Writer(declare(TOML), spool, "port", Reader(key, "Asia/Tokyo", keep_ids=True), vault)
    messages = [line(0, "100").encode()]
    with full_disk(spool.used_bytes + 20), pytest.raises(SpoolFull):
        writer.write(messages, NOW)  # its entry lies nowhere
    for _ in range(2):
        writer.write(messages, NOW)
    writer.forget_entries()
    writer.write(messages, NOW)
    found = held(spool)
    for one in found:
        vault.take_entries(one.entries)
    assert vault.write()
    writer.forget_entries()
    writer.write(messages, NOW)  # it is in the vault by now

    assert [len(one.entries) for one in [*found, *held(spool)]] == [1, 0, 1, 0]
