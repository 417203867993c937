from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector import vault_entry
from collector.vault import Vault
from collector.vault_entry import TOKENS, Entry, NotYours, VaultError

NOW = datetime(2026, 4, 1, tzinfo=UTC)
FIRST, SECOND = vault_entry.new_identity(), vault_entry.new_identity()
RECIPIENTS = (FIRST[1], SECOND[1])
HOLDERS = tuple(vault_entry.identities_of(text.encode()) for text, _ in (FIRST, SECOND))


def ids(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"token": [f"s_{number:016x}" for number in numbers], "id": [f"住民{number}" for number in numbers]},
        schema={"token": pl.String, "id": pl.String},
    )


def pairs(*numbers: int) -> dict[str, str]:
    return dict(ids(*numbers).rows())


def opened(lines: bytes) -> dict[str, str]:
    """What both holders together read; each token may stand there once only."""
    found: dict[str, str] = {}
    for line in lines.splitlines():
        entry = Entry.from_line(line)
        inside = entry.opened(HOLDERS[1]).opened(HOLDERS[0]).pairs()
        assert tuple(token for token, _ in inside) == entry.tokens
        assert not found.keys() & dict(inside).keys()
        found |= dict(inside)
    return found


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond a size, as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Vault]:
    def run(start: dict[str, Any] | None = None, recipients: tuple[str, ...] = RECIPIENTS) -> Vault:
        return Vault(tmp_path / "state" / "vault", recipients, "agent-1", start or {}, lambda: NOW)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "vault"


def put(vault: Vault, *numbers: int) -> None:
    vault.take(ids(*numbers))
    assert vault.write()


