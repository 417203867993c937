"""`sekimori verify DIR`: judge an archive, with the public key of who signs it and the seal keys of the agents."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from audit.archive import place
from audit.archive.digest import KeyFileError, Keys
from audit.archive.place import PlaceError
from audit.archive.verify import Terms, verify
from audit.chains.verdict import Verdict
from commands.failure import Failure
from contract.sealkey import SealKey
from contract.topics import EVENTS

PUBLIC: Final = ".pub"
# A digest is written every hour; a few minutes later it must be there.
_DUE_MS: Final = 3_600_000 + 300_000


def judged(options: argparse.Namespace, seal_keys: Sequence[SealKey]) -> Verdict:
    """The verdict on an archive.

    Args:
        options: Of the command line.
        seal_keys: Those among its keys.

    Raises:
        Failure: It cannot be judged as it was asked for.
        OSError: It cannot be read.
    """
    if options.save is not None:
        raise Failure("--save: an archive is kept already: leave it out, or read from Kafka")
    terms = Terms(
        options.topic or EVENTS.name,
        options.until if options.until is not None else time.time_ns() // 1_000_000 - _DUE_MS,
        options.since,
        options.silent_after,
        options.allow_unsealed,
        not options.without_agents,
    )
    return verdict(options.folder, "--key", options.key, seal_keys, terms)


def verdict(folder: str, option: str, keys: Sequence[Path], seal_keys: Sequence[SealKey], terms: Terms) -> Verdict:
    """The verdict on an archive, with the public keys among some files and folders.

    Raises:
        Failure: It cannot be judged with these; says which option to look at.
        OSError: It cannot be read.
    """
    public = public_keys(keys)
    if not public:
        raise Failure(f"{option}: give the archive's public key too, which `sekimori keys archive` wrote (*.pub)")
    try:
        pems = Keys({str(path): path.read_bytes() for path in public})
        return verify(place.opened(folder), pems, seal_keys, terms)
    except (KeyFileError, PlaceError) as error:
        raise Failure(str(error)) from None


def public_keys(paths: Sequence[Path]) -> list[Path]:
    """The files among some files and folders that end as public keys do."""
    files = [file for path in paths for file in (sorted(path.glob(f"*{PUBLIC}")) if path.is_dir() else [path])]
    return [file for file in files if file.suffix == PUBLIC]
