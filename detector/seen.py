"""Which events were seen before: what agents send again after a crash, and what comes twice for any other reason.

Of the last `keep_ms` of event time every id is remembered, eight bytes each, so nothing that is new is taken for old,
whatever the order. Of what lies behind that only how far each file was read is remembered. A file that is read from its start
again is recognised by that; an event without a position is not, and counts as new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import parcel

_KIND: Final = "seen events"
_VERSION: Final = 1
# A run of ids is merged with the one before it unless that is so many times longer: few runs to search, few merges.
_RATIO: Final = 8
# Ids are forgotten by the generation; so many make up the time that they are kept.
_GENERATIONS: Final = 2
# Events so many generations ahead of the watermark are kept apart: a stamp of the year 2090 would be kept for ever.
_AHEAD: Final = 48
MOST_AHEAD: Final = 1_000_000
MOST_FILES: Final = 50_000
MOST_STRETCHES: Final = 16

Ids = NDArray[np.uint64]


class Stretch(NamedTuple):
    """What was read of a file under one name between two rotations: event time of its events, UTC ms, greatest offset."""

    first_ms: int
    last_ms: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is remembered.

    Attributes:
        keep_ms: For how long ids are, in event time behind the watermark.
        generations: Ids by the stretch of time that the event belongs to, or the watermark when it came, if that was later;
            in runs, each sorted and much shorter than the one before it. The oldest first.
        ahead: Ids, sorted, and event times of what is so far ahead of the watermark that the stamps are likely wrong.
        files: By agent, source and name of the file, how far it was read; stretches in the order of time. Where there is no
            file, the agent's start and number stand for it; where there is no agent, nothing does.
    """

    keep_ms: int = 3_600_000
    generations: Mapping[int, tuple[Ids, ...]] = field(default_factory=dict)
    ahead: tuple[Ids, NDArray[np.int64]] = (np.empty(0, np.uint64), np.empty(0, np.int64))
    files: Mapping[str, tuple[Stretch, ...]] = field(default_factory=dict)

    @property
    def span_ms(self) -> int:
        """Length of a generation."""
        return max(1, self.keep_ms // _GENERATIONS)

    @property
    def ids(self) -> int:
        """How many ids are remembered."""
        return len(self.ahead[0]) + sum(len(run) for runs in self.generations.values() for run in runs)

    def dump(self) -> bytes:
        """As bytes; the same ones for the same content."""
        names = sorted(self.files)
        rows = [(name, *stretch) for name in names for stretch in self.files[name]]
        schema = {"file": pl.String, "first_ms": pl.Int64, "last_ms": pl.Int64, "offset": pl.Int64}
        header = {"keep_ms": self.keep_ms, "generations": list(self.generations)}
        blobs = {f"{number}": _merged(runs).tobytes() for number, runs in self.generations.items()}
        blobs |= {"ahead": self.ahead[0].tobytes(), "ahead at": self.ahead[1].tobytes()}
        return parcel.pack(_KIND, _VERSION, header, {"files": pl.DataFrame(rows, schema=schema, orient="row")}, blobs)

    @classmethod
    def load(cls, data: bytes) -> Seen:
        """The reverse of `dump`.

        Raises:
            detector.parcel.ParcelError: It is something else, or of another version.
        """
        header, frames, blobs = parcel.unpack(data, _KIND, _VERSION)
        generations = {number: (np.frombuffer(blobs[f"{number}"], np.uint64),) for number in header["generations"]}
        ahead = np.frombuffer(blobs["ahead"], np.uint64), np.frombuffer(blobs["ahead at"], np.int64)
        files: dict[str, list[Stretch]] = {}
        for name, first_ms, last_ms, offset in frames["files"].iter_rows():
            files.setdefault(name, []).append(Stretch(first_ms, last_ms, offset))
        return cls(header["keep_ms"], generations, ahead, {name: tuple(found) for name, found in files.items()})


def admit(seen: Seen, events: pl.DataFrame, watermark: int) -> tuple[Seen, pl.DataFrame, pl.DataFrame]:
    """Part what is new from what came again.

    An event later than `keep_ms` before the watermark is new exactly if its id never came before. An earlier one, whose
    id may be forgotten, came again if its file was read beyond it already.

    Args:
        seen: So far.
        events: `contract.event` columns, in the order of arrival.
        watermark: UTC ms, as it stood before these events came; −1 if there was none.

    Returns:
        What is remembered now; the rows that are new; the rows that came again. Both in their order.
    """
    if events.is_empty():
        return seen, events, events
    ids = _numbers(events.get_column("event.id"))
    times = events.get_column("time.occurred").to_numpy()
    now = watermark if watermark >= 0 else int(times.min())
    seen = _moved(seen, now)
    order = np.argsort(ids)
    known = _known(seen, ids, order)
    known |= ~pl.Series(ids).is_first_distinct().to_numpy()
    late = np.flatnonzero((times <= watermark - seen.keep_ms) & ~known)
    if late.size:
        known[late] = _behind(seen.files, events[late.tolist()])
    fresh = ~known
    if fresh.all():
        new, again = events, events.clear()
    else:
        new, again = events.filter(pl.Series(fresh)), events.filter(pl.Series(known))
    if not new.is_empty():
        kept = order[fresh[order]]
        seen = replace(_added(seen, ids[kept], times[kept], now), files=_read_on(seen.files, new))
    return seen, new, again


# --- ids ------------------------------------------------------------------------------------------------------------


def _numbers(ids: pl.Series) -> Ids:
    """Ids as numbers: those of ours are 16 hex digits, others are hashed."""
    if (all_ours := _all_ours(ids)) is not None:
        return all_ours
    ours = ids.str.contains("^[0-9a-f]{16}$")
    numbers = ids.set(~ours, None).str.decode("hex").bin.reinterpret(dtype=pl.UInt64, endianness="little")
    others = (~ours).arg_true()
    if others.len():
        hashed = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids.gather(others).to_list()]
        numbers = numbers.scatter(others, pl.Series([int.from_bytes(one, "little") for one in hashed], dtype=pl.UInt64))
    return numbers.to_numpy()


