"""The agent's configuration: what is accepted, and every problem at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from collector import sources as declared
from collector.config import Config, Kafka, load
from registers.config import ConfigError
from service.options import Ground
from service.settings import told

SMALLEST = """
[agent]
id = "welfare-01"
state_dir = "state"
site_key = "site.key"
seal_key = "seal.key"
[kafka]
bootstrap_servers = ["kafka1.example.jp:9093"]
"""
FILES = '[[files]]\npaths = ["log/*.csv"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    private(tmp_path / "site.key", "5e" * 32)
    private(tmp_path / "seal.key", "the agent's first secret")
    return tmp_path


def private(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def config(folder: Path, text: str) -> Config:
    (folder / "collector.toml").write_text(text, encoding="utf-8")
    return load(folder / "collector.toml")


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config(folder, text)
    return caught.value.problems


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key, as files."""
    made = trustme.CA().issue_cert(f"{name}.example.jp")
    key = private(folder / f"{name}.key", made.private_key_pem.bytes())
    made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder / f"{name}.pem", key


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


def test_a_state_folder_that_is_a_file_is_refused(folder: Path) -> None:
    (folder / "state").touch()

    [line] = problems(folder, SMALLEST + FILES)
    assert "is no folder that this user may write to" in line


def kafka_problems(folder: Path, text: str) -> tuple[str, ...]:
    return problems(folder, SMALLEST + text + FILES)


def test_what_a_login_needs_is_asked_for_all_at_once(folder: Path) -> None:
    assert kafka_problems(folder, 'security_protocol = "SASL_SSL"\n') == (
        "kafka.sasl_mechanism: missing: SASL_SSL needs it",
        "kafka.sasl_username: missing: SASL_SSL needs it",
        "kafka.sasl_password_file: missing: SASL_SSL needs it",
    )


def test_options_that_the_protocol_ignores_are_refused_instead_of_ignored(folder: Path) -> None:
    certificate, _ = certified(folder, "kafka")

    found = kafka_problems(folder, f'ssl_cafile = "{certificate}"\nsasl_username = "u"\n')

    assert [line.partition(": ")[0] for line in found] == ["kafka.ssl_cafile", "kafka.sasl_username"]


def test_a_password_never_travels_in_the_clear(folder: Path) -> None:
    private(folder / "password", "geheim")
    login = 'sasl_mechanism = "PLAIN"\nsasl_username = "u"\nsasl_password_file = "password"\n'

    assert (
        "would send the password in the clear"
        in kafka_problems(folder, 'security_protocol = "SASL_PLAINTEXT"\n' + login)[0]
    )
    assert config(folder, SMALLEST + 'security_protocol = "SASL_SSL"\n' + login + FILES).kafka.sasl_mechanism == "PLAIN"


def test_a_certificate_goes_with_its_own_key_only(folder: Path) -> None:
    certificate, key = certified(folder, "agent")
    _, other = certified(folder, "other")
    tls = f'security_protocol = "SSL"\nssl_certfile = "{certificate}"\n'

    assert config(folder, f'{SMALLEST}{tls}ssl_keyfile = "{key}"\n{FILES}').kafka.ssl_keyfile == key
    assert kafka_problems(folder, tls) == ("kafka.ssl_keyfile: missing: certificate and key go together",)
    assert kafka_problems(folder, f'{tls}ssl_keyfile = "{other}"\n') == (
        f"kafka.ssl_keyfile: {other}: is not the key of {certificate}: check which belong together",
    )


def test_a_key_with_a_pass_phrase_is_refused_because_nobody_is_there_to_type_it(folder: Path) -> None:
    certificate, key = certified(folder, "agent")
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass phrase"),
    )
    private(key, locked)

    [line] = kafka_problems(
        folder, f'security_protocol = "SSL"\nssl_certfile = "{certificate}"\nssl_keyfile = "{key}"\n'
    )
    assert "needs a pass phrase" in line


