"""Messages to the service manager, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.notify import Notify


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def environment(manager: socket.socket) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(manager.getsockname())}


def test_every_state_is_told_in_the_words_of_systemd(manager: socket.socket) -> None:
    notify = Notify(environment(manager))
    notify.ready("12 files\nfollowed")
    notify.alive("lag 0 s")
    notify.reloading()
    notify.stopping()

    said = [manager.recv(4096).decode() for _ in range(4)]
    assert said[:2] == ["READY=1\nSTATUS=12 files followed", "WATCHDOG=1\nSTATUS=lag 0 s"]
    assert said[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[2].rpartition("=")[2].isdigit()
    assert said[3] == "STOPPING=1"


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0sekimori-test-{os.getpid()}")
        listening.settimeout(5)
        Notify({"NOTIFY_SOCKET": f"@sekimori-test-{os.getpid()}"}).stopping()

        assert listening.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/gone/notify"])
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    Notify({} if address is None else {"NOTIFY_SOCKET": address}).ready("ready")


def test_a_manager_that_does_not_read_does_not_hold_up_the_agent(manager: socket.socket) -> None:
    notify = Notify(environment(manager))
    for _ in range(2000):
        notify.alive("x" * 1000)

    assert manager.recv(4096).startswith(b"WATCHDOG=1")
