"""`detector.toml`: what one detector reads, what it decides with, and where it says what it found.

Every option has a type, a default (or must be given), a unit in its name and a sentence, from which
`docs/configuration-detector.md` is made. Relative paths start at the folder of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from contract import topics as known
from detector.archive.signing import Signer, SigningKeyError
from detector.archive.store import StoreError, opened
from detector.channels.settings import Alertmanager, Notify, Webhook, names_problem
from service import settings
from service.options import (
    Folder,
    Ground,
    Name,
    PrivateFile,
    ReadableFile,
    SiteKeyFile,
    Topic,
    WritableFolder,
    no_twice,
)
from service.private import read_private
from service.settings import Log, Metrics, Section, refuse


class Detector(Section):
    """The detector itself: its name, what it decides with, and the folder where it keeps what it decided with before."""

    id: Name = Field(description="Name of this detector, for Kafka's logs and quotas.")
    state_dir: WritableFolder = Field(
        description="Folder for copies of site, rules and model by hash; made if missing. Holds what they hold: keep it closed."
    )
    site: Folder | None = Field(None, description="The site folder; left out: only what needs no register is checked.")
    site_key: SiteKeyFile | None = Field(None, description="The site's secret, where the site folder does not hold it.")
    rules: Folder | None = Field(None, description="Folder of rules; left out: those that ship.")
    model: ReadableFile | None = Field(
        None, description="Model to score sessions with, as `sekimori analyze --save-model` writes it; left out: rules only."
    )  # fmt: skip
    baseline: ReadableFile | None = Field(
        None, description="How often each rule hits here; left out: the file beside the model, if there is one."
    )
    lateness_s: int = Field(
        300, ge=0, le=86_400, description="How much later than others an event may arrive and still be in order."
    )
    heartbeat_s: int = Field(
        600, ge=60, le=86_400, description="An agent silent for so long, while it could be heard, is not waited for any longer, until it speaks again."
    )  # fmt: skip
    sealed_agents: Annotated[list[Name], AfterValidator(no_twice)] = Field(
        [],
        description=(
            "Agents that seal what they send, those that relay for others too: an event that names one of them is refused unless "
            "one of them sealed its record."
        ),
    )
    drain_s: int = Field(
        8,
        ge=0,
        le=600,
        description="How long a stop waits for Kafka; what is not acknowledged is sent at the next start.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Detector:
        if self.baseline is not None and self.model is None:
            refuse(["baseline: means nothing without a model: give detector.model, or leave it out"])
        return self


class Kafka(settings.Kafka):
    """How to reach Kafka, and with whom the partitions are shared."""

    group: Topic = Field(
        "sekimori-detect", description="Consumer group; detectors of one group share the partitions among them."
    )
    session_timeout_s: int = Field(
        30, ge=1, le=1800, description="A detector that is silent for so long loses its partitions to others."
    )
    fetch_kib: int = Field(
        1024, ge=64, le=65_536, description="Most that is fetched of a partition at a time, as compressed on the wire."
    )
    decoded_mib: int = Field(
        64, ge=2, le=4096, description="A fetched batch that unpacks to more is refused, unread, and told as a dead letter."
    )  # fmt: skip


class Topics(Section):
    """Names of the topics; the same for every detector of a group."""

    events: Topic = Field(known.EVENTS.name, description="What agents write.")
    state: Topic = Field(known.STATE.name, description="The state log.")
    correlate: Topic = Field(known.CORRELATE.name, description="Input of stage two.")
    findings: Topic = Field(known.FINDINGS.name, description="What was found.")
    notices: Topic = Field(known.NOTICES.name, description="Who is to be told what.")
    decisions: Topic = Field(
        known.DECISIONS.name, description="What people decided about findings; may be missing until somebody does."
    )
    dead_letters: Topic = Field(known.DEAD_LETTERS.name, description="What could not be read, masked, with the reason.")

    @model_validator(mode="after")
    def _consistent(self) -> Topics:
        refuse(self._twice())
        return self

    def _twice(self) -> Iterator[str]:
        taken: dict[str, str] = {}
        for option in type(self).model_fields:
            name = getattr(self, option)
            if (first := taken.setdefault(name, option)) != option:
                yield f"{option}: {name!r} is the topic of {first}: give each its own"


def _place(value: str, info: ValidationInfo) -> str:
    if "://" in value or not isinstance(info.context, Ground):
        return value
    return str(info.context.folder / value)


class Archive(Section):
    """Where the records are kept as they came, in segments under signed digests (docs/operations/archive.md)."""

    folder: Annotated[str, Field(min_length=1), AfterValidator(_place)] = Field(
        description="Local folder, made if missing, or the URL of an object store such as `s3://bucket/folder`; the same for "
        "every detector of a group."
    )
    key: PrivateFile = Field(description="Signs the digests; `sekimori keys archive` makes it.")
    segment_s: int = Field(300, ge=1, le=3600, description="How long a segment is open; a restart reads so much again.")

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Archive:
        if isinstance(info.context, Ground):
            refuse(self._unusable())
        return self

    def _unusable(self) -> Iterator[str]:
        try:
            Signer(read_private(self.key))
        except SigningKeyError as error:
            yield f"key: {self.key}: {error}"
        try:
            opened(self.folder)
        except StoreError as error:
            yield f"folder: {error}"


class Limits(Section):
    """How much is worked on at a time, and how often the state is written down whole."""

    turn_records: int = Field(500, ge=1, le=100_000, description="Most records of a partition in one turn.")
    turn_mib: int = Field(
        32, ge=1, le=1024, description="Bytes of a partition from which a turn takes no more records."
    )
    turn_s: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds for which the records of a partition are gathered for one turn, unless they are many.",
    )
    snapshot_s: int = Field(
        300,
        ge=1,
        le=86_400,
        description="How often the state is written down whole; a restart replays what came after.",
    )
    stuck_after_s: int = Field(
        20, ge=2, le=3600, description="A partition that has more and gives nothing for so long gets a new consumer."
    )


class Config(Section):
    """`detector.toml` as a whole."""

    detector: Detector
    kafka: Kafka
    topics: Topics = Topics()
    limits: Limits = Limits()
    metrics: Metrics = Metrics(port=9766)
    log: Log = Log()
    archive: Archive | None = None
    alertmanager: Alertmanager | None = None
    webhooks: list[Webhook] = Field([])
    notify: list[Notify] = Field([])

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        problem = names_problem(self.webhooks, self.notify)
        refuse([f"webhooks: names of channels: {problem}"] if problem else ())
        return self

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all options, defaults included. Secrets are named by file, so none is in it."""
        return settings.digest(self.model_dump(mode="json"))


def load(path: Path) -> Config:
    """Read and check a `detector.toml`, and look whether what it names is there.

    Raises:
        ConfigError: As `settings.read`, `settings.values` and `settings.checked` do.
    """
    return parse(settings.read(path, "the detector's detector.toml"), path.absolute().parent)


def parse(text: str, folder: Path) -> Config:
    """Check the text of a `detector.toml` that lies in `folder`.

    Raises:
        ConfigError: As `load` does.
    """
    return settings.checked(Config, settings.values(text), Ground(folder))
