"""The tables of `detector.toml` that say who is told: `[alertmanager]`, `[[webhooks]]`, `[[notify]]`; and the channels they ask for.

Addresses of webhooks and of mail and chat services are secrets: they stand in files that only their owner may read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, model_validator

from detector.channels import alertmanager, http, message, webhook
from detector.channels.channel import Channel
from service.options import CertificateFile, Ground, Name, Network, PrivateFile, no_twice
from service.private import read_private
from service.settings import Section, refuse

ALERTMANAGER: Final = "alertmanager"
_SHORTEST_SECRET_BYTES: Final = 24  # as the Standard Webhooks specification asks

_Link = Annotated[str, Field(pattern=r"^(https?://[!-~]+)?$")]
_LINK_TEXT: Final = "Where a finding can be looked at, with `{finding}` where its uid goes; empty: nowhere."


class Alertmanager(Section):
    """Prometheus Alertmanager, through its v2 API. Every open alert is told again and again, as Prometheus does."""

    urls: list[str] = Field(
        min_length=1, description="Address of each Alertmanager of the cluster, such as `https://am1.example.jp:9093`."
    )
    ssl_cafile: CertificateFile | None = Field(
        None, description="Certificates (PEM) that vouch for them; left out: the system's own."
    )
    authorization_file: PrivateFile | None = Field(
        None, description="File that holds the value of the header Authorization, such as `Bearer …`."
    )
    resend_s: int = Field(60, ge=5, le=3600, description="Open alerts are told again so often.")
    valid_s: int = Field(
        3600, ge=15, le=86_400, description="An alert resolves itself if it was not told again for so long."
    )
    timeout_s: int = Field(10, ge=1, le=120, description="Most that one request may take.")
    link: _Link = Field("", description=_LINK_TEXT)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Alertmanager:
        refuse(self._contradictions(isinstance(info.context, Ground)))
        return self

    def _contradictions(self, on_disk: bool) -> Iterator[str]:
        if self.valid_s < 3 * self.resend_s:
            yield f"valid_s: {self.valid_s} is under three times resend_s: a request that fails would resolve what is open"
        for url in self.urls:
            if problem := _address(url):
                yield f"urls: {problem}"
        if on_disk and self.authorization_file and (problem := _secret_line(self.authorization_file)):
            yield f"authorization_file: {problem}"

    def channel(self) -> Channel:
        """The channel that this table asks for.

        Raises:
            PrivateFileError: The file of the header cannot be used any more.
        """
        targets = [
            http.target(url.rstrip("/") + "/api/v2/alerts", None, self.timeout_s, self.ssl_cafile) for url in self.urls
        ]
        headers = {"Authorization": _line(self.authorization_file)} if self.authorization_file else {}
        pace = alertmanager.Pace(self.resend_s, self.valid_s)
        return alertmanager.Alertmanager(ALERTMANAGER, targets, headers, self.link, pace)


class Webhook(Section):
    """A receiver of signed POST requests, one for every change of an alert (Standard Webhooks)."""

    name: Name = Field(description="Names the channel in metrics, in the log and in Kafka; keep it.")
    url_file: PrivateFile = Field(description="File that holds the address, one line.")
    hosts: list[str] = Field(min_length=1, description="Hosts that the address may name; any other is refused.")
    allow_networks: list[Network] = Field(
        default_factory=list,
        description="Addresses that are not public and may be connected to nevertheless, as networks.",
    )
    secret_file: PrivateFile = Field(
        description="File that holds the key of the signature, at least 24 bytes; a line end after it is no part of it."
    )
    ssl_cafile: CertificateFile | None = Field(
        None, description="Certificates (PEM) that vouch for the receiver; left out: the system's own."
    )
    timeout_s: int = Field(10, ge=1, le=120, description="Most that one request may take.")

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Webhook:
        refuse(self._contradictions() if isinstance(info.context, Ground) else ())
        return self

    def _contradictions(self) -> Iterator[str]:
        if len(read_private(self.secret_file).rstrip(b"\r\n")) < _SHORTEST_SECRET_BYTES:
            yield f"secret_file: {self.secret_file}: has under {_SHORTEST_SECRET_BYTES} bytes: make one (openssl rand -base64 32)"
        if problem := _secret_line(self.url_file):
            yield f"url_file: {problem}"
            return
        url = _line(self.url_file)
        if problem := _address(url):
            yield f"url_file: {self.url_file}: {problem}"
            return
        parts = urlsplit(url)
        if parts.hostname not in {host.lower() for host in self.hosts}:
            yield f"url_file: {self.url_file}: names a host that is not in hosts: add it there, or correct the address"
        if parts.scheme == "http" and not self.allow_networks:
            yield f"url_file: {self.url_file}: http:// would send findings in the clear: use https://, or name the network in allow_networks"

    def channel(self) -> Channel:
        """The channel that this table asks for.

        Raises:
            PrivateFileError: A file cannot be used any more.
        """
        networks = [ipaddress.ip_network(network) for network in self.allow_networks]
        where = http.target(_line(self.url_file), networks, self.timeout_s, self.ssl_cafile)
        return webhook.Webhook(self.name, where, read_private(self.secret_file).rstrip(b"\r\n"))


class Notify(Section):
    """Mail, or a room of a chat, through apprise: what pages and what was resolved, in words."""

    name: Name = Field(description="Names the channel in metrics, in the log and in Kafka; keep it.")
    url_file: PrivateFile = Field(
        description="File that holds one address in apprise's writing, such as `mailtos://user:password@mail.example.jp?to=soc@example.jp`."
    )
    language: Literal["ja", "en"] = Field("ja", description="Of the messages.")
    resolved: bool = Field(True, description="Whether it is told too that an alert was resolved.")
    one_by_one: int = Field(5, ge=1, le=100, description="If more wait than this, they become one summary.")
    burst: int = Field(10, ge=1, le=1000, description="So many messages may follow one another at once.")
    every_s: int = Field(10, ge=1, le=3600, description="Beyond these, one message in so many seconds.")
    link: _Link = Field("", description=_LINK_TEXT)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Notify:
        refuse(self._contradictions() if isinstance(info.context, Ground) else ())
        return self

    def _contradictions(self) -> Iterator[str]:
        if problem := _secret_line(self.url_file):
            yield f"url_file: {problem}"
            return
        try:
            self.channel()
        except ValueError as error:
            yield f"url_file: {self.url_file}: {error}"

    def channel(self) -> Channel:
        """The channel that this table asks for.

        Raises:
            ValueError: The address is none that may be used, or its file cannot be used any more.
        """
        pace = message.Pace(self.one_by_one, self.burst, self.every_s)
        return message.Message(self.name, _line(self.url_file), self.language, self.link, self.resolved, pace)


def names_problem(webhooks: Sequence[Webhook], notify: Sequence[Notify]) -> str | None:
    """What is wrong with the names of channels together, in half a line; None if nothing is."""
    names = [ALERTMANAGER, *(table.name for table in webhooks), *(table.name for table in notify)]
    try:
        no_twice(names)
    except ValueError as error:
        return str(error)
    return None


def channels(manager: Alertmanager | None, webhooks: Sequence[Webhook], notify: Sequence[Notify]) -> list[Channel]:
    """All channels that a configuration asks for.

    Raises:
        ValueError: A file cannot be used any more.
    """
    tables: list[Alertmanager | Webhook | Notify] = [*([manager] if manager else []), *webhooks, *notify]
    return [table.channel() for table in tables]


def _address(url: str) -> str | None:
    try:
        http.target(url, (), 1.0)
    except ValueError as error:
        return str(error)
    return None


def _line(path: Path) -> str:
    return read_private(path).decode("utf-8", "replace").strip()


def _secret_line(path: Path) -> str | None:
    """Why a file is not one line of printable ASCII, without what it holds; None if it is."""
    line = _line(path)
    if not line or len(line.splitlines()) != 1 or any(not " " <= sign <= "~" for sign in line):
        return f"{path}: is not one line of ASCII: put just the one value there"
    return None
