"""Whether a bundle may be imported: what is decided before its first line is used."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from collector.bundle import Bundle, BundleError, public_key
from collector.read import PACKED
from collector.recognise import recognise
from collector.sources import Source

READ_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 1 << 16
_NOWHERE: Final = "name a source in [drop], or declare one in a file of [agent] sources"


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be imported.

    Attributes:
        keys: Name = key of those who may sign.
        source: What all logs are; None: as the bundle says, else recognised by content.
        sources: Candidates.
        max_bytes: Larger bundles are refused, unpacked size included.
    """

    keys: Mapping[str, Ed25519PublicKey]
    source: Source | None
    sources: Sequence[Source]
    max_bytes: int


def read_keys(paths: Sequence[Path]) -> dict[str, Ed25519PublicKey]:
    """The public keys in some files, by the files' names.

    Raises:
        BundleError: A file cannot be read or holds none; a line for each.
    """
    keys, problems = {}, []
    for path in paths:
        try:
            keys[path.name] = public_key(path.read_bytes())
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror})")
        except BundleError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise BundleError("\n".join(problems))
    return keys


def whole(bundle: Bundle, rules: Rules, sources: list[Source]) -> Iterator[int]:
    """Check a bundle's contents, unpack what is packed, and find each log's source.

    Yields:
        How many bytes were looked at.

    Raises:
        BundleError: It cannot be imported as a whole.
    """
    yield from bundle.check()
    left = rules.max_bytes
    problems = []
    for place, log in enumerate(bundle.manifest.logs):
        stream = bundle.open(place)
        try:
            while data := stream.read(READ_BYTES):
                left -= len(data)
                if left < 0:
                    raise BundleError("unpacks to more than max_bundle_mib allows")
                yield len(data)
        except (BadGzipFile, EOFError, zlib.error):
            problems.append(f"{log.name} is damaged gzip: copy it again from where it was made")
            continue
        try:
            sources.append(source_of(bundle, place, rules))
        except BundleError as error:
            problems.append(str(error))
    if problems:
        raise BundleError("cannot be imported as a whole: " + "; ".join(problems))


def source_of(bundle: Bundle, place: int, rules: Rules) -> Source:
    """What a log is.

    Raises:
        BundleError: Nobody knows.
    """
    log = bundle.manifest.logs[place]
    if rules.source is not None:
        return rules.source
    if log.source is not None:
        named = next((source for source in rules.sources if source.id == log.source), None)
        if named is None:
            raise BundleError(f"{log.name} is of source {log.source!r}, which this agent does not know: declare it")
        return named
    head = bundle.open(place).read(_HEAD_BYTES)
    if any(head.startswith(magic) for magic in PACKED):
        raise BundleError(f"{log.name} is {next(what for magic, what in PACKED.items() if head.startswith(magic))}")
    found = recognise(head, log.name, rules.sources)
    if found is None and head:
        raise BundleError(f"{log.name} is of no known source: {_NOWHERE}")
    return found or rules.sources[0]  # of an empty log, of which nothing is read
