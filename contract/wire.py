"""The wire format: events as newline-terminated JSON, one object a line, and back.

`decode` has two lanes with one meaning. The plain lane (`contract.plain`) reads line by line and is the definition.
The fast lane reads with `polars.read_ndjson` what is proven (`contract.proof`) to come out the same; the rest is left to
the plain lane. What agents write is proven for a whole batch, by counting; where that fails, each line for itself. The
proof is needed because `read_ndjson` alone turns 12 into "12", keeps one of two equal keys, and loses the whole buffer
over one bad line.

Reading tolerates what writing never does: blank lines, CRLF, a byte order mark, any order of keys, null and the
empty string (both mean absent) and unknown keys (ignored and counted, so that an older reader takes newer events).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from contract import plain, proof, rejected
from contract.event import BY_KEY, FIELDS, KEYS, REQUIRED, empty, schema
from contract.lines import encode as encode
from contract.lines import encode_lines as encode_lines
from contract.lines import joined as joined
from contract.plain import MAX_LINE_BYTES
from contract.rejected import Refusal

MAX_UNKNOWN_KEYS: Final = 100
OTHER_KEYS: Final = "(other)"

# Below so many lines the plain lane costs no more than the fast lane does in any case, a millisecond.
FEW_LINES = 20
_BEGINNING: Final = 1 << 18
# From so many lines on it pays to look into so many of them for the keys that occur; else into a few, for their kind.
_MANY: Final = 4_000
_SAMPLE: Final = 256
_FEW: Final = 8
# Keys outside the contract that are read and counted; lines of who has more are proven one by one.
_MOST_OTHERS: Final = 20
_DTYPES: Final[dict[type, pl.DataType]] = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean()}

_LEAST: Final = [pl.col(known.key).min() for known in FIELDS if known.minimum is not None]
_MOST: Final = [pl.col(known.key).max() for known in FIELDS if known.maximum is not None]
_WORDS: Final = {known.key: pl.Enum(known.values) for known in FIELDS if known.values}

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
    """Read what can be proven: all at once where it is what agents write, else line by line."""
    keys, others = _sampled(lines)
    frame = None if others is None else _tried(body, {key: BY_KEY[key].dtype for key in keys} | others)
    if frame is not None and lines.str.len_bytes().max() <= MAX_LINE_BYTES:  # type: ignore[operator]
        counts = proof.count(body)
        if proof.is_whole(counts, body, lines, frame):
            known = frame.select(keys) if others else frame  # a name of others may be a pattern to Polars
            known = _completed(known) if counts.blank or len(keys) < len(KEYS) else known
            return _allowed(known, frame.get_columns()[len(keys) :])
    return _by_line(body, lines, keys, None if frame is None else frame.select(keys))


def _sampled(lines: pl.Series) -> tuple[tuple[str, ...], dict[str, pl.DataType] | None]:
    """The keys to read, in the contract's order, and keys outside of it; None for these if lines are not of an agent's kind.

    Columns that occur nowhere cost as much as others. So of many lines the required keys are read and those in some of
    the lines; all, where these are many. Keys that this version does not know are read to be counted.
    """
    many = len(lines) >= _MANY
    size = min(_SAMPLE if many else _FEW, len(lines))
    # Steps by the golden ratio: even, and without a period that the lines might have too.
    picked = lines.gather(sorted({int(len(lines) * (n * 0.618033988749895 % 1)) for n in range(size)})).to_list()
    objects = [_object(line) for line in picked]
    known = set(REQUIRED).union(*objects)
    others = None if lines.null_count() or not all(objects) else _others(objects)
    # Beside many columns the rest costs less than a second round for the few lines that have them.
    if not many or 2 * sum(key in known for key in KEYS) > len(KEYS):
        return KEYS, others
    return tuple(key for key in KEYS if key in known), others


def _others(objects: list[dict[str, Any]]) -> dict[str, pl.DataType] | None:
    """Keys outside the contract as columns, sorted; None if there are too many, or nulls, or what is no plain value."""
    found: dict[str, set[type]] = {}
    for one in objects:
        if None in one.values():
            return None
        for key in one.keys() - BY_KEY.keys():
            found.setdefault(key, set()).add(type(one[key]))
    if len(found) > _MOST_OTHERS or not all(len(kinds) == 1 and kinds <= _DTYPES.keys() for kinds in found.values()):
        return None
    return {key: _DTYPES[found[key].pop()] for key in sorted(found)}


def _object(line: str | None) -> dict[str, Any]:
    """A line of which nothing is known yet; empty where it is no object."""
    try:
        found = json.loads(line or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _tried(body: bytes, columns: dict[str, pl.DataType]) -> pl.DataFrame | None:
    """Lines of which nothing is known yet, read; None if they cannot be."""
    if not body.startswith(b"{"):
        return None  # might be unpacked first, see `_split`
    try:
        return _read(body, columns)
    except pl.exceptions.PolarsError:  # one line is enough
        return None


def _read(buffer: bytes, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    # In one piece: the reader leaves as many as its threads cut, and whatever follows goes through them one by one.
    return pl.read_ndjson(buffer, schema=columns).rechunk()


def _allowed(frame: pl.DataFrame, others: list[pl.Series]) -> _Fast:
    """All lines, without those whose values are not allowed; `others` are their columns outside the contract."""
    rows = pl.arange(frame.height, eager=True, dtype=pl.Int64)
    if not _is_allowed(frame):
        outside = [(~pl.col(known.key).is_in(known.values)).fill_null(False) for known in FIELDS if known.values]
        fine = frame.select(~pl.any_horizontal(_invalid() + outside)).to_series()
        frame, rows = frame.filter(fine), rows.filter(fine)
        others = [column.filter(fine) for column in others]
    unknown: Counter[str] = Counter()
    for column in others:
        unknown[plain.label(column.name)] += column.count()
    return _Fast(frame, rows, +unknown)


def _is_allowed(frame: pl.DataFrame) -> bool:
    """Whether every row has what is required, and no value breaks a bound or is none of its closed set."""
    nulls = dict(zip(frame.columns, frame.null_count().row(0), strict=True))
    if any(nulls[key] for key in REQUIRED):
        return False
    least, most = frame.select(_LEAST).row(0, named=True), frame.select(_MOST).row(0, named=True)
    low = (value is not None and value < (BY_KEY[key].minimum or 0) for key, value in least.items())
    high = (value is not None and value > (BY_KEY[key].maximum or 0) for key, value in most.items())
    if any(low) or any(high):
        return False
    closed = [(known.key, _WORDS[known.key]) for known in FIELDS if known.values and nulls[known.key] < len(frame)]
    return all(frame.get_column(key).cast(words, strict=False).null_count() == nulls[key] for key, words in closed)


def _by_line(body: bytes, lines: pl.Series, keys: tuple[str, ...], read: pl.DataFrame | None) -> _Fast:
    """Read what can be proven of each line; lines that have more keys than these go through a second round.

    Args:
        body: Lines with their newlines.
        lines: The same; null where a line is no UTF-8.
        keys: To read first.
        read: The same lines, if they were read already.
    """
    proven = (proof.matching(lines) & (lines.str.len_bytes() <= MAX_LINE_BYTES)).fill_null(False)
    todo = pl.DataFrame({"row": pl.arange(len(lines), eager=True, dtype=pl.Int64), "line": lines})
    buffer: bytes | None = body
    if not proven.all():
        todo, buffer, read = todo.filter(proven), None, None
    frames: list[pl.DataFrame] = []
    rows = [pl.Series([], dtype=pl.Int64)]
    unknown: Counter[str] = Counter()
    for wanted in dict.fromkeys((keys, KEYS)):
        if todo.is_empty():
            break
        if buffer is None:
            buffer = joined(todo["line"] + "\n")
        frame = _read(buffer, {key: BY_KEY[key].dtype for key in wanted}) if read is None else read
        taken, odd = proof.accounted(buffer, todo["line"], frame)
        frame = _completed(frame)
        taken &= frame.select(~pl.any_horizontal(_invalid())).to_series()
        whole = bool(taken.all())
        frames.append(frame if whole else frame.filter(taken))
        rows.append(todo["row"] if whole else todo["row"].filter(taken))
        if odd is not None:
            unknown += _unknown(todo["line"].filter(taken & odd))
        todo, buffer, read = todo.clear() if whole else todo.filter(~taken), None, None
    return _Fast(pl.concat(frames) if frames else empty(), pl.concat(rows), unknown)


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
    lines = lines.filter(lines.str.count_matches(proof.KEY) > lines.str.count_matches(proof.KNOWN))
    keys = lines.str.extract_all(proof.KEY).explode(keep_nulls=False, empty_as_null=False).value_counts()
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
