"""State ↔ bytes: a small header, Polars frames and byte strings in one container; equal content, equal bytes.

Two frames that are equal may still lie differently in memory: what stands under a null is anybody's guess, and so is
how a column is cut into chunks. So nulls go into masks of their own, and lists into lengths and items, before Polars
writes what is left as Arrow IPC.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

_MAGIC: Final = b"sekimori parcel 1\n"


class ParcelError(ValueError):
    """Bytes that are no parcel of the kind and version asked for; the message says what they are."""


def pack(
    kind: str,
    version: int,
    header: Mapping[str, Any],
    frames: Mapping[str, pl.DataFrame],
    blobs: Mapping[str, bytes],
) -> bytes:
    """Write state.

    Args:
        kind: What it is, for example `stage one`.
        version: Of the layout of header, frames and blobs; raise it when their meaning changes.
        header: JSON values.
        frames: By name. Columns of numbers, booleans, texts, bytes, dates and times, and lists and structs of these.
        blobs: By name, written as they are.

    Returns:
        The same bytes for equal arguments, whatever the order of the mappings and the past of the frames.

    Raises:
        TypeError: A column of another type, or a header that is no JSON.
    """
    members: list[tuple[str, bytes]] = []
    layout: dict[str, Any] = {}
    for name in sorted(frames):
        flat = _Flat()
        columns = [flat.take(column.rechunk()) for column in frames[name].get_columns()]
        layout[name] = {"rows": frames[name].height, "columns": columns, "parts": len(flat.parts)}
        members += [(f"frame {name} {number}", _ipc(part)) for number, part in enumerate(flat.parts)]
    members += [(f"blob {name}", blobs[name]) for name in sorted(blobs)]
    body = b"".join(data for _, data in members)
    head = {
        "kind": kind,
        "version": version,
        "header": header,
        "frames": layout,
        "members": [[name, len(data)] for name, data in members],
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    text = json.dumps(head, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _MAGIC + text.encode() + b"\n" + body


def unpack(data: bytes, kind: str, version: int) -> tuple[dict[str, Any], dict[str, pl.DataFrame], dict[str, bytes]]:
    """The reverse of `pack`.

    Args:
        data: The bytes.
        kind: The kind expected.
        version: The only version that this program reads.

    Returns:
        Header, frames and blobs.

    Raises:
        ParcelError: The bytes are damaged, of another kind, or of a version that this program does not know.
    """
    head, body = _opened(data, kind)
    if head["version"] != version:
        raise ParcelError(f"{kind} of version {head['version']}: this program knows version {version} only")
    if hashlib.sha256(body).hexdigest() != head["sha256"]:
        raise ParcelError(f"{kind}: the bytes were altered or cut short")
    members, place = {}, 0
    for name, size in head["members"]:
        members[name] = body[place : place + size]
        place += size
    frames = {}
    for name, plan in head["frames"].items():
        parts = [pl.read_ipc(io.BytesIO(members[f"frame {name} {number}"])) for number in range(plan["parts"])]
        columns = [_series(node, parts, plan["rows"]) for node in plan["columns"]]
        frames[name] = pl.DataFrame(columns)
    blobs = {name.removeprefix("blob "): data for name, data in members.items() if name.startswith("blob ")}
    return head["header"], frames, blobs


def _opened(data: bytes, kind: str) -> tuple[dict[str, Any], bytes]:
    if not data.startswith(_MAGIC):
        raise ParcelError(f"no {kind} of Sekimori, or one of another layout than this program knows")
    line, _, body = data[len(_MAGIC) :].partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(line)
    except ValueError:
        raise ParcelError(f"{kind}: its header is damaged") from None
    if head["kind"] != kind:
        raise ParcelError(f"no {kind} but {head['kind']}")
    return head, body


def _ipc(columns: list[pl.Series]) -> bytes:
    file = io.BytesIO()
    # Views of strings may share memory in any way; the older layout writes them one after another.
    pl.DataFrame(columns).write_ipc(file, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return file.getvalue()


@dataclass(slots=True)
class _Flat:
    """Columns without nulls, lists and structs, by length: part 0 has a row per row of the frame."""

    parts: list[list[pl.Series]] = field(default_factory=list)

    def take(self, column: pl.Series, part: int | None = None) -> dict[str, Any]:
        """Add a column; returns how it is put together again."""
        if part is None:
            part = 0
            self.parts = self.parts or [[]]
        node: dict[str, Any] = {"name": column.name, "part": part}
        if column.null_count():
            node["nulls"] = self._add(column.is_null(), part)
        if column.dtype == pl.List:
            lengths = column.list.len().fill_null(0)
            node["lengths"] = self._add(lengths, part)
            items = column.filter(lengths > 0).explode(keep_nulls=False, empty_as_null=False)
            self.parts.append([])
            node["items"] = self.take(items.rechunk(), len(self.parts) - 1)
        elif column.dtype == pl.Struct:
            node["fields"] = [self.take(one.rechunk(), part) for one in column.struct.unnest().get_columns()]
        elif column.dtype == pl.Null:
            node["nothing"] = len(column)
        else:
            node["values"] = self._add(column.fill_null(_default(column.dtype)), part)
            node["flags"] = column.dtype == pl.Boolean
        return node

    def _add(self, column: pl.Series, part: int) -> int:
        # As bytes: of bits the last few, which are beyond the end, may be anything.
        column = column.cast(pl.UInt8) if column.dtype == pl.Boolean else column
        self.parts[part].append(column.rename(str(len(self.parts[part]))))
        return len(self.parts[part]) - 1


def _default(dtype: pl.DataType) -> pl.Expr:
    if dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean:
        return pl.lit(0).cast(dtype)
    if dtype in (pl.String, pl.Binary):
        return pl.lit("").cast(dtype)
    raise TypeError(f"a column of type {dtype} cannot be packed")


def _series(node: Mapping[str, Any], parts: list[pl.DataFrame], rows: int) -> pl.Series:
    part = parts[node["part"]]
    if "lengths" in node:
        lengths = part.to_series(node["lengths"])
        column = _lists(lengths, _series(node["items"], parts, int(lengths.sum())))
    elif "fields" in node:
        column = pl.DataFrame([_series(one, parts, rows) for one in node["fields"]]).to_struct()
    elif "nothing" in node:
        return pl.Series(node["name"], [None] * node["nothing"], dtype=pl.Null)
    else:
        column = part.to_series(node["values"])
        column = column.cast(pl.Boolean) if node["flags"] else column
    if "nulls" in node:
        present = part.to_series(node["nulls"]) == 0
        column = pl.select(pl.when(present).then(column)).to_series()
    return column.rename(node["name"])


def _lists(lengths: pl.Series, items: pl.Series) -> pl.Series:
    """Lists of these lengths out of items that follow one another."""
    rows = pl.int_range(len(lengths), dtype=pl.UInt32, eager=True).repeat_by(lengths)
    rows = rows.filter(lengths > 0).explode(keep_nulls=False, empty_as_null=False)
    filled = pl.DataFrame([rows.rename("row"), items.rename("items")]).group_by("row", maintain_order=True).agg("items")
    every = pl.DataFrame({"row": pl.int_range(len(lengths), dtype=pl.UInt32, eager=True)})
    joined = every.join(filled, on="row", how="left", maintain_order="left")["items"]
    return joined.fill_null(pl.Series([[]], dtype=pl.List(items.dtype)))
