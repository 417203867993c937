"""The agent's configuration: what is accepted, and every problem at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.config import Config, load
from registers.config import ConfigError
from tests.collector.configs import FILES, SMALLEST, config, private, problems


def test_a_few_lines_are_enough_and_the_rest_has_defaults(folder: Path) -> None:
    found = config(folder, SMALLEST + FILES)

    assert (found.agent.heartbeat_s, found.agent.time_zone) == (60, "Asia/Tokyo")
    assert (found.kafka.topic, found.kafka.dead_letter_topic) == ("access-events", "dead-letters")
    assert (found.kafka.in_flight_mib, found.wire.format, found.metrics.host) == (16, "ndjson", "127.0.0.1")
    assert found.files[0].source == "auto"
    assert (found.syslog, found.drop, found.vault) == ([], None, None)


def test_paths_start_at_the_folder_of_the_file_wherever_the_agent_is_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    found = config(folder, SMALLEST + '[[files]]\npaths = ["log/*.csv", "/var/log/app/*.log"]\n')

    assert found.agent.state_dir == folder / "state"
    assert found.agent.site_key == folder / "site.key"
    assert found.files[0].paths == [f"{folder}/log/*.csv", "/var/log/app/*.log"]


def test_all_problems_are_told_at_once_and_near_misses_get_a_hint(folder: Path) -> None:
    text = """
