"""Recorded reasons: what was stated, what was open for the subject anyway, and whose work the subject is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from detector.enrich.batch import (
    Batch,
    Register,
    as_codes,
    booleans,
    departments,
    encode_present,
    take,
)
from detector.enrich.intervals import BEGINNING, DAY_MS, FOREVER, Bools, Codes, Cover, Ints, Timeline, last, pack
from registers.site import Site


class Bases:
    """The register of bases. A basis has times of its own, so its validity decides only where those are empty."""

    def __init__(self, site: Site, subjects: Codes, depts: Codes, time_zone: str) -> None:
        register = Register(site, "bases")
        self.absent = register.absent
        self._no_ref, self._no_subject = register.lacks("basis_ref"), register.lacks("subject_id")
        self._subjects, self._depts, self._zone = subjects, depts, time_zone
        self._refs = Codes(register.column("basis_ref"))
        self._kinds = register.column("kind").cast(pl.String)
        ref = self._refs.encode(register.column("basis_ref"))
        subject = subjects.encode(register.column("subject.token"))
        nobody = register.column("subject.token").is_null().to_numpy()
        opened, closed = register.start("opened"), register.end("closed")
        grace = closed + (site.config.limits.grace_days or 0) * DAY_MS
        # Place 0 among a reference's subjects is "nobody in particular".
        place = np.where(nobody, 0, np.where(subject >= 0, subject + 1, -1))
        self._stated = self._pair(ref, place)
        self._of_pair = _Opening(self._stated, opened, closed, grace)
        self._of_ref = _Opening(ref, opened, closed, grace)
        dept = depts.encode(as_codes(register.column("dept"), departments(site)))
        free = register.column("dept").is_null().to_numpy()
        self._by_dept = Cover(self._with_dept(subject, np.where(free, 0, dept + 1)), opened, grace)
        self._by_anybody = Cover(subject, opened, grace)
        self._closed = last(np.where(closed < FOREVER, subject, -1), closed + 1)
        self._closed_at = closed
        month = 30 * DAY_MS
        self._near = Cover(subject, opened - month, closed + month)

    def add(self, batch: Batch) -> None:
        """Make `basis.*`."""
        ref = encode_present(self._refs, batch.column("basis.ref"))
        stated = batch.present("basis.ref") & (not self._no_ref)
        known = ref >= 0
        subject, times, said = batch.subject, batch.times, batch.present("subject.token")
        batch.add("basis.known", booleans(known, stated))
        theirs, nobodys = self._pair(ref, subject + 1), self._pair(ref, np.where(known, 0, -1))
        own = self._of_pair.look(np.where(subject >= 0, theirs, -1), times)
        common = self._of_pair.look(nobodys, times)
        fits = own.has | common.has
        batch.add("basis.matches", booleans(fits, stated & known & said & (not self._no_subject)))
        other = self._of_ref.look(np.where(fits & said, -1, ref), times)
        opened = np.where(fits & said, own.open | common.open, other.open)
        batch.add("basis.open", booleans(opened, stated & known))
        row = np.where(own.row >= 0, own.row, np.where(common.row >= 0, common.row, other.row))
        batch.add("basis.kind", take(self._kinds, np.where(known, row, -1)))
        closed = np.where(fits, np.maximum(own.closed, common.closed), other.closed)
        self._add_days(batch, np.where(known, closed, self._closed_before(subject, times)))
        self._add_any(batch, said)
        near = booleans(self._near.covers(subject, times), said & (not self._no_subject) & (not self.absent))
        batch.add("basis.within_30_days", near)

    def _closed_before(self, subject: Ints, times: Ints) -> Ints:
        row = self._closed.row(subject, times)
        closed = np.full(len(subject), BEGINNING, dtype=np.int64)
        closed[row >= 0] = self._closed_at[row[row >= 0]]
        return closed

    def _add_days(self, batch: Batch, closed: Ints) -> None:
        batch.add_days_since("basis.days_after_close", closed, closed > BEGINNING, self._zone)

    def _add_any(self, batch: Batch, said: Bools) -> None:
        subject, times = batch.subject, batch.times
        open_ = self._by_dept.covers(self._with_dept(subject, np.zeros(len(batch), dtype=np.int64)), times)
        placed = np.zeros(len(batch), dtype=np.bool_)
        for post in batch.posts:
            placed |= post != -1
            open_ |= self._by_dept.covers(self._with_dept(subject, np.where(post >= 0, post + 1, -1)), times)
        # Open in some department, but nobody knows in which the actor works: undecided.
        undecided = ~open_ & ~placed & self._by_anybody.covers(subject, times)
        known = said & ~undecided & (not self._no_subject) & (not self.absent)
        batch.add("basis.any_open", booleans(open_, known))

    def _pair(self, ref: Ints, place: Ints) -> Ints:
        return pack((ref, len(self._refs)), (place, len(self._subjects) + 1))

    def _with_dept(self, subject: Ints, place: Ints) -> Ints:
        return pack((subject, len(self._subjects)), (place, len(self._depts) + 1))


class _Looked(NamedTuple):
    """Per query: whether there are rows at all, whether one is open (with grace), which row speaks (−1: none), and when
    the last was closed (`BEGINNING` if none was, or if something is still open)."""

    has: Bools
    open: Bools
    row: Ints
    closed: Ints


class _Opening:
    """Rows of bases by one key."""

    def __init__(self, keys: Ints, opened: Ints, closed: Ints, grace: Ints) -> None:
        self._open = Cover(keys, opened, grace)
        self._bare = Cover(keys, opened, closed)
        self._rows, self._any = Timeline(keys, opened, grace), last(keys, np.full(len(keys), BEGINNING, dtype=np.int64))
        self._last = last(np.where(closed < FOREVER, keys, -1), closed + 1)
        self._closed = closed

    def look(self, keys: Ints, times: Ints) -> _Looked:
        has = self._any.has(keys)
        found = _Looked(has, np.zeros(len(keys), np.bool_), np.full(len(keys), -1), np.full(len(keys), BEGINNING))
        asked = np.flatnonzero(has)
        if len(asked):
            keys, times = keys[asked], times[asked]
            found.open[asked] = self._open.covers(keys, times)
            rows = self._rows.row(keys, times)
            found.row[asked] = np.where(rows >= 0, rows, self._any.row(keys, times))
            found.closed[asked] = self._last_closed(keys, times)
        return found

    def _last_closed(self, keys: Ints, times: Ints) -> Ints:
        row = self._last.row(keys, times)
        over = np.flatnonzero((row >= 0) & ~self._bare.covers(keys, times))
        result = np.full(len(keys), BEGINNING, dtype=np.int64)
        result[over] = self._closed[row[over]]
        return result


class Assignments:
    """The caseload, by person or by area."""

    def __init__(self, site: Site, persons: Codes, subjects: Codes) -> None:
        register = Register(site, "assignments")
        self._persons, self._subjects = persons, subjects
        self._areas = Codes(register.column("area"))
        self._kinds = register.column("kind").cast(pl.String)
        self._absent = register.lacks("actor_id") or (register.lacks("subject_id") and register.lacks("area"))
        person = persons.encode(register.column("actor_id"))
        subject = subjects.encode(register.column("subject.token"))
        # A row that names a person is about that person; its area, if any, is where the person lives.
        by_area = register.column("subject.token").is_null().to_numpy()
        area = np.where(by_area, self._areas.encode(register.column("area")), -1)
        start, end = register.start(), register.end()
        self._by_person = Timeline(pack((person, len(persons)), (subject, len(subjects))), start, end)
        self._by_area = Timeline(pack((person, len(persons)), (area, len(self._areas))), start, end)
        self._some_area = Cover(np.where(area >= 0, person, -1), start, end)

    def add(self, batch: Batch) -> None:
        """Make `assignment.*`."""
        times = batch.times
        said = batch.present("subject.token", "person.id") & (not self._absent)
        home = batch.column("subject.home")
        area = np.where(said, encode_present(self._areas, home), -1)
        row = self._by_person.row(pack((batch.person, len(self._persons)), (batch.subject, len(self._subjects))), times)
        by_area = self._by_area.row(pack((batch.person, len(self._persons)), (area, len(self._areas))), times)
        row = np.where(row >= 0, row, by_area)
        # With a caseload by area and a subject whose area nobody knows, "no" would be a guess.
        undecided = home.is_null().to_numpy() & (row < 0) & self._some_area.covers(batch.person, times)
        batch.add("assignment.match", booleans(row >= 0, said & ~undecided))
        batch.add("assignment.kind", take(self._kinds, np.where(said, row, -1)))
