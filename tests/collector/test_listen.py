from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import trustme

from collector.listen import ListenError, Listeners
from collector.parse import parse
from registers.mask import is_my_number
from registers.tokens import SiteKey
from tests.collector.receiver import SYSLOG, Receiver, options, spooled


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A server's certificate, a client's, and one of an authority that nobody knows."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = trustme.CA(), trustme.CA()
    made = {name: folder / f"{name}.pem" for name in ("ca", "server", "key", "client", "stranger")}
    ours.cert_pem.write_to_path(made["ca"])
    server = ours.issue_cert("127.0.0.1", "localhost")
    server.cert_chain_pems[0].write_to_path(made["server"])
    server.private_key_pem.write_to_path(made["key"])
    made["key"].chmod(0o600)
    ours.issue_cert("sender.example.jp").private_key_and_cert_chain_pem.write_to_path(made["client"])
    theirs.issue_cert("sender.example.jp").private_key_and_cert_chain_pem.write_to_path(made["stranger"])
    return made


def test_datagrams_become_lines_with_the_host_they_came_from(listen):
    receiver = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for text in (b"<13>Oct 11 22:14:15 gate su: one\n", b"<13>Oct 11 22:14:15 su: two", b"three\nlines", b"\n"):
            sender.sendto(text, ("127.0.0.1", receiver.port))
        sender.sendto(b"last", ("127.0.0.1", receiver.port))

    receiver.expect(
        b"<13>Oct 11 22:14:15 gate su: one",
        b"<13>Oct 11 22:14:15 127.0.0.1 su: two",
        b"2026-04-01T03:00:00.000Z 127.0.0.1 three#012lines",
        b"2026-04-01T03:00:00.000Z 127.0.0.1 last",
    )


@pytest.mark.parametrize("counted", [True, False])
def test_every_message_of_many_senders_arrives_once_and_in_each_sender_s_order(listen, counted: bool):
    receiver = listen(options("tcp"))
    senders = [receiver.connect() for _ in range(5)]
    count = 2000
    for number in range(0, count, 100):
        for who, sender in enumerate(senders):
            bodies = [b"<13>Oct 11 22:14:15 host%d app: %06d" % (who, n) for n in range(number, number + 100)]
            sender.sendall(b"".join(b"%d %b" % (len(b), b) if counted else b + b"\n" for b in bodies))
    for sender in senders:
        sender.close()

    receiver.wait(lambda: len(receiver.lines) >= count * 5)

    for who in range(5):
        mine = [line for line in receiver.lines if b"host%d " % who in line]
        assert [int(line[-6:]) for line in mine] == list(range(count))
    assert receiver.gaps == []


def test_the_messages_of_a_real_sender_are_parsed(listen, key: SiteKey):
    """`logger` of util-linux in both of its protocols and framings."""
    udp, tcp = listen(options("udp")), listen(options("tcp"))
    for receiver, more in (
        (udp, ["--udp"]),
        (udp, ["--udp", "--rfc3164"]),
        (tcp, ["--tcp", "--octet-count"]),
        (tcp, ["--tcp"]),
    ):
        where = ["--server", "127.0.0.1", "--port", str(receiver.port), "--tag", "sshd"]
        subprocess.run(["logger", *where, *more, "Accepted password for 1001 from 192.0.2.7 port 5 ssh2"], check=True)

    for receiver in (udp, tcp):
        receiver.wait(lambda receiver=receiver: len(receiver.lines) >= 2)
        for part in receiver.pieces:
            parsed = parse(part.piece, part.source, key, "Asia/Tokyo", None, 2026)
            assert parsed.rejected.is_empty()
            assert parsed.events.get_column("actor.id").unique().to_list() == ["1001"]


def test_messages_arrive_over_tls_and_a_sender_without_it_is_not_understood(listen, authority, caplog):
    receiver = listen(options("tls", certfile=authority["server"], keyfile=authority["key"]))
    with receiver.connect() as plain:
        plain.sendall(b"<13>Oct 11 22:14:15 gate su: in the clear\n" * 10)
        receiver.wait(lambda: "TLS handshake" in caplog.text)
    context = ssl.create_default_context(cafile=str(authority["ca"]))
    with context.wrap_socket(receiver.connect(), server_hostname="127.0.0.1") as sender:
        sender.sendall(b"35 <13>Oct 11 22:14:15 gate su: hidden")

    receiver.expect(b"<13>Oct 11 22:14:15 gate su: hidden")
    assert "127.0.0.1" in caplog.text


@pytest.mark.parametrize("who", ["client", "stranger", None])
def test_only_senders_with_a_certificate_of_the_authority_are_heard(listen, authority, caplog, who: str | None):
    receiver = listen(
        options("tls", certfile=authority["server"], keyfile=authority["key"], cafile=authority["ca"], host="127.0.0.1")
    )
    context = ssl.create_default_context(cafile=str(authority["ca"]))
    if who is not None:
        context.load_cert_chain(authority[who])
    # How the refusal reaches the sender depends on what it does at that moment.
    expected = contextlib.nullcontext() if who == "client" else contextlib.suppress(ssl.SSLError, ConnectionError)
    with expected, context.wrap_socket(receiver.connect(), server_hostname="127.0.0.1") as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: x\n")
        if who != "client":
            sender.recv(1)

    if who == "client":
        receiver.expect(b"<13>Oct 11 22:14:15 gate su: x")
    else:
        receiver.wait(lambda: "TLS handshake with 127.0.0.1 ended" in caplog.text)
        assert receiver.lines == []


