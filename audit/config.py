"""`audit.toml`: where findings and registers are, where cases are kept, and how soon something has to be done.

Every option has a type, a default (or must be given), a unit in its name and a sentence, from which
`docs/configuration-audit.md` is made. Relative paths start at the folder of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema

from audit import cases
from audit.database import engine
from contract import topics as known
from service import settings
from service.options import Folder, FreePath, Ground, SiteKeyFile, Topic
from service.settings import Kafka, Section

_HOUR_MS = 3_600_000


def _database(value: str, info: ValidationInfo) -> str:
    folder = info.context.folder if isinstance(info.context, Ground) else Path()
    return engine.address(value, folder)


Database = Annotated[
    str,
    Field(validate_default=True),
    AfterValidator(_database),
    WithJsonSchema({"type": "string", "format": "address"}),
]


class Audit(Section):
    """What is looked into, and where it is kept what people did about it."""

    site: Folder = Field(description="The site folder.")
    site_key: SiteKeyFile | None = Field(None, description="The site's secret, where the site folder does not hold it.")
    results: Folder = Field(
        description="What was found: the folder that `sekimori analyze` wrote, or the tables of `sekimori archive tables`."
    )
    database: Database = Field(
        "sqlite:///audit.db",
        description="Cases, decisions, runs and sign-offs: a SQLite file, or `postgresql://user@host/name`; made if it is not there.",
    )


class Deadlines(Section):
    """How soon something has to be done; what is late is shown in lists and reports."""

    look_alert_h: int = Field(24, ge=1, le=8760, description="From an alert to the first that somebody does about it.")
    look_review_days: int = Field(7, ge=1, le=366, description="The same, for what waits for review.")
    decide_days: int = Field(30, ge=1, le=366, description="From a finding to the closing of its case.")
    explanation_days: int = Field(
        10, ge=1, le=366, description="How long somebody has to explain, unless told otherwise."
    )

    @property
    def limits(self) -> cases.Deadlines:
        """The same as the core takes it."""
        look = {"alert": self.look_alert_h * _HOUR_MS, "review": self.look_review_days * cases.DAY_MS}
        return cases.Deadlines(look, self.decide_days * cases.DAY_MS)


class Reports(Section):
    """The report of a month, and what it rests on."""

    folder: FreePath = Field(
        Path("reports"),
        validate_default=True,
        description="Where reports are written, a folder each; made if it is not there.",
    )
    analyse_every_days: int = Field(
        31, ge=1, le=366, description="How far apart analyses may be; one that is overdue stands in the report."
    )
    archive: str | None = Field(
        None,
        description="The detectors' archive, a folder or an address of an object store: it is verified for the report.",
    )
    archive_keys: list[FreePath] = Field(
        [],
        description="Public keys of who signs the archive's digests (`*.pub`), and seal keys of the agents: files or folders.",
    )


class Topics(Section):
    """Names of the topics; as the detectors have them."""

    decisions: Topic = Field(known.DECISIONS.name, description="Where detectors learn what people decided.")


class Config(Section):
    """An `audit.toml`."""

    audit: Audit
    deadlines: Deadlines = Deadlines()
    report: Reports = Reports()
    kafka: Kafka | None = None
    topics: Topics = Topics()


def load(path: Path) -> Config:
    """Read and check an `audit.toml`, and look whether what it names is there.

    Raises:
        ConfigError: As `settings.read`, `settings.values` and `settings.checked` do.
    """
    return parse(settings.read(path, "an audit.toml"), path.absolute().parent)


def parse(text: str, folder: Path) -> Config:
    """Check the text of an `audit.toml` that lies in `folder`.

    Raises:
        ConfigError: As `load` does.
    """
    return settings.checked(Config, settings.values(text), Ground(folder))
