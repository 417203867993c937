"""`[kafka]` in the agent's configuration: a login and certificates that can work, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from collector.config import Kafka
from service.options import Ground
from service.settings import told
from tests.collector.configs import FILES, SMALLEST, certified, config, private, problems


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


def test_a_section_made_in_code_looks_at_no_disk() -> None:
    found = Kafka(bootstrap_servers=["[::1]:9092"], security_protocol="SSL", ssl_cafile=Path("/gone/ca.pem"))

    assert found.ssl_cafile == Path("/gone/ca.pem")


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
