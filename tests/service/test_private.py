"""Secrets are read only where nobody else could."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.private import PrivateFileError, read_private, shared_with


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "site.key"
    path.write_bytes(b"5ec4e7\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read_as_it_is(secret: Path, mode: int) -> None:
    secret.chmod(mode)

    assert read_private(secret) == b"5ec4e7\n"


def test_a_file_open_to_others_is_refused_with_the_cure(secret: Path) -> None:
    secret.chmod(0o604)

    with pytest.raises(PrivateFileError, match=r"site\.key: everybody may read it: type chmod 600 "):
        read_private(secret)


@pytest.mark.parametrize(
    ("mode", "owner", "whom"),
    [(0o644, 0, "everybody may read"), (0o602, 1000, "everybody may change"), (0o666, 0, "everybody may read"),
     (0o620, 0, "its group may change"), (0o660, 0, "its group may change"), (0o660, 1000, "its group may read"),
     (0o640, 1000, "its group may read"), (0o601, 1000, "everybody may run")],
)  # fmt: skip
def test_who_else_could_use_the_file_is_said(mode: int, owner: int, whom: str) -> None:
    assert shared_with(mode, owner) == whom


@pytest.mark.parametrize(("mode", "owner"), [(0o600, 1000), (0o400, 1000), (0o640, 0), (0o440, 0), (0o100600, 1000)])
def test_a_group_may_read_what_root_owns_because_root_chose_it(mode: int, owner: int) -> None:
    assert shared_with(mode, owner) is None


def test_no_message_shows_what_the_file_holds(secret: Path) -> None:
    secret.chmod(0o644)

    with pytest.raises(PrivateFileError) as caught:
        read_private(secret)
    assert "5ec4e7" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrivateFileError, match=r"gone\.key: cannot be read \(No such file"):
        read_private(tmp_path / "gone.key")


def test_an_empty_file_is_no_secret(secret: Path) -> None:
    secret.write_bytes(b"")

    with pytest.raises(PrivateFileError, match="is empty"):
        read_private(secret)


def test_a_log_by_mistake_is_not_read_into_memory(secret: Path) -> None:
    os.truncate(secret, 1 << 40)

    with pytest.raises(PrivateFileError, match="over a mebibyte"):
        read_private(secret)


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(PrivateFileError, match="is no file"):
        read_private(tmp_path / "pipe")


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(PrivateFileError, match="Is a directory"):
        read_private(tmp_path)


def test_a_link_is_followed_and_its_target_judged(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret)
    assert read_private(tmp_path / "link") == b"5ec4e7\n"

    secret.chmod(0o644)
    with pytest.raises(PrivateFileError, match="everybody may read"):
        read_private(tmp_path / "link")
