"""The site folder as a value: configuration and registers, loaded once and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from contract.event import ACTIONS, AUTH_METHODS
from registers import config as site_toml
from registers.config import ConfigError, SiteConfig
from registers.register import REGISTERS, Loaded, read
from registers.text import did_you_mean
from registers.tokens import KeyFileError, SiteKey, subject_tokens

_CONFIG_FILE = "site.toml"


class SiteError(ValueError):
    """The site folder cannot be used.

    Attributes:
        problems: All of them, one line each: file, place, what is wrong, what to do.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Site:
    """What an organisation declares about itself.

    Attributes:
        config: `site.toml`; defaults where there is none.
        tables: All registers by name (`register.REGISTERS`), typed, empty where missing. Columns as in the contract, except that
            `subject_id` and `household_id` are `subject.token` and `household.token`, and all moments are Int64 UTC ms with open
            ends null. In `bases`, `presence` and `work_orders` the row's own times decide (`opened`–`closed`, `from`–`to`,
            `window_from`–`window_to`); their validity only says when the row stood in the register. `ledger` has also
            `target.token`: filled where its target is a person on file.
        missing: What is not there: `staff` for a file, `staff.area` for a column, `site.toml`.
        problems: What was refused while the rest was used, one line each.
        notes: What the operator should know though nothing was refused, one line each: what the contract does not know
            and was ignored or kept, no site.toml, a short key.
        version: SHA-256 (hex) over all content and the key's fingerprint.
        key: The site's key, if there is one.
    """

    config: SiteConfig
    tables: Mapping[str, pl.DataFrame]
    missing: frozenset[str]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    version: str
    key: SiteKey | None

    @staticmethod
    def none(key: SiteKey | None = None) -> Site:
        """No site at all: everything is missing."""
        tables = {
            name: _with_target_tokens(name, pl.DataFrame(schema=r.schema()), None, False)
            for name, r in REGISTERS.items()
        }
        missing = frozenset((*REGISTERS, _CONFIG_FILE))
        return Site(site_toml.DEFAULT, MappingProxyType(tables), missing, (), (), _version({}, key), key)

    def has(self, register: str, *columns: str) -> bool:
        """Whether a register is there, with all of these columns (names as in the contract)."""
        return not self.missing & {register, *(f"{register}.{column}" for column in columns)}


def load(folder: Path, fallback_key: SiteKey | None = None) -> Site:
    """Load a site folder.

    Args:
        folder: With `site.toml` and the registers; both may be incomplete.
        fallback_key: Used where the site declares no key, or its key file cannot be used.

    Raises:
        SiteError: The folder is not there or `site.toml` is wrong; with all problems of the folder, not only these.
    """
    try:
        listing = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SiteError([f"{folder}: cannot be read ({reason}): give the folder that holds {_CONFIG_FILE}"]) from None
    contents, unreadable = _contents(folder)
    config, fatal = _config(contents.get(_CONFIG_FILE))
    problems = [*fatal, *unreadable]
    key, key_problems = _key(folder, config, fallback_key, contents)
    missing = {
        name for name in (_CONFIG_FILE, *REGISTERS) if (name if name == _CONFIG_FILE else f"{name}.csv") not in contents
    }
    loaded: dict[str, Loaded] = {
        name: read(contents[f"{name}.csv"], register, config.time_zone, key, config.subjects_are_tokens)
        for name, register in REGISTERS.items()
        if name not in missing
    }
    problems += key_problems
    tables = {}
    notes = _stray_files(listing)
    if _CONFIG_FILE in missing:
        notes.append(f"{_CONFIG_FILE}: not there: nothing but the registers is known of this organisation")
    if config.keys.site is not None and key is not None and key.is_short:
        notes.append(f"{config.keys.site}: key is short enough to be guessed, used: plan a change to 32 bytes")
    for name, register in REGISTERS.items():
        table = loaded[name].table if name in loaded else pl.DataFrame(schema=register.schema())
        tables[name] = _with_target_tokens(name, table, key, config.subjects_are_tokens)
        if name in loaded:
            missing |= {f"{name}.{column}" for column in loaded[name].missing} | (
                set() if loaded[name].usable else {name}
            )
            problems += [f"{name}.csv: {problem}" for problem in loaded[name].problems]
            notes += [f"{name}.csv: {note}" for note in loaded[name].notes]
    if fatal:
        raise SiteError(problems)
    tables["ledger"] = _hide_people(tables)
    notes += _config_notes(config, tables)
    version = _version(contents, key)
    return Site(config, MappingProxyType(tables), frozenset(missing), tuple(problems), tuple(notes), version, key)


