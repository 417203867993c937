"""Which versions decide about which moment: pinned in the state, so that working it out again gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from detector.versions import Library, Loaded, Pin

_MINUTE_MS: Final = 60_000
Pins = tuple[Pin, ...]


class Deployment:
    """What is deployed now, for the decisions to come.

    Args:
        library: Loads versions.
        current: What is deployed.
    """

    def __init__(self, library: Library, current: Loaded) -> None:
        self.library = library
        self.current = current

    def decide(self, pins: Pins, watermark: int) -> dict[str, Any]:
        """What is to be recorded, if what is deployed is not what was pinned last.

        Args:
            pins: So far.
            watermark: Event time up to which all is decided, UTC ms; −1 before the first.
        """
        if pins and pins[-1].hashes == self.current.hashes:
            return {}
        since = (max(watermark, pins[-1].since) // _MINUTE_MS + 1) * _MINUTE_MS if pins else -1
        return {"pin": Pin(since, self.current.hashes).as_json()}

    def load(self, pin: Pin) -> Loaded:
        """The versions of a pin.

        Raises:
            detector.versions.MissingError: They are not kept here.
            ConfigError: They cannot be used.
        """
        return self.library.load(pin.hashes)


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
