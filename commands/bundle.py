"""`sekimori bundle`: logs of a closed network in one signed file that is carried to an agent's drop folder by hand."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector import bundle
from collector.bundle import BundleError, Manifest
from collector.read import files
from commands import disk, show
from commands.failure import Failure
from service.printable import printable
from service.private import PrivateFileError, read_private

_GZIP = b"\x1f\x8b"


def key(options: argparse.Namespace) -> int:
    """`sekimori keys bundle`: write a signing key and, beside it, the public key that agents get."""
    path: Path = options.out
    private, public = bundle.new_key()
    beside = disk.create_pair(path, private, public)
    show.say(f"{path}: signs bundles; it stays on the machine where they are made")
    show.say(f"{beside}: goes to the agents, named in [drop] keys")
    show.say(f"fingerprint {bundle.fingerprint(bundle.public_key(public))}: compare it over another way")
    return 0


def make(options: argparse.Namespace) -> int:
    """`sekimori bundle make`: write a bundle; 1 if something that was named could not be taken."""
    try:
        signer = bundle.signing_key(read_private(options.key))
    except PrivateFileError as error:
        raise Failure(str(error)) from None
    except BundleError as error:
        raise Failure(f"{options.key}: {error}") from None
    problems: list[str] = []
    named = [pair for path in options.paths for pair in files(path, problems)]
    _refuse_out(options.out, [path for path, _ in named])
    with ExitStack() as opened:
        handles, logs = [], []
        for path, name in named:
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                opened.callback(os.close, handle)
                size = os.fstat(handle).st_size if options.finished else _whole_lines(handle, name)
                logs.append(bundle.describe(name, options.source, handle, size))
                handles.append(handle)
            except OSError as error:
                problems.append(f"{printable(str(path))}: cannot be read ({error.strerror}): check its permissions")
        if not logs:
            raise Failure("\n".join([*problems, "nothing to put into a bundle"]))
        manifest = Manifest(
            format=1, id=secrets.token_hex(16), created=bundle.now(), origin=options.origin, logs=tuple(logs)
        )
        _write(options.out, manifest, handles, signer)
    for problem in problems:
        show.say(f"not taken: {problem}")
    show.say(f"{options.out}: {len(logs)} logs, {sum(log.size for log in logs)} bytes")
    return 1 if problems else 0


def check(options: argparse.Namespace) -> int:
    """`sekimori bundle check`: is it whole and signed by this key, and what is in it? 1 if an agent would refuse it."""
    path, key_path = options.file, options.key
    try:
        signer = bundle.public_key(key_path.read_bytes())
    except OSError as error:
        raise Failure(f"{key_path}: cannot be read ({error.strerror})") from None
    except BundleError as error:
        raise Failure(f"{key_path}: {error}") from None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"{path}: cannot be read ({error.strerror})") from None
    try:
        found = bundle.Bundle(handle, {key_path.name: signer})
        for _ in found.check():
            pass
    except BundleError as error:
        show.say(f"{path}: {error}")
        return 1
    finally:
        os.close(handle)
    for log in found.manifest.logs:
        show.say(f"{log.size:>14} {log.source or '-':<20} {printable(log.name)}")
    made = found.manifest.created.isoformat(timespec="seconds")
    show.say(f"{path}: whole, signed by {found.signer}, made {made}, {printable(found.manifest.origin) or 'no origin'}")
    return 0


def _whole_lines(handle: int, name: str) -> int:
    """Bytes up to the last line end; the rest is still being written and would become a torn line."""
    size = os.fstat(handle).st_size
    if os.pread(handle, 2, 0) == _GZIP:
        return size
    for start, block in _backwards(handle, size):
        if (end := block.rfind(b"\n")) >= 0:
            whole = start + end + 1
            break
    else:
        whole = 0
    if whole < size:
        advice = "give --finished if nothing more will be written"
        show.say(f"{printable(name)}: its last {size - whole} bytes are no whole line and stay: {advice}")
    return whole


def _backwards(handle: int, size: int) -> Iterator[tuple[int, bytes]]:
    for end in range(size, 0, -bundle.BLOCK_BYTES):
        start = max(0, end - bundle.BLOCK_BYTES)
        yield start, os.pread(handle, end - start, start)


def _refuse_out(out: Path, paths: list[Path]) -> None:
    if out.exists():
        raise Failure(f"{out}: is there already: choose another name")
    if any(path.resolve() == out.resolve() for path in paths):
        raise Failure(f"{out}: is one of the logs: choose another name")


def _write(out: Path, manifest: Manifest, handles: list[int], signer: Ed25519PrivateKey) -> None:
    """Write to a hidden name first: what an agent finds is whole."""
    partial = out.with_name(f".{out.name}.part")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            bundle.write(file, manifest, handles, signer)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(out)
    except BundleError as error:
        partial.unlink(missing_ok=True)
        raise Failure(str(error)) from None
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Failure(f"{out}: cannot be written ({error.strerror}): check the folder and the disk") from None