def _contents(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """Bytes of the files of the contract that are there, and problems."""
    contents: dict[str, bytes] = {}
    problems = []
    for name in (_CONFIG_FILE, *(f"{register}.csv" for register in REGISTERS)):
        try:
            contents[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{name}: cannot be read ({error.strerror}): counts as missing; check its permissions")
    return contents, problems


def _config(data: bytes | None) -> tuple[SiteConfig, list[str]]:
    """The configuration, or the defaults and what is wrong with it."""
    if data is None:
        return site_toml.DEFAULT, []
    try:
        return site_toml.parse(data.decode("utf-8-sig")), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return site_toml.DEFAULT, [f"{_CONFIG_FILE}: line {line}: is not UTF-8: save it as UTF-8"]
    except ConfigError as error:
        return site_toml.DEFAULT, [f"{_CONFIG_FILE}: {problem}" for problem in error.problems]


def _key(
    folder: Path, config: SiteConfig, fallback: SiteKey | None, contents: Mapping[str, bytes]
) -> tuple[SiteKey | None, list[str]]:
    problems = []
    key = fallback
    if config.keys.site is not None:
        try:
            key = SiteKey.read(folder / config.keys.site)
        except KeyFileError as error:
            instead = "the key given otherwise is used" if fallback else "there is no other"
            problems.append(f"{_CONFIG_FILE}: keys.site: {error}; {instead}")
    people = [f"{name}.csv" for name, register in REGISTERS.items() if "subject_id" in register.columns]
    if key is None and not config.subjects_are_tokens and (there := [name for name in people if name in contents]):
        problems.append(
            f"{_CONFIG_FILE}: keys.site: without a key ids of people on file cannot be tokenised: they are left out of {', '.join(there)}"
        )
    return key, problems


def _config_notes(config: SiteConfig, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Words of `site.toml` that will never match anything, because neither the contract nor the site has them elsewhere."""
    offices = [*(office.id for office in config.offices), *_words(tables["devices"], "office")]
    departments = [*config.departments, *_words(tables["staff"], "dept")]
    checked: list[tuple[str, str, list[str]]] = []
    for name, system in config.systems.items():
        where = f"systems.{name}"
        checked += [(f"{where}.auth", system.auth, list(AUTH_METHODS))] if system.auth else []
        checked += [(f"{where}.prohibited", action, list(ACTIONS)) for action in system.prohibited or ()]
        if departments:
            checked += [(f"{where}.departments", dept, departments) for dept in system.departments or ()]
    for way in config.travel if offices else ():
        checked += [("travel.between", office, offices) for office in way.between]
    for emergency in config.emergencies if config.systems else ():
        checked += [("emergencies.systems", system, list(config.systems)) for system in emergency.systems or ()]
    return [
        f"{_CONFIG_FILE}: {where}: {word!r} is known nowhere else, kept{did_you_mean(word, known)}"
        for where, word, known in dict.fromkeys((where, word, tuple(known)) for where, word, known in checked)
        if word not in known
    ]


def _words(table: pl.DataFrame, column: str) -> list[str]:
    return table.get_column(column).drop_nulls().unique().sort().to_list()


def _stray_files(listing: list[str]) -> list[str]:
    known = [f"{name}.csv" for name in REGISTERS]
    return [
        f"{name}: is not used, no register has that name{did_you_mean(name, known)}"
        for name in listing
        if name.lower().endswith((".csv", ".toml", ".tsv", ".xlsx")) and name not in (*known, _CONFIG_FILE)
    ]


def _with_target_tokens(name: str, table: pl.DataFrame, key: SiteKey | None, are_tokens: bool) -> pl.DataFrame:
    """The ledger with the token that each target would have as a person on file; other registers as they are."""
    if name != "ledger":
        return table
    target = table.get_column("target")
    if key is None:
        tokens = target if are_tokens else pl.Series([None] * table.height, dtype=pl.String)
    else:
        tokens = subject_tokens(target, key, already=are_tokens)
    return table.with_columns(tokens.alias("target.token"))


def _hide_people(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The ledger with targets that are people on file shown as tokens: raw ids go no further than this module."""
    people = pl.concat(
        [table.get_column("subject.token") for table in tables.values() if "subject.token" in table.columns]
    )
    known = pl.col("target.token").is_in(people.drop_nulls().unique().to_list())
    shown = pl.when(known).then("target.token").otherwise("target")
    return tables["ledger"].with_columns(target=shown, **{"target.token": pl.when(known).then("target.token")})


def _version(contents: Mapping[str, bytes], key: SiteKey | None) -> str:
    digest = hashlib.sha256()
    for name in sorted(contents):
        for part in (name.encode(), contents[name]):
            digest.update(len(part).to_bytes(8, "big") + part)
    digest.update(key.fingerprint.encode() if key else b"")
    return digest.hexdigest()
