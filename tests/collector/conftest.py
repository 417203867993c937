from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.ingest import ingest
from collector.parse import Parsed
from collector.sources import Source, shipped
from registers.tokens import SiteKey

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
