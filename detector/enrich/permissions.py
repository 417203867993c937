"""Rights: who may use which function of which system, and since when."""

from __future__ import annotations

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, booleans, encode_present, take
from detector.enrich.intervals import BEGINNING, FOREVER, Bools, Codes, Cover, Ints, Timeline, Told, pack
from registers.site import Site


class Permissions:
    """The register of permissions. Several rows may hold at once; `*` stands for every function of a system."""

    def __init__(self, site: Site, persons: Codes, systems: Codes, time_zone: str) -> None:
        register = Register(site, "permissions")
        self.absent = register.absent
        self._zone = time_zone
        self._systems, self._persons = systems, persons
        self._functions = Codes(register.column("function"))
        self._by = register.column("granted_by").cast(pl.String)
        start, end = register.start(), register.end()
        system = systems.encode(register.column("system"))
        self._place = pack((persons.encode(register.column("actor_id")), len(persons)), (system, len(systems)))
        function = self._functions.encode(register.column("function"))
        every = function == self._functions.encode(pl.Series(["*"]))[0] if len(function) else function == 0
        every &= function >= 0
        exact = pack((self._place, 1), (function, self._width))
        all_of_it = np.where(every, self._place, -1)
        self._exact, self._exact_rows = Cover(exact, start, end), Timeline(exact, start, end)
        self._every, self._every_rows = Cover(all_of_it, start, end), Timeline(all_of_it, start, end)
        self._any = Cover(self._place, start, end)
        # A system for which the register has no row at all is not managed there: no answer, rather than "no".
        self._managed = np.zeros(len(systems) + 1, dtype=np.bool_)
        self._managed[system[system >= 0]] = True

    @property
    def _width(self) -> int:
        return max(len(self._functions), 1)

    def add(self, batch: Batch) -> None:
        """Make `permission.*`."""
        known = self._answers(batch) & batch.present("person.id")
        place = self._keys(batch.person, batch.system)
        batch.add("permission.system", booleans(self._any.covers(place, batch.times), known))
        asked = known & batch.present("op.code")
        function = encode_present(self._functions, batch.column("op.code"))
        exact = np.where(asked, pack((place, 1), (function, self._width)), -1)
        place = np.where(asked, place, -1)
        times = batch.times
        one, all_ = self._exact.told(exact, times), self._every.told(place, times)
        batch.add("permission.granted", booleans(one.covers | all_.covers, asked))
        batch.add("permission.ever", booleans(one.begun | all_.begun, asked))
        self._add_age(batch, one, all_)
        rows = self._exact_rows.row(exact, times)
        rows = np.where(rows >= 0, rows, self._every_rows.row(place, times))
        batch.add("permission.granted_by", take(self._by, rows))

    def holds_any(self, batch: Batch, person: Ints) -> tuple[Bools, Bools]:
        """Whether each person may use some function of the event's system, and whether that can be said."""
        return self._any.covers(self._keys(person, batch.system), batch.times), self._answers(batch)

    def _add_age(self, batch: Batch, one: Told, all_: Told) -> None:
        since = np.minimum(one.since, all_.since)
        batch.add_days_since("permission.age_days", since, (since > BEGINNING) & (since < FOREVER), self._zone)
        ended = np.maximum(one.ended, all_.ended)
        over = ~(one.covers | all_.covers) & (ended > BEGINNING)
        batch.add_days_since("permission.ended_days", ended, over, self._zone)

    def _answers(self, batch: Batch) -> Bools:
        if self.absent:
            return np.zeros(len(batch), dtype=np.bool_)
        return np.asarray(self._managed[batch.system])

    def _keys(self, person: Ints, system: Ints) -> Ints:
        return pack((person, len(self._persons)), (system, len(self._systems)))
