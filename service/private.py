"""Files that hold a secret: refused where others could read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_LONGEST_B: Final = 1 << 20


class PrivateFileError(ValueError):
    """The file cannot be used; the message says why and what to do, in one line and without what the file holds."""


def read_private(path: Path) -> bytes:
    """Read a file that only its owner may read; of a file that root owns, root may let one group read it.

    The second half is what Kubernetes (`fsGroup`) and systemd (`LoadCredential=`) make of a secret; PostgreSQL draws
    the same line for its private key.

    Args:
        path: A regular file of at most a mebibyte; a link is followed.

    Returns:
        Its bytes, as they are.

    Raises:
        PrivateFileError: It is missing, unreadable, empty, no regular file, too long or open to others.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            # The open file is asked, not its name: between two looks at a name somebody could swap what it stands for.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PrivateFileError(f"{path}: is no file: check the path")
            if whom := shared_with(status.st_mode, status.st_uid):
                raise PrivateFileError(f"{path}: {whom} it: type chmod 600 {path} and consider making it anew")
            data = file.read(_LONGEST_B + 1)
    except OSError as error:
        raise PrivateFileError(f"{path}: cannot be read ({error.strerror}): put the secret there") from None
    if not data:
        raise PrivateFileError(f"{path}: is empty: put the secret there")
    if len(data) > _LONGEST_B:
        raise PrivateFileError(f"{path}: has over a mebibyte, which no secret has: check the path")
    return data


def shared_with(mode: int, owner: int) -> str | None:
    """Who besides its owner may do what with a file of these permission bits, such as `everybody may read`; `None`: nobody."""
    allowed = 0o740 if owner == 0 else 0o700
    extra = mode & 0o777 & ~allowed
    if not extra:
        return None
    whom = "everybody" if extra & 0o007 else "its group"
    return f"{whom} may {'read' if extra & 0o044 else 'change' if extra & 0o022 else 'run'}"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO in its place must not hang the process
