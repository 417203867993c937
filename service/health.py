"""Whether the process does what it is for, and the port that says so.

`/metrics` is for Prometheus. `/health` (or `/healthz`) is green (200) or red (503) with a line per problem: for people, load
balancers and an alert. `/readyz` says whether work may be sent here. `/live` is red only when the main loop hangs, which a restart may cure; a silent source it does not.
"""

from __future__ import annotations

import logging
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from service.printable import safe_line

HUNG_AFTER_S: Final = 60.0
# How long a problem that stays is not spoken of: what is still there after a minute needs a person.
_AGAIN_S: Final = (60.0, 300.0, 900.0, 3600.0)
_DIGITS: Final = re.compile(r"\d+")
_CLIENT_S: Final = 10.0
_CLIENTS: Final = 16
_TEXT: Final = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
_log = logging.getLogger(__name__)
P = TypeVar("P", bound="Pulse")


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the main loop says of itself after each turn; all times by one monotonic clock, in seconds.

    Attributes:
        at_s: When it was said.
        troubles: What stops or threatens the work now, one line each: Kafka's cause, a file that cannot be written, a
            configuration that was refused.
        stopping: It drains and will end.
    """

    at_s: float
    troubles: tuple[str, ...] = ()
    stopping: bool = False


def vital(pulse: Pulse, now_s: float) -> Iterator[str]:
    """What any pulse says is not well, one line each: a loop that hangs, an end, troubles."""
    if hung(pulse, now_s):
        yield f"main loop: no sign of life for {now_s - pulse.at_s:.0f} s: look at the log, restart the process"
    if pulse.stopping:
        yield "stopping: what is in flight is waited for"
    yield from (safe_line(" ".join(trouble.split())) for trouble in pulse.troubles)


def hung(pulse: Pulse, now_s: float) -> bool:
    """Whether the main loop has said nothing for `HUNG_AFTER_S`."""
    return now_s - pulse.at_s > HUNG_AFTER_S


def _without_numbers(line: str) -> str:
    where, colon, what = line.partition(": ")
    return where + colon + _DIGITS.sub("#", what)


class News:
    """Which problems the log should speak of now: new ones, ones that stay, at growing distances, and ones that went."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, float, str]] = {}  # by problem: times told, when to tell again, last words

    def of(self, lines: Iterable[str], now_s: float) -> list[tuple[int, str]]:
        """Level of `logging` and text of each line to write; lines that differ in numbers behind the first colon only are one problem."""
        now = {_without_numbers(line): line for line in lines}
        found = []
        for problem, line in now.items():
            times, due_s, _ = self._told.get(problem, (0, now_s, ""))
            if now_s >= due_s:
                found.append((logging.ERROR if times else logging.WARNING, line))
                times, due_s = times + 1, now_s + _AGAIN_S[min(times, len(_AGAIN_S) - 1)]
            self._told[problem] = times, due_s, line
        for problem in sorted(self._told.keys() - now.keys()):
            found.append((logging.WARNING, f"well again: {self._told.pop(problem)[2]}"))
        return found


class Health(Generic[P]):
    """The last pulse; set by the main loop, read by the server's threads.

    Args:
        judge: What is not well, given the last pulse (`None` before the first) and the time, one line each.
        clock: Monotonic seconds, the clock of the pulses.
    """

    def __init__(self, judge: Callable[[P | None, float], tuple[str, ...]], clock: Callable[[], float]) -> None:
        self._judge = judge
        self._pulse: P | None = None  # replaced as a whole, so a reader needs no lock
        self._clock = clock
        self._news = News()

    @property
    def pulse(self) -> P | None:
        """The last one. Setting it also writes problems that come, stay and go to the log."""
        return self._pulse

    @pulse.setter
    def pulse(self, pulse: P) -> None:
        self._pulse = pulse
        if not pulse.stopping:
            for level, line in self._news.of(self._judge(pulse, pulse.at_s), pulse.at_s):
                _log.log(level, "%s", line)

    def problems(self) -> tuple[str, ...]:
        """What is not well now."""
        return self._judge(self.pulse, self._clock())

    @property
    def alive(self) -> bool:
        """Whether the main loop runs, or has not begun yet."""
        return self.pulse is None or not hung(self.pulse, self._clock())


class Server:
    """Metrics and health on one port, answered by threads that die with the process.

    Args:
        host: Address to listen at.
        port: Port; 0 takes a free one.
        registry: The metrics.
        health: The health.
        ready: Why work should not be sent here, one line each; without it nobody is told at `/readyz`.

    Raises:
        OSError: The address cannot be listened at; the message says which and why.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        health: Health[Any],
        ready: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:
        try:
            self._server = (_Listener6 if ":" in host else _Listener)((host, port), _Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"metrics: {host} port {port} cannot be listened at: {reason}") from None
        self._server.set_app(_app(registry, health, ready))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listener(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_CLIENTS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the client, or none while too many have one: whoever keeps asking must not eat the memory."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def server_bind(self) -> None:
        # http.server would look its own name up, which may take as long as a name server that is away.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is its own affair."""


class _Listener6(_Listener):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_S  # a client that says nothing gives its thread back

    def log_message(self, format: str, *args: Any) -> None:
        """Requests every few seconds would bury the log."""


def _app(
    registry: CollectorRegistry, health: Health[Any], ready: Callable[[], tuple[str, ...]] | None
) -> WSGIApplication:
    metrics = make_wsgi_app(registry)
    pages: dict[str, Callable[[], tuple[str, ...]]] = {
        "/health": health.problems, "/healthz": health.problems, "/live": lambda: () if health.alive else ("hung",),
    }  # fmt: skip
    if ready is not None:
        pages["/readyz"] = ready

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/metrics":
            found: Iterable[bytes] = metrics(environ, start)
            return found
        if method not in ("GET", "HEAD"):
            return _say(start, "405 Method Not Allowed", ("GET or HEAD only",), method)
        if path in pages:
            lines = pages[path]()
            return _say(start, "503 Service Unavailable" if lines else "200 OK", lines or ("ok",), method)
        *others, last = ["/metrics", *(name for name in pages if name != "/healthz")]
        return _say(start, "404 Not Found", (f"{', '.join(others)} or {last}",), method)

    return answer


def _say(start: StartResponse, status: str, lines: Iterable[str], method: str) -> Iterable[bytes]:
    body = "".join(f"{line}\n" for line in lines).encode()
    start(status, [*_TEXT, ("Content-Length", str(len(body)))])
    return [] if method == "HEAD" else [body]
