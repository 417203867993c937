"""Starting and reloading, as far as no Kafka is needed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.agent import Clocks
from collector.config import load
from collector.run import Running
from contract.sealkey import SealKey
from service.notify import Notify

NOBODY_LISTENS = "127.0.0.1:9"
CONFIG = f"""
[agent]
id = "a"
state_dir = "state"
site_key = "site.key"
seal_key = "seal.key"
drain_s = 0
[kafka]
bootstrap_servers = ["{NOBODY_LISTENS}"]
[metrics]
port = 0
[[files]]
source = "web-access"
paths = ["log/*.log"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name, text in (("site.key", "5e" * 32), ("seal.key", SealKey.enrol("a", b"5" * 32).text())):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "collector.toml").write_text(CONFIG)
    return tmp_path / "collector.toml"


@pytest.fixture
def running(path: Path) -> Iterator[Running]:
    agent = Running(path, load(path), "0", Notify({}))
    yield agent
    agent.stop()


def reloaded(running: Running) -> float | None:
    return running.metrics.registry.get_sample_value("sekimori_collector_config_last_reload_successful")


def test_a_reload_goes_on_with_what_is_new(running: Running, path: Path) -> None:
    path.write_text(CONFIG + '[[files]]\nsource = "syslog"\npaths = ["auth.log"]\nsilent_after_s = 60\n')

    assert running.reload()

    assert [files.source for files in running.config.files] == ["web-access", "syslog"]
    assert running.health.limits.silent_after_s == {"files.2": 60}
    assert reloaded(running) == 1
    running.turn(wait=False)


def test_every_second_of_turns_is_a_sign_of_life_to_the_service_manager(path: Path, tmp_path: Path) -> None:
    now_s = [0.0]
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        running = Running(path, load(path), "0", notify, Clocks(monotonic=lambda: now_s[0]))
        for now in (0.0, 0.9, 1.0, 1.9, 2.5):
            now_s[0] = now
            running.turn(wait=False)
        running.stop()
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(manager.recv(4096).decode().splitlines()[0])

    assert said == [*["WATCHDOG=1"] * 3, "STOPPING=1", "WATCHDOG=1"]


def test_a_reload_of_nonsense_keeps_the_former_configuration_and_says_so(
    running: Running, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(CONFIG + "x = 1\n")

    assert not running.reload()

    assert reloaded(running) == 0
    assert "collector.toml: files.1.x: unknown key, remove it" in caplog.messages
    running.turn(wait=False)
    assert any("the former one stays in use" in line for line in running.health.problems())

    path.write_text(CONFIG)
    assert running.reload()
    assert reloaded(running) == 1


@pytest.mark.parametrize(
    ("before", "after", "option"),
    [('id = "a"', 'id = "b"', "agent.id"), ("port = 0", "port = 1", "metrics.port"),
     ("[metrics]", 'topic = "other"\n[metrics]', "kafka.topic"), ("[metrics]", '[wire]\nformat = "event"\n[metrics]', "wire.format")],
)  # fmt: skip
def test_what_belongs_to_the_process_changes_at_a_restart_only(
    running: Running, path: Path, caplog: pytest.LogCaptureFixture, before: str, after: str, option: str
) -> None:
    path.write_text(CONFIG.replace(before, after))

    assert not running.reload()
    assert f"collector.toml: {option}: changes at a restart only" in caplog.messages


def test_a_reload_that_cannot_be_carried_out_goes_back_instead_of_ending(
    running: Running, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path.write_text(CONFIG + f'[[syslog]]\nprotocol = "tcp"\nport = {port}\n')

        assert not running.reload()

    [said] = [record.getMessage() for record in caplog.records if record.name == "collector.run"]
    assert f"127.0.0.1:{port}: Address already in use" in said
    assert running.config.syslog == []
    running.turn(wait=False)
    assert running.reload()
    assert len(running.config.syslog) == 1


def test_an_agent_that_ends_in_the_middle_of_a_reload_ends_in_order(
    running: Running, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The key goes away between the check and the opening.
    monkeypatch.setattr("collector.config.load", lambda given: running.config)
    (path.parent / "site.key").unlink()

    with pytest.raises(ValueError, match=r"site\.key"):
        running.reload()
    assert not running.stop()
