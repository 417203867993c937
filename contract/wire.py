"""The wire format: events as newline-terminated JSON, one object a line, and back.

`decode` has two lanes with one meaning. `decode_plainly` reads line by line with Python's own `json` and is the
definition. `decode` proves for most lines, with one regular expression and a count of quotes, that
`polars.read_ndjson` cannot differ from it, and takes the plain lane for the rest only. The proof is needed because
`read_ndjson` alone turns 12 into "12" and 12.0 into 12, keeps one of two equal keys, and loses the whole buffer over
one bad line.

Reading tolerates what writing never does: blank lines, CRLF, a byte order mark, any order of keys, null and the
empty string (both mean absent) and unknown keys (ignored and counted, so that an older reader takes newer events).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from contract import rejected
from contract.event import BY_KEY, FIELDS, KEYS, REQUIRED, Field, empty, schema
from contract.rejected import Reason, Refusal

MAX_LINE_BYTES: Final = 1 << 20
MAX_UNKNOWN_KEYS: Final = 100
OTHER_KEYS: Final = "(other)"

_BOM: Final = b"\xef\xbb\xbf"
_INT64: Final = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch held.

    Attributes:
        frame: One row per event in `event.schema()`, in the order of the lines; every value is valid.
        rejected: One row per refused line in `rejected.REJECTED_SCHEMA`, in the order of the lines, not yet masked.
        unknown: How often each key outside the contract occurred, by key; beyond 100 keys under `(other)`.
    """

    frame: pl.DataFrame
    rejected: pl.DataFrame
    unknown: dict[str, int] = field(default_factory=dict)


def decode(data: bytes, *, source_id: str | None = None, name: str = "", offset: int = 0) -> Decoded:
    """Read a batch of events; a line that is none is refused alone, with the reason.

    Args:
        data: NDJSON, UTF-8; the last line may lack its newline.
        source_id: `source.id` of the refused lines.
        name: What the batch is called in `source.position` of refused lines, which reads `name:byte`.
        offset: Where `data` starts in the file or stream of that name, in bytes.
    """
    start = len(_BOM) if data.startswith(_BOM) else 0
    body = data[start:] if start else data
    lines = _split(body)
    proven = _proven(lines)
    whole = bool(proven.all())
    rows = pl.arange(len(lines), eager=True, dtype=pl.Int64)
    if not whole:
        lines, rows = lines.filter(proven), rows.filter(proven)
        joined = lines.str.join("\n").item() if len(lines) else ""
        fast, doubtful = _read(joined.encode(), lines)
    else:
        fast, doubtful = _read(body, lines)
    if whole and not doubtful.any():
        return Decoded(fast, rejected.empty())
    kept = rows.filter(~doubtful)
    rest = np.setdiff1d(np.arange(len(proven)), kept.to_numpy(), assume_unique=True)
    plain, plain_rows, refused, unknown = _plainly(body, rest, source_id, name, offset + start)
    order = pl.concat([kept, plain_rows]).arg_sort()
    return Decoded(pl.concat([fast.filter(~doubtful), plain])[order], refused, unknown)


def decode_plainly(data: bytes, *, source_id: str | None = None, name: str = "", offset: int = 0) -> Decoded:
    """The same as `decode`, line by line and slowly: its definition, for tests."""
    start = len(_BOM) if data.startswith(_BOM) else 0
    body = data[start:]
    everything = np.arange(len(_bounds(body)))
    frame, _, refused, unknown = _plainly(body, everything, source_id, name, offset + start)
    return Decoded(frame, refused, unknown)


def encode(frame: pl.DataFrame) -> bytes:
    """Events as NDJSON: keys in the order of `FIELDS`, absent ones left out, every line ended by a newline.

    Args:
        frame: Any of the contract's columns in their types; a missing column means absent in every row, and columns
            that are not the contract's are left out.
    """
    if frame.is_empty():
        return b""
    text: str = encode_lines(frame).str.join("\n").item()
    return text.encode() + b"\n"


