"""Arguments of `rules`."""

from __future__ import annotations

import argparse
from pathlib import Path


def rules(parser: argparse.ArgumentParser) -> None:
    """The rule book."""
    parser.add_argument("what", choices=["check", "list", "coverage"], help="load all; one line each; by scenario")
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rule book to look at instead of the one that ships")

    def run(options: argparse.Namespace) -> int:
        from commands import rules

        return rules.run(options)

    parser.set_defaults(run=run)