def test_both_holders_together_read_what_was_put_in(make, file: Path):
    vault = make()
    put(vault, *range(250))

    lines = file.read_bytes()

    assert opened(lines) == pairs(*range(250))
    assert len(lines.splitlines()) == -(-250 // TOKENS)
    assert vault.new_tokens() == 250
    assert file.stat().st_mode & 0o777 == 0o600


def test_neither_holder_alone_nor_anybody_else_reads_an_id(make, file: Path):
    put(make(), 1)
    [line] = file.read_bytes().splitlines()
    entry = Entry.from_line(line)

    assert "住民".encode() not in line
    assert "住民" not in json.loads(line)["age"]
    with pytest.raises(NotYours, match=SECOND[1]):
        entry.opened(HOLDERS[0])
    half = entry.opened(HOLDERS[1])
    assert "住民".encode() not in half.data
    with pytest.raises(NotYours, match=FIRST[1]):
        half.opened(HOLDERS[1])
    with pytest.raises(VaultError, match=FIRST[1]):
        half.pairs()


def test_each_token_is_put_in_once_also_over_restarts(make, file: Path):
    vault = make()
    put(vault, 1, 2)
    put(vault, 2, 3)
    vault = make(vault.positions())
    put(vault, 3, 4, 1)
    size = file.stat().st_size
    put(make(), 4, 3, 2, 1)

    assert opened(file.read_bytes()) == pairs(1, 2, 3, 4)
    assert file.stat().st_size == size


def test_many_tokens_are_remembered_in_little_room(make, file: Path, monkeypatch):
    monkeypatch.setattr("collector.vault._MERGE", 1000)
    vault = make()
    for start in range(0, 5000, 500):
        put(vault, *range(start, start + 500))
    put(vault, *range(0, 5000, 7))
    put(make(), *range(0, 5000, 7))

    assert opened(file.read_bytes()) == pairs(*range(5000))
    assert file.with_name("vault.seen").stat().st_size == 8 * 5000


def test_the_topic_gets_a_copy_of_every_line_from_where_the_checkpoint_stands(make, file: Path):
    vault = make()
    put(vault, 1, 2)
    first = vault.records("sekimori-vault", 3, 77)
    kept = vault.positions()
    put(vault, 3)
    lost = vault.records("sekimori-vault", 3, 78)
    again = make(kept)
    put(again, 4)
    rest = again.records("sekimori-vault", 3, 79)

    assert again.records("sekimori-vault", 3, 80) == []
    assert b"".join(record.value for record in first + rest) == file.read_bytes()
    assert rest[0].value.startswith(lost[0].value)
    assert {(record.topic, record.key, record.partition) for record in first + rest} == {
        ("sekimori-vault", b"agent-1", first[0].partition)
    }


def test_records_for_the_topic_stay_small(make, monkeypatch):
    monkeypatch.setattr("collector.vault.RECORD_BYTES", 30_000)
    vault = make()
    put(vault, *range(1000))
    records = vault.records("sekimori-vault", 1, 0)

    assert len(records) > 3
    assert max(len(record.value) for record in records) <= 30_000
    assert opened(b"".join(record.value for record in records)) == pairs(*range(1000))


def test_a_full_disk_holds_everything_back_and_says_so(make, file: Path):
    vault = make()
    put(vault, 1)
    size = file.stat().st_size
    vault.take(ids(2))
    with full_disk(size + 100):
        assert not vault.write()
    assert "nothing is sent until then" in vault.troubles()[0]
    assert file.stat().st_size == size
    assert vault.write()
    assert vault.troubles() == []
    assert opened(file.read_bytes()) == pairs(1, 2)


def test_half_a_line_that_a_power_cut_left_is_written_over(make, file: Path):
    put(make(), 1)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    seen = file.with_name("vault.seen")
    seen.write_bytes(seen.read_bytes() + b"abc")
    put(make(), 2)
    put(make(), 1, 2)

    assert opened(file.read_bytes()) == pairs(1, 2)


def test_a_file_that_was_put_away_is_followed_by_a_new_one(make, file: Path):
    vault = make()
    put(vault, 1)
    vault.records("sekimori-vault", 1, 0)
    away = file.rename(file.with_name("vault-2026-03"))
    put(vault, 1, 2)

    assert opened(away.read_bytes()) == pairs(1)
    assert opened(file.read_bytes()) == pairs(2)
    assert opened(b"".join(record.value for record in vault.records("sekimori-vault", 1, 0))) == pairs(2)


def test_a_lost_memory_costs_space_and_no_token(make, file: Path):
    put(make(), 1)
    file.with_name("vault.seen").unlink()
    put(make(), 1, 2)

    found = [
        Entry.from_line(line).opened(HOLDERS[1]).opened(HOLDERS[0]).pairs() for line in file.read_bytes().splitlines()
    ]
    assert [dict(inside) for inside in found] == [pairs(1), pairs(1, 2)]


def test_three_holders_need_all_three_keys(make, file: Path):
    third = vault_entry.new_identity()
    put(make(recipients=(*RECIPIENTS, third[1])), 1)
    entry = Entry.from_line(file.read_bytes())

    assert entry.layers == (third[1], SECOND[1], FIRST[1])
    for holder in (vault_entry.identities_of(third[0].encode()), HOLDERS[1], HOLDERS[0]):
        entry = entry.opened(holder)
    assert dict(entry.pairs()) == pairs(1)


@pytest.mark.parametrize(
    ("recipients", "message"),
    [
        ((FIRST[1],), "fewer than two"),
        ((FIRST[1], FIRST[1]), "fewer than two"),
        ((FIRST[1], SECOND[1][:-1] + ("q" if SECOND[1][-1] != "q" else "p")), "no age recipient"),
    ],
)
def test_recipients_that_one_person_could_open_alone_or_nobody_are_refused(make, recipients, message: str):
    with pytest.raises(VaultError, match=message):
        make(recipients=recipients)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[1]", b"\xff", b'{"v":2}', b'{"v":1,"agent":1,"at":1,"tokens":1,"for":[],"age":""}']
)
def test_a_line_that_is_no_entry_is_told(line: bytes):
    with pytest.raises(VaultError, match="no entry"):
        Entry.from_line(line)


def test_an_altered_entry_does_not_open(make, file: Path):
    put(make(), 1)
    entry = Entry.from_line(file.read_bytes())
    for place in range(0, len(entry.data), 37):
        data = entry.data[:place] + bytes([entry.data[place] ^ 1]) + entry.data[place + 1 :]
        broken = Entry(entry.agent, entry.at, entry.tokens, entry.layers, data)
        with pytest.raises(NotYours):
            broken.opened(HOLDERS[1])


def test_nothing_to_put_in_writes_nothing(make, file: Path):
    vault = make()
    vault.take(ids())
    assert vault.write()
    assert not os.path.lexists(file)
    assert vault.records("sekimori-vault", 1, 0) == []