def encode_lines(frame: pl.DataFrame) -> pl.Series:
    """One JSON object per row of `frame`, without newline, in the order of the rows; see `encode`."""
    if frame.is_empty():
        return pl.Series("line", [], dtype=pl.String)
    escaped = pl.col(pl.String).str.contains(_NEEDS_ESCAPE).any()
    text = frame.select(key for key in KEYS if key in frame.columns and BY_KEY[key].kind == "str")
    unsafe = text.select(escaped).row(0, named=True) if text.width else {}
    parts = [
        _member(known, bool(unsafe.get(known.key)))
        for known in FIELDS
        if known.key in frame.columns and frame[known.key].null_count() < len(frame)
    ]
    if not parts:
        return pl.repeat("{}", len(frame), eager=True).alias("line")
    members = pl.concat_str(parts, ignore_nulls=True)
    # Every member brings its comma in front; the first one's is cut off.
    return frame.select(line=pl.concat_str(pl.lit("{"), members.str.slice(1), pl.lit("}"))).to_series()


# --- encode ---------------------------------------------------------------------------------------------------------

_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'
_SHORT: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_ESCAPES: Final = {chr(code): _SHORT.get(chr(code), f"\\u{code:04x}") for code in [*range(32), 34, 92]}


def _member(known: Field, unsafe: bool) -> pl.Expr:
    """`,"key":value` of one field, null where the value is absent."""
    key = json.dumps(known.key)
    value = pl.col(known.key)
    if known.kind != "str":
        return pl.concat_str(pl.lit(f",{key}:"), value.cast(pl.String))
    if unsafe:
        value = value.str.replace_many(_ESCAPES)
    present = pl.when(value != "").then(value)
    return pl.concat_str(pl.lit(f',{key}:"'), present, pl.lit('"'))


# --- decode, fast lane ----------------------------------------------------------------------------------------------

