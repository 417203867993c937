"""Learned state ↔ bytes: named numpy arrays and a small header, same state same bytes, never pickle.

The bytes are an ordinary `.npz` file (`numpy.load(path, allow_pickle=False)` opens it) with one more member,
`header.json`. Members are sorted, uncompressed and carry a fixed date, because zip would otherwise write down the
clock and compression differs between versions of zlib.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
_HEADER = "header.json"
_DATE = (1980, 1, 1, 0, 0, 0)


class StateError(ValueError):
    """Bytes that are no state of the kind asked for; the message says what to do."""


def dumps(kind: str, version: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write state.

    Args:
        kind: What it is, for example `forest`.
        version: Of the layout of header and arrays; raise it when their meaning changes.
        header: JSON values.
        arrays: Numeric, boolean or fixed-width text arrays; byte order is written as little-endian.

    Returns:
        A zip archive; equal arguments give equal bytes.
    """
    text = json.dumps({"kind": kind, "version": version, **header}, sort_keys=True, ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER, _DATE), text.encode())
        for name in sorted(arrays):
            member = io.BytesIO()
            array = np.ascontiguousarray(arrays[name])
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), member.getvalue())
    return buffer.getvalue()


def loads(data: bytes, kind: str, version: int) -> tuple[dict[str, Any], Arrays]:
    """Read what `dumps` wrote.

    Args:
        data: The bytes.
        kind: The kind expected.
        version: The only version that this program reads.

    Returns:
        Header (with `kind` and `version`) and arrays by name.

    Raises:
        StateError: The bytes are damaged, of another kind, or of a version this program does not know.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header = json.loads(archive.read(_HEADER))
            _check(header, kind, version)
            names = sorted(name for name in archive.namelist() if name != _HEADER)
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in names
            }
    except (zipfile.BadZipFile, KeyError, EOFError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StateError(f"no {kind} of Sekimori, or damaged ({error}); train it again") from error
    except StateError:
        raise
    except ValueError as error:  # numpy: pickled or truncated array
        raise StateError(f"{kind}: an array cannot be read ({error}); train it again") from error
    return header, arrays


def _check(header: Any, kind: str, version: int) -> None:
    found = header.get("kind") if isinstance(header, dict) else None
    if found != kind:
        raise StateError(f"expected a {kind}, found {found!r}; give the file that `sekimori model train` wrote")
    if header.get("version") != version:
        raise StateError(
            f"{kind} has version {header.get('version')!r}, this program reads version {version}; "
            f"train it again or use the Sekimori that wrote it"
        )


def digest(data: bytes) -> str:
    """Identify state by content: the first 16 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]
