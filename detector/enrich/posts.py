"""The departments that a person acts for: the present one, posts held at once, and the last one while handing over."""

from __future__ import annotations

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, as_codes, departments, encode_present, first_known
from detector.enrich.intervals import Codes, Ints
from detector.enrich.people import Staff
from registers.site import Site

ELSEWHERE = -2  # a department that is known but that no register speaks of


class Posts:
    """Departments per person and time, as codes."""

    def __init__(self, site: Site, staff: Staff, depts: Codes) -> None:
        self._words = departments(site)
        self._depts = depts
        self._handover_days = site.config.limits.handover_days or 0
        held = staff.spans["posts"].list
        most = int(held.len().max() or 0) if staff.spans.height else 0  # type: ignore[arg-type]
        self._held = [
            np.append(depts.encode(as_codes(held.get(i, null_on_oob=True), self._words)), -1) for i in range(most)
        ]

    def of(self, batch: Batch) -> list[Ints]:
        """Codes of departments per event, as columns: −1 none or not known, `ELSEWHERE` one without a code."""
        # Where the register is silent, what the system logged about the department still counts.
        present = first_known(batch.column("person.dept"), batch.column("actor.dept").cast(pl.String))
        own = encode_present(self._depts, as_codes(present, self._words))
        own = np.where((own < 0) & present.is_not_null().to_numpy(), ELSEWHERE, own)
        columns = [own]
        columns += [held[batch.span] for held in self._held if len(held) > 1]
        if self._handover_days:
            days = batch.column("person.days_since_transfer")
            still = days.is_between(0, self._handover_days).fill_null(False).to_numpy()
            before = encode_present(self._depts, as_codes(batch.column("person.previous_dept"), self._words))
            columns.append(np.where(still, before, -1))
        return columns
