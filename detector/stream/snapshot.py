"""The states of both cores as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import polars as pl

from contract import event
from detector import narrow, parcel, step, witness
from detector.held import Held
from detector.history import History
from detector.narrow import Narrow
from detector.stowed import Packed
from detector.stream.amend import Kept
from detector.stream.telling import Moments, Told
from detector.stream.waiting import Waiting, again, narrowed, plain

VERSION: Final = 4
_ONE: Final = "core one"
_TWO: Final = "core two"
_CORE: Final = ("tails", "open_hits")
_HISTORY: Final = ("actors", "ops", "pairs", "days")
_WINDOW: Final = "window "


_NONE: Final = event.empty()


class Day(NamedTuple):
    """How far a day is summed up: the parts done, whether these are all, and events that came late meanwhile."""

    ended: int = 0
    is_ended: bool = False
    behind: pl.DataFrame = _NONE


# Core, waiting events, moments, what was said, sessions that closed lately, the day.
One = tuple[step.State, Waiting, Moments, pl.DataFrame, Kept, Day]


def dump_one(core: step.State, waiting: Waiting, moments: Moments, said: pl.DataFrame, kept: Kept, day: Day) -> bytes:
    """Stage one's state, part by part (`One`). What is said of waiting events by registers can be said again."""
    header: dict[str, Any] = {
        "watermark": core.watermark, "declared": list(core.declared),
        "told": {unit: list(one) for unit, one in moments.told.items()},
        "stowed": [[one.rows, one.last.isoformat(), one.share] for one in core.stowed],
        "day": [day.ended, day.is_ended],
    }  # fmt: skip
    frames = {name: getattr(core, name) for name in _CORE} | {"rows": core.rows.fresh}
    header["rows"] = [_piece(f"rows {n}", one, frames) for n, one in enumerate(core.rows.pieces)]
    header["waiting"] = [_piece(f"waiting {n}", one, frames) for n, one in enumerate(narrowed(waiting))]
    frames |= {f"history {name}": getattr(core.history, name) for name in _HISTORY}
    frames |= _windows(core.windows)
    frames |= {
        "waiting": plain(waiting), "said": said,
        "moments": moments.known, "early": moments.early,
        "kept rows": kept.rows, "kept hits": kept.hits, "kept tails": kept.tails, "behind": day.behind,
    }  # fmt: skip
    return parcel.pack(_ONE, VERSION, header, frames, {f"stowed {n:06}": one.data for n, one in enumerate(core.stowed)})


def load_one(data: bytes) -> One:
    """The reverse of `dump_one`.

    Raises:
        ValueError: Damaged, or of a version that this program does not know.
    """
    header, frames, blobs = parcel.unpack(data, _ONE, VERSION)
    core = step.State(
        watermark=header["watermark"],
        declared=tuple(header["declared"]),
        rows=Held(frames["rows"], tuple(_pieces("rows", header, frames))),
        stowed=tuple(
            Packed(rows, date.fromisoformat(last), share, blobs[f"stowed {number:06}"])
            for number, (rows, last, share) in enumerate(header["stowed"])
        ),
        history=History(**{name: frames[f"history {name}"] for name in _HISTORY}),
        windows=_unpacked(frames),
        **{name: frames[name] for name in _CORE},
    )
    told = {unit: Told(*one) for unit, one in header["told"].items()}
    waiting = again(frames["waiting"], _pieces("waiting", header, frames))
    kept = Kept(frames["kept rows"], frames["kept hits"], frames["kept tails"])
    # Who wrote the state may have summed days up in one turn.
    ended, is_ended = header.get("day", (0, False))
    day = Day(ended, is_ended, frames.get("behind", _NONE))
    return core, waiting, Moments(frames["moments"], frames["early"], told), frames["said"], kept, day


def dump_two(groups: step.Groups, candidates: pl.DataFrame, notes: pl.DataFrame) -> bytes:
    """Stage two's state: what is decided, and what waits for its time."""
    told, frames, blobs = groups.evidence.parts()
    header: dict[str, Any] = {"watermark": groups.watermark, "evidence": told}
    frames = {f"evidence {name}": frame for name, frame in frames.items()}
    waiting = {"candidates": candidates.sort(candidates.columns), "notes": notes.sort(notes.columns)}
    return parcel.pack(_TWO, VERSION, header, frames | _windows(groups.windows) | waiting, blobs)


def load_two(data: bytes) -> tuple[step.Groups, pl.DataFrame, pl.DataFrame]:
    """The reverse of `dump_two`.

    Raises:
        ValueError: Damaged, or of a version that this program does not know.
    """
    header, frames, blobs = parcel.unpack(data, _TWO, VERSION)
    own = {name.removeprefix("evidence "): frame for name, frame in frames.items() if name.startswith("evidence ")}
    evidence = witness.State.of(header["evidence"], own, blobs)
    groups = step.Groups(header["watermark"], _unpacked(frames), evidence)
    return groups, frames["candidates"], frames["notes"]


def _piece(name: str, piece: Narrow, frames: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """A piece of events: its frames are added, what else is to be known of it is returned."""
    header, parts = piece.parts()
    frames |= {f"{name} {part}": frame for part, frame in parts.items()}
    return header


def _pieces(name: str, header: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> list[Narrow]:
    return [
        Narrow.of_parts(one, {part: frames[f"{name} {number} {part}"] for part in narrow.PARTS})
        for number, one in enumerate(header[name])
    ]


def _windows(windows: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {_WINDOW + name: frame for name, frame in windows.items()}


def _unpacked(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name.removeprefix(_WINDOW): frame for name, frame in frames.items() if name.startswith(_WINDOW)}
