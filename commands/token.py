"""`sekimori token`: the token under which somebody's record is known, for who holds the site's key; each is on record."""

from __future__ import annotations

import argparse
import getpass
import sys

import polars as pl

from audit import runs
from audit.database.engine import DatabaseError
from commands.case import Office, login, masked
from commands.failure import Failure
from commands.say import say
from registers.tokens import subject_tokens


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status.

    The id comes from standard input, so that it stands in no list of processes and no history of a shell.
    """
    office = Office(options.config)
    by, key = office.by(options.by), office.site.key
    if key is None:
        raise Failure(f"{options.config}: audit.site_key: name the site's key: without it there is no token")
    raw = (getpass.getpass("id: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    token: str | None = subject_tokens(pl.Series([raw], dtype=pl.String), key, strip_zeros=options.strip_zeros).item()
    if token is None:
        raise Failure("standard input: holds no id: type one, or send one line")
    name = f"{runs.TOKEN} {office.now}"
    try:
        office.store.begin_run(
            name, runs.TOKEN, office.now, {"by": by, "login": login(), "result": masked(options.reason)}
        )
        office.store.end_run(name, runs.TOKEN, office.now, {})
    except DatabaseError as error:
        raise Failure(f"{options.config}: audit.database: {error}: no token without a record of it") from error
    say(token)
    return 0
