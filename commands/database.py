"""`sekimori database`: the audit database's schema."""

from __future__ import annotations

import argparse

from audit import config
from audit.database import engine
from commands.failure import Failure
from commands.process import configured
from commands.say import say


def upgrade(options: argparse.Namespace) -> int:
    """`database upgrade`; returns the exit status."""
    url = configured(options.config, config.load).audit.database
    try:
        before, after = engine.upgrade(url)
    except engine.DatabaseError as error:
        raise Failure(f"{options.config}: audit.database: {error}") from error
    if before == after:
        say(f"is of schema {after} already")
    else:
        say(f"schema {after}" + (f", before it {before}" if before else ", made"))
    return 0
