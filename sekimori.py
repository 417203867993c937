"""The command `sekimori`. Every sub-command is one import away (design §8)."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

__version__ = "0.1.0"

DONE, REFUSALS, COULD_NOT_RUN = 0, 1, 2
CANNOT_VERIFY = 3  # of `verify`, whose 0, 1 and 2 are ok, tampered and gap


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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _demo(commands.add_parser("demo", help="a month in a fictional office: logs, findings, report"))
    _simulate(commands.add_parser("simulate", help="raw logs of a fictional office, its site and the truth"))
    _analyze(commands.add_parser("analyze", help="raw logs or archived events → findings, sessions, report"))
    _collect(commands.add_parser("collect", help="the agent: follow logs, stream sealed events to Kafka"))
    _detect(commands.add_parser("detect", help="the detector: sealed events from Kafka in, findings out"))
    _verify(commands.add_parser("verify", help="was anything altered or lost between the agents and here?"))
    _archive(commands.add_parser("archive", help="tables by day, made from the records that the detector archived"))
    _bundle(
        commands.add_parser("bundle", help="logs of a closed network in a signed file, carried to an agent by hand")
    )
    _vault(commands.add_parser("vault", help="turn tokens back into ids, by the people who hold the keys together"))
    _keys(commands.add_parser("keys", help="make the keys that agents need"))
    _rules(commands.add_parser("rules", help="look at the rule book"))
    return parser


def _office(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="same seed, same office (default 1)")
    parser.add_argument("--days", type=_days, default=30, metavar="N", help="calendar days (default 30)")
    parser.add_argument("--staff", type=_staff, default=160, metavar="N", help="people of type staff (default 160)")
    parser.add_argument(
        "--misuse", type=_factor, default=1.0, metavar="F", help="how much misuse; 0 none, 1 each scenario (default 1)"
    )
    parser.add_argument(
        "--volume", type=_factor, default=1.0, metavar="F", help="how much ordinary work, as a factor (default 1)"
    )


def _outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object and nothing else")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language of the report (default ja)")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where to write (default demo)")
    _office(parser)
    _outputs(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import demo

        return demo.run(options)

    parser.set_defaults(run=run)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write logs, site and truth")
    _office(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import demo

        return demo.simulate(options)

    parser.set_defaults(run=run)


def _analyze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="log files, archived events, or folders")
    parser.add_argument(
        "--site", type=Path, metavar="DIR", help="what the organisation declares (site.toml, registers)"
    )
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write (default out)")
    parser.add_argument(
        "--sources", type=Path, metavar="DIR", help="further source files (*.toml), tried before the ones that ship"
    )
    parser.add_argument("--source", metavar="ID", help="read every file as this source instead of recognising it")
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rule book to use instead of the one that ships")
    parser.add_argument("--model", type=Path, metavar="FILE", help="score with this model instead of fitting one")
    parser.add_argument("--save-model", type=Path, metavar="FILE", help="keep the model that was used")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the model (default 0)")
    parser.add_argument(
        "--year", type=_year, metavar="YYYY", help="year of the first line of a file whose stamps have none"
    )
    parser.add_argument(
        "--max-refused", type=_share, default=0.01, metavar="SHARE",
        help="share of refused lines above which the exit status is 1 (default 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--piece", type=_count, default=50_000, metavar="N", help="events worked on at once (default 50000)"
    )
    _outputs(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import analyze

        return analyze.run(options)

    parser.set_defaults(run=run)


def _collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the agent's collector.toml")
    parser.add_argument("--check", action="store_true", help="say all that is wrong with the configuration, and end")
    parser.add_argument("--once", action="store_true", help="end when all that is there has been read and has arrived")
    parser.set_defaults(version=__version__)

    def run(options: argparse.Namespace) -> int:
        # The agent is a guest on the host: one thread, and memory given back two seconds after it was needed; given back at
        # once, every turn would have to ask for it again. Both are read when Polars loads.
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:2000,muzzy_decay_ms:0,narenas:1")
        from commands import collect

        return collect.run(options)

    parser.set_defaults(run=run)


def _detect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the detector's detector.toml")
    parser.add_argument("--check", action="store_true", help="say all that is wrong with what is configured, and end")
    parser.add_argument("--once", action="store_true", help="end when all that is there has been worked through")
    parser.add_argument(
        "--replay", nargs=2, metavar=("FROM", "TO"),
        help="work through again what Kafka took from one date to another, under a group and a state of its own",
    )  # fmt: skip
    parser.set_defaults(version=__version__)

    def run(options: argparse.Namespace) -> int:
        # There are as many detectors as partitions: each is one core's.
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        from commands import detect

        return detect.run(options)

    parser.set_defaults(run=run)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0 ok, 1 tampered, 2 gap, 3 cannot verify."
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "folder", nargs="?", metavar="DIR", help="an archive that the detector wrote: a folder, or the URL of an object store"
    )  # fmt: skip
    place.add_argument("--kafka", metavar="HOST:PORT", help="servers of a Kafka without access control")
    place.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="a TOML whose table [kafka] says how to reach it, as the agent's"
    )  # fmt: skip
    place.add_argument("--capture", type=Path, metavar="FILE", help="a topic that --save kept")
    parser.add_argument(
        "--key", type=Path, action="append", default=[], metavar="PATH",
        help="an agent's seal key (*.seal), of an archive also its public key (*.pub), or a folder of them; may be repeated",
    )  # fmt: skip
    parser.add_argument("--topic", metavar="NAME", help="topic to read (default access-events)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also keep what is read in a file")
    parser.add_argument(
        "--silent-after", type=_count, default=300, metavar="SECONDS",
        help="an agent without heartbeat for so long fell silent (default 300)",
    )  # fmt: skip
    parser.add_argument(
        "--until", type=_moment, metavar="TIME",
        help="up to when an archive must reach (default: the hour before this one)",
    )  # fmt: skip
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="TIME",
        help="what an archive signed until then is not looked at, and may be gone",
    )
    parser.add_argument(
        "--without-agents", action="store_true", help="verify an archive's own signatures only, without any seal key"
    )
    parser.add_argument(
        "--allow-unsealed", action="store_true", help="records of third parties without seal are no failure"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as one JSON object and nothing else")

    def error(message: str) -> NoReturn:
        # argparse's own 2 would read as a gap.
        parser.print_usage(sys.stderr)
        parser.exit(CANNOT_VERIFY, f"{parser.prog}: error: {message}\n")

    def run(options: argparse.Namespace) -> int:
        from commands import verify

        return verify.run(options)

    parser.error = error  # type: ignore[method-assign]
    parser.set_defaults(run=run)


def _archive(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("tables", help="go on with events, findings and sessions as Parquet by day")
    kind.add_argument("folder", metavar="DIR", help="the archive: a folder, or the URL of an object store")
    kind.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: into the archive's folder)")
    kind.add_argument("--site", type=Path, metavar="DIR", help="whose days (site.toml); default: Asia/Tokyo")
    kind.add_argument(
        "--topic", default="access-events", metavar="NAME", help="where events came from (default %(default)s)"
    )
    kind.add_argument(
        "--findings-topic", default="findings", metavar="NAME", help="where findings came from (default %(default)s)"
    )
    kind.add_argument("--again", action="store_true", help="make them anew, from the first record on")

    def run(options: argparse.Namespace) -> int:
        from commands import tables

        return tables.run(options)

    kind.set_defaults(run=run)


def _bundle(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("make", help="sign logs into one file")
    kind.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="log files, plain or gzip, or folders")
    kind.add_argument("--key", type=Path, required=True, metavar="FILE", help="what `sekimori keys bundle` made")
    kind.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the bundle")
    kind.add_argument("--source", metavar="ID", help="source of all of them; else the agent recognises each")
    kind.add_argument("--origin", default="", metavar="TEXT", help="where they come from, in free words")
    kind.add_argument("--finished", action="store_true", help="also take a last line without line end")

    def make(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.make(options)

    kind.set_defaults(run=make)
    kind = kinds.add_parser("check", help="is it whole, who signed it, and what is in it?")
    kind.add_argument("file", type=Path, metavar="FILE", help="the bundle")
    kind.add_argument("--key", type=Path, required=True, metavar="FILE", help="public key of who should have signed it")

    def check(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.check(options)

    kind.set_defaults(run=check)


def _vault(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("open", help="take off the layer that your key fits; what is left goes to the next holder")
    kind.add_argument("file", type=Path, metavar="FILE", help="the vault's file, or what another holder handed on")
    kind.add_argument(
        "--key", type=Path, action="append", required=True, metavar="FILE",
        help="a holder's key; may be repeated where several sit together",
    )  # fmt: skip
    kind.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="TOKEN",
        help="open no more than this one needs; may be repeated",
    )
    kind.add_argument("--out", type=Path, metavar="FILE", help="where to write, instead of printing the ids")

    def run(options: argparse.Namespace) -> int:
        from commands import vault

        return vault.open_(options)

    kind.set_defaults(run=run)


def _keys(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    kind = kinds.add_parser("seal", help="enrol an agent: the key that its records are sealed with")
    kind.add_argument("--agent", required=True, type=_name, metavar="ID", help="the agent's agent.id")
    kind.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default ID.seal)")

    def seal(options: argparse.Namespace) -> int:
        from commands import keys

        return keys.seal(options)

    kind.set_defaults(run=seal)
    kind = kinds.add_parser("archive", help="the key that signs the archive's digests, and the public one")
    kind.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to write it; the other is FILE.pub"
    )

    def archive(options: argparse.Namespace) -> int:
        from commands import keys

        return keys.archive(options)

    kind.set_defaults(run=archive)
    kind = kinds.add_parser("bundle", help="the key that signs bundles, and the public one for agents")
    kind.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to write it; the other is FILE.pub"
    )

    def bundle(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.key(options)

    kind.set_defaults(run=bundle)
    kind = kinds.add_parser("vault", help="the key of one of those who open the vault together")
    kind.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it")

    def vault(options: argparse.Namespace) -> int:
        from commands import vault

        return vault.key(options)

    kind.set_defaults(run=vault)


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["check", "list", "coverage"], help="load all; one line each; by scenario")
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rule book to look at instead of the one that ships")

    def run(options: argparse.Namespace) -> int:
        from commands import rules

        return rules.run(options)

    parser.set_defaults(run=run)


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no id of letters, digits, dots, hyphens and underscores (100 at most)"
        )
    return text


def _moment(text: str) -> int:
    """UTC milliseconds of an ISO 8601 time, which must say its zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with its zone, such as 2026-05-01T00:00+09:00")
    return int(moment.timestamp() * 1000)


def _seed(text: str) -> int:
    return _number(text, 0, 2**32 - 1)  # numpy takes no more


def _year(text: str) -> int:
    return _number(text, 1970, 9998)


def _count(text: str) -> int:
    return _number(text, 1, 10**9)


def _days(text: str) -> int:
    return _number(text, 3, 3660)


def _staff(text: str) -> int:
    return _number(text, 30, 20_000)


def _decimal(text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most:g}")
    return value


def _factor(text: str) -> float:
    return _decimal(text, 1000)


def _share(text: str) -> float:
    return _decimal(text, 1)


if __name__ == "__main__":
    sys.exit(main())
