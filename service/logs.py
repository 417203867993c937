"""What a process says on standard error: one line per message, masked, for people, for journald or as JSON.

`warning`: recovered, nothing lost; `error`: lost data or needs a person.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

from service.printable import safe_line
from service.settings import Log

_JOURNAL: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Line(logging.Formatter):
    """One line for each message; My Numbers are masked, a traceback stays in the line of its message.

    Args:
        form: `text`: time, level, where and what. `journal`: the same with sd-daemon(3)'s priority in place of the
            time, which journald adds itself. `json`: one object with these keys.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without line end."""
        level = record.levelname.lower()
        message = safe_line(super().format(record))
        if self._form == "journal":
            return f"<{_JOURNAL.get(level, 6)}>{record.name}: {message}"
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._form == "json":
            whole = {"time": at, "level": level, "logger": record.name, "message": message}
            return json.dumps(whole, ensure_ascii=False)
        return f"{at} {level} {record.name}: {message}"


def set_up(log: Log, stream: TextIO, environment: Mapping[str, str]) -> None:
    """Send all messages of this process to `stream`, in place of what was set up before.

    Args:
        log: Format and level.
        stream: Usually standard error.
        environment: `JOURNAL_STREAM` in it means that journald reads the stream, which then gets priorities.
    """
    form = "journal" if log.format == "text" and environment.get("JOURNAL_STREAM") else log.format
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Line(form))
    # A stream that is closed stops the messages, not the work.
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=log.level.upper(), force=True)
    # kafka-python tells every connection; what matters of it the publisher tells in the operator's words.
    logging.getLogger("kafka").setLevel(max(logging.WARNING, logging.root.level))
