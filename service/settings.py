"""Reading a configuration file as a whole: every problem at once, and the tables that every process has.

Every option has a type, a default (or must be given), a unit in its name and a sentence, from which the pages of options
are made. Relative paths start at the folder of the file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from registers.config import ConfigError, explain
from service.options import CertificateFile, Ground, Host, PrivateFile, Servers, key_problem
from service.printable import printable

_LONGEST_LINE: Final = 500
_Table = TypeVar("_Table", bound=BaseModel)


class Section(BaseModel):
    """A table of a configuration file: unknown keys are refused, nothing is converted, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Kafka(Section):
    """How to reach Kafka. Compression (zstd), acks (all) and idempotence are not for choosing."""

    bootstrap_servers: Servers = Field(description="Servers to ask first; two or three, so that one may be away.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="SSL or SASL_SSL wherever the network is not this machine's own."
    )
    ssl_cafile: CertificateFile | None = Field(
        None, description="Certificates (PEM) that vouch for the servers; left out: the system's own."
    )
    ssl_certfile: CertificateFile | None = Field(None, description="Our own certificate (PEM), for mTLS.")
    ssl_keyfile: PrivateFile | None = Field(None, description="Key of that certificate (PEM, without a pass phrase).")
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None = Field(
        None, description="How to log in; SCRAM where the servers offer it."
    )
    sasl_username: str | None = Field(None, min_length=1, description="User to log in as.")
    sasl_password_file: PrivateFile | None = Field(
        None, description="File that holds the password, in UTF-8; a line end after it is no part of it."
    )
    in_flight_mib: int = Field(
        16, ge=4, le=1024, description="Most that is sent and not yet acknowledged; reading waits when it is full."
    )
    batch_kib: int = Field(
        960, ge=64, le=16_384, description="Largest batch; stay below `message.max.bytes` of the topic (1024 by default)."
    )  # fmt: skip
    away_after_s: int = Field(
        120, ge=5, description="Health turns red when the oldest record has waited so long for its acknowledgement."
    )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Kafka:
        refuse(self.contradictions(isinstance(info.context, Ground)))
        return self

    def contradictions(self, on_disk: bool) -> Iterator[str]:
        """A line per contradiction, beginning with the option; `on_disk`: certificates and keys are opened too."""
        secured, logs_in = "SSL" in self.security_protocol, "SASL" in self.security_protocol
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            if getattr(self, name) and not secured:
                yield f"{name}: means nothing with {self.security_protocol}: set security_protocol to SSL or SASL_SSL"
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            missing = "ssl_keyfile" if self.ssl_certfile else "ssl_certfile"
            yield f"{missing}: missing: certificate and key go together"
        elif (
            on_disk
            and self.ssl_certfile
            and self.ssl_keyfile
            and (problem := key_problem(self.ssl_certfile, self.ssl_keyfile))
        ):
            yield f"ssl_keyfile: {problem}"
        for name in ("sasl_mechanism", "sasl_username", "sasl_password_file"):
            if logs_in and getattr(self, name) is None:
                yield f"{name}: missing: {self.security_protocol} needs it"
            if not logs_in and getattr(self, name) is not None:
                yield f"{name}: means nothing with {self.security_protocol}: set security_protocol to SASL_SSL"
        if self.sasl_mechanism == "PLAIN" and self.security_protocol == "SASL_PLAINTEXT":
            yield "sasl_mechanism: PLAIN would send the password in the clear: use SASL_SSL, or SCRAM-SHA-512"
        if self.batch_kib * 2 > self.in_flight_mib * 1024:
            yield f"in_flight_mib: {self.in_flight_mib} is under two batches of {self.batch_kib} KiB: raise it"


class Metrics(Section):
    """Where Prometheus finds `/metrics` and a probe finds `/health`."""

    host: Host = Field("127.0.0.1", description="Address to listen at; `0.0.0.0` in a container.")
    port: int = Field(9765, ge=0, le=65535, description="Port; 0 takes a free one and says which.")


class Log(Section):
    """What the process says on standard error."""

    format: Literal["text", "json"] = Field("text", description="Lines for people, or one JSON object a line.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`warning`: recovered, nothing lost; `error`: lost data or needs a person."
    )


def read(path: Path, what: str) -> str:
    """Text of a configuration file.

    Args:
        path: Where it lies.
        what: What to give instead, when it cannot be read: `the agent's collector.toml`.

    Raises:
        ConfigError: It cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([f"cannot be read ({error.strerror}): give {what}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"is not UTF-8 (byte {error.start}); TOML files must be"]) from None


def values(text: str) -> dict[str, Any]:
    """What a TOML text says.

    Raises:
        ConfigError: It is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([one_line(f"is no valid TOML: {error}")]) from None


def checked(model: type[_Table], values: Mapping[str, Any], ground: Ground, more: Sequence[str] = ()) -> _Table:
    """The configuration that stands in a file.

    Args:
        model: Its tables.
        values: What the file says.
        ground: What it is checked against.
        more: Problems that were found elsewhere.

    Raises:
        ConfigError: With one line for each problem, `more` last, without the name of the file. What spans several options
            of a table is checked once each of them is right.
    """
    try:
        config = model.model_validate(values, context=ground)
    except ValidationError as error:
        raise ConfigError([*told(error, model), *more]) from None
    if more:
        raise ConfigError(more)
    return config


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a configuration as a mapping that JSON can say, in whatever order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class _Problems(ValueError):
    """What a table's own check found, one line each, beginning with the option."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("; ".join(self.lines))


def refuse(problems: Iterable[str]) -> None:
    """Refuse a table in its own check, if there are problems: a line each, beginning with the option."""
    if lines := list(problems):
        raise _Problems(lines)


def told(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line per problem that `model.model_validate` found: option, what is wrong, what to do."""
    lines = []
    for problem, line in zip(error.errors(), explain(error, model), strict=True):
        found = problem.get("ctx", {}).get("error")
        if isinstance(found, _Problems):
            table = line.partition(": ")[0]
            lines += [f"{table}.{one}" if table else one for one in found.lines]
        else:
            lines.append(line or "unknown key without a name: remove it")
    return [one_line(line) for line in lines]


def one_line(text: str) -> str:
    """The text on one line that a terminal shows as it is, cut where nobody would read on."""
    line = printable(text)
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
