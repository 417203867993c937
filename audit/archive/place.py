"""Where an archive lies, for reading: a local folder, or an object store by URL."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, Final, Protocol

_NO_CLIENT: Final = "needs the package obstore: pip install obstore, or give a copy of it in a local folder"


class PlaceError(ValueError):
    """The place cannot be read; the message says why, in one line."""


class Place(Protocol):
    """Files and folders by name, with `/` between."""

    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the folders and of the files in a folder, sorted; nothing where there is no such folder.

        Raises:
            OSError: It cannot be read.
        """

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if it is not there.

        Raises:
            OSError: It cannot be read.
        """


class Folder:
    """A local folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        try:
            with os.scandir(self._path / folder) as found:
                entries = [(entry.name, entry.is_dir()) for entry in found]
        except FileNotFoundError:
            return [], []
        folders, files = ([name for name, is_dir in entries if is_dir is wanted] for wanted in (True, False))
        return sorted(folders), sorted(files)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None


class Bucket:
    """An object store; credentials come from the environment.

    Raises:
        PlaceError: The URL names none, or the client is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from obstore import exceptions, store
        except ImportError:
            raise PlaceError(f"{url}: {_NO_CLIENT}") from None
        self._none = (exceptions.NotFoundError, FileNotFoundError)
        self._failures = (exceptions.BaseError, OSError)
        try:
            self._store: Any = store.from_url(url)
        except (exceptions.BaseError, ValueError) as error:
            raise PlaceError(f"{url}: names no object store that can be read ({_line(error)})") from None

    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        try:
            found = self._store.list_with_delimiter(folder)
        except self._failures as error:
            raise OSError(errno.EIO, _line(error), folder) from None
        folders = sorted(str(name).rstrip("/").rpartition("/")[2] for name in found["common_prefixes"])
        return folders, sorted(str(one["path"]).rpartition("/")[2] for one in found["objects"])

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self._store.get(name).bytes())
        except self._none:
            return None
        except self._failures as error:
            raise OSError(errno.EIO, _line(error), name) from None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def opened(where: str) -> Place:
    """The archive at a path or URL.

    Raises:
        PlaceError: It cannot be read at all.
    """
    return Bucket(where) if "://" in where else Folder(Path(where))
