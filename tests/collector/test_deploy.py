"""What ships for installing the agent: the example is accepted, the unit fits the agent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
import trustme

import sekimori
from collector.config import Config, load
from registers.config import ConfigError
from service.health import HUNG_AFTER_S
from tests import systemd

DEPLOY: Final = Path(__file__).parents[2] / "collector" / "deploy"
EXAMPLE: Final = (DEPLOY / "collector.toml").read_text(encoding="utf-8")
# An option that is commented out: no blank behind the sign.
OPTIONAL: Final = re.compile(r"^#(?=\S)", re.MULTILINE)


def private(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with every file that the example names."""
    authority = trustme.CA()
    for name in ("agent", "syslog"):
        issued = authority.issue_cert(f"{name}.example.jp")
        private(tmp_path / f"{name}.key", issued.private_key_pem.bytes())
        (tmp_path / f"{name}.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    for name in ("kafka-ca.pem", "senders-ca.pem"):
        authority.cert_pem.write_to_path(tmp_path / name)
    private(tmp_path / "site.key", b"5e" * 32)
    (tmp_path / "state").mkdir()
    private(tmp_path / "state" / "seal.key", b"the agent's first secret")
    private(tmp_path / "kafka.password", b"password\n")
    (tmp_path / "bundle.pub").write_bytes(b"a public key")
    (tmp_path / "drop").mkdir()
    (tmp_path / "sources.d").mkdir()
    (tmp_path / "sources.d" / "own.toml").write_text(
        'id = "own"\nformat = "delimited"\ntime = ["t"]\n[constants]\n"event.class" = "access"\n', encoding="utf-8"
    )
    return tmp_path


def accepted(folder: Path, text: str) -> Config:
    # What stands in the example lies in /var/lib and /srv, which no test may need.
    text = text.replace('"/var/lib/sekimori', f'"{folder}/state').replace('"/srv/sekimori', f'"{folder}')
    (folder / "collector.toml").write_text(text, encoding="utf-8")
    return load(folder / "collector.toml")


def test_the_example_is_accepted_as_it_ships(installed: Path) -> None:
    found = accepted(installed, EXAMPLE)

    assert found.kafka.security_protocol == "SASL_SSL"
    assert [files.source for files in found.files] == ["web-access", "auto"]


def test_the_example_with_every_option_switched_on_is_accepted_too(installed: Path) -> None:
    found = accepted(installed, OPTIONAL.sub("", EXAMPLE))

    assert found.kafka.ssl_certfile
    assert found.syslog[0].protocol == "tls"
    assert found.drop
    assert found.vault


def test_the_example_shows_every_option_with_its_default() -> None:
    page = Config.model_json_schema()["$defs"]
    shown = OPTIONAL.sub("", EXAMPLE)

    for table in page.values():
        for key, option in table["properties"].items():
            assert re.search(rf"^{key} = ", shown, re.MULTILINE), f"{key} is missing in the example"
            if isinstance(default := option.get("default"), int):
                assert f"\n{key} = {default}\n" in shown


def test_without_its_files_the_example_names_each_of_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        accepted(tmp_path, EXAMPLE)

    assert [line.partition(": ")[0] for line in caught.value.problems] == [
        "agent.site_key",
        "kafka.ssl_cafile",
        "kafka.sasl_password_file",
    ]


def unit() -> dict[str, list[str]]:
    return systemd.settings(DEPLOY / "sekimori-collect.service")


def test_the_unit_never_gives_up_and_never_hurries() -> None:
    assert unit()["Restart"] == ["always"]
    assert unit()["StartLimitIntervalSec"] == ["0"]
    assert int(unit()["RestartSec"][0]) >= 10
    assert "RestartPreventExitStatus" not in unit()


def test_the_command_accepts_the_example_and_is_what_the_unit_starts(
    installed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = unit()["ExecStart"][0].split()
    accepted(installed, EXAMPLE)
    here = [word.replace("/etc/sekimori", str(installed)) for word in arguments]

    assert Path(program).name == "sekimori"
    assert sekimori.main([*here, "--check"]) == sekimori.DONE
    (installed / "kafka.password").chmod(0o644)
    assert sekimori.main([*here, "--check"]) == sekimori.COULD_NOT_RUN
    assert "kafka.sasl_password_file" in capfd.readouterr().err


def test_the_unit_waits_longer_than_the_agent_drains_and_than_health_calls_it_hung(installed: Path) -> None:
    drain_s = accepted(installed, EXAMPLE).agent.drain_s

    assert int(unit()["TimeoutStopSec"][0]) > drain_s * 2
    assert int(unit()["WatchdogSec"][0]) > HUNG_AFTER_S


def test_the_unit_lets_the_agent_write_where_the_example_says() -> None:
    state = re.search(r'^state_dir = "(.*?)"', EXAMPLE, re.MULTILINE)

    assert state
    assert state[1] == f"/var/lib/{unit()['StateDirectory'][0]}"
    assert unit()["ProtectSystem"] == ["strict"]
    assert unit()["StateDirectoryMode"] == ["0700"]


def test_the_agents_libraries_load_without_memory_that_is_written_and_run() -> None:
    assert unit()["MemoryDenyWriteExecute"] == ["yes"]
    ran = systemd.imported("collector.parse, collector.health", unit(), DEPLOY.parents[1])

    assert (ran.stdout, ran.stderr) == ("ok\n", "")


def test_the_ways_of_rotating_that_ship_are_said_with_what_they_lose() -> None:
    text = (DEPLOY / "logrotate").read_text(encoding="utf-8")
    blocks = re.findall(r"^/\S+ \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)

    assert ["copytruncate" in block.split() for block in blocks] == [False, True]
    assert all({"rotate", "missingok", "compress", "delaycompress"} <= set(block.split()) for block in blocks)
    assert "in neither file" in text
