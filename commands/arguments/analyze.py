"""Arguments of `analyze`."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands.arguments import values
from commands.arguments.office import outputs


def analyze(parser: argparse.ArgumentParser) -> None:
    """Raw logs or archived events to findings, sessions and a report."""
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
    parser.add_argument("--seed", type=values.seed, default=0, metavar="N", help="seed of the model (default 0)")
    parser.add_argument(
        "--year", type=values.year, metavar="YYYY", help="year of the first line of a file whose stamps have none"
    )
    parser.add_argument(
        "--max-refused", type=values.share, default=0.01, metavar="SHARE",
        help="share of refused lines above which the exit status is 1 (default 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--piece", type=values.count, default=50_000, metavar="N", help="events worked on at once (default 50000)"
    )
    parser.add_argument(
        "--audit",
        type=Path,
        metavar="FILE",
        help="an audit.toml: keep in its ledger that and how this analysis was made",
    )
    outputs(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import analyze

        return analyze.run(options)

    parser.set_defaults(run=run)
