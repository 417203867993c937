"""The stage behind what people decided: it decides nothing, so that decisions are archived as they came (docs/operations/archive.md).

What they do, `detector.stage_notices` does, which reads them beside its work (`detector/cases.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from contract import decision as contract
from contract.decision import DecisionError
from contract.rejected import Reason
from detector import letters, parcel
from detector.arrival import Arrived
from detector.stage import Moment, Sent

_KIND: Final = "decisions"
_VERSION: Final = 1


class Decisions:
    """The stage. It remembers nothing, so its state is None.

    Args:
        dead_letters: The topic that is told what is no decision.
    """

    def __init__(self, dead_letters: str) -> None:
        self._dead_letters = dead_letters

    def begin(self) -> None:
        """Nothing is known."""

    def prepare(self, records: Sequence[Arrived]) -> pl.DataFrame:
        """Rows in `rejected.REJECTED_SCHEMA` of the records that are no decision."""
        good, unread = letters.unread(records)
        bad, details = [], []
        for one in good:
            try:
                contract.from_json(one.value)
            except DecisionError as error:
                bad.append(one)
                details.append(str(error))
        return pl.concat([unread, letters.refused(bad, details, Reason.FORMAT)])

    def decide(self, state: None, prepared: pl.DataFrame, moment: Moment) -> dict[str, Any]:
        """What was lost; it is told by the metrics and, as offsets that never came, by the verifier of the archive."""
        return {} if moment.lost is None else {"lost": list(moment.lost)}

    def advance(self, state: None, prepared: pl.DataFrame, decision: Mapping[str, Any]) -> tuple[None, Sent]:
        """Tell what is no decision."""
        return None, Sent(letters.records(prepared, self._dead_letters), letters.counts(prepared))

    def dump(self, state: None) -> bytes:
        """The state as bytes."""
        return parcel.pack(_KIND, _VERSION, {}, {}, {})

    def load(self, data: bytes) -> None:
        """The reverse of `dump`.

        Raises:
            ValueError: Damaged, or of a version that is not known.
        """
        parcel.unpack(data, _KIND, _VERSION)

    def is_over(self, state: None) -> bool:
        """It has no part in re-runs."""
        return True

    def show(self, state: None) -> Mapping[str, float]:
        """Nothing."""
        return {}
