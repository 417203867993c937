"""Sockets to spools: syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425), in one thread of its own.

What is received is gathered for a moment (`collector.gather`) and written down as events by a thread of its own
(`collector.writing`), so that receiving goes on meanwhile.

Memory is bounded by the number of ports and connections: a port gathers a few MiB, a connection holds at most one unfinished
message and what asyncio reads ahead (under 1 MiB). Where a spool is full, TCP and TLS senders are made to wait, because
nothing more is read from them. UDP knows no waiting: what is lost is counted, in the kernel's buffer too, and written into the
spool as a loss.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeVar

from collector import framing
from collector.config import Syslog
from collector.gather import Gathered
from collector.sources import Source
from collector.spool import frame
from collector.spool.spool import Spool, SpoolFull
from collector.writing import Writer

READ_BYTES: Final = 1 << 16
HANDSHAKE_S: Final = 10.0
SYNC_S: Final = 1.0
WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 1.0  # for a disk that takes nothing: each try parses anew
LINGER_S: Final = 0.25  # for what is on its way when the agent stops; several times WAIT_S
QUIET_S: Final = 60.0  # no more than one line of the log in so long, for each thing there is to say
_DATAGRAMS: Final = 256  # taken at once
_LAST_TURNS: Final = 1000
_DATAGRAM_BYTES: Final = 1 << 16
_RECEIVE_BUFFER_BYTES: Final = 8 << 20
_SO_RXQ_OVFL: Final = 40  # socket(7); Python has no name for it
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """What a port saw since it was last asked.

    Attributes:
        messages: Messages that are in the spool.
        lost: Messages lost or cut, by reason; each is told by a loss in the spool too.
        refused: Datagrams and connections from networks that may not send, or too many at once.
    """

    messages: int = 0
    lost: Counter[frame.LossReason] = field(default_factory=Counter)
    refused: int = 0


class Port:
    """One listening socket, its senders and its spool.

    Args:
        options: How to listen.
        source: Of what arrives.
        spool: Where losses go.
        writer: Where messages go.
        thread: In which the spool is written; a single one.
        clock: The time with zone.

    Raises:
        OSError: The address cannot be had, or a certificate cannot be read.
    """

    def __init__(
        self,
        options: Syslog,
        source: Source,
        spool: Spool,
        writer: Writer,
        thread: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        self.options = options
        self.source = source
        self.spool = spool
        self.connections = 0
        self._writer = writer
        self._thread = thread
        self._gathered = Gathered()
        self._always = source.format == "syslog"
        self._clock = clock
        self._counts = Counts()
        self._losses: dict[frame.LossReason, tuple[int, int]] = {}  # reason: messages, bytes; not in the spool yet
        self._overflows = 0
        self._said: dict[str, float] = {}
        self._serving: set[asyncio.Timeout] = set()
        self._stopping = False
        networks = [ipaddress.ip_network(network) for network in options.allow]
        self._is_allowed = lru_cache(maxsize=4096)(lambda peer: _is_in(peer, networks))
        self._max_bytes = options.max_message_kib << 10
        self._tls = _tls(options) if options.protocol == "tls" else None
        self._socket = _socket(options)

    @property
    def name(self) -> str:
        """As it is called in messages: `tcp 127.0.0.1:6514`."""
        return f"{self.options.protocol} {self.options.host}:{self.options.port}"

    def take_counts(self) -> Counts:
        """Counts since the last call."""
        counts, self._counts = self._counts, Counts()
        return counts

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Receive until `stop`; senders are served in the group."""
        if self.options.protocol == "udp":
            await self._datagrams()
        else:
            await self._connections(group)

    async def write(self) -> None:
        """Write down what is received, until `end` was called and all of it is."""
        while lot := await self._gathered.lot():
            await self._write(*lot)

    async def stop(self) -> None:
        """Take what has arrived, and no more."""
        self._stopping = True
        self._gathered.hurry()
        end_s = asyncio.get_running_loop().time() + LINGER_S
        for patience in self._serving:
            patience.reschedule(end_s)
        # What asyncio holds is taken before that, because a task is interrupted only where it waits for more.
        while self._serving:
            await asyncio.sleep(WAIT_S)

    def end(self) -> None:
        """Nothing is received any more: `run` has ended, and so has everybody it serves."""
        self._gathered.end()

    def close(self) -> None:
        """Give the address back, and write the last losses down."""
        self._socket.close()
        while self._losses:
            reason, (messages, size) = self._losses.popitem()
            self._tell_loss(reason, messages, size)

    async def tell_losses(self) -> None:
        """Write losses into the spool, once in a while and not for each message."""
        for reason in list(self._losses):
            messages, size = self._losses.pop(reason)
            if not await self._in_thread(self._tell_loss, reason, messages, size):
                self._add_loss(reason, messages, size)  # they are told once the disk takes something again

    def _tell_loss(self, reason: frame.LossReason, messages: int, size: int) -> bool:
        detail = f"{messages} messages over {self.name}" + (f", {size} bytes" if size else "")
        try:
            self.spool.append_loss(reason, detail, _ms(self._clock()))
        except SpoolFull:
            return False
        return True

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        # What has been handed over is done, also where the one who waits for it is told to stop.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments))

    async def _datagrams(self) -> None:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(self._socket, arrived.set)
        try:
            while True:
                await arrived.wait()
                arrived.clear()
                self._take_datagrams()
                if self._gathered.is_full:  # the kernel has a buffer too, and counts what does not fit into it
                    loop.remove_reader(self._socket)
                    await self._gathered.room()
                    loop.add_reader(self._socket, arrived.set)
                await asyncio.sleep(0)
        finally:
            for _ in range(_LAST_TURNS):
                if self._take_datagrams() < _DATAGRAMS:
                    break
            loop.remove_reader(self._socket)

    def _take_datagrams(self) -> int:
        """Take what has arrived, up to a bound; how many datagrams it was."""
        lines: list[bytes] = []
        now = self._clock()
        taken = 0
        while taken < _DATAGRAMS:
            try:
                data, more, _, address = self._socket.recvmsg(_DATAGRAM_BYTES, socket.CMSG_SPACE(4))
            except (BlockingIOError, InterruptedError):
                break
            taken += 1
            self._count_overflows(more)
            peer = _peer(address[0])
            if not self._is_allowed(peer):
                self._refuse(f"datagrams from {peer}, which is in no network of `allow`")
                continue
            message, cut_bytes = framing.one(data, self._max_bytes)
            if cut_bytes:
                self._lose("too_long", 1, cut_bytes)
            if message:
                lines.append(framing.completed(message, peer, now, always=self._always))
        self._gathered.add(lines, now)
        return taken

    def _count_overflows(self, more: Iterable[tuple[int, int, bytes]]) -> None:
        """What the kernel threw away because its buffer was full; it tells with the next datagram, as a running total."""
        for level, kind, value in more:
            if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                (total,) = struct.unpack("=I", value[:4])
                if lost := (total - self._overflows) & 0xFFFFFFFF:
                    self._lose("receive_buffer", lost, 0)
                self._overflows = total

    async def _connections(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._socket)
            except OSError as error:  # such as too many open files
                self._say("accept", logging.ERROR, f"no connection can be taken ({error.strerror})")
                await asyncio.sleep(1)
                continue
            peer = _peer(address[0])
            if not self._is_allowed(peer):
                self._refuse(f"a connection from {peer}, which is in no network of `allow`")
                connection.close()
            elif self.connections >= self.options.max_connections:
                self._refuse(f"a connection from {peer}: {self.connections} are open, see max_connections")
                connection.close()
            else:
                self.connections += 1
                group.create_task(self._serve(connection, peer))

    async def _serve(self, connection: socket.socket, peer: str) -> None:
        framer = framing.Framer(self._max_bytes)
        transport: asyncio.Transport | None = None
        try:
            reader, transport = await self._open(connection)
            async with asyncio.timeout(None) as patience:
                self._serving.add(patience)
                if self._stopping:
                    return
                while data := await reader.read(READ_BYTES):
                    await self._keep(framer.feed(data), framer, peer)
        except (OSError, EOFError) as error:  # an ssl.SSLError is an OSError, and so is the end of patience
            if not self._stopping:
                what = "TLS handshake" if transport is None else "connection"
                self._say(what, logging.WARNING, f"{what} with {peer} ended: {_cause(error)}")
        finally:
            await self._keep(framer.finish(), framer, peer)
            self.connections -= 1
            if transport is None:
                connection.close()
            else:
                self._serving.discard(patience)
                transport.abort() if self._stopping else transport.close()

    async def _open(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.Transport]:
        reader = asyncio.StreamReader(limit=READ_BYTES)
        for name, value in _KEEP_ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: asyncio.StreamReaderProtocol(reader),
            connection,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
        )
        return reader, transport

    async def _keep(self, messages: Sequence[bytes], framer: framing.Framer, peer: str) -> None:
        """Take messages; the sender waits as long as there is no room."""
        if framer.cut_messages:
            self._lose("too_long", framer.cut_messages, framer.cut_bytes)
            framer.cut_messages = framer.cut_bytes = 0
        now = self._clock()
        self._gathered.add([framing.completed(one, peer, now, always=self._always) for one in messages], now)
        await self._gathered.room()

    async def _write(self, messages: Sequence[bytes], at: datetime) -> None:
        """Write messages down; over TCP and TLS as soon as there is room."""
        wait_s = WAIT_S
        while True:
            last = self._stopping  # also where it becomes true meanwhile, there is one more try
            try:
                await self._in_thread(self._writer.write, messages, at, last)
                self._counts.messages += len(messages)
                return
            except SpoolFull as full:
                is_lost = last or self.options.protocol == "udp"
                what = (
                    "what came is lost, which is counted" if is_lost else "senders wait until Kafka takes what is in it"
                )
                self._say("spool", logging.ERROR if is_lost else logging.WARNING, f"{full.strerror}: {what}")
            if is_lost:
                self._lose("spool_full", len(messages), sum(map(len, messages)))
                return
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _lose(self, reason: frame.LossReason, messages: int, size: int) -> None:
        self._counts.lost[reason] += messages
        self._add_loss(reason, messages, size)

    def _add_loss(self, reason: frame.LossReason, messages: int, size: int) -> None:
        before = self._losses.get(reason, (0, 0))
        self._losses[reason] = (before[0] + messages, before[1] + size)

    def _refuse(self, what: str) -> None:
        self._counts.refused += 1
        self._say("refused", logging.WARNING, f"refused {what}")

    def _say(self, kind: str, level: int, text: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._said.get(kind, -QUIET_S) >= QUIET_S:
            self._said[kind] = now_s
            _log.log(level, "syslog %s: %s", self.name, text)


def _socket(options: Syslog) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if options.protocol == "udp" else socket.SOCK_STREAM
    [*_, address] = socket.getaddrinfo(options.host, options.port, family, kind)[0]
    listening = socket.socket(family, kind)
    try:
        if options.protocol == "udp":
            # The kernel grants what net.core.rmem_max allows.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            listening.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(address)
        if options.protocol != "udp":
            listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _tls(options: Syslog) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(str(options.certfile), str(options.keyfile))
    if options.cafile:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(options.cafile))
    return context


@lru_cache(maxsize=4096)
def _peer(host: str) -> str:
    """An address without its zone; one of IPv4 that came in through IPv6 is one of IPv4."""
    bare = ipaddress.ip_address(host.partition("%")[0])
    return str(getattr(bare, "ipv4_mapped", None) or bare)


def _is_in(peer: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return not networks or any(ipaddress.ip_address(peer) in network for network in networks)


def _cause(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS").lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _ms(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
