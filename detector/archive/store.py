"""Where the archive lies: a local folder, or an object store by URL. Files appear whole or not at all, and are never replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from service.durable import sync_folder

_PART: Final = ".part"


class StoreError(ValueError):
    """The place cannot be used; the message says why and what to do, in one line."""


class Store(Protocol):
    """Files by name, with `/` between folders."""

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted, without the folder's; unfinished ones are left out.

        Raises:
            OSError: It cannot be read.
        """

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: It cannot be read.
        """

    def create(self, name: str, data: bytes) -> None:
        """Make a file that is whole and durable when this returns, and that nobody ever sees in part.

        Raises:
            FileExistsError: There is one of that name, and it stays as it is.
            OSError: It could not be written; nothing of that name is there.
        """

    def tidy(self, folder: str) -> None:
        """Remove what was never finished in a folder; somebody who is at it there fails with an OSError.

        Raises:
            OSError: It could not be removed.
        """


class Folder:
    """A local folder, or one on a network file system with hard links.

    Args:
        path: Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.path / folder) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def create(self, name: str, data: bytes) -> None:
        target = self.path / name
        _made(target.parent)
        # A link to a finished file is atomic and, other than a rename, refuses a name that is taken.
        partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_PART}")
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.link(partial, target)
        except OSError as error:  # named for what was wanted; FileExistsError stays one
            raise OSError(error.errno, error.strerror, str(target)) from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()
        sync_folder(target.parent)

    def tidy(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in (self.path / folder).glob(f".*{_PART}"):
                path.unlink(missing_ok=True)


def _made(folder: Path) -> None:
    """Make a folder durably, with those above it."""
    if not folder.is_dir():
        _made(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


# Whoever archives also has to answer Kafka in time: after this the caller is told, and tries again later.
_RETRIES: Final = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_OVERWRITES: Final = "the store replaces files that are there: it must honour If-None-Match: *, or two detectors would damage the archive"
_NO_CLIENT: Final = "needs the package obstore: pip install obstore, or give a local folder"


class Bucket:
    """An object store that can create a file on condition that there is none: S3, Azure, Google.

    Args:
        url: Such as `s3://bucket/folder`; credentials come from the environment, as Polars takes them.

    Raises:
        StoreError: The URL names no known kind of store, or the client is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from obstore import exceptions, store
        except ImportError:
            raise StoreError(f"{url}: {_NO_CLIENT}") from None
        self._failures: tuple[type[Exception], ...] = (exceptions.BaseError, OSError)
        self._exists = exceptions.AlreadyExistsError
        try:
            more = {"mkdir": True} if url.startswith("file:") else {"retry_config": _RETRIES}
            self._store: Any = store.from_url(url, **more)
        except (exceptions.BaseError, ValueError) as error:
            raise StoreError(f"{url}: names no object store that can be used ({_line(error)})") from None
        self._refuses = False

    def names(self, folder: str) -> list[str]:
        with self._plainly(folder):
            listed = self._store.list_with_delimiter(folder)["objects"]
        return sorted(str(one["path"]).rpartition("/")[2] for one in listed)

    def read(self, name: str) -> bytes:
        with self._plainly(name):
            return bytes(self._store.get(name).bytes())

    def create(self, name: str, data: bytes) -> None:
        self._put(name, data)
        if not self._refuses:
            # A store that does not know the condition ignores it in silence, so the first file is made twice.
            try:
                self._put(name, data)
            except FileExistsError:
                self._refuses = True
            else:
                raise OSError(errno.ENOTSUP, _OVERWRITES, name)

    def _put(self, name: str, data: bytes) -> None:
        with self._plainly(name):
            self._store.put(name, data, mode="create", use_multipart=False)

    def tidy(self, folder: str) -> None:
        """Nothing: the store itself shows whole files only."""

    @contextlib.contextmanager
    def _plainly(self, name: str) -> Any:
        """The store's own errors as the system's."""
        try:
            yield
        except self._exists:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        except self._failures as error:
            raise OSError(errno.EIO, _line(error), name) from None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def opened(where: str) -> Store:
    """The store at a path or URL.

    Raises:
        StoreError: It cannot be one.
    """
    return Bucket(where) if "://" in where else Folder(Path(where))
