"""Arguments of `detect`, `verify` and `archive`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from commands.arguments import values

CANNOT_VERIFY: Final = 3  # of `verify`, whose 0, 1 and 2 are ok, tampered and gap


def detect(parser: argparse.ArgumentParser) -> None:
    """The detector."""
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the detector's detector.toml")
    parser.add_argument("--check", action="store_true", help="say all that is wrong with what is configured, and end")
    parser.add_argument("--once", action="store_true", help="end when all that is there has been worked through")
    parser.add_argument(
        "--replay", nargs=2, metavar=("FROM", "TO"),
        help="work through again what Kafka took from one date to another, under a group and a state of its own",
    )  # fmt: skip

    def run(options: argparse.Namespace) -> int:
        # There are as many detectors as partitions: each is one core's. Memory is given back ten seconds after it was needed;
        # after half a second, Polars' own choice, every turn would have to ask for it again, and the system clears each page.
        # Both are read when Polars loads.
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:0,narenas:1")
        from commands import detect

        return detect.run(options)

    parser.set_defaults(run=run)


def verify(parser: argparse.ArgumentParser) -> None:
    """Whether anything was altered or lost."""
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
        "--silent-after", type=values.count, default=300, metavar="SECONDS",
        help="an agent without heartbeat for so long fell silent (default 300)",
    )  # fmt: skip
    parser.add_argument(
        "--until", type=values.moment, metavar="TIME",
        help="up to when an archive must reach (default: the hour before this one)",
    )  # fmt: skip
    parser.add_argument(
        "--since",
        type=values.moment,
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


def archive(parser: argparse.ArgumentParser) -> None:
    """Tables of an archive."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("tables", help="go on with events, findings, decisions and sessions as Parquet by day")
    kind.add_argument("folder", metavar="DIR", help="the archive: a folder, or the URL of an object store")
    kind.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: into the archive's folder)")
    kind.add_argument("--site", type=Path, metavar="DIR", help="whose days (site.toml); default: Asia/Tokyo")
    kind.add_argument(
        "--topic", default="access-events", metavar="NAME", help="where events came from (default %(default)s)"
    )
    kind.add_argument(
        "--findings-topic", default="findings", metavar="NAME", help="where findings came from (default %(default)s)"
    )
    kind.add_argument(
        "--decisions-topic", default="decisions", metavar="NAME", help="where decisions came from (default %(default)s)"
    )
    kind.add_argument("--again", action="store_true", help="make them anew, from the first record on")

    def run(options: argparse.Namespace) -> int:
        from commands import tables

        return tables.run(options)

    kind.set_defaults(run=run)
