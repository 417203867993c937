"""Keys: the one for tokens and event ids where no site declares one, and what `sekimori keys` makes."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

from commands import disk, show
from commands.failure import Failure
from contract.sealkey import SealKey
from detector.archive import signing
from registers.tokens import KeyFileError, SiteKey


def own() -> SiteKey:
    """The key of this user on this machine, made on first use.

    Without a site there is still something to hide: tokens under a published key could be enumerated. The price is
    that ids differ from machine to machine; a site with a key of its own has the same ids everywhere.

    Raises:
        Failure: It can neither be read nor written.
    """
    path = _home() / "sekimori" / "site.key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # O_EXCL: of two runs that start together one wins and both read its key.
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return SiteKey.read(path)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        return SiteKey.read(path)
    except KeyFileError as error:
        raise Failure(f"{path}: {error}; delete it and a new one is made") from error
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; set XDG_DATA_HOME to a folder that can be written") from error


def _home() -> Path:
    try:
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    except RuntimeError as error:  # no HOME, and no entry for this user
        raise Failure(
            f"no home folder for the key ({error}); set XDG_DATA_HOME to a folder that can be written"
        ) from error


def archive(options: argparse.Namespace) -> int:
    """`sekimori keys archive`: the pair for digests of the archive; returns the exit status."""
    path: Path = options.out
    private, public = signing.new_pair()
    beside = disk.create_pair(path, private, public)
    show.say(f"{path}: signs the digests of the archive; it stays with the detector, as [archive] key says")
    show.say(f"{beside}: goes to who runs sekimori verify, over another way than the archive itself")
    show.say(f"fingerprint {signing.Signer(private).fingerprint}: as digests name it")
    return 0


def seal(options: argparse.Namespace) -> int:
    """`sekimori keys seal`: enrol an agent; returns the exit status."""
    path = options.out or Path(f"{options.agent}.seal")
    key = SealKey.enrol(options.agent, secrets.token_bytes(32))
    disk.create(path, key.text().encode(), "records sealed with it need it; give --out another name")
    show.say(f"{path}: seal key of {key.agent}, enrolment {key.enrolment}")
    show.say("Put one copy where the agent's agent.seal_key says; the agent erases it at its first start.")
    show.say("Keep this one with who runs sekimori verify, and never on the agent's host.")
    return 0
