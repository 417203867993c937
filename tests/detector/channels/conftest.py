"""What the tests of channels share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.detector.channels.pagers import PROGRAM, Mailbox, Real
from tests.detector.channels.receivers import receiver

if TYPE_CHECKING:
    from tests.kafka.cluster import Cluster


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    """A real Alertmanager that runs."""
    if PROGRAM is None:
        pytest.skip("needs Alertmanager: type make system")
    with receiver() as pager:
        pager.answer = (200, {}, b"")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made = Real(tmp_path, pager, port)
        made.start()
        yield made
        made.end()


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A mail server, and the address that apprise sends to it with."""
    pytest.importorskip("apprise", reason="needs apprise: type make venv")
    controllers = pytest.importorskip("aiosmtpd.controller", reason="needs aiosmtpd: type make venv")
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = controllers.Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"mailto://127.0.0.1:{port}?from=sekimori@office.example&to=soc@office.example&mode=insecure"
    controller.stop()


@pytest.fixture
def dead(kafka: Cluster) -> str:
    """A topic for dead letters."""
    return kafka.topic(1)
