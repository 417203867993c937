"""The command `sekimori`. Every sub-command is one import away (design §8)."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from commands.arguments import agent, analyze, case, detector, office, report, rulebook

__version__ = "0.1.0"

DONE, REFUSALS, COULD_NOT_RUN = 0, 1, 2

# Their arguments, and a line of help each.
_COMMANDS: Final[dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]]] = {
    "demo": (office.demo, "a month in a fictional office: logs, findings, report"),
    "simulate": (office.simulate, "raw logs of a fictional office, its site and the truth"),
    "analyze": (analyze.analyze, "raw logs or archived events → findings, sessions, report"),
    "collect": (agent.collect, "the agent: follow logs, stream sealed events to Kafka"),
    "detect": (detector.detect, "the detector: sealed events from Kafka in, findings out"),
    "verify": (detector.verify, "was anything altered or lost between the agents and here?"),
    "archive": (detector.archive, "tables by day, made from the records that the detector archived"),
    "case": (case.case, "what people do about findings: claim, ask, close, allow"),
    "report": (report.report, "the report of a month that is signed: html, pdf, xlsx"),
    "token": (report.token, "the token of somebody's id, for who holds the site's key"),
    "database": (case.database, "where cases, runs and sign-offs are kept: upgrade"),
    "bundle": (agent.bundle, "logs of a closed network in a signed file, carried to an agent by hand"),
    "vault": (agent.vault, "turn tokens back into ids, by the people who hold the keys together"),
    "keys": (agent.keys, "make the keys that agents need"),
    "rules": (rulebook.rules, "look at the rule book"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Returns:
        0 done; 1 done, with refusals above the declared share or something that could not be read or used; 2 could not run.
    """
    _open_outputs()
    _one_interrupt()
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("sekimori: stopped by the keyboard; what was written so far is incomplete", file=sys.stderr)
        return COULD_NOT_RUN


def _run(options: argparse.Namespace) -> int:
    from commands.failure import Failure
    from commands.say import say, stop

    try:
        return int(options.run(options))
    except Failure as failure:
        say(str(failure), sys.stderr)
    except OSError as error:
        # Files are watched where they are read and written; what is left is what people read.
        stop(sys.stdout)
        advice = "check its permissions" if error.filename else "send it elsewhere"
        say(f"{error.filename or 'standard output'}: {error.strerror or error}: {advice}", sys.stderr)
    return COULD_NOT_RUN


def _one_interrupt() -> None:
    """Take Ctrl-C once and tidy up undisturbed: Polars and Python may both report the same one."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    # Where somebody had it ignored (`nohup`, a job in the background) it stays so.
    mine = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if mine and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)


def _open_outputs() -> None:
    """Let nothing that is printed end in a traceback: an output that is closed, a terminal that lacks a letter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sekimori",
        description="Keeps the promise of a privacy impact assessment that access logs are analysed.",
    )
    parser.add_argument("--version", action="version", version=f"sekimori {__version__}")
    parser.set_defaults(version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (arguments, what) in _COMMANDS.items():
        arguments(commands.add_parser(name, help=what))
    return parser


if __name__ == "__main__":
    sys.exit(main())
