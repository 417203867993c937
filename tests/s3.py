"""An object store with the interface of S3, as a process on this machine: moto's server, which keeps all in memory.

And what may stand before one: a way that loses answers, or a store that does not know conditions.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.detector.channels.receivers import until

_PORT = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Server:
    """A server that runs on this machine."""

    port: int

    def make(self, bucket: str) -> str:
        """Make a bucket; returns its URL."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{bucket}", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        return f"s3://{bucket}"


def environment(port: int) -> dict[str, str]:
    """How to reach a server on this machine, for Polars and obstore."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
    }  # fmt: skip


class Way(ThreadingHTTPServer):
    """Passes on what it is asked.

    Args:
        port: Of the server behind.

    Attributes:
        drops: Headers that are not passed on.
        loses: Of so many writings, from now on, the answer gets lost.
    """

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind = port
        self.drops: set[str] = set()
        self.loses = 0


class _Passing(BaseHTTPRequestHandler):
    server: Way

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in self.server.drops}
        onward = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=10)
        onward.request(self.command, self.path, body, headers)
        answer = onward.getresponse()
        data = answer.read()
        onward.close()
        self.close_connection = True
        if self.command == "PUT" and self.server.loses:
            self.server.loses -= 1
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("etag", "content-type", "last-modified"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = _pass

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def way(port: int) -> Iterator[Way]:
    """A way to the server at a port."""
    with Way(port) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server without buckets; what it writes goes into the folder."""
    path = folder / "s3.log"
    with path.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", "0"], stdout=log, stderr=log)
    try:
        until(lambda: _PORT.search(path.read_text()) is not None)
        found = _PORT.search(path.read_text())
        assert found is not None
        yield Server(int(found[1]))
    finally:
        process.kill()
        process.wait()
