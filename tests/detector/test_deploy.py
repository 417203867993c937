"""What ships for installing the detector: the example is accepted, the unit fits the detector."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest
import trustme

import rules
import sekimori
from detector.archive.signing import new_pair
from detector.config import Config, load
from service.health import HUNG_AFTER_S
from tests import systemd

DEPLOY: Final = Path(__file__).parents[2] / "detector" / "deploy"
EXAMPLE: Final = (DEPLOY / "detector.toml").read_text(encoding="utf-8")
# An option that is commented out: no blank behind the sign.
OPTIONAL: Final = re.compile(r"^#(?=\S)", re.MULTILINE)
# Their files are made by `sekimori analyze`; left out they are found beside the model, or not used.
MADE: Final = re.compile(r"^(rules|model|baseline) = .*\n", re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with every file that the example names."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "kafka-ca.pem")
    private = {"site.key": b"5e" * 32, "kafka.password": b"password\n", "archive.key": new_pair()[0]}
    for name, data in private.items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    shutil.copytree(Path(rules.__file__).parent / "site", tmp_path / "site")
    return tmp_path


def accepted(folder: Path, text: str) -> Config:
    # What stands in the example lies in /var/lib and /srv, which no test may need.
    text = text.replace('"/var/lib/sekimori', f'"{folder}/state').replace('"/srv/sekimori', f'"{folder}')
    (folder / "detector.toml").write_text(text, encoding="utf-8")
    return load(folder / "detector.toml")


def unit() -> dict[str, list[str]]:
    return systemd.settings(DEPLOY / "sekimori-detect.service")


def test_the_example_is_accepted_as_it_ships(installed: Path):
    found = accepted(installed, EXAMPLE)
    assert (found.kafka.security_protocol, found.archive is not None) == ("SASL_SSL", True)


def test_the_example_with_every_option_switched_on_is_accepted_too(installed: Path):
    found = accepted(installed, MADE.sub("", OPTIONAL.sub("", EXAMPLE)))
    assert found.alertmanager
    assert found.detector.sealed_agents == ["welfare-app-01"]


def test_the_example_shows_every_option_of_the_detector_with_its_default():
    shown = OPTIONAL.sub("", EXAMPLE)
    for key, option in Config.model_json_schema()["$defs"]["Detector"]["properties"].items():
        assert re.search(rf"^{key} = ", shown, re.MULTILINE), f"{key} is missing in the example"
        if isinstance(default := option.get("default"), int):
            assert f"\n{key} = {default}\n" in shown


def test_the_command_accepts_the_example_and_is_what_the_unit_starts(
    installed: Path, capfd: pytest.CaptureFixture[str]
):
    program, *arguments = unit()["ExecStart"][0].split()
    accepted(installed, EXAMPLE)
    here = [word.replace("/etc/sekimori", str(installed)) for word in arguments]

    assert Path(program).name == "sekimori"
    assert sekimori.main([*here, "--check"]) == sekimori.DONE
    (installed / "archive.key").chmod(0o644)
    assert sekimori.main([*here, "--check"]) == sekimori.COULD_NOT_RUN
    assert "archive.key" in capfd.readouterr().err


def test_the_unit_never_gives_up_and_waits_longer_than_the_detector_drains(installed: Path):
    assert unit()["Restart"] == ["always"]
    assert unit()["StartLimitIntervalSec"] == ["0"]
    assert int(unit()["TimeoutStopSec"][0]) > accepted(installed, EXAMPLE).detector.drain_s * 2
    assert int(unit()["WatchdogSec"][0]) > HUNG_AFTER_S


def test_the_unit_lets_the_detector_write_where_the_example_says():
    places = re.findall(r'^(?:state_dir|folder) = "(.*?)"', EXAMPLE, re.MULTILINE)
    assert places == [f"/var/lib/{unit()['StateDirectory'][0]}", unit()["ReadWritePaths"][0].removeprefix("-")]
    assert unit()["ProtectSystem"] == ["strict"]


def test_its_libraries_load_without_memory_that_is_written_and_run():
    assert unit()["MemoryDenyWriteExecute"] == ["yes"]
    ran = systemd.imported("commands.detect", unit(), DEPLOY.parents[1])
    assert (ran.stdout, ran.stderr) == ("ok\n", "")