_SPACE: Final = r"[ \t\r]*"
# Text as JSON writes it, without \u0000 and without surrogates: these the plain lane judges.
_TEXT: Final = (
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:[1-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r'|0(?:[1-9a-fA-F][0-9a-fA-F]{2}|0(?:[1-9a-fA-F][0-9a-fA-F]|0[1-9a-fA-F])))))*"'
)
# Up to 18 digits: always within 64 bit. No -0, no leading zero, no fraction, no exponent.
_INT: Final = r"(?:0|-?[1-9][0-9]{0,17})"


def _pattern() -> str:
    """A regular expression that matches a line only if it is one flat object of known keys with right types."""

    def either(words: Iterable[str]) -> str:
        return "(?:" + "|".join(re.escape(word) for word in words) + ")"

    def keys(kind: str) -> str:
        return f'"{either(known.key for known in FIELDS if known.kind == kind and not known.values)}"{_SPACE}:{_SPACE}'

    closed = (f'"{re.escape(known.key)}"{_SPACE}:{_SPACE}"{either(known.values)}"' for known in FIELDS if known.values)
    member = "(?:" + "|".join([keys("str") + _TEXT, keys("int") + _INT, keys("bool") + "(?:true|false)", *closed]) + ")"
    comma = f"{_SPACE},{_SPACE}"
    return rf"^{_SPACE}\{{{_SPACE}{member}(?:{comma}{member})*{_SPACE}\}}{_SPACE}$"


_LINE: Final = _pattern()


def _split(body: bytes) -> pl.Series:
    """Lines without newline and without one final CR; null where a line is no UTF-8."""
    if not body:
        return pl.Series("line", [], dtype=pl.String)
    try:
        return pl.read_lines(body).to_series()
    except pl.exceptions.ComputeError:  # invalid UTF-8 somewhere
        raw = [body[first:last] for first, last in _bounds(body)]
        return pl.Series("line", raw, dtype=pl.Binary).cast(pl.String, strict=False)


def _proven(lines: pl.Series) -> pl.Series:
    """Which lines are certainly flat objects of known keys with values of their types and words."""
    return (lines.str.contains(_LINE) & (lines.str.len_bytes() <= MAX_LINE_BYTES)).fill_null(False)


def _read(body: bytes, lines: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Parse proven lines; also tells which rows the plain lane has to judge after all (True).

    Counting quotes finds what the expression cannot: a key has two and a text value two more, so a line of distinct
    keys without escaped quotes has exactly as many as its row accounts for, and any other line has more.
    """
    full = schema()
    if not len(lines):
        return empty(), pl.Series([], dtype=pl.Boolean)
    quotes = body.count(b'"')
    # Columns that are nowhere cost as much as others, so the keys of a sample come first; a miss shows in the count.
    sampled = _keys(lines)
    frame = pl.read_ndjson(body, schema={key: full[key] for key in KEYS if key in sampled})
    if quotes != _accounted(frame):
        frame = pl.read_ndjson(body, schema=full)
    doubtful = pl.repeat(False, len(frame), eager=True, dtype=pl.Boolean)
    if quotes != _accounted(frame):
        doubtful = lines.str.count_matches('"', literal=True).cast(pl.Int64) != _accounted_by_row(frame)
    if b'""' in body:
        text = pl.col(pl.String)
        frame = frame.with_columns(pl.when(text != "").then(text))
    frame = frame.select(
        pl.col(key) if key in frame.columns else pl.lit(None, dtype=full[key]).alias(key) for key in KEYS
    )
    invalid = frame.select(pl.any_horizontal(_invalid())).to_series()
    return frame, doubtful | invalid


def _keys(lines: pl.Series, sample: int = 50) -> set[str]:
    """The keys of some lines, evenly taken."""
    some = lines.gather_every(max(1, len(lines) // sample))
    return {key for line in some for key in json.loads(line)}


def _accounted(frame: pl.DataFrame) -> int:
    """Quotes that the values of a frame account for."""
    return sum((len(frame) - column.null_count()) * _quotes(column.dtype) for column in frame)


def _accounted_by_row(frame: pl.DataFrame) -> pl.Series:
    counts = [pl.col(column.name).is_not_null().cast(pl.Int64) * _quotes(column.dtype) for column in frame]
    return frame.select(pl.sum_horizontal(counts)).to_series()


def _quotes(dtype: pl.DataType) -> int:
    return 4 if dtype == pl.String else 2


def _invalid() -> list[pl.Expr]:
    """One expression per required key and per bound, true where a row breaks it."""
    missing = [pl.col(key).is_null() for key in REQUIRED]
    low = [pl.col(known.key) < known.minimum for known in FIELDS if known.minimum is not None]
    high = [pl.col(known.key) > known.maximum for known in FIELDS if known.maximum is not None]
    return [broken.fill_null(False) for broken in [*missing, *low, *high]]


# --- decode, plain lane ---------------------------------------------------------------------------------------------


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its keys are unique."""


class _Huge:
    """An integer too long to be worth reading."""


def _integer(digits: str) -> int | _Huge:
    # Python refuses more than 4,300 digits with an exception that names no key.
    return int(digits) if len(digits) <= 20 else _Huge()


def _constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_integer, parse_constant=_constant)
_NAMES: Final = {"str": "text", "int": "an integer", "bool": "true or false"}
_TYPES: Final[dict[str, type]] = {"str": str, "int": int, "bool": bool}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _bounds(body: bytes) -> list[tuple[int, int]]:
    """First and last byte (exclusive) of every line, without its newline and one CR before it."""
    breaks = np.flatnonzero(np.frombuffer(body, np.uint8) == 10).tolist()
    starts = [0, *(place + 1 for place in breaks)]
    ends = [*breaks, len(body)]
    if starts[-1] == len(body):
        starts.pop()
        ends.pop()
    return [
        (first, last - 1 if last > first and body[last - 1] == 13 else last)
        for first, last in zip(starts, ends, strict=True)
    ]


def _plainly(
    body: bytes, rows: Sequence[int] | np.ndarray[Any, Any], source_id: str | None, name: str, offset: int
) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame, dict[str, int]]:
    """Events, their line numbers, refused lines and unknown keys of the lines with the numbers `rows` (ascending)."""
    bounds = _bounds(body)
    events: list[tuple[int, dict[str, Any]]] = []
    refusals: list[Refusal] = []
    positions: list[str] = []
    unknown: Counter[str] = Counter()
    for row in rows:
        first, last = bounds[row]
        raw = body[first:last]
        if not raw.strip(b" \t\r"):
            continue
        read = _event(raw, unknown)
        if isinstance(read, Refusal):
            refusals.append(read)
            positions.append(f"{name}:{offset + first}")
        else:
            events.append((int(row), read))
    columns = {known.key: [event.get(known.key) for _, event in events] for known in FIELDS}
    numbers = pl.Series([row for row, _ in events], dtype=pl.Int64)
    refused = rejected.frame(refusals, positions, source_id)
    return pl.DataFrame(columns, schema=schema()), numbers, refused, dict(sorted(unknown.items()))


