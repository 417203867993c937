"""The wire format: events as newline-terminated JSON, one object a line, and back.

`decode` has two lanes with one meaning. The plain lane (`contract.plain`) reads line by line and is the definition.
The fast lane proves of most lines, by one regular expression and by counting keys, that `polars.read_ndjson` cannot
differ from it; the rest is left to the plain lane. The proof is needed because `read_ndjson` alone turns 12 into "12"
and 12.0 into 12, keeps one of two equal keys, and loses the whole buffer over one bad line.

Reading tolerates what writing never does: blank lines, CRLF, a byte order mark, any order of keys, null and the
empty string (both mean absent) and unknown keys (ignored and counted, so that an older reader takes newer events).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from contract import plain, rejected
from contract.event import BY_KEY, FIELDS, KEYS, REQUIRED, empty, schema
from contract.lines import encode as encode
from contract.lines import encode_lines as encode_lines
from contract.lines import joined as joined
from contract.lines import occurrences
from contract.plain import MAX_LINE_BYTES
from contract.rejected import Refusal

MAX_UNKNOWN_KEYS: Final = 100
OTHER_KEYS: Final = "(other)"

# Below so many lines the plain lane is faster than the fast lane's fixed cost of some milliseconds.
FEW_LINES = 150
_BEGINNING: Final = 1 << 18

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch held.

    Attributes:
        frame: One row per event in `event.schema()`, in the order of the lines; every value is valid.
        rejected: One row per refused line in `rejected.REJECTED_SCHEMA`, in the order of the lines, not yet masked.
        unknown: How often each key outside the contract occurred in events, by key; beyond 100 under `(other)`.
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
    if data.count(b"\n", 0, _BEGINNING) < FEW_LINES and data.count(b"\n") < FEW_LINES:
        return decode_plainly(data, source_id=source_id, name=name, offset=offset)
    start = len(_BOM) if data.startswith(_BOM) else 0
    body = data[start:] if start else data
    lines = _split(body)
    fast = _fast(body, lines)
    if len(fast.rows) == len(lines) and fast.rows.is_sorted():
        return Decoded(fast.frame, rejected.empty(), _counted(fast.unknown))
    rest = np.setdiff1d(np.arange(len(lines)), fast.rows.to_numpy(), assume_unique=True).tolist()
    slow = _slow(body, rest) if rest else _Slow(empty(), [], [], [], Counter())
    rows = pl.concat([fast.rows, pl.Series(slow.rows, dtype=pl.Int64)])
    frame = pl.concat([fast.frame, slow.frame])[rows.arg_sort()]
    positions = [f"{name}:{offset + start + byte}" for byte in slow.bytes]
    refused = rejected.frame(slow.refusals, positions, source_id)
    return Decoded(frame, refused, _counted(fast.unknown + slow.unknown))


def decode_plainly(data: bytes, *, source_id: str | None = None, name: str = "", offset: int = 0) -> Decoded:
    """The same as `decode`, all in the plain lane: its definition."""
    start = len(_BOM) if data.startswith(_BOM) else 0
    slow = _slow(data[start:], range(len(_bounds(data[start:]))))
    positions = [f"{name}:{offset + start + byte}" for byte in slow.bytes]
    return Decoded(slow.frame, rejected.frame(slow.refusals, positions, source_id), _counted(slow.unknown))


# --- decode, fast lane ----------------------------------------------------------------------------------------------

_SPACE: Final = r"[ \t\r]*"
# Text without escapes.
_BARE: Final = r'"[^"\\\x00-\x1f]*"'
# Text as JSON writes it, without \u0000 and without surrogates: these the plain lane judges.
_TEXT: Final = (
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:[1-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r'|0(?:[1-9a-fA-F][0-9a-fA-F]{2}|0(?:[1-9a-fA-F][0-9a-fA-F]|0[1-9a-fA-F])))))*"'
)
# Up to 18 digits: always within 64 bit. No -0, no leading zero, no fraction, no exponent.
_INT: Final = r"(?:0|-?[1-9][0-9]{0,17})"
# A key that is not spelt plainly goes to the plain lane.
_KEY_SIGN: Final = r'[^"\\\x00-\x20:,'


def _other_than(words: Iterable[str], prefix: str = "") -> str:
    """A regular expression for every text of `_KEY_SIGN`s that is none of `words` (they share `prefix`)."""
    rest = sorted({word[len(prefix)] for word in words if len(word) > len(prefix)})
    ways = [_KEY_SIGN + re.escape("".join(rest)) + "]" + _KEY_SIGN + "]*"]
    for sign in rest:
        longer = prefix + sign
        ways.append(re.escape(sign) + _other_than([word for word in words if word.startswith(longer)], longer))
    if prefix not in words:
        ways.append("")
    return "(?:" + "|".join(ways) + ")"


def _either(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in words) + ")"


def _pattern(text: str, space: str) -> str:
    """A regular expression that matches a line only if it is one flat object whose known keys have right values."""
    colon, comma = f":{space}", f"{space},{space}"  # a blank before a colon would make equal keys look different
    values = {"str": text, "int": _INT, "bool": "(?:true|false)"}
    other = rf"(?:{text}|{_INT}(?:\.[0-9]{{1,9}})?|true|false|null)"
    members = [f'"{_other_than(KEYS)}"{colon}{other}', f'"{_either(KEYS)}"{colon}null']
    members += [f'"{re.escape(known.key)}"{colon}"{_either(known.values)}"' for known in FIELDS if known.values]
    for kind, value in values.items():
        free = (known.key for known in FIELDS if known.kind == kind and not known.values)
        members.append(f'"{_either(free)}"{colon}{value}')
    member = "(?:" + "|".join(members) + ")"
    return rf"^{space}\{{{space}{member}(?:{comma}{member})*{space}\}}{space}$"


_LINE: Final = _pattern(_TEXT, _SPACE)
# What agents write matches this but for a few lines, and it is a third cheaper; others fail at their first blank.
_PLAIN_LINE: Final = _pattern(_BARE, "")
# In a line that matches `_LINE` these occur at its keys only: no value's closing quote is followed by a colon, a quote
# inside a value has a backslash before it, and no key has one.
_KNOWN: Final = f'"{_either(KEYS)}":'
_KNOWN_NULL: Final = f'"{_either(KEYS)}":{_SPACE}null'
_KEY: Final = f'"{_KEY_SIGN}]*":'


@dataclass(frozen=True, slots=True)
class _Fast:
    """What the fast lane took, in any order: events, the numbers of their lines, their unknown keys."""

    frame: pl.DataFrame
    rows: pl.Series
    unknown: Counter[str]


def _split(body: bytes) -> pl.Series:
    """Lines without newline and without one final CR; null where a line is no UTF-8."""
    if not body:
        return pl.Series("line", [], dtype=pl.String)
    try:
        # Bytes that begin like a zstd, gzip or zlib stream would be unpacked first; an object begins with a brace.
        if body.startswith(b"{"):
            return pl.read_lines(body).to_series()
    except pl.exceptions.ComputeError:  # invalid UTF-8 somewhere
        pass
    return pl.Series("line", [_text(body[first:last]) for first, last in _bounds(body)], dtype=pl.String)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _fast(body: bytes, lines: pl.Series) -> _Fast:
    """Read what can be proven.

    Columns that occur nowhere cost as much as others, so the first round reads the keys of a sample; lines that turn
    out to have more go through a second round with all.
    """
    proven = (_matches(lines) & (lines.str.len_bytes() <= MAX_LINE_BYTES)).fill_null(False)
    todo = pl.DataFrame({"row": pl.arange(len(lines), eager=True, dtype=pl.Int64), "line": lines})
    buffer: bytes | None = body
    if not proven.all():
        todo, buffer = todo.filter(proven), None
    frames: list[pl.DataFrame] = []
    rows = [pl.Series([], dtype=pl.Int64)]
    unknown: Counter[str] = Counter()
    for keys in dict.fromkeys((_sampled(todo["line"]), KEYS)):
        if todo.is_empty():
            break
        if buffer is None:
            buffer = joined(todo["line"] + "\n")
        # In one piece: the reader leaves as many as its threads cut, and whatever follows goes through them one by one.
        frame = pl.read_ndjson(buffer, schema={key: BY_KEY[key].dtype for key in keys}).rechunk()
        taken, odd = _accounted(buffer, todo["line"], frame)
        frame = _completed(frame)
        taken &= frame.select(~pl.any_horizontal(_invalid())).to_series()
        whole = bool(taken.all())
        frames.append(frame if whole else frame.filter(taken))
        rows.append(todo["row"] if whole else todo["row"].filter(taken))
        if odd is not None:
            unknown += _unknown(todo["line"].filter(taken & odd))
        todo, buffer = todo.clear() if whole else todo.filter(~taken), None
    return _Fast(pl.concat(frames) if frames else empty(), pl.concat(rows), unknown)


def _matches(lines: pl.Series) -> pl.Series:
    """Which lines match `_LINE`."""
    plainly = lines.str.contains(_PLAIN_LINE)
    rest = (~plainly).arg_true()
    return plainly.scatter(rest, lines.gather(rest).str.contains(_LINE)) if len(rest) else plainly


def _sampled(lines: pl.Series, sample: int = 256) -> tuple[str, ...]:
    """The required keys and those in some of the lines, in the contract's order; all, where these are many."""
    # Steps by the golden ratio: even, and without a period that the lines might have too.
    picked = sorted({int(len(lines) * (n * 0.618033988749895 % 1)) for n in range(min(sample, len(lines)))})
    found = {key for line in lines.gather(picked) for key in json.loads(line)} | set(REQUIRED)
    known = tuple(key for key in KEYS if key in found)
    # Beside many columns the rest costs less than a second round for the few lines that have them.
    return KEYS if 2 * len(known) > len(KEYS) else known


