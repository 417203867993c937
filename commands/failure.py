"""What stops a command: said in one line to the operator, exit status 2."""

from __future__ import annotations


class Failure(Exception):
    """The command could not run. The text says what, where and what to do; a line per problem."""
