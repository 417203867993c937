from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import trustme

from collector.config import Syslog
from collector.ingest import ingest
from collector.parse import Parsed
from collector.sources import Source, shipped
from collector.vault import Vault
from registers.tokens import SiteKey
from tests.collector.configs import private
from tests.collector.receiver import SYSLOG, Receiver


@pytest.fixture
def key() -> SiteKey:
    return SiteKey(b"k" * 32)


@pytest.fixture
def shared(shared: Path) -> Path:
    """The folder of public logs beside the project."""
    return shared / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a configuration, with the keys that `SMALLEST` names."""
    private(tmp_path / "site.key", "5e" * 32)
    private(tmp_path / "seal.key", "the agent's first secret")
    return tmp_path


@pytest.fixture
def declare() -> Callable[[str], Source]:
    """A source from the text of its TOML."""
    return lambda text: Source.model_validate(tomllib.loads(text))


@pytest.fixture
def read(key: SiteKey) -> Callable[..., tuple[list[Parsed], list[str]]]:
    """Everything that some paths hold, and the problems met."""

    def run(*paths: Path, sources: tuple[Source, ...] | None = None, zone: str = "Asia/Tokyo", **more: object):
        problems: list[str] = []
        known = shipped() if sources is None else sources
        return list(ingest(paths, known, key, zone, problems=problems, **more)), problems

    return run


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


@pytest.fixture
def listen(tmp_path: Path, key: SiteKey) -> Iterator[Callable[..., Receiver]]:
    """Start a port for syslog; it is closed after the test."""
    started: list[Receiver] = []

    def start(
        chosen: Syslog,
        source: Source = SYSLOG,
        positions: dict[str, Any] | None = None,
        vault: Vault | None = None,
    ) -> Receiver:
        started.append(Receiver(tmp_path / "spool", key, chosen, source, positions or {}, vault))
        return started[-1]

    yield start
    for receiver in started:
        receiver.listeners.close()


@pytest.fixture
def rows(read, tmp_path: Path):
    """Events of a log as dictionaries without what every event has, and the refused lines' reasons."""

    def run(text: str, zone: str = "Asia/Tokyo", **more: object):
        path = tmp_path / "x.log"
        path.write_text(text, encoding="utf-8")
        parsed, problems = read(path, zone=zone, **more)
        assert problems == []
        frame = pl.concat([piece.events for piece in parsed])
        bad = pl.concat([piece.rejected for piece in parsed])
        common = ("event.id", "event.schema", "source.position", "raw.mac", "source.id")
        found = [{k: v for k, v in row.items() if v is not None and k not in common} for row in frame.to_dicts()]
        return found, bad.get_column("reason").to_list()

    return run
