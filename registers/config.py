"""`site.toml`: what an organisation says about itself besides its registers.

Everything may be left out; what is left out stays `None` (or empty) and is not guessed, except the time zone.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Annotated, Any, Final, get_args

import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from registers.dates import check_time_zone, moments
from registers.text import did_you_mean, normalise


class ConfigError(ValueError):
    """A configuration file with problems, all of them.

    Attributes:
        problems: One line each: key, what is wrong, what to do.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def _text_of_toml_time(value: object) -> object:
    """TOML has dates and times without quotes; both ways of writing mean the same."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date | time) else value


def _moment(value: str) -> str:
    if moments(pl.Series([value]), "UTC").item() is None:
        raise ValueError(f"{value!r} is no date: write 2026-04-01, 2026-04-01 08:30 or R8.4.1")
    return value


def _clock(value: str) -> str:
    found = re.fullmatch(r"(\d{1,2}):(\d\d)(?::00)?", value)
    if not found or int(found[1]) > 29 or int(found[2]) > 59:
        raise ValueError(f"{value!r} is no time of day: write 08:30")
    return f"{int(found[1]):02}:{found[2]}"


def _time_zone(value: str) -> str:
    check_time_zone(value)
    return value


def _word(value: str) -> str:
    text: str | None = pl.select(normalise(pl.lit(value))).item()
    if text is None:
        raise ValueError("is empty: fill it in or remove the key")
    return text


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no network: write 10.11.0.0/16") from None


def _country(value: str) -> str:
    # Imported here because it takes a third of a second and most commands load no site.
    import holidays

    if value not in (countries := holidays.list_supported_countries()):
        raise ValueError(f"{value!r} is no country: use an ISO code such as JP{did_you_mean(value, countries)}")
    return value


Moment = Annotated[str, BeforeValidator(_text_of_toml_time), AfterValidator(_moment)]
Clock = Annotated[str, BeforeValidator(_text_of_toml_time), AfterValidator(_clock)]
Count = Annotated[int, Field(ge=0)]
# What is compared with registers and events, in the form that these get on loading.
Word = Annotated[str, AfterValidator(_word)]
Words = list[Word]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class OfficeHours(_Section):
    """When the office is open, wall clock; `to` is the first moment it is not."""

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")

    @property
    def from_min(self) -> int:
        """Minutes since midnight."""
        return _minutes(self.start)

    @property
    def to_min(self) -> int:
        """Minutes since midnight; over 1440 where the day ends after midnight."""
        return _minutes(self.end)


class Holidays(_Section):
    """Days off: national holidays and weekends of a country, and further dates."""

    country: Annotated[str, AfterValidator(_country)] | None = None
    local: list[Moment] = []


class Limits(_Section):
    """The organisation's own rules. `None`: it has not said so."""

    export_rows_needing_approval: Count | None = None
    idle_min: Count | None = None
    heartbeat_s: Count | None = None
    handover_days: Count | None = None
    grace_days: Count | None = None
    dormant_days: Count | None = None
    inquiry_items: Words | None = None


class Keys(_Section):
    """Where keys lie, relative to the site folder."""

    site: str | None = None


class Emergency(_Section):
    """A declared emergency. Without `systems` it concerns every system; without `to` it still goes on."""

    name: str = ""
    start: Moment = Field(alias="from")
    end: Moment | None = Field(default=None, alias="to")
    systems: Words | None = None


class Contractor(_Section):
    """A company that works for the organisation."""

    company: Word
    approved: bool | None = None
    approved_on: Moment | None = None
    application_ref: str | None = None
    systems: Words | None = None
    subcontractor_of: Word | None = None
    max_handlers: Count | None = None


class Office(_Section):
    """A building, and the network in it."""

    id: Word
    name: str = ""
    network: Annotated[str, AfterValidator(_network)] | None = None


class Travel(_Section):
    """Shortest way between two offices, in minutes."""

    between: Annotated[Words, Field(min_length=2, max_length=2)]
    minutes: Count


class System(_Section):
    """A business system and what its impact assessment says about it. `None`: not declared."""

    name: str = ""
    pia: Word | None = None
    auth: Word | None = None
    sources: Words | None = None
    departments: Words | None = None
    inquiry_items: Words | None = None
    provision_items: Words | None = None
    prohibited: Words | None = None
    import_from: Words | None = None


class SiteConfig(_Section):
    """`site.toml` as a whole; column by column in the contract of the site folder."""

    name: str = ""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Asia/Tokyo"
    subjects_are_tokens: bool = False
    office_hours: OfficeHours | None = None
    holidays: Holidays | None = None
    limits: Limits = Limits()
    keys: Keys = Keys()
    emergencies: list[Emergency] = []
    contractors: list[Contractor] = []
    offices: list[Office] = []
    travel: list[Travel] = []
    systems: dict[Word, System] = {}
    departments: dict[Word, str] = {}

    def moment(self, text: str | None, end_of_day: bool = False) -> int | None:
        """UTC milliseconds of a date or moment of this file, in the site's zone; `end_of_day`: a date means its last one."""
        found: int | None = moments(pl.Series([text], dtype=pl.String), self.time_zone, (), end_of_day).item()
        return found


def parse(text: str) -> SiteConfig:
    """Read the text of a `site.toml`.

    Raises:
        ConfigError: With one line for each problem in it.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"is no valid TOML: {error}"]) from None
    try:
        config = SiteConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, SiteConfig)) from None
    if backwards := list(_backwards(config)):
        raise ConfigError(backwards)
    return config


def _backwards(config: SiteConfig) -> Iterator[str]:
    for place, emergency in enumerate(config.emergencies, start=1):
        end = config.moment(emergency.end, end_of_day=True)
        if end is not None and end < (config.moment(emergency.start) or end):
            yield f"emergencies.{place}.to: {emergency.end!r} lies before from {emergency.start!r}"
    if config.office_hours and config.office_hours.to_min <= config.office_hours.from_min:
        yield f"office_hours.to: {config.office_hours.end!r} is not after from {config.office_hours.start!r}"


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Say what pydantic found in an operator's words, one line for each problem, in the order of the file.

    Args:
        error: What `model.model_validate` raised.
        model: That model; its keys are what an unknown key is compared with.

    Returns:
        Lines such as `limits.idle_mins: unknown key, did you mean "idle_min"?`.
    """
    lines = []
    for problem in error.errors():
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in _path(problem["loc"]))
        if problem["type"] == "extra_forbidden":
            known = _known_keys(model, problem["loc"][:-1])
            lines.append(f"{where}: unknown key{did_you_mean(str(problem['loc'][-1]), known) or ', remove it'}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing, add it")
        elif problem["type"] == "value_error":
            lines.append(f"{where}: {problem['ctx']['error']}")
        elif problem["type"] in ("model_type", "dict_type"):
            lines.append(f"{where}: must be a table of keys, got {problem['input']!r}")
        else:
            lines.append(f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}")
    return lines


def _path(location: tuple[int | str, ...]) -> list[int | str]:
    """Location without the marks that pydantic adds for members of a union."""
    return [part for part in location if isinstance(part, int) or not re.fullmatch(r"[\w-]+\[.*\]", part)]


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at a location, following lists and tables of sections."""
    section: type[BaseModel] | None = model
    for part in location:
        if section is None or isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if part in fields:
            section = _section_in(fields[part].annotation)
    return [] if section is None else [field.alias or name for name, field in section.model_fields.items()]


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


DEFAULT: Final = SiteConfig()
