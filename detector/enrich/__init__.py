"""Add to every event what the site's registers say about it, as of the event's time.

Row by row and pure: the columns of a row depend on that row and the site alone, never on its neighbours. What the
site does not declare, or the event does not say, gives null; nothing is guessed.
"""

from __future__ import annotations

import polars as pl

from detector.enrich.bases import Assignments, Bases
from detector.enrich.batch import Batch, Register, as_codes, departments, encode_present
from detector.enrich.clock import Clock, Emergencies, Presence
from detector.enrich.columns import ENRICHED, Column
from detector.enrich.contractors import Contractors, Others
from detector.enrich.devices import Devices
from detector.enrich.intervals import Codes
from detector.enrich.people import Accounts, Staff
from detector.enrich.permissions import Permissions
from detector.enrich.posts import Posts
from detector.enrich.subjects import Subjects
from detector.enrich.systems import Labels, Systems
from registers.site import Site

__all__ = ["ENRICHED", "Column", "Enricher", "enrich"]


class Enricher:
    """The registers of one site, sorted for look-ups. Make it once per site; it never changes afterwards."""

    def __init__(self, site: Site) -> None:
        zone = site.config.time_zone
        self._persons = _people(site)
        self._subjects = Codes(
            *(Register(site, n).column("subject.token") for n in ("staff", "assignments", "bases", "subjects"))
        )
        self._systems = Codes(
            pl.Series(sorted(site.config.systems), dtype=pl.String),
            pl.Series([s for e in site.config.emergencies for s in e.systems or ()], dtype=pl.String),
            *(Register(site, name).column("system") for name in ("permissions", "work_orders", "labels")),
        )
        depts = _departments(site)
        self._clock, self._accounts = Clock(site), Accounts(site)
        self._staff = Staff(site, self._persons, zone)
        self._posts = Posts(site, self._staff, depts)
        permissions = Permissions(site, self._persons, self._systems, zone)
        self._parts = (
            permissions,
            Systems(site, self._systems, depts),
            Subjects(site, self._persons, self._subjects, self._staff),
            Bases(site, self._subjects, depts, zone),
            Assignments(site, self._persons, self._subjects),
            Presence(site, self._persons, zone),
            Emergencies(site, self._systems),
            Devices(site),
            Contractors(site, self._persons, self._systems),
            Others(self._accounts, self._staff, permissions, self._persons),
            Labels(site, self._systems),
        )

    def __call__(self, events: pl.DataFrame) -> pl.DataFrame:
        """Enrich a batch of events.

        Args:
            events: Events in the columns of `contract.event`; `time.occurred` is never null, other columns may be
                missing altogether. Columns of `ENRICHED` that are already there are made anew.

        Returns:
            The same rows in the same order, with the columns of `ENRICHED` appended in that order.
        """
        # A hundred columns are made beside these: in one piece each, nothing has to be aligned again and again.
        events = events.rechunk()
        batch = Batch(events)
        self._clock.add(batch)
        self._accounts.add(batch, self._clock.time_zone)
        batch.person = encode_present(self._persons, batch.column("person.id"))
        batch.system = encode_present(self._systems, batch.column("system.id"))
        batch.subject = encode_present(self._subjects, batch.column("subject.token"))
        self._staff.add(batch)
        batch.posts = self._posts.of(batch)
        for part in self._parts:
            part.add(batch)
        columns = [batch.made[name].cast(column.dtype).alias(name) for name, column in ENRICHED.items()]
        return events.drop(ENRICHED, strict=False).hstack(columns)


def enrich(events: pl.DataFrame, site: Site | Enricher) -> pl.DataFrame:
    """Add the columns of `ENRICHED` to events; see `Enricher`, which saves sorting the registers for every batch."""
    return (site if isinstance(site, Enricher) else Enricher(site))(events)


def _people(site: Site) -> Codes:
    names = ("staff", "permissions", "assignments", "presence", "devices", "work_orders")
    return Codes(*(Register(site, name).column("actor_id") for name in names))


def _departments(site: Site) -> Codes:
    words = departments(site)
    declared = [d for system in site.config.systems.values() for d in system.departments or ()]
    texts = [pl.Series(declared + list(site.config.departments), dtype=pl.String)]
    texts += [Register(site, name).column("dept") for name in ("staff", "bases")]
    return Codes(*(as_codes(text, words) for text in texts))