def test_a_message_that_is_too_long_is_cut_and_told_as_a_gap(listen):
    receiver = listen(options("tcp", max_message_kib=2))
    with receiver.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: " + b"x" * 5000 + b"\n<13>Oct 11 22:14:15 gate su: next\n")

    receiver.wait(lambda: bool(receiver.gaps))
    [gap] = receiver.gaps
    assert [len(line) for line in receiver.lines] == [2048, 33]
    assert (gap.reason, gap.source_id, gap.last_byte) == ("too_long", "syslog", gap.first_byte - 1)
    assert "1 messages" in gap.detail
    assert f"{5000 + 29 - 2048} bytes" in gap.detail
    assert receiver.lost == {"too_long": 1}


def test_senders_from_other_networks_are_not_heard(listen, caplog):
    receiver = listen(options("tcp", allow=["192.0.2.0/24"]))
    with receiver.connect() as sender:
        assert sender.recv(1) == b""
    datagrams = listen(options("udp", allow=["192.0.2.0/24"]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>Oct 11 22:14:15 gate su: x", ("127.0.0.1", datagrams.port))

    datagrams.wait(lambda: caplog.text.count("in no network of `allow`") == 2)
    assert receiver.lines == datagrams.lines == []


def test_no_more_senders_than_declared_are_connected(listen, caplog):
    receiver = listen(options("tcp", max_connections=2))
    first, second = receiver.connect(), receiver.connect()
    for sender in (first, second):
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: x\n")
    receiver.wait(lambda: len(receiver.lines) == 2)
    with receiver.connect() as third:
        assert third.recv(1) == b""
    assert "max_connections" in caplog.text
    first.close()
    second.close()


def test_a_restart_goes_on_and_a_lost_checkpoint_repeats_with_the_same_ids(listen, key: SiteKey):
    chosen = options("tcp")
    first = listen(chosen)
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 1\n<13>Oct 11 22:14:15 gate su: 2\n")
    first.wait(lambda: len(first.lines) == 2)
    kept = first.listeners.positions()
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 3\n")
    first.wait(lambda: len(first.lines) == 3)
    first.listeners.close()

    def ids(receiver: Receiver) -> list[str]:
        parts = [parse(part.piece, part.source, key, "Asia/Tokyo", None, 2026).events for part in receiver.pieces]
        return [one for events in parts for one in events.get_column("event.id").to_list()]

    second = listen(chosen, positions=kept)
    second.wait(lambda: len(second.lines) == 1)
    second.listeners.close()
    third = listen(chosen)
    third.wait(lambda: len(third.lines) == 3)

    assert second.lines == first.lines[2:]
    assert ids(second) == ids(first)[2:]
    assert ids(third) == ids(first)
    assert len(set(ids(first))) == 3


def test_what_has_arrived_when_the_agent_stops_is_kept(listen):
    chosen = options("tcp")
    first = listen(chosen)
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 1\n<13>Oct 11 22:14:15 gate su: no end")
        first.wait(lambda: len(first.lines) == 1)
        first.listeners.stop()
    first.wait(lambda: len(first.lines) == 2)
    assert first.lines[1].endswith(b"no end")


def test_senders_in_different_encodings_share_a_port(listen):
    receiver = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for encoding in ("utf-8", "cp932", "utf-8"):
            sender.sendto(
                "<13>Oct 11 22:14:15 gate app: 住民票を照会しました".encode(encoding), ("127.0.0.1", receiver.port)
            )

    receiver.wait(lambda: len(receiver.lines) == 3)
    texts = [text for part in receiver.pieces for text in part.piece.lines.get_column("line").to_list()]
    assert texts == ["<13>Oct 11 22:14:15 gate app: 住民票を照会しました"] * 3


HEAD = "<13>Oct 11 22:14:15 gate app: "
KEPT = [
    "受付 202611230915",
    "法人番号1123456789018",
    "card 4009 1234 5678 9018",
    "id 5b3c1d2e-0a1b-4c3d-8e9f-123456789018",
]
SPELT = [
    "123456789018",
    "1234-5678-9018",
    "１２３４ー５６７８ー９０１８",
    "%31234%205678%209018",
    "\\u0031234\u200b5678 9018",
]


@pytest.mark.parametrize("code", ["utf-8", "cp932"])
@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
def test_no_my_number_lies_in_the_spool_even_for_who_has_the_key(
    listen, authority, key, tmp_path, protocol: str, code: str
):
    files = {"certfile": authority["server"], "keyfile": authority["key"]} if protocol == "tls" else {}
    chosen = options(protocol, **files)
    receiver = listen(chosen)
    spelt = [number for number in SPELT if code == "utf-8" or "\u200b" not in number]
    sent = [f"{HEAD}番号{number}を見た" for number in spelt] + [f"{HEAD}{other}" for other in KEPT]
    sent = [text.encode(code) for text in sent] + [HEAD.encode() + b"bad \xff\x80 123456789018"]
    if protocol == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in sent:
                sender.sendto(line, ("127.0.0.1", receiver.port))
    else:
        sender = receiver.connect()
        if protocol == "tls":
            context = ssl.create_default_context(cafile=str(authority["ca"]))
            sender = context.wrap_socket(sender, server_hostname="127.0.0.1")
        with sender:
            sender.sendall(b"".join(b"%d %b" % (len(line), line) for line in sent))

    masked = [f"{HEAD}番号[個人番号]を見た".encode(code)] * len(spelt)
    whole = [*masked, *sent[len(spelt) : -1], HEAD.encode() + b"bad \xff\x80 [" + "個人番号]".encode()]
    receiver.expect(*whole)
    # What is read is what lies there, at the place that the position names.
    plain = spooled(tmp_path / "spool", key)
    assert b"".join(plain.values()).endswith(b"".join(line + b"\n" for line in whole))
    for part in receiver.pieces:
        for raw, offset in part.piece.lines.select("raw", "offset").rows():
            assert plain[part.piece.name][offset:].startswith(raw + b"\n")
    parsed = [parse(part.piece, part.source, key, "Asia/Tokyo", None, 2026) for part in receiver.pieces]
    messages = [text for one in parsed for text in one.events.get_column("message").to_list()]
    assert messages == ["番号[個人番号]を見た"] * len(spelt) + KEPT
    [letter] = [line for one in parsed for line in one.rejected.get_column("line").to_list()]
    assert "[個人番号]" in letter


def test_a_lost_checkpoint_gives_masked_messages_the_same_ids(listen, key: SiteKey):
    chosen = options("tcp")
    first = listen(chosen)
    with first.connect() as sender:
        sender.sendall(b"".join(f"{HEAD}{at} 123456789018\n".encode() for at in range(50)))
    first.wait(lambda: len(first.lines) == 50)
    first.listeners.close()
    again = listen(chosen)
    again.wait(lambda: len(again.lines) == 50)

    def ids(receiver: Receiver) -> list[str]:
        parts = [parse(part.piece, part.source, key, "Asia/Tokyo", None, 2026).events for part in receiver.pieces]
        return [one for events in parts for one in events.get_column("event.id").to_list()]

    assert ids(again) == ids(first)
    assert len(set(ids(first))) == 50


def test_a_number_that_reads_as_a_moment_is_masked_when_the_line_is_parsed(listen, key: SiteKey):
    moment = next(text for minute in range(60) if is_my_number(text := f"2026040108{minute:02}"))
    receiver = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"{HEAD}at {moment}".encode(), ("127.0.0.1", receiver.port))

    receiver.expect(f"{HEAD}at {moment}".encode())
    [part] = receiver.pieces
    parsed = parse(part.piece, part.source, key, "Asia/Tokyo", None, 2026)
    assert parsed.events.get_column("message").to_list() == ["at [個人番号]"]


def test_lag_is_what_was_received_and_not_read(listen):
    receiver = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>Oct 11 22:14:15 gate su: x", ("127.0.0.1", receiver.port))
    end = time.monotonic() + 60
    while not receiver.listeners.lag()[0].bytes and time.monotonic() < end:
        time.sleep(0.01)

    assert receiver.listeners.lag()[0].bytes > 0
    receiver.expect(b"<13>Oct 11 22:14:15 gate su: x")
    assert receiver.listeners.lag()[0].bytes == 0


def test_all_ports_that_cannot_be_had_are_told_at_once(tmp_path: Path, key: SiteKey):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = options("tcp").model_copy(update={"port": taken.getsockname()[1]})
        elsewhere = options("udp", host="192.0.2.1", allow=["192.0.2.0/24"])
        with pytest.raises(ListenError) as caught:
            Listeners([(busy, SYSLOG), (elsewhere, SYSLOG)], tmp_path, key, {})

    first, second = caught.value.problems
    assert first.startswith(f"syslog tcp 127.0.0.1:{busy.port}: ")
    assert "another program listens there" in first
    assert "no such address" in second


def test_messages_of_a_port_that_is_gone_are_not_forgotten_silently(listen, tmp_path: Path):
    first = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>Oct 11 22:14:15 gate su: x", ("127.0.0.1", first.port))
    first.expect(b"<13>Oct 11 22:14:15 gate su: x")
    kept = first.listeners.positions()
    first.listeners.close()

    unread = listen(options("udp"))
    assert any("not configured any more" in trouble for trouble in unread.listeners.troubles())
    acknowledged = listen(options("udp"), positions=kept)
    assert acknowledged.listeners.troubles() == []
    assert acknowledged.listeners.positions() == kept
