"""Arguments of `demo` and `simulate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands.arguments import values


def _office(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=values.seed, default=1, metavar="N", help="same seed, same office (default 1)")
    parser.add_argument("--days", type=values.days, default=30, metavar="N", help="calendar days (default 30)")
    parser.add_argument(
        "--staff", type=values.staff, default=160, metavar="N", help="people of type staff (default 160)"
    )
    parser.add_argument(
        "--misuse",
        type=values.factor,
        default=1.0,
        metavar="F",
        help="how much misuse; 0 none, 1 each scenario (default 1)",
    )
    parser.add_argument(
        "--volume", type=values.factor, default=1.0, metavar="F", help="how much ordinary work, as a factor (default 1)"
    )


def outputs(parser: argparse.ArgumentParser) -> None:
    """What a command that makes a report may be told of its outputs."""
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object and nothing else")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language of the report (default ja)")


def demo(parser: argparse.ArgumentParser) -> None:
    """A month in a fictional office: logs, findings and a report."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where to write (default demo)")
    _office(parser)
    outputs(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import demo

        return demo.run(options)

    parser.set_defaults(run=run)


def simulate(parser: argparse.ArgumentParser) -> None:
    """Raw logs of a fictional office, its site and the truth."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write logs, site and truth")
    _office(parser)

    def run(options: argparse.Namespace) -> int:
        from commands import demo

        return demo.simulate(options)

    parser.set_defaults(run=run)
