"""`sekimori vault`: turn tokens back into ids, by the people who hold the keys together."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector import vault_entry
from collector.vault_entry import Entry, NotYours, VaultError
from commands import disk, show
from commands.failure import Failure
from service.private import PrivateFileError, read_private


def key(options: argparse.Namespace) -> int:
    """`sekimori keys vault`: write a holder's key and say the recipient that goes into collector.toml."""
    text, recipient = vault_entry.new_identity()
    disk.create(options.out, text.encode())
    show.say(f"{options.out}: the key of one holder; it stays with that person, and never where another holder's is")
    show.say(f"{recipient}: goes into [vault] recipients of the agents")
    return 0


def open_(options: argparse.Namespace) -> int:
    """`sekimori vault open`: take off the layers that the given keys fit; 1 if some entries could not be opened.

    What is then open is printed as CSV, else the entries for the next holder go to --out.
    """
    holders = [_holder(path) for path in options.key]
    entries, problems = _entries(options.file, frozenset(options.token))
    if not entries and not problems:
        asked = "holds none of these tokens" if options.token else "is empty"
        raise Failure(f"{options.file}: {asked}")
    opened, waiting = [], {}
    for number, entry in entries:
        found = _peeled(entry, holders)
        if not found.layers:
            opened.append((number, found))
        elif len(found.layers) == len(entry.layers):
            problems.append(f"line {number}: {_why(entry, holders)}")
        else:
            waiting[number] = found
    if waiting and not opened:
        _hand_on(waiting, options.out)
    elif opened:
        problems += [
            f"line {number}: is to be opened next with the key of {one.layers[0]}" for number, one in waiting.items()
        ]
        _print(opened, frozenset(options.token), options.out, problems)
    for problem in problems:
        show.say(f"not opened: {options.file} {problem}", sys.stderr)
    return 1 if problems else 0


def _holder(path: Path) -> list[Any]:
    try:
        return vault_entry.identities_of(read_private(path))
    except PrivateFileError as error:
        raise Failure(str(error)) from None
    except VaultError as error:
        raise Failure(f"{path}: {error}") from None


def _entries(path: Path, wanted: frozenset[str]) -> tuple[list[tuple[int, Entry]], list[str]]:
    """The entries of a file, with the numbers of their lines, and what is wrong with others."""
    entries, problems = [], []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    entry = Entry.from_line(line)
                except VaultError as error:
                    problems.append(f"line {number}: {error}")
                    continue
                if not wanted or wanted.intersection(entry.tokens):
                    entries.append((number, entry))
    except OSError as error:
        raise Failure(f"{path}: cannot be read ({error.strerror}): give the vault's file") from None
    return entries, problems


def _peeled(entry: Entry, holders: Sequence[Sequence[Any]]) -> Entry:
    """An entry without the layers that these keys fit, in whatever order they were given."""
    left = list(holders)
    while entry.layers:
        for holder in left:
            try:
                entry = entry.opened(holder)
            except NotYours:
                continue
            left.remove(holder)
            break
        else:
            break
    return entry


def _why(entry: Entry, holders: Sequence[Sequence[Any]]) -> str:
    try:
        entry.opened(holders[0])
    except NotYours as error:
        return str(error)
    return "was altered"


def _hand_on(waiting: dict[int, Entry], out: Path | None) -> None:
    following = sorted({entry.layers[0] for entry in waiting.values()})
    if out is None:
        raise Failure(f"layers are left: give --out FILE, which goes to the holder of {', '.join(following)}")
    disk.create(out, b"".join(entry.to_line() for entry in waiting.values()))
    show.say(
        f"{out}: {len(waiting)} entries, still encrypted; the next to open them holds the key of {', '.join(following)}"
    )


def _print(opened: Sequence[tuple[int, Entry]], wanted: frozenset[str], out: Path | None, problems: list[str]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["token", "id"])
    found: dict[str, str] = {}
    for number, entry in opened:
        try:
            found |= dict(entry.pairs())
        except VaultError as error:
            problems.append(f"line {number}: {error}")
    shown = [(token, raw) for token, raw in found.items() if not wanted or token in wanted]
    rows.writerows(shown)
    if out is None:
        show.say(text.getvalue().rstrip("\n"))
    else:
        disk.create(out, text.getvalue().encode())
        show.say(f"{out}: {len(shown)} ids in the clear; delete it when it has served")
