"""What tests of the agent's configuration share: one of a few lines, keys and certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from collector.config import Config, load
from registers.config import ConfigError

SMALLEST = """
[agent]
id = "welfare-01"
state_dir = "state"
site_key = "site.key"
seal_key = "seal.key"
[kafka]
bootstrap_servers = ["kafka1.example.jp:9093"]
"""
FILES = '[[files]]\npaths = ["log/*.csv"]\n'
SYSLOG = '[[syslog]]\nprotocol = "{}"\nport = {}\n'


def private(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def config(folder: Path, text: str) -> Config:
    (folder / "collector.toml").write_text(text, encoding="utf-8")
    return load(folder / "collector.toml")


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config(folder, text)
    return caught.value.problems


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key, as files."""
    made = trustme.CA().issue_cert(f"{name}.example.jp")
    key = private(folder / f"{name}.key", made.private_key_pem.bytes())
    made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder / f"{name}.pem", key
