"""One register: which columns it has, and how its CSV file becomes a table.

The names and meanings of files and columns are a contract with the organisations; this module is its executable form.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from registers.dates import moments
from registers.mask import mask_my_numbers
from registers.text import decode, did_you_mean, normalise
from registers.tokens import TOKEN_PATTERN, SiteKey, household_tokens, subject_tokens

# word: compared with something, so normalised · text: read by people, so only trimmed and masked · start, end: a moment; a date
# means its first or last millisecond · flag: 1 or 0 · int · subject, household: raw ids that become tokens
Kind = Literal["word", "text", "start", "end", "flag", "int", "subject", "household"]

Row = tuple[int, list[str]]  # line where it begins, values
Refusal = tuple[int, str]  # line, reason

_TRUE: Final = ("1", "true", "yes", "○", "〇", "有")
_FALSE: Final = ("0", "false", "no", "×", "無")
_SHOWN: Final = 20  # rows named for each kind of problem in a file; the rest is counted


@dataclass(frozen=True, slots=True)
class Register:
    """What a register may contain.

    Attributes:
        name: File name without `.csv`.
        columns: Column of the file → what stands in it; `valid_from` and `valid_to` are in every register.
        keys: Groups of columns; of each group at least one column must be there, and filled in every row.
        kinds: Column → the words the contract names for it; others are kept and noted.
        spans: Pairs of columns of which the second must not lie before the first.
    """

    name: str
    columns: dict[str, Kind]
    keys: tuple[tuple[str, ...], ...]
    kinds: dict[str, tuple[str, ...]]
    spans: tuple[tuple[str, str], ...]

    def schema(self) -> pl.Schema:
        """Schema of the loaded table: moments are Int64 UTC ms, ids of people on file are tokens."""
        return pl.Schema({table_column(column, kind): _DTYPES[kind] for column, kind in self.columns.items()})


_DTYPES: Final[dict[Kind, pl.DataType]] = {
    "word": pl.String(), "text": pl.String(), "start": pl.Int64(), "end": pl.Int64(), "flag": pl.Boolean(), "int": pl.Int64(),
    "subject": pl.String(), "household": pl.String(),
}  # fmt: skip


def table_column(column: str, kind: Kind) -> str:
    """Name in the table of a column of the file."""
    return f"{kind}.token" if kind in ("subject", "household") else column


def _register(
    name: str,
    words: str,
    keys: tuple[str, ...],
    kinds: dict[str, tuple[str, ...]] | None = None,
    spans: tuple[tuple[str, str], ...] = (),
) -> Register:
    """Declare a register: `words` are its columns, `column` (a word) or `column:kind`; a key `a|b` is a group."""
    columns: dict[str, Kind] = {}
    for word in f"{words} valid_from:start valid_to:end".split():
        column, _, kind = word.partition(":")
        columns[column] = kind or "word"  # type: ignore[assignment]  # the table below is the only caller
    groups = tuple(tuple(key.split("|")) for key in keys)
    return Register(name, columns, groups, kinds or {}, (("valid_from", "valid_to"), *spans))


_ALL: Final = (
    _register(
        "staff",
        "actor_id type company dept role start:start end:end subject_id:subject household_id:household area",
        ("actor_id",),
        {"type": ("staff", "vendor", "service")},
        (("start", "end"),),
    ),
    _register("permissions", "actor_id system function granted_by", ("actor_id", "system", "function")),
    _register(
        "assignments",
        "actor_id subject_id:subject area kind",
        ("actor_id", "subject_id|area"),
        {"kind": ("primary", "area", "cover", "handover", "project", "audit")},
    ),
    _register(
        "bases",
        "basis_ref kind subject_id:subject opened:start closed:end dept",
        ("basis_ref|subject_id",),
        {
            "kind": (
                "application", "case", "visit", "phone", "correction", "survey", "list", "bundle", "ticket", "payment day",
                "damage report", "disposal", "audit", "project",
            )
        },
        (("opened", "closed"),),
    ),
    _register(
        "presence",
        "actor_id kind from:start to:end note:text",
        ("actor_id", "kind"),
        {"kind": ("on-site", "leave", "overtime")},
        (("from", "to"),),
    ),
    _register(
        "devices",
        "device_id kind office dept serial ip actor_id",
        ("device_id|serial",),
        {"kind": ("terminal", "kiosk", "server", "media", "card", "temporary_card")},
    ),
    _register(
        "work_orders",
        "order company actor_id system window_from:start window_to:end approved_by",
        ("company|actor_id",),
        {},
        (("window_from", "window_to"),),
    ),
    _register(
        "subjects",
        "subject_id:subject household_id:household area protected:flag vip:flag expiry:end",
        ("subject_id",),
    ),
    _register("labels", "code system ja:text en:text", ("code",)),
    _register("accounts", "account system actor_id issued_by", ("account", "actor_id")),
    _register(
        "ledger",
        "kind date:start actor_id content:text target:text approved_by company destination",
        ("kind",),
        {"kind": ("use", "output", "take-out", "disposal", "contractor disposal")},
    ),
    _register(
        "counts",
        "system what value:int as_of:start",
        ("what", "value"),
        {"what": ("subjects on file", "permitted handlers", "contractor handlers")},
    ),
    _register("incidents", "date:start system serious:flag summary:text known_at:start", ("date",)),
)  # fmt: skip
REGISTERS: Final[dict[str, Register]] = {register.name: register for register in _ALL}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A register as read.

    Attributes:
        table: In `Register.schema()`, rows in the order of the file.
        usable: False if the register must count as missing.
        missing: Columns of the contract that the file does not have.
        problems, notes: One line each, without the file's name.
    """

    table: pl.DataFrame
    usable: bool
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def read(data: bytes, register: Register, time_zone: str, key: SiteKey | None, are_tokens: bool) -> Loaded:
    """Read a register's CSV file.

    Args:
        data: Bytes of the file: UTF-8 with or without byte order mark, or CP932.
        register: Which one it is.
        time_zone: Zone of moments that name none.
        key: For the tokens; without one, and if ids are no tokens yet, ids of people on file are dropped.
        are_tokens: Ids of people on file are tokens already.
    """
    try:
        header, rows, ragged, broken = _rows(_decode(data))
    except ValueError as error:
        return _unusable(register, [str(error)])
    if duplicates := sorted({column for column in header if header.count(column) > 1}):
        return _unusable(
            register,
            [f"line 1: column {', '.join(map(repr, duplicates))} stands there twice: the register is not used"],
        )
    nameless = key is None and not are_tokens
    hidden = {column for column, kind in register.columns.items() if nameless and kind in ("subject", "household")}
    missing = tuple(column for column in register.columns if column not in header or column in hidden)
    absent = [group for group in register.keys if not set(group) & set(header)]
    if absent:
        lines = [
            f"column {' or '.join(group)} missing: the register is not used; add it to the header line"
            for group in absent
        ]
        return _unusable(register, lines, _unknown_columns(header, register))
    texts = _texts(header, rows, register)
    typed = texts.with_columns(
        _typed(texts.get_column(column), kind, time_zone, key, are_tokens) for column, kind in register.columns.items()
    )
    if any(set(group) <= hidden for group in register.keys):
        return Loaded(_empty(register), False, missing, tuple(broken), _unknown_columns(header, register))
    refused = _refusals(texts, typed, register, hidden)
    problems = [*_token_problems(texts, register, are_tokens), *_summary(sorted(ragged + refused)), *broken]
    table = typed.filter(~pl.col("line").is_in(sorted({line for line, _ in refused}))).select(
        pl.col(column).alias(table_column(column, kind)).cast(_DTYPES[kind])
        for column, kind in register.columns.items()
    )
    notes = (*_unknown_columns(header, register), *_unknown_kinds(table, register))
    return Loaded(table, True, missing, tuple(problems), notes)


