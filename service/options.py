"""The kinds of value that stand in configuration files, each with its check.

What lies on the disk is looked at while the file is checked, so that a missing key file is told together with a
misspelt word; without a `Ground` only the writing is checked.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from registers.dates import check_time_zone
from registers.text import did_you_mean
from registers.tokens import KeyFileError, SiteKey
from service.private import PrivateFileError, read_private

AUTO: Final = "auto"
_HOST: Final = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a configuration file is checked against.

    Attributes:
        folder: Where it lies; relative paths start here.
        source_ids: Ids of the sources there are.
    """

    folder: Path
    source_ids: frozenset[str] = frozenset()


def _ground(info: ValidationInfo) -> Ground | None:
    return info.context if isinstance(info.context, Ground) else None


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is no path: write it in quotes")
    if "\0" in str(value):
        raise ValueError(f"{value!r} is no path: it has a NUL character in it")
    ground = _ground(info)
    return ground.folder / value if ground else Path(value)


def _readable(path: Path, info: ValidationInfo) -> Path:
    if _ground(info):
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror}): check the path and its permissions") from None
    return path


def _private(path: Path, info: ValidationInfo) -> Path:
    if _ground(info):
        try:
            read_private(path)
        except PrivateFileError as error:
            raise ValueError(str(error)) from None
    return path


def _site_key(path: Path, info: ValidationInfo) -> Path:
    if _ground(info):
        try:
            short = SiteKey.read(path).is_short
        except KeyFileError as error:
            raise ValueError(str(error)) from None
        if short:
            raise ValueError(
                f"{path}: has under 16 bytes and could be found by trying: make one (openssl rand -hex 32)"
            )
    return path


def _certificates(path: Path, info: ValidationInfo) -> Path:
    if _ground(info):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            raise ValueError(
                f"{path}: holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----"
            ) from None
    return path


def key_problem(certificate: Path, key: Path) -> str | None:
    """Why a key (PEM) cannot serve for a certificate, in half a line; `None` if it can."""

    def no_pass_phrase() -> str:
        # Without this OpenSSL would ask the terminal, and a service waits for ever.
        raise ValueError

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, no_pass_phrase)
    except ValueError:
        return f"{key}: needs a pass phrase, which nobody can type: store it without and let only its user read it"
    except OSError as error:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            return f"{key}: is not the key of {certificate}: check which belong together"
        return f"{key}: is no key in PEM for {certificate}: check the path"
    return None


def _private_once_made(path: Path, info: ValidationInfo) -> Path:
    return _private(path, info) if os.path.lexists(path) else path


def _folder(path: Path, info: ValidationInfo) -> Path:
    if _ground(info) and not os.path.isdir(path):  # unlike Path.is_dir it takes any name
        raise ValueError(f"{path}: is no folder: make it or check the path")
    return path


def _folder_to_write(path: Path, info: ValidationInfo) -> Path:
    if not _ground(info):
        return path
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return path  # made at the start
    except OSError as error:
        raise ValueError(f"{path}: cannot be used ({error.strerror}): check the path") from None
    if not (is_folder and os.access(path, os.W_OK | os.X_OK)):
        raise ValueError(f"{path}: is no folder that this user may write to: check the path and its owner")
    return path


def _glob(value: str, info: ValidationInfo) -> str:
    ground = _ground(info)
    return os.path.join(ground.folder, value) if ground else value


def _known_source(value: str, info: ValidationInfo) -> str:
    ground = _ground(info)
    if ground and value not in ground.source_ids and value != AUTO:
        hint = did_you_mean(value, sorted(ground.source_ids)) or ": declare it in a file of [agent] sources"
        raise ValueError(f"{value!r} is no source{hint}")
    return value


def _server(value: str) -> str:
    found = re.fullmatch(rf"{_HOST}:(\d{{1,5}})", value)
    if not found or not 0 < int(found[1]) < 65536:
        raise ValueError(f"{value!r} is no server: write host:port, such as kafka1.example.jp:9093")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", value):
        raise ValueError(f"{value!r} is no host: write an address of this machine, such as 127.0.0.1 or ::")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no network: write 192.0.2.0/24 or a single address") from None


def _time_zone(value: str) -> str:
    check_time_zone(value)
    return value


def _matching(pattern: str, advice: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} {advice}")
        return value

    return check


def no_twice(values: list[str]) -> list[str]:
    """Refuse a list that says something twice."""
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"{', '.join(map(repr, twice))} stands there twice: leave one")
    return values


def _text(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": kind})


FreePath = Annotated[Path, BeforeValidator(_path), _text("path")]
ReadableFile = Annotated[FreePath, AfterValidator(_readable), _text("file")]
PrivateFile = Annotated[FreePath, AfterValidator(_private), _text("file only its owner may read")]
SiteKeyFile = Annotated[PrivateFile, AfterValidator(_site_key), _text("file only its owner may read")]
CertificateFile = Annotated[ReadableFile, AfterValidator(_certificates), _text("file")]
PrivateFileLater = Annotated[FreePath, AfterValidator(_private_once_made), _text("file only its owner may read")]
Folder = Annotated[FreePath, AfterValidator(_folder), _text("folder")]
WritableFolder = Annotated[FreePath, AfterValidator(_folder_to_write), _text("folder")]
Glob = Annotated[str, Field(min_length=1), AfterValidator(_glob), _text("glob")]
Globs = Annotated[list[Glob], Field(min_length=1), AfterValidator(no_twice)]
SourceId = Annotated[str, AfterValidator(_known_source), _text("source id")]
Server = Annotated[str, AfterValidator(_server), _text("host:port")]
Servers = Annotated[list[Server], Field(min_length=1), AfterValidator(no_twice)]
Host = Annotated[str, AfterValidator(_host), _text("address")]
Network = Annotated[str, AfterValidator(_network), _text("network")]
TimeZone = Annotated[str, AfterValidator(_time_zone), _text("time zone")]
Name = Annotated[
    str,
    AfterValidator(
        _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "is no id: use letters, digits, dot, dash, underscore")
    ),
    _text("id"),
]
Topic = Annotated[
    str,
    AfterValidator(_matching(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", "is no topic: use letters, digits, . _ - (249 at most)")),
    _text("topic"),
]  # fmt: skip
AgeKey = Annotated[
    str,
    AfterValidator(_matching(r"age1[02-9ac-hj-np-z]{58}", "is no age recipient: give the line that starts with age1")),
    _text("age recipient"),
]
Port = Annotated[int, Field(ge=1, le=65535)]
