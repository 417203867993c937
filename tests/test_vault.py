"""`sekimori vault` and `sekimori keys vault`, as the holders type them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from collector.vault import Vault
from tests.command import Ran, sekimori

IDS = {f"s_{number:016x}": f"住民{number}" for number in range(150)}


class Holders:
    """Two people with a key each, and a vault that an agent filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = [self.type("keys", "vault", "--out", folder / f"{name}.key") for name in ("first", "second")]
        recipients = [line.split(":")[0] for ran in made for line in ran.out.splitlines() if line.startswith("age1")]
        self.file = folder / "vault"
        vault = Vault(self.file, recipients, "agent-1", {}, lambda: datetime(2026, 4, 1, tzinfo=UTC))
        vault.take(pl.DataFrame({"token": list(IDS), "id": list(IDS.values())}))
        assert vault.write()

    def type(self, *arguments: object) -> Ran:
        return sekimori(self.folder, *arguments)

    def open(self, file: Path, *names: str, more: tuple[object, ...] = ()) -> Ran:
        keys = [part for name in names for part in ("--key", self.folder / f"{name}.key")]
        return self.type("vault", "open", file, *keys, *more)


@pytest.fixture(scope="module")
def holders(tmp_path_factory: pytest.TempPathFactory) -> Holders:
    return Holders(tmp_path_factory.mktemp("vault"))


def test_one_after_the_other_at_desks_of_their_own(holders: Holders, tmp_path: Path):
    token = list(IDS)[120]
    half = tmp_path / "half"
    first = holders.open(holders.file, "second", more=("--token", token, "--out", half))
    second = holders.open(half, "first", more=("--token", token))

    first.says("1 entries, still encrypted")
    assert second.out.splitlines() == ["token,id", f"{token},住民120"]
    assert (first.status, second.status) == (0, 0)
    assert len(half.read_bytes().splitlines()) == 1
    assert half.stat().st_mode & 0o777 == 0o600


def test_together_at_one_desk_in_any_order(holders: Holders, tmp_path: Path):
    ran = holders.open(holders.file, "first", "second", more=("--out", tmp_path / "ids.csv"))

    ran.says("150 ids in the clear")
    assert dict(pl.read_csv(tmp_path / "ids.csv").rows()) == IDS


def test_who_comes_too_early_is_told_whose_turn_it_is(holders: Holders):
    ran = holders.open(holders.file, "first")

    assert ran.status == 1
    assert ran.out == ""
    assert ran.err.count("is to be opened next with the key of age1") == 2


def test_damaged_lines_are_told_and_the_others_open(holders: Holders, tmp_path: Path):
    spoilt = tmp_path / "vault"
    spoilt.write_bytes(b"what is this\n" + holders.file.read_bytes())

    ran = holders.open(spoilt, "first", "second")

    assert ran.status == 1
    ran.says("line 1: is no entry of a vault")
    assert ran.out.count("住民") == 150


def test_what_stops_it_is_said_in_a_line(holders: Holders, tmp_path: Path):
    none = holders.open(tmp_path / "none", "first")
    nobody = holders.open(holders.file, "first", "second", more=("--token", "s_0000000000001234"))
    nowhere = holders.open(holders.file, "second")
    (tmp_path / "open.key").write_text("x")
    (tmp_path / "open.key").chmod(0o644)
    shared = holders.type("vault", "open", holders.file, "--key", tmp_path / "open.key")
    again = holders.type("keys", "vault", "--out", holders.folder / "first.key")

    assert [ran.status for ran in (none, nobody, nowhere, shared, again)] == [2] * 5
    none.says("give the vault's file")
    nobody.says("holds none of these tokens")
    nowhere.says("layers are left: give --out")
    shared.says("everybody may read it")
    again.says("exists already")
