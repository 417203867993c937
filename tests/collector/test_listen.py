from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from collector.listen import ListenError, Listeners
from collector.reading import Reader
from collector.spool.spool import Spool
from registers.tokens import SiteKey
from tests.collector.receiver import SYSLOG, options
from tests.collector.spool.former import Former, frame_size


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

    receiver.wait(lambda: receiver.count >= count * 5)

    found = list(zip(receiver.values("system.id"), receiver.values("message"), strict=True))
    for who in range(5):
        assert [int(text) for host, text in found if host == f"host{who}"] == list(range(count))
    assert receiver.gaps == []


def test_the_messages_of_a_real_sender_are_parsed(listen):
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
        receiver.wait(lambda receiver=receiver: receiver.count >= 2)
        assert receiver.refused == 0
        assert receiver.values("actor.id") == ["1001"] * 2


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
        assert receiver.count == 0


def test_a_message_that_is_too_long_is_cut_and_told_as_a_gap(listen):
    receiver = listen(options("tcp", max_message_kib=2))
    with receiver.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: " + b"x" * 5000 + b"\n<13>Oct 11 22:14:15 gate su: next\n")

    receiver.wait(lambda: bool(receiver.gaps))
    receiver.expect(b"<13>Oct 11 22:14:15 gate su: " + b"x" * (2048 - 29), b"<13>Oct 11 22:14:15 gate su: next")
    [gap] = receiver.gaps
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
    assert receiver.count == datagrams.count == 0


def test_no_more_senders_than_declared_are_connected(listen, caplog):
    receiver = listen(options("tcp", max_connections=2))
    first, second = receiver.connect(), receiver.connect()
    for sender in (first, second):
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: x\n")
    receiver.wait(lambda: receiver.count == 2)
    with receiver.connect() as third:
        assert third.recv(1) == b""
    assert "max_connections" in caplog.text
    first.close()
    second.close()


def test_a_restart_goes_on_and_a_lost_checkpoint_repeats_with_the_same_ids(listen):
    chosen = options("tcp")
    first = listen(chosen)
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 1\n<13>Oct 11 22:14:15 gate su: 2\n")
    first.wait(lambda: first.count == 2)
    kept = first.listeners.positions()
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 3\n")
    first.wait(lambda: first.count == 3)
    first.listeners.close()
    second = listen(chosen, positions=kept)
    second.wait(lambda: second.count == 1)
    second.listeners.close()
    third = listen(chosen)
    third.wait(lambda: third.count == 3)

    ids = first.values("event.id")
    assert second.values("message") == ["3"]
    assert second.values("event.id") == ids[2:]
    assert third.values("event.id") == ids
    assert len(set(ids)) == 3


def test_what_has_arrived_when_the_agent_stops_is_kept(listen):
    chosen = options("tcp")
    first = listen(chosen)
    with first.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: 1\n<13>Oct 11 22:14:15 gate su: no end")
        first.wait(lambda: first.count == 1)
        first.listeners.stop()
    first.wait(lambda: first.count == 2)
    assert first.values("message") == ["1", "no end"]


def test_senders_in_different_encodings_share_a_port(listen):
    receiver = listen(options("udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for encoding in ("utf-8", "cp932", "utf-8"):
            sender.sendto(
                "<13>Oct 11 22:14:15 gate app: 住民票を照会しました".encode(encoding), ("127.0.0.1", receiver.port)
            )

    receiver.wait(lambda: receiver.count == 3)
    assert receiver.values("message") == ["住民票を照会しました"] * 3


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
            Listeners([(busy, SYSLOG), (elsewhere, SYSLOG)], tmp_path, Reader(key, "Asia/Tokyo"), {})

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


def test_a_spool_of_the_version_before_is_read_on_and_new_messages_come_after_it(listen, key: SiteKey, tmp_path: Path):
    chosen = options("tcp")
    folder = tmp_path / "spool" / f"tcp-127.0.0.1-{chosen.port}-syslog"
    former = Former(folder, key.derive("spool"))
    old = [f"<13>Oct 11 22:14:15 gate su: {number}".encode() for number in range(3)]
    first_line = former.write(old[:2], old[2:])
    receiver = listen(chosen)
    with receiver.connect() as sender:
        sender.sendall(b"<13>Oct 11 22:14:15 gate su: new\n")
    receiver.wait(lambda: receiver.count == 1)
    kept = receiver.listeners.positions()

    [part] = receiver.former
    generation = hashlib.sha256(first_line[:-1]).hexdigest()
    assert part.piece.lines.get_column("raw").to_list() == old
    assert (part.piece.name, part.piece.generation) == (f"{folder.name}/00000001", generation)
    assert part.piece.lines.get_column("offset").to_list() == [len(first_line) + 31 * number for number in range(3)]
    assert receiver.values("message") == ["new"]
    assert receiver.gaps == []
    receiver.listeners.forget(kept)
    assert not (folder / "00000001.spool").exists()


def test_a_checkpoint_of_the_version_before_goes_on_in_the_middle_of_its_file(listen, key: SiteKey, tmp_path: Path):
    chosen = options("tcp")
    name = f"tcp-127.0.0.1-{chosen.port}-syslog"
    former = Former(tmp_path / "spool" / name, key.derive("spool"))
    first_line = former.write([b"<13>Oct 11 22:14:15 gate su: 1"], [b"<13>Oct 11 22:14:15 gate su: 2"])
    place = {
        "file": 1,
        "generation": hashlib.sha256(first_line[:-1]).hexdigest(),
        "at": len(first_line) + frame_size(31),
        "frame": 1,
        "offset": len(first_line) + 31,
    }
    receiver = listen(chosen, positions={name: place})
    receiver.wait(lambda: bool(receiver.former))

    assert receiver.former[0].piece.lines.rows() == [
        (b"<13>Oct 11 22:14:15 gate su: 2", "<13>Oct 11 22:14:15 gate su: 2", place["offset"])
    ]
    assert receiver.gaps == []


def test_a_batch_of_a_version_that_nobody_knows_is_a_gap(listen, key: SiteKey, tmp_path: Path):
    chosen = options("tcp")
    folder = tmp_path / "spool" / f"tcp-127.0.0.1-{chosen.port}-syslog"
    spool = Spool(folder, key.derive("spool"), 1 << 30)
    spool.append(spool.reserve(1), b"what is this", 100, 1)
    spool.close()
    receiver = listen(chosen)
    receiver.wait(lambda: bool(receiver.gaps))

    [gap] = receiver.gaps
    assert (gap.reason, gap.last_byte) == ("spool_damaged", gap.first_byte + 99)
    assert "the version that wrote it" in gap.detail


def test_what_came_within_the_moment_before_the_stop_is_in_the_spool(listen, monkeypatch):
    monkeypatch.setattr("collector.gather.MOMENT_S", 60)
    chosen = options("udp")
    first = listen(chosen)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            sender.sendto(b"<13>Oct 11 22:14:15 gate su: %d" % number, ("127.0.0.1", chosen.port))
    first.listeners.close()
    second = listen(chosen)
    second.wait(lambda: second.count == 100)

    assert second.values("message") == [str(number) for number in range(100)]
