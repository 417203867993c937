"""Log sources are declared, not coded: one TOML per source.

A source says how its lines look (format, encoding, time), which column becomes which key of the event and what the
system's own words mean. The ready-made ones are in `collector/sources/`; an office adds its own beside them.

    id = "welfare-ops"                     # becomes source.id
    description = "生活保護システム 操作ログ"
    format = "delimited"                   # see FORMATS
    time = ["日付", "時刻"]                 # columns; several are joined by a blank
    required = ["actor.id", "event.action"]

    [columns]                              # key of the event = column (a list: the first that is not empty)
    "actor.id" = "職員番号"
    "event.action" = "処理"
    "subject.token" = "宛名番号"            # raw id; tokenised because the key is a token

    [constants]
    "event.class" = "access"
    "system.id" = "welfare"

    [codes."event.action"]                 # the system's word = ours; "*" stands for every other word
    "照会" = "read"

    [recognise]
    header = ["職員番号", "宛名番号"]

What is the same for all sources: the raw line is its bytes without the line end (CR LF or LF); a quoted newline of a
delimited file belongs to the line. Generation of a file = SHA-256 (hex) of its first line; offset = where a line
starts, in bytes of the uncompressed file (a header and a byte order mark count). `event.id` follows from these.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from contract.event import BY_KEY
from registers.mask import mask_text

Format = Literal[
    "delimited",  # CSV, TSV, any one-character delimiter, RFC 4180 quotes
    "json",  # one JSON object a line
    "keyvalue",  # key=value pairs, values may be quoted
    "combined",  # Apache and nginx access log, common or combined
    "apache_error",  # Apache error log, 2.0 to 2.4
    "syslog",  # RFC 3164 (also without year) and RFC 5424; sshd, sudo and PAM are understood
    "windows_security",  # Security channel as JSON, nested or flat
    "windows_cbs",  # component servicing log
    "cef",  # ArcSight Common Event Format, with or without a syslog header
    "leef",  # QRadar Log Event Extended Format 1.0 and 2.0, likewise
    "postgresql",  # PostgreSQL's csvlog, with pgaudit's entries in it
    "oracle_syslog",  # Oracle unified audit as it is written to syslog (its CSV exports are delimited)
    "event",  # the contract's own NDJSON; ids and all keys are kept
]
# Formats that bring columns of their own: [columns] may change what becomes of them but need not say anything.
SELF_DESCRIBED: Final = ("event", "syslog", "windows_security", "windows_cbs", "apache_error", "postgresql")
# Formats that know their lines' time without a column named in `time`.
TIMED: Final = ("cef", "leef", "oracle_syslog")
TOKEN_KEYS: Final = ("subject.token", "household.token", "payee.token")
# Formats in which a quoted line break belongs to the value.
QUOTED: Final = ("delimited", "postgresql")
# What the pipeline itself writes; a source cannot.
OWN_KEYS: Final = (
    "event.id",
    "event.schema",
    "time.occurred",
    "source.id",
    "source.position",
    "raw.mac",
    "subject.step",
)
SHIPPED: Final = Path(__file__).parent / "sources"


def _words(value: Any) -> Any:
    """One word is a list of one."""
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recognise(_Model):
    """How the source is told from others by its content.

    Attributes:
        header: Column names that the header line must all hold (JSON and key=value: keys of the first lines).
        pattern: Regular expression (RE2) that at least half of the first lines match.
        name: Globs on the file name, one of which must match; for sources that differ in nothing else.
    """

    header: Words = ()
    pattern: str = ""
    name: Words = ()


class Ids(_Model):
    """How ids are written.

    Attributes:
        strip_zeros: Keys whose leading zeros mean nothing (`00123` is `123`).
        tokens: Keys whose values are tokens already and stay as they are.
    """

    strip_zeros: Words = ()
    tokens: Words = ()


class Source(_Model):
    """One log source, as its TOML declares it.

    Attributes:
        id: Becomes `source.id`; part of every `event.id`, so renaming it renames the events.
        description: One line for people.
        format: How a line is cut into columns.
        encoding: `auto` tells UTF-8 (with or without BOM), CP932 and EUC-JP apart, file by file.
        delimiter, quote: Of delimited text; `quote` may be empty.
        header: Whether the first line of delimited text names the columns; if not, `names` does.
        names: Names of the columns where no header does.
        record_start: Regular expression (RE2) of a line that begins a record; the lines up to the next one belong to it, at
            most 100 in all. Empty: every line is a record. Quotes of delimited text then hold no lines together.
        pair_separator, assign: Of key=value text.
        time: Column of `time.occurred`; several are joined by a blank.
        received: Column of `time.received`, likewise.
        time_formats: strptime formats tried first, or `epoch`, `epoch_ms`; ISO, slashes, compact and wareki need none.
        time_zone: IANA name, for stamps that carry no zone; empty: the site's.
        assume_year: Year of a file's first stamp where stamps carry none; else the caller's, else 2000.
        empty: Words that mean "no value".
        required: Keys without which a record is refused.
        columns: Key of the event = column (or columns, the first non-empty one counts). A JSON column that starts
            with `/` is a JSON pointer (RFC 6901).
        constants: Key of the event = value; columns win over constants where they have a value.
        codes: Key = table from the system's word to ours; `*` is every other word.
        ids: How ids are written.
        recognise: How the source is told from others.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    format: Format
    encoding: Literal["auto", "utf-8", "cp932", "euc_jp"] = "auto"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    header: bool = True
    names: Words = ()
    record_start: str = ""
    pair_separator: str = Field(default=" ", min_length=1, max_length=1)
    assign: str = Field(default="=", min_length=1, max_length=1)
    time: Words = ()
    received: Words = ()
    time_formats: Words = ()
    time_zone: str = ""
    assume_year: int | None = Field(default=None, ge=1970, le=9999)
    empty: Words = ("-",)
    required: Words = ()
    columns: dict[str, Words] = {}
    constants: dict[str, str | int | bool] = {}
    codes: dict[str, dict[str, str]] = {}
    ids: Ids = Ids()
    recognise: Recognise = Recognise()

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        found = [*_unknown_keys(self), *_bad_values(self), *_missing(self)]
        if found:
            raise ValueError("\n".join(found))
        return self


