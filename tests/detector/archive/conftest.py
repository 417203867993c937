"""An object store for the archive's tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests import s3


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """A server with the interface of S3."""
    for package in ("obstore", "moto"):
        pytest.importorskip(package, reason=f"needs the package {package}")
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(store_server: s3.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in a bucket of its own; the environment says how to get there, also to processes that are started."""
    for name, value in s3.environment(store_server.port).items():
        monkeypatch.setenv(name, value)
    return store_server.make(f"b{secrets.token_hex(8)}") + "/kept/archive"
