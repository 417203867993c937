"""`sekimori bundle` and `sekimori keys bundle`, as an operator types them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.command import GOOD, Ran, sekimori


class Desk:
    """Where somebody makes bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "office.key"
        self.out = folder / "town.bundle"
        self.logs = folder / "logs"
        self.logs.mkdir()
        (self.logs / "good.csv").write_text(GOOD, encoding="utf-8")

    def type(self, *arguments: object) -> Ran:
        return sekimori(self.folder, *arguments)

    def make(self, *more: object) -> Ran:
        return self.type("bundle", "make", "--key", self.key, "--out", self.out, *(more or (self.logs,)))

    def check(self) -> Ran:
        return self.type("bundle", "check", "--key", f"{self.key}.pub", self.out)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path)
    assert found.type("keys", "bundle", "--out", found.key).status == 0
    return found


def test_a_bundle_is_made_and_checked(desk: Desk):
    (desk.logs / "old.csv.gz").write_bytes(gzip.compress(GOOD.encode()))

    made = desk.make("--origin", "町役場", desk.logs)
    checked = desk.check()

    assert (made.status, checked.status) == (0, 0)
    made.says("2 logs")
    checked.says("good.csv")
    checked.says("whole, signed by office.key.pub", "町役場")
    assert desk.key.stat().st_mode & 0o777 == 0o600


def test_a_changed_bundle_fails_the_check(desk: Desk):
    desk.make()
    data = bytearray(desk.out.read_bytes())
    data[-1500] ^= 1
    desk.out.write_bytes(data)

    checked = desk.check()

    assert checked.status == 1
    checked.says("was altered: bytes 0 to")


def test_a_line_that_is_still_being_written_stays_behind_unless_the_log_is_finished(desk: Desk):
    with (desk.logs / "good.csv").open("a", encoding="utf-8") as file:
        file.write("2026-04-01 11:00:00,acc")

    made = desk.make()
    made.says("good.csv", "last 23 bytes are no whole line")
    whole = desk.check().says("good.csv").split()[0]
    desk.out.unlink()
    desk.make("--finished", desk.logs)

    assert int(whole) == len(GOOD)
    assert int(desk.check().says("good.csv").split()[0]) == len(GOOD) + 23


def test_what_cannot_be_taken_is_told_and_the_rest_is(desk: Desk):
    (desk.logs / "link").symlink_to(desk.folder / "nothing")

    made = desk.make()

    assert made.status == 1
    made.says("not taken", "link to nothing")
    assert desk.check().status == 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda desk: desk.key.chmod(0o644), "everybody may read it"),
        (lambda desk: desk.key.write_text("no key"), "is no signing key"),
        (lambda desk: desk.key.unlink(), "cannot be read"),
        (lambda desk: desk.out.write_text("mine"), "is there already"),
        (lambda desk: (desk.logs / "good.csv").unlink(), "nothing to put into a bundle"),
    ],
)
def test_what_stops_it_is_said_in_a_line(desk: Desk, spoil, message: str):
    spoil(desk)

    made = desk.make()

    assert made.status == 2
    made.says(message)
    assert not list(desk.folder.glob(".*.part"))


def test_a_key_is_never_overwritten(desk: Desk):
    before = desk.key.read_bytes()

    again = desk.type("keys", "bundle", "--out", desk.key)

    assert again.status == 2
    again.says("exists already")
    assert desk.key.read_bytes() == before
