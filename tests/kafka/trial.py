"""`make agent` and `make detect`: a folder with keys, configurations and logs to try them with, made unless it is there."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Final

from contract.sealkey import SealKey
from detector.archive.signing import new_pair

AGENT: Final = "try-01"
_CONFIG: Final = f"""\
# An agent to try: it follows logs/ beside this file. All options: docs/configuration.md.
[agent]
id = "{AGENT}"
state_dir = "state"
site_key = "site.key"
seal_key = "seal.key"
heartbeat_s = 10

[kafka]
bootstrap_servers = ["127.0.0.1:9092"]

[[files]]
paths = ["logs/*.log"]
"""
_DETECTOR: Final = f"""\
# A detector to try: it decides about what the agent beside it sends. All options: docs/configuration-detector.md.
[detector]
id = "try"
state_dir = "detector"
site_key = "site.key"
lateness_s = 10
sealed_agents = ["{AGENT}"]

[kafka]
bootstrap_servers = ["127.0.0.1:9092"]
session_timeout_s = 6

[archive]
folder = "archive"
key = "archive.key"
"""
_LOG: Final = """\
192.0.2.7 - tanaka [02/Mar/2026:10:15:02 +0900] "GET /welfare/cases/81 HTTP/1.1" 200 5120 "-" "-"
192.0.2.7 - tanaka [02/Mar/2026:10:15:40 +0900] "POST /welfare/cases/81/notes HTTP/1.1" 201 310 "-" "-"
"""


# Somebody tries one password with many accounts.
_GUESSED: Final = "".join(
    f"Mar  2 10:2{minute}:00 welfare-01 sshd[{700 + minute}]: Failed password for {account} from 192.0.2.66 port 4{minute}22 ssh2\n"
    for minute, account in enumerate(("root", "admin", "oracle", "tanaka", "suzuki", "backup", "guest"))
)


def main() -> None:
    """Make what is missing, and say where to write."""
    folder = Path(sys.argv[1])
    if not (folder / "collector.toml").exists():
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        seal = SealKey.enrol(AGENT, secrets.token_bytes(32)).text()
        # The agent erases its copy of the seal's key; who verifies keeps the other.
        for name, text in (("site.key", secrets.token_hex(32)), ("seal.key", seal), (f"{AGENT}.seal", seal)):
            (folder / name).touch(0o600)
            (folder / name).write_text(text)
        private, public = new_pair()
        (folder / "archive.key").touch(0o600)
        (folder / "archive.key").write_bytes(private)
        (folder / "archive.pub").write_bytes(public)
        (folder / "logs" / "access.log").write_text(_LOG)
        (folder / "logs" / "auth.log").write_text(_GUESSED)
        (folder / "detector.toml").write_text(_DETECTOR)
        (folder / "collector.toml").write_text(_CONFIG)
    print(
        f"{folder}/logs/*.log are followed: append lines to {folder}/logs/access.log, or put other logs there",
        flush=True,
    )


if __name__ == "__main__":
    main()