def _event(raw: bytes, unknown: Counter[str]) -> dict[str, Any] | Refusal:
    """One line's event; a refusal names every problem, and its reason is the first one's."""
    if len(raw) > MAX_LINE_BYTES:
        text = raw[: 4 * rejected.KEPT_CHARS + 4].decode(errors="replace")
        return Refusal(Reason.TOO_LONG, f"{len(raw):,} bytes, at most {MAX_LINE_BYTES:,} are read", text)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {raw[error.start]:#04x} at {error.start} of the line is no UTF-8"
        return Refusal(Reason.ENCODING, detail, raw.decode(errors="replace"))
    if "\0" in text:
        return Refusal(Reason.ENCODING, f"NUL at {text.index(chr(0))} of the line", text)
    try:
        pairs = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return Refusal(Reason.JSON, f"{error.msg} at character {error.pos}", text)
    except ValueError as error:
        return Refusal(Reason.JSON, str(error), text)
    except RecursionError:
        return Refusal(Reason.JSON, "nested too deeply", text)
    if not isinstance(pairs, _Pairs):
        return Refusal(Reason.JSON, "not an object", text)
    return _checked(pairs, text, unknown)


def _checked(pairs: _Pairs, text: str, unknown: Counter[str]) -> dict[str, Any] | Refusal:
    event = {key: value for key, value in pairs if key in BY_KEY and value is not None and value != ""}
    times = Counter(key for key, _ in pairs if key in BY_KEY)
    problems = [(Reason.DUPLICATE, f"{key}: given {times[key]} times") for key in KEYS if times[key] > 1]
    for known in FIELDS:
        if known.key in event:
            problems += _problems(known, event[known.key])
        elif known.key in REQUIRED:
            problems.append((Reason.REQUIRED, f"{known.key}: missing"))
    if problems:
        return Refusal(problems[0][0], "; ".join(detail for _, detail in problems), text)
    for key, _ in pairs:
        if key not in BY_KEY:
            label = rejected.cut(key.encode("utf-8", "backslashreplace").decode(), 60)
            unknown[label if label in unknown or len(unknown) < MAX_UNKNOWN_KEYS else OTHER_KEYS] += 1
    return event


def _problems(known: Field, value: Any) -> list[tuple[Reason, str]]:
    """What is wrong with one value; at most one problem."""
    if isinstance(value, _Huge) and known.kind == "int":
        return [(Reason.VALUE, f"{known.key}: more than 20 digits")]
    if type(value) is not _TYPES[known.kind]:  # not isinstance: True is an int to Python
        return [(Reason.TYPE, f"{known.key}: should be {_NAMES[known.kind]}, got {_shown(value)}")]
    if isinstance(value, str):
        if "\0" in value or _SURROGATE.search(value):
            return [(Reason.ENCODING, f"{known.key}: holds a NUL or half of a surrogate pair")]
        if known.values and value not in known.values:
            return [(Reason.VALUE, f"{known.key}: {_shown(value)} is none of {' '.join(known.values)}")]
    elif isinstance(value, int) and known.kind == "int":
        low = _INT64[0] if known.minimum is None else known.minimum
        high = _INT64[1] if known.maximum is None else known.maximum
        if not low <= value <= high:
            return [(Reason.VALUE, f"{known.key}: {value} is not within {low} and {high}")]
    return []


def _shown(value: Any) -> str:
    """A value as a message quotes it: short, and JSON where it is simple."""
    if isinstance(value, _Huge):
        return "a number of more than 20 digits"
    if isinstance(value, list):
        return "an object" if isinstance(value, _Pairs) else "a list"
    return rejected.cut(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode(), 40)
