"""Lines to events: parse → mask → tokenise (design §3). Pure: what earlier pieces left behind is an argument.

The same lines give the same events, whatever the file is called and however it is cut into pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from collector import mapping
from collector.formats import (
    DETAIL,
    REASON,
    STAMP,
    TIME,
    cbs,
    cef,
    delimited,
    jsonlines,
    keyvalue,
    leef,
    oracle,
    postgresql,
    syslog,
    web,
    windows_security,
)
from collector.read import Piece
from collector.refused import hide, refuse
from collector.sources import TOKEN_KEYS, Source
from collector.steps import steps
from contract import wire
from contract.event import FIELDS, KEYS, MAX_TIME, SCHEMA_VERSION, Field, empty, schema
from registers import tokens
from registers.dates import moments
from registers.mask import MASK
from registers.text import normalise_id
from registers.tokens import SiteKey

# A leap year, so that no stamp without year is lost for want of a 29 February.
FALLBACK_YEAR: Final = 2000
_ABSENT: Final = {name: pl.Series(name, [None], dtype=kind) for name, kind in schema().items()}
_NONE_UNREAD: Final = pl.DataFrame(
    schema={"offset": pl.Int64, "reason": pl.String, "detail": pl.String, "line": pl.String}
)

_CUT: Final[dict[str, Callable[[pl.Series, Source, str | None], pl.DataFrame]]] = {
    "delimited": delimited.cut,
    "json": jsonlines.cut,
    "keyvalue": keyvalue.cut,
    "combined": web.cut_access,
    "apache_error": web.cut_error,
    "syslog": syslog.cut,
    "windows_security": windows_security.cut,
    "windows_cbs": cbs.cut,
    "cef": cef.cut,
    "leef": leef.cut,
    "postgresql": postgresql.cut,
    "oracle_syslog": oracle.cut,
}
_SOME_TOKEN: Final = "^[a-z]_[0-9a-f]*$"
_TIME_FORMATS: Final = {"combined": (web.ACCESS_TIME,), "apache_error": web.ERROR_TIMES}


@dataclass(frozen=True, slots=True)
class State:
    """What parsing a piece needs to know of the ones before.

    Attributes:
        subjects: By actor, the raw number of the subject whom the actor touched last in this source.
        year: Year of the file's newest stamp without year; None at a file's start.
        month: Its month.
    """

    subjects: Mapping[str, int] = field(default_factory=dict, repr=False)
    year: int | None = None
    month: int | None = None

    def next_file(self) -> State:
        """The state at the start of the source's next file."""
        return replace(self, year=None, month=None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a piece held.

    Attributes:
        source: Id of the source.
        name: Name of the file.
        events: One row per event in `contract.event.schema()`, in line order.
        rejected: One row per refused line in `contract.rejected.REJECTED_SCHEMA`, in line order, masked.
        yearless: Some stamps had no year, and one was assumed.
        state: For the source's next piece.
        ids: `token` and `id` (String), each token once: which ids the tokens in `events` stand for. Only if it was asked
            for, because it is what tokens hide: for the vault, and never for anything else.
    """

    source: str
    name: str
    events: pl.DataFrame
    rejected: pl.DataFrame
    yearless: bool = False
    state: State = field(default_factory=State)
    ids: pl.DataFrame | None = field(default=None, repr=False)


def parse(
    piece: Piece,
    source: Source,
    site_key: SiteKey,
    time_zone: str,
    state: State | None = None,
    reference_year: int | None = None,
    *,
    keep_ids: bool = False,
) -> Parsed:
    """Turn the lines of a piece into events.

    Args:
        piece: Lines of one file.
        source: How they are written.
        site_key: Key of event ids, tokens and MACs.
        time_zone: IANA name; for stamps without zone, unless the source names its own.
        state: What the source's piece before left; None for the first.
        reference_year: Year of a file's first stamp without year, unless the source says; else 2000.
        keep_ids: Also tell which ids the tokens stand for.

    Returns:
        Events and refused lines; blank lines and repeated headers are neither.
    """
    before = state or State()
    if source.format == "event":
        events, refused = _contract(piece, source)
        return Parsed(source.id, piece.name, events, refused, state=before)
    lines, unread = _readable(piece, source)
    if lines.is_empty():
        return Parsed(source.id, piece.name, empty(), refuse(unread, source, piece.name), state=before)
    line = lines.get_column("line")
    wide = mapping.cleaned(_CUT[source.format](line, source, piece.header), line, source)
    refusals = mapping.Refusals(wide.get_column(REASON), wide.get_column(DETAIL))
    nul = _has_nul(line, wide, source)
    if nul is not None:
        refusals.add(nul, "encoding", "holds a NUL or half of a surrogate pair")
    times, after = _times(wide, source, time_zone, before, reference_year, refusals)
    frame = mapping.values(wide, [times, *_received(wide, source, time_zone)], source, refusals)
    good = refusals.reason.is_null()
    if not good.all():
        bad = lines.select("offset", refusals.reason.alias("reason"), refusals.detail.alias("detail"), "line")
        unread = pl.concat([unread, bad.filter(~good)])
        frame, lines = frame.filter(good), lines.filter(good)
    frame, subjects = steps(frame, source, after.subjects)
    tokenised = _tokenised(frame, source, site_key)
    ids = _ids(frame, tokenised) if keep_ids else None
    frame = _identified(tokenised, lines, piece, source, site_key)
    refused = refuse(unread if unread.is_empty() else unread.sort("offset"), source, piece.name)
    yearless = STAMP in wide.columns and bool(wide.get_column(STAMP).is_not_null().any())
    return Parsed(source.id, piece.name, frame, refused, yearless, replace(after, subjects=subjects), ids)


def _has_nul(line: pl.Series, wide: pl.DataFrame, source: Source) -> pl.Series | None:
    """A NUL in the line, or in a value: JSON can spell it, and Polars reads half a surrogate pair as one. None: nowhere."""
    nul, escape = (pl.col("line").str.contains(sign, literal=True).any() for sign in ("\0", "\\u"))
    spells = source.format in ("json", "windows_security") and wide.width > 2
    has_nul, has_escape = line.to_frame("line").select(nul=nul, escape=escape if spells else pl.lit(False)).row(0)
    if not has_nul and not has_escape:
        return None
    bad = line.str.contains("\0", literal=True)
    if has_escape:
        values = pl.exclude(REASON, DETAIL).str.contains("\0", literal=True)
        bad = bad | wide.select(pl.any_horizontal(values.fill_null(False)).alias("bad")).to_series()
    return bad


def _readable(piece: Piece, source: Source) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines that are text and say something, and those that are no text; blank lines and headers are neither."""
    lines = piece.lines
    silent = pl.col("line").str.strip_chars_start() == ""
    if source.format == "delimited" and source.header and piece.header is not None:
        silent = silent | (pl.col("line") == piece.header)
    if lines.select(silent.any()).item():
        lines = lines.filter(~silent.fill_null(False))
    unread = [_too_long(piece)]
    if lines.get_column("line").null_count():
        broken = lines.filter(pl.col("line").is_null())
        shown = [raw[:2000].decode("utf-8", errors="replace") for raw in broken.get_column("raw").to_list()]
        detail = f"the bytes are no text in the file's encoding ({piece.encoding})"
        reasons = [pl.lit("encoding").alias("reason"), pl.lit(detail).alias("detail")]
        unread.append(broken.select("offset", *reasons, pl.Series("line", shown, dtype=pl.String)))
        lines = lines.filter(pl.col("line").is_not_null())
    return lines, pl.concat(unread)


def _too_long(piece: Piece) -> pl.DataFrame:
    if piece.too_long.is_empty():
        return _NONE_UNREAD
    detail = pl.format("{} MiB; a line of more than 1 MiB is not read", (pl.col("bytes") / (1 << 20)).round(1))
    return piece.too_long.select("offset", pl.lit("too_long").alias("reason"), detail.alias("detail"), "line")


def _contract(piece: Piece, source: Source) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The contract's own lines: ids and all keys stay; free text is masked once more."""
    lines, unread = _readable(piece, source)
    raws = lines.get_column("raw")
    decoded = wire.decode(b"\n".join(raws.to_list()), source_id=source.id)
    events = decoded.frame.with_columns(
        _masked_token(decoded.frame.get_column(known.key))
        if known.key in TOKEN_KEYS
        else mapping.masked(decoded.frame.get_column(known.key))
        for known in FIELDS
        if known.kind == "str" and _is_free(known)
    )
    places = decoded.rejected.get_column("source.position").str.strip_prefix(":").cast(pl.Int64).to_numpy()
    starts = np.concatenate(([0], np.cumsum(raws.bin.size().cast(pl.Int64).to_numpy() + 1)))[:-1]
    offsets = lines.get_column("offset").to_numpy()[np.searchsorted(starts, places, side="right") - 1]
    position = pl.Series("source.position", [f"{piece.name}:{offset}" for offset in offsets.tolist()], dtype=pl.String)
    refused = hide(decoded.rejected.with_columns(position), source)
    order = np.concatenate([unread.get_column("offset").to_numpy(), offsets]).argsort(kind="stable")
    return events, pl.concat([refuse(unread, source, piece.name), refused])[order]


def _is_free(known: Field) -> bool:
    return not known.values and known.key not in ("event.id", "raw.mac")


def _masked_token(text: pl.Series) -> pl.Series:
    """Somebody else's token: twelve digits of one's hash mean nothing, but what has not the shape of one may be raw."""
    raw = (~text.str.contains(_SOME_TOKEN)).fill_null(False)
    return mapping.masked(text).zip_with(raw, text) if raw.any() else text


def _times(
    wide: pl.DataFrame,
    source: Source,
    time_zone: str,
    state: State,
    reference_year: int | None,
    refusals: mapping.Refusals,
) -> tuple[pl.Series, State]:
    zone = source.time_zone or time_zone
    own = source.time or (TIME,)
    text = mapping.texts(wide, own)
    if STAMP in wide.columns:
        years, state = _years(wide.get_column(STAMP), source.assume_year or reference_year or FALLBACK_YEAR, state)
        stamped = pl.DataFrame({"year": years, "stamp": wide.get_column(STAMP), "text": text})
        text = stamped.select(pl.coalesce(pl.format("{} {}", "year", "stamp"), "text")).to_series()
        formats: tuple[str, ...] = (syslog.STAMP_FORMAT,)
    else:
        formats = (*source.time_formats, *_TIME_FORMATS.get(source.format, ()))
    times = moments(text, zone, formats).alias("time.occurred")
    if times.null_count():
        refusals.add(text.is_null(), "time", "the line has no time")
        refusals.add(times.is_null(), "time", pl.format("{} is no date", "value"), text)
    if not mapping.is_within(times, 0, MAX_TIME):
        bad = ~times.is_between(0, MAX_TIME)
        refusals.add(bad, "time", pl.format("{} is before 1970 or after 9998", "value"), text)
    return times, state


def _years(stamps: pl.Series, start: int, state: State) -> tuple[pl.Series, State]:
    """The year of each stamp that has none: the first gets `start`, December to January is a step forward.

    A step back (a late line of December in January) is one back. Both are seen as a jump of six months or more.
    """
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    numbers = {name: at for at, name in enumerate(names, 1)}
    months = stamps.str.slice(0, 3).replace_strict(numbers, default=None, return_dtype=pl.Int64)
    known = months.drop_nulls()
    if known.is_empty():
        return pl.Series([None] * stamps.len(), dtype=pl.Int64), state
    first = known[0] if state.month is None else state.month
    jump = months.forward_fill().fill_null(first).diff().fill_null(months.fill_null(first)[0] - first)
    turns = (jump <= -6).cast(pl.Int64) - (jump >= 6).cast(pl.Int64)
    years = turns.cum_sum() + (start if state.year is None else state.year)
    return years, replace(state, year=int(years[-1]), month=int(months.forward_fill().fill_null(first)[-1]))


def _received(wide: pl.DataFrame, source: Source, time_zone: str) -> list[pl.Series]:
    if not source.received:
        return []
    text = mapping.texts(wide, source.received)
    return [moments(text, source.time_zone or time_zone, source.time_formats).alias("time.received")]


def _tokenised(frame: pl.DataFrame, source: Source, key: SiteKey) -> pl.DataFrame:
    """Raw ids of people, households, accounts and records become tokens; nothing raw leaves this function.

    An id that was masked before it came here is nobody's: one token for all of them would be a person that is not there.
    """
    makers = {
        "subject.token": tokens.subject_tokens,
        "household.token": tokens.household_tokens,
        "payee.token": tokens.payee_tokens,
    }
    done = [
        make(
            _known(frame.get_column(name)),
            key,
            already=name in source.ids.tokens,
            strip_zeros=name in source.ids.strip_zeros,
        )
        for name, make in makers.items()
        if name in frame.columns
    ]
    if {"resource.id", "resource.type"} <= set(frame.columns):
        raw = frame.get_column("resource.id")
        options = {
            "already": "resource.id" in source.ids.tokens,
            "strip_zeros": "resource.id" in source.ids.strip_zeros,
        }
        of_record = (frame.get_column("resource.type") == "record").fill_null(False)
        if of_record.any():
            record = tokens.record_tokens(_known(raw.set(~of_record, None)), key, **options)
            done.append(record.zip_with(of_record, raw).alias("resource.id"))
    return with_columns(frame, done)


def _known(ids: pl.Series) -> pl.Series:
    masked = ids.str.contains(MASK, literal=True)
    return ids.set(masked, None) if masked.any() else ids


def _ids(raw: pl.DataFrame, tokenised: pl.DataFrame) -> pl.DataFrame:
    """Which ids the tokens stand for: `token` and `id`, each token once; what was a token before stands for nothing."""
    found = [pl.DataFrame(schema={"token": pl.String, "id": pl.String})]
    for name in (*TOKEN_KEYS, "resource.id"):
        if name in tokenised.columns:
            pairs = pl.DataFrame({"token": tokenised.get_column(name), "id": raw.get_column(name).cast(pl.String)})
            # The id of what is no record stays as it is, and a source may carry tokens already.
            made = pl.col("token").str.contains(tokens.TOKEN_PATTERN) & (pl.col("token") != pl.col("id"))
            found.append(pairs.unique("token", keep="first", maintain_order=True).filter(made))
    return pl.concat(found).unique("token", keep="first", maintain_order=True).with_columns(normalise_id(pl.col("id")))


def _identified(frame: pl.DataFrame, lines: pl.DataFrame, piece: Piece, source: Source, key: SiteKey) -> pl.DataFrame:
    """All columns of the contract, with what the collector writes itself; the ones without a value are null."""
    ids, macs = tokens.ids_and_macs(
        source.id, piece.generation, lines.get_column("offset"), lines.get_column("raw"), key
    )
    position = (pl.lit(f"{piece.name}:") + pl.col("offset").cast(pl.String)).alias("source.position")
    fixed = (pl.Series("event.schema", [SCHEMA_VERSION], dtype=pl.Int64), pl.Series("source.id", [source.id]))
    own = (
        ids,
        *(one.new_from_index(0, lines.height) for one in fixed),
        lines.select(position).to_series(),
        macs,
    )
    known = {column.name: column for column in (*frame, *own)}
    return pl.DataFrame(
        [known[name] if name in known else _ABSENT[name].new_from_index(0, lines.height) for name in KEYS]
    )


def with_columns(frame: pl.DataFrame, columns: list[pl.Series]) -> pl.DataFrame:
    """Put columns into a frame, under their names. The frame's own `with_columns` looks into each value first."""
    return pl.DataFrame(list(({column.name: column for column in frame} | {new.name: new for new in columns}).values()))
