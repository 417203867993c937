"""Real programs that page people: an Alertmanager, and what keeps the mail of a mail server."""

from __future__ import annotations

import email.policy
import json
import shutil
import signal
import subprocess
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from tests.detector.channels.receivers import Receiver, until

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
CONFIG = """
route: {{receiver: us, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 4h}}
receivers: [{{name: us, webhook_configs: [{{url: "http://127.0.0.1:{port}/", send_resolved: true}}]}}]
"""


@dataclass
class Real:
    """An Alertmanager with its memory in a folder, and whom it pages."""

    folder: Path
    pager: Receiver
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "am.yml").write_text(CONFIG.format(port=self.pager.port))
        command = [
            str(PROGRAM), f"--config.file={self.folder}/am.yml", f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=", "--log.level=error",
        ]  # fmt: skip
        with (self.folder / "am.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.ready)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def alerts(self) -> list[dict[str, Any]]:
        """What it holds as active, by start and severity."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/alerts", timeout=5) as answer:
            found = json.load(answer)
        return sorted(found, key=lambda one: (one["startsAt"], one["labels"]["severity"]))

    def pages(self) -> list[tuple[str, str]]:
        """Status and severity of every alert in every page, in order, each as it was when it was paged."""
        paged = [json.loads(request.body) for request in self.pager.got]
        return [(one["status"], one["labels"]["severity"]) for page in paged for one in page["alerts"]]


class Mailbox:
    """Keeps the messages it is given."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.status = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.status.startswith("250"):
            parser = BytesParser(policy=email.policy.default)
            self.got.append((envelope.rcpt_tos, parser.parsebytes(envelope.content)))
        return self.status
