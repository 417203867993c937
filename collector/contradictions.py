"""What contradicts what in `collector.toml`: options that each are right and together cannot work.

Each function yields one line per problem, beginning with the option.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from collector import enrol, seal
from registers.mask import mask_text
from service.options import AUTO, key_problem

if TYPE_CHECKING:
    from collector.config import Agent, Config, Syslog


def of_agent(agent: Agent, on_disk: bool) -> Iterator[str]:
    """In `[agent]`; `on_disk`: keys are looked for."""
    if mask_text(agent.id) != agent.id:
        yield "id: reads as a My Number, and it would stand in every event and metric: give another name"
    kept = agent.state_dir / seal.FOLDER / enrol.SECRET
    if on_disk and not (os.path.lexists(agent.seal_key) or os.path.lexists(kept)):
        yield f"seal_key: {agent.seal_key}: is missing and this agent never started: make one with sekimori keys seal"


def of_syslog(syslog: Syslog, on_disk: bool) -> Iterator[str]:
    """In a `[[syslog]]`; `on_disk`: certificate and key are opened too."""
    if syslog.source == AUTO:
        yield "source: a stream of lines from many senders cannot be recognised by its content: name a source"
    if syslog.protocol == "tls":
        for name in ("certfile", "keyfile"):
            if getattr(syslog, name) is None:
                yield f"{name}: missing: tls needs it"
        if on_disk and syslog.certfile and syslog.keyfile and (problem := key_problem(syslog.certfile, syslog.keyfile)):
            yield f"keyfile: {problem}"
    else:
        for name in ("certfile", "keyfile", "cafile"):
            if getattr(syslog, name) is not None:
                yield f"{name}: means nothing with {syslog.protocol}: remove it or set protocol to tls"
    if not (syslog.allow or syslog.cafile or _is_loopback(syslog.host)):
        yield f"allow: missing: {syslog.host} can be reached by others, so say which networks may send"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def between_tables(config: Config) -> Iterator[str]:
    """Between tables that each are right in themselves."""
    if not (config.files or config.syslog or config.drop):
        yield "files: nothing to read: give [[files]], [[syslog]] or [drop]"
    taken: dict[tuple[str, int], str] = {}
    ports = [(f"syslog.{n}", "udp" if s.protocol == "udp" else "tcp", s.port) for n, s in enumerate(config.syslog, 1)]
    for where, transport, port in [("metrics", "tcp", config.metrics.port), *ports]:
        if port and (first := taken.setdefault((transport, port), where)) != where:
            yield f"{where}.port: {port} is taken by {first}: give another"
    patterns: dict[str, int] = {}
    for number, files in enumerate(config.files, 1):
        for pattern in files.paths:
            if (earlier := patterns.setdefault(pattern, number)) != number:
                yield f"files.{number}.paths: {pattern!r} stands in files.{earlier} too: a file has one source, leave one"
    if config.vault and config.vault.topic in (config.kafka.topic, config.kafka.dead_letter_topic):
        yield f"vault.topic: {config.vault.topic!r} is used for something else: give the vault one of its own"