def _unknown_keys(source: Source) -> list[str]:
    named: dict[str, Iterable[str]] = {
        "columns": source.columns, "constants": source.constants, "codes": source.codes,
        "required": source.required, "ids.strip_zeros": source.ids.strip_zeros, "ids.tokens": source.ids.tokens,
    }  # fmt: skip
    found = []
    for place, keys in named.items():
        for key in keys:
            if key not in BY_KEY:
                found.append(f"{place}: {key!r} is no key of an event{did_you_mean(key, BY_KEY)}")
            elif key in OWN_KEYS and place in ("columns", "constants", "codes"):
                hint = "; name its columns in `time`" if key == "time.occurred" else ""
                found.append(f"{place}: {key!r} is written by the collector itself, leave it out{hint}")
    return found


def _bad_values(source: Source) -> list[str]:
    found = []
    if mask_text(source.id) != source.id:
        found.append("id: reads as a My Number, and it would stand in every event and metric: give another name")
    for key, value in source.constants.items():
        field = BY_KEY.get(key)
        if field is None:
            continue
        if {"str": str, "int": int, "bool": bool}[field.kind] is not type(value):
            found.append(f"constants: {key} should be of type {field.kind}, got {value!r}")
        elif field.values and value not in field.values:
            found.append(f"constants: {key} should be one of {', '.join(field.values)}, got {value!r}")
    for key, table in source.codes.items():
        allowed = BY_KEY[key].values if key in BY_KEY else ()
        for word in table.values():
            if allowed and word and word not in allowed:
                found.append(f"codes.{key}: {word!r} is not one of {', '.join(allowed)}{did_you_mean(word, allowed)}")
        if key not in source.columns and source.format not in (*SELF_DESCRIBED, "combined"):
            found.append(f"codes.{key}: no column is declared for this key in [columns]")
    if source.time_zone:
        try:
            ZoneInfo(source.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            found.append(f"time_zone: {source.time_zone!r} is no IANA time zone")
    pointers = sorted({name for names in source.columns.values() for name in names if name.startswith("/")})
    for inner in pointers if source.format == "json" else ():
        found += [
            f"columns: {inner!r} cannot be a value and hold {p!r} too" for p in pointers if p.startswith(f"{inner}/")
        ]
    return [*found, *_bad_shape(source)]


def _bad_shape(source: Source) -> list[str]:
    """What is wrong with how lines are told apart and cut."""
    found = []
    for key, pattern in (("recognise.pattern", source.recognise.pattern), ("record_start", source.record_start)):
        try:
            # Polars' own engine has the last word: it knows neither look-around nor back-references.
            pl.Series([""]).str.contains(pattern)
        except pl.exceptions.ComputeError as error:
            reason = str(error).partition("error: ")[2].split("\n\n")[0].splitlines()[-1].removeprefix("error: ")
            found.append(f"{key}: is no regular expression of RE2: {reason}")
    if source.record_start and source.format in ("event", "postgresql"):
        found.append(f"record_start: the format {source.format} knows itself where a record begins, leave it out")
    twice = sorted({name for name in source.names if source.names.count(name) > 1})
    if twice:
        found.append(f"names: {', '.join(map(repr, twice))} stands there twice: give every column a name of its own")
    if source.delimiter in (source.quote, "\n", "\r", "\0"):
        found.append(f"delimiter: {source.delimiter!r} cannot part columns: give another sign")
    return found


def _missing(source: Source) -> list[str]:
    found: list[str] = []
    if source.format in (*SELF_DESCRIBED, "combined"):
        return found
    if not source.time and source.format not in TIMED:
        found.append("time: say which column holds the time")
    if "event.class" not in source.columns and "event.class" not in source.constants:
        found.append('event.class: give it a column or a constant, e.g. [constants] "event.class" = "access"')
    if source.format == "delimited" and not source.header and not source.names:
        found.append("names: needed because header = false")
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "…"?`, or nothing where no known word is close."""
    close = get_close_matches(word, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""


class SourceError(ValueError):
    """Sources could not be loaded. `problems` holds one line each: file, key, what is wrong, what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Loaded:
    source: Source | None
    problems: tuple[str, ...]


def _load_one(path: Path) -> _Loaded:
    try:
        source = Source.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        return _Loaded(None, (f"{path}: cannot be read ({error.strerror}): give a TOML file that declares a source",))
    except UnicodeDecodeError as error:
        return _Loaded(None, (f"{path}: is not UTF-8 (byte {error.start}); TOML files must be",))
    except tomllib.TOMLDecodeError as error:
        return _Loaded(None, (f"{path}: is no valid TOML: {error}",))
    except ValidationError as error:
        return _Loaded(None, tuple(f"{path.name}: {line}" for line in explain(error)))
    return _Loaded(source, ())


def explain(error: ValidationError) -> list[str]:
    """One line per problem, in the operator's words, with the key in front."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            table = {"recognise": Recognise.model_fields, "ids": Ids.model_fields}.get(str(problem["loc"][0]))
            known = Source.model_fields if table is None else table
            lines.append(f"{where}: unknown key{did_you_mean(str(problem['loc'][-1]), known)}")
        elif problem["type"] == "value_error":
            lines.extend(str(problem["ctx"]["error"]).splitlines())
        else:
            lines.append(f"{where}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, got {problem['input']!r:.80}")
    return lines


def load(paths: Iterable[Path]) -> tuple[Source, ...]:
    """Read source declarations.

    Args:
        paths: TOML files, or folders whose `*.toml` are read.

    Returns:
        The sources, sorted by id.

    Raises:
        SourceError: With the problems of all files at once.
    """
    problems: list[str] = []
    found: dict[str, tuple[Source, Path]] = {}
    for path in paths:
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            loaded = _load_one(file)
            problems.extend(loaded.problems)
            if loaded.source is None:
                continue
            if loaded.source.id in found:
                problems.append(f"{file}: id: {loaded.source.id!r} is taken by {found[loaded.source.id][1]}")
            found[loaded.source.id] = (loaded.source, file)
        if path.is_dir() and not any(path.glob("*.toml")):
            problems.append(f"{path}: holds no source file (*.toml): give a folder or file that declares sources")
    if problems:
        raise SourceError(problems)
    return tuple(found[name][0] for name in sorted(found))


def shipped() -> tuple[Source, ...]:
    """The ready-made sources that come with the package, sorted by id."""
    return load([SHIPPED])