def test_a_file_without_certificates_vouches_for_nobody(folder: Path) -> None:
    (folder / "ca.pem").write_text("no certificate")

    [line] = kafka_problems(folder, 'security_protocol = "SSL"\nssl_cafile = "ca.pem"\n')
    assert (
        line
        == f"kafka.ssl_cafile: {folder}/ca.pem: holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----"
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('topic = "dead-letters"\n', "kafka.dead_letter_topic"),
        ("in_flight_mib = 4\nbatch_kib = 4096\n", "kafka.in_flight_mib"),
        ('topic = ".."\n', "kafka.topic"),
        ('topic = "出来事"\n', "kafka.topic"),
        ("in_flight_mib = true\n", "kafka.in_flight_mib"),
        ("in_flight_mib = 32.0\n", "kafka.in_flight_mib"),
        ("[metrics]\nport = 65536\n", "metrics.port"),
        ('[metrics]\nhost = "no host"\n', "metrics.host"),
        ('[wire]\nformat = "arrow"\n', "wire.format"),
        ('[drop]\nfolder = "gone"\nkeys = ["gone.pub"]\n', "drop.folder"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_place(folder: Path, text: str, where: str) -> None:
    assert kafka_problems(folder, text)[0].partition(": ")[0] == where


SYSLOG = '[[syslog]]\nprotocol = "{}"\nport = {}\n'


def test_syslog_that_others_can_reach_says_who_may_send(folder: Path) -> None:
    open_to_all = SMALLEST + SYSLOG.format("udp", 5514) + 'host = "0.0.0.0"\n'

    assert problems(folder, open_to_all) == (
        "syslog.1.allow: missing: 0.0.0.0 can be reached by others, so say which networks may send",
    )
    assert config(folder, open_to_all + 'allow = ["192.0.2.9/24"]\n').syslog[0].allow == ["192.0.2.0/24"]
    assert config(folder, SMALLEST + SYSLOG.format("udp", 5514) + 'host = "::1"\n').syslog[0].source == "syslog"


def test_syslog_names_its_source_because_senders_mix(folder: Path) -> None:
    [line] = problems(folder, SMALLEST + SYSLOG.format("udp", 5514) + 'source = "auto"\n')

    assert line.startswith("syslog.1.source: ")


def test_syslog_over_tls_needs_a_certificate_and_only_that_may_have_one(folder: Path) -> None:
    certificate, key = certified(folder, "log")
    files = f'certfile = "{certificate}"\nkeyfile = "{key}"\n'

    assert [line.partition(": ")[0] for line in problems(folder, SMALLEST + SYSLOG.format("tls", 6514))] == [
        "syslog.1.certfile",
        "syslog.1.keyfile",
    ]
    assert [line.partition(": ")[0] for line in problems(folder, SMALLEST + SYSLOG.format("tcp", 5514) + files)] == [
        "syslog.1.certfile",
        "syslog.1.keyfile",
    ]
    assert config(folder, SMALLEST + SYSLOG.format("tls", 6514) + files).syslog[0].keyfile == key


def test_a_port_is_used_once_but_udp_and_tcp_do_not_meet(folder: Path) -> None:
    both = SYSLOG.format("udp", 5514) + SYSLOG.format("tcp", 5514)
    assert len(config(folder, SMALLEST + both).syslog) == 2

    assert problems(folder, SMALLEST + both + SYSLOG.format("tcp", 9765) + SYSLOG.format("tls", 5514)) == (
        "syslog.4.certfile: missing: tls needs it",
        "syslog.4.keyfile: missing: tls needs it",
    )
    assert problems(folder, SMALLEST + both + SYSLOG.format("tcp", 9765) + SYSLOG.format("tcp", 5514)) == (
        "syslog.3.port: 9765 is taken by metrics: give another",
        "syslog.4.port: 5514 is taken by syslog.2: give another",
    )


def test_a_pattern_belongs_to_one_source(folder: Path) -> None:
    assert problems(folder, SMALLEST + FILES + FILES) == (
        f"files.2.paths: '{folder}/log/*.csv' stands in files.1 too: a file has one source, leave one",
    )


RECIPIENT = "age1" + "q" * 58


def test_the_vault_needs_two_different_people(folder: Path) -> None:
    vault = SMALLEST + FILES + "[vault]\nrecipients = {}\n"
    other = "age1" + "p" * 58

    assert "at least 2 items" in problems(folder, vault.format([RECIPIENT]))[0]
    assert "stands there twice" in problems(folder, vault.format([RECIPIENT, RECIPIENT]))[0]
    found = config(folder, vault.format([RECIPIENT, other])).vault
    assert found
    assert found.topic == "sekimori-vault"


OWN_SOURCE = """
id = "ward-ops"
format = "delimited"
time = ["when"]
[columns]
"actor.id" = "who"
[constants]
"event.class" = "access"
"""


def with_sources(folder: Path, text: str) -> str:
    (folder / "sources").mkdir(exist_ok=True)
    (folder / "sources" / "own.toml").write_text(text, encoding="utf-8")
    return SMALLEST.replace("[kafka]", 'sources = "sources"\n[kafka]')


def test_own_sources_can_be_named_and_come_before_those_that_ship(folder: Path) -> None:
    found = config(folder, with_sources(folder, OWN_SOURCE) + FILES.replace("paths", 'source = "ward-ops"\npaths'))

    assert [source.id for source in found.sources[:1]] == ["ward-ops"]
    assert len(found.sources) == len(declared.shipped()) + 1
    own = found.source(found.files[0].source)
    assert own
    assert own.columns == {"actor.id": ("who",)}
    assert found.source("auto") is None


def test_an_own_source_replaces_the_one_that_ships_under_its_id(folder: Path) -> None:
    found = config(folder, with_sources(folder, OWN_SOURCE.replace("ward-ops", "syslog")) + FILES)

    own = found.source("syslog")
    assert own
    assert own.format == "delimited"
    assert len(found.sources) == len(declared.shipped())


def test_problems_of_source_files_stand_beside_those_of_the_configuration(folder: Path) -> None:
    found = problems(folder, with_sources(folder, OWN_SOURCE + "formt = 1\n") + "x = 1\n" + FILES)

    assert len(found) == 2
    assert found[0] == "kafka.x: unknown key, remove it"
    assert found[1].startswith("agent.sources: own.toml: constants: 'formt'")


def test_the_digest_tells_configurations_apart_and_their_sources_too(folder: Path) -> None:
    first = config(folder, SMALLEST + FILES)
    spelled_out = config(folder, SMALLEST + 'topic = "access-events"\n' + FILES)
    other = config(folder, SMALLEST + 'topic = "others"\n' + FILES)
    own = config(folder, with_sources(folder, OWN_SOURCE) + FILES)
    changed = config(folder, with_sources(folder, OWN_SOURCE.replace('"who"', '"whom"')) + FILES)

    assert re.fullmatch("[0-9a-f]{64}", first.digest)
    assert first.digest == spelled_out.digest
    assert len({first.digest, other.digest, own.digest, changed.digest}) == 4


def test_no_secret_is_in_the_configuration_or_its_digest(folder: Path) -> None:
    before = config(folder, SMALLEST + FILES)
    private(folder / "site.key", "ab" * 32)
    after = config(folder, SMALLEST + FILES)

    assert before.digest == after.digest
    assert "5e5e" not in repr(before)
    assert "5e5e" not in before.model_dump_json()


def test_limits_of_silence_are_by_place(folder: Path) -> None:
    found = config(
        folder, SMALLEST + FILES + FILES.replace("log/", "web/") + "silent_after_s = 60\n" + SYSLOG.format("udp", 5514)
        + "silent_after_s = 30\n",
    )  # fmt: skip

    assert found.silent_after_s == {"files.2": 60, "syslog.1": 30}
    assert found.source_ids == ("auto", "syslog")


def test_a_section_made_in_code_looks_at_no_disk() -> None:
    found = Kafka(bootstrap_servers=["[::1]:9092"], security_protocol="SSL", ssl_cafile=Path("/gone/ca.pem"))

    assert found.ssl_cafile == Path("/gone/ca.pem")


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


def test_a_table_checked_alone_names_its_options_without_the_table(folder: Path) -> None:
    certificate, _ = certified(folder, "agent")
    _, other = certified(folder, "other")
    ground = Ground(folder, frozenset())

    with pytest.raises(ValidationError) as caught:
        Kafka.model_validate(
            {
                "bootstrap_servers": ["k:9"],
                "security_protocol": "SSL",
                "ssl_certfile": str(certificate),
                "ssl_keyfile": str(other),
            },
            context=ground,
        )
    assert [line.partition(": ")[0] for line in told(caught.value, Kafka)] == ["ssl_keyfile"]