def _empty(register: Register) -> pl.DataFrame:
    return pl.DataFrame(schema=register.schema())


def _unusable(register: Register, problems: list[str], notes: tuple[str, ...] = ()) -> Loaded:
    return Loaded(_empty(register), False, (), tuple(problems), notes)


def _decode(data: bytes) -> str:
    if b"\0" in data[:4096]:
        raise ValueError("is no text in UTF-8 or CP932: save it as CSV UTF-8; the register is not used")
    at = 0
    for code in ("utf-8", "cp932"):
        try:
            return decode(data, code)[0]
        except UnicodeDecodeError as error:
            at = max(at, error.start)  # the code it is in breaks latest
    line = data.count(b"\n", 0, at) + 1
    raise ValueError(
        f"line {line}: byte {at} is neither UTF-8 nor CP932: save the file as CSV UTF-8; the register is not used"
    )


def _rows(text: str) -> tuple[list[str], list[Row], list[Refusal], list[str]]:
    """Header, rows with the number of their first line, rows of another width, and what broke off the reading.

    Lines without any value are no rows.

    Raises:
        ValueError: There is no header line.
    """
    rows: list[Row] = []
    broken: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for line, row in _numbered(reader, broken):
        if any(value.strip() for value in row):
            rows.append((line, row))
    if not rows:
        raise ValueError(broken[0] if broken else "is empty, not even a header line: the register counts as missing")
    header = [
        str(name)
        for name in pl.Series(rows[0][1]).to_frame("h").select(normalise(pl.col("h")).fill_null("")).to_series()
    ]
    while header and not header[-1]:
        header.pop()  # commas that spreadsheet programs leave behind
    width = len(header)
    good: list[Row] = []
    ragged: list[Refusal] = []
    for line, row in rows[1:]:
        if len(row) < width or any(value.strip() for value in row[width:]):
            ragged.append((line, f"{len(row)} values under {width} columns, check commas and quotes"))
        else:
            good.append((line, row[:width]))
    return header, good, ragged, broken


