from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.config import Syslog
from collector.ingest import ingest
from collector.parse import Parsed
from collector.sources import Source, shipped
from registers.tokens import SiteKey
from tests.collector.receiver import SYSLOG, Receiver

HERE = Path(__file__).resolve()


@pytest.fixture
def key() -> SiteKey:
    return SiteKey(b"k" * 32)


@pytest.fixture
def shared() -> Path:
    """The folder of public logs beside the project."""
    folder = Path(os.environ.get("SEKIMORI_SHARED", HERE.parents[3] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the public logs in {folder}/data (set SEKIMORI_SHARED to where they are)")
    return folder / "data"


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


@pytest.fixture
def listen(tmp_path: Path, key: SiteKey) -> Iterator[Callable[..., Receiver]]:
    """Start a port for syslog; it is closed after the test."""
    started: list[Receiver] = []

    def start(chosen: Syslog, source: Source = SYSLOG, positions: dict[str, Any] | None = None) -> Receiver:
        started.append(Receiver(tmp_path / "spool", key, chosen, source, positions or {}))
        return started[-1]

    yield start
    for receiver in started:
        receiver.listeners.close()