def _accounted(buffer: bytes, lines: pl.Series, frame: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
    """Which rows hold all that their lines say: no key twice, and none that was not read.

    A key has two quotes and a text two more, so where every line has just the quotes that its row accounts for, all
    is well at once. Other lines have nulls or unknown keys, which is no harm, or the two things looked for: these lines
    (the second result), and those with escaped quotes if there are any others, have their keys counted.
    """
    if _quotes_in(buffer) == sum((len(frame) - column.null_count()) * _quotes(column.dtype) for column in frame):
        return pl.repeat(True, len(frame), eager=True, dtype=pl.Boolean), None
    present = [pl.col(column.name).is_not_null().cast(pl.Int64) for column in frame]
    counts = frame.select(
        keys=pl.sum_horizontal(present),
        quotes=pl.sum_horizontal(flag * _quotes(column.dtype) for flag, column in zip(present, frame, strict=True)),
    ).with_columns(lines.alias("line"))
    odd = counts.select(
        pl.col("line").str.count_matches('"', literal=True).cast(pl.Int64) != pl.col("quotes")
    ).to_series()
    taken = (~odd).to_numpy(writable=True)
    taken[odd.to_numpy()] = counts.filter(odd).select(_given_once()).to_series().to_numpy()
    return pl.Series(taken), odd


def _quotes_in(buffer: bytes) -> int:
    """Quotes that open or close a text, in proven lines."""
    quotes = occurrences(buffer, '"')
    if b"\\" not in buffer:
        return quotes
    signs = np.frombuffer(buffer, np.uint8)
    slashes = np.flatnonzero(signs == ord("\\"))
    # Of backslashes in a row every other one is escaped itself.
    place = np.arange(len(slashes))
    begins = np.append(True, np.diff(slashes) != 1)
    escapes = (place - np.maximum.accumulate(np.where(begins, place, 0))) % 2 == 0
    return quotes - int(np.count_nonzero(signs[slashes[escapes] + 1] == ord('"')))


def _given_once() -> pl.Expr:
    """Whether `keys`, the number of values read, is the number of known keys in `line`, all different.

    Where nothing is null the numbers decide, for of two equal keys one value is lost. A null hides that, so there the
    keys themselves are compared, which costs more.
    """
    line, keys = pl.col("line").str, pl.col("keys")
    known, nulls = line.count_matches(_KNOWN).cast(pl.Int64), line.count_matches(_KNOWN_NULL).cast(pl.Int64)
    spelt = pl.when(nulls > 0).then(pl.col("line")).str.extract_all(_KNOWN).list.n_unique().cast(pl.Int64)
    return (known == keys + nulls) & ((nulls == 0) | (known == spelt))


def _quotes(dtype: pl.DataType) -> int:
    return 4 if dtype == pl.String else 2


def _completed(frame: pl.DataFrame) -> pl.DataFrame:
    """All columns of the contract in their order; the empty string becomes null."""
    blank = frame.select((pl.col(pl.String) == "").any()).to_dicts()[0] if pl.String in frame.dtypes else {}
    frame = frame.with_columns(pl.when(pl.col(key) != "").then(pl.col(key)) for key, some in blank.items() if some)
    return frame.select(
        pl.col(key) if key in frame.columns else pl.lit(None, dtype=BY_KEY[key].dtype).alias(key) for key in KEYS
    )


def _invalid() -> list[pl.Expr]:
    """One expression per required key and per bound, true where a row breaks it."""
    missing = [pl.col(key).is_null() for key in REQUIRED]
    low = [pl.col(known.key) < known.minimum for known in FIELDS if known.minimum is not None]
    high = [pl.col(known.key) > known.maximum for known in FIELDS if known.maximum is not None]
    return [broken.fill_null(False) for broken in [*missing, *low, *high]]


def _unknown(lines: pl.Series) -> Counter[str]:
    lines = lines.filter(lines.str.count_matches(_KEY) > lines.str.count_matches(_KNOWN))
    keys = lines.str.extract_all(_KEY).explode(keep_nulls=False, empty_as_null=False).value_counts()
    counts: Counter[str] = Counter()
    for written, count in keys.iter_rows():
        key = written[1:-2]
        if key not in BY_KEY:
            counts[plain.label(key)] += count
    return counts


# --- decode, plain lane ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Slow:
    """What the plain lane found: events and the numbers of their lines; refusals and where their lines start."""

    frame: pl.DataFrame
    rows: list[int]
    refusals: list[Refusal]
    bytes: list[int]
    unknown: Counter[str]


def _slow(body: bytes, rows: Iterable[int]) -> _Slow:
    """Read the lines with these numbers (ascending) in the plain lane."""
    bounds = _bounds(body)
    columns: dict[str, list[str | int | bool | None]] = {key: [] for key in KEYS}
    slow = _Slow(empty(), [], [], [], Counter())
    for row in rows:
        first, last = bounds[row]
        read = plain.read(body[first:last])
        if isinstance(read, plain.Line):
            slow.rows.append(row)
            slow.unknown.update(read.unknown)
            for key, column in columns.items():
                column.append(read.event.get(key))
        elif read is not None:
            slow.refusals.append(read)
            slow.bytes.append(first)
    frame = pl.DataFrame(columns, schema=schema())
    return _Slow(frame, slow.rows, slow.refusals, slow.bytes, slow.unknown)


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


def _counted(unknown: Counter[str]) -> dict[str, int]:
    """Counts by key, sorted; what is beyond the first 100 keys in one sum, for nobody should fill memory with keys."""
    keys = sorted(unknown)
    counts = {key: unknown[key] for key in keys[:MAX_UNKNOWN_KEYS]}
    rest = sum(unknown[key] for key in keys[MAX_UNKNOWN_KEYS:])
    return counts | ({OTHER_KEYS: rest} if rest else {})
