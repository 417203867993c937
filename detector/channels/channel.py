"""What every channel is: somewhere that notices go, in their order, at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Notice = Mapping[str, Any]


class LaterError(Exception):
    """The target takes nothing now; the same notice is to be tried again.

    The message says who and why in one line, and holds no secret: no path or query of an address, no header, no answer.

    Args:
        message: For the operator.
        wait_s: How long the target asked us to wait, 0 if it did not.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class RefusedError(Exception):
    """The target will not have this notice, now or later. The message says who and why in one line, and holds no secret."""


class Channel(Protocol):
    """Somewhere that notices go. All methods are called from one thread.

    Attributes:
        name: Of the configuration; names the consumer group and the metrics' label.
        remembers: Whether it must see how all alerts stand before it begins: then `recall` is called for each notice there
            is, from the oldest on, after `forget`.
        trouble: What is wrong although notices go out, in a line; empty: nothing.
    """

    name: str
    trouble: str

    @property
    def remembers(self) -> bool: ...

    def deliver(self, waiting: Sequence[Notice]) -> int:
        """Deliver the first of what waits, at least one and as many as suit; returns how many.

        Raises:
            LaterError, RefusedError: None was delivered, for the sake of the first.
        """

    def recall(self, notice: Notice) -> None:
        """Learn of a notice that was delivered before."""

    def forget(self) -> None:
        """Drop what was learnt: other partitions are ours now."""

    def turn(self) -> None:
        """Do what is due without a notice, such as saying again what is open; called about every second.

        Raises:
            LaterError: The target takes nothing now; it is tried again.
        """