def _numbered(reader: Iterator[list[str]], broken: list[str]) -> Iterator[Row]:
    while True:
        first = reader.line_num + 1  # type: ignore[attr-defined]  # typeshed hides csv's reader type
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken.append(f"line {first}: {error}: nothing from here on is used; look for a quote that is not closed")
            return
        yield first, row


def _texts(header: list[str], rows: list[Row], register: Register) -> pl.DataFrame:
    """Columns of the register as trimmed text, null where empty or not in the file, and the line number."""
    values = list(zip(*(row for _, row in rows), strict=True)) or [()] * len(header)
    given = {name: pl.Series(name, list(column), dtype=pl.String) for name, column in zip(header, values, strict=True)}
    lines = pl.Series("line", [line for line, _ in rows], dtype=pl.Int64)
    columns = {
        name: given[name] if name in given else pl.Series(name, [None] * len(rows), dtype=pl.String)
        for name in register.columns
    }
    trimmed = [
        normalise(pl.col(name))
        if kind != "text"
        else pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name).str.strip_chars())
        for name, kind in register.columns.items()
    ]
    return pl.DataFrame([lines, *columns.values()]).with_columns(trimmed)


def _typed(text: pl.Series, kind: Kind, time_zone: str, key: SiteKey | None, are_tokens: bool) -> pl.Series:
    if kind in ("start", "end"):
        return moments(text, time_zone, end_of_day=kind == "end")
    if kind == "text":
        return mask_my_numbers(text)
    if kind == "flag":
        values = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
        # Not marked is the meaning of an empty mark.
        return text.fill_null("0").str.to_lowercase().replace_strict(values, default=None, return_dtype=pl.Boolean)
    if kind == "int":
        return text.str.replace_all(",", "").cast(pl.Int64, strict=False)
    if kind in ("subject", "household"):
        if are_tokens:
            return text
        if key is None:
            return pl.Series(text.name, [None] * len(text), dtype=pl.String)
        return subject_tokens(text, key) if kind == "subject" else household_tokens(text, key)
    return text


def _refusals(texts: pl.DataFrame, typed: pl.DataFrame, register: Register, hidden: set[str]) -> list[Refusal]:
    """Lines that are not used, with the reason, by line."""
    wrong = {"start": "is no date", "end": "is no date", "flag": "is neither 1 nor 0", "int": "is no whole number"}
    found: list[Refusal] = []
    for column, kind in register.columns.items():
        if kind in wrong:
            bad = texts.filter(texts.get_column(column).is_not_null() & typed.get_column(column).is_null())
            found += [
                (line, f"{column}: {text!r} {wrong[kind]}") for line, text in bad.select("line", column).iter_rows()
            ]
    for group in register.keys:
        if not set(group) & hidden:
            empty = texts.filter(pl.all_horizontal(pl.col(column).is_null() for column in group))
            found += [(line, f"{' and '.join(group)}: empty") for line in empty.get_column("line")]
    for first, last in register.spans:
        late = texts.filter(typed.select((pl.col(last) < pl.col(first)).fill_null(False)).to_series())
        found += [
            (line, f"{last}: {b!r} lies before {first} {a!r}")
            for line, a, b in late.select("line", first, last).iter_rows()
        ]
    return sorted(found)


def _token_problems(texts: pl.DataFrame, register: Register, are_tokens: bool) -> list[str]:
    """Ids that look as if `subjects_are_tokens` said the wrong thing: nothing would join, and nobody would notice."""
    found = []
    for column, kind in register.columns.items():
        ids = (
            texts.get_column(column).drop_nulls()
            if kind in ("subject", "household")
            else pl.Series([], dtype=pl.String)
        )
        if not ids.is_empty() and are_tokens and ids.str.contains("^[0-9-]+$").all():
            found.append(
                f"{column}: values look like raw ids though site.toml says subjects_are_tokens = true: check it"
            )
        if not ids.is_empty() and not are_tokens and ids.str.contains(TOKEN_PATTERN).all():
            found.append(
                f"{column}: values look like tokens already: if so, set subjects_are_tokens = true in site.toml"
            )
    return found


def _summary(refused: list[Refusal]) -> list[str]:
    lines = [f"line {line}: {reason}: row not used" for line, reason in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        lines.append(f"{len(refused) - _SHOWN} more rows not used for such reasons, the last at line {refused[-1][0]}")
    return lines


def _unknown_columns(header: list[str], register: Register) -> tuple[str, ...]:
    unknown = [column for column in header if column and column not in register.columns]
    return tuple(f"column {column!r} is not used{did_you_mean(column, register.columns)}" for column in unknown)


def _unknown_kinds(table: pl.DataFrame, register: Register) -> tuple[str, ...]:
    notes = []
    for column, known in register.kinds.items():
        counted = (
            table.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(known))
            .group_by(column)
            .len()
            .sort(column)
        )
        notes += [
            f"{column} {word!r} is none of the contract's, kept ({rows} row{'s' * (rows > 1)}){did_you_mean(word, known)}"
            for word, rows in counted.iter_rows()
        ]
    return tuple(notes)
