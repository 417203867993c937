"""`collector.toml`: what one agent reads, how it seals it and where it sends it.

Every option has a type, a default (or must be given), a unit in its name and a sentence, from which
`docs/configuration.md` is made. Relative paths start at the folder of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from collector import contradictions
from collector import sources as declared
from collector.sources import Source, SourceError
from contract.topics import DEAD_LETTERS, EVENTS
from service import settings
from service.options import (
    AUTO,
    AgeKey,
    CertificateFile,
    Folder,
    FreePath,
    Globs,
    Ground,
    Host,
    Name,
    Network,
    Port,
    PrivateFile,
    PrivateFileLater,
    ReadableFile,
    SiteKeyFile,
    SourceId,
    TimeZone,
    Topic,
    WritableFolder,
    no_twice,
)
from service.settings import Log, Metrics, Section, one_line, refuse

SilentAfter = Annotated[
    int | None,
    Field(ge=1, description="Health turns red when nothing new was read for so long; left out: silence is normal."),
]


class Agent(Section):
    """The agent itself: its name, its keys and the folder where it remembers how far it read."""

    id: Name = Field(description="Name of this agent, unique among all that write to the topic; becomes `agent.id`.")
    state_dir: WritableFolder = Field(
        description="Folder for checkpoint, seal, spool and vault; made if missing. Nothing is written outside it."
    )
    site_key: SiteKeyFile = Field(description="The site's secret, for tokens and event ids.")
    seal_key: PrivateFileLater = Field(
        description="First secret of the seal, made when the agent is enrolled and erased at its first start."
    )
    time_zone: TimeZone = Field("Asia/Tokyo", description="Zone of stamps that carry none and whose source names none.")
    sources: Folder | None = Field(
        None, description="Folder of own source declarations (`*.toml`), tried before the ones that ship."
    )
    heartbeat_s: int = Field(60, ge=1, le=3600, description="How often each partition gets a heartbeat.")
    drain_s: int = Field(
        20, ge=0, le=600, description="How long a stop waits for Kafka; what is not acknowledged is sent at the next start."
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Agent:
        refuse(contradictions.of_agent(self, isinstance(info.context, Ground)))
        return self


class Kafka(settings.Kafka):
    """Where sealed events go. Compression (zstd), acks (all) and idempotence are not for choosing."""

    topic: Topic = Field(EVENTS.name, description="Topic of the events.")
    dead_letter_topic: Topic = Field(DEAD_LETTERS.name, description="Topic of refused lines, masked, with the reason.")

    def contradictions(self, on_disk: bool) -> Iterator[str]:
        """As of every process that talks to Kafka, and between the topics."""
        yield from super().contradictions(on_disk)
        if self.topic == self.dead_letter_topic:
            yield "dead_letter_topic: is the topic of the events: give refused lines one of their own"


class Wire(Section):
    """How events stand in a record."""

    format: Literal["ndjson", "event"] = Field(
        "ndjson", description="`ndjson`: up to 1000 events a record, sealed. `event`: one JSON a record, for other readers."
    )  # fmt: skip


class Files(Section):
    """Log files that are followed."""

    source: SourceId = Field(AUTO, description="Source of all of them; `auto` recognises each by its content.")
    paths: Globs = Field(
        description="Globs; `**` stands for folders. Rotated generations are found beside what matches."
    )
    silent_after_s: SilentAfter = None


class Syslog(Section):
    """A port that takes syslog."""

    source: SourceId = Field("syslog", description="Source of what arrives.")
    protocol: Literal["udp", "tcp", "tls"] = Field(description="udp loses lines when busy; prefer tcp or tls.")
    host: Host = Field("127.0.0.1", description="Address to listen at.")
    port: Port = Field(description="Port to listen at; below 1024 needs a capability (see docs/operations/agent.md).")
    certfile: CertificateFile | None = Field(None, description="Certificate (PEM) shown to senders, for tls.")
    keyfile: PrivateFile | None = Field(None, description="Key of that certificate (PEM, without a pass phrase).")
    cafile: CertificateFile | None = Field(
        None, description="Certificates (PEM) that senders' certificates must come from; left out: senders need none."
    )
    allow: list[Network] = Field(
        [], description="Networks that may send; needed unless only this machine can reach it."
    )
    max_message_kib: int = Field(64, ge=2, le=1024, description="Longer messages are cut and counted.")
    max_connections: int = Field(100, ge=1, le=10_000, description="Senders at once, for tcp and tls.")
    max_spool_mib: int = Field(
        1024, ge=8, description="Most that waits on disk; then tcp and tls senders wait and udp is lost and reported."
    )
    silent_after_s: SilentAfter = None

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Syslog:
        refuse(contradictions.of_syslog(self, isinstance(info.context, Ground)))
        return self


class Drop(Section):
    """Where signed bundles from closed networks are put down."""

    folder: Folder = Field(
        description="Folder that is looked at; used bundles move to `imported/` or `refused/` in it."
    )
    keys: list[ReadableFile] = Field(min_length=1, description="Public keys of those who may sign bundles.")
    source: SourceId = Field(AUTO, description="Source of the logs in it; `auto` recognises each by its content.")
    max_bundle_mib: int = Field(1024, ge=1, description="Larger bundles are refused, unpacked size included.")


class Vault(Section):
    """Where tokens can be turned back by people who hold the keys together."""

    recipients: Annotated[list[AgeKey], AfterValidator(no_twice)] = Field(
        min_length=2,
        description="age recipients; all of their keys are needed to open what is kept, so give at least two.",
    )
    file: FreePath | None = Field(None, description="Where it is kept; left out: `vault` in the state folder.")
    topic: Topic = Field("sekimori-vault", description="Topic that gets a copy.")


class Config(Section):
    """`collector.toml` as a whole."""

    agent: Agent
    kafka: Kafka
    wire: Wire = Wire()
    metrics: Metrics = Metrics()
    log: Log = Log()
    files: list[Files] = Field([])
    syslog: list[Syslog] = Field([])
    drop: Drop | None = None
    vault: Vault | None = None
    _sources: tuple[Source, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        refuse(contradictions.between_tables(self))
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """Declared sources, in the order in which content is recognised: the agent's own, then the ones that ship."""
        return self._sources

    def source(self, name: str) -> Source | None:
        """The source of that id; `None` for `auto`.

        Raises:
            KeyError: There is none.
        """
        if name == AUTO:
            return None
        return {source.id: source for source in self._sources}[name]

    @property
    def source_ids(self) -> tuple[str, ...]:
        """Sources that options name, sorted, `auto` among them: all values a label `source` may have before recognition."""
        named = {files.source for files in self.files} | {syslog.source for syslog in self.syslog}
        return tuple(sorted(named | ({self.drop.source} if self.drop else set())))

    @property
    def silent_after_s(self) -> dict[str, int]:
        """By place in the file (`files.1`, `syslog.2`, counted from 1): seconds after which its silence is a problem."""
        declared_s = {f"files.{number}": files.silent_after_s for number, files in enumerate(self.files, 1)}
        declared_s |= {f"syslog.{number}": syslog.silent_after_s for number, syslog in enumerate(self.syslog, 1)}
        return {place: after_s for place, after_s in declared_s.items() if after_s is not None}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all options and source declarations, defaults included. Secrets are named by file, so none is in it."""
        sources = [source.model_dump(mode="json") for source in self._sources]
        return settings.digest({"options": self.model_dump(mode="json"), "sources": sources})


def load(path: Path) -> Config:
    """Read and check a `collector.toml`, and look whether what it names is there.

    Raises:
        ConfigError: As `settings.read`, `settings.values` and `settings.checked` do.
    """
    return parse(settings.read(path, "the agent's collector.toml"), path.absolute().parent)


def parse(text: str, folder: Path) -> Config:
    """Check the text of a `collector.toml` that lies in `folder`.

    Raises:
        ConfigError: As `load` does.
    """
    values = settings.values(text)
    problems, sources = _sources(values, folder)
    ground = Ground(folder, frozenset(source.id for source in sources))
    config = settings.checked(Config, values, ground, problems)
    config._sources = sources
    return config


def _sources(values: dict[str, Any], folder: Path) -> tuple[list[str], tuple[Source, ...]]:
    """Problems of source files, and the sources there are; read before the options so that these can be compared."""
    shipped = declared.shipped()
    agent = values.get("agent")
    own = agent.get("sources") if isinstance(agent, dict) else None
    if not isinstance(own, str) or not os.path.isdir(folder / own):
        return [], shipped
    try:
        found = declared.load([folder / own])
    except SourceError as error:
        return [one_line(f"agent.sources: {problem}") for problem in error.problems], shipped
    taken = {source.id for source in found}
    return [], (*found, *(source for source in shipped if source.id not in taken))
