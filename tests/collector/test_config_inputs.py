"""What the agent's configuration says of inputs: syslog, files, and sources of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from collector import sources as declared
from tests.collector.configs import FILES, SMALLEST, SYSLOG, certified, config, problems


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


def test_limits_of_silence_are_by_place(folder: Path) -> None:
    found = config(
        folder, SMALLEST + FILES + FILES.replace("log/", "web/") + "silent_after_s = 60\n" + SYSLOG.format("udp", 5514)
        + "silent_after_s = 30\n",
    )  # fmt: skip

    assert found.silent_after_s == {"files.2": 60, "syslog.1": 30}
    assert found.source_ids == ("auto", "syslog")
