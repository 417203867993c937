"""`sekimori keys archive` and `sekimori verify DIR`, run as an operator does."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.audit.archive.archives import files, write
from tests.audit.judging import KEY, changed, month
from tests.collector.sealing import taken
from tests.command import Command

UNTIL = ("--until", "2026-04-02T09:50:50+09:00")


@pytest.fixture
def place(tmp_path: Path, sekimori: Command) -> Path:
    """A folder with an archive of three starts of an agent, and a folder `keys` with what verifies it."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "ag-test.seal").touch(0o600)
    (keys / "ag-test.seal").write_text(KEY.text(), encoding="utf-8")
    made = sekimori("keys", "archive", "--out", tmp_path / "archive.key")
    assert made.returncode == 0, made.stderr
    (tmp_path / "archive.key.pub").rename(keys / "archive.pub")
    state = tmp_path / "agent"
    state.mkdir()
    lying = taken(record for records in month(state) for record in records)
    write(tmp_path / "archive", lying, private=(tmp_path / "archive.key").read_bytes())
    return tmp_path


def test_an_archive_is_verified_with_one_folder_of_keys(place: Path, sekimori: Command):
    right = sekimori("verify", "archive", "--key", "keys", *UNTIL)
    told = sekimori("verify", "archive", "--key", "keys/archive.pub", "--key", "keys/ag-test.seal", *UNTIL, "--json")

    assert (right.returncode, right.stderr) == (0, "")
    assert "records/access-events/00002: 15 records, 6 digests, from 2026-04-02 00:50:00Z" in right.stdout
    assert "ag-test: 108 events in 45 records of 3 starts" in right.stdout
    assert right.stdout.endswith("\nok\n")
    verdict = json.loads(told.stdout)
    assert (told.returncode, verdict["verdict"], verdict["problems"], len(verdict["notes"])) == (0, "ok", [], 3)


def test_each_status_has_its_number(place: Path, sekimori: Command):
    def status(*more: object) -> tuple[int, str]:
        done = sekimori("verify", "archive", "--key", "keys", *(more or UNTIL))
        return done.returncode, done.stdout.splitlines()[-1]

    one = files(place / "archive", "segments")[2]
    before = one.read_bytes()
    one.write_bytes(changed(before, 40, 1))
    altered = status()
    one.unlink()
    removed = status()
    one.write_bytes(before)

    assert altered == (1, "tampered")
    assert removed == (2, "gap")
    assert status("--json")[0] == 2  # its newest digest is long ago, and nothing was said of until when
    assert status("--until", "2026-04-02T00:50:51Z") == (2, "gap")
    assert status() == (0, "ok")
    (place / "keys" / "ag-test.seal").unlink()
    assert status() == (3, "cannot verify")
    assert status(*UNTIL, "--without-agents") == (0, "ok")


def test_the_signing_key_is_for_its_owner_only_and_never_written_over(place: Path, sekimori: Command):
    key = place / "archive.key"
    before = key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    again = sekimori("keys", "archive", "--out", key)

    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert key.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["archive"], "--key: give the archive's public key too"),
        (["archive", "--key", "keys/ag-test.seal"], "--key: give the archive's public key too"),
        (["archive", "--key", "wrong.pub"], "wrong.pub: is the signing key, which stays with the detector"),
        (["archive", "--key", "text.pub"], "text.pub: is no public key"),
        (["archive", "--key", "gone.pub"], "gone.pub: No such file"),
        (["archive", "--key", "keys", "--save", "x"], "--save: an archive is kept already"),
        (["archive", "--key", "keys", "--until", "2026-04-01"], "'2026-04-01' is no time with its zone"),
        (["archive", "--key", "keys", "--until", "soon"], "'soon' is no time with its zone"),
        (["text.pub", "--key", "keys"], "cannot verify"),
        (["nosuch://place/x", "--key", "keys"], "nosuch://place/x: "),
        (["--capture", "text.pub", "--key", "keys/archive.pub"], "keys/archive.pub: is for an archive"),
        (["--capture", "text.pub", "--without-agents"], "--without-agents: is for an archive"),
    ],
)
def test_whoever_cannot_verify_is_told_in_a_line_and_never_that_all_is_well(
    place: Path, sekimori: Command, arguments: list[str], said: str
):
    (place / "text.pub").write_text("no key\n")
    (place / "wrong.pub").write_bytes((place / "archive.key").read_bytes())

    found = sekimori("verify", *arguments)

    assert (found.returncode, found.stdout) == (3, "")
    assert said in found.stderr


def test_a_folder_without_an_archive_is_no_success(place: Path, sekimori: Command):
    for folder in ("keys", "nowhere"):
        found = sekimori("verify", folder, "--key", "keys")
        assert (found.returncode, found.stdout.splitlines()[-1]) == (3, "cannot verify")
        assert "nothing to verify: here is no archive" in found.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_signature_is_verified_by_others_as_the_page_says(place: Path):
    digest = files(place / "archive", "digests")[2].read_bytes()
    said, signature = digest.splitlines(keepends=True)
    (place / "said").write_bytes(said)
    (place / "signature").write_bytes(bytes.fromhex(signature.decode()))
    line = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "keys/archive.pub",
        "-rawin",
        "-in",
        "said",
        "-sigfile",
        "signature",
    ]

    right = subprocess.run(line, cwd=place, capture_output=True, check=False)
    (place / "said").write_bytes(changed(said, 9, 1))
    wrong = subprocess.run(line, cwd=place, capture_output=True, check=False)

    assert (right.returncode == 0, wrong.returncode == 0) == (True, False)
