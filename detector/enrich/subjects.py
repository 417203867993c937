"""Whose data it is: the actor's own, the family's, a colleague's, a neighbour's, a shielded person's."""

from __future__ import annotations

import numpy as np
import polars as pl

from detector.enrich.batch import Batch, Register, booleans, first_known, take
from detector.enrich.intervals import FOREVER, Bools, Codes, Cover, Ints, Timeline, last, pack
from detector.enrich.people import Staff
from registers.site import Site


class Subjects:
    """The register of people on file, and the staff's own records among them."""

    def __init__(self, site: Site, persons: Codes, subjects: Codes, staff: Staff) -> None:
        register = Register(site, "subjects")
        self._persons, self._subjects, self._staff = persons, subjects, staff
        self._token_missing = staff.register.lacks("subject_id")
        subject = subjects.encode(register.column("subject.token"))
        start, end = register.start(), register.end()
        self._area = _Known(subject, start, end, register.column("area"))
        self._household = _Known(subject, start, end, register.column("household.token"))
        # The marks' own expiry decides; validity is the rest of it.
        mark_end = np.minimum(end, register.end("expiry"))
        self._marks = {
            name: None if register.lacks(name) else Cover(np.where(register.flag(name), subject, -1), start, mark_end)
            for name in ("protected", "vip")
        }
        self._add_staff(staff.register)

    def _add_staff(self, register: Register) -> None:
        person = self._persons.encode(register.column("actor_id"))
        subject = self._subjects.encode(register.column("subject.token"))
        start = register.start()
        self._own = Timeline(self._pair(person, subject), start, np.full(len(start), FOREVER, dtype=np.int64))
        self._has_own = Timeline(np.where(subject >= 0, person, -1), start, register.end())
        # Rows of service accounts are nobody's colleague.
        human = ~_is(register.column("type"), "service")
        order = np.lexsort((np.arange(len(person)), person))
        owner = np.full(len(self._subjects) + 1, -1, dtype=np.int64)
        for i in order[::-1].tolist():  # the smallest id keeps the record that two ids share
            if human[i] and subject[i] >= 0 and person[i] >= 0:
                owner[subject[i]] = person[i]
        self._owner = owner
        household = register.column("household.token").cast(pl.String)
        listed = np.where(household.is_not_null().to_numpy(), person, -1)
        self._home = last(listed, start)
        self._home_token = household
        tokens = np.where(subject >= 0, person, -1)
        self._own_row, self._own_subject = last(tokens, start), subject

    def add(self, batch: Batch) -> None:
        """Make `subject.*`; leaves the subject's area in `subject.home` for what follows."""
        subject, times = batch.subject, batch.times
        said = batch.present("subject.token")
        home = first_known(batch.column("subject.area").cast(pl.String), self._area.text(subject, times))
        self_ = self._add_self(batch, said)
        family = self._add_household(batch, said, self_)
        self._add_colleague(batch, said, self_)
        area = batch.column("person.area")
        near = (home == area).fill_null(False).to_numpy() & ~self_ & ~family
        known = said & home.is_not_null().to_numpy() & area.is_not_null().to_numpy()
        batch.add("subject.neighbour", booleans(near, known))
        for name, cover in self._marks.items():
            if cover is None:
                batch.add_null(pl.Boolean, f"subject.{name}")
            else:
                batch.add(f"subject.{name}", booleans(cover.covers(subject, times), said))
        batch.add("subject.home", home)

    def _add_self(self, batch: Batch, said: Bools) -> Bools:
        own = self._own.has(self._pair(batch.person, batch.subject))
        known = said & self._has_own.has(batch.person)
        batch.add("subject.self", booleans(own, known))
        return own

    def _add_household(self, batch: Batch, said: Bools, own: Bools) -> Bools:
        theirs = first_known(
            batch.column("household.token").cast(pl.String), self._household.text(batch.subject, batch.times)
        )
        row = self._own_row.row(batch.person, batch.times)
        token = self._own_subject[np.maximum(row, 0)] if len(self._own_subject) else np.full(len(batch), -1)
        mine = first_known(
            take(self._home_token, self._home.row(batch.person, batch.times)),
            self._household.text(np.where(row >= 0, token, -1), batch.times),
        )
        same = (theirs == mine).fill_null(False).to_numpy() & ~own
        known = said & theirs.is_not_null().to_numpy() & mine.is_not_null().to_numpy()
        batch.add("subject.own_household", booleans(same, known))
        return np.asarray(same & known)

    def _add_colleague(self, batch: Batch, said: Bools, own: Bools) -> None:
        owner = self._owner[batch.subject]
        colleague = (owner >= 0) & (owner != batch.person) & ~own
        known = said & (not self._token_missing)
        batch.add("subject.colleague", booleans(colleague, known))
        batch.add("subject.colleague_dept", self._staff.dept(np.where(colleague & known, owner, -1), batch.times))

    def _pair(self, person: Ints, subject: Ints) -> Ints:
        return pack((person, len(self._persons)), (subject, len(self._subjects)))


class _Known:
    """The text that a register gives for a key at a time, from rows that give one."""

    def __init__(self, keys: Ints, start: Ints, end: Ints, texts: pl.Series) -> None:
        self._texts = texts.cast(pl.String)
        self._rows = Timeline(np.where(texts.is_not_null().to_numpy(), keys, -1), start, end)

    def text(self, keys: Ints, times: Ints) -> pl.Series:
        return take(self._texts, self._rows.row(keys, times))


def _is(column: pl.Series, word: str) -> Bools:
    return (column.cast(pl.String) == word).fill_null(False).to_numpy()