[agent]
id = "welfare 01"
state_dir = "state"
site_key = "site.kay"
seal_key = "seal.key"
heartbeat_s = "60"
time_zone = "Asia/Tokio"
[kafka]
bootstrap_servers = ["127.0.0.1"]
topc = "x"
[kafkas]
[[files]]
source = "sislog"
paths = []
silent_after = 3
[[syslog]]
protocol = "tcp"
host = "0.0.0.0"
port = 70000
[vault]
recipients = ["age1x"]
"""
    found = problems(folder, text)

    assert [line.split(": ")[0] for line in found] == [
        "agent.id",
        "agent.site_key",
        "agent.time_zone",
        "agent.heartbeat_s",
        "kafka.bootstrap_servers.1",
        "kafka.topc",
        "files.1.source",
        "files.1.paths",
        "files.1.silent_after",
        "syslog.1.port",
        "vault.recipients.1",
        "kafkas",
    ]
    assert 'kafka.topc: unknown key, did you mean "topic"?' in found
    assert 'kafkas: unknown key, did you mean "kafka"?' in found
    assert 'files.1.silent_after: unknown key, did you mean "silent_after_s"?' in found
    assert "files.1.source: 'sislog' is no source, did you mean \"syslog\"?" in found
    assert all("\n" not in line for line in found)


def test_what_must_be_given_is_said(folder: Path) -> None:
    assert problems(folder, "[agent]\n[[files]]") == (
        "agent.id: missing, add it",
        "agent.state_dir: missing, add it",
        "agent.site_key: missing, add it",
        "agent.seal_key: missing, add it",
        "kafka: missing, add it",
        "files.1.paths: missing, add it",
    )


def test_an_agent_with_nothing_to_read_is_told_so(folder: Path) -> None:
    assert problems(folder, SMALLEST) == ("files: nothing to read: give [[files]], [[syslog]] or [drop]",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[agent", r"is no valid TOML: Expected"), ("x = 1", "x: unknown key, remove it")],
)
def test_text_that_is_no_configuration_is_one_line(folder: Path, text: str, problem: str) -> None:
    assert re.match(problem, problems(folder, text)[-1])


def test_a_file_that_is_missing_or_no_utf8_is_one_line(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file or directory\)"):
        load(folder / "gone.toml")
    (folder / "sjis.toml").write_bytes("# 設定".encode("cp932"))
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 2\)"):
        load(folder / "sjis.toml")


def test_a_byte_order_mark_of_windows_notepad_is_no_problem(folder: Path) -> None:
    (folder / "collector.toml").write_text(SMALLEST + FILES, encoding="utf-8-sig")

    assert load(folder / "collector.toml").agent.id == "welfare-01"


@pytest.mark.parametrize(
    ("secret", "mode", "problem"),
    [("5e" * 32, 0o644, "everybody may read it"), ("5e" * 8, 0o600, None), ("5e" * 7, 0o600, "has under 16 bytes"),
     ("", 0o600, "is empty")],
)  # fmt: skip
def test_a_site_key_that_others_could_read_or_guess_is_refused(
    folder: Path, secret: str, mode: int, problem: str | None
) -> None:
    (folder / "site.key").write_bytes(bytes.fromhex(secret) * 2 if problem is None else bytes.fromhex(secret))
    (folder / "site.key").chmod(mode)

    if problem is None:
        config(folder, SMALLEST + FILES)
    else:
        [line] = problems(folder, SMALLEST + FILES)
        assert line.startswith(f"agent.site_key: {folder}/site.key: ")
        assert problem in line


def test_the_seal_key_may_not_be_open_to_others(folder: Path) -> None:
    (folder / "seal.key").chmod(0o604)

    [line] = problems(folder, SMALLEST + FILES)
    assert line.startswith("agent.seal_key:")


def test_the_seal_key_must_be_there_until_the_agent_has_started_once(folder: Path) -> None:
    (folder / "seal.key").unlink()
    assert problems(folder, SMALLEST + FILES) == (
        f"agent.seal_key: {folder}/seal.key: is missing and this agent never started: make one with sekimori keys seal",
    )

    (folder / "state" / "seal").mkdir(parents=True)
    private(folder / "state" / "seal" / "next-secret", "its successor")
    assert config(folder, SMALLEST + FILES).agent.seal_key == folder / "seal.key"


@pytest.mark.parametrize("name", ["123456789018", "gate-1234-5678-9018"])
def test_a_name_that_reads_as_a_my_number_is_refused(folder: Path, name: str) -> None:
    before = config(folder, SMALLEST + FILES).agent.id

    [line] = problems(folder, SMALLEST.replace(f'id = "{before}"', f'id = "{name}"') + FILES)
    assert line.startswith("agent.id: reads as a My Number")


def test_a_state_folder_that_is_a_file_is_refused(folder: Path) -> None:
    (folder / "state").touch()

    [line] = problems(folder, SMALLEST + FILES)
    assert "is no folder that this user may write to" in line


RECIPIENT = "age1" + "q" * 58


def test_the_vault_needs_two_different_people(folder: Path) -> None:
    vault = SMALLEST + FILES + "[vault]\nrecipients = {}\n"
    other = "age1" + "p" * 58

    assert "at least 2 items" in problems(folder, vault.format([RECIPIENT]))[0]
    assert "stands there twice" in problems(folder, vault.format([RECIPIENT, RECIPIENT]))[0]
    found = config(folder, vault.format([RECIPIENT, other])).vault
    assert found
    assert found.topic == "sekimori-vault"


def test_no_secret_is_in_the_configuration_or_its_digest(folder: Path) -> None:
    before = config(folder, SMALLEST + FILES)
    private(folder / "site.key", "ab" * 32)
    after = config(folder, SMALLEST + FILES)

    assert before.digest == after.digest
    assert "5e5e" not in repr(before)
    assert "5e5e" not in before.model_dump_json()


def outcome(folder: Path, text: str) -> tuple[str, ...]:
    """The digest of the configuration, or the problems."""
    try:
        return (config(folder, text).digest,)
    except ConfigError as error:
        return error.problems


def in_toml(value: object) -> str:
    """A value as TOML writes it; what `json` writes is TOML too, apart from DEL and tables."""
    if isinstance(value, list):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_toml(key)} = {in_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value).replace("\x7f", "\\u007f")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", ".", "/", "..", "a" * 5000, "a/" * 3000, "\0", "/proc/self/mem", "/dev/null", "/etc/shadow", "::1", "auto"]
)


SCALARS = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9)


VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)


PLACES = [
    (table, key)
    for table, model in [
        ("agent", "Agent"),
        ("kafka", "Kafka"),
        ("metrics", "Metrics"),
        ("drop", "Drop"),
        ("vault", "Vault"),
    ]
    for key in Config.model_json_schema()["$defs"][model]["properties"]
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({("agent", "state_dir"): "a" * 5000, ("agent", "sources"): "a" * 5000, ("drop", "folder"): "a/" * 3000}, {})
@example({("agent", "state_dir"): "site.key/a", ("agent", "sources"): "\0"}, {"\r\n": "\x85", "": []})
@given(st.dictionaries(st.sampled_from(PLACES), VALUES, max_size=4), st.dictionaries(TEXTS, VALUES, max_size=2))
def test_whatever_stands_in_the_file_ends_in_a_configuration_or_in_lines(
    folder: Path, values: dict[tuple[str, str], object], odd: dict[str, object]
) -> None:
    tables: dict[str, dict[str, object]] = {
        "agent": {"id": "a", "state_dir": "state", "site_key": "site.key", "seal_key": "seal.key"},
        "kafka": {"bootstrap_servers": ["localhost:9092"]},
    }
    for (table, key), value in values.items():
        tables.setdefault(table, {})[key] = value
    lines = [f"{in_toml(key)} = {in_toml(value)}" for key, value in odd.items() if key not in tables]
    for table, options in tables.items():
        lines += [f"[{table}]", *(f"{key} = {in_toml(value)}" for key, value in options.items())]

    told = outcome(folder, "\n".join(lines) + "\n")
    assert told
    assert all(len(line.splitlines()) == 1 and len(line) < 600 for line in told)
