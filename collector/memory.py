"""How the process holds memory in glibc's allocator: kept while there is work, given back at rest.

Records of some hundred kilobytes are made, copied by kafka-python and freed all the time. By default glibc takes each from
the system and gives it back, and the system clears every page anew: a third of what sending costs. With another C library
nothing happens here.
"""

from __future__ import annotations

import ctypes
from typing import Final

# From malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8


def keep() -> None:
    """From now on, keep what is freed for what is made next; all threads share it."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, 32 << 20)  # its most
        set_option(_TRIM_THRESHOLD, 64 << 20)
        set_option(_ARENA_MAX, 1)


def give_back() -> None:
    """Return what is free to the system; while there is work it would be taken again at once."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
