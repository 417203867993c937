"""Which versions decide about which moment: pinned in the state, so that working it out again gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from detector.versions import Kind, Library, Loaded, MissingError, Pin
from registers.config import ConfigError

_MINUTE_MS: Final = 60_000
Pins = tuple[Pin, ...]


class Deployment:
    """What is deployed now, for the decisions to come.

    Detectors of a group are reloaded one after the other, and partitions move between them meanwhile. So every pin says when
    it was deployed, and the newest holds: who was not reloaded yet goes on with what it finds pinned.

    Args:
        library: Loads versions.
        current: What is deployed.
        at_ms: When that was, UTC; 0: nobody knows, it is older than all else.
        sources: Where it lies now, to see whether what others have deployed is there already.

    Attributes:
        current, at_ms: As above.
    """

    def __init__(
        self, library: Library, current: Loaded, at_ms: int = 0, sources: Callable[[], Mapping[Kind, Path]] = dict
    ) -> None:
        self.library = library
        self.current, self.at_ms = current, at_ms
        self._sources = sources
        self._newest = at_ms  # that anything was deployed, as far as was seen
        self._looked_for = 0

    def deploy(self, current: Loaded, now_ms: int) -> None:
        """Deploy something else; the same again is as old as it was, so that a reload without new files undoes nothing."""
        if current.hashes != self.current.hashes:
            self.at_ms = self._newest = max(now_ms, self._newest + 1)
        self.current = current

    def decide(self, pins: Pins, watermark: int) -> dict[str, Any]:
        """What is to be recorded, if what is deployed is newer than what was pinned last.

        Args:
            pins: So far.
            watermark: Event time up to which all is decided, UTC ms; −1 before the first.
        """
        if pins:
            self._newest = max(self._newest, pins[-1].deployed)
            if self.is_behind(pins):
                self._follow(pins[-1])
            if pins[-1].hashes == self.current.hashes:
                self.at_ms = max(self.at_ms, pins[-1].deployed)
                return {}
            if self.is_behind(pins):
                return {}
        since = (max(watermark, pins[-1].since) // _MINUTE_MS + 1) * _MINUTE_MS if pins else -1
        return {"pin": Pin(since, self.current.hashes, self.at_ms).as_json()}

    def is_behind(self, pins: Pins) -> bool:
        """Whether what was pinned last was deployed after what is deployed here, and is something else."""
        return bool(pins) and pins[-1].deployed > self.at_ms and pins[-1].hashes != self.current.hashes

    def load(self, pin: Pin) -> Loaded:
        """The versions of a pin; if they are not kept here yet, but are what lies in place now, they are kept.

        Raises:
            detector.versions.MissingError: They are not kept here.
            ConfigError: They cannot be used.
        """
        try:
            return self.library.load(pin.hashes)
        except MissingError:
            with suppress(ConfigError):
                self.library.keep(self._sources())
            return self.library.load(pin.hashes)

    def _follow(self, pin: Pin) -> None:
        """Deploy what others have, if it is what lies in place here too; looked for once."""
        if pin.deployed == self._looked_for:
            return
        self._looked_for = pin.deployed
        with suppress(ConfigError, MissingError):
            if self.library.keep(self._sources()) == pin.hashes:
                self.current = self.library.load(pin.hashes)


def extended(pins: Pins, decision: Mapping[str, Any], watermark: int) -> Pins:
    """The pins after a decision, without those that nothing can ask for any more."""
    if "pin" in decision:
        pins = (*pins, Pin.from_json(decision["pin"]))
    begun = [number for number, pin in enumerate(pins) if pin.since <= watermark]
    return pins[begun[-1] :] if begun else pins


def at(pins: Pins, moment: int) -> Pin:
    """What decides about a moment of event time, UTC ms."""
    return [pins[0], *(pin for pin in pins[1:] if pin.since <= moment)][-1]


def as_json(pins: Pins) -> list[dict[str, object]]:
    """Plain values for a state."""
    return [pin.as_json() for pin in pins]


def from_json(value: Sequence[Mapping[str, object]]) -> Pins:
    """The reverse of `as_json`."""
    return tuple(Pin.from_json(one) for one in value)
