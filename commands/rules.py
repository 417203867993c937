"""`sekimori rules`: look at the rule book."""

from __future__ import annotations

import argparse
from pathlib import Path

import rules as shipped
from commands import show
from commands.failure import Failure
from detector import rulebook

SCENARIOS = range(1, 51)


def folder(given: Path | None) -> Path:
    """The rule book to use.

    Raises:
        Failure: There is no such folder.
    """
    path = given or Path(shipped.__file__).parent
    if not path.is_dir():
        raise Failure(f"{path}: no such folder; --rules takes a folder with one folder per rule")
    return path


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; 1 if a rule was refused."""
    book = rulebook.load(folder(options.rules))
    if options.what == "list":
        for rule in book.rules:
            numbers = ",".join(str(number) for number in rule.scenarios) or "-"
            show.say(f"{rule.name:<36} {rule.level:<13} {rule.family:<11} {numbers:<8} {rule.title.ja}")
    if options.what == "coverage":
        for number in SCENARIOS:
            names = [rule.name for rule in book.rules if number in rule.scenarios]
            show.say(f"{number:>2}  {', '.join(names) or '-'}")
    for refused in book.refused:
        show.say(f"refused: {refused}")
    show.say(f"{len(book.rules)} rules loaded, {len(book.refused)} refused")
    return 1 if book.refused else 0
