"""Ids of people in syslog: tokens before anything is written, the same that a file gives."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector.sources import Source
from collector.vault import Vault
from registers.mask import MASK, is_my_number
from registers.tokens import SiteKey
from tests.collector.receiver import Receiver, options, spooled
from tests.collector.test_vault import NOW, RECIPIENTS, opened
from tests.registers.spellings import number_of

TOML = """
id = "welfare"
format = "keyvalue"
time = ["t"]
[columns]
"actor.id" = "who"
"subject.token" = "subject"
"household.token" = "house"
"payee.token" = "payee"
"resource.type" = "kind"
"resource.id" = "what"
message = "text"
[constants]
"event.class" = "access"
"event.action" = "read"
"""
# Twelve digits whose last is the check digit of a My Number, as one in ten of such ids has it; and as most sites number people.
TWELVE = [number_of(f"{20_000_000_017 + 7 * at:011}") for at in range(40)]
SHORT = [f"{4_711_000 + at}" for at in range(40)]
MOMENT = next(text for minute in range(60) if is_my_number(text := f"2026040108{minute:02}"))
NUMBER = "123456789018"
SPELT = [
    NUMBER,
    "1234-5678-9018",
    "１２３４ー５６７８ー９０１８",
    "%31234%205678%209018",
    "\\u0031234\u200b5678 9018",
    MOMENT,
]


def line(at: int, subject: str, text: str = "x", time: str | None = None) -> str:
    stamp = f"2026-04-01T10:{at // 60:02}:{at % 60:02}+09:00" if time is None else time
    return f't={stamp} who=u{at % 3} subject={subject} house=H-{subject} payee=P-{subject} kind=record what={subject} text="{text}"'


LINES = [
    *(line(at, subject) for at, subject in enumerate([*TWELVE, *SHORT])),
    *(line(at, SHORT[0], f"番号{number}を見た") for at, number in enumerate(SPELT)),
    *(line(at, subject, time="no time") for at, subject in enumerate([TWELVE[0], SHORT[0], *SPELT])),
]
RAW = [text.encode() for text in LINES] + [f"bad {TWELVE[1]} {SHORT[1]} {NUMBER} ".encode() + b"\xff\x80"]
REFUSED = 2 + len(SPELT) + 1


@pytest.fixture
def source(declare: Callable[[str], Source]) -> Source:
    return declare(TOML)


@pytest.fixture
def send(authority: dict[str, Path]) -> Callable[[Receiver, str, Sequence[bytes]], None]:
    """Send lines to a port of a protocol, in order."""

    def run(receiver: Receiver, protocol: str, lines: Sequence[bytes]) -> None:
        if protocol == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for one in lines:
                    sender.sendto(one, ("127.0.0.1", receiver.port))
            return
        with contextlib.ExitStack() as stack:
            sender = stack.enter_context(receiver.connect())
            if protocol == "tls":
                context = ssl.create_default_context(cafile=str(authority["ca"]))
                sender = stack.enter_context(context.wrap_socket(sender, server_hostname="127.0.0.1"))
            sender.sendall(b"".join(one + b"\n" for one in lines))

    return run


@pytest.fixture
def configured(authority: dict[str, Path]) -> Callable[[str], Any]:
    files = {"certfile": authority["server"], "keyfile": authority["key"]}
    return lambda protocol: options(protocol, **(files if protocol == "tls" else {}))


@pytest.fixture
def of_file(read, source: Source, tmp_path: Path) -> pl.DataFrame:
    """What the same lines give that stand in a file."""
    path = tmp_path / "same.log"
    path.write_bytes(b"".join(one + b"\n" for one in RAW))
    [parsed], problems = read(path, sources=(source,), source=source)
    assert problems == []
    return parsed


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
def test_the_spool_holds_no_id_and_events_have_the_tokens_that_a_file_gives(
    listen, configured, send, source: Source, of_file, key: SiteKey, tmp_path: Path, protocol: str
):
    receiver = listen(configured(protocol), source)
    send(receiver, protocol, RAW)
    receiver.wait(lambda: receiver.count == len(RAW))

    plain = b"".join(spooled(tmp_path / "spool", key).values())
    assert [one for one in (*TWELVE, *SHORT, *SPELT) if one.encode() in plain] == []
    assert [rest for rest in ("5678 9018", "5678-9018", "%205678", "５６７８") if rest.encode() in plain] == []
    assert plain.count(b"welfare") > 0
    events = pl.concat([part.parsed.events for part in receiver.parts])
    own = ["event.id", "source.position"]
    assert events.drop(own).equals(of_file.events.drop(own))
    tokens = receiver.values("subject.token")
    assert len(set(tokens[: len(TWELVE) + len(SHORT)])) == len(TWELVE) + len(SHORT)
    assert None not in tokens
    assert receiver.values("message")[-len(SPELT) :] == [f"番号{MASK}を見た"] * len(SPELT)
    assert len(set(receiver.values("event.id"))) == events.height
    assert receiver.letters() == of_file.rejected.get_column("line").to_list()
    assert receiver.refused == REFUSED
    assert receiver.gaps == []


def test_a_token_that_is_new_waits_in_the_spool_for_the_vault_and_its_id_does_not(
    listen, configured, send, source: Source, key: SiteKey, tmp_path: Path
):
    def vault() -> Vault:
        return Vault(tmp_path / "vault", RECIPIENTS, "agent-1", {}, lambda: NOW)

    chosen = configured("tcp")
    receiver = listen(chosen, source, vault=vault())
    send(receiver, "tcp", RAW[:60])
    receiver.wait(lambda: receiver.count == 60)
    send(receiver, "tcp", RAW)
    receiver.wait(lambda: receiver.count == 60 + len(RAW))
    receiver.listeners.close()
    plain = b"".join(spooled(tmp_path / "spool", key).values())
    entries = [entry for part in receiver.parts for entry in part.entries]

    # What is sent after a kill comes twice out of the spool, and once into the vault.
    again = vault()
    second = listen(chosen, source, vault=again)
    second.wait(lambda: second.count == receiver.count)
    assert second.values("event.id") == receiver.values("event.id")
    for part in (*receiver.parts, *second.parts):
        again.take_entries(part.entries)
        assert again.write()
    pairs = opened((tmp_path / "vault").read_bytes())

    assert [one for one in (*TWELVE, *SHORT) if one.encode() in plain] == []
    assert opened(b"".join(entries)) == pairs
    tokens = {*receiver.values("subject.token"), *receiver.values("household.token"), *receiver.values("payee.token")}
    records = {*receiver.values("resource.id")} - {None}  # an id of a record that may be a My Number has none
    assert pairs.keys() == tokens | records
    assert {pairs[token] for token in receiver.values("subject.token")} == {*TWELVE, *SHORT}
    assert again.new_tokens() == len(pairs)


def test_the_number_of_the_person_before_is_known_from_batch_to_batch(
    listen, configured, send, source: Source, key: SiteKey
):
    receiver = listen(configured("tcp"), source)
    for at, subject in enumerate(["100", "101", "99"]):
        send(receiver, "tcp", [line(3 * at, subject).encode()])
        receiver.wait(lambda at=at: receiver.count == at + 1)

    assert receiver.values("subject.step") == [None, 1, -2]
