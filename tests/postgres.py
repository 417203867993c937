"""A PostgreSQL server of the test's own, from Debian's package."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "postgres"  # the server refuses to run as root


def programs() -> Path | None:
    """Where initdb and postgres are; None if they are nowhere."""
    places = [*sorted(_DEBIAN.glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """A server that holds one empty database; yields its URL."""
    place = programs()
    assert place is not None
    # Not in pytest's folder, which is its owner's only.
    data, port = Path(tempfile.mkdtemp(prefix="sekimori-postgres-")), _free_port()
    user = pwd.getpwnam(_USER) if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    os.chown(data, user.pw_uid, user.pw_gid)

    def run(name: str, *arguments: str) -> None:
        subprocess.run(
            [str(place / name), *arguments], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", check=True,
            stdout=subprocess.DEVNULL, timeout=60, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    run("initdb", "-D", str(data), "-U", "sekimori", "--auth=trust", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    run("pg_ctl", "-D", str(data), "-w", "-o", options, "-l", str(data / "log"), "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "sekimori", "audit")
        yield f"postgresql://sekimori@127.0.0.1:{port}/audit"
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(data)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
