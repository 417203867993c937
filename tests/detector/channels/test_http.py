"""Whom a request goes to, how long it may take, and that nothing secret gets into a message."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.channels.channel import LaterError, RefusedError
from detector.channels.http import MOST_ANSWER_BYTES, admitted, post, target
from tests.detector.channels.receivers import Receiver, certificate, receiver

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
SECRET = "T012/B345/verysecret"


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def send(server: Receiver, timeout_s: float = 5, host: str = "127.0.0.1") -> None:
    post(target(f"http://{host}:{server.port}/{SECRET}?k=s3cret", LOOPBACK, timeout_s), b"{}", {"X-Key": "s3cret"})


def test_a_body_arrives_at_its_path_with_its_headers(server: Receiver):
    send(server)
    [request] = server.got
    assert (request.path, request.body) == (f"/{SECRET}?k=s3cret", b"{}")
    assert request.headers["X-Key"] == "s3cret"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::7f00:1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused_unless_it_is_allowed(address: str):
    place = ipaddress.ip_address(address)
    assert not admitted(place, ())
    assert admitted(place, None)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_admitted(address: str):
    assert admitted(ipaddress.ip_address(address), ())


def test_a_network_that_is_allowed_lets_its_addresses_in_and_no_others():
    office = [ipaddress.ip_network("10.1.0.0/16")]
    assert admitted(ipaddress.ip_address("10.1.2.3"), office)
    assert admitted(ipaddress.ip_address("::ffff:10.1.2.3"), office)
    assert not admitted(ipaddress.ip_address("10.2.0.1"), office)


def test_a_local_target_is_not_even_connected_to(server: Receiver):
    with pytest.raises(LaterError, match=r"stands for 127\.0\.0\.1, which is not public: add it to allow_networks"):
        post(target(f"http://localhost:{server.port}/", (), 5), b"{}", {})
    assert server.got == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
):
    # A name server that says another address every time it is asked: the second answer would lead inside.
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    send(server, host="rebinding.example")
    assert asked == ["rebinding.example"]
    assert len(server.got) == 1


def test_one_address_of_several_that_is_not_allowed_is_enough_to_refuse(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
):
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, server.port)) for one in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    with pytest.raises(LaterError, match=r"10\.0\.0\.1"):
        send(server, host="two.example")
    assert server.got == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Receiver, status: int):
    with receiver() as inside:
        server.answer = (status, {"Location": f"http://127.0.0.1:{inside.port}/"}, b"")
        with pytest.raises(LaterError, match="redirects are not followed"):
            send(server)
        assert inside.got == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RefusedError), (413, RefusedError), (422, RefusedError), (401, LaterError), (404, LaterError),
     (429, LaterError), (500, LaterError), (503, LaterError)],
)  # fmt: skip
def test_what_is_said_of_the_content_refuses_and_all_else_waits(server: Receiver, status: int, error: type[Exception]):
    server.answer = (status, {}, b"")
    with pytest.raises(error, match=str(status)):
        send(server)


@pytest.mark.parametrize(("said", "waits"), [("7", 7.0), ("100000", 300.0), ("soon", 0.0), ("²", 0.0)])
def test_a_host_may_ask_for_a_while_and_not_for_ever(server: Receiver, said: str, waits: float):
    server.answer = lambda handler: handler.wfile.write(
        b"HTTP/1.0 429 x\r\nRetry-After: " + said.encode("latin-1") + b"\r\n\r\n"
    )
    with pytest.raises(LaterError) as raised:
        send(server)
    assert raised.value.wait_s == waits


def drip(handler: Any) -> None:
    """A header, a byte at a time, for as long as somebody listens."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def flood(handler: Any) -> None:
    """Headers without end."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X-Long: x\r\n" * MOST_ANSWER_BYTES)


@pytest.mark.parametrize("answer", [drip, lambda _: time.sleep(3)], ids=["drip", "silence"])
def test_an_answer_that_takes_too_long_is_given_up(server: Receiver, answer: Any):
    server.answer = answer
    before = time.monotonic()
    with pytest.raises(LaterError, match=r"no answer within 0\.5 s"):
        send(server, timeout_s=0.5)
    assert time.monotonic() - before < 2


@pytest.mark.parametrize(
    "answer",
    [flood, lambda handler: handler.wfile.write(b"\x16\x03\x01 what?\r\n\r\n"), lambda handler: handler.wfile.close()],
    ids=["flood", "no-http", "hang-up"],
)
def test_an_answer_that_is_none_is_tried_again(server: Receiver, answer: Any):
    server.answer = answer
    with pytest.raises(LaterError):
        send(server)


def test_tls_is_spoken_to_a_host_that_proves_its_name(tmp_path: Path):
    context, authority = certificate(tmp_path, "localhost")
    with receiver(context) as server:
        post(target(f"https://localhost:{server.port}/", LOOPBACK, 5, authority), b"{}", {})
        assert len(server.got) == 1
        for url, trusted in (
            (f"https://127.0.0.1:{server.port}/", authority),
            (f"https://localhost:{server.port}/", None),
        ):
            with pytest.raises(LaterError, match="certificate that is not trusted"):
                post(target(url, LOOPBACK, 5, trusted), b"{}", {})
        assert len(server.got) == 1


def test_a_server_without_tls_is_not_spoken_to_in_the_clear(server: Receiver):
    with pytest.raises(LaterError, match="speaks no TLS"):
        post(target(f"https://localhost:{server.port}/", LOOPBACK, 5), b"{}", {})
    assert server.got == []


def test_nobody_there_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LaterError, match=rf"127\.0\.0\.1: cannot be reached at port {port}: Connection refused"):
        post(target(f"http://127.0.0.1:{port}/{SECRET}", LOOPBACK, 5), b"{}", {})


def test_a_name_that_nobody_knows_is_said_so():
    with pytest.raises(LaterError, match="the name cannot be resolved"):
        post(target(f"http://nowhere.invalid/{SECRET}", (), 5), b"{}", {})


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://h/", "file:///etc/passwd", "http://", "http://[::1", "http://h:99999/", f"http://user:{SECRET}@h/",
        f"http://h/{SECRET}\r\nX: y", "http://h/ x", "http://例え.jp/", "http://h\x00/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_repeated(url: str):
    with pytest.raises(ValueError, match=r"write|leave") as raised:
        target(url, (), 5)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("status", [302, 400, 401, 500])
def test_no_message_holds_what_may_be_secret(server: Receiver, status: int):
    server.answer = (status, {"X-Echo": SECRET}, SECRET.encode())
    with pytest.raises((LaterError, RefusedError)) as raised:
        send(server)
    assert "verysecret" not in str(raised.value)
    assert "s3cret" not in str(raised.value)