def _all_ours(ids: pl.Series) -> Ids | None:
    """Numbers of ids that are all of ours, read at once; None of others."""
    digits = ids.str.join("").item() if (ids.str.len_bytes() == 16).all() else ""
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return None
    # Capitals and blanks are read, too.
    return np.frombuffer(data, "<u8").astype(np.uint64) if data.hex() == digits and len(data) == 8 * len(ids) else None


def _known(seen: Seen, ids: Ids, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which ids are remembered; looked up in their order, for that spares the processor's cache."""
    ordered = ids[order]
    hit = np.zeros(len(ids), np.bool_)
    for run in (seen.ahead[0], *(run for runs in seen.generations.values() for run in runs)):
        if len(run):
            place = np.searchsorted(run, ordered)
            place[place == len(run)] = 0
            hit |= run[place] == ordered
    known = np.empty_like(hit)
    known[order] = hit
    return known


def _moved(seen: Seen, now: int) -> Seen:
    """Forget what lies more than `keep_ms` before now, and put in its place what was far ahead and is not any more."""
    span, since = seen.span_ms, now - seen.keep_ms
    present = now // span
    generations = {
        number: runs if number >= present or len(runs) == 1 else (_merged(runs),)
        for number, runs in seen.generations.items()
        if (number + 1) * span > since
    }
    seen = replace(seen, generations=generations)
    ids, times = seen.ahead
    near = times // span <= present + _AHEAD
    if not near.any():
        return seen
    seen = replace(seen, ahead=(ids[~near], times[~near]))
    near &= times > since
    return _added(seen, ids[near], times[near], now) if near.any() else seen


def _added(seen: Seen, ids: Ids, times: NDArray[np.int64], now: int) -> Seen:
    """Remember sorted ids."""
    numbers = np.maximum(times, now) // seen.span_ms
    generations = dict(seen.generations)
    far = numbers > now // seen.span_ms + _AHEAD
    present = np.unique(numbers[~far]).tolist()
    for number in present:
        own = ids if len(present) == 1 and not far.any() else ids[numbers == number]
        generations[number] = _stacked(generations.get(number, ()), own)
    ahead = seen.ahead
    if far.any():
        more, at = np.concatenate((ahead[0], ids[far])), np.concatenate((ahead[1], times[far]))
        nearest = np.sort(np.lexsort((more, at))[:MOST_AHEAD])
        more, at = more[nearest], at[nearest]
        order = np.argsort(more, kind="stable")
        ahead = more[order], at[order]
    return replace(seen, generations=dict(sorted(generations.items())), ahead=ahead)


def _stacked(runs: Sequence[Ids], ids: Ids) -> tuple[Ids, ...]:
    stack = list(runs)
    while stack and len(stack[-1]) < _RATIO * len(ids):
        ids = _merged((stack.pop(), ids))
    return (*stack, ids)


def _merged(runs: Sequence[Ids]) -> Ids:
    if len(runs) == 1:
        return runs[0]
    ids = np.concatenate(runs)
    ids.sort(kind="stable")  # merges what is sorted
    return ids


# --- files ----------------------------------------------------------------------------------------------------------


def _places(events: pl.DataFrame) -> pl.DataFrame:
    """`file`, `offset` and `at` of each event; null where it has no place."""
    position, name = pl.col("source.position"), pl.col("name")
    # Step by step: what stands twice in one selection is computed twice.
    named = _named(events.select("agent.id", "agent.boot", "agent.seq", "source.id", position, at="time.occurred"))
    placed = named.with_columns(
        file=pl.when(name.str.ends_with(":")).then(pl.concat_str("agent.id", "source.id", name, separator="\x1f"))
    )
    if not placed.select((pl.col("file").is_null() | pl.col("number").is_null()).any()).item():
        return placed.select("file", "at", offset="number")
    known = pl.col("file").is_not_null() & pl.col("number").is_not_null()
    start = pl.concat_str("agent.id", "agent.boot", separator="\x1f")
    return placed.select(
        "at",
        file=pl.when(known).then("file").otherwise(start),
        offset=pl.when(known).then("number").otherwise("agent.seq"),
    )


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Positions parted into `name` and the digits at their end, as `number`."""
    position, name, digits = pl.col("source.position"), pl.col("name"), pl.col("digits")
    # Where there is one colon and a number behind it, as agents write it, it is found in a third of the time.
    after = (position.str.find(":", literal=True) + 1).alias("after")
    cut = rows.with_columns(after).with_columns(name=position.str.head("after"), digits=position.str.slice("after"))
    cut = cut.with_columns(number=digits.cast(pl.Int64, strict=False))
    signed = digits.str.starts_with("+") | digits.str.starts_with("-")
    if cut.select((position.is_null() | (pl.col("number").is_not_null() & ~signed)).all()).item():
        return cut
    named = rows.with_columns(name=position.str.strip_chars_end("0123456789"))
    number = position.str.tail(position.str.len_bytes() - name.str.len_bytes()).cast(pl.Int64, strict=False)
    return named.with_columns(number=number)


def _behind(files: Mapping[str, tuple[Stretch, ...]], events: pl.DataFrame) -> NDArray[np.bool_]:
    """Which of these events lie in what was read of their files."""
    return np.array(
        [
            name is not None and offset is not None and _is_read(files.get(name, ()), offset, at)
            for name, offset, at in _places(events).select("file", "offset", "at").iter_rows()
        ],
        np.bool_,
    )


def _is_read(stretches: Sequence[Stretch], offset: int, at: int) -> bool:
    place = _place(stretches, at)
    return place >= 0 and offset <= stretches[place].offset and at <= stretches[place].last_ms


def _place(stretches: Sequence[Stretch], at: int) -> int:
    """The last stretch that had begun by then, −1 if none had."""
    return sum(stretch.first_ms <= at for stretch in stretches) - 1


def _read_on(files: Mapping[str, tuple[Stretch, ...]], new: pl.DataFrame) -> Mapping[str, tuple[Stretch, ...]]:
    """Note how far files are read now.

    That is `_noted` for one event after the other; in most files it is clear at once what comes of all of them.
    """
    rows = _places(new).drop_nulls()
    read = dict(files)
    before = (pl.col("offset").cum_max().shift(1), pl.col("at").cum_max().shift(1))
    groups = rows.group_by("file", maintain_order=True).agg(
        (pl.col("offset").diff().min() > 0).fill_null(True).alias("rising"),
        pl.col("offset").max().alias("high"),
        pl.col("at").min().alias("first_ms"),
        pl.col("at").max().alias("last_ms"),
        # What does not go on in its file is out of order only, for another that came before it has a time as late.
        ((pl.col("offset") > before[0]) | (pl.col("at") <= before[1])).all().alias("tidy"),
        pl.col("offset").first().alias("begin"),
        pl.col("at").first().alias("begin_ms"),
    )
    odd = []
    for name, rising, high, first_ms, last_ms, tidy, begin, begin_ms in groups.iter_rows():
        stretches = read.get(name, ())
        if not stretches and (rising or (tidy and begin_ms == first_ms)):
            read[name] = (Stretch(first_ms, last_ms, high),)
        elif stretches and _goes_on(stretches[-1], begin, first_ms, last_ms, tidy):
            last = stretches[-1]
            read[name] = (
                *stretches[:-1],
                Stretch(last.first_ms, max(last.last_ms, last_ms), max(last.offset, high)),
            )
        else:
            odd.append(name)
    for name, offset, at in rows.filter(pl.col("file").is_in(odd)).select("file", "offset", "at").iter_rows():
        read[name] = _noted(read.get(name, ()), offset, at)
    too_many = max(0, len(read) - MOST_FILES)
    for name in sorted(read, key=lambda name: (read[name][-1].last_ms, name))[:too_many] if too_many else ():
        del read[name]
    return read


def _goes_on(last: Stretch, begin: int, first_ms: int, last_ms: int, tidy: bool) -> bool:
    """Whether events from `first_ms` to `last_ms`, the first of them at the offset `begin`, are all of this stretch."""
    return first_ms >= last.first_ms and (last_ms <= last.last_ms or (tidy and begin > last.offset))


def _noted(stretches: tuple[Stretch, ...], offset: int, at: int) -> tuple[Stretch, ...]:
    """Note one event that is new."""
    place = _place(stretches, at)
    if place >= 0 and offset > stretches[place].offset:
        found = stretches[place]
        noted = Stretch(found.first_ms, max(found.last_ms, at), offset)
        return (*stretches[:place], noted, *stretches[place + 1 :])
    if place >= 0 and at <= stretches[place].last_ms:
        return stretches  # out of order; its id is remembered
    # A lower offset and a later time: the file was begun anew. Or earlier than all that is known of it.
    return (*stretches[: place + 1], Stretch(at, at, offset), *stretches[place + 1 :])[-MOST_STRETCHES:]
