"""One HTTP request to a host that was looked at first: the name resolved once, the connection made to that very address.

No redirects, a limit on time as a whole and on what is read, and nothing of path, headers or answer in a message: they may
hold a secret.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from detector.channels.channel import LaterError, RefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a status line and headers may have together with the body: nobody needs an answer longer than this.
MOST_ANSWER_BYTES: Final = 64 << 10
_LONGEST_WAIT_S: Final = 300.0
# What is said of this very request. Anything else may be the host's configuration or ours, which somebody can put right.
_OF_THE_CONTENT: Final = frozenset({400, 413, 415, 422})
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send.

    Attributes:
        host, port: As configured.
        path: With the query; may be a secret.
        tls: The authorities to trust; None: plain HTTP.
        networks: Addresses that may be connected to although they are not public; None: any address may.
        timeout_s: For everything together, from resolving the name to the end of the answer.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    networks: tuple[Network, ...] | None
    timeout_s: float


def target(url: str, networks: Sequence[Network] | None, timeout_s: float, authorities: Path | None = None) -> Target:
    """Read an address.

    Args:
        url: `https://host[:port]/path?query`, or `http://`.
        networks: See `Target`.
        timeout_s: See `Target`.
        authorities: Certificates (PEM) to trust in place of the system's.

    Raises:
        ValueError: It is none; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no address: write https://host/path") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("is no address: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user in it: leave user and password out")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(not "!" <= sign <= "~" for sign in path + parts.hostname):
        raise ValueError("has spaces, control or non-ASCII characters in it: write them as %XX, a name as xn--…")
    tls = (
        ssl.create_default_context(cafile=str(authorities) if authorities else None)
        if parts.scheme == "https"
        else None
    )
    return Target(
        parts.hostname,
        port or (443 if tls else 80),
        path,
        tls,
        None if networks is None else tuple(networks),
        timeout_s,
    )


def admitted(address: Address, networks: Sequence[Network] | None) -> bool:
    """Whether an address may be connected to: a public one, or one that the configuration allows."""
    if networks is None:
        return True
    inner = _inner(address)
    return all(_public(one) or any(one in network for network in networks) for one in inner)


def _public(address: Address) -> bool:
    local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or local)


def _inner(address: Address) -> list[Address]:
    """The address and what an IPv6 address carries to: a way round the rules for IPv4 otherwise."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour:
        return [address, address.sixtofour]
    return [address, *address.teredo] if address.teredo else [address]


def post(where: Target, body: bytes, headers: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
    """Send one request; returns when the host has answered that it took it (2xx).

    Args:
        where: The host.
        body: What to send.
        headers: Besides those that HTTP needs.
        clock: Seconds, never back.

    Raises:
        LaterError: It cannot be reached, has an address or a certificate that is not allowed, or answers anything else.
        RefusedError: It will not have this body (400, 413, 415, 422).
    """
    deadline = clock() + where.timeout_s
    try:
        status, wait_s = _exchange(where, body, headers, deadline, clock)
    except TimeoutError:
        raise LaterError(f"{where.host}: no answer within {where.timeout_s:g} s: is it well?") from None
    except ssl.SSLCertVerificationError as error:
        raise LaterError(f"{where.host}: shows a certificate that is not trusted: {error.verify_message}") from None
    except ssl.SSLError:
        raise LaterError(f"{where.host}: speaks no TLS that we know at port {where.port}") from None
    except OSError as error:
        raise LaterError(
            f"{where.host}: cannot be reached at port {where.port}: {error.strerror or 'connection lost'}"
        ) from None
    except http.client.HTTPException:
        raise LaterError(f"{where.host}: answers at port {where.port}, but not as HTTP asks for") from None
    if 200 <= status < 300:
        return
    if status in _OF_THE_CONTENT:
        raise RefusedError(f"{where.host}: refuses the notice with {status}")
    if 300 <= status < 400:
        raise LaterError(f"{where.host}: answers {status}; redirects are not followed: configure where it leads to")
    advice = ": check the address and the secret" if status in (401, 403, 404, 405, 410) else ""
    raise LaterError(f"{where.host}: answers {status}{advice}", wait_s)


def _exchange(
    where: Target, body: bytes, headers: Mapping[str, str], deadline: float, clock: Callable[[], float]
) -> tuple[int, float]:
    """Status and seconds that the host asks us to wait."""
    with closing(_Timed(_connect(where, deadline, clock), deadline, clock)) as line:
        if where.tls is not None:
            line.secure(where.tls, where.host)
        connection = http.client.HTTPConnection(where.host, where.port)
        connection.sock = line
        given = {"Host": _host(where), "Connection": "close", "Content-Type": "application/json", **headers}
        connection.request("POST", where.path, body, given)
        answer = connection.getresponse()
        wait = answer.getheader("Retry-After", "")
        return answer.status, min(float(wait), _LONGEST_WAIT_S) if wait.isascii() and wait.isdigit() else 0.0


def _host(where: Target) -> str:
    host = f"[{where.host}]" if ":" in where.host else where.host
    return host if where.port == (443 if where.tls else 80) else f"{host}:{where.port}"


def _connect(where: Target, deadline: float, clock: Callable[[], float]) -> socket.socket:
    """A connection to one of the addresses that the name stands for now; all of them must be allowed."""
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise LaterError(f"{where.host}: the name cannot be resolved: check it, or the name server") from None
    for *_, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not admitted(address, where.networks):
            raise LaterError(
                f"{where.host}: stands for {address}, which is not public: add it to allow_networks if it is meant"
            )
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, place in found:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(_left(deadline, clock))
            made.connect(place)
        except OSError as error:
            made.close()
            failure = error
        else:
            return made
    raise failure


def _left(deadline: float, clock: Callable[[], float]) -> float:
    left = deadline - clock()
    if left <= 0:
        raise TimeoutError
    return left


class _Timed:
    """A socket with one deadline for all that is sent and read: a host that answers a byte at a time gains nothing."""

    def __init__(self, line: socket.socket, deadline: float, clock: Callable[[], float]) -> None:
        self._line = line
        self._deadline = deadline
        self._clock = clock
        self._room = MOST_ANSWER_BYTES

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on, to a host that proves to have this name."""
        self._line.settimeout(_left(self._deadline, self._clock))
        self._line = context.wrap_socket(self._line, server_hostname=host)

    def sendall(self, data: bytes) -> None:
        """What http.client sends with."""
        self._line.settimeout(_left(self._deadline, self._clock))
        self._line.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What http.client reads from."""
        return io.BufferedReader(_Answer(self))

    def read_into(self, buffer: memoryview) -> int:
        """Read what there is; 0 at the end, or when more than enough was read."""
        self._line.settimeout(_left(self._deadline, self._clock))
        read = self._line.recv_into(buffer[: self._room]) if self._room else 0
        self._room -= read
        return read

    def close(self) -> None:
        """Hang up."""
        self._line.close()


class _Answer(io.RawIOBase):
    """The reading half, which http.client closes in its own time."""

    def __init__(self, line: _Timed) -> None:
        self._source = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.read_into(memoryview(buffer))
